"""Worker process: Verilog to a Yosys netlist of single-bit gates as JSON, or what Yosys says of its loops. An error of
Yosys ends the process.
"""

from __future__ import annotations

import sys

from pyosys import libyosys

__all__ = ["look_for_loops", "main"]


def main(source: str, target: str, modules: list[str]) -> None:
    """Keeps ``modules`` of ``source``, with gates, registers, adders and instances, in ``target``."""
    design = libyosys.Design()
    design.run_pass(f"read_verilog {source}")
    design.run_pass("select -set kept " + " ".join(f"={module}" for module in modules))
    for command in ("proc -noopt @kept", "opt_clean @kept", "simplemap @kept", "opt_clean @kept"):
        design.run_pass(command)
    design.run_pass("select @kept")
    design.run_pass(f"write_json -selected {target}")


def look_for_loops(source: str, top: str, *, flat: bool) -> None:
    """Prints what Yosys finds in ``top`` and all below it, also in what nothing reads; flat: across modules too."""
    design = libyosys.Design()
    flatten = ["flatten"] if flat else []
    for command in (f"read_verilog {source}", f"hierarchy -check -top {top}", "proc -noopt", *flatten, "check"):
        design.run_pass(command)


if __name__ == "__main__":
    if sys.argv[1] == "loops":
        look_for_loops(sys.argv[2], sys.argv[3], flat=sys.argv[4] == "flat")
    else:
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
