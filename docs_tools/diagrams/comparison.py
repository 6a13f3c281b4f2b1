"""The answer of the comparison as one figure: uniform against the best precision-scalable MAC, area and energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwmodel.comparison import (
    EQUAL_THROUGHPUT,
    ModelAnswers,
    Row,
    answer_sentence,
    compare_rows,
    measured_or,
    scalable_rows,
    settings,
)
from hwmodel.library import find_library
from hwmodel.measurement import Bench
from hwmodel.model import load_model

from .svg import ACCENT, OTHER, document, label, line, note

__all__ = ["rows", "uniform_against_mixed"]

BITS, LIBRARY, CLOCK_MHZ, LANES, UNITS = (2, 3, 4), "freepdk45", 500.0, 16, 4
"""What ``siliquant compare`` compares without options."""
_WIDTH, _HEIGHT, _TOP, _LEFT, _PANEL, _GAP = 840, 356, 84, 60, 340, 50
_BAR, _BETWEEN, _ROW = 26, 4, 82


def rows() -> list[Row]:
    """The rows of ``siliquant compare --bits 2,3,4``, from packaged measurements and the packaged model."""
    chosen = settings(bits=BITS, mixtures=[], designs=None, lanes=LANES, units=UNITS, jobs=1)
    questions, estimates = [entry.question for entry in chosen.entries], ModelAnswers(load_model(LIBRARY), CLOCK_MHZ, 1)
    get, *_ = measured_or(lambda: Bench(find_library(LIBRARY), CLOCK_MHZ), questions, (), estimates)
    return compare_rows(chosen.entries, get, estimates.get)


def uniform_against_mixed() -> str:
    """Two panels of bars: the uniform MAC and, below it, the best mixed-precision one at each mean bit-width."""
    found = rows()
    shapes = [
        label(10, 22, "What a MAC of several widths costs, at equal throughput", anchor="start", size=17, bold=True),
        note(10, 44, f"{LIBRARY}, {CLOCK_MHZ:g} MHz, per product; the best of each, registers and accumulator counted",
             anchor="start"),
        f'<rect x="10" y="57" width="12" height="12" fill="{ACCENT}" stroke="none"/>',
        label(28, 63, "uniform, one bit-width", anchor="start"),
        f'<rect x="190" y="57" width="12" height="12" fill="{OTHER}" stroke="none"/>',
        label(208, 63, "best precision-scalable MAC, at the same mean", anchor="start"),
    ]  # fmt: skip
    panels: tuple[tuple[str, Callable[[Row], float]], ...] = (
        ("area, um2 per MAC/cycle", lambda row: row.area_um2_per_mac_per_cycle),
        ("energy, fJ per MAC", lambda row: row.energy_fj_per_mac or 0.0),
    )
    for number, (title, value) in enumerate(panels):
        shapes += _panel(_LEFT + number * (_PANEL + _GAP + 20), title, value, found)
    return document(_WIDTH, _HEIGHT, answer_sentence(found), shapes)


def _panel(left: float, title: str, value: Callable[[Row], float], found: Sequence[Row]) -> list[str]:
    pairs = []
    for bits in BITS:
        uniform = next(row for row in found if row.bits == bits and row.normalisation == EQUAL_THROUGHPUT)
        pairs.append((bits, uniform, min((row for row in scalable_rows(found) if row.bits == bits), key=value)))
    room = _PANEL - 155  # beside the longest bar stand its value and its name
    scale = room / max(value(row) for _, *both in pairs for row in both)
    shapes = [label(left, _TOP + 14, title, anchor="start", bold=True)]
    for number, (bits, uniform, mixed) in enumerate(pairs):
        top = _TOP + 34 + number * _ROW
        middle = top + _BAR + _BETWEEN / 2
        shapes.append(label(left - 8, middle, f"{bits} bits", anchor="end"))
        for offset, row, colour in ((0, uniform, ACCENT), (_BAR + _BETWEEN, mixed, OTHER)):
            width = value(row) * scale
            shapes.append(
                f'<rect x="{left:g}" y="{top + offset:g}" width="{width:.4g}" height="{_BAR}" fill="{colour}" '
                'stroke="none"/>'
            )
            text = f"{value(row):,.0f}"
            if row is mixed:
                text += f"  {row.design}, ×{value(row) / value(uniform):.2f}"
            shapes.append(label(left + width + 6, top + offset + _BAR / 2, text, anchor="start", size=12))
    shapes.append(line((left, _TOP + 28), (left, _TOP + 28 + len(pairs) * _ROW - 10)))
    return shapes
