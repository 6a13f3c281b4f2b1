"""Writes the Verilog of a MAC design, and a manifest beside it: ``python rtl/gen.py`` or ``python -m rtl.gen``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file: what lies beside it must not shadow other modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rtl.mac import DESIGNS
from rtl.spec import MacSpec
from siliquant.cli import Parser, run
from siliquant.files import write_atomically

PROG = "rtl.gen"
EPILOG = """\
The parameters of each design are listed by --list, and by --design NAME --help.

example:
  python rtl/gen.py --design uniform --weight-bits 4 --activation-bits 4 --lanes 16 --out build/"""


def design_named(name: str) -> type[MacSpec]:
    """The design of that name. Raises ValueError where there is none."""
    for design in DESIGNS:
        if design.design == name:
            return design
    raise ValueError(f"design must be one of {', '.join(design.design for design in DESIGNS)}, not {name!r}")


def listing() -> str:
    """The designs and their parameters as text."""
    lines = []
    for design in DESIGNS:
        lines.append(f"{design.design}: {design.summary}")
        for name, (default, meaning) in design.parameter_help().items():
            lines.append(f"  --{name.replace('_', '-'):<17} {meaning} (default {default})")
    return "\n".join(lines)


def parse(arguments: Sequence[str]) -> tuple[MacSpec, Path] | None:
    """The spec and output folder that a command line asks for; None where it asked for the list."""
    first = Parser(prog=PROG, description=None, add_help=False)
    first.add_argument("--design")
    chosen = first.parse_known_args(arguments)[0].design
    design = None if chosen is None else design_named(chosen)

    parser = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    parser.add_argument("--list", action="store_true", help="show the designs and their parameters")
    parser.add_argument("--design", metavar="NAME", help="one of " + ", ".join(known.design for known in DESIGNS))
    parser.add_argument("--out", type=Path, default=Path("build"), metavar="DIR", help="output folder (default build)")
    for name, (default, meaning) in (design.parameter_help() if design else {}).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true", help=meaning)
        else:
            parser.add_argument(option, default=str(default), metavar="N", help=f"{meaning} (default {default})")
    options = parser.parse_args(arguments)
    if options.list:
        return None
    if design is None:
        raise ValueError("--design must be given; --list shows the designs")
    values = {}
    for name in design.parameter_help():
        value = getattr(options, name)
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                raise ValueError(f"{name} must be an integer, not {value!r}") from None
        values[name] = value
    return design(**values), options.out


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    if parsed is None:
        print(listing())
        return
    from rtl.verilog import manifest, to_verilog

    spec, folder = parsed
    folder.mkdir(parents=True, exist_ok=True)
    texts = {".v": to_verilog([spec]), ".json": json.dumps(manifest(spec), indent=2) + "\n"}
    for suffix, text in texts.items():
        path = folder / f"{spec.name}{suffix}"
        write_atomically(path, text)
        print(path)


if __name__ == "__main__":
    run(PROG, main)
