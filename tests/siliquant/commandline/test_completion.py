"""What a shell completes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from siliquant.commandline.commands import installed
from siliquant.main import SHELLS, parser

ROOT = Path(__file__).resolve().parents[3]


def siliquant(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "siliquant", *arguments],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_completions_have_every_command_and_option(shell: str) -> None:
    done = siliquant("--print-completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for command in installed():
        assert command.name in done.stdout
        made = command.make_parser()
        made.everything()
        for action in made._actions:
            name = action.option_strings[-1]
            assert (f"-l {name[2:]} " if shell == "fish" else name) in done.stdout
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True)


@cache
def bash_script() -> str:
    return siliquant("--print-completion", "bash").stdout


COMPLETE = """
source /dev/stdin
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$(complete -p siliquant | sed 's/.*-F \\([^ ]*\\).*/\\1/')
echo "${{COMPREPLY[*]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["com"], ["compare"]),
        (["compare", "--lib"], ["--library", "--liberty"]),
        (["compare", "--library", "s"], ["sky130hd"]),
        (["gen", "--design", "bit"], ["bitfusion", "bitblade", "bitserial"]),
        (["gen", "--maximum"], ["--maximum-bits"]),
        (["train", "--scale-s"], ["--scale-start", "--scale-steps"]),
        (["train", "--checkpoint-m"], ["--checkpoint-minutes"]),
        (["verify", "--out", "/de"], ["/dev"]),
        (["latency", "--memories", ""], ["hp", "lop", "lstp-lop"]),
    ],
)
def test_bash_completes(words: list[str], wanted: list[str]) -> None:
    script = bash_script()
    asked = COMPLETE.format(words=shlex.join(["siliquant", *words]))
    done = subprocess.run(["bash", "-c", asked], input=script, capture_output=True, text=True, check=True)
    assert done.stdout.split() == wanted


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--print-completion", "tcsh"])
    assert ended.value.code == 2
    assert "argument --print-completion: invalid choice: 'tcsh'" in capsys.readouterr().err
