"""Tables of a report as text: numbers, CSV, Markdown, and LaTeX that no cell can break."""

import csv as csv_module
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.values.table import Cell, Column, Table, csv, forms, groups, markdown, shown
from reports.values.tex import escape, latex
from siliquant.inputs.quoting import csv_cell

NAME, AREA = Column("design", "design"), Column("area_um2", "area, µm²", 1)
SMALL = Table("small", "A & B: 100 %", (NAME, AREA), (("uniform", 1234.56), ("loom_u8", None)), frozenset({0}))
GROUPED = Table(
    "grouped", "Two groups",
    (NAME, Column("a", "area", 1, "per unit"), Column("b", "power", 1, "per unit"), Column("c", "area", 2, "per MAC")),
    (("x", 1, 2.0, 3.0),),
)  # fmt: skip

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "\\",
        "\\\\",
        "}{",
        "&",
        "a--b",
        "---",
        "%",
        "$x$",
        "[1]",
        "*",
        "_^~",
        "a\\\nb",
        "\\end{tabular}",
        "| |",
        "`x`",
        "\0",
    ]
)


@pytest.mark.parametrize(
    ("digits", "value", "text"),
    [
        (1, 1234.56, "1,234.6"),
        (0, 16, "16"),
        (2, -0.5, "−0.50"),
        (1, -0.01, "0.0"),
        (None, "loom", "loom"),
        (1, None, "–"),
    ],
)
def test_a_cell_reads_as_it_should(digits: int | None, value: Cell, text: str) -> None:
    assert shown(Column("x", "x", digits), value) == text


def test_a_program_gets_every_digit_and_nothing_where_nothing_is_known() -> None:
    assert csv(SMALL) == "design,area_um2\nuniform,1234.56\nloom_u8,\n"


def test_integers_beside_unknown_ones_stay_integers() -> None:
    table = Table("t", "t", (Column("layer", "layer", 0),), ((1,), (None,)))
    assert csv(table) == 'layer\n1\n""\n'


def test_markdown() -> None:
    assert markdown(SMALL) == (
        "**A & B: 100 %**\n\n| design | area, µm² |\n| --- | ---: |\n| uniform | 1,234.6 |\n| loom\\_u8 | – |\n"
    )
    assert "| design | area, per unit | power, per unit | area, per MAC |" in markdown(GROUPED)


def test_latex() -> None:
    assert latex(SMALL).splitlines() == [
        r"% \usepackage[T1]{fontenc}",
        r"% \usepackage{booktabs,textcomp}",
        r"\begin{table}",
        r"\caption{A \& B: 100 \%}",
        r"\label{tab:small}",
        r"\centering",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        r"\begin{tabular}{@{}lr@{}}",
        r"\toprule",
        r"design & area, \textmu{}m\textsuperscript{2} \\",
        r"\midrule",
        r"uniform & 1,234.6 \\",
        r"loom\_u8 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_latex_has_rules_under_groups() -> None:
    lines = latex(GROUPED).splitlines()
    assert r"\multicolumn{1}{l}{} & \multicolumn{2}{c}{per unit} & \multicolumn{1}{c}{per MAC} \\" in lines
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-4}" in lines
    assert groups(GROUPED) == [("", 1), ("per unit", 2), ("per MAC", 1)]
    assert groups(SMALL) == []


def commands_left_out(text: str) -> str:
    """LaTeX without what it escapes, and without the commands that this package writes."""
    text = re.sub(r"\\[&%$#_{}]", "", text)
    text = re.sub(r"\\text(backslash|ascii(tilde|circum|grave)|less|greater|bar|quotedbl|mu|degree)\{\}", "", text)
    return re.sub(r"\\textsuperscript\{2\}|\$(\\(times|pm|le|ge|cdot)|-)\$|\{[\[\]*]\}", "", text)


@given(TEXT)
def test_escaped_text_has_no_command_and_no_end_of_a_cell(text: str) -> None:
    left = commands_left_out(escape(text))
    assert not set('\\&%$#_^~<>|"`[]*\n\0') & set(left)
    assert "--" not in escape(text.replace("–", ""))
    assert re.sub(r"\{\}", "", left).count("{") == re.sub(r"\{\}", "", left).count("}") == 0


@given(st.lists(st.tuples(TEXT, st.none() | st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=4))
def test_latex_keeps_its_shape_whatever_the_cells_hold(rows: list[tuple[Cell, ...]]) -> None:
    """As many lines, cells and braces as there must be; a row's first cell is no option of the row before."""
    text = latex(Table("t", str(rows[0][0]), (NAME, AREA), tuple(rows)))
    plain = re.sub(r"\\[\\{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == len(rows)
    for line in body:
        assert line.endswith(r" \\")
        assert len(re.sub(r"\\&", "", line).split("&")) == 2
        assert not line.startswith(("[", "*"))


@given(st.lists(st.tuples(TEXT, st.none() | st.floats(allow_nan=False)), min_size=1, max_size=4))
def test_csv_is_read_back_as_it_was(rows: list[tuple[Cell, ...]]) -> None:
    read = list(csv_module.reader(io.StringIO(csv(Table("t", "t", (NAME, AREA), tuple(rows))), newline="")))
    assert len(read) == len(rows) + 1
    for line, (name, area) in zip(read[1:], rows, strict=True):
        assert line[0] == csv_cell(name)
        assert (None if line[1] == "" else float(line[1])) == area


@given(TEXT)
def test_a_cell_of_markdown_stays_in_its_line(text: str) -> None:
    lines = markdown(Table("t", "t", (NAME,), ((text,),))).splitlines()
    assert len(lines) == 5
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[4])) == 2


def test_a_long_table_is_for_programs() -> None:
    table = Table("t", "t", (NAME,), (("x",),) * 61)
    assert forms(table) == ("csv",)
    assert forms(SMALL) == ("csv", "md", "tex")


def test_a_table_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a row of t must have 2 cells, not 1$"):
        Table("t", "t", (NAME, AREA), (("x",),))
    with pytest.raises(ValueError, match=r"^the columns of t must have different names, not design, design$"):
        Table("t", "t", (NAME, NAME), ())
