"""The calibration command: small real runs, killed, resumed and on a cluster, and what it says of failures."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwmodel.calibrate import main, measure
from hwmodel.library import LibertyFiles
from hwmodel.library.library import find_library
from hwmodel.measurement import points as calibration_points
from hwmodel.measurement.dut import Bench, Found
from hwmodel.measurement.executors import Outcome
from hwmodel.measurement.keys import generator_key
from hwmodel.measurement.points import (
    LibraryChoice,
    Task,
    WorkerDiffers,
    known_points,
    measure_task,
    points_of,
    signature,
)
from hwmodel.measurement.row import SynthesisRow
from hwmodel.measurement.store import RowStore
from hwmodel.measurement.sweep import SweepDesign, clock_for, plans_for
from hwmodel.measurement.table import read_calibration
from hwmodel.placement.placer import placer_version
from hwmodel.synthesis.mapping import SynthesisError
from hwmodel.synthesis.sta import ToolMissing
from rtl.mac import UniformSpec
from siliquant.inputs import FileError, PackageMissing, ToolError

ROOT = Path(__file__).resolve().parents[2]
FIRST = SweepDesign(
    UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=16), None, (1.0, 1.15), "lsq-gaussian"
)
SECOND = SweepDesign(
    UniformSpec(weight_bits=3, activation_bits=2, lanes=1, reduction_length=4), "width", (1.0,), "lsq-gaussian"
)
QUICK = ["--effort", "quick"]
CHOICE = LibraryChoice()


def small(*arguments: str) -> None:
    """The command for two small designs."""
    main([*QUICK, *arguments], [FIRST, SECOND])


def new_cache(folder: Path, like: Path | None = None) -> Path:
    """An empty cache, but for what is known of libraries."""
    folder.mkdir()
    if like is not None:
        shutil.copytree(like / "liberty", folder / "liberty")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of a whole run, whose table lies in its folder table."""
    folder = new_cache(tmp_path_factory.mktemp("whole") / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SILIQUANT_CACHE_DIR", str(folder))
        small("--jobs", "2", "--out", str(folder / "table"))
    return folder


def written(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("freepdk45.csv", "freepdk45.json")]


def table_of(design: SweepDesign, cache: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The table of one design alone, from the rows in ``cache``."""
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(cache))
    main([*QUICK, "--table-only", "--out", str(out)], [design])
    return written(out)


def test_every_point_has_its_clock_and_its_streams(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(cache))
    table = read_calibration(cache / "table" / "freepdk45.csv")
    about = table.provenance
    assert (about.designs, about.points, about.rows, about.effort) == (2, 3, 5, "quick")
    assert about.command == "python -m hwmodel.calibrate --library freepdk45 --effort quick"
    assert about.wires == "wire load"
    assert about.held_out == {"width": ["uniform_w3_a2_l1_k4"]}
    assert not about.left_out
    rows = {}
    for spec, plan, (_, row) in zip(table.specs(), table.plans(), table.rows.iterrows(), strict=True):
        rows[spec, row["pressure"], plan] = row
    wanted = [
        (d, pressure, plan) for d in (FIRST, SECOND) for pressure in d.pressures for plan in plans_for(d, pressure)
    ]
    assert set(rows) == {(design.spec, pressure, plan) for design, pressure, plan in wanted}
    relaxed = next(row for (spec, pressure, _), row in rows.items() if (spec, pressure) == (FIRST.spec, 1.0))
    for (spec, pressure, _), row in rows.items():
        period_ns = relaxed["minimum_period_ns"] if spec == FIRST.spec else 1.0
        assert row["clock_mhz"] == clock_for(pressure, period_ns)
        assert row["power_uw"] > row["leakage_uw"] > 0
    for plan in plans_for(FIRST, 1.15):
        assert rows[FIRST.spec, 1.15, plan]["minimum_period_ns"] < relaxed["minimum_period_ns"]
    stored = {row.key: row for row in RowStore(packaged=None).rows()}
    assert len(stored) == 3 + 5
    assert sorted(row.power_uw for row in stored.values() if row.power_uw) == pytest.approx(
        sorted(table.rows["power_uw"]), rel=1e-8
    )


@pytest.mark.skipif(placer_version() is None, reason="coloquinte is not installed: it is built for CPython up to 3.12")
def test_a_table_of_placed_netlists(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same netlists: areas stay, times and energies are with other wires; the table says with which."""
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(new_cache(tmp_path / "cache", cache)))
    main([*QUICK, "--place", "--core-utilisation", "60", "--jobs", "1", "--out", str(tmp_path / "placed")], [SECOND])
    placed = read_calibration(tmp_path / "placed" / "freepdk45.csv")
    plain = read_calibration(cache / "table" / "freepdk45.csv").rows
    plain = plain[plain["spec"] == SECOND.spec.name].reset_index(drop=True)
    about = placed.provenance
    assert about.wires.startswith("placed at 60 %, 0.1046 fF and 3.593 Ohm a um, technology ")
    assert about.tools["coloquinte"] == placer_version()
    assert about.command == (
        "python -m hwmodel.calibrate --library freepdk45 --effort quick --place --core-utilisation 60"
    )
    assert placed.rows["area_um2"].tolist() == plain["area_um2"].tolist()
    assert (placed.rows["minimum_period_ns"] != plain["minimum_period_ns"]).all()
    assert (placed.rows["power_uw"] != plain["power_uw"]).all()


def test_a_table_of_known_rows_starts_nothing_and_is_the_same(cache: Path, tmp_path: Path) -> None:
    """Neither a process nor Yosys, Amaranth or torch."""
    script = (
        "import sys; from tests.hwmodel.test_calibrate import small\n"
        "from siliquant.processes.workers import _Worker; _Worker.__init__ = None\n"
        "small(*sys.argv[1:])\n"
        "assert not {'torch', 'amaranth', 'pyosys', 'distributed'} & set(sys.modules), 'heavy import'"
    )
    for name, options in (("only", ["--table-only"]), ("again", [])):
        done = subprocess.run(
            [sys.executable, "-c", script, *options, "--out", str(tmp_path / name)],
            cwd=ROOT, env=os.environ | {"SILIQUANT_CACHE_DIR": str(cache)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == (f"freepdk45.csv and freepdk45.json in {tmp_path / name}: 5 rows, 3 points, 2 designs\n")
        assert done.stderr == ("hwmodel.calibrate: no model: a model must be fitted to at least 20 designs, not 1\n")
        assert written(tmp_path / name) == written(cache / "table")


def test_a_killed_run_goes_on_where_it_was(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = new_cache(tmp_path / "cache", cache), tmp_path / "out"
    script = "import sys; from tests.hwmodel.test_calibrate import FIRST, main; main(sys.argv[1:], [FIRST])"
    command = [sys.executable, "-c", script, *QUICK, "--jobs", "1", "--out", str(out)]
    environment = os.environ | {"SILIQUANT_CACHE_DIR": str(folder)}

    def whole() -> dict[Path, int]:
        """The rows that end a point, and when they were written."""
        paths = sorted((folder / "rows").glob("*/*.json"))  # the row, and a line that seals it
        rows = [(path, SynthesisRow.from_json(path.read_text().splitlines()[0])) for path in paths]
        return {path: path.stat().st_mtime_ns for path, row in rows if row.activity is None}

    first = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not whole():
        assert first.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    first.kill()
    first.wait()
    time.sleep(0.5)  # its worker ends as well
    before = whole()
    assert len(before) == 1
    time.sleep(1.0)
    assert whole() == before
    assert not (out / "freepdk45.csv").exists()

    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    after = whole()
    assert len(after) == 2
    assert {path: after[path] for path in before} == before
    assert written(out) == table_of(FIRST, cache, tmp_path / "local", monkeypatch)


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="the package distributed is not installed")
def test_a_cluster_makes_the_same_table(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers with a cache of their own, which the client does not see."""
    import distributed

    theirs, ours = new_cache(tmp_path / "theirs", cache), new_cache(tmp_path / "ours", cache)
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(theirs))
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as made:
        monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(ours))
        main([*QUICK, "--scheduler", made.scheduler_address, "--out", str(tmp_path / "out")], [SECOND])
    ours_rows, theirs_rows = (list(RowStore(folder / "rows", packaged=None).rows()) for folder in (ours, theirs))
    assert ours_rows == theirs_rows
    assert len(ours_rows) == 3
    assert written(tmp_path / "out") == table_of(SECOND, cache, tmp_path / "local", monkeypatch)


def in_turn(function: Callable[[Any], Any], items: Sequence[Any]) -> Generator[Outcome[Any, Any]]:
    """A runner in this process."""
    for item in items:
        try:
            yield Outcome(item, function(item))
        except Exception as error:
            yield Outcome(item, error=error)


def test_a_failing_design_is_named_and_the_others_go_on(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_cache(tmp_path / "cache", cache)
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(folder))
    bench, whole = Bench(find_library(), effort="quick"), RowStore(cache / "rows", packaged=None)

    def fake(unit: Task) -> tuple[str, ...]:
        """The first design fails; of the second the rows are those of the whole run."""
        if unit.design == FIRST:
            raise SynthesisError("Yosys says:\n  no")
        points = known_points(unit.design, bench, whole) or []
        return tuple(row.to_json() for point in points for row in (*point.found.powered.values(), point.found.row))

    monkeypatch.setattr("hwmodel.measurement.measure_task", fake)
    monkeypatch.setattr("hwmodel.calibrate._runner", lambda _: in_turn)
    with pytest.raises(SystemExit) as caught:
        small("--out", str(tmp_path / "out"))
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert "hwmodel.calibrate: uniform_w2_a2_l1_k16: SynthesisError: Yosys says: no\n" in said
    assert said.endswith(
        "hwmodel.calibrate: 1 design failed, so no table was written; all other rows are kept, and --table-only leaves "
        "these out\n"
    )
    assert not (tmp_path / "out").exists()

    small("--out", str(tmp_path / "out"), "--table-only")
    assert capsys.readouterr().err == (
        "hwmodel.calibrate: left out, as rows are missing: uniform_w2_a2_l1_k16\n"
        "hwmodel.calibrate: no model: a model must be fitted to at least 20 designs, not 0\n"
    )
    table = read_calibration(tmp_path / "out" / "freepdk45.csv")
    assert set(table.rows["spec"]) == {"uniform_w3_a2_l1_k4"}
    assert table.provenance.left_out == ["uniform_w2_a2_l1_k16"]

    # Rows of something else are a failure too.
    monkeypatch.setattr("hwmodel.measurement.measure_task", lambda unit: fake(replace(unit, design=SECOND)))
    failures = measure([FIRST], CHOICE, bench, RowStore(tmp_path / "rows", packaged=None), in_turn)
    asked = "the rows that came back are not those that were asked for"
    assert failures == {"uniform_w2_a2_l1_k16": f"ValueError: {asked}"}


@pytest.mark.parametrize("missing", [PackageMissing, ToolMissing])
def test_what_is_not_installed_is_no_fault_of_a_design(
    missing: type[ToolError], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(new_cache(tmp_path / "cache", cache)))
    tried: list[Task] = []

    def without(unit: Task) -> tuple[str, ...]:
        tried.append(unit)
        raise missing("it is not there: make setup installs it")

    monkeypatch.setattr("hwmodel.measurement.measure_task", without)
    monkeypatch.setattr("hwmodel.calibrate._runner", lambda _: in_turn)
    with pytest.raises(missing, match=r"^it is not there: make setup installs it$"):
        small("--out", str(tmp_path / "out"))
    assert len(tried) == 1
    assert "failed" not in capsys.readouterr().err


def test_rows_without_glitches_are_said_to_be_too_low(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(new_cache(tmp_path / "cache", cache)))
    found = shutil.which
    monkeypatch.setattr("hwmodel.power.icarus.shutil.which", lambda name: None if name == "vvp" else found(name))
    monkeypatch.setattr("hwmodel.calibrate.measure", lambda *_: {"uniform": "stopped here"})
    with pytest.raises(SystemExit):
        small("--out", str(tmp_path / "out"))
    assert capsys.readouterr().err.splitlines()[0] == (
        "hwmodel.calibrate: power is without glitches, so too low: Icarus Verilog is needed to simulate with delays, "
        "but no program `vvp` is on PATH; on Debian or Ubuntu: apt-get install iverilog"
    )


def test_a_worker_that_would_make_other_rows_stops_the_run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(cache))
    library = find_library()
    right = signature(library, FIRST)
    assert [name for name, _ in right] == [
        "library", "generator", "flow", "yosys", "opensta", "icarus", "streams", "placement",
    ]  # fmt: skip
    assert measure_task(Task(FIRST, CHOICE, "quick", right))
    for name, value in right:
        wrong = tuple((other, "other" if other == name else text) for other, text in right)
        with pytest.raises(WorkerDiffers, match=rf"^{name} on the worker \S+ must be other, not ") as caught:
            measure_task(Task(FIRST, CHOICE, "quick", wrong))
        assert str(caught.value).endswith(value)

    absent = LibraryChoice("mine", liberty=LibertyFiles((Path("/nonexistent/mine.lib"),)))
    with pytest.raises(WorkerDiffers, match=r"^the worker \S+ does not find the library: /nonexistent/mine.lib: "):
        measure_task(Task(FIRST, absent, "quick", right))

    def refuse(unit: Task) -> tuple[str, ...]:
        raise WorkerDiffers("yosys on the worker far must be 0.70, not 0.71")

    monkeypatch.setattr("hwmodel.measurement.measure_task", refuse)
    with pytest.raises(ValueError, match=r"^yosys on the worker far must be 0\.70, not 0\.71$"):
        measure([FIRST, SECOND], CHOICE, Bench(library), RowStore(), in_turn)


def test_a_full_disk_stops_the_run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(cache))
    tried: list[Task] = []

    def full(unit: Task) -> tuple[str, ...]:
        tried.append(unit)
        raise FileError("has no space left", file=Path("/tmp/x"))

    monkeypatch.setattr("hwmodel.measurement.measure_task", full)
    with pytest.raises(FileError, match=r"^/tmp/x: has no space left$"):
        measure([FIRST, SECOND], CHOICE, Bench(find_library()), RowStore(), in_turn)
    assert len(tried) == 1


@pytest.mark.parametrize(
    "changed", ["hwmodel/yosys/worker.py", "hwmodel/yosys/maps/ripple.v", "siliquant/processes/programs.py"]
)
def test_a_worker_whose_flow_differs_in_one_line_differs(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("hwmodel", "siliquant"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("data", "__pycache__"))
    mine = calibration_points._flow_sha256()
    monkeypatch.setattr(calibration_points.resources, "files", lambda package: tmp_path / package)
    assert calibration_points._flow_sha256.__wrapped__() == mine
    (tmp_path / changed).write_text((tmp_path / changed).read_text() + "\n")
    assert calibration_points._flow_sha256.__wrapped__() != mine


def test_once_a_clock_is_missed_higher_ones_are_left_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(cache))
    known = known_points(FIRST, Bench(find_library(), effort="quick"), RowStore(packaged=None))
    assert known is not None
    relaxed = known[0].found.row
    asked = []

    def find(missed_mhz: float, clock_mhz: float) -> Found:
        asked.append(clock_mhz)
        return Found(replace(relaxed, clock_mhz=clock_mhz, meets_clock=clock_mhz < missed_mhz), {})

    design = replace(FIRST, pressures=(1.0, 1.15, 1.3))
    clocks = [clock_for(pressure, relaxed.minimum_period_ns or 0.0) for pressure in design.pressures]
    for missed_mhz, count in ((1e9, 3), (clocks[2], 3), (clocks[1], 2), (0.0, 1)):
        asked.clear()
        found = points_of(design, lambda clock_mhz, _, missed_mhz=missed_mhz: find(missed_mhz, clock_mhz))
        assert asked == clocks[:count]
        assert [point.pressure for point in found or ()] == list(design.pressures[:count])
    assert points_of(design, lambda *_: None) is None
    with pytest.raises(ValueError, match=r"^a calibration needs OpenSTA for timing and power: apt-get install ope"):
        points_of(design, lambda *_: Found(replace(relaxed, minimum_period_ns=None), {}))
    with pytest.raises(ValueError, match=r"^the first pressure of uniform_w2_a2_l1_k16 must be 1\.0, not 1\.15$"):
        points_of(replace(FIRST, pressures=(1.15,)), lambda *_: None)


def test_a_row_that_is_missing_makes_a_design_unknown(cache: Path, tmp_path: Path) -> None:
    shutil.copytree(cache / "rows", tmp_path / "rows")
    bench, store = Bench(find_library(), effort="quick"), RowStore(tmp_path / "rows", packaged=None)
    known = known_points(FIRST, bench, store)
    assert known is not None
    for point in known:
        for row in (point.found.row, *point.found.powered.values()):
            path = store.put(row)
            path.unlink()
            assert known_points(FIRST, bench, store) is None
            store.put(row)
    assert known_points(FIRST, bench, store) == known
    (tmp_path / "rows" / generator_key(FIRST.spec)[:2] / f"{generator_key(FIRST.spec)}.verilog").unlink()
    assert known_points(FIRST, bench, store) is None


def calibrate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "hwmodel.calibrate", *arguments],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, check=False,
    )  # fmt: skip


BAD = [
    (["--jobs", "0"], "jobs must be an integer from 1 to 1024, not '0'"),
    (["--scheduler", "here", "--table-only"], "argument --table-only: not allowed with argument --scheduler"),
    (["--library", "tsmc7"], "sky130hd, ihp-sg13g2, asap7 (or give a Liberty file), not 'tsmc7'"),
    (["--liberty", "none.lib"], "none.lib: there is no such file"),
    (["--table-only", "--effort", "high"], "no design has all its rows of freepdk45 yet: run without --table-only"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_line(cache: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    done = calibrate(*arguments, "--out", str(tmp_path), SILIQUANT_CACHE_DIR=str(cache))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hwmodel.calibrate: error: ")
    assert done.stderr.endswith(f"{says}\n")
    assert done.stderr.count("\n") == 1


def test_without_opensta_nothing_is_started(cache: Path, tmp_path: Path) -> None:
    done = calibrate("--out", str(tmp_path), SILIQUANT_CACHE_DIR=str(cache), OPENSTA="/nonexistent/sta")
    assert done.returncode == 2
    assert done.stderr.startswith("hwmodel.calibrate: error: OpenSTA is needed for timing and power, but ")
    assert done.stderr.count("\n") == 1


def test_help_names_the_defaults() -> None:
    done = calibrate("--help")
    assert done.returncode == 0
    assert done.stdout.count("(default") >= 5
