"""Worker process: Verilog to gates of two inputs and flip-flops, as Verilog."""

from __future__ import annotations

import sys

from pyosys import libyosys

__all__ = ["main"]


def main(source: str, target: str, top: str) -> None:
    """Synthesises ``top`` of ``source`` into ``target``."""
    design = libyosys.Design()
    for command in (
        f"read_verilog {source}",
        f"synth -flatten -top {top}",
        "abc -g AND,NOR,XOR,MUX",
        "opt_clean -purge",
    ):
        design.run_pass(command)
    design.run_pass(f"write_verilog -noattr {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
