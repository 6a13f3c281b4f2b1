"""Notebook 1: what a width costs, one width against a mix, and how far off the cost model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwmodel.fit import Prediction
from reports.charts import BLUE, GREY, INK, ORANGE, VERMILLION, width_mark

from .panels import panels

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["draw_held_out", "draw_lane", "draw_mixes"]


def draw_lane(lane: pd.DataFrame, setting: str) -> None:
    """Area and energy of a lane over the bits of its codes, beside growth with their square.

    lane: by bits from 1 to 8, its first two columns. setting: library and clock, for the title.
    """
    figure, drawn = panels(2, 10, 3.5)
    for axes, name, colour in zip(drawn, lane.columns, (BLUE, VERMILLION), strict=False):
        values = lane[name]
        square = values.loc[2] * (lane.index.to_numpy() / 2) ** 2
        axes.plot(lane.index, square, ":", color=GREY)
        axes.annotate("2 bits, times (bits / 2)²", (8, square[-1]), (-4, 0), textcoords="offset points", ha="right",
                      va="center", color=GREY)  # fmt: skip
        axes.plot(lane.index, values, "o-", color=colour)
        axes.annotate("estimate", (8, values.loc[8]), (-4, -14), textcoords="offset points", ha="right", color=colour)
        axes.set(xlabel="bits of weights and activations", ylabel=name, ylim=(0, None))
    growth = lane.loc[8] / lane.loc[2]
    figure.suptitle(
        f"8 bits take {growth.iloc[0]:.1f} times the area and {growth.iloc[1]:.1f} times the energy of 2 bits; by "
        f"bits² it were {(8 / 2) ** 2:.0f} ({setting})"
    )


def draw_mixes(mixed: pd.DataFrame, setting: str) -> None:
    """Area and energy of every design that mixes, as multiples of one width of the same mean.

    mixed: rows of a comparison at equal throughput, as ``hwmodel.comparison.frame`` has them, without uniform ones.
    """
    designs = list(dict.fromkeys(mixed["family"]))[::-1]
    figure, drawn = panels(2, 10, 4.5, sharey=True)
    for axes, (column, what) in zip(drawn, (("area_ratio", "area"), ("power_ratio", "energy")), strict=True):
        for bits, group in mixed.groupby("bits"):
            mark = width_mark(int(str(bits)))
            places = [designs.index(name) for name in group["family"]]
            axes.plot(group[column], places, linestyle="none", label=f"mean of {bits} bits", **mark.options)
        axes.axvline(1, color=INK, linewidth=0.8)
        axes.set(xscale="log", xlabel=f"{what} of a product, uniform of the same mean = 1")
        axes.set_xticks([1, 2, 4, 8], ["1×", "2×", "4×", "8×"])
        axes.tick_params(axis="x", which="minor", labelbottom=False)
    drawn[0].set_yticks(range(len(designs)), designs)
    drawn[0].set(ylabel="design that can switch widths")
    drawn[0].legend(frameon=False)
    larger, hungrier = (int((mixed[name] > 1).sum()) for name in ("area_ratio", "power_ratio"))
    figure.suptitle(
        f"Of {len(mixed)} cases, {larger} take more area and {hungrier} more energy than one width ({setting})"
    )


def draw_held_out(found: Sequence[Prediction]) -> pd.DataFrame:
    """Estimated against measured areas of designs that the fit never saw, held out by family or width; their relative
    errors in area and power as a table. found: by ``hwmodel.fit.predictions``.
    """
    import pandas as pd

    errors = pd.DataFrame(
        {
            name: [said / measured - 1 for measured, said, *_ in (getattr(each, name) for each in found)]
            for name in ("area", "power")
        }
    )
    _, (axes,) = panels(1, 5, 4.5)
    for family, colour, marker in (("family", BLUE, "o"), ("width", ORANGE, "s")):
        areas = [each.area[:2] for each in found if each.point.held_out == family]
        axes.plot(*zip(*areas, strict=True), linestyle="none", marker=marker, color=colour, label=family)
    limits = [0, 1.1 * max(each.area[0] for each in found)]
    axes.plot(limits, limits, color=INK, linewidth=0.8, zorder=0)
    axes.set(xlabel="measured area, µm²", ylabel="estimated area, µm²")
    axes.legend(title="held out:", frameon=False)
    mean = 100 * errors.abs().mean()
    off = f"off by {mean['area']:.1f} % of the area and {mean['power']:.1f} % of the power"
    axes.set_title(f"{len(found)} designs it never saw:\n{off}")
    return errors
