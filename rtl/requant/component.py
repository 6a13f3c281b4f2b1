"""A requantisation unit as an Amaranth component: the registers around the graph of its datapath."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.components import DatapathLogic
from rtl.logic import Datapath

from .unit import Loadable, PartialSum, Requantiser

__all__ = ["PartialSumComponent", "RequantComponent"]


class _Loadable(Component):
    """What both kinds share. Datapath and parameter registers have no reset; ``rst`` clears the valid bits only.

    Registers of data load only what is valid.
    """

    def __init__(self, spec: Loadable, *, numbered: bool) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._loadable = spec
        self._numbered = numbered

    def _valid(self, m: Module, first: Value, length: int, name: str = "valid") -> list[Value]:
        """``first`` and its delays by 1 to ``length`` cycles."""
        values = [first]
        for stage in range(length):
            register = Signal(name=f"{name}_q{stage}")
            m.d.sync += register.eq(values[-1])
            values.append(register)
        return values

    def _registers(self, m: Module, datapath: Datapath) -> dict[str, Value]:
        """Input registers and parameter sets, by the names of the circuit's inputs."""
        words: dict[str, Value] = {}
        # Not in reset: and so a gate drives this net of large fan-out, not the port, and can be buffered.
        loading: Value = self.load_valid & ~ResetSignal()
        if not self._numbered:
            named = Signal(name="loading")
            m.d.comb += named.eq(loading)
            loading = named
        for group in range(self._loadable.groups):
            name = f"parameters{group}"
            register = Signal(self._loadable.parameter_width, name=f"{name}_q", reset_less=True)
            hit = loading
            if self._loadable.groups > 1:
                hit &= self.load_group == group
            with m.If(hit):
                m.d.sync += register.eq(self.load_parameters)
            words[name] = register
        for name in ("accumulator", "group", "first"):
            if name in datapath.circuit.inputs:
                port = getattr(self, name)
                register = Signal(len(port), name=f"{name}_in_q", reset_less=True)
                with m.If(self.in_valid):
                    m.d.sync += register.eq(port)
                words[name] = register
        return words


class RequantComponent(_Loadable):
    """The hardware of a :class:`rtl.requant.spec.RequantSpec`, with exactly its ports."""

    def __init__(self, spec: Requantiser, *, numbered: bool = False) -> None:
        super().__init__(spec, numbered=numbered)
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        m, stages = Module(), self._spec.pipeline_stages
        datapath = self._spec.build()
        valid = self._valid(m, self.in_valid, self._spec.latency)
        m.d.comb += self.out_valid.eq(valid[-1])
        logic = DatapathLogic(m, datapath, self._registers(m, datapath), valid[1:], numbered=self._numbered)
        code = Signal(self._spec.bits, name="code_q", reset_less=True)
        with m.If(valid[stages + 1]):
            m.d.sync += code.eq(Cat(logic.at(bit, stages) for bit in datapath.next_accumulator))
        m.d.comb += self.code.eq(code)
        return m


class PartialSumComponent(_Loadable):
    """The hardware of a :class:`rtl.requant.partialsum.PartialSumSpec`, with exactly its ports."""

    def __init__(self, spec: PartialSum, *, numbered: bool = False) -> None:
        super().__init__(spec, numbered=numbered)
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        m, stages = Module(), self._spec.pipeline_stages
        datapath = self._spec.build()
        valid = self._valid(m, self.in_valid, self._spec.latency - 1)
        last = self._valid(m, self.in_valid & self.last, self._spec.latency, "last_valid")
        m.d.comb += self.out_valid.eq(last[-1])
        total = Signal(self._spec.total_width, name="accumulator_q", reset_less=True)
        words = self._registers(m, datapath) | {"result": total}
        logic = DatapathLogic(m, datapath, words, valid[1:], numbered=self._numbered)
        with m.If(valid[stages + 1]):
            m.d.sync += total.eq(Cat(logic.at(bit, stages) for bit in datapath.next_accumulator))
        m.d.comb += self.total.eq(total)
        return m
