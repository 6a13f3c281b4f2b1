"""How fast simulation and training are, as benchmarks found it."""

from __future__ import annotations

from docs_tools.markdown import table
from docs_tools.results import read_result
from rtl.array import Codes, plan_passes
from rtl.mac import UniformSpec, XnorSpec

__all__ = ["OWNS", "texts"]

OWNS = ("rtl", "qat", "passes")
_NETWORKS = {
    "deit-tiny": "DeiT-T",
    "deit-tiny-systolic": "DeiT-T",
    "deit-small": "DeiT-S",
    "deit-base": "DeiT-B",
    "swin-tiny": "Swin-T",
    "sret-tiny": "SReT-T",
    "bert-base": "BERT-base",
}


def texts() -> dict[str, str]:
    """By place."""
    narrow, binary = UniformSpec(weight_bits=4, activation_bits=4, lanes=16), XnorSpec()
    wide = Codes(8, True)
    return {
        "rtl-speed": _simulation(),
        "rtl.repeats": str(read_result("rtl-speed")["repeats"]),
        "qat-speed": _training(),
        "rtl-networks": _networks(),
        "passes.uniform": str(len(plan_passes(narrow, wide, wide))),
        "passes.xnor": str(len(plan_passes(binary, wide, wide))),
    }


def _networks() -> str:
    """Whole networks on a simulated array. Raises ValueError where a record has a mismatch, or lacks codes."""
    lines = []
    for name, network in _NETWORKS.items():
        found = read_result(f"{name}-rtl")
        if found["mismatches"] or not found["codes"]:
            raise ValueError(f"{name}-rtl must have codes and no mismatches, not {found}")
        if (found["mac"], found["rows"], found["columns"]) != ("uniform_w4_a4_l16", 16, 16):
            raise ValueError(f"{name}-rtl must be of the array that the page names, not {found}")
        where = "" if found["architecture"] == "broadcast" else f", {found['architecture']}"
        counts = (f"{found[key]:,}" for key in ("accumulators", "codes", "mismatches", "cycles"))
        gmacs = f"{found['macs'] / 1e9:.2f}"
        lines.append((f"{network}{where}", gmacs, *counts, f"{found['simulation_cpu_s']:.1f}"))
    headers = ("network", "G MAC", "accumulators", "requantised codes", "mismatches", "cycles", "CPU s")
    return table(headers, lines)


def _simulation() -> str:
    rows = read_result("rtl-speed")["rows"]
    base = next(row["macs_per_cpu_s"] for row in rows if row["name"].startswith("cocotb and Verilator"))
    lines = [
        (
            row["name"],
            f"{row['build_cpu_s']:.{0 if row['build_cpu_s'] >= 1 else 1}f}",
            f"{row['cycles_per_cpu_s']:,.0f}",
            f"{row['macs_per_cpu_s'] / 1e6:,.0f}"
            if row["macs_per_cpu_s"] >= 1e8
            else f"{row['macs_per_cpu_s'] / 1e6:.3g}",
            f"{row['macs_per_cpu_s'] / base:.2g}" if row["macs_per_cpu_s"] < base else
            f"{row['macs_per_cpu_s'] / base:.0f}",
        )
        for row in rows
        if "side by side" not in row["name"]
    ]  # fmt: skip
    return table(("simulation", "build, CPU s", "cycles/CPU s", "M MAC/CPU s", "to cocotb and Verilator"), lines)


def _training() -> str:
    rows = read_result("qat-speed")["rows"]
    lines = [
        (row["name"], f"{row['median_ms']:.0f}", f"{row['ratio']:.2f} ({row['fastest_ratio']:.2f})") for row in rows
    ]
    return table(("DeiT-T step", "median, ms", "of full precision (of the fastest steps)"), lines)
