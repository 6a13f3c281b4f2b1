"""The analytical cost model: area, power and minimum period of a design from counts and fitted coefficients.

In: a spec, an operand stream, a clock, the fitted model of a library. Out: a :class:`Cost`. Read ``structure`` (what a
design is made of), ``switching`` (how often it switches), ``paths`` (its longest path), ``features`` (these three,
kept), ``model``, then ``estimates`` (one design or a table), ``arrays`` and ``requantisers``. ``flat`` and
``inertial`` count many gates at once.
"""

from __future__ import annotations

from . import features
from .arrays import core_cost, drain_cost, drain_takes, reach_of, share_cost, share_counts, share_shape
from .estimates import default_plan, estimate
from .features import (
    PACKAGED_FEATURES,
    PARTS,
    Delays,
    Vector,
    adopt,
    are_kept,
    counted,
    counts_of,
    entry_of,
    features_stamp,
    find,
    package_features,
    periods_name,
    shared_counts_of,
    shared_transitions_of,
    transitions_name,
    transitions_of,
    write_features,
)
from .file import PACKAGED_MODELS, known_models, load_model, read_model, write_model
from .model import (
    LEFT_OUT_DESIGNS,
    Coefficients,
    Cost,
    LibraryModel,
    Range,
    Shape,
    clock_pj,
    cost_of,
    energies_of,
    idle_power_uw,
    pressure,
    shape_of,
    strain,
    strains,
)
from .paths import ALONE, Adders, LongestPath, Step, longest_path
from .requantisers import best_unit, unit_counts
from .stages import attempt_of_shape
from .structure import FLIP_FLOPS, Part, Share, full_adders_by_column, structure_of
from .switching import switching_of

__all__ = [
    "ALONE",
    "FLIP_FLOPS",
    "LEFT_OUT_DESIGNS",
    "PACKAGED_FEATURES",
    "PACKAGED_MODELS",
    "PARTS",
    "Adders",
    "Coefficients",
    "Cost",
    "Delays",
    "LibraryModel",
    "LongestPath",
    "Part",
    "Range",
    "Shape",
    "Share",
    "Step",
    "Vector",
    "adopt",
    "are_kept",
    "attempt_of_shape",
    "best_unit",
    "clock_pj",
    "core_cost",
    "cost_of",
    "counted",
    "counts_of",
    "default_plan",
    "drain_cost",
    "drain_takes",
    "energies_of",
    "entry_of",
    "estimate",
    "features",
    "features_stamp",
    "find",
    "full_adders_by_column",
    "idle_power_uw",
    "known_models",
    "load_model",
    "longest_path",
    "package_features",
    "periods_name",
    "pressure",
    "reach_of",
    "read_model",
    "shape_of",
    "share_cost",
    "share_counts",
    "share_shape",
    "shared_counts_of",
    "shared_transitions_of",
    "strain",
    "strains",
    "structure_of",
    "switching_of",
    "transitions_name",
    "transitions_of",
    "unit_counts",
    "write_features",
    "write_model",
]
