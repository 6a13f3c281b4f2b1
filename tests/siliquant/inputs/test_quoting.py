"""Each quoting function against the language itself, or an independent reader of it."""

from __future__ import annotations

import csv
import html.parser
import io
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliquant.inputs.quoting import (
    csv_cell,
    csv_of,
    html_text,
    identifier,
    tcl_word,
    verilog_name,
    yosys_word,
)

HOSTILE = [
    "BUF[exec touch X]", "a b", "$env(HOME)", "{", "}", "{*}x", "\\", 'a"b', "#x", ";exit", "a;b", "x[0]", "~", "a\\",
    "`id`", "$(id)", "-x", "a'b", "$finish;", "\\esc", "*/", "//", "%s", "a|b", "a>b", "é", "--", "",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA, whose commands are Tcl, is not installed")
def test_words_of_tcl_are_the_text_and_nothing_else(tmp_path: Path) -> None:
    lines = [f'set word {tcl_word(text)}; puts "[string length $word]:$word"' for text in HOSTILE]
    lines += [f"puts [llength [list {tcl_word(text)}]]" for text in HOSTILE]
    script = tmp_path / "script.tcl"
    script.write_text("\n".join([*lines, "exit"]), encoding="utf-8")
    done = subprocess.run(
        ["sta", "-no_splash", "-exit", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    said = done.stdout.splitlines()
    texts = said[: len(HOSTILE)]
    assert [line.split(":", 1)[1] for line in texts if line.isascii()] == [text for text in HOSTILE if text.isascii()]
    assert said[len(HOSTILE) :] == ["1"] * len(HOSTILE)
    assert list(tmp_path.iterdir()) == [script]


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=12))
def test_a_word_of_tcl_has_no_character_that_is_substituted(text: str) -> None:
    word = tcl_word(text)
    if word.startswith('"'):
        inner, place = word[1:-1], 0
        while place < len(inner):
            assert inner[place] not in '$["'
            place += 2 if inner[place] == "\\" else 1
    else:
        assert not set(word) & set('$[]{}"\\; #')


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\x1b[1m", "\t"])
def test_control_characters_are_refused(text: str) -> None:
    for quote in (tcl_word, yosys_word, verilog_name):
        with pytest.raises(ValueError, match="must"):
            quote(text)


def test_names_in_verilog() -> None:
    assert verilog_name("INV_X1") == "INV_X1"
    assert verilog_name("wire") == "\\wire "
    assert verilog_name("A[0]") == "\\A[0] "
    assert verilog_name("1a") == "\\1a "
    for name in ("a b", "", "é", "a" * 1025):
        with pytest.raises(ValueError, match=r"^a name in Verilog must be 1 to 1024 printable ASCII characters, not "):
            verilog_name(name)


def test_identifiers() -> None:
    assert identifier("a_1$", "cell") == "a_1$"
    for name in ("1a", "a b", "a[0]", "", "module", "logic", "é", "a\n"):
        with pytest.raises(ValueError, match=r"^cell must be a Verilog identifier, not "):
            identifier(name, "cell")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_names_of_verilog_are_read_by_icarus(tmp_path: Path) -> None:
    names = [text for text in HOSTILE if text.isascii() and text and " " not in text]
    lines = ["module top;", *(f"reg {verilog_name(f'{number}{name}')};" for number, name in enumerate(names))]
    (tmp_path / "t.v").write_text("\n".join([*lines, "endmodule"]))
    subprocess.run(["iverilog", "-o", "t", "t.v"], cwd=tmp_path, check=True, capture_output=True)


def test_arguments_of_yosys() -> None:
    assert yosys_word("a/b.v") == "a/b.v"
    assert yosys_word("a b; exec") == '"a b; exec"'
    for text in ('a"b', "-x", "!id", ":x", ""):
        with pytest.raises(ValueError, match="must hold no quotes and not begin as an option"):
            yosys_word(text)


@given(st.text(max_size=30))
def test_html_reads_as_the_text(text: str) -> None:
    said: list[str] = []
    attributes: list[str | None] = []

    class Reader(html.parser.HTMLParser):
        def handle_data(self, data: str) -> None:
            said.append(data)

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag == "p"
            attributes.extend(value for _, value in attrs)

    reader = Reader()
    reader.feed(f'<p title="{html_text(text)}">{html_text(text)}</p>')
    reader.close()
    shown = "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
    assert "".join(said) == shown
    assert attributes == [shown]


CELLS = [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("-cmd", "'-cmd"), ("+a", "'+a"), ("-1.5", "-1.5"),
         ("-", "-"), ("+2e3", "+2e3"), ("a=b", "a=b"), ("", ""), ("\t=1", "'\t=1"),
         ("a\rb", "a\nb"), ("\r\n=1", "\n=1"), (-3, "-3")]  # fmt: skip


@pytest.mark.parametrize(("value", "cell"), CELLS)
def test_no_cell_is_a_formula(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


def test_a_table_has_no_formulas_either() -> None:
    frame = pd.DataFrame({"=name": ["=cmd|' /C calc'!A0", "fine", None], "value": [-1.5, 2.0, None], "n": [1, -2, 3]})
    before = frame.copy()
    text = csv_of(frame)
    assert list(csv.reader(io.StringIO(text))) == [
        ["'=name", "value", "n"], ["'=cmd|' /C calc'!A0", "-1.5", "1"], ["fine", "2.0", "-2"], ["", "", "3"]
    ]  # fmt: skip
    pd.testing.assert_frame_equal(frame, before)
