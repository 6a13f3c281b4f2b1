"""Power under other operand streams, and while operands come in some of the cycles; what placed wires change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("stream", "markov", "gates", "wires")
_HEADERS = ("design", "um2", "wire um", "period ns", "fJ/MAC", "change", "energy ratio")


def texts() -> dict[str, str]:
    """By place."""
    found = read_result("stream-power")
    relative: Mapping[str, Mapping[str, Any]] = found["relative"]
    precisions = list(next(iter(relative.values())))
    lines = [[name, *(_cell(each[precision]) for precision in precisions)] for name, each in relative.items()]
    errors = {bits: f"{100 * error:.0f} %" for bits, error in found["markov_largest_error"].items()}
    return {
        "stream-power": table(("stream", *precisions), lines),
        **_gates(),
        **{f"markov.{bits}": error for bits, error in errors.items()},
        **_wires("freepdk45"),
        **_wires("sky130hd"),
    }


def _wires(library: str) -> dict[str, str]:
    found = read_result(f"wires-{library}")
    anew = [row["design"] for row in found["rows"] if row["made_anew"]]
    missed = [row["design"] for row in found["rows"] if row["meets_clock"] == [True, False]]
    return {
        f"wires-{library}": table(_HEADERS, [_line(row) for row in found["rows"]]),
        f"wires.{library}-anew": str(len(anew)),
        f"wires.{library}-missed": str(len(missed)),
        f"wires.{library}-rows": str(len(found["rows"])),
    }


def _line(row: Mapping[str, Any]) -> list[str]:
    before_fj, after_fj = row["energy_fj_per_mac"]
    return [
        row["design"],
        " → ".join(f"{value:,.0f}" for value in dict.fromkeys(row["area_um2"])),
        f"{row['wire_um']:,.0f}",
        " → ".join(f"{value:.2f}" for value in row["minimum_period_ns"]),
        " → ".join(f"{value:,.0f}" for value in row["energy_fj_per_mac"]),
        f"{100 * (after_fj / before_fj - 1):+.1f} %",
        " → ".join(f"{value:.2f}" for value in row["energy_ratio"]),
    ]


def _gates() -> dict[str, str]:
    """Designs with clock gates, and in brackets with multiplexers; how far power is from linear in the utilisation."""
    lines, off = [], []
    for name, kinds in read_result("clock-gates")["designs"].items():
        gates, plain = kinds["gates"], kinds["multiplexers"]
        full_uw, idle_uw = gates["power_uw"]["1"], gates["idle_uw"]
        for share, found_uw in gates["power_uw"].items():
            off.append(found_uw / (float(share) * full_uw + (1 - float(share)) * idle_uw) - 1)
        pairs = [(kind["area_um2"], full, half, kind["idle_uw"]) for kind in (gates, plain)
                 for full, half in [(kind["power_uw"]["1"], kind["power_uw"]["0.5"])]]  # fmt: skip
        lines.append([name, *(f"{one:,.0f} ({other:,.0f})" for one, other in zip(*pairs, strict=True))])
    header = ("design", "area um2", "uW at full rate", "uW at half rate", "idle uW")
    return {
        "gates": table(header, lines),
        "gates.off": f"{-100 * min(off):.1f} % below to {100 * max(off):.1f} % above",
        "gates.least": f"{100 * min(_saved(kinds) for kinds in read_result('clock-gates')['designs'].values()):.0f}",
        "gates.most": f"{100 * max(_saved(kinds) for kinds in read_result('clock-gates')['designs'].values()):.0f}",
    }


def _saved(kinds: Mapping[str, Mapping[str, Any]]) -> float:
    """The share of power that gates save where every other cycle has operands."""
    return float(1 - kinds["gates"]["power_uw"]["0.5"] / kinds["multiplexers"]["power_uw"]["0.5"])


def _cell(value: Mapping[str, Any]) -> str:
    zeros = "" if value["zeros"] is None else f" ({100 * value['zeros']:.0f} %)"
    return f"{value['ratio']:.2f}{zeros}"
