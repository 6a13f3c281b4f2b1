"""What a line gives: an option with a value once, a path that is one, and an output file that can be written."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from siliquant.commandline import Parser, add_out_file, command_named, installed
from siliquant.commandline.cli import Once
from siliquant.files import check_place
from siliquant.inputs import FileError

ROOT = Path(__file__).resolve().parents[3]
NAMES = [command.name for command in installed()]


def refused(made: Parser, line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a line, without the command."""
    with pytest.raises(SystemExit) as ended:
        made.parse_args(line)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said.partition(": error: ")[2].rstrip("\n")


def options(name: str) -> list[argparse.Action]:
    made = command_named(name).make_parser()
    made.everything()
    return [action for action in made._actions if isinstance(action, Once)]


@pytest.mark.parametrize("name", NAMES)
def test_no_option_loses_what_was_given_first(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = [action for action in options(name) if action.option_strings and action.nargs is None]
    assert found
    for action in found:
        first, second = ("uniform", "loom") if action.dest == "design" else ("1", "2")
        if action.choices is not None:
            first, second = (str(list(action.choices)[place]) for place in (0, -1))
        made = command_named(name).make_parser()
        made.everything()
        shown = [repr(action.type(text)) if action.type in (int, float) else repr(text) for text in (first, second)]
        said = refused(made, [action.option_strings[-1], first, f"{action.option_strings[-1]}={second}"], capsys)
        option = "/".join(action.option_strings)
        assert said == f"argument {option}: must be given once, not as {shown[0]} and {shown[1]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_hyphen_is_no_path(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for action in options(name):
        if action.type is Path:
            made = command_named(name).make_parser()
            made.everything()
            said = refused(made, [*action.option_strings[-1:], "-"], capsys)
            assert said == f"argument {'/'.join(action.option_strings)}: must be a path, not '-'"


def needed(name: str) -> list[str]:
    """A line with all that a command cannot do without, but for the output file."""
    made = command_named(name).make_parser()
    wanted = [each for each in made._actions if each.required and each.dest != "out"]
    wanted += [group._group_actions[0] for group in made._mutually_exclusive_groups if group.required]
    return [word for each in wanted for word in (each.option_strings[-1], str(next(iter(each.choices or ["1"]))))]


@pytest.mark.parametrize("name", [name for name in NAMES if any(each.metavar == "FILE" and each.dest == "out"
                                                                for each in options(name))])  # fmt: skip
def test_an_output_file_that_cannot_be_written_is_told_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, " must be a regular file, or not be there, to be written"),
        (tmp_path / "file" / "out.json", ": cannot be written: Not a directory"),
        (Path("/proc/nowhere/out.json"), ": cannot be written: No such file or directory"),
    ):
        said = refused(command_named(name).make_parser(), [*needed(name), "--out", str(path)], capsys)
        assert said == f"argument --out: {path}{why}"


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_place(tmp_path / "a" / "b" / "out.json")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"out\.json: cannot be written: No such file or directory$"):
        check_place(tmp_path / "dangling" / "out.json")
    (tmp_path / "here").touch()
    (tmp_path / "link").symlink_to("here")
    check_place(tmp_path / "link")
    assert {path.name for path in tmp_path.iterdir()} == {"dangling", "here", "link"}
    assert (tmp_path / "here").read_text() == ""


def test_an_output_file_is_tried_where_nothing_else_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []
    monkeypatch.setattr("siliquant.commandline.options.check_place", tried.append)
    made = Parser(prog="package.module", description=None)
    add_out_file(made, "a table")
    made.add_argument("--number", type=int, help="some")
    place = str(tmp_path / "x")
    assert refused(made, ["--out", place, "--none"], capsys) == "unrecognized arguments: --none"
    assert refused(made, ["--out", place, "--number", "x"], capsys) == "argument --number: invalid int value: 'x'"
    with pytest.raises(SystemExit):
        made.parse_args(["--out", place, "--help"])
    assert tried == []
    made.parse_args(["--out", place])
    assert tried == [tmp_path / "x"]


def test_a_parser_forgets_the_line_before(tmp_path: Path) -> None:
    made = Parser(prog="package.module", description=None)
    add_out_file(made, "a table")
    made.add_argument("--collected", action="append", help="some")
    for _ in range(2):
        found = made.parse_args(["--out", str(tmp_path / "x"), "--collected", "1", "--collected", "2"])
        assert (found.out, found.collected) == (tmp_path / "x", ["1", "2"])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sim.equivalence --random deit-tiny --depth many", "depth must be an integer, not 'many'"),
        ("sim.equivalence --random deit-tiny --depth 0", "activation_depth must be an integer from 1 to 65536, not 0"),
        ("sim.equivalence --random deit-tiny --bits 9", "weight_bits must be an integer from 1 to 8, not 9"),
        ("sim.equivalence --random deit-tiny --samples 0", "samples must be at least 1, not 0"),
        ("sim.equivalence --random deit-tiny --groups 0", "groups must be an integer from 1 to 1024, not 0"),
        ("sim.equivalence --random deit-tiny --lanes 0", "lanes must be an integer from 1 to 1024, not 0"),
        ("sim.equivalence --checkpoint x --array 2x2 --drains 3",
         "drains must be an integer from 1 to 2, the rows of the array, not 3"),
        ("sim.record --checkpoint x --out y.npz --samples 0", "samples must be at least 1, not 0"),
        ("sim.record --checkpoint x --out y", "out must be a file whose name ends in .npz, not y"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_before_torch_is_loaded(line: str, sentence: str, tmp_path: Path) -> None:
    module, *given = line.split()
    code = (
        "import sys\n"
        f"from {module} import main\n"
        "try:\n"
        f"    main({given!r})\n"
        "except ValueError as error:\n"
        "    print(error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{sentence} False\n", "")
