"""The designs of the calibration, and the error of the cost model."""

from __future__ import annotations

from pathlib import Path

import hwmodel
from docs_tools.markdown import joined
from hwmodel.calibration import PACKAGED_CALIBRATION
from hwmodel.modelfile import known_models
from hwmodel.sweep import sweep_designs
from hwmodel.validationtables import TARGETS, markdown, summary, validated
from rtl.mac import DESIGNS

__all__ = ["OWNS", "texts"]

OWNS = ("calibration", "validate", "aim")
COMMAND = "python -m hwmodel.validate --cost-models hwmodel/data/models --format markdown"
MODELS = Path(hwmodel.__file__).parent / "data" / "models"


def texts() -> dict[str, str]:
    """By place."""
    kinds = {design.design for design in DESIGNS}
    designs = [design for design in sweep_designs() if design.spec.design in kinds]
    found = {name: validated(PACKAGED_CALIBRATION / f"{name}.csv", MODELS) for name in known_models()}
    values = {
        "calibration.designs": str(len(designs)),
        "calibration.arrays": str(len(sweep_designs()) - len(designs)),
        "calibration.kinds": str(len({design.spec.design for design in designs})),
        "calibration.held-out": str(sum(design.held_out is not None for design in designs)),
        "calibration.larger": str(sum(design.held_out == "size" for design in designs)),
        "calibration.high-pressure": str(round(100 * sum(len(d.pressures) > 2 for d in designs) / len(designs))),
        "calibration.libraries": joined(sorted(found)),
        "validate": f"`{COMMAND}` prints:\n\n{markdown(found, 'design', 5).strip()}",
    }
    for name, (mean, largest) in TARGETS.items():
        values[f"aim.{name}"] = f"{mean:g} / {largest:g}"
    values["calibration-verdict"] = "\n".join(_verdict(name, each.of(True)) for name, each in found.items())
    return values


def _verdict(library: str, held_out: list) -> str:  # type: ignore[type-arg]
    """Which of the aims are met in a library, in words."""
    parts = []
    for name, errors in summary(held_out).items():
        mean, largest = errors.mean[0] <= TARGETS[name][0], errors.largest[0] <= TARGETS[name][1]
        said = {
            (True, True): "meets it",
            (True, False): "meets its mean and misses its largest",
            (False, True): "misses its mean and meets its largest",
            (False, False): "misses both",
        }[mean, largest]
        parts.append(f"{name} {said} ({errors.mean[0]:.1f} / {errors.largest[0]:.1f})")
    return f"In {library} {'; '.join(parts)}."
