"""What a placement takes from a technology: cells by LEF or by area, wires by option, by LEF, or by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.placement.technology import Wire, cell_macro, read_wire, technology_of
from siliquant.inputs import InputError


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


def test_freepdk45_has_the_cells_beside_it(library: Library) -> None:
    technology = technology_of(library)
    assert (technology.site_nm, technology.row_nm, technology.cells) == (190, 1400, "LEF")
    assert technology.wire.ff_per_um == 0.104578
    assert cell_macro(technology, library, "FA_X1").pins["CO"] == pytest.approx((0.0975, 0.705))


def test_cells_without_lef_have_their_area(library: Library) -> None:
    technology = replace(technology_of(library), macros={})
    for cell, area_um2 in library.areas.items():
        macro = cell_macro(technology, library, cell)
        assert macro.width_um * macro.height_um == pytest.approx(area_um2, rel=1e-3)
        assert set(macro.pins) == {*library.input_ff[cell], *library.output_pins[cell]}
        assert set(macro.pins.values()) == {(macro.width_um / 2, macro.height_um / 2)}


def test_rows_of_an_unknown_library_follow_from_its_inverter(library: Library) -> None:
    """Its INV_X1 has 0.532 um2: sqrt(2.4 * 0.532) = 1.130 um."""
    mine = replace(library, name="mine")
    technology = technology_of(mine, wire=Wire(0.2, 1.0, "as stated"))
    assert (technology.site_nm, technology.row_nm, technology.cells) == (1, 1130, "their areas")


@pytest.mark.pdk
@pytest.mark.parametrize(
    ("name", "row_nm", "widths_nm"),
    [
        ("sky130hd", 2720, {"sky130_fd_sc_hd__inv_1": 1380, "sky130_fd_sc_hd__dfxtp_1": 7360}),
        ("ihp-sg13g2", 3780, {"sg13g2_inv_1": 1440, "sg13g2_nand2_1": 1920}),
        ("asap7", 270, {"INVx1_ASAP7_75t_R": 162, "FAx1_ASAP7_75t_R": 756}),
    ],
)
def test_the_open_libraries(name: str, row_nm: int, widths_nm: dict[str, int]) -> None:
    """Widths as their LEF files have them."""
    try:
        library = find_library(name)
    except FileNotFoundError as reason:
        pytest.skip(str(reason))
    technology = technology_of(library)
    assert technology.row_nm == row_nm
    assert {cell: round(cell_macro(technology, library, cell).width_um * 1e3) for cell in widths_nm} == widths_nm
    assert 0.1 < technology.wire.ff_per_um < 0.2


def test_wires_of_a_lef_are_those_of_its_second_and_third_layer(library: Library) -> None:
    """FreePDK45: metal2 and metal3 are 0.07 um wide."""
    lef = library.path.with_name("rtk-tech.lef")
    wire = technology_of(library, [lef]).wire
    metal2 = 0.07 * 4.0896e-05 + 2 * 2.5157e-05
    metal3 = 0.07 * 2.7745e-05 + 2 * 2.5157e-05
    assert wire.ff_per_um == pytest.approx(1e3 * (metal2 + metal3) / 2, rel=1e-5)
    assert wire.ohm_per_um == pytest.approx(0.25 / 0.07, rel=1e-5)
    assert wire.source == "rtk-tech.lef, metal2 and metal3"
    assert technology_of(library, [lef], Wire(1.0, 2.0, "as stated")).wire == Wire(1.0, 2.0, "as stated")


def test_a_stated_wire() -> None:
    assert read_wire("0.1,3.6") == Wire(0.1, 3.6, "as stated")
    for text, sentence in (
        ("0.1", "wires must be fF and Ohm a um with a comma between, as in 0.1,3.6"),
        ("0,1", "wires, fF a um, must be a number from 0.0001 to 10, not '0'"),
        ("1,-1", "wires, Ohm a um, must be a number from 0 to 10000, not '-1'"),
    ):
        with pytest.raises(InputError) as error:
            read_wire(text)
        assert str(error.value) == sentence


def test_what_is_missing_is_named(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        technology_of(replace(library, name="mine"))
    assert str(error.value) == (
        "nothing states the wires of mine: give a LEF file with its layers (--lef) or fF and Ohm a um (--wires)"
    )
    lef = tmp_path / "x.lef"
    lef.write_text("LAYER m1 TYPE ROUTING ; WIDTH 1 ; END m1")
    with pytest.raises(InputError) as error:
        technology_of(library, [lef])
    assert str(error.value) == (
        f"{lef}: layer m1 must state WIDTH, RESISTANCE RPERSQ and CAPACITANCE CPERSQDIST: give --wires where it does "
        "not"
    )
    lef.write_text("MACRO other SIZE 1 BY 1 ; END other")
    with pytest.raises(InputError) as error:
        technology_of(library, [lef])
    assert str(error.value) == "LEF must have the cells of freepdk45, and has none of its inverters"
    lef.write_text("MACRO INV_X1 SIZE 1 BY 1 ; END INV_X1 MACRO FA_X1 SIZE 3 BY 2 ; END FA_X1")
    technology = technology_of(library, [lef])
    for cell, sentence in (
        ("DFF_X1", "LEF must have every cell that is placed, and lacks DFF_X1 of freepdk45"),
        ("FA_X1", "cells must be one row of 1 um high, and FA_X1 has 2 um"),
    ):
        with pytest.raises(InputError) as error:
            cell_macro(technology, library, cell)
        assert str(error.value) == sentence
