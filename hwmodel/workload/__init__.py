"""What a network multiplies, and at which widths.

In: a packaged network or a file of GEMMs, a mean bit-width. Out: a :class:`Workload` (its GEMMs), a :class:`Mixture`
(shares of MACs by width), an :class:`Assignment` (the width of every GEMM). Read ``workload``, ``files``,
``sensitivity``, ``mixture``, ``assignment``; ``published`` holds accuracies of others.
"""

from __future__ import annotations

from .assignment import Assignment, assign, mixture_at, network_widths, uniform
from .files import is_packaged, load_workload, read_workload, workload_names
from .mixture import Mixture, parse_mixture, standard_mixture
from .published import published_accuracy, published_source
from .sensitivity import SensitivityTable, default_sensitivity, read_sensitivity
from .workload import Gemm, Module, PrecisionClass, Role, Scales, Workload

__all__ = [
    "Assignment",
    "Gemm",
    "Mixture",
    "Module",
    "PrecisionClass",
    "Role",
    "Scales",
    "SensitivityTable",
    "Workload",
    "assign",
    "default_sensitivity",
    "is_packaged",
    "load_workload",
    "mixture_at",
    "network_widths",
    "parse_mixture",
    "published_accuracy",
    "published_source",
    "read_sensitivity",
    "read_workload",
    "standard_mixture",
    "uniform",
    "workload_names",
]
