"""How wrong the cost model is, on designs it was never fitted to: ``python -m hwmodel.validate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from siliquant.commandline import Parser, add_format, run
from siliquant.inputs import InputError, csv_of, integer

from .options import add_calibration, add_cost_models, add_library

PROG = "hwmodel.validate"
EPILOG = """\
Held out are whole designs, chosen beforehand: families (BitBlade, Loom), operand widths (3 and 7 bits), lane counts,
sizes beyond those fitted, and whole arrays.
Both baselines are fitted to the same points as the model: a x weight bits x activation bits x lanes, and a polynomial
of degree 2 in weight bits, activation bits, lanes, pipeline stages and clock.

examples:
  python -m hwmodel.validate
  python -m hwmodel.validate --library sky130hd --by design --worst 10
  python -m hwmodel.validate --format csv"""


def parser() -> Parser:
    """The options; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    add_library(made, several=True)
    add_cost_models(made, "fitted now, to what is not held out")
    add_calibration(made)
    made.add_argument("--by", choices=("library", "design", "reason"), default="design", metavar="NAME",
                      help="lines of the table")  # fmt: skip
    made.add_argument("--worst", default="5", metavar="N", help="points named with the largest errors")
    add_format(made, "table", "markdown", "csv")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    made.only_with("--format table or markdown", options.format != "csv", "--worst")
    worst = integer("worst", options.worst, 0, 1000)
    from hwmodel.fit import errors_frame, markdown, print_tables, validated
    from hwmodel.measurement import PACKAGED_CALIBRATION

    folder = options.calibration or PACKAGED_CALIBRATION
    names = options.library or sorted(path.stem for path in folder.glob("*.csv"))
    if not names:
        raise InputError(f"calibration must be a folder of tables, but {folder} holds none")
    found = {name: validated(folder / f"{name}.csv", options.cost_models) for name in names}
    if options.format == "markdown":
        sys.stdout.write(markdown(found, options.by, worst))
    elif options.format == "csv":
        sys.stdout.write(csv_of(errors_frame(found, options.by)))
    else:
        print_tables(found, options.by, worst)


if __name__ == "__main__":
    run(PROG, main)
