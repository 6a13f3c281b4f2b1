"""The arithmetic of the comparison, on measurements made up for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any, ClassVar

import pytest

from hwmodel.comparison.best import best_rows
from hwmodel.comparison.comparison import (
    EQUAL_THROUGHPUT,
    EQUAL_UNITS,
    Answer,
    Question,
    Row,
    compare_rows,
    contenders,
    measured_answer,
    questions,
)
from hwmodel.comparison.estimated import model_answer
from hwmodel.comparison.kinds import kinds_of
from hwmodel.comparison.measured import settings
from hwmodel.comparison.sentence import answer_sentence, mixed_rows
from hwmodel.comparison.tables import HEADERS, cells, frame, markdown, notes, shares_text
from hwmodel.comparison.terminal import print_comparison
from hwmodel.measurement.macs import MacTrial, Measurement
from hwmodel.measurement.row import SynthesisRow
from hwmodel.model import load_model, shape_of
from hwmodel.netlist.area import AreaParts
from hwmodel.workload import Pair, assign, load_workload, mixture_at, parts_of
from hwmodel.workload.mixture import Mixture, parse_mixture, standard_mixture
from rtl.mac import DESIGNS, BitFusionSpec, LoomSpec, SubwordSpec, UniformSpec
from rtl.mac.scalable import ScalableSpec
from rtl.spec.mac import MacSpec, Precision


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
    assert set(contenders()) == {design for design in DESIGNS if design.mixes_precisions}
    labels = [spec.label for design in contenders() for spec in kinds_of(design, standard_mixture(4))]
    assert len(set(labels)) == len(labels)
    assert [label for label in labels if label.startswith("bitfusion")] == [
        "bitfusion 8/4", "bitfusion 8/2", "bitfusion 8/4/2"
    ]  # fmt: skip


def unused_widths(spec: MacSpec, run_as: Mixture) -> set[int]:
    """Those that a design divides for and the mixture does not run at."""
    return set(getattr(spec, "widths", ())) - set(run_as.widths)


MIXTURES = [
    *(standard_mixture(bits) for bits in range(2, 8)),
    *map(parse_mixture, ("1:1/2,3:1/2", "3:1/2,5:1/2", "2:3/4,8:1/4", "1:1/4,2:1/4,4:1/4,8:1/4", "4:3/4,2:1/8,6:1/8")),
]


@pytest.mark.parametrize("mixture", MIXTURES, ids=str)
def test_no_row_that_mixes_is_of_a_design_with_a_width_that_it_does_not_use(mixture: Mixture) -> None:
    """Where a set of widths without it exists: and of each design every set that there is is asked for."""
    for design in contenders():
        asked = [entry for entry in questions(4, 16, 4, [design], mixture) if entry.spec.mixes_precisions]
        for entry in asked:
            assert entry.run_as.widths[-1] >= mixture.widths[-1]
            assert not unused_widths(entry.spec, entry.run_as) or len(entry.run_as.widths) == 1
        if not issubclass(design, ScalableSpec):
            assert all(entry.spec.maximum_bits == max(2, mixture.widths[-1]) for entry in asked)
            continue
        needed = {min(each for each in design.width_choices if each >= bits) for bits in mixture.widths}
        ordered = sorted(needed, reverse=True)
        sets = {widths for n in range(2, 9) for widths in combinations(ordered, n) if widths[0] == ordered[0]}
        assert {entry.spec.widths for entry in asked} == sets or len(needed) == 1


PAIRS = [Pair(w, a) for w in range(2, 9) for a in range(2, 9) if w != a]


@pytest.mark.parametrize("mean", PAIRS, ids=str)
def test_every_design_runs_every_pair_of_means(mean: Pair[int]) -> None:
    """No design is left out, none is slower than it must be, and the uniform one is of exactly these widths."""
    mixture = standard_mixture(mean)
    for design in contenders():
        entries = questions(mean, 16, 4, [design], mixture)
        assert entries[1].spec.precisions[0] == Precision(mean.weight_bits, mean.activation_bits)
        assert len(entries) > 2
        for entry in entries[2:]:
            rates = {p: entry.spec.macs_per_cycle(p) for p in entry.spec.precisions if p.activation_signed}
            time = Fraction(0)
            for bits, share in mixture.shares:
                w, a = parts_of(bits)
                time += share / max(rate for p, rate in rates.items() if p.weight_bits >= w and p.activation_bits >= a)
            assert entry.run_as.macs_per_cycle(entry.spec) == 1 / time
            assert set(entry.question.precisions) <= set(rates)
            assert entry.normalisation == EQUAL_UNITS or entry.run_as.macs_per_cycle(entry.spec) >= 16


def test_kinds_have_the_widths_that_pairs_need() -> None:
    def labels(name: str, mean: Pair[int]) -> list[str]:
        (design,) = contenders([name])
        return [kind.label for kind in kinds_of(design, standard_mixture(mean))]

    assert labels("bitfusion", Pair(4, 8)) == ["bitfusion 8/4", "bitfusion 8/2", "bitfusion 8/4/2"]
    assert labels("subword", Pair(4, 8)) == ["subword 8/4"]  # all at 8 bits: a set has two widths at least
    assert labels("subword", Pair(3, 6)) == ["subword 8/4"]
    assert labels("dc1d", Pair(3, 8)) == ["dc1d 4/2 x 8"]
    assert labels("dc1d", Pair(8, 3)) == ["dc1d 8/4 x 4"]
    assert labels("loom", Pair(2, 3)) == ["loom 4"]


def test_energy_and_time_of_pairs() -> None:
    """Of Bit Fusion: 2/8 at four products a unit and cycle, 4/8 at two, 8 at one, each with its own power."""
    entries = questions(Pair(4, 8), 16, 4, contenders(["bitfusion"]), standard_mixture(Pair(4, 8)))
    (row,) = [
        row for row in compare_rows(entries, answer)
        if row.design == "bitfusion 8/4/2" and row.normalisation == EQUAL_THROUGHPUT
    ]  # fmt: skip
    assert (row.units, row.run_as) == (8, "2/8b:1/3 4/8b:1/2 8b:1/6")
    assert row.run_as_mean_bits == Pair(Fraction(4), Fraction(8))
    assert row.macs_per_cycle == pytest.approx(8 / (1 / 12 + 1 / 4 + 1 / 6))
    (record,) = frame([row]).to_dict("records")
    assert (record["bits"], record["weight_bits"], record["activation_bits"]) == ("4/8", 4, 8)
    assert (record["run_as_mean_bits"], record["run_as_mean_activation_bits"]) == ("4/8", 8.0)
    assert answer_sentence(compare_rows(entries, answer)).endswith("energy of a product.")
    assert "at 4/8 bits" in answer_sentence(compare_rows(entries, answer))


def test_mixtures_of_pairs_must_have_both_means() -> None:
    given = {"designs": ["loom"], "lanes": 16, "units": 4, "jobs": 1}
    found = settings(bits=[4, Pair(4, 8)], mixtures=["4/8=2/8:1/2,6/8:1/2"], **given).entries
    assert [str(entry.mixture) for entry in found[-2:]] == ["2/8b:1/2 6/8b:1/2"] * 2
    for texts, said in (
        (["4/8=2/8:1/2,6/4:1/2"], "the mixture 2/8:1/2,6/4:1/2 must have a mean of 4/8 bits, not 4/6"),
        (["4=2/8:1/2,6/8:1/2"], "the mixture 2/8:1/2,6/8:1/2 must have a mean of 4 bits, not 4/8"),
        (["4/4=4:1", "4=4:1"], "mixture must be given once for a mean, not twice for '4'"),
        (["8/4=8/4:1"], "mixture must be BITS=MIX with BITS among 4, 4/8, not '8/4=8/4:1'"),
    ):
        with pytest.raises(ValueError) as caught:
            settings(bits=[4, Pair(4, 8)], mixtures=texts, **given)
        assert str(caught.value) == said


def test_a_network_at_two_means_brings_the_mixture_of_its_weights() -> None:
    tiny = load_workload("deit-tiny")
    found = settings(bits=[Pair(4, 8)], mixtures=[], designs=["loom"], lanes=16, units=4, jobs=1, workload=tiny).entries
    assert {entry.mixture for entry in found[2:]} == {mixture_at(tiny, Pair(4, 8))}
    assert {parts_of(bits)[1] for bits in found[2].mixture.widths} == {8}
    assert 0 <= 4 - parts_of(found[2].mixture.mean_bits)[0] < Fraction(1, 1000)


def test_a_unit_with_a_width_too_many_would_be_found() -> None:
    run_as = standard_mixture(3).run_on(SubwordSpec())
    assert unused_widths(SubwordSpec(), run_as) == {8}
    assert not unused_widths(SubwordSpec(widths=(4, 2)), standard_mixture(3).run_on(SubwordSpec(widths=(4, 2))))


def test_an_own_design_is_asked_for_in_its_variants_that_are_wide_enough() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Own(SubwordSpec):
        design: ClassVar[str] = "own"

        @classmethod
        def kinds_for(cls, widths: Sequence[int]) -> tuple[dict[str, Any], ...]:
            return super(ScalableSpec, cls).kinds_for(widths)

    assert [kind.label for kind in kinds_of(Own, parse_mixture("2:1/2,8:1/2"))] == ["own 8/4", "own 8/4/2", "own 8/2"]
    with pytest.raises(ValueError, match=r"^loom_u1_m2 has no precision of 4 bits or more$"):
        parse_mixture("4:1").run_on(LoomSpec(units=1, maximum_bits=2))


def test_sixteen_lanes_stand_against_four_fusion_units() -> None:
    entries = questions(4, 16, 4, [BitFusionSpec], parse_mixture("4:1"))
    assert [(e.normalisation, type(e.spec)) for e in entries] == [
        (EQUAL_UNITS, UniformSpec), (EQUAL_THROUGHPUT, UniformSpec),
        (EQUAL_UNITS, BitFusionSpec), (EQUAL_THROUGHPUT, BitFusionSpec),
    ]  # fmt: skip
    assert [getattr(e.spec, e.spec.size_parameter) for e in entries] == [4, 16, 4, 16]
    assert entries[2].spec.widths == (4, 2)  # a set has two widths at least


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
    rows = compare_rows(questions(4, 16, 4, [BitFusionSpec], standard_mixture(4)), answer)
    uniform, _, *_, unit, rate = rows
    assert (rate.family, rate.design) == ("bitfusion", "bitfusion 8/4/2")
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
    # 80, 20 and 5 products a cycle; sums of 768 take 10, 39 and 154 cycles.
    cycles = (1 / 3 * 2 * 10 + 1 / 2 * 4 * 39 + 1 / 6 * 8 * 154) / 768
    assert rate.energy_fj_per_mac == pytest.approx(1e3 * 10 * 5 * cycles / 500)
    assert rate.power_ratio == pytest.approx(rate.energy_fj_per_mac / uniform.energy_fj_per_mac)


def test_tables_hold_both_normalisations_and_units() -> None:
    rows = compare_rows(questions(3, 16, 4, contenders(), standard_mixture(3)), answer)
    table = frame(rows)
    assert len(table) == 2 * (1 + sum(len(kinds_of(design, standard_mixture(3))) for design in contenders()))
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
        "designs must be among padded, subword, dc1d, bitfusion, bitblade, bitserial, loom, not 'nosuch'"
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
    entries = questions(4, 16, 4, contenders(["bitfusion"]), standard_mixture(4))
    full, partly = (compare_rows(entries, lambda q, u=u: answer(q).at(u)) for u in (1.0, 0.25))
    for one, other in zip(full, partly, strict=True):
        assert one.power_uw is not None
        assert other.power_uw == pytest.approx((0.25 + 0.75 / 5) * one.power_uw)
        assert other.energy_fj_per_mac == pytest.approx((1 + 3 / 5) * (one.energy_fj_per_mac or 0.0))
        assert other.activity == f"{one.activity}; operands in 0.25 of the cycles"
        assert (other.area_um2, other.area_ratio) == (one.area_um2, one.area_ratio)
    unknown = compare_rows(entries, lambda q: answer(q, powered=False).at(0.25))
    assert [row.power_uw for row in unknown] == [None] * len(entries)


def test_of_each_design_the_kind_with_the_least_product_of_area_and_energy_is_best() -> None:
    rows = compare_rows(questions(4, 16, 4, contenders(["subword", "loom"]), standard_mixture(4)), answer)
    rates = [row for row in rows if row.family == "subword" and row.normalisation == EQUAL_THROUGHPUT]
    least = min(rates, key=lambda row: row.area_ratio * row.power_ratio)
    shown = best_rows(rows)
    assert [row.design for row in shown] == ["uniform 4x4"] * 2 + [least.design] * 2 + ["loom 8"] * 2
    other = next(row for row in rates if row is not least)
    cheaper = [replace(row, area_ratio=1e-3) if row is other else row for row in rows]
    assert {row.design for row in best_rows(cheaper) if row.family == "subword"} == {other.design}
    areas = [replace(row, power_ratio=None) for row in rows]
    smallest = min(rates, key=lambda row: row.area_ratio)
    assert {row.design for row in best_rows(areas) if row.family == "subword"} == {smallest.design}


def test_only_what_meets_the_clock_is_in_the_answer_and_first_among_kinds() -> None:
    entries = questions(4, 16, 4, contenders(["subword", "loom"]), standard_mixture(4))
    rows = compare_rows(entries, answer)
    rates = [row for row in mixed_rows(rows) if row.family == "subword"]
    least = min(rates, key=lambda row: row.area_ratio * row.power_ratio)
    late = [replace(row, meets_clock=False) if row is least else row for row in rows]
    other = min((row for row in rates if row is not least), key=lambda row: row.area_ratio * row.power_ratio)
    assert {row.design for row in best_rows(late) if row.family == "subword"} == {other.design}
    smallest = min(mixed_rows(rows), key=lambda row: row.area_ratio)
    slower = [replace(row, meets_clock=row is not smallest) for row in rows]
    least_area = min(row.area_ratio for row in mixed_rows(rows) if row is not smallest)
    assert answer_sentence(slower).startswith(
        f"At equal throughput the smallest precision-scalable MAC takes {least_area:.2f} times"
    )
    nothing = [replace(row, meets_clock=False) for row in rows]
    assert answer_sentence(nothing) == (
        "Nothing can be compared. At 4 bits no precision-scalable MAC meets the clock of 500 MHz. "
        "At 4 bits the uniform MAC misses the clock of 500 MHz."
    )
    uniform_late = [replace(row, meets_clock=row.family != "uniform") for row in rows]
    assert answer_sentence(uniform_late) == (
        f"{answer_sentence(rows)} At 4 bits the uniform MAC misses the clock of 500 MHz."
    )


def test_ratios_of_estimates_are_to_the_estimate_of_the_uniform_design() -> None:
    """Here estimates are twice what is measured."""
    entries = questions(4, 16, 4, contenders(["loom"]), standard_mixture(4))

    def estimate(question: Question) -> Answer:
        found = answer(question)
        powers = {precision: 2 * (power_uw or 0.0) for precision, power_uw in found.power_uw.items()}
        return replace(found, source="model", area_um2=2 * found.area_um2, power_uw=powers)

    def mixed(question: Question) -> Answer:
        return estimate(question) if question.spec.design == "loom" else answer(question)

    measured = compare_rows(entries, answer)
    ratios = [(row.area_ratio, row.power_ratio) for row in measured]
    assert [(row.area_ratio, row.power_ratio) for row in compare_rows(entries, mixed, estimate)] == ratios
    unlike = compare_rows(entries, mixed)
    assert [row.area_ratio for row in unlike[2:]] == [2 * row.area_ratio for row in measured[2:]]


def test_power_with_glitches_has_no_ratio_to_power_without() -> None:
    entries = questions(4, 16, 4, contenders(["loom"]), standard_mixture(4))

    def half(question: Question) -> Answer:
        return replace(answer(question), toggles="zero-delay") if question.spec.design == "loom" else answer(question)

    rows = compare_rows(entries, half)
    assert [row.power_ratio for row in rows] == [1.0, 1.0, None, None]
    assert all(row.area_ratio for row in rows)
    assert answer_sentence(rows).endswith("times the area of the uniform one at 4 bits.")
    assert any("without glitches where toggles are zero-delay: Icarus" in note for note in notes(rows))


def test_that_the_power_of_serial_designs_is_estimated_too_low_is_said() -> None:
    """Of estimates without stages, as in the calibration."""
    rows = compare_rows(questions(4, 16, 4, contenders(["loom", "bitserial", "subword"]), standard_mixture(4)), answer)
    estimated = [replace(row, source="model") for row in rows]

    def said(found: list[Row]) -> list[str]:
        return [note for note in notes(found) if "is too low" in note]

    assert said(rows) == said([replace(row, pipeline_stages=1) for row in estimated]) == []
    (note,) = said(estimated)
    assert note == (
        "Power of bitserial 8 and loom 8, estimated without pipeline stages, is too low at clocks near or beyond the "
        "fastest of a relaxed netlist (docs/calibration.md, where it is wrong)."
    )
    some = [replace(row, pipeline_stages=int(row.family == "loom"), power_uw=None if row.family == "loom" else 1.0)
            for row in estimated]  # fmt: skip
    assert [note.partition(",")[0] for note in said(some)] == ["Power of bitserial 8"]
    assert said([row for row in estimated if row.family in ("uniform", "subword")]) == []


def test_notes_on_the_terminal_are_of_the_rows_that_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = compare_rows(questions(4, 16, 4, contenders(["subword"]), standard_mixture(4)), answer)
    shown = next(row for row in best_rows(rows)[2:] if row.normalisation == EQUAL_THROUGHPUT)
    hidden = [
        replace(row, source="model, out of range") if row.family == "subword" and row.design != shown.design else row
        for row in rows
    ]
    print_comparison([replace(row, meets_clock=row.family != "subword") for row in hidden])
    said = capsys.readouterr().out
    assert "no: no pipelining meets the clock; shown is one within 2 % of the fastest." in said
    assert "* lies beyond" not in said
    print_comparison(hidden, wide=True)
    assert "* lies beyond" in capsys.readouterr().out


def test_the_answer_is_of_rows_that_mix() -> None:
    rows = compare_rows(questions(4, 16, 4, contenders(), parse_mixture("4:1")), answer)
    assert answer_sentence(rows) == "Nothing is mixed."
    assert answer_sentence(rows[:2]) == "No precision-scalable design is compared."
    assert not mixed_rows(rows)
    mixed = compare_rows(questions(3, 16, 4, contenders(), standard_mixture(3)), answer)
    assert mixed_rows(mixed) == [row for row in mixed if row.normalisation == EQUAL_THROUGHPUT][1:]
    assert answer_sentence([*rows, *mixed]) == answer_sentence(mixed)


def test_a_network_brings_its_own_mixtures() -> None:
    tiny = load_workload("deit-tiny")
    given = {"designs": ["subword"], "lanes": 16, "units": 4, "jobs": 1, "workload": tiny}
    found = settings(bits=[4], mixtures=[], **given).entries
    assert {entry.mixture for entry in found[2:]} == {mixture_at(tiny, 4)}
    assert mixture_at(tiny, 4) == assign(tiny, 4, (2, 4, 8)).mixture()
    with pytest.raises(ValueError) as caught:
        settings(bits=[4], mixtures=["4=2:1/2,6:1/2"], **given)
    assert str(caught.value) == (
        "mixture must not be given with a network: its mixtures are those that the policy assigns"
    )


def test_long_shares_are_shown_in_percent() -> None:
    mixture = mixture_at(load_workload("deit-tiny"), 4)
    assert shares_text(str(mixture)) == mixture.in_percent()
    assert shares_text("1b:1/3 2b:1/2 4b:1/6") == "1b:1/3 2b:1/2 4b:1/6"


@pytest.mark.parametrize("forms", [(), ("booth",), ("booth", "half_adders")])
def test_the_model_chooses_among_forms_that_it_was_fitted_to(forms: tuple[str, ...]) -> None:
    known = load_model("freepdk45")
    model = replace(known, range=replace(known.range, forms=forms))
    spec = UniformSpec(weight_bits=8, activation_bits=8, lanes=1)
    assert [form.form for form in model.forms(spec)] == [
        form.form for form in spec.forms if set(form.form) <= set(forms)
    ]
    for clock_mhz in (100.0, 500.0, 2000.0):
        assert set(model_answer(Question(spec, (Precision(8, 8),)), model, clock_mhz).spec.form) <= set(forms)
    tried = {form.form: shape_of(form, model).outside for form in spec.forms}
    for form, outside in tried.items():
        said = [f"{name}, with which no design was calibrated" for name in form if name not in forms]
        assert [reason for reason in outside if "with which" in reason] == said


def test_estimates_at_different_widths_are_marked() -> None:
    """But for uniform designs, of which some were measured for the fit."""
    model, pair = load_model("freepdk45"), Precision(4, 8)
    fusion = BitFusionSpec(units=4, widths=(8, 4), reduction_length=4096)
    beyond = model_answer(Question(fusion, (Precision(8, 8), pair)), model, 500.0)
    within = model_answer(Question(fusion, (Precision(8, 8),)), model, 500.0)
    assert beyond.outside == (*within.outside, "power at different widths of weights and activations")
    assert beyond.source == "model, out of range"
    mac = UniformSpec(weight_bits=4, activation_bits=8, lanes=16, reduction_length=4096)
    assert model_answer(Question(mac, (pair,)), model, 500.0).source == "model"
