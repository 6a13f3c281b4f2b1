"""Why a network is hard to quantise: sensitivity of its parts, outliers, oscillation of its weights.

In: a run or a Hugging Face folder. Out: measurements with intervals. Read ``subject`` (what is analysed), ``parts``,
``measuring``, ``paired`` (two networks on the same samples), ``sensitivity``, ``moments`` and ``outliers``, ``convnet``
(what they are compared with), ``oscillation``, ``store`` (what is kept), ``summary`` and ``plots``.
"""

from __future__ import annotations

from .convnet import Recipe, train_convnet
from .measuring import Bench, Settings
from .oscillation import groups, read_runs
from .outliers import of_convnet, of_transformer
from .plots import write_plots
from .sensitivity import HeadRow, Row, Sensitivity, count, measure, policy_csv, policy_json
from .store import Store, code_version
from .subject import Subject, open_subject
from .summary import sentence, tables

__all__ = [
    "Bench",
    "HeadRow",
    "Recipe",
    "Row",
    "Sensitivity",
    "Settings",
    "Store",
    "Subject",
    "code_version",
    "count",
    "groups",
    "measure",
    "of_convnet",
    "of_transformer",
    "open_subject",
    "policy_csv",
    "policy_json",
    "read_runs",
    "sentence",
    "tables",
    "train_convnet",
    "write_plots",
]
