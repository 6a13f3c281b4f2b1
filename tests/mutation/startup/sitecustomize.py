"""Python starts with this where PYTHONPATH has its folder: one module is then made from another file's text.

The file of the module stays as it is, so hashes over code do, and compiled code is neither read nor written.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: bytes) -> None:
        super().__init__(name, path)
        self._text = text

    def path_stats(self, path: str) -> dict[str, float]:  # type: ignore[override]
        raise OSError("no compiled code is read or written")

    def get_data(self, path: str) -> bytes:
        return self._text if path == self.path else super().get_data(path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, path: str, text: bytes) -> None:
        self._module, self._path, self._text = module, path, text

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        loader = _Loader(name, self._path, self._text)
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


if "SILIQUANT_MUTANT" in os.environ:  # module, its file, the file with the text to use
    _module, _path, _text = os.environ["SILIQUANT_MUTANT"].split("\n")
    sys.meta_path.insert(0, _Finder(_module, _path, Path(_text).read_bytes()))
