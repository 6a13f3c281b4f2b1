"""The arithmetic of the model: costs by part, clock pressure, periods, sums of costs, and the range it is known in."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.model.features import PARTS, counts_of, transitions_of
from hwmodel.model.model import (
    Cost,
    LibraryModel,
    clock_pj,
    cost_from,
    cost_of,
    energies_of,
    idle_power_uw,
    minimum_period_ns,
    minimum_periods_ns,
    pressure,
    pressures,
    shape_from,
    shape_of,
    strain,
    strains,
)
from hwmodel.model.paths import Adders, Periods, longest_path
from hwmodel.model.structure import FLIP_FLOPS, Part, structure_of
from hwmodel.model.switching import switching_of
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import BitSerialSpec, UniformSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.model.modelcases import SMALL, model, own_cache  # noqa: F401

MODEL = model()
KEPT = 1e-6  # what is kept of a design has seven digits
VECTORS = ("area_um2", "leakage_uw", "settled_pj", "energy_pj", "idle_pj")


def plan_of(spec: MacSpec) -> StreamPlan:
    return StreamPlan(spec.precisions[0], products=11, cycles=60)


def cost(spec: MacSpec, clock_mhz: float, made: LibraryModel = MODEL) -> Cost:
    return cost_of(spec, plan_of(spec), made, clock_mhz)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_a_relaxed_cost_is_counts_and_transitions_times_coefficients(spec: MacSpec) -> None:
    """Every part by itself, in plain Python."""
    found, known = cost(spec, 1.0), MODEL.coefficients
    counts, moved = structure_of(spec).counts, switching_of(spec, plan_of(spec))
    assert found.pressure == 0.0
    for index, part in enumerate(PARTS):
        settled_fj = moved.settled[part] * known.settled_fj[index]
        idle_fj = 0.0
        if part in FLIP_FLOPS:
            settled_fj += counts[part] * known.clock_fj
        if part is Part.CONTROL_REGISTERS:
            idle_fj = counts[part] * known.clock_fj
        if part is Part.CLOCK_GATES:
            settled_fj, idle_fj = counts[part] * (known.gate_fj or 0), counts[part] * (known.still_fj or 0)
        glitch_fj = moved.glitches[part] * known.glitch_fj[index] + moved.pulses[part] * known.pulse_fj[index]
        assert found.area_um2[index] == pytest.approx(counts[part] * known.area_um2[index])
        assert found.leakage_uw[index] == pytest.approx(counts[part] * known.leakage_nw[index] / 1000)
        assert found.settled_pj[index] == pytest.approx(settled_fj / 1000, rel=KEPT)
        assert found.idle_pj[index] == pytest.approx(idle_fj / 1000, rel=KEPT)
        assert found.energy_pj[index] == pytest.approx((settled_fj + glitch_fj) / 1000, rel=KEPT)
    assert found.total_area_um2 == pytest.approx(sum(found.area_um2))
    assert found.power_uw == pytest.approx(sum(found.leakage_uw) + sum(found.energy_pj) * 1.0)
    assert found.settled_power_uw == pytest.approx(sum(found.leakage_uw) + sum(found.settled_pj) * 1.0)
    assert found.minimum_period_ns == pytest.approx(longest_path(spec, known.relaxed_ns, Adders.RIPPLE).ns, rel=KEPT)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_parts_add_up_to_the_whole(spec: MacSpec) -> None:
    for clock_mhz in (1.0, 400.0, 1e4):
        found = cost(spec, clock_mhz)
        parts = found.by_part()
        counts = structure_of(spec).counts
        assert set(parts) == {part for part in Part if counts[part]}
        assert sum(area for area, _ in parts.values()) == pytest.approx(found.total_area_um2)
        assert sum(power for _, power in parts.values()) == pytest.approx(found.power_uw)


def grown_pj(spec: MacSpec, s: float) -> tuple[float, float]:
    """Energy of a cycle at some strain, not 0 by lack of pressure, settled and with glitches: clocks, settled
    transitions and glitches each grow by a share of their own.
    """
    known, counts, moved = MODEL.coefficients, counts_of(spec), transitions_of(spec, plan_of(spec))
    flip_flops = sum(counts[PARTS.index(part)] for part in FLIP_FLOPS)
    gates = counts[PARTS.index(Part.CLOCK_GATES)]
    clocks = (flip_flops * known.clock_fj + gates * (known.gate_fj or 0)) * (1 + s * known.clock_growth)
    moves = moved.settled @ known.settled_fj
    settled = clocks + moves * (1 + s * known.settled_growth)
    glitches = moved.glitches @ known.glitch_fj + moved.pulses @ known.pulse_fj
    glitches += moved.glitches[PARTS.index(Part.CARRY_BITS)] * known.ahead_fj * shape_of(spec, MODEL).ripple
    glitches = glitches * (1 + s * known.glitch_growth) + s * known.glitch_share * moves
    return settled / 1000, (settled + glitches) / 1000


def test_clock_pressure_at_its_edges() -> None:
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=8)
    shape, known = shape_of(spec, MODEL), MODEL.coefficients
    relaxed, loose, tight, hopeless = (
        cost(spec, mhz) for mhz in (1.0, 1000 / shape.relaxed_ns, 1000 / shape.fastest_ns, 1e5)
    )
    assert relaxed.pressure == 0
    assert loose.pressure == pytest.approx(0, abs=1e-9)
    assert tight.pressure == pytest.approx(1)
    assert hopeless.pressure == 1
    grown_um2 = relaxed.total_area_um2 + counts_of(spec) @ known.strained_um2
    for pressed in (tight, hopeless):
        assert pressed.total_area_um2 == pytest.approx(grown_um2)
        assert pressed.leakage_uw.sum() == pytest.approx(relaxed.leakage_uw.sum() * (1 + known.leakage_growth))
        assert (pressed.settled_pj.sum(), pressed.energy_pj.sum()) == pytest.approx(grown_pj(spec, 1.0))
        assert pressed.minimum_period_ns == pytest.approx(shape.fastest_ns)
    half = cost(spec, 2000 / (shape.relaxed_ns + shape.fastest_ns))
    assert half.pressure == pytest.approx(0.5)
    assert [each.meets_clock for each in (relaxed, half, hopeless)] == [True, True, False]


@pytest.mark.parametrize(("u", "s"), [(0.1, 0.0), (0.2, 0.0), (0.3, 0.25), (0.5, 0.75), (0.6, 1.0), (0.9, 1.0)])
def test_costs_grow_between_two_pressures(u: float, s: float) -> None:
    """Strain goes from 0 at 0.2 to 1 at 0.6; adders look ahead at any pressure."""
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=8)
    shape, known = shape_of(spec, MODEL), MODEL.coefficients
    relaxed = cost(spec, 1.0)
    pressed = cost(spec, 1000 / (shape.relaxed_ns - u * (shape.relaxed_ns - shape.fastest_ns)))
    assert pressed.pressure == pytest.approx(u)
    more_um2 = counts_of(spec) @ known.strained_um2
    assert pressed.total_area_um2 == pytest.approx(relaxed.total_area_um2 + s * more_um2)
    assert pressed.leakage_uw.sum() == pytest.approx(relaxed.leakage_uw.sum() * (1 + s * known.leakage_growth))
    assert (pressed.settled_pj.sum(), pressed.energy_pj.sum()) == pytest.approx(grown_pj(spec, s))


def test_energy_of_clock_pins_grows_as_the_costs_do() -> None:
    """What a design takes that moves nothing."""
    spec, nothing = SMALL[5], np.zeros(len(PARTS))
    silent = model(settled_fj=nothing, glitch_fj=nothing, pulse_fj=nothing, ahead_fj=0.0)
    shape = shape_of(spec, silent)
    for clock_mhz in (1.0, 2000 / (shape.relaxed_ns + shape.fastest_ns), 1000 / shape.fastest_ns):
        found = cost(spec, clock_mhz, silent)
        expected = clock_pj(counts_of(spec), found.pressure, silent.coefficients)
        assert found.energy_pj.sum() == pytest.approx(expected)


def test_strains_of_arrays_are_those_of_single_pressures() -> None:
    us = np.linspace(0.0, 1.0, 21)
    for power in (1.0, 2.0, 1.5):
        known = replace(MODEL.coefficients, strain_power=power)
        expected = [strain(u, known) for u in us.tolist()]
        assert strains(us, known.strain_from, known.strain_to, power).tolist() == pytest.approx(expected, abs=1e-15)
        assert (expected[0], expected[-1]) == (0.0, 1.0)
        assert strain(0.4, known) == pytest.approx(0.5**power)


def test_the_smallest_netlist_is_kept_up_to_its_own_period() -> None:
    """At u = 0 the period is the relaxed one, however close the clock; beyond, between the clock's and the fastest."""
    expected = {100.0: 4.0, 250.0: 4.0, 250.1: 3.9584326, 400.0: 2.49, 490.0: 2.04, 900.0: 2.0}
    for clock_mhz, found in expected.items():
        assert minimum_period_ns(4.0, 2.0, clock_mhz, 0.02) == pytest.approx(found, rel=1e-5)


def test_the_fastest_netlist_is_at_least_a_little_faster_than_the_smallest() -> None:
    slow = model(fastest_ns={step: 5 * ns for step, ns in MODEL.coefficients.relaxed_ns.items()})
    shape = shape_of(SMALL[0], slow)
    assert shape.fastest_ns == pytest.approx(0.98 * shape.relaxed_ns)
    assert 0 < cost(SMALL[0], 1000 / (0.99 * shape.relaxed_ns), slow).pressure < 1


POSITIVE = st.floats(1e-3, 1e3)


@given(relaxed=POSITIVE, share=st.floats(0.01, 0.98), clocks=st.lists(POSITIVE, min_size=2), margin=st.floats(0, 0.5))
def test_faster_clocks_never_give_slower_netlists(
    relaxed: float, share: float, clocks: list[float], margin: float
) -> None:
    fastest, clocks = share * relaxed, sorted(clocks)
    periods = [minimum_period_ns(relaxed, fastest, 1000 / ns, margin) for ns in clocks]
    us = [pressure(relaxed, fastest, 1000 / ns) for ns in clocks]
    assert periods == sorted(periods)
    assert us == sorted(us, reverse=True)
    assert all(0 <= u <= 1 for u in us)
    assert all(fastest <= ns <= relaxed for ns in periods)
    assert all(ns <= period * (1 + 1e-12) for ns, period in zip(periods, clocks, strict=True) if period >= fastest)
    every = (np.full(len(clocks), value) for value in (relaxed, fastest))
    relaxed_ns, fastest_ns = every
    mhz = 1000 / np.array(clocks)
    assert minimum_periods_ns(relaxed_ns, fastest_ns, mhz, margin).tolist() == periods
    assert pressures(relaxed_ns, fastest_ns, mhz).tolist() == us


@settings(max_examples=50)
@given(st.sampled_from(SMALL), st.sampled_from(SMALL), st.integers(0, 9), st.integers(0, 9), POSITIVE)
def test_costs_add_and_scale(one: MacSpec, other: MacSpec, m: int, n: int, clock_mhz: float) -> None:
    a, b = cost(one, clock_mhz), cost(other, clock_mhz)
    both = m * a + b * n
    for name in VECTORS:
        expected = m * getattr(a, name) + n * getattr(b, name)
        np.testing.assert_allclose(getattr(both, name), expected)
    assert both.power_uw == pytest.approx(m * a.power_uw + n * b.power_uw)
    assert both.settled_power_uw == pytest.approx(m * a.settled_power_uw + n * b.settled_power_uw)
    assert both.minimum_period_ns == max(a.minimum_period_ns, b.minimum_period_ns)
    assert both.pressure == max(a.pressure, b.pressure)
    assert both.clock_mhz == clock_mhz
    assert both.meets_clock is (a.meets_clock and b.meets_clock)
    np.testing.assert_array_equal((np.float64(2.5) * a).area_um2, (a * 2.5).area_um2)


def test_costs_at_two_clocks_do_not_add() -> None:
    with pytest.raises(ValueError, match=r"^costs that are added must be at one clock, not 500\.0 and 250\.0 MHz$"):
        cost(SMALL[0], 500.0) + cost(SMALL[0], 250.0)


@pytest.mark.parametrize("clock_mhz", [0.0, -3, float("nan"), float("inf")])
def test_a_clock_must_be_positive(clock_mhz: float) -> None:
    with pytest.raises(ValueError, match=f"^clock_mhz must be a positive number, not {clock_mhz}$"):
        cost(SMALL[0], clock_mhz)


def test_a_precision_that_the_design_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^precision must be one of w3a2s, w3a2u for .*, not w4a4s$"):
        cost_of(SMALL[0], StreamPlan(Precision(4, 4)), MODEL, 500.0)


def test_areas_beyond_those_calibrated_are_outside() -> None:
    area_um2 = cost(SMALL[0], 1.0).total_area_um2
    for known, reason in (
        (replace(MODEL.range, smallest_um2=area_um2 + 10), f"at least {area_um2 + 10:,.0f}"),
        (replace(MODEL.range, largest_um2=area_um2 - 10), f"at most {area_um2 - 10:,.0f}"),
    ):
        found = cost(SMALL[0], 1.0, replace(MODEL, range=known)).outside
        assert found == (f"{area_um2:,.0f} um2, {reason} um2 were calibrated",)


def test_what_lies_outside_the_range_is_named_once() -> None:
    assert cost(SMALL[0], 500.0).outside == ()
    few = model(most=10.0)
    counts = structure_of(SMALL[0]).counts
    found = cost(SMALL[0], 500.0, few)
    assert found.outside == tuple(
        f"{counts[part]} {part.value}, at most 10 were calibrated" for part in Part if counts[part] > 10
    )
    assert len(found.outside) >= 2
    beside = cost(BitSerialSpec(units=3, reduction_length=20), 500.0, few)
    both = (found + beside + found) * 3
    assert len(set(both.outside)) == len(both.outside)
    assert set(both.outside) == {*found.outside, *beside.outside}


def test_a_design_smaller_than_any_that_is_known() -> None:
    area_um2 = cost(SMALL[0], 500.0).total_area_um2 / (1 + 0.4 * cost(SMALL[0], 500.0).pressure ** 2)
    (reason,) = cost(SMALL[0], 500.0, model(smallest_um2=2345.6)).outside
    assert reason == f"{area_um2:,.0f} um2, at least 2,346 um2 were calibrated"
    assert re.fullmatch(r"[\d,]+ um2, at least 2,346 um2 were calibrated", reason)


@pytest.mark.parametrize("clock_mhz", [1.0, 600.0, 1e4])
def test_what_is_no_mac_design_costs_by_the_same_rules(clock_mhz: float) -> None:
    """Counts, paths and transitions given by hand: those of a design give its cost."""
    for spec in SMALL[::3]:
        counts, shape = counts_of(spec), shape_of(spec, MODEL)
        given = shape_from(counts, Periods(shape.relaxed_ns, shape.fastest_ns, shape.ripple), MODEL)
        found = cost_from(given, counts, transitions_of(spec, plan_of(spec)), MODEL, clock_mhz)
        expected = cost(spec, clock_mhz)
        for name in VECTORS:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert found.minimum_period_ns == expected.minimum_period_ns
        assert (found.pressure, found.clock_mhz, found.outside) == (expected.pressure, clock_mhz, ())


def test_energies_take_each_coefficient_by_itself() -> None:
    """Twice a coefficient is twice what it stands for, and nothing else."""
    spec, known = SMALL[5], MODEL.coefficients
    plan = plan_of(spec)
    once = energies_of(spec, plan, MODEL)
    twice = energies_of(
        spec, plan,
        replace(MODEL, coefficients=replace(known, glitch_fj=2 * known.glitch_fj, pulse_fj=2 * known.pulse_fj)),
    )  # fmt: skip
    assert (twice.settled_pj == once.settled_pj).all()
    np.testing.assert_allclose(twice.glitch_pj, 2 * once.glitch_pj, atol=1e-12)
    nothing = np.zeros(len(PARTS))
    silent = replace(MODEL, coefficients=replace(known, settled_fj=nothing, glitch_fj=nothing, pulse_fj=nothing))
    counts = structure_of(spec).counts
    clocks_fj = sum(counts[part] for part in FLIP_FLOPS) * known.clock_fj
    clocks_fj += counts[Part.CLOCK_GATES] * (known.gate_fj or 0)
    found = energies_of(spec, plan, silent)
    assert found.clock_pj.sum() == pytest.approx(clocks_fj / 1000)
    assert found.settled_pj.sum() == found.glitch_pj.sum() == 0


def test_power_at_a_utilisation_lies_between_idle_and_full() -> None:
    found = cost(SMALL[2], 300.0)
    assert found.power_at_uw(1.0) == found.power_uw
    assert found.power_at_uw(0.0) == found.idle_uw < found.power_uw
    assert found.idle_uw == idle_power_uw(SMALL[2], MODEL, 300.0)
    assert found.idle_uw == pytest.approx(found.leakage_uw.sum() + found.idle_pj.sum() * 300.0)
    assert found.power_at_uw(0.25) == pytest.approx(0.25 * found.power_uw + 0.75 * found.idle_uw)
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=rf"^utilisation must be a number from 0 to 1, not {share:g}$"):
            found.power_at_uw(share)


def test_without_clock_gates_every_flip_flop_is_clocked_while_idle() -> None:
    """As in the netlists of a model of the format before."""
    spec, known = SMALL[5], MODEL.coefficients
    older = replace(MODEL, coefficients=replace(known, gate_fj=None, still_fj=None))
    flip_flops = sum(structure_of(spec).counts[part] for part in FLIP_FLOPS)
    assert cost(spec, 1.0, older).idle_pj.sum() == pytest.approx(flip_flops * known.clock_fj / 1000)
