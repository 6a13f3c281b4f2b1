"""What the cost model says of requantisation units: their gates and flip-flops have the costs of those of MACs.

No unit was fitted: hwmodel.validate measures the error on them, as on every held-out design.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from hwmodel.operands import RequantPlan, requant_stimulus
from hwmodel.synthesis import try_stages
from hwmodel.yosys import clock_gates_of
from rtl.logic import Op
from rtl.requant import LoadableSpec, PartialSumSpec

from .features import PARTS, Transitions, Vector
from .model import Cost, LibraryModel, Shape, cost_from, shape_from
from .paths import periods
from .stages import attempt_of_shape
from .structure import GATE_PARTS, Part, datapath_of
from .switching import Switching, count_transitions

__all__ = ["best_unit", "unit_cost", "unit_counts"]

_CYCLES = 256


def best_unit(
    spec: LoadableSpec, plan: RequantPlan, stages: Iterable[int], model: LibraryModel, clock_mhz: float
) -> tuple[LoadableSpec, Cost]:
    """The best pipelining of a unit that meets the clock, by the rule of hwmodel.synthesis.stages."""

    found = try_stages(
        stages,
        lambda number: replace(spec, pipeline_stages=number),
        lambda pipelined: attempt_of_shape(_shape(pipelined, model), model, clock_mhz),
        lambda pipelined: unit_cost(pipelined, plan, model, clock_mhz).power_uw,
    )
    assert found is not None
    return found[0], unit_cost(found[0], plan, model, clock_mhz)


def unit_cost(spec: LoadableSpec, plan: RequantPlan, model: LibraryModel, clock_mhz: float) -> Cost:
    """The cost of a unit under a stream of accumulators. Raises ValueError where the clock is not positive."""
    found = _switching(spec, plan)
    every = (found.settled, found.glitches, found.pulses)
    moved = Transitions(*(np.array([each[part] for part in PARTS], dtype=np.float64) for each in every))
    return cost_from(_shape(spec, model), unit_counts(spec), moved, model, clock_mhz)


@lru_cache(maxsize=4096)
def unit_counts(spec: LoadableSpec) -> Vector:
    """The number of each part of a unit: gates of its plan, registers of hwmodel's conventions.

    Parameter sets and accumulator are operand flip-flops; those that hold until they are loaded have a hold
    multiplexer a bit, or clock gates.
    """
    plan = datapath_of(spec)
    counts: dict[Part, float] = dict.fromkeys(Part, 0)
    for gate in plan.schedule.gates:
        if gate.op in GATE_PARTS:
            counts[GATE_PARTS[gate.op]] += len(gate.outputs) if gate.op is Op.ADD else 1
    inputs = plan.circuit.inputs
    parameters = spec.groups * spec.parameter_width
    entering = sum(len(inputs[name]) for name in ("accumulator", "group", "first") if name in inputs)
    counts[Part.OPERAND_REGISTERS] = parameters + entering
    counts[Part.PIPELINE_REGISTERS] = plan.schedule.registers
    counts[Part.ACCUMULATOR_REGISTERS] = len(plan.next_accumulator)
    # Valid bits, and of partial sums those of the last of a sum, one stage longer.
    counts[Part.CONTROL_REGISTERS] = 2 * spec.latency - 1 if isinstance(spec, PartialSumSpec) else spec.latency
    summing = len(plan.next_accumulator) if isinstance(spec, PartialSumSpec) else 0
    counts[Part.HOLDS] = parameters + summing + len(plan.schedule.crossings[-1])
    held = [*[spec.parameter_width] * spec.groups, entering, *(len(bits) for bits in plan.schedule.crossings)]
    held[-1] += len(plan.next_accumulator)
    counts[Part.CLOCK_GATES] = sum(map(clock_gates_of, held))
    return np.array([counts[part] for part in PARTS], dtype=np.float64)


@lru_cache(maxsize=4096)
def _shape(spec: LoadableSpec, model: LibraryModel) -> Shape:
    found = model.coefficients
    return shape_from(unit_counts(spec), periods(spec, found.relaxed_ns, found.fastest_ns), model)


@lru_cache(maxsize=4096)
def _switching(spec: LoadableSpec, plan: RequantPlan) -> Switching:
    short = replace(plan, cycles=min(plan.cycles, _CYCLES))
    stimulus = requant_stimulus(spec, short)
    inputs = datapath_of(spec).circuit.inputs
    begin = len(stimulus.words["in_valid"]) - short.cycles
    words: dict[str, list[int]] = {name: column[begin:] for name, column in stimulus.words.items() if name in inputs}
    for group, word in enumerate(_loaded(stimulus.words, spec.groups)):
        words[f"parameters{group}"] = [word] * short.cycles
    return count_transitions(datapath_of(spec), words, "first")


def _loaded(words: Mapping[str, list[int]], groups: int) -> list[int]:
    """The parameter word that each group was loaded with."""
    found = {}
    for load, group, word in zip(words["load_valid"], words["load_group"], words["load_parameters"], strict=True):
        if load:
            found[group] = word
    return [found[group] for group in range(groups)]
