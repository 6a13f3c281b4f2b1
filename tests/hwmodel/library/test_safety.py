"""No text of a Liberty file becomes code of a tool, and what a file lacks is said before anything is synthesised."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hwmodel.calibrate import main as calibrate
from hwmodel.liberty.files import LibertyFiles
from hwmodel.liberty.functions import parse_function
from hwmodel.liberty.models import CellModel, LibraryCells
from hwmodel.liberty.tree import parse_liberty
from hwmodel.library.cells import described_cells
from hwmodel.library.digest import digest_liberty
from hwmodel.library.library import Library, find_library
from hwmodel.library.verilog import cell_verilog, delay_pairs, numbered
from hwmodel.power.icarus import icarus_version
from hwmodel.synthesis.sta import OpenSta, opensta_version
from hwmodel.synthesise import main
from siliquant.inputs.errors import InputError
from siliquant.inputs.quoting import tcl_word
from tests.hwmodel.library.smalllibrary import (
    small_library,
    with_cells_named,
    with_pins_named,
    without,
    without_groups,
)

needs_tools = pytest.mark.skipif(
    opensta_version() is None or icarus_version() is None, reason="OpenSTA or Icarus Verilog is not installed"
)
PAYLOADS = (
    *("BUF[exec touch X]", "x; exec touch X", "$::env(HOME)", "{", "}", "a b", "\\[0]", "a#b", "`include", "a;b"),
    *("../X", "|touch X", "`touch X`", "$(touch X)", "é", "a\x1b[31mb", "<b>", "=1", "-h", "!", "a'b", "a/*b", ""),
    *("a)b", "2INV", "A" * 129, "IQ); initial $system(1"),
)


def read(text: str) -> None:
    digest_liberty(parse_liberty(text, "my.lib"))


def library(tmp_path: Path, text: str, **options: bool) -> Library:
    path = tmp_path / "my.lib"
    path.write_text(text)
    return find_library(liberty=path, cache_dir=tmp_path / "cache", **options)


def synthesised(path: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    main(["--liberty", str(path), "--bits", "2", "--lanes", "1", "--effort", "quick", "--clock-mhz", "1500",
          "--fresh", "--jobs", "1", "--format", "json", *arguments])  # fmt: skip
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("name", PAYLOADS)
def test_cells_that_no_tool_can_call_are_refused(name: str) -> None:
    """With the file, the line and the name: the smallest buffer is what Tcl was told to drive the inputs with."""
    text = with_cells_named(small_library(), lambda cell: name if cell == "BUF_X1" else cell)
    line = 1 + text[: text.index(f'cell ("{name}")')].count("\n")
    with pytest.raises(InputError) as caught:
        read(text)
    assert f"my.lib, line {line}: cell " in str(caught.value)
    assert "must have a name of letters, digits" in str(caught.value)


@pytest.mark.parametrize("name", PAYLOADS)
def test_pins_that_no_tool_can_call_are_refused(name: str) -> None:
    """Also one that no function reads."""
    pin = f'pin ("{name}") {{ direction : input; capacitance : 1; }}'
    text = re.sub(r'(cell \("?INV_X1"?\) \{)', lambda match: match[1] + pin, small_library())
    assert text != small_library()
    with pytest.raises(InputError, match=r"^my\.lib, line \d+: pin .* of cell INV_X1 must have a name of letters"):
        read(text)


@pytest.mark.parametrize("name", ["x;$fopen(1)//", "a b", "`x", "x[0]", "CK", "IQ", "1", "", "$finish"])
def test_states_are_identifiers_of_their_own(name: str) -> None:
    """The second name of ff (IQ, IQN) is in no expression where a cell has no inverted output."""
    text = without_groups(small_library(), "statetable")
    text = re.sub(r'ff \("IQ" , "IQN"\)', f'ff ("IQ", "{name}")', text)
    assert text != small_library()
    with pytest.raises(InputError):
        read(text.replace('"IQN"', '"!IQ"'))


def test_a_state_that_nothing_reads_is_looked_at_too() -> None:
    text = """library (x) { capacitive_load_unit (1, ff); nom_voltage : 1;
      cell (D) { area : 1; ff ("IQ", "x;$fopen(1)//") { clocked_on : CK; next_state : D; }
        pin (CK, D) { direction : input; capacitance : 1; }
        pin (Q) { direction : output; function : IQ; } } }"""
    with pytest.raises(InputError, match=r"line 2: ff 'IQ' of cell D must have a name of letters.*not 'x;\$fopen"):
        list(described_cells(parse_liberty(text)))


def test_a_bench_has_numbers_for_names() -> None:
    """Whatever cells, pins and states are called: nothing of it is in their Verilog."""
    cells = LibraryCells(parse_liberty(small_library()))
    model, names = numbered(cells["DFF_X1"], 7)
    assert (model.name, model.inputs, tuple(model.outputs)) == ("cell7", ("i0", "i1"), ("o0", "o1"))
    words = set(re.findall(r"[A-Za-z_]\w*", cell_verilog(model)))
    assert not words & {"DFF_X1", "CK", "D", "Q", "QN", "IQ", "IQN"}
    plain = delay_pairs(cells["DFF_X1"])
    assert {(names[source], names[output]): both for (source, output), both in plain.items()} == delay_pairs(model)
    odd = CellModel("x; $finish", 1.0, {"a b": 1.0}, {"y)": parse_function("1")}, None)
    assert cell_verilog(numbered(odd, 0)[0]).startswith("module cell0 (i0, o0);")
    with pytest.raises(InputError, match="a name in Verilog must be"):
        cell_verilog(odd)


def test_the_slim_copy_holds_nothing_that_tools_read_in_two_ways() -> None:
    text = small_library().replace("technology", 'comment : "a\\"; technology', 1)
    text = re.sub(r"library \([^)]*\)", 'library ("a{b; [exec x]")', text)
    _, slim = digest_liberty(parse_liberty(text))
    assert slim.startswith("library (slim) {")
    assert not re.search(r"[\\#`;]\w|comment|exec|//|/\*", slim)
    expanded = small_library().replace("pin (A1)", "pin (A1, A3)", 1)
    _, slim = digest_liberty(parse_liberty(expanded))
    assert "pin (A3)" in slim


@needs_tools
def test_strange_names_give_the_same_netlist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dots, dashes, dollars, keywords and brackets are only names: same area, same timing, same power; and so is what
    a folder for temporary files is called, in Yosys' scripts, ABC's and in shells.
    """
    odd = tmp_path / "a b{c}'\"[exec touch X]$(touch X);é"
    odd.mkdir()
    monkeypatch.chdir(tmp_path)
    cells = {"INV_X1": "INV.X-1", "NAND2_X1": "and", "DFF_X1": "DFF$X1", "FA_X1": "FA:X+1"}
    pins = {"A1": "A[0]", "A2": "A[1]", "ZN": "Z.N", "CK": "C[0]", "Q": "Q[0]", "D": "reg"}
    found = []
    for name, text in (
        ("plain.lib", small_library()),
        ("strange name.lib", with_cells_named(with_pins_named(small_library(), pins), lambda x: cells.get(x, x))),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path if name == "plain.lib" else odd))
        found.append(synthesised(tmp_path / name, "--out", str(tmp_path / "out"), capsys=capsys))
    plain, strange = found
    for figure in ("area_um2", "minimum_period_ns", "power_uw", "recipe", "toggles"):
        assert plain[figure] == strange[figure] is not None
    histogram = strange["histogram"]
    assert isinstance(histogram, dict)
    assert {cells.get(cell, cell): count for cell, count in dict(plain["histogram"]).items()} == histogram  # type: ignore[call-overload]
    assert not list(odd.iterdir())
    assert not (tmp_path / "X").exists()
    assert "\\INV.X-1 " in (tmp_path / "out" / "uniform_w2_a2_l1.v").read_text()


@needs_tools
def test_folders_with_any_name_are_only_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b{c}[exec touch X]$d é"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path = folder / 'q"uote.lib'
    path.write_text(small_library())
    found = find_library(liberty=path, cache_dir=folder)
    with OpenSta(found) as opensta:
        assert "INV_X1" in opensta.ask("puts [get_name [lindex [get_lib_cells slim/INV_X1] 0]]")
        assert opensta.ask(f"puts {tcl_word('[exec touch X] $d')}") == "[exec touch X] $d\n"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: re.sub(r"(?m)^\s*area\s*:[^;]*;", "", text),
         r"must have an inverter among its usable cells; cell 'INV_X1' in line \d+ is left out: it states no area"),
        (lambda text: re.sub(r"\barea\s*:[^;]*;", "area : 0;", text), "is left out: it states no area"),
        (lambda text: re.sub(r"\barea\s*:[^;]*;", "area : -1;", text), "must have an area above 0, not -1"),
        (lambda text: re.sub(r"\barea\s*:[^;]*;", "area : nan;", text), "must have a finite number for area.*'nan'"),
        (lambda text: re.sub(r"\barea\s*:[^;]*;", "area : 1e999;", text), "must have a finite number for area"),
        (lambda text: re.sub(r"\barea\s*:[^;]*;", "area : 1_0;", text), "must have a finite number for area"),
        (lambda text: re.sub(r"\bcapacitance\s*:[^;]*;", "capacitance : -1;", text), "capacitance"),
        (lambda text: re.sub(r"max_capacitance\s*:[^;]*;", "max_capacitance : 0;", text), "max_capacitance above 0"),
        (lambda text: without(text, "capacitive_load_unit"), "a number and ff or pf for capacitive_load_unit"),
        (lambda text: text.replace('"1ns"', '"0ns"'), "must have a number with a unit in s for time_unit"),
        (lambda text: re.sub(r"nom_voltage\s*:[^;]*;", "nom_voltage : 0;", text), "must have a nom_voltage above 0"),
        (
            lambda text: without_groups(without(without(without(text, "nom_voltage"), "default_operating_conditions"),
                                                "voltage_map"), "operating_conditions"),
            "must state its supply: nom_voltage, or the voltage of its default_operating_conditions$",
        ),
        (lambda text: with_cells_named(text, lambda cell: cell.replace("X2", "X1")), "must be defined once"),
        (lambda text: text.replace('"IQ"', '"Q"', 2), "must have"),
        (lambda text: re.sub(r"values \(\"[-\d.]+,", 'values ("', text), "must have .* values"),
        (lambda text: re.sub(r"index_1 \(\"[-\d.]+,", 'index_1 ("99,', text), "rising"),
        (lambda text: text.replace("positive_unate", "sideways"), "must have a timing_sense of Liberty"),
        (lambda text: text.replace("rising_edge", "sometimes"), "must have a timing_type of Liberty"),
        (lambda text: without_groups(text, "rise_transition"), "must have rise_transition beside cell_rise"),
        (lambda text: re.sub(r"fanout_length\s*\([^)]*\)", "fanout_length (1)", text), "2 or more numbers"),
        (lambda text: re.sub(r"\btechnology\b", 'include_file ("x"); technology', text), "include_file is not"),
        (lambda text: text + "}", "a closing brace has no opening brace"),
        (lambda text: "a (b) {" * 65 + "}" * 65, "at most 64 levels deep"),
        (lambda text: re.sub(r'when\s*:\s*"[^"]*"', 'when : "A[0"', text), "must have"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_at_reading(change: Callable[[str], str], sentence: str) -> None:
    changed = change(small_library())
    assert changed != small_library()
    with pytest.raises(InputError, match=rf"^my\.lib, line \d+: .*{sentence}"):
        read(changed)


@pytest.mark.parametrize(
    "text", ["A" + "+A" * 200, "!" * 70 + "A", "(" * 70 + "A" + ")" * 70, "A" + "'" * 320, "A" * 10 + " A" * 100_000]
)
def test_expressions_have_an_end(text: str) -> None:
    """None is deeper than Python's stack; the message quotes little of it."""
    with pytest.raises(InputError, match=r"must (have|be nested) at most") as caught:
        parse_function(text)
    assert len(str(caught.value)) < 200
    deepest = parse_function("A" + "+A" * 159)
    assert deepest.names == {"A"}
    assert deepest == parse_function("A" + "+A" * 159)


def test_blanks_and_comments_take_no_memory_and_no_time() -> None:
    """A pattern that repeats single characters, or tries a comment that never ends again and again, would."""
    blanks, comments = " " * 2_000_000, "/* */" * 200_000
    group = parse_liberty(f"library (x) {{ {blanks} {comments} a : b; v (1,{blanks}2); }}")
    assert group.text("a") == "b"
    assert group.numbers("v") == (1.0, 2.0)
    assert parse_liberty("library (x) { a : " + "/*" * 100_000 + "x; /* */ }").kind == "library"


def test_voltages_come_from_the_operating_conditions_where_nothing_else_states_them(tmp_path: Path) -> None:
    plain = library(tmp_path, small_library())
    other = library(tmp_path, without(small_library(), "nom_voltage"))
    assert other.voltage_v == plain.voltage_v == 1.1
    assert other.corner == "typical, 1.1 V, 25.00 C"
    millivolts = re.sub(r"nom_voltage\s*:[^;]*;", "nom_voltage : 1100;", small_library().replace('"1V"', '"1mV"'))
    assert library(tmp_path, millivolts, accept=True).voltage_v == pytest.approx(1.1)


def test_files_that_are_no_text_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my.lib"
    os.mkfifo(path)
    with pytest.raises(InputError, match="must be a regular file, and is a pipe"):
        find_library(liberty=path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    path.unlink()
    path.write_bytes(small_library().encode("utf-16"))
    with pytest.raises(InputError, match="must be text in UTF-8, not in UTF-16"):
        find_library(liberty=path)
    path.write_bytes(b"\xef\xbb\xbf" + small_library().encode() + b"\x1a")
    assert LibertyFiles((path,)).text() == (small_library(),)
    path.write_bytes("library (x) { a : \x1b[2Jé; }".encode())
    assert LibertyFiles((path,)).text() == ("library (x) { a : ?[2J??; }",)
    monkeypatch.setattr("hwmodel.liberty.files.MOST_BYTES", 100_000)
    for suffix, pack in (("gz", gzip.compress), ("xz", lzma.compress)):
        packed = tmp_path / f"my.lib.{suffix}"
        packed.write_bytes(pack(b" " * 200_000))
        with pytest.raises(InputError, match=r"must unpack to at most 100000 bytes"):
            find_library(liberty=packed)


@needs_tools
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (without_groups(small_library(), "internal_power"), "no internal_power of"),
        (
            re.sub(r"(?m)^\s*cell_leakage_power\s*:[^;]*;", "", without_groups(small_library(), "leakage_power")),
            "no leakage power of",
        ),
        (without(small_library(), "leakage_power_unit"), "no leakage power of"),
    ],
)
def test_power_that_a_library_does_not_state_is_no_figure(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Area and timing are there, the rest is empty, and a line says what is missing; again from the store."""
    path = tmp_path / "my.lib"
    path.write_text(text)
    arguments = ["--liberty", str(path), "--bits", "2", "--lanes", "1", "--effort", "quick", "--clock-mhz", "300",
                 "--jobs", "1"]  # fmt: skip
    for _ in range(2):
        main(arguments)
        said = capsys.readouterr()
        assert re.search(rf"power +not known: my states {why}", said.out)
        assert re.search(r"minimum period +\d", said.out)
        assert "energy" not in said.out
        assert re.search(rf"my\.lib states {why} .*: netlists with them get no power figure\n", said.err)
    main([*arguments, "--format", "json"])
    row = json.loads(capsys.readouterr().out)
    names = ("leakage_uw", "clock_uw", "internal_uw", "switching_uw", "power_uw", "energy_pj_per_cycle", "toggles")
    assert all(row[name] is None for name in names)
    assert row["minimum_period_ns"] > 0


@needs_tools
def test_a_library_without_delays_has_no_timing(tmp_path: Path) -> None:
    path = tmp_path / "my.lib"
    path.write_text(without_groups(small_library(), "timing"))
    with pytest.raises(
        InputError, match="must state the timing of every output of its usable cells, not none of INV_X1"
    ):
        main(["--liberty", str(path), "--bits", "2", "--lanes", "1", "--effort", "quick"])


def test_energies_that_look_wrong_pass_where_they_are_accepted(tmp_path: Path) -> None:
    zero = re.sub(
        r'((?:rise|fall)_power[^{]*\{[^}]*?values\s*\(\s*")[-\d.]+', lambda match: f"{match[1]}0.0", small_library()
    )
    with pytest.raises(InputError, match=r"not 0 times: check its units; .*--accept-library takes it as it is"):
        library(tmp_path, zero)
    assert library(tmp_path, zero, accept=True).energy_ratio == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "library (x) { area : " + "1" * 1_000_000 + "x; }",
        "library (x) { area : " + "1" * 1_000_000 + "; }",
        'library (x) { index_1 ("' + "1" * 1_000_000 + '"); }',
        'library (x) { index_1 ("1, ' + "e" * 1_000_000 + '"); }',
        "library (x) { area : " + "/**/" * 250_000 + "x; }",
        "library (x) { " + "a" * 1_000_000 + " }",
        "library (x) { area (" + "(" * 1_000_000 + "; }",
        "library (x) { area ( " + "a " * 500_000 + "; }",
    ],
    ids=range(8),
)
def test_long_texts_are_refused_at_once(text: str) -> None:
    """No pattern tries a place twice: a million characters take no second."""

    def numbers() -> None:
        group = parse_liberty(text)
        group.number("area")
        group.numbers("index_1")

    with pytest.raises(InputError) as caught:
        numbers()
    assert len(str(caught.value)) < 400


def test_long_texts_go_through_the_slim_copy() -> None:
    """Long conditions are left out, whatever they hold."""
    for odd in ("1" * 200_000 + "/", "a" * 200_000, "A & " * 50_000):
        text = re.sub(r'sdf_cond(\s*):(\s*)"[^"]*"', f'sdf_cond : "{odd}"', small_library(), count=2)
        _, slim = digest_liberty(parse_liberty(text))
        assert odd[:1000] not in slim


def test_names_that_are_shown_are_only_text() -> None:
    text = re.sub(r"library \([^)]*\)", 'library ("=x`{y}")', small_library())
    text = text.replace("operating_conditions (typical)", 'operating_conditions ("a[/x]<b>|$c$")')
    text = re.sub(r"default_operating_conditions\s*:[^;]*;", 'default_operating_conditions : "a[/x]<b>|$c$";', text)
    facts, _ = digest_liberty(parse_liberty(text))
    assert facts.corner == "a??x??b???c?, 1.10 V, 25.00 C"
    assert facts.library == "?x??y?"


def test_a_calibration_needs_power(tmp_path: Path) -> None:
    path = tmp_path / "my.lib"
    path.write_text(without_groups(small_library(), "internal_power"))
    with pytest.raises(InputError, match="a calibration needs power, and there is no internal_power of DFF_X1, DFF_X2"):
        calibrate(["--liberty", str(path), "--table-only", "--out", str(tmp_path / "out")], [])
