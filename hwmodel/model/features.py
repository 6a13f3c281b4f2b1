"""What the cost model needs of a design, found once and kept: counts, transitions, longest paths.

    user layer   <cache>/features/<first two of key>/<key>.json     one small file a design, renamed into place
    package      hwmodel/data/features.json                         designs of the comparison
                 hwmodel/data/calibration/features.json             designs of the calibration

In the user's layer the key is a hash of the design and of the code that decides the numbers, so what is kept is never
stale; a file that is damaged counts as missing. Two processes may write the same file: what one of them lost is found
again. In the package entries are kept by design; each file carries a stamp, the hash of the code for which it was
verified, and is used where that is the code's (``python -m docs_tools.packaged`` verifies and writes it).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwmodel.measurement import design_name, generator_files, own_of
from hwmodel.operands import StreamPlan, stimulus_cycles
from rtl.spec import MacSpec
from siliquant.files import cache, code_sha256, write_atomically
from siliquant.inputs import fits

from .paths import ALONE, Periods, Reach, Step, periods
from .structure import PARTS, SHARES, Part, Share, structure_of
from .switching import Switching, switching_of, switchings

__all__ = [
    "PACKAGED_FEATURES",
    "PARTS",
    "SHARES",
    "Delays",
    "Transitions",
    "Vector",
    "adopt",
    "are_kept",
    "counted",
    "counts_of",
    "entry_of",
    "features_stamp",
    "find",
    "lacking",
    "package_features",
    "periods_name",
    "periods_of",
    "shared_counts_of",
    "shared_transitions_of",
    "transitions_name",
    "transitions_of",
    "write_features",
]

Vector = npt.NDArray[np.float64]


Delays = tuple[Mapping[Step, float], Mapping[Step, float], Reach]
"""Nanoseconds a step where adders ripple, and where they look ahead; what the operands' registers drive."""


class Transitions(NamedTuple):
    """Transitions a cycle, of hwmodel.model.switching: settled ones, glitches, and pulses in adders made of gates."""

    settled: Vector
    glitches: Vector
    pulses: Vector


_DATA = Path(__file__).resolve().parents[1] / "data"
PACKAGED_FEATURES = (_DATA / "features.json", _DATA / "calibration" / "features.json")
_CODE = (
    "model/features.py",
    "model/flat.py",
    "model/inertial.py",
    "model/paths.py",
    "model/structure.py",
    "model/switching.py",
    "yosys/clockgates.py",
    "yosys/fanout.py",
    "operands/recorded.py",
    "operands/stimulus.py",
    "operands/streams.py",
)
_SHARES = {share.value for share in SHARES}
_DIGITS = 7  # significant, of what is kept and of what is answered alike


@lru_cache(maxsize=65536)
def counts_of(spec: MacSpec) -> Vector:
    """The number of each part of a design."""
    return np.asarray(shared_counts_of(spec).sum(axis=0))


@lru_cache(maxsize=65536)
def shared_counts_of(spec: MacSpec) -> Vector:
    """The number of each part by what it depends on: [shares, parts]."""
    if "counts" not in _entry(spec):
        _add(spec, {"counts": _counts(spec)})
    return _unpacked(_entry(spec)["counts"])


@lru_cache(maxsize=65536)
def transitions_of(spec: MacSpec, plan: StreamPlan) -> Transitions:
    """Transitions a cycle of each part of a design."""
    return Transitions(*(np.asarray(each.sum(axis=0)) for each in shared_transitions_of(spec, plan)))


@lru_cache(maxsize=65536)
def shared_transitions_of(spec: MacSpec, plan: StreamPlan) -> Transitions:
    """The same by what the parts depend on: [shares, parts] each."""
    name = transitions_name(plan)
    if name not in _entry(spec):
        _add(spec, {name: _moved(switching_of(spec, plan))})
    return Transitions(*map(_unpacked, _entry(spec)[name]))


def periods_of(
    spec: MacSpec, relaxed_ns: Mapping[Step, float], fastest_ns: Mapping[Step, float], reach: Reach = ALONE
) -> Periods:
    """Longest paths of a design whose operands come from registers of that reach: by ``relaxed_ns`` where adders
    ripple, and by ``fastest_ns`` where they look ahead.
    """
    name = periods_name(relaxed_ns, fastest_ns, reach)
    if name not in _entry(spec):
        _add(spec, {name: _paths(spec, relaxed_ns, fastest_ns, reach)})
    return Periods(*map(float, _entry(spec)[name]))


def find(asked: Mapping[MacSpec, Iterable[StreamPlan]], delays: Sequence[Delays] = ()) -> Iterator[MacSpec]:
    """Finds what is not kept of designs, many of them together, and gives each when all of it is found and kept.

    That is counts, the periods by some delays, and the transitions under the streams of each design. Raises ValueError
    for a design that lacks the precision of a stream.
    """
    missing = lacking(asked, delays)
    left: dict[MacSpec, dict[str, Any]] = {spec: {} for spec in missing}
    # Streams of equal length are counted best together.
    pairs = sorted(
        ((spec, plan) for spec, plans in missing.items() for plan in plans), key=lambda pair: stimulus_cycles(*pair)
    )
    still: list[tuple[MacSpec, StreamPlan | None]] = [(spec, None) for spec, plans in missing.items() if not plans]
    waiting: list[tuple[MacSpec, StreamPlan]] = []

    def counted_first() -> Iterator[tuple[MacSpec, StreamPlan]]:
        """The pairs; what does not depend on streams is found while the plan of the design is at hand."""
        for spec, plan in (*still, *pairs):
            entry, found = _entry(spec), left[spec]
            if "counts" not in entry and "counts" not in found:
                found["counts"] = _counts(spec)
            for each in delays:
                name = periods_name(*each)
                if name not in entry and name not in found:
                    found[name] = _paths(spec, *each)
            if plan is not None:
                waiting.append((spec, plan))
                yield spec, plan

    for place, switching in switchings(counted_first()):
        spec, plan = waiting[place]
        left[spec][transitions_name(plan)] = _moved(switching)
        missing[spec].remove(plan)
        if not missing[spec]:
            _add(spec, left.pop(spec))
            yield spec
    for spec, found in left.items():
        _add(spec, found)
        yield spec


def lacking(
    asked: Mapping[MacSpec, Iterable[StreamPlan]], delays: Sequence[Delays] = ()
) -> dict[MacSpec, list[StreamPlan]]:
    """The designs of which something is not kept, each with those of its streams that were never looked at."""
    found = {}
    for spec, plans in asked.items():
        entry = _entry(spec)
        new = [plan for plan in dict.fromkeys(plans) if transitions_name(plan) not in entry]
        if new or "counts" not in entry or any(periods_name(*each) not in entry for each in delays):
            found[spec] = new
    return found


def adopt(spec: MacSpec, entry: Mapping[str, Any]) -> None:
    """Takes over what another process found of a design, and kept."""
    _entry(spec).update(entry)


def entry_of(spec: MacSpec) -> Mapping[str, Any]:
    """All that is kept of a design."""
    return _entry(spec)


def are_kept(spec: MacSpec, plans: Iterable[StreamPlan]) -> bool:
    """Whether counts and the transitions under some streams are kept, so that they are found at once."""
    entry = _entry(spec)
    return "counts" in entry and all(transitions_name(plan) in entry for plan in plans)


def counted(spec: MacSpec, plans: Iterable[StreamPlan], delays: Iterable[Delays]) -> dict[str, Any]:
    """An entry found anew, whatever is kept: counts, the transitions of some streams, the periods by some delays."""
    entry: dict[str, Any] = {"counts": _counts(spec)}
    wanted = list(dict.fromkeys(plans))
    for place, found in switchings((spec, plan) for plan in wanted):
        entry[transitions_name(wanted[place])] = _moved(found)
    return entry | {periods_name(*each): _paths(spec, *each) for each in delays}


def package_features(specs: Iterable[MacSpec], path: Path) -> None:
    """Writes what is kept of some designs, as the package has it."""
    write_features({name: _entry(spec) for spec in specs if (name := design_name(spec)) is not None}, path)


def write_features(designs: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Writes entries, by design, that the code that there is now gives, as the package has them."""
    lines = [f"{json.dumps(name)}: {json.dumps(designs[name], sort_keys=True)}" for name in sorted(designs)]
    text = ",\n".join(lines)
    write_atomically(path, f'{{\n"stamp": {json.dumps(features_stamp())},\n"designs": {{\n{text}\n}}\n}}\n')


def transitions_name(plan: StreamPlan) -> str:
    """What the transitions under a stream are called in an entry."""
    return f"transitions, {plan}"


def periods_name(relaxed_ns: Mapping[Step, float], fastest_ns: Mapping[Step, float], reach: Reach = ALONE) -> str:
    """What the periods by some delays are called in an entry."""
    delays = [*([table[step] for step in Step] for table in (relaxed_ns, fastest_ns)), astuple(reach)]
    return f"periods, {hashlib.sha256(json.dumps(delays).encode()).hexdigest()[:16]}"


def _counts(spec: MacSpec) -> dict[str, list[float]]:
    return _by_share(structure_of(spec).by_share)


def _moved(found: Switching) -> list[dict[str, list[float]]]:
    return [_by_share(each) for each in (found.settled_by_share, found.glitches_by_share, found.pulses_by_share)]


def _paths(
    spec: MacSpec, relaxed_ns: Mapping[Step, float], fastest_ns: Mapping[Step, float], reach: Reach
) -> list[float]:
    return [_rounded(value) for value in astuple(periods(spec, relaxed_ns, fastest_ns, reach))]


@lru_cache(maxsize=65536)
def _entry(spec: MacSpec) -> dict[str, Any]:
    """What is known of a design; grows as more is asked."""
    kept = cache.kept_json(_path(_key(spec)), cache.root(), _is_entry) or {}
    return {**_packaged().get(design_name(spec) or "", {}), **kept}


def _is_entry(kept: object) -> bool:
    """Whether JSON has the form of an entry: counts, the transitions of some streams, the periods by some delays."""
    return isinstance(kept, dict) and all(_is_member(name, value) for name, value in kept.items())


def _is_member(name: str, value: Any) -> bool:
    if name.startswith("periods, "):
        return fits(value, tuple[float, float, float])
    shared = [value] if name == "counts" else value
    return (
        isinstance(shared, list)
        and (name == "counts" or (name.startswith("transitions, ") and len(shared) == len(Transitions._fields)))
        and fits(shared, tuple[dict[str, tuple[float, ...]], ...])
        and all(
            line.keys() <= _SHARES and all(len(numbers) == len(PARTS) for numbers in line.values()) for line in shared
        )
    )


def _add(spec: MacSpec, found: Mapping[str, Any]) -> None:
    entry = _entry(spec)
    entry.update(found)
    cache.keep(_path(_key(spec)), json.dumps(entry, sort_keys=True), cache.root(), sync=False)


def _path(key: str) -> Path:
    return cache.root() / "features" / key[:2] / f"{key}.json"


@lru_cache(maxsize=1)
def _packaged() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in PACKAGED_FEATURES:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads(path.read_text())
            if kept["stamp"] == features_stamp():
                for name, entry in kept["designs"].items():
                    found[name] = {**found.get(name, {}), **entry}
    return found


@lru_cache(maxsize=65536)
def _key(spec: MacSpec) -> str:
    question = [spec.design, spec.parameters, features_stamp(), *own_of(spec)]
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=int).encode()).hexdigest()


@lru_cache(maxsize=1)
def features_stamp() -> str:
    """A hash over the code that decides what entries hold."""
    here = resources.files("hwmodel")
    return code_sha256([*generator_files("spec", "logic", "mac"), *(here.joinpath(*name.split("/")) for name in _CODE)])


def _by_share(found: Mapping[Share, Mapping[Part, float]]) -> dict[str, list[float]]:
    """Numbers by part for each share that has any."""
    lines = {share.value: [_rounded(found[share][part]) for part in PARTS] for share in SHARES}
    return {name: line for name, line in lines.items() if any(line)}


def _unpacked(kept: Mapping[str, list[float]]) -> Vector:
    nothing = [0.0] * len(PARTS)
    return np.array([kept.get(share.value, nothing) for share in SHARES], dtype=np.float64)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
