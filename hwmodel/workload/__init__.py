"""What a network multiplies, and at which widths.

In: a packaged network or a file of GEMMs, a mean bit-width. Out: a :class:`Workload` (its GEMMs), a :class:`Mixture`
(shares of MACs by width), an :class:`Assignment` (the width of every GEMM). Read ``workload``, ``files``,
``sensitivity``, ``widths``, ``mixture``, ``assignment``, ``heads`` (widths by head), ``cache`` (of a decoder),
``policyfile``; ``published`` holds accuracies of others.
"""

from __future__ import annotations

from .assignment import Assignment, assign, assign_at, mixture_at, network_widths, uniform
from .cache import PHASES, cache_bits
from .files import is_packaged, load_workload, read_workload, workload_names
from .heads import assign_by_head, by_head
from .mixture import Mixture, parse_mixture, standard_mixture
from .policyfile import assignment_text, read_assignment
from .published import published_accuracy, published_source
from .sensitivity import SensitivityTable, default_sensitivity, read_sensitivity
from .widths import (
    Mean,
    Pair,
    Width,
    check_width,
    mean_text,
    pair_or_one,
    parts_of,
    plain_width,
    precision_of,
    read_mean,
    read_width,
    width_records,
)
from .workload import Gemm, Module, PrecisionClass, Role, Scales, Workload

__all__ = [
    "PHASES",
    "Assignment",
    "Gemm",
    "Mean",
    "Mixture",
    "Module",
    "Pair",
    "PrecisionClass",
    "Role",
    "Scales",
    "SensitivityTable",
    "Width",
    "Workload",
    "assign",
    "assign_at",
    "assign_by_head",
    "assignment_text",
    "by_head",
    "cache_bits",
    "check_width",
    "default_sensitivity",
    "is_packaged",
    "load_workload",
    "mean_text",
    "mixture_at",
    "network_widths",
    "pair_or_one",
    "parse_mixture",
    "parts_of",
    "plain_width",
    "precision_of",
    "published_accuracy",
    "published_source",
    "read_assignment",
    "read_mean",
    "read_sensitivity",
    "read_width",
    "read_workload",
    "standard_mixture",
    "uniform",
    "width_records",
    "workload_names",
]
