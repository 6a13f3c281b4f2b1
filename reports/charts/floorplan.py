"""Arrays drawn to the areas of their parts: elements in a grid, registers, requantisers and memories around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from reports.numbers import Floorplan

from .style import BLUE, GREEN, INK, PAPER, SOFT, TINT, VERMILLION, Layout, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_floorplans"]

_BESIDE = 1.25  # inches for the names beside a panel
_FONT = 8.0


@dataclass(frozen=True)
class _Block:
    """A rectangle in um, from its left lower corner."""

    x: float
    y: float
    width: float
    height: float
    area_um2: float
    name: str
    colour: str


def draw_floorplans(plans: Sequence[Floorplan], layout: Layout) -> Figure:
    """A panel each, all to one scale."""
    blocks = [_blocks(plan) for plan in plans]
    spans = [
        (min(block.x for block in found), max(block.x + block.width for block in found),
         min(block.y for block in found), max(block.y + block.height for block in found))
        for found in blocks
    ]  # fmt: skip
    wide = layout is Layout.WIDE
    across, down = [span[1] - span[0] for span in spans], [span[3] - span[2] for span in spans]
    # What panels share they have alike, what they do not is in proportion: so a um is as long in each.
    scale = (layout.value - _BESIDE * (len(plans) if wide else 1)) / (sum(across) if wide else max(across))
    if wide:
        figure = canvas(layout, scale * max(down) + 0.4)
        drawn = figure.subplots(1, len(plans), squeeze=False, width_ratios=across)
    else:
        figure = canvas(layout, scale * sum(down) + 0.4 * len(plans))
        drawn = figure.subplots(len(plans), 1, squeeze=False, height_ratios=down)
    for axes, plan, found, span in zip(drawn.ravel(), plans, blocks, spans, strict=True):
        axes.set_aspect("equal", anchor="W")
        axes.set_xlim(span[0], span[1] if wide else span[0] + max(across))
        axes.set_ylim(span[3] - max(down) if wide else span[2], span[3])
        axes.axis("off")
        axes.set_title(f"{plan.name}: {plan.rows} × {plan.columns} elements, {_square_mm(plan.total_um2)}")
        _panel(axes, plan, found, 72 * scale)
    return figure


def _blocks(plan: Floorplan) -> list[_Block]:
    """Elements as squares from (0, 0); activations come from the left, weights from above, results leave below."""
    side = sqrt(plan.elements_um2 / (plan.rows * plan.columns))
    width, height = side * plan.columns, side * plan.rows
    found = [_Block(0, 0, width, height, plan.elements_um2, "elements", BLUE)]

    def beyond(edge: str, parts: Sequence[tuple[float, str, str]]) -> None:
        """One part after the other, away from the elements, each as long as their edge."""
        at = height if edge == "top" else 0.0
        for area_um2, name, colour in parts:
            thick = area_um2 / (height if edge == "left" else width)
            if not thick:
                continue
            if edge == "left":
                at -= thick
                found.append(_Block(at, 0, thick, height, area_um2, name, colour))
            else:
                at -= thick if edge == "bottom" else 0.0
                found.append(_Block(0, at, width, thick, area_um2, name, colour))
                at += thick if edge == "top" else 0.0

    registers = "operand registers"
    beyond("left", ((plan.row_registers_um2, registers, GREEN),
                    (plan.activation_memory_um2, "activation memory", TINT)))  # fmt: skip
    beyond("top", ((plan.column_registers_um2, registers, GREEN), (plan.weight_memory_um2, "weight memory", TINT)))
    beyond("bottom", ((plan.requantisers_um2, "requantisers", VERMILLION),
                      (plan.result_memory_um2, "result memory", TINT)))  # fmt: skip
    return found


def _panel(axes: Axes, plan: Floorplan, blocks: Sequence[_Block], scale: float) -> None:
    """scale: points a um, about."""
    from matplotlib.patches import Rectangle

    for block in blocks:
        edge = 0.5 if block.colour == TINT else 0.0
        place = (block.x, block.y), block.width, block.height
        axes.add_patch(Rectangle(*place, facecolor=block.colour, edgecolor=SOFT, linewidth=edge, clip_on=False))
    core = blocks[0]
    for number in range(1, plan.columns):
        axes.plot([core.width * number / plan.columns] * 2, [0, core.height], color=PAPER, linewidth=0.5)
    for number in range(1, plan.rows):
        axes.plot([0, core.width], [core.height * number / plan.rows] * 2, color=PAPER, linewidth=0.5)
    for block in blocks:
        x, y = block.x + block.width / 2, block.y + block.height / 2
        if block.colour in (TINT, BLUE):
            on_elements = block.colour == BLUE
            box = {"facecolor": BLUE, "edgecolor": "none", "pad": 2.0} if on_elements else None
            axes.annotate(_fitting(block, scale), (x, y), ha="center", va="center", fontsize=_FONT, linespacing=1.3,
                          bbox=box, color=PAPER if on_elements else INK)  # fmt: skip
        elif block.x >= 0:  # too thin: beside it; those of rows and columns have one name
            both = plan.row_registers_um2 + plan.column_registers_um2 if block.y > 0 else block.area_um2
            text = f"{block.name}\n{_square_mm(both)}"
            axes.annotate(text, (block.x + block.width, y), (5, -9 if block.y < 0 else 9), textcoords="offset points",
                          va="center", fontsize=_FONT, linespacing=1.3, color=INK, annotation_clip=False)  # fmt: skip


def _fitting(block: _Block, scale: float) -> str:
    """Name and area in as many lines as fit into the block."""
    area = _square_mm(block.area_um2)
    texts = [f"{block.name}\n{area}", "\n".join([*block.name.split(), area]), f"{block.name}, {area}"]
    for text in texts:
        lines = text.split("\n")
        if (
            max(map(len, lines)) * 0.6 * _FONT < scale * block.width
            and len(lines) * 1.35 * _FONT < scale * block.height
        ):
            return text
    return texts[0]


def _square_mm(area_um2: float) -> str:
    """To two digits that count."""
    area_mm2 = area_um2 / 1e6
    return f"{area_mm2:.2f} mm²" if area_mm2 >= 0.1 else f"{area_mm2:.2g} mm²"
