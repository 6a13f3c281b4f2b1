"""One design synthesised from the command line: what is printed and written is the row that is measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwmodel.library.library import find_library
from hwmodel.measurement.dut import Bench
from hwmodel.measurement.row import SynthesisRow
from hwmodel.measurement.store import RowStore
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.operands.streams import Stream
from hwmodel.placement.placer import placer_version
from hwmodel.synthesise import lines_of, main
from rtl.mac import UniformSpec
from rtl.spec.mac import Precision
from tests.currentflow import needs_rows_of_this_flow

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--bits", "2", "--lanes", "1", "--reduction-length", "16", "--effort", "quick", "--clock-mhz", "100"]
SPEC = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=16)


needs_placer = pytest.mark.skipif(
    placer_version() is None, reason="coloquinte is not installed: it is built for CPython up to 3.12"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(cache))


def test_figures_are_those_of_the_row_and_the_netlist_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main([*SMALL, "--out", str(out)])
    shown = capsys.readouterr()
    assert shown.err == ""
    written = (out / f"{SPEC.name}.json").read_text()
    row = SynthesisRow.from_json(written)
    assert sorted(path.name for path in out.iterdir()) == [f"{SPEC.name}.json", f"{SPEC.name}.v"]
    assert f"module {SPEC.name}" in (out / f"{SPEC.name}.v").read_text()
    assert row.spec == SPEC.parameters
    assert row.activity == str(StreamPlan(Precision(2, 2)))
    assert row == RowStore(packaged=None).get(row.key)
    lines = shown.out.splitlines()
    assert lines[0] == f"{SPEC.name}: freepdk45, {row.corner}, 100 MHz"
    found = dict(re.split(r"  +", line, maxsplit=1) for line in lines[1:])
    assert found["area"].startswith(f"{row.area_um2:,.1f} um2 in {row.cells} cells (compressor ")
    assert found["minimum period"] == f"{row.minimum_period_ns:.2f} ns: meets the clock (slack {row.slack_ns:.2f} ns)"
    assert found["power"].startswith(f"{row.power_uw:,.1f} uW (clock {row.clock_uw:,.1f}, ")
    energy = f"{row.energy_pj_per_cycle:.4g} pJ"
    assert found["energy"] == f"{energy} a cycle, {energy} a product"
    assert row.recipe in found["made by"]
    assert "sums of 16 products" in found["operands"]

    # Again, from the store: the same bytes. Other operands on the same netlist have other power only.
    main([*SMALL, "--out", str(tmp_path / "again")])
    assert (tmp_path / "again" / f"{SPEC.name}.json").read_text() == written
    capsys.readouterr()
    main([*SMALL, "--format", "json", "--unsigned", "--stream", "lsq-gaussian"])
    data = json.loads(capsys.readouterr().out)
    assert data["name"] == SPEC.name
    assert data["activity"] == str(StreamPlan(Precision(2, 2, False), Stream("lsq-gaussian"), products=16))
    assert (data["area_um2"], data["minimum_period_ns"]) == (row.area_um2, row.minimum_period_ns)
    assert data["power_uw"] != row.power_uw


@needs_placer
def test_a_placement_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--format", "json"])
    plain = json.loads(capsys.readouterr().out)
    main([*SMALL, "--place", "--core-utilisation", "60", "--wires", "0.2,3", "--out", str(tmp_path)])
    found = dict(re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    names = [f"{SPEC.name}.{suffix}" for suffix in ("json", "spef", "svg", "v")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    row = SynthesisRow.from_json((tmp_path / names[0]).read_text())
    assert row.wiring is not None
    assert row.wires.startswith("placed at 60 %, 0.2 fF and 3 Ohm a um, technology ")
    assert row.tools["coloquinte"] == placer_version()
    assert (plain["area_um2"], plain["wires"], plain["wiring"]) == (row.area_um2, "wire load", None)
    assert found["placement"].startswith(f"core {row.wiring.core_width_um:.1f} x {row.wiring.core_height_um:.1f} um, ")
    assert found["wires"].startswith(f"{row.wiring.wire_um:,.0f} um with {row.wiring.wire_ff:,.0f} fF in ")
    assert (tmp_path / names[2]).read_text().startswith("<svg ")
    caps = [float(line.split()[2]) for line in (tmp_path / names[1]).read_text().splitlines() if "*D_NET" in line]
    assert sum(caps) == pytest.approx(row.wiring.wire_ff + row.wiring.clock_ff, rel=1e-4)


def test_the_core_of_an_array_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--array", "1x2", "--architecture", "systolic", "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["name"] == f"core_systolic_1x2_{SPEC.name}"
    assert data["spec"] == {"mac": {"design": "uniform", "parameters": SPEC.parameters}, "rows": 1, "columns": 2,
                            "architecture": "systolic"}  # fmt: skip
    assert data["power_uw"] > 0


def test_power_at_a_utilisation_stands_beside_that_at_full_rate(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--utilisation", "0.5"])
    lines = capsys.readouterr().out.splitlines()
    found = dict(re.split(r"  +", line, maxsplit=1) for line in lines[1:] if "  " in line)
    partly = next(line.removeprefix("at utilisation ") for line in lines if line.startswith("at utilisation "))
    full_uw, half_uw, idle_uw = (
        float(text.split()[0].replace(",", "")) for text in (found["power"], partly, found["idle power"])
    )
    assert idle_uw < half_uw < full_uw
    assert half_uw == pytest.approx((full_uw + idle_uw) / 2, rel=0.1)
    assert partly.endswith("with operands in 0.5 of the cycles")
    main([*SMALL, "--utilisation", "0.5", "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["power_uw"] == pytest.approx(full_uw, abs=0.05)
    assert data["idle_uw"] == pytest.approx(idle_uw, abs=0.05)
    assert sorted(data["partly"]) == ["energy_pj_per_cycle", "power_uw", "utilisation"]
    assert data["partly"]["power_uw"] == pytest.approx(half_uw, abs=0.05)
    assert data["partly"]["energy_pj_per_cycle"] == pytest.approx(data["partly"]["power_uw"] / 100)


def test_areas_are_printed_without_opensta(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL, "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    del data["name"]
    for name in ("minimum_period_ns", "slack_ns", "meets_clock", "power_uw"):
        data[name] = None
    row = SynthesisRow.from_json(json.dumps(data))
    text = "\n".join(lines_of(SPEC, StreamPlan(Precision(2, 2)), row))
    assert "none without OpenSTA: apt-get install opensta" in text
    assert f"{row.area_um2:,.1f} um2" in text


@needs_rows_of_this_flow
def test_power_without_glitches_is_said_to_be_too_low(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))  # where no row with glitches is kept
    found = shutil.which
    monkeypatch.setattr("hwmodel.power.icarus.shutil.which", lambda name: None if name == "vvp" else found(name))
    main(SMALL)
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1] == (
        "hwmodel.synthesise: power is without glitches, so too low: Icarus Verilog is needed to simulate with delays, "
        "but no program `vvp` is on PATH; on Debian or Ubuntu: apt-get install iverilog"
    )
    assert re.search(r"power .* uW .*, zero-delay", shown.out)


def test_what_comes_with_the_package_is_looked_up() -> None:
    """And nothing is synthesised, nor is Verilog generated."""
    script = (
        "import sys; from hwmodel.synthesise import main; main(sys.argv[1:]);"
        "assert not {'torch', 'amaranth', 'pyosys'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, "--bits", "4", "--lanes", "16"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("uniform_w4_a4_l16: freepdk45, typical, 1.10 V, 25.00 C, 500 MHz\n")


def test_the_default_design_is_what_the_library_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Bench] = []

    def measured(options: object, spec: object, plan: object, bench: Bench) -> SynthesisRow:
        asked.append(bench)
        raise ValueError("enough")

    monkeypatch.setattr("hwmodel.synthesise._rows", measured)
    for arguments in ([], ["--jobs", "3", "--fresh", "--effort", "high", "--clock-mhz", "250"]):
        with pytest.raises(ValueError, match="enough"):
            main(arguments)
    assert asked[0].library == find_library()
    assert (asked[0].clock_mhz, asked[0].effort, asked[0].fresh) == (500.0, "normal", False)
    assert (asked[1].clock_mhz, asked[1].effort, asked[1].fresh, asked[1].jobs) == (250.0, "high", True, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--design", "bitfusion", "--bits", "3"], "precision must be one of w8a8s, w8a8u"),
        (["--clock-mhz", "0"], "clock_mhz must be a number from 0.001 to 1e+06, not '0'"),
        (["--utilisation", "0"], "utilisation must be a number from 0.01 to 1, not '0'"),
        (["--utilisation", "half"], "utilisation must be a number from 0.01 to 1, not 'half'"),
        (["--jobs", "0"], "jobs must be an integer from 1 to 1024, not '0'"),
        (["--bits", "four"], "bits must be an integer, not 'four'"),
        (["--stream", "noise"], "stream must be one of uniform, lsq-gaussian, minilm, vit-mnist, not 'noise'"),
        (["--library", "nosuch"], "library must be one of freepdk45, sky130hd, ihp-sg13g2, asap7 (or give a Liberty"),
        (["--liberty", "no/such.lib"], "no/such.lib: there is no such file"),
        (["--liberty", "a.lib", "--library", "asap7"], "argument --library: not allowed with argument --liberty"),
        (["--out", "/dev/null/out"], "/dev/null/out: Not a directory"),
        (["--core-utilisation", "50"], "--core-utilisation must be given with --place only"),
        (["--wires", "0.1,3"], "--wires must be given with --place only"),
        (["--architecture", "systolic"], "--architecture must be given with --array only"),
        (["--array", "4"], "array must be ROWSxCOLUMNS, as in 16x16, not '4'"),
        pytest.param(
            ["--place", "--core-utilisation", "99"],
            "core_utilisation must be a number from 10 to 95, not '99'",
            marks=needs_placer,
        ),
        pytest.param(
            ["--place", "--wires", "0.1"],
            "wires must be fF and Ohm a um with a comma between, as in 0.1,3.6",
            marks=needs_placer,
        ),
        pytest.param(["--place", "--lef", "no.lef"], "no.lef: there is no such file", marks=needs_placer),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "hwmodel.synthesise", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hwmodel.synthesise: error: {sentence}")
    assert done.stderr.count("\n") == 1
