"""What arrays are given to compute in their simulations, and which arrays of each design are simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError
from sim.mac import operand_codes, some_precisions, with_size

__all__ = [
    "Job",
    "Settings",
    "Step",
    "arrays_of",
    "few_precisions",
    "limit_settings",
    "load_jobs",
    "random_codes",
    "random_parameters",
    "save_jobs",
]

IntArray = npt.NDArray[np.int64]

_PLACES = {
    Architecture.BROADCAST: (
        (2, 3, 1), (3, 1, 2), (2, 2, 2), (1, 4, 1), (1, 1, 1), (2, 3, 2), (3, 2, 1), (4, 4, 2)
    ),
    Architecture.SYSTOLIC: (
        (3, 1, 2), (2, 2, 1), (2, 3, 2), (1, 1, 1), (3, 1, 3), (1, 4, 1), (4, 4, 2), (2, 3, 2)
    ),
}  # fmt: skip
"""Rows, columns and drains of the array of each design: one of either, both odd, more of one than of the other, drains
of as many rows and not. The simulator writes out every gate of every element, so designs of many gates get few of them.
"""
_SIZES = (2, 1, 1, 1, 1, 1, 7, 5)
"""Lanes or units of an element of each design."""
_DEPTH = 8192


@dataclass(frozen=True)
class Settings:
    """What a run makes of its sums: shifted left, negated, added to the results before, halved, requantised (column
    tile t by parameter set ``group``, or by ``group`` + t where ``group_step``).
    """

    shift: int = 0
    negate: bool = False
    accumulate: bool = False
    halve: bool = False
    requantise: bool = False
    group: int = 0
    group_step: bool = False

    def ports(self, spec: ArraySpec) -> dict[str, int]:
        """By port; an array without requantisers has none for the last three. Raises InputError for a setting that is
        asked for and has no port.
        """
        names = {port.name for port in spec.settings}
        for item in fields(self):
            if item.name not in names and getattr(self, item.name) != item.default:
                raise InputError(f"{item.name} must be {item.default} in an array without a port for it")
        return {name: int(value) for name, value in vars(self).items() if name in names}


@dataclass(frozen=True, eq=False)
class Step:
    """One run: activations [M, K] times weights [N, K] transposed."""

    activations: IntArray
    weights: IntArray
    precision: Precision
    settings: Settings = Settings()


@dataclass(frozen=True, eq=False)
class Job:
    """Runs one after the other on array ``index`` of the bench, whose results [M, N] after the last are known."""

    index: int
    label: str
    steps: tuple[Step, ...]
    expected: IntArray


def save_jobs(path: Path, jobs: Sequence[Job]) -> None:
    """Writes jobs to one file, which :func:`load_jobs` reads."""
    arrays: dict[str, IntArray] = {}
    described = []
    for number, job in enumerate(jobs):
        arrays[f"{number}"] = job.expected
        for place, step in enumerate(job.steps):
            arrays[f"{number}.{place}.activations"] = step.activations
            arrays[f"{number}.{place}.weights"] = step.weights
        settings = [[vars(step.precision), vars(step.settings)] for step in job.steps]
        described.append({"index": job.index, "label": job.label, "steps": settings})
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, described=np.array(json.dumps(described)), **arrays)


def load_jobs(path: Path) -> list[Job]:
    """The jobs that :func:`save_jobs` wrote."""
    with np.load(path) as data:
        found = []
        for number, item in enumerate(json.loads(str(data["described"]))):
            steps = tuple(
                Step(
                    data[f"{number}.{place}.activations"],
                    data[f"{number}.{place}.weights"],
                    Precision(**precision),
                    Settings(**settings),
                )
                for place, (precision, settings) in enumerate(item["steps"])
            )
            found.append(Job(item["index"], item["label"], steps, data[f"{number}"]))
    return found


def arrays_of(design: type[MacSpec]) -> tuple[ArraySpec, ArraySpec]:
    """A broadcast and a systolic array of small units; places and pipeline stages differ from design to design."""
    number = DESIGNS.index(design)
    variants = [design(**given) for given in design.variants()]
    size = _SIZES[number % len(_SIZES)]
    found = []
    for kind, architecture in enumerate(Architecture):
        rows, columns, drains = _PLACES[architecture][number % len(_SIZES)]
        found.append(
            ArraySpec(
                mac=with_size(variants[kind % len(variants)], size, pipeline_stages=(number + kind) % 3),
                rows=rows,
                columns=columns,
                drains=drains,
                architecture=architecture,
                activation_depth=_DEPTH,
                weight_depth=_DEPTH + 8 * number,
                result_depth=64 + number,
                result_width=32 + kind,
            )
        )
    return found[0], found[1]


def few_precisions(mac: MacSpec, most: int = 4) -> tuple[Precision, ...]:
    """The narrowest, the widest, and some between, with signed and with unsigned activations."""
    known = some_precisions(mac)
    places = {round(place) for place in np.linspace(0, len(known) - 1, most)}
    return tuple(known[place] for place in sorted(places))


def random_codes(
    mac: MacSpec, precision: Precision, shape: tuple[int, int, int], rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Activations [M, K] and weights [N, K] for a shape (M, K, N), K at most what the MAC may sum up; one time in four
    both are at a corner.
    """
    m, k, n = shape[0], min(shape[1], mac.reduction_length), shape[2]
    weights, activations = operand_codes(mac, precision)
    if rng.random() < 0.25:
        weights, activations = (rng.choice(codes[[0, -1]], 1) for codes in (weights, activations))
    return rng.choice(activations, (m, k)), rng.choice(weights, (n, k))


def random_parameters(requant: RequantSpec, sums: IntArray, rng: np.random.Generator, count: int) -> IntArray:
    """Parameter sets [count, fields] that make all kinds of codes of sums such as those, and now and then one alone."""
    low, high = int(sums.min()), int(sums.max())
    if isinstance(requant, ThresholdSpec):
        sets = np.sort(rng.integers(low - 1, high + 3, (count, len(requant.parameter_fields))), axis=1)
    else:
        fields = {item.name: item for item in requant.parameter_fields}
        assert isinstance(requant, MultiplierSpec)
        shifts = rng.integers(0, 1 << requant.shift_bits, count) + requant.shift
        span = float(1 << requant.bits) * (1 << shifts)
        multipliers = np.maximum(1, span / (high - low + 1) * rng.uniform(0.5, 2, count)).astype(np.int64)
        multipliers = np.minimum(multipliers, fields["multiplier"].high)
        offsets = (rng.uniform(-0.3, 0.3, count) * span).astype(np.int64) - low * multipliers
        offsets = np.clip(offsets, fields["offset"].low, fields["offset"].high)
        sets = np.stack([multipliers, offsets, shifts][: len(fields)], axis=1)
    for index, item in enumerate(requant.parameter_fields):  # the ends of each field
        ends = rng.random(count) < 0.03
        sets[ends, index] = rng.choice([item.low, item.high], int(ends.sum()))
    return np.sort(sets, axis=1) if isinstance(requant, ThresholdSpec) else sets


def limit_settings(spec: ArraySpec, rng: np.random.Generator, random_runs: int = 12) -> Iterator[dict[str, int]]:
    """Settings of runs by port, short ones where they are legal: every size 0 (alone and with another), every memory
    just full and one word more, by its sizes and by its base, the largest numbers, every bit of a size or a base alone,
    sizes of any factors whose words just fit, and random ones.
    """
    widths = {port.name: port.width for port in spec.settings}
    sizes = ("steps", "weight_planes", "activation_planes", "row_tiles", "column_tiles")
    small = dict.fromkeys(widths, 0) | dict.fromkeys(sizes, 1)
    yield small
    for name in sizes:
        yield small | {name: 0}
        yield small | {
            name: 0,
            sizes[int(rng.integers(len(sizes)))]: 0,
            "result_base": (1 << widths["result_base"]) - 1,
        }
        yield small | {name: (1 << widths[name]) - 1}
    yield {name: (1 << width) - 1 for name, width in widths.items()}
    most = {"weight": spec.weight_depth, "activation": spec.activation_depth, "result": spec.result_depth}
    grown = {"weight": "column_tiles", "activation": "row_tiles", "result": "row_tiles"}
    for name, depth in most.items():
        unit = spec.drain_rows if name == "result" else 1
        planes = {} if name == "result" else {f"{name}_planes": min(2, spec.control_cycles)}
        step = unit * planes.get(f"{name}_planes", 1)
        for steps in (1, 3) if name != "result" else (1,):
            tiles = int(rng.integers(1, 4))
            full = small | planes | {grown[name]: tiles, "steps": steps}
            words = step * steps * tiles
            for base in (depth - words, depth - words + 1, (1 << widths[f"{name}_base"]) - 1):
                if 0 <= base < 1 << widths[f"{name}_base"]:
                    yield full | {f"{name}_base": base}
        yield small | {grown[name]: depth // unit + 1}
        yield small | planes | {"steps": depth // step + 1, grown[name]: 1}
    tables = spec.control_depth - spec.control_cycles - 1
    for base in (tables, tables + 1):
        if base < 1 << widths["control_base"]:
            yield small | {"control_base": base}
    yield small | {"weight_planes": min(spec.control_cycles + 1, 15), "activation_planes": 15}
    if spec.requant is not None:
        for group in {spec.requant.groups - 1, (1 << widths["group"]) - 1}:
            yield small | {"requantise": 1, "group": group}
            yield small | {"requantise": 1, "group": group, "group_step": 1, "column_tiles": 2}
    for name, width in widths.items():
        if name in sizes or name.endswith("_base"):
            yield from (small | {name: 1 << bit} for bit in range(width))
    yield from _near(spec, rng, small)
    for _ in range(random_runs):
        yield {name: int(rng.integers(0, 1 << int(rng.integers(1, width + 1)))) for name, width in widths.items()}


def _near(
    spec: ArraySpec, rng: np.random.Generator, small: dict[str, int], count: int = 12
) -> Iterator[dict[str, int]]:
    """Of each operand and result memory, sizes and planes of random factors at a base where the last word is the last
    of the memory, and one further on.
    """
    most = {"weight": spec.weight_depth, "activation": spec.activation_depth, "result": spec.result_depth}
    grown = {"weight": "column_tiles", "activation": "row_tiles", "result": "row_tiles"}
    for name, depth in most.items():
        for _ in range(count):
            planes = {} if name == "result" else {f"{name}_planes": int(rng.integers(1, min(15, depth) + 1))}
            unit = spec.drain_rows if name == "result" else planes[f"{name}_planes"]
            first = int(rng.integers(1, max(1, depth // unit) + 1))
            second = int(rng.integers(1, max(1, depth // (unit * first)) + 1))
            chosen = small | planes | {grown[name]: first, "column_tiles" if name == "result" else "steps": second}
            for base in (depth - first * second * unit, depth - first * second * unit + 1):
                if base < 1 << max(1, (depth - 1).bit_length()):
                    yield chosen | {f"{name}_base": base}
