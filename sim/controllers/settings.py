"""The check of settings says what is wrong with a run, for all settings at full width.

The reference is the arithmetic of :meth:`rtl.array.ArraySpec.check_run`, in words that hold every product. The hardware
multiplies a digit a cycle, and forgets what lies beyond a memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rtl.array import REFUSAL_CYCLES, ArraySpec, Refusal
from sim.proofs import ProofError

from .terms import Fact, Terms, Word, all_of, any_of
from .transition import Transition

__all__ = ["SETTINGS_STEPS", "prove_settings"]

State = Mapping[str, Word]
_Number = TypeVar("_Number", int, Word)

SETTINGS_STEPS = (
    f"nothing is refused but {REFUSAL_CYCLES} cycles after a start",
    "a product is then known to be too large for the weight memory",
    "a product is then known to be too large for the activation memory",
    "a product is then known to be too large for the result memory",
    "what is wrong is refused with the lowest cause, and nothing else",
)
_WIDE = 40
"""Bits of words that hold every base and product, and so every sum that is compared: :func:`_check_wide`."""
_MEMORIES = {"weight": Refusal.WEIGHT_MEMORY, "activation": Refusal.ACTIVATION_MEMORY, "result": Refusal.RESULT_MEMORY}
_SIZES = {
    "steps": Refusal.STEPS,
    "weight_planes": Refusal.WEIGHT_PLANES,
    "activation_planes": Refusal.ACTIVATION_PLANES,
    "row_tiles": Refusal.ROW_TILES,
    "column_tiles": Refusal.COLUMN_TILES,
}


def prove_settings(spec: ArraySpec, terms: Terms, found: Transition) -> None:
    """Proves the check of settings of an array. Raises ProofError with the step that does not hold."""
    _check_wide(spec, found)
    state = _after_start(terms, found)
    claims = (_only_then(found), *_products(spec, terms, found, state), _answers(spec, terms, found, state))
    for name, claim in zip(SETTINGS_STEPS, claims, strict=True):
        if not terms.follows(terms.truth(value=True), claim):
            raise ProofError(f"{spec.name}, check of settings: this does not hold: {name}")


def _check_wide(spec: ArraySpec, found: Transition) -> None:
    """Nothing that is compared overflows, whatever the ports hold."""
    most = {name: (1 << word.width) - 1 for name, word in found.inputs.items()}
    sums = [most[f"{name}_base"] + words for name, words in _words_of(spec, most).items()]
    sums.append(most["control_base"] + spec.control_cycles + most["weight_planes"] * most["activation_planes"])
    if spec.requant is not None:
        sums.append(most["group"] + most["column_tiles"])
    assert max(sums) < 1 << _WIDE, f"{_WIDE} bits are too few for {max(sums)}"


def _words_of(spec: ArraySpec, given: Mapping[str, _Number]) -> dict[str, _Number]:
    """The words that a run fills of each memory."""
    return {
        "weight": given["column_tiles"] * given["weight_planes"] * given["steps"],
        "activation": given["row_tiles"] * given["activation_planes"] * given["steps"],
        "result": given["row_tiles"] * given["column_tiles"] * spec.drain_rows,
    }


def _only_then(found: Transition) -> Fact:
    """A start goes through the phases, a cycle each, unless a reset comes, and only the last of them refuses."""
    phases = [f"phase_{place}" for place in range(REFUSAL_CYCLES)]
    before = [found.inputs["launch"], *(found.registers[name] for name in phases)]
    going = ~found.inputs["rst"].holds
    moves = [
        found.taken[phase].holds.same(all_of(going, entered.holds))
        for phase, entered in zip(phases, before, strict=False)
    ]
    return all_of(found.outputs["refused"].holds.implies(found.registers[phases[-1]].holds), *moves)


def _after_start(terms: Terms, found: Transition) -> State:
    """The registers so many cycles after a start, with no other start before or meanwhile; else from any state."""
    phases = {found.registers[f"phase_{place}"].term for place in range(REFUSAL_CYCLES)}
    state = {name: terms.number(0, 1) if word.term in phases else word for name, word in found.registers.items()}
    for cycle in range(REFUSAL_CYCLES):
        now = dict(found.inputs)
        if cycle == 0:  # the settings of the run are there a cycle later
            now = {name: terms.free(f"before.{name}", word.width) for name, word in now.items()}
        now |= {"launch": terms.number(int(cycle == 0), 1), "rst": terms.number(0, 1)}
        state = found.after(terms, state, now)
    return state


def _products(spec: ArraySpec, terms: Terms, found: Transition, state: State) -> list[Fact]:
    """Where no size is 0, each memory is known to be too small exactly where its words are more than it has."""
    given = {name: word.extended(_WIDE) for name, word in found.inputs.items()}
    words = _words_of(spec, given)
    depths = {"weight": spec.weight_depth, "activation": spec.activation_depth, "result": spec.result_depth}
    sizes = all_of(*(given[name].holds for name in _SIZES))
    return [
        sizes.implies(state[f"{name}_over"].holds.same(~(given[f"{name}_base"] + words[name] <= depths[name])))
        for name in _MEMORIES
    ]


def _answers(spec: ArraySpec, terms: Terms, found: Transition, state: State) -> Fact:
    """What is shown then is the lowest cause, whatever is known of the products."""
    over = {f"{name}_over": terms.free(f"{name}.over", 1) for name in _MEMORIES}
    quiet = {**found.inputs, "launch": terms.number(0, 1), "rst": terms.number(0, 1)}
    shown = found.shown(terms, {**state, **over}, quiet)
    given = {name: word.extended(_WIDE) for name, word in found.inputs.items()}
    cycles = given["weight_planes"] * given["activation_planes"]
    wrong: dict[Refusal, Fact] = {cause: ~given[name].holds for name, cause in _SIZES.items()}
    wrong |= {cause: over[f"{name}_over"].holds for name, cause in _MEMORIES.items()}
    wrong[Refusal.CONTROL_MEMORY] = any_of(
        ~(cycles <= spec.control_cycles), ~(given["control_base"] + spec.control_cycles + cycles <= spec.control_depth)
    )
    if spec.requant is not None:
        sets = given["group"] + given["group_step"].holds.choose(given["column_tiles"], terms.number(1, _WIDE))
        wrong[Refusal.REQUANT_SETS] = all_of(given["requantise"].holds, ~(sets <= spec.requant.groups))
    cause = terms.number(Refusal.NONE, 4)
    for each in sorted(wrong, reverse=True):
        cause = wrong[each].choose(terms.number(each, 4), cause)
    refused = shown["refused"].holds
    return all_of(refused.same(cause.holds), refused.implies(shown["error"].same(cause)))
