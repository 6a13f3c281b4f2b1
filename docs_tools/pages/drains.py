"""What several drains of an array cost and gain, from a recorded result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import spread, table
from docs_tools.results import read_result
from rtl.array import DRAINS, Architecture

__all__ = ["OWNS", "texts"]

OWNS = ("drains",)
MAY_BE_ZERO = ("drains.uniform-beyond", "drains.beyond")
_KINDS = {"cycles": "cycles", "area_cycles": "area x cycles"}


def texts() -> dict[str, str]:
    """By place."""
    found = read_result("drains")
    return {
        "drains-around": _around(found["around_um2"]),
        "drains-gains": _gains(found["gains"], found["drains"]),
        **_kept(found["gains"], found["drains"]),
    }


def _around(found: Mapping[str, Mapping[str, float]]) -> str:
    """Area of what surrounds the elements."""
    kinds = [each.value for each in Architecture]
    lines = [(number, *(f"{um2[kind]:,}" for kind in kinds)) for number, um2 in found.items()]
    return table(("drains", *(f"{kind} um2" for kind in kinds)), lines)


def _gains(gains: Mapping[str, Mapping[str, Sequence[float]]], drains: Sequence[int]) -> str:
    """Of each design, relative to the first number of drains."""
    titles = [f"{title}, {number}" for title in _KINDS.values() for number in drains[1:]]
    lines = [(design, *(f"{value:.3f}" for kind in _KINDS for value in each[kind])) for design, each in gains.items()]
    return table(("design", *titles), lines)


def _kept(gains: Mapping[str, Mapping[str, Any]], drains: Sequence[int]) -> dict[str, str]:
    """How far the number that arrays have is from the best, and the bounds for arrays without drain registers."""
    products = {design: [1.0, *each["area_cycles"]] for design, each in gains.items()}
    default = drains.index(DRAINS)
    beyond = {design: 100 * (values[default] / min(values) - 1) for design, values in products.items()}
    without = {design: each["without"][default] for design, each in gains.items()}
    uniform, *others = gains
    return {
        "drains.kept": str(DRAINS),
        "drains.uniform-beyond": f"{beyond[uniform]:.1f}",
        "drains.beyond": spread([beyond[design] for design in others]),
        "drains.uniform-without": f"{without[uniform]:.2f}",
        "drains.without": spread([without[design] for design in others], ".2f"),
    }
