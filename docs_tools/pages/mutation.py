"""What the tests noticed of changes of the Python that decides numbers, from the recorded result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("mutation",)


def texts() -> dict[str, str]:
    """By place."""
    found = read_result("mutation")["groups"]
    headers = ("group", "places", "mutants", "killed", "nothing changes", "left", "score")
    lines = [_scored(each["name"], [each]) for each in found] + [_scored("all", found)]
    left = [
        tuple(f"`{survivor[name]}`".replace("|", "\\|") for name in ("place", "before", "after"))
        for each in found
        for survivor in each["survivors"]
    ]
    return {
        "mutation": table(headers, lines),
        "mutation-survivors": table(("place", "line", "changed to"), left),
        "mutation.late": str(sum(each["late"] for each in found)),
    }


def _scored(name: str, groups: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    places, mutants, killed, equal = (
        sum(each[key] for each in groups) for key in ("places", "mutants", "killed", "equivalent")
    )
    left = sum(len(each["survivors"]) for each in groups)
    score = f"{100 * killed / (mutants - equal):.1f} %"
    return name, f"{places:,}", f"{mutants:,}", f"{killed:,}", f"{equal}", f"{left}", score
