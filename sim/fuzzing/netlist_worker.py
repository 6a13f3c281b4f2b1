"""Worker process: Verilog to gates of two inputs and flip-flops, as Verilog; memories stay what they are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pyosys import libyosys

from rtl.names import MEMORY_NAME

__all__ = ["main"]


def main(source: str, target: str, top: str) -> None:
    """Synthesises ``top`` of ``source`` into ``target``, behind which the module of memories is written again."""
    memory = re.search(rf"^module {MEMORY_NAME}\b.*?^endmodule\n", Path(source).read_text(), re.DOTALL | re.MULTILINE)
    design = libyosys.Design()
    for command in (
        f"read_verilog {source}",
        *([f"blackbox {MEMORY_NAME}"] if memory is not None else []),
        f"synth -flatten -top {top}",
        "abc -g AND,NOR,XOR,MUX",
        "opt_clean -purge",
    ):
        design.run_pass(command)
    design.run_pass(f"write_verilog -noattr {target}")
    if memory is not None:
        with Path(target).open("a") as stream:
            stream.write(f"\n{memory.group()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
