"""The check of a run's settings, beside its first cycles: nothing is written before it is done.

Counting words takes products. A run writes its first word :data:`rtl.array.run.REFUSAL_CYCLES` - 1 cycles after its
first cycle at the earliest, so a product has three cycles, and a third of the multiplier's bits is enough hardware.
"""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from .geometry import ArrayGeometry
from .run import ERROR_WIDTH, REFUSAL_CYCLES, Refusal

__all__ = ["SettingsCheck"]

_DIGITS = REFUSAL_CYCLES - 2  # of a factor, one a cycle; the first cycle loads them, the last answers


class SettingsCheck(Component):
    """``refused`` is 1, with the cause on ``error``, in the fifth cycle after ``launch`` for settings that are wrong.

    The settings must be those of the run from the cycle after ``launch`` on.
    """

    def __init__(self, spec: ArrayGeometry) -> None:
        super().__init__(
            {
                **{port.name: In(port.width) for port in spec.settings},
                "launch": In(1),
                "refused": Out(1),
                "error": Out(ERROR_WIDTH),
            }
        )
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        spec = self._spec
        m = Module()
        phases: list[Value] = []
        now: Value = self.launch
        for place in range(REFUSAL_CYCLES):
            phase = Signal(name=f"phase_{place}")
            m.d.sync += phase.eq(now)
            phases.append(phase)
            now = phase
        cycles = Signal(len(self.weight_planes) + len(self.activation_planes))
        m.d.comb += cycles.eq(self.weight_planes * self.activation_planes)
        wrong: dict[Refusal, Value] = {
            Refusal.STEPS: self.steps == 0,
            Refusal.WEIGHT_PLANES: self.weight_planes == 0,
            Refusal.ACTIVATION_PLANES: self.activation_planes == 0,
            Refusal.ROW_TILES: self.row_tiles == 0,
            Refusal.COLUMN_TILES: self.column_tiles == 0,
            Refusal.WEIGHT_MEMORY: self._beyond(
                m, "weight", phases, self.column_tiles * self.weight_planes, self.steps, self.weight_base,
                spec.weight_depth,
            ),
            Refusal.ACTIVATION_MEMORY: self._beyond(
                m, "activation", phases, self.row_tiles * self.activation_planes, self.steps, self.activation_base,
                spec.activation_depth,
            ),
            Refusal.CONTROL_MEMORY: (cycles > spec.control_cycles)
            | (self.control_base + cycles > spec.control_depth - spec.control_cycles),
            Refusal.RESULT_MEMORY: self._beyond(
                m, "result", phases, self.row_tiles * spec.drain_rows, self.column_tiles, self.result_base,
                spec.result_depth,
            ),
        }  # fmt: skip
        if spec.requant is not None:
            sets = self.group + Mux(self.group_step, self.column_tiles, 1)
            wrong[Refusal.REQUANT_SETS] = self.requantise & (sets > spec.requant.groups)
        m.d.comb += [self.error.eq(_first(wrong)), self.refused.eq(phases[-1] & (self.error != 0))]
        return m

    def _beyond(
        self, m: Module, name: str, phases: list[Value], product: Value, factor: Value, base: Value, depth: int
    ) -> Value:
        """1 in the last phase where base + product * factor exceeds ``depth``, neither of the two being 0.

        The factor is taken a digit a cycle, the highest first. What exceeds the depth once exceeds it in the end,
        so no number is kept that is wider than the depth.
        """
        width = depth.bit_length()
        digit = -(-width // _DIGITS)
        multiplicand, total = (Signal(width, name=f"{name}_{what}", reset_less=True) for what in ("unit", "total"))
        rest = Signal(digit * _DIGITS, name=f"{name}_rest", reset_less=True)
        over = Signal(name=f"{name}_over", reset_less=True)
        unit = Signal(len(product), name=f"{name}_product")
        following = Signal(width + digit + 2, name=f"{name}_following")
        beyond = Signal(name=f"{name}_beyond")
        m.d.comb += [
            unit.eq(product),
            following.eq((total << digit) + multiplicand * rest[-digit:] + Mux(phases[_DIGITS], base, 0)),
            beyond.eq((unit > depth) | (factor > depth)),
        ]
        with m.If(phases[0]):
            m.d.sync += [
                multiplicand.eq(unit), total.eq(0), rest.eq(factor), over.eq(beyond)
            ]  # fmt: skip
        with m.Else():
            m.d.sync += [total.eq(following), rest.eq(rest << digit)]
            with m.If(~phases[-1]):
                m.d.sync += over.eq(over | (following > depth))
        return over


def _first(wrong: Mapping[Refusal, Value]) -> Value:
    """The lowest cause that holds, or 0."""
    found: Value = Const(Refusal.NONE, ERROR_WIDTH)
    for cause in sorted(wrong, reverse=True):
        found = Mux(wrong[cause], Const(cause, ERROR_WIDTH), found)
    return found
