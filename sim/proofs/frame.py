"""The frame of registers around a datapath accumulates, whatever the datapath computes: a proof by induction.

The frame is that of :mod:`sim.proofs.netlist`, for S pipeline stages. Its logic is symbolic: functions of which nothing
is known cut the datapath into stages, but for one thing: what a step with ``clear`` makes of
the sum does not depend on the sum before. It is compared with this model, whose operands are delayed and
nothing else:

    if rst:                 valid = [0, ..., 0]; a new sum must be begun
    else:                   valid = [in_valid, *valid[:-1]]
    operands              = [the operand ports, *operands[:-1]]
    if valid[S]:            sum = step(operands[S], sum)
                            shown = what of operands[S] decides how the sum is shown
    out_valid             = valid[S + 1]
    accumulator           = show(shown, sum)

The operand ports stand for all that the first stage works on. In a requantiser that is the parameter sets, too, as they
are when an accumulator has entered: they are loaded at any time, and do not wait in registers. A requantiser begins a
sum with every accumulator. In a unit of partial sums ``first`` is ``clear``, and ``out_valid`` says which sum is whole:

    last                  = [the port last, *last[:-1]]
    out_valid             = valid[S + 1] and last[S + 1]

Its frame has no valid bit S + 1, but bits of its own, which begin with ``in_valid`` and ``last``, and 0 after a reset.

Both take the same inputs: resets at any time, cycles without operands, and any operands, but that the first ones after
a reset have ``clear``. Shown is that ``out_valid`` is always equal and ``accumulator`` wherever it is 1. So the frame
never loses, doubles or reorders operands, and holds its sum while there are none.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitwuzla import Bitwuzla, Kind, Result, Sort, Term, TermManager

from .polynomials import ProofError

__all__ = ["FrameProof", "prove_frame"]


@dataclass(frozen=True)
class FrameProof:
    """What was shown. stages: of the pipeline. partial: of a unit of partial sums. steps: of the argument. seconds:
    taken.
    """

    stages: int
    partial: bool
    steps: tuple[str, ...]
    seconds: float


def prove_frame(stages: int, *, partial: bool = False) -> FrameProof:
    """Proves the frame with so many pipeline stages; partial: that of a unit of partial sums.

    Raises ProofError with the step that does not hold.
    """
    start = time.perf_counter()
    frame = _Frame(stages, partial=partial)
    now, inputs = frame.state(), frame.inputs()
    after = frame.after(now, inputs)
    steps = {
        "after a reset the invariant holds, whatever was before": ([inputs["rst"]], frame.invariant(after)),
        "the invariant is kept": ([frame.invariant(now), frame.allowed(now, inputs)], frame.invariant(after)),
        "where it holds, the outputs are those of the model": ([frame.invariant(now)], frame.agrees(now)),
    }
    for name, (assumed, wanted) in steps.items():
        if not frame.follows(assumed, wanted):
            raise ProofError(f"the frame with {stages} pipeline stages: this does not hold: {name}")
    return FrameProof(stages, partial, tuple(steps), time.perf_counter() - start)


_BITS = 16
"""Of what registers hold. Terms are only compared and given to unknown functions, so what does not hold for words of
any width fails with as many different values as there are terms, which are far fewer than 2**16.
"""
State = Mapping[str, Any]
"""Terms by name. Those of the model begin with model_."""


class _Frame:
    """The frame and its model as terms of a solver."""

    def __init__(self, stages: int, *, partial: bool) -> None:
        self._terms = TermManager()
        self._bit = self._terms.mk_bool_sort()
        self._stages, self._partial = stages, partial
        # What the registers of each stage hold, but for clear.
        word = self._terms.mk_bv_sort(_BITS)
        self._held = [word] * (stages + 1)
        self._sum = self._shown = self._port = word
        self._cross = [
            self._function(f"cross{stage}", [self._held[stage], self._bit], self._held[stage + 1])
            for stage in range(stages)
        ]
        self._enter = self._function("enter", [word, word], word)  # what the first stage reads: operands and set
        self._begin = self._function("begin", [self._held[-1]], self._sum)
        self._add = self._function("add", [self._held[-1], self._sum], self._sum)
        self._decide = self._function("decide", [self._held[-1]], self._shown)
        self._show = self._function("show", [self._shown, self._sum], self._port)

    def state(self) -> State:
        """Any state of the frame and of its model."""
        stages, valids = range(self._stages + 1), range(self._stages + 2)
        return {
            "valid": [self._any(f"valid{k}", self._bit) for k in (stages if self._partial else valids)],
            "last": [self._any(f"last{k}", self._bit) for k in (valids if self._partial else ())],
            "held": [self._any(f"held{k}", self._held[k]) for k in stages],
            "clear": [self._any(f"clear{k}", self._bit) for k in stages],
            "sum": self._any("sum", self._sum),
            "shown": self._any("shown", self._shown),
            "loaded": self._any("loaded", self._held[0]),
            "model_valid": [self._any(f"model_valid{k}", self._bit) for k in valids],
            "model_last": [self._any(f"model_last{k}", self._bit) for k in valids],
            "model_operands": [self._any(f"model_operands{k}", self._held[0]) for k in stages],
            "model_clear": [self._any(f"model_clear{k}", self._bit) for k in stages],
            "model_sum": self._any("model_sum", self._sum),
            "model_shown": self._any("model_shown", self._shown),
            # Whether a sum has been begun since the last reset, and whether operands have come since.
            "model_begun": self._any("model_begun", self._bit),
            "model_entered": self._any("model_entered", self._bit),
        }

    def inputs(self) -> State:
        """Any inputs of a cycle."""
        bits, words = ("rst", "in_valid", "clear", "last", "load"), ("operands", "parameters")
        return {name: self._any(f"in_{name}", self._bit) for name in bits} | {
            name: self._any(f"in_{name}", self._held[0]) for name in words
        }

    def after(self, now: State, inputs: State) -> State:
        """The state after the next edge of the clock."""
        end = self._stages
        valid, held, clear = now["valid"], now["held"], now["clear"]
        rst, entering = inputs["rst"], inputs["in_valid"]
        loaded = self._if(inputs["load"], inputs["parameters"], now["loaded"])
        entered = self._call(self._enter, inputs["operands"], loaded)
        operands, clears = [entered, *now["model_operands"]], [inputs["clear"], *now["model_clear"]]
        content = self._content(now)
        crossed = [self._call(self._cross[k], content[k], clear[k]) for k in range(end)]
        due, clears_last = now["model_valid"][end], now["model_clear"][end]
        last = self._through(now["model_operands"][end], clears_last, end)
        ends = [self._and(entering, inputs["last"]), *now["last"][:-1]] if self._partial else []
        return {
            "valid": [self._if(rst, self._false, each) for each in [entering, *valid[:-1]]],
            "last": [self._if(rst, self._false, each) for each in ends],
            "held": [
                self._if(entering, inputs["operands"], held[0]),
                *(self._if(valid[k], crossed[k], held[k + 1]) for k in range(end)),
            ],
            "clear": [
                self._if(entering, inputs["clear"], clear[0]),
                *(self._if(valid[k], clear[k], clear[k + 1]) for k in range(end)),
            ],
            "sum": self._if(valid[end], self._stepped(content[end], clear[end], now["sum"]), now["sum"]),
            "shown": self._if(valid[end], self._call(self._decide, content[end]), now["shown"]),
            "loaded": loaded,
            "model_valid": [self._if(rst, self._false, each) for each in [entering, *now["model_valid"][:-1]]],
            "model_last": [inputs["last"], *now["model_last"][:-1]],
            "model_operands": operands[:-1],
            "model_clear": clears[:-1],
            "model_sum": self._if(due, self._stepped(last, clears_last, now["model_sum"]), now["model_sum"]),
            "model_shown": self._if(due, self._call(self._decide, last), now["model_shown"]),
            "model_begun": self._and(self._not(rst), self._or(now["model_begun"], due)),
            "model_entered": self._and(self._not(rst), self._or(now["model_entered"], entering)),
        }

    def allowed(self, now: State, inputs: State) -> Term:
        """The first operands after a reset have clear."""
        first = self._and(inputs["in_valid"], self._not(now["model_entered"]))
        return self._implies(first, inputs["clear"])

    def invariant(self, at: State) -> Term:
        """What ties the registers of the frame to the model."""
        end = self._stages
        waiting = at["model_valid"][: end + 1]
        valid, last = at["model_valid"], at["model_last"]
        found = [self._same(one, other) for one, other in zip(at["valid"], valid, strict=not self._partial)]
        if self._partial:
            wholes = [self._and(one, other) for one, other in zip(valid, last, strict=True)]
            found += [self._same(one, other) for one, other in zip(at["last"], wholes, strict=True)]
        for k in range(end + 1):
            operands, clear = at["model_operands"][k], at["model_clear"][k]
            reached = self._same(self._content(at)[k], self._through(operands, clear, k))
            found.append(self._implies(at["valid"][k], reached))
            found.append(self._implies(at["valid"][k], self._same(at["clear"][k], clear)))
            # The oldest operands since a reset begin a sum.
            oldest = self._and(waiting[k], self._not(at["model_begun"]), *map(self._not, waiting[k + 1 :]))
            found.append(self._implies(oldest, clear))
        equal = self._and(self._same(at["sum"], at["model_sum"]), self._same(at["shown"], at["model_shown"]))
        found.append(self._implies(at["model_begun"], equal))
        found.append(self._implies(at["model_valid"][-1], at["model_begun"]))
        found.append(self._same(at["model_entered"], self._or(at["model_begun"], *waiting)))
        return self._and(*found)

    def agrees(self, at: State) -> Term:
        """Whether the ports are those of the model."""
        port = self._call(self._show, at["shown"], at["sum"])
        wanted = self._call(self._show, at["model_shown"], at["model_sum"])
        due, last = at["model_valid"][-1], at["model_last"][-1]
        pair = (at["last"][-1], self._and(due, last)) if self._partial else (at["valid"][-1], due)
        return self._and(self._same(*pair), self._implies(due, self._same(port, wanted)))

    def follows(self, assumed: Sequence[Term], wanted: Term) -> bool:
        """Whether there is no case in which all that is assumed holds and ``wanted`` does not."""
        solver = Bitwuzla(self._terms)
        for each in assumed:
            solver.assert_formula(each)
        solver.assert_formula(self._not(wanted))
        return bool(solver.check_sat() == Result.UNSAT)

    def _content(self, at: State) -> list[Term]:
        """What each stage works on: the first on the operands and on what is loaded."""
        return [self._call(self._enter, at["held"][0], at["loaded"]), *at["held"][1:]]

    def _through(self, operands: Term, clear: Term, stage: int) -> Term:
        """What operands have become when they are in a stage."""
        for cross in self._cross[:stage]:
            operands = self._call(cross, operands, clear)
        return operands

    def _stepped(self, held: Term, clear: Term, total: Term) -> Term:
        return self._if(clear, self._call(self._begin, held), self._call(self._add, held, total))

    @property
    def _false(self) -> Term:
        return self._terms.mk_false()

    def _any(self, name: str, sort: Sort) -> Term:
        return self._terms.mk_const(sort, name)

    def _function(self, name: str, domain: Sequence[Sort], value: Sort) -> Term:
        return self._any(name, self._terms.mk_fun_sort(list(domain), value))

    def _call(self, function: Term, *values: Term) -> Term:
        return self._terms.mk_term(Kind.APPLY, [function, *values])

    def _if(self, condition: Term, one: Term, other: Term) -> Term:
        return self._terms.mk_term(Kind.ITE, [condition, one, other])

    def _same(self, one: Term, other: Term) -> Term:
        return self._terms.mk_term(Kind.EQUAL, [one, other])

    def _implies(self, one: Term, other: Term) -> Term:
        return self._terms.mk_term(Kind.IMPLIES, [one, other])

    def _not(self, one: Term) -> Term:
        return self._terms.mk_term(Kind.NOT, [one])

    def _and(self, *those: Term) -> Term:
        return self._terms.mk_term(Kind.AND, list(those)) if len(those) > 1 else those[0]

    def _or(self, *those: Term) -> Term:
        return self._terms.mk_term(Kind.OR, list(those)) if len(those) > 1 else those[0]
