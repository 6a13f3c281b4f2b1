"""Where a figure or a table comes from, in one line: command, library, corner, clock, tools, date of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import hwmodel
from hwmodel.measurement import SynthesisRow
from hwmodel.model import LibraryModel

__all__ = ["Source", "file_note", "model_tools", "row_tools"]

_NAMES = {"yosys": "Yosys", "opensta": "OpenSTA", "icarus": "Icarus Verilog", "siliquant": "siliquant"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """command: that gives the numbers. where: library, corner and clock, or the data set. tools: versions by name.
    date: of the data, ISO. note: files and what else must be known.
    """

    command: str = ""
    where: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    note: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything but the command, in order; what is not known is left out."""
        versions = ", ".join(f"{_NAMES.get(name, name)} {number}" for name, number in self.tools.items())
        return tuple(text for text in (self.where, versions, self.date, self.note) if text)

    @property
    def line(self) -> str:
        """All of it in one line."""
        return " · ".join(filter(None, (self.command, *self.texts)))


def model_tools(model: LibraryModel) -> dict[str, str]:
    """Versions of what made the measurements behind a model, and of this package."""
    known = {name: model.provenance[name] for name in ("yosys", "opensta") if name in model.provenance}
    return known | {"siliquant": hwmodel.__version__}


def row_tools(rows: Iterable[SynthesisRow]) -> tuple[dict[str, str], str]:
    """Versions of what made some rows, and the date of the newest, empty where none has one."""
    versions: dict[str, set[str]] = {}
    dates = [""]
    for row in rows:
        dates.append(row.date or "")
        for name in ("yosys", "opensta", "icarus", "siliquant"):
            if row.tools.get(name, "none") != "none":
                versions.setdefault(name, set()).add(row.tools[name])
    return {name: " and ".join(sorted(found)) for name, found in versions.items()}, max(dates)


def file_note(path: Path) -> str:
    """A file by name and content: the same on every machine."""
    return f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
