"""A placement as an SVG picture: rows, cells coloured by the part of the area they count to, ports, a scale bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from siliquant.inputs import html_text

from .placer import Placement

__all__ = ["picture"]

_COLOURS: Mapping[str, str] = {
    "compressor": "#d55e00", "logic": "#56b4e9", "operand registers": "#009e73", "pipeline registers": "#cc79a7",
    "accumulator registers": "#e69f00", "control": "#999999",
}  # fmt: skip
_PIXELS, _MARGIN, _LINE = 800.0, 24.0, 20.0
_BARS_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def picture(placement: Placement, parts: Sequence[str], title: str) -> str:
    """SVG text. parts: of each instance, the field of hwmodel.netlist.area.AreaParts that it counts to."""
    plan = placement.plan
    scale = _PIXELS / max(plan.width_nm, plan.height_nm)
    width, height = plan.width_nm * scale, plan.height_nm * scale
    shown = [part.removesuffix("_um2").replace("_", " ") for part in parts]
    present = [part for part in _COLOURS if part in shown]
    total_width = max(width, 660.0) + 2 * _MARGIN
    top = _MARGIN + _LINE
    total_height = top + height + _MARGIN + 2 * _LINE
    size = f'width="{total_width:.0f}" height="{total_height:.0f}"'
    box = f'x="{_MARGIN:.1f}" y="{top:.1f}" width="{width:.2f}" height="{height:.2f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {total_width:.0f} {total_height:.0f}">',
        '<g font-family="sans-serif" font-size="13">',
        f"<title>{html_text(title)}</title>",
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="{_MARGIN:.0f}" y="{_MARGIN:.0f}">{html_text(title)}</text>',
        f'<rect {box} fill="#f4f4f4" stroke="#000000" stroke-width="0.8"/>',
    ]
    lines += [
        f'<path d="M{_MARGIN:.1f} {top + height - row * plan.row_nm * scale:.2f}h{width:.2f}" stroke="#d8d8d8" '
        'stroke-width="0.5"/>'
        for row in range(1, plan.rows)
    ]
    for part in present:
        lines.append(f'<g fill="{_COLOURS[part]}" stroke="#ffffff" stroke-width="0.2">')
        for (x, y), cell_nm, own in zip(placement.corners, placement.widths_nm, shown, strict=True):
            if own == part:
                lines.append(
                    f'<rect x="{_MARGIN + x * scale:.2f}" y="{top + height - (y + plan.row_nm) * scale:.2f}" '
                    f'width="{cell_nm * scale:.2f}" height="{plan.row_nm * scale:.2f}"/>'
                )
        lines.append("</g>")
    lines.append('<g fill="#000000">')
    for (port, bit), (x, y) in placement.ports.items():
        lines.append(
            f'<circle cx="{_MARGIN + x * scale:.2f}" cy="{top + height - y * scale:.2f}" r="2">'
            f"<title>{html_text(port)}[{bit}]</title></circle>"
        )
    lines.append("</g>")
    lines += _legend(present, _MARGIN, top + height + _MARGIN)
    bar_um = max((bar for bar in _BARS_UM if bar * 1e3 * scale <= _PIXELS / 4), default=_BARS_UM[0])
    below = top + height + _MARGIN + _LINE
    lines.append(
        f'<path d="M{_MARGIN:.1f} {below:.1f}v6h{bar_um * 1e3 * scale:.2f}v-6" fill="none" stroke="#000000"/>'
        f'<text x="{_MARGIN + bar_um * 1e3 * scale + 8:.1f}" y="{below + 8:.1f}">{bar_um} um</text>'
    )
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"


def _legend(parts: Sequence[str], x: float, y: float) -> list[str]:
    found = []
    for part in parts:
        found.append(
            f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="10" height="10" fill="{_COLOURS[part]}"/>'
            f'<text x="{x + 14:.1f}" y="{y:.1f}">{part}</text>'
        )
        x += 26 + 6.5 * len(part)
    return found
