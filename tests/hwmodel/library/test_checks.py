"""What a library says of itself is compared with itself and with what a chip can be, before any tool reads it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from hwmodel.liberty.tree import parse_liberty
from hwmodel.library.digest import Facts, digest_liberty
from hwmodel.library.library import Finding, Library, find_library
from hwmodel.measurement.dut import find_row
from hwmodel.measurement.store import RowStore
from hwmodel.synthesis.flow import Workspace
from siliquant.inputs.errors import InputError
from tests.currentflow import needs_rows_of_this_flow
from tests.hwmodel.library.smalllibrary import small_library, with_cell, with_copy, without, without_groups

LIBRARIES = ("freepdk45", "sky130hd", "ihp-sg13g2", "asap7")


def read(text: str) -> Facts:
    assert text != small_library()
    return digest_liberty(parse_liberty(text, "my.lib"))[0]


def area(cell: str, value: str) -> str:
    return re.sub(r"\barea(\s*): [^;]*", rf"area\1: {value}", cell)


def library(tmp_path: Path, text: str, **options: bool) -> Library:
    path = tmp_path / "my.lib"
    path.write_text(text)
    return find_library(liberty=path, cache_dir=tmp_path / "cache", **options)


def times(text: str, kinds: str, factor: float) -> str:
    """The text with the values of some tables multiplied."""

    def scaled(found: re.Match[str]) -> str:
        return found[1] + re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]) * factor:.9g}", found[2])

    tables = rf"((?:{kinds})\s*\([^)]*\)\s*\{{.*?values\s*\()(.*?)(?=\);)"
    return re.sub(tables, scaled, text, flags=re.S)


@pytest.mark.parametrize("name", LIBRARIES)
def test_known_libraries_are_read_as_when_they_were_measured(name: str) -> None:
    """Nothing is left out of them, nothing lacks, nothing is doubted: their packaged tables stay true."""
    if name != "freepdk45" and not os.environ.get("SILIQUANT_PDK_DIR"):
        pytest.skip("SILIQUANT_PDK_DIR names no folder of libraries")
    found = find_library(name)
    assert (found.exceptions, found.unmappable, found.untimed) == ((), None, None)
    packaged = json.loads((resources.files("hwmodel") / "data" / "calibration" / f"{name}.json").read_text())
    assert found.use_sha256 == packaged["library_use_sha256"]


@pytest.mark.parametrize(
    "change",
    [
        lambda cell: cell.replace("setup_rising", "hold_rising"),
        lambda cell: cell.replace("setup_rising", "setup_falling"),
        lambda cell: re.sub(r'"CK"(;\s*timing_type\s*:\s*setup)', r'"D"\1', cell),
        lambda cell: cell.replace("rise_constraint(Setup", "other_constraint(Setup"),
    ],
)
def test_a_flip_flop_without_setup_times_has_no_minimum_period(change: Callable[[str], str], tmp_path: Path) -> None:
    text = with_cell(small_library(), "DFF_X2", change)
    line = 1 + text[: text.index("cell (DFF_X2)")].count("\n")
    wanted = "timing_type setup_rising with rise_constraint and fall_constraint"
    said = (0, f"line {line}", f"cell 'DFF_X2' must state the setup times of D to CK: {wanted}")
    assert read(text).untimed == said
    found = library(tmp_path, text, accept=True)
    assert found.untimed == Finding(tmp_path / "my.lib", *said[1:])
    assert found.use_sha256 != replace(found, exceptions=()).use_sha256  # rows of earlier versions are not its own


@pytest.mark.parametrize(
    ("cell", "change", "said"),
    [
        ("NAND2_X1", lambda cell: cell.replace("cell_rise", "c_rise").replace("rise_transition", "r_transition"),
         "cell 'NAND2_X1' must state the rising and falling delays from A1 to ZN"),
        ("NAND2_X1", lambda cell: re.sub(r'related_pin(\s*): "A2"', r'related_pin\1: "A1"', cell),
         "cell 'NAND2_X1' must state the rising and falling delays from A2 to ZN"),
        ("DFF_X1", lambda cell: re.sub(r"(?s)timing \(\) \{\s*related_pin\s*: \"CK\";\s*timing_type\s*: rising_edge;"
                                       r"(.*?)cell_rise", r'timing () { related_pin : "CK"; timing_type : rising_edge;'
                                       r"\1 gone_rise", cell, count=1).replace("rise_transition", "gone_transition", 1),
         "cell 'DFF_X1' must state the rising and falling delays from CK to Q"),
    ],
)  # fmt: skip
def test_a_path_without_delays_takes_no_time(cell: str, change: Callable[[str], str], said: str) -> None:
    untimed = read(with_cell(small_library(), cell, change)).untimed
    assert untimed is not None
    assert untimed[2] == said


def test_what_lacks_times_is_refused_before_synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a timing tool; without one there are areas."""
    monkeypatch.setattr("hwmodel.synthesis.flow.OpenSta", lambda _: contextlib.nullcontext())
    found = library(tmp_path, small_library().replace("setup_rising", "hold_rising"))
    with pytest.raises(InputError, match=r"my\.lib, line \d+: cell 'DFF_X1' must state the setup times of D to CK"):
        Workspace("module a; endmodule", "a", found).__enter__()


@pytest.mark.parametrize("gone", ["NAND2_X|NOR2_X|AND2_X|OR2_X", "NOR2_X|AND2_X|OR2_X|XOR2_X|XNOR2_X|MUX2_X|BUF_X"])
def test_what_abc_cannot_map_to_is_refused_before_synthesis(gone: str, tmp_path: Path) -> None:
    text = re.sub(rf"cell \(((?:{gone})\d)\) \{{", r"cell (\1) { dont_use : true;", small_library())
    with pytest.raises(InputError, match=r"my\.lib, line \d+: library .* must have gates of 3 functions or more"):
        Workspace("module a; endmodule", "a", library(tmp_path, text)).__enter__()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: times(text, "rise_constraint|fall_constraint", -1000),
         "timing of pin D of cell DFF_X1 must have setup times above -"),
        (lambda text: times(text, "cell_rise|cell_fall", 0), "cell_fall .* of cell INV_X1 must have a delay above 0"),
        (lambda text: times(text, "cell_rise|cell_fall", -1), "cell_.* of cell INV_X1 must have a delay above 0"),
        (lambda text: text.replace("rising_edge", "falling_edge"),
         "pin Q of cell DFF_X1 must have the timing_type rising_edge for its clock CK, not 'falling_edge'"),
        (lambda text: re.sub(r'clocked_on(\s*): "CK"', r'clocked_on\1: "!CK"', text),
         "must have the timing_type falling_edge for its clock CK"),
        (lambda text: with_cell(text, "INV_X1", lambda cell: cell.replace("negative_unate", "positive_unate")),
         "pin ZN of cell INV_X1 must have the timing_sense of its function for A, not positive_unate"),
        (lambda text: with_cell(text, "NAND2_X1", lambda cell: cell.replace('"!(A1 & A2)"', '"!A1"')),
         "pin ZN of cell NAND2_X1 must have no delay from A2, on which it does not depend"),
        (lambda text: with_cell(text, "DFF_X1", lambda cell: re.sub(r'"CK"(;\s*timing_type\s*: rising_edge)', r'"D"\1',
                                                                    cell)),
         "must have no delay from D, which does not change it at once"),
        (lambda text: re.sub(r"(\s+leakage_power \(\) \{\s*when\s*: \"!A\";\s*value\s*: )", r"\1-", text, count=1),
         "cell 'INV_X1' must have a leakage of at least 0, not -10.1 nW"),
        (lambda text: text.replace("area               	: 0.532000;", "area : 0.532000; area : 0.1;", 1),
         "cell 'INV_X1' must state one area, not '0.532000' and '0.1'"),
        (lambda text: text.replace('time_unit               		: "1ns";', 'time_unit : "1ns"; time_unit : "1ps";'),
         "must state one time_unit, not '1ns' and '1ps'"),
        (lambda text: text.replace("capacitive_load_unit    		  (1,ff)", "capacitive_load_unit(1,ff); "
                                   "capacitive_load_unit(1,pf)"), "must state one capacitive_load_unit"),
        (lambda text: text.replace("library_features", "slew_derate_from_library : -1; library_features", 1),
         "must state one slew_derate_from_library, not '-1' and '1.00'"),
        (lambda text: text.replace("slew_derate_from_library      	: 1.00", "slew_derate_from_library : 0"),
         "must have a slew_derate_from_library from 0.01 to 1, not 0"),
        (lambda text: text.replace("slew_lower_threshold_pct_fall 	: 30", "slew_lower_threshold_pct_fall : 90"),
         "must have a slew_lower_threshold_pct_fall below its slew_upper_threshold_pct_fall, not 90 and 70"),
        (lambda text: text.replace("input_threshold_pct_fall      	: 50", "input_threshold_pct_fall : 500"),
         "must have for input_threshold_pct_fall a number above 0 and below 100, not 500"),
        (lambda text: text.replace("resistance : 3.5", "resistance : -3.5", 1), "must have a resistance of at least 0"),
        (lambda text: text.replace("fanout_length( 1, 1.", "fanout_length( 1, -1.", 1), "at least 0 in fanout_length"),
        (lambda text: text.replace("operating_conditions (typical) {",
                                   "operating_conditions (typical) { }\n  operating_conditions (typical) {"),
         "operating_conditions 'typical' must be defined once, and is first defined in line"),
        (lambda text: re.sub(r"cell_rise(\s*\([^)]*\))", r"cell_rise\1 { values (\"0\"); } cell_rise\1", text, count=1),
         "must"),
        (lambda text: with_copy(text, "NAND2_X1", "INV_X1", "pad_cell : true;"), "cell 'INV_X1' must be defined once"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(change: Callable[[str], str], sentence: str, tmp_path: Path) -> None:
    """Also of a library that is to be accepted: nobody knows which of the two is true."""
    text = change(small_library())
    with pytest.raises(InputError, match=rf"^my\.lib, line \d+: .*{sentence}"):
        read(text)
    with pytest.raises(InputError, match=sentence):
        library(tmp_path, text, accept=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("(1,ff)", "(1,pf)"),
         "pin 'A' of INV_X1, the smallest inverter, must have a capacitance from 0.05 to 200 fF, not 1700 fF"),
        (lambda text: text.replace("(1,ff)", "(0.01,ff)"), "must have a capacitance from 0.05 to 200 fF, not 0.017 fF"),
        (lambda text: text.replace('"1ns"', '"1ps"'),
         "smallest inverter, must have a delay at the lowest slew and load from 0.0001 to 10 ns, not 3.348e-06 ns"),
        (lambda text: text.replace('"1ns"', '"10ps"'), "must have a delay at the lowest slew and load"),
        (lambda text: times(text, "cell_rise|cell_fall", 1000), "must rise with load as a resistance does"),
        (lambda text: text.replace('"1nW"', '"1mW"'),
         "cell 'INV_X1' as the smallest inverter must leak from 0 to 10000 nW"),
        (lambda text: text.replace('"1V"', '"1mV"'), "must have a supply from 0.2 to 6 V, not 0.0011 V"),
        (lambda text: text.replace("nom_voltage             		: 1.10", "nom_voltage : 3.3"),
         "operating_conditions 'typical' must have the supply of nom_voltage, 3.3 V, not 1.1 V"),
        (lambda text: text.replace("nom_temperature         		: 25", "nom_temperature : 125"),
         "operating_conditions 'typical' must have the temperature of nom_temperature, 125 C, not 25 C"),
        (lambda text: text.replace("capacitance : 1.774000e-01", "capacitance : 1774", 1),
         "wire_load '1K_hvratio_1_4' must have a wire to one pin from 0 to 1000 fF, not 2343 fF"),
        (lambda text: text.replace("voltage_map (VDD,1.10)", "voltage_map (VDD,1.8)"),
         "must have the supply of nom_voltage, 1.1 V, not that of its voltage_map, 1.8 V"),
        (lambda text: with_cell(text, "INV_X1", lambda cell: area(cell, "1e-320")),
         "must have an area from 0.0001"),
        (lambda text: with_cell(text, "DFF_X1", lambda cell: area(cell, "1e9")),
         "'DFF_X1' must have an area from"),
        (lambda text: with_cell(text, "NAND2_X1", lambda cell: re.sub(r"\bcapacitance(\s*): 1", r"capacitance\1: 99999",
                                                                      cell)),
         "cell 'NAND2_X1' must have a capacitance of its pin A1 from 0 to 10000 fF"),
        (lambda text: with_cell(text, "NAND2_X1", lambda cell: re.sub(r'(cell_rise.*?values \("[^,]*,)[^,]*', r"\1-50",
                                                                      cell, count=1, flags=re.S)),
         "pin ZN of cell NAND2_X1 must have values from -0.39707 to 1000 ns, not -50 ns"),
        (lambda text: with_cell(text, "NAND2_X1", lambda cell: re.sub(r'(rise_transition.*?values \("[^,]*,)[^,]*',
                                                                      r"\1-0.1", cell, count=1, flags=re.S)),
         "pin ZN of cell NAND2_X1 must have values from 0 to 1000 ns, not -0.1 ns"),
        (lambda text: with_cell(text, "NAND2_X1", lambda cell: times(cell, "rise_power|fall_power", 1e6)),
         "cell 'NAND2_X1' must have an internal energy of its pin ZN, in C V.2 of its inputs, from -1000 to 1000"),
        (lambda text: with_cell(text, "NAND2_X1", lambda cell: re.sub(r"value(\s*): \d", r"value\1: 9999999", cell)),
         "cell 'NAND2_X1' must leak from 0 to 1e.06 nW"),
    ],
)  # fmt: skip
def test_numbers_that_no_chip_has_are_refused(change: Callable[[str], str], sentence: str, tmp_path: Path) -> None:
    text = change(small_library())
    assert text != small_library()
    advice = "check its units; where they are right, --accept-library takes it as it is"
    with pytest.raises(InputError, match=rf"my\.lib, line \d+: .*{sentence}.*: {advice}$"):
        library(tmp_path, text)
    with pytest.raises(InputError, match=rf"my\.lib, line \d+: .*{sentence}"):  # from the cache
        library(tmp_path, text)
    assert library(tmp_path, text, accept=True).inverter == "INV_X1"


def test_a_doubt_names_the_file_that_is_read_now(tmp_path: Path) -> None:
    text = small_library().replace('"1ns"', '"1ps"')
    with pytest.raises(InputError):
        library(tmp_path, text)
    (tmp_path / "my.lib").rename(tmp_path / "other.lib")
    with pytest.raises(InputError, match=r"other\.lib, line"):
        find_library(liberty=tmp_path / "other.lib", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("edge", ["fall_power", "rise_power"])
def test_energy_of_one_edge_is_no_power(edge: str, tmp_path: Path) -> None:
    text = with_cell(small_library(), "NAND2_X1", lambda cell: without_groups(cell, edge))
    found = library(tmp_path, text)
    assert found.no_internal_energy == ("NAND2_X1",)
    assert found.exceptions == ("energy of one edge: NAND2_X1",)
    assert found.no_power({"NAND2_X1"}) == "no internal_power of NAND2_X1"


def test_a_small_negative_leakage_is_an_error_of_measurement() -> None:
    text = with_cell(small_library(), "INV_X1", lambda cell: re.sub(r"value(\s*): 10\.1", r"value\1: -0.1", cell))
    assert read(text).no_leakage == ()


PURPOSES = (
    *("pad_cell : true;", "pad_type : clock;", "auxiliary_pad_cell : true;", "is_level_shifter : true;"),
    *("is_isolation_cell : true;", "always_on : true;", 'retention_cell : "x";', "is_macro_cell : true;"),
    *("interface_timing : true;", "switch_cell_type : coarse_grain;", "is_clock_cell : true;", "dont_touch : true;"),
    *("is_filler_cell : true;", "is_tap_cell : true;", 'is_level_shifter : "true";', "dont_touch : TRUE;"),
    *("use_for_size_only : true;", "antenna_diode_type : power;", 'power_gating_cell : "x";', "map_only : true;"),
    *('level_shifter_type : "HL";', 'timing_model_type : "extracted";', "dont_use : TRUE;", "dont_use : 1;"),
    *("is_decap_cell : true;", "pg_pin (VDD2) { pg_type : primary_power; }", "pg_pin (V) { pg_type : backup_power; }"),
    *("retention_condition () { }", "generated_clock (x) { }", 'clock_gating_integrated_cell : "latch_posedge";'),
)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_cells_of_other_purposes_are_no_logic(purpose: str) -> None:
    facts = read(with_copy(small_library(), "NAND2_X1", "CHEAP", purpose))
    assert "CHEAP" not in facts.areas
    assert "NAND2_X1" in facts.areas


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pin (A1) {", "pin (A1) { isolation_cell_enable_pin : true;"),
        ("pin (A1) {", 'pin (A1) { retention_pin (save, "1");'),
        ("pin (A1) {", "pin (A1) { level_shifter_data_pin : true;"),
        ("pin (A1) {", "pin (A1) { switch_pin : true;"),
        ("pin (ZN) {", "pin (ZN) { is_analog : true;"),
        ("pin (ZN) {", "pin (ZN) { driver_type : open_drain;"),
        ("pin (ZN) {", 'pin (ZN) { output_signal_level : "VDDH"; input_signal_level : "VDDL";'),
        ('related_power_pin		: "VDD";', 'related_power_pin : "VDDL";'),
    ],
)
def test_pins_of_other_purposes_make_no_logic(old: str, new: str) -> None:
    text = with_copy(small_library(), "NAND2_X1", "CHEAP")
    facts = read(with_cell(text, "CHEAP", lambda cell: cell.replace(old, new, 1)))
    assert "CHEAP" not in facts.areas
    assert facts.exceptions == ("left out: CHEAP",)


@pytest.mark.parametrize("more", ["", "pad_cell : false;", "dont_use : false;", 'is_level_shifter : "FALSE";'])
def test_a_cell_without_another_purpose_is_used(more: str) -> None:
    facts = read(with_copy(small_library(), "NAND2_X1", "CHEAP", more))
    assert facts.areas["CHEAP"] == 0.01
    assert facts.exceptions == ()


@pytest.mark.parametrize("function", ["0 & (A1 + A2)", "1", "A1 | !A1", "A1 ^ A1", "A1 & A2 & 0"])
def test_gates_that_never_change_are_no_logic(function: str) -> None:
    text = with_cell(small_library(), "NAND2_X1", lambda cell: cell.replace('"!(A1 & A2)"', f'"{function}"'))
    facts = read(text)
    assert "NAND2_X1" not in facts.areas
    assert facts.exceptions == ("left out: NAND2_X1",)


@pytest.mark.parametrize(
    ("function", "written"),
    [("!(A1 & A2) ^ 0", "!((A1 & A2))"), ("!A1 + !A2 ^ 0", "(!(A1) | !(A2))"), ("!(A1 & A2 & 1)", "!((A1 & A2))")],
)
def test_abc_gets_functions_without_constants(function: str, written: str) -> None:
    text = with_cell(small_library(), "NAND2_X1", lambda cell: cell.replace('"!(A1 & A2)"', f'"{function}"'))
    _, slim = digest_liberty(parse_liberty(text))
    pin = parse_liberty(slim).find("cell", "NAND2_X1").find("pin", "ZN")
    assert pin.text("function") == written


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('next_state         	: "D"', 'next_state : "0"', "its next_state depends on no pin"),
        ('next_state         	: "D"', 'next_state : "IQ"', "its next_state depends on no pin"),
        ('next_state         	: "D"', 'next_state : "D & CK"', "its next_state depends on its clock"),
        ('clocked_on         	: "CK"', 'clocked_on : "D"', "its next_state depends on its clock"),
        ('clocked_on         	: "CK"', 'clocked_on : "CK & D"', "its clocked_on is not one pin"),
        ('clocked_on         	: "CK"', 'clocked_on : "1"', "its clocked_on is not one pin"),
        ('clocked_on         	: "CK"', 'clocked_on : "CK"; clear : "1"', "its clear does not depend on pins alone"),
        (
            'clocked_on         	: "CK"',
            'clocked_on : "CK"; preset : "IQ"',
            "its preset does not depend on pins alone",
        ),
        ('clocked_on         	: "CK"', 'clocked_on : "CK"; clear : "CK"', "its clear does not depend on pins alone"),
    ],
)
def test_what_is_no_register_is_no_flip_flop(old: str, new: str, why: str) -> None:
    text = small_library().replace(old, new)
    line = 1 + text[: text.index("cell (DFF_X1)")].count("\n")
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value).startswith("my.lib, line ")
    assert str(caught.value).endswith(
        f"must have a flip-flop among its usable cells; cell 'DFF_X1' in line {line} is left out: {why}"
    )


def test_registers_are_made_of_plain_flip_flops() -> None:
    text = small_library().replace('next_state         	: "D"', 'next_state : "(D & !IQ) + (D & IQ)"')
    with pytest.raises(InputError, match="must have a flip-flop whose clock, next state, clear and preset are a pin"):
        read(text)


@needs_rows_of_this_flow
def test_a_stored_row_has_the_name_of_the_library_that_was_given(tmp_path: Path) -> None:
    """Two files of one content have their rows in common."""
    row = next(row for row in RowStore(tmp_path / "rows").rows() if row.library == "freepdk45" and row.activity)
    store = RowStore(tmp_path / "rows", packaged=None)
    named = find_library()
    mine = tmp_path / "mine.lib"
    shutil.copyfile(named.path, mine)
    found = find_library(liberty=mine)
    assert found.use_sha256 == named.use_sha256 == row.library_use_sha256

    def look(given: Library) -> str | None:
        question = (row.verilog_sha256, given, row.clock_mhz, row.effort, row.activity)
        known = find_row(*question, store)
        return None if known is None else known.library

    from hwmodel.measurement.row import tool_versions

    store.put(replace(row, tools=tool_versions()))
    assert (look(named), look(found)) == ("freepdk45", "mine")


def test_units_stay_what_they_are_where_nothing_states_them(tmp_path: Path) -> None:
    """Without a voltage_map or conditions there is nothing that nom_voltage could contradict."""
    text = without(without_groups(small_library(), "operating_conditions"), "voltage_map")
    assert library(tmp_path, text).voltage_v == 1.1
