"""Empty caches for tests that are not about what compiles their simulations."""

from __future__ import annotations

import shutil
from pathlib import Path

from siliquant.files import cache_dir

__all__ = ["with_runtime"]


def with_runtime(cache: Path) -> Path:
    """A new cache folder, empty but for what other tests have compiled of Verilator's runtime library: the same for all
    designs, and ten seconds of a processor.
    """
    for folder in sorted((cache_dir() / "sim").glob("verilator-runtime-*")):
        if folder.is_dir():
            (cache / "sim").mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copytree(folder, cache / "sim" / folder.name)
    return cache
