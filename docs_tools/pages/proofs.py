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
    by_design: dict[str, list[Mapping[str, Any]]] = {}
    for each in found["proved"]:
        by_design.setdefault(each["design"], []).append(each)
    headers = ("design", "MACs", "largest, gates", "sums", "states", "Verilog cells", "s")
    lines = [(design, *_cells(proofs)) for design, proofs in by_design.items()]
    return {"proofs": table(headers, [*lines, ("all", *_cells(found["proved"]))])}


def _cells(proofs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of some proofs: how many, the largest, and totals."""
    totals = [sum(each[name] for each in proofs) for name in ("sums", "states", "cells")]
    gates, seconds = max(each["gates"] for each in proofs), sum(each["seconds"] for each in proofs)
    return [f"{len(proofs)}", f"{gates:,}", *(f"{total:,}" for total in totals), f"{seconds:,.0f}"]
