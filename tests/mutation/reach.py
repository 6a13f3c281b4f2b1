"""Which tests reach which lines, and how long each takes: found once a test file, and kept while it and they stay."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siliquant.files import write_atomically
from siliquant.inputs import InputError

from .child import NOTED_SECONDS, Child, start
from .groups import GROUPS, ROOT, group_files
from .pool import Task, run_all

__all__ = ["Reach", "digest"]

_SECONDS = 5 * NOTED_SECONDS  # of processor time for one test file
_BUDGET = 20.0  # seconds of tests that are tried on one mutant


def digest(files: Sequence[str]) -> str:
    """The hash of some files' texts."""
    return hashlib.sha256(json.dumps([(ROOT / file).read_text() for file in files]).encode()).hexdigest()


class Reach:
    """What is known of tests. out: the folder where it is kept."""

    def __init__(self, out: Path) -> None:
        self._path = out / "reach.json"
        self._known: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def find(self, tests: Sequence[str], files: Sequence[str], tree: Path, folder: Path, jobs: int) -> None:
        """Runs those test files that are new or changed, or that reached a file that has changed since."""
        noted = sorted({*files, *_every()})
        missing = [test for test in tests if not self._holds(test, files)]

        def tasks() -> Iterator[Task]:
            for number, file in enumerate(missing):

                def begin(file: str = file, number: int = number) -> Child:
                    return start(tree, folder / f"reach{number}", [file], _SECONDS, noted=noted)

                def end(child: Child, file: str = file) -> None:
                    self._keep(file, child, noted)

                yield Task(f"lines that {file} reaches", begin, end)

        run_all(tasks(), len(missing), jobs)

    def of(self, file: str, lines: tuple[int, int], tests: Sequence[str]) -> list[str]:
        """The tests to try on a change of these lines: those that reach one of them, then those that reach the file, as
        what a function returned may be kept for others; the nearest first, of those the fastest, up to the budget.
        """
        here: dict[str, float] = {}
        elsewhere: dict[str, float] = {}
        reached = False
        for test in tests:
            seconds, by_line = self._known[test]["seconds"], self._known[test]["lines"].get(file, {})
            within = [names for line, names in by_line.items() if lines[0] <= int(line) <= lines[1]]
            reached = reached or bool(within)
            here |= {name: seconds[name] for names in within for name in names if name}
            # One that is run while tests are collected is reached by none of them.
            elsewhere |= seconds if by_line else {}
        if not reached:
            return []
        chosen, spent = [], 0.0
        for name in sorted(elsewhere, key=lambda name: (name not in here, -_near(file, name), elsewhere[name], name)):
            spent += elsewhere[name]
            if spent > _BUDGET and chosen:
                break
            chosen.append(name)
        return chosen

    def seconds(self, names: Sequence[str]) -> float:
        """How long these tests take."""
        return float(sum(self._known[name.partition("::")[0]]["seconds"][name] for name in names))

    def by_test(self) -> dict[str, float]:
        """How long each test takes."""
        return {name: spent for known in self._known.values() for name, spent in known["seconds"].items()}

    def _holds(self, file: str, files: Sequence[str]) -> bool:
        known = self._known.get(file)
        if (
            known is None
            or known["digest"] != digest(_with_settings(file))
            or not set(files) <= set(known.get("noted", ()))
        ):
            return False
        return all((ROOT / name).exists() and digest([name]) == sha for name, sha in known["sources"].items())

    def _keep(self, file: str, child: Child, noted: Sequence[str]) -> None:
        answer = child.answer()
        died = answer["code"] is None
        if answer["code"] not in (0, 2, 5):
            print(f"{file}: {answer['failed'] or 'pytest'} {answer['why']}; its other tests count", flush=True)
        lines: Mapping[str, Any] = answer.get("lines", {})
        self._known[file] = {
            "digest": None if died else digest(_with_settings(file)),  # what it reaches is not known
            "noted": noted,
            "sources": {name: digest([name]) for name in lines},
            "seconds": answer.get("seconds", {}),
            "lines": lines,
        }
        kept = {name: known for name, known in self._known.items() if known["digest"] is not None}
        write_atomically(self._path, json.dumps(kept))


def _every() -> list[str]:
    """The files of all groups, so that what is found for one serves the others; none in a project that is another."""
    with contextlib.suppress(InputError):
        return [file for group in GROUPS for file in group_files(group)]
    return []


def _near(file: str, test: str) -> int:
    """How many folders a file and a test share, and its name: tests/a/b/test_c.py is that of a/b/c.py."""
    one, other = file.split("/"), test.partition("::")[0].removeprefix("tests/").split("/")
    same = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 9)
    return same + ("test_" + one[-1] == other[-1])


def _with_settings(file: str) -> list[str]:
    """A test file and what is beside it or above it that is no test file."""
    folders = [folder for folder in (ROOT / file).parents if folder.is_relative_to(ROOT / "tests")]
    beside = (path for folder in folders for path in sorted(folder.glob("*.py")) if not path.name.startswith("test_"))
    return [file, *(str(path.relative_to(ROOT)) for path in beside)]
