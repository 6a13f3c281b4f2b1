"""Worker process: a module of Verilog and all below it to netlists of words as JSON. A Yosys error ends the process."""

from __future__ import annotations

import sys

from pyosys import libyosys

__all__ = ["main"]


def main(top: str) -> None:
    """Reads design.v and writes design.json in the current folder. Instances that nothing reads stay, too."""
    design = libyosys.Design()
    passes = ("read_verilog design.v", f"hierarchy -check -top {top}", "setattr -set keep 1 c:* t:$* %d t:$paramod* %u")
    for command in (*passes, "proc -noopt", "memory_collect", "opt_clean", "write_json design.json"):
        design.run_pass(command)


if __name__ == "__main__":
    main(*sys.argv[1:])
