"""The core that cells are placed in, and where its ports are: on its boundary, evenly spaced.

Lengths are whole nm. Rows have their left end at 0 and lie on each other; every second one is upside down, so that
neighbours share a supply rail.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from siliquant.inputs import InputError

__all__ = ["UTILISATIONS", "Floorplan", "PortBit", "floorplan", "ports_around", "with_room"]

UTILISATIONS = (10.0, 95.0)
"""Range of the share of the core that cells take, in percent; placers find no room above."""

PortBit = tuple[str, int]
"""A port and one of its bits."""


@dataclass(frozen=True)
class Floorplan:
    """width_nm and height_nm of the core; row_nm: height of a row; site_nm: grid along a row."""

    width_nm: int
    rows: int
    row_nm: int
    site_nm: int

    @property
    def height_nm(self) -> int:
        """Of all rows."""
        return self.rows * self.row_nm

    @property
    def area_um2(self) -> float:
        """Of the core."""
        return self.width_nm * self.height_nm * 1e-6


def floorplan(
    widths_nm: Sequence[int], row_nm: int, site_nm: int, utilisation: float, stretch: float = 1.0
) -> Floorplan:
    """A core about as wide as high, of which cells of these widths take ``utilisation`` percent at most.

    A row is ``stretch`` times as long as that needs, and no shorter than the widest cell. Raises InputError for a
    utilisation outside UTILISATIONS and where there are no cells.
    """
    low, high = UTILISATIONS
    if not low <= utilisation <= high:
        raise InputError(f"core_utilisation must be a number from {low:g} to {high:g}, not {utilisation:g}")
    if not widths_nm:
        raise InputError("a netlist must have cells to be placed")
    length_nm = sum(widths_nm) / (utilisation / 100)  # of all rows together
    rows = max(1, round(math.sqrt(length_nm / row_nm)))
    width_nm = max(length_nm / rows, max(widths_nm)) * stretch
    return Floorplan(math.ceil(width_nm / site_nm - 1e-6) * site_nm, rows, row_nm, site_nm)


def with_room(plan: Floorplan, widths_nm: Sequence[int], filled: float) -> list[int]:
    """Widths of the cells with their share of the free space, in whole sites, so that together they take ``filled`` of
    the rows: what is placed without overlap by these is spread over the core, as a router needs it. Never less than
    the widths themselves.
    """
    factor = max(1.0, filled * plan.width_nm * plan.rows / sum(widths_nm))
    return [int(width * factor + 1e-6) // plan.site_nm * plan.site_nm for width in widths_nm]


def ports_around(
    plan: Floorplan, ports: Sequence[PortBit], wishes: Mapping[PortBit, tuple[float, float]]
) -> dict[PortBit, tuple[int, int]]:
    """A place on the boundary for each bit of a port, in nm: evenly spaced, in the order of the angle at which the
    middle of the core sees ``wishes``, the point that each would be near to. Those without one follow in their order.
    """
    middle_x, middle_y = plan.width_nm / 2, plan.height_nm / 2

    def angle(bit: PortBit) -> float:
        x, y = wishes[bit]
        return math.atan2(y - middle_y, x - middle_x)

    order = sorted((bit for bit in ports if bit in wishes), key=angle) + [bit for bit in ports if bit not in wishes]
    around = 2 * (plan.width_nm + plan.height_nm)
    # The first slot is at the angle of -pi, the middle of the left side, as that of the first wish is.
    return {bit: _on_boundary(plan, round((slot + 0.5) * around / len(order))) for slot, bit in enumerate(order)}


def _on_boundary(plan: Floorplan, way: int) -> tuple[int, int]:
    """The point after a way in nm from the middle of the left side, down and then counterclockwise."""
    width, height = plan.width_nm, plan.height_nm
    half = height // 2
    if way <= half:
        return 0, half - way
    way -= half
    if way <= width:
        return way, 0
    way -= width
    if way <= height:
        return width, way
    way -= height
    if way <= width:
        return width - way, height
    return 0, max(half, height - (way - width))
