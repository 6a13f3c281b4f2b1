"""Results are kept under a hash of the code that decides them: each list of packages is what that code imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import grimp
import pytest

from hwmodel.gatelevel.kept import SOURCES
from siliquant.files import Shelf
from sim import agree, mutate, prove

TOPS = ("siliquant", "hwmodel", "rtl", "sim")
SHELVES = {
    "prove": (prove.SHELF.sources, ("sim.controllers", "sim.proofs")),
    "mutate": (mutate.SHELF.sources, ("sim.mutants",)),
    "agree": (agree.SHELF.sources, ("sim.agreement",)),
    "gates": (SOURCES, ("hwmodel.gatelevel",)),
}
"""The packages that are named, and those that make the results."""
APART = {"siliquant", "hwmodel", "sim", "siliquant.commandline", "sim.harness"}
"""What decides no result: modules of commands, words on a terminal, and networks, which only siliquant fuzz plays."""
STARTED = {"gates": {"hwmodel.yosys"}}
"""Packages of which only modules are run as programs."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*TOPS, cache_dir=None)


def packages_used(graph: grimp.ImportGraph, starts: Iterable[str]) -> set[str]:
    """The packages of all modules that are loaded with all modules of some packages."""
    waiting = {module for start in starts for module in (start, *graph.find_descendants(start))}
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        found.add(module)
        used = {*graph.find_modules_directly_imported_by(module), *above(module)}
        waiting |= used - found
    return {module if graph.find_children(module) else module.rpartition(".")[0] for module in found}


def above(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


@pytest.mark.parametrize("name", SHELVES)
def test_what_decides_a_result_is_named(name: str, graph: grimp.ImportGraph) -> None:
    sources, starts = SHELVES[name]
    assert sorted(sources) == sorted((packages_used(graph, starts) - APART) | STARTED.get(name, set()))


def test_the_files_of_those_packages_are_read() -> None:
    read = {file.name for file in prove.SHELF._files()}
    assert {"names.py", "datapath.py", "programs.py", "quoting.py"} <= read
    assert "compare.py" not in read


def test_a_result_is_kept_until_something_else_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    for package in ("siliquant/inputs", "siliquant/files"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "code.py").write_text("x = 1\n")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path / package)
    shelf = Shelf("trials", ("siliquant.inputs",), ("numpy",), ("icarus 11",))

    def known(shelf: Shelf, question: object = ("a", {"bits": 4}), fits: bool = True) -> Mapping[str, Any] | None:
        return shelf.read(question, lambda data: fits)

    assert known(shelf) is None
    shelf.keep(("a", {"bits": 4}), {"proved": True})
    assert known(shelf) == known(replace(shelf)) == {"proved": True}
    assert known(shelf, ("a", {"bits": 3})) is None
    assert known(shelf, fits=False) is None
    for changed in (
        replace(shelf, kind="others"), replace(shelf, tools=("pyosys",)), replace(shelf, more=("icarus 12",)),
        replace(shelf, sources=("siliquant.inputs", "siliquant.files")),
    ):  # fmt: skip
        assert known(changed) is None
    (tmp_path / "siliquant/inputs/code.py").write_text("x = 1  # one\n")
    assert known(replace(shelf)) == {"proved": True}
    (tmp_path / "siliquant/inputs/code.py").write_text("x = 2\n")
    assert known(replace(shelf)) is None
