"""One line of a table: a command that is run with several seeds."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Experiment", "command", "finished", "folders"]


@dataclass(frozen=True)
class Experiment:
    """A training command (without --seed and --out), run with seeds 0, 1, ...

    A soft-label store is one too: ``module`` says which command. ``study`` is the file of its records, ``title`` what
    its line is called. In ``arguments``, ``{runs}`` stands for the folder of the runs, ``{data}`` for that of the data
    and ``{rate}`` for the learning rate; ``after`` names what must be finished before.
    ``rates``: candidates for the learning rate, each with the experiment on a validation split that judges it.
    """

    name: str
    study: str
    title: str
    arguments: tuple[str, ...]
    seeds: int = 1
    after: tuple[str, ...] = ()
    module: str = "qat.train"
    rates: tuple[tuple[str, str], ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """Experiments that must be finished before."""
        return frozenset((*self.after, *(judge for _, judge in self.rates)))


def folders(experiment: Experiment) -> list[str]:
    """Names of the folders of its runs; the first seed has the bare name."""
    return [experiment.name + (f"-s{seed}" if seed else "") for seed in range(experiment.seeds)]


def command(experiment: Experiment, seed: int, runs: Path, places: Mapping[str, str]) -> list[str]:
    """What is run for one seed, in ``runs``; ``places`` has what else stands in braces."""
    arguments = [argument.format(runs=runs, **places) for argument in experiment.arguments]
    out = runs / folders(experiment)[seed]
    resume = ["--resume"] if (out / "run.json").exists() else []
    threads = ["--threads", "1"] if experiment.module == "qat.train" else []
    own = ["--seed", str(seed), "--out", str(out), *resume]
    return [sys.executable, "-m", experiment.module, *arguments, *threads, *own]


def finished(experiment: Experiment, seed: int, runs: Path) -> bool:
    """Whether all epochs of this run are done (of a store: whether it is complete is seen when it is used)."""
    folder = runs / folders(experiment)[seed]
    if experiment.module != "qat.train":
        return (folder / "manifest.json").exists()
    try:
        epochs = json.loads((folder / "run.json").read_text())["options"]["epochs"]
        rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    except FileNotFoundError:
        return False
    return bool(rows) and int(rows[-1]["epoch"]) >= max(epochs, 1)
