"""The arithmetic of the comparison, on measurements made up for it."""

from fractions import Fraction

import pytest

from hwmodel.comparison.comparison import (
    EQUAL_THROUGHPUT,
    EQUAL_UNITS,
    Answer,
    Question,
    compare_rows,
    contenders,
    measured_answer,
    questions,
)
from hwmodel.comparison.tables import HEADERS, cells, frame, markdown, notes
from hwmodel.comparison.terminal import print_comparison
from hwmodel.measurement.macs import MacTrial, Measurement
from hwmodel.measurement.row import SynthesisRow
from hwmodel.netlist.area import AreaParts
from hwmodel.workload.mixture import standard_mixture
from rtl.mac import DESIGNS, BitFusionSpec, UniformSpec
from rtl.spec.mac import MacSpec


def made_up(area_um2: float, power_uw: float | None, activity: str | None) -> SynthesisRow:
    return SynthesisRow(
        design="d", spec={}, library="lib", library_sha256="0", library_use_sha256="0", corner="typical",
        clock_mhz=500.0, area_um2=area_um2,
        parts=AreaParts(), cells=1, histogram={}, recipe="r", minimum_period_ns=None if power_uw is None else 1.5,
        slack_ns=None, meets_clock=None if power_uw is None else True, verilog_sha256="0", tools={},
        activity=activity, power_uw=power_uw, toggles=None if power_uw is None else "glitch-aware",
        leakage_uw=None if power_uw is None else power_uw / 8, clock_uw=None if power_uw is None else power_uw / 4,
        settled_uw=None if power_uw is None else power_uw / 2,
        idle_uw=None if power_uw is None else power_uw / 5,
    )  # fmt: skip


def answer(question: Question, powered: bool = True) -> Answer:
    """Area 100 um2 a unit; power 10 uW a unit and bit, an eighth of it glitches."""
    spec: MacSpec = question.spec
    units = getattr(spec, spec.size_parameter)
    rows = {
        p: made_up(100.0 * units, 10.0 * units * p.weight_bits if powered else None, str(p))
        for p in question.precisions
    }
    trial = MacTrial(spec, made_up(100.0 * units, None, None), rows)
    return measured_answer(Measurement(trial, (trial,)))


def test_every_scalable_design_is_compared_in_all_its_kinds() -> None:
    labels = [spec.label for spec in contenders()]
    assert len(set(labels)) == len(labels)
    assert {spec.design for spec in contenders()} == {d.design for d in DESIGNS if d.mixes_precisions}
    assert "bitfusion 8/4" in labels
    assert "bitfusion 8/4/2" in labels


def test_sixteen_lanes_stand_against_four_fusion_units() -> None:
    from hwmodel.workload.mixture import parse_mixture

    entries = questions(4, 16, 4, [BitFusionSpec(units=1)], parse_mixture("4:1"))
    assert [(e.normalisation, type(e.spec)) for e in entries] == [
        (EQUAL_UNITS, UniformSpec), (EQUAL_THROUGHPUT, UniformSpec),
        (EQUAL_UNITS, BitFusionSpec), (EQUAL_THROUGHPUT, BitFusionSpec),
    ]  # fmt: skip
    assert [getattr(e.spec, e.spec.size_parameter) for e in entries] == [4, 16, 4, 4]


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
@pytest.mark.parametrize("lanes", [1, 7, 16])
def test_equal_throughput_is_at_least_that_of_uniform_with_as_few_units_as_possible(bits: int, lanes: int) -> None:
    for entry in questions(bits, lanes, 4, contenders(), standard_mixture(bits)):
        if entry.normalisation == EQUAL_THROUGHPUT and entry.spec.mixes_precisions:
            units = getattr(entry.spec, entry.spec.size_parameter)
            rate = entry.run_as.macs_per_cycle(entry.spec)
            assert rate >= lanes
            assert rate * Fraction(units - 1, units) < lanes


def test_figures_of_both_normalisations() -> None:
    rows = compare_rows(questions(4, 16, 4, [BitFusionSpec(units=1)], standard_mixture(4)), answer)
    uniform, _, unit, rate = rows
    assert uniform.area_um2_per_unit == 100
    assert uniform.energy_fj_per_mac == pytest.approx(1e3 * 40 / 500)
    assert uniform.settled_energy_fj_per_mac == pytest.approx(uniform.energy_fj_per_mac * 7 / 8)
    assert unit.area_ratio == 1
    # time shares of 2, 4, 8 bits: 1/48, 1/8, 1/6 of 5/16
    mean_bits = (2 / 48 + 4 / 8 + 8 / 6) / (5 / 16)
    assert unit.power_ratio == pytest.approx(mean_bits / 4)
    assert rate.units == 5
    assert rate.macs_per_cycle == pytest.approx(16)
    assert rate.area_ratio == pytest.approx(500 / 1600)
    assert rate.energy_fj_per_mac == pytest.approx(1e3 * 10 * 5 * mean_bits / 500 / 16)
    assert rate.power_ratio == pytest.approx(rate.energy_fj_per_mac / uniform.energy_fj_per_mac)


def test_tables_hold_both_normalisations_and_units() -> None:
    rows = compare_rows(questions(3, 16, 4, contenders(), standard_mixture(3)), answer)
    table = frame(rows)
    assert len(table) == 2 * (1 + len(contenders()))
    assert {"area_um2", "power_uw_per_unit", "energy_fj_per_mac", "minimum_period_ns"} <= set(table.columns)
    lines = cells(rows)
    assert len(lines) == len(table) / 2
    assert all(len(line) == len(HEADERS) for _, line in lines)
    text = markdown(rows)
    assert "| uniform 3x3 | 3b:1 |" in text
    heads = [part.splitlines()[0] for part in text.split("\n\n") if part.startswith("| ")]
    assert heads == [
        "| design | runs as | units | area um2 per MAC/cycle | energy fJ/MAC | area ratio | energy ratio |",
        (
            "| design | area um2/unit | power uW/unit | area ratio | power ratio | stages, equal throughput "
            "| min period ns, equal throughput |"
        ),
    ]
    assert "Mean of 3 bits: the mixture (share of MACs by bit-width) is 2b:1/2 4b:1/2." in text


def test_without_timing_the_table_says_what_is_missing() -> None:
    rows = compare_rows(
        questions(2, 4, 4, contenders(["loom"]), standard_mixture(2)), lambda q: answer(q, powered=False)
    )
    assert all(row.energy_fj_per_mac is None for row in rows)
    assert rows[2].area_ratio == 1
    assert (
        "Timing and power are unknown: OpenSTA is not installed. On Debian or Ubuntu: apt-get install opensta"
        in notes(rows)
    )
    assert "unknown" in cells(rows)[0][1]


def test_unknown_designs_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        contenders(["bitfusion", "nosuch"])
    assert str(caught.value) == (
        "designs must be among padded, subword, bitfusion, bitblade, bitserial, loom, not 'nosuch'"
    )


@pytest.mark.parametrize("width", [80, 200])
def test_the_wide_terminal_shows_every_column_at_any_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = compare_rows(questions(3, 16, 4, contenders(), standard_mixture(3)), answer)
    print_comparison(rows, wide=True)
    shown = capsys.readouterr().out
    assert all(len(line.rstrip()) <= width for line in shown.splitlines() if "  " in line)
    for word in {word for header in HEADERS for word in header.split()} | {"loom", "100.0"}:
        assert word in shown


def test_idle_cycles_count_towards_the_energy_of_a_product() -> None:
    """At a quarter of the cycles a product pays for three idle ones, each a fifth of a full one here."""
    entries = questions(4, 16, 4, [BitFusionSpec(units=1)], standard_mixture(4))
    full, partly = (compare_rows(entries, lambda q, u=u: answer(q).at(u)) for u in (1.0, 0.25))
    for one, other in zip(full, partly, strict=True):
        assert one.power_uw is not None
        assert other.power_uw == pytest.approx((0.25 + 0.75 / 5) * one.power_uw)
        assert other.energy_fj_per_mac == pytest.approx((1 + 3 / 5) * (one.energy_fj_per_mac or 0.0))
        assert other.activity == f"{one.activity}; operands in 0.25 of the cycles"
        assert (other.area_um2, other.area_ratio) == (one.area_um2, one.area_ratio)
    unknown = compare_rows(entries, lambda q: answer(q, powered=False).at(0.25))
    assert [row.power_uw for row in unknown] == [None] * len(entries)
