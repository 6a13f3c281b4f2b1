"""Writes the Verilog of a MAC design, or of an array of it, and a manifest beside it: ``python rtl/gen.py`` or
``python -m rtl.gen``.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: what lies beside it must not shadow other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS
from rtl.options import (
    DesignParser,
    add_architecture,
    add_array,
    add_groups,
    array_size,
    design_named,
    integer,
    read_parameters,
)
from rtl.requant import ThresholdSpec
from rtl.spec import MAX_BITS, MacSpec, check_integer
from siliquant.cli import run
from siliquant.errors import InputError
from siliquant.files import write_atomically
from siliquant.options import add_out_folder

PROG = "rtl.gen"
DESCRIPTION = "Writes the Verilog of a MAC design, or of an array of it, and a manifest beside it."
EPILOG = """\
The parameters of a design: --design NAME --help, or --list for all.

examples:
  python -m rtl.gen --design uniform --weight-bits 4 --activation-bits 4 --lanes 16 --out build/
  python -m rtl.gen --design uniform --lanes 16 --array 16x16 --architecture systolic --out build/
  python -m rtl.gen --design uniform --lanes 16 --array 16x16 --requant-bits 4 --groups 12"""

# Options of arrays: words or bits, and their meaning.
ARRAY_NUMBERS = {
    "activation_depth": "words of the activation memory",
    "weight_depth": "words of the weight memory",
    "result_depth": "words of the result memory",
    "result_width": "bits of a result",
}
# Options of the requantisers at the drain of an array, beside --requant-bits.
REQUANT_OPTIONS = ("groups", "requant_signed")


def listing() -> str:
    """The designs and their parameters as text."""
    lines = []
    for design in DESIGNS:
        lines.append(f"{design.design}: {design.summary}")
        for name, (default, meaning) in design.parameter_help().items():
            lines.append(f"  --{name.replace('_', '-'):<17} {meaning} (default {default})")
    return "\n".join(lines)


def array_of(mac: MacSpec, options: Namespace) -> ArraySpec | None:
    """The array that the options ask for, if any. Raises ValueError for options of arrays without --array."""
    if options.array is None:
        for name in ("architecture", *ARRAY_NUMBERS, "requant_bits", *REQUANT_OPTIONS):
            if getattr(options, name) not in (None, False):
                raise InputError(f"--{name.replace('_', '-')} must be given with --array only")
        return None
    rows, columns = array_size(options.array)
    architecture = Architecture(options.architecture or Architecture.BROADCAST)
    given = {name: getattr(options, name) for name in ARRAY_NUMBERS}
    numbers: dict[str, Any] = {name: integer(name, text) for name, text in given.items() if text is not None}
    array = ArraySpec(mac=mac, rows=rows, columns=columns, architecture=architecture, **numbers)
    return replace(array, requant=requant_of(array.result_width, options))


def requant_of(result_width: int, options: Namespace) -> ThresholdSpec | None:
    """The requantiser that the options ask for, if any. Raises ValueError for its options without --requant-bits."""
    if options.requant_bits is None:
        for name in REQUANT_OPTIONS:
            if getattr(options, name) not in (None, False):
                raise InputError(f"--{name.replace('_', '-')} must be given with --requant-bits only")
        return None
    bits = check_integer("requant_bits", integer("requant_bits", options.requant_bits), 1, MAX_BITS)
    groups = 1 if options.groups is None else integer("groups", options.groups)
    return ThresholdSpec(accumulator_width=result_width, groups=groups, bits=bits, signed=options.requant_signed)


def parser() -> DesignParser:
    """The options; with --design, those of its parameters too."""
    made = DesignParser(prog=PROG, description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--list", action="store_true", help="show the designs and their parameters")
    add_out_folder(made, "Verilog and manifest", "build")
    add_array(made, None)
    add_architecture(made, None)
    defaults = {item.name: item.default for item in fields(ArraySpec)}
    for name, meaning in ARRAY_NUMBERS.items():
        option = f"--{name.replace('_', '-')}"
        made.add_argument(option, metavar="N", help=f"{meaning} of the array (default {defaults[name]})")
    made.add_argument("--requant-bits", metavar="N", help="requantisers by thresholds at the drain: bits of a code")
    add_groups(made)
    made.add_argument("--requant-signed", action="store_true", help="its codes are signed, else from 0")
    return made


def parse(arguments: Sequence[str]) -> tuple[MacSpec | ArraySpec, Path] | None:
    """The spec and output folder that a command line asks for; None where it asked for the list."""
    options = parser().parse_args(arguments)
    if options.list:
        return None
    if options.design is None:
        raise InputError("--design must be given; --list shows the designs")
    design = design_named(options.design)
    mac = design(**read_parameters(options, design))
    return array_of(mac, options) or mac, options.out


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    if parsed is None:
        print(listing())
        return
    from rtl.array.manifest import array_manifest
    from rtl.manifest import manifest
    from rtl.verilog import to_verilog

    spec, folder = parsed
    folder.mkdir(parents=True, exist_ok=True)
    described = array_manifest(spec) if isinstance(spec, ArraySpec) else manifest(spec)
    texts = {".v": to_verilog([spec]), ".json": json.dumps(described, indent=2) + "\n"}
    for suffix, text in texts.items():
        path = folder / f"{spec.name}{suffix}"
        write_atomically(path, text)
        print(path)


if __name__ == "__main__":
    run(PROG, main)
