"""Some tests in a child process, with a module changed or with the lines noted that each of them reaches.

The parent has loaded the libraries that take long, and nothing that is changed; a child is forked from it, so that
most mutants take little longer than the test that finds them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import resource
import runpy
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import coverage
import pytest
from hypothesis import Phase, settings

from siliquant.inputs import InputError
from siliquant.processes import end_with_parent

__all__ = ["NOTED_SECONDS", "Child", "load_libraries", "start"]

_OURS = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports", "docs_tools", "tests")
_LIBRARIES = MappingProxyType(
    {
        "rtl": ("numpy", "amaranth.hdl"),
        "hwmodel": ("numpy", "pandas", "scipy.optimize", "matplotlib.pyplot", "rich.console"),
        "qat": ("numpy", "torch", "transformers", "rich.console"),
    }
)
_PROFILE = "mutation"
NOTED_SECONDS = 90.0
"""Of processor time, for the lines that the tests of one file reach: of a file that takes longer, some tests count."""
_SHARE = 2  # of the memory of the machine, so much as address space may a child add: one part in this


def load_libraries(packages: Iterable[str]) -> None:
    """Loads what these packages of ours use, and nothing of ours."""
    for package in packages:
        for name in _LIBRARIES.get(package, ()):
            importlib.import_module(name)
    # Found is found: a smaller example takes time, and one that is kept would be tried on the next mutant.
    settings.register_profile(_PROFILE, deadline=None, database=None, phases=(Phase.explicit, Phase.generate))
    gc.freeze()  # pytest collects garbage after each test: not through all of the libraries


@dataclass
class Child:
    """A process that runs tests. It is one of a group of its own, and its folder is its own."""

    process: int
    folder: Path
    until: float
    """On the clock time.monotonic."""
    ended: int | None = None
    late: bool = False

    def poll(self) -> bool:
        """Whether it has ended; one that is late is ended."""
        process, status = os.waitpid(self.process, os.WNOHANG)
        if process == 0 and time.monotonic() > self.until:
            self.late = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process, signal.SIGKILL)
            process, status = os.waitpid(self.process, 0)
        if process == 0:
            return False
        self.ended = os.waitstatus_to_exitcode(status)
        self.late = self.late or self.ended == -signal.SIGXCPU
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)  # what it started
        return True

    def answer(self) -> dict[str, Any]:
        """What it found, and nothing more is there afterwards. ``code``: pytest's, None where a signal ended it.
        ``bad``: the tests that failed or were skipped. Raises InputError where it ended by itself without an answer,
        which is no matter of tests.
        """
        try:
            found: dict[str, Any] = json.loads((self.folder / "answer.json").read_text())
        except FileNotFoundError:
            if self.ended is None or self.ended >= 0:
                said = (self.folder / "said.txt").read_text(errors="replace") if self.ended == 1 else ""
                last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
                raise InputError(f"tests ended with {self.ended} and no answer: {last[-200:]}") from None
            found = {"code": None, "failed": "", "why": f"was ended by signal {-self.ended}", "bad": []}
        shutil.rmtree(self.folder, ignore_errors=True)
        return found


def start(
    tree: Path,
    folder: Path,
    files: Sequence[str],
    seconds: float,
    *,
    only: Sequence[str] | None = None,
    mutant: tuple[str, str, str] | None = None,
    noted: Sequence[str] = (),
    first: bool = True,
) -> Child:
    """Starts the tests of some files of a tree of sources.

    only: these tests, in this order, up to the ``first`` that fails, or all. mutant: module, its file, and its text.
    noted: the files whose lines are noted, by test. seconds: of processor time; by the clock ten times as many.
    """
    folder.mkdir(parents=True)
    process = os.fork()
    if process == 0:
        _child(tree, folder, files, seconds, only, mutant, noted, first)
    return Child(process, folder, time.monotonic() + 60 + 10 * seconds)


def _child(
    tree: Path,
    folder: Path,
    files: Sequence[str],
    seconds: float,
    only: Sequence[str] | None,
    mutant: tuple[str, str, str] | None,
    noted: Sequence[str],
    first: bool,
) -> None:
    """Runs the tests; never returns."""
    status = 1
    try:
        os.setsid()
        end_with_parent()
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        size += os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() // _SHARE
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 60))
        said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT, 0o600)
        for stream in (1, 2):
            os.dup2(said, stream)
        _become(tree, folder, mutant)
        listener = _Listener(only)
        with _noting(listener, tree, noted) as lines:
            stops = ["-x"] if only is not None and first else []
            code = int(pytest.main([*_OPTIONS, *stops, *files], plugins=[listener]))
        seconds = {name: spent for name, spent in listener.seconds.items() if name not in listener.bad}
        answer = {"code": code, "failed": listener.failed, "why": listener.why, "seconds": seconds, "lines": lines,
                  "bad": sorted(listener.bad)}  # fmt: skip
        (folder / "answer.tmp").write_text(json.dumps(answer))
        (folder / "answer.tmp").rename(folder / "answer.json")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


_OPTIONS = (
    "-q", "-o", "addopts=", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow",
    f"--hypothesis-profile={_PROFILE}", "--hypothesis-seed=0",
    "-W", "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning",
)  # fmt: skip


def _become(tree: Path, folder: Path, mutant: tuple[str, str, str] | None) -> None:
    """A process that has the tree's modules, and the mutant's, wherever it loads one; so have those that it starts."""
    os.chdir(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.path[:] = [str(tree), *(place for place in sys.path if place and not (Path(place) / "siliquant").is_dir())]
    startup = Path(__file__).parent / "startup"
    (folder / "tmp").mkdir()
    os.environ |= {
        "PYTHONPATH": f"{tree}{os.pathsep}{startup}",
        "SILIQUANT_CACHE_DIR": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
    }
    if mutant is not None:
        module, file, text = mutant
        (folder / "mutant.txt").write_text(text)
        os.environ["SILIQUANT_MUTANT"] = "\n".join([module, str(tree / file), str(folder / "mutant.txt")])
        runpy.run_path(str(startup / "sitecustomize.py"))


@dataclass(eq=False)
class _Listener:
    """What pytest says: the tests that failed, and how long each took."""

    only: Sequence[str] | None
    failed: str = ""
    why: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    context: Any = None
    enough: float = 0.0
    """Seconds of processor time after which no more lines are noted."""
    bad: set[str] = field(default_factory=set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Those that are asked for, in their order; where lines are noted, all of them in an order that is mixed."""
        if self.only is None:
            random.Random(len(items)).shuffle(items)
        else:
            by_name = {item.nodeid: item for item in items}
            items[:] = [by_name[name] for name in self.only if name in by_name]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Times a test, and names it to what notes lines."""
        if self.context is not None:
            self.context(item.nodeid)
            if time.process_time() > self.enough:
                item.session.shouldstop = "enough tests are known"
        begun = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = round(time.monotonic() - begun, 4)
            if self.context is not None:
                self.context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The first failure. One that fails, or is skipped, where nothing is changed can say nothing of a change."""
        if report.outcome != "passed":
            self.bad.add(report.nodeid)
        if report.failed and not self.failed:
            self._fail(report.nodeid, report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be read."""
        if report.failed and not self.failed:
            self._fail(report.nodeid, report)

    def _fail(self, name: str, report: Any) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        self.failed, self.why = name, str(getattr(crash, "message", report.longrepr)).partition("\n")[0][:200]


@contextlib.contextmanager
def _noting(listener: _Listener, tree: Path, noted: Sequence[str]) -> Iterator[dict[str, dict[str, list[str]]]]:
    """Fills, at its end, by file and line the tests that reached it; "" stands for what every import runs."""
    lines: dict[str, dict[str, list[str]]] = {}
    if not noted:
        yield lines
        return
    watcher = coverage.Coverage(data_file=None, include=[str(tree / file) for file in noted], config_file=False)
    listener.context, listener.enough = watcher.switch_context, time.process_time() + NOTED_SECONDS
    watcher.start()
    try:
        yield lines
    finally:
        watcher.stop()
        data = watcher.get_data()
        for file in noted:
            by_line: Mapping[int, list[str]] = data.contexts_by_lineno(str(tree / file))
            if by_line:
                lines[file] = {str(line): sorted(set(names) - listener.bad) for line, names in sorted(by_line.items())}
