"""Estimates beside measurements of the same comparison: the difference, and which pairs of designs change places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from operator import itemgetter
from pathlib import Path

from hwmodel.workload import Width, parts_of, plain_width
from siliquant.commandline import console, print_table
from siliquant.files import write_atomically
from siliquant.inputs import csv_of

from .comparison import EQUAL_THROUGHPUT, Row

__all__ = ["APART", "Swap", "pairs_apart", "print_check", "swapped", "write_check"]

APART = 0.05
"""How far two designs are apart in measurement, as a share of the lower, where their order is more than chance."""

_HEADERS = (
    "bits", "normalisation", "design", "stages, model", "stages, measured",
    "area um2, model", "area um2, measured", "difference %",
    "power uW, model", "power uW, measured", "difference %",
    "min period ns, model", "min period ns, measured", "difference %",
)  # fmt: skip


@dataclass(frozen=True)
class Swap:
    """Two designs of one table that the model puts in the other order: how often ``first`` has what ``second`` has."""

    bits: Width
    normalisation: str
    quantity: str
    first: str
    second: str
    measured: float
    estimated: float

    def __str__(self) -> str:
        order = f"{self.measured:.2f} measured, {self.estimated:.2f} estimated"
        return f"{self.bits} bits, {self.normalisation}, {self.quantity}, {self.first} to {self.second}: {order}"


def pairs_apart(estimated: Sequence[Row], measured: Sequence[Row]) -> list[Swap]:
    """Every pair of rows of one mean and normalisation that are more than APART apart in measured area, per unit or per
    product a cycle, or in measured power or energy.
    """
    found = []
    both = sorted(zip(estimated, measured, strict=True), key=lambda pair: _order(_table_of(pair)))
    for (bits, normalisation), group in groupby(both, key=_table_of):
        for (said, row), (other_said, other) in combinations(list(group), 2):
            for quantity, ratios in (
                ("area", (row.area_ratio, other.area_ratio, said.area_ratio, other_said.area_ratio)),
                (
                    "energy" if normalisation == EQUAL_THROUGHPUT else "power",
                    (row.power_ratio, other.power_ratio, said.power_ratio, other_said.power_ratio),
                ),
            ):
                if None in ratios:
                    continue
                one, two, one_said, two_said = (ratio or 0.0 for ratio in ratios)
                if max(one, two) > (1 + APART) * min(one, two):
                    pair = row.design, other.design
                    found.append(Swap(bits, normalisation, quantity, *pair, one / two, one_said / two_said))
    return found


def swapped(pairs: Sequence[Swap]) -> list[Swap]:
    """Those whose order is another in the estimates."""
    return [pair for pair in pairs if (pair.measured > 1) != (pair.estimated > 1)]


def _order(table: tuple[Width, str]) -> tuple[tuple[int, int], str]:
    return parts_of(table[0]), table[1]


def _table_of(pair: tuple[Row, Row]) -> tuple[Width, str]:
    return pair[1].bits, pair[1].normalisation


def print_check(estimated: Sequence[Row], measured: Sequence[Row]) -> None:
    """One line an entry of the comparison, the mean and largest difference, and the pairs that change places."""
    out = console()
    lines = list(_lines(estimated, measured))
    texts = [[_text(value) for value in line] for line in lines]
    print_table(out, "model against synthesis", _HEADERS, texts, left=(1, 2), keys=3)
    for name, column in (("area", 7), ("power", 10), ("minimum period", 13)):
        apart = [(abs(value), line) for line in lines if isinstance(value := line[column], float)]
        if apart:
            mean = sum(value for value, _ in apart) / len(apart)
            most, (bits, normalisation, design, *_) = max(apart, key=itemgetter(0))
            where = f"({bits} bits, {normalisation}, {design})"
            out.print(f"{name}: {mean:.1f} % apart on average, {most:.1f} % at most {where}")
    if by_design := _power_by_design(estimated, measured):
        out.print(f"power by design, of rows with the same stages: {by_design}")
    others = sum(said.spec != found.spec for said, found in zip(estimated, measured, strict=True))
    out.print(f"pipeline stages or form: other ones in {others} of {len(measured)} rows")
    pairs = pairs_apart(estimated, measured)
    swaps = swapped(pairs)
    out.print(f"order: {len(swaps)} of {len(pairs)} pairs more than {100 * APART:.0f} % apart change places")
    for swap in swaps:
        out.print(f"  {swap}")


def _power_by_design(estimated: Sequence[Row], measured: Sequence[Row]) -> str:
    """Mean difference of power, with its sign, of each design with and without pipeline stages: what is wrong of one
    kind of design is no chance.
    """
    found: dict[str, list[float]] = {}
    for said, row in zip(estimated, measured, strict=True):
        if said.power_uw is not None and row.power_uw is not None and said.pipeline_stages == row.pipeline_stages:
            kind = f"{row.family} {'pipelined' if row.pipeline_stages else 'without stages'}"
            found.setdefault(kind, []).append(100 * (said.power_uw / row.power_uw - 1))
    return ", ".join(f"{kind} {sum(each) / len(each):+.1f} %" for kind, each in sorted(found.items()))


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
            plain_width(said.bits), said.normalisation, said.design, said.pipeline_stages, found.pipeline_stages,
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
