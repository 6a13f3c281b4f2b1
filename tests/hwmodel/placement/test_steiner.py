"""Steiner trees: connected, and as short as an exact method says, within a stated error."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.placement.steiner import MOST_STEINER, Point, Tree, steiner_tree

PLACES = st.tuples(st.integers(0, 1000), st.integers(0, 1000))


def exact_length(pins: Sequence[Point]) -> int:
    """Of the shortest tree, by Dreyfus and Wagner on the grid of Hanan, which holds one."""
    xs, ys = sorted({x for x, _ in pins}), sorted({y for _, y in pins})
    nodes = [(x, y) for x in xs for y in ys]
    away = [[abs(a[0] - b[0]) + abs(a[1] - b[1]) for b in nodes] for a in nodes]
    *others, root = (nodes.index(pin) for pin in pins)
    best: list[list[int]] = [[] for _ in range(1 << len(others))]
    for index, terminal in enumerate(others):
        best[1 << index] = away[terminal]
    for group in range(1, 1 << len(others)):
        if best[group]:
            continue
        met = [1 << 60] * len(nodes)
        part = (group - 1) & group
        while part:
            met = [min(m, a + b) for m, a, b in zip(met, best[part], best[group ^ part], strict=True)]
            part = (part - 1) & group
        best[group] = [min(m + d for m, d in zip(met, row, strict=True)) for row in away]
    return best[-1][root]


def is_tree(tree: Tree) -> bool:
    if len(tree.edges) != len(tree.points) - 1:
        return False
    reached = {0}
    for _ in tree.points:
        reached |= {node for edge in tree.edges if reached & set(edge) for node in edge}
    return len(reached) == len(tree.points)


@given(st.lists(PLACES, min_size=1, max_size=12))
def test_a_tree_of_all_pins(pins: list[Point]) -> None:
    tree = steiner_tree(pins)
    assert tree.points[: len(pins)] == tuple(pins)
    assert is_tree(tree)
    half = max(x for x, _ in pins) - min(x for x, _ in pins) + max(y for _, y in pins) - min(y for _, y in pins)
    assert tree.length >= half
    if len(pins) <= 3:
        assert tree.length == half


@given(st.lists(PLACES, min_size=4, max_size=6, unique=True))
def test_never_shorter_than_exact_nor_much_longer(pins: list[Point]) -> None:
    exact = exact_length(pins)
    assert exact <= steiner_tree(pins).length <= 1.2 * exact


@pytest.mark.parametrize(("size", "mean_error"), [(4, 1e-3), (5, 4e-3), (6, 5e-3), (7, 1e-2)])
def test_the_stated_error(size: int, mean_error: float) -> None:
    """Random pins: 1 % at most over the shortest tree on the average, 8 % at most of 60 nets."""
    chance = random.Random(size)
    ratios = []
    for _ in range(60 if size < 7 else 15):
        pins = [(chance.randrange(1000), chance.randrange(1000)) for _ in range(size)]
        ratios.append(steiner_tree(pins).length / exact_length(pins))
    assert fmean(ratios) <= 1 + mean_error
    assert max(ratios) <= 1.08


def test_many_pins_get_a_spanning_tree() -> None:
    pins = [(x, y) for x in range(0, 90, 10) for y in range(0, 90, 10)]
    assert len(pins) > MOST_STEINER
    tree = steiner_tree(pins)
    assert tree.points == tuple(pins)
    assert is_tree(tree)
    assert tree.length == 10 * (len(pins) - 1)
