"""The rule that gives a design its pipeline stages and its form, on figures made up for the purpose."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hwmodel.synthesis.stages import Attempt, try_stages, try_trials, weighed_precision
from rtl.mac import BitSerialSpec, Dc1dSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec

SPEC = UniformSpec(weight_bits=8, activation_bits=8, lanes=1)
Figures = Mapping[tuple[int, tuple[str, ...]], Attempt]


def met(area_um2: float, *, relaxed: bool = False) -> Attempt:
    return Attempt(area_um2, 1.0, True, relaxed)


def missed(period_ns: float, area_um2: float = 1.0) -> Attempt:
    return Attempt(area_um2, period_ns, False, False)


def tried(
    figures: Figures, powers: Mapping[tuple[int, tuple[str, ...]], float | None] | None = None, **options: object
) -> tuple[MacSpec, list[tuple[int, tuple[str, ...]]]]:
    """What is chosen, and what was looked at in turn; a figure that is not there fails. powers: one for all where they
    are not given.
    """
    found = try_trials(
        SPEC,
        range(3),
        lambda spec: spec,
        lambda spec: figures[spec.pipeline_stages, spec.form],
        lambda spec: 1.0 if powers is None else powers[spec.pipeline_stages, spec.form],
        **options,  # type: ignore[arg-type]
    )
    assert found is not None
    return found[0], [(spec.pipeline_stages, spec.form) for spec in found[1]]


PLAIN, BOOTH, HALF, BOTH = (), ("booth",), ("half_adders",), ("half_adders", "booth")


def relaxed(area_um2: float) -> Attempt:
    return met(area_um2, relaxed=True)


def test_one_stage_more_is_tried_until_it_does_not_pay() -> None:
    figures: Figures = {
        (0, PLAIN): relaxed(9), (0, BOOTH): relaxed(8), (1, PLAIN): relaxed(10), (1, BOOTH): relaxed(8.1),
    }  # fmt: skip
    chosen, looked = tried(figures)
    assert (chosen.pipeline_stages, chosen.form) == (0, BOOTH)
    assert looked == list(figures)
    third: Figures = {(2, PLAIN): relaxed(7), (2, BOOTH): relaxed(7.5)}
    powers = dict.fromkeys((*figures, *third), 1.0) | {(1, BOOTH): 0.9}
    chosen, looked = tried({**figures, **third}, powers)
    assert (chosen.pipeline_stages, chosen.form) == (2, PLAIN)
    assert looked == [*figures, *third]


def test_area_times_power_decides_among_those_that_meet_the_clock() -> None:
    figures: Figures = {
        (0, PLAIN): relaxed(9), (0, BOOTH): relaxed(8), (1, PLAIN): relaxed(20), (1, BOOTH): relaxed(20),
    }  # fmt: skip
    ones = dict.fromkeys(figures, 1.0)
    assert tried(figures, ones | {(0, BOOTH): 1.12})[0].form == BOOTH
    assert tried(figures, ones | {(0, BOOTH): 1.13})[0].form == PLAIN
    assert tried(figures, {**ones, (0, PLAIN): None, (0, BOOTH): 1.13})[0].form == BOOTH


def test_power_is_not_asked_where_there_is_no_choice() -> None:
    figures: Figures = {
        (0, PLAIN): missed(1.1), (0, BOOTH): missed(1.2), (0, HALF): missed(1.3), (0, BOTH): missed(1.1),
        (1, PLAIN): relaxed(9.1), (1, BOOTH): missed(1.2),
        (2, PLAIN): missed(1.4), (2, BOOTH): missed(1.2), (2, HALF): missed(1.3), (2, BOTH): missed(1.1),
    }  # fmt: skip
    chosen, looked = tried(figures, {})
    assert (chosen.pipeline_stages, chosen.form) == (1, PLAIN)
    assert looked == list(figures)


@pytest.mark.parametrize(
    ("spec", "precision"),
    [
        (UniformSpec(weight_bits=4, activation_bits=8, lanes=1), "w4a8s"),
        (UniformSpec(weight_bits=3, activation_bits=3, lanes=1), "w3a3s"),
        (PaddedSpec(units=1), "w4a4s"),
        (SubwordSpec(units=1, widths=(8, 2)), "w2a2s"),
        (SubwordSpec(units=1, widths=(4, 2, 1)), "w4a4s"),
        (Dc1dSpec(units=1), "w4a4s"),
        (Dc1dSpec(units=1, widths=(8, 2)), "w2a2s"),
        (BitSerialSpec(units=1), "w4a4s"),
        (XnorSpec(lanes=1), "w1a1s"),
    ],
)
def test_power_is_weighed_at_the_widest_narrow_operands(spec: MacSpec, precision: str) -> None:
    assert str(weighed_precision(spec)) == precision


def test_half_adders_are_tried_where_the_clock_costs_area() -> None:
    figures: Figures = {
        (0, PLAIN): met(9), (0, BOOTH): missed(1.2), (0, HALF): met(7), (0, BOTH): met(8),
        (1, PLAIN): relaxed(7.5), (1, BOOTH): relaxed(7.6),
    }  # fmt: skip
    chosen, looked = tried(figures)
    assert (chosen.pipeline_stages, chosen.form) == (0, HALF)
    assert looked == list(figures)


def test_where_none_meets_the_clock_the_fastest_of_all_is_taken() -> None:
    figures = {
        (stages, form): missed(3.0 - stages - 0.1 * number)
        for stages in range(3) for number, form in enumerate((PLAIN, BOOTH, HALF, BOTH))
    }  # fmt: skip
    chosen, looked = tried(figures)
    assert (chosen.pipeline_stages, chosen.form) == (2, BOTH)
    assert looked == list(figures)


def test_without_a_timing_tool_the_smallest_form_without_registers_is_taken() -> None:
    unknown: Figures = {(0, PLAIN): Attempt(9, None, None, False), (0, BOOTH): Attempt(8, None, None, False)}
    chosen, looked = tried(unknown)
    assert (chosen.form, looked) == (BOOTH, list(unknown))


def test_forms_may_be_fewer() -> None:
    figures: Figures = {(0, PLAIN): missed(1.5), (1, PLAIN): relaxed(2), (2, PLAIN): relaxed(3)}
    chosen, looked = tried(figures, forms_of=lambda spec: [form for form in spec.forms if not form.form])
    assert (chosen.pipeline_stages, looked) == (1, list(figures))


@pytest.mark.parametrize("gone", [PLAIN, BOOTH])
def test_nothing_is_chosen_where_a_form_is_not_known(gone: tuple[str, ...]) -> None:
    found = try_trials(
        SPEC,
        range(3),
        lambda spec: None if spec.form == gone else spec,
        lambda _: met(1, relaxed=True),
        lambda _: 1.0,
    )
    assert found is None
    assert try_stages(range(3), lambda _: None, lambda _: met(1), lambda _: 1.0) is None
