"""What decides a design that is not of this package: its code, which a cache must have in its keys."""

from __future__ import annotations

from collections.abc import Iterator

from rtl.spec import MacSpec
from siliquant.files import own_sources

__all__ = ["own_code"]


def own_code(*specs: object) -> tuple[str, ...]:
    """The code that decides what specs are and is not of rtl, as texts; of MACs also what their codes stand for: a
    class that is made while a program runs may take that from anywhere. Empty where all is of rtl.
    """
    found = own_sources(tuple(type(spec) for spec in specs), ("rtl",))
    return (*found, *(each for spec in specs if isinstance(spec, MacSpec) for each in _codes(spec))) if found else ()


def _codes(spec: MacSpec) -> Iterator[str]:
    for precision in spec.precisions:
        for kind in (spec.weight_values(precision), spec.activation_values(precision)):
            yield f"{precision}: {kind.values} as {kind.words}"
