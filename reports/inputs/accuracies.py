"""Accuracies of own training runs: the file, read strictly, and what is said of runs that differ in their seed only.

    {"format": "siliquant-accuracy 1",
     "source": "python -m qat.train ...",            where the runs come from, for people
     "date": "2026-11-20",                           of the newest run
     "runs": [{"name": "W2A2 all three",             the method; runs of one name, model and data differ in seed only
               "model": "vit-mnist",                 a workload's name where there is one, else any
               "data": "mnist5k",
               "weight_bits": 2, "activation_bits": 2,       32 is full precision
               "seed": 0, "samples": 1000,           test samples
               "accuracy_percent": 96.1,
               "low_percent": 94.7, "high_percent": 97.1},   its 95 % interval, Wilson's
              ...]}

``python -m reports.runs`` writes it from folders of qat.train.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rtl.spec import check_integer
from siliquant.inputs import InputError, InputTypeError, belongs, json_object, read_text, short, wilson_interval

__all__ = ["FORMAT", "FULL_PRECISION", "Accuracies", "Method", "Run", "methods", "read_accuracies", "to_json"]

FORMAT = "siliquant-accuracy 1"
FULL_PRECISION = 32
_MOST_BYTES = 4 << 20
_ROUNDED = 0.1  # percent: accuracies and ends of intervals that are stated to a tenth


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run and its accuracy on the test split, 0 to 100 %, with the interval of 95 %."""

    name: str
    model: str
    data: str
    weight_bits: int
    activation_bits: int
    seed: int
    samples: int
    accuracy_percent: float
    low_percent: float
    high_percent: float

    def __post_init__(self) -> None:
        for name in ("name", "model", "data"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise InputTypeError(f"{name} must be a text, not {short(value)}")
        for name in ("weight_bits", "activation_bits"):
            bits = check_integer(name, getattr(self, name), 1)
            if bits > 8 and bits != FULL_PRECISION:
                raise InputError(f"{name} must be from 1 to 8, or {FULL_PRECISION} for full precision, not {bits}")
        check_integer("seed", self.seed, 0)
        check_integer("samples", self.samples, 1)
        for name in ("accuracy_percent", "low_percent", "high_percent"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputTypeError(f"{name} must be a number, not {short(value)}")
        if not 0 <= self.low_percent <= self.accuracy_percent <= self.high_percent <= 100:
            raise InputError(
                "accuracy_percent must be from low_percent to high_percent, all from 0 to 100, not "
                f"{self.accuracy_percent} from {self.low_percent} to {self.high_percent}"
            )
        self._check_interval()

    def _check_interval(self) -> None:
        """Raises InputError for a share or an interval that so many samples cannot give, to a tenth of a percent."""
        correct = self.accuracy_percent / 100 * self.samples
        if abs(correct - round(correct)) > max(self.samples * _ROUNDED / 2 / 100, 1e-6):
            raise InputError(
                f"accuracy_percent must be a share of {self.samples} samples, and {self.accuracy_percent} is none"
            )
        low, high = (100 * end for end in wilson_interval(correct, self.samples))
        if max(abs(low - self.low_percent), abs(high - self.high_percent)) > _ROUNDED:
            raise InputError(
                f"low_percent and high_percent must be Wilson's interval of 95 %, {low:.2f} to {high:.2f} for "
                f"{self.accuracy_percent} % of {self.samples} samples, not {self.low_percent} to {self.high_percent}"
            )


@dataclass(frozen=True)
class Accuracies:
    """What a file holds."""

    source: str
    date: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Method:
    """Runs that differ in their seed only."""

    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """Name, model, data and widths are the same in all."""
        return self.runs[0]

    @property
    def mean_percent(self) -> float:
        """Mean accuracy over the seeds."""
        return statistics.fmean(run.accuracy_percent for run in self.runs)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds in points; None of one."""
        return statistics.stdev(run.accuracy_percent for run in self.runs) if len(self.runs) > 1 else None

    @property
    def interval_percent(self) -> tuple[float, float]:
        """Means of the ends of the runs' intervals: for the size of the test split, not for the seeds."""
        low = statistics.fmean(run.low_percent for run in self.runs)
        return low, statistics.fmean(run.high_percent for run in self.runs)

    @property
    def bits(self) -> int | None:
        """The width, where weights and activations have one."""
        return self.first.weight_bits if self.first.weight_bits == self.first.activation_bits else None


def methods(runs: Sequence[Run]) -> tuple[Method, ...]:
    """Runs grouped by all but the seed, in the order in which they appear. ValueError for one seed twice."""
    groups: dict[tuple[str, str, str, int, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.name, run.model, run.data, run.weight_bits, run.activation_bits), []).append(run)
    for group in groups.values():
        seeds = [run.seed for run in group]
        if len(set(seeds)) != len(seeds):
            raise InputError(f"runs of {group[0].name} must have different seeds, not {', '.join(map(str, seeds))}")
    return tuple(Method(tuple(group)) for group in groups.values())


def read_accuracies(path: Path) -> Accuracies:
    """The runs in a file. ValueError, with the file's name, where it holds none; OSError as usual."""
    with belongs(path, "a file of accuracies"):
        data = json_object(read_text(path, _MOST_BYTES))
        if data.get("format") != FORMAT:
            raise InputError(f"its format must be {FORMAT!r}, not {short(data.get('format'))}")
        if set(data) != {"format", "source", "date", "runs"}:
            raise InputError("it must have format, source, date and runs, and no more")
        if not isinstance(data["source"], str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(data["date"])):
            raise InputError('its source must be a text and its date one as "2026-11-20"')
        if not isinstance(data["runs"], list) or not data["runs"]:
            raise InputError("its runs must be a list of at least one")
        runs = tuple(_run(number, entry) for number, entry in enumerate(data["runs"], start=1))
        methods(runs)
        return Accuracies(data["source"], data["date"], runs)


def to_json(found: Accuracies) -> str:
    """The text of a file that read_accuracies reads."""
    data = {"format": FORMAT, "source": found.source, "date": found.date, "runs": [asdict(run) for run in found.runs]}
    return json.dumps(data, indent=1) + "\n"


def _run(number: int, entry: object) -> Run:
    names = [field.name for field in fields(Run)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise InputError(f"run {number} must be an object with {', '.join(names)}")
    try:
        return Run(**entry)
    except InputError as error:
        raise InputError(f"run {number}: {error}") from None
