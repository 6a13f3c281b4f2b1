"""What a user of generated Verilog needs to know, as JSON types, and specs made again from it.

Read ``mac``, ``array``, ``requant``, ``spec`` (any of them); ``rebuild`` makes an array from its manifest's parameters.
``own`` is the code of designs that are not of this package, which no manifest has and every cache needs.
"""

from __future__ import annotations

from .array import array_manifest
from .mac import manifest, manifest_text
from .own import own_code
from .rebuild import array_from_parameters, core_from_parameters
from .requant import requant_manifest
from .spec import Spec, manifest_of

__all__ = [
    "Spec",
    "array_from_parameters",
    "array_manifest",
    "core_from_parameters",
    "manifest",
    "manifest_of",
    "manifest_text",
    "own_code",
    "requant_manifest",
]
