"""The answer of a comparison as one sentence, the same on the terminal, in files and on the plot."""

from __future__ import annotations

from collections.abc import Sequence

from hwmodel.workload import Width
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
    """What mixing widths costs at equal throughput: the least area and the least energy of any design that meets the
    clock, by mean.

    Energies that are not known are left out, and so are means at which nothing is mixed. Where nothing meets the clock,
    or the uniform design does not, that is said.
    """
    return "".join([_ratios(rows), *_misses(rows)])


def _misses(rows: Sequence[Row]) -> list[str]:
    """What misses the clock, as sentences."""
    mixed = mixed_rows(rows)
    clock = f"the clock of {rows[0].clock_mhz:g} MHz" if rows else ""
    hopeless = [bits for bits in dict.fromkeys(row.bits for row in mixed) if not _meeting(mixed, bits)]
    uniform = [row for row in rows if is_uniform(row) and row.normalisation == EQUAL_THROUGHPUT]
    slow = [row.bits for row in uniform if row.meets_clock is False]
    said = []
    if hopeless:
        said.append(f" At {listing([str(bits) for bits in hopeless])} bits no precision-scalable MAC meets {clock}.")
    if slow:
        said.append(f" At {listing([str(bits) for bits in slow])} bits the uniform MAC misses {clock}.")
    return said


def _meeting(rows: Sequence[Row], bits: Width) -> list[Row]:
    return [row for row in rows if row.bits == bits and row.meets_clock is not False]


def _ratios(rows: Sequence[Row]) -> str:
    found = [row for row in mixed_rows(rows) if row.meets_clock is not False]
    widths = list(dict.fromkeys(row.bits for row in found))
    if not widths:
        if mixed_rows(rows):
            return "Nothing can be compared."
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
