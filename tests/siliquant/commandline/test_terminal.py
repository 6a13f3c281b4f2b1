"""Tables fit the terminal: no cell is cut or broken, and every column is shown."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from siliquant.commandline.terminal import LEAST_COLUMNS, PIPED_COLUMNS, console, fitting, print_table

WORDS = st.text("abcdefgh0123456789.,/", min_size=1, max_size=12)
TABLES = st.integers(2, 12).flatmap(
    lambda columns: st.tuples(
        st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), min_size=columns, max_size=columns),
        st.lists(st.lists(WORDS, min_size=columns, max_size=columns), min_size=1, max_size=4),
    )
)


def printed(title: str, headers: list[str], lines: list[list[str]], width: int, keys: int = 1) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    print_table(out, title, headers, lines, keys=keys)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


@given(TABLES, st.integers(80, 160))
def test_no_cell_is_cut_or_broken(table: tuple[list[str], list[list[str]]], width: int) -> None:
    headers, lines = table
    shown = printed("a title", headers, lines, width)
    assert max(map(len, shown)) <= width
    for line in lines:
        found = [text.split() for text in shown if text.startswith(line[0])]
        cells = [cell for texts in found for cell in texts]
        assert set(line) <= set(cells)


@given(TABLES, st.integers(80, 160), st.integers(1, 2))
def test_every_column_is_in_one_group_and_the_keys_in_all(
    table: tuple[list[str], list[list[str]]], width: int, keys: int
) -> None:
    headers, lines = table
    groups = list(fitting(headers, lines, width, keys))
    assert all(group[:keys] == list(range(keys)) for group in groups)
    assert [column for group in groups for column in group[keys:]] == list(range(keys, len(headers)))


def test_numbers_stand_on_the_right_and_the_best_is_bold() -> None:
    out = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", highlight=False)
    print_table(out, "t", ("design", "area um2"), [["a", "1.5"], ["b", "10.5"]], best={(0, 1)})
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert "\x1b[1m1.5" in text or re.search(r"\x1b\[1m\s*1\.5", text)
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text.splitlines()]
    assert [line.rstrip().endswith(end) for line, end in zip(plain[-3:-1], ("1.5", "10.5"), strict=True)] == [
        True,
        True,
    ]
    assert len({len(line.rstrip()) for line in plain[-3:-1]}) == 1


@pytest.mark.parametrize(
    ("columns", "width"),
    [("", PIPED_COLUMNS), ("120", 120), ("40", LEAST_COLUMNS), ("wide", PIPED_COLUMNS), ("9" * 9, PIPED_COLUMNS)],
)
def test_the_width_is_that_of_columns_or_one_hundred(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == width


def test_a_line_stays_one_line_and_a_table_keeps_to_the_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = console()
    out.print("word " * 40 + "end")
    print_table(out, "t", ("name", *(f"column {number}" for number in range(12))), [("a", *("1234567" * 12)[:12])])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "word " * 40 + "end"
    assert max(len(line) for line in printed[1:]) <= 80
