"""An array as an Amaranth component: memories, controllers, and instances of one processing element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.names import MEMORY_NAME, helper

from .checks import SettingsCheck
from .controller import DrainController, OperandController
from .geometry import ArrayGeometry, address_width

__all__ = ["ArrayComponent"]


class ArrayComponent(Component):
    """The hardware of an :class:`rtl.array.spec.ArraySpec`.

    Memories of a broadcast array have one bank; those of a systolic array have one a row or column (of results one a
    column and drain), each addressed so many cycles after the first as its data come or go, so that the data need no registers to be skewed.
    """

    def __init__(self, spec: ArrayGeometry) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.operands = operands = OperandController(self._spec)
        m.submodules.drain = drain = DrainController(self._spec)
        m.submodules.check = check = SettingsCheck(self._spec)
        launch = Signal()
        stop = Signal()
        run = self._settings(m, launch)
        for controller in (operands, drain):
            m.d.comb += [controller.launch.eq(launch), controller.stop.eq(stop)]
            m.d.comb += [getattr(controller, name).eq(run[name]) for name in ("row_tiles", "column_tiles")]
        m.d.comb += [getattr(operands, name).eq(run[name]) for name in ("steps", "weight_planes", "activation_planes")]
        m.d.comb += [
            operands.hold.eq(self.hold),
            operands.activation_start.eq(run["activation_base"]),
            *(getattr(operands, f"{name}_base").eq(getattr(self, f"{name}_base"))
              for name in ("weight", "activation", "control")),
            drain.result_base.eq(self.result_base),
            check.launch.eq(launch),
            *(getattr(check, name).eq(value) for name, value in run.items()),
        ]  # fmt: skip

        busy = Signal()
        error = Signal(len(self.error))
        m.d.comb += [launch.eq(self.start & ~busy), stop.eq(check.refused), self.busy.eq(busy), self.error.eq(error)]
        sums, tile = self._elements(m, operands, stop)
        m.d.comb += drain.tile.eq(tile)
        finished = self._results(m, drain, sums, run, launch, stop)
        with m.If(launch):
            m.d.sync += [busy.eq(1), error.eq(0)]
        with m.Elif(stop):
            m.d.sync += [busy.eq(0), error.eq(check.error)]
        with m.Elif(finished):
            m.d.sync += busy.eq(0)
        return m

    def _settings(self, m: Module, launch: Value) -> dict[str, Value]:
        """The settings of the run that goes on, by name."""
        found: dict[str, Value] = {}
        for port in self._spec.settings:
            register = Signal(port.width, name=f"run_{port.name}", reset_less=True)
            with m.If(launch):
                m.d.sync += register.eq(getattr(self, port.name))
            found[port.name] = register
        return found

    def _elements(self, m: Module, operands: OperandController, stop: Value) -> tuple[list[Value], Value]:
        """The registers at the end of all drains, as they are on the port ``drain`` of the grid, and a bit that is 1 when
        the first sum of a tile is in one of them.

        ``stop`` ends what is under way, but for what is in the elements: nothing that enters later overtakes that.
        """
        spec = self._spec
        latency = spec.mac.latency
        (control,) = self._memory(
            m, "control", spec.control_depth, [len(self.control_data)], [operands.control_address], [operands.issue],
            self.load_control, self.control_address, self.control_data,
        )  # fmt: skip
        valid, clear, last = (Signal(name=f"{name}_q") for name in ("valid", "clear", "last"))
        m.d.sync += [
            valid.eq(operands.issue & ~stop),
            clear.eq(operands.clear),
            last.eq(operands.issue & operands.last & ~stop),
        ]
        widths = spec.element.operand_widths
        banks = [
            self._memory(
                m, name, depth, [width] * count if spec.systolic else [width * count],
                self._delays(m, f"{name}_address", address, count if spec.systolic else 1),
                self._delays(m, f"{name}_issue", operands.issue, count if spec.systolic else 1, stop=stop),
                load, load_address, load_data,
            )
            for name, depth, width, count, address, load, load_address, load_data in (
                ("weight", spec.weight_depth, widths[0], spec.columns, operands.weight_address,
                 self.load_weights, self.weight_address, self.weight_data),
                ("activation", spec.activation_depth, widths[1], spec.rows, operands.activation_address,
                 self.load_activations, self.activation_address, self.activation_data),
            )
        ]  # fmt: skip
        moving: dict[str, Value] = {"weights": Cat(banks[0]), "activations": Cat(banks[1])}
        if spec.systolic:
            rows = {
                name: self._delays(m, name, value, spec.rows)
                for name, value in (("control", control), ("clear", clear))
            }
            rows |= {
                name: self._delays(m, name, value, spec.rows, stop=stop)
                for name, value in (("valid", valid), ("last", last))
            }
            finals = {
                end: self._delays(m, f"drained_{end}", rows["last"][end], latency + 1, stop=stop)[-1]
                for end in spec.grid.chain_ends
            }
            final = finals[spec.grid.chain_ends[-1]]  # that of the first row comes first
            rows["shift"] = self._shifts(m, finals, stop)
            moving |= {name: Cat(values) for name, values in rows.items()}
        else:
            moving |= {"control": control, "clear": clear}
            for name, value in moving.items():
                moving[name] = Signal(len(value), name=f"{name}_edge", reset_less=True)
                m.d.sync += moving[name].eq(value)
            final = self._delays(m, "last", last, latency + 1, stop=stop)[-1]
            moving["enable"] = self._delays(m, "valid", valid, spec.mac.pipeline_stages + 2, stop=stop)[-1]
            moving["capture"] = final
        places = spec.drains * spec.columns
        drain = Signal(places * spec.mac.accumulator_width)
        m.submodules.grid = Instance(
            spec.grid.name,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            **{f"i_{name}": value for name, value in moving.items()},
            o_drain=drain,
        )
        tile = Signal(name="tile_q")
        m.d.sync += tile.eq(final & ~stop)
        return [field(drain, place, places) for place in range(places)], tile

    def _shifts(self, m: Module, finals: Mapping[int, Value], stop: Value) -> list[Value]:
        """A row of a systolic grid moves its drain registers once for each row before it in its chain, from the cycle on
        in which the row at the end takes its sum; these bits are a cycle ahead, since elements register them.
        """
        shifts: list[Value] = []
        for row in range(self._spec.rows):
            place = self._spec.grid.chain_place(row)
            if place == 0:
                shifts.append(Const(0, 1))
                continue
            later = self._delays(m, f"shift_{row}", shifts[-1], 2, stop=stop)[-1]
            shift = Signal(name=f"shift_{row}")
            final = finals[min(end for end in finals if end >= row)]
            m.d.comb += shift.eq(final if place == 1 else shifts[-1] | later)
            shifts.append(shift)
        return shifts

    def _results(
        self, m: Module, drain: DrainController, sums: Sequence[Value], run: Mapping[str, Value], launch: Value,
        stop: Value,
    ) -> Value:  # fmt: skip
        """Passes on each sum to the result memory; returns a bit that is 1 when the last of a run is written."""
        spec = self._spec
        # Cycles that the sums of each bank come later than those of the first row and column.
        lags = [0]
        if spec.systolic:
            lags = [end - spec.grid.chain_ends[-1] + c for end in spec.grid.chain_ends for c in range(spec.columns)]
        per_bank = len(sums) // len(lags)
        requant = spec.requant.latency if spec.requant else 0
        stages = max(lags) + 1
        # Reading for the accumulation is a cycle ahead of the sum.
        ahead = self._delays(m, "ahead", drain.next_address, stages)
        active = self._delays(m, "active", drain.active, stages + requant, stop=stop)
        address = self._delays(m, "drained_address", drain.address, stages + requant)
        columns = self._delays(m, "drained_column", drain.column, stages) if spec.requant else []
        read_data: list[Value] = []
        for bank, lag in enumerate(lags):
            width = per_bank * spec.result_width
            written = Signal(width, name=f"result_{bank}_write_data")
            data = self._bank(
                m, f"result_{bank}", spec.result_depth, width,
                read_address=Mux(self.busy & run["accumulate"], ahead[lag], self.result_address),
                read_enable=Const(1, 1),
                write_address=address[lag + requant], write_enable=active[lag + requant] & ~stop, write_data=written,
            )  # fmt: skip
            results = []
            for inner in range(per_bank):
                place = bank * per_bank + inner
                old = data[inner * spec.result_width : (inner + 1) * spec.result_width]
                total = self._combined(m, place, sums[place], old, run)
                if spec.requant is not None:
                    group = run["group"] + Mux(run["group_step"], columns[lag], 0)
                    total = self._requantised(m, place, total, active[lag], group, run)
                results.append(total)
            m.d.comb += written.eq(Cat(results))
            read_data.append(data)
        m.d.comb += self.result_data.eq(Cat(read_data))
        with m.If(launch):
            m.d.sync += self.written.eq(0)
        with m.Elif(active[-1] & ~stop):
            m.d.sync += self.written.eq(self.written + 1)
        return self._delays(m, "finished", drain.finished, stages + requant, stop=stop)[-1]

    def _combined(self, m: Module, place: int, drained: Value, old: Value, run: Mapping[str, Value]) -> Value:
        """What a pass makes of a sum: shifted, negated, added to the result so far, halved."""
        width = self._spec.result_width
        total = Signal(width + 1, name=f"total_{place}")
        term = Signal(width + 1, name=f"term_{place}")
        shifted = drained.as_signed() << run["shift"]
        m.d.comb += [
            term.eq(Mux(run["negate"], -shifted, shifted)),
            total.eq(term + Mux(run["accumulate"], old.as_signed(), 0)),
        ]
        return Mux(run["halve"], total[1:], total[:width])

    def _requantised(
        self, m: Module, place: int, total: Value, active: Value, group: Value, run: Mapping[str, Value]
    ) -> Value:
        spec = self._spec
        assert spec.requant is not None
        code = Signal(spec.requant.bits, name=f"code_{place}")
        m.submodules[f"requant_{place}"] = Instance(
            helper(spec.requant.name),
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_in_valid=active,
            i_accumulator=total,
            i_group=group[: address_width(spec.requant.groups)],
            i_load_valid=self.load_requant[place % spec.columns],
            i_load_group=self.load_group,
            i_load_parameters=self.load_parameters,
            o_out_valid=Signal(name=f"code_valid_{place}"),
            o_code=code,
        )
        plain = self._delays(m, f"plain_{place}", total, spec.requant.latency + 1)[-1]
        return Mux(run["requantise"], code, plain)

    def _memory(
        self, m: Module, name: str, depth: int, widths: Sequence[int], addresses: Sequence[Value],
        enables: Sequence[Value], load: Value, load_address: Value, load_data: Value,
    ) -> list[Value]:  # fmt: skip
        """Read data of the banks of a memory that is loaded from outside, all banks at once."""
        found: list[Value] = []
        low = 0
        for bank, (width, address, enable) in enumerate(zip(widths, addresses, enables, strict=True)):
            found.append(
                self._bank(
                    m, f"{name}_{bank}", depth, width, read_address=address, read_enable=enable,
                    write_address=load_address, write_enable=load, write_data=load_data[low : low + width],
                )
            )  # fmt: skip
            low += width
        return found

    def _bank(self, m: Module, name: str, depth: int, width: int, **inputs: Value) -> Value:
        """Read data of a new memory, a cycle after its address."""
        data = Signal(width, name=f"{name}_read_data")
        m.submodules[name] = Instance(
            MEMORY_NAME,
            p_WIDTH=width,
            p_DEPTH=depth,
            p_ADDRESS_WIDTH=address_width(depth),
            i_clk=ClockSignal(),
            **{f"i_{port}": value for port, value in inputs.items()},
            o_read_data=data,
        )
        return data

    def _delays(self, m: Module, name: str, value: Value, count: int, *, stop: Value | None = None) -> list[Value]:
        """``value`` after 0, 1, ... count - 1 registers; where ``stop`` is given, it and a reset clear them."""
        found: list[Value] = [value]
        for stage in range(1, count):
            register = Signal(len(value), name=f"{name}_d{stage}", reset_less=stop is None)
            m.d.sync += register.eq(found[-1] if stop is None else Mux(stop, 0, found[-1]))
            found.append(register)
        return found


def field(value: Value, index: int, count: int) -> Value:
    """Part ``index`` of ``count`` equal parts."""
    width = len(value) // count
    return value[index * width : (index + 1) * width]
