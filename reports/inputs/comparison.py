"""Reads what ``python -m hwmodel.compare --out DIR`` wrote: compare.json or compare.csv, strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row, best_rows, is_uniform
from hwmodel.workload import Pair, Width, pair_or_one, parts_of
from siliquant.inputs import InputError, at, belongs, csv_lines, decimal, parse_json, read_text, short, whole

__all__ = ["checked", "read_rows"]

_MOST_BYTES = 16 << 20
_MOST = 1e30  # of any number in a comparison
_KINDS = {field.name: str(field.type) for field in fields(Row)} | {"bits": "int", "run_as_mean_bits": "float"}
_OPERANDS = {
    "bits": ("weight_bits", "activation_bits"),
    "run_as_mean_bits": ("run_as_mean_weight_bits", "run_as_mean_activation_bits"),
}
"""Fields that have two more, with the bits of each operand, where these differ in any row."""
_BOTH = {both: _KINDS[name] for name, operands in _OPERANDS.items() for both in operands}
_FLAGS = {"True": True, "False": False}
_COMPARED = {
    EQUAL_UNITS: ("area_um2_per_unit", "power_uw_per_unit"),
    EQUAL_THROUGHPUT: ("area_um2_per_mac_per_cycle", "energy_fj_per_mac"),
}


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a comparison. ValueError, with the file's name, where it holds none; OSError as usual."""
    text = read_text(path, _MOST_BYTES)
    with belongs(path, "compare.json or compare.csv of hwmodel.compare"):
        entries = _from_csv(text) if path.suffix == ".csv" else _from_json(text)
        rows = []
        for place, entry in entries:
            with at(place):
                rows.append(_row(entry))
        return checked(rows)


def checked(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of the best kind of each design. ValueError unless they are of one library, corner and clock, each mean
    bit-width has one uniform design in each normalisation, its others are named once, and ratios are what areas and
    powers say.
    """
    if not rows:
        raise InputError("it must have at least one row")
    for name in ("library", "corner", "clock_mhz"):
        values = list(dict.fromkeys(getattr(row, name) for row in rows))
        if len(values) > 1:
            raise InputError(f"all rows must have one {name}, not {values[0]} and {values[1]}")
    places: dict[tuple[Width, str], list[Row]] = {}
    for row in rows:
        places.setdefault((row.bits, row.normalisation), []).append(row)
    for bits in dict.fromkeys(row.bits for row in rows):
        one, other = ([row.design for row in places.get((bits, name), [])] for name in _COMPARED)
        if one != other:
            raise InputError(f"at {bits} bits both normalisations must have the same designs in the same order")
    for (bits, name), group in places.items():
        where = f"at {bits} bits, {name}"
        if [is_uniform(row) for row in group] != [True] + [False] * (len(group) - 1) or len(group) < 2:
            raise InputError(f"{where}, there must be the uniform design first, and at least one other")
        designs = [row.design for row in group]
        if len(set(designs)) != len(designs):
            raise InputError(f"{where}, every design must be there once")
        for row in group:
            _check_ratios(row, group[0], where)
    return tuple(best_rows(rows))


def _check_ratios(row: Row, base: Row, where: str) -> None:
    for field, compared in zip(("area_ratio", "power_ratio"), _COMPARED[row.normalisation], strict=True):
        value, mine, uniform = getattr(row, field), getattr(row, compared), getattr(base, compared)
        wanted = None if mine is None or uniform is None else mine / uniform
        if wanted is None and value is None:
            continue
        if wanted is None or value is None or not math.isclose(value, wanted, rel_tol=1e-6):
            raise InputError(f"{where}, {field} of {row.design} must be {wanted}, as {compared} says, not {value}")


def _from_json(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    data = parse_json(text)
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise InputError("it must be a list of objects")
    return [(f"row {number}", entry) for number, entry in enumerate(data, start=1)]


def _from_csv(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    entries: list[tuple[str, Mapping[str, Any]]] = []
    for line, cells in csv_lines(text, tuple(_KINDS)):
        with at(f"line {line}"):
            entry = {name: _value(name, cell) for name, cell in cells.items() if name in _KINDS or name in _BOTH}
        entries.append((f"line {line}", entry))
    return entries


def _value(name: str, cell: str) -> Any:
    """A cell of a CSV file as JSON would have it."""
    kind = (_KINDS | _BOTH)[name]
    if name in _OPERANDS and "/" in cell:
        return cell
    if cell == "" and kind.endswith("| None"):
        return None
    try:
        if kind.startswith("int"):
            return whole(cell)
        if kind.startswith("float"):
            return decimal(cell)
        return _FLAGS[cell] if kind.startswith("bool") else cell
    except (KeyError, ValueError):
        raise InputError(f"{name} must be {_meaning(kind)}, not {short(cell)}") from None


def _row(entry: Mapping[str, Any]) -> Row:
    paired = bool(set(entry) & set(_BOTH))
    if set(entry) != set(_KINDS) | (set(_BOTH) if paired else set()):
        wrong = ", ".join(sorted(set(entry) ^ set(_KINDS)))
        raise InputError(f"it must have exactly the fields of a comparison, and differs in {wrong}")
    values: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        value = entry[name]
        if paired and name in _OPERANDS:
            values[name] = _width(entry, name, kind)
            continue
        if not _fits(value, kind):
            raise InputError(f"{name} must be {_meaning(kind)}, not {short(value)}")
        values[name] = float(value) if kind.startswith("float") and value is not None else value
    row = Row(**values)
    if row.normalisation not in _COMPARED:
        raise InputError(f"normalisation must be one of {', '.join(_COMPARED)}, not {short(row.normalisation)}")
    if not all(2 <= bits <= 8 for bits in parts_of(row.bits)):
        raise InputError(f"bits must be from 2 to 8, not {row.bits}")
    return row


def _width(entry: Mapping[str, Any], name: str, kind: str) -> Any:
    """Bits of both operands, which the field itself must say, too."""
    for both in _OPERANDS[name]:
        if not _fits(entry[both], kind):
            raise InputError(f"{both} must be {_meaning(kind)}, not {short(entry[both])}")
    weights, activations = (entry[both] for both in _OPERANDS[name])
    if kind == "int":
        found: Any = pair_or_one(weights, activations)
    else:
        mean = pair_or_one(Fraction(weights), Fraction(activations))
        found = mean if isinstance(mean, Pair) else float(mean)
    said = str(found) if isinstance(found, Pair) else found
    if entry[name] != said:
        raise InputError(f"{name} must be {said}, as {' and '.join(_OPERANDS[name])} say, not {short(entry[name])}")
    return found


def _fits(value: Any, kind: str) -> bool:
    if value is None:
        return kind.endswith("| None")
    if kind.startswith("bool") or isinstance(value, bool):
        return kind.startswith("bool") and isinstance(value, bool)
    if kind.startswith("str"):
        return isinstance(value, str)
    # Every number of a comparison is one of something that is there.
    least = 0 if kind.startswith("int") else 5e-324
    types = int if kind.startswith("int") else int | float
    return isinstance(value, types) and least <= value <= _MOST


def _meaning(kind: str) -> str:
    what = {"int": "a whole number", "floa": "a positive number", "bool": "True or False", "str": "text"}
    text = next(text for start, text in what.items() if kind.startswith(start))
    return f"{text} or nothing" if kind.endswith("| None") else text
