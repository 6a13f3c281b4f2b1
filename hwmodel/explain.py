"""Explains an estimate, term by term: ``python -m hwmodel.explain --design bitfusion --bits 4``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rtl.options import DesignParser
from rtl.spec import MacSpec
from siliquant.commandline import add_format, run
from siliquant.inputs import integer, read_clock_mhz

from .options import (
    add_calibration,
    add_clock,
    add_cost_models,
    add_library_or_liberty,
    add_operands,
    model_of,
    plan_of,
    spec_of,
)

if TYPE_CHECKING:
    from hwmodel.fit import Explanation, StepTerm
    from rtl.array import CoreSpec

__all__ = ["main"]

PROG = "hwmodel.explain"
EPILOG = """\
The parameters of another design: --design NAME --help.

examples:
  python -m hwmodel.explain --design bitfusion --bits 4
  python -m hwmodel.explain --bits 3 --lanes 32 --clock-mhz 600 --stream lsq-gaussian
  python -m hwmodel.explain --design xnor --library sky130hd --format json"""


def parser() -> DesignParser:
    """The options, those of the design too."""
    made = DesignParser(prog=PROG, description=__doc__, epilog=EPILOG, default="uniform")
    add_operands(made)
    add_library_or_liberty(made)
    add_clock(made)
    add_cost_models(made)
    add_calibration(made)
    made.add_argument("--neighbours", default="5", metavar="N", help="measured designs shown")
    add_format(made, "table", "json")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    from hwmodel.comparison import Question, model_answer
    from hwmodel.fit import explain, points_of
    from hwmodel.measurement import PACKAGED_CALIBRATION, read_calibration

    spec = spec_of(options)
    plan = plan_of(options, spec)
    clock_mhz = read_clock_mhz(options.clock_mhz)
    number = integer("neighbours", options.neighbours, 0, 1000)
    model = model_of(options)
    if not hasattr(options, "pipeline_stages"):  # not given: as many as a comparison gives the design
        spec = model_answer(Question(spec, (plan.precision,)), model, clock_mhz).spec
    table = read_calibration((options.calibration or PACKAGED_CALIBRATION) / f"{model.library}.csv")
    found = explain(spec, plan, model, clock_mhz, points_of(table), number)
    if options.format == "json":
        print(json.dumps(as_json(found), indent=1))
        return
    from hwmodel.fit import print_explanation

    print_explanation(found)


def as_json(found: Explanation) -> dict[str, Any]:
    """Everything as plain data, units in the names."""
    cost = found.cost
    return {
        "spec": found.spec.name,
        "design": found.spec.design,
        "parameters": dict(found.spec.parameters),
        "library": found.model.library,
        "corner": found.model.corner,
        "clock_mhz": cost.clock_mhz,
        "activity": found.plan.text_on(found.spec),
        "area_um2": cost.total_area_um2,
        "power_uw": cost.power_uw,
        "settled_power_uw": cost.settled_power_uw,
        "leakage_uw": float(cost.leakage_uw.sum()),
        "idle_uw": None if found.model.coefficients.still_fj is None else cost.idle_uw,
        "minimum_period_ns": cost.minimum_period_ns,
        "meets_clock": cost.meets_clock,
        "pressure": cost.pressure,
        "outside": list(cost.outside),
        "parts": [{**vars(term), "part": term.part.value} for term in found.parts],
        "relaxed_path_ns": found.relaxed.ns,
        "relaxed_steps": [_step(term) for term in found.relaxed_steps],
        "fastest_path_ns": found.fastest.ns,
        "fastest_steps": [_step(term) for term in found.fastest_steps],
        "errors_of": found.errors_of,
        "expected_error_percent": {
            name: {"mean": one.mean[0], "largest": one.largest[0], "points": one.points}
            for name, one in found.errors.items()
        },
        "provenance": dict(found.model.provenance),
        "neighbours": [
            {
                "spec": near.point.spec.name,
                "distance": near.distance,
                "held_out": near.point.held_out,
                "clock_mhz": near.point.clock_mhz,
                "activity": near.point.plan.text_on(_mac(near.point.spec)),
                "area_um2": near.point.area_um2,
                "area_um2_model": near.cost.total_area_um2,
                "power_uw": near.point.power_uw,
                "power_uw_model": near.cost.power_uw,
                "minimum_period_ns": near.point.minimum_period_ns,
                "minimum_period_ns_model": near.cost.minimum_period_ns,
            }
            for near in found.neighbours
        ],
    }


def _mac(spec: MacSpec | CoreSpec) -> MacSpec:
    return spec if isinstance(spec, MacSpec) else spec.mac


def _step(term: StepTerm) -> dict[str, Any]:
    return {"step": term.step.value, "number": term.number, "ns_each": term.ns_each, "ns": term.ns}


if __name__ == "__main__":
    run(PROG, main)
