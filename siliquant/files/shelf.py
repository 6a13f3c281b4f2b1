"""Results that take long, each kept until its question, the code that decides it or a tool changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from . import cache
from .source import code_sha256, package_version

__all__ = ["Shelf"]


@dataclass(frozen=True)
class Shelf:
    """Results of one kind, of JSON types, by questions of JSON types.

    kind: a folder of the cache. sources: the packages whose modules decide a result, those in packages below them only
    where they are named, too. tools: the distributions whose versions do. more: what else does.
    """

    kind: str
    sources: tuple[str, ...]
    tools: tuple[str, ...]
    more: tuple[str, ...] = ()

    def read(self, question: object, fits: Callable[[object], bool]) -> Mapping[str, Any] | None:
        """What is kept of a question, where it fits; else None."""
        found: Mapping[str, Any] | None = cache.kept_json(self._path(question), cache.root(), fits)
        return found

    def keep(self, question: object, result: Mapping[str, Any]) -> None:
        """Keeps a result."""
        cache.keep(self._path(question), json.dumps(result), cache.root(), sync=False)

    def _path(self, question: object) -> Path:
        text = json.dumps([question, self._decided_by], sort_keys=True)
        return cache.root() / self.kind / f"{hashlib.sha256(text.encode()).hexdigest()}.json"

    @cached_property
    def _decided_by(self) -> str:
        versions = (f"{name} {package_version(name)}" for name in self.tools)
        return code_sha256(self._files(), *versions, *self.more)

    def _files(self) -> Iterator[Traversable]:
        for package in self.sources:
            top, *rest = package.split(".")
            yield from resources.files(top).joinpath(*rest).iterdir()
