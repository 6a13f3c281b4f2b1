"""Help and options of every command."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rtl.gen import split
from siliquant.commandline.cli import Parser
from siliquant.commandline.commands import command_named, installed

ROOT = Path(__file__).resolve().parents[3]
NAMES = [command.name for command in installed()]
MOST_LINES, MOST_COLUMNS = 50, 100
# The same name, and on purpose not the same thing.
DIFFERENT = {
    "--format": "what is printed, or of export what is written",
    "--lanes": "of one MAC, or of all that a comparison has at equal throughput",
    "--units": "of one MAC, or of all that a comparison has at equal units",
}


def siliquant(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "siliquant", *arguments],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, check=False,
    )  # fmt: skip


def in_help(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_a_screen_and_ends_with_an_example(name: str) -> None:
    done = siliquant(name, "--help", COLUMNS="250")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= MOST_COLUMNS
    assert lines[0].startswith(f"usage: siliquant {name} [options]")
    at = next(place for place, line in enumerate(lines) if line in ("example:", "examples:"))
    examples = lines[at + 1 :]
    assert examples
    assert all(line.startswith(f"  siliquant {name}") for line in examples)
    assert "python -m" not in done.stdout.replace("torchrun --nproc-per-node 4 -m qat.train", "")


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_every_default(name: str) -> None:
    made = command_named(name).make_parser()
    text = in_help(made.format_everything())
    for action in made._actions:
        assert action.help, action.option_strings
        assert in_help(action.help.partition(" (default")[0].replace("%%", "%")) in text
        plain = action.default in (None, argparse.SUPPRESS) or isinstance(action.default, bool) or not action.default
        assert plain or f"(default {action.default})" in text or "(default" in action.help, action.option_strings


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_parsed(name: str) -> None:
    made = command_named(name).make_parser()
    _, _, examples = made.format_help().rpartition("example")
    commands = [line.split("  #")[0].split() for line in examples.splitlines() if line.startswith("  ")]
    assert commands
    for _, _, _, *arguments in commands:
        for part in split(arguments) if name == "gen" else [arguments]:
            command_named(name).make_parser().parse_args(part)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_one_line_and_exit_code_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = command_named(name).make_parser()
    needed = [text for action in made._actions if action.required for text in (action.option_strings[-1], "x")]
    needed = ["digits" if text == "x" and needed[place - 1] == "--data" else text for place, text in enumerate(needed)]
    for group in made._mutually_exclusive_groups:
        if group.required:
            needed += [group._group_actions[0].option_strings[-1], "x"]
    if "--model" in needed:
        needed[needed.index("--model") + 1] = "deit-tiny"
    with pytest.raises(SystemExit) as ended:
        made.parse_args([*needed, "--no-such-option"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.endswith("error: unrecognized arguments: --no-such-option\n")
    assert error.count("\n") == 1


def options_by_name() -> dict[tuple[str, str], dict[str, set[str]]]:
    """Commands by the first words of help (up to a comma, semicolon, colon or bracket), by option and value."""
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for command in installed():
        made = command.make_parser()
        made.everything()
        for action in made._actions:
            words = re.split(r"[,;:(]", action.help or "")[0].strip()
            key = (action.option_strings[-1], str(action.metavar))
            found.setdefault(key, {}).setdefault(words, set()).add(command.name)
    return found


def test_the_same_option_has_the_same_words_everywhere() -> None:
    differing = {
        name: words for (name, _), words in options_by_name().items() if len(words) > 1 and name not in DIFFERENT
    }
    assert differing == {}


def test_the_same_words_have_the_same_option_everywhere() -> None:
    by_words: dict[str, set[str]] = {}
    for (name, _), words in options_by_name().items():
        for text in words:
            by_words.setdefault(text, set()).add(name)
    assert {text: names for text, names in by_words.items() if len(names) > 1} == {}


def test_options_have_one_name_and_there_is_nothing_but_options() -> None:
    for command in installed():
        for action in command.make_parser()._actions:
            assert action.option_strings
            positive = [name for name in action.option_strings if name != "-h"]
            if isinstance(action, argparse.BooleanOptionalAction):
                positive = positive[:1]  # --no-NAME is the other
            assert len(positive) == 1
            assert re.fullmatch(r"--[a-z]+(-[a-z]+)*", positive[0])


def test_names_in_help_are_those_there_are() -> None:
    from hwmodel.cacti import DEVICES
    from hwmodel.inference.memories import DEFAULT_DEVICE
    from hwmodel.library.library import KNOWN_LIBRARIES
    from hwmodel.options import LIBRARIES, MEMORIES, NETWORKS
    from hwmodel.workload import workload_names

    assert tuple(KNOWN_LIBRARIES) == LIBRARIES
    assert workload_names() == NETWORKS
    assert tuple(DEVICES) == MEMORIES
    assert MEMORIES[-1] == DEFAULT_DEVICE


def test_parsers_of_all_commands_are_of_one_kind() -> None:
    assert all(isinstance(command.make_parser(), Parser) for command in installed())
