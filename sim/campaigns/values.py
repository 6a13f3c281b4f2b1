"""What a case has of every parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from rtl.array import ArraySpec
from sim.fuzzing import Case, NetworkSpec, array_plan, kind_of

__all__ = ["Value", "values_of"]

Value = tuple[str, str, str]
"""Of a design, a parameter, and a value of it as text."""


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
