"""What the cost model and two simpler ones say of calibration points, and how far each is off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hwmodel.model import Cost, LibraryModel, core_cost, cost_of
from rtl.array import CoreSpec

from .baselines import polynomial, product
from .fitting import Point

__all__ = ["Errors", "Prediction", "errors_by", "predictions"]


@dataclass(frozen=True)
class Prediction:
    """A point and what the model and the baselines say of it.

    Each of area (um2), power (uW) and period (ns) is measured, predicted by the model, by the product of the operand
    widths, and by the polynomial.
    """

    point: Point
    area: tuple[float, float, float, float]
    power: tuple[float, float, float, float]
    period: tuple[float, float, float, float]


@dataclass(frozen=True)
class Errors:
    """Mean and largest relative error over ``points``, in percent: of the model and of the two baselines."""

    points: int
    mean: tuple[float, float, float]
    largest: tuple[float, float, float]


def predictions(
    points: Sequence[Point], model: LibraryModel, chosen: Callable[[Point], bool] = lambda _: True
) -> list[Prediction]:
    """What the model says of every point that is chosen, and what the baselines do that are fitted to those not held
    out.
    """
    fitted = [point for point in points if not point.held_out]
    found = {}
    for name, value in _MEASURED.items():
        found[name] = product(fitted, value, points), polynomial(fitted, value, points)
    made = []
    for index, point in enumerate(points):
        if not chosen(point):
            continue
        cost = _cost(point, model)
        said = {"area": cost.total_area_um2, "power": cost.power_uw, "period": cost.minimum_period_ns}
        figures = {}
        for name, value in _MEASURED.items():
            widths, polynomials = found[name]
            figures[name] = value(point), said[name], float(widths[index]), float(polynomials[index])
        made.append(Prediction(point, figures["area"], figures["power"], figures["period"]))
    return made


def errors_by(found: Sequence[Prediction], group: Callable[[Prediction], str]) -> dict[str, dict[str, Errors]]:
    """Errors of area, power and period for each group of predictions, groups in the order in which they appear."""
    groups: dict[str, list[Prediction]] = {}
    for each in found:
        groups.setdefault(group(each), []).append(each)
    return {name: {quantity: _errors(each, quantity) for quantity in _MEASURED} for name, each in groups.items()}


def _errors(found: Sequence[Prediction], quantity: str) -> Errors:
    # Area and period do not depend on the operands: each netlist counts once.
    if quantity != "power":
        found = list({(each.point.spec, each.point.clock_mhz): each for each in found}.values())
    figures = [getattr(each, quantity) for each in found]
    relative = [[100 * abs(said / value - 1) for said in others] for value, *others in figures]
    columns = list(zip(*relative, strict=True))
    mean = tuple(sum(column) / len(column) for column in columns)
    return Errors(len(found), (mean[0], mean[1], mean[2]), (max(columns[0]), max(columns[1]), max(columns[2])))


def _cost(point: Point, model: LibraryModel) -> Cost:
    if isinstance(point.spec, CoreSpec):
        return core_cost(point.spec, point.plan, model, point.clock_mhz)
    return cost_of(point.spec, point.plan, model, point.clock_mhz)


def _area(point: Point) -> float:
    return point.area_um2


def _power(point: Point) -> float:
    return point.power_uw


def _period(point: Point) -> float:
    return point.minimum_period_ns


_MEASURED: Mapping[str, Callable[[Point], float]] = {"area": _area, "power": _power, "period": _period}
