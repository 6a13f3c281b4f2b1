"""What is compared as a matter of course: small modules of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from rtl.array import Architecture, CoreSpec
from rtl.mac import DESIGNS, UniformSpec
from rtl.requant import LoadableSpec, small_units
from rtl.spec import MacSpec

__all__ = ["Spec", "standard_specs"]

Spec: TypeAlias = MacSpec | LoadableSpec | CoreSpec
_LENGTH = 40  # products of a sum: accumulators of few bits


def standard_specs() -> tuple[Spec, ...]:
    """Every MAC design in two forms, with and without pipeline registers, every kind of requantisation unit, and the
    core of an array of each architecture.
    """
    found: list[MacSpec] = []
    for number, design in enumerate(DESIGNS):
        kinds = list(design.variants())
        few = 4 if design.size_parameter == "lanes" else 1
        for place, (given, size) in enumerate(((kinds[0], few), (kinds[-1], 3))):
            spec = design(**{**given, design.size_parameter: size, "reduction_length": _LENGTH})
            form = spec.forms[-1] if place else spec.forms[0]
            found.append(replace(form, pipeline_stages=place + number % 2 if place else 0))
    mac = UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=_LENGTH)
    cores = (CoreSpec(mac=mac, rows=2, columns=2, architecture=each) for each in Architecture)
    return (*found, *small_units(), *cores)
