"""Delays in Standard Delay Format (IEEE 1497): what OpenSTA writes, and what Icarus Verilog reads.

    read_sdf(text)             every IOPATH with its condition
    sdf_text(models, delays)   one number for each edge of an output and, where it matters, of the input

Left out when reading, and why:

    INTERCONNECT   wires: with the libraries' wire-load models a few ps, and Icarus 11 ignores them
    (a::b)         early and late values are averaged; they differ by the slews of other paths
    TIMINGCHECK    simulation is far slower than the rate at which a check could fail

Icarus 11 takes no COND, but it takes edges of inputs: (IOPATH (posedge A) S (0.1) (0.2)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from hwmodel.liberty import CellModel, Expression, parse_function
from siliquant.inputs import InputError

from .verilog import delay_pairs

__all__ = ["CellPaths", "Entry", "PathDelay", "is_condition", "read_sdf", "sdf_text"]

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
_TIMESCALE = re.compile(r"\(TIMESCALE\s+([\d.]+)\s*([munpf]?s)\s*\)")
_PORT = r"(?:\(\s*\w+\s+([^\s()]+)\s*\)|([^\s()]+))"  # maybe with an edge: (posedge CK)
_ENTRY = re.compile(
    r'\(CELLTYPE\s+"([^"]*)"\s*\)'
    r"|\(INSTANCE\s*([^\s()]*)\s*\)"
    r"|\(COND\s+([^\n]*?)\s*(?=\(IOPATH\b)"
    rf"|\(IOPATH\s+{_PORT}\s+{_PORT}\s+((?:\([^()]*\)\s*)+)\)"
    r"|\((INCREMENT|RETAIN|CONDELSE)\b"
)
_VALUE = re.compile(r"\(([^()]*)\)")
_LONGEST = 10_000  # characters of a condition, since each may begin a name
_EQUALS = re.compile(r"([\w.$\[\]]+)\s*===?\s*1'b([01])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One IOPATH: rise and fall of the output in ns, None where it has no value, and when it holds."""

    condition: Expression | None
    rise_ns: float | None
    fall_ns: float | None


@dataclass(frozen=True, slots=True)
class CellPaths:
    """The entries of one instance in file order, by (input pin, output pin), and its library cell."""

    cell: str
    entries: Mapping[tuple[str, str], tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class PathDelay:
    """Delays from an input to an output in ns: (rise, fall) of the output after each edge of the input."""

    after_rise: tuple[float, float]
    after_fall: tuple[float, float]


def read_sdf(text: str) -> dict[str, CellPaths]:
    """Instance name, without escapes, to its entries.

    ValueError for text that is not SDF, delays that are not absolute, conditions that are no Boolean
    expression of pins, and an instance that comes twice.
    """
    timescale = _TIMESCALE.search(text)
    if not text.lstrip().startswith("(DELAYFILE") or timescale is None:
        raise InputError("delays must be SDF text with a TIMESCALE, and these are not")
    unit_ns = float(timescale[1]) * _SECONDS[timescale[2]] / 1e-9
    found: dict[str, CellPaths] = {}
    cell, condition = "", None
    entries: dict[tuple[str, str], tuple[Entry, ...]] = {}
    for match in _ENTRY.finditer(text):
        cell_type, instance, state, from_edge, from_pin, to_edge, to_pin, values, other = match.groups()
        if values is not None:
            pair = _plain(from_edge or from_pin), _plain(to_edge or to_pin)
            entries[pair] = (*entries.get(pair, ()), _entry(condition, values, unit_ns))
            condition = None
        elif state is not None:
            condition = _condition(state)
        elif instance is not None:
            name = _plain(instance)
            if name in found:
                raise InputError(f"SDF must name each instance once, and {name} is there twice")
            entries = {}
            found[name] = CellPaths(cell, entries)
        elif cell_type is not None:
            cell = _plain(cell_type)
        else:
            raise InputError(f"SDF must have absolute IOPATH delays, not {other}")
    return found


def _plain(name: str) -> str:
    """A name without SDF's escapes."""
    return name.replace("\\", "")


def sdf_text(models: Iterable[CellModel], delays: Iterable[Mapping[tuple[str, str], PathDelay]]) -> str:
    """SDF of instances u0, u1, ... of these cells, in ns to the fs, for the paths of hwmodel.library.verilog.

    One without paths is left out: a clock gate, or a cell of which all inputs are constant.
    """
    lines = ['(DELAYFILE (SDFVERSION "3.0") (DIVIDER /) (TIMESCALE 1ns)']
    pairs: dict[str, Mapping[tuple[str, str], bool]] = {}
    for index, (model, paths) in enumerate(zip(models, delays, strict=True)):
        if model.name not in pairs:
            pairs[model.name] = delay_pairs(model)
        binate = pairs[model.name]
        if not paths:
            continue
        lines.append(f'(CELL (CELLTYPE "{model.name}") (INSTANCE u{index}) (DELAY (ABSOLUTE')
        for (source, output), delay in paths.items():
            if binate[source, output]:
                lines.append(f"(IOPATH (posedge {source}) {output} {_values(delay.after_rise)})")
                lines.append(f"(IOPATH (negedge {source}) {output} {_values(delay.after_fall)})")
            else:
                lines.append(f"(IOPATH {source} {output} {_values(delay.after_rise)})")
        lines.append(")))")
    return "\n".join([*lines, ")\n"])


def _values(rise_and_fall_ns: tuple[float, float]) -> str:
    return "({:.6f}) ({:.6f})".format(*rise_and_fall_ns)


def _entry(condition: Expression | None, values: str, unit_ns: float) -> Entry:
    numbers = [_number(value, unit_ns) for value in _VALUE.findall(values)]
    return Entry(condition, numbers[0], numbers[min(1, len(numbers) - 1)])


def _number(text: str, unit_ns: float) -> float | None:
    """The mean of (early:typical:late); None for ()."""
    try:
        numbers = [float(number) for number in text.split(":") if number.strip()]
    except ValueError:
        raise InputError(f"a delay in SDF must be up to three numbers, not ({text})") from None
    return sum(numbers) / len(numbers) * unit_ns if numbers else None


def is_condition(text: str) -> bool:
    """Whether a condition, such as sdf_cond of a library, is one that :func:`read_sdf` takes."""
    try:
        _condition(text[:_LONGEST])
    except InputError:
        return False
    return len(text) <= _LONGEST


@lru_cache(maxsize=1024)
def _condition(text: str) -> Expression:
    """A Verilog condition such as (B == 1'b1) && ~CI."""
    plain = _EQUALS.sub(lambda match: f"{'' if match[2] == '1' else '!'}{match[1]}", _plain(text))
    return parse_function(plain.replace("&&", "&").replace("||", "|").replace("~", "!"))
