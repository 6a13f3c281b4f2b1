"""A report as data: sections with paragraphs, figures and tables; what is missing, and why."""

from __future__ import annotations

from dataclasses import dataclass

from reports.charts import Chart
from reports.values import Source, Table
from reports.wording import KeyNumber

__all__ = ["Document", "Missing", "Section", "TableBlock"]


@dataclass(frozen=True)
class TableBlock:
    """A table on the page. folded: shown when it is opened; shown: whether it is on the page at all, or a file only."""

    table: Table
    source: Source
    folded: bool = False
    shown: bool = True


@dataclass(frozen=True)
class Section:
    """name: its anchor. paragraphs stand before the blocks, notes after them as a list."""

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    blocks: tuple[Chart | TableBlock, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """A section that is left out, and why, as the end of a sentence."""

    title: str
    reason: str

    @property
    def line(self) -> str:
        """What the page says of it."""
        return f"{self.title} is left out: {self.reason}."


@dataclass(frozen=True)
class Document:
    """At the top stand question and headline, numbers and the figure that show the answer, and the answer in words.

    note: how far the numbers can be trusted.
    """

    question: str
    headline: str
    numbers: tuple[KeyNumber, ...]
    figure: Chart
    answer: tuple[str, ...]
    note: str
    date: str
    sections: tuple[Section, ...]
    missing: tuple[Missing, ...]

    def charts(self) -> tuple[Chart, ...]:
        """All figures, in order, that at the top first."""
        blocks = [block for section in self.sections for block in section.blocks]
        return (self.figure, *(block for block in blocks if isinstance(block, Chart)))

    def tables(self) -> tuple[Table, ...]:
        """All tables, in order, those behind figures too."""
        found = []
        for section in self.sections:
            for block in section.blocks:
                table = block.table
                if table is not None:
                    found.append(table)
        return tuple(found)
