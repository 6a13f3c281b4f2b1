"""What siliquant prove proved, from its recorded result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("proofs",)


def texts() -> dict[str, str]:
    """By place."""
    found = read_result("proofs")
    if found["not_proved"]:
        raise ValueError(f"the result says that something is not proved: {found['not_proved'][0]}")
    macs = [each for each in found["proved"] if "precisions" in each]
    units = [each for each in found["proved"] if "groups" in each]
    names, sets = ("sums", "states", "cells"), ("groups", "cells")
    return {
        "proofs": table(
            ("design", "specs", "largest, gates", "sums", "states", "Verilog cells", "s"), _lines(macs, names)
        ),
        "proofs-units": table(
            ("unit", "specs", "largest, gates", "parameter sets", "Verilog cells", "s"), _lines(units, sets)
        ),
    }


def _lines(proofs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[str, ...]]:
    """A line a design, and one of all."""
    by_design: dict[str, list[Mapping[str, Any]]] = {}
    for each in proofs:
        by_design.setdefault(each["design"], []).append(each)
    return [(design, *_cells(those, names)) for design, those in [*by_design.items(), ("all", list(proofs))]]


def _cells(proofs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Of some proofs: how many, the largest, and totals."""
    totals = [sum(each[name] for each in proofs) for name in names]
    gates, seconds = max(each["gates"] for each in proofs), sum(each["seconds"] for each in proofs)
    return [f"{len(proofs)}", f"{gates:,}", *(f"{total:,}" for total in totals), f"{seconds:,.0f}"]
