"""Uniform against mixed-precision hardware at one mean bit-width, in two normalisations.

In: bit-widths, mixtures, designs, a library, a clock. Out: the rows of the comparison, as tables, files and a plot.
Read ``kinds`` (which designs), ``comparison`` (questions and rows), ``measured`` and ``estimated`` (who answers them),
``best`` (what is shown), ``requantisation``, ``sentence`` (the answer), ``tables``, ``terminal``, ``plot``, ``check``.
"""

from __future__ import annotations

from .best import best_rows
from .check import print_check, write_check
from .comparison import (
    EQUAL_THROUGHPUT,
    EQUAL_UNITS,
    REDUCTION_LENGTH,
    Answer,
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
from .kinds import kinds_of
from .measured import Answers, Settings, entries_of, measured_or, settings
from .plot import write_plot
from .requantisation import EXACT, HEAD_MULTIPLIER_WIDTH, UnitAnswer, UnitRow, mac_question, unit_rows, units
from .sentence import answer_sentence, mixed_rows, scalable_rows
from .tables import UNIT_HEADERS, frame, markdown_table, notes, unit_notes, write_tables
from .terminal import print_comparison

__all__ = [
    "EQUAL_THROUGHPUT",
    "EQUAL_UNITS",
    "EXACT",
    "HEAD_MULTIPLIER_WIDTH",
    "REDUCTION_LENGTH",
    "UNIT_HEADERS",
    "Answer",
    "Answers",
    "Entry",
    "ModelAnswers",
    "Question",
    "Row",
    "Settings",
    "UnitAnswer",
    "UnitRow",
    "answer_sentence",
    "best_rows",
    "compare_rows",
    "contenders",
    "entries_of",
    "frame",
    "is_uniform",
    "kinds_of",
    "mac_question",
    "markdown_table",
    "measured_answer",
    "measured_or",
    "mixed_rows",
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
