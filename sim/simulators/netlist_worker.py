"""Worker process: Verilog to a Yosys netlist of single-bit gates as JSON. A Yosys error ends the process."""

from __future__ import annotations

import sys

from pyosys import libyosys

__all__ = ["main"]


def main(source: str, target: str, modules: list[str]) -> None:
    """Keeps ``modules`` of ``source``, with gates, registers, adders and instances, in ``target``."""
    design = libyosys.Design()
    design.run_pass(f"read_verilog {source}")
    design.run_pass("select -set kept " + " ".join(f"={module}" for module in modules))
    for command in ("proc @kept", "opt_clean @kept", "simplemap @kept", "opt_clean @kept"):
        design.run_pass(command)
    design.run_pass("select @kept")
    design.run_pass(f"write_json -selected {target}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
