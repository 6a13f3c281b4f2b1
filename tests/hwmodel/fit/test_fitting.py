"""The fit finds coefficients again that points were made with, and looks at no more than it should."""

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.optimize import nnls

from hwmodel.fit.fitting import FULL_ADDERS, Point, _fit_parts, fit
from hwmodel.model.features import PARTS, Vector, counts_of, transitions_of
from hwmodel.model.file import write_model
from hwmodel.model.model import Coefficients, LibraryModel, cost_of, shape_of, strain
from hwmodel.model.paths import Step
from hwmodel.model.structure import FLIP_FLOPS, Part
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import BitFusionSpec, BitSerialSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec
from tests.hwmodel.model.modelcases import by_part, model, own_cache  # noqa: F401

ALIKE = np.array([part in FLIP_FLOPS for part in PARTS])
TYPICAL = (  # in the order of Step
    0.12, 0.04, 0.035, 0.06, 0.07, 0.13, 0.1, 0.06, 0.055, 0.08, 0.012, 0.0012, 0.06, 0.05,
)  # fmt: skip
RELAXED_NS = {step: 2.5 * ns for step, ns in zip(Step, TYPICAL, strict=True)}
FASTEST_NS = {step: (0.35 + 0.02 * number) * ns for number, (step, ns) in enumerate(RELAXED_NS.items())}
USUAL = np.array([1.1 if part in FLIP_FLOPS else FULL_ADDERS[part] for part in PARTS])
AREA_UM2 = np.where(ALIKE, 4.5, 4.1 * USUAL * by_part(0.85, 1.15, 1))
_GATES = (Part.AND_TERMS, Part.OR_GATES, Part.XOR_GATES, Part.MULTIPLEXERS)
_TREES = (Part.FULL_ADDERS, Part.HALF_ADDERS)
GROWTH = {**dict.fromkeys(_TREES, 0.7), **dict.fromkeys(_GATES, 0.2), Part.CARRY_BITS: 0.9}
TRUE = model(
    area_um2=AREA_UM2,
    strained_um2=AREA_UM2 * np.array([GROWTH.get(part, 0.0) for part in PARTS]),
    leakage_nw=np.where(ALIKE, 70.0, 64.0 * USUAL * by_part(0.85, 1.15, 2)),
    relaxed_ns=RELAXED_NS,
    fastest_ns=FASTEST_NS,
)
SPECS: tuple[MacSpec, ...] = (
    *(
        UniformSpec(weight_bits=w, activation_bits=a, lanes=n, reduction_length=k, pipeline_stages=p)
        for w, a, n, k, p in (
            (1, 1, 8, 256, 0), (2, 2, 2, 64, 0), (2, 2, 8, 4096, 0), (2, 4, 4, 256, 0), (3, 3, 3, 64, 1),
            (4, 4, 1, 256, 0), (4, 4, 4, 4096, 0), (4, 4, 4, 65536, 1), (5, 3, 4, 256, 2), (6, 2, 6, 1024, 0),
            (8, 1, 4, 128, 0), (8, 8, 1, 4096, 0), (8, 4, 2, 64, 1), (1, 8, 3, 512, 1),
        )
    ),
    PaddedSpec(units=1, reduction_length=64), PaddedSpec(units=1, gating=True, widths=(8, 4)),
    SubwordSpec(units=1, reduction_length=64), SubwordSpec(units=1, widths=(8, 4), pipeline_stages=1),
    BitFusionSpec(units=1, widths=(8, 4)), BitSerialSpec(units=2, reduction_length=256),
    BitSerialSpec(units=5), LoomSpec(units=4, reduction_length=64), LoomSpec(units=12, pipeline_stages=1),
    XnorSpec(lanes=9, reduction_length=64), XnorSpec(lanes=24, reduction_length=4096),
    XnorSpec(lanes=16, pipeline_stages=1),
)  # fmt: skip
RELAXED, FAST = "cell-chain-area", "cell-sklansky-fast"


def plans(spec: MacSpec) -> tuple[StreamPlan, ...]:
    """Short streams at the first two precisions: signed and unsigned activations."""
    return tuple(StreamPlan(precision, products=16, cycles=48) for precision in spec.precisions[:2])


def points_of(spec: MacSpec, made: LibraryModel = TRUE) -> Iterator[Point]:
    """What a library with these coefficients would measure: relaxed, under pressure, and at a clock out of reach."""
    shape, known = shape_of(spec, made), made.coefficients
    half_ns = (shape.relaxed_ns + shape.fastest_ns) / 2
    for plan, mhz, recipe in (
        *((plan, 1.0, RELAXED) for plan in plans(spec)),
        (plans(spec)[0], 1000 / half_ns, FAST),
        (plans(spec)[0], 1300 / shape.fastest_ns, FAST),
    ):
        cost = cost_of(spec, plan, made, mhz)
        clock_pj = counts_of(spec)[ALIKE].sum() * known.clock_fj / 1000
        clock_pj += counts_of(spec)[PARTS.index(Part.CLOCK_GATES)] * (known.gate_fj or 0.0) / 1000
        clock_pj *= 1 + known.clock_growth * strain(cost.pressure, known)
        yield Point(
            spec=spec, plan=plan, clock_mhz=mhz, held_out="", area_um2=cost.total_area_um2,
            minimum_period_ns=cost.minimum_period_ns, meets_clock=cost.meets_clock, recipe=recipe,
            leakage_uw=float(cost.leakage_uw.sum()), clock_pj=float(clock_pj),
            settled_pj=float(cost.settled_pj.sum() - clock_pj),
            glitch_pj=float((cost.energy_pj - cost.settled_pj).sum()), idle_pj=float(cost.idle_pj.sum()),
        )  # fmt: skip


@pytest.fixture(scope="module")
def points() -> list[Point]:
    return [point for spec in SPECS for point in points_of(spec)]


def fitted(points: list[Point]) -> LibraryModel:
    return fit(points, "made-up", "tt", 1.0, {"source": "test"})


@pytest.fixture(scope="module")
def found(points: list[Point]) -> LibraryModel:
    return fitted(points)


def told_apart(columns: Vector) -> list[bool]:
    """Which columns no combination of the others gives."""
    rank = np.linalg.matrix_rank(columns)
    return [np.linalg.matrix_rank(np.delete(columns, i, axis=1)) < rank for i in range(columns.shape[1])]


def test_area_and_leakage_are_found_again(found: LibraryModel) -> None:
    counts = np.stack([counts_of(spec) for spec in SPECS])
    columns = np.column_stack([counts[:, ~ALIKE], counts[:, ALIKE].sum(axis=1)])
    known = np.flatnonzero(~ALIKE)[np.array(told_apart(columns)[:-1])]
    assert len(known) == (~ALIKE).sum() - 1, "all but half adders, which no design has"
    for name in ("area_um2", "leakage_nw"):
        expected, result = (getattr(each.coefficients, name) for each in (TRUE, found))
        np.testing.assert_allclose(result[known], expected[known], rtol=0.08)
        np.testing.assert_allclose(result[ALIKE], expected[ALIKE], rtol=0.005)
        halves = result[PARTS.index(Part.HALF_ADDERS)] / result[PARTS.index(Part.FULL_ADDERS)]
        assert halves == pytest.approx(0.6, rel=0.15), "what is usual"


def test_what_designs_do_not_say_is_usual() -> None:
    """Of designs of full adders alone, other parts have the usual share of what a full adder costs."""
    counts = np.zeros((3, len(PARTS)))
    counts[:, PARTS.index(Part.FULL_ADDERS)] = 10, 20, 40
    found = dict(zip(PARTS, _fit_parts(counts, np.array([50.0, 100.0, 200.0])).tolist(), strict=True))
    shares = {
        Part.AND_TERMS: 0.25, Part.OR_GATES: 0.25, Part.XOR_GATES: 0.4, Part.MULTIPLEXERS: 0.45, Part.FULL_ADDERS: 1.0,
        Part.HALF_ADDERS: 0.6, Part.CARRY_BITS: 1.0, Part.HOLDS: 0.45, Part.CLOCK_GATES: 0.9,
        **dict.fromkeys(FLIP_FLOPS, 1.1),
    }  # fmt: skip
    assert found == {part: pytest.approx(5.0 * share) for part, share in shares.items()}


def test_energies_are_found_again(found: LibraryModel) -> None:
    moved = [transitions_of(spec, plan) for spec in SPECS for plan in plans(spec)]
    settled = np.stack([each.settled for each in moved])
    extra = np.stack([np.concatenate([each.glitches, each.pulses]) for each in moved])
    for columns, names, least in ((settled, ("settled_fj",), 9), (extra, ("glitch_fj", "pulse_fj"), 8)):
        known = np.array(told_apart(columns))
        assert known.sum() >= least
        expected, result = (
            np.concatenate([getattr(each.coefficients, name) for name in names]) for each in (TRUE, found)
        )
        np.testing.assert_allclose(result[known], expected[known], rtol=1e-4)
    for name in ("clock_fj", "gate_fj", "still_fj"):
        assert getattr(found.coefficients, name) == pytest.approx(getattr(TRUE.coefficients, name)), name


def test_without_idle_energies_nothing_is_known_of_clock_gates(points: list[Point]) -> None:
    """As of a table of an older flow: clock energy is that of flip-flops alone."""
    older = fitted([replace(point, idle_pj=None) for point in points])
    assert (older.coefficients.gate_fj, older.coefficients.still_fj) == (None, None)
    assert older.coefficients.clock_fj > TRUE.coefficients.clock_fj


def test_periods_are_found_again(found: LibraryModel) -> None:
    for spec in SPECS:
        made, right = shape_of(spec, found), shape_of(spec, TRUE)
        assert made.relaxed_ns == pytest.approx(right.relaxed_ns, rel=0.02)
        assert made.fastest_ns == pytest.approx(right.fastest_ns, rel=0.02)


def test_growth_and_margin_are_found_again(found: LibraryModel) -> None:
    assert strain(0.5, found.coefficients) == pytest.approx(0.75), "the only pressure between the ends"
    for name in (
        "ahead_fj",
        "leakage_growth",
        "clock_growth",
        "settled_growth",
        "glitch_growth",
        "glitch_share",
        "margin",
    ):
        assert getattr(found.coefficients, name) == pytest.approx(getattr(TRUE.coefficients, name), rel=0.03)


def test_every_point_is_given_back(points: list[Point], found: LibraryModel) -> None:
    for point in points:
        cost = cost_of(point.spec, point.plan, found, point.clock_mhz)
        assert cost.total_area_um2 == pytest.approx(point.area_um2, rel=0.02)
        assert cost.power_uw == pytest.approx(point.power_uw, rel=0.02)
        assert cost.minimum_period_ns == pytest.approx(point.minimum_period_ns, rel=0.02)
    assert (found.library, found.corner, found.voltage_v, found.provenance) == (
        "made-up",
        "tt",
        1.0,
        {"source": "test"},
    )


def same(one: Coefficients, other: Coefficients) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Coefficients)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def spoilt(point: Point, factor: float) -> Point:
    """A point that is held out, with every figure wrong."""
    return replace(
        point, held_out="width", area_um2=factor * point.area_um2, leakage_uw=factor**2 * point.leakage_uw,
        settled_pj=factor * point.settled_pj, clock_pj=0.0, minimum_period_ns=point.minimum_period_ns / factor,
        meets_clock=not point.meets_clock, glitch_pj=1e6 * factor,
    )  # fmt: skip


def test_points_held_out_do_not_count(points: list[Point], found: LibraryModel) -> None:
    """Whatever is wrong with them; only the range says that they were measured."""
    away = {SPECS[3], SPECS[14], SPECS[20]}
    kept = [point for point in points if point.spec not in away]
    plain = fitted(kept)
    for factor in (1.0, 7.0):
        odd = [spoilt(point, factor) for point in points if point.spec in away]
        assert same(fitted([*odd, *kept]).coefficients, plain.coefficients)
    assert not same(plain.coefficients, found.coefficients)
    assert fitted([*kept, *odd]).range.largest_um2 == max(point.area_um2 for point in [*kept, *odd])
    assert plain.range.counts.tolist() == np.stack([counts_of(s) for s in SPECS if s not in away]).max(axis=0).tolist()


def test_the_order_of_points_and_what_comes_twice_change_nothing(points: list[Point], found: LibraryModel) -> None:
    again = fitted([*points, *points])
    np.testing.assert_allclose(again.coefficients.area_um2, found.coefficients.area_um2, rtol=1e-12)
    assert same(fitted(list(points)).coefficients, found.coefficients)


def test_one_wrong_design_bends_little(points: list[Point]) -> None:
    """Beside plain least squares, which it bends much."""
    wrong = SPECS[16]
    bent = [replace(point, area_um2=2.5 * point.area_um2) if point.spec == wrong else point for point in points]
    result = fitted(bent).coefficients.area_um2
    counts = np.stack([counts_of(spec) for spec in SPECS])
    right = counts @ TRUE.coefficients.area_um2
    areas = np.array([next(point.area_um2 for point in bent if point.spec == spec) for spec in SPECS])
    columns = np.column_stack([counts[:, ~ALIKE], counts[:, ALIKE].sum(axis=1)])
    plain, _ = nnls(columns / areas[:, None], np.ones(len(areas)))
    others = np.array([spec != wrong for spec in SPECS])
    error = np.abs(counts @ result / right - 1)[others]
    plain_error = np.abs(columns @ plain / right - 1)[others]
    assert error.mean() < 0.5 * plain_error.mean()
    assert error.max() < plain_error.max()


def test_a_design_that_met_every_clock_gives_a_bound(points: list[Point]) -> None:
    """Its fastest netlist is slower than what was possible; the delays follow those that missed a clock."""
    made = fitted([point for point in points if point.meets_clock or point.spec in SPECS[::2]])
    for spec in SPECS:
        right = shape_of(spec, TRUE)
        bound_ns = (right.relaxed_ns + right.fastest_ns) / 2
        assert shape_of(spec, made).fastest_ns < 1.02 * bound_ns
        if spec in SPECS[::2]:
            assert shape_of(spec, made).fastest_ns == pytest.approx(right.fastest_ns, rel=0.02)


def test_without_a_clock_that_was_missed_the_fastest_netlists_count(points: list[Point]) -> None:
    made = fitted([point for point in points if point.meets_clock])
    for spec in SPECS:
        half_ns = (shape_of(spec, TRUE).relaxed_ns + shape_of(spec, TRUE).fastest_ns) / 2
        assert shape_of(spec, made).fastest_ns == pytest.approx(half_ns, rel=0.2)


def test_too_few_designs() -> None:
    some = [point for spec in SPECS[:19] for point in points_of(spec)]
    unknown = [point for point in points_of(SPECS[20]) if not point.relaxed]
    held_out = [replace(point, held_out="lanes") for point in points_of(SPECS[21])]
    with pytest.raises(ValueError, match=r"^a model must be fitted to at least 20 designs, not 19$"):
        fitted([*some, *unknown, *held_out])


def test_figures_of_a_point(points: list[Point]) -> None:
    point = points[0]
    assert point.relaxed
    assert not replace(point, meets_clock=False).relaxed
    assert not replace(point, recipe=FAST).relaxed
    assert point.dynamic_pj == point.clock_pj + point.settled_pj + point.glitch_pj
    assert point.power_uw == pytest.approx(point.leakage_uw + point.dynamic_pj * point.clock_mhz)


def test_equal_points_give_equal_files(
    points: list[Point], found: LibraryModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("models")
    write_model(found, folder / "one.json")
    write_model(fitted(points), folder / "other.json")
    assert (folder / "one.json").read_bytes() == (folder / "other.json").read_bytes()


def test_idle_energy_is_that_of_clocks_at_which_it_shows(points: list[Point]) -> None:
    """At the slowest clock leakage, which is another one while nothing comes, hides it."""
    slowest = min(point.clock_mhz for point in points)
    slow = [point for point in points if point.clock_mhz == slowest]
    hidden = [replace(point, idle_pj=-7.0) for point in slow]
    shown = [replace(point, clock_mhz=50 * slowest) for point in slow]  # the same netlists, faster
    others = [point for point in points if point.clock_mhz != slowest]
    found = fitted([*hidden, *shown, *others])
    assert found.coefficients.still_fj == pytest.approx(TRUE.coefficients.still_fj)
