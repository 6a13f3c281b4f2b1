"""Every command in README.md, docs and notebooks is one that its command line takes; quick ones are run."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hwmodel import explain, latency, policy
from hwmodel.comparison.measured import settings
from hwmodel.options import plan_of, spec_of
from qat.settings.options import merge
from rtl import gen
from siliquant.commandline.cli import Parser
from siliquant.commandline.commands import COMMANDS
from tests.documented import DOCUMENTS, ROOT, Documented, commands, options
from tests.scripts import script

MODULES = {command.module: command for command in COMMANDS}
# Commands without a name in siliquant.
ALONE = (
    "reports.runs", "reports.silicon", "hwmodel.cacti", "tests.fuzz", "tests.faults", "tests.mutation",
    "tests.exhaustive", "tests.readers",
    "docs_tools.packaged", "docs_tools.record",
)  # fmt: skip
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
SETTINGS = set(re.findall(r"^([A-Z]+) +\?=", MAKEFILE, flags=re.MULTILINE))
# What of other programs is named in the documents, and what siliquant.commandline.cli.run takes of every command.
OTHERS = {"--traceback", "--index-url", "--lint-only", "--nproc-per-node", "--nthreads", "--nworkers", "--port"}

FOUND = [command for path in DOCUMENTS for command in commands(path)]


class Parsed(Exception):  # noqa: N818 (it says what happened)
    """The options of a script were read."""


def of_module(module: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The module and its arguments, where it is one of ours."""
    assert module in MODULES or module in ALONE or module in ("siliquant", "venv"), module
    if module == "siliquant":
        return of_siliquant(arguments)
    return module, list(arguments)


def of_siliquant(arguments: Sequence[str]) -> tuple[str, list[str]]:
    if arguments and not arguments[0].startswith("-"):
        module = next(command.module for command in COMMANDS if command.name == arguments[0])
        return module, list(arguments[1:])
    return "siliquant.main", list(arguments)


def resolved(command: Documented) -> tuple[str, list[str]]:
    """The module, or the script of benchmarks/, that a documented command runs, and its arguments."""
    program, *rest = command.words
    name = Path(program).name
    if name == "siliquant":
        return of_siliquant(rest)
    if name == "torchrun":
        at = rest.index("-m")
        return of_module(rest[at + 1], rest[at + 2 :])
    if name == "make":
        return of_make(rest)
    if rest[0] == "-m":
        return of_module(rest[1], rest[2:])
    if rest[0] == "rtl/gen.py":
        return of_module("rtl.gen", rest[1:])
    assert (ROOT / rest[0]).is_file(), rest[0]
    return rest[0], rest[1:]


def of_make(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command behind a target, with what ARGS and BITS give it."""
    values = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word]
    assert set(values) <= SETTINGS, values
    assert set(targets) <= TARGETS, targets
    given = values.get("ARGS", "").split()
    if targets == ["compare"]:
        return "hwmodel.compare", ["--bits", values.get("BITS", "2,3,4"), *given]
    if targets == ["demo"]:
        return "reports.demo", given
    if targets == ["report"]:
        return "reports.render", given
    return "make", given


def parser_of(module: str) -> Parser:
    made: Parser
    if module in MODULES:
        return MODULES[module].make_parser()
    made = importlib.import_module(f"{module}.__main__" if module.startswith("tests.") else module).parser()
    return made


def check_train(values: dict[str, Any]) -> None:
    for name in ("config", "resume", "dry_run", "list_models"):
        values.pop(name)
    if "out" in values:
        merge(values)


# Values are checked by the command itself, as far as that is quick.
CHECKS: dict[str, Callable[[Any], object]] = {
    "hwmodel.explain": lambda given: plan_of(given, spec_of(given)),
    "hwmodel.synthesise": lambda given: plan_of(given, spec_of(given)),
    "qat.train": lambda given: check_train(vars(given)),
    "hwmodel.compare": lambda given: settings(
        bits=[int(part) for part in given.bits.split(",")], mixtures=given.mixture,
        designs=given.designs and given.designs.split(","), lanes=int(given.lanes), units=int(given.units), jobs=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", FOUND, ids=str)
def test_documented_commands_are_taken(command: Documented) -> None:
    module, arguments = resolved(command)
    arguments = [argument for argument in arguments if argument not in ("--help", "--help-all")]
    if not arguments or module not in (*MODULES, *ALONE, "siliquant.main"):
        return  # only named, or make, venv, or a script of benchmarks: those are below
    if module == "rtl.gen":
        gen.parse(arguments)
        return
    given = parser_of(module).parse_args(arguments)
    if module in CHECKS:
        CHECKS[module](given)


SCRIPTS = sorted({command for command in FOUND if resolved(command)[0].endswith(".py")}, key=str)


@pytest.mark.parametrize("command", SCRIPTS, ids=str)
def test_documented_benchmarks_take_their_options(command: Documented, monkeypatch: pytest.MonkeyPatch) -> None:
    path, arguments = resolved(command)
    module = script(path)
    parse = Parser.parse_args

    def parsed(self: Parser, given: Sequence[str] | None = None) -> None:
        parse(self, given)
        raise Parsed

    monkeypatch.setattr(Parser, "parse_args", parsed)
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    with pytest.raises(Parsed):
        module.main()


QUICK = {"hwmodel.policy": policy.main, "hwmodel.latency": latency.main, "hwmodel.explain": explain.main}
# Not those that read what another command makes.
RUN = sorted(
    {
        (module, *arguments)
        for module, arguments in map(resolved, FOUND)
        if module in QUICK and not any(argument.startswith("build/") for argument in arguments)
    }
)


@pytest.mark.parametrize("command", RUN, ids=" ".join)
def test_quick_documented_commands_run(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    module, *arguments = command
    QUICK[module](arguments)
    assert capsys.readouterr().out


def test_the_commands_are_found() -> None:
    """So that no change of layout hides them all."""
    modules = {resolved(command)[0] for command in FOUND}
    assert {"hwmodel.compare", "rtl.gen", "qat.train", "sim.equivalence", "reports.demo", "make"} <= modules
    assert {command.document for command in FOUND} >= {"README.md", "docs/training.md", "docs/commands.md"}
    assert len(FOUND) > 60
    assert RUN
    assert SCRIPTS


def test_every_command_of_siliquant_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    rows = dict(re.findall(r"^\| `siliquant ([a-z]+)` \| `python -m ([a-z._]+)` \|", text, flags=re.MULTILINE))
    assert rows == {command.name: command.module for command in COMMANDS}


def known_options() -> set[str]:
    names = set(OTHERS)
    for command in COMMANDS:
        made = command.make_parser()
        made.everything()
        names |= {name for action in made._actions for name in action.option_strings}
    for module in (*ALONE, "siliquant.main"):
        names |= {name for action in parser_of(module)._actions for name in action.option_strings}
    for file in (ROOT / "benchmarks").glob("*.py"):
        names |= set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', file.read_text()))
    return names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_in_documents_exist(path: Path) -> None:
    known = known_options()
    assert [(line, name) for line, name in options(path) if name not in known] == []


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_tables_fit_on_a_page(path: Path) -> None:
    """Seven columns at most; what has more is a file in docs/data."""
    rows = [(line, re.split(r"(?<!\\)\|", text.strip())) for line, text in enumerate(path.read_text().splitlines(), 1)]
    assert [line for line, cells in rows if cells[0] == "" and len(cells) - 2 > 7] == []


def test_every_file_in_data_is_linked() -> None:
    text = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    files = sorted((ROOT / "docs" / "data").iterdir())
    assert files
    assert [path.name for path in files if f"](data/{path.name})" not in text] == []
