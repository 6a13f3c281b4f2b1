"""A small library with everything synthesis needs: a few cells of FreePDK45, and edits of its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from hwmodel.library.library import find_library

CELLS = (
    *("INV_X1", "INV_X2", "BUF_X1", "BUF_X2", "NAND2_X1", "NAND2_X2", "NOR2_X1", "NOR2_X2", "AND2_X1", "OR2_X1"),
    *("XOR2_X1", "XNOR2_X1", "MUX2_X1", "FA_X1", "HA_X1", "DFF_X1", "DFF_X2"),
)


@cache
def small_library() -> str:
    """The text of the library."""
    head, *cells = re.split(r"(?m)^(?=\s*cell \()", find_library().read())
    named = {match[1]: cell for cell in cells if (match := re.match(r'\s*cell \("?(\w+)"?\)', cell))}
    return head + "".join(_group(named[name]) + "\n" for name in CELLS) + "}\n"


def without_groups(text: str, kind: str) -> str:
    """The text without all groups of a kind."""
    parts, start = [], 0
    for match in re.finditer(rf"\b{kind}\s*\([^)]*\)\s*\{{", text):
        if match.start() >= start:
            parts.append(text[start : match.start()])
            start = match.start() + len(_group(text[match.start() :]))
    return "".join([*parts, text[start:]])


def without(text: str, attribute: str) -> str:
    """The text without all simple or complex attributes of a name."""
    return re.sub(rf"\b{attribute}\s*[:(][^;]*;", "", text)


def with_copy(text: str, cell: str, name: str, more: str = "") -> str:
    """The text with a copy of a cell that has another name, a small area, and more statements."""
    start = text.index(f"cell ({cell}) {{")
    copy = re.sub(r"\barea(\s*):[^;]*;", f"area : 0.01; {more}", _group(text[start:]), count=1)
    return f"{text.rstrip()[:-1]}{copy.replace(cell, name, 1)}\n}}\n"


def with_cell(text: str, cell: str, change: Callable[[str], str]) -> str:
    """The text with one cell changed."""
    start = text.index(f"cell ({cell}) {{")
    old = _group(text[start:])
    return text[:start] + change(old) + text[start + len(old) :]


def with_cells_named(text: str, change: Callable[[str], str]) -> str:
    """The text with other names for cells, in quotes."""
    return re.sub(r'cell \("?(\w+)"?\)', lambda match: f'cell ("{change(match[1])}")', text)


def with_pins_named(text: str, names: Mapping[str, str]) -> str:
    """The text with other names for pins: where they are defined, and in everything quoted."""

    def words(found: re.Match[str]) -> str:
        return re.sub(r"\b\w+\b", lambda word: names.get(word[0], word[0]), found[0])

    text = re.sub(r'pin \("?(\w+)"?\)', lambda match: f'pin ("{names.get(match[1], match[1])}")', text)
    return re.sub(r'(?<!pin \()"[^"\n]*"', words, text)


def _group(text: str) -> str:
    """The text up to the brace that closes its first one."""
    depth = 0
    for match in re.finditer(r"[{}]", text):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return text[: match.end()]
    raise ValueError("the text must have a whole group")
