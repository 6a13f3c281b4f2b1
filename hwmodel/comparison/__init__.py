"""Uniform against mixed-precision hardware at one mean bit-width, in two normalisations.

In: bit-widths, mixtures, designs, a library, a clock. Out: the rows of the comparison, as tables, files and a plot.
Read ``comparison`` (questions and rows), ``measured`` and ``estimated`` (who answers them), ``requantisation``,
``sentence`` (the answer), ``tables``, ``terminal``, ``plot``, ``check``.
"""

from __future__ import annotations

from .check import print_check, write_check
from .comparison import (
    EQUAL_THROUGHPUT,
    EQUAL_UNITS,
    REDUCTION_LENGTH,
    Entry,
    Question,
    Row,
    compare_rows,
    contenders,
    is_uniform,
    measured_answer,
    mixes,
    questions,
)
from .estimated import ModelAnswers, model_answer
from .measured import Answers, Settings, measured_or, settings
from .plot import write_plot
from .requantisation import EXACT, HEAD_MULTIPLIER_WIDTH, UnitAnswer, UnitRow, mac_question, unit_rows, units
from .sentence import answer_sentence, scalable_rows
from .tables import UNIT_HEADERS, frame, markdown_table, notes, unit_notes, write_tables
from .terminal import print_comparison

__all__ = [
    "EQUAL_THROUGHPUT",
    "EQUAL_UNITS",
    "EXACT",
    "HEAD_MULTIPLIER_WIDTH",
    "REDUCTION_LENGTH",
    "UNIT_HEADERS",
    "Answers",
    "Entry",
    "ModelAnswers",
    "Question",
    "Row",
    "Settings",
    "UnitAnswer",
    "UnitRow",
    "answer_sentence",
    "compare_rows",
    "contenders",
    "frame",
    "is_uniform",
    "mac_question",
    "markdown_table",
    "measured_answer",
    "measured_or",
    "mixes",
    "model_answer",
    "notes",
    "print_check",
    "print_comparison",
    "questions",
    "scalable_rows",
    "settings",
    "unit_notes",
    "unit_rows",
    "units",
    "write_check",
    "write_plot",
    "write_tables",
]
