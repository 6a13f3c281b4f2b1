"""Two simulators beside each other, from a recorded result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("simulators",)


def texts() -> dict[str, str]:
    """By place."""
    return {"simulators": _simulators()}


def _simulators() -> str:
    found = read_result("simulators")
    if found["differ"]:
        raise ValueError(f"the result says that simulators differ: {found['differ'][0]}")
    headers = ("module", "cycles", "bits", "X after reset", "s")
    return table(
        headers, [_agreed(each["name"], [each]) for each in found["modules"]] + [_agreed("all", found["modules"])]
    )


def _agreed(name: str, modules: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    cycles, bits, unknown = (sum(each[key] for each in modules) for key in ("cycles", "bits", "unknown"))
    return name, f"{cycles:,}", f"{bits:,}", f"{unknown:,}", f"{sum(each['seconds'] for each in modules):.0f}"
