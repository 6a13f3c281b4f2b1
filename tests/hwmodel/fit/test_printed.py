"""Every cell of the tables of errors and of explanations, of predictions and terms made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from hwmodel.fit.explanation import Explanation, Neighbour, PartTerm, StepTerm
from hwmodel.fit.explanationtables import print_explanation
from hwmodel.fit.fitting import Point
from hwmodel.fit.validation import Errors, Prediction
from hwmodel.fit.validationtables import (
    Validated,
    errors_frame,
    held_out_groups,
    largest_frame,
    markdown,
    print_tables,
)
from hwmodel.model import Cost, LongestPath, Part, Step
from hwmodel.model.features import PARTS, counts_of
from hwmodel.operands.stimulus import StreamPlan
from rtl.array import CoreSpec
from rtl.mac import UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.model.modelcases import model

Four = tuple[float, float, float, float]


def prediction(
    spec: MacSpec | CoreSpec, held_out: str, area: Four, power: Four, period: Four, clock_mhz: float = 100.0,
    signed: bool = True,
) -> Prediction:  # fmt: skip
    plan = StreamPlan(Precision(4, 4, signed))
    point = Point(spec, plan, clock_mhz, held_out, area[0], period[0], True, "r", 0.5, 1.0, 2.0, 3.0)
    return Prediction(point, area, power, period)


MAC, WIDE, ARRAY = UniformSpec(lanes=2), UniformSpec(lanes=9), CoreSpec(mac=UniformSpec(lanes=2), rows=2, columns=2)
XNOR = XnorSpec(lanes=4)
FOUND = {
    "one": Validated(
        cast("Any", None),
        (
            prediction(MAC, "lanes", (100.0, 101.0, 150.0, 90.0), (10.0, 9.0, 12.0, 11.0), (2.0, 2.1, 3.0, 1.0)),
            prediction(MAC, "lanes", (100.0, 101.0, 150.0, 90.0), (20.0, 21.0, 30.0, 22.0), (2.0, 2.1, 3.0, 1.0),
                       signed=False),
            prediction(WIDE, "width", (200.0, 176.0, 220.0, 210.0), (40.0, 48.0, 44.0, 42.0), (4.0, 3.0, 5.0, 4.2),
                       clock_mhz=250.5),
            prediction(ARRAY, "array", (1000.0, 1018.0, 990.0, 800.0), (90.0, 93.15, 99.0, 45.0),
                       (5.0, 5.2, 5.5, 6.0)),
            prediction(XNOR, "", (50.0, 50.5, 75.0, 55.0), (5.0, 5.1, 6.0, 5.5), (1.0, 1.02, 2.0, 1.1)),
        ),
    ),
    "two": Validated(
        cast("Any", None),
        (prediction(XNOR, "family", (50.0, 50.5, 75.0, 55.0), (5.0, 5.3, 6.0, 5.5), (1.0, 1.03, 2.0, 1.1)),),
    ),
}  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed, without blanks at the ends of lines."""
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


ALL = """\
held out, against what was aimed at (* misses it)
         held     area, aim 2   power, aim 4  period, aim 5
library  out             / 10           / 15           / 15
───────────────────────────────────────────────────────────
one      MACs    6.5* / 12.0*  11.7* / 20.0*  15.0* / 25.0*
one      arrays     1.8 / 1.8      3.5 / 3.5      4.0 / 4.0
two      MACs       1.0 / 1.0     6.0* / 6.0      3.0 / 3.0

relative error in percent, mean / largest
                                               area,        area,        area,       power,       power,       power,
library  designs  points        netlists       model       widths   polynomial        model       widths   polynomial
─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
one      all      held out (4)         3  4.9 / 12.0  20.3 / 50.0  11.7 / 20.0   9.6 / 20.0  22.5 / 50.0  18.8 / 50.0
one      array    held out (1)         1   1.8 / 1.8    1.0 / 1.0  20.0 / 20.0    3.5 / 3.5  10.0 / 10.0  50.0 / 50.0
one      uniform  held out (3)         2  6.5 / 12.0  30.0 / 50.0   7.5 / 10.0  11.7 / 20.0  26.7 / 50.0   8.3 / 10.0
one      all      fitted (1)           1   1.0 / 1.0  50.0 / 50.0  10.0 / 10.0    2.0 / 2.0  20.0 / 20.0  10.0 / 10.0
one      xnor     fitted (1)           1   1.0 / 1.0  50.0 / 50.0  10.0 / 10.0    2.0 / 2.0  20.0 / 20.0  10.0 / 10.0
two      all      held out (1)         1   1.0 / 1.0  50.0 / 50.0  10.0 / 10.0    6.0 / 6.0  20.0 / 20.0  10.0 / 10.0
two      xnor     held out (1)         1   1.0 / 1.0  50.0 / 50.0  10.0 / 10.0    6.0 / 6.0  20.0 / 20.0  10.0 / 10.0

                                    period,        period,      period,
library  designs  points              model         widths   polynomial
───────────────────────────────────────────────────────────────────────
one      all      held out (4)  11.3 / 25.0    28.3 / 50.0  25.0 / 50.0
one      array    held out (1)    4.0 / 4.0    10.0 / 10.0  20.0 / 20.0
one      uniform  held out (3)  15.0 / 25.0    37.5 / 50.0  27.5 / 50.0
one      all      fitted (1)      2.0 / 2.0  100.0 / 100.0  10.0 / 10.0
one      xnor     fitted (1)      2.0 / 2.0  100.0 / 100.0  10.0 / 10.0
two      all      held out (1)    3.0 / 3.0  100.0 / 100.0  10.0 / 10.0
two      xnor     held out (1)    3.0 / 3.0  100.0 / 100.0  10.0 / 10.0

largest errors of area, one, held out:
  uniform_w4_a4_l9 at 250.5 MHz: -12.0 %
  core_broadcast_2x2_uniform_w4_a4_l2 at 100 MHz: +1.8 %
largest errors of power, one, held out:
  uniform_w4_a4_l9 at 250.5 MHz (w4a4s, uniform): +20.0 %
  uniform_w4_a4_l2 at 100 MHz (w4a4s, uniform): -10.0 %
largest errors of period, one, held out:
  uniform_w4_a4_l9 at 250.5 MHz: -25.0 %
  uniform_w4_a4_l2 at 100 MHz: +5.0 %
largest errors of area, two, held out:
  xnor_l4 at 100 MHz: +1.0 %
largest errors of power, two, held out:
  xnor_l4 at 100 MHz (w4a4s, uniform): +6.0 %
largest errors of period, two, held out:
  xnor_l4 at 100 MHz: +3.0 %
"""
TWO = """\
held out, against what was aimed at (* misses it)
                                        period,
         held  area, aim  power, aim    aim 5 /
library  out      2 / 10      4 / 15         15
───────────────────────────────────────────────
two      MACs  1.0 / 1.0  6.0* / 6.0  3.0 / 3.0

relative error in percent, mean / largest
                                              area,        area,        area,     power,       power,       power,
library  designs  points        netlists      model       widths   polynomial      model       widths   polynomial
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
two      all      held out (1)         1  1.0 / 1.0  50.0 / 50.0  10.0 / 10.0  6.0 / 6.0  20.0 / 20.0  10.0 / 10.0

                                  period,        period,      period,
library  designs  points            model         widths   polynomial
─────────────────────────────────────────────────────────────────────
two      all      held out (1)  3.0 / 3.0  100.0 / 100.0  10.0 / 10.0

"""


def test_the_tables_of_errors_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_tables(FOUND, "design", 2)
    assert shown(capsys) == ALL.splitlines()
    print_tables({"two": FOUND["two"]}, "library", 0)
    assert shown(capsys) == TWO.splitlines()


SUMMARY = """\
| library | held out | area, aim 2 / 10 | power, aim 4 / 15 | period, aim 5 / 15 |
|---|---|---:|---:|---:|
| one | MACs | 6.5 \\* / 12.0 \\* | 11.7 \\* / 20.0 \\* | 15.0 \\* / 25.0 \\* |
| one | arrays | 1.8 / 1.8 | 3.5 / 3.5 | 4.0 / 4.0 |
| two | MACs | 1.0 / 1.0 | 6.0 \\* / 6.0 | 3.0 / 3.0 |

\\* misses what was aimed at

"""


def test_the_tables_of_errors_in_markdown() -> None:
    text = markdown(FOUND, "reason", 1)
    assert text.startswith(SUMMARY)
    rows, _, largest = text.removeprefix(SUMMARY).partition("\n\n")
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in rows.splitlines()]
    assert cells[1] == ["|---|---|---|---:|" + "---:|" * 9]
    kinds = ("model", "widths", "polynomial")
    assert cells[0][4:] == [f"{name}, {kind}" for name in ("area", "power", "period") for kind in kinds]
    assert [line[:4] for line in (cells[0], *cells[2:])] == [
        ["library", "designs", "points", "netlists"],
        ["one", "all", "held out (4)", "3"],
        ["one", "array", "held out (1)", "1"],
        ["one", "lanes", "held out (2)", "1"],
        ["one", "width", "held out (1)", "1"],
        ["one", "all", "fitted (1)", "1"],
        ["one", "fitted", "fitted (1)", "1"],
        ["two", "all", "held out (1)", "1"],
        ["two", "family", "held out (1)", "1"],
    ]
    assert cells[4][4:] == [
        "1.0 / 1.0", "50.0 / 50.0", "10.0 / 10.0", "7.5 / 10.0", "35.0 / 50.0", "10.0 / 10.0", "5.0 / 5.0",
        "50.0 / 50.0", "50.0 / 50.0",
    ]  # fmt: skip
    assert largest.splitlines()[::2] == [
        "Largest errors of area, one, held out: uniform_w4_a4_l9 at 250.5 MHz: -12.0 %.",
        "Largest errors of power, one, held out: uniform_w4_a4_l9 at 250.5 MHz (w4a4s, uniform): +20.0 %.",
        "Largest errors of period, one, held out: uniform_w4_a4_l9 at 250.5 MHz: -25.0 %.",
        "Largest errors of area, two, held out: xnor_l4 at 100 MHz: +1.0 %.",
        "Largest errors of power, two, held out: xnor_l4 at 100 MHz (w4a4s, uniform): +6.0 %.",
        "Largest errors of period, two, held out: xnor_l4 at 100 MHz: +3.0 %.",
    ]
    assert set(largest.splitlines()[1::2]) == {""}
    assert markdown(FOUND, "reason", 0) == f"{SUMMARY}{rows}\n"


def test_frames_have_the_same_errors() -> None:
    frame = errors_frame(FOUND, "design")
    assert frame[["library", "designs", "fit", "points", "netlists"]].to_numpy().tolist() == [
        ["one", "all", "held out", 4, 3],
        ["one", "array", "held out", 1, 1],
        ["one", "uniform", "held out", 3, 2],
        ["one", "all", "fitted", 1, 1],
        ["one", "xnor", "fitted", 1, 1],
        ["two", "all", "held out", 1, 1],
        ["two", "xnor", "held out", 1, 1],
    ]
    assert dict(frame.iloc[2, 5:]) == {
        "area_model_mean_percent": 6.5, "area_model_largest_percent": 12.0,
        "area_widths_mean_percent": 30.0, "area_widths_largest_percent": 50.0,
        "area_polynomial_mean_percent": 7.5, "area_polynomial_largest_percent": 10.0,
        "power_model_mean_percent": 11.7, "power_model_largest_percent": 20.0,
        "power_widths_mean_percent": 26.7, "power_widths_largest_percent": 50.0,
        "power_polynomial_mean_percent": 8.3, "power_polynomial_largest_percent": 10.0,
        "period_model_mean_percent": 15.0, "period_model_largest_percent": 25.0,
        "period_widths_mean_percent": 37.5, "period_widths_largest_percent": 50.0,
        "period_polynomial_mean_percent": 27.5, "period_polynomial_largest_percent": 50.0,
    }  # fmt: skip
    largest = largest_frame(FOUND, 2)
    assert list(largest.columns) == [
        "library", "quantity", "design", "clock_mhz", "precision", "stream", "error_percent"
    ]  # fmt: skip
    wide, mac, array = "uniform_w4_a4_l9", "uniform_w4_a4_l2", "core_broadcast_2x2_uniform_w4_a4_l2"
    assert largest.to_numpy().tolist() == [
        ["one", "area", wide, 250.5, "w4a4s", "uniform", -12.0],
        ["one", "area", array, 100.0, "w4a4s", "uniform", 1.8],
        ["one", "power", wide, 250.5, "w4a4s", "uniform", 20.0],
        ["one", "power", mac, 100.0, "w4a4s", "uniform", -10.0],
        ["one", "period", wide, 250.5, "w4a4s", "uniform", -25.0],
        ["one", "period", mac, 100.0, "w4a4s", "uniform", 5.0],
        ["two", "area", "xnor_l4", 100.0, "w4a4s", "uniform", 1.0],
        ["two", "power", "xnor_l4", 100.0, "w4a4s", "uniform", 6.0],
        ["two", "period", "xnor_l4", 100.0, "w4a4s", "uniform", 3.0],
    ]
    assert [len(each) for each in held_out_groups(FOUND["one"]).values()] == [3, 1]
    assert held_out_groups(Validated(cast("Any", None), FOUND["one"].predictions[-1:])) == {}


def vector(**values: float) -> Any:
    return np.array([values.get(part.name, 0.0) for part in PARTS])


COST = Cost(
    area_um2=vector(AND_TERMS=1000.4, FULL_ADDERS=234.0), leakage_uw=vector(AND_TERMS=1.0, FULL_ADDERS=0.25),
    settled_pj=vector(AND_TERMS=0.5, FULL_ADDERS=0.25), energy_pj=vector(AND_TERMS=0.75, FULL_ADDERS=0.5),
    idle_pj=vector(CLOCK_GATES=0.125), minimum_period_ns=3.456, clock_mhz=400.0, pressure=0.0, outside=(),
)  # fmt: skip


def term(part: Part, **changes: Any) -> PartTerm:
    values = {
        "part": part, "count": 64.0, "area_um2_each": 1.2345, "area_um2": 79.01, "leakage_nw": 1234.5, "settled": 12.34,
        "settled_fj_each": 2.0, "glitches": 123.4, "glitch_fj_each": 0.5, "pulses": 0.0, "pulse_fj_each": 0.25,
        "clock_fj": 0.0, "energy_fj": 86.4, "fitted_designs": 12, "fitted_most": 640.0,
    }  # fmt: skip
    return PartTerm(**{**values, **changes})


def explanation(**changes: Any) -> Explanation:
    steps = (StepTerm(Step.START, 1.0, 0.1), StepTerm(Step.AND, 2.0, 0.05), StepTerm(Step.CARRY, 5.0, 0.25))
    faster = (StepTerm(Step.START, 1.0, 0.08), StepTerm(Step.XOR, 3.0, 0.5), StepTerm(Step.LOAD, 4.0, 0.0))
    errors = {
        name: Errors(9, (mean, 0.0, 0.0), (most, 0.0, 0.0))
        for name, mean, most in (("area", 1.26, 5.04), ("power", 2.5, 9.96), ("period", 3.14, 12.0))
    }
    near = FOUND["one"].predictions
    values: dict[str, Any] = {
        "spec": UniformSpec(), "plan": StreamPlan(Precision(4, 4)), "cost": COST,
        "model": model(provenance={"process": "p", "effort": "high"}),
        "parts": (
            term(Part.AND_TERMS),
            term(Part.OPERAND_REGISTERS, count=8.5, area_um2=420.0, settled=0.0, glitches=99.96, pulses=100.4,
                 clock_fj=1234.5, energy_fj=1259.0, fitted_designs=3, fitted_most=8.0),
        ),
        "relaxed": LongestPath(1.45, {}, 1), "relaxed_steps": steps,
        "fastest": LongestPath(1.58, {}, 0), "fastest_steps": faster,
        "errors": errors, "errors_of": "held-out uniform",
        "neighbours": (Neighbour(near[0].point, COST, 0.0), Neighbour(near[-1].point, COST, 0.5)),
    }  # fmt: skip
    return Explanation(**{**values, **changes})


WHOLE = """\
uniform_w4_a4_l16, made-up (tt_1p0v_25c), 400 MHz
operands: uniform, seed 0, w4a4s, sums of 768 products, 1024 cycles
area 1,234 um2 (mean error 1.3 %, largest 5.0 %)
power 501.2 uW with glitches (mean error 2.5 %, largest 10.0 %), 301.2 uW without; leakage 1.2 uW of it
power without operands 51.2 uW
minimum period 3.46 ns (mean error 3.1 %, largest 12.0 %): misses the clock
(errors: mean and largest over held-out uniform, none of them fitted)
area by part, without clock pressure
                                                         designs
                             um2   area  share  leakage  fitted,
part                count   each    um2      %       nW     most
────────────────────────────────────────────────────────────────
operand flip-flops    8.5  1.234  420.0   84.2    1,234     3, 8
AND terms              64  1.234   79.0   15.8    1,234  12, 640

energy a cycle by part: transitions x fJ each
                                                     clock  energy  share
part                  settled    glitches    pulses     fJ      fJ      %
─────────────────────────────────────────────────────────────────────────
operand flip-flops          -  100.0x0.50  100x0.25  1,234   1,259   93.6
AND terms           12.3x2.00    123x0.50         -      0      86    6.4

longest path of the smallest and of the fastest netlist, stage 1 and stage 0
                   number x         number x
                        ns,              ns,
step               smallest     ns   fastest     ns
───────────────────────────────────────────────────
XOR gate                            3x0.5000  1.500
full adder, carry  5x0.2500  1.250
clock to output    1x0.1000  0.100  1x0.0800  0.080
AND term           2x0.0500  0.100
all                           1.45             1.58

nearest measured designs: measured (model)
                                                        min period
design            use     MHz     area um2   power uW           ns
──────────────────────────────────────────────────────────────────
uniform_w4_a4_l2  lanes   100  100 (1,234)  600 (501)  2.00 (3.46)
xnor_l4           fitted  100   50 (1,234)  600 (501)  1.00 (3.46)

process p; effort high
"""
LITTLE = """\
uniform_w4_a4_l16, made-up (tt_1p0v_25c), 400 MHz
operands: uniform, seed 0, w4a4s, sums of 768 products, 1024 cycles
area 1,234 um2
power 501.2 uW with glitches, 301.2 uW without; leakage 1.2 uW of it
minimum period 2.40 ns: meets the clock
outside the calibrated range: a reason
outside the calibrated range: another
area by part, without clock pressure
                                         designs
              um2  area  share  leakage  fitted,
part  count  each   um2      %       nW     most
────────────────────────────────────────────────

energy a cycle by part: transitions x fJ each
                                 clock  energy  share
part  settled  glitches  pulses     fJ      fJ      %
─────────────────────────────────────────────────────

longest path of the smallest and of the fastest netlist, stage 1 and stage 0
                   number x         number x
                        ns,              ns,
step               smallest     ns   fastest     ns
───────────────────────────────────────────────────
XOR gate                            3x0.5000  1.500
full adder, carry  5x0.2500  1.250
clock to output    1x0.1000  0.100  1x0.0800  0.080
AND term           2x0.0500  0.100
all                           1.45             1.58

process p
"""


def test_an_explanation_in_full(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_explanation(explanation())
    assert shown(capsys) == WHOLE.splitlines()


def test_an_explanation_under_pressure_and_of_little(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half way is a strain of three quarters; what grows does so by that share of its own growth."""
    monkeypatch.setenv("COLUMNS", "80")
    pressed = replace(COST, pressure=0.5, minimum_period_ns=2.4, outside=("a reason", "another"))
    bare = model(provenance={"process": "p"}, gate_fj=None, still_fj=None)
    print_explanation(explanation(cost=pressed, parts=(), errors={}, neighbours=(), model=bare))
    lines = shown(capsys)
    more_um2 = 0.75 * counts_of(UniformSpec()) @ bare.coefficients.strained_um2
    assert lines.pop(5) == (
        f"clock pressure 0.50, strain 0.75: {more_um2:,.0f} um2 of the area, leakage x 1.450, energy of clocks x "
        "1.038, of settled transitions x 1.225, of glitches x 1.150 and 0.112 of settled ones, 1.30 fJ more for each "
        "glitch of carry-propagate bits"
    )
    assert lines == LITTLE.splitlines()
