"""Netlists beside their RTL, and two simulators beside each other, from recorded results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result
from hwmodel.options import LIBRARIES

__all__ = ["OWNS", "texts"]

OWNS = ("gatelevel", "simulators")


def texts() -> dict[str, str]:
    """By place."""
    netlists = read_result("gate-level")["netlists"]
    wrong = [each for each in netlists if each["x_of_drawn"]]
    if wrong:
        raise ValueError(f"a netlist is unknown without unknown values: {wrong[0]['name']}, {wrong[0]['recipe']}")
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for each in netlists:
        by_name.setdefault(each["name"], []).append(each)
    headers = ("module", *LIBRARIES, "cycles", "X")
    lines = [_line(*both) for both in [*by_name.items(), ("all", netlists)]]
    unknown = [(each["name"], each["library"], each["recipe"], f"{each['x']:,}") for each in netlists if each["x"]]
    return {
        "gatelevel": table(headers, lines),
        "gatelevel-x": table(("module", "library", "recipe", "X"), unknown),
        "gatelevel.netlists": f"{len(netlists)}",
        "simulators": _simulators(),
    }


def _line(name: str, netlists: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Of each library how many netlists are proved, and their cells."""
    cells = []
    for library in LIBRARIES:
        those = [each for each in netlists if each["library"] == library]
        sizes = sorted(each["cells"] for each in those)
        proved = sum(each["proved"] for each in those)
        said = f"{proved}" if proved == len(those) else f"{proved} of {len(those)}"
        cells.append(f"*{said}*: {sizes[0]:,} to {sizes[-1]:,}")
    return name, *cells, f"{sum(each['cycles'] for each in netlists):,}", f"{sum(each['x'] for each in netlists):,}"


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
