"""Fitted models as JSON files: written by the fit, read by the estimate, checked field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from siliquant.files import write_atomically
from siliquant.inputs import InputError, belongs, json_object, listing, read_text, short

from .features import PARTS, Vector
from .model import Coefficients, LibraryModel, Range
from .paths import Step
from .structure import Part

__all__ = ["PACKAGED_MODELS", "known_models", "load_model", "read_model", "write_model"]

PACKAGED_MODELS = Path(__file__).resolve().parents[1] / "data" / "models"
_FORMAT = "siliquant-model 5"
_BEFORE = "siliquant-model 4"  # of a flow without clock gates
_MOST_BYTES = 4 << 20
_MOST = 1e12  # of any number in a model
_MOST_NAMES = 64
_GROWING = {
    "leakage": "leakage_growth",
    "clock": "clock_growth",
    "settled": "settled_growth",
    "glitch": "glitch_growth",
    "glitch share": "glitch_share",
}
"""Coefficients by what they are called under growth."""
_MEMBERS = (
    "format", "library", "corner", "voltage_v", "provenance", "area_um2", "leakage_nw", "clock_fj", "gate_fj",
    "still_fj", "settled_fj", "glitch_fj", "pulse_fj", "ahead_fj", "relaxed_ns", "fastest_ns", "strained_um2", "strain",
    "growth", "margin", "range",
)  # fmt: skip


def write_model(model: LibraryModel, path: Path) -> None:
    """Writes a model; equal models give equal bytes."""
    found, known = model.coefficients, model.range
    data = {
        "format": _FORMAT,
        "library": model.library,
        "corner": model.corner,
        "voltage_v": model.voltage_v,
        "provenance": dict(model.provenance),
        "area_um2": _by_part(found.area_um2),
        "leakage_nw": _by_part(found.leakage_nw),
        "clock_fj": _rounded(found.clock_fj),
        "gate_fj": None if found.gate_fj is None else _rounded(found.gate_fj),
        "still_fj": None if found.still_fj is None else _rounded(found.still_fj),
        "settled_fj": _by_part(found.settled_fj),
        "glitch_fj": _by_part(found.glitch_fj),
        "pulse_fj": _by_part(found.pulse_fj),
        "ahead_fj": _rounded(found.ahead_fj),
        "relaxed_ns": {step.value: _rounded(found.relaxed_ns[step]) for step in Step},
        "fastest_ns": {step.value: _rounded(found.fastest_ns[step]) for step in Step},
        "strained_um2": _by_part(found.strained_um2),
        "strain": {
            "from": _rounded(found.strain_from),
            "to": _rounded(found.strain_to),
            "power": _rounded(found.strain_power),
        },
        "growth": {name: _rounded(getattr(found, field)) for name, field in _GROWING.items()},
        "margin": _rounded(found.margin),
        "range": {
            "counts": _by_part(known.counts),
            "smallest_um2": _rounded(known.smallest_um2),
            "largest_um2": _rounded(known.largest_um2),
            "forms": list(known.forms),
        },
    }
    write_atomically(path, json.dumps(data, indent=1) + "\n")


def read_model(path: Path) -> LibraryModel:
    """The model in a file. OSError as usual; ValueError, saying what is wrong, where it holds none.

    One of the format before is read, too: it has no coefficients of clock gates, and its provenance has the version of
    the flow that it is of.
    """
    with belongs(path, "a cost model"):
        data = _members(_of_today(json_object(read_text(path, _MOST_BYTES))))
        if data["format"] != _FORMAT:
            raise InputError(f"its format must be {_FORMAT!r} or {_BEFORE!r}, not {short(data['format'])}")
        growth = _named(data["growth"], "growth", list(_GROWING), f"of {listing(list(_GROWING))}")
        strain = _named(data["strain"], "strain", ("from", "to", "power"), "of its numbers")
        if not _number(strain["from"], "strain") < _number(strain["to"], "strain"):
            raise InputError(f"strain must go from a pressure to a higher one, not {strain['from']} to {strain['to']}")
        if not _number(strain["power"], "strain") > 0:
            raise InputError(f"the power of strain must be above 0, not {strain['power']}")
        known = _named(data["range"], "range", ("counts", "smallest_um2", "largest_um2", "forms"), "of its limits")
        coefficients = Coefficients(
            area_um2=_vector(data["area_um2"], "area_um2"),
            strained_um2=_vector(data["strained_um2"], "strained_um2"),
            leakage_nw=_vector(data["leakage_nw"], "leakage_nw"),
            clock_fj=_number(data["clock_fj"], "clock_fj"),
            gate_fj=_maybe(data["gate_fj"], "gate_fj"),
            still_fj=_maybe(data["still_fj"], "still_fj"),
            settled_fj=_vector(data["settled_fj"], "settled_fj"),
            glitch_fj=_vector(data["glitch_fj"], "glitch_fj"),
            pulse_fj=_vector(data["pulse_fj"], "pulse_fj"),
            ahead_fj=_number(data["ahead_fj"], "ahead_fj"),
            relaxed_ns=_steps(data["relaxed_ns"], "relaxed_ns"),
            fastest_ns=_steps(data["fastest_ns"], "fastest_ns"),
            strain_from=_number(strain["from"], "strain"),
            strain_to=_number(strain["to"], "strain"),
            strain_power=_number(strain["power"], "strain"),
            **{field: _number(growth[name], "growth") for name, field in _GROWING.items()},
            margin=_number(data["margin"], "margin"),
        )
        return LibraryModel(
            _text(data["library"], "library"),
            _text(data["corner"], "corner"),
            _number(data["voltage_v"], "voltage_v"),
            coefficients,
            Range(
                _vector(known["counts"], "counts"),
                _number(known["smallest_um2"], "smallest_um2"),
                _number(known["largest_um2"], "largest_um2"),
                _names(known["forms"], "forms"),
            ),
            _texts(data["provenance"], "provenance"),
        )


@lru_cache(maxsize=16)
def load_model(library: str, folder: Path | str = PACKAGED_MODELS) -> LibraryModel:
    """The model of a library by name. Raises ValueError, naming those there are, for one that has none."""
    folder = Path(folder)
    path = folder / f"{library}.json"
    if library not in known_models(folder):
        known = ", ".join(known_models(folder)) or "none"
        where = "" if folder == PACKAGED_MODELS else f" in {folder}"
        raise InputError(
            f"library must be one with a cost model{where} ({known}), not {library!r}; hwmodel.calibrate makes one"
        )
    return read_model(path)


def known_models(folder: Path = PACKAGED_MODELS) -> tuple[str, ...]:
    """The libraries that have a model in a folder."""
    return tuple(sorted(path.stem for path in folder.glob("*.json")))


def _by_part(values: Vector) -> dict[str, float]:
    return {part.value: _rounded(value) for part, value in zip(PARTS, values.tolist(), strict=True)}


def _rounded(value: float) -> float:
    """Eight significant digits: more than any fit is worth, and the same on every machine."""
    return float(f"{value:.8g}")


def _members(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data, which must have what write_model writes."""
    for name in _MEMBERS:
        if name not in data:
            raise InputError(f"it lacks {name}")
    return data


def _of_today(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A model of the format before as one of today's: nothing is known of clock gates, which cost nothing, nor of
    forms; costs grow in a straight line, the area of all parts by the same share, and that of carry-propagate bits by
    some more, all energies by the same share.
    """
    if data.get("format") != _BEFORE:
        return data
    gates, known, growth = Part.CLOCK_GATES.value, data.get("range"), data.get("growth")
    vectors = ("area_um2", "leakage_nw", "settled_fj", "glitch_fj", "pulse_fj")
    found = {**data, "format": _FORMAT, "gate_fj": None, "still_fj": None}
    found |= {name: {**data[name], gates: 0.0} for name in vectors if isinstance(data.get(name), dict)}
    if isinstance(data.get("strain"), dict):
        found["strain"] = {**data["strain"], "power": 1.0}
    if isinstance(growth, dict) and isinstance(data.get("area_um2"), dict):
        share, more = _number(growth.get("area"), "growth"), _number(data.get("ahead_um2"), "ahead_um2")
        ahead = {Part.CARRY_BITS.value: more}
        found["strained_um2"] = {
            part: share * _number(area, "area_um2") + ahead.get(part, 0.0) for part, area in found["area_um2"].items()
        }
        energies = dict.fromkeys(("clock", "settled", "glitch"), growth.get("energy"))
        found["growth"] = {"leakage": growth.get("leakage"), **energies, "glitch share": 0.0}
    if isinstance(known, dict) and isinstance(known.get("counts"), dict):
        found["range"] = {**known, "counts": {**known["counts"], gates: _MOST}, "forms": []}
    return found


def _named(data: Any, name: str, wanted: Sequence[str], what: str) -> Mapping[str, Any]:
    if not isinstance(data, dict) or set(data) != set(wanted):
        raise InputError(f"{name} must have a value for each {what} and no other")
    return data


def _vector(data: Any, name: str) -> Vector:
    found = _named(data, name, [part.value for part in PARTS], "part of a design")
    return np.array([_number(found[part.value], name) for part in PARTS], dtype=np.float64)


def _steps(data: Any, name: str) -> dict[Step, float]:
    found = _named(data, name, [step.value for step in Step], "step of a path")
    return {step: _number(found[step.value], name) for step in Step}


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        raise InputError(f"{name} must be a number from 0 to {_MOST:g}, not {short(value)}")
    return float(value)


def _maybe(value: Any, name: str) -> float | None:
    return None if value is None else _number(value, name)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {short(value)}")
    return value


def _names(data: Any, name: str) -> tuple[str, ...]:
    if not isinstance(data, list) or len(data) > _MOST_NAMES:
        raise InputError(f"{name} must be a list of at most {_MOST_NAMES} names, not {short(data)}")
    return tuple(_text(each, name) for each in data)


def _texts(data: Any, name: str) -> dict[str, str]:
    if not isinstance(data, dict):
        raise InputError(f"{name} must be texts by name, not {short(data)}")
    return {key: _text(value, f"{key} in {name}") for key, value in data.items()}
