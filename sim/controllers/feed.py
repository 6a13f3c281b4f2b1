"""The controller of operands walks a loop, for all settings and for ever.

The model is five counters and three sums. While a run goes on and nothing holds it, each cycle takes the next of

    for c in range(C): for r in range(R): for s in range(S): for w in range(W): for a in range(A):
        weight word      weights    + (s + S * c) * W + w         S * c is S added c times
        activation word  activations + (s + S * r) * A + a
        control word     control    + w * A + a, in the last step s = S - 1 beyond the first half of the table
        clear in the first cycle of a sum (s, w and a are 0), last in its last one

and the last cycle of a sum waits until as many cycles have gone by since that of the sum before as a tile takes to
drain. All addresses wrap with their memory, as Python's numbers would by a remainder.

A launch of legal settings begins the loop, whatever the registers hold. So it does not matter what a run leaves that
was refused, stopped or cut by a reset. Of one whose settings are not legal nothing is shown but that a stop ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtl.array import ArraySpec
from sim.proofs import ProofError

from .terms import Fact, Terms, Word, all_of, any_of
from .transition import Transition

__all__ = ["COUNTERS", "FEED_STEPS", "SUMS", "State", "prove_feed"]

State = Mapping[str, Word]
_SIZES = {"steps": "S", "row_tiles": "R", "column_tiles": "C", "weight_planes": "W", "activation_planes": "A"}
COUNTERS = {
    **dict.fromkeys(("c", "r", "s", "S", "R", "C"), 16),
    **dict.fromkeys(("w", "a", "W", "A"), 4),
    **dict.fromkeys(("on", "together"), 1),
}
"""Bits of the model's counters and sizes."""
SUMS = ("weights", "activations", "control", "of_columns", "of_rows")
"""Those of its words that are as wide as addresses."""
FEED_STEPS = (
    "a reset ends a run, and so does a stop, whatever was before",
    "a launch begins the loop, whatever was before",
    "the registers stay those of the model",
    "outputs are those of the model",
    "what waits goes on in time",
)


@dataclass(frozen=True)
class _Model:
    """The loop. on: a run with legal settings goes on. since: cycles since the last operands of a sum, up to
    ``rows``.
    """

    terms: Terms
    spec: ArraySpec
    state: State

    def word(self, name: str) -> Word:
        return self.state[name]

    @property
    def on(self) -> Fact:
        return self.word("on").holds

    @property
    def waits(self) -> Fact:
        rows, drain = self.spec.rows, self.spec.drain_rows
        since = self.word("since")
        return any_of(
            all_of(self.word("together").holds, since < drain), all_of(~self.word("together").holds, since < rows)
        )

    def is_last(self, counter: str, size: str) -> Fact:
        return (self.word(counter).extended(17) + 1).same(self.word(size).extended(17))

    @property
    def last_cycle(self) -> Fact:
        return all_of(self.is_last("s", "S"), self.is_last("w", "W"), self.is_last("a", "A"))

    def issues(self, inputs: State) -> Fact:
        """Whether operands enter in this cycle."""
        return all_of(self.on, ~inputs["hold"].holds, ~all_of(self.last_cycle, self.waits))


def prove_feed(spec: ArraySpec, terms: Terms, found: Transition) -> None:
    """Proves the operand controller of an array. Raises ProofError with the step that does not hold."""
    model = _Model(terms, spec, _any_state(spec, terms, found))
    inputs = found.inputs
    after = _Model(terms, spec, _after(model, inputs, terms))
    rst, launch, stop = (inputs[name].holds for name in ("rst", "launch", "stop"))
    invariant, kept = _invariant(model, found.registers), _invariant(after, found.taken)
    assumed = all_of(invariant, _allowed(model, inputs))
    waiting = all_of(assumed, ~launch, model.on, ~inputs["hold"].holds)
    claims = {
        FEED_STEPS[0]: (any_of(rst, all_of(stop, ~launch)), found.taken["running"].same(0)),
        FEED_STEPS[1]: (all_of(launch, after.on.implies(_legal(after))), kept),
        FEED_STEPS[2]: (all_of(assumed, ~launch), kept),
        FEED_STEPS[3]: (assumed, _shows(model, inputs, found.outputs, terms)),
        FEED_STEPS[4]: (waiting, _goes_on(model, after, found)),
    }
    for name, (assumed, wanted) in claims.items():
        if not terms.possible(assumed):
            raise ProofError(f"{spec.name}, operand controller: nothing is left that this could hold for: {name}")
        if not terms.follows(assumed, wanted):
            raise ProofError(f"{spec.name}, operand controller: this does not hold: {name}")


def _widths(found: Transition) -> dict[str, int]:
    outputs = found.outputs
    sums = {
        "weights": outputs["read_weights"].width,
        "activations": outputs["read_activations"].width,
        "control": outputs["read_control"].width,
    }
    since = found.registers["since"].width
    return {**COUNTERS, **sums, "since": since, "of_columns": sums["weights"], "of_rows": sums["activations"]}


def _any_state(spec: ArraySpec, terms: Terms, found: Transition) -> State:
    return {name: terms.free(f"model.{name}", width) for name, width in _widths(found).items()}


def _after(model: _Model, inputs: State, terms: Terms) -> State:
    """The model a cycle later. Settings of a run that begins may be anything."""
    now = model.state
    launch, stop, rst = (inputs[name].holds for name in ("launch", "stop", "rst"))
    issue = model.issues(inputs)
    zero = {name: terms.number(0, word.width) for name, word in now.items()}
    one = {name: terms.number(1, word.width) for name, word in now.items()}

    def counted(name: str, size: str, moves: Fact) -> Word:
        ends = model.is_last(name, size)
        return moves.choose(ends.choose(zero[name], now[name] + 1), now[name])

    next_w = all_of(issue, model.is_last("a", "A"))
    next_s = all_of(next_w, model.is_last("w", "W"))
    next_r = all_of(next_s, model.is_last("s", "S"))
    next_c = all_of(next_r, model.is_last("r", "R"))
    ends = all_of(next_c, model.is_last("c", "C"))
    moved = {
        "a": counted("a", "A", issue),
        "w": counted("w", "W", next_w),
        "s": counted("s", "S", next_s),
        "r": counted("r", "R", next_r),
        "c": next_c.choose(now["c"] + 1, now["c"]),
        "of_columns": next_c.choose(now["of_columns"] + now["S"].extended(now["of_columns"].width), now["of_columns"]),
        "of_rows": next_r.choose(
            model.is_last("r", "R").choose(zero["of_rows"], now["of_rows"] + now["S"].extended(now["of_rows"].width)),
            now["of_rows"],
        ),
    }
    rows = terms.number(model.spec.rows, now["since"].width)
    later = (now["since"] < rows).choose(now["since"] + 1, rows)
    since = all_of(issue, model.last_cycle).choose(one["since"], later)
    found = {name: launch.choose(zero[name], word) for name, word in moved.items()}
    found["since"] = launch.choose(rows, since)
    going = stop.choose(zero["on"], ends.choose(zero["on"], now["on"]))
    found["on"] = rst.choose(zero["on"], launch.choose(one["on"], going))
    for name, base in (("weights", "weight_base"), ("activations", "activation_base"), ("control", "control_base")):
        found[name] = launch.choose(inputs[base], now[name])
    for name in (*_SIZES.values(), "together"):
        found[name] = launch.choose(terms.free(f"next.{name}", now[name].width), now[name])
    return found


def _legal(model: _Model) -> Fact:
    """Settings that the check lets pass, as far as this controller depends on them."""
    sizes = [model.word(name).holds for name in _SIZES.values()]
    cycles = model.word("W").extended(8) * model.word("A").extended(8)
    return all_of(*sizes, cycles <= model.spec.control_cycles)


def _allowed(model: _Model, inputs: State) -> Fact:
    """The inputs are the settings of the run while one goes on."""
    facts = [inputs[name].same(model.word(mine)) for name, mine in _SIZES.items()]
    together = inputs.get("together")  # one drain has no such port
    facts += [model.word("together").same(0) if together is None else together.same(model.word("together"))]
    facts += [inputs["activation_start"].same(model.word("activations"))]
    return model.on.implies(all_of(*facts, _legal(model)))


def _invariant(model: _Model, registers: State) -> Fact:
    """What ties the registers to the model."""
    word = model.word
    ranges = [word(name) < word(size) for name, size in (("c", "C"), ("r", "R"), ("s", "S"), ("w", "W"), ("a", "A"))]
    counters = {
        "column_tile": "c", "row_tile": "r", "step": "s", "weight_plane": "w", "activation_plane": "a",
    }  # fmt: skip
    equal = [registers[name].same(word(mine)) for name, mine in counters.items()]
    cycle = registers["cycle"]
    within = word("w").extended(8) * word("A").extended(8) + word("a").extended(8)
    weights, activations = registers["weight_step"].width, registers["activation_step"].width
    planes, others = word("W").extended(weights), word("A").extended(activations)
    equal += [
        cycle.same(within.extended(cycle.width)),
        registers["weight_tile"].same(word("weights") + word("of_columns") * planes),
        registers["weight_step"].same(word("weights") + (word("of_columns") + word("s").extended(weights)) * planes),
        registers["activation_step"].same(
            word("activations") + (word("of_rows") + word("s").extended(activations)) * others
        ),
        registers["control_step"].same(word("control")),
        registers["since"].same(word("since")),
        word("since") <= model.spec.rows,
    ]
    return all_of(
        registers["running"].same(word("on")),
        model.on.implies(all_of(*ranges, *equal)),
    )


def _shows(model: _Model, inputs: State, outputs: State, terms: Terms) -> Fact:
    """The outputs of a cycle are those of the loop."""
    word = model.word
    issue = model.issues(inputs)
    first = all_of(word("s").same(0), word("w").same(0), word("a").same(0))
    weights, activations, control = (
        outputs[name].width for name in ("read_weights", "read_activations", "read_control")
    )
    planes, others = word("W").extended(weights), word("A").extended(activations)
    within = (word("w").extended(8) * word("A").extended(8) + word("a").extended(8)).extended(control)
    half = terms.number(model.spec.control_cycles % (1 << control), control)
    expected = {
        "read_weights": word("weights") + (word("of_columns") + word("s").extended(weights)) * planes
        + word("w").extended(weights),
        "read_activations": word("activations") + (word("of_rows") + word("s").extended(activations)) * others
        + word("a").extended(activations),
        "read_control": word("control") + within
        + model.is_last("s", "S").choose(half, terms.number(0, control)),
    }  # fmt: skip
    facts = [outputs[name].same(value) for name, value in expected.items()]
    facts += [outputs["clear"].holds.same(first), outputs["last"].holds.same(model.last_cycle)]
    return all_of(outputs["issue"].holds.same(issue), model.on.implies(all_of(*facts)))


def _goes_on(model: _Model, after: _Model, found: Transition) -> Fact:
    """Operands enter, or the wait becomes shorter; when it is over they do."""
    rows = model.spec.rows
    shorter = (model.word("since") + 1).same(after.word("since"))
    over = model.word("since").same(rows)
    return all_of(any_of(found.outputs["issue"].holds, shorter), over.implies(found.outputs["issue"].holds))
