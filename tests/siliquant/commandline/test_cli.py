"""Help, errors and the ends of pipes, of any command."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from siliquant.commandline.cli import Parser, called, run
from siliquant.inputs.errors import InputError, InputTypeError, ToolError

TEMPORARY = os.environ.get("TMPDIR") or "/tmp"
FULL = f"No space left on device; free some space where this command writes, or in {TEMPORARY} (TMPDIR)"
ROOT = Path(__file__).resolve().parents[3]


def made() -> Parser:
    parser = Parser(
        prog="package.module",
        description="Does one thing: ``python -m package.module --bits 4``. It does\nit well.\n\n  kept   as it is\n",
        epilog="Said\nbelow.\n\nexample:\n  python -m package.module --bits 4   # wide",
        rare=True,
    )
    parser.add_argument("--bits", type=int, default=1, metavar="N", help="bits")
    parser.add_argument("--none", metavar="N", help="nothing (default: what there is)")
    parser.add_argument("--flag", action="store_true", help="on")
    parser.add_argument("--form", choices=("a", "b"), default="a", metavar="NAME", help="form")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--one", metavar="X", help="one")
    which.add_argument("--two", metavar="Y", help="the other, with-hyphens-that-are-not-broken " + "word " * 20)
    parser.rare.add_argument("--seldom", default="x", metavar="X", help="seldom")
    return parser


HELP = """\
usage: package.module [options] (--one X | --two Y) --out DIR

Does one thing. It does it well.

  kept   as it is

options:
  -h, --help   show this help
  --version    show the version of siliquant
  --help-all   show rarely needed options too
  --bits N     bits (default 1)
  --none N     nothing (default: what there is)
  --flag       on
  --form NAME  form: a, b (default a)
  --out DIR    folder
  --one X      one
  --two Y      the other, with-hyphens-that-are-not-broken word word word word word word word word
               word word word word word word word word word word word word

Said below.

example:
  python -m package.module --bits 4   # wide
"""


def test_help_is_filled_and_shows_defaults_and_what_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert made().format_help() == HELP
    monkeypatch.setenv("COLUMNS", "70")
    lines = made().format_help().splitlines()
    assert max(map(len, lines)) <= 70
    assert len(lines) > HELP.count("\n")


def test_rarely_needed_options_are_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        made().parse_args(["--help-all"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "rarely needed options:\n  --seldom X   seldom (default x)\n" in shown
    assert made().parse_args(["--seldom", "y", "--one", "1", "--out", "o"]).seldom == "y"
    assert not hasattr(made().parse_args(["--one", "1", "--out", "o"]), "help_all")


def test_version_is_that_of_the_installation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        made().parse_args(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"siliquant {version('siliquant')}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bit", "1"], "the following arguments are required: --out"),
        (["--out", "o", "--one", "1", "--bit", "1"], "unrecognized arguments: --bit 1"),
        (["--out", "o"], "one of the arguments --one --two is required"),
        (["--out", "o", "--one", "1", "--bits", "x"], "argument --bits: invalid int value: 'x'"),
    ],
)
def test_errors_are_one_line(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        made().parse_args(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"package.module: error: {sentence}\n"


def test_a_command_reads_as_it_was_called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["siliquant name", "--bits"])
    assert called("package.module") == "siliquant name"
    text = made().format_help()
    assert text.startswith("usage: siliquant name [options]")
    assert "\n  siliquant name --bits 4   # wide\n" in text
    assert "package.module" not in text
    with pytest.raises(SystemExit):
        run("package.module", lambda: raised(InputError("wrong")))
    assert capsys.readouterr().err == "siliquant name: error: wrong\n"
    monkeypatch.setattr(sys, "argv", ["/somewhere/siliquant"])
    assert called("package.module") == "package.module"


def raised(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("two\nlines"), 2, "p: error: two lines\n"),
        (InputTypeError("wrong"), 2, "p: error: wrong\n"),
        (ToolError("sta is missing"), 2, "p: error: sta is missing\n"),
        (InputError("a must be 1", file="f.csv", place="row 3"), 2, "p: error: f.csv, row 3: a must be 1\n"),
        (InputError("must be a table", file="f.csv"), 2, "p: error: f.csv must be a table\n"),
        (InputError("red \x1b[1m\x07 text\u202e"), 2, "p: error: red ?[1m? text?\n"),
        (InputError("x" * 10_000), 2, f"p: error: {'x' * 326}...{'x' * 161}\n"),
        (MemoryError(), 2, "p: error: this needs more memory than there is\n"),
        (
            RuntimeError("can't start new thread"),
            2,
            "p: error: this needs more memory than there is: can't start new thread\n",
        ),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), 2, "p: error: a.txt: No such file or directory\n"),
        (PermissionError(13, "Permission denied", "a.txt"), 2, "p: error: a.txt: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, f"p: error: {FULL}\n"),
        (OSError("a sentence of its own"), 2, "p: error: a sentence of its own\n"),
        (BrokenPipeError(32, "Broken pipe"), 2, "p: error: Broken pipe\n"),  # of a child: standard output is open
        (KeyboardInterrupt(), 130, "p: interrupted\n"),
        (SystemExit(7), 7, ""),
    ],
)
def test_what_ends_a_command(error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("p", lambda: raised(error))
    assert ended.value.code == code
    assert capsys.readouterr() == ("", said)


def test_a_long_message_is_one_line_of_500_characters_with_the_name_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever says it: the options, the command, or a fault of the program."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for ends in (
        lambda: raised(InputError(f"begins {'*' * 5000} ends")),
        lambda: raised(KeyError(f"begins {'*' * 5000} ends")),
        lambda: Parser(prog="siliquant evaluate", description="x").error(f"begins {'*' * 5000} ends"),
    ):
        with pytest.raises(SystemExit):
            run("siliquant evaluate", ends)
        said = capsys.readouterr().err
        assert (said.count("\n"), len(said)) == (1, 501)
        assert "begins *" in said
        assert "* ends" in said


@pytest.mark.parametrize(
    "error", [KeyError("name"), ValueError("foreign"), TypeError("list indices"), RecursionError()]
)
def test_a_fault_of_the_program_names_a_file_with_its_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run("p", lambda: raised(error))
    assert ended.value.code == 70
    (kept,) = tmp_path.iterdir()
    out, said = capsys.readouterr()
    assert out == ""
    sentence = f"{type(error).__name__}: {error}".strip()
    assert said == f"p: a fault of siliquant itself, with the traceback in {kept}: {sentence}\n"
    assert "in raised" in kept.read_text()
    assert type(error).__name__ in kept.read_text()


@pytest.mark.parametrize(("error", "code"), [(KeyError("name"), 70), (InputError("wrong"), 2)])
def test_the_traceback_is_shown_where_it_is_asked_for(
    error: Exception, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["p", "--traceback", "--bits", "4"])
    with pytest.raises(SystemExit) as ended:
        run("p", lambda: raised(error))
    assert ended.value.code == code
    assert sys.argv == ["p", "--bits", "4"]
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


PRINTS = "from siliquant.commandline.cli import run; run('p', lambda: [print('line' * 20) for _ in range({lines})])"


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("lines", [1, 5000])
def test_a_pipe_that_is_closed_early_is_no_error(lines: int, buffered: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options = [] if buffered else ["-u"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", *options, "-c", PRINTS.format(lines=lines)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_help_into_a_closed_pipe_says_nothing() -> None:
    script = (
        "from siliquant.commandline import Parser, run;"
        "run('p', lambda: Parser(prog='p', description='').parse_args(['-h']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as p:
        assert p.stdout is not None
        assert p.stderr is not None
        p.stdout.close()
        assert p.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_disk_is_one_line(buffered: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options = [] if buffered else ["-u"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *options, "-c", PRINTS.format(lines=1)],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, f"p: error: {FULL}\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_nothing(closed: str, tmp_path: Path) -> None:
    """And the next file that is opened is not taken for one of them."""
    script = (
        "from siliquant.commandline.cli import run\ndef main():\n"
        "    with open('file', 'w') as stream:\n        print('said', flush=True)\n"
        "        stream.write('kept')\nrun('p', main)\n"
    )
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, script], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "" if " >&-" in f" {closed}" else "said\n", "")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        (
            "libopenblas.so: failed to map segment from shared object",
            2,
            "p: error: this needs more memory than there is",
        ),
        ("cannot import name 'x'", 70, "p: a fault of siliquant itself"),
        (ModuleNotFoundError("No module", name="no_such.nn"), 2, "p: error: this needs the package no_such, which is"),
        (ModuleNotFoundError("No module", name="numpy.no_such"), 70, "p: a fault of siliquant itself"),
        (ModuleNotFoundError("No module"), 70, "p: a fault of siliquant itself"),
        (PackageNotFoundError("pyosys"), 2, "p: error: this needs the package pyosys, which is not installed: make"),
        (ModuleNotFoundError("No module", name="rtl.none"), 70, "p: a fault of siliquant itself"),
    ],
)
def test_a_library_that_is_missing_or_finds_no_memory_is_no_fault(
    said: str | ImportError,
    code: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fails() -> None:
        raise said if isinstance(said, ImportError) else ImportError(said)

    with pytest.raises(SystemExit) as ended:
        run("p", fails)
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(told)


LOGS = """
import sys
from siliquant.commandline import Parser, run
def main():
    Parser(prog='p', description='').parse_args()
    for line in range(2000):
        print('progress' * 4, file=sys.stderr)
    with open('file', 'w') as stream:
        stream.write('kept')
run('p', main)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("after", "code"),
    [
        ("2>/dev/full", 0),
        (">/dev/full 2>&1", 0),
        ("--no-option 2>/dev/full", 2),
        ("--no-option >/dev/full 2>&1", 2),
        ("--no-option 2>&1 | true", 2),
        ("2>&1 | true", 1),
        ("2>&1 >/dev/null | true", 2),
    ],
)
def test_progress_that_goes_nowhere(after: str, code: int, tmp_path: Path) -> None:
    """On a full disk it is lost and the work is done; where nobody reads it any more the command ends, as others do.
    Either way with its own exit code, not one that Python has for a stream that it could not flush.
    """
    script = f'"$0" -c "$1" {after}\nexit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, LOGS], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert (tmp_path / "file").exists() == (code == 0)


ENDS = """
import argparse, atexit, sys
from siliquant.commandline import Parser, run
from siliquant.inputs import InputError
def older(parser, message, file=None):  # argparse of Python 3.11.2, which lets a broken pipe through
    if message:
        (file or sys.stderr).write(message)
argparse.ArgumentParser._print_message = older
def pause():
    sys.stdin.buffer.raw.read(1)  # until the test has closed the pipe
def main():
    if WHEN == "within":
        pause()
    if not sys.stdout.write_through:
        print("found")  # stays in the buffer
    match HOW:
        case "option": Parser(prog="p", description="").parse_args(["--no-option"])
        case "input": raise InputError("wrong")
        case "fault": raise KeyError("wrong")
        case "found": sys.exit(3)
        case "stopped": raise KeyboardInterrupt
        case "help": Parser(prog="p", description="").parse_args(["--help"])
if WHEN == "end":
    atexit.register(pause)
run("p", main)
"""


@pytest.mark.parametrize(
    ("when", "how", "more", "code"),
    [
        ("before", "option", [], 2),
        ("before", "input", [], 2),
        ("before", "input", ["--traceback"], 2),
        ("before", "fault", [], 70),
        ("before", "fault", ["--traceback"], 70),
        ("before", "found", [], 3),
        ("before", "stopped", [], 130),
        ("before", "help", [], 1),
        ("before", "done", [], 1),
        ("within", "option", [], 2),
        ("within", "input", ["--traceback"], 2),
        ("within", "done", [], 1),
        ("end", "option", [], 2),
        ("end", "done", [], 0),
    ],
)
def test_an_exit_code_does_not_depend_on_who_reads(
    when: str, how: str, more: list[str], code: int, tmp_path: Path
) -> None:
    """Both streams are one pipe, whose reader goes before the command starts, in it, or when all is said."""
    unbuffered = ["-u"] if (how, when) == ("option", "within") else []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    if when == "before":
        os.close(reading)
    with subprocess.Popen(
        [sys.executable, *unbuffered, "-c", f"HOW, WHEN = {how!r}, {when!r}\n{ENDS}", *more],
        stdin=subprocess.PIPE, stdout=writing, stderr=writing, cwd=ROOT, env=environment | {"TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        os.close(writing)
        if when == "end":  # some is written, the rest may be before or after
            assert select.select([reading], [], [], 60)[0]
        if when != "before":
            os.close(reading)
        process.communicate(b"go")
    assert process.returncode == code


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc tells how much time a process has used")
def test_a_slow_reader_of_progress_is_waited_for(tmp_path: Path) -> None:
    """Where the pipe does not block, too: nothing that is said is lost, and no processor time."""

    def used(process: subprocess.Popen[bytes]) -> int:
        return sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with os.fdopen(reading) as stream:
        process = subprocess.Popen([sys.executable, "-c", LOGS], cwd=tmp_path, stderr=writing, env=environment)
        while select.select([], [writing], [], 0)[1]:  # there is room
            assert process.poll() is None
            time.sleep(0.05)
        os.close(writing)
        time.sleep(0.5)
        before = used(process)
        time.sleep(1)
        spent = used(process) - before
        assert stream.read() == f"{'progress' * 4}\n" * 2000
    assert process.wait() == 0
    assert spent <= 5  # of 100 a second


@pytest.mark.parametrize("call", [made, lambda: Parser(prog="p", description=None, add_help=False)])
def test_a_parser_has_help_and_version_or_neither(call: Callable[[], Parser]) -> None:
    options = set(re.findall(r"--[a-z]+", call().format_help()))
    assert ("--help" in options) == ("--version" in options)
