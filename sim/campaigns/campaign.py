"""Cases for so many minutes or so many of them; a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from random import Random
from typing import Any

from rtl.array import ArraySpec
from rtl.requant import LoadableSpec
from siliquant.files import code_sha256, raise_if_full, write_atomically
from siliquant.inputs import InputError, InputTypeError, ToolError, counted, read_text
from siliquant.processes import EndedBySignalError, Outcome, WorkerLost, local
from sim.fuzzing import ENGINES, MOST_BYTES, Case, Fault, Subject, case_from_text, minimised, run_case

from .drawing import draw_case
from .state import MOST_CASES, Campaign, Piece
from .values import Value, values_of

__all__ = ["EVERY", "engines_of", "fuzz", "summary"]

EVERY: Mapping[tuple[str, str], tuple[int, int]] = {
    ("mac", "netlist"): (6, 2),
    ("mac", "verilator"): (24, 12),
    ("requantiser", "netlist"): (6, 2),
    ("requantiser", "verilator"): (24, 12),
    ("array", "netlist"): (24, 5),
    ("array", "verilator"): (24, 17),
}
"""Engines that take longer to build for than to run: they take the cases of a kind whose number, divided by the first
of these, leaves the second. All others take every case."""
_MOST_PRODUCTS = 48  # a cycle, of arrays that are built so: of larger ones that takes minutes
_MOST_PARAMETERS = 2048  # bits that a unit holds: a netlist of one with 18,000 did not end in ten minutes of Icarus
_CASES_A_WORKER = 200  # then a new one: what tools and libraries leave in memory goes with the old one


@dataclass(frozen=True)
class _Result:
    """What became of a case: ``case`` as small as it fails, where it does."""

    kind: str
    engines: tuple[str, ...]
    values: list[Value]
    compared: Mapping[str, int]
    case: Case | None = None
    fault: Fault | None = None


_KILLED = (ToolError.__name__, EndedBySignalError.__name__)
"""Kinds of faults with which an engine may end whose tool, or what that had started, was killed from outside."""


def engines_of(case: Case, place: int) -> tuple[str, ...]:
    """Those that run the case of this number."""
    kind, spec = case.kind, case.spec
    found = []
    for engine in ENGINES[kind]:
        every, rest = EVERY.get((kind, engine), (1, 0))
        if place % every == rest and (every == 1 or _is_small(spec)):
            found.append(engine)
    return tuple(found)


def _is_small(spec: Subject) -> bool:
    if isinstance(spec, ArraySpec):
        return spec.macs_per_cycle <= _MOST_PRODUCTS
    return not isinstance(spec, LoadableSpec) or spec.groups * spec.parameter_width <= _MOST_PARAMETERS


def _one(seed: int, kinds: tuple[str, ...], place: int) -> _Result:
    """Draws and runs the case of a number."""
    case = draw_case(Random(f"{seed} {place}"), kinds)
    engines = engines_of(case, place)
    values, compared = values_of(case), Counter[str]()
    for engine in engines:
        try:
            fault = run_case(case, engine, compared)
            if fault is not None and fault.kind in _KILLED:
                fault = run_case(case, engine, compared)
        except (InputError, InputTypeError) as error:  # what is drawn must be a case
            raise_if_full(error)
            return _Result(case.kind, engines, values, compared, case, Fault(engine, str(error), "refused"))
        if fault is not None:
            return _Result(
                case.kind, engines, values, compared, *minimised(case, fault, partial(run_case, engine=engine))
            )
    return _Result(case.kind, engines, values, compared)


def fuzz(
    campaign: Campaign,
    seconds: float,
    jobs: int,
    folder: Path,
    news: Callable[[str], None] = lambda text: None,
    *,
    cases: int = MOST_CASES,
) -> None:
    """Cases until the campaign has run for ``seconds``, its earlier pieces counted, or until those below the number
    ``cases`` have run; after each it is saved. Those that run when the time is over are stopped, and begun anew when it
    goes on.

    A case that ends every process that it is given to (by a fault of a library, or for want of memory) is one that
    fails. Cases that failed are run again first: those that do not any more are mended.
    """
    _try_again(campaign, jobs, folder)
    root = Path(__file__).parents[2]
    code = code_sha256(file for package in ("qat", "rtl", "sim") for file in sorted((root / package).rglob("*.py")))
    piece = campaign.pieces.setdefault(code, Piece())
    earlier, begun = piece.seconds, time.monotonic()
    until = begun + seconds - campaign.seconds
    run = local(jobs, lambda place: f"case {place} of seed {campaign.seed}", until=until)
    while time.monotonic() < until and (campaign.open or campaign.next < cases):
        in_time = takewhile(lambda _: time.monotonic() < until, _places(campaign, cases))
        with closing(
            run(partial(_one, campaign.seed, campaign.kinds), islice(in_time, _CASES_A_WORKER * jobs))
        ) as all_of:
            for each in all_of:
                _add(campaign, folder, each)
                piece.cases += 1
                piece.seconds = earlier + time.monotonic() - begun
                campaign.save(folder)
                fail = counted(len(campaign.failing), "of them fails", "of them fail")
                news(f"{counted(campaign.tally.cases.total(), 'case')}, {fail}")
    piece.seconds = earlier + time.monotonic() - begun
    campaign.save(folder)


def _try_again(campaign: Campaign, jobs: int, folder: Path) -> None:
    """Runs the files of cases that failed on all engines of their kinds."""
    run = local(jobs, lambda name: f"case of {name}")
    for each in run(partial(_passes, folder), tuple(campaign.failing)):
        if each.error is None and each.result:
            campaign.failing.remove(each.item)
            campaign.mended.append(each.item)
            campaign.save(folder)


def _passes(folder: Path, name: str) -> bool:
    case = case_from_text(read_text(folder / name, MOST_BYTES))
    return all(run_case(case, engine) is None for engine in ENGINES[case.kind])


def _places(campaign: Campaign, cases: int) -> Iterator[int]:
    """Numbers of cases: those that an earlier process began first."""
    yield from sorted(campaign.open)
    while campaign.next < cases:
        campaign.open.add(campaign.next)
        campaign.next += 1
        yield campaign.next - 1


def _add(campaign: Campaign, folder: Path, each: Outcome[int, _Result]) -> None:
    """Counts a case. Raises the error of one that is not its own, as of a full disk."""
    place, found = each.item, each.result
    if isinstance(each.error, WorkerLost):
        drawn = draw_case(Random(f"{campaign.seed} {place}"), campaign.kinds)
        fault = Fault("", "it ends its process", "crash")
        found = _Result(drawn.kind, (), values_of(drawn), {}, drawn, fault)
    elif each.error is not None:
        raise each.error
    assert found is not None
    campaign.open.discard(place)
    campaign.tally.add(found.kind, found.engines, found.values, found.compared)
    if found.fault is not None and found.case is not None:
        campaign.failing.append(_written(folder, found.case, found.fault, campaign.seed, place))


def _written(folder: Path, case: Case, fault: Fault, seed: int, place: int) -> str:
    """The name of the file of a case that fails; one line on stderr says what it is."""
    text = case.text(found_by=f"seed {seed}, case {place}", engine=fault.engine, fault=fault.sentence)
    path = folder / f"{case.design}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_atomically(path, text)
    print(f"{path}: {case.spec.name}, {fault.engine}: {fault.sentence}", file=sys.stderr)
    return path.name


def summary(campaign: Campaign, *, timed: bool = True) -> dict[str, Any]:
    """What ran, as JSON types, for a record: minutes, cases by engine, what was compared, and what was drawn.
    ``timed``: with what is another one each time: minutes, and by how many codes.
    """
    times = {"minutes": round(campaign.seconds / 60, 1), "codes": len(campaign.pieces)} if timed else {}
    fail = {"failing": len(campaign.failing), "mended": len(campaign.mended)}
    return {"seed": campaign.seed, **fail, **times, **campaign.tally.plain()}
