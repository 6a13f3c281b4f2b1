"""Ids in a drawing as SVG that are the same in each run."""

from __future__ import annotations

import re

__all__ = ["with_own_ids"]


def with_own_ids(svg: str, prefix: str) -> str:
    """The drawing with ids of ``prefix`` and a number, in the order in which they are referred to; ids that nothing
    refers to are left out.

    Matplotlib makes ids of the exact coordinates of a layout, whose last bits are not the same in each run.

    >>> with_own_ids('<g id="x"><path id="p1f"/></g><use href="#p1f"/>', "chart")
    '<g><path id="chart-0"/></g><use href="#chart-0"/>'
    """
    wanted = re.findall(r"(?:\burl\(|href=\")#([^)\"]+)", svg)
    numbers = {name: f"{prefix}-{number}" for number, name in enumerate(dict.fromkeys(wanted))}
    svg = re.sub(r" id=\"([^\"]*)\"", lambda match: f' id="{numbers[match[1]]}"' if match[1] in numbers else "", svg)
    svg = re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{numbers[match[1]]})", svg)
    return re.sub(r"href=\"#([^\"]+)\"", lambda match: f'href="#{numbers[match[1]]}"', svg)
