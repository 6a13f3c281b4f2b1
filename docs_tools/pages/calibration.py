"""The designs of the calibration, and the error of the cost model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean

import hwmodel
from docs_tools.markdown import spread, table
from docs_tools.measured import packaged_rows
from docs_tools.packaged import spec_of
from docs_tools.results import read_result
from hwmodel.fit import (
    Validated,
    errors_frame,
    held_out_groups,
    largest_frame,
    markdown_summary,
    summary,
    validated,
)
from hwmodel.measurement import PACKAGED_CALIBRATION, named, sweep_designs
from hwmodel.model import idle_power_uw, known_models, load_model
from hwmodel.synthesis import FLOW_VERSION
from rtl.array import CoreSpec
from rtl.mac import DESIGNS, BitSerialSpec, LoomSpec
from rtl.spec import MacSpec
from siliquant.inputs import csv_of, listing

__all__ = ["OWNS", "texts"]

OWNS = ("calibration", "validate", "calibrate")
CLOCK_MHZ = 500.0
MODELS = Path(hwmodel.__file__).parent / "data" / "models"


def _parts() -> dict[str, str]:
    """The error of models that were fitted to a part of the sweep."""
    found = read_result("calibration-parts")
    names = ("area", "power", "period")
    columns = ("fitted", "measured", "share of area, %", *(f"{name}, all others" for name in names))
    lines = [[row[name] for name in columns] for row in found["freepdk45"]]
    few, other = found["freepdk45"][0], found["sky130hd"][0]
    return {
        "calibrate-parts": table(("fitted", "measured", "share of the sweep's area, %", *names), lines),
        "calibrate.own": listing([few[name] for name in names]),
        "calibrate.sky130hd": listing([other[f"{name}, all others"] for name in names]),
    }


def _arrays(one: Validated) -> set[CoreSpec]:
    """The arrays in a library's table."""
    return {spec for spec in one.table.specs() if isinstance(spec, CoreSpec)}


def _errors(found: Mapping[str, Validated]) -> dict[str, str]:
    """Mean errors on held-out MACs and arrays over all libraries, and the largest error of any point, in percent."""
    texts, largest = {}, []
    for group in ("MACs", "arrays"):
        errors = [summary(held_out_groups(one)[group]) for one in found.values()]
        for quantity in ("area", "power", "period"):
            texts[f"calibration.{group.lower()}-{quantity}"] = spread([each[quantity].mean[0] for each in errors])
            largest += [each[quantity].largest[0] for each in errors]
    return {**texts, "calibration.largest": f"{max(largest):.1f}"}


def _idle() -> str:
    """Mean and largest error of power without operands, on measured MACs that are not in the calibration table."""
    errors, model = [], load_model("freepdk45")
    for row in packaged_rows():
        known = row.design in {design.design for design in DESIGNS} and row.flow_version == FLOW_VERSION
        if known and row.library == "freepdk45" and row.clock_mhz == CLOCK_MHZ and row.idle_uw and row.wiring is None:
            spec = spec_of(named(row.design, row.spec))
            assert isinstance(spec, MacSpec)
            errors.append(abs(100 * (idle_power_uw(spec, model, CLOCK_MHZ) / row.idle_uw - 1)))
    return f"{mean(errors):.1f} % on average and {max(errors):.1f} % at most"


def _widths() -> str:
    """Estimated beside measured power at equal and at different widths."""
    lines = [
        (
            f"`{row['design']}`", row["widths"], f"{row['pressure']:.2f}", f"{row['area_percent']:+.1f}",
            f"{row['power_uw']:,.0f}", f"{row['power_percent']:+.1f}",
        )
        for row in read_result("pair-widths")["rows"]
    ]  # fmt: skip
    return table(("design", "widths", "pressure", "area, error %", "power uW", "power, error %"), lines, left=2)


def _serial(one: Validated) -> dict[str, str]:
    """Errors of the power of serial MACs without pipeline stages, by clock."""
    kinds = (BitSerialSpec.design, LoomSpec.design)
    found: dict[bool, list[float]] = {True: [], False: []}
    for each in one.predictions:
        spec = each.point.spec
        if isinstance(spec, MacSpec) and spec.design in kinds and not spec.pipeline_stages:
            found[each.point.relaxed].append(100 * (each.power[1] / each.power[0] - 1))
    return {
        f"calibration.serial-{name}": f"{mean(errors):+.1f} % on average, {min(errors):+.1f} to {max(errors):+.1f} %"
        for name, errors in (("relaxed", found[True]), ("pressed", found[False]))
    }


def texts() -> dict[str, str]:
    """By place."""
    kinds = {design.design for design in DESIGNS}
    designs = [design for design in sweep_designs() if design.spec.design in kinds]
    found = {name: validated(PACKAGED_CALIBRATION / f"{name}.csv", MODELS) for name in known_models()}
    return {
        "calibration.designs": str(len(designs)),
        "calibration.arrays": str(max(len(_arrays(one)) for one in found.values())),
        "calibration.kinds": str(len({design.spec.design for design in designs})),
        "calibration.held-out": str(sum(design.held_out is not None for design in designs)),
        "calibration.larger": str(sum(design.held_out == "size" for design in designs)),
        "calibration.libraries": listing(sorted(found)),
        "calibration.idle": _idle(),
        **_errors(found),
        **_parts(),
        **_serial(found["freepdk45"]),
        "calibration-widths": _widths(),
        "validate": markdown_summary(found).strip(),
        "validate-errors.csv": csv_of(errors_frame(found, "design")).strip(),
        "validate-largest.csv": csv_of(largest_frame(found, 5)).strip(),
    }
