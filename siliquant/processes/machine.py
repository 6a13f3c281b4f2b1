"""The processor that this runs on, for what is compiled for it."""

from __future__ import annotations

import platform
import re
from pathlib import Path

__all__ = ["processor"]


def processor() -> str:
    """What -march=native depends on: the model and its flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    wanted = re.compile(r"(model name|cpu family|model|flags|features|cpu part|cpu implementer|isa|uarch)\s*:", re.I)
    return "\n".join(sorted({line for line in lines if wanted.match(line)})) or platform.processor()
