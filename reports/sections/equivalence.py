"""Whether the simulated array computes what PyTorch does, bit for bit."""

from __future__ import annotations

from reports.inputs import Equivalence
from reports.values import Cell, Column, Source, Table
from reports.wording import equivalence_finding

from .document import Section, TableBlock

__all__ = ["equivalence_section"]


def equivalence_section(record: Equivalence, note: str) -> Section:
    """The finding, and a table by GEMM. note: of the file."""
    paragraphs = [f"{equivalence_finding(record)}."]
    if record.right is not None:
        paragraphs.append(f"Of {record.samples:,} samples {record.right:,} are predicted right.")
    if record.accumulators is None:
        paragraphs.append(
            "The record does not count accumulators; one is written only where every one of them is equal."
        )
    network = f"{record.subject} on {record.array}" if record.subject else record.array
    source = Source(command=record.command or "python -m sim.equivalence", where=network, note=note)
    return Section("bit-exactness", "Bit-exactness", tuple(paragraphs), (TableBlock(_table(record), source),))


def _table(record: Equivalence) -> Table:
    counts = record.accumulators is not None
    columns = (
        Column("gemm", "GEMM"),
        Column("gemms", "layers", 0),
        Column("products", "products", 0),
        Column("macs", "MACs", 0),
        Column("run_cycles", "cycles of runs", 0),
        Column("load_cycles", "cycles of loads", 0),
        *((Column("accumulators", "accumulators", 0),) if counts else ()),
        Column("codes", "requantised codes", 0),
        *((Column("mismatches", "mismatches", 0),) if counts else ()),
    )
    rows: list[tuple[Cell, ...]] = []
    for kind in record.kinds:
        compared = (kind.accumulators,) if counts else ()
        wrong = (kind.mismatches,) if counts else ()
        rows.append(
            (
                kind.name,
                kind.gemms,
                kind.products,
                kind.macs,
                kind.cycles,
                kind.load_cycles,
                *compared,
                kind.codes,
                *wrong,
            )
        )
    total: tuple[Cell, ...] = ("all", *(sum(int(row[at] or 0) for row in rows) for at in range(1, len(columns))))
    return Table("bit-exactness-gemms", "What was simulated, by GEMM", columns, (*rows, total), frozenset({len(rows)}))
