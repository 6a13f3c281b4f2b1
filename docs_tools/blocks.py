"""Places in a Markdown file whose text is made by a program: blocks of lines, and values within a sentence.

    <!-- NAME:begin -->            a block: whole lines, rewritten as one
    | a | table |
    <!-- NAME:end -->

    It takes <!--NAME-->1.5<!--/--> times the area.

On GitHub and on the site the markers are not seen. No line begins with a marker of a value: it would end the paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from siliquant.inputs import InputError

__all__ = ["Place", "filled", "markerless", "places"]

_NAME = r"[a-z0-9]+(?:[.-][a-z0-9]+)*"
_BLOCK = re.compile(rf"<!-- (?P<name>{_NAME}):begin -->\n(?P<text>.*?)<!-- (?P=name):end -->", re.DOTALL)
_VALUE = re.compile(rf"<!--(?P<name>{_NAME})-->(?P<text>[^<]*)<!--/-->")
_MARKER = re.compile(rf"<!--(?:/|{_NAME})-->")


@dataclass(frozen=True)
class Place:
    """A place and the text that it holds now."""

    name: str
    text: str


def places(page: str) -> list[Place]:
    """Every place of a page, blocks first. Raises ValueError for half a marker, or one that ends a paragraph."""
    if match := re.search(rf"^[ ]*(<!--{_NAME}-->)", page, re.MULTILINE):
        raise InputError(
            f"no line must begin with a marker of a value, where it ends the paragraph, as {match[1]} does"
        )
    found = [*_BLOCK.finditer(page), *_VALUE.finditer(page)]
    left = _VALUE.sub("", _BLOCK.sub("", page))
    for marker in re.finditer(rf"<!-- {_NAME}:(?:begin|end) -->|<!--(?:/|{_NAME})-->", left):
        raise InputError(f"every marker must have its other half, and {marker[0]} has none")
    return [Place(match["name"], match["text"].strip("\n")) for match in found]


def filled(page: str, texts: Mapping[str, str]) -> str:
    """The page with these texts in its places. Raises KeyError for a place without a text."""
    page = _BLOCK.sub(
        lambda match: f"<!-- {match['name']}:begin -->\n{texts[match['name']]}\n<!-- {match['name']}:end -->", page
    )
    return _VALUE.sub(lambda match: f"<!--{match['name']}-->{texts[match['name']]}<!--/-->", page)


def markerless(page: str) -> str:
    """The page as it reads, without the markers of values."""
    return _MARKER.sub("", page)
