"""A report as one page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from reports.charts import Chart, Rendered, text_of
from reports.sections import Document, TableBlock
from reports.values import Cell, Column, Table, fill, font_face, forms, groups, shown

__all__ = ["report_html"]


def report_html(document: Document, rendered: Mapping[str, Rendered]) -> str:
    """The page; rendered: figures by name."""
    letters = {letter for each in rendered.values() for svg in (each.wide, each.narrow) for letter in text_of(svg)}
    sections = [
        {
            "name": section.name,
            "title": section.title,
            "paragraphs": section.paragraphs,
            "notes": section.notes,
            "blocks": [_block(block, rendered) for block in section.blocks],
        }
        for section in document.sections
    ]
    font = Markup(font_face(letters)) if letters else ""
    figure = _block(document.figure, rendered)
    return fill("report.html.j2", document=document, figure=figure, sections=sections, font=font)


def _block(block: Chart | TableBlock, rendered: Mapping[str, Rendered]) -> dict[str, Any]:
    if isinstance(block, Chart):
        found = rendered[block.name]
        table = None if block.table is None else _table(block.table)
        return {"chart": block, "wide": found.wide, "narrow": found.narrow, "table": table}
    return {
        "chart": None,
        "table": _table(block.table),
        "source": block.source,
        "folded": block.folded,
        "shown": block.shown,
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "caption": table.caption,
        "columns": table.columns,
        "groups": groups(table),
        "forms": forms(table),
        "rows": [
            {
                "marked": number in table.marked,
                "cells": [_cell(column, cell) for column, cell in zip(table.columns, row, strict=True)],
            }
            for number, row in enumerate(table.rows)
        ],
    }


def _cell(column: Column, cell: Cell) -> dict[str, Any]:
    """value: what the cell is sorted by; empty where a number is not known, None for text."""
    value: Any = None if column.digits is None else "" if cell is None else cell
    return {"text": shown(column, cell), "value": value}
