"""The packages: their layers, what they take from each other and how, and how many modules lie in a folder."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports", "docs_tools")
# Run as files, by another Python or from another folder, so that they have no package to be relative to.
SCRIPTS = {
    "rtl.gen", "rtl.verilog.rtlil_worker", "sim.fuzzing.netlist_worker", "sim.mutants.worker", "sim.controllers.worker",
    "sim.simulators.netlist_worker",
    "docs_tools.hooks", "docs_tools.docstrings",
    "siliquant.processes.shadows", "siliquant.processes.watcher",
}  # fmt: skip
MOST_MODULES = 12
LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINTER, "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )


def modules() -> dict[str, Path]:
    """Every module of ours by its full name."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


MODULES = modules()


def room(module: str) -> str:
    """The package that a module lies in; of a package itself."""
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def imports(tree: ast.AST) -> Iterator[ast.ImportFrom | ast.Import]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import))


@cache
def exported(package: str) -> frozenset[str]:
    return frozenset(importlib.import_module(package).__all__)


def faults(module: str, text: str) -> list[str]:
    """What a module imports in another way than the house does."""
    own, found = room(module), []
    for node in imports(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] in PACKAGES and "." in alias.name]
            found += [f"line {node.lineno}: import {name} must be from its package" for name in names]
            continue
        if node.level > 1:
            found.append(f"line {node.lineno}: what lies above is imported by its full name")
        if node.level or node.module is None or node.module.split(".")[0] not in PACKAGES:
            continue
        other = room(node.module)
        if other == own and module not in SCRIPTS:
            found.append(
                f"line {node.lineno}: {node.module} lies beside it and is imported as .{node.module.rpartition('.')[2]}"
            )
        elif other != own and other not in PACKAGES:
            if node.module != other:
                found.append(f"line {node.lineno}: {node.module} must be imported from {other}")
            hidden = sorted({alias.name for alias in node.names} - exported(other))
            found += [f"line {node.lineno}: {other} does not export {name}" for name in hidden]
    return found


def test_no_import_runs_back() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("hwmodel/liberty/power.py", "from hwmodel.model import LibraryModel"),
        ("rtl/spec/mac.py", "def late():\n    from rtl.mac import DESIGNS"),
        (
            "rtl/logic/circuit.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .datapath import Datapath",
        ),
        ("hwmodel/inference/rows.py", "from hwmodel.compare import main"),
        ("qat/settings/names.py", "import torch"),
        ("siliquant/inputs/errors.py", "from rtl.spec import Precision"),
        ("hwmodel/unnamed/__init__.py", ""),
    ],
)
def test_one_that_does_is_found(module: str, line: str, tmp_path: Path) -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    changed = tmp_path / module
    changed.parent.mkdir(exist_ok=True)
    changed.write_text(f"{changed.read_text() if changed.exists() else ''}\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize("module", sorted(MODULES))
def test_packages_import_what_others_export(module: str) -> None:
    assert not faults(module, MODULES[module].read_text())


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("hwmodel.model.model", "from hwmodel.library.library import Library",
         "line 1: hwmodel.library.library must be imported from hwmodel.library"),
        ("hwmodel.model.model", "from hwmodel.library import _STEM", "line 1: hwmodel.library does not export _STEM"),
        ("hwmodel.model.model", "from hwmodel.model.paths import Step",
         "line 1: hwmodel.model.paths lies beside it and is imported as .paths"),
        ("hwmodel.model.model", "from ..library import Library",
         "line 1: what lies above is imported by its full name"),
        ("rtl.gen", "import rtl.spec.mac", "line 1: import rtl.spec.mac must be from its package"),
    ],
)  # fmt: skip
def test_other_ways_are_found(module: str, line: str, fault: str) -> None:
    assert fault in faults(module, line)


def test_a_folder_has_at_most_twelve_modules() -> None:
    folders = {path.parent for path in MODULES.values()}
    counts = {folder: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize("package", sorted(name for name, path in MODULES.items() if path.name == "__init__.py"))
def test_a_package_says_what_it_is(package: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[package].read_text()))
