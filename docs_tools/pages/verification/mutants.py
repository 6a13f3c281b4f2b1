"""What siliquant mutate found of the Verilog, and tests/mutation of the Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result
from siliquant.inputs import share_found

__all__ = ["MAY_BE_ZERO", "OWNS", "texts"]

OWNS = ("mutants", "mutation")
MAY_BE_ZERO = ("mutation.late",)


def texts() -> dict[str, str]:
    """By place."""
    modules, groups = read_result("mutants")["modules"], read_result("mutation")["groups"]
    return {
        "mutants": table(
            ("module", "mutants", "killed", "refused", "cannot be seen", "left", "score"),
            _lines(modules, ("mutants", "killed", "refused", "equal")),
        ),
        "mutants-survivors": table(
            ("module", "mutant", "solver"),
            [(each["name"], f"`{one['place']}`", one["answer"]) for each in modules for one in each["survivors"]],
            left=3,
        ),
        "mutation": table(
            ("group", "places", "mutants", "killed", "nothing changes", "left", "score"),
            _lines(groups, ("places", "mutants", "killed", "equivalent")),
        ),
        "mutation-survivors": table(
            ("place", "line", "changed to"),
            [
                tuple(f"`{one[name]}`" for name in ("place", "before", "after"))
                for each in groups
                for one in each["survivors"]
            ],
            left=3,
        ),
        "mutation.late": str(sum(each["late"] for each in groups)),
    }


def found(modules: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many mutants are found, and how many there are that can be seen."""
    killed, refused, mutants = (sum(each.get(key, 0) for each in modules) for key in ("killed", "refused", "mutants"))
    equal = sum(each.get("equal", each.get("equivalent", 0)) for each in modules)
    return killed + refused, mutants - equal


def _lines(modules: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[str, ...]]:
    """A line a module or group, and one of all: totals, what is left, and the share that is found."""
    lines = []
    for name, those in [*((each["name"], [each]) for each in modules), ("all", list(modules))]:
        totals = (f"{sum(each[key] for each in those):,}" for key in names)
        left = sum(len(each["survivors"]) for each in those)
        killed, seen = found(those)
        lines.append((name, *totals, f"{left}", share_found(killed, seen)))
    return lines
