"""How fast simulation and training are, as benchmarks found it."""

from __future__ import annotations

from docs_tools.markdown import table
from docs_tools.results import read_result
from rtl.array import Codes, plan_passes
from rtl.mac import UniformSpec, XnorSpec

__all__ = ["OWNS", "texts"]

OWNS = ("rtl", "qat", "passes")


def texts() -> dict[str, str]:
    """By place."""
    whole = read_result("deit-tiny-rtl")
    narrow, binary = UniformSpec(weight_bits=4, activation_bits=4, lanes=16), XnorSpec()
    wide = Codes(8, True)
    return {
        "rtl-speed": _simulation(),
        "rtl.repeats": str(read_result("rtl-speed")["repeats"]),
        "qat-speed": _training(),
        "rtl.broadcast": f"{whole['simulation_s']['broadcast']:.1f}",
        "rtl.systolic": f"{whole['simulation_s']['systolic']:.1f}",
        "rtl.gmacs": f"{whole['macs'] / 1e9:.2f}",
        "passes.uniform": str(len(plan_passes(narrow, wide, wide))),
        "passes.xnor": str(len(plan_passes(binary, wide, wide))),
    }


def _simulation() -> str:
    rows = read_result("rtl-speed")["rows"]
    base = next(row["macs_per_cpu_s"] for row in rows if row["name"].startswith("cocotb and Verilator"))
    lines = [
        (
            row["name"],
            f"{row['build_cpu_s']:.0f}",
            f"{row['cycles_per_cpu_s']:,.0f}",
            f"{row['macs_per_cpu_s'] / 1e6:.3g}",
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
