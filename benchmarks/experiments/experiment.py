"""One line of a table: a command that is run with several seeds."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

__all__ = ["Experiment", "command", "finished", "folders"]


_LAST: Mapping[str, str] = MappingProxyType({"qat.softlabels": "manifest.json", "qat.analyse": "sensitivity.json"})
"""What is in a folder that is finished, of commands that write several files."""
_TRAINS = frozenset({"qat.train", "benchmarks.studies.brevitas"})
_SEEDED = frozenset({*_TRAINS, *_LAST})


@dataclass(frozen=True)
class Experiment:
    """A training command (without --seed and --out), run with seeds 0, 1, ...

    A step that trains nothing is one too: ``module`` says which command; ``file`` is what --out names in the step's
    folder, where it names no folder. ``study`` is the file of its records, if they are kept, ``title`` what its line is
    called. In
    ``arguments``, ``{runs}`` stands for the folder of the runs, ``{data}`` for that of the data, ``{rate}`` for the
    learning rate and ``{seed}`` for what the folders of its seed have behind their names; ``after`` names what must be
    finished before.
    ``rates``: candidates for the learning rate, each with the experiment on a validation split that judges it.
    """

    name: str
    study: str
    title: str
    arguments: tuple[str, ...]
    seeds: int = 1
    after: tuple[str, ...] = ()
    module: str = "qat.train"
    file: str = ""
    rates: tuple[tuple[str, str], ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """Experiments that must be finished before."""
        return frozenset((*self.after, *(judge for _, judge in self.rates)))

    @property
    def trains(self) -> bool:
        """Whether it makes a run folder as qat.train does."""
        return self.module in _TRAINS

    @property
    def resumes(self) -> bool:
        """Whether a run that was cut off goes on; others begin anew."""
        return self.module == "qat.train"


def folders(experiment: Experiment) -> list[str]:
    """Names of the folders of its runs; the first seed has the bare name."""
    return [experiment.name + _suffix(seed) for seed in range(experiment.seeds)]


def _suffix(seed: int) -> str:
    return f"-s{seed}" if seed else ""


def command(experiment: Experiment, seed: int, runs: Path, places: Mapping[str, str]) -> list[str]:
    """What is run for one seed, in ``runs``; ``places`` has what else stands in braces."""
    arguments = [argument.format(runs=runs, seed=_suffix(seed), **places) for argument in experiment.arguments]
    out = runs / folders(experiment)[seed]
    resume = ["--resume"] if experiment.resumes and (out / "run.json").exists() else []
    threads = ["--threads", "1"] if experiment.trains else []
    seeded = ["--seed", str(seed)] if experiment.module in _SEEDED else []
    own = [*seeded, "--out", str(out / experiment.file if experiment.file else out), *resume]
    return [sys.executable, "-m", experiment.module, *arguments, *threads, *own]


def finished(experiment: Experiment, seed: int, runs: Path) -> bool:
    """Whether all epochs of this run are done, or the file of another step is there (a store is looked at when it is
    used).
    """
    folder = runs / folders(experiment)[seed]
    if not experiment.trains:
        return (folder / (experiment.file or _LAST[experiment.module])).exists()
    try:
        epochs = json.loads((folder / "run.json").read_text())["options"]["epochs"]
        rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    except FileNotFoundError:
        return False
    return bool(rows) and int(rows[-1]["epoch"]) >= max(epochs, 1)
