"""Trainings of a study: what is run, what is kept of it, and how runs are compared.

In: experiments as data. Out: runs in a folder, and their records in reports/results/training, a file a study. Read
``experiment``, ``running``, ``records`` and ``comparing``.
"""

from __future__ import annotations

from .comparing import Difference, difference, mean_interval
from .experiment import Experiment, command, finished, folders
from .records import RESULTS, Kept, analysis_file, best_rate, kept, records, study_file
from .running import run_all

__all__ = [
    "RESULTS",
    "Difference",
    "Experiment",
    "Kept",
    "analysis_file",
    "best_rate",
    "command",
    "difference",
    "finished",
    "folders",
    "kept",
    "mean_interval",
    "records",
    "run_all",
    "study_file",
]
