"""Netlists do what their RTL does: proved, and simulated with unknown values: ``python -m hwmodel.gates``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rtl.options import DesignParser
from siliquant.commandline import add_out_file, called, console, print_table, run, working
from siliquant.files import write_atomically
from siliquant.inputs import integer, read_clock_mhz

from .options import add_clock, add_library_file, check_library_options, library_of, naming

if TYPE_CHECKING:
    from hwmodel.gatelevel import GateCheck, Spec
    from hwmodel.library import Library

__all__ = ["main", "parser"]

PROG = "hwmodel.gates"
MOST_RECIPES = 100
HEADERS = ("module", "netlists", "proved", "cells", "registers", "cycles", "X", "s")
EPILOG = """\
Without --design: small modules of every kind of MAC, of every requantisation unit and of arrays. Each netlist is to be
proved equal to the Verilog of siliquant gen, for all inputs and from every state, and is simulated beside it from
power-up on, with all registers and all ports that are not valid unknown. Column X: bits of valid outputs that are
unknown in the netlist alone. Exit code 1 where a netlist differs, or is not proved; 2 where a tool fails, after all
other netlists. What is proved is kept. docs/synthesis.md says what that means.

examples:
  python -m hwmodel.gates --library sky130hd
  python -m hwmodel.gates --design subword --units 2 --recipes 8"""


def parser() -> DesignParser:
    """The options, those of the design too."""
    made = DesignParser(prog=PROG, description=__doc__, epilog=EPILOG)
    add_library_file(made)
    add_clock(made)
    made.add_argument("--recipes", metavar="N", default="2", help="netlists of each design, by as many recipes")
    made.add_argument("--fresh", action="store_true", help="do again what is known already")
    add_out_file(made, "every netlist, JSON (default: none)")
    return made


def main(arguments: Sequence[str] | None = None, specs: Sequence[Spec] | None = None) -> None:
    """The command line, for ``specs`` where it names no design (default: the standard ones). Exit code 1 where a
    netlist differs from its RTL or is not proved, 2 where a tool failed.
    """
    made = parser()
    options = made.parse_args(arguments)
    check_library_options(made, options)
    clock_mhz, count = read_clock_mhz(options.clock_mhz), integer("recipes", options.recipes, 1, MOST_RECIPES)

    from hwmodel.gatelevel import GateCheck, check_gates, recipes_of, standard_specs
    from hwmodel.power import find_icarus
    from rtl.mac import design_named
    from rtl.options import read_parameters

    if options.design is not None:
        design = design_named(options.design)
        specs = (design(**read_parameters(options, design)),)
    elif specs is None:
        specs = standard_specs()
    find_icarus()
    library = library_of(options)
    models = _own_models(library)
    found: list[GateCheck] = []
    differ: list[str] = []
    errors: list[str] = []
    with naming(library), working(f"netlists of {library.name}") as news:
        for number, spec in enumerate(specs):
            chosen = recipes_of(library, number, count)
            for each in check_gates(spec, library, chosen, clock_mhz=clock_mhz, models=models, fresh=options.fresh):
                if isinstance(each, GateCheck):
                    found.append(each)
                else:
                    (differ if each.differs else errors).append(each.text)
            news(f"{number + 1} of {len(specs)}, {spec.name}")
    if found:
        _print(found, library)
    undecided = [
        f"{each.name} by {each.recipe} in {each.library}: {each.undecided}" for each in found if each.proved is None
    ]
    for line in (*differ, *undecided, *(f"error: {each}" for each in errors)):
        print(f"{called(PROG)}: {line}", file=sys.stderr)
    if options.out is not None:
        record = {"library": library.name, "clock_mhz": clock_mhz, "netlists": [asdict(each) for each in found],
                  "differ": differ, "errors": errors}  # fmt: skip
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")
    if differ or undecided or errors:
        sys.exit(1 if differ or undecided else 2)


def _own_models(library: Library) -> str | None:
    """The Verilog of cells that comes beside the Liberty file of freepdk45."""
    if library.name != "freepdk45":
        return None
    path = Path(library.files.paths[0]).with_suffix(".v")
    return path.read_text() if path.is_file() else None


def _print(found: Sequence[GateCheck], library: Library) -> None:
    """A line a module, and what all of it means."""
    by_name: dict[str, list[GateCheck]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    out = console()
    print_table(out, f"netlists of {library.name} against RTL", HEADERS, [_line(*both) for both in by_name.items()])
    proved = sum(each.proved is not None for each in found)
    out.print(f"proved: {proved} of {len(found)} netlists, all simulated. What that says: docs/synthesis.md#check")


def _line(name: str, checks: Sequence[GateCheck]) -> list[str]:
    cells = sorted(each.cells for each in checks)
    registers = {each.proved.registers for each in checks if each.proved}
    return [
        name,
        str(len(checks)),
        str(sum(each.proved is not None for each in checks)),
        f"{cells[0]:,}" if cells[0] == cells[-1] else f"{cells[0]:,} to {cells[-1]:,}",
        ", ".join(f"{number:,}" for number in sorted(registers)),
        f"{sum(each.unknown.cycles for each in checks):,}",
        f"{sum(each.unknown.unknown for each in checks):,}",
        f"{sum(each.seconds for each in checks):.1f}",
    ]


if __name__ == "__main__":
    run(PROG, main)
