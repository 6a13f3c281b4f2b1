"""Full-adder instances of a gate-level module onto library cells.

Four steps, the same for every design:
merge     full adders of the same three bits become one: arrays have them where elements share operands;
fold      a full adder with a constant input, a repeated input or an unused output becomes plain gates;
polarity  a full adder gives the complements of its outputs for the complements of its inputs, so each
          may stand in true or in complement form; the forms are chosen for the least area of the
          inverters and product gates around them (also how cells with inverted outputs are used well);
products  the AND of two register bits becomes a NOR of their complement outputs where the flip-flop
          has one: in CMOS the cheaper gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtl.names import FULL_ADDER_NAME

from .gates import Bit, Gates
from .registers import complement_of, take_complement

ADDER = FULL_ADDER_NAME
INPUTS = ("a", "b", "c")


def merge_adders(gates: Gates) -> int:
    """Let one full adder stand for all that add the same three bits; returns how many others there were."""
    merged, found = 0, True
    while found:
        found = False
        first: dict[tuple[str, ...], str] = {}
        for name in gates.of_type(ADDER):
            kept = first.setdefault(tuple(sorted(str(gates.pin(name, pin)) for pin in INPUTS)), name)
            if kept != name:
                same = {gates.pin(name, pin): gates.pin(kept, pin) for pin in ("sum", "carry")}
                _done(gates, name, {old: new for old, new in same.items() if new is not None})
                merged, found = merged + 1, True
    return merged


def fold_adders(gates: Gates) -> int:
    """Replace full adders that are not full by plain gates; returns how many."""
    folded = 0
    pending = gates.of_type(ADDER)
    while pending:
        again = []
        for name in pending:
            if _fold(gates, name):
                folded += 1
            else:
                again.append(name)
        if len(again) == len(pending):
            return folded
        pending = again
    return folded


def make_of_gates(gates: Gates, name: str) -> None:
    """Replace a full adder of three nets by gates for those of its outputs that are used; c passes the fewest."""
    a, b, c, total, carry = (gates.pin(name, pin) for pin in (*INPUTS, "sum", "carry"))
    assert a is not None
    assert b is not None
    assert c is not None
    gates.remove(name)
    if gates.is_used(total):
        gates.gate("$_XOR_", gates.gate("$_XOR_", a, b), c, out=total)
    if gates.is_used(carry):
        either = gates.gate("$_AND_", c, gates.gate("$_OR_", a, b))
        gates.gate("$_OR_", gates.gate("$_AND_", a, b), either, out=carry)


def _fold(gates: Gates, name: str) -> bool:
    ins = [gates.pin(name, pin) for pin in INPUTS]
    bits: list[Bit] = ["0" if bit is None or bit == "x" else bit for bit in ins]
    total, carry = gates.pin(name, "sum"), gates.pin(name, "carry")
    need_sum, need_carry = gates.is_used(total), gates.is_used(carry)
    for left, right in ((0, 1), (0, 2), (1, 2)):
        if bits[left] == bits[right] and isinstance(bits[left], int):
            other, twice = bits[3 - left - right], bits[left]
            return _done(gates, name, {total: other, carry: twice})
    ones = bits.count("1")
    free: list[Bit] = [bit for bit in bits if isinstance(bit, int)]
    if len(free) == 3 and need_sum and need_carry:
        return False
    if len(free) == 3:
        make_of_gates(gates, name)
        return True
    if len(free) == 2:
        gates.remove(name)
        if need_sum:
            gates.gate("$_XNOR_" if ones else "$_XOR_", free[0], free[1], out=total)
        if need_carry:
            gates.gate("$_OR_" if ones else "$_AND_", free[0], free[1], out=carry)
        return True
    if len(free) == 1:
        new_sum = gates.gate("$_NOT_", free[0]) if ones == 1 and need_sum else free[0]
        return _done(gates, name, {total: new_sum, carry: ("0", free[0], "1")[ones]})
    return _done(gates, name, {total: "1" if ones % 2 else "0", carry: "1" if ones > 1 else "0"})


def _done(gates: Gates, name: str, values: Mapping[Bit | None, Bit]) -> bool:
    gates.remove(name)
    for old, new in values.items():
        if old is not None:
            gates.replace(old, new)
    return True


def map_adders(gates: Gates, cell: Mapping[str, Any], form: Mapping[str, bool]) -> None:
    """Replace every full adder by the library cell, in the chosen form, with inverters where forms meet.

    cell: the fields of a FullAdderCell.
    """
    inverse: dict[Bit, Bit] = {}

    def inverted_bit(bit: Bit) -> Bit:
        if bit not in inverse:
            inverse[bit] = gates.gate("$_NOT_", bit)
        return inverse[bit]

    ports = {"a": cell["a"], "b": cell["b"], "c": cell["carry_in"]}
    produced: list[tuple[Bit, Bit]] = []
    made = []
    for name in gates.of_type(ADDER):
        bits = {pin: gates.pin(name, pin) for pin in (*INPUTS, "sum", "carry")}
        gates.remove(name)
        outputs: dict[str, Bit] = {}
        for pin, library_pin, flips in (
            ("sum", cell["sum"], cell["sum_inverted"]),
            ("carry", cell["carry_out"], cell["carry_inverted"]),
        ):
            logical = bits[pin]
            assert logical is not None
            if form[name] ^ flips:
                physical: Bit = gates.new_bit()
                produced.append((logical, physical))
                inverse[logical] = physical
                outputs[library_pin] = physical
            else:
                outputs[library_pin] = logical
        made.append((name, bits, outputs))
    for logical, physical in produced:
        gates.gate("$_NOT_", physical, out=logical)  # dropped later when nothing reads it
    for name, bits, outputs in made:
        inputs: dict[str, Bit] = {}
        for pin in INPUTS:
            bit = bits[pin]
            assert bit is not None  # fold_adders leaves full ones only
            inputs[ports[pin]] = inverted_bit(bit) if form[name] else bit
        gates.add(cell["cell"], inputs, outputs, name=name)


def use_register_complements(gates: Gates, complements: Mapping[str, tuple[str, str]], adder_cell: str) -> int:
    """Products of two register bits that only adders read: a NOR of the complements.  Returns how many."""
    changed = 0
    for name in gates.of_type("$_AND_"):
        out = gates.pin(name, "Y")
        if out is None or out in gates.output_bits or not is_register_product(gates, name, complements):
            continue
        if not gates.sinks[out] or any(gates.cells[cell]["type"] != adder_cell for cell, _, _ in gates.sinks[out]):
            continue
        operands: list[Bit] = []
        for pin in "AB":
            found = complement_of(gates, gates.pin(name, pin), complements)
            assert found is not None
            operands.append(take_complement(gates, *found))
        gates.remove(name)
        gates.gate("$_NOR_", operands[0], operands[1], out=out)
        changed += 1
    return changed


def is_register_product(gates: Gates, name: str, complements: Mapping[str, tuple[str, str]]) -> bool:
    """True when a gate's two inputs are outputs of flip-flops that have complement outputs too."""
    return all(complement_of(gates, gates.pin(name, pin), complements) is not None for pin in "AB")
