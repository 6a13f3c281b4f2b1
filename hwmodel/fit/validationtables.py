"""Tables of the cost model's error: terminal and Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodel.measurement import CalibrationTable, read_calibration
from hwmodel.model import LEFT_OUT_DESIGNS, LibraryModel, load_model
from rtl.array import CoreSpec
from siliquant.commandline import console, print_table
from siliquant.inputs import InputError

from .fitting import Point, fit
from .validation import Errors, Prediction, errors_by, predictions

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TARGETS",
    "Validated",
    "errors_frame",
    "fit_table",
    "held_out_error",
    "held_out_groups",
    "largest_frame",
    "markdown",
    "markdown_summary",
    "points_of",
    "print_tables",
    "summary",
    "validated",
]

_QUANTITIES = ("area", "power", "period")
_KINDS = ("model", "widths", "polynomial")
TARGETS = {"area": (2.0, 10.0), "power": (4.0, 15.0), "period": (5.0, 15.0)}
"""Mean and largest error that are aimed at, in percent."""


@dataclass(frozen=True)
class Validated:
    """One library's predictions, fitted and held out, and how many designs each has."""

    table: CalibrationTable
    predictions: tuple[Prediction, ...]

    def of(self, held_out: bool) -> list[Prediction]:
        """The predictions of points that were held out, or of those that were fitted."""
        return [each for each in self.predictions if bool(each.point.held_out) is held_out]


def points_of(table: CalibrationTable) -> list[Point]:
    """The points of a table. Raises ValueError where glitches were not simulated."""
    rows = table.rows
    if rows["glitch_pj"].isna().any():
        raise InputError("every row must have its glitch energy: calibrate where Icarus Verilog is installed")
    return [
        Point(
            spec=spec,
            plan=plan,
            clock_mhz=row["clock_mhz"],
            held_out=row["held_out"],
            area_um2=row["area_um2"],
            minimum_period_ns=row["minimum_period_ns"],
            meets_clock=row["meets_clock"],
            recipe=row["recipe"],
            leakage_uw=row["leakage_uw"],
            clock_pj=row["clock_pj"],
            settled_pj=row["settled_pj"],
            glitch_pj=row["glitch_pj"],
            idle_pj=None if math.isnan(row["idle_pj"]) else row["idle_pj"],
        )
        for spec, plan, row in zip(table.specs(), table.plans(), rows.to_dict("records"), strict=True)
    ]


def fit_table(table: CalibrationTable) -> LibraryModel:
    """The model fitted to the points of a table that are not held out."""
    about = table.provenance
    texts = {
        "process": about.process,
        "library_sha256": about.library_sha256,
        "yosys": about.tools.get("yosys", "none"),
        "opensta": about.tools.get("opensta", "none"),
        "flow_version": str(about.flow_version),
        "effort": about.effort,
        "calibration_command": about.command,
        "calibration_date": about.date,
        "fitted_designs": str(about.designs - sum(len(names) for names in about.held_out.values())),
        "held_out_designs": str(sum(len(names) for names in about.held_out.values())),
    }
    if about.left_out:
        texts[LEFT_OUT_DESIGNS] = str(len(about.left_out))
    return fit(points_of(table), about.library, about.corner, about.voltage_v, texts)


def held_out_error(table: CalibrationTable, model: LibraryModel) -> str:
    """The model's error on the points of a table that were held out of its fit, as a sentence."""
    found = errors_by(
        predictions(points_of(table), model), lambda each: "held out" if each.point.held_out else "fitted"
    )
    if "held out" not in found:
        return "no design was held out, so its error is not known"
    figures = ", ".join(
        f"{quantity} {errors.mean[0]:.1f} % (at most {errors.largest[0]:.1f} %, {errors.points} points)"
        for quantity, errors in found["held out"].items()
    )
    designs = sum(len(names) for names in table.provenance.held_out.values())
    return f"mean error on {designs} designs that were held out: {figures}"


def validated(path: Path, models: Path | None = None) -> Validated:
    """The predictions for every point of a table, by a model fitted now or read from the folder ``models``."""
    table = read_calibration(path)
    model = fit_table(table) if models is None else load_model(table.provenance.library, models)
    return Validated(table, tuple(predictions(points_of(table), model)))


def _group(by: str) -> Callable[[Prediction], str]:
    if by == "design":
        return lambda each: each.point.spec.design
    if by == "reason":
        return lambda each: each.point.held_out or "fitted"
    return lambda each: "all"


def _lines(found: Mapping[str, Validated], by: str) -> list[tuple[str, str, str, dict[str, Errors]]]:
    """Library, group, fitted or held out, errors; held out first, its whole before its groups."""
    lines = []
    for library, one in found.items():
        for held_out, label in ((True, "held out"), (False, "fitted")):
            chosen = one.of(held_out)
            if not chosen:
                continue
            lines.append((library, "all", label, errors_by(chosen, lambda each: "all")["all"]))
            if by != "library":
                groups = errors_by(chosen, _group(by))
                lines += [(library, name, label, groups[name]) for name in sorted(groups)]
    return lines


_HEADERS = (
    "library", "designs", "points", "netlists",
    *(f"{name}, {kind}" for name in _QUANTITIES for kind in _KINDS),
)  # fmt: skip


def _cells(line: tuple[str, str, str, dict[str, Errors]]) -> list[str]:
    library, group, label, errors = line
    cells = [library, group, f"{label} ({errors['power'].points})", str(errors["area"].points)]
    for name in _QUANTITIES:
        one = errors[name]
        cells += [f"{one.mean[k]:.1f} / {one.largest[k]:.1f}" for k in range(3)]
    return cells


def _largest(one: Validated, quantity: str, number: int) -> list[tuple[Prediction, float]]:
    """The points with the largest errors of one quantity, in percent, each netlist once."""
    errors = [(each, 100 * (getattr(each, quantity)[1] / getattr(each, quantity)[0] - 1)) for each in one.of(True)]
    found: dict[tuple[str, float], tuple[Prediction, float]] = {}
    for each, error in sorted(errors, key=lambda pair: -abs(pair[1])):
        found.setdefault((each.point.spec.name, each.point.clock_mhz), (each, error))
    return list(found.values())[:number]


def _worst(one: Validated, quantity: str, number: int) -> list[str]:
    """The same in words."""
    texts = []
    for each, error in _largest(one, quantity, number):
        point = each.point
        under = f" ({point.plan.precision}, {point.plan.stream.name})" if quantity == "power" else ""
        texts.append(f"{point.spec.name} at {point.clock_mhz:g} MHz{under}: {error:+.1f} %")
    return texts


def held_out_groups(one: Validated) -> dict[str, list[Prediction]]:
    """Held-out predictions of MACs and of whole arrays, where there are any."""
    groups: dict[str, list[Prediction]] = {"MACs": [], "arrays": []}
    for each in one.of(True):
        groups["arrays" if isinstance(each.point.spec, CoreSpec) else "MACs"].append(each)
    return {name: group for name, group in groups.items() if group}


def _aims(found: Mapping[str, Validated]) -> list[tuple[str, ...]]:
    """Lines of library, designs, and the errors of each quantity beside what was aimed at, * at those that miss it."""
    lines = []
    for library, one in found.items():
        for group, chosen in held_out_groups(one).items():
            errors = summary(chosen)
            cells = []
            for quantity in _QUANTITIES:
                pairs = zip((errors[quantity].mean[0], errors[quantity].largest[0]), TARGETS[quantity], strict=True)
                cells.append(" / ".join(f"{value:.1f}{'*' if value > aim else ''}" for value, aim in pairs))
            lines.append((library, group, *cells))
    return lines


_AIMS = ("library", "held out", *(f"{name}, aim {mean:g} / {most:g}" for name, (mean, most) in TARGETS.items()))


def markdown_summary(found: Mapping[str, Validated]) -> str:
    """Errors on held-out MACs and arrays as Markdown, in percent as mean / largest, beside what was aimed at."""
    lines = ["| " + " | ".join(_AIMS) + " |", "|---|---|" + "---:|" * 3]
    lines += ["| " + " | ".join(cell.replace("*", " \\*") for cell in line) + " |" for line in _aims(found)]
    return "\n".join([*lines, "", "\\* misses what was aimed at"]) + "\n"


def markdown(found: Mapping[str, Validated], by: str, worst: int) -> str:
    """Everything as Markdown: the summary, then errors of every group, then the points with the largest."""
    lines = [markdown_summary(found), "| " + " | ".join(_HEADERS) + " |", "|---|---|---|---:|" + "---:|" * 9]
    lines += ["| " + " | ".join(_cells(line)) + " |" for line in _lines(found, by)]
    for library, one in found.items():
        for quantity in _QUANTITIES if worst else ():
            lines += [
                "",
                f"Largest errors of {quantity}, {library}, held out: {'; '.join(_worst(one, quantity, worst))}.",
            ]
    return "\n".join(lines) + "\n"


def errors_frame(found: Mapping[str, Validated], by: str) -> pd.DataFrame:
    """The errors of every group, a line each: mean and largest in percent, of the model and of the two baselines.

    points: rows of the calibration table; netlists: of which area and period are.
    """
    import pandas as pd

    lines = []
    for library, group, label, errors in _lines(found, by):
        line: dict[str, str | int | float] = {"library": library, "designs": group, "fit": label}
        line |= {"points": errors["power"].points, "netlists": errors["area"].points}
        for quantity in _QUANTITIES:
            for place, kind in enumerate(_KINDS):
                line[f"{quantity}_{kind}_mean_percent"] = round(errors[quantity].mean[place], 1)
                line[f"{quantity}_{kind}_largest_percent"] = round(errors[quantity].largest[place], 1)
        lines.append(line)
    return pd.DataFrame(lines)


def largest_frame(found: Mapping[str, Validated], number: int) -> pd.DataFrame:
    """The ``number`` held-out points of each library with the largest errors of each quantity, a line each."""
    import pandas as pd

    lines = [
        {
            "library": library,
            "quantity": quantity,
            "design": each.point.spec.name,
            "clock_mhz": each.point.clock_mhz,
            "precision": str(each.point.plan.precision),
            "stream": each.point.plan.stream.name,
            "error_percent": round(error, 1),
        }
        for library, one in found.items()
        for quantity in _QUANTITIES
        for each, error in _largest(one, quantity, number)
    ]
    return pd.DataFrame(lines)


def print_tables(found: Mapping[str, Validated], by: str, worst: int) -> None:
    """The same on a terminal."""
    out = console()
    print_table(out, "held out, against what was aimed at (* misses it)", _AIMS, _aims(found), left=(0, 1), keys=2)
    lines = [_cells(line) for line in _lines(found, by)]
    print_table(out, "relative error in percent, mean / largest", _HEADERS, lines, left=(0, 1, 2), keys=3)
    for library, one in found.items():
        for quantity in _QUANTITIES if worst else ():
            out.print(f"largest errors of {quantity}, {library}, held out:")
            for text in _worst(one, quantity, worst):
                out.print(f"  {text}")


def summary(found: Sequence[Prediction]) -> dict[str, Errors]:
    """Errors of area, power and period over some predictions."""
    return errors_by(found, lambda each: "all")["all"]
