"""What was drawn and run, as counts that can be kept and added to, and what was never drawn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtl.array import MOST_SIDE, Architecture, Refusal
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, ThresholdSpec
from rtl.spec import MAX_BITS
from rtl.verilog import Reset
from siliquant.inputs import integer_at, listing, member, require
from sim.fuzzing import ARRAY, ENGINES, KINDS, UNITS, NetworkSpec

from .network_drawing import FAMILIES
from .values import Value

__all__ = ["COMPARED", "Tally"]

COMPARED = ("cycles", "results")
"""What is counted of what was compared."""

_FLAGS = ("False", "True")
_LEGAL: Mapping[str, tuple[int, int] | tuple[str, ...]] = {
    "accumulate": (0, 1),
    "accumulator_width": (2, 48),
    "activation_bits": (1, MAX_BITS),
    "activation_depth": (1, 1 << 16),
    "activation_signed": _FLAGS,
    "architecture": tuple(each.value for each in Architecture),
    "bits": (1, MAX_BITS),
    "columns": (1, MOST_SIDE),
    "config.model_type": FAMILIES,
    "drains": (1, MOST_SIDE),
    "error": tuple(str(int(each)) for each in Refusal if each),
    "group_step": (0, 1),
    "groups": (1, 1024),
    "half_adders": _FLAGS,
    "halve": (0, 1),
    "mac": tuple(design.design for design in DESIGNS),
    "maximum_bits": (2, MAX_BITS),
    "moved": _FLAGS,
    "multiplier_width": (1, 32),
    "negate": (0, 1),
    "offset_width": (1, 62),
    "pipeline_stages": (0, 2),
    "reduction_length": (1, 1 << 24),
    "requant": ("none", ThresholdSpec.design, MultiplierSpec.design),
    "requantise": (0, 1),
    "reset": tuple(each.value for each in Reset),
    "result_depth": (1, 1 << 16),
    "result_width": (1, 48),
    "rows": (1, MOST_SIDE),
    "scheme.activation_bits": (1, MAX_BITS),
    "scheme.first_last_bits": (2, MAX_BITS),
    "scheme.granularity": ("head", "tensor", "channel"),
    "scheme.output_by_head": _FLAGS,
    "scheme.scale_start": ("error", "mean"),
    "scheme.weight_bits": (1, MAX_BITS),
    "scheme.weight_scale": ("learned", "statistical"),
    "shift": (0, 15),
    "shift_bits": (0, 5),
    "signed": _FLAGS,
    "weight_bits": (1, MAX_BITS),
    "weight_depth": (1, 1 << 16),
}
"""What may be asked for of a parameter: from the least to the largest number, or one of some words. The shift of a
requantiser, which goes to 61, has the name of that of a run, which goes to 15."""
_SHIFT = (0, 61)
_MACS = tuple(design.design for design in DESIGNS)
_KINDS_OF: Mapping[str, str] = {
    **dict.fromkeys(_MACS, "mac"), **dict.fromkeys((unit.design for unit in UNITS), "requantiser"), ARRAY: "array",
    NetworkSpec.design: "network",
}  # fmt: skip
"""The kind of a case by its design."""
_ONCE = {**dict.fromkeys(KINDS, "reset"), "network": "moved"}
"""Of each kind a parameter that every case has once."""
_MOST = 10**15  # of any count
_PARAMETER = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MOST_TEXT = 200  # characters of a name or a value
_MOST_NAMED = 64  # values of a range of which those that were never drawn are named


@dataclass
class Tally:
    """Counts by kind of case and engine, of cycles and results that were compared, and of values that were drawn."""

    cases: Counter[str] = field(default_factory=Counter)
    engines: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: Counter[Value] = field(default_factory=Counter)
    compared: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, kind: str, engines: Sequence[str], values: Sequence[Value], compared: Mapping[str, int]) -> None:
        """One case that was run."""
        for what, number in compared.items():
            self.compared[kind, what] += number
        self.cases[kind] += 1
        self.engines.update((kind, engine) for engine in engines)
        self.values.update(values)

    def plain(self) -> dict[str, Any]:
        """As JSON types."""
        values: dict[str, dict[str, dict[str, int]]] = {}
        for (design, name, value), count in sorted(self.values.items()):
            values.setdefault(design, {}).setdefault(name, {})[value] = count
        engines, compared = (_by_kind(counts) for counts in (self.engines, self.compared))
        cases = {kind: self.cases[kind] for kind in KINDS if kind in self.cases}
        return {"cases": cases, "engines": engines, "compared": compared, "values": values}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Tally:
        """What :meth:`plain` gave. Raises InputError, with the place, for what no run has: other names, values that no
        design takes, counts that do not go together.
        """
        cases = Counter({kind: integer_at(number, 0, _MOST, f"cases.{kind}")
                         for kind, number in _members(member(data, "cases", dict), "cases", KINDS)})  # fmt: skip
        made = cls(
            cases=cases,
            engines=_counted(data, "engines", lambda kind: (ENGINES[kind], cases[kind])),
            compared=_counted(data, "compared", lambda kind: (COMPARED, _MOST)),
            values=_drawn(data),
        )
        for kind in KINDS:
            drawn = sum(
                number for (design, name, _), number in made.values.items()
                if _KINDS_OF[design] == kind and name == _ONCE[kind]
            )  # fmt: skip
            must = f"have as many values of {_ONCE[kind]} of cases of {kind} as these are, {cases[kind]}"
            require(drawn == cases[kind], must, drawn, "values")
        return made

    def by_kind(self) -> Iterator[list[str]]:
        """As :meth:`lines`, all designs of a kind together, of the parameters of which it is known what is legal."""
        merged: Counter[Value] = Counter()
        for (design, name, value), count in self.values.items():
            kind = design if design in KINDS else "mac" if design in _MACS else "requantiser"
            own = design if kind in ("mac", "requantiser") else None
            if _legal(design, name) is not None:
                last = name if name.startswith(("config.", "scheme.")) else name.rpartition(".")[2]
                unit = name.partition(".")[0] if "." in name and last != name else own
                merged[kind, f"shift of {unit}" if last == "shift" and unit else last, value] += count
        yield from Tally(values=merged).lines()

    def lines(self) -> Iterator[list[str]]:
        """Design, parameter, how many values were drawn, which or from where to where, what is legal, and what of that
        was never drawn.
        """
        drawn: dict[tuple[str, str], Counter[str]] = {}
        for (design, name, value), count in self.values.items():
            drawn.setdefault((design, name), Counter())[value] += count
        for (design, name), counts in sorted(drawn.items()):
            legal = _legal(design, name)
            yield [design, name, str(len(counts)), _range(counts), _allowed(legal), _missing(counts, legal)]


def _by_kind(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (kind, what), number in sorted(counts.items()):
        found.setdefault(kind, {})[what] = number
    return found


def _members(found: Any, place: str, known: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The members of an object in the file, all with names that are known."""
    require(isinstance(found, dict), "be an object", found, place)
    for name, value in found.items():
        require(name in known, f"have names of {listing(known)}", name, place)
        yield name, value


def _counted(
    data: Mapping[str, Any], what: str, about: Callable[[str], tuple[Collection[str], int]]
) -> Counter[tuple[str, str]]:
    """Counts by kind and name; ``about`` a kind: the names, and the largest count."""
    found: Counter[tuple[str, str]] = Counter()
    for kind, numbers in _members(member(data, what, dict), what, KINDS):
        known, most = about(kind)
        for name, number in _members(numbers, f"{what}.{kind}", known):
            found[kind, name] = integer_at(number, 0, most, f"{what}.{kind}.{name}")
    return found


def _drawn(data: Mapping[str, Any]) -> Counter[Value]:
    """Counts by design, parameter and value."""
    found: Counter[Value] = Counter()
    for design, names in _members(member(data, "values", dict), "values", _KINDS_OF):
        require(isinstance(names, dict), "be an object", names, f"values.{design}")
        for name, numbers in names.items():
            known = len(name) <= _MOST_TEXT and _PARAMETER.fullmatch(name) is not None
            require(known, "have names of parameters", name, f"values.{design}")
            place = f"values.{design}.{name}"
            require(isinstance(numbers, dict), "be an object", numbers, place)
            for value, number in numbers.items():
                _check_value(design, name, value, place)
                found[design, name, value] = integer_at(number, 0, _MOST, f"{place}.{value}")
    return found


def _check_value(design: str, name: str, value: str, place: str) -> None:
    """Whether a parameter may have a value, as far as it is known what is legal."""
    legal = _legal(design, name)
    if legal is None:
        require(len(value) <= _MOST_TEXT, f"have values of at most {_MOST_TEXT} characters", value, place)
    elif isinstance(legal[0], int):
        right = _NUMBER.fullmatch(value) is not None and legal[0] <= int(value) <= int(legal[1])
        require(right, f"have values from {legal[0]} to {legal[1]}", value, place)
    else:
        require(value in legal, f"have values of {listing(map(str, legal))}", value, place)


def _legal(design: str, name: str) -> tuple[int, int] | tuple[str, ...] | None:
    last = name.rpartition(".")[2]
    if name.startswith("shift of "):
        return _SHIFT
    if last == "shift" and (design == MultiplierSpec.design or "." in name):
        return _SHIFT
    if design in ("array", "network") and name.startswith(("config.", "scheme.")):
        return _LEGAL.get(name)
    return _LEGAL.get(last)


def _range(counts: Mapping[str, int]) -> str:
    if all(value.isdecimal() for value in counts):
        numbers = sorted(map(int, counts))
        return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return ", ".join(sorted(counts)) if len(counts) <= 8 else "words"


def _allowed(legal: tuple[int, int] | tuple[str, ...] | None) -> str:
    if legal is None:
        return ""
    return f"{legal[0]} to {legal[1]}" if isinstance(legal[0], int) else ", ".join(map(str, legal))


def _missing(counts: Mapping[str, int], legal: tuple[int, int] | tuple[str, ...] | None) -> str:
    """The legal values that were never drawn, as far as there are few."""
    if legal is None:
        return ""
    if isinstance(legal[0], str):
        return ", ".join(str(each) for each in legal if each not in counts)
    low, high = int(legal[0]), int(legal[1])
    numbers = {int(value) for value in counts}
    if high - low < _MOST_NAMED:
        return _runs([each for each in range(low, high + 1) if each not in numbers])
    return f"{high - low + 1 - sum(low <= each <= high for each in numbers):,} values"


def _runs(numbers: Sequence[int]) -> str:
    """Numbers as ranges.

    >>> _runs([1, 2, 3, 7])
    '1 to 3, 7'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in runs)
