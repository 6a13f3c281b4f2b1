"""TODO"""

from __future__ import annotations

from .array import array_manifest
from .mac import manifest, manifest_text
from .requant import requant_manifest

__all__ = ["array_manifest", "manifest", "manifest_text", "requant_manifest"]
