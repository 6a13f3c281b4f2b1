"""What the cost model needs of a design, found once and kept: counts, transitions, longest paths.

    user layer   <cache>/features/<first two of key>/<key>.json     one small file a design, renamed into place
    package      hwmodel/data/features.json                         designs of the comparison
                 hwmodel/data/calibration/features.json             designs of the calibration

The key is a hash of the design and of the code that decides the numbers, so what is kept is never stale; a file that is
damaged counts as missing. Two processes may write the same file: what one of them lost is found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwmodel.paths import ALONE, Periods, Reach, Step, periods
from hwmodel.stimulus import StreamPlan
from hwmodel.structure import Part, Share, structure_of
from hwmodel.switching import switching_of
from rtl.spec import MacSpec
from siliquant import cache
from siliquant.files import write_atomically
from siliquant.source import code_sha256

__all__ = [
    "PARTS",
    "SHARES",
    "Transitions",
    "Vector",
    "are_kept",
    "counts_of",
    "package_features",
    "periods_of",
    "shared_counts_of",
    "shared_transitions_of",
    "transitions_of",
]

Vector = npt.NDArray[np.float64]
PARTS = tuple(Part)
"""The order of the entries of vectors by part."""
SHARES = tuple(Share)
"""The order of rows by share."""


class Transitions(NamedTuple):
    """Transitions a cycle, of hwmodel.switching: settled ones, glitches, and pulses in adders made of gates."""

    settled: Vector
    glitches: Vector
    pulses: Vector


_DATA = Path(__file__).resolve().parent / "data"
_PACKAGED = (_DATA / "features.json", _DATA / "calibration" / "features.json")
_CODE = (
    "fanout.py",
    "features.py",
    "paths.py",
    "recorded.py",
    "stimulus.py",
    "streams.py",
    "structure.py",
    "switching.py",
)
_DIGITS = 7  # significant, of what is kept and of what is answered alike


@lru_cache(maxsize=65536)
def counts_of(spec: MacSpec) -> Vector:
    """The number of each part of a design."""
    return np.asarray(shared_counts_of(spec).sum(axis=0))


@lru_cache(maxsize=65536)
def shared_counts_of(spec: MacSpec) -> Vector:
    """The number of each part by what it depends on: [shares, parts]."""
    if "counts" not in _entry(spec):
        _add(spec, "counts", _by_share(structure_of(spec).by_share))
    return _unpacked(_entry(spec)["counts"])


@lru_cache(maxsize=65536)
def transitions_of(spec: MacSpec, plan: StreamPlan) -> Transitions:
    """Transitions a cycle of each part of a design."""
    return Transitions(*(np.asarray(each.sum(axis=0)) for each in shared_transitions_of(spec, plan)))


@lru_cache(maxsize=65536)
def shared_transitions_of(spec: MacSpec, plan: StreamPlan) -> Transitions:
    """The same by what the parts depend on: [shares, parts] each."""
    name = f"transitions, {plan}"
    if name not in _entry(spec):
        found = switching_of(spec, plan)
        every = (found.settled_by_share, found.glitches_by_share, found.pulses_by_share)
        _add(spec, name, [_by_share(each) for each in every])
    return Transitions(*map(_unpacked, _entry(spec)[name]))


def periods_of(
    spec: MacSpec, relaxed_ns: Mapping[Step, float], fastest_ns: Mapping[Step, float], reach: Reach = ALONE
) -> Periods:
    """Longest paths of a design whose operands come from registers of that reach: by ``relaxed_ns`` where adders
    ripple, and by ``fastest_ns`` where they look ahead.
    """
    delays = [*([table[step] for step in Step] for table in (relaxed_ns, fastest_ns)), astuple(reach)]
    name = f"periods, {hashlib.sha256(json.dumps(delays).encode()).hexdigest()[:16]}"
    if name not in _entry(spec):
        _add(spec, name, [_rounded(value) for value in astuple(periods(spec, relaxed_ns, fastest_ns, reach))])
    return Periods(*map(float, _entry(spec)[name]))


def are_kept(spec: MacSpec, plans: Iterable[StreamPlan]) -> bool:
    """Whether counts and the transitions under some streams are kept, so that they are found at once."""
    entry = _entry(spec)
    return "counts" in entry and all(f"transitions, {plan}" in entry for plan in plans)


def package_features(specs: Iterable[MacSpec], path: Path) -> None:
    """Writes what is kept of some designs, as the package has it."""
    found = {_key(spec): _entry(spec) for spec in specs}
    lines = [f"{json.dumps(key)}: {json.dumps(found[key], sort_keys=True)}" for key in sorted(found)]
    write_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")


@lru_cache(maxsize=65536)
def _entry(spec: MacSpec) -> dict[str, Any]:
    """What is known of a design; grows as more is asked."""
    key = _key(spec)
    content = cache.kept(_path(key), cache.root())
    kept = {} if content is None else json.loads(content)
    return {**_packaged().get(key, {}), **(kept if isinstance(kept, dict) else {})}


def _add(spec: MacSpec, name: str, value: Any) -> None:
    entry = _entry(spec)
    entry[name] = value
    cache.keep(_path(_key(spec)), json.dumps(entry, sort_keys=True), cache.root())


def _path(key: str) -> Path:
    return cache.root() / "features" / key[:2] / f"{key}.json"


@lru_cache(maxsize=1)
def _packaged() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in _PACKAGED:
        with contextlib.suppress(OSError, ValueError):
            for key, entry in json.loads(path.read_text()).items():
                found[key] = {**found.get(key, {}), **entry}
    return found


@lru_cache(maxsize=65536)
def _key(spec: MacSpec) -> str:
    question = [spec.design, spec.parameters, _code_sha256()]
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=int).encode()).hexdigest()


@lru_cache(maxsize=1)
def _code_sha256() -> str:
    rtl, here = resources.files("rtl"), resources.files("hwmodel")
    files = [file for place in (rtl, rtl.joinpath("mac")) for file in place.iterdir()]
    files = [file for file in files if file.name not in ("gen.py", "options.py")]  # they ask for designs
    return code_sha256([*files, *(here.joinpath(name) for name in _CODE)])


def _by_share(found: Mapping[Share, Mapping[Part, float]]) -> dict[str, list[float]]:
    """Numbers by part for each share that has any."""
    lines = {share.value: [_rounded(found[share][part]) for part in PARTS] for share in SHARES}
    return {name: line for name, line in lines.items() if any(line)}


def _unpacked(kept: Mapping[str, list[float]]) -> Vector:
    nothing = [0.0] * len(PARTS)
    return np.array([kept.get(share.value, nothing) for share in SHARES], dtype=np.float64)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
