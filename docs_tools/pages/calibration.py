"""The designs of the calibration, and the error of the cost model."""

from __future__ import annotations

from pathlib import Path

import hwmodel
from hwmodel.fit import Validated, markdown, validated
from hwmodel.measurement import PACKAGED_CALIBRATION, sweep_designs
from hwmodel.model import known_models
from rtl.array import CoreSpec
from rtl.mac import DESIGNS
from siliquant.inputs import listing

__all__ = ["OWNS", "texts"]

OWNS = ("calibration", "validate")
COMMAND = "python -m hwmodel.validate --cost-models hwmodel/data/models --format markdown"
MODELS = Path(hwmodel.__file__).parent / "data" / "models"


def _arrays(one: Validated) -> set[CoreSpec]:
    """The arrays in a library's table."""
    return {spec for spec in one.table.specs() if isinstance(spec, CoreSpec)}


def texts() -> dict[str, str]:
    """By place."""
    kinds = {design.design for design in DESIGNS}
    designs = [design for design in sweep_designs() if design.spec.design in kinds]
    found = {name: validated(PACKAGED_CALIBRATION / f"{name}.csv", MODELS) for name in known_models()}
    return {
        "calibration.designs": str(len(designs)),
        "calibration.arrays": str(min(len(_arrays(one)) for one in found.values())),
        "calibration.kinds": str(len({design.spec.design for design in designs})),
        "calibration.held-out": str(sum(design.held_out is not None for design in designs)),
        "calibration.larger": str(sum(design.held_out == "size" for design in designs)),
        "calibration.high-pressure": str(round(100 * sum(len(d.pressures) > 2 for d in designs) / len(designs))),
        "calibration.libraries": listing(sorted(found)),
        "validate": f"`{COMMAND}` prints:\n\n{markdown(found, 'design', 5).strip()}",
    }
