"""What an explanation counts of the designs that were fitted, and in which order it prints the steps of a path."""

from __future__ import annotations

import re

import pytest

from hwmodel.fit.explanation import Explanation, explain
from hwmodel.fit.explanationtables import print_explanation
from hwmodel.fit.validationtables import points_of
from hwmodel.measurement.table import packaged_calibration
from hwmodel.model.features import PARTS, counts_of
from hwmodel.model.file import load_model
from hwmodel.model.model import cost_of
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import SubwordSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision

POINTS = points_of(packaged_calibration("freepdk45"))
XNOR = XnorSpec(lanes=16, pipeline_stages=1)


def explained(spec: MacSpec, precision: Precision) -> Explanation:
    return explain(spec, StreamPlan(precision), load_model("freepdk45"), 100.0, POINTS)


@pytest.mark.parametrize(
    ("spec", "precision"),
    [(XNOR, Precision(1, 1)), (SubwordSpec(units=1), Precision(4, 4))],
)
def test_parts_say_in_how_many_fitted_designs_they_are_and_how_often(spec: MacSpec, precision: Precision) -> None:
    fitted = [counts_of(mac).tolist() for mac in {point.mac for point in POINTS if not point.held_out}]
    found = explained(spec, precision)
    assert {term.part for term in found.parts} == {part for part, n in zip(PARTS, counts_of(spec), strict=True) if n}
    for term in found.parts:
        numbers = [counts[PARTS.index(term.part)] for counts in fitted]
        assert term.fitted_designs == len([number for number in numbers if number != 0])
        assert term.fitted_most == max(numbers)


def test_some_part_is_there_once_in_some_fitted_design() -> None:
    """So that the test above tells some from several."""
    columns = zip(*(counts_of(point.mac) for point in POINTS if not point.held_out), strict=True)
    once = {part for part, column in zip(PARTS, columns, strict=True) if any(0 < number <= 1 for number in column)}
    assert once & {term.part for term in explained(XNOR, Precision(1, 1)).parts}


def test_errors_are_those_of_held_out_designs_of_the_family_or_of_all() -> None:
    """As fractions of each measured figure, counted anew; every netlist once for its area."""
    model = load_model("freepdk45")
    held_out = [point for point in POINTS if point.held_out and isinstance(point.spec, MacSpec)]
    families = {point.spec.design for point in held_out}
    for spec, precision in ((SubwordSpec(units=1), Precision(4, 4)), (XNOR, Precision(1, 1))):
        chosen = [point for point in held_out if point.spec.design == spec.design] or held_out
        found = explained(spec, precision)
        assert found.errors_of == (f"held-out {spec.design}" if spec.design in families else "all held-out designs")
        off = {}
        for point in chosen:
            cost = cost_of(point.mac, point.plan, model, point.clock_mhz)
            off[point.mac, point.clock_mhz] = 100 * abs(cost.total_area_um2 / point.area_um2 - 1)
        assert found.errors["area"].points == len(off)
        assert found.errors["area"].mean[0] == pytest.approx(sum(off.values()) / len(off))
        assert found.errors["area"].largest[0] == pytest.approx(max(off.values()))


def test_steps_are_printed_from_the_longest_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(SubwordSpec(units=1), Precision(4, 4))
    print_explanation(found)
    shown = capsys.readouterr().out.partition("longest path of the smallest")[2]
    longest: dict[str, float] = {}
    for term in (*found.relaxed_steps, *found.fastest_steps):
        longest[term.step.value] = max(longest.get(term.step.value, 0.0), term.ns)
    wanted = [name for name in sorted(longest, key=lambda name: -longest[name]) if longest[name]]
    assert len(wanted) > 3
    places = [re.search(rf"^{re.escape(name)}  ", shown, re.MULTILINE) for name in wanted]
    assert [place.start() for place in places if place] == sorted(place.start() for place in places if place)
    assert all(places)
