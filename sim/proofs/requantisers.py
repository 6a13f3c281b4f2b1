"""The graph of a requantisation unit computes its rule, for all accumulators and all legal parameters.

For every parameter set that the unit can choose:

- The words that reach the arithmetic are those of that set: with the number of the set constant, the multiplexers that
  choose it are wires.
- Thresholds: each adder sums one threshold and the inverted accumulator, -accumulator - 1, and cannot overflow. So the
  sign of its result says whether the threshold is at most the accumulator. Legal thresholds ascend, so those that are
  come first; of the 2**bits patterns that this leaves, each gives the code of that many.
- Multiplier: the word behind the bit heap is accumulator * multiplier + offset, by polynomials
  (:mod:`sim.proofs.polynomials`), and wide enough for all of them. Shift and saturation of any such word are proved by
  a solver, for all shifts.
- Partial sums: what the register takes is the sum so far, or none, plus accumulator * multiplier, by polynomials.

The golden models are stated anew here, with ``*``, ``+``, ``>>`` and comparisons.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from rtl.logic import Bit, Circuit, Datapath, Op, Word
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, RequantSpec, ThresholdSpec

from .compressions import Makers, check_sum, makers
from .gates import prove_equal_word
from .polynomials import Polynomial, ProofError, product_of, weighted
from .states import Sums, accumulated, constants

__all__ = ["RequantiserProof", "prove_requantiser"]


@dataclass(frozen=True)
class RequantiserProof:
    """What was checked. groups: parameter sets, each of them. gates: of the graph. seconds: taken."""

    name: str
    gates: int
    groups: int
    seconds: float


def prove_requantiser(spec: LoadableSpec, datapath: Datapath | None = None) -> RequantiserProof:
    """Proves the graph of ``spec``, or ``datapath`` in its place. ProofError says which step does not hold."""
    start = time.perf_counter()
    unit = _Unit(spec, datapath or spec.build())
    try:
        if isinstance(spec, ThresholdSpec):
            _prove_thresholds(spec, unit)
        elif isinstance(spec, MultiplierSpec):
            _prove_multiplier(spec, unit)
        elif isinstance(spec, PartialSumSpec):
            _prove_partial_sum(spec, unit)
        else:
            raise ProofError("there is no argument for a unit of this kind")
    except ProofError as error:
        raise ProofError(f"{spec.name}: {error}") from error
    return RequantiserProof(spec.name, len(unit.circuit.gates), spec.groups, time.perf_counter() - start)


class _Unit:
    """The graph of a unit. ``code`` is what its register takes."""

    def __init__(self, spec: LoadableSpec, datapath: Datapath) -> None:
        self.spec = spec
        self.circuit: Circuit = datapath.circuit
        self.code: Word = datapath.next_accumulator
        self.made: Makers = makers(self.circuit)
        self.accumulator = self.circuit.inputs["accumulator"]

    def choosing(self, group: int) -> dict[int, int]:
        """The bits that are constant where this set is chosen."""
        return constants(self.circuit, self.number(group))

    def number(self, group: int) -> dict[int, int]:
        """The bits of the number of a set."""
        bits: Word = self.circuit.inputs.get("group", ())
        return {bit: group >> place & 1 for place, bit in enumerate(bits)}

    def parameters(self, group: int) -> list[Word]:
        """The words of a set, one a field."""
        word, low, words = self.circuit.inputs[f"parameters{group}"], 0, []
        for item in self.spec.parameter_fields:
            words.append(word[low : low + item.width])
            low += item.width
        return words

    def wire(self, bit: Bit, known: Mapping[int, int]) -> Bit:
        """The bit that multiplexers with constant selects make of this one."""
        while bit in self.made and self.made[bit].op is Op.MUX and self.made[bit].inputs[0] in known:
            select, one, other = self.made[bit].inputs
            bit = one if known[select] else other
        return bit


def _prove_thresholds(spec: ThresholdSpec, unit: _Unit) -> None:
    adders = [gate for gate in unit.circuit.gates if gate.op is Op.ADD]
    if len(adders) != len(spec.parameter_fields):
        raise ProofError(f"there are {len(adders)} comparators, not one for each of {len(spec.parameter_fields)}")
    low, high = spec.accumulator_range
    width = spec.threshold_width
    if not (-1 << (width - 1)) <= low - high - 1 and high + 1 - low - 1 < 1 << (width - 1):
        raise ProofError("a comparator may overflow")
    inverted = _inverted(unit, (*unit.accumulator, unit.accumulator[-1]))
    for group in range(spec.groups):
        known = unit.choosing(group)
        for index, (gate, threshold) in enumerate(zip(adders, unit.parameters(group), strict=True)):
            words = gate.inputs[:width], gate.inputs[width:]
            found = [tuple(unit.wire(bit, known) for bit in word) for word in words]
            if found not in ([inverted, threshold], [threshold, inverted]):
                raise ProofError(f"comparator {index} has not threshold{index} of set {group} and the accumulator")
    reached = [gate.outputs[-1] for gate in adders]
    for count in range(len(reached) + 1):
        fixed: dict[int, int] = {bit: int(index < count) for index, bit in enumerate(reached)}
        _check_code(spec, unit, constants(unit.circuit, fixed), count)


def _inverted(unit: _Unit, word: Word) -> Word:
    """The inverse of each bit."""
    inverse = {gate.inputs[0]: gate.outputs[0] for gate in unit.circuit.gates if gate.op is Op.NOT}
    if any(bit not in inverse for bit in word):
        raise ProofError("the accumulator is not inverted")
    return tuple(inverse[bit] for bit in word)


def _check_code(spec: RequantSpec, unit: _Unit, known: Mapping[int, int], rank: int) -> None:
    wanted = spec.code_values.words[rank]
    found = [known.get(bit) for bit in unit.code]
    if found != [wanted >> place & 1 for place in range(spec.bits)]:
        raise ProofError(f"{rank} thresholds that are reached do not give code {spec.code_values.values[rank]}")


def _prove_multiplier(spec: MultiplierSpec, unit: _Unit) -> None:
    (claim,) = unit.circuit.sums
    check_sum(unit.made, claim)
    (word,) = claim.words
    _check_range(spec.sum_width, _sums_of(spec), len(word))
    sums = Sums.of(unit.circuit, unit.made)
    for group in range(spec.groups):
        multiplier, offset, *shifts = unit.parameters(group)
        wanted = weighted(
            (
                (product_of(_value(unit.accumulator, signed=True), _value(multiplier, signed=False)), 1),
                (_value(offset, signed=True), 1),
            )
        )
        _check_word(accumulated(sums, word, unit.choosing(group)), wanted, len(word), group)
        shift = shifts[0] if shifts else ()
        prove_equal_word(
            unit.circuit,
            unit.code,
            fixed=unit.number(group),
            free=(word, shift),
            wanted=lambda terms, words: terms.saturated(
                words[0], words[1], least=spec.shift, bits=spec.bits, signed=spec.signed and spec.bits > 1
            ),
        )


def _sums_of(spec: MultiplierSpec) -> Iterator[int]:
    """accumulator * multiplier + offset at the corners of their ranges."""
    ranges = [(item.low, item.high) for item in spec.parameter_fields[:2]]
    for accumulator, multiplier, offset in product(spec.accumulator_range, *ranges):
        yield accumulator * multiplier + offset


def _prove_partial_sum(spec: PartialSumSpec, unit: _Unit) -> None:
    for claim in unit.circuit.sums:
        check_sum(unit.made, claim)
    sums = Sums.of(unit.circuit, unit.made)
    first, so_far = unit.circuit.inputs["first"][0], unit.circuit.inputs["result"]
    most = [
        spec.groups * accumulator * multiplier
        for accumulator, multiplier in product(spec.accumulator_range, (0, (1 << spec.multiplier_width) - 1))
    ]
    _check_range(spec.total_width, most, len(unit.code))
    for group, begins in product(range(spec.groups), (0, 1)):
        known = constants(unit.circuit, unit.number(group) | {first: begins})
        (multiplier,) = unit.parameters(group)
        made = product_of(_value(unit.accumulator, signed=True), _value(multiplier, signed=False))
        kept = {} if begins else _value(so_far, signed=True)
        _check_word(accumulated(sums, unit.code, known), weighted(((made, 1), (kept, 1))), len(unit.code), group)


def _check_range(width: int, values: Sequence[int] | Iterator[int], have: int) -> None:
    """That a two's complement word of ``have`` bits, which should have ``width``, holds some values."""
    limit = 1 << (have - 1)
    if have != width or any(not -limit <= value < limit for value in values):
        raise ProofError(f"sums do not fit into {have} bits")


def _value(word: Word, *, signed: bool) -> Polynomial:
    """The integer in a word."""
    terms: Polynomial = {frozenset((bit,)): 1 << place for place, bit in enumerate(word)}
    if signed:
        terms[frozenset((word[-1],))] *= -1
    return terms


def _check_word(found: Polynomial, wanted: Polynomial, width: int, group: int) -> None:
    """That two polynomials are equal modulo 2**width."""
    difference = weighted(((found, 1), (wanted, -1)))
    wrong = {monomial: value for monomial, value in difference.items() if value % (1 << width)}
    if wrong:
        monomial = min(wrong, key=len)
        raise ProofError(f"with set {group} the sum is wrong by {wrong[monomial]} in the term {sorted(monomial) or 1}")
