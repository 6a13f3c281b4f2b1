"""Panels as the notebooks have them: colours of the report, no frame at the top and right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.charts import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["panels"]


def panels(number: int, width: float, height: float, *, sharey: bool = False) -> tuple[Figure, Sequence[Axes]]:
    """A figure of pyplot, which a notebook shows at the end of its cell, and its panels side by side; in inches."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, number, figsize=(width, height), squeeze=False, sharey=sharey, layout="constrained"
    )  # fmt: skip
    for each in axes[0]:
        tidy(each)
    return figure, list(axes[0])
