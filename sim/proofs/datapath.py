"""The datapath of a MAC computes the sum of its products, for all operands: a proof by weighted sums.

1. Every sum of the bit heap conserves its weighted bits (:mod:`sim.proofs.compressions`).
2. In every state of the controls that a step has, with ``clear`` and without, the next accumulator is a polynomial over
   the operand bits (:mod:`sim.proofs.states`).
3. The operand bits are those of the codes, by the layout of the design's ports. Over all cycles of a step the
   polynomials add up to what the naive sum of products has (:mod:`sim.proofs.products`), modulo 2**accumulator_width.
4. A step that is not full has codes in its unused places whose products add up to nothing: for every number of
   products in steps of up to 64, for some of each size in wider ones.
5. The port shows the sum, shifted back by what the precision says, in every state of its steps; and no sum of
   ``reduction_length`` products overflows.

Together: after any number of steps the port shows the sum of all products since the last clear.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from rtl.logic import Datapath
from rtl.spec import IntArray, MacSpec, Packing, Precision, packing_of, sum_width

from .compressions import check_sum, makers
from .polynomials import EMPTY, Polynomial, ProofError, weighted
from .products import step_sum
from .states import Sums, accumulated, constants, value_of

__all__ = ["DatapathProof", "prove_datapath"]

_EVERY_SHORT_STEP = 64  # products of a step: up to here each smaller number is looked at
_IGNORED = 1 << 40  # plus a bit: what a port may hold where the design ignores it; above the bits of all codes
State = tuple[tuple[str, int], ...]
"""Words of the ports that are no operands."""


@dataclass(frozen=True)
class DatapathProof:
    """What was checked. sums: compressions of the bit heap. states: of the controls, with clear and without. cycles: of
    steps, over all precisions. gates: of the graph. seconds: taken.
    """

    name: str
    gates: int
    sums: int
    states: int
    precisions: int
    cycles: int
    seconds: float


def prove_datapath(spec: MacSpec, datapath: Datapath | None = None) -> DatapathProof:
    """Proves the datapath of ``spec``, or ``datapath`` in its place, for all operands.

    Raises ProofError, naming the step that does not hold. A design whose steps do more than to lay out the bits of
    codes is one that this cannot prove.
    """
    start = time.perf_counter()
    logic = _Logic(spec, datapath or spec.build())
    cycles = 0
    for precision in spec.precisions:
        try:
            cycles += _prove_precision(logic, precision)
        except ProofError as error:
            raise ProofError(f"{spec.name} at {precision}: {error}") from error
    _prove_width(spec)
    return DatapathProof(
        spec.name,
        len(logic.datapath.circuit.gates),
        len(logic.datapath.circuit.sums),
        2 * len(logic.found),
        len(spec.precisions),
        cycles,
        time.perf_counter() - start,
    )


class _Logic:
    """A datapath whose sums are checked, and its polynomials by state, each made once."""

    def __init__(self, spec: MacSpec, datapath: Datapath) -> None:
        self.spec = spec
        self.datapath = datapath
        self.made = makers(datapath.circuit)
        for number, claim in enumerate(datapath.circuit.sums):
            try:
                check_sum(self.made, claim)
            except ProofError as error:
                raise ProofError(f"{spec.name}, sum {number} of the bit heap: {error}") from error
        self.sums = Sums.of(datapath.circuit, self.made)
        self.layouts = {precision: _layout(spec, precision) for precision in spec.precisions}
        self.controls = tuple(
            port.name
            for port in spec.operand_ports
            if all(layout.sources[port.name].max(initial=0) < 2 for layout in self.layouts.values())
        )
        inputs = datapath.circuit.inputs
        self._operands = {bit for port in spec.operand_ports for bit in inputs[port.name]}
        self.found: dict[State, Polynomial] = {}
        self.shifts: dict[State, int] = {}

    def state(self, layout: Packing, cycle: int) -> State:
        """The words of the control ports in a cycle of a step."""
        return tuple((port, _word(layout.sources[port][cycle])) for port in self.controls)

    def added(self, state: State) -> Polynomial:
        """What a cycle subtracts from the inverted accumulator in this state, as a polynomial over operand bits.

        The same with ``clear``, where the accumulator counts as all ones.
        """
        if state not in self.found:
            known = self._constants(state)
            accumulator = self.datapath.circuit.inputs["accumulator"]
            clear = self.datapath.circuit.inputs["clear"][0]
            word, modulus = self.datapath.next_accumulator, 1 << len(accumulator)
            kept: list[tuple[Polynomial, int]] = [
                ({frozenset((bit,)): 1}, -1 << position) for position, bit in enumerate(accumulator)
            ]
            plain = accumulated(self.sums, word, constants(self.datapath.circuit, known | {clear: 0}))
            cleared = accumulated(self.sums, word, constants(self.datapath.circuit, known | {clear: 1}))
            one = _modulo(weighted([(plain, 1), *kept]), modulus)
            other = _modulo(weighted([(cleared, 1), ({EMPTY: 1}, 1 - modulus)]), modulus)
            if one != other:
                raise ProofError(f"with {_said(state)}, clear changes what is added to the sum")
            if not set().union(*one) <= self._operands:
                raise ProofError(f"with {_said(state)}, what is added depends on the sum so far")
            self._check_output(state, known)
            self.found[state] = one
        return self.found[state]

    def _constants(self, state: State) -> dict[int, int]:
        inputs = self.datapath.circuit.inputs
        return {bit: word >> position & 1 for port, word in state for position, bit in enumerate(inputs[port])}

    def _check_output(self, state: State, known: Mapping[int, int]) -> None:
        """The port shows the inverse of the accumulator register, in two's complement, less its lowest bits."""
        inputs = self.datapath.circuit.inputs
        shown = value_of(self.made, self.datapath.output, constants(self.datapath.circuit, known), signed=True)
        register = inputs["result"]
        for shift in sorted({self.spec.sum_shift(precision) for precision in self.spec.precisions}):
            wanted: Polynomial = defaultdict(int)
            for position, bit in enumerate(register[shift:]):
                weight = 1 << position if position < len(register) - shift - 1 else -1 << position
                wanted[EMPTY] += weight
                wanted[frozenset((bit,))] -= weight
            if shown == {monomial: value for monomial, value in wanted.items() if value}:
                self.shifts[state] = shift
                return
        raise ProofError(f"with {_said(state)}, the accumulator port does not show the sum")


def _layout(spec: MacSpec, precision: Precision, used: int | None = None) -> Packing:
    """Where the bits of codes lie in a step, or in one with ``used`` products."""
    found = packing_of(spec, precision, spec.products_per_step(precision) if used is None else used)
    if found is None:
        raise ProofError(f"{spec.name} at {precision}: its ports hold more than bits of codes")
    return found


def _prove_precision(logic: _Logic, precision: Precision) -> int:
    """Steps of one precision; returns how many cycles they have."""
    spec, layout = logic.spec, logic.layouts[precision]
    modulus = 1 << spec.accumulator_width
    total: list[tuple[Polynomial, int]] = []
    cycles = spec.cycles_per_step(precision)
    for cycle in range(cycles):
        state = logic.state(layout, cycle)
        total.append((_substituted(logic.added(state), _sources(logic, layout, cycle, precision)), 1))
        _check_shift(logic, state, precision)
    lanes = spec.products_per_step(precision)
    size = lanes * (precision.weight_bits + precision.activation_bits)
    wanted = step_sum(spec, precision, range(2, 2 + size))
    # The accumulator holds the inverted sum, from which products are subtracted.
    difference = _modulo(weighted([*total, (wanted, 1)]), modulus)
    if difference and not _vanishes(spec, precision, difference):
        monomial = min(difference, key=len)
        where = ", ".join(_code_bit(precision, lanes, symbol) for symbol in sorted(monomial))
        raise ProofError(f"the sum is wrong by {difference[monomial]} where only these are 1: {where or 'none'}")
    for used in _short(lanes):
        _prove_unused(logic, precision, used)
    return cycles


def _check_shift(logic: _Logic, state: State, precision: Precision, where: str = "") -> None:
    """The port shows the sum as this precision wants it, in a state whose sum was looked at."""
    found, wanted = logic.shifts[state], logic.spec.sum_shift(precision)
    if found != wanted:
        raise ProofError(f"{where}the port shows sums shifted by {found}, not {wanted}")


def _sources(logic: _Logic, layout: Packing, cycle: int, precision: Precision) -> dict[int, int]:
    """By operand bit of the circuit, the bit of a code that it holds, a constant, or anything where it is ignored."""
    inputs = logic.datapath.circuit.inputs
    found: dict[int, int] = {
        bit: source
        for port in logic.spec.operand_ports
        if port.name not in logic.controls
        for bit, source in zip(inputs[port.name], layout.sources[port.name][cycle].tolist(), strict=True)
    }
    for name, mask in logic.spec.ignored_bits(precision).items():
        found |= {bit: _IGNORED + bit for place, bit in enumerate(inputs[name]) if mask >> place & 1}
    return found


def _substituted(polynomial: Polynomial, sources: Mapping[int, int]) -> Polynomial:
    """Operand bits as bits of codes, which are numbered from 2; 0 and 1 are constants."""
    found: Polynomial = defaultdict(int)
    for monomial, coefficient in polynomial.items():
        symbols = {sources[bit] for bit in monomial}
        if 0 not in symbols:
            found[frozenset(symbols - {1})] += coefficient
    return found


def _vanishes(spec: MacSpec, precision: Precision, difference: Polynomial) -> bool:
    """Whether a difference is 0 for all codes, where some words are no codes: tried lane by lane."""
    weights, activations = spec.weight_values(precision), spec.activation_values(precision)
    w, a, lanes = precision.weight_bits, precision.activation_bits, spec.products_per_step(precision)
    if len(weights.words) == 1 << w and len(activations.words) == 1 << a:
        return False
    modulus = 1 << spec.accumulator_width
    by_lane: dict[int, Polynomial] = defaultdict(dict)
    for monomial, coefficient in difference.items():
        found = {_lane_of(symbol, w, a, lanes) for symbol in monomial}
        if len(found) > 1:
            return False
        by_lane[found.pop() if found else 0][monomial] = coefficient
    for lane, polynomial in by_lane.items():
        for weight, activation in product(weights.words, activations.words):
            ones = {2 + lane * w + bit for bit in range(w) if weight >> bit & 1}
            ones |= {2 + lanes * w + lane * a + bit for bit in range(a) if activation >> bit & 1}
            if sum(value for monomial, value in polynomial.items() if monomial <= ones) % modulus:
                return False
    return True


def _lane_of(symbol: int, weight_bits: int, activation_bits: int, lanes: int) -> int:
    place = symbol - 2
    return place // weight_bits if place < lanes * weight_bits else (place - lanes * weight_bits) // activation_bits


def _code_bit(precision: Precision, lanes: int, symbol: int) -> str:
    """A bit of a code, in words."""
    w, a = precision.weight_bits, precision.activation_bits
    if symbol >= _IGNORED:
        return "a bit that is ignored"
    lane = _lane_of(symbol, w, a, lanes)
    if symbol - 2 < lanes * w:
        return f"weight {lane} bit {symbol - 2 - lane * w}"
    return f"activation {lane} bit {symbol - 2 - lanes * w - lane * a}"


def _short(lanes: int) -> list[int]:
    """The numbers of products in steps that are not full: all, or in wide steps some from none to all but one."""
    if lanes <= _EVERY_SHORT_STEP:
        return list(range(lanes))
    return sorted({*range(16), *range(0, lanes, -(-lanes // 16)), lanes - 1})


def _prove_unused(logic: _Logic, precision: Precision, used: int) -> None:
    """In a step with ``used`` products these lie as in a full one, and what fills the other places adds nothing."""
    spec, full, part = logic.spec, logic.layouts[precision], _layout(logic.spec, precision, used)
    w, a, lanes = precision.weight_bits, precision.activation_bits, spec.products_per_step(precision)
    # Symbols of a full step in place of those of this one.
    renumbered = np.array(
        [0, 1, *range(2, 2 + used * w), *range(2 + lanes * w, 2 + lanes * w + used * a)], dtype=np.int64
    )
    fills = np.full(2 + lanes * (w + a), -1, dtype=np.int64)
    extra: list[tuple[Polynomial, int]] = []
    for port in spec.operand_ports:
        if port.name not in logic.controls:
            _take_fills(fills, full.sources[port.name], renumbered[part.sources[port.name]])
    for cycle in range(spec.cycles_per_step(precision)):
        state = logic.state(part, cycle)
        if state != logic.state(full, cycle):
            extra += [(logic.added(state), 1), (logic.added(logic.state(full, cycle)), -1)]
            _check_shift(logic, state, precision, f"in a step with {used} of {lanes} products, ")
    words = [_words(fills[2 : 2 + lanes * w], w)[used:], _words(fills[2 + lanes * w :], a)[used:]]
    values = [
        dict(zip(codes.words, codes.values, strict=True))
        for codes in (spec.weight_values(precision), spec.activation_values(precision))
    ]
    if any(word not in table for each, table in zip(words, values, strict=True) for word in each):
        raise ProofError(f"in a step with {used} of {lanes} products, what fills an unused place is no code")
    filled = sum(values[0][one] * values[1][other] for one, other in zip(*words, strict=True))
    rest = weighted([*extra, ({EMPTY: 1}, -filled << spec.sum_shift(precision))])
    if _modulo(rest, 1 << spec.accumulator_width):
        raise ProofError(f"in a step with {used} of {lanes} products, what fills the unused places adds to the sum")


def _take_fills(fills: IntArray, full: IntArray, part: IntArray) -> None:
    """Notes the constants of ``part`` where ``full`` has bits of codes that are not used; all else must be equal."""
    filled = (full >= 2) & (part < 2)
    if (full != part)[~filled].any():
        raise ProofError("the used products of a step that is not full lie where they do not in a full one")
    for symbol, value in zip(full[filled].tolist(), part[filled].tolist(), strict=True):
        if fills[symbol] not in (-1, value):
            raise ProofError("a bit that fills an unused place has two values")
        fills[symbol] = value


def _words(bits: IntArray, width: int) -> list[int]:
    """Words of ``width`` bits each, the lowest bit first; -1 where a bit is not known."""
    return [-1 if (word < 0).any() else _word(word) for word in bits.reshape(-1, width)]


def _word(bits: IntArray) -> int:
    return sum(int(bit) << position for position, bit in enumerate(bits.tolist()))


def _prove_width(spec: MacSpec) -> None:
    """No sum of ``reduction_length`` products overflows the port, nor the accumulator that holds it shifted."""
    for precision in spec.precisions:
        products = [
            one * other
            for one, other in product(spec.weight_values(precision).values, spec.activation_values(precision).values)
        ]
        scale = spec.reduction_length << spec.sum_shift(precision)
        if sum_width(min(0, scale * min(products)), max(0, scale * max(products))) > spec.accumulator_width:
            raise ProofError(f"{spec.name} at {precision}: sums may overflow {spec.accumulator_width} bits")


def _modulo(polynomial: Polynomial, modulus: int) -> Polynomial:
    return {monomial: value for monomial, each in polynomial.items() if (value := each % modulus)}


def _said(state: State) -> str:
    return ", ".join(f"{port} = {word}" for port, word in state) or "no controls"
