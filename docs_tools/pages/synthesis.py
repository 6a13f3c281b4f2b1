"""Power under other operand streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("stream", "markov")


def texts() -> dict[str, str]:
    """By place."""
    found = read_result("stream-power")
    relative: Mapping[str, Mapping[str, Any]] = found["relative"]
    precisions = list(next(iter(relative.values())))
    lines = [[name, *(_cell(each[precision]) for precision in precisions)] for name, each in relative.items()]
    errors = {bits: f"{100 * error:.0f} %" for bits, error in found["markov_largest_error"].items()}
    return {
        "stream-power": table(("stream", *precisions), lines),
        **{f"markov.{bits}": error for bits, error in errors.items()},
    }


def _cell(value: Mapping[str, Any]) -> str:
    zeros = "" if value["zeros"] is None else f" ({100 * value['zeros']:.0f} %)"
    return f"{value['ratio']:.2f}{zeros}"
