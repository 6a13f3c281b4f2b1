"""Notebook 4: a library of one's own, a fit to a few small designs, and an area explained in two libraries."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hwmodel.fit import Explanation, Prediction
from hwmodel.measurement import SweepDesign
from reports.charts import BLUE, GREY, INK, VERMILLION
from rtl.mac import BitFusionSpec, BitSerialSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.spec import MacSpec

from .panels import panels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw_fit", "draw_terms", "explained", "few_designs", "neighbours", "without_cells"]

_CODES = ((1, 1, 8), (2, 2, 2), (2, 2, 8), (1, 4, 4), (4, 4, 4), (8, 8, 1), (6, 6, 1))  # weights, activations, lanes
_LENGTHS = ((4, 4, 1, 16), (4, 4, 2, 256), (2, 8, 4, 65536), (2, 4, 4, 256), (4, 2, 4, 16))  # and products of a sum
_STREAM = "lsq-gaussian"


def without_cells(liberty: str, unwanted: Callable[[str], bool]) -> str:
    """The text of a Liberty file without the cells whose name is unwanted."""
    lines, depth = [], 0
    for line in liberty.splitlines(keepends=True):
        cell = re.match(r'\s*cell\s*\(\s*"?(\w+)', line)
        if depth or (cell and unwanted(cell[1])):
            depth += line.count("{") - line.count("}")
        else:
            lines.append(line)
    return "".join(lines)


def few_designs() -> list[SweepDesign]:
    """Twenty small designs that differ in as much as they can, two of them under clock pressure as well, and three that
    are held out.
    """
    fitted: list[MacSpec] = [
        *(_uniform(*sizes) for sizes in _CODES),
        *(_uniform(*sizes) for sizes in _LENGTHS),
        *(XnorSpec(lanes=lanes) for lanes in (8, 16, 32)),
        BitSerialSpec(units=4),
        *(PaddedSpec(units=1, gating=gating) for gating in (False, True)),
        SubwordSpec(units=1, widths=(8, 4)),
        BitFusionSpec(units=1, widths=(8, 4)),
    ]
    pressed = (_uniform(2, 2, 2), _uniform(4, 4, 2, 256))
    held_out = (_uniform(3, 3, 4), _uniform(7, 7, 1), _uniform(3, 3, 8, 256))
    return [
        *(SweepDesign(spec, None, (1.0, 1.15) if spec in pressed else (1.0,), _STREAM) for spec in fitted),
        *(SweepDesign(spec, "width", (1.0,), _STREAM) for spec in held_out),
    ]


def draw_fit(found: Sequence[Prediction], library: str) -> None:
    """What a model says against what was measured, held-out points apart; found: by ``hwmodel.fit.predictions``."""
    figure, drawn = panels(3, 12, 4)
    for axes, (quantity, unit) in zip(drawn, (("area", "µm²"), ("power", "µW"), ("period", "ns")), strict=True):
        pairs: list[tuple[float, float]] = []
        for held, colour, marker, label in ((False, GREY, ".", "fitted"), (True, VERMILLION, "o", "held out")):
            pairs = [getattr(each, quantity)[:2] for each in found if bool(each.point.held_out) is held]
            axes.plot(*zip(*pairs, strict=True), linestyle="none", marker=marker, color=colour, label=label)
        errors = [100 * abs(said / measured - 1) for measured, said in pairs]
        axes.axline((1, 1), slope=1, color=INK, linewidth=0.8, zorder=0)
        axes.set(xlabel=f"measured {quantity}, {unit}", ylabel=f"estimated {quantity}, {unit}")
        if quantity == "power":  # that of the points under pressure is at a much faster clock
            axes.set(xscale="log", yscale="log")
        axes.set_title(f"held out: off by {sum(errors) / len(errors):.1f} % on average")
    drawn[0].legend(frameon=False)
    fitted = len({each.point.spec for each in found if not each.point.held_out})
    figure.suptitle(f"The model of {library}, fitted to {fitted} designs")


def explained(known: Mapping[str, Explanation]) -> pd.DataFrame:
    """Area of a design by part in each of some libraries: count, um2 of one, um2 of all."""
    import pandas as pd

    terms = pd.DataFrame({name: {term.part.value: term.area_um2 for term in one.parts} for name, one in known.items()})
    counts = pd.Series({term.part.value: term.count for term in next(iter(known.values())).parts}, name="count")
    each = terms.div(counts, axis=0).add_suffix(", µm² each")
    return pd.concat([counts, each, terms.add_suffix(", µm²")], axis=1)


def draw_terms(known: Mapping[str, Explanation], design: str) -> None:
    """Area of a design by part in two libraries, the first one's compared with the second's."""
    import pandas as pd

    terms = pd.DataFrame({name: {term.part.value: term.area_um2 for term in one.parts} for name, one in known.items()})
    ours, theirs = (one.cost.total_area_um2 for one in known.values())
    difference = terms.iloc[:, 0] - terms.iloc[:, 1]
    _, (axes,) = panels(1, 8, 3.8)
    places = range(len(terms))
    for shift, colour, hatch, name in ((-0.2, VERMILLION, "//", terms.columns[0]), (0.2, BLUE, "", terms.columns[1])):
        axes.barh([place + shift for place in places], terms[name], 0.4, color=colour, hatch=hatch, edgecolor="white",
                  label=name)  # fmt: skip
    axes.set_yticks(list(places), list(terms.index))
    axes.invert_yaxis()
    axes.set(xlabel=f"area in {design}, µm²", ylabel="part")
    most = str(difference.abs().idxmax())
    axes.set_title(
        f"{ours:,.0f} µm² against {theirs:,.0f} µm²: {100 * (ours / theirs - 1):+.0f} %,\n"
        f"the largest difference in {most} ({difference[most]:+,.0f} µm²)"
    )
    axes.legend(frameon=False)


def neighbours(known: Mapping[str, Explanation]) -> pd.DataFrame:
    """The measured designs that are most like the one explained, by library, and how far off the model is of them."""
    import pandas as pd

    lines = [
        {
            "library": name,
            "nearest measured designs": near.point.spec.name,
            "measured, µm²": near.point.area_um2,
            "estimated, µm²": near.cost.total_area_um2,
            "error, %": 100 * (near.cost.total_area_um2 / near.point.area_um2 - 1),
        }
        for name, one in known.items()
        for near in one.neighbours
    ]
    return pd.DataFrame(lines).set_index("library")


def _uniform(weight_bits: int, activation_bits: int, lanes: int, length: int = 4096) -> UniformSpec:
    return UniformSpec(
        weight_bits=weight_bits, activation_bits=activation_bits, lanes=lanes, reduction_length=length
    )  # fmt: skip
