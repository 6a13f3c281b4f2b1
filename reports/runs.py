"""Accuracies of training runs for a report, from the folders that qat.train wrote: ``python -m reports.runs``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reports.inputs import FULL_PRECISION, Accuracies, KeptRun, Run, kept_run, methods, to_json
from siliquant.commandline import Parser, add_out_file, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, belongs, member, number, short

__all__ = ["main", "parser", "read_run", "run_of"]

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
    run = kept_run(folder)
    with belongs(folder, "a folder of qat.train"):
        return run_of(run)


def run_of(kept: KeptRun) -> Run:
    """The accuracy of a run after its last epoch. ValueError where it has none."""
    options, data = member(kept.record, "options", dict), member(kept.record, "data", dict)
    metric = data.get("metrics", ["accuracy" if data.get("classes") else "pearson"])
    if not isinstance(metric, list) or metric[:1] != ["accuracy"]:
        raise InputError(f"its test score must be an accuracy, not {short(metric)}")
    if lacking := {"test_score", "test_low", "test_high"} - set(kept.epochs[-1]):
        raise InputError(f"its metrics.csv must have a column {min(lacking)}")
    scheme = None if kept.record.get("scheme") is None else member(kept.record, "scheme", dict)
    model = Path(member(options, "model", str)).resolve().name  # a name, or the folder that describes it
    score, low, high = (_percent(name, kept.epochs[-1][name]) for name in ("test_score", "test_low", "test_high"))
    return Run(
        name=_method(kept.name, model),
        model=model,
        data=member(data, "name", str),
        weight_bits=FULL_PRECISION if scheme is None else member(scheme, "weight_bits", int),
        activation_bits=FULL_PRECISION if scheme is None else member(scheme, "activation_bits", int),
        seed=member(options, "seed", int),
        samples=member(data, "test_samples", int),
        accuracy_percent=score,
        low_percent=low,
        high_percent=high,
    )


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


def _percent(name: str, text: str) -> float:
    """A share in percent, without the last digits of a binary fraction."""
    return round(100 * number(name, text, 0, 1), 6)


if __name__ == "__main__":
    run(PROG, main)
