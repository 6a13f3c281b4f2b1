"""Estimates against measurements: which pairs of designs change places, and what is said of them."""

from dataclasses import replace

import pytest

from hwmodel.comparison.check import Swap, pairs_apart, print_check, swapped
from hwmodel.comparison.comparison import Row, compare_rows
from hwmodel.comparison.measured import settings
from tests.hwmodel.comparison.test_comparison import answer


def rows() -> list[Row]:
    asked = settings(bits=[4], mixtures=[], designs=["loom", "subword"], lanes=4, units=2, jobs=1)
    found = compare_rows(asked.entries, answer)
    one = [row for row in found if row.normalisation == "equal units"][:3]
    return [
        replace(row, area_ratio=area, power_ratio=power, design=name)
        for row, area, power, name in zip(one, (1.0, 1.04, 1.2), (1.0, 1.5, None), "abc", strict=True)
    ]


def test_pairs_that_are_apart_and_change_places() -> None:
    """b is within 5 % of a in area, c has no power: neither pair counts."""
    measured = rows()
    pairs = pairs_apart(measured, measured)
    assert [(pair.quantity, pair.first, pair.second) for pair in pairs] == [
        ("power", "a", "b"), ("area", "a", "c"), ("area", "b", "c"),
    ]  # fmt: skip
    assert swapped(pairs) == []
    estimated = [
        replace(measured[0], area_ratio=1.0),
        replace(measured[1], area_ratio=1.3, power_ratio=0.9),
        measured[2],
    ]
    assert swapped(pairs_apart(estimated, measured)) == [
        Swap(4, "equal units", "power", "a", "b", pytest.approx(1 / 1.5), pytest.approx(1 / 0.9)),
        Swap(4, "equal units", "area", "b", "c", pytest.approx(1.04 / 1.2), pytest.approx(1.3 / 1.2)),
    ]


def test_rows_of_other_tables_are_no_pairs() -> None:
    one, two, _ = rows()
    apart = [one, replace(two, bits=3), replace(two, normalisation="equal throughput")]
    assert pairs_apart(apart, apart) == []


BY_DESIGN = "power by design, of rows with the same stages: {}"


def test_power_is_compared_by_design_with_its_sign(capsys: pytest.CaptureFixture[str]) -> None:
    """Of rows with the same stages: the mean over those of a design."""
    measured = [*rows(), replace(rows()[1], pipeline_stages=2), replace(rows()[1], power_uw=None)]
    powers = [80.0, 0.8 * 720 / 7, 0.9 * 440 / 3, 1.1 * 720 / 7, 50.0]
    estimated = [replace(row, power_uw=power_uw) for row, power_uw in zip(measured, powers, strict=True)]
    print_check(estimated, measured)
    said = "subword pipelined +10.0 %, subword without stages -15.0 %, uniform without stages +0.0 %"
    assert BY_DESIGN.format(said) in capsys.readouterr().out.splitlines()
    others = [replace(estimated[0], pipeline_stages=1), *estimated[1:3]]
    print_check(others, measured[:3])
    assert BY_DESIGN.format("subword without stages -15.0 %") in capsys.readouterr().out.splitlines()
    print_check([replace(row, power_uw=None) for row in measured], measured)
    assert "power by design" not in capsys.readouterr().out


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    measured = rows()
    said = replace(measured[1], power_ratio=0.9, area_um2=1.3 * measured[1].area_um2, spec="other_p1")
    estimated = [measured[0], said, measured[2]]
    print_check(estimated, measured)
    lines = capsys.readouterr().out.splitlines()
    assert "area: 10.0 % apart on average, 30.0 % at most (4 bits, equal units, b)" in lines
    assert lines[-4:] == [
        BY_DESIGN.format("subword without stages +0.0 %, uniform without stages +0.0 %"),
        "pipeline stages or form: other ones in 1 of 3 rows",
        "order: 1 of 3 pairs more than 5 % apart change places",
        "  4 bits, equal units, power, a to b: 0.67 measured, 1.11 estimated",
    ]
