"""The command line of the comparison: a small real run, and every kind of bad input."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.model import load_model, write_model
from tests.currentflow import needs_rows_of_this_flow

ROOT = Path(__file__).resolve().parents[2]


def compare(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "hwmodel.compare", *arguments],
        capture_output=True, text=True, cwd=cwd, env=os.environ | environment, check=False,
    )  # fmt: skip


SMALL = (
    "--bits", "2", "--lanes", "1", "--units", "1", "--designs", "loom", "--effort", "quick", "--clock-mhz", "100",
    "--requant-bits", "none",
)  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for the small comparison, empty at first, and for others that synthesise nothing."""
    return tmp_path_factory.mktemp("kept") / "cache"


def test_a_small_comparison_from_nothing_and_again_from_the_store(kept: Path, tmp_path: Path) -> None:
    cache, out = str(kept), tmp_path / "out"
    arguments = [*SMALL, "--synthesise"]
    first = compare(*arguments, "--out", str(out), SILIQUANT_CACHE_DIR=cache)
    assert first.returncode == 0, first.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "compare.csv", "compare.json", "compare.md", "compare.png", "compare.svg", "rows",
    ]  # fmt: skip
    rows = json.loads((out / "compare.json").read_text())
    assert [(row["design"], row["normalisation"], row["units"]) for row in rows] == [
        ("uniform 2x2", "equal units", 1), ("uniform 2x2", "equal throughput", 1),
        ("loom 4", "equal units", 1), ("loom 4", "equal throughput", 5),
    ]  # fmt: skip
    assert all(row["area_um2"] > 0 and row["power_uw"] > 0 and row["meets_clock"] for row in rows)
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    text = (out / "compare.md").read_text()

    # The same from the store: the same bytes, neither synthesis nor torch nor Amaranth.
    script = (
        "import sys; from hwmodel.compare import main; main(sys.argv[1:]);"
        "assert not {'torch', 'amaranth', 'pyosys'} & set(sys.modules), 'heavy import'"
    )
    again = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--out", str(tmp_path / "again"), "--format", "markdown"],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"SILIQUANT_CACHE_DIR": cache}, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert again.stdout == text
    for name in ("compare.csv", "compare.json", "compare.md", "compare.png", "compare.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()

    # Without OpenSTA: areas, and what is missing.
    bare = compare(
        *arguments, "--out", str(tmp_path / "bare"), "--format", "markdown",
        SILIQUANT_CACHE_DIR=str(tmp_path / "other"), OPENSTA="/nonexistent/sta",
    )  # fmt: skip
    assert bare.returncode == 0, bare.stderr
    assert "apt-get install opensta" in bare.stdout
    assert all(row["area_um2"] > 0 for row in json.loads((tmp_path / "bare" / "compare.json").read_text()))


BAD = [
    (["--bits", "0"], "bits must be an integer from 2 to 8, not '0'"),
    (["--bits", "nine"], "bits must be an integer from 2 to 8, not 'nine'"),
    (["--bits", "2,,3"], "bits must be an integer from 2 to 8, not ''"),
    (["--requant-bits", "5"], "requant_bits must be among 2, 3, 4, 8, not 5"),
    (["--requant-bits", "1"], "requant_bits must be an integer from 2 to 8, not '1'"),
    (["--bits", "2,2"], "bits must have each number once, not '2,2'"),
    (["--lanes", "0"], "lanes must be an integer from 1 to 64, not '0'"),
    (["--units", "many"], "units must be an integer from 1 to 64, not 'many'"),
    (["--clock-mhz", "-5"], "clock_mhz must be a number from 0.001 to 1e+06, not '-5'"),
    (["--clock-mhz", "fast"], "clock_mhz must be a number from 0.001 to 1e+06, not 'fast'"),
    (["--jobs", "0"], "jobs must be an integer from 1 to 1024, not '0'"),
    (["--designs", "nosuch"],
     "designs must be among padded, subword, dc1d, bitfusion, bitblade, bitserial, loom, not 'nosuch'"),
    (["--mixture", "4=2:1"], "the mixture 2:1 must have a mean of 4 bits, not 2"),
    (["--mixture", "7=8:1"], "mixture must be BITS=MIX with BITS among 2, 3, 4, not '7=8:1'"),
    (["--library", "nosuch", "--synthesise"],
     "library must be one of freepdk45, sky130hd, ihp-sg13g2, asap7 (or give a Liberty file), not 'nosuch'"),
    (["--synthesise", "--check"], "synthesise and check must not both be given: check measures as well"),
    (["--format", "xml"], "argument --format: invalid choice: 'xml' (choose from 'table', 'markdown', 'csv', 'json')"),
    (["--colour"], "unrecognized arguments: --colour"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = compare(*arguments, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == f"hwmodel.compare: error: {sentence}\n"
    assert done.stdout == ""
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_missing_liberty_file_is_named(tmp_path: Path) -> None:
    done = compare("--liberty", "no/such.lib", "--synthesise", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == "hwmodel.compare: error: no/such.lib: there is no such file\n"


@pytest.mark.parametrize("content", [b"not a library {", b"\x1f\x8bbroken", b""])
def test_a_corrupt_liberty_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / ("bad.lib.gz" if content.startswith(b"\x1f") else "bad.lib")
    path.write_bytes(content)
    done = compare(
        "--liberty", str(path), "--synthesise", "--out", str(tmp_path / "out"), SILIQUANT_CACHE_DIR=str(tmp_path / "c")
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert not list((tmp_path / "out").glob("*"))


def test_an_output_that_cannot_be_a_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    done = compare("--out", str(tmp_path / "file" / "out"))
    assert done.returncode == 2
    assert done.stderr == f"hwmodel.compare: error: {tmp_path / 'file' / 'out'}: Not a directory\n"
    assert (tmp_path / "file").read_text() == "kept"


def test_a_library_without_a_model_is_measured_and_that_is_said(tmp_path: Path) -> None:
    done = compare("--library", "nosuch", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == (
        "nosuch has no cost model: measuring\n"
        "hwmodel.compare: error: library must be one of freepdk45, sky130hd, ihp-sg13g2, asap7 "
        "(or give a Liberty file), not 'nosuch'\n"
    )
    done = compare("--library", "nosuch", "--check", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    known = "asap7, freepdk45, ihp-sg13g2, sky130hd"
    assert done.stderr.startswith(f"hwmodel.compare: error: check needs a library with a cost model ({known})")


def test_another_full_adder_is_measured_and_that_is_why(tmp_path: Path) -> None:
    """The library has a cost model, with its own."""
    done = compare("--full-adder", "FA_X9", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.startswith(
        "the cost model of freepdk45 is of the full adder that it finds, and full_adder is given: measuring\n"
        "hwmodel.compare: error: "
    )
    done = compare("--full-adder", "FA_X1", "--model", "deit-tiny", "--out", str(tmp_path / "out"))
    assert "model must not be given with synthesise, full_adder or a library without a model" in done.stderr


def test_estimates_and_measurements_side_by_side(kept: Path, tmp_path: Path) -> None:
    done = compare(*SMALL, "--check", "--out", str(tmp_path), SILIQUANT_CACHE_DIR=str(kept))
    assert done.returncode == 0, done.stderr
    assert "model against synthesis" in done.stdout
    lines = list(csv.DictReader((tmp_path / "check.csv").read_text().splitlines()))
    assert len(lines) == 4
    for line in lines:
        said, found = float(line["area um2, model"]), float(line["area um2, measured"])
        assert float(line["area um2, difference %"]) == pytest.approx(100 * (said / found - 1))
        assert abs(said / found - 1) < 0.2
        assert abs(float(line["power uW, difference %"])) < 60  # one unit of a family that was never fitted
    rows = json.loads((tmp_path / "compare.json").read_text())
    assert all(row["source"].startswith("model") and row["toggles"] == "glitch-aware" for row in rows)
    assert all(row["settled_energy_fj_per_mac"] < row["energy_fj_per_mac"] for row in rows)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_a_form_leaves_out_is_said(form: str, kept: Path, tmp_path: Path) -> None:
    small = ("--bits", "2", "--designs", "loom", "--lanes", "1", "--units", "1")
    done = compare(*small, "--format", form, "--out", str(tmp_path), SILIQUANT_CACHE_DIR=str(kept))
    assert (done.returncode, done.stdout) == (0, (tmp_path / f"compare.{form}").read_text())
    other = "compare.json" if form == "csv" else "compare.csv"
    names = f"{other}, compare.md, requantisation.csv, requantisation.json, compare.png, compare.svg"
    names += ", rows/freepdk45.jsonl, rows/stamp.json"  # of the requantisers, which are in the package
    assert done.stderr == f"only the table of MACs is printed; {names} in {tmp_path}\n"


def test_help_shows_defaults_and_examples() -> None:
    done = compare("--help")
    assert done.returncode == 0
    assert "python -m hwmodel.compare --bits 2,3,4" in done.stdout
    assert "(default 500)" in done.stdout


@needs_rows_of_this_flow
def test_the_table_in_the_docs_is_what_the_command_prints_from_the_packaged_rows(tmp_path: Path) -> None:
    done = compare(
        "--bits", "2,3,4", "--format", "markdown", "--out", str(tmp_path / "out"),
        SILIQUANT_CACHE_DIR=str(tmp_path / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "synthesising" not in done.stderr, "the stamps are old: python -m docs_tools.packaged --stamp"
    page = (ROOT / "docs" / "comparison.md").read_text()
    shown = page[page.index("<!-- compare:begin -->") : page.index("<!-- compare:end -->")]
    assert done.stdout.strip() in shown
    # What the text below the table says.
    rows = json.loads((tmp_path / "out" / "compare.json").read_text())
    rates = [r for r in rows if r["normalisation"] == "equal throughput" and not r["design"].startswith("uniform")]
    assert all(row["area_ratio"] > 1 and row["power_ratio"] > 1 for row in rates)
    assert any(row["area_ratio"] < 1 for row in rows if row["normalisation"] == "equal units")
    for other in ("json", "requantisation.csv", "requantisation.json", "png"):
        assert other in done.stderr
    # The section on requantisation, as data.
    units = json.loads((tmp_path / "out" / "requantisation.json").read_text())
    assert len(units) == 15
    assert all(unit["meets_clock"] and unit["area_um2"] > 0 and unit["power_uw"] > 0 for unit in units)
    assert len((tmp_path / "out" / "requantisation.csv").read_text().splitlines()) == 16
    assert {unit["basis"] for unit in units} == {"measured"}
    # The same bytes where neither OpenSTA nor Icarus is installed: packaged rows need no tool.
    (tmp_path / "bin").mkdir()
    alone = compare(
        "--bits", "2,3,4", "--format", "markdown", "--out", str(tmp_path / "alone"),
        SILIQUANT_CACHE_DIR=str(tmp_path / "other-cache"), PATH=str(tmp_path / "bin"), OPENSTA="no-such-program",
    )  # fmt: skip
    assert (alone.returncode, alone.stdout) == (0, done.stdout), alone.stderr
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert sorted(str(path.relative_to(tmp_path / "alone")) for path in (tmp_path / "alone").rglob("*.*")) == files
    behind = [json.loads(line) for line in (tmp_path / "out" / "rows" / "freepdk45.jsonl").read_text().splitlines()]
    shown = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert {(row["family"], row["source"], row["area_um2"]) for row in shown} <= {
        (row["design"], row["recipe"], row["area_um2"]) for row in behind
    }, "what was looked up has its rows beside it"
    for name in files:
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name


@pytest.mark.parametrize("still_fj", [None, 1.0])
def test_a_model_that_knows_no_clock_gates_says_so_of_idle_power(still_fj: float | None, tmp_path: Path) -> None:
    known = load_model("freepdk45")
    gates = replace(known.coefficients, gate_fj=still_fj, still_fj=still_fj)
    write_model(replace(known, coefficients=gates), tmp_path / "models" / "freepdk45.json")
    given = ("--bits", "4", "--designs", "subword", "--requant-bits", "none", "--cost-models", str(tmp_path / "models"))
    said = "the cost model of freepdk45 knows no clock gates: its power while idle is that of clocks that never stop"
    for utilisation, wanted in (("0.5", still_fj is None), ("1", False)):
        done = compare(*given, "--utilisation", utilisation, "--out", str(tmp_path / "out"))
        assert done.returncode == 0, done.stderr
        assert (said in done.stderr) is wanted
