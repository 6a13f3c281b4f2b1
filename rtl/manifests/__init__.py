"""What a user of generated Verilog needs to know, as JSON types, and specs made again from it.

Read ``mac``, ``array``, ``requant``; ``rebuild`` makes an array from its manifest's parameters.
"""

from __future__ import annotations

from .array import array_manifest
from .mac import manifest, manifest_text
from .rebuild import array_from_parameters, core_from_parameters
from .requant import requant_manifest

__all__ = [
    "array_from_parameters",
    "array_manifest",
    "core_from_parameters",
    "manifest",
    "manifest_text",
    "requant_manifest",
]
