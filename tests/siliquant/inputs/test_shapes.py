"""What JSON gave has the shape of a type, or has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from siliquant.inputs.shapes import fits


@dataclass(frozen=True)
class Pin:
    name: str
    farads: float = 0.0


@dataclass(frozen=True)
class Cell:
    pins: tuple[Pin, ...]
    inverted: Pin | None
    areas: Mapping[str, float]
    count: int


GOOD: dict[str, Any] = {"pins": [{"name": "A", "farads": 1}], "inverted": None, "areas": {"X1": 2.5}, "count": 3}


def test_what_asdict_gives_fits() -> None:
    assert fits(GOOD, Cell)
    assert fits({**GOOD, "inverted": {"name": "B", "farads": 0.5}, "pins": []}, Cell)


@pytest.mark.parametrize(
    "changed",
    [
        {"pins": {}},
        {"pins": [{"name": "A"}]},
        {"pins": [{"name": "A", "farads": 1, "watts": 2}]},
        {"pins": [{"name": 1, "farads": 1}]},
        {"inverted": "A"},
        {"areas": [2.5]},
        {"areas": {"X1": None}},
        {"areas": {"X1": True}},
        {"count": 3.0},
        {"count": True},
        {"count": None},
        {"more": 1},
    ],
    ids=str,
)
def test_other_fields_and_kinds_do_not(changed: dict[str, Any]) -> None:
    assert not fits({**GOOD, **changed}, Cell)
    assert not fits({name: value for name, value in GOOD.items() if name not in changed}, Cell) or "more" in changed


def test_a_tuple_is_a_list_of_that_length() -> None:
    assert fits(["a", 1], tuple[str, int])
    assert not fits(["a"], tuple[str, int])
    assert not fits(["a", 1, 2], tuple[str, int])
    assert fits([[1.5, 2]], tuple[tuple[float, ...], ...])
    assert fits({"a": object()}, dict[str, Any])
    assert not fits(None, dict[str, Any])
