"""What docs/evidence.md is made of: trainings on CIFAR-10 and GLUE, as data.

Read ``images`` (the remedies on CIFAR-10), ``mixed`` (mixed precision there), ``methods`` (what is compared, in the
options of qat.train) and ``sentences`` (MiniLM on GLUE).
"""

from __future__ import annotations

from .images import image_experiments
from .methods import METHODS, Method
from .mixed import mixed_experiments
from .sentences import sentence_experiments

__all__ = ["METHODS", "Method", "image_experiments", "mixed_experiments", "sentence_experiments"]
