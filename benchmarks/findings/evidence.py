"""The records of the studies, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments import RESULTS, Experiment, Kept, analysis_file, kept, records
from benchmarks.studies import evidence_experiments
from reports.inputs import KeptRun

__all__ = ["STUDIES", "Evidence"]

STUDIES = ("cifar10-validation", "cifar10", "cifar10-full", "glue")
"""Those whose runs are kept."""


@dataclass(frozen=True)
class Evidence:
    """results: the folder of the studies. studies: the kept runs of each by name. experiments: all by name."""

    results: Path
    studies: Mapping[str, Mapping[str, KeptRun]]
    experiments: Mapping[str, Experiment]

    @classmethod
    def read(cls, results: Path = RESULTS) -> Evidence:
        """All that is there."""
        experiments = {experiment.name: experiment for experiment in evidence_experiments()}
        return cls(results, {study: records(study, results) for study in STUDIES}, experiments)

    def runs(self, name: str) -> list[Kept]:
        """The runs of an experiment; none where they are not made, or there is none of that name."""
        experiment = self.experiments.get(name)
        return kept(experiment, known=self.studies[experiment.study]) if experiment else []

    def trained(self, method: str, bits: int) -> list[Kept]:
        """The tested runs of a method at a width."""
        return self.runs(f"cifar10-w{bits}a{bits}-{method}")

    def file(self, name: str) -> Path:
        """Where an analysis, or the file of a step, is kept."""
        return analysis_file(name, self.results)

    def analysis(self, name: str) -> Mapping[str, Any] | None:
        """An analysis, where it was made."""
        path = self.file(name)
        found: Mapping[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return found
