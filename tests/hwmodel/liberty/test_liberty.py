"""hwmodel.liberty.tree: syntax, errors, and the libraries themselves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.liberty.tree import Group, parse_liberty
from tests.hwmodel.mapping import LIBRARIES, liberty_path, library

EXAMPLE = """/* a "comment" with { braces */
library (demo) {
  time_unit : "1ns";
  capacitive_load_unit (1, ff);   // the unit of loads
  define(drive, cell, float);
  voltage_map (VDD, 1.1); voltage_map (VSS, 0.0);
  cell ("NAND2") {
    area : 0.798
    pin(ZN) {
      function : "!(A1 & A2)";
      timing () {
        cell_rise (t_2_2) {
          index_1 ("0.1, 0.2"); index_2 ("1 2");
          values ("1.0, 2.0", \\
                  "3.0, 4.0");
        }
      }
    }
  }
  cell (DFFR) {
    area : 4; dont_use : true;
    ff (IQ, IQN) { clocked_on : CK ; clear : !RN ; next_state : "D"; }
  }
}
"""


def test_example() -> None:
    """Every form of statement."""
    top = parse_liberty(EXAMPLE)
    assert (top.kind, top.name, top.line) == ("library", "demo", 2)
    assert top.attributes["voltage_map"] == [("VDD", "1.1"), ("VSS", "0.0")]
    assert top.attributes["capacitive_load_unit"] == [("1", "ff")]
    assert top.text("time_unit") == "1ns"
    assert [cell.name for cell in top.group_iter("cell")] == ["NAND2", "DFFR"]
    nand = top.find("cell", "NAND2")
    assert nand.number("area") == 0.798
    assert not nand.flag("dont_use")
    pin = nand.find("pin", "ZN")
    assert pin.text("function") == "!(A1 & A2)"
    table = next(next(pin.group_iter("timing")).group_iter("cell_rise"))
    assert table.args == ("t_2_2",)
    assert table.numbers("index_2") == (1.0, 2.0)
    assert table.numbers("values") == (1.0, 2.0, 3.0, 4.0)
    assert table.numbers("index_3") == ()
    flop = top.find("cell", "DFFR")
    assert flop.flag("dont_use")
    assert flop.find("ff", "IQ").text("clear") == "!RN"
    assert flop.find("ff", "IQ").text("clocked_on") == "CK"
    assert repr(flop) == "Group(cell (DFFR), line 20)"


def test_absent_attributes() -> None:
    """Defaults, and errors that name group and line."""
    cell = parse_liberty(EXAMPLE).find("cell", "NAND2")
    assert cell.text("footprint", "none") == "none"
    assert cell.number("leakage", 0.5) == 0.5
    with pytest.raises(ValueError, match="Liberty text, line 7: cell 'NAND2' must state leakage, and does not"):
        cell.number("leakage")
    with pytest.raises(ValueError, match="library 'demo' must have a cell named 'INV', and has none"):
        parse_liberty(EXAMPLE).find("cell", "INV")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("library (a) {\n cell (b) {\n }\n", "Liberty text, line 1: an opening brace has no closing brace"),
        ("library (a) {\n}\n}", "Liberty text, line 3: a closing brace has no opening brace"),
        ('library (a) {\n x : "y;\n}', "Liberty text, line 2: a quoted string is never closed"),
        ("library (a) {\n /* x\n}", "Liberty text, line 2: a comment is never closed"),
        ("library (a) {\n\n x (1, 2;\n}", "Liberty text, line 3: the parenthesis after x is never closed"),
        ("library (a) {\n x : ;\n}", "Liberty text, line 2: the attribute x has no value"),
        (
            "library (a) {\n = 5;\n}",
            "Liberty text, line 2: expected  name : value ;  or  name (values)  but found '= 5;'",
        ),
        ("", "Liberty text must hold one top group, library (name) { ... }, but it holds 0 groups"),
        ("x : 1;", "Liberty text must hold one top group, library (name) { ... }, but it holds the attribute x"),
        (
            "library (a) {\n area : big;\n}",
            "Liberty text, line 1: library 'a' must have a finite number for area, at most 1e+30, not 'big'",
        ),
    ],
)
def test_corrupt_text(text: str, message: str) -> None:
    """One sentence that names the line."""
    with pytest.raises(ValueError) as caught:
        parse_liberty(text).number("area")
    assert str(caught.value) == message


_names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_values = st.text("ABab01 !&|()^'*+.,-{};:/", max_size=12).map(str.strip).filter(lambda text: "/*" not in text)
_attributes = st.dictionaries(_names, st.lists(_values, min_size=1, max_size=3), max_size=3)
_trees: st.SearchStrategy[tuple[str, dict[str, list[str]], list[object]]] = st.recursive(
    st.tuples(_names, _attributes, st.just([])),
    lambda inner: st.tuples(_names, _attributes, st.lists(inner, max_size=3)),
    max_leaves=6,
)


def _written(tree: tuple[str, dict[str, list[str]], list[object]]) -> str:
    kind, attributes, inner = tree
    lines = [
        f"{name} ({', '.join(f'{chr(34)}{value}{chr(34)}' for value in values)});"
        for name, values in attributes.items()
    ]
    lines += [_written(child) for child in inner]  # type: ignore[arg-type]
    return f"{kind} (x) {{ /* }} */\n" + "\n".join(lines) + "\n}"


def _same(group: Group, tree: tuple[str, dict[str, list[str]], list[object]]) -> bool:
    kind, attributes, inner = tree
    return (
        group.kind == kind
        and dict(group.attributes) == {name: [tuple(values)] for name, values in attributes.items()}
        and len(group.groups) == len(inner)
        and all(_same(child, branch) for child, branch in zip(group.groups, inner, strict=True))  # type: ignore[arg-type]
    )


@settings(max_examples=50, deadline=None)
@given(_trees)
def test_what_is_written_is_read(tree: tuple[str, dict[str, list[str]], list[object]]) -> None:
    """Any tree of groups, whatever its strings hold."""
    assert _same(parse_liberty(_written(tree)), tree)


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries(name: str) -> None:
    """Cell counts and areas of the real files."""
    cells = {cell.name: cell.number("area") for cell in library(name).group_iter("cell")}
    count, cell, area = {
        "freepdk45": (135, "FA_X1", 4.256),
        "sky130hd": (428, "sky130_fd_sc_hd__fa_1", 20.0192),
        "ihp-sg13g2": (84, "sg13g2_inv_1", 5.4432),
        "asap7": (202, "INVx1_ASAP7_75t_R", 0.04374),  # this line of the file lacks its semicolon
    }[name]
    assert len(cells) == count
    assert cells[cell] == area


def test_truncated_library() -> None:
    """A file that was cut off anywhere is refused."""
    text = liberty_path("freepdk45").read_text()
    for length in (len(text) // 7, len(text) // 3, len(text) - 40):
        with pytest.raises(ValueError, match=r"Liberty text, line \d+: "):
            parse_liberty(text[:length])
