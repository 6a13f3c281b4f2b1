"""Every design simulated against its golden model, and proof that the bench finds faults."""

import re
from itertools import product
from pathlib import Path

import pytest

from rtl.mac import DESIGNS, PaddedSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec
from sim.bench.top import response_file
from sim.mac.bench import run_mac_tests, specs_from_json, specs_to_json, verilog_of
from sim.mac.cases import Case, cases, pair_cycles, variants, with_size
from sim.simulators.toolchain import SimulationError
from tests.exhaustive.macs import mac_specs

CASES = [pytest.param(case, id=f"{design.design}-{case.name}") for design in DESIGNS for case in cases(design)]


@pytest.mark.parametrize("case", CASES)
def test_hardware_equals_golden_model(case: Case, tmp_path: Path) -> None:
    log = run_mac_tests(case.specs, tmp_path, tests=case.tests)
    for name in case.tests:
        assert re.search(rf"sim\.mac\.tests\.{name} +PASS", log)


def test_simulators_agree(tmp_path: Path) -> None:
    """A small unit of each design on both simulators: the same answers in every cycle, and nothing unknown."""
    specs = [with_size(variants(design)[-1], 1, pipeline_stages=1, reduction_length=18) for design in DESIGNS]
    tests = ["resets", "streamed_sums"]
    for simulator in ("icarus", "verilator"):
        run_mac_tests(specs, tmp_path / simulator, simulator=simulator, tests=tests)
    for index, spec in enumerate(specs):
        icarus, verilator = (
            (tmp_path / simulator / response_file(index)).read_text().splitlines()
            for simulator in ("icarus", "verilator")
        )
        assert len(icarus) == len(verilator) > 10
        first = next(cycle for cycle, line in enumerate(icarus) if "x" not in line.lower())
        assert first < 2 * spec.latency + spec.cycles_per_step(spec.precisions[-1]) + 5, spec.name
        assert icarus[first:] == verilator[first:], spec.name


SMALL = UniformSpec(weight_bits=3, activation_bits=3, lanes=2, reduction_length=20, pipeline_stages=1)
QUICK = ("random_sums", "resets", "streamed_sums", "extremes", "longest_sums")


def simulate_small(verilog: str, folder: Path) -> None:
    run_mac_tests([SMALL], folder, simulator="icarus", tests=QUICK, verilog=verilog)


def test_small_unit_passes(tmp_path: Path) -> None:
    simulate_small(verilog_of([SMALL]), tmp_path)


@pytest.mark.parametrize("number", range(6))
def test_faulty_gate_is_found(number: int, tmp_path: Path) -> None:
    verilog = verilog_of([SMALL])
    gates = [
        match.start() + 1 for match in re.finditer(r" [&^|] ", verilog[: verilog.index("module siliquant_full_adder")])
    ]
    place = gates[number * (len(gates) - 1) // 5]
    faulty = {"&": "|", "|": "&", "^": "|"}[verilog[place]]
    with pytest.raises(
        SimulationError, match=rf"{SMALL.name}: sum \d+ of \d+ at w3a3[su], after \d+ products .*: expected"
    ):
        simulate_small(verilog[:place] + faulty + verilog[place + 1 :], tmp_path)


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"valid_q1 <= 1'b0;", "valid_q1 <= valid_q0;", "expected out_valid 0, not 1"),  # a stage is not reset
        (r"if \(valid_q1\) (accumulator_q <= )", r"\1", "expected"),  # the accumulator does not hold
        (r"valid_q2 <= valid_q1;", "valid_q2 <= valid_q0;", "expected out_valid"),  # too early
    ],
    ids=["reset", "hold", "latency"],
)
def test_faulty_control_is_found(pattern: str, replacement: str, message: str, tmp_path: Path) -> None:
    verilog, count = re.subn(pattern, replacement, verilog_of([SMALL]))
    assert count == 1
    with pytest.raises(SimulationError, match=message):
        simulate_small(verilog, tmp_path)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design)
def test_cases_cover_every_design(design: type[MacSpec]) -> None:
    found = [spec for case in cases(design) for spec in case.specs]
    assert {spec.pipeline_stages for spec in found} == {0, 1, 2}
    sizes = {value for spec in found for name, value in spec.parameters.items() if name in ("lanes", "units")}
    assert {1, 2, 3, 5} <= sizes
    tested = {test for case in cases(design) for test in case.tests}
    assert tested == {
        "every_pair", "random_sums", "switches", "mixed_sums", "resets", "streamed_sums", "extremes", "longest_sums",
        "far_sums", "balanced_sums",
    }  # fmt: skip
    paired = {spec for case in cases(design) if "every_pair" in case.tests for spec in case.specs}
    plain = {spec for spec in paired if spec == spec.forms[0]}
    # Where all pairs take long, one unit; an exhaustive check of the gates of the others is a command with a record.
    known = [with_size(spec, 1) for spec in variants(design)]
    assert {spec for spec in known if pair_cycles(spec) < 1 << 15} <= plain
    assert len([spec for spec in paired if pair_cycles(spec) >= 1 << 15]) == (design is not XnorSpec)
    compared = {with_size(spec, 1, reduction_length=known[0].reduction_length) for spec in mac_specs()}
    assert {design(**kind, **{design.size_parameter: 1}) for kind in design.variants()} <= compared
    assert {len(spec.forms) for spec in paired - plain} <= {2, 4}
    assert any(spec.half_adders for spec in paired)
    assert any("booth" in spec.parameters for spec in paired) == (design in (UniformSpec, PaddedSpec))


def test_uniform_pairs_cover_every_width() -> None:
    """But for some of 7 and 8 bits, whose gates an exhaustive check compares."""
    widths = {
        (spec.weight_bits, spec.activation_bits)
        for case in cases(UniformSpec)
        if case.tests == ("every_pair",)
        for spec in case.specs
        if isinstance(spec, UniformSpec) and spec.lanes == 1
    }
    every = set(product(range(1, 9), repeat=2))
    assert every - widths == {(6, 8), (7, 7), (7, 8), (8, 6), (8, 7)}
    assert every == {(s.weight_bits, s.activation_bits) for s in mac_specs() if isinstance(s, UniformSpec)}


def test_specs_travel_as_json() -> None:
    specs = [spec for design in DESIGNS for spec in variants(design)]
    assert specs_from_json(specs_to_json(specs)) == specs
