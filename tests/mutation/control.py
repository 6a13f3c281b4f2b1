"""The control: the tests of each changed module where its text is not changed, loaded as that of a mutant is.

A test that fails there, such as one that looks at how a module was loaded, would kill every mutant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siliquant.files import write_atomically
from siliquant.inputs import InputError

from .child import Child, start
from .groups import ROOT
from .operators import Mutant
from .pool import Task, run_all
from .reach import digest

__all__ = ["Control"]


class Control:
    """What failed or was skipped, by changed file and test files. out: the folder where it is kept."""

    def __init__(self, out: Path) -> None:
        self._path = out / "control.json"
        self._known: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def find(
        self, tried: Mapping[Mutant, Sequence[str]], seconds: Mapping[str, float], tree: Path, folder: Path, jobs: int
    ) -> None:
        """Runs the tests of each selection once. seconds: how long each test takes. Raises InputError where they do
        not come to an end.
        """
        wanted: dict[tuple[str, tuple[str, ...]], tuple[Mutant, set[str]]] = {}
        for mutant, tests in tried.items():
            if tests:
                wanted.setdefault((mutant.file, _files(tests)), (mutant, set()))[1].update(tests)
        missing = [
            (mutant, files, sorted(tests)) for (file, files), (mutant, tests) in wanted.items()
            if not self._holds(file, files, tests)
        ]  # fmt: skip

        def tasks() -> Iterator[Task]:
            for number, (mutant, files, tests) in enumerate(missing):

                def begin(
                    mutant: Mutant = mutant, files: Sequence[str] = files, tests: Sequence[str] = tests, n: int = number
                ) -> Child:
                    same = mutant.module, mutant.file, (ROOT / mutant.file).read_text()
                    patience = 60 + 5 * sum(seconds[test] for test in tests)
                    return start(tree, folder / f"control{n}", files, patience, only=tests, mutant=same, first=False)

                def end(
                    child: Child, mutant: Mutant = mutant, files: tuple[str, ...] = files, tests: Sequence[str] = tests
                ) -> None:
                    self._keep(child, mutant.file, files, tests)

                yield Task(f"tests of {mutant.file} as it is", begin, end)

        run_all(tasks(), len(missing), jobs)

    def without(self, file: str, tests: Sequence[str]) -> list[str]:
        """Those of a selection of tests that pass where nothing is changed."""
        bad = self._known[_key(file, _files(tests))]["bad"] if tests else ()
        return [test for test in tests if test not in bad]

    def _holds(self, file: str, files: Sequence[str], tests: set[str]) -> bool:
        known = self._known.get(_key(file, files))
        return known is not None and known["digest"] == digest([file, *files]) and tests <= set(known["tests"])

    def _keep(self, child: Child, file: str, files: Sequence[str], tests: Sequence[str]) -> None:
        answer = child.answer()
        if answer["code"] not in (0, 1):
            raise InputError(f"tests of {file} do not run as it is: {answer['failed'] or 'pytest'} {answer['why']}")
        for test in answer["bad"]:
            print(f"{test} does not pass where {file} is not changed, and does not count", flush=True)
        self._known[_key(file, files)] = {
            "digest": digest([file, *files]), "tests": tests, "bad": answer["bad"],
        }  # fmt: skip
        write_atomically(self._path, json.dumps(self._known))


def _files(tests: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({test.partition("::")[0] for test in tests}))


def _key(file: str, files: Sequence[str]) -> str:
    return json.dumps([file, *files])
