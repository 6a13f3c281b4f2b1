"""Placement of pipeline registers in a graph of gates.

Every gate starts as early as its inputs allow; where it would end after the budget of its stage it moves to the
next. The budget is chosen among those whose longest stage is near the shortest possible, for the fewest registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from .circuit import Bit, Circuit, Gate, Op, Word, gate_delay

__all__ = ["Schedule", "schedule"]

_SLACK = 1.15  # a stage may be this much longer than the best balance where that saves registers
_BUDGETS = 24


@dataclass(frozen=True)
class Schedule:
    """Where each gate and bit lives.

    ``gates`` are the live gates in topological order; ``stage`` gives the pipeline stage of every live bit;
    ``crossings[k]`` are the bits registered between stage k and stage k + 1.
    """

    gates: tuple[Gate, ...]
    stage: dict[Bit, int]
    crossings: tuple[Word, ...]

    @property
    def registers(self) -> int:
        """Flip-flops inside the datapath."""
        return sum(len(bits) for bits in self.crossings)


def schedule(circuit: Circuit, stages: int, last: Word, output: Word) -> Schedule:
    """Places ``stages`` registers between the inputs and ``last``; ``output`` lies one stage behind ``last``."""
    live = _live_gates(circuit, (*last, *output))
    if stages == 0:
        return _place(circuit, live, stages, last, output, float("inf"))[0]
    depth = max((circuit.arrival(bit) % 1e3 for bit in last), default=1.0)
    tried = []
    for step in range(1, _BUDGETS + 1):
        tried.append(_place(circuit, live, stages, last, output, 1.5 * depth * step / _BUDGETS))
    shortest = min(longest for _, longest in tried)
    good = [plan for plan, longest in tried if longest <= shortest * _SLACK]
    return min(good, key=lambda plan: plan.registers)


def _live_gates(circuit: Circuit, roots: Word) -> tuple[Gate, ...]:
    needed = set(roots)
    live = []
    for gate in reversed(circuit.gates):
        if needed.intersection(gate.outputs):
            needed.update(gate.inputs)
            live.append(gate)
    return tuple(reversed(live))


def _place(
    circuit: Circuit, live: tuple[Gate, ...], stages: int, last: Word, output: Word, budget: float
) -> tuple[Schedule, float]:
    """A schedule for one budget, and the length of its longest stage."""
    stage: dict[Bit, int] = dict(circuit.input_stages)
    time: dict[Bit, float] = {}
    longest = 0.0
    for gate in live:
        variable = [bit for bit in gate.inputs if bit > 1]
        at = max(stage[bit] for bit in variable)
        start = max((time.get(bit, 0.0) for bit in variable if stage[bit] == at), default=0.0)
        delays = gate_delay(gate.op, len(gate.inputs))
        if start + max(delays) > budget and at < stages and gate.op is not Op.NOT:
            at, start = at + 1, 0.0
        for bit, delay in zip(gate.outputs, delays, strict=True):
            stage[bit] = at
            time[bit] = start + delay
            if at <= stages:
                longest = max(longest, start + delay)
    return Schedule(live, stage, _crossings(live, stage, stages, last, output)), longest


def _crossings(
    live: tuple[Gate, ...], stage: dict[Bit, int], stages: int, last: Word, output: Word
) -> tuple[Word, ...]:
    until: dict[Bit, int] = {}

    def use(bit: Bit, at: int) -> None:
        if bit > 1:
            until[bit] = max(until.get(bit, 0), at)

    for gate in live:
        for bit in gate.inputs:
            use(bit, stage[gate.outputs[0]])
    for bit in last:
        use(bit, stages)
    for bit in output:
        use(bit, stages + 1)
    return tuple(
        tuple(sorted(bit for bit, end in until.items() if stage[bit] <= crossing < end))
        for crossing in range(stages + 1)
    )
