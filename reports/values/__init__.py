"""Small things that pages and figures are made of: tables, numbers in sentences, provenance, templates, steps."""

from __future__ import annotations

from siliquant.inputs import counted

from .english import amount, bits, capital, number, percent, span, times
from .font import font_face
from .provenance import Source, file_note, model_tools, row_tools
from .steps import Command, Step, StepError, perform
from .table import Cell, Column, Table, csv, forms, groups, markdown, shown
from .templates import fill
from .tex import latex

__all__ = [
    "Cell",
    "Column",
    "Command",
    "Source",
    "Step",
    "StepError",
    "Table",
    "amount",
    "bits",
    "capital",
    "counted",
    "csv",
    "file_note",
    "fill",
    "font_face",
    "forms",
    "groups",
    "latex",
    "markdown",
    "model_tools",
    "number",
    "percent",
    "perform",
    "row_tools",
    "shown",
    "span",
    "times",
]
