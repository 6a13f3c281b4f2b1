"""The sentences of a report on made-up numbers, to the letter; with other numbers they say something else."""

from collections.abc import Callable, Mapping
from itertools import combinations, pairwise
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.comparison.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row
from reports.charts.front import FrontPoint, front_of
from reports.charts.labels import apart, beside
from reports.inputs.equivalence import Equivalence, GemmKind
from reports.inputs.oscillation import Oscillation
from reports.numbers.breakdown import Breakdown
from reports.numbers.validation import Library
from reports.values import english
from reports.wording.findings import (
    clock_finding,
    ends_finding,
    energy_finding,
    equivalence_finding,
    floorplan_finding,
    front_finding,
    model_finding,
    oscillation_finding,
    own_finding,
    pareto_finding,
    parts_finding,
    requantiser_finding,
    sensitivity_finding,
)
from reports.wording.story import (
    KeyNumber,
    answer,
    error_sentence,
    headline,
    key_numbers,
    mixed_widths,
    order_of,
    question,
    ratio_title,
)

MakeRows = Callable[..., tuple[Row, ...]]
LOSING = {
    2: {"loom": (1.5, 2.0, 0.75, 0.5), "subword 8/4": (3.0, 1.25, 4.0, 3.0)},
    4: {"loom": (2.5, 3.0, 1.25, 1.5), "subword 8/4": (2.0, 1.5, 3.0, 2.0)},
}
WINNING = {4: {"loom": (0.5, 0.25, 0.75, 0.5), "subword 8/4": (0.9, 0.75, 0.5, 0.9)}}
MIXED = {4: {"loom": (0.5, 1.25, 2.0, 2.0), "subword 8/4": (1.5, 0.75, 3.0, 3.0)}}


# The answer.


def test_the_answer_where_mixing_costs_more(made_rows: MakeRows, made_library: Library) -> None:
    rows = made_rows(LOSING)
    assert headline(rows) == "At equal throughput one bit-width costs less area and energy than a mix of the same mean"
    assert question(rows) == (
        "A transformer is to run in silicon with a mean of 2 or 4 bits. Should all of it have one bit-width, on "
        "multiply-accumulate units (MACs) of that width, or should widths be mixed, on MACs that switch precision?"
    )
    first, second, third = answer(rows, None, made_library)
    assert first == (
        "At equal throughput none of the two precision-scalable designs takes less area than the uniform MAC of the "
        "same mean width (at 2 and 4 bits the smallest takes 1.50 and 2.00 times as much), and none takes less energy "
        "a product (the most frugal 1.25 and 1.50 times as much). At 2 bits nothing is mixed: there the designs could "
        "switch, and do not."
    )
    assert second == (
        "Unit for unit, where one does 1 product a cycle, a precision-scalable design takes less area than the "
        "uniform MAC in one of 4 cases (the smallest is loom at 2 bits with 0.75 times as much), and one takes less "
        "power in one of 4."
    )
    assert third == (
        "These numbers are estimates of a model that, on 1 design it was not fitted to, is wrong by 5.0 % in area, "
        "10.0 % in power and 20.0 % in clock period on average."
    )


def test_the_answer_where_mixing_costs_less(made_rows: MakeRows) -> None:
    rows = made_rows(WINNING)
    assert headline(rows) == (
        "At equal throughput a mix of bit-widths costs less area and energy than one of the same mean"
    )
    first, second, third = answer(rows, None, None)
    assert first == (
        "At equal throughput all two precision-scalable designs take less area than the uniform MAC of the same mean "
        "width (at 4 bits the smallest takes 0.50 times as much), and all take less energy a product (the most frugal "
        "0.25 times as much)."
    )
    assert second == (
        "Unit for unit, where one does 1 product a cycle, all two precision-scalable designs take less area than the "
        "uniform MAC (the smallest is subword 8/4 at 4 bits with 0.50 times as much), and all take less power."
    )
    assert third == (
        "These numbers are estimates, and how wrong they are is not known: madelib has no calibration table."
    )


def test_the_answer_where_it_depends(made_rows: MakeRows) -> None:
    rows = made_rows(MIXED)
    assert headline(rows) == (
        "At equal throughput it depends on the design whether one bit-width or a mix of bit-widths costs less"
    )
    assert answer(rows, None, None)[0] == (
        "At equal throughput a precision-scalable design takes less area than the uniform MAC of the same mean width "
        "in one of 2 cases (at 4 bits the smallest takes 0.50 times as much), and one takes less energy a product in "
        "one of 2 (the most frugal 0.75 times as much)."
    )


@pytest.mark.parametrize(
    ("area", "energy", "said"),
    [
        (2.0, 0.5, "At equal throughput one bit-width costs less area, a mix of the same mean less energy"),
        (0.5, 2.0, "At equal throughput one bit-width costs less energy, a mix of the same mean less area"),
        (2.0, None, "At equal throughput one bit-width costs less area than a mix of the same mean"),
        (0.5, None, "At equal throughput a mix of bit-widths costs less area than one of the same mean"),
    ],
)
def test_the_headline_follows_each_number(area: float, energy: float | None, said: str, made_rows: MakeRows) -> None:
    assert headline(made_rows({4: {"loom": (area, energy, 1.0, None)}})) == said


def test_the_headline_is_about_means_that_mix(made_rows: MakeRows) -> None:
    """At a mean of 2 bits every product has 2 bits: it neither speaks for a mix nor against it."""
    ratios = {2: {"loom": (2.0, 2.0, 1.0, 1.0)}, 4: {"loom": (0.5, 0.5, 1.0, 1.0)}}
    rows = made_rows(ratios)
    assert mixed_widths(rows) == [4]
    assert headline(rows) == (
        "At equal throughput a mix of bit-widths costs less area and energy than one of the same mean"
    )
    assert [number.value for number in key_numbers(rows, None)] == ["0.50×", "0.50×"]
    alone = made_rows({2: ratios[2]})
    assert headline(alone) == (
        "At equal throughput a MAC of one bit-width costs less area and energy than one that can switch precision"
    )
    assert headline(made_rows({2: ratios[4]})) == (
        "At equal throughput a MAC that can switch precision costs less area and energy than one of one bit-width"
    )
    assert headline(made_rows({2: MIXED[4]})) == (
        "At equal throughput it depends on the design whether a MAC of one bit-width or a MAC that can switch "
        "precision costs less"
    )


def test_the_key_numbers_are_the_least_and_say_where(made_rows: MakeRows) -> None:
    network = made_network({2: 8.25, 4: 1234.5}, {2: 0.25, 4: 1.5})
    assert key_numbers(made_rows(LOSING), network) == (
        KeyNumber("2.00×", "the area of the uniform MAC", "at best, subword 8/4 at a mean of 4 bits, equal throughput"),
        KeyNumber("1.50×", "its energy a product", "at best, subword 8/4 at a mean of 4 bits, equal throughput"),
        KeyNumber("1.50×", "the energy of a uniform array, DeiT-T",
                  "at best, loom at a mean of 4 bits, one inference in the same time"),
    )  # fmt: skip
    (area,) = key_numbers(made_rows({3: {"loom": (1.5, None, 2.0, None)}}), None)
    assert area.value == "1.50×"


def test_without_energies_only_areas_are_told(made_rows: MakeRows) -> None:
    rows = made_rows({3: {"loom": (1.5, None, 2.0, None)}}, source="cell-chain-area")
    first, second, third = answer(rows, None, None)
    assert first.endswith("(at 3 bits the smallest takes 1.50 times as much); energies are not known.")
    assert second.endswith("(the smallest is loom at 3 bits with 2.00 times as much).")
    assert third == error_sentence(rows, None) == "All these numbers were measured on synthesised netlists."


def made_network(
    energies: Mapping[int, float], ratios: Mapping[int, float], mixtures: Mapping[int, str] = MappingProxyType({})
) -> Any:
    """As much of a network as a sentence needs."""
    return SimpleNamespace(
        workload=SimpleNamespace(name="deit-tiny"),
        bits=tuple(energies),
        base=lambda bits: SimpleNamespace(energy_uj=energies[bits]),
        best=lambda bits: SimpleNamespace(
            energy_ratio=ratios[bits], bits=bits, design="loom", mixture=mixtures.get(bits, "2b:50% 4b:50%")
        ),
    )


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((1.25, 1.5), "costs energy at every mean"),
        ((0.75, 0.5), "saves energy at every mean"),
        ((0.75, 1.5), "saves energy at 2 bits and costs it at 4 bits"),
    ],
)
def test_the_third_sentence_is_of_a_whole_network(
    ratios: tuple[float, float], verdict: str, made_rows: MakeRows, made_library: Library
) -> None:
    network = made_network({2: 8.25, 4: 1234.5}, dict(zip((2, 4), ratios, strict=True)))
    assert answer(made_rows(LOSING), network, made_library)[2] == (
        f"One inference of DeiT-T takes 8.2 and 1,234 µJ on uniform arrays of 2 and 4 bits, and {ratios[0]:.2f} and "
        f"{ratios[1]:.2f} times as much on the most frugal mixed-precision array that is at least as fast: so mixing "
        f"widths {verdict}."
    )


@pytest.mark.parametrize(
    ("unmixed", "ends"),
    [((2,), "so mixing widths costs energy at 4 bits."), ((2, 4), "at 2 and 4 bits nothing is mixed.")],
)
def test_a_network_of_one_width_is_no_mix(unmixed: tuple[int, ...], ends: str, made_rows: MakeRows) -> None:
    mixtures = {bits: f"{bits}b:100%" for bits in unmixed}
    network = made_network({2: 8.25, 4: 1234.5}, {2: 0.5, 4: 1.5}, mixtures)
    assert answer(made_rows(LOSING), network, None)[2].endswith(f"at least as fast: {ends}")


@pytest.mark.parametrize(
    ("ratios", "normalisation", "said"),
    [
        (LOSING, EQUAL_THROUGHPUT, "At equal throughput, no precision-scalable design costs less area or energy"),
        (WINNING, EQUAL_THROUGHPUT, "At equal throughput, every precision-scalable design costs less area and energy"),
        (MIXED, EQUAL_THROUGHPUT,
         "At equal throughput, of 2 precision-scalable cases one costs less area and one costs less energy"),
        (LOSING, EQUAL_UNITS,
         "Unit for unit, of 4 precision-scalable cases one costs less area and one costs less power"),
        (MIXED, EQUAL_UNITS, "Unit for unit, no precision-scalable design costs less area or power"),
    ],
)  # fmt: skip
def test_the_title_of_the_ratios(ratios: Mapping[int, Any], normalisation: str, said: str, made_rows: MakeRows) -> None:
    assert ratio_title(made_rows(ratios), normalisation) == f"{said} than the uniform MAC"


def test_designs_are_in_the_order_of_their_areas(made_rows: MakeRows) -> None:
    assert order_of(made_rows(LOSING)) == ["loom", "subword"]
    assert order_of(made_rows({2: {"loom": (9.0, 1.0, 1.0, 1.0), "subword 8/4": (3.0, 1.0, 1.0, 1.0)}})) == [
        "subword", "loom",
    ]  # fmt: skip


# What figures show.


def subject(design: str, bits: int) -> Any:
    row = SimpleNamespace(bits=bits, design=design)
    return Hashable(row=row, uniform=design == "uniform")


class Hashable(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


def test_parts_tell_what_the_smallest_adds_or_saves() -> None:
    found = {
        subject("uniform", 2): Breakdown({"gates": 10.0, "control": 10.0}, None),
        subject("loom", 2): Breakdown({"gates": 16.0, "control": 14.0}, None),
        subject("padded", 2): Breakdown({"gates": 10.0, "control": 90.0}, None),
        subject("uniform", 4): Breakdown({"gates": 10.0}, None),
        subject("loom", 4): Breakdown({"gates": 17.5, "compressors": 2.5}, None),
    }
    assert parts_finding(found) == (
        "The smallest precision-scalable MAC adds above all gates at 2 and 4 bits (60 and 75 %)"
    )
    found[subject("bitblade", 4)] = Breakdown({"gates": 4.0}, None)
    assert parts_finding(found) == (
        "The smallest precision-scalable MAC adds above all gates at 2 bits (60 %) and saves above all gates at 4 "
        "bits (100 %)"
    )


def test_energy_tells_the_largest_cause() -> None:
    found = {
        subject("uniform", 2): Breakdown({}, {"data": 60.0, "glitches": 10.0, "clock": 30.0}),
        subject("loom", 2): Breakdown({}, {"data": 20.0, "glitches": 20.0, "clock": 60.0}),
        subject("padded", 2): Breakdown({}, {"data": 70.0, "glitches": 30.0}),
    }
    assert energy_finding(found) == (
        "Data that settle take the largest share of a product's energy in 2 of 3 cases; glitches take 10 to 30 %"
    )
    found[subject("bitblade", 2)] = Breakdown({}, {"clock": 1.0})
    found[subject("subword", 2)] = Breakdown({}, {"clock": 1.0})
    assert energy_finding(found).startswith("The clock takes the largest share of a product's energy in 3 of 5 cases;")
    alone = {subject("uniform", 2): Breakdown({}, {"glitches": 1.0})}
    assert energy_finding(alone) == "Glitches take the largest share of a product's energy in 1 of 1 cases"


def curve(design: str, periods: tuple[float, ...], areas: tuple[float, ...]) -> Any:
    from reports.numbers.clocks import Curve

    return Curve(subject(design, 4), periods, areas)


def test_the_front_of_designs_tells_who_is_on_it(made_rows: MakeRows) -> None:
    def rows(ratios: Mapping[int, Any]) -> list[Row]:
        return [row for row in made_rows(ratios) if row.normalisation == EQUAL_THROUGHPUT]

    assert pareto_finding(rows(LOSING)) == (
        "The uniform MAC takes less area and less energy than every other design at every mean"
    )
    assert pareto_finding(rows({4: LOSING[4]})).endswith("than every other design at 4 bits")
    assert pareto_finding(rows(MIXED)) == (
        "No design beats in both area and energy subword 8/4, uniform 4x4 and loom at 4 bits"
    )


def made_unit(design: str, code_bits: int, area_um2: float) -> Any:
    return SimpleNamespace(design=design, bits=code_bits, groups=1, area_um2=area_um2)


@pytest.mark.parametrize(
    ("areas", "said"),
    [
        ({2: 0.5, 4: 3.0}, "Thresholds take less area than a multiplier at 2 bits, more at 4 bits: 3.0 times as much"),
        ({2: 0.5, 3: 1.5, 8: 16.0},
         "Thresholds take less area than a multiplier at 2 bits, more at 3 and 8 bits: at 8 bits 16.0 times as much"),
        ({2: 0.5}, "Thresholds take less area than a multiplier at 2 bits"),
        ({4: 2.0}, "Thresholds take more area than a multiplier at 4 bits, 2.0 times as much"),
    ],
)  # fmt: skip
def test_requantisers_tell_where_thresholds_are_smaller(areas: Mapping[int, float], said: str) -> None:
    units = [made_unit("multiplier", width, 100.0) for width in areas]
    units += [made_unit("thresholds", width, 100.0 * ratio) for width, ratio in areas.items()]
    assert requantiser_finding(units) == said


def test_arrays_tell_elements_and_all() -> None:
    def plan(elements_um2: float, total_um2: float) -> Any:
        return SimpleNamespace(plan=SimpleNamespace(elements_um2=elements_um2, total_um2=total_um2))

    network: Any = SimpleNamespace(bits=(2, 4), uniform=[None, plan(10.0, 100.0)], mixed=[None, plan(25.0, 150.0)])
    assert floorplan_finding(network) == (
        "In the same time, the elements of the most frugal array for a mix of 4 bits take 2.50 times the area of the "
        "uniform ones, and the whole array 1.50 times"
    )


def test_clocks_tell_who_is_smaller_and_who_is_faster() -> None:
    uniform = curve("uniform", (1.0, 2.0), (100.0, 80.0))
    larger = curve("loom", (1.5, 2.0), (120.0, 110.0))
    assert clock_finding([uniform, larger]) == (
        "The uniform MAC is the smallest at every clock period that it meets, and the fastest"
    )
    fast = curve("bitblade", (0.5, 2.0), (150.0, 120.0))
    assert clock_finding([uniform, larger, fast]) == (
        "The uniform MAC is the smallest at every clock period that it meets; at 4 bits another design reaches a "
        "shorter one"
    )
    smaller = curve("subword", (1.9, 2.0), (90.0, 79.0))
    assert clock_finding([uniform, smaller]) == (
        "At some clock period the uniform MAC is larger than subword at 4 bits, and the fastest"
    )


def point(series: str, bits: int, energy_uj: float, accuracy: float) -> FrontPoint:
    return FrontPoint(series, str(bits), energy_uj, accuracy)


def test_the_front_names_what_is_beaten() -> None:
    best = [point("A", 2, 1.0, 60.0), point("A", 4, 2.0, 70.0)]
    assert front_finding(best) == "Of two published networks none is beaten by another in both accuracy and energy"
    assert front_finding([*best, point("B", 3, 2.5, 65.0)]) == (
        "Of three published networks one, B at 3 bits, is beaten by another in both accuracy and energy"
    )
    assert front_finding([*best, point("B", 3, 2.5, 65.0), point("B", 4, 3.0, 66.0)]) == (
        "Of four published networks two, B at 3 and 4 bits, are beaten by another in both accuracy and energy"
    )
    assert own_finding(best) == "Of own runs A at 4 bits is the most accurate, with 70.00 %"


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=8))
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    points = [point("A", number, energy, accuracy) for number, (energy, accuracy) in enumerate(pairs)]
    best = front_of(points)
    for each in points:
        beaten = any(
            other.energy_uj <= each.energy_uj and other.accuracy_percent >= each.accuracy_percent
            and (other.energy_uj, other.accuracy_percent) != (each.energy_uj, each.accuracy_percent)
            for other in points
        )  # fmt: skip
        alike = [(other.energy_uj, other.accuracy_percent) for other in best]
        assert beaten is ((each.energy_uj, each.accuracy_percent) not in alike)


def test_the_model_tells_its_errors(made_library: Library) -> None:
    assert model_finding(made_library) == (
        "On designs it was not fitted to, the model of freepdk45 is wrong by 5.0 % in area, 10.0 % in power and 20.0 "
        "% in period on average"
    )


def equivalence(accumulators: int | None, mismatches: int | None, codes: int = 4) -> Equivalence:
    kind = GemmKind(
        name="fc1", gemms=3, products=3, macs=9, cycles=9, load_cycles=1, codes=codes, accumulators=accumulators,
        mismatches=mismatches,
    )  # fmt: skip
    return Equivalence(array="a", subject="s", command="", samples=20, right=None, kinds=(kind,))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (equivalence(1000, 0),
         "Bit-exact: 1,000 accumulators and 4 requantised codes of 20 samples through 3 GEMMs equal PyTorch's"),
        (equivalence(1000, 0, 0), "Bit-exact: 1,000 accumulators of 20 samples through 3 GEMMs equal PyTorch's"),
        (equivalence(None, None),
         "Bit-exact: all results of 20 samples through 3 GEMMs on the simulated array equal PyTorch's"),
        (equivalence(1000, 1), "Not bit-exact: 1 value of 20 samples through 3 GEMMs differs from PyTorch's"),
    ],
)  # fmt: skip
def test_bit_exactness_is_told_only_where_it_is_so(record: Equivalence, said: str) -> None:
    assert equivalence_finding(record) == said


def test_oscillation_tells_the_end() -> None:
    one = Oscillation("plain", (1, 2, 3), (0.1, 0.25, 0.05), {})
    assert oscillation_finding([one]) == (
        "plain ends with 5.0 % of its weights oscillating, after a peak of 25.0 % in epoch 2"
    )
    rising = Oscillation("all", (1, 2), (0.1, 0.2), {})
    assert oscillation_finding([rising]) == "all ends with 20.0 % of its weights oscillating, its highest share"
    assert oscillation_finding([rising, one]) == (
        "At the end 5.0 % of the weights of plain oscillate, and 20.0 % of those of all"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({("value", None): 32.0, ("query", None): 2.0},
         "Value is the most sensitive to low bits, 16 times as much as the next"),
        ({("fc1", 3): 3.0, ("fc1", 4): 2.0},
         "Fc1 in layer 3 is the most sensitive to low bits, 1.5 times as much as the next"),
        ({("value", None): 2.0, ("query", None): 2.0}, "Two of 2 entries are equally sensitive, and most of all"),
        ({("value", None): 2.0}, "Value is the most sensitive to low bits"),
    ],
)  # fmt: skip
def test_sensitivity_tells_the_most(values: dict[tuple[str, int | None], float], said: str) -> None:
    assert sensitivity_finding(values) == said


def test_first_and_last_layers_tell_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.wording.findings.ends_share", lambda workload: 0.0231)
    monkeypatch.setattr("reports.wording.findings.energy_by_kind", lambda cost: {"first and last layers": cost / 4})
    monkeypatch.setattr("reports.wording.findings.energy_uj", lambda cost: cost)
    network: Any = SimpleNamespace(
        workload=SimpleNamespace(name="swin-tiny"),
        uniform=[SimpleNamespace(row=SimpleNamespace(bits=bits), cost=10.0 * bits) for bits in (2, 3)],
    )
    assert ends_finding(network) == (
        "First and last layers, at 8 bits, have 2.3 % of the products of Swin-T and take 25 and 25 % of its energy on "
        "uniform arrays of 2 and 3 bits"
    )


# Words, and labels that must not touch.


def test_the_examples_of_the_words() -> None:
    import doctest

    import reports.charts.labels
    import reports.numbers.front
    import reports.runs

    for module in (english, reports.charts.labels, reports.numbers.front, reports.runs):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


@given(st.lists(st.floats(-5, 15), min_size=1, max_size=9), st.floats(0.1, 1.0))
def test_labels_stand_apart_within_their_limits(places: list[float], gap: float) -> None:
    found = apart(places, gap, 0.0, 10.0)
    ordered = sorted(found)
    assert all(later - earlier >= gap - 1e-6 for earlier, later in pairwise(ordered))
    assert min(found) >= -1e-6
    assert max(found) <= 10 + 1e-6
    order = sorted(range(len(places)), key=lambda index: (places[index], index))
    assert [found[index] for index in order] == ordered


@given(st.lists(st.tuples(st.floats(20, 80), st.floats(20, 80)), min_size=1, max_size=6, unique=True))
def test_labels_stay_in_the_panel_and_off_each_other(points: list[tuple[float, float]]) -> None:
    """Six labels in a panel with room for many."""
    corners = beside(points, [14.0] * len(points), 6.0, (100.0, 100.0))
    for x, y in corners:
        assert -1e-6 <= x <= 86 + 1e-6
        assert -1e-6 <= y <= 94 + 1e-6
    for one, other in combinations(corners, 2):
        shared = max(0.0, 14 - abs(one[0] - other[0])) * max(0.0, 6 - abs(one[1] - other[1]))
        assert shared < 14 * 6 / 2
