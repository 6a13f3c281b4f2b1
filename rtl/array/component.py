"""An array as an Amaranth component: memories, controllers, and instances of one processing element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.names import MEMORY_NAME, helper

from .checks import SettingsCheck
from .controller import DrainController, OperandController
from .geometry import ArrayGeometry, address_width
from .run import CHANGES

__all__ = ["ArrayComponent"]


class ArrayComponent(Component):
    """The hardware of an :class:`rtl.array.spec.ArraySpec`.

    Memories of a broadcast array have one bank; those of a systolic array have one a row or column, each addressed a
    cycle after the one before, so that the data need no registers to be skewed. Results have as many more as there are
    drains.
    """

    def __init__(self, spec: ArrayGeometry) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.operand_controller = operands = OperandController(self._spec)
        m.submodules.drain_controller = drain = DrainController(self._spec)
        m.submodules.settings_check = check = SettingsCheck(self._spec)
        launch = Signal()
        stop = Signal()
        run = self._settings(m, launch)
        together = self._together(m, run)
        for controller in (operands, drain):
            m.d.comb += [controller.launch.eq(launch), controller.stop.eq(stop), controller.together.eq(together)]
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

        busy = Signal(name="running")
        error = Signal(len(self.error), name="refusal")
        m.d.comb += [launch.eq(self.start & ~busy), stop.eq(check.refused), self.busy.eq(busy), self.error.eq(error)]
        sums, tile = self._elements(m, operands, together, stop)
        m.d.comb += drain.tile.eq(tile)
        finished = self._results(m, drain, sums, run, together, launch, stop)
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

    def _together(self, m: Module, run: Mapping[str, Value]) -> Value:
        """Whether sums are stored as they are, so that they may leave by all drains at once."""
        together = Signal()
        if self._spec.drains > 1:
            m.d.comb += together.eq(~Cat(run[name] for name in CHANGES if name in run).any())
        return together

    def _elements(
        self, m: Module, operands: OperandController, together: Value, stop: Value
    ) -> tuple[list[Value], Value]:
        """The drain registers that are outputs, and a bit that is 1 when the first sum of a tile is in one of them.

        ``stop`` ends what is under way, but for what is in the elements: nothing that enters later overtakes that.
        """
        spec = self._spec
        latency = spec.mac.latency
        (control,) = self._memory(
            m, "control", spec.control_depth, [len(self.control_data)], [operands.read_control], [operands.issue],
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
                self._delays(m, f"{name}_read", address, count if spec.systolic else 1),
                self._delays(m, f"{name}_issue", operands.issue, count if spec.systolic else 1, stop=stop),
                load, load_address, load_data,
            )
            for name, depth, width, count, address, load, load_address, load_data in (
                ("weight", spec.weight_depth, widths[0], spec.columns, operands.read_weights,
                 self.load_weights, self.weight_address, self.weight_data),
                ("activation", spec.activation_depth, widths[1], spec.rows, operands.read_activations,
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
            finals = [
                self._delays(m, f"drained_{row}", rows["last"][row], latency + 1, stop=stop)[-1]
                for row in spec.grid.drained_rows
            ]
            final = finals[-1]  # the row nearest to the first has its sums first
            rows["shift"] = self._shifts(m, "shift", finals[0], spec.rows, stop)
            if spec.drains > 1:
                ends = [-1, *reversed(spec.grid.drained_rows)]
                parts = [
                    self._shifts(m, f"shift_to_{end}", taken, end - before, stop)
                    for taken, (before, end) in zip(reversed(finals), pairwise(ends), strict=True)
                ]
                apart = [bit for part in parts for bit in part]
                rows["shift"] = [Mux(together, *both) for both in zip(apart, rows["shift"], strict=True)]
            moving |= {name: Cat(values) for name, values in rows.items()}
        else:
            moving |= {"control": control, "clear": clear}
            for name, value in moving.items():
                moving[name] = Signal(len(value), name=f"{name}_edge", reset_less=True)
                with m.If(valid):
                    m.d.sync += moving[name].eq(value)
            final = self._delays(m, "last", last, latency + 1, stop=stop)[-1]
            moving["enable"] = Cat(self._delays(m, "valid", valid, spec.mac.pipeline_stages + 2, stop=stop)[1:])
            moving["capture"] = final
            moving["shift"] = self._after(m, final, Mux(together, spec.grid.drain_rows, spec.rows), stop)
        places = spec.drains * spec.columns
        drain = Signal(places * spec.mac.accumulator_width, name="sums")
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

    def _after(self, m: Module, final: Value, rows: Value, stop: Value) -> Value:
        """1 in the cycles after ``final`` in which the other rows of each drain of a broadcast grid follow."""
        left = Signal(range(self._spec.rows), name="rows_left")
        draining = Signal(name="draining")
        m.d.comb += draining.eq(left != 0)
        with m.If(stop):
            m.d.sync += left.eq(0)
        with m.Elif(final):
            m.d.sync += left.eq(rows - 1)
        with m.Elif(draining):
            m.d.sync += left.eq(left - 1)
        return draining

    def _shifts(self, m: Module, name: str, final: Value, rows: int, stop: Value) -> list[Value]:
        """Row r of ``rows`` in a systolic grid moves its drain registers r times, from the cycle on in which the last
        takes its sum; these bits are a cycle ahead, since elements register them.
        """
        shifts: list[Value] = [Const(0, 1)]
        for row in range(1, rows):
            later = self._delays(m, f"{name}_{row}", shifts[-1], 2, stop=stop)[-1]
            shift = Signal(name=f"{name}_{row}")
            m.d.comb += shift.eq(final if row == 1 else shifts[-1] | later)
            shifts.append(shift)
        return shifts

    def _results(
        self, m: Module, drain: DrainController, sums: Sequence[Value], run: Mapping[str, Value], together: Value,
        launch: Value, stop: Value,
    ) -> Value:  # fmt: skip
        """Passes on each sum to the result memory; returns a bit that is 1 when the last of a run is written.

        Drain 0 has what changes a sum; others are used where none is changed. So what drain 0 makes may go to the place
        of any drain.
        """
        spec = self._spec
        banks = spec.columns if spec.systolic else 1
        per_bank = spec.columns // banks
        requant = spec.requant.latency if spec.requant else 0
        # Sums of a systolic array come later by a cycle a column, and a cycle a row from drain to drain.
        rows = spec.grid.drained_rows
        lags = [[(row - rows[-1] if spec.systolic else 0) + bank for bank in range(banks)] for row in rows]
        stages = lags[0][-1] + 1 + requant
        # Reading for the accumulation is a cycle ahead of the sum.
        ahead = self._delays(m, "ahead", drain.next_address, stages)
        active = self._delays(m, "active", drain.active, stages, stop=stop)
        address = self._delays(m, "drained_address", drain.address, stages)
        whose = self._delays(m, "drained_drain", drain.drain, stages)
        short = self._delays(m, "drained_short", drain.short, stages)
        complete = self._delays(m, "drained_complete", drain.complete, stages)
        columns = self._delays(m, "drained_column", drain.column, stages) if spec.requant else []
        read_data: dict[tuple[int, int], Value] = {}
        for bank, lag in enumerate(lags[0]):
            held = [
                Signal(per_bank * spec.result_width, name=f"result_{each}_{bank}_read") for each in range(spec.drains)
            ]
            results = []
            for inner in range(per_bank):
                column = bank * per_bank + inner
                old = chosen([field(word, inner, per_bank) for word in held], whose[lag])
                total = self._combined(m, column, sums[column], old, run)
                if spec.requant is not None:
                    group = Signal(address_width(spec.requant.groups), name=f"group_{column}")
                    m.d.comb += group.eq(run["group"] + Mux(run["group_step"], columns[lag], 0))
                    total = self._requantised(m, column, total, active[lag], group, run)
                results.append(total)
            late = lag + requant
            for each, word in enumerate(held):
                data, enable, place = Cat(results), active[late], address[late]
                if spec.drains > 1:
                    enable &= together | (whose[late] == each)
                if each:
                    own = lags[each][bank]
                    first = each * spec.columns + bank * per_bank
                    plain = Cat(resized(value, spec.result_width) for value in sums[first : first + per_bank])
                    data, place = Mux(together, plain, data), Mux(together, address[own], place)
                    there = active[own] & (~short[own] if each == spec.drains - 1 else Const(1, 1))
                    enable = Mux(together, there, enable)
                inputs = {
                    "read_address": Mux(self.busy & run["accumulate"], ahead[lag], self.result_address),
                    "write_address": place,
                    "write_enable": enable & ~stop,
                    "write_data": data,
                }
                wires = {
                    port: Signal(len(value), name=f"result_{each}_{bank}_{port}") for port, value in inputs.items()
                }
                m.d.comb += [wires[port].eq(value) for port, value in inputs.items()]
                read = self._bank(
                    m, f"result_{each}_{bank}", spec.result_depth, len(word), read_enable=Const(1, 1), **wires
                )
                m.d.comb += word.eq(read)
                read_data[each, bank] = word
        m.d.comb += self.result_data.eq(Cat(read_data[key] for key in sorted(read_data)))
        with m.If(launch):
            m.d.sync += self.written.eq(0)
        with m.Elif(active[-1] & ~stop):
            m.d.sync += self.written.eq(self.written + complete[-1])
        return self._delays(m, "finished", drain.finished, stages, stop=stop)[-1]

    def _combined(self, m: Module, column: int, drained: Value, old: Value, run: Mapping[str, Value]) -> Value:
        """What a pass makes of a sum: shifted, negated, added to the result so far, halved."""
        width = self._spec.result_width
        names = ("shifted", "term", "so_far", "total", "result")
        shifted, term, so_far, total, result = (Signal(width + 1, name=f"{name}_{column}") for name in names)
        m.d.comb += [
            shifted.eq(drained.as_signed() << run["shift"]),
            term.eq(Mux(run["negate"], -shifted, shifted)),
            so_far.eq(Mux(run["accumulate"], resized(old, width + 1), 0)),
            total.eq(term + so_far),
            result.eq(Mux(run["halve"], total[1:], total[:width])),
        ]
        return result[:width]

    def _requantised(
        self, m: Module, column: int, total: Value, active: Value, group: Value, run: Mapping[str, Value]
    ) -> Value:
        spec = self._spec
        assert spec.requant is not None
        code = Signal(spec.requant.bits, name=f"code_{column}")
        m.submodules[f"requant_{column}"] = Instance(
            helper(spec.requant.name),
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_in_valid=active,
            i_accumulator=total,
            i_group=group,
            i_load_valid=self.load_requant[column],
            i_load_group=self.load_group,
            i_load_parameters=self.load_parameters,
            o_out_valid=Signal(name=f"code_valid_{column}"),
            o_code=code,
        )
        plain = self._delays(m, f"plain_{column}", total, spec.requant.latency + 1)[-1]
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


def chosen(values: Sequence[Value], number: Value) -> Value:
    """The value of that number, or the last one."""
    found = values[-1]
    for place in reversed(range(len(values) - 1)):
        found = Mux(number == place, values[place], found)
    return found


def resized(value: Value, width: int) -> Value:
    """A signed value with ``width`` bits, at least its own."""
    return Cat(value, value[-1].replicate(width - len(value)))


def field(value: Value, index: int, count: int) -> Value:
    """Part ``index`` of ``count`` equal parts."""
    width = len(value) // count
    return value[index * width : (index + 1) * width]
