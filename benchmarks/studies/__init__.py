"""What docs/evidence.md is made of: trainings on CIFAR-10 and GLUE, as data.

Read ``images`` (the remedies on CIFAR-10), ``mixed`` (mixed precision there) and ``methods`` (what is compared, in the
options of qat.train).
"""

from __future__ import annotations

from .images import image_experiments
from .methods import METHODS, Method
from .mixed import mixed_experiments

__all__ = ["METHODS", "Method", "image_experiments", "mixed_experiments"]
