"""The entry point: which commands it has, what it loads, and what it says."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from siliquant.commandline.commands import COMMANDS, Command, installed
from siliquant.main import start

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports")
NAMES = [command.name for command in installed()]
# Commands that are parts of others or of the making of this package: python -m only.
OTHERS = {
    "reports.runs",
    "reports.silicon",
    "hwmodel.cacti",
    "hwmodel.placement.worker",
    "hwmodel.yosys.worker",
    "rtl.verilog.rtlil_worker",
    "sim.fuzzing.netlist_worker",
    "sim.mutants.worker",
    "sim.controllers.worker",
    "sim.simulators.netlist_worker",
    "siliquant.main",
    "siliquant.processes.shadows",
    "siliquant.processes.watcher",
}
MOST_LINES, MOST_COLUMNS = 50, 100


def siliquant(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "siliquant", *arguments],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program"])  # start() changes it


def runs_as_a_module(path: Path) -> bool:
    return 'if __name__ == "__main__":' in path.read_text() and path.name != "__main__.py"


def test_every_command_of_the_packages_is_one_of_siliquant() -> None:
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if runs_as_a_module(path)
    }
    assert found - OTHERS == {command.module for command in installed()}
    assert len({command.name for command in COMMANDS}) == len(COMMANDS)


def test_the_entry_point_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"siliquant": "siliquant.main:main"}
    assert callable(__import__("siliquant.main", fromlist=["main"]).main)


@pytest.mark.parametrize("command", installed(), ids=NAMES)
def test_every_command_ends_through_run(command: Command) -> None:
    """Which is what answers bad input, closed pipes and Ctrl-C."""
    spec = importlib.util.find_spec(command.module)
    assert spec is not None
    assert spec.origin is not None
    last = ast.parse(Path(spec.origin).read_text()).body[-1]
    assert isinstance(last, ast.If)
    assert [ast.unparse(line) for line in last.body] == ["run(PROG, main)"]


NEITHER = """
import contextlib, io, sys
from siliquant.commandline.commands import installed
from siliquant.main import PROG, start
from siliquant.commandline.cli import run
ends = []
for command in installed():
    for options in (["--help"], ["--version"], ["--no-such-option"]):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                run(PROG, lambda: start([command.name, *options]))
            except SystemExit as end:
                ends.append([command.name, options[0], end.code, out.getvalue(), err.getvalue()])
import json
print(json.dumps([sorted({"torch", "amaranth", "pyosys", "transformers"} & sys.modules.keys()), ends]))
"""


def test_help_version_and_bad_options_load_neither_torch_nor_amaranth() -> None:
    done = subprocess.run([sys.executable, "-c", NEITHER], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded, ends = json.loads(done.stdout)
    assert loaded == []
    assert len(ends) == 3 * len(installed())
    for name, option, code, out, err in ends:
        if option == "--no-such-option":
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert err.startswith(f"siliquant {name}: error: ")
        else:
            assert (code, err) == (0, "")
        if option == "--version":
            assert out == f"siliquant {version('siliquant')}\n"


def test_the_entry_alone_loads_next_to_nothing() -> None:
    script = "import sys; from siliquant.main import parser; parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"numpy", "rich", "torch", "amaranth", "shtab"} & set(done.stdout.split())


def test_without_a_command_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for arguments in ([], ["--help"]):
        with pytest.raises(SystemExit) as ended:
            start(arguments)
        assert ended.value.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    lines = shown[0].splitlines()
    assert lines[0] == "usage: siliquant COMMAND [options]"
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= MOST_COLUMNS
    for command in installed():
        assert any(line.split()[:1] == [command.name] and line.endswith(command.summary) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compar"], "there is no command 'compar'; the nearest is compare; siliquant --help lists all"),
        (["xyz"], "there is no command 'xyz'; siliquant --help lists all"),
        ([""], "there is no command ''; siliquant --help lists all"),
    ],
)
def test_what_is_no_command(arguments: list[str], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        start(arguments)
    assert str(caught.value) == sentence


def test_errors_of_the_entry_and_of_a_command_say_who_speaks() -> None:
    done = siliquant("xyz")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "siliquant: error: there is no command 'xyz'; siliquant --help lists all\n"
    done = siliquant("policy", "--mean", "x")
    assert done.returncode == 2
    assert done.stderr == "siliquant policy: error: mean must be a number from 1 to 8, such as 3 or 2.5, not 'x'\n"


def test_a_command_does_what_its_module_does(capsys: pytest.CaptureFixture[str]) -> None:
    from hwmodel.policy import main

    start(["policy", "--mean", "3"])
    through = capsys.readouterr().out
    main(["--mean", "3"])
    assert capsys.readouterr().out == through


def test_a_missing_package_is_named_with_what_installs_it() -> None:
    script = "import sys; sys.modules['torch'] = None; from siliquant.main import main; main()"
    command = [sys.executable, "-c", script, "evaluate", "--checkpoint", "x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "siliquant evaluate: error: evaluate needs the package torch, which is not installed: make setup installs "
        "everything, pip install '.[qat]' in the checkout what this command needs\n"
    )


def test_a_module_that_is_missing_of_a_package_that_is_there_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Command) -> None:
        import numpy.no_such_module  # noqa: F401

    monkeypatch.setattr(Command, "run", fails)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'numpy.no_such_module'$"):
        start(["mutate", "--count", "1"])


def test_a_command_whose_module_is_not_there_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = (Command("gone", "reports.nowhere", "not there"), Command("far", "no_such_package.module", "nor this"))
    monkeypatch.setattr("siliquant.commandline.commands.COMMANDS", (*COMMANDS, *missing))
    assert [command.name for command in installed()] == NAMES
    with pytest.raises(ValueError, match=r"^there is no command 'gone'; siliquant --help lists all$"):
        start(["gone"])


def test_the_module_of_the_entry_is_the_entry() -> None:
    command = [sys.executable, "-m", "siliquant.main", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == siliquant("--version").stdout != ""
