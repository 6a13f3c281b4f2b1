"""A library in several Liberty files, and what files of other vendors have that the usual ones have not."""

from __future__ import annotations

import gzip
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.compare import main as compare
from hwmodel.liberty.files import LibertyFiles
from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.power import LibraryPower
from hwmodel.liberty.tree import Group, parse_liberty
from hwmodel.library.digest import Facts, digest_liberty
from hwmodel.library.library import Library, find_library
from hwmodel.power.icarus import icarus_version
from hwmodel.synthesis.sta import opensta_version
from hwmodel.synthesise import main
from siliquant.commandline import run
from siliquant.inputs.errors import InputError
from tests.hwmodel.library.smalllibrary import small_library, with_cell, with_copy, without, without_groups

needs_tools = pytest.mark.skipif(
    opensta_version() is None or icarus_version() is None, reason="OpenSTA or Icarus Verilog is not installed"
)
SLOW = "operating_conditions (slow) { process : 1; voltage : 0.95; temperature : 125; }"
SLEWS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
CELL = re.compile(r"(?m)^(?=\s*cell \()")
INPUT = r"(direction\s*:\s*input;[^}]*?)(?<![_\w])capacitance\s*:[^;]*;"


def split(text: str, parts: int) -> list[str]:
    """The text as that of several files, each with some of the cells and all that stands before them."""
    head, *cells = CELL.split(text[: text.rindex("}")])
    size = -(-len(cells) // parts)
    return [head + "".join(cells[first : first + size]) + "}\n" for first in range(0, len(cells), size)]


def written(tmp_path: Path, *texts: str) -> list[Path]:
    paths = [tmp_path / f"part{index}.lib" for index, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def find(tmp_path: Path, *texts: str, conditions: str | None = None) -> Library:
    files = LibertyFiles(tuple(written(tmp_path, *texts)), conditions)
    return find_library(liberty=files, cache_dir=tmp_path / "cache")


def read(text: str) -> tuple[Facts, str]:
    assert text != small_library()
    return digest_liberty(parse_liberty(text, "my.lib"))


def in_library(text: str, more: str) -> str:
    return text.replace("library_features", f"{more} library_features", 1)


@pytest.mark.parametrize("parts", [2, 5, 17])
def test_a_split_library_is_the_whole_one(parts: int, tmp_path: Path) -> None:
    """The copy that tools read has the same bytes, and the facts are the same."""
    whole, found = find(tmp_path, small_library()), find(tmp_path, *split(small_library(), parts))
    assert found.slim().read_text() == whole.slim().read_text()
    for name in ("areas", "families", "full_adder", "input_ff", "buffer", "energy_ratio", "corner", "exceptions"):
        assert getattr(found, name) == getattr(whole, name)
    assert (found.name, found.path.name) == ("part0", "part0.lib")
    assert found.use_sha256 != whole.use_sha256
    assert find(tmp_path, *split(small_library(), parts)) == found  # from the cache


def test_the_default_library_may_be_split_and_packed(tmp_path: Path) -> None:
    parts = split(find_library().read(), 3)
    paths = [tmp_path / name for name in ("a.lib", "b.lib.gz", "c.lib.xz")]
    for path, pack, text in zip(paths, (bytes, gzip.compress, lzma.compress), parts, strict=True):
        path.write_bytes(pack(text.encode()))
    found = find_library(liberty=paths, cache_dir=tmp_path / "cache")
    assert found.slim().read_bytes() == find_library().slim().read_bytes()
    assert found.areas == find_library().areas


@needs_tools
def test_synthesis_of_a_split_library_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = tmp_path / "whole.lib"
    one.write_text(small_library())
    rows, netlists = [], []
    for files in ([one], written(tmp_path, *split(small_library(), 2))):
        out = tmp_path / f"out{len(files)}"
        options = [text for file in files for text in ("--liberty", str(file))]
        main([*options, "--bits", "2", "--lanes", "1", "--effort", "quick", "--clock-mhz", "700", "--fresh",
              "--jobs", "1", "--format", "json", "--out", str(out)])  # fmt: skip
        rows.append(json.loads(capsys.readouterr().out))
        netlists.append((out / "uniform_w2_a2_l1.v").read_bytes())
    assert netlists[0] == netlists[1]
    differ = {name for name in rows[0] if rows[0][name] != rows[1][name]}
    assert differ <= {"library", "library_sha256", "library_use_sha256"}
    assert rows[0]["power_uw"] > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace('"1ns"', '"1ps"'),
         r"must state for time_unit what .*part0.lib, line 37, does, '1ns', and states '1ps': files of one library"),
        (lambda text: text.replace("(1,ff)", "(1,pf)"), "for capacitive_load_unit what .* does, '1, ff', and states"),
        (lambda text: text.replace('"1nW"', '"1pW"'), "for leakage_power_unit"),
        (lambda text: re.sub(r"nom_voltage(\s*): 1.10", r"nom_voltage\1: 0.95", text), "for nom_voltage what"),
        (lambda text: without(text, "nom_temperature"), "nom_temperature what .* does, '25.00', and states nothing"),
        (lambda text: without(text, "default_operating_conditions"), "for default_operating_conditions what"),
        (lambda text: re.sub(r"(slew_upper_threshold_pct_rise\s*: )70", r"\g<1>80", text), "slew_upper_threshold"),
        (lambda text: text.replace("voltage_map (VDD,1.10)", "voltage_map (VDD,1.2)"), "for voltage_map of VDD what"),
        (lambda text: text.replace("resistance : 3.571429e-03", "resistance : 3.6e-03", 1),
         r"must be defined once, and is first defined in line \d+ of .*part0.lib"),
        (lambda text: with_copy(text, "DFF_X1", "INV_X1"),
         r"cell 'INV_X1' must be defined once, and is first defined in line \d+ of .*part0.lib"),
        (lambda text: text.replace("library (", "module ("), "must be a library group"),
        (lambda text: text.replace("area", "area : 2; area", 1), "must state one area"),
    ],
)  # fmt: skip
def test_files_that_are_not_of_one_library_are_named(
    change: Callable[[str], str], sentence: str, tmp_path: Path
) -> None:
    first, second = split(small_library(), 2)
    assert change(second) != second
    with pytest.raises(InputError, match=rf"part1\.lib, line \d+: .*{sentence}"):
        find(tmp_path, first, change(second))


def test_a_doubt_names_the_file_in_which_it_stands(tmp_path: Path) -> None:
    first, second = split(small_library(), 2)
    flop = with_cell(second, "DFF_X1", lambda cell: re.sub(r"\barea(\s*): [^;]*", r"area\1: 1e9", cell))
    for _ in range(2):  # the second time from the cache
        with pytest.raises(InputError, match=r"part1\.lib, line \d+: cell 'DFF_X1' must have an area from"):
            find(tmp_path, first, flop)
    found = find(tmp_path, first, with_cell(second, "DFF_X2", lambda cell: without_groups(cell, "timing")))
    assert found.untimed is not None
    assert found.untimed.file.name == "part1.lib"


def test_what_stands_in_both_files_in_the_same_words_is_there_once(tmp_path: Path) -> None:
    first, second = split(small_library(), 2)
    again = first.rstrip().removesuffix("}") + CELL.split(second, maxsplit=1)[1]
    assert find(tmp_path, first, again).areas == find(tmp_path, small_library()).areas
    assert find(tmp_path, first.replace('"1ns"', '"1.0 ns"'), second).time_ns == 1.0


def test_a_table_has_the_template_of_its_own_file(tmp_path: Path) -> None:
    """Two files may have a template of one name; the copy for tools has both, under two names."""
    first, second = split(small_library(), 2)
    head, cells = CELL.split(second, maxsplit=1)
    axes = "variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;"
    other = re.sub(
        r"(lu_table_template \(Timing_7_7\)\s*\{)[^}]*", rf'\1 {axes} index_1 ("0.001,0.002"); index_2 ("1,2"); ', head
    )
    assert other != head
    found, plain = find(tmp_path, first, other + cells), find(tmp_path, first, second)
    slim = found.slim().read_text()
    assert slim.count("lu_table_template (Timing_7_7") == 2
    assert "cell_rise (Timing_7_7_2)" in slim
    # Each table states its own axes: but for the names of templates all is as before.
    assert [
        _plain(cell) for cell in parse_liberty(slim.replace("(Timing_7_7_2)", "(Timing_7_7)")).group_iter("cell")
    ] == [_plain(cell) for cell in parse_liberty(find(tmp_path, first, second).slim().read_text()).group_iter("cell")]
    assert found.areas == plain.areas
    bare = re.sub(r"(cell_rise\(Timing_7_7\)\s*\{)\s*index_1[^;]*;\s*index_2[^;]*;", r"\1", cells, count=1)
    assert bare != cells
    with pytest.raises(InputError, match=r"part1\.lib, line \d+: cell_rise 'Timing_7_7' .* must have 2 x 2 values"):
        find(tmp_path, first, other + bare)
    with pytest.raises(InputError, match="must be defined once"):  # equal words, other templates: not the same cell
        find(tmp_path, first, other + CELL.split(first, maxsplit=1)[1])


def test_energies_have_the_axes_of_the_template_of_their_own_file(tmp_path: Path) -> None:
    """Also of a third file, whose template is that of the second and not of the first."""
    bare = re.sub(r"((?:rise|fall)_power\(Power_7_7\)\s*\{)\s*index_1[^;]*;\s*index_2[^;]*;", r"\1", small_library())
    assert bare != small_library()
    first, *others = split(bare, 3)
    axis = "0.1,0.2,0.3,0.4,0.5,0.6,0.7"
    changed = [re.sub(r'(power_lut_template[^}]*index_1 \(")[^"]*', rf"\g<1>{axis}", text) for text in others]
    assert all(one != other for one, other in zip(changed, others, strict=True))
    files = LibertyFiles(tuple(written(tmp_path, first, *changed)))
    power = LibraryPower(LibraryCells(files.library()))
    slews = {
        cell: {energy.rise_pj.slews_ns for energies in power[cell].outputs.values() for energy in energies}
        for cell in ("INV_X1", "XOR2_X1", "DFF_X1")
    }
    own = (0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007)
    assert slews == {"INV_X1": {own}, "XOR2_X1": {SLEWS}, "DFF_X1": {SLEWS}}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["part0.lib", "part0.lib"], "part0.lib must be given once, and is given twice"),
        (["part0.lib"], "a flip-flop among its usable cells; of a library in several files give each with --liberty"),
        (["part1.lib"], "must have an inverter among its usable cells; of a library in several files give each"),
        (["part0.lib", "none.lib"], "none.lib: there is no such file"),
        (["part0.lib", "part1.txt"], "liberty must be a .lib, .lib.gz or .lib.xz file, not 'part1.txt'"),
        (["part0.lib"] * 65, "liberty must be 1 to 64 files, not 65"),
    ],
)  # fmt: skip
def test_what_is_said_of_files(
    files: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, *split(small_library(), 2))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run("synth", lambda: main([text for file in files for text in ("--liberty", file)]))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_conditions_are_chosen_where_a_file_leaves_them_open(tmp_path: Path) -> None:
    both = small_library().replace("operating_conditions (typical)", f"{SLOW} operating_conditions (typical)")
    assert find(tmp_path, both).corner == "typical, 1.10 V, 25.00 C"
    undecided = without(both, "default_operating_conditions")
    assert find(tmp_path, undecided).corner == "typical, 1.10 V, 25.00 C"  # as the nominal ones
    bare = without(without(undecided, "nom_voltage"), "voltage_map")
    assert find(tmp_path, bare).corner == "typical, 1.1 V, 25.00 C"
    for name in ("nom_temperature", "nom_process"):
        bare = without(bare, name)
    with pytest.raises(InputError, match=r"part0\.lib, line 37: library .* must state its supply: nom_voltage, or the "
                       r"voltage of its default_operating_conditions; --operating-conditions NAME chooses one of "
                       r"'slow', 'typical'$"):  # fmt: skip
        find(tmp_path, bare)
    slow, typical = (find(tmp_path, bare, conditions=name) for name in ("slow", "typical"))
    assert (slow.voltage_v, slow.temperature_c, slow.corner) == (0.95, 125.0, "slow, 0.95 V, 125 C")
    assert typical.corner == "typical, 1.1 V, 25.00 C"
    assert slow.use_sha256 != typical.use_sha256 != find(tmp_path, small_library()).use_sha256
    assert "nom_voltage : 0.95;" in slow.slim().read_text()
    with pytest.raises(InputError, match=r"must have the operating conditions 'fast'; it has 'slow', 'typical'$"):
        find(tmp_path, bare, conditions="fast")
    with pytest.raises(InputError, match=r"must have the supply of nom_voltage, 1.1 V, not 0.95 V"):
        find(tmp_path, both, conditions="slow")


def test_conditions_need_a_file(tmp_path: Path) -> None:
    for command in (main, compare):
        with pytest.raises(InputError, match=r"^--operating-conditions must be given with --liberty only$"):
            command(["--out", str(tmp_path), "--operating-conditions", "slow"])


def test_a_supply_may_stand_in_the_voltage_map_alone(tmp_path: Path) -> None:
    text = without_groups(without(small_library(), "nom_voltage"), "operating_conditions")
    found = find(tmp_path, without(text, "default_operating_conditions"))
    assert found.voltage_v == 1.1
    assert "nom_voltage : 1.1;" in found.slim().read_text()


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("rise_capacitance : 1.8; fall_capacitance : 1.4;", 1.6),
        ("rise_capacitance : 1.8;", 1.8),
        ("rise_capacitance_range (1.0, 2.0); fall_capacitance_range (1.2, 2.2);", 1.6),
        ("", 1.25),
    ],
)
def test_capacitances_of_edges_ranges_and_defaults(more: str, wanted: float) -> None:
    def change(cell: str) -> str:
        cell = re.sub(r"\b(rise|fall)_capacitance\s*:[^;]*;", "", cell)
        return re.sub(INPUT, rf"\1 {more}", cell)

    text = with_cell(small_library(), "INV_X1", change)
    text = re.sub(r"default_input_pin_cap(\s*):[^;]*;", r"default_input_pin_cap\1: 1.25;", text)
    facts, slim = read(text)
    assert facts.input_ff["INV_X1"]["A"] == pytest.approx(wanted)
    pin = parse_liberty(slim).find("cell", "INV_X1").find("pin", "A")
    assert pin.number("capacitance") == pytest.approx(wanted)


def test_ranges_of_capacitance_do_not_reach_the_timing_tool() -> None:
    ranges = "rise_capacitance_range (0.1, 9.9); fall_capacitance_range (0.1, 9.9);"
    text = with_cell(small_library(), "INV_X1", lambda cell: cell.replace("direction", f"{ranges} direction", 1))
    assert "_range" not in read(text)[1]


def test_clock_gates_that_lack_something_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, *cells = re.split(r"(?m)^(?=\s*cell \()", find_library().read())
    del head
    (gate,) = (cell for cell in cells if re.match(r'\s*cell \("?CLKGATE_X1"?\)', cell))
    whole = f"{small_library().rstrip()[:-1]}{gate}}}\n"
    assert read(whole)[0].unused_gates == ()
    [path] = written(tmp_path, with_cell(whole, "CLKGATE_X1", lambda cell: without(cell, "area")))
    assert read(path.read_text())[0].unused_gates == ("CLKGATE_X1",)
    main(["--liberty", str(path), "--bits", "2", "--lanes", "1", "--effort", "quick", "--jobs", "1"])
    assert capsys.readouterr().err.splitlines()[0] == (
        f"{path}: no clock gates: CLKGATE_X1 must state area, capacitances, leakage, energy, delays, setup times and "
        "the part of each pin"
    )


def test_cells_without_a_figure_are_left_out_where_others_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = without(small_library(), "default_input_pin_cap")
    text = with_cell(text, "XOR2_X1", lambda cell: re.sub(r"\w*capacitance\s*:[^;]*;", "", cell))
    text = with_cell(text, "FA_X1", lambda cell: without(cell, "area"))
    facts, _ = read(text)
    assert facts.unstated == (
        ("XOR2_X1", "it states no capacitance of its input A"), ("FA_X1", "it states no area above 0")
    )  # fmt: skip
    assert not {"XOR2_X1", "FA_X1"} & set(facts.areas)
    assert facts.full_adder is None
    assert set(facts.exceptions) == {"left out: XOR2_X1", "left out: FA_X1"}
    nothing = re.sub(r"\w*capacitance\s*:[^;]*;", "", without(small_library(), "default_input_pin_cap"))
    nothing = re.sub(r"(wire_load \([^{]*\{)|(wire_load\([^{]*\{)", r"\g<0> capacitance : 0.1;", nothing)
    with pytest.raises(InputError, match=r"must have an inverter among its usable cells; cell 'INV_X1' in line .* is "
                       r"left out: it states no capacitance of its input A$"):  # fmt: skip
        read(nothing)
    [path] = written(tmp_path, text)
    main(["--liberty", str(path), "--bits", "2", "--lanes", "1", "--effort", "quick", "--jobs", "1"])
    why = "XOR2_X1 (it states no capacitance of its input A), FA_X1 (it states no area above 0)"
    said = f"{path}: cells are left out: {why}\n"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("values (", 'values /* " { */ ( /* , ) */'),
        lambda text: text.replace("values (", "values ( // a, b) { ;\n"),
        lambda text: text.replace("direction", "direction /*:*/").replace("area", "area // x ;\n"),
        lambda text: re.sub(r"(function|area|direction)(\s*): ", r"\1 :\n  ", text),
        lambda text: re.sub(r'(function|next_state|clocked_on)(\s*):\s*"([^"]*)"', r"\1\2: \3", text),
        lambda text: text.replace('"1ns"', '"1.000 ns"'),
        lambda text: text.replace('"1ns"', '"0.001us"'),
        lambda text: without(text, "time_unit"),
        lambda text: text.replace("(1,ff)", '("1.0fF")'),
        lambda text: re.sub(r"\b(area|capacitance)(\s*):\s*([\d.]+);", r'\1\2: "\3";', text),
        lambda text: in_library(text, "scaled_cell (INV_X1, slow) { area : 9; pin (A) { direction : input; } }"),
        lambda text: in_library(text, 'type (b) { base_type : array; data_type : bit; bit_width : 2; bit_from : 1; '
                                "bit_to : 0; } cell (MEM) { area : 1; bus (D) { bus_type : b; direction : input; } "
                                "bundle (Q) { members (Q0, Q1); direction : output; } }"),
        lambda text: in_library(text, 'cell (L) { statetable ("G D", "Q") { table : "L - : - : N"; } '
                                "pin (Q) { direction : internal; } }"),
        lambda text: in_library(text, 'cell (L) { area : 1; latch (IQ, IQN) { enable : "G"; data_in : "D"; } '
                                'pin (G, D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }'),
        lambda text: with_copy(text, "INV_X1", "CHEAP", "dont_use : true;"),
        lambda text: in_library(text, "power_supply () { default_power_rail : VDD; power_rail (VDD, 1.1); }"),
        lambda text: re.sub(r";[ \t]*\n", "\n", text),
    ],
)  # fmt: skip
def test_other_ways_to_say_the_same(change: Callable[[str], str], tmp_path: Path) -> None:
    """Facts and the copy for tools are those of the plain file, but for the spelling of units and numbers."""
    plain = find(tmp_path, small_library())
    text = change(small_library())
    assert text != small_library()
    path = tmp_path / "other.lib"
    path.write_bytes(text.encode())
    found = find_library(liberty=path, cache_dir=tmp_path / "cache")
    for name in ("areas", "families", "full_adder", "input_ff", "flip_flops", "time_ns", "capacitance_ff", "corner",
                 "energy_ratio", "exceptions", "untimed"):  # fmt: skip
        assert getattr(found, name) == getattr(plain, name)
    mine, theirs = (parse_liberty(each.slim().read_text()) for each in (plain, found))
    assert [_plain(cell) for cell in mine.group_iter("cell")] == [_plain(cell) for cell in theirs.group_iter("cell")]
    assert theirs.text("time_unit") == "1ns"


def _numbers(text: str) -> list[str]:
    return re.findall(r"-?\d[\d.e+-]*", text)


@pytest.mark.parametrize(
    "form",
    [
        lambda text: f'"{", ".join(_numbers(text))}"',
        lambda text: ", ".join(_numbers(text)),
        lambda text: ", ".join(f'"{number}"' for number in _numbers(text)),
        lambda text: '"' + ",\n".join(_numbers(text)) + '"',
        lambda text: '"' + " ".join(_numbers(text)) + '"',
    ],
)
def test_tables_are_laid_out_as_tools_read_them(form: Callable[[str], str], tmp_path: Path) -> None:
    """An axis in one string, a table in a string a row: OpenSTA takes other numbers where they are not."""
    text = re.sub(
        r"((?:values|index_[12])\s*\()([^)]*)\)", lambda found: f"{found[1]}{form(found[2])})", small_library()
    )
    text = re.sub(r"(fanout_length\s*\()([^)]*)\)", lambda found: f'{found[1]}"{", ".join(_numbers(found[2]))}")', text)
    plain, other = (re.sub(r"[,\s]+", " ", digest_liberty(parse_liberty(each))[1]) for each in (small_library(), text))
    assert plain == other
    assert 'values ("' in other
    assert 'index_1 ("' in other


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"!(A1 & A2)"', '"!(A1\n & A2)"'),
        ('related_pin	   : "A1"', 'related_pin : "\n A1 "'),
        ("pin (A1) {", 'pin ("A1") {'),
        ("direction		: input", 'direction : "input"'),
    ],
)
def test_lines_that_break_inside_a_word_are_kept(old: str, new: str, tmp_path: Path) -> None:
    """Nothing of a cell is lost on the way to the tools."""
    text = with_cell(small_library(), "NAND2_X1", lambda cell: cell.replace(old, new))
    assert text != small_library()
    plain, other = (digest_liberty(parse_liberty(each))[1] for each in (small_library(), text))
    assert [" ".join(line.split()) for line in plain.splitlines()] == [
        " ".join(line.split()) for line in other.splitlines()
    ]


def test_a_delay_from_two_pins_is_one_from_each(tmp_path: Path) -> None:
    """ABC stops at a list of related pins."""
    arc = "timing () {{ related_pin : {}; timing_sense : negative_unate; {} }}"
    start = small_library().index("timing () {", small_library().index("cell (NAND2_X1)"))
    tables = re.findall(r"(?:cell|rise|fall)_\w+\(Timing_7_7\) \{[^}]*\}", small_library()[start:])[:4]

    def with_arcs(*arcs: str) -> str:
        def change(cell: str) -> str:
            body = without_groups(cell, "timing")
            return body.replace('"!(A1 & A2)";', f'"!(A1 & A2)"; {" ".join(arcs)}')

        return with_cell(small_library(), "NAND2_X1", change)

    joined = with_arcs(arc.format('"A1 A2"', " ".join(tables)))
    apart = with_arcs(*(arc.format(f'"{pin}"', " ".join(tables)) for pin in ("A1", "A2")))
    assert joined != apart
    (facts, slim), (_, other) = read(joined), read(apart)
    assert facts.untimed is None
    assert sorted(slim.split()) == sorted(other.split())
    assert "A1 A2" not in slim


def test_delays_are_scaled_from_no_corner_but_their_own() -> None:
    """A tool takes 0 C, or no table, where a file does not say; factors would then change every delay."""
    text = in_library(small_library(), "k_temp_cell_fall : 3;")
    for name in ("nom_temperature", "nom_process", "delay_model"):
        text = without(text, name)
    _, slim = read(text)
    library = parse_liberty(slim)
    stated = ("nom_temperature", "nom_process", "nom_voltage", "delay_model")
    assert [library.text(name) for name in stated] == ["25", "1", "1.10", "table_lookup"]


def _plain(group: Group) -> object:
    values = {name: every for name, every in group.attributes.items() if name != "comment"}
    return group.kind, group.args, values, [_plain(inner) for inner in group.groups]


TOKENS = re.compile(r'"[^"]*"|/\*.*?\*/|//[^\n]*|[A-Za-z_][\w.]*|[-+.\d][\w.+-]*|[{}():;,\\]|\s+', re.DOTALL)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_words_are_refused_or_change_nothing_in_silence(data: st.DataObject) -> None:
    """Words of the file are dropped, doubled, swapped or replaced by others of it: InputError, or a whole answer."""
    tokens = TOKENS.findall(_short())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(tokens) - 1))
        kind = data.draw(st.sampled_from(["drop", "double", "swap", "other", "number", "comment"]))
        other = data.draw(st.integers(0, len(tokens) - 1))
        if kind == "swap":
            tokens[place], tokens[other] = tokens[other], tokens[place]
        else:
            tokens[place] = {
                "drop": "", "double": f"{tokens[place]} {tokens[place]}", "other": tokens[other], "number": "-1e400",
                "comment": f"{tokens[place]} /* }} */",
            }[kind]  # fmt: skip
    try:
        facts, slim = digest_liberty(parse_liberty("".join(tokens), "my.lib"))
    except InputError:
        return
    again = parse_liberty(slim)
    assert {cell.name for cell in again.group_iter("cell")} == set(facts.areas)
    assert all(area > 0 for area in facts.areas.values())
    for cell in again.group_iter("cell"):
        for pin in cell.group_iter("pin"):
            assert pin.text("direction") != "input" or pin.number("capacitance") >= 0


def _short() -> str:
    """A library of a few cells without comments: what is changed in it is seldom beside the point."""
    head, *cells = CELL.split(small_library().rstrip().removesuffix("}"))
    kept = [cell for cell in cells if re.search(r"cell \((INV_X1|NAND2_X1|NOR2_X1|XOR2_X1|DFF_X1)\)", cell)]
    return re.sub(r"/\*.*?\*/", "", head, flags=re.S) + "".join(kept) + "}\n"


def test_the_short_library_is_whole() -> None:
    assert digest_liberty(parse_liberty(_short()))[0].inverter == "INV_X1"
    assert "".join(TOKENS.findall(_short())) == _short()
