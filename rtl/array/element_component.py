"""A processing element as an Amaranth component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.components import DatapathLogic
from rtl.logic import Port
from rtl.spec import MacSpec

from .step import control_ports

__all__ = ["Element", "ElementComponent"]


class Element(Protocol):
    """What the registers of an element follow from; :class:`rtl.array.element.ElementSpec` has the meanings."""

    @property
    def ports(self) -> Sequence[Port]: ...
    @property
    def mac(self) -> MacSpec: ...
    @property
    def systolic(self) -> bool: ...


class ElementComponent(Component):
    """The hardware of an :class:`rtl.array.element.ElementSpec`; one for all places of an array."""

    def __init__(self, spec: Element, *, numbered: bool = False) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._spec = spec
        self._numbered = numbered

    def elaborate(self, platform: object) -> Module:
        spec, mac = self._spec, self._spec.mac
        m = Module()
        if spec.systolic:
            operands: dict[str, Value] = {}
            for name in ("weights", "activations", "control", "clear"):
                register = Signal(len(getattr(self, name)), name=f"{name}_q", reset_less=True)
                with m.If(self.valid):
                    m.d.sync += register.eq(getattr(self, name))
                m.d.comb += getattr(self, f"{name}_out").eq(register)
                operands[name] = register
            valids, lasts = (self._pipeline(m, name, mac.latency) for name in ("valid", "last"))
            (shift,) = self._pipeline(m, "shift", 1)
            for name, stages in (("valid", valids), ("last", lasts), ("shift", [shift])):
                m.d.comb += getattr(self, f"{name}_out").eq(stages[0])
            enables: Sequence[Value] = valids
            capture: Value = lasts[-1]
        else:
            operands = {name: getattr(self, name) for name in ("weights", "activations", "control", "clear")}
            enables, capture, shift = list(self.enable), self.capture, self.shift

        datapath = mac.build()
        accumulator = Signal(mac.accumulator_width, name="accumulator_q", reset_less=True)
        control, low = operands.pop("control"), 0
        words = {**operands, "accumulator": accumulator, "result": accumulator}
        for port in control_ports(mac):
            words[port.name] = control[low : low + port.width]
            low += port.width
        logic = DatapathLogic(m, datapath, words, enables, numbered=self._numbered)
        depth = mac.pipeline_stages
        with m.If(enables[depth]):
            m.d.sync += accumulator.eq(Cat(logic.at(bit, depth) for bit in datapath.next_accumulator))
        result = Cat(logic.at(bit, depth + 1) for bit in datapath.output)
        drain = Signal(mac.accumulator_width, name="drain_q", reset_less=True)
        with m.If(capture | shift):
            m.d.sync += drain.eq(Mux(capture, result, self.drain_in))
        m.d.comb += self.drain_out.eq(drain)
        return m

    def _pipeline(self, m: Module, name: str, stages: int) -> list[Signal]:
        """A control bit after 1, 2, ... registers, which a reset clears."""
        value, found = getattr(self, name), []
        for stage in range(stages):
            register = Signal(name=f"{name}_q{stage}")
            m.d.sync += register.eq(value)
            value = register
            found.append(register)
        return found
