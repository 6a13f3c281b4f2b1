"""LEF files: what is read of them, and what they are refused for."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.library.library import find_library
from hwmodel.placement.lef import Layer, Macro, read_lef
from siliquant.inputs import InputError

GOOD = """\
VERSION 5.8 ; # a comment; with a semicolon
BUSBITCHARS "[]" ;
UNITS
  DATABASE MICRONS 2000 ;
END UNITS
PROPERTYDEFINITIONS
  LAYER WHAT STRING "a ; b" ;
END PROPERTYDEFINITIONS
SITE core
  CLASS CORE ;
  SIZE 0.2 BY 1.4 ;
END core
LAYER cut
  TYPE CUT ;
  RESISTANCE 5 ;
END cut
LAYER m1
  TYPE ROUTING ;
  SPACINGTABLE PARALLELRUNLENGTH 0.0 0.3
    WIDTH 0.0 0.1 0.1 ;
  WIDTH 0.1 ;
  RESISTANCE RPERSQ 0.4 ;
  CAPACITANCE CPERSQDIST 5e-5 ;
  EDGECAPACITANCE 2.5E-5 ;
END m1
LAYER m2
  TYPE ROUTING ;
  WIDTH .2 ;
END m2
VIA v DEFAULT
  LAYER m1 ;
    RECT -1 -1 1 1 ;
END v
VIARULE r GENERATE
  LAYER m1 ;
END r
MACRO a
  CLASS CORE ;
  ORIGIN 0.1 0 ;
  SIZE 0.4 BY 1.4 ;
  PIN A
    DIRECTION INPUT ;
    PORT
      LAYER m1 ;
        RECT 0.0 0.2 0.1 0.4 ;
        RECT MASK 1 0.2 0.2 0.3 0.8 ;
    END
  END A
  PIN Z
    DIRECTION OUTPUT ;
    PORT
      LAYER m1 ;
        POLYGON 0 0 0.2 0 0.2 0.2 0 0.2 ;
    END
  END Z
  PIN none
  END none
  OBS
    LAYER m1 ;
    RECT 0 0 9 9 ;
  END
END a
END LIBRARY
what follows is no LEF
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.lef"


def test_sizes_pins_sites_and_wires(path: Path) -> None:
    for content in (GOOD.encode(), gzip.compress(GOOD.encode()), GOOD.replace("\n", "\r\n").encode()):
        path.write_bytes(content)
        lef = read_lef(path)
        assert lef.layers == (Layer("m1", 0.1, 0.4, 5e-5, 2.5e-5), Layer("m2", 0.2, None, None, 0.0))
        assert lef.sites == {"core": (0.2, 1.4)}
        assert set(lef.macros) == {"a"}
        a = lef.macros["a"]
        assert (a.width_um, a.height_um) == (0.4, 1.4)
        assert {pin: pytest.approx(centre) for pin, centre in a.pins.items()} == {"A": (0.25, 0.5), "Z": (0.2, 0.1)}


def test_the_cells_of_freepdk45() -> None:
    """Their sizes are the areas of the Liberty file, and every pin lies in its cell."""
    library = find_library()
    lef = read_lef(library.path.with_name("stdcells.lef"))
    assert set(library.areas) <= set(lef.macros)
    for cell, area_um2 in library.areas.items():
        macro = lef.macros[cell]
        assert macro.width_um * macro.height_um == pytest.approx(area_um2, rel=1e-3), cell
        assert {*library.input_ff[cell], *library.output_pins[cell]} <= set(macro.pins)
        assert all(0 <= x <= macro.width_um and 0 <= y <= macro.height_um for x, y in macro.pins.values())
    assert lef.macros["INV_X1"] == Macro(0.38, 1.4, lef.macros["INV_X1"].pins)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("SIZE 0.4 BY 1.4", "SIZE -0.4 BY 1.4", "line 40: SIZE of macro a must be above 0, not '-0.4'"),
        ("SIZE 0.4 BY 1.4", "SIZE 0.4 X 1.4", "line 40: SIZE of macro a must be as in 0.76 BY 1.4"),
        ("SIZE 0.4 BY 1.4", "SIZE 1e9 BY 1.4", "line 40: SIZE of macro a must be a number of at most 1e+06, not '1e9'"),
        ("SIZE 0.4 BY 1.4", "SIZE nan BY 1.4", "line 40: SIZE of macro a must be a number of at most 1e+06, not 'nan'"),
        ("  SIZE 0.4 BY 1.4 ;\n", "", "line 61: macro a must state a SIZE"),
        ("RPERSQ 0.4", "RPERSQ -1", "line 22: RESISTANCE of layer m1 must be at least 0, not '-1'"),
        ("END a\n", "END a\nMACRO a\nEND a\n", "line 63: macro a must be there once"),
        ("END a\n", "END b\n", "line 62: END a is missing: found END b"),
        ("RECT 0.0 0.2 0.1 0.4", "RECT 0.0 0.2 0.1",
         "line 45: RECT of pin A must have pairs of coordinates, two or more"),
        ("END LIBRARY\n", "MACRO b PIN c PORT RECT 1", "line 63: the file ends inside RECT"),
        ("MACRO a", "MACRO ;", "line 37: MACRO must have a name of 1 to 128 characters, not ';'"),
    ],
)  # fmt: skip
def test_what_is_refused(path: Path, old: str, new: str, sentence: str) -> None:
    text = GOOD.replace(old, new, 1)
    path.write_text(text[: text.index("what follows")].rstrip() if "MACRO b" in new else text)
    with pytest.raises(InputError) as error:
        read_lef(path)
    assert str(error.value) == f"{path}, {sentence}"


def test_a_file_that_is_no_lef(path: Path) -> None:
    path.write_text("library (x) { area : 1; }")
    with pytest.raises(InputError) as error:
        read_lef(path)
    assert str(error.value) == f"{path} must be a LEF file, and has no LAYER, MACRO or SITE"


@given(data=st.data())
def test_damage_is_an_input_error(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any part of a file taken out or doubled is read, or refused by name."""
    words = GOOD.split()
    start = data.draw(st.integers(0, len(words) - 1))
    count = data.draw(st.integers(1, 12))
    middle = data.draw(st.sampled_from([[], words[start : start + count] * 2, ["END"], [";"], ['"']]))
    path = tmp_path_factory.mktemp("lef") / "x.lef"
    path.write_text(" ".join([*words[:start], *middle, *words[start + count :]]))
    try:
        read_lef(path)
    except InputError as error:
        said = str(error)
    else:
        said = str(path)
    assert said.startswith(str(path))
