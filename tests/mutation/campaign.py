"""Draws mutants of each group, asks the tests about them, and counts those that none of the tests notices."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import run_program

from .child import Child, load_libraries, start
from .control import Control
from .groups import ROOT, asked_about
from .operators import Changes, Mutant, changes_of
from .pool import Task, run_all
from .reach import Reach, digest

__all__ = ["Outcome", "campaign", "drawn", "equivalents", "unmatched"]

EQUIVALENT = Path(__file__).with_name("equivalent.json")
_PATIENCE = 1.5  # times as long as its tests take without it, noting lines, and these seconds, may a mutant take
_LEAST = 10.0


@dataclass(frozen=True)
class Outcome:
    """A mutant and what became of it. how: "killed" by a test that failed, "late" (as good as killed: the tests do not
    end), "died" (a signal ended them: as good as left), "equivalent" or "left". by: the test that failed. tests: how
    many were tried at most.
    """

    mutant: Mutant
    how: str
    by: str
    tests: int

    def as_json(self) -> dict[str, Any]:
        """Place and change, for a record."""
        return {"place": self.mutant.place, "before": self.mutant.before, "after": self.mutant.after}


def drawn(files: Sequence[str], count: int, seed: int) -> tuple[int, list[Mutant]]:
    """At how many places something can be changed, and ``count`` mutants, one a place: of each file as many as its
    share of the places, and one at least. Seed and text decide them alone.
    """
    changes = {file: changes_of(file) for file in files}
    places = {file: len(each.places) for file, each in changes.items() if each.places}
    total = sum(places.values())
    shares = _shares(places, min(count, total))
    return total, [mutant for file, share in shares.items() for mutant in _drawn(changes[file], share, seed)]


def campaign(
    groups: Mapping[str, Sequence[str]], count: int, seed: int, jobs: int, out: Path
) -> dict[str, tuple[int, list[Outcome]]]:
    """Tries ``count`` mutants of each group of files: how many places the group has, and the outcomes. What was found
    is kept in ``out``, and used again while file and tests stay as they are.
    """
    out.mkdir(parents=True, exist_ok=True)
    every = {name: drawn(files, count, seed) for name, files in groups.items()}
    equal = equivalents()
    for line in unmatched({file for each in groups.values() for file in each}, equal):
        print(line, flush=True)
    with scratch("mutation") as folder:
        tree = _copied(folder / "tree")
        files = sorted({file for each in groups.values() for file in each})
        load_libraries({file.partition("/")[0] for file in files})
        reach = Reach(out)
        reach.find(sorted({test for file in files for test in asked_about(file)}), files, tree, folder, jobs)
        results, control = _Results(out), Control(out)
        mutants = [mutant for _, chosen in every.values() for mutant in chosen]
        asked = {mutant: reach.of(mutant.file, mutant.lines, asked_about(mutant.file)) for mutant in mutants}
        doubtful = True
        while doubtful:  # a test that does not pass where nothing is changed is left out, and the others tried
            tried = {mutant: control.without(mutant.file, tests) for mutant, tests in asked.items()}
            waiting = [mutant for mutant in mutants if results.of(mutant, tried[mutant]) is None]
            run_all(_tasks(waiting, tried, reach, results, tree, folder), len(waiting), jobs)
            doubtful = control.find(_judged(mutants, tried, results), reach.by_test(), tree, folder, jobs)
    outcomes = {}
    for name, (places, chosen) in every.items():
        outcomes[name] = places, [_outcome(mutant, tried[mutant], results, equal) for mutant in chosen]
    return outcomes


def _shares(places: Mapping[str, int], count: int) -> dict[str, int]:
    """``count`` as the sum of shares by size, of at least 1 where it is enough for that."""
    total = sum(places.values())
    exact = {file: size * count / total for file, size in places.items()}
    shares = {file: min(places[file], max(1, int(share))) for file, share in exact.items()}
    for file in sorted(exact, key=lambda file: (int(exact[file]) - exact[file], file)):
        if sum(shares.values()) < count and shares[file] < places[file]:
            shares[file] += 1
    while sum(shares.values()) > count and max(shares.values()) > 1:
        shares[max(shares, key=lambda file: (shares[file], file))] -= 1
    return shares


def _drawn(changes: Changes, count: int, seed: int) -> list[Mutant]:
    draw = random.Random(f"{seed} {changes.file}")
    numbers = [draw.choice(place) for place in draw.sample(list(changes.places), len(changes.places))]
    return [changes.mutant(number) for number in sorted(numbers[:count])]


def _copied(tree: Path) -> Path:
    """A copy of what git has or would add: what a mutant does to files is done there."""
    listed = run_program(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    if listed.returncode:
        raise InputError(f"this must be a checkout: {listed.stderr.strip()[:200]}")
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def _judged(
    mutants: Sequence[Mutant], tried: Mapping[Mutant, Sequence[str]], results: _Results
) -> dict[Mutant, Sequence[str]]:
    """The tests that say that a mutant is killed: up to the one that failed, and all where they did not end."""
    judged: dict[Mutant, Sequence[str]] = {}
    for mutant in mutants:
        tests, found = tried[mutant], results.of(mutant, tried[mutant])
        if found is not None and found["how"] in ("killed", "late"):
            judged[mutant] = tests[: _place(found["by"], tests) + 1] if found["by"] else tests
    return judged


def _place(by: str, tests: Sequence[str]) -> int:
    """Where a test is among others, or the first test of a file that could not be read; -1 where there is none."""
    return next((place for place, test in enumerate(tests) if by in (test, test.partition("::")[0])), -1)


class _Results:
    """What became of mutants: one line a mutant in a file, written as it is found."""

    def __init__(self, out: Path) -> None:
        self._path = out / "results.jsonl"
        text = self._path.read_text() if self._path.exists() else ""
        self._cut = not text.endswith("\n") and bool(text)  # by a kill
        lines = text.splitlines()
        self._known: dict[str, dict[str, Any]] = {}
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:  # of a run that was killed while it wrote
                continue
            if found["how"] != "died" and (found["how"] != "killed" or found["by"]):  # what died is tried again
                self._known[found["key"]] = found

    def of(self, mutant: Mutant, tests: Sequence[str]) -> dict[str, Any] | None:
        """A mutant that was killed stays so while the test that failed does, and is asked; another one while all tests
        do.
        """
        found = self._known.get(self._key(mutant))
        if found is None or (found["by"] and _place(found["by"], tests) < 0):
            return None
        asked = [found["by"]] if found["by"] else tests
        return found if found["tests"] == self._digest(asked) else None

    def keep(self, mutant: Mutant, tests: Sequence[str], how: str, by: str) -> None:
        """Notes an outcome."""
        key = self._key(mutant)
        asked = [by] if by else tests
        self._known[key] = {"key": key, "place": mutant.place, "how": how, "by": by, "tests": self._digest(asked)}
        with self._path.open("a") as stream:
            stream.write("\n" * self._cut + json.dumps(self._known[key]) + "\n")
        self._cut = False

    @staticmethod
    def _key(mutant: Mutant) -> str:
        return json.dumps([mutant.place, mutant.number, mutant.before, mutant.after, digest([mutant.file])])

    @staticmethod
    def _digest(tests: Sequence[str]) -> str:
        files = sorted({test.partition("::")[0] for test in tests})
        texts = digest([file for file in files if (ROOT / file).exists()])
        return hashlib.sha256(json.dumps([texts, *tests]).encode()).hexdigest()


def _tasks(
    mutants: Sequence[Mutant],
    tried: Mapping[Mutant, Sequence[str]],
    reach: Reach,
    results: _Results,
    tree: Path,
    folder: Path,
) -> Iterator[Task]:
    for number, mutant in enumerate(mutants):
        tests = tried[mutant]
        if not tests:
            results.keep(mutant, (), "left", "")
            continue

        def begin(mutant: Mutant = mutant, number: int = number, tests: Sequence[str] = tests) -> Child:
            files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
            seconds = _LEAST + _PATIENCE * reach.seconds(tests)
            changed = (mutant.module, mutant.file, mutant.source)
            return start(tree, folder / f"mutant{number}", files, seconds, only=tests, mutant=changed)

        def end(child: Child, mutant: Mutant = mutant, tests: Sequence[str] = tests) -> None:
            answer = child.answer()
            if answer["code"] in (3, 4):
                raise InputError(f"{mutant.place}: pytest does not run: {answer['why']}")
            if answer["code"] in (1, 2) and not answer["failed"]:
                raise InputError(f"{mutant.place}: pytest ended with {answer['code']}, and no test failed")
            left = answer["code"] in (0, 5)
            how = "left" if left else "late" if child.late else "died" if answer["code"] is None else "killed"
            results.keep(mutant, tests, how, answer["failed"])

        yield Task(mutant.place, begin, end)


def _outcome(
    mutant: Mutant, tests: Sequence[str], results: _Results, equal: Mapping[tuple[str, str, str], str]
) -> Outcome:
    found = results.of(mutant, tests)
    assert found is not None
    reason = equal.get((mutant.file, mutant.before, mutant.after))
    if reason is not None and found["how"] != "left":
        raise InputError(f"{EQUIVALENT.name} says of {mutant.place} that nothing changes, but {found['by']} fails")
    return Outcome(mutant, "equivalent" if reason else found["how"], found["by"], len(tests))


def equivalents() -> dict[tuple[str, str, str], str]:
    """Why nothing changes, by file, lines before and lines after."""
    return {(each["file"], each["before"], each["after"]): each["why"] for each in json.loads(EQUIVALENT.read_text())}


def unmatched(files: Iterable[str], equal: Collection[tuple[str, str, str]]) -> list[str]:
    """A line for each change of these files that is said to change nothing, and that there is not."""
    changes = {file: changes_of(file) for file in {name for name, _, _ in equal} & set(files)}
    return [
        f"{EQUIVALENT.name}: {file} has no change of {before!r} to {after!r}"
        for file, before, after in equal
        if file in changes and not changes[file].has(before, after)
    ]
