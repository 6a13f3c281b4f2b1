"""The processor that this runs on, and how code is compiled for it."""

from __future__ import annotations

import platform
import re
from pathlib import Path

__all__ = ["native_flags", "processor"]


def native_flags() -> tuple[str, ...]:
    """Options of GCC and Clang for all instructions of this processor; none where they may not know the option."""
    return ("-march=native",) if platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64") else ()


def processor() -> str:
    """What -march=native depends on: the model and its flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    wanted = re.compile(r"(model name|cpu family|model|flags|features|cpu part|cpu implementer|isa|uarch)\s*:", re.I)
    return "\n".join(sorted({line for line in lines if wanted.match(line)})) or platform.processor()
