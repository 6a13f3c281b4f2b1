"""Estimates beside measurements of the same comparison, and the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from siliquant.commandline import console, print_table
from siliquant.files import write_atomically
from siliquant.inputs import csv_of

from .comparison import Row

__all__ = ["print_check", "write_check"]

_HEADERS = (
    "bits", "normalisation", "design", "stages, model", "stages, measured",
    "area um2, model", "area um2, measured", "difference %",
    "power uW, model", "power uW, measured", "difference %",
    "min period ns, model", "min period ns, measured", "difference %",
)  # fmt: skip


def print_check(estimated: Sequence[Row], measured: Sequence[Row]) -> None:
    """One line an entry of the comparison, and the mean and largest difference."""
    out = console()
    lines = list(_lines(estimated, measured))
    texts = [[_text(value) for value in line] for line in lines]
    print_table(out, "model against synthesis", _HEADERS, texts, left=(1, 2), keys=3)
    columns = list(zip(*lines, strict=True))[7::3]
    differences = [[abs(value) for value in column if isinstance(value, float)] for column in columns]
    for name, values in zip(("area", "power", "minimum period"), differences, strict=True):
        if values:
            out.print(f"{name}: {sum(values) / len(values):.1f} % apart on average, {max(values):.1f} % at most")


def write_check(estimated: Sequence[Row], measured: Sequence[Row], folder: Path) -> Path:
    """The same as check.csv."""
    import pandas as pd

    path = folder / "check.csv"
    frame = pd.DataFrame(list(_lines(estimated, measured)), columns=_columns())
    write_atomically(path, csv_of(frame))
    return path


def _columns() -> list[str]:
    names: list[str] = []
    for header in _HEADERS:
        quantity = names[-2].split(",")[0] + ", " if header.startswith("difference") else ""
        names.append(quantity + header)
    return names


def _lines(estimated: Sequence[Row], measured: Sequence[Row]) -> Iterator[list[str | int | float | None]]:
    for said, found in zip(estimated, measured, strict=True):
        line: list[str | int | float | None] = [
            said.bits, said.normalisation, said.design, said.pipeline_stages, found.pipeline_stages,
        ]  # fmt: skip
        for one, other in (
            (said.area_um2, found.area_um2),
            (said.power_uw, found.power_uw),
            (said.minimum_period_ns, found.minimum_period_ns),
        ):
            line += [one, other, None if one is None or other is None else 100 * (one / other - 1)]
        yield line


def _text(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return "unknown" if value is None else str(value)
