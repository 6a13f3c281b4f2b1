"""Parameters of a MAC design on a command line."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace

from .mac import DESIGNS
from .spec import MacSpec

__all__ = ["add_parameters", "design_named", "integer", "read_parameters"]


def design_named(name: str) -> type[MacSpec]:
    """The design of that name. Raises ValueError where there is none."""
    for design in DESIGNS:
        if design.design == name:
            return design
    raise ValueError(f"design must be one of {', '.join(design.design for design in DESIGNS)}, not {name!r}")


def add_parameters(parser: ArgumentParser, design: type[MacSpec]) -> None:
    """An option for each parameter of ``design``; those that are not given do not end up in the namespace."""
    for name, (default, meaning) in design.parameter_help().items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true", default=SUPPRESS, help=meaning)
        else:
            parser.add_argument(option, default=SUPPRESS, metavar="N", help=f"{meaning} (default {default})")


def read_parameters(options: Namespace, design: type[MacSpec]) -> dict[str, int | bool]:
    """The parameters that were given. Raises ValueError for what is no integer."""
    values: dict[str, int | bool] = {}
    for name in design.parameter_help():
        if (value := getattr(options, name, None)) is None:
            continue
        values[name] = value if isinstance(value, bool) else integer(name, value)
    return values


def integer(name: str, text: str) -> int:
    """The number in an option. Raises ValueError where it is none."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be an integer, not {text!r}") from None
