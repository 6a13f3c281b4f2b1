"""What siliquant prove proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("proofs",)
Proof = Mapping[str, Any]


def texts() -> dict[str, str]:
    """By place. Raises ValueError where the result has what is not proved."""
    found = read_result("proofs")
    if found["not_proved"]:
        raise ValueError(f"the result says that something is not proved: {found['not_proved'][0]}")
    macs, units, arrays = by_kind(found["proved"])
    largest = "largest, gates"
    return {
        "proofs": table(
            ("design", "specs", largest, "sums", "states", "Verilog cells", "s"),
            _lines(macs, ("sums", "states", "cells"), gates=True),
        ),
        "proofs-units": table(
            ("unit", "specs", largest, "parameter sets", "Verilog cells", "s"),
            _lines(units, ("groups", "cells"), gates=True),
        ),
        "proofs-arrays": table(
            ("array", "specs", "claims", "register bits", "s"), _lines(arrays, ("claims", "registers"))
        ),
    }


def by_kind(proofs: Sequence[Proof]) -> tuple[list[Proof], list[Proof], list[Proof]]:
    """Proofs of MACs, of requantisers, and of the controllers of arrays."""
    own = ("precisions", "groups", "claims")  # a field that only this kind has
    macs, units, arrays = ([each for each in proofs if field in each] for field in own)
    return macs, units, arrays


def _lines(proofs: Sequence[Proof], names: Sequence[str], *, gates: bool = False) -> list[tuple[str, ...]]:
    """A line a design, and one of all: how many, perhaps the largest, totals, seconds."""
    by_design: dict[str, list[Proof]] = {}
    for each in proofs:
        by_design.setdefault(each["design"], []).append(each)
    lines: list[tuple[str, ...]] = []
    for design, those in [*by_design.items(), ("all", list(proofs))]:
        largest = [f"{max(each['gates'] for each in those):,}"] if gates else []
        totals = [f"{sum(each[name] for each in those):,}" for name in names]
        lines.append((design, f"{len(those)}", *largest, *totals, f"{sum(each['seconds'] for each in those):,.0f}"))
    return lines
