"""The pages of this package are filled from templates that lie beside the code; every text is escaped."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["fill"]


def fill(name: str, **values: Any) -> str:
    """The template of that name with its values. Raises jinja2's UndefinedError where one is missing."""
    environment = Environment(
        loader=PackageLoader("reports", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(name).render(**values)
