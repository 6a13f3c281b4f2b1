"""Worker process: RTLIL files to one Verilog file. A Yosys error ends the process, so it has one of its own."""

from __future__ import annotations

import sys

from pyosys import libyosys

__all__ = ["main"]


def main(target: str, sources: list[str]) -> None:
    """Reads every source and writes all modules to ``target``, without initial values."""
    design = libyosys.Design()
    for source in sources:
        design.run_pass(f"read_rtlil {source}")
    design.run_pass("proc -norom")
    # As plain conditions: write_verilog tells other tools of a choice among many in a comment of one vendor.
    design.run_pass("pmuxtree")
    design.run_pass("opt_clean")
    design.run_pass("attrmap -remove init")
    design.run_pass(f"write_verilog -noattr {target}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
