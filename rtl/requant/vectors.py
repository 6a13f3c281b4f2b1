"""Golden vectors of a requantisation unit: parameters to be loaded, accumulators, and what comes out."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from .multiplier import MultiplierSpec
from .partialsum import PartialSumSpec
from .spec import LoadableSpec, RequantSpec
from .thresholds import ThresholdSpec

__all__ = ["golden_vectors"]

_GROUPS = 8  # that are loaded, at most


def golden_vectors(spec: LoadableSpec, count: int = 256) -> dict[str, Any]:
    """Loads and ``count`` accumulators with their codes or totals, as JSON types; the same for the same spec.

    loads: one for each of the first groups: its number, the numbers of its parameter set and the word of
    load_parameters, hexadecimal. Then accumulators with their groups in the order in which they enter, and codes; of a
    sum of heads first and last beside them, and totals, null where the sum goes on.
    """
    rng = random.Random(spec.name)
    groups = range(min(spec.groups, _GROUPS))
    sets = [_parameters(spec, rng) for _ in groups]
    loads = [
        {"group": group, "parameters": numbers, "load_parameters": f"{spec.pack_parameters(numbers):x}"}
        for group, numbers in zip(groups, sets, strict=True)
    ]
    chosen = [rng.choice(groups) for _ in range(count)]
    accumulators = [_accumulator(spec, sets[group], rng) for group in chosen]
    found: dict[str, Any] = {"module": spec.name, "loads": loads, "group": chosen, "accumulator": accumulators}
    if isinstance(spec, RequantSpec):
        found["code"] = spec.compute(accumulators, [sets[group] for group in chosen]).tolist()
    elif isinstance(spec, PartialSumSpec):
        lengths: list[int] = []
        while sum(lengths) < count:
            lengths.append(min(rng.randint(1, spec.groups), count - sum(lengths)))
        ends = np.cumsum(lengths)
        found["first"] = [int(place in {0, *ends}) for place in range(count)]
        found["last"] = [int(place + 1 in ends) for place in range(count)]
        found["total"] = [None] * count
        for end, length in zip(ends.tolist(), lengths, strict=True):
            part = slice(end - length, end)
            total = spec.compute(accumulators[part], [sets[group] for group in chosen[part]])
            found["total"][end - 1] = int(total)
    return found


def _parameters(spec: LoadableSpec, rng: random.Random) -> list[int]:
    """One parameter set with which most codes occur."""
    low, high = spec.accumulator_range
    if isinstance(spec, ThresholdSpec):
        return sorted(rng.randint(low, high + 1) for _ in spec.parameter_fields)
    numbers = [rng.randint(item.low, item.high) for item in spec.parameter_fields]
    if isinstance(spec, MultiplierSpec):  # the middle of the accumulators has a code in the middle
        shift = numbers[2] if spec.shift_bits else spec.shift
        item = spec.parameter_fields[0]
        slope = max(1, ((1 << spec.bits) << shift) // (high - low + 1))
        numbers[0] = min(max(slope + rng.randint(-(slope // 4), slope // 4), item.low), item.high)
        item = spec.parameter_fields[1]
        numbers[1] = min(max((1 << (spec.bits - 1)) << shift, item.low), item.high)
    return numbers


def _accumulator(spec: LoadableSpec, numbers: list[int], rng: random.Random) -> int:
    """Anywhere, at an end of the range, or next to where the code changes."""
    low, high = spec.accumulator_range
    near = [low, high, 0, -1, *(step - rng.randint(0, 1) for step in spec.steps(numbers))]
    return rng.choice(near) if rng.random() < 0.5 else rng.randint(low, high)
