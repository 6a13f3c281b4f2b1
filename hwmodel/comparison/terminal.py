"""The comparison on a terminal: the answer first, then what it rests on, then where to read more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwmodel.synthesis import FLOW_VERSION
from siliquant.commandline import console, print_notes, print_table

from .best import best_rows
from .comparison import EQUAL_THROUGHPUT, Row, flow_of, is_estimated
from .requantisation import UnitRow
from .sentence import answer_sentence
from .tables import HEADERS, UNIT_HEADERS, cells, figure, shares_text, unit_cells

__all__ = ["print_comparison"]

_COLUMNS = ("design", "mixture", "um2 per MAC/cycle", "energy fJ/MAC", "area ratio", "energy ratio", "meets clock")
_UNIT_COLUMNS = ("code bits", "unit", "parameter sets", "area um2", "energy pJ a sum", "area / MAC", "basis")
_TEXT = (0, 1)
_MOST_NOTES = 5


def print_comparison(rows: Sequence[Row], units: Sequence[UnitRow] = (), *, wide: bool = False) -> None:
    """Prints the answer, one table a mean bit-width, one of requantisers where there are any, and notes.

    wide: every column of the files, in as many tables as the terminal asks for.
    """
    out = console()
    out.print(answer_sentence(rows), soft_wrap=False)  # prose is broken between words
    out.print()
    shown = rows if wide else best_rows(rows)
    for bits in dict.fromkeys(row.bits for row in rows):
        title = f"mean of {bits} bits"
        if wide:
            print_table(out, title, HEADERS, [line for at, line in cells(shown) if at == bits], left=_TEXT)
        else:
            of_width = [row for row in shown if row.bits == bits and row.normalisation == EQUAL_THROUGHPUT]
            lines = [_line(row, _mark(row, rows)) for row in of_width]
            print_table(out, title, _COLUMNS, lines, left=_TEXT, best=_best(of_width))
    if units:
        if wide:
            print_table(out, "requantisation, one unit", UNIT_HEADERS, unit_cells(units), left=(1, 2), keys=2)
        else:
            print_table(out, "requantisation, one unit", _UNIT_COLUMNS, [_unit(unit) for unit in units], left=(1, 6))
    print_notes(out, _notes(rows, wide))


def _line(row: Row, mark: str) -> list[str]:
    clock = {True: "yes", False: "no", None: "unknown"}[row.meets_clock]
    return [
        row.design,
        shares_text(row.run_as),
        figure(row.area_um2_per_mac_per_cycle, 1),
        figure(row.energy_fj_per_mac, 0),
        figure(row.area_ratio, 2),
        figure(row.power_ratio, 2),
        f"{clock} {mark}".rstrip(),
    ]


def _mark(row: Row, rows: Sequence[Row]) -> str:
    """What stands beside a row that is estimated beyond what the model knows, or among others that are measured."""
    if "out of range" in row.source:
        return "*"
    return "~" if is_estimated(row.source) and _is_partly_measured(rows) else ""


def _is_partly_measured(rows: Sequence[Row]) -> bool:
    return len({is_estimated(row.source) for row in rows}) > 1


def _unit(unit: UnitRow) -> list[str]:
    return [
        str(unit.bits),
        unit.design,
        str(unit.groups),
        figure(unit.area_um2, 0),
        figure(unit.energy_pj, 3),
        figure(unit.area_ratio, 2),
        unit.basis,
    ]


def _best(rows: Sequence[Row]) -> set[tuple[int, int]]:
    """The least area and the least energy."""
    values: dict[int, Callable[[Row], float | None]] = {
        2: lambda row: row.area_um2_per_mac_per_cycle,
        3: lambda row: row.energy_fj_per_mac,
    }
    found = set()
    for column, value in values.items():
        known = [each for each in map(value, rows) if each is not None]
        found |= {(number, column) for number, row in enumerate(rows) if known and value(row) == min(known)}
    return found


def basis_of(rows: Sequence[Row]) -> str:
    """How the figures of some rows were found, as a phrase."""
    source = next((row.source for row in rows if is_estimated(row.source)), "")
    if not source:
        return "measured by synthesis"
    if _is_partly_measured(rows):
        return "measured; ~ and *: estimated by the cost model"
    if flow := flow_of(source):
        return f"by a cost model of flow {flow}, now {FLOW_VERSION}"
    fitted = source.removeprefix("model of ").split(",")[0] if source.startswith("model of ") else ""
    return "estimated by the cost model" + (f", fitted to {fitted} only" if fitted else "")


def _notes(rows: Sequence[Row], wide: bool) -> list[str]:
    """At most _MOST_NOTES short lines."""
    first = rows[0]
    lanes = next(row.units for row in rows if row.normalisation == EQUAL_THROUGHPUT)
    basis = basis_of(rows)
    _, partly, share = first.activity.rpartition("; operands in ")
    lines = [
        f"{first.library}, {first.corner}, {first.clock_mhz:g} MHz; {basis}{partly and f'{partly}{share}'}.",
        f"Ratios are to the uniform MAC, all at the products a cycle of {lanes} uniform lanes.",
    ]
    shown = rows if wide else [row for row in best_rows(rows) if row.normalisation == EQUAL_THROUGHPUT]
    if any(row.minimum_period_ns is None for row in shown):
        lines.append("Timing and power are unknown: OpenSTA is not installed. On Debian: apt-get install opensta")
    elif any(row.power_uw is None for row in shown):
        lines.append("Power is unknown where the library does not state it.")
    if any(row.meets_clock is False for row in shown):
        lines.append("no: no pipelining meets the clock; shown is one within 2 % of the fastest.")
    if any("out of range" in row.source for row in shown):
        lines.append("* lies beyond the designs that the model was fitted on.")
    if any(row.run_as != row.mixture for row in shown):
        lines.append("A width that a design lacks runs at its next wider one.")
    if wide:
        last = "Method: docs/comparison.md; error: docs/calibration.md."
    else:
        last = "Best set of widths of each; --wide: all. docs/comparison.md, docs/calibration.md"
    return [*lines[: _MOST_NOTES - 1], last]
