"""A figure as SVG for a page that is light or dark, and as files: SVG, PNG, PDF. Equal figures give equal bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from siliquant.files import with_own_ids
from siliquant.inputs import InputError, html_text

from .style import COLOURS, PAPER, RC, Chart, Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Rendered", "inline", "render", "text_of"]

_DPI = 200
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_METADATA: Mapping[str, Mapping[str, None]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Rendered:
    """wide, narrow: SVG that is part of a page. files: the wide figure on white, by suffix."""

    wide: str
    narrow: str
    files: Mapping[str, bytes]


def render(chart: Chart) -> Rendered:
    """Every form of a figure. Raises ValueError for a colour that is none of the palette."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of its cache, which a chart does without
    import matplotlib as mpl

    with mpl.rc_context(dict(RC)):
        pages = {layout: _drawn(chart, layout) for layout in Layout}
        inlined = {layout: inline(_svg(figure, "none"), chart, layout) for layout, figure in pages.items()}
        figure = pages[Layout.WIDE]
        files = {"svg": _svg(figure, "path"), "png": _saved(figure, "png"), "pdf": _saved(figure, "pdf")}
    return Rendered(inlined[Layout.WIDE], inlined[Layout.NARROW], files)


def inline(svg: bytes, chart: Chart, layout: Layout) -> str:
    """What matplotlib wrote, as a part of a page.

    Colours are variables of the page (--fig-ink and so on), text is text in the page's figure font, no id is like that
    of another figure, and what is not seen is left out. Raises ValueError for a colour that is none of the palette.
    """
    name = f"{chart.name}-{layout.name.lower()}"
    found = re.search(r"<svg\b[^>]*?viewBox=\"([^\"]*)\"[^>]*>(.*)</svg>", svg.decode(), re.DOTALL)
    if found is None:
        raise InputError(f"the figure {chart.name} must be SVG with a viewBox")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style\b.*?</style>", "", found[2], flags=re.DOTALL)
    text = re.sub(r" transform=\"rotate\(-?0 [^)]*\)\"", "", text)
    text = re.sub(r"\bfill=\"(#\w{6})\"", r'style="fill: \1"', text)
    text = re.sub(r"<path\b[^>]*style=\"fill: none\"/>", "", text)
    text = re.sub(r"\b(d|x|y|points)=\"([^\"]*)\"", _shorter, text)
    text = re.sub(r"style=\"([^\"]*)\"", lambda match: f'style="{_style(match[1])}"', text)
    text = with_own_ids(text.replace("xlink:href", "href"), name)
    while (smaller := re.sub(r"<(g|defs)>\s*</\1>|<g ?/>", "", text)) != text:
        text = smaller
    text = re.sub(r"\s*\n\s*", "\n", text).strip()
    return (
        f'<svg class="chart {layout.name.lower()}" viewBox="{found[1]}" role="img" aria-labelledby="{name}-alt" '
        f'style="stroke-linejoin: round; stroke-linecap: butt"><title id="{name}-alt">{html_text(chart.alt)}</title>\n'
        f"{text}\n</svg>"
    )


def text_of(svg: str) -> set[str]:
    """The characters of all text in some SVG."""
    found = "".join(re.findall(r"<text\b[^>]*>([^<]*)</text>", svg))
    return set(found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _drawn(chart: Chart, layout: Layout) -> Figure:
    """Laid out once: drawing it again must not move anything."""
    figure = chart.draw(layout)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _svg(figure: Figure, fonttype: str) -> bytes:
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": fonttype}):
        return _saved(figure, "svg")


def _saved(figure: Figure, form: str) -> bytes:
    made = io.BytesIO()
    options: dict[str, Any] = {"dpi": _DPI if form == "png" else 72, "metadata": _METADATA[form], "facecolor": PAPER}
    figure.savefig(made, format=form, **options)
    return with_own_ids(made.getvalue().decode(), "part").encode() if form == "svg" else made.getvalue()


def _shorter(match: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point; strokes without length, of which points are made, as such."""
    short = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), match[2])
    short = re.sub(r"M (\S+) (\S+) L \1 \2(?= |$)", r"M\1 \2h0", " ".join(short.split())).replace("h0 M", "h0M")
    return f'{match[1]}="{short}"'


def _style(text: str) -> str:
    """Colours as variables of the page; the font is the page's."""
    text = re.sub(r"font-family:[^;]*;?\s*", "", text)
    text = re.sub(r"font:\s*(bold |700 )?([\d.]+px)[^;]*", _font, text)
    return _COLOUR.sub(_variable, text)


def _font(match: re.Match[str]) -> str:
    return f"font-size: {match[2]}" + ("; font-weight: bold" if match[1] else "")


def _variable(match: re.Match[str]) -> str:
    name = COLOURS.get(match[0].lower())
    if name is None:
        raise InputError(f"a figure's colours must be those of its palette, not {match[0]}")
    return f"var(--fig-{name})"
