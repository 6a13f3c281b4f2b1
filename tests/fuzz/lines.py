"""Random command lines of every command: its own options with values that are good, odd or hostile."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shlex
import shutil
import sys
import tempfile
from argparse import Action
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from siliquant.commandline.cli import run
from siliquant.commandline.commands import Command, installed
from siliquant.inputs.errors import MOST_CHARACTERS
from siliquant.main import PROG, start

__all__ = ["LineTarget", "line_targets"]

_TEXTS = (
    "", " ", "x", "-1", "0", "1", "2", "4", "8", "9", "16", "64", "65", "1.5", "1e3", "1e999", "1e99999999", "nan",
    "inf", "-inf", "0x10", "\uff11", "1_000", "9" * 400, "9" * 5000, "18446744073709551616", "2147483648",
    "-2147483649", "2,3,4",
    "2,,4", "1,2,3,4,5,6,7,8,9", "4=4:1e99999999,2:1", "2:1/2,4:1/2", "3=2:1/2,4:1/2", "16x16", "0x0", "1x999999999",
    "4x4", "../..", "/proc/self/mem", "device", ".", "nothing", "no/such/file",
    "$(touch x)", "`touch x`", "[exec touch x]", ";touch x", "|touch x", "'", '"', "\\", "%s%n", "--", "é猫", "\x1b[1m",
    "a\nb", "a" * 300, "a" * 100_000, "uniform", "subword", "bitfusion", "loom", "xnor", "vit-mnist", "deit-tiny",
    "freepdk45", "sky130hd", "json", "markdown", "csv", "mnist5k", "digits", "imagefolder:.", "glue:sst2:.",
    "tcp://127.0.0.1:1", "cpu", "cuda:99", "meta", "bash", "full", "empty", "pipe", "link", "deep.json", "deep.yaml",
    "bomb.gz", "text.json", "folder",
)  # fmt: skip
_LONG = frozenset(
    (
        "train",
        "demo",
        "trace",
        "calibrate",
        "validate",
        "synth",
        "verify",
        "record",
        "report",
        "softlabels",
        "compare",
        "prove",
        "fuzz",
        "mutate",
        "gates",
        "agree",
        "export",
    )
)
_REFUSED = ["--no-such-option"]  # so that a command that takes minutes where all is well ends at its options


@dataclass(frozen=True)
class LineTarget:
    """A command."""

    command: Command

    @property
    def name(self) -> str:
        """As in the output of a campaign."""
        return f"siliquant {self.command.name}"

    @property
    def patient(self) -> bool:
        """Whether it may take minutes where all is well."""
        return self.command.name in _LONG

    def case(self, seed: int, scratch: Path) -> Callable[[int], str | None]:
        """Runs one line in a folder of its own; returns what is wrong."""
        actions = _actions(self.command)
        return lambda number: _run([self.command.name, *_line(self, actions, seed, number)], scratch / str(number))

    def shown(self, seed: int, number: int) -> str:
        """The line of a case, for a shell."""
        return shlex.join(["siliquant", self.command.name, *_line(self, _actions(self.command), seed, number)])


def line_targets() -> list[LineTarget]:
    """All installed commands."""
    return [LineTarget(command) for command in installed()]


def _actions(command: Command) -> list[Action]:
    made = command.make_parser()
    made.everything()
    return [action for action in made._actions if action.option_strings and action.dest != "help"]


def _line(target: LineTarget, actions: Sequence[Action], seed: int, number: int) -> list[str]:
    draw = random.Random(f"{target.name} {seed} {number}")
    line: list[str] = []
    required = [action for action in actions if action.required]
    chosen = required + draw.sample(list(actions), min(len(actions), draw.choice((1, 1, 2, 3, 5))))
    for action in dict.fromkeys(chosen):
        option = draw.choice(action.option_strings)
        if action.nargs == 0:
            line.append(option)
        elif action.choices is not None and draw.random() < 0.5:
            line += [option, str(draw.choice(list(action.choices)))]
        elif draw.random() < 0.05:
            line.append(option)  # without its value
        else:
            line += [option, *(draw.choice(_TEXTS) for _ in range(draw.choice((1, 1, 1, 2)) if action.nargs else 1))]
    if draw.random() < 0.05:
        line.insert(draw.randrange(len(line) + 1), draw.choice(_TEXTS))
    if target.patient and draw.random() < 0.3:
        line += _REFUSED
    return [part.replace("\0", "") for part in line]


def _places(folder: Path) -> None:
    """A working folder with files as they should not be."""
    import gzip

    work = folder / "work"
    for name in ("home", "tmp", "work/folder"):
        (folder / name).mkdir(parents=True)
    (work / "empty").touch()
    os.mkfifo(work / "pipe")
    (work / "link").symlink_to("nowhere")
    (work / "device").symlink_to("/dev/zero")
    (work / "deep.json").write_text("[" * 5000)
    (work / "deep.yaml").write_text("a: " + "[" * 5000)
    (work / "text.json").write_text('{"format": 1}')
    (work / "bomb.gz").write_bytes(gzip.compress(bytes(1 << 24)))


def _run(arguments: list[str], folder: Path) -> str | None:
    """Runs a command in this process, which belongs to the case alone where it is heavy."""
    _places(folder)
    before = set(_files(folder))
    os.chdir(folder / "work")
    os.environ |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "HF_HUB_OFFLINE": "1",
        "SILIQUANT_CACHE_DIR": str(folder.parent / "cache"),
        "MPLCONFIGDIR": str(folder.parent / "cache"),
    }
    tempfile.tempdir = None
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = [PROG, *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(PROG, start)
        except SystemExit as ended:
            code = int(ended.code or 0) if isinstance(ended.code, int | None) else 1
    text = err.getvalue()
    if code not in (0, 1, 2) or "Traceback" in text:
        kept = next((folder / "tmp").glob("siliquant-traceback-*"), None)
        return f"code {code}: {text[-1500:]}\n{kept.read_text()[-1500:] if kept else ''}"
    last = text.rstrip("\n").rsplit("\n", 1)[-1]
    if code == 2 and (not last or len(last) > MOST_CHARACTERS or not last.isprintable()):
        return f"code 2 with {last[:600]!r}"
    os.chdir(folder.parent)
    left = [path for path in set(_files(folder)) - before if not path.is_relative_to(folder / "work")]
    if left:
        return f"code {code}, left behind: {', '.join(map(str, left[:5]))}"
    shutil.rmtree(folder)
    return None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]
