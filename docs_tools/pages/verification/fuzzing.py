"""What siliquant fuzz has run so far."""

from __future__ import annotations

from docs_tools.markdown import table
from docs_tools.results import read_result
from sim.campaigns import Tally
from sim.fuzzing import ENGINES

__all__ = ["OWNS", "texts"]

OWNS = ("fuzz",)
MAY_BE_ZERO = ("fuzz.mended",)
_ENGINES = {
    "graph": "graph of gates", "icarus": "Verilog in Icarus", "verilator": "Verilog in Verilator",
    "netlist": "netlist of two-input gates", "export": "integers from their file", "harness": "simulated array",
}  # fmt: skip


def texts() -> dict[str, str]:
    """By place. Raises ValueError where a case failed."""
    found = read_result("fuzz")
    if found["failing"]:
        raise ValueError(f"the result says that {found['failing']} cases of the fuzzer fail")
    lines = []
    for kind, engines in ENGINES.items():
        compared = found["compared"].get(kind, {})
        for engine in engines:
            totals = [f"{compared.get(what, 0):,}" if engine == engines[0] else "" for what in ("cycles", "results")]
            cases = found["engines"].get(kind, {}).get(engine, 0)
            lines.append((kind if engine == engines[0] else "", _ENGINES[engine], f"{cases:,}", *totals))
    drawn = [tuple(line) for line in Tally.from_plain(found).by_kind()]
    return {
        "fuzz": table(("kind", "on", "cases", "cycles", "results compared"), lines, left=2),
        "fuzz-drawn": table(("kind", "parameter", "values", "drawn", "legal", "never drawn"), drawn, left=6),
        "fuzz.minutes": f"{found['minutes']:,.0f}",
        "fuzz.cases": f"{sum(found['cases'].values()):,}",
        "fuzz.mended": str(found.get("mended", 0)),
        "fuzz.seed": f"{found['seed']}",
    }
