"""Scripts of benchmarks/ that take minutes find what they would measure; those that take seconds run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from docs_tools.results import read_result
from hwmodel.measurement import Bench, RowStore
from rtl.mac import SubwordSpec
from rtl.spec import MacSpec, Precision
from tests.scripts import script


def test_wires_are_looked_at_in_eight_designs_of_one_throughput() -> None:
    wires = script("benchmarks/wires.py")
    entries = wires.compared()
    assert [entry.spec.label for entry in entries] == ["uniform 4x4", *(spec.label for spec in wires.DESIGNS)]
    assert all(entry.run_as.macs_per_cycle(entry.spec) >= wires.LANES for entry in entries)


def test_a_part_of_a_calibration_is_drawn_from_what_the_table_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The smallest part of those on the page of calibrations is what is recorded."""
    script("benchmarks/calibration_parts.py").main(["--designs", "20", "--out", str(tmp_path / "parts.json")])
    rows = json.loads((tmp_path / "parts.json").read_text())["rows"]
    assert rows == read_result("calibration-parts")["freepdk45"][:1], "python -m docs_tools.record calibration-parts"
    found = re.findall(r"20 \u2502 +(\d+) \u2502 +(\d+) ", capsys.readouterr().out)
    ((measured, share),) = found
    assert 20 < int(measured) < 60
    assert 5 < int(share) < 50


def test_power_at_different_widths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured, beside what the model says today, is what is recorded."""
    pairs, record = script("benchmarks/synthesis/pair_widths.py"), read_result("pair-widths")["rows"]
    powers = {(row["design"], row["widths"]): row["power_uw"] for row in record}
    assert len(powers) == len(pairs.DESIGNS) * len(pairs.WIDTHS)
    areas = {row["design"]: row["area_um2"] for row in record}

    def kept(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore) -> SimpleNamespace:
        assert (bench.clock_mhz, bench.effort, spec.pipeline_stages) == (500.0, "normal", 0)
        rows = {
            each: SimpleNamespace(
                area_um2=areas[spec.name],
                power_uw=powers[spec.name, f"{each.weight_bits}/{each.activation_bits}"],
            )
            for each in precisions
        }
        return SimpleNamespace(powered=rows)

    monkeypatch.setattr(pairs, "measure", kept)
    pairs.main(["--out", str(tmp_path / "pairs.json")])
    assert json.loads((tmp_path / "pairs.json").read_text())["rows"] == record, (
        "python -m docs_tools.record pair-widths"
    )
    assert "bitserial_u4_m8" in capsys.readouterr().out


def test_ratios_at_other_clocks_and_operands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One serial design, few lanes: the uniform design is 1 everywhere, and a slow clock changes nothing."""
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    ratios = script("benchmarks/ratios.py")
    monkeypatch.setattr(ratios, "LANES", 1)
    monkeypatch.setattr(ratios, "Bench", partial(Bench, effort="quick"))
    out = tmp_path / "ratios.json"
    ratios.main(["--bits", "2", "--designs", "loom", "--clocks", "50,500", "--out", str(out)])
    assert "without lsq-gaussian: a lsq-gaussian code must have a value above 0" in capsys.readouterr().err
    found = json.loads(out.read_text())
    assert list(found["streams"]) == ["uniform", "minilm"], "the others have no codes of one bit"
    uniform, loom = found["clocks"]["50"]
    for each in (*found["clocks"].values(), *found["streams"].values()):
        assert (each[uniform]["area_ratio"], each[uniform]["energy_ratio"]) == (1.0, 1.0)
        assert each[loom]["energy_ratio"] > 1
        energies = [each[design]["energy_fj_per_mac"] for design in (loom, uniform)]
        assert each[loom]["energy_ratio"] == pytest.approx(energies[0] / energies[1], rel=1e-3)
    areas, energies = (
        {name: each[loom][figure] for name, each in found["streams"].items()}
        for figure in ("area_um2_per_mac_per_cycle", "energy_fj_per_mac")
    )
    assert areas["uniform"] == areas["minilm"], "one netlist"
    assert energies["uniform"] != energies["minilm"]
    slow, fast = (found["clocks"][clock][uniform]["area_um2_per_mac_per_cycle"] for clock in ("50", "500"))
    assert slow <= fast


def test_more_drains_cost_area_and_save_cycles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drains = script("benchmarks/drains.py")
    monkeypatch.setattr(drains, "contenders", lambda: (SubwordSpec,))
    out = tmp_path / "drains.json"
    drains.main(["--array", "4x2", "--drains", "1,2", "--models", "vit-mnist", "--out", str(out)])
    found = json.loads(out.read_text())
    few, more = (found["around_um2"][number] for number in ("1", "2"))
    assert all(few[kind] < more[kind] for kind in ("broadcast", "systolic"))
    assert next(iter(found["gains"])) == "uniform 3x3"
    for each in found["gains"].values():
        assert each["cycles"][0] <= 1.0 < min(each["without"])
        assert each["cycles"][0] < each["area_cycles"][0]


def test_along_the_clock_no_recorded_area_jumps() -> None:
    """Between clocks at most 6 % apart, but for the last that a design meets, where its fastest netlist is near."""
    looked = 0
    for curve in read_result("qor-freepdk45")["clock"]:
        met = [row for row in curve["rows"] if row["met"]]
        for slower, faster in list(pairwise(met))[:-1]:
            if faster["period_ns"] >= 0.94 * slower["period_ns"]:
                looked += 1
                step = faster["ours"]["area_um2"] / slower["ours"]["area_um2"] - 1
                assert step < 0.09, (curve["design"], slower["period_ns"], faster["period_ns"])
    assert looked >= 3


def test_speeds_of_simulations_are_of_what_they_say() -> None:
    """cocotb on a tiny array, in Icarus; the harness has tests of its own."""
    speeds = script("benchmarks/rtl_speed.py")
    shape = (3, 20, 2)
    spec = speeds.array_of(2, speeds.Architecture.BROADCAST, shape[0], shape[2])
    found = speeds.cocotb_speed("icarus", spec, shape, 1)
    run = spec.run(*shape, speeds.PRECISION)
    assert found.name == "cocotb and Icarus, broadcast 2x2"
    assert (found.macs, found.cycles) == (120, spec.load_cycles(run) + spec.cycles(run) + 2 * spec.rows)
    assert found.wall_s > 0  # read from the log; what the CPU took is lost in that of the start here
