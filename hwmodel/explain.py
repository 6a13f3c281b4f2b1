"""Explains an estimate, term by term: ``python -m hwmodel.explain --design bitfusion --bits 4``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtl.mac import UniformSpec
from rtl.options import add_parameters, design_named, integer, read_parameters
from rtl.spec import MacSpec, Precision
from siliquant.cli import Parser, run

if TYPE_CHECKING:
    from hwmodel.explanation import Explanation, StepTerm
    from hwmodel.stimulus import StreamPlan

__all__ = ["main"]

PROG = "hwmodel.explain"
EPILOG = """\
Parameters of the design are options too: --lanes 8, --units 2, --minimum-bits 4, --pipeline-stages 1.

examples:
  python -m hwmodel.explain --design bitfusion --bits 4
  python -m hwmodel.explain --design uniform --bits 3 --lanes 32 --clock-mhz 600 --stream lsq-gaussian
  python -m hwmodel.explain --design xnor --library sky130hd --format json"""


def parser() -> Parser:
    """The options that every design has; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("--design", default="uniform", metavar="NAME", help="MAC design (default uniform)")
    made.add_argument("--bits", metavar="B", help="operand bits that it runs (default: its widest)")
    made.add_argument("--unsigned", action="store_true", help="activations are unsigned")
    made.add_argument("--stream", default="uniform", metavar="NAME", help="operand stream (default uniform)")
    made.add_argument("--library", default="freepdk45", metavar="NAME", help="library (default freepdk45)")
    made.add_argument("--clock-mhz", default="500", metavar="F", help="clock (default 500)")
    made.add_argument("--models", type=Path, metavar="DIR", help="folder of fitted models (default: the package's)")
    made.add_argument("--calibration", type=Path, metavar="DIR", help="folder of their tables (default: the package's)")
    made.add_argument("--neighbours", default="5", metavar="N", help="measured designs shown (default 5)")
    made.add_argument("--format", choices=("table", "json"), default="table", help="what is printed (default table)")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    names = list(sys.argv[1:] if arguments is None else arguments)
    options, design = _options(names)
    from hwmodel.calibration import PACKAGED_CALIBRATION, read_calibration
    from hwmodel.explanation import explain
    from hwmodel.modelfile import PACKAGED_MODELS, load_model
    from hwmodel.validationtables import points_of

    spec = _spec(options, design)
    plan = _plan(options, spec)
    clock_mhz = _clock(options.clock_mhz)
    number = integer("neighbours", options.neighbours)
    if number < 0:
        raise ValueError(f"neighbours must be at least 0, not {number}")
    model = load_model(options.library, options.models or PACKAGED_MODELS)
    table = read_calibration((options.calibration or PACKAGED_CALIBRATION) / f"{options.library}.csv")
    found = explain(spec, plan, model, clock_mhz, points_of(table), number)
    if options.format == "json":
        print(json.dumps(as_json(found), indent=1))
        return
    from hwmodel.explaintables import print_explanation

    print_explanation(found)


def _options(names: Sequence[str]) -> tuple[Namespace, type[MacSpec]]:
    """Options and design: which parameters there are depends on the design."""
    chosen = Parser(prog=PROG, description=__doc__, add_help=False)
    chosen.add_argument("--design", default="uniform")
    known, _ = chosen.parse_known_args(names)
    design = design_named(known.design)
    made = parser()
    add_parameters(made, design)
    return made.parse_args(names), design


def _spec(options: Namespace, design: type[MacSpec]) -> MacSpec:
    values = read_parameters(options, design)
    if issubclass(design, UniformSpec) and options.bits is not None:
        bits = integer("bits", options.bits)
        values = {"weight_bits": bits, "activation_bits": bits, **values}
    return design(**values)


def _plan(options: Namespace, spec: MacSpec) -> StreamPlan:
    from hwmodel.estimate import default_plan
    from hwmodel.stimulus import StreamPlan
    from hwmodel.streams import Stream

    signed = not options.unsigned
    if isinstance(spec, UniformSpec):
        precision = Precision(spec.weight_bits, spec.activation_bits, signed)
    elif options.bits is None:
        widest = default_plan(spec).precision
        precision = Precision(widest.weight_bits, widest.activation_bits, signed)
    else:
        bits = integer("bits", options.bits)
        precision = Precision(bits, bits, signed)
    spec.check_precision(precision)
    return StreamPlan(precision, Stream(options.stream))


def _clock(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"clock_mhz must be a positive number, not {text!r}")
    return value


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
        "activity": str(found.plan),
        "area_um2": cost.total_area_um2,
        "power_uw": cost.power_uw,
        "settled_power_uw": cost.settled_power_uw,
        "leakage_uw": float(cost.leakage_uw.sum()),
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
                "activity": str(near.point.plan),
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


def _step(term: StepTerm) -> dict[str, Any]:
    return {"step": term.step.value, "number": term.number, "ns_each": term.ns_each, "ns": term.ns}


if __name__ == "__main__":
    run(PROG, main)
