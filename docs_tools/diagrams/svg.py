"""Shapes of a diagram as SVG. Lines and text take the colour of the text around them, so any background will do."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["ACCENT", "OTHER", "arrow", "box", "cell", "document", "dot", "label", "line", "note"]

ACCENT, OTHER = "#0072b2", "#d55e00"
"""Two colours that those who see few colours tell apart, on light and dark (Okabe and Ito)."""
_STYLE = "svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}"
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def document(width: float, height: float, title: str, shapes: Iterable[str]) -> str:
    """A whole file. title: what it shows, for those who do not see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{_FONT}" font-size="13" fill="none" stroke="currentColor">'
    )
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0.5 8 4 0 7.5z" fill="currentColor" stroke="none"/></marker></defs>'
    )
    return (
        "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", marker, *shapes, "</svg>"])
        + "\n"
    )


def box(
    x: float, y: float, width: float, height: float, text: str = "", *, clocked: bool = False, dashed: bool = False
) -> str:
    """A rectangle around text, whose lines are parted by "|". clocked: with the wedge of a register."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    tint = ' fill="currentColor" fill-opacity="0.1"' if clocked else ""
    shape = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3"{tint}{dash}/>'
    if clocked:
        bottom = y + height
        shape += f'<path d="M{x + 5:g} {bottom:g} {x + 10:g} {bottom - 6:g} {x + 15:g} {bottom:g}"/>'
    return shape + (label(x + width / 2, y + height / 2, text) if text else "")


def label(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "middle",
    colour: str = "currentColor",
    size: float = 13,
    bold: bool = False,
) -> str:
    """Text around a point, lines parted by "|"."""
    lines = text.split("|")
    weight = ' font-weight="600"' if bold else ""
    step = size * 1.25
    top = y - step * (len(lines) - 1) / 2 + size * 0.35
    return "".join(
        f'<text x="{x:g}" y="{top + step * number:.4g}" text-anchor="{anchor}" font-size="{size:g}" fill="{colour}" '
        f'stroke="none"{weight}>{escape(each)}</text>'
        for number, each in enumerate(lines)
    )


def note(x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    """Small text."""
    return label(x, y, text, anchor=anchor, size=11)


def line(*points: tuple[float, float], dashed: bool = False, width: float = 1, colour: str = "") -> str:
    """A line through points."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    tint = f' stroke="{colour}"' if colour else ""
    return f'<polyline points="{_points(points)}"{dash}{tint} stroke-width="{width:g}"/>'


def arrow(*points: tuple[float, float]) -> str:
    """A line through points with a tip at its end."""
    return f'<polyline points="{_points(points)}" marker-end="url(#tip)"/>'


def cell(x: float, y: float, side: float, colour: str | None, *, opacity: float = 0.75) -> str:
    """A square, filled where it has a colour."""
    fill = "" if colour is None else f' fill="{colour}" fill-opacity="{opacity:g}"'
    faint = ' stroke-opacity="0.45"'
    return f'<rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}"{fill}{faint}/>'


def dot(x: float, y: float, radius: float, colour: str | None) -> str:
    """A disc, or a ring without a colour."""
    fill = "" if colour is None else f' fill="{colour}" stroke="{colour}"'
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"{fill}/>'


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
