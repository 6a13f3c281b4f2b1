"""Long work on many specs: several side by side, each result kept until the spec, the code or a tool changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from siliquant.files import cache, code_sha256, package_version
from siliquant.processes import end_with_parent

__all__ = ["Named", "Shelf", "side_by_side"]


class Named(Protocol):
    """A spec."""

    @property
    def name(self) -> str:
        """Module name."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """As JSON types."""
        ...


S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Shelf:
    """Results of one kind. kind: a folder of the cache. sources: the packages whose code decides them, as (package,
    folder in it); tools: the distributions that do; more: what else does.
    """

    kind: str
    sources: tuple[tuple[str, str], ...]
    tools: tuple[str, ...]
    more: tuple[str, ...] = ()

    def read(self, spec: Named, fits: Callable[[object], bool]) -> Mapping[str, Any] | None:
        """What is kept of a spec, where it fits; else None."""
        home = cache.root()
        found: Mapping[str, Any] | None = cache.kept_json(self._path(spec), home, fits)
        return found

    def keep(self, spec: Named, result: Mapping[str, Any]) -> None:
        """Keeps a result, of JSON types."""
        cache.keep(self._path(spec), json.dumps(result), cache.root(), sync=False)

    def _path(self, spec: Named) -> Any:
        text = json.dumps([spec.name, spec.parameters, self._decided_by], sort_keys=True)
        return cache.root() / self.kind / f"{hashlib.sha256(text.encode()).hexdigest()}.json"

    @cached_property
    def _decided_by(self) -> str:
        versions = (f"{name} {package_version(name)}" for name in self.tools)
        return code_sha256(self._files(), *versions, *self.more)

    def _files(self) -> Iterator[Traversable]:
        for package, folder in self.sources:
            found = resources.files(package)
            yield from (found / folder if folder else found).iterdir()


def side_by_side(work: Callable[[S], T], items: Sequence[S], jobs: int) -> Iterator[tuple[S, T]]:
    """Each item with what ``work`` makes of it, as they are finished; in processes of their own where ``jobs`` > 1."""
    if jobs == 1 or len(items) <= 1:
        yield from ((item, work(item)) for item in items)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), end_with_parent) as pool:
        waiting: dict[Future[T], S] = {pool.submit(work, item): item for item in items}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
