"""An array from its parameters, as manifests and records of simulations hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from rtl.array import Architecture, ArraySpec, CoreSpec
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError, InputTypeError

__all__ = ["REQUANTISERS", "array_from_parameters", "core_from_parameters"]

REQUANTISERS: tuple[type[RequantSpec], ...] = (ThresholdSpec, MultiplierSpec)
"""The units that may stand at the drain of an array."""

S = TypeVar("S", MacSpec, RequantSpec)


def array_from_parameters(parameters: Mapping[str, Any]) -> ArraySpec:
    """The array of :attr:`ArraySpec.parameters`: equal to the one they are of, also after a way through JSON.

    Raises ValueError where a parameter is missing, or it or a design is unknown; TypeError and ValueError as the specs
    do.
    """
    names = [item.name for item in fields(ArraySpec)]
    _check_names("an array", names, parameters)
    values = _shared(parameters)
    if values["requant"] is not None:
        values["requant"] = _part("requant", REQUANTISERS, values["requant"])
    return ArraySpec(**values)


def core_from_parameters(parameters: Mapping[str, Any]) -> CoreSpec:
    """The core of :attr:`CoreSpec.parameters`. Raises as :func:`array_from_parameters`."""
    _check_names("a core", [item.name for item in fields(CoreSpec)], parameters)
    return CoreSpec(**_shared(parameters))


def _shared(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with architecture and MAC as objects."""
    known = [architecture.value for architecture in Architecture]
    if parameters["architecture"] not in known:
        raise InputError(f"architecture must be one of {', '.join(known)}, not {parameters['architecture']!r}")
    architecture, mac = Architecture(parameters["architecture"]), _part("mac", DESIGNS, parameters["mac"])
    return {**parameters, "architecture": architecture, "mac": mac}


def _part(name: str, designs: Sequence[type[S]], given: Mapping[str, Any]) -> S:
    """The unit of a design and its parameters."""
    _check_names(name, ["design", "parameters"], given)
    for design in designs:
        if design.design == given["design"]:
            parameters = given["parameters"]
            unstated = {item.name for item in fields(design) if item.metadata.get("form")} - set(parameters)
            wanted = [item.name for item in fields(design) if item.name not in unstated]
            _check_names(f"{name} {design.design}", wanted, parameters)
            return design(**parameters)
    known = ", ".join(design.design for design in designs)
    raise InputError(f"the design of {name} must be one of {known}, not {given['design']!r}")


def _check_names(what: str, wanted: Sequence[str], given: object) -> None:
    if not isinstance(given, Mapping):
        raise InputTypeError(f"the parameters of {what} must be a mapping, not {given!r}")
    if set(given) != set(wanted):
        raise InputError(f"the parameters of {what} must be {', '.join(wanted)}, not {', '.join(given) or 'none'}")
