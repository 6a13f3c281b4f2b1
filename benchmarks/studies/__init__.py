"""What docs/evidence.md is made of: trainings on CIFAR-10 and GLUE and analyses of them, as data.

Read ``images`` (the remedies on CIFAR-10), ``mixed`` (mixed precision there), ``methods`` (what is compared, in the
options of qat.train), ``sentences`` (MiniLM on GLUE) and ``final`` (all images, and a larger network); ``brevitas`` is
a command, the outside reference.
"""

from __future__ import annotations

from benchmarks.experiments import Experiment

from .final import final_experiments
from .images import image_experiments, oscillation_experiment
from .methods import METHODS, Method
from .mixed import mixed_experiments
from .sentences import sentence_experiments

__all__ = ["METHODS", "Method", "evidence_experiments"]


def evidence_experiments() -> list[Experiment]:
    """All, in the order in which they are run where nothing else is asked for."""
    return [
        *image_experiments(),
        oscillation_experiment(),
        *mixed_experiments(),
        *sentence_experiments(),
        *final_experiments(),
    ]
