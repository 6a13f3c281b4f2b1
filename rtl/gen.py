"""Writes the Verilog of a MAC design, or of an array of it, and a manifest beside it: ``python rtl/gen.py`` or
``python -m rtl.gen``.
"""

from __future__ import annotations

import json
import re
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
from rtl.options import add_parameters, design_named, integer, read_parameters
from rtl.requant import ThresholdSpec
from rtl.spec import MAX_BITS, MacSpec, check_integer
from siliquant.cli import Parser, run
from siliquant.files import write_atomically

PROG = "rtl.gen"
EPILOG = """\
The parameters of each design are listed by --list, and by --design NAME --help.

examples:
  python rtl/gen.py --design uniform --weight-bits 4 --activation-bits 4 --lanes 16 --out build/
  python rtl/gen.py --design uniform --lanes 16 --array 16x16 --architecture systolic --out build/
  python rtl/gen.py --design uniform --lanes 16 --array 16x16 --requant-bits 4 --groups 12 --out build/"""

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
                raise ValueError(f"--{name.replace('_', '-')} must be given with --array only")
        return None
    places = re.fullmatch(r"(\d+)x(\d+)", options.array)
    if places is None:
        raise ValueError(f"array must be ROWSxCOLUMNS, as in 16x16, not {options.array!r}")
    known = [architecture.value for architecture in Architecture]
    chosen = options.architecture or known[0]
    if chosen not in known:
        raise ValueError(f"architecture must be one of {', '.join(known)}, not {chosen!r}")
    given = {name: getattr(options, name) for name in ARRAY_NUMBERS}
    numbers: dict[str, Any] = {name: integer(name, text) for name, text in given.items() if text is not None}
    rows, columns = map(int, places.groups())
    array = ArraySpec(mac=mac, rows=rows, columns=columns, architecture=Architecture(chosen), **numbers)
    return replace(array, requant=requant_of(array.result_width, options))


def requant_of(result_width: int, options: Namespace) -> ThresholdSpec | None:
    """The requantiser that the options ask for, if any. Raises ValueError for its options without --requant-bits."""
    if options.requant_bits is None:
        for name in REQUANT_OPTIONS:
            if getattr(options, name) not in (None, False):
                raise ValueError(f"--{name.replace('_', '-')} must be given with --requant-bits only")
        return None
    bits = check_integer("requant_bits", integer("requant_bits", options.requant_bits), 1, MAX_BITS)
    groups = 1 if options.groups is None else integer("groups", options.groups)
    return ThresholdSpec(accumulator_width=result_width, groups=groups, bits=bits, signed=options.requant_signed)


def parse(arguments: Sequence[str]) -> tuple[MacSpec | ArraySpec, Path] | None:
    """The spec and output folder that a command line asks for; None where it asked for the list."""
    first = Parser(prog=PROG, description=None, add_help=False)
    first.add_argument("--design")
    chosen = first.parse_known_args(arguments)[0].design
    design = None if chosen is None else design_named(chosen)

    parser = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    parser.add_argument("--list", action="store_true", help="show the designs and their parameters")
    parser.add_argument("--design", metavar="NAME", help="one of " + ", ".join(known.design for known in DESIGNS))
    parser.add_argument("--out", type=Path, default=Path("build"), metavar="DIR", help="output folder (default build)")
    parser.add_argument("--array", metavar="ROWSxCOLUMNS", help="an array of so many elements, as in 16x16")
    parser.add_argument(
        "--architecture", metavar="NAME", help="broadcast: operands to all elements at once (default); or systolic"
    )
    defaults = {item.name: item.default for item in fields(ArraySpec)}
    for name, meaning in ARRAY_NUMBERS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, metavar="N", help=f"{meaning} of the array (default {defaults[name]})")
    parser.add_argument("--requant-bits", metavar="N", help="requantisers by thresholds at the drain: bits of a code")
    parser.add_argument("--groups", metavar="N", help="sets of thresholds in each requantiser (default 1)")
    parser.add_argument("--requant-signed", action="store_true", help="its codes are signed, else from 0")
    if design is not None:
        add_parameters(parser, design)
    options = parser.parse_args(arguments)
    if options.list:
        return None
    if design is None:
        raise ValueError("--design must be given; --list shows the designs")
    mac = design(**read_parameters(options, design))
    return array_of(mac, options) or mac, options.out


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    if parsed is None:
        print(listing())
        return
    from rtl.array.manifest import array_manifest
    from rtl.verilog import manifest, to_verilog

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
