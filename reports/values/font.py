"""The letters of figures, as a font that lies in the page: they then have the widths that the layout reckoned with."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

__all__ = ["font_face"]

FAMILY = "siliquant figures"


def font_face(characters: Iterable[str]) -> str:
    """CSS with the two weights of DejaVu Sans, as matplotlib has it, that figures use; no other letters are in it."""
    text = "".join(sorted({*characters}))
    rules = []
    for weight in ("normal", "bold"):
        data = base64.b64encode(_subset(weight, text)).decode()
        rules.append(
            f'@font-face {{ font-family: "{FAMILY}"; font-weight: {weight}; '
            f"src: url(data:font/woff;base64,{data}) format('woff'); }}"
        )
    return "\n".join(rules)


def _subset(weight: str, text: str) -> bytes:
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont
    from matplotlib.font_manager import FontProperties, findfont

    path = findfont(FontProperties(family="DejaVu Sans", weight=weight), fallback_to_default=False)
    # The time in the file is that of the original: equal pages are equal bytes.
    font = TTFont(path, recalcTimestamp=False)
    options = Options(notdef_outline=True, layout_features=[], hinting=False, name_IDs=[])
    options.drop_tables += ["FFTM"]  # times of its making, which the subsetter does not know and says so
    chosen = Subsetter(options)
    chosen.populate(text=text)
    chosen.subset(font)
    font.flavor = "woff"
    made = io.BytesIO()
    font.save(made)
    return made.getvalue()
