"""Records that come with the package: its own accuracies, oscillations and simulation, shown where none are given.

``benchmarks/qat_accuracy.py --write`` makes the first two from the kept training runs, ``docs_tools.record demo`` the
third.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PACKAGED_ACCURACY", "PACKAGED_EQUIVALENCE", "packaged_oscillations"]

_RECORDS = Path(__file__).resolve().parent.parent / "results" / "records"
PACKAGED_ACCURACY = _RECORDS / "accuracy.json"
PACKAGED_EQUIVALENCE = _RECORDS / "equivalence.json"


def packaged_oscillations() -> tuple[Path, ...]:
    """metrics.csv of each run, in folders of their names."""
    return tuple(
        sorted((_RECORDS / "oscillation").glob("*/metrics.csv"), key=lambda path: path.parent.name, reverse=True)
    )
