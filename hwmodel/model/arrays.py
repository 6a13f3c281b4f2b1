"""What the cost model says of arrays: elements, what is at their edge, and sums that drain.

Nothing is fitted here: an element has the gates of its MAC, and its registers cost what those of MACs do
(rtl.array.element has the RTL). In a broadcast array what depends on weights alone is the same in every row, and
synthesis keeps it once a column; what depends on activations alone, once a row; on neither, once. hwmodel.validate
measures the error on whole arrays, as on every held-out design.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hwmodel.operands import StreamPlan, operand_sums
from hwmodel.yosys import clock_gates_of
from rtl.array import CoreSpec
from rtl.spec import MacSpec

from .features import PARTS, SHARES, Transitions, Vector, periods_of, shared_counts_of, shared_transitions_of
from .model import Cost, LibraryModel, Shape, cost_from, shape_from, shape_of
from .paths import ALONE, Periods, Reach
from .structure import Part, Share

__all__ = [
    "copies_of",
    "core_cost",
    "core_counts",
    "drain_changes",
    "drain_cost",
    "reach_of",
    "share_cost",
    "share_counts",
    "share_shape",
]

_NOTHING = np.zeros(len(PARTS))


def copies_of(spec: CoreSpec) -> dict[Share, int]:
    """How many copies an array has of what depends on both operands, on one of them, on neither."""
    if spec.systolic:
        return dict.fromkeys(Share, spec.rows * spec.columns)
    return {
        Share.ELEMENT: spec.rows * spec.columns,
        Share.COLUMN: spec.columns,
        Share.ROW: spec.rows,
        Share.ARRAY: 1,
    }


def core_counts(spec: CoreSpec) -> Vector:
    """The number of each part of the core of an array."""
    counts = sum((number * share_counts(spec, share) for share, number in copies_of(spec).items()), _NOTHING)
    if not spec.systolic:
        return counts
    # The last element of a row has later stages of its own of the bits that say what operands are.
    later = spec.pipeline_stages + spec.mac.latency - 1
    return counts + _only(Part.CONTROL_REGISTERS, spec.rows * later)


def reach_of(spec: CoreSpec) -> Reach:
    """How many elements the operand registers drive."""
    if spec.systolic:
        return ALONE
    return Reach(weights=spec.rows, activations=spec.columns, others=spec.rows * spec.columns)


def core_cost(spec: CoreSpec, plan: StreamPlan, model: LibraryModel, clock_mhz: float) -> Cost:
    """The core of an array, all elements at work, sums following back to back. Raises ValueError where the clock is not
    positive or the MAC lacks the precision.
    """
    mac, counts, copies = spec.mac, core_counts(spec), copies_of(spec)
    numbers = np.array([copies[share] for share in SHARES], dtype=np.float64)
    moved = Transitions(*(numbers @ each for each in shared_transitions_of(mac, plan)))
    products = min(plan.products, mac.reduction_length)
    cycles = -(-products // mac.products_per_step(plan.precision)) * mac.cycles_per_step(plan.precision)
    takes = spec.columns * drain_takes(spec.rows, spec.systolic, drain=spec.rows) / cycles
    drained = _only(Part.ACCUMULATOR_REGISTERS, takes * drain_changes(mac, plan))
    moved = moved._replace(settled=moved.settled + drained)
    return cost_from(_shape(mac, reach_of(spec), model, counts), counts, moved, model, clock_mhz)


def share_cost(spec: CoreSpec, share: Share, plan: StreamPlan, model: LibraryModel, clock_mhz: float) -> Cost:
    """One copy of what depends on these operands, at work, without what drains; :func:`copies_of` says how many there
    are. Raises as core_cost.
    """
    at = SHARES.index(share)
    moved = Transitions(*(each[at] for each in shared_transitions_of(spec.mac, plan)))
    return cost_from(share_shape(spec, share, model), share_counts(spec, share), moved, model, clock_mhz)


def share_shape(spec: CoreSpec, share: Share, model: LibraryModel) -> Shape:
    """What of :func:`share_cost` does not depend on clock and operands."""
    return _shape(spec.mac, reach_of(spec), model, share_counts(spec, share))


def drain_cost(spec: CoreSpec, plan: StreamPlan, model: LibraryModel, clock_mhz: float) -> Cost:
    """A drain register that takes another sum in every cycle; its area and clock are those of the element."""
    changes = Transitions(_only(Part.ACCUMULATOR_REGISTERS, drain_changes(spec.mac, plan)), _NOTHING, _NOTHING)
    shape = _shape(spec.mac, reach_of(spec), model, _NOTHING)
    return cost_from(shape, _NOTHING, changes, model, clock_mhz)


@lru_cache(maxsize=4096)
def drain_changes(mac: MacSpec, plan: StreamPlan) -> float:
    """How many bits change from one sum to the next. Raises ValueError where the MAC lacks the precision."""
    mask = (1 << mac.accumulator_width) - 1
    found = (int(mac.compute(*sum_, plan.precision)) for sum_ in operand_sums(mac, plan))
    sums = [0, *(value & mask for value in found)]
    changed = [(a ^ b).bit_count() for a, b in pairwise(sums)]
    return sum(changed) / max(1, len(changed))


def share_counts(spec: CoreSpec, share: Share) -> Vector:
    """The parts of one copy: of its MAC, and with each element a drain register that holds or takes one of two words.

    The bits that say what operands are: at the edge of a broadcast array one for each stage and two of what drains,
    three in each systolic element.
    """
    counts = shared_counts_of(spec.mac)[SHARES.index(share)].copy()
    width = spec.mac.accumulator_width
    if share is Share.ELEMENT:
        counts += _only(Part.ACCUMULATOR_REGISTERS, width)
        counts += _only(Part.MULTIPLEXERS, width)
        counts += _only(Part.CLOCK_GATES, clock_gates_of(width))
    if share is Share.ARRAY:
        counts[PARTS.index(Part.CONTROL_REGISTERS)] = 3 if spec.systolic else 3 + spec.pipeline_stages
    return counts


def _shape(mac: MacSpec, reach: Reach, model: LibraryModel, counts: Vector) -> Shape:
    """Parts that share the paths of a MAC whose operands come from registers of that reach; as far outside of what was
    calibrated as the MAC itself.
    """
    return replace(shape_from(counts, _periods(mac, reach, model), model), outside=shape_of(mac, model).outside)


@lru_cache(maxsize=4096)
def _periods(mac: MacSpec, reach: Reach, model: LibraryModel) -> Periods:
    found = model.coefficients
    return periods_of(mac, found.relaxed_ns, found.fastest_ns, reach)


def _only(part: Part, number: float) -> Vector:
    return np.array([number if each is part else 0.0 for each in PARTS], dtype=np.float64)


def drain_takes(rows: int, systolic: bool, *, drain: int) -> int:
    """How often the drain registers of a column take another word for one sum of each row.

    drain: rows of a drain. In a systolic array a register takes its own sum and then those of the rows before it in its
    drain. The rows of a broadcast array move together, as often as a drain has rows: row r takes its own sum, those of
    the r rows before it, and a zero; a zero after a zero is no other word.
    """
    if systolic:
        first = rows % drain  # rows of the first drain, where it has fewer
        return sum(1 + (row if row < first else (row - first) % drain) for row in range(rows))
    return sum(min(row + 2, drain) for row in range(rows))
