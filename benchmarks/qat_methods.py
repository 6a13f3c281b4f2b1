"""Ingredients of other methods beside the paper's remedies: the same start, data and number of steps for each.

    python benchmarks/qat_methods.py --runs runs/methods                                        what is missing
    python benchmarks/qat_methods.py --runs runs/quick --data digits --epochs 2 --full-epochs 4

Trains vit-mnist at full precision, stores soft labels, trains it with each method at 2 bits, exports every run, and
prints a table: accuracy on the test split, loss of the first and of the last epoch, and whether the integers have the
codes and logits of the trained network. Runs and records are kept in --runs; what was cut off is resumed.

At one learning rate this compares nothing but whether each trains. For a comparison choose the rate of each method on
a validation split (--data mnist5k@validation, --lr), as benchmarks/qat_accuracy.py does.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.experiments import Experiment, folders, kept, mean_interval, records, run_all
from siliquant.commandline import Parser, add_jobs, read_jobs, run

STUDY = "methods"
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "lsq": ("LSQ as published", ("--recipe", "lsq")),
    "starts": ("LSQ, our starts and steps", ("--granularity", "tensor", "--gradient-scale", "lsq")),
    "mdq": ("a scale a head", ()),
    "obr": ("a scale a head, bin regulariser", ("--obr", "0.01")),
    "all": ("the paper's three", ("--obr", "0.01", "--soft-labels", "{runs}/soft")),
    "surrogate": ("a scale a head, Fourier surrogate", ("--surrogate", "fourier")),
    "annealed": ("a scale a head, annealed", ("--cga", "1")),
    "statsq": ("StatsQ's range", ("--weight-scale", "statsq", "--granularity", "channel")),
    "product": ("a scale a head, query-key product", ("--query-key", "reparameterised")),
    "ofq": (
        "OFQ's three, integer codes",
        (
            "--weight-scale", "statsq", "--granularity", "channel", "--query-key", "reparameterised", "--cga", "1",
        ),
    ),
    "rotated": (
        "a scale a head, rotated",
        ("--rotate", "values", "--rotate", "queries", "--rotate", "residual"),
    ),
}  # fmt: skip
"""Title and options of qat.train by name."""


def experiments(data: str, epochs: int, full_epochs: int, lr: str, bits: int, seeds: int) -> tuple[Experiment, ...]:
    """The full-precision start, its soft labels, and each method."""
    base = ("--model", "vit-mnist", "--data", data)
    at_full = ("--bits", "32", "--epochs", str(full_epochs), "--lr", "2e-3", "--warmup", "1", "--weight-decay", "0.05")
    labels = ("--teacher", "{runs}/fp", "--data", data, "--crops", "8", "--top-k", "5")
    student = (*base, "--start", "{runs}/fp", "--bits", str(bits), "--epochs", str(epochs), "--lr", lr)
    return (
        Experiment("fp", STUDY, "full precision", (*base, *at_full)),
        Experiment("soft", "", "", labels, after=("fp",), module="qat.softlabels"),
        *(
            Experiment(name, STUDY, title, (*student, *own), seeds, ("fp", *(("soft",) * ("--soft-labels" in own))))
            for name, (title, own) in METHODS.items()
        ),
    )


def exported(run_folder: Path, samples: int) -> bool:
    """Whether the integers of a run have its codes and logits on so many test samples; they are kept beside it."""
    out = run_folder.parent / "integers" / run_folder.name
    command = (
        sys.executable, "-m", "qat.export", "--checkpoint", str(run_folder), "--out", str(out),
        "--samples", str(samples), "--device", "cpu",
    )  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, 1):
        raise ValueError(f"{run_folder.name}: {(ended.stderr.splitlines() or ['no message'])[-1]}")
    return ended.returncode == 0


def lines(chosen: Sequence[Experiment], runs: Path, results: Path, samples: int) -> Iterator[tuple[str, ...]]:
    """A line a method: title, accuracy and interval in percent, losses, integers."""
    known = records(STUDY, results)
    for experiment in chosen:
        found = kept(experiment, results) if experiment.study else []
        if not found:
            continue
        low, high = mean_interval(found)
        losses = [[float(epoch["loss"]) for epoch in known[name].epochs] for name in folders(experiment)]
        first, last = (statistics.fmean(each[place] for each in losses) for place in (0, -1))
        equal = "" if experiment.name == "fp" else all(exported(runs / name, samples) for name in folders(experiment))
        yield (
            experiment.title,
            f"{100 * statistics.fmean(each.score for each in found):.2f}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{first:.3f}",
            f"{last:.3f}",
            {True: "equal", False: "differ", "": ""}[equal],
        )


def main() -> None:
    parser = Parser(prog="python benchmarks/qat_methods.py", description=__doc__)
    parser.add_argument("--runs", type=Path, metavar="DIR", required=True, help="folder of the runs")
    parser.add_argument("--data", default="mnist5k", metavar="NAME", help="data set of qat.train, of images")
    parser.add_argument("--epochs", type=int, default=8, metavar="N", help="epochs of each method")
    parser.add_argument("--full-epochs", type=int, default=40, metavar="N", help="epochs at full precision")
    parser.add_argument("--lr", default="2e-3", metavar="LR", help="peak learning rate of each method")
    parser.add_argument("--bits", type=int, default=2, metavar="B", help="bits of weights and activations, 2 to 8")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds of each method")
    parser.add_argument("--samples", type=int, default=100, metavar="N", help="test samples whose integers are checked")
    add_jobs(parser, 2)
    given = parser.parse_args()
    runs = given.runs.resolve()
    chosen = experiments(given.data, given.epochs, given.full_epochs, given.lr, given.bits, given.seeds)
    results = runs / "records"
    results.mkdir(parents=True, exist_ok=True)
    run_all(runs, chosen, read_jobs(given.jobs), {}, results)
    table = Table("method", "accuracy, %", "95 % interval", "first loss", "last loss", "integers")
    differing = False
    for line in lines(chosen, runs, results, given.samples):
        table.add_row(*line)
        differing |= line[-1] == "differ"
    Console().print(table)
    if differing:
        sys.exit(1)


if __name__ == "__main__":
    run("python benchmarks/qat_methods.py", main)
