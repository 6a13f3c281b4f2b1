"""Worker process: one module of Verilog to a netlist of words as JSON. A Yosys error ends the process."""

from __future__ import annotations

import sys

from pyosys import libyosys

__all__ = ["main"]


def main(module: str) -> None:
    """Reads design.v and writes design.json in the current folder."""
    design = libyosys.Design()
    for command in ("read_verilog design.v", f"hierarchy -top {module}", "proc", "opt_clean", "write_json design.json"):
        design.run_pass(command)


if __name__ == "__main__":
    main(*sys.argv[1:])
