"""What siliquant analyse found of a network, read strictly from its analysis.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliquant.inputs import InputError, at, belongs, json_object, member, read_text, short

__all__ = ["Analysis", "Rise", "TensorShape", "read_analysis"]

_FORMAT = "siliquant-analysis 1"
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Rise:
    """What quantising a class of operands to ``bits`` bits does: ``how`` is "alone" or "left out". loss, low, high:
    rise of the loss with the interval of 95 %. accuracy: rise of the share of correct samples, None for a
    regression.
    """

    part: str
    bits: int
    how: str
    loss: float
    low: float
    high: float
    accuracy: float | None


@dataclass(frozen=True)
class TensorShape:
    """network: "transformer" or "convnet". tensor: "weight" or "activation". kurtosis, peak: None where not known."""

    network: str
    tensor: str
    part: str
    kurtosis: float | None
    peak: float | None


@dataclass(frozen=True)
class Analysis:
    """source: name of the run or folder. samples: of ``data``, that were measured. tensors: without those of first and
    last layers.
    """

    source: str
    data: str
    samples: int
    rises: tuple[Rise, ...]
    tensors: tuple[TensorShape, ...]


def read_analysis(path: Path) -> Analysis:
    """An analysis. ValueError, with the file's name, where it is none; OSError as usual."""
    text = read_text(path, _MOST_BYTES)
    with belongs(path, "analysis.json of siliquant analyse"):
        data = json_object(text)
        if data.get("format") != _FORMAT:
            raise InputError(f"format must be {_FORMAT!r}, not {short(data.get('format'))}")
        about = member(data, "subject", dict)
        rises, tensors = [], []
        for place, entry in enumerate(_objects(member(data, "sensitivity", dict), "parts"), 1):
            with at(f"sensitivity.parts, entry {place}"):
                if member(entry, "kind", str) == "class":
                    rises.append(_rise(entry))
        for place, entry in enumerate(_objects(member(data, "outliers", dict), "statistics"), 1):
            with at(f"outliers.statistics, entry {place}"):
                if not member(entry, "end", bool):
                    tensors.append(_tensor(entry))
        if not any(rise.how == "alone" for rise in rises):
            raise InputError("sensitivity.parts must have a class of operands that was quantised alone")
        return Analysis(
            member(about, "source", str), member(about, "data", str), member(about, "samples", int), tuple(rises),
            tuple(tensors),
        )  # fmt: skip


def _objects(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[Any] = member(data, name, list)
    if not all(isinstance(each, dict) for each in found):
        raise InputError(f"{name} must be a list of objects")
    return found


def _rise(entry: Mapping[str, Any]) -> Rise:
    change, how = member(entry, "change", dict), member(entry, "how", str)
    if how not in ("alone", "left out"):
        raise InputError(f"how must be 'alone' or 'left out', not {short(how)}")
    loss, low, high = (_number(name, change.get(name)) for name in ("loss", "low", "high"))
    if not low <= loss <= high:
        raise InputError(f"low and high must enclose loss, {loss:g}, not be {low:g} and {high:g}")
    return Rise(member(entry, "name", str), member(entry, "bits", int), how, loss, low, high,
                _maybe("accuracy", change.get("accuracy")))  # fmt: skip


def _tensor(entry: Mapping[str, Any]) -> TensorShape:
    network, tensor, part = (member(entry, name, str) for name in ("network", "tensor", "part"))
    return TensorShape(network, tensor, part, *(_maybe(name, entry.get(name)) for name in ("kurtosis", "peak")))


def _maybe(name: str, value: object) -> float | None:
    return None if value is None else _number(name, value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {short(value)}")
    return float(value)
