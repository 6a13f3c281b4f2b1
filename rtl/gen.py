"""Writes the Verilog of MAC designs, arrays of them and requantisers, and a manifest beside each: ``python rtl/gen.py``
or ``python -m rtl.gen``.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: what lies beside it must not shadow other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rtl.array import ArraySpec
from rtl.mac import DESIGNS, design_named
from rtl.manifests import Spec
from rtl.names import HELPER_PREFIX
from rtl.options import (
    RESULTS,
    DesignParser,
    add_architecture,
    add_array,
    add_drains,
    add_groups,
    read_array,
    read_parameters,
)
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, RequantSpec, ThresholdSpec
from rtl.spec import MAX_BITS, MacSpec, check_integer, widths_text
from rtl.verilog import Reset, write_files
from siliquant.commandline import add_out_folder, run
from siliquant.inputs import InputError, integer

PROG = "rtl.gen"
DESCRIPTION = """\
Writes the Verilog of MAC designs, arrays of them and requantisers, and a manifest beside each."""
EPILOG = """\
The parameters of a design: --design NAME --help, or --list for all. Options before the first of several --design hold
for all of them; the files of several share one file of the modules that they instantiate, and a list of all files:
each such call needs an --out or a --prefix of its own.

examples:
  python -m rtl.gen --design uniform --weight-bits 4 --activation-bits 4 --lanes 16 --out build/
  python -m rtl.gen --design uniform --lanes 16 --array 16x16 --architecture systolic --out build/
  python -m rtl.gen --design uniform --lanes 16 --array 16x16 --requant-bits 4 --groups 12
  python -m rtl.gen --design uniform --lanes 16 --design subword --units 4 --out build/
  python -m rtl.gen --requant multiplier --requant-bits 4 --groups 12 --out build/"""

UNITS: tuple[type[LoadableSpec], ...] = (ThresholdSpec, MultiplierSpec, PartialSumSpec)

RESETS = tuple(style.value for style in Reset)
"""Styles of reset; the first is what simulation and synthesis use."""

# Options of arrays: words or bits, and their meaning.
FOLDER = "build"
ARRAY_NUMBERS = {
    "activation_depth": "words of the activation memory",
    "weight_depth": "words of the weight memory",
    "result_depth": "words of the result memory",
    "result_width": "bits of a result",
}
# Options of requantisers beside --requant and --requant-bits, by the parameter that they set.
UNIT_NUMBERS = {
    "requant_accumulator_width": ("accumulator_width", "bits of the accumulator; at the drain --result-width"),
    "requant_pipeline_stages": ("pipeline_stages", "registers inside the unit, 0 to 2"),
    "requant_multiplier_width": ("multiplier_width", "bits of a multiplier, 1 to 32"),
    "requant_offset_width": ("offset_width", "bits of an offset, 1 to 62"),
    "requant_shift": ("shift", "least shift, 0 to 61"),
    "requant_shift_bits": ("shift_bits", "bits of the shift that each group adds, 0 to 5"),
}
MOST_PARAMETER_BITS = 1 << 17
"""Registers of a requantiser that are written out in a minute or two."""
UNIT_OPTIONS = ("groups", "requant_signed", *UNIT_NUMBERS)


@dataclass(frozen=True)
class Request:
    """What a command line asks for."""

    specs: tuple[Spec, ...]
    folder: Path
    prefix: str
    reset: str


def listing() -> str:
    """The designs and units and their parameters as text."""
    lines = []
    for design in DESIGNS:
        lines.append(f"{design.design}: {design.summary}")
        for name, (default, meaning) in design.parameter_help().items():
            shown = widths_text(default) if isinstance(default, tuple) else default
            lines.append(f"  {_option(name):<19} {meaning} (default {shown})")
    for unit in UNITS:
        lines.append(f"--requant {unit.design}: {unit.summary}")
        for item in fields(unit):
            option = {"groups": "--groups"}.get(item.name, f"--requant-{item.name.replace('_', '-')}")
            default = False if item.name == "signed" else item.default
            lines.append(f"  {option:<29} {item.metadata['help']} (default {default})")
    return "\n".join(lines)


def array_of(mac: MacSpec, options: Namespace) -> ArraySpec | None:
    """The array that the options ask for, if any. Raises ValueError for options of arrays without --array."""
    if options.array is None:
        _refuse(
            options, ("architecture", "drains", *ARRAY_NUMBERS, "requant", "requant_bits", *UNIT_OPTIONS), "--array"
        )
        return None
    given = {name: getattr(options, name) for name in ARRAY_NUMBERS}
    numbers = {name: integer(name, text) for name, text in given.items() if text is not None}
    array = read_array(options, mac, **numbers)
    if options.requant is None and options.requant_bits is None:
        _refuse(options, UNIT_OPTIONS, "--requant or --requant-bits")
        return array
    if options.requant_accumulator_width is not None:
        raise InputError("--requant-accumulator-width must not be given with --array: it is --result-width")
    unit = unit_of(options, accumulator_width=array.result_width)
    if not isinstance(unit, RequantSpec):
        raise InputError(f"requant at the drain of an array must be thresholds or multiplier, not {options.requant}")
    return replace(array, requant=unit)


def unit_of(options: Namespace, **parameters: Any) -> LoadableSpec:
    """The requantiser that the options ask for. Raises ValueError for options that it does not have, and for more
    parameters than MOST_PARAMETER_BITS.
    """
    name = options.requant or ThresholdSpec.design
    kind = next((unit for unit in UNITS if unit.design == name), None)
    if kind is None:
        raise InputError(f"requant must be one of {', '.join(unit.design for unit in UNITS)}, not {name!r}")
    known = {item.name for item in fields(kind)}
    if options.requant_bits is not None:
        bits = check_integer("requant_bits", integer("requant_bits", options.requant_bits), 1, MAX_BITS)
        parameters["bits"] = bits
    if options.groups is not None:
        parameters["groups"] = integer("groups", options.groups)
    for option, (parameter, _) in UNIT_NUMBERS.items():
        if getattr(options, option) is not None:
            parameters[parameter] = integer(option, getattr(options, option))
    if options.requant_signed or "signed" in known:
        parameters["signed"] = options.requant_signed
    for parameter in parameters:
        if parameter not in known:
            raise InputError(f"{_option(f'requant_{parameter}')} must not be given with --requant {name}")
    unit = kind(**parameters)
    if unit.groups * unit.parameter_width > MOST_PARAMETER_BITS:
        raise InputError(
            f"a requantiser must hold at most {MOST_PARAMETER_BITS:,} bits of parameters, "
            f"not {unit.groups} sets of {unit.parameter_width}"
        )
    return unit


def parser() -> DesignParser:
    """The options; with --design, those of its parameters too."""
    made = DesignParser(prog=PROG, description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--list", action="store_true", help="show the designs and their parameters")
    add_out_folder(made, f"Verilog and manifest (default {FOLDER})")
    made.add_argument(
        "--prefix",
        metavar="NAME",
        help=f"what names of modules that designs share begin with (default {HELPER_PREFIX})",
    )
    made.add_argument(
        "--reset", metavar="STYLE",
        help=f"reset of all modules: {', '.join(RESETS)}; low ones on rst_n (default {RESETS[0]})",
    )  # fmt: skip
    made.suggestions["reset"] = RESETS
    add_array(made, None)
    add_architecture(made, None)
    add_drains(made)
    defaults = {item.name: item.default for item in fields(ArraySpec)} | {"result_depth": f"{RESULTS} over drains"}
    for name, meaning in ARRAY_NUMBERS.items():
        made.add_argument(_option(name), metavar="N", help=f"{meaning} of the array (default {defaults[name]})")
    units = tuple(unit.design for unit in UNITS)
    made.add_argument(
        "--requant", metavar="NAME",
        help=f"a requantiser, at the drain of the array or without --design on its own: {', '.join(units)}",
    )  # fmt: skip
    made.suggestions["requant"] = units
    made.add_argument("--requant-bits", metavar="N", help="bits of its codes; --requant thresholds where none is named")
    add_groups(made)
    made.add_argument("--requant-signed", action="store_true", help="its codes are signed, else from 0")
    for name, (_, meaning) in UNIT_NUMBERS.items():
        made.add_argument(_option(name), metavar="N", help=meaning)
    return made


def parse(arguments: Sequence[str]) -> Request | None:
    """What a command line asks for; None where it asked for the list."""
    parsed = [parser().parse_args(part) for part in split(arguments)]
    if any(options.list for options in parsed):
        return None
    folder, prefix, reset = (_of_all(name, parsed) for name in ("out", "prefix", "reset"))
    prefix = HELPER_PREFIX if prefix is None else prefix
    reset = RESETS[0] if reset is None else reset
    if reset not in RESETS:
        raise InputError(f"reset must be one of {', '.join(RESETS)}, not {reset!r}")
    specs = tuple(_spec(options) for options in parsed)
    return Request(specs, Path(FOLDER) if folder is None else folder, prefix, reset)


def split(arguments: Sequence[str]) -> list[list[str]]:
    """The arguments of each --design, those before the first at the front of each.

    >>> split(["--out", "a", "--design", "loom", "--units", "3", "--design=xnor"])
    [['--out', 'a', '--design', 'loom', '--units', '3'], ['--out', 'a', '--design=xnor']]
    """
    starts = [place for place, text in enumerate(arguments) if text == "--design" or text.startswith("--design=")]
    if not starts:
        return [list(arguments)]
    ends = [*starts[1:], len(arguments)]
    return [[*arguments[: starts[0]], *arguments[start:end]] for start, end in zip(starts, ends, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    request = parse(sys.argv[1:] if arguments is None else arguments)
    if request is None:
        print(listing())
        return
    for path in write_files(request.specs, request.folder, request.prefix, Reset(request.reset)):
        print(path)


def _spec(options: Namespace) -> Spec:
    if options.design is not None:
        design = design_named(options.design)
        mac = design(**read_parameters(options, design))
        return array_of(mac, options) or mac
    if options.requant is None or options.array is not None:
        raise InputError("--design must be given, or --requant alone; --list shows the designs")
    _refuse(options, ("architecture", "drains", *ARRAY_NUMBERS), "--array")
    return unit_of(options)


def _of_all(name: str, parsed: Sequence[Namespace]) -> Any:
    """The value of an option that holds for all designs, wherever it was given. Raises InputError for two values."""
    given = {value: None for options in parsed if (value := getattr(options, name)) is not None}
    if len(given) > 1:
        raise InputError(f"{_option(name)} must be the same for all designs, not {' and '.join(map(str, given))}")
    return next(iter(given), None)


def _refuse(options: Namespace, names: Sequence[str], needed: str) -> None:
    """Raises InputError where one of the options is given, which go with another one only."""
    for name in names:
        if getattr(options, name) not in (None, False):
            raise InputError(f"{_option(name)} must be given with {needed} only")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


if __name__ == "__main__":
    run(PROG, main)
