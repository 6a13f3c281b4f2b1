"""Worker process: makes mutants of a module with Yosys. A Yosys error ends the process, so it has one of its own.

design.v has the module; what it assumes is for the solver alone. ``list SEED COUNT``: the changes that Yosys chooses, a
line each, in mutants.txt, and a module ``mutated`` in mutated.v that has them all: the input ``mutant`` says which one
is there, 0 none. ``decide``: whether the change in decide.txt can be seen at an output or in a register in the next
cycle, where what design.v assumes holds: Yosys prints what its solver finds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyosys import libyosys

__all__ = ["main"]

_CHOICE_BITS = 10


def main(what: str, module: str, *arguments: str) -> None:
    """Works in the current folder."""
    if what == "list":
        _list(module, *map(int, arguments))
    else:
        _decide(module)


def _read(module: str) -> libyosys.Design:
    """The module flat, with registers that load by an enable as one cell: a change hits the enable or the value."""
    design = libyosys.Design()
    for command in (
        "read_verilog -formal design.v", f"hierarchy -top {module}", "proc",
        "chformal -lower", "flatten",
        "opt_clean", "opt_dff -nosdff -simple-dffe", "opt_clean", f"rename {module} mutated",
    ):  # fmt: skip
        design.run_pass(command)
    return design


def _list(module: str, seed: int, count: int) -> None:
    design = _read(module)
    for command in (
        "chformal -remove",
        "opt_clean",
    ):  # here, so that cells have the names that they have for the solver
        design.run_pass(command)
    design.run_pass(f"mutate -list {count} -seed {seed} -o mutants.txt")
    lines = [line for line in Path("mutants.txt").read_text().splitlines() if line.startswith("mutate ")]
    for number, line in enumerate(lines, start=1):
        design.run_pass(f"{line} -ctrl mutant {_CHOICE_BITS} {number}")
    for command in ("dffunmap", "opt_clean", "attrmap -remove init", "write_verilog -noattr mutated.v"):
        design.run_pass(command)


def _decide(module: str) -> None:
    change = Path("decide.txt").read_text().strip()
    design = _read(module)
    for command in (
        "design -save whole", change, "dffunmap", "rename mutated other", "design -stash other",
        "design -load whole", "dffunmap", "design -copy-from other -as other other",
        "expose -evert-dff mutated/t:*dff* other/t:*dff*",
        "miter -equiv -flatten -make_outputs -make_assert mutated other both",
        "hierarchy -top both", "opt -full", "opt_merge",
    ):  # fmt: skip
        design.run_pass(command)
    design.run_pass("sat -prove-asserts -set-assumes -timeout 60 both")


if __name__ == "__main__":
    main(*sys.argv[1:])
