"""Arrays that match others, against all that there are, each built and costed on its own."""

import itertools
from dataclasses import replace

import pytest

from hwmodel.inference.inference import network_cost
from hwmodel.inference.parts import Costs
from hwmodel.inference.result import NetworkCost
from hwmodel.inference.sizing import candidates, equal_area, equal_latency
from hwmodel.inference.tiles import Matrices, needed_words
from hwmodel.inference.tiling import Overlap
from hwmodel.workload.assignment import assign
from rtl.array import MOST_LOADED_BITS, Architecture, ArraySpec
from rtl.mac import BitSerialSpec, LoomSpec, SubwordSpec, UniformSpec
from rtl.spec.mac import MacSpec
from tests.hwmodel.inference.networkcases import COSTS, EDGED, REQUANT, SMALL

GIVEN = ArraySpec(
    mac=UniformSpec(activation_bits=3, lanes=4, reduction_length=64), rows=4, columns=4,
    activation_depth=32, weight_depth=32, result_depth=16, drains=2, requant=REQUANT,
)  # fmt: skip


def by_trying_all(
    element: MacSpec, overlap: Overlap, architecture: Architecture, costs: Costs
) -> list[tuple[ArraySpec, NetworkCost]]:
    """Every array of the rule, built and costed on its own."""
    given = replace(GIVEN, architecture=architecture)
    mixed = assign(SMALL, 3, [2, 4])
    found = []
    weights, activations = given.element.operand_widths
    for rows, columns in itertools.product(range(1, 9), repeat=2):
        if rows > 2 * columns or columns > 2 * rows:
            continue
        deep = 1 << 12
        drains = min(2, rows)
        probe = replace(given, mac=element, rows=rows, columns=columns, drains=drains, activation_depth=deep,
                        weight_depth=deep)  # fmt: skip
        wide, high = probe.element.operand_widths
        need = [0, 0]
        for each in SMALL.gemms:
            bits = mixed.of(each)
            product = Matrices(m=each.m, k=each.k, n=each.n, count=1, bits=bits, activation_signed=True)
            need = [max(old, new) for old, new in zip(need, needed_words(element, product), strict=True)]
        array = replace(
            probe,
            activation_depth=max(32 * 4 * activations // (rows * high), need[0]),
            weight_depth=max(32 * 4 * weights // (columns * wide), need[1]),
            result_depth=max(32 * 4 * 32 // (drains * columns * 32), probe.drain_rows),
        )
        found.append((array, network_cost(array, mixed, costs, overlap=overlap)))
    return found


@pytest.mark.parametrize(
    "element",
    [
        SubwordSpec(units=1, reduction_length=64),
        LoomSpec(units=6, reduction_length=64),
        BitSerialSpec(units=3, reduction_length=64),
    ],
)
@pytest.mark.parametrize(
    ("overlap", "architecture"), [(Overlap.NONE, Architecture.BROADCAST), (Overlap.DOUBLE, Architecture.SYSTOLIC)]
)
def test_matching_arrays_are_the_best_of_all(element: MacSpec, overlap: Overlap, architecture: Architecture) -> None:
    costs = EDGED if architecture is Architecture.BROADCAST else COSTS
    tried = by_trying_all(element, overlap, architecture, costs)
    mixed = assign(SMALL, 3, [2, 4])
    among = candidates(replace(GIVEN, architecture=architecture), element, REQUANT, mixed, costs, overlap=overlap)
    assert len(among.cycles) == len(tried)
    for number, (array, cost) in enumerate(tried):
        assert among.array(number) == array
        assert among.cycles[number] == cost.cycles
        assert among.logic_um2[number] == pytest.approx(cost.area.logic_um2)
    area_um2 = sorted(cost.area.logic_um2 for _, cost in tried)[len(tried) // 2]
    fits = [(cost.cycles, cost.area.logic_um2, array.rows) for array, cost in tried if cost.area.logic_um2 <= area_um2]
    chosen = dict(tried)[equal_area(among, area_um2)]
    assert (chosen.cycles, chosen.area.logic_um2, chosen.array.rows) == min(fits)
    cycles = sorted(cost.cycles for _, cost in tried)[len(tried) // 3]
    quick = [(cost.area.logic_um2, cost.cycles, array.rows) for array, cost in tried if cost.cycles <= cycles]
    chosen = dict(tried)[equal_latency(among, cycles)]
    assert (chosen.area.logic_um2, chosen.cycles, chosen.array.rows) == min(quick)


def test_where_no_array_matches_it_says_so() -> None:
    element = SubwordSpec(units=1, reduction_length=64)
    among = candidates(GIVEN, element, REQUANT, assign(SMALL, 3, [2, 4]), COSTS)
    with pytest.raises(ValueError) as caught:
        equal_area(among, 50.0)
    assert str(caught.value) == (
        f"the smallest array of {element.name} must have at most the logic area of the uniform one, 50 um2, not 110"
    )
    with pytest.raises(ValueError) as caught:
        equal_latency(among, 3)
    fewest = int(among.cycles.min())
    most = int(among.grids.rows.max())
    assert str(caught.value) == (
        f"the fastest array of {element.name} of up to {most} rows must take at most 3 cycles an inference, "
        f"those of the uniform one, not {fewest}"
    )


def test_no_array_is_wider_than_can_be_loaded() -> None:
    """Also where an array of this element as large as the given one could not be."""
    element, given = LoomSpec(units=4096, reduction_length=64), replace(GIVEN, rows=8, columns=8)
    with pytest.raises(ValueError, match=r"^an array must load at most 64,000 bits a cycle, not "):
        replace(given, mac=element)
    among = candidates(given, element, REQUANT, assign(SMALL, 3, [2, 4]), COSTS)
    sides = list(zip(among.grids.rows.tolist(), among.grids.columns.tolist(), strict=True))
    most = (MOST_LOADED_BITS - REQUANT.parameter_width) // 4096
    square = [(r, c) for r, c in itertools.product(range(1, 17), repeat=2) if r <= 2 * c and c <= 2 * r]
    assert sides == [(r, c) for r, c in square if r + c <= most]
    assert most == 15


def test_no_array_has_more_than_256_rows() -> None:
    """A given one of 130 would have some of 260; and of 3 rows and 5 columns there are some of 10."""
    element = LoomSpec(units=1, reduction_length=64)
    for rows, columns, most in ((130, 2, 256), (3, 5, 10)):
        given = replace(GIVEN, rows=rows, columns=columns, drains=1, result_depth=rows)
        among = candidates(given, element, None, assign(SMALL, 3, [2, 4]), COSTS)
        assert among.grids.rows.max() == among.grids.columns.max() == most
        assert among.grids.rows.min() == among.grids.columns.min() == 1
