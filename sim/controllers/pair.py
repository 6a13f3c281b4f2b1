"""The two controllers of an array together: a run goes on as long as operands or sums are on their way.

Their models (:mod:`sim.controllers.feed`, :mod:`sim.controllers.store`), which are proved to be those of the Verilog,
are tied as :mod:`rtl.array.component` ties them, by lines of registers that a stop and a reset clear:

    operands enter, the last ones of a tile are marked    D cycles    the first sum of the tile comes
    the last sum of a run comes                           E cycles    the run ends: busy is 0

A start is a launch where no run goes on. What is shown is the assumption of both models, too: no tile begins before the
sums of the one before have come, nor with a launch.

The invariant says that the two are the same loop at two places: of the tile (c, r) whose sums come next, the tiles on
their way and the one whose sums come now lie between it and the tile whose operands enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

from rtl.array import ArraySpec
from sim.proofs import ProofError

from . import feed, store
from .terms import Fact, Terms, Word, all_of, any_of

__all__ = ["PAIR_STEPS", "delays_of", "prove_pair"]

PAIR_STEPS = (
    "after a reset or a stop nothing is on its way, whatever was before",
    "a launch while no run goes on begins one",
    "both controllers stay at their places of the loop",
    "a run goes on as long as anything is on its way, and tiles keep their distance",
)


def delays_of(spec: ArraySpec) -> tuple[int, int]:
    """D and E of an array."""
    first = spec.grid.drained_rows[-1] if spec.systolic else 0  # its sums come first
    whole = spec.grid.drained_rows[0] - first + spec.columns - 1 if spec.systolic else 0
    return spec.mac.latency + 2 + first, whole + (spec.requant.latency if spec.requant else 0)


@dataclass(frozen=True)
class _State:
    """fed, stored: the models. busy: a run goes on. entered, lasts: which of the last D cycles had operands, and the
    last ones of a tile, the youngest first. ended: which of the last E cycles had the last sum of a run.
    """

    terms: Terms
    spec: ArraySpec
    fed: feed._Model
    stored: store._Model
    busy: Fact
    entered: Sequence[Fact]
    lasts: Sequence[Fact]
    ended: Sequence[Fact]

    @property
    def moving(self) -> Fact:
        """Whether anything is on its way."""
        waiting = (*self.entered, *self.lasts, *self.ended)
        return any_of(self.fed.on, self.stored.word("going").holds, *waiting)


def prove_pair(spec: ArraySpec, terms: Terms, delays: tuple[int, int] | None = None) -> None:
    """Proves the controllers of an array together, or with other delays. Raises ProofError with the step that does not
    hold.
    """
    now = _any(spec, terms, *(delays or delays_of(spec)))
    inputs = {name: terms.free(f"input.{name}", 1) for name in ("start", "hold", "stop", "rst")}
    launch = all_of(inputs["start"].holds, ~now.busy)
    after = _after(now, inputs, launch)
    rst, stop = inputs["rst"].holds, inputs["stop"].holds
    same_settings = all_of(*(after.fed.word(name).same(after.stored.word(name)) for name in ("R", "C", "together")))
    legal = all_of(same_settings, *(after.fed.word(name).holds for name in ("R", "C")))
    holds = _invariant(now)
    claims = (
        (any_of(rst, all_of(stop, ~launch)), all_of(~after.busy, ~after.moving)),
        (all_of(launch, ~now.moving, ~rst, legal), all_of(after.busy, _invariant(after))),
        (all_of(holds, ~launch), _invariant(after)),
        (holds, all_of(now.moving.implies(now.busy), _apart(now, launch))),
    )
    for name, (assumed, wanted) in zip(PAIR_STEPS, claims, strict=True):
        if not terms.possible(assumed):
            raise ProofError(f"{spec.name}, controllers together: nothing is left that this could hold for: {name}")
        if not terms.follows(assumed, wanted):
            raise ProofError(f"{spec.name}, controllers together: this does not hold: {name}")


def _any(spec: ArraySpec, terms: Terms, between: int, behind: int) -> _State:
    """Any state. Addresses do not matter here: they have a bit."""
    bits = {**feed.COUNTERS, **dict.fromkeys(feed.SUMS, 1), "since": spec.rows.bit_length()}
    fed = {name: terms.free(f"fed.{name}", width) for name, width in bits.items()}
    bits = {**store.COUNTERS, "results": 1, "before": 1}
    stored = {name: terms.free(f"stored.{name}", width) for name, width in bits.items()}
    lines = [
        [terms.free(f"{name}.{place}", 1).holds for place in range(count)]
        for name, count in (("entered", between), ("lasts", between), ("ended", behind))
    ]
    return _State(
        terms,
        spec,
        feed._Model(terms, spec, fed),
        store._Model(terms, spec, stored, lines[1][-1]),
        terms.free("busy", 1).holds,
        *lines,
    )


def _after(now: _State, inputs: feed.State, launch: Fact) -> _State:
    """A cycle later."""
    terms, fed, stored = now.terms, now.fed, now.stored
    bases = ("weight_base", "activation_base", "control_base", "result_base")
    given = {**inputs, "launch": terms.as_word(launch), **{name: terms.number(0, 1) for name in bases}}
    goes_on = ~any_of(inputs["stop"].holds, inputs["rst"].holds)
    issue = fed.issues(inputs)
    finished = all_of(stored.active, stored.last_word, stored.is_last("r", "R"), stored.is_last("c", "C"))

    def line(first: Fact, held: Sequence[Fact]) -> list[Fact]:
        return [all_of(each, goes_on) for each in [first, *held][: len(held)]]

    ends = any_of(inputs["stop"].holds, [finished, *now.ended][-1])
    lasts = line(all_of(issue, fed.last_cycle), now.lasts)
    return _State(
        terms,
        now.spec,
        feed._Model(terms, now.spec, feed._after(fed, given, terms)),
        store._Model(terms, now.spec, store._after(stored, given), lasts[-1]),
        all_of(~inputs["rst"].holds, any_of(launch, all_of(now.busy, ~ends))),
        line(issue, now.entered),
        lasts,
        line(finished, now.ended),
    )


Place = tuple[Word, Word]
"""Column and row of a tile."""


def _next(place: Place, rows: Word) -> Place:
    """The tile that follows in the loop."""
    column, row = place
    ends = (row.extended(17) + 1).same(rows.extended(17))
    return ends.choose(column + 1, column), ends.choose(row - row, row + 1)


def _invariant(at: _State) -> Fact:
    """Nothing is on its way where no run goes on; else both are at their places of the loop."""
    return all_of(at.busy.implies(_run(at)), (~at.busy).implies(~at.moving))


def _run(at: _State) -> Fact:
    fed, stored, terms = at.fed, at.stored, at.terms
    rows, columns, going = fed.word("R"), fed.word("C"), stored.word("going").holds
    facts = [fed.word(name).same(stored.word(name)) for name in ("R", "C", "together")]
    facts += [rows.holds, columns.holds, stored.word("ever").holds, stored.in_tile, going.same(stored.started)]
    # The places of the two, and of all tiles between them.
    place = stored.word("c"), stored.word("r")
    for passed in (going, *reversed(at.lasts)):
        facts += [place[1] < rows, any_of(place[0] < columns, all_of(~passed, place[0].same(columns)))]
        later = _next(place, rows)
        place = passed.choose(later[0], place[0]), passed.choose(later[1], place[1])
    facts += [place[0].same(fed.word("c")), place[1].same(fed.word("r"))]
    fed_all = all_of(fed.word("c").same(columns), fed.word("r").same(0))
    facts += [fed.on.implies(all_of(fed.word("c") < columns, fed.word("r") < rows)), (~fed.on).implies(fed_all)]
    # Tiles keep their distance, and so does the one whose sums come.
    wide = store._WIDE
    length = stored.together.choose(terms.number(at.spec.drain_rows, wide), terms.number(at.spec.rows, wide))
    since, between = fed.word("since").extended(wide), len(at.lasts)
    for (young, one), (old, other) in combinations(enumerate(at.lasts), 2):
        facts.append(all_of(one, other).implies(length <= old - young))
    for cycles, each in enumerate(at.lasts, start=1):
        facts.append(each.implies(since <= cycles))
        facts.append(all_of(each, going).implies(stored.to_come <= between - cycles))
    facts.append(going.implies(since + stored.to_come <= length + between))
    # Behind operands there are those that end their tile, or they enter still.
    for cycles, each in enumerate(at.entered, start=1):
        facts.append(each.implies(any_of(fed.on, *at.lasts[:cycles])))
    # The last sum of the run has come, or it has not.
    facts.append(stored.word("c").same(columns).same(reduce(Fact.__or__, at.ended, terms.truth(value=False))))
    facts += [~all_of(one, other) for one, other in combinations(at.ended, 2)]
    return all_of(*facts)


def _apart(at: _State, launch: Fact) -> Fact:
    """What the model of the second controller assumes."""
    apart = at.stored.tile.implies(
        all_of(~at.stored.word("going").holds, ~at.stored.started, at.stored.word("ever").holds)
    )
    return all_of(apart, launch.implies(~at.stored.active))
