"""hwmodel.library.verilog: texts, pin pairs, and every cell of a library in Icarus against its Liberty functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwmodel.liberty.functions import parse_function
from hwmodel.liberty.models import CellModel, LibraryCells
from hwmodel.liberty.tree import parse_liberty
from hwmodel.library.sdf import PathDelay
from hwmodel.library.verilog import cell_verilog, delay_pairs, input_columns, senses, verilog_expression
from hwmodel.power.glitches import library_cells
from hwmodel.power.icarus import Window, run_icarus
from tests.hwmodel.mapping import LIBRARIES
from tests.hwmodel.power.delayed import need_tools, the_library, zoo

GATE = """module XOR2_X1 (A, B, Z);
  input A;
  input B;
  output Z;
  assign Z = (A ^ B);
  specify
    (posedge A => (Z : A)) = 0;
    (negedge A => (Z : A)) = 0;
    (posedge B => (Z : B)) = 0;
    (negedge B => (Z : B)) = 0;
  endspecify
endmodule
"""

FLIP_FLOP = """module DFFR_X1 (D, RN, CK, Q, QN);
  input D;
  input RN;
  input CK;
  output Q;
  output QN;
  reg _stored = 1'b0;
  wire _clock = CK;
  wire _clear = (~RN);
  wire IQ = _stored & ~_clear;
  wire IQN = ~IQ;
  always @(posedge _clock or posedge _clear) if (_clear) _stored <= 1'b0; else _stored <= D;
  assign Q = IQ;
  assign QN = IQN;
  specify
    (CK => Q) = 0;
    (RN => Q) = 0;
    (CK => QN) = 0;
    (RN => QN) = 0;
  endspecify
endmodule
"""


def _cells() -> LibraryCells:
    return library_cells(the_library("freepdk45"))


@pytest.mark.parametrize(("cell", "text"), [("XOR2_X1", GATE), ("DFFR_X1", FLIP_FLOP)])
def test_modules(cell: str, text: str) -> None:
    """Word for word: two paths where an output can follow and oppose an input, one elsewhere."""
    assert cell_verilog(_cells()[cell]) == text


def test_pairs() -> None:
    """Sum outputs, XORs and select inputs go both ways; carries and simple gates one; D has no path."""
    pairs = {cell: delay_pairs(_cells()[cell]) for cell in ("FA_X1", "AOI21_X1", "MUX2_X1", "DFF_X1")}
    assert pairs["FA_X1"] == {(pin, output): output == "S" for output in ("CO", "S") for pin in ("A", "B", "CI")}
    assert pairs["AOI21_X1"] == {(pin, "ZN"): False for pin in ("A", "B1", "B2")}
    assert pairs["MUX2_X1"] == {("A", "Z"): False, ("B", "Z"): False, ("S", "Z"): True}
    assert pairs["DFF_X1"] == {("CK", "Q"): False, ("CK", "QN"): False}


def test_an_input_that_changes_nothing_has_no_path() -> None:
    model = CellModel("ODD", 1.0, {"A": 1.0, "B": 1.0}, {"Y": parse_function("A & (B | !B)")}, None)
    assert delay_pairs(model) == {("A", "Y"): False}
    columns = input_columns(["B", "C"])
    assert senses(parse_function("A ^ (B & C)"), "A", columns) == (0b0111, 0b1000)


def test_expressions_and_names() -> None:
    """Liberty precedence, kept by brackets; names Verilog would not take are escaped."""
    assert verilog_expression(parse_function("!(A B) + C'^1")) == "((~(A & B)) | ((~C) ^ 1'b1))"
    text = """library (x) { capacitive_load_unit (1, ff); cell ("2AND") {
      pin (A) { direction : input; capacitance : 1; } pin (B[0]) { direction : input; capacitance : 1; }
      pin (Y) { direction : output; function : "A B[0]"; } } }"""
    written = cell_verilog(LibraryCells(parse_liberty(text))["2AND"])
    assert written.startswith("module \\2AND  (A, \\B[0] , Y);")
    assert "assign Y = (A & \\B[0] );" in written
    with pytest.raises(TypeError, match=r"^function must be an expression of hwmodel\.liberty, not str$"):
        verilog_expression("A")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_cell_computes_its_function(name: str, tmp_path: Path) -> None:
    """All usable cells in all states of their inputs, flip-flops with clears and presets on random ones."""
    need_tools()
    cells, animals = library_cells(the_library(name)), zoo(name)
    waves = animals.waves
    every = PathDelay((0.01, 0.02), (0.03, 0.04))
    delays = [
        {pair: every if both else PathDelay((0.01, 0.02), (0.01, 0.02)) for pair, both in delay_pairs(model).items()}
        for model in (cells[instance.cell] for instance in waves.netlist.instances)
    ]
    window = Window(first=1, cycles=waves.cycles - 1, period_ps=1000, launch_ns=0.1, early_ps=500)
    found = run_icarus(tmp_path, waves, cells, delays, animals.stimulus, window)
    expected = [[waves.values[net] >> cycle & 1 for cycle in range(waves.cycles)] for net in found.nets]
    assert len(found.nets) >= len(waves.netlist.instances) > 50
    np.testing.assert_array_equal(found.settled, expected)
    assert (found.counts.sum(axis=1) > 0).all()
