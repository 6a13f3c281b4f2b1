"""The designs behind the rows of a comparison: what the cost model is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Entry, Row, contenders, entries_of, is_uniform
from hwmodel.workload import parse_mixture
from rtl.spec import MacSpec
from siliquant.inputs import InputError

__all__ = ["Subject", "subjects"]


@dataclass(frozen=True)
class Subject:
    """A row, the question that it answers, and the design with the pipelining and form that the row has."""

    row: Row
    entry: Entry
    spec: MacSpec

    @property
    def uniform(self) -> bool:
        """Whether the others are compared with it."""
        return is_uniform(self.row)


def subjects(rows: Sequence[Row]) -> tuple[Subject, ...]:
    """The design of each row. ValueError where this version makes another of the same name, or none."""
    bits = list(dict.fromkeys(row.bits for row in rows))
    mixtures = {row.bits: row.mixture for row in rows if not is_uniform(row)}
    given = {mean: parse_mixture(mixtures[mean].replace("b:", ":").replace(" ", ",")) for mean in bits}
    asked = entries_of(given, contenders(), _size(rows, EQUAL_THROUGHPUT), _size(rows, EQUAL_UNITS))
    entries = {(entry.bits, entry.normalisation, entry.spec.label): entry for entry in asked}
    for row in rows:
        if (row.bits, row.normalisation, row.design) not in entries:
            known = dict.fromkeys(label for mean, _, label in entries if mean == row.bits)
            raise InputError(f"the designs at {row.bits} bits must be among {', '.join(known)}, not {row.design!r}")
    return tuple(_subject(row, entries[row.bits, row.normalisation, row.design]) for row in rows)


def _size(rows: Sequence[Row], normalisation: str) -> int:
    """Lanes of the uniform design."""
    sizes = {row.units for row in rows if is_uniform(row) and row.normalisation == normalisation}
    if len(sizes) != 1:
        raise InputError(f"uniform designs at {normalisation} must have one number of lanes, not {sorted(sizes)}")
    return sizes.pop()


def _subject(row: Row, entry: Entry) -> Subject:
    first, *others = replace(entry.spec, pipeline_stages=row.pipeline_stages).forms
    for spec in (first, *others):
        if spec.name == row.spec:
            return Subject(row, entry, spec)
    raise InputError(f"{row.design} at {row.bits} bits must be {first.name}, as this version makes it, not {row.spec}")
