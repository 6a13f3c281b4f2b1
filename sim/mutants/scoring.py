"""The score of a module: of its mutants that can be seen, how many the tests find."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from rtl.array import ArraySpec
from rtl.verilog import to_verilog
from sim.controllers import prove_array

from .deciding import check_assumed, check_granted, decide, with_assumptions
from .running import play
from .standard import Subject
from .stimuli import stimulus_of

__all__ = ["MutantScore", "Survivor", "score_mutants"]

_FIELDS = re.compile(r"-(mode|wire|wirebit|cell|port|portbit) (\S+)")


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test finds. place: the change in words. answer: as of :func:`sim.mutants.deciding.decide`."""

    place: str
    answer: str


@dataclass(frozen=True)
class MutantScore:
    """kind: the design, or the part of an array. mutants: made. killed: found by a sequence. refused: by the
    proof of a controller alone. equal: cannot be seen. survivors: the others. cycles: of the stimulus.
    """

    name: str
    kind: str
    mutants: int
    killed: int
    refused: int
    equal: int
    survivors: tuple[Survivor, ...]
    cycles: int
    seconds: float

    @property
    def score(self) -> float:
        """Killed or refused, of those that may be seen."""
        seen = self.mutants - self.equal
        return (self.killed + self.refused) / seen if seen else 1.0


def score_mutants(subject: Subject, count: int = 200, seed: int = 1) -> MutantScore:
    """Makes ``count`` mutants of the Verilog of ``subject``, plays the sequences of its tests on each, and has a solver
    look at those that live. Raises ToolError where a tool fails, ProofError for an array
    of which what is taken for granted does not hold.
    """
    start = time.perf_counter()
    spec, part = subject.spec, subject.part
    verilog, stimulus = with_assumptions(spec, to_verilog([spec])), stimulus_of(spec)
    check_assumed(spec, stimulus)
    played = play(verilog, spec.name, stimulus, seed=seed, count=count, part=part)
    living = [each.change for each in played if each.cycle is None]
    if living and isinstance(spec, ArraySpec) and not part:
        prove_array(spec)  # what is then taken for granted of its controllers, and of a run
        check_granted(spec, verilog)
    answers = [(change, decide(spec, verilog, change, part)) for change in living]
    equal, refused = (sum(answer == known for _, answer in answers) for known in ("equal", "refused"))
    left = [(change, answer) for change, answer in answers if answer not in ("equal", "refused")]
    survivors = tuple(Survivor(_place(change, verilog), answer) for change, answer in left)
    seconds = round(time.perf_counter() - start, 1)
    killed = len(played) - len(living)
    return MutantScore(
        subject.name, subject.kind, len(played), killed, refused, equal, survivors, len(stimulus.cycles), seconds
    )  # fmt: skip


def _place(change: str, verilog: str) -> str:
    """A change in words: how, of which signal or pin, and the line of the text where that is.

    >>> _place(r"mutate -mode inv -cell $x -port Y -wire \\cpa -wirebit 3 -src design.v:2.1-2.9", "\\n  wire x;")
    'inv of cpa[3]: wire x;'
    """
    found = dict(_FIELDS.findall(change))
    signal = f"{found['wire'].lstrip(chr(92))}[{found.get('wirebit', '0')}]" if "wire" in found else found.get("port")
    line = re.search(r"-src design\.v:(\d+)", change)
    text = "" if line is None else f": {verilog.splitlines()[int(line[1]) - 1].strip()[:80]}"
    return f"{found.get('mode')} of {signal}{text}"
