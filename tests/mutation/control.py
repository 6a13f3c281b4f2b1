"""The control: the tests that killed a mutant, and those before them, where the text is not changed, loaded as a
mutant's is.

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
    """What failed or was skipped, by changed file and the tests that were run. out: the folder where it is kept."""

    def __init__(self, out: Path) -> None:
        self._path = out / "controls.json"
        self._known: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def find(
        self, judged: Mapping[Mutant, Sequence[str]], seconds: Mapping[str, float], tree: Path, folder: Path, jobs: int
    ) -> bool:
        """Runs the tests that judge each mutant, in their order, on its file as it is: each selection once. Whether
        some do not pass. seconds: how long each test takes. Raises InputError where they do not come to an end.
        """
        every = {(mutant.file, tuple(tests)): mutant for mutant, tests in judged.items()}
        missing = [(mutant, tests) for (file, tests), mutant in every.items() if not self._holds(file, tests)]

        def tasks() -> Iterator[Task]:
            for number, (mutant, tests) in enumerate(missing):

                def begin(mutant: Mutant = mutant, tests: Sequence[str] = tests, number: int = number) -> Child:
                    same = mutant.module, mutant.file, (ROOT / mutant.file).read_text()
                    patience = 60 + 5 * sum(seconds[test] for test in tests)
                    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
                    return start(
                        tree, folder / f"control{number}", files, patience, only=tests, mutant=same, first=False
                    )

                def end(child: Child, mutant: Mutant = mutant, tests: Sequence[str] = tests) -> None:
                    self._keep(child, mutant.file, tests)

                yield Task(f"tests of {mutant.file} as it is", begin, end)

        run_all(tasks(), len(missing), jobs)
        return any(self._known[_key(mutant.file, tests)]["bad"] for mutant, tests in missing)

    def without(self, file: str, tests: Sequence[str]) -> list[str]:
        """Those of some tests of which it is not known that they do not pass where the file is not changed."""
        known = (each for each in self._known.values() if each["file"] == file)
        bad = {test for each in known if each["digest"] == _digest(file, each["tests"]) for test in each["bad"]}
        return [test for test in tests if test not in bad]

    def _holds(self, file: str, tests: Sequence[str]) -> bool:
        known = self._known.get(_key(file, tests))
        return known is not None and known["digest"] == _digest(file, tests)

    def _keep(self, child: Child, file: str, tests: Sequence[str]) -> None:
        answer = child.answer()
        if answer["code"] not in (0, 1):
            raise InputError(f"tests of {file} do not run as it is: {answer['failed'] or 'pytest'} {answer['why']}")
        for test in answer["bad"]:
            print(f"{test} does not pass where {file} is not changed, and does not count", flush=True)
        self._known[_key(file, tests)] = {
            "file": file, "digest": _digest(file, tests), "tests": list(tests), "bad": answer["bad"],
        }  # fmt: skip
        write_atomically(self._path, json.dumps(self._known))


def _digest(file: str, tests: Sequence[str]) -> str:
    """Of the texts of the file and of the tests, as far as they are there."""
    names = sorted({file, *(test.partition("::")[0] for test in tests)})
    return digest([name for name in names if (ROOT / name).exists()])


def _key(file: str, tests: Sequence[str]) -> str:
    return json.dumps([file, *tests])
