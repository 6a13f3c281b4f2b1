"""Checks of two designs that were added to the list: run by tests/rtl/test_own_design.py, where they are in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwmodel.measurement.sweep import plans_for, sweep_cores, sweep_designs
from hwmodel.operands.statistics import plan_statistics
from hwmodel.operands.stimulus import RESET_CYCLES, StreamPlan, make_stimulus, operand_sums
from hwmodel.operands.streams import Stream
from rtl.array import Architecture, ArraySpec, Codes, plan_passes
from rtl.mac import design_named
from rtl.manifests import manifest
from rtl.spec import MacSpec
from sim.array.bench import run_array_tests
from sim.mac.bench import run_mac_tests
from tests.sim.stranger import check_mac

NAMES = ("ternary", "powers")
VALUES = {"ternary": (-1, 0, 1), "powers": (-4, -2, -1, 0, 1, 2, 4)}
MAC_TESTS = ("every_pair", "random_sums", "resets", "extremes", "longest_sums")
ARRAY_TESTS = ("random_products", "short_sums", "passes")

simulated = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")


@pytest.fixture(params=NAMES)
def design(request: pytest.FixtureRequest) -> type[MacSpec]:
    return design_named(request.param)


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the copy in which this runs."""
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


def test_a_design_states_its_values(design: type[MacSpec]) -> None:
    spec = design()
    for precision in spec.precisions:
        assert spec.weight_values(precision).values == VALUES[design.design]
        most = VALUES[design.design][-1] * (1 << precision.activation_bits - precision.activation_signed)
        assert spec.product_range(precision)[1] <= most


@pytest.mark.parametrize("stream", ["uniform", "lsq-gaussian"])
def test_streams_have_the_values_and_their_zeros(design: type[MacSpec], stream: str) -> None:
    """At the ports themselves; of a uniform stream each value is as frequent as the others."""
    spec, values = design(lanes=16), VALUES[design.design]
    plan = StreamPlan(spec.precisions[0], Stream(stream), cycles=2000)
    weights = np.concatenate([w for w, _ in operand_sums(spec, plan)])
    assert set(weights.tolist()) == set(values)
    width = plan.precision.weight_bits
    words = make_stimulus(spec, plan).words["weights"][RESET_CYCLES:]
    fields = [word >> lane * width & (1 << width) - 1 for word in words for lane in range(16)]
    zeros = fields.count(0) / len(fields)
    assert zeros == pytest.approx((weights == 0).mean(), abs=1e-9)
    assert plan_statistics(spec, plan).weights.zeros == pytest.approx(zeros)
    wanted = 1 / len(values) if stream == "uniform" else {"ternary": 0.575, "powers": 0.310}[design.design]
    assert zeros == pytest.approx(wanted, abs=0.01)


def test_recorded_codes_that_a_design_does_not_hold_are_named() -> None:
    ternary = design_named("ternary")(lanes=16)
    with pytest.raises(ValueError) as caught:
        operand_sums(ternary, StreamPlan(ternary.precisions[0], Stream("minilm")))
    assert str(caught.value) == (
        "weights of the stream minilm at w2a4s must be from -1 to 1 to run on ternary_a4_l16, but -2 was recorded"
    )


@pytest.mark.parametrize(("bits", "ternary", "powers"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 4, 2), (8, 8, 4)])
def test_a_network_runs_in_so_many_passes(bits: int, ternary: int, powers: int) -> None:
    """Whether they come out right, tests/rtl/array/test_passes.py says."""
    found = [len(plan_passes(design_named(name)(), Codes(bits, True), Codes(4, True))) for name in NAMES]
    assert found == [ternary, powers]


def test_the_manifest_has_the_codes() -> None:
    ternary, powers = (manifest(design_named(name)())["precisions"][0] for name in NAMES)
    assert (ternary["weight_range"], ternary["weight_encoding"], ternary["weight_codes"]) == (
        [-1, 1], "twos_complement", None
    )  # fmt: skip
    assert (powers["weight_range"], powers["weight_encoding"]) == ([-4, 4], "table")
    assert powers["weight_codes"] == [[-4, 7], [-2, 6], [-1, 5], [0, 0], [1, 1], [2, 2], [4, 3]]


@simulated
def test_units_are_simulated(design: type[MacSpec], tmp_path: Path) -> None:
    unit = design(lanes=2, activation_bits=3, pipeline_stages=1, reduction_length=20)
    run_mac_tests([unit], tmp_path, simulator="icarus", tests=MAC_TESTS)


@simulated
def test_arrays_are_simulated(design: type[MacSpec], tmp_path: Path) -> None:
    mac = design(lanes=2, activation_bits=2, reduction_length=64)
    arrays = [
        ArraySpec(mac=mac, rows=2, columns=2, architecture=each, activation_depth=40, weight_depth=40, result_depth=18)
        for each in Architecture
    ]
    run_array_tests(arrays, tmp_path, simulator="icarus", tests=ARRAY_TESTS)


@simulated
def test_a_stranger_drives_it_by_its_manifest(design: type[MacSpec], tmp_path: Path) -> None:
    done = said("rtl.gen", "--design", design.design, "--lanes", "3", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert check_mac(Path(done.stdout.splitlines()[0]).resolve(), tmp_path) > 30


def test_the_cost_model_explains_it(design: type[MacSpec]) -> None:
    done = said("hwmodel.explain", "--design", design.design, "--lanes", "8", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"] == f"{design.design}_a4_l8"


@pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")
def test_it_is_measured(design: type[MacSpec]) -> None:
    """Its netlist is checked against the golden model before its row is kept."""
    done = said(
        "hwmodel.synthesise", "--design", design.design, "--lanes", "2", "--clock-mhz", "100", "--effort", "quick"
    )
    assert done.returncode == 0, done.stderr
    assert f"{design.design}_a4_l2" in done.stdout


def test_a_calibration_measures_it(design: type[MacSpec]) -> None:
    found = [each for each in sweep_designs() if type(each.spec) is design]
    assert [each.held_out for each in found].count("lanes") == 1
    assert len(found) == 5
    assert sum(each.spec.design not in NAMES for each in sweep_designs()) == 173, "no other design has more or fewer"
    assert [type(core.spec.mac) for core in sweep_cores()].count(design) == 1
    for each in found:
        for plan in plans_for(each, 1.0):
            assert operand_sums(each.spec, plan)
