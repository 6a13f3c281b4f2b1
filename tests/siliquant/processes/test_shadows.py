"""What a user's folders hold under the names of siliquant's packages changes nothing in siliquant's own processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siliquant.processes import shadows

ROOT = Path(__file__).resolve().parents[3]
OTHERS = [name for name in shadows.PACKAGES if name != "siliquant"]
FOREIGN = 'raise SystemExit(f"foreign code ran: {__file__}")\n'


def hostile(folder: Path, kind: str, names: list[str] = OTHERS) -> Path:
    """A project whose modules have the names of siliquant's packages."""
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / f"{name}.py" if kind == "module" else folder / name / "__init__.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FOREIGN)
    return folder


def ran(folder: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder, env=env | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


GEN = ("--design", "uniform", "--lanes", "2", "--out", "build")
ENTRIES = {
    "siliquant": ("-c", "import sys; sys.argv[0] = 'siliquant'; from siliquant.main import main; main()", "gen", *GEN),
    "python -m siliquant": ("-m", "siliquant", "gen", *GEN),
}


@pytest.mark.parametrize(
    ("kind", "entry", "place"),
    [
        ("module", "siliquant", "PYTHONPATH=."),
        ("package", "siliquant", "PYTHONPATH"),
        ("module", "python -m siliquant", "here"),
        ("package", "python -m siliquant", "here"),
    ],
)
def test_gen_is_found_and_its_worker_too(tmp_path: Path, kind: str, entry: str, place: str) -> None:
    """The Verilog comes from a process of its own."""
    folder = hostile(tmp_path / "project", kind)
    at = tmp_path if place == "PYTHONPATH" else folder
    path = {"here": {}, "PYTHONPATH=.": {"PYTHONPATH": "."}, "PYTHONPATH": {"PYTHONPATH": str(folder)}}[place]
    done = ran(at, *ENTRIES[entry], **path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "module uniform_w4_a4_l2" in (at / "build" / "uniform_w4_a4_l2.v").read_text()


@pytest.mark.parametrize("kind", ["module", "package"])
def test_a_command_as_a_module_pins_the_others(tmp_path: Path, kind: str) -> None:
    """Its own package can be shadowed, as the current folder comes first; nothing else can, siliquant included."""
    folder = hostile(tmp_path, kind, [name for name in shadows.PACKAGES if name != "hwmodel"])
    for module in ("hwmodel.explain", "hwmodel.calibrate"):
        done = ran(folder, "-m", module, "--help")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    done = ran(folder, "-m", "hwmodel.explain", "--design", "uniform", "--lanes", "2")
    assert done.returncode == 0, done.stdout + done.stderr


POOL = """
from siliquant.main import main
import sys

if __name__ == "__main__":
    from siliquant.processes.shadows import pin
    pin()
    from hwmodel.measurement.executors import local
    from hwmodel.measurement.keys import verilog_stamp
    from rtl.spec.numbers import check_integer
    from functools import partial
    for outcome in local(1)(partial(check_integer, "x", low=0, high=3), [2, 7]):
        print(outcome.result, type(outcome.error).__name__)
"""


def test_spawned_workers_inherit_the_order(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "project", "package")
    (tmp_path / "pool.py").write_text(POOL)
    done = ran(folder, tmp_path / "pool.py", PYTHONPATH=".")
    assert done.stdout.splitlines() == ["2 NoneType", "None InputError"], done.stderr


def test_synthesis_runs_yosys_in_a_folder_with_other_packages(tmp_path: Path) -> None:
    folder = hostile(tmp_path, "package")
    program = (
        "from pathlib import Path\nfrom siliquant.processes.shadows import pin\npin()\n"
        "from hwmodel.synthesis.mapping import elaborate\n"
        "elaborate(Path.cwd(), 'module top (input a, output y); assign y = ~a; endmodule', 'top')\n"
    )
    done = ran(folder, "-c", program, PYTHONPATH=".")
    assert done.returncode == 0, done.stderr
    assert (folder / "design.il").is_file()


def test_a_checkout_wins_with_all_its_packages_over_an_installed_copy(tmp_path: Path) -> None:
    """And the other way round: those beside the siliquant that runs."""
    copy = tmp_path / "copy"
    for name in shadows.PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shown = "import sys, importlib; from siliquant.processes.shadows import PACKAGES, pin; pin(); "
    shown += "print({importlib.import_module(name).__file__.rsplit('/', 2)[0] for name in PACKAGES})"
    one = hostile(tmp_path / "one", "package", ["rtl"])
    for first, second in ((copy, ROOT), (ROOT, copy)):
        done = ran(tmp_path, "-c", shown, PYTHONPATH=f"{one}:{first}:{second}")
        assert done.stdout == f"{{{str(first)!r}}}\n", done.stderr


def test_a_path_without_other_packages_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "rtl").mkdir()  # a folder without __init__.py hides nothing
    shown = "import sys; before = [*sys.path]; from siliquant.processes import pin; pin(); print(before == sys.path)"
    assert ran(tmp_path, "-c", shown, PYTHONPATH=".").stdout == "True\n"


def test_what_was_imported_before_is_named(tmp_path: Path) -> None:
    folder = hostile(tmp_path, "module", ["rtl"])
    (folder / "rtl.py").write_text("")
    done = ran(folder, "-c", "import rtl; from siliquant.main import main; main()", PYTHONPATH=".")
    assert done.returncode == 2
    assert done.stderr == (
        f"siliquant: error: rtl must be siliquant's package in {ROOT}, not {folder}/rtl.py: that came first; "
        "rename it, or start where it is not found\n"
    )
    assert done.stdout == ""


def test_what_was_imported_before_ends_with_2_where_nobody_reads_why(tmp_path: Path) -> None:
    (tmp_path / "rtl.py").write_text("")
    program = "import rtl; from siliquant.main import main; main()"
    for streams in ("2>&1 | true", "2>&-", "2>/dev/full"):
        done = subprocess.run(
            ["bash", "-c", f'"$0" -c "$1" {streams}\nexit ${{PIPESTATUS[0]}}', sys.executable, program],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": f".:{ROOT}"}, capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")
