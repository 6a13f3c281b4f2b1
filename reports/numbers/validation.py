"""What the cost model predicts of every calibration point, beside what synthesis measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwmodel.fit import Prediction, Validated, errors_by, validated
from hwmodel.measurement import PACKAGED_CALIBRATION
from hwmodel.model import PACKAGED_MODELS, known_models

__all__ = ["Library", "Point", "Quantity", "libraries", "library_names"]

_UNITS = {"area": "µm²", "power": "µW", "period": "ns"}


@dataclass(frozen=True)
class Point:
    """One measurement and the prediction of it. design: the module's name; clock_mhz: that it was made for."""

    design: str
    clock_mhz: float
    activity: str
    held_out: bool
    measured: float
    predicted: float


@dataclass(frozen=True)
class Quantity:
    """Area in um2, power in uW or period in ns of all points. mean_percent, largest_percent: errors held out."""

    name: str
    unit: str
    points: tuple[Point, ...]
    mean_percent: float
    largest_percent: float
    fitted_percent: float


@dataclass(frozen=True)
class Library:
    """All points of a library; designs, held_out: numbers of designs."""

    name: str
    corner: str
    date: str
    command: str
    tools: dict[str, str]
    quantities: tuple[Quantity, ...]
    designs: int
    held_out: int

    def quantity(self, name: str) -> Quantity:
        """Area, power or period."""
        return next(each for each in self.quantities if each.name == name)


def library_names(tables: Path = PACKAGED_CALIBRATION, models: Path = PACKAGED_MODELS) -> tuple[str, ...]:
    """The libraries that have a calibration table and a model."""
    return tuple(name for name in known_models(models) if (tables / f"{name}.csv").is_file())


def libraries(tables: Path = PACKAGED_CALIBRATION, models: Path = PACKAGED_MODELS) -> tuple[Library, ...]:
    """All that have points held out, as those of the sweep do: fitted ones alone tell no error to trust.

    Raises ValueError where a table is damaged.
    """
    found = (validated(tables / f"{name}.csv", models) for name in library_names(tables, models))
    return tuple(_library(each) for each in found if each.of(True) and each.of(False))


def _library(found: Validated) -> Library:
    about = found.table.provenance
    return Library(
        name=about.library,
        corner=about.corner,
        date=about.date,
        command=about.command,
        tools={name: about.tools[name] for name in ("yosys", "opensta", "siliquant") if name in about.tools},
        quantities=tuple(_quantity(name, found.predictions) for name in _UNITS),
        designs=about.designs,
        held_out=sum(len(names) for names in about.held_out.values()),
    )


def _quantity(name: str, predictions: Sequence[Prediction]) -> Quantity:
    """Area and period do not depend on operands: each netlist counts once, as in hwmodel.validate."""
    chosen = list(predictions)
    if name != "power":
        chosen = list({(each.point.spec, each.point.clock_mhz): each for each in predictions}.values())
    points = []
    for each in chosen:
        measured, predicted = getattr(each, name)[:2]
        held_out = bool(each.point.held_out)
        activity = f"{each.point.plan.precision}, {each.point.plan.stream.name}" if name == "power" else ""
        points.append(Point(each.point.spec.name, each.point.clock_mhz, activity, held_out, measured, predicted))
    errors = errors_by(predictions, lambda each: "held out" if each.point.held_out else "fitted")
    held, fitted = errors["held out"][name], errors["fitted"][name]
    return Quantity(name, _UNITS[name], tuple(points), held.mean[0], held.largest[0], fitted.mean[0])
