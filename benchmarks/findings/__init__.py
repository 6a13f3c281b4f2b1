"""What the records of the studies say of each claim of the paper: verdicts, tables and figures for docs/evidence.md.

In: reports/results/training and reports/results/analysis. Read ``evidence`` (what is kept), ``verdict``, ``networks``
(sensitivity, outliers, oscillation), ``remedies``, ``arrays`` (what networks cost), ``equal`` (accuracy against cost),
``figures`` and ``page``.
"""

from __future__ import annotations

from .evidence import Evidence
from .page import document, figures

__all__ = ["Evidence", "document", "figures"]
