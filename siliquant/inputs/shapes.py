"""Whether what JSON gave has the shape that a type says: what an earlier version kept may have other fields."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

__all__ = ["field_types", "fits"]


def fits(value: object, kind: Any) -> bool:
    """Whether a value of JSON types has the shape of ``kind``: a type of JSON values, a tuple (a list in JSON), a dict
    or Mapping with texts as keys, a dataclass (an object with exactly its fields), or a union of those.

    A float may be a whole number; a bool is no number.
    """
    if kind is Any:
        return True
    if is_dataclass(kind) and isinstance(kind, type):
        hints = field_types(kind)
        return isinstance(value, dict) and value.keys() == hints.keys() and all(fits(value[k], hints[k]) for k in hints)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
        return isinstance(value, list) and len(value) == len(inner) and all(map(fits, value, inner))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(fits(each, inner[1]) for each in value.values())
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def field_types(kind: type) -> dict[str, Any]:
    """The types of the fields of a dataclass."""
    found: Any = kind
    return _field_types(found)


@cache
def _field_types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
