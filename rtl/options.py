"""MAC designs and arrays on a command line."""

from __future__ import annotations

import re
import sys
from argparse import SUPPRESS, Action, Namespace, _ActionsContainer
from collections.abc import Sequence
from typing import Any

from rtl.array import DRAINS, MOST_SIDE, Architecture, ArraySpec, drained
from rtl.mac import DESIGNS, design_named
from rtl.spec import MacSpec, check_integer, read_widths, widths_text
from siliquant.commandline import Parser
from siliquant.inputs import InputError, integer, short

__all__ = [
    "RESULTS",
    "DesignParser",
    "add_architecture",
    "add_array",
    "add_depth",
    "add_drains",
    "add_groups",
    "add_parameters",
    "array_size",
    "read_array",
    "read_drains",
    "read_parameters",
]

RESULTS = 2048
"""Rows of sums that the result memory has room for where nothing else is said."""


class DesignParser(Parser):
    """A parser with ``--design NAME``; the parameters of that design are options too.

    default: the design where none is given. Raises ValueError from ``parse_args`` for a design that does not exist.
    """

    def __init__(self, *, prog: str, description: str | None, epilog: str = "", default: str | None = None) -> None:
        super().__init__(prog=prog, description=description, epilog=epilog)
        self._parameters = False
        names = tuple(design.design for design in DESIGNS)
        self.add_argument("--design", metavar="NAME", default=default, help=f"MAC design: {', '.join(names)}")
        self.suggestions["design"] = names

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """As argparse, with the parameters of the design among ``args``."""
        given = sys.argv[1:] if args is None else list(args)
        first = Parser(prog=self.prog, description=None, add_help=False)
        first.add_argument("--design", default=self.get_default("design"))
        chosen = first.parse_known_args(given)[0].design
        if chosen is not None and not self._parameters:
            self.add_designs([design_named(chosen)])
        return super().parse_known_args(given, namespace)

    def everything(self) -> None:
        """Adds the parameters of all designs."""
        self.add_designs(DESIGNS)

    def add_designs(self, designs: Sequence[type[MacSpec]]) -> None:
        """The parameters of some designs as options."""
        self._parameters = True
        group = self.add_argument_group(f"parameters of {', '.join(design.design for design in designs)}")
        add_parameters(group, *designs)


def add_parameters(parser: _ActionsContainer, *designs: type[MacSpec]) -> None:
    """An option for each parameter of ``designs``; those that are not given do not end up in the namespace."""
    parameters: dict[str, tuple[Any, str]] = {}
    for design in designs:
        parameters = {**design.parameter_help(), **parameters}
    for name, (default, meaning) in parameters.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true", default=SUPPRESS, help=meaning)
        else:
            listed = isinstance(default, tuple)
            shown, metavar = (widths_text(default), "N/N") if listed else (default, "N")
            parser.add_argument(option, default=SUPPRESS, metavar=metavar, help=f"{meaning} (default {shown})")


def read_parameters(options: Namespace, design: type[MacSpec]) -> dict[str, Any]:
    """The parameters that were given. Raises ValueError for what is no integer, or are no widths."""
    values: dict[str, Any] = {}
    for name, (default, _) in design.parameter_help().items():
        if (value := getattr(options, name, None)) is None:
            continue
        read = read_widths if isinstance(default, tuple) else integer
        values[name] = value if isinstance(value, bool) else read(name, value)
    return values


def add_array(parser: Parser, default: str | None) -> Action:
    """``--array ROWSxCOLUMNS``, as text for :func:`array_size`."""
    return parser.add_argument(
        "--array", metavar="ROWSxCOLUMNS", default=default, help="elements of the array, as in 16x16"
    )


def array_size(text: str) -> tuple[int, int]:
    """Rows and columns in ``--array``, 1 to 256 each. Raises InputError."""
    if not re.fullmatch(r"-?[0-9]+x-?[0-9]+", text, re.ASCII):
        raise InputError(f"array must be ROWSxCOLUMNS, as in 16x16, not {short(text)}")
    rows, columns = text.split("x")
    sides = ((name, integer(name, given)) for name, given in (("rows", rows), ("columns", columns)))
    found = [check_integer(name, side, 1, MOST_SIDE) for name, side in sides]
    return found[0], found[1]


def add_architecture(parser: Parser, default: str | None) -> Action:
    """``--architecture NAME``; broadcast where there is no default."""
    text = "" if default else f" (default {Architecture.BROADCAST.value})"
    return parser.add_argument(
        "--architecture", choices=[each.value for each in Architecture], default=default, metavar="NAME",
        help=f"how operands reach elements{text}",
    )  # fmt: skip


def add_depth(parser: Parser, default: int, *, grows: bool = False) -> Action:
    """``--depth N``, as text. grows: None where it is not given, for memories as deep as a network needs."""
    words = "words of each memory of the array"
    if grows:
        words = f"{words} (default {default}; of operands as many as the longest sums take, where these are more)"
    return parser.add_argument("--depth", metavar="N", default=None if grows else str(default), help=words)


def add_drains(parser: Parser) -> Action:
    """``--drains N``, as text; None where it is not given."""
    return parser.add_argument(
        "--drains", metavar="N",
        help=f"sums that leave a column of the array in a cycle, at most, up to its rows (default {DRAINS})",
    )  # fmt: skip


def read_drains(options: Namespace, rows: int) -> int:
    """What ``--drains`` says, or what it is by default, of an array of so many rows. Raises InputError where it is more
    than these.
    """
    if options.drains is None:
        return DRAINS
    found = integer("drains", options.drains)
    if not 1 <= found <= rows:
        raise InputError(f"drains must be an integer from 1 to {rows}, the rows of the array, not {found}")
    return found


def read_array(options: Namespace, mac: MacSpec, **more: Any) -> ArraySpec:
    """The array of ``--array``, ``--architecture`` and ``--drains``, with ``more`` parameters."""
    rows, columns = array_size(options.array)
    given: dict[str, Any] = drained(rows, read_drains(options, rows), RESULTS)
    architecture = Architecture(options.architecture or Architecture.BROADCAST)
    return ArraySpec(mac=mac, rows=rows, columns=columns, architecture=architecture, **{**given, **more})


def add_groups(parser: Parser) -> Action:
    """``--groups N``; 1 where it is not given."""
    return parser.add_argument("--groups", metavar="N", help="parameter sets in each requantiser (default 1)")
