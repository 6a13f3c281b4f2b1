"""What is kept of finished runs: run.json and metrics.csv, a file a study; of an analysis its analysis.json."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reports.inputs import KeptRun, kept_run, read_study, study_json
from siliquant.files import write_atomically

from .experiment import Experiment, folders

__all__ = [
    "RESULTS",
    "Kept",
    "analysis_file",
    "best_rate",
    "keep",
    "keep_analysis",
    "keep_file",
    "kept",
    "records",
    "study_file",
]

RESULTS = Path(__file__).resolve().parents[2] / "reports" / "results" / "training"


@dataclass(frozen=True)
class Kept:
    """A kept record: the last epoch of a run, and what it was asked for. seconds: of all epochs."""

    seed: int
    score: float
    samples: int
    epochs: int
    oscillation: float | None
    seconds: float
    rate: str


def study_file(study: str, results: Path = RESULTS) -> Path:
    """Where the runs of a study are kept."""
    return results / f"{study}.json"


def records(study: str, results: Path = RESULTS) -> dict[str, KeptRun]:
    """The kept runs of a study by name."""
    path = study_file(study, results)
    return {run.name: run for run in read_study(path)} if path.exists() else {}


def keep(folder: Path, study: str, places: Mapping[str, str], results: Path = RESULTS) -> None:
    """Puts the record of a finished run into the file of its study, without paths of this machine; ``places`` are
    folders by what stands for them.
    """
    run = kept_run(folder)
    text = _without_places(json.dumps(run.record), folder, places)
    others = [other for other in records(study, results).values() if other.name != run.name]
    kept_now = study_json(study, [*others, replace(run, record=json.loads(text))])
    write_atomically(study_file(study, results), kept_now)


def analysis_file(study: str, results: Path = RESULTS) -> Path:
    """Where the analysis of a study is kept."""
    return results.parent / "analysis" / f"{study}.json"


def keep_analysis(folder: Path, study: str, places: Mapping[str, str], results: Path = RESULTS) -> None:
    """Keeps the analysis in a folder of ``siliquant analyse``, as :func:`keep` does."""
    found = json.loads((folder / "analysis.json").read_text())
    text = json.dumps(found, separators=(",", ":"))
    write_atomically(analysis_file(study, results), f"{_without_places(text, folder, places)}\n")


def keep_file(file: Path, study: str, places: Mapping[str, str], results: Path = RESULTS) -> None:
    """Keeps the one file of a step beside the analyses, as :func:`keep` does."""
    write_atomically(analysis_file(study, results), _without_places(file.read_text(), file.parent, places))


def _without_places(text: str, folder: Path, places: Mapping[str, str]) -> str:
    text = text.replace(f"{folder.parent}/", "runs/")
    for name, place in places.items():
        text = text.replace(f"{place}/", f"{name}/")
    return text


def kept(experiment: Experiment, results: Path = RESULTS, known: Mapping[str, KeptRun] | None = None) -> list[Kept]:
    """The records of an experiment, of the seeds that were run. known: those of its study, where they were read."""
    found = []
    if known is None:
        known = records(experiment.study, results)
    for seed, one in ((seed, known[name]) for seed, name in enumerate(folders(experiment)) if name in known):
        score, data, options = one.last("test_score"), one.record["data"], one.record["options"]
        assert score is not None
        seconds = sum(float(epoch["seconds"]) for epoch in one.epochs)
        oscillation = one.last("oscillation")
        found.append(
            Kept(seed, score, data["test_samples"], options["epochs"], oscillation, seconds, f"{options['lr']:g}")
        )
    return found


def best_rate(experiment: Experiment, by_name: Mapping[str, Experiment], results: Path = RESULTS) -> str:
    """The learning rate whose judge has the best mean score on the validation split, the lowest of equals. Raises
    ValueError where a judge has no record.
    """
    means = {}
    for rate, judge in experiment.rates:
        found = kept(by_name[judge], results) if judge in by_name else []
        if not found:
            raise ValueError(f"{judge} must be trained before {experiment.name}, which takes its rate from it")
        means[rate] = statistics.fmean(each.score for each in found)
    return max(means, key=lambda rate: (means[rate], -float(rate)))
