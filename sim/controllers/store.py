"""The controller of results stores every sum of a run once, for all settings and for ever.

The model is a loop of five counters. ``tile`` begins the tile (c, r), whose sums then come one a cycle:

    together       for p in range(P):                  the sums of all drains of place p, to word p of the tile
    else           for d in range(D): for p in range(P of drain d):   one sum of drain d, to its part of word p

P is the number of rows that a drain has, fewer for the last of the D drains. The words of a tile lie behind those of
the tile before: word p is ``results`` + B + p, where B grows by P with each tile. A word is complete when its last sum
is written, and all P are when the tile ends. The run is finished with the last sum of tile (C - 1, R - 1).

A launch begins the loop whatever the registers hold, where no sums are to come; a stop or a reset sees to that. Of the
settings nothing is assumed but that they stay as they are while sums come.

Assumed is what the controller of operands keeps: no tile begins before the sums of the one before have come. That it
does is shown in :mod:`sim.controllers.pair`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtl.array import ArraySpec
from sim.proofs import ProofError

from .terms import Fact, Terms, Word, all_of, any_of
from .transition import Transition

__all__ = ["COUNTERS", "STORE_STEPS", "prove_store"]

State = Mapping[str, Word]
STORE_STEPS = (
    "after a reset or a stop no sum is to come, whatever was before",
    "a launch begins the loop, whatever was before",
    "the registers stay those of the model",
    "outputs are those of the model",
    "a tile completes all of its words",
)
_WIDE = 20
"""Bits of counters within a tile: more than they ever reach."""
COUNTERS = {
    **dict.fromkeys(("c", "r", "R", "C"), 16),
    **dict.fromkeys(("p", "d", "done"), _WIDE),
    **dict.fromkeys(("going", "together", "ever"), 1),
}
"""Bits of the model's counters and sizes."""


@dataclass(frozen=True)
class _Model:
    terms: Terms
    spec: ArraySpec
    state: State
    tile: Fact

    def word(self, name: str) -> Word:
        return self.state[name]

    @property
    def together(self) -> Fact:
        return self.word("together").holds

    @property
    def active(self) -> Fact:
        """Whether a sum comes in this cycle."""
        return any_of(self.tile, self.word("going").holds)

    @property
    def places(self) -> int:
        """P, of all drains but the last."""
        return self.spec.drain_rows

    @property
    def rest(self) -> int:
        """P of the last drain."""
        return self.spec.rows - (self.spec.drains - 1) * self.spec.drain_rows

    @property
    def last_drain(self) -> Fact:
        return self.word("d").same(self.spec.drains - 1)

    @property
    def end(self) -> Fact:
        """Whether this place is the last of a drain that has all."""
        return self.word("p").same(self.places - 1)

    @property
    def last_word(self) -> Fact:
        """Whether this sum is the last of its tile."""
        alone = all_of(self.last_drain, self.word("p").same(self.rest - 1))
        return any_of(all_of(self.together, self.end), all_of(~self.together, alone))

    @property
    def behind(self) -> Word:
        """Sums of this tile that have come, where drains come one by one."""
        return self.word("d") * self.places + self.word("p")

    @property
    def to_come(self) -> Word:
        """Sums of this tile that have not come."""
        places, rows = self.terms.number(self.places, _WIDE), self.terms.number(self.spec.rows, _WIDE)
        return self.together.choose(places - self.word("p"), rows - self.behind)

    @property
    def started(self) -> Fact:
        """Whether sums of this tile have come."""
        return any_of(~self.word("p").same(0), ~self.word("d").same(0))

    @property
    def in_tile(self) -> Fact:
        """The place is one that a tile has."""
        places, rest = self.terms.number(self.places, _WIDE), self.terms.number(self.rest, _WIDE)
        within = self.together.choose(places, self.last_drain.choose(rest, places))
        one = self.together.implies(self.word("d").same(0))
        return all_of(self.word("p") < within, self.word("d") < self.spec.drains, one)

    def is_last(self, counter: str, size: str) -> Fact:
        return (self.word(counter).extended(17) + 1).same(self.word(size).extended(17))


def prove_store(spec: ArraySpec, terms: Terms, found: Transition) -> None:
    """Proves the drain controller of an array. Raises ProofError with the step that does not hold."""
    inputs = found.inputs
    width = found.registers["word"].width
    widths = {**COUNTERS, "results": width, "before": width}
    state = {name: terms.free(f"model.{name}", bits) for name, bits in widths.items()}
    model = _Model(terms, spec, state, inputs["tile"].holds)
    after = _Model(terms, spec, _after(model, inputs), terms.truth(value=False))
    allowed = _allowed(model, inputs)
    invariant, kept = _invariant(model, found.registers), _invariant(after, found.taken)
    rst, launch, stop = (inputs[name].holds for name in ("rst", "launch", "stop"))
    left, coming = (words.get("left", terms.number(0, 1)) for words in (found.taken, found.registers))
    claims = {
        STORE_STEPS[0]: (any_of(rst, stop), left.same(0)),
        STORE_STEPS[1]: (all_of(launch, ~model.active, coming.same(0)), kept),
        STORE_STEPS[2]: (all_of(invariant, allowed, ~launch), kept),
        STORE_STEPS[3]: (all_of(invariant, allowed), _shows(model, after, found)),
        STORE_STEPS[4]: (all_of(invariant, allowed, model.active, model.last_word, ~launch),
                         (model.word("done") + found.outputs["complete"].extended(_WIDE)).same(spec.drain_rows)),
    }  # fmt: skip
    for name, (assumed, wanted) in claims.items():
        if not terms.possible(assumed):
            raise ProofError(f"{spec.name}, drain controller: nothing is left that this could hold for: {name}")
        if not terms.follows(assumed, wanted):
            raise ProofError(f"{spec.name}, drain controller: this does not hold: {name}")


def _completes(model: _Model) -> Word:
    """Words that are complete with the sum of this cycle."""
    terms = model.terms
    more = terms.number(model.places - model.rest + 1, _WIDE)
    one, none = terms.number(1, _WIDE), terms.number(0, _WIDE)
    ahead = all_of(model.last_word, ~model.together).choose(more, one)
    return any_of(model.together, model.last_drain).choose(ahead, none)


def _after(model: _Model, inputs: State) -> State:
    now, terms = model.state, model.terms
    launch, stop, rst = (inputs[name].holds for name in ("launch", "stop", "rst"))
    zero = {name: terms.number(0, word.width) for name, word in now.items()}
    active, last = model.active, model.last_word
    ends = any_of(model.end, last)
    row_ends = all_of(active, last, model.is_last("r", "R"))
    moved = {
        "p": active.choose(ends.choose(zero["p"], now["p"] + 1), now["p"]),
        "d": active.choose(
            last.choose(zero["d"], all_of(~model.together, model.end).choose(now["d"] + 1, now["d"])), now["d"]
        ),
        "r": all_of(active, last).choose(model.is_last("r", "R").choose(zero["r"], now["r"] + 1), now["r"]),
        "c": row_ends.choose(now["c"] + 1, now["c"]),
        "before": all_of(active, last).choose(
            now["before"] + terms.number(model.places % (1 << now["before"].width), now["before"].width), now["before"]
        ),
        "done": active.choose(last.choose(zero["done"], now["done"] + _completes(model)), now["done"]),
        "going": all_of(active, ~last).choose(terms.number(1, 1), zero["going"]),
    }
    found = {name: launch.choose(zero[name], word) for name, word in moved.items()}
    quiet = any_of(stop, rst)
    found["going"] = quiet.choose(zero["going"], moved["going"])
    found["ever"] = launch.choose(terms.number(1, 1), now["ever"])
    found["results"] = launch.choose(inputs["result_base"], now["results"])
    for name in ("R", "C", "together"):
        found[name] = launch.choose(terms.free(f"next.{name}", now[name].width), now[name])
    return found


def _allowed(model: _Model, inputs: State) -> Fact:
    """While sums come sizes are those of the run, and tiles keep their distance; none begins with a launch, nor after a
    stop or a reset before the next launch has come: there the places would be those of a tile that was cut.
    """
    facts = [inputs["row_tiles"].same(model.word("R")), inputs["column_tiles"].same(model.word("C"))]
    together = inputs.get("together")
    facts.append(model.word("together").same(0) if together is None else together.same(model.word("together")))
    apart = model.tile.implies(all_of(~model.word("going").holds, model.word("p").same(0), model.word("d").same(0)))
    begun = model.tile.implies(model.word("ever").holds)
    free = inputs["launch"].holds.implies(~model.active)
    return all_of(model.active.implies(all_of(*facts)), apart, begun, free)


def _invariant(model: _Model, registers: State) -> Fact:
    """What ties the registers to the model."""
    word, terms = model.word, model.terms
    going = word("going").holds
    # Of one row, one drain, or one place a drain there is nothing to count.
    left, place, drain = (registers.get(name, terms.number(0, 1)) for name in ("left", "place", "whose"))
    column = registers["column_tile" if "column_tile" in registers else "column"]
    last_done = model.last_drain.choose(word("p"), terms.number(0, _WIDE))
    equal = [
        registers["word"].same(word("results") + word("before") + word("p").extended(registers["word"].width)),
        place.extended(_WIDE).same(word("p")),
        drain.extended(_WIDE).same(word("d")),
        registers["row_tile"].same(word("r")),
        column.same(word("c")),
        model.in_tile,
        word("done").same(model.together.choose(word("p"), last_done)),
    ]
    return all_of(
        word("ever").holds.implies(all_of(*equal)),
        going.implies(all_of(word("ever").holds, model.started, left.extended(_WIDE).same(model.to_come))),
        (~going).implies(left.same(0)),
    )


def _shows(model: _Model, after: _Model, found: Transition) -> Fact:
    """The outputs of a cycle are those of the loop; next_address is where the next sum goes."""
    word, outputs = model.word, found.outputs
    active = model.active
    address = word("results") + word("before") + word("p").extended(word("results").width)
    following = after.word("results") + after.word("before") + after.word("p").extended(address.width)
    number = outputs.get("drain")
    facts = [outputs["address"].same(address), outputs["complete"].extended(_WIDE).same(_completes(model))]
    if "short" in outputs:
        facts.append(outputs["short"].holds.same(~(word("p") < model.rest)))
    if number is not None:
        facts.append(number.extended(_WIDE).same(word("d")))
    if "column" in outputs:  # it chooses the parameter set of a requantiser
        facts.append(outputs["column"].same(word("c")))
    finished = all_of(active, model.last_word, model.is_last("r", "R"), model.is_last("c", "C"))
    facts.append(outputs["finished"].holds.same(finished))
    ahead = all_of(word("ever").holds, ~found.inputs["launch"].holds)
    return all_of(
        outputs["active"].holds.same(active),
        active.implies(all_of(*facts)),
        ahead.implies(outputs["next_address"].same(following)),
    )
