"""Docstrings as this project writes them, made into Markdown when the API pages are built (an extension of Griffe).

Prose, indented blocks, examples, lists under "Args:" or a ruled "Parameters", and references such as
:class:`rtl.spec.mac.MacSpec`, which become links where there is something to link to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from inspect import cleandoc
from typing import Any

from griffe import Alias, AliasResolutionError, Extension, NameResolutionError, Object

from docs_tools.hooks import PACKAGES

__all__ = ["HouseDocstrings", "to_markdown"]

_REFERENCE = re.compile(r":(?:class|func|meth|data|attr|mod|exc):`~?([^`]+)`")
_CODE = re.compile(r"``([^`]+)``|`([^`]+)`")
_SECTION = re.compile(r"^(Args|Raises|Returns|Yields):$")
_NAME = re.compile(r"[a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*")
_MARKS = re.compile(r"([*<\[$|_])")


class HouseDocstrings(Extension):
    """Rewrites every docstring once it was read."""

    def on_package(self, *, pkg: Any, **kwargs: Any) -> None:
        """Every docstring of a package, its references found from where they stand."""
        del kwargs
        _rewrite(pkg)


def _rewrite(found: Object | Alias) -> None:
    if found.is_alias:
        return
    if found.docstring is not None and not found.docstring.value.startswith("\N{ZERO WIDTH SPACE}"):
        found.docstring.value = to_markdown(found.docstring.value, lambda name: _path(found, name))
    for member in found.members.values():
        _rewrite(member)


def _path(where: Object | Alias, name: str) -> str | None:
    """The full name of what a reference is to; None where it is none of ours, or not shown."""
    first, _, rest = name.partition(".")
    try:
        path = name if first in PACKAGES else f"{where.resolve(first)}{'.' + rest if rest else ''}"
        target = where.package[path.partition(".")[2]] if path.startswith(where.package.path + ".") else None
    except (NameResolutionError, AliasResolutionError, KeyError, AttributeError):
        return None
    if target is None:
        return path if path.split(".")[0] in PACKAGES and not _hidden(path) else None
    try:
        path = target.canonical_path
    except AliasResolutionError:
        return None
    return None if _hidden(path) else path


def _hidden(path: str) -> bool:
    return any(part.startswith("_") for part in path.split("."))


def to_markdown(text: str, resolve: Callable[[str], str | None] = lambda name: None) -> str:
    """A docstring as Markdown. resolve: the full name of what a reference is to, or None."""
    return "\n".join(_lines(cleandoc(text).splitlines(), resolve))


def _lines(lines: list[str], resolve: Callable[[str], str | None]) -> Iterator[str]:
    index = 0
    while index < len(lines):
        line, end = lines[index], index + 1
        ruled = end < len(lines) and re.fullmatch(r"-{3,}", lines[end]) is not None
        if line.startswith(">>> "):
            while end < len(lines) and lines[end].strip():
                end += 1
            yield from ("", "```pycon", *lines[index:end], "```", "")
        elif ruled or _SECTION.match(line):
            begin = end = index + (2 if ruled else 1)
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            found = lines[begin:end]
            if ruled:  # the names stand at the margin, what they mean is indented
                while end < len(lines) and (lines[end].startswith("    ") or _NAME.fullmatch(lines[end])):
                    end += 1
                found = [f"    {each}" for each in lines[begin:end]]
            yield from ("", f"**{line.rstrip(':')}**", "", *_entries(found, resolve))
        elif line.startswith("    ") and (
            index == 0 or not lines[index - 1].strip() or lines[index - 1].startswith("    ")
        ):
            yield line
        else:
            yield _escaped(line, resolve)
        index = end


def _entries(lines: list[str], resolve: Callable[[str], str | None]) -> Iterator[str]:
    """A list of names and what they mean, from "name: meaning" or from names with a meaning below each."""
    entries: list[list[str]] = []
    for line in filter(str.strip, lines):
        if line.startswith("        ") and entries:
            entries[-1].append(line.strip())
        else:
            entries.append([line.strip()])
    for first, *more in entries:
        name, _, meaning = first.partition(": ")
        text = " ".join(filter(None, [meaning, *more]))
        yield f"- `{name.rstrip(':')}`: {_escaped(text, resolve)}"
    yield ""


def _escaped(line: str, resolve: Callable[[str], str | None]) -> str:
    """A line of prose: code stays code, references become links, and no other sign means anything."""
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return f"\x00{len(kept) - 1}\x00"

    def reference(match: re.Match[str]) -> str:
        path = resolve(match[1])
        name = f"`{match[1]}`"
        return keep(name if path is None else f"[{name}][{path}]")

    line = _REFERENCE.sub(reference, line)
    line = _CODE.sub(lambda match: keep(f"`{match[1] or match[2]}`"), line)
    line = _MARKS.sub(r"\\\1", line)
    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], line)
