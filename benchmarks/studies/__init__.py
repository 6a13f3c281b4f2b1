"""What docs/evidence.md is made of: trainings on CIFAR-10 and GLUE, as data.

Read ``images`` (the remedies on CIFAR-10) and ``methods`` (what is compared, in the options of qat.train).
"""

from __future__ import annotations

from .images import image_experiments
from .methods import METHODS, Method

__all__ = ["METHODS", "Method", "image_experiments"]
