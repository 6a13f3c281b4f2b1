"""One table a design and module, from all records, and its bottom line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

from .mutants import found as found_of
from .proofs import by_kind

__all__ = ["OWNS", "texts"]

OWNS = ("verification",)
_ROWS = {
    "uniform": "MACs", "padded": "MACs", "subword": "MACs", "dc1d": "MACs", "bitfusion": "MACs", "bitblade": "MACs",
    "bitserial": "MACs", "loom": "MACs", "xnor": "MACs",
    "thresholds": "requantisers", "multiplier": "requantisers", "partialsum": "requantisers",
    "broadcast": "arrays", "systolic": "arrays",
    "operand_controller": "controllers", "drain_controller": "controllers", "settings_check": "controllers",
}  # fmt: skip
"""What has a line, and of which kind it is."""
_SUMMARY = ("design or module", "proved", "exhaustive", "fuzzed", "mutants found", "gate level", "lint")


def texts() -> dict[str, str]:
    """By place."""
    return {
        "verification": _summary(),
        "verification.line": _line(),
        "verification.minutes": f"{read_result('fuzz')['minutes']:.0f}",
    }


def _summary() -> str:
    """A line a design or module, with what each record says of it."""
    proofs, mutants = read_result("proofs")["proved"], read_result("mutants")["modules"]
    exhaustive, readers = read_result("exhaustive"), read_result("readers")
    fuzzed, netlists = read_result("fuzz")["values"], read_result("gate-level")["netlists"]
    specs = Counter(each["design"] for each in proofs)
    arrays = sum("claims" in each for each in proofs)
    lines = []
    for name, kind in _ROWS.items():
        here = [
            each
            for each in netlists
            if each["design"] == name or (each["design"] == "array" and f"_{name}_" in each["name"])
        ]
        found = [
            each
            for each in mutants
            if name == each["kind"] or ((kind, each["kind"]) == ("arrays", "array") and each["name"].startswith(name))
        ]
        part = kind == "controllers"
        cells = (
            "" if kind == "arrays" else f"{arrays if part else specs[name]:,}",
            f"{exhaustive[name]['results']:,}" if name in exhaustive else "",
            "in arrays" if part else f"{_drawn(fuzzed, name):,}",
            _share(found),
            "in arrays" if part else f"{sum(each['proved'] for each in here)} of {len(here)}",
            "in arrays" if part else _said(readers[name]),
        )
        lines.append((name.replace("_", " "), *cells))
    return table(_SUMMARY, lines)


def _drawn(fuzzed: Mapping[str, Any], name: str) -> int:
    """Cases of a MAC or unit on its own, or arrays of an architecture."""
    if name in fuzzed["array"]["architecture"]:
        return int(fuzzed["array"]["architecture"][name])
    return sum(fuzzed[name]["pipeline_stages"].values())


def _share(modules: Sequence[Mapping[str, Any]]) -> str:
    if not modules:
        return ""
    killed, seen = found_of(modules)
    return f"{killed:,} of {seen:,}"


def _said(row: Mapping[str, int]) -> str:
    lines = sum(value for name, value in row.items() if name not in ("files", "lines"))
    files = "1 file" if row["files"] == 1 else f"{row['files']} files"
    return f"{files}, {'silent' if not lines else f'{lines} lines'}"


def _line() -> str:
    """The bottom line of the table."""
    macs, units, arrays = by_kind(read_result("proofs")["proved"])
    mutants, netlists = read_result("mutants")["modules"], read_result("gate-level")["netlists"]
    results = sum(row["results"] for row in read_result("exhaustive").values())
    proved = sum(each["proved"] for each in netlists)
    return (
        f"{len(macs) + len(units):,} MACs and requantisers and the controllers of {len(arrays)} arrays proved for all "
        f"inputs, {results:,} results of graphs of gates compared exhaustively, {_share(mutants)} mutants found, "
        f"{proved} of {len(netlists)} netlists proved"
    )
