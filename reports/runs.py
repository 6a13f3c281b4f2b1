"""Accuracies of training runs for a report, from the folders that qat.train wrote: ``python -m reports.runs``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.accuracyfile import FULL_PRECISION, Accuracies, Run, methods, to_json
from siliquant.cli import Parser, run
from siliquant.errors import InputError
from siliquant.files import write_atomically
from siliquant.options import add_out_file

__all__ = ["main", "parser", "read_run"]

PROG = "reports.runs"
EPILOG = """\
Of each folder run.json and metrics.csv are read; the accuracy is that of the last epoch. A method is what the folder's
name has beside model, widths and an ending -s1, -s2 and so on, by which seeds differ. --date is that of the newest run:
the records have none.

example:
  python -m reports.runs --checkpoint runs/vit-mnist-w2a2 runs/vit-mnist-w2a2-s1 --date 2026-11-20 --out own.json
"""


def read_run(folder: Path) -> Run:
    """A run by its folder. ValueError, with the file's name, where it is not one; OSError as usual."""
    record, metrics = folder / "run.json", folder / "metrics.csv"
    try:
        about = json.loads(record.read_text())
        options, scheme = about["options"], about["scheme"]
        lines = list(csv.DictReader(metrics.read_text().splitlines()))
        last: Any = lines[-1]
        if not about["data"]["classes"]:
            raise InputError("its test score must be an accuracy, not a correlation")
        widths = [FULL_PRECISION] * 2 if scheme is None else [scheme["weight_bits"], scheme["activation_bits"]]
        return Run(
            name=_method(folder.name, options["model"]),
            model=options["model"],
            data=about["data"]["name"],
            weight_bits=widths[0],
            activation_bits=widths[1],
            seed=options["seed"],
            samples=about["data"]["test_samples"],
            accuracy_percent=_percent(last["test_score"]),
            low_percent=_percent(last["test_low"]),
            high_percent=_percent(last["test_high"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"it lacks {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{folder} must be a folder of qat.train: {what}") from None


def parser() -> Parser:
    """The options; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("--checkpoint", type=Path, nargs="+", required=True, metavar="DIR",
                      help="folder of a trained run, or of several")  # fmt: skip
    made.add_argument("--date", required=True, metavar="DATE", help="of the newest run, as 2026-11-20")
    made.add_argument("--source", default="python -m qat.train", metavar="TEXT", help="where the runs come from")
    add_out_file(made, "accuracies as reports.render reads them, JSON", required=True)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", options.date):
        raise InputError(f"date must look like 2026-11-20, not {options.date!r}")
    found = Accuracies(options.source, options.date, tuple(read_run(folder) for folder in options.checkpoint))
    write_atomically(options.out, to_json(found))
    for method in methods(found.runs):
        seeds = f"{len(method.runs)} seed{'s' if len(method.runs) > 1 else ''}"
        print(f"{method.first.name}: {method.mean_percent:.2f} % of {method.first.samples:,} samples, {seeds}")


def _method(folder: str, model: str) -> str:
    """What is left of a folder's name without model, widths and seed; all of it where nothing is.

    >>> _method("vit-mnist-w2a2-plain-s1", "vit-mnist")
    'plain'
    """
    name = re.sub(r"-s\d+$", "", folder)
    return re.sub(r"^w\d+a\d+(-|$)", "", name.removeprefix(f"{model}-")) or name


def _percent(text: str) -> float:
    """Without the last digits of a binary fraction."""
    return round(100 * float(text), 6)


if __name__ == "__main__":
    run(PROG, main)
