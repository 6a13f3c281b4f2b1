"""What was drawn and run, as counts that can be kept and added to, and what was never drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from rtl.array import MOST_SIDE, Architecture, ArraySpec, Refusal
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, ThresholdSpec
from rtl.spec import MAX_BITS
from rtl.verilog import Reset
from siliquant.inputs import InputError
from sim.fuzzing import KINDS, Case, NetworkSpec, array_plan, kind_of

from .network_drawing import FAMILIES

__all__ = ["Tally", "Value", "values_of"]

Value = tuple[str, str, str]
"""Of a design, a parameter, and a value of it as text."""

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
        return {"cases": dict(self.cases), "engines": engines, "compared": compared, "values": values}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Tally:
        """What :meth:`plain` gave. Raises InputError for anything else."""
        made = cls()
        try:
            made.cases.update({str(kind): _count(number) for kind, number in data["cases"].items()})
            for counts, given in ((made.engines, data["engines"]), (made.compared, data["compared"])):
                for kind, numbers in given.items():
                    counts.update({(kind, what): _count(number) for what, number in numbers.items()})
            for design, names in data["values"].items():
                for name, counts in names.items():
                    made.values.update({(design, name, value): _count(number) for value, number in counts.items()})
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"the counts of a run must be those that it wrote: {error!r}") from None
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


def values_of(case: Case) -> list[Value]:
    """What a case has of every parameter, and of an array and of a network of what was done with it."""
    spec = case.spec
    if isinstance(spec, NetworkSpec):
        flat = [*_flat("config", spec.config), *_flat("scheme", spec.scheme), ("moved", str(spec.moved))]
        flat += [("tokens", str(spec.tokens)), *_of_array(spec.array)]
        return [("network", name, value) for name, value in flat]
    name = kind_of(spec) if isinstance(spec, ArraySpec) else spec.design
    flat = _of_array(spec) if isinstance(spec, ArraySpec) else [(key, _text(v)) for key, v in _every(spec)]
    flat += [("reset", case.reset.value), *(("action", action.kind) for action in case.actions)]
    flat += [("precision", action.precision) for action in case.actions if action.precision]
    if isinstance(spec, ArraySpec):
        flat += [("error", str(cause)) for cause in array_plan(case).refused]
        names = ("slot", "result_base", "shift", "negate", "accumulate", "halve", "requantise", "group", "group_step")
        for action in case.actions:
            if action.kind == "run":
                flat += [(key, str(v)) for key, v in zip(names[2:], action.numbers[2:], strict=False)]
    return [(name, key, value) for key, value in flat]


def _every(spec: Any) -> Iterator[tuple[str, Any]]:
    """Every parameter, those at their defaults too."""
    yield from ((item.name, getattr(spec, item.name)) for item in fields(spec))


def _of_array(spec: ArraySpec) -> list[tuple[str, str]]:
    own = {**spec.parameters, "mac": spec.mac.design, "requant": spec.requant.design if spec.requant else "none"}
    found = [(name, _text(value)) for name, value in own.items()]
    for part in (spec.mac, spec.requant):
        if part is not None:
            found += [(f"{part.design}.{name}", _text(value)) for name, value in _every(part)]
    return found


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}", each)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for each in value:
            yield from _flat(name, each)
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _count(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise TypeError(f"{number!r} is no count")
    return number


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
