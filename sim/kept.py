"""Long work on many specs: several side by side, each result kept until the spec, the code or a tool changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Protocol, TypeVar, cast

from siliquant.files import cache, code_sha256, package_version
from siliquant.processes import local

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


S = TypeVar("S", bound=Named)
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
    """Each item with what ``work`` makes of it, as they are finished; in processes of their own where ``jobs`` > 1.

    Raises what ``work`` raises, and WorkerLost where processes that work on an item are killed again and again.
    """
    if jobs == 1 or len(items) <= 1:
        yield from ((item, work(item)) for item in items)
        return
    with closing(local(jobs, lambda item: item.name)(work, items)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            yield outcome.item, cast(T, outcome.result)
