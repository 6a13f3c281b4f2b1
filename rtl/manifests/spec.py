"""The manifest of whatever Verilog can be written of."""

from __future__ import annotations

from typing import Any

from rtl.array import ArraySpec
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec

from .array import array_manifest
from .mac import manifest
from .requant import requant_manifest

__all__ = ["Spec", "manifest_of"]

Spec = MacSpec | ArraySpec | LoadableSpec


def manifest_of(spec: Spec) -> dict[str, Any]:
    """The manifest of a MAC, an array or a requantiser, of JSON types."""
    if isinstance(spec, ArraySpec):
        return array_manifest(spec)
    return requant_manifest(spec) if isinstance(spec, LoadableSpec) else manifest(spec)
