"""A grid of processing elements as an Amaranth component."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from .element import GridSpec

__all__ = ["GridComponent"]


class GridComponent(Component):
    """The hardware of a :class:`rtl.array.element.GridSpec`: instances of one element module."""

    def __init__(self, spec: GridSpec) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        spec, element = self._spec, self._spec.element
        m = Module()
        moving = ("control", "clear", "valid", "last", "shift") if element.systolic else ()
        shared = () if element.systolic else ("control", "clear", "enable", "capture")
        above = [
            {"weights": field(self.weights, column, spec.columns), "drain": Const(0, element.mac.accumulator_width)}
            for column in range(spec.columns)
        ]
        for row in range(spec.rows):
            left = {name: field(getattr(self, name), row, spec.rows) for name in ("activations", *moving)}
            for column in range(spec.columns):
                passed = ("weights", *left) if element.systolic else ()
                sources = {**left, **above[column]}
                out = {name: Signal(len(sources[name]), name=f"{name}_{row}_{column}") for name in (*passed, "drain")}
                m.submodules[f"element_{row}_{column}"] = Instance(
                    element.name,
                    i_clk=ClockSignal(),
                    i_rst=ResetSignal(),
                    i_weights=above[column]["weights"],
                    i_drain_in=above[column]["drain"],
                    **{f"i_{name}": value for name, value in left.items()},
                    **{f"i_{name}": getattr(self, name) for name in shared},
                    **{f"o_{name}_out": value for name, value in out.items()},
                )
                left = {name: out.get(name, value) for name, value in left.items()}
                above[column] = {name: out.get(name, value) for name, value in above[column].items()}
        m.d.comb += self.drain.eq(Cat(bottom["drain"] for bottom in above))
        return m


def field(value: Value, index: int, count: int) -> Value:
    """Part ``index`` of ``count`` equal parts."""
    width = len(value) // count
    return value[index * width : (index + 1) * width]
