"""Shares of oscillating weights by epoch, from what qat.train writes of a run: metrics.csv, or metrics.jsonl, which
has them by module, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from siliquant.inputs import InputError, belongs, csv_lines, decimal, parse_json, read_text, short

__all__ = ["Oscillation", "read_oscillation"]

_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Oscillation:
    """shares: of oscillating weights, 0 to 1, after each of ``epochs``; modules: those after the last one by module,
    empty where the file has none. name: of the run's folder.
    """

    name: str
    epochs: tuple[int, ...]
    shares: tuple[float, ...]
    modules: Mapping[str, float]


def read_oscillation(path: Path) -> Oscillation:
    """A run. ValueError, with the file's name, where it is none or was not quantised; OSError as usual."""
    text = read_text(path, _MOST_BYTES)
    with belongs(path, "metrics.csv or metrics.jsonl of a quantised run"):
        lines = _jsonl(text) if path.suffix == ".jsonl" else _csv(text)
        if not lines:
            raise InputError("it must have at least one epoch")
        epochs = tuple(_epoch(line.get("epoch")) for line in lines)
        if any(later <= earlier for earlier, later in pairwise(epochs)):
            raise InputError(f"its epochs must rise, not be {', '.join(map(str, epochs))}")
        shares = tuple(_share("oscillation", line.get("oscillation")) for line in lines)
        modules = lines[-1].get("oscillation_by_module") or {}
        if not isinstance(modules, dict):
            raise InputError("its oscillation_by_module must be shares by name")
        found = {name: _share(name, value) for name, value in modules.items()}
    return Oscillation(path.absolute().parent.name, epochs, shares, found)


def _csv(text: str) -> Sequence[Mapping[str, Any]]:
    names = ("epoch", "oscillation")
    return [{name: _number(line, name, cells[name]) for name in names} for line, cells in csv_lines(text, names)]


def _number(line: int, name: str, text: str) -> float | None:
    try:
        return decimal(text) if text else None
    except ValueError:
        raise InputError(f"{name} must be a number, not {short(text)}", place=f"line {line}") from None


def _jsonl(text: str) -> Sequence[Mapping[str, Any]]:
    lines = [parse_json(line, place=f"line {number}") for number, line in enumerate(text.splitlines(), start=1)]
    if not all(isinstance(line, dict) for line in lines):
        raise InputError("each of its lines must be an object")
    return lines


def _epoch(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e9 or value % 1:
        raise InputError(f"an epoch must be a whole number, not {short(value)}")
    return int(value)


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and 0 <= value <= 1):
        raise InputError(f"{name} must be a share from 0 to 1, not {short(value)}")
    return float(value)
