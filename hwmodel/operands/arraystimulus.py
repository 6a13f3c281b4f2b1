"""Operand streams for the core of an array: every row and column has codes of its own, sums follow back to back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from rtl.array import CoreSpec, control_word
from siliquant.inputs import InputError

from .stimulus import RESET_CYCLES, Mismatch, StreamPlan, operand_sums

__all__ = ["CoreStimulus", "check_drained", "make_core_stimulus"]


@dataclass(frozen=True)
class CoreStimulus:
    """Words of every input port but the clock, one a cycle, and what drains: (cycle, column, word of the sum)."""

    words: Mapping[str, list[int]]
    expected: tuple[tuple[int, int, int], ...]
    first_full_cycle: int


def make_core_stimulus(spec: CoreSpec, plan: StreamPlan) -> CoreStimulus:
    """Back-to-back sums at full rate, as the controllers of an array feed them.

    Row r has the activations of the stream whose seed is r more, column c the weights of that whose seed is c more.
    Raises ValueError for recorded streams, whose sums differ in length, where a sum has fewer cycles than rows, and for
    another utilisation than 1.
    """
    if plan.utilisation != 1:
        raise InputError(f"utilisation of an array must be 1, not {plan.utilisation:g}")
    if plan.stream.recorded:
        raise InputError(
            f"stream must be drawn, not recorded, so that all elements have sums of one length, not {plan}"
        )
    mac, rows, columns = spec.mac, range(spec.rows), range(spec.columns)
    sums = [operand_sums(mac, _shifted(plan, place)) for place in range(max(spec.rows, spec.columns))]
    packed = [[mac.pack(weights, activations, plan.precision) for weights, activations in place] for place in sums]
    streams = [{name: [word for one in place for word in one[name]] for name in place[0]} for place in packed]
    ends = list(accumulate(len(one["clear"]) for one in packed[0]))
    if ends[0] < spec.rows:
        raise InputError(f"a sum must take at least the {spec.rows} cycles in which its rows drain, not {ends[0]}")
    cycles = ends[-1]
    last = [int(cycle + 1 in set(ends)) for cycle in range(cycles)]
    names = [name for name in streams[0] if name not in ("weights", "activations", "clear")]
    controls = [control_word(mac, {name: streams[0][name][cycle] for name in names}) for cycle in range(cycles)]

    skew = int(spec.systolic)
    weights, activations = spec.element.operand_widths
    words: dict[str, list[int]] = {
        "weights": _joined([_late(streams[c]["weights"], skew * c) for c in columns], weights),
        "activations": _joined([_late(streams[r]["activations"], skew * r) for r in rows], activations),
    }
    if spec.systolic:
        shared = {"control": controls, "clear": streams[0]["clear"], "valid": [1] * cycles, "last": last}
        widths = {port.name: port.width for port in spec.element.ports}
        words |= {name: _joined([_late(column, r) for r in rows], widths[name]) for name, column in shared.items()}
        words["shift"] = _joined(_shifts(_late(last, spec.rows - 1 + mac.latency), spec.rows), 1)
    else:
        captured = _late(last, mac.latency - 1)
        words |= {
            "control": controls,
            "clear": streams[0]["clear"],
            "enable": _joined([_late([1] * cycles, stage) for stage in range(mac.pipeline_stages + 1)], 1),
            "capture": captured,
            "shift": [int(any(captured[max(0, t - spec.rows + 1) : t])) for t in range(cycles)],
        }
    full = {port.name: [0] * RESET_CYCLES + words[port.name] for port in spec.ports if port.is_input}
    full["rst"] = [1] * RESET_CYCLES + [0] * cycles
    expected = []
    for number, end in enumerate(ends):
        for c in columns:
            # The register of the last row shows its own sum first, then those of the rows before it.
            first = RESET_CYCLES + end + mac.latency + skew * (spec.rows - 1 + c)
            for r in rows:
                value = int(mac.compute(sums[c][number][0], sums[r][number][1], plan.precision))
                cycle = first + spec.rows - 1 - r
                if cycle < RESET_CYCLES + cycles:
                    expected.append((cycle, c, value & ((1 << mac.accumulator_width) - 1)))
    settled = RESET_CYCLES + 6 + skew * (spec.rows + spec.columns)
    return CoreStimulus(full, tuple(expected), settled)


def check_drained(spec: CoreSpec, plan: StreamPlan, stimulus: CoreStimulus, drained: Sequence[int]) -> None:
    """Compares simulated words of the port ``drain`` with the golden model. Raises Mismatch with both values."""
    width = spec.mac.accumulator_width
    for cycle, column, word in stimulus.expected:
        found = drained[cycle] >> column * width & ((1 << width) - 1)
        if found != word:
            raise Mismatch(
                f"column {column} of {spec.name} must drain {word:#x} in cycle {cycle} of {plan}, not {found:#x}"
            )


def _shifted(plan: StreamPlan, place: int) -> StreamPlan:
    """The plan of a row or column."""
    return replace(plan, stream=replace(plan.stream, seed=plan.stream.seed + place))


def _late(column: Sequence[int], delay: int) -> list[int]:
    """A column that starts ``delay`` cycles later, zero before; what would come after its end is lost."""
    return ([0] * delay + list(column))[: len(column)]


def _joined(columns: Sequence[Sequence[int]], width: int) -> list[int]:
    """Words side by side, the first lowest."""
    return [sum(word << place * width for place, word in enumerate(words)) for words in zip(*columns, strict=True)]


def _shifts(final: Sequence[int], rows: int) -> list[list[int]]:
    """When the drain registers of each row of a systolic array move: row r does so r times, from ``final`` on."""
    found = [[0] * len(final)]
    for row in range(1, rows):
        before = found[-1]
        found.append(list(final) if row == 1 else [a | b for a, b in zip(before, _late(before, 1), strict=True)])
    return found
