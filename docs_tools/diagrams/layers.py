"""The packages in layers, drawn from the import graph: each stands above everything that it imports."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter

import grimp

from .svg import ACCENT, box, document, label, note

__all__ = ["generations", "layers"]

TOPS = ("reports", "sim", "hwmodel", "qat", "rtl", "siliquant")
"""Drawn from left to right, those that import others first."""
_COMMANDS = "commands"
_COLUMN, _ROW, _BOX, _GAP, _TOP = 150, 34, 24, 14, 74


def generations(top: str, graph: grimp.ImportGraph) -> list[list[str]]:
    """The packages of a top-level package, lowest first; each imports only from lists before its own.

    The modules that lie directly in it, its commands, are not among them.
    """
    modules = {name for name in graph.modules if name.startswith(f"{top}.")}
    rooms = {".".join(name.split(".")[:2]) for name in modules if name.count(".") > 1}
    uses: Mapping[str, set[str]] = {room: set() for room in rooms}
    for module in modules:
        room = ".".join(module.split(".")[:2])
        if room not in rooms:
            continue
        for other in graph.find_modules_directly_imported_by(module):
            of = ".".join(other.split(".")[:2])
            if of in rooms and of != room:
                uses[room].add(of)
    sorter = TopologicalSorter(uses)
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found.append([name.partition(".")[2] for name in ready])
        sorter.done(*ready)
    return found


def layers() -> str:
    """One column a top-level package, its packages in layers."""
    graph = grimp.build_graph(*TOPS, cache_dir=None)
    columns = {top: [*_wrapped(generations(top, graph)), _COMMANDS] for top in TOPS}
    rows = max(len(column) for column in columns.values())
    shapes = [
        label(10, 20, "Packages in layers: each imports only what stands below it in its column, and from columns to "
              "its right", anchor="start", bold=True),
        note(10, 42, "reports > hwmodel, sim > qat, rtl > siliquant; commands are modules at the top of each",
             anchor="start"),
    ]  # fmt: skip
    for number, (top, column) in enumerate(columns.items()):
        left = 10 + number * (_COLUMN + _GAP)
        shapes.append(label(left + _COLUMN / 2, _TOP - 12, top, bold=True, colour=ACCENT))
        for height, name in enumerate(column):
            y = _TOP + (rows - 1 - height) * _ROW
            shapes.append(box(left, y, _COLUMN, _BOX, name, dashed=name == _COMMANDS))
    width = 10 + len(TOPS) * (_COLUMN + _GAP)
    return document(width, _TOP + rows * _ROW + 6, "The packages in layers", shapes)


def _wrapped(found: list[list[str]]) -> list[str]:
    """Each layer as texts that fit into a box, lowest first."""
    texts = []
    for names in found:
        line = ""
        for name in names:
            if line and len(line) + len(name) + 2 > 20:
                texts.append(line)
                line = ""
            line = f"{line}, {name}" if line else name
        texts.append(line)
    return texts
