"""The answer of a comparison as one sentence, the same on the terminal, in files and on the plot."""

from __future__ import annotations

from collections.abc import Sequence

from siliquant.inputs import listing

from .comparison import EQUAL_THROUGHPUT, Row, is_uniform, mixes

__all__ = ["answer_sentence", "mixed_rows", "scalable_rows"]


def scalable_rows(rows: Sequence[Row], normalisation: str = EQUAL_THROUGHPUT) -> list[Row]:
    """Rows of one normalisation without the uniform ones."""
    return [row for row in rows if row.normalisation == normalisation and not is_uniform(row)]


def mixed_rows(rows: Sequence[Row], normalisation: str = EQUAL_THROUGHPUT) -> list[Row]:
    """Those of :func:`scalable_rows` that run several widths: what could switch and does not says nothing of mixing."""
    return [row for row in scalable_rows(rows, normalisation) if mixes(row.run_as)]


def answer_sentence(rows: Sequence[Row]) -> str:
    """What mixing widths costs at equal throughput: the least area and the least energy of any design, by mean.

    Energies that are not known are left out, and so are means at which nothing is mixed.
    """
    found = mixed_rows(rows)
    widths = list(dict.fromkeys(row.bits for row in found))
    if not widths:
        return "Nothing is mixed." if scalable_rows(rows) else "No precision-scalable design is compared."
    areas = [min(row.area_ratio for row in found if row.bits == bits and row.area_ratio) for bits in widths]
    text = (
        f"At equal throughput the smallest precision-scalable MAC takes {_times(areas)} times the area of the uniform "
        f"one at {listing([str(bits) for bits in widths])} bits"
    )
    energies = [[row.power_ratio for row in found if row.bits == bits] for bits in widths]
    if any(ratio is None for ratios in energies for ratio in ratios):
        return f"{text}."
    least = [min(ratio for ratio in ratios if ratio is not None) for ratios in energies]
    return f"{text}, and the most frugal {_times(least)} times the energy of a product."


def _times(ratios: Sequence[float]) -> str:
    return listing([f"{ratio:.2f}" for ratio in ratios])
