"""Operand streams for a MAC design: what drives its ports at full rate, and the sums it must answer with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from rtl.spec import BIPOLAR, Bits, CodeValues, IntArray, MacSpec, Precision, packing_of, word_bits
from siliquant.inputs import InputError

from .streams import Stream

__all__ = [
    "LEAST_UTILISATION",
    "Mismatch",
    "Stimulus",
    "StreamPlan",
    "check_sums",
    "drive",
    "make_stimulus",
    "operand_sums",
    "precisions_to_check",
    "stimulus_bits",
    "stimulus_cycles",
]

RESET_CYCLES = 2
LEAST_UTILISATION = 0.01
"""Of cycles, the smallest share with operands."""
IDLE_RUN = 16
"""Cycles without operands that come together: what feeds a design pauses for a while, not every other cycle."""


class Mismatch(AssertionError):  # noqa: N818 (it names what was found)
    """A netlist that does not compute what its golden model does."""


@dataclass(frozen=True)
class StreamPlan:
    """A reproducible operand stream: back-to-back sums of ``products`` products, for ``cycles`` or more with operands.

    utilisation: the share of cycles with operands, from LEAST_UTILISATION to 1. The others come in runs of IDLE_RUN
    cycles, one at a random place in each of equal stretches of operands, by the seed of the stream, and what feeds the
    ports holds its words meanwhile. Its text names the plan in every result that depends on it. The sums of a recorded
    stream have the lengths of the layers, whatever ``products`` says; ValueError where the precision was not recorded,
    and for a utilisation that is no such share.
    """

    precision: Precision
    stream: Stream = field(default_factory=Stream)
    products: int = 768
    cycles: int = 1024
    utilisation: float = 1.0

    def __post_init__(self) -> None:
        self.stream.sources(self.precision)
        if not LEAST_UTILISATION <= self.utilisation <= 1:
            raise InputError(f"utilisation must be a number from {LEAST_UTILISATION:g} to 1, not {self.utilisation:g}")

    def on(self, spec: MacSpec) -> StreamPlan:
        """What really runs on ``spec``: no sum has more products than its ``reduction_length``."""
        return replace(self, products=min(self.products, spec.reduction_length))

    def products_per_cycle(self, spec: MacSpec) -> float:
        """Products a cycle with operands, on average: less than the most that the design does, where the last step of a
        sum is not full.

        >>> from rtl.mac import LoomSpec
        >>> spec = LoomSpec(units=320)  # 4-bit products: 320 at a time, in 16 cycles
        >>> StreamPlan(Precision(4, 4)).products_per_cycle(spec), float(spec.macs_per_cycle(Precision(4, 4)))
        (16.0, 20.0)
        """
        spec.check_precision(self.precision)
        sums = [len(w) for w, _ in operand_sums(spec, self)] if self.stream.recorded else [self.on(spec).products]
        return sum(sums) / sum(_cycles_of_sum(spec, self.precision, products) for products in sums)

    def text_on(self, spec: MacSpec) -> str:
        """What is shown of the plan on ``spec``. Rows are found by the text of the plan itself, the same for all."""
        if not self.stream.recorded or max(self.stream.lengths(self.precision)) <= spec.reduction_length:
            return str(self.on(spec))
        return f"{self}, cut into sums of at most {spec.reduction_length}"

    def __str__(self) -> str:
        sources = self.stream.sources(self.precision)
        sums = "the layers' own" if sources else str(self.products)
        text = f"{self.stream.label}, {self.precision}, sums of {sums} products, {self.cycles} cycles"
        if self.utilisation != 1:
            text = f"{text} with operands, {1 - self.utilisation:.6g} of all without"
        return f"{text}, recorded in {' and '.join(source.label for source in sources)}" if sources else text


@dataclass(frozen=True)
class Stimulus:
    """Words of every input port but the clock, one a cycle, and the expected sums: (cycle, value) pairs."""

    words: Mapping[str, list[int]]
    expected: tuple[tuple[int, int], ...]

    @property
    def first_full_cycle(self) -> int:
        """A cycle by which every pipeline stage has held operands."""
        return RESET_CYCLES + 6


def make_stimulus(spec: MacSpec, plan: StreamPlan) -> Stimulus:
    """Back-to-back sums of a plan, at its utilisation."""
    full = drive(spec, plan.precision, operand_sums(spec, plan))
    return full if plan.utilisation == 1 else _spread(full, spec.latency, plan)


def operand_sums(spec: MacSpec, plan: StreamPlan) -> list[tuple[IntArray, IntArray]]:
    """Weights [K] and activations [K] of the sums of a plan, in order; K is at most the ``reduction_length``.

    Drawn codes are codes of the design. Recorded ones must be: ValueError for a layer with others. A recorded one-bit
    code -1 or +1 is bit 0 or 1, on hardware that reads it so and on any other.
    """
    precision = plan.precision
    if plan.stream.recorded:
        return _recorded_sums(spec, plan)
    products = plan.on(spec).products
    sums = -(-plan.cycles // _cycles_of_sum(spec, precision, products))
    draw = plan.stream.drawn
    weights = draw(sums, products, spec.weight_values(precision), operand="weights")
    activations = draw(sums, products, spec.activation_values(precision), operand="activations")
    return list(zip(weights, activations, strict=True))


def stimulus_cycles(spec: MacSpec, plan: StreamPlan) -> int:
    """About how many cycles a plan takes: those asked for, or one whole sum where that is longer."""
    spec.check_precision(plan.precision)
    if plan.stream.recorded:
        return plan.cycles
    return max(plan.cycles, _cycles_of_sum(spec, plan.precision, plan.on(spec).products))


def stimulus_bits(spec: MacSpec, plan: StreamPlan) -> dict[str, Bits]:
    """Bits [cycles, width] of the operand ports and of clear, of each cycle with operands in turn: the words of
    :func:`make_stimulus` after the reset.
    """
    precision = plan.precision
    found: dict[str, list[Bits]] = {}
    for length, group in groupby(operand_sums(spec, plan), key=lambda both: len(both[0])):
        weights, activations = (np.stack(codes) for codes in zip(*group, strict=True))
        for name, bits in _packed(spec, precision, weights, activations, length).items():
            found.setdefault(name, []).append(bits)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _packed(
    spec: MacSpec, precision: Precision, weights: IntArray, activations: IntArray, length: int
) -> dict[str, Bits]:
    """Bits [cycles, width] of sums of equal length: of codes [sums, length]."""
    number, lanes = len(weights), spec.products_per_step(precision)
    both = spec.weight_values(precision).bits_of(weights), spec.activation_values(precision).bits_of(activations)
    whole, rest = divmod(length, lanes)
    pieces: list[dict[str, Bits]] = []
    for steps, used, start in ((whole, lanes, 0), (int(rest > 0), rest, whole * lanes)):
        if steps:
            packing = packing_of(spec, precision, used)
            if packing is None:
                return _packed_one_by_one(spec, precision, weights, activations)
            part = slice(start, start + steps * used)
            operands = [bits[:, part].reshape(number, steps, used, -1) for bits in both]
            pieces.append(packing.pack(*operands))
    found = {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}
    cycles = math.prod(next(iter(found.values())).shape[1:3])
    clear = np.zeros((number, cycles, 1), np.uint8)
    clear[:, 0] = 1
    return {name: bits.reshape(number * cycles, -1) for name, bits in (found | {"clear": clear}).items()}


def _packed_one_by_one(
    spec: MacSpec, precision: Precision, weights: IntArray, activations: IntArray
) -> dict[str, Bits]:
    """The same by the design's own packing."""
    widths = {port.name: port.width for port in spec.operand_ports} | {"clear": 1}
    words: dict[str, list[int]] = {}
    for w, a in zip(weights, activations, strict=True):
        for name, column in spec.pack(w, a, precision).items():
            words.setdefault(name, []).extend(column)
    return {name: word_bits(column, widths[name]) for name, column in words.items()}


def drive(spec: MacSpec, precision: Precision, sums: Sequence[tuple[IntArray, IntArray]]) -> Stimulus:
    """Sums of any codes, back to back at full rate after a reset; sums still in the pipeline at the end are not
    expected. Weights and activations as in :meth:`rtl.spec.mac.MacSpec.pack`, which raises for others.
    """
    words: dict[str, list[int]] = {}
    expected: list[tuple[int, int]] = []
    for weights, activations in sums:
        for name, column in spec.pack(weights, activations, precision).items():
            words.setdefault(name, []).extend(column)
        value = int(spec.compute(weights, activations, precision))
        expected.append((RESET_CYCLES + len(words["clear"]) - 1 + spec.latency, value))
    cycles = len(words["clear"])
    words["in_valid"] = [1] * cycles
    words["rst"] = [0] * cycles
    idle = {name: int(name == "rst") for name in words}
    full = {name: [idle[name]] * RESET_CYCLES + column for name, column in words.items()}
    return Stimulus(full, tuple(pair for pair in expected if pair[0] < RESET_CYCLES + cycles))


def _spread(full: Stimulus, latency: int, plan: StreamPlan) -> Stimulus:
    """The stimulus with cycles without operands in between: in_valid is low, all else holds."""
    number = len(full.words["in_valid"]) - RESET_CYCLES
    idle = round(number / plan.utilisation) - number
    total, runs = number + idle, -(-idle // IDLE_RUN)
    draws = np.random.PCG64(np.random.SeedSequence(plan.stream.seed, spawn_key=tuple(b"idle"))).random_raw(runs)
    shares = (np.arange(runs) + (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53) / max(1, runs)
    before = (shares * number).astype(np.int64)  # operands in front of each run
    lengths = np.full(runs, IDLE_RUN)
    lengths[-1:] -= runs * IDLE_RUN - idle
    waits = np.zeros(number, np.int64)
    np.add.at(waits, np.clip(before, 1, number - 1), lengths)
    places = np.arange(number) + np.cumsum(waits)
    last = np.searchsorted(places, np.arange(total), side="right") - 1  # the operands that came last
    index = [*range(RESET_CYCLES), *(RESET_CYCLES + last).tolist()]
    words = {name: [column[cycle] for cycle in index] for name, column in full.words.items()}
    words["in_valid"] = [0] * (RESET_CYCLES + total)
    for place in places.tolist():
        words["in_valid"][RESET_CYCLES + place] = 1
    ends = [RESET_CYCLES + int(places[cycle - latency - RESET_CYCLES]) + latency for cycle, _ in full.expected]
    expected = ((cycle, value) for cycle, (_, value) in zip(ends, full.expected, strict=True))
    return Stimulus(words, tuple(pair for pair in expected if pair[0] < RESET_CYCLES + total))


def check_sums(
    spec: MacSpec, plan: StreamPlan, stimulus: Stimulus, accumulator: Sequence[int], out_valid: Sequence[int]
) -> None:
    """Compares simulated port words with the golden model, bit for bit. Raises Mismatch with both values."""
    for cycle, value in stimulus.expected:
        actual = spec.unpack(accumulator[cycle])
        if out_valid[cycle] != 1 or actual != value:
            raise Mismatch(
                f"{spec.name} must give {value} in cycle {cycle} of {plan.text_on(spec)}, "
                f"not {actual} with out_valid {out_valid[cycle]}"
            )


def precisions_to_check(spec: MacSpec) -> tuple[Precision, ...]:
    """Every precision of a design with few; of one with many, the symmetric ones and the extreme pairs."""
    if len(spec.precisions) <= 18:
        return spec.precisions
    edges = {1, 3, 8}
    return tuple(
        precision
        for precision in spec.precisions
        if precision.weight_bits == precision.activation_bits
        or {precision.weight_bits, precision.activation_bits} <= edges
    )


def _cycles_of_sum(spec: MacSpec, precision: Precision, products: int) -> int:
    return -(-products // spec.products_per_step(precision)) * spec.cycles_per_step(precision)


def _recorded_sums(spec: MacSpec, plan: StreamPlan) -> list[tuple[IntArray, IntArray]]:
    precision, most = plan.precision, spec.reduction_length
    reads = (
        _reader(spec, plan, "weights", spec.weight_values(precision), True),
        _reader(spec, plan, "activations", spec.activation_values(precision), precision.activation_signed),
    )

    def cycles(products: int) -> int:
        pieces = [min(most, products - start) for start in range(0, products, most)]
        return sum(_cycles_of_sum(spec, precision, piece) for piece in pieces)

    found = []
    for codes in plan.stream.sums(precision, plan.cycles, cycles):
        w, a = (read(each) for read, each in zip(reads, codes, strict=True))
        found += [(w[start : start + most], a[start : start + most]) for start in range(0, len(w), most)]
    return found


def _reader(
    spec: MacSpec, plan: StreamPlan, operand: str, values: CodeValues, signed: bool
) -> Callable[[IntArray], IntArray]:
    """How the design reads recorded codes of its width."""
    recorded = BIPOLAR if signed and values.bits == 1 else values  # the bit of a sign stays the same on any port

    def read(codes: IntArray) -> IntArray:
        lacking = recorded.lacking(codes)
        if lacking.size:
            raise InputError(
                f"{operand} of the stream {plan.stream.name} at {plan.precision} must be {recorded} to run on "
                f"{spec.name}, but {lacking[0]} was recorded"
            )
        return values.values_of(recorded.words_of(codes))

    return read
