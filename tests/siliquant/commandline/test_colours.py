"""Colours stay out of pipes, and off terminals that ask for none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports")


def colours(text: str) -> list[str]:
    """Colours among the control sequences of a terminal; bold and italic are none."""
    codes = [code for sequence in re.findall(r"\x1b\[([0-9;]*)m", text) for code in sequence.split(";")]
    return [code for code in codes if re.fullmatch(r"[349][0-8]|10[0-7]", code)]


PRINTING = [
    ["policy"],
    ["latency"],
    ["explain", "--lanes", "1"],
    ["gen", "--list"],
    ["policy", "--mean", "x"],
]


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_nothing_but_text_goes_into_a_pipe(arguments: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "siliquant", *arguments],
        capture_output=True, text=True, cwd=ROOT, env=environment | {"TERM": "xterm-256color"}, check=False,
    )  # fmt: skip
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals")
@pytest.mark.parametrize("arguments", PRINTING[:3], ids=" ".join)
def test_no_colour_on_a_terminal_that_asks_for_none(arguments: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    assert colours(on_a_terminal(arguments, environment | {"TERM": "xterm-256color", "NO_COLOR": "1"})) == []


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    import pty

    try:
        ours, theirs = pty.openpty()
    except OSError as error:  # in a chroot, say
        pytest.skip(f"needs pseudo-terminals: {error}")
    with subprocess.Popen(
        [sys.executable, "-m", "siliquant", *arguments], stdout=theirs, stderr=theirs, cwd=ROOT, env=environment
    ):
        os.close(theirs)
        return b"".join(read_to_the_end(ours)).decode()


def read_to_the_end(stream: int) -> Iterator[bytes]:
    try:
        while piece := os.read(stream, 65536):
            yield piece
    except OSError:  # how Linux says that the other side is gone
        pass
    finally:
        os.close(stream)


def test_colours_are_found_where_there_are_some() -> None:
    assert colours("\x1b[3m\x1b[1;31mred\x1b[0m") == ["31"]
    assert colours("\x1b[38;5;9mred") == ["38"]


def test_no_source_writes_control_sequences_or_forces_a_terminal() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            assert not re.search(r"force_terminal|\\x1b|\\033|color_system", text), path
