"""hwmodel.library.sdf and hwmodel.power.delays: entries as written, means over states, refusals, OpenSTA and Icarus."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hwmodel.liberty.functions import parse_function
from hwmodel.liberty.models import LibraryCells
from hwmodel.library.sdf import CellPaths, Entry, PathDelay, read_sdf, sdf_text
from hwmodel.library.verilog import TIMESCALE, cell_verilog, delay_pairs
from hwmodel.netlist.netlist import Netlist
from hwmodel.power.activity import simulate
from hwmodel.power.delays import SHORTEST_NS, netlist_delays, path_delays
from hwmodel.power.glitches import library_cells, with_glitches
from hwmodel.power.icarus import SimulatorMissing, find_icarus
from hwmodel.synthesis.sta import OpenSta, ToolMissing, find_opensta
from tests.hwmodel.mapping import LIBRARIES, netlist_of
from tests.hwmodel.power.delayed import need_tools, the_library, zoo

SDF = r"""(DELAYFILE
 (SDFVERSION "3.0")
 (TIMESCALE 1ps)
 (CELL
  (CELLTYPE "top")
  (INSTANCE)
  (DELAY (ABSOLUTE
    (INTERCONNECT a u/A (4.0::4.0) (3.0::3.0))
  ))
 )
 (CELL
  (CELLTYPE "XOR2_X1")
  (INSTANCE u)
  (DELAY (ABSOLUTE
    (COND (B == 1'b1) && ~C
     (IOPATH A Z (30.0::40.0) (20.0::20.0)))
    (COND B == 1'b0
     (IOPATH A Z (60.0) (50.0::60.0)))
    (IOPATH A Z (10:20:30) ()))
    (IOPATH (posedge B) Z (-1.5::0.5))
  )
  (TIMINGCHECK (SETUP (posedge D) (posedge CK) (0.03::0.04)))
 )
 (CELL (CELLTYPE "INV_X1") (INSTANCE v\[3\]) (DELAY (ABSOLUTE (IOPATH A ZN (7.0::7.0) (8.0::8.0)))))
)"""


def test_entries() -> None:
    """Conditions, one to three numbers, missing values, edges, escapes; wires and checks are not read."""
    found = read_sdf(SDF)
    assert set(found) == {"", "u", "v[3]"}
    entries = found["u"].entries["A", "Z"]
    assert [entry.condition for entry in entries] == [parse_function("B & !C"), parse_function("!B"), None]
    assert [entry.rise_ns for entry in entries] == pytest.approx([0.035, 0.06, 0.02])
    assert [entry.fall_ns for entry in entries] == pytest.approx([0.02, 0.055, None])
    assert found["u"].entries["B", "Z"] == (Entry(None, -0.0005, -0.0005),)
    assert found["v[3]"] == CellPaths("INV_X1", {("A", "ZN"): (Entry(None, 0.007, 0.008),)})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (SDF.replace("(TIMESCALE 1ps)", ""), "delays must be SDF text with a TIMESCALE, and these are not"),
        ("module x; endmodule", "delays must be SDF text with a TIMESCALE, and these are not"),
        (SDF.replace("(ABSOLUTE", "(INCREMENT"), "SDF must have absolute IOPATH delays, not INCREMENT"),
        (SDF.replace("7.0::7.0", "7.0::fast"), "a delay in SDF must be up to three numbers, not (7.0::fast)"),
        (SDF.replace(r"v\[3\]", "u"), "SDF must name each instance once, and u is there twice"),
        (SDF.replace("B == 1'b0", "B >"), "the Liberty expression 'B >' must not contain '>'"),
    ],
)
def test_what_is_not_sdf(wrong: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_sdf(wrong)
    assert str(caught.value) == message


def _cells() -> LibraryCells:
    return library_cells(the_library("freepdk45"))


def _one(cell: str, pins: dict[str, int | str]) -> Netlist:
    return netlist_of({"clk": [2], "a": [3, 4, 5]}, {}, {"u": (cell, pins)})


def _entry(when: str, rise_ns: float | None, fall_ns: float | None) -> Entry:
    return Entry(parse_function(when) if when else None, rise_ns, fall_ns)


def test_means_over_states() -> None:
    """Follows and opposes apart, each the mean over its states; the entry without condition for the rest."""
    netlist = _one("FA_X1", {"A": 3, "B": 4, "CI": "0", "S": 6, "CO": 7})
    both = (_entry("!B & !CI", 0.1, 0.2), _entry("B & CI", 0.3, 0.4), _entry("", 0.5, 0.6))
    single = (_entry("", 0.7, 0.8),)
    paths = {("A", "S"): both, ("B", "S"): single, ("A", "CO"): single, ("B", "CO"): single}
    (found,) = path_delays(netlist, _cells(), {"u": CellPaths("FA_X1", paths)}, {})
    assert found["A", "S"].after_rise == pytest.approx((0.2, 0.6))  # follows with the rise, opposes with the fall
    assert found["A", "S"].after_fall == pytest.approx((0.5, 0.3))
    assert found["B", "S"] == found["B", "CO"] == PathDelay((0.7, 0.8), (0.7, 0.8))
    assert set(found) == paths.keys()  # CI is tied to 0


def test_senses_where_conditions_do_not_tell() -> None:
    netlist = _one("XOR2_X1", {"A": 3, "B": 4, "Z": 6})
    both = (_entry("", 0.1, 0.2), _entry("", 0.3, 0.4))
    sdf = {"u": CellPaths("XOR2_X1", {("A", "Z"): both, ("B", "Z"): both})}
    (found,) = path_delays(netlist, _cells(), sdf, {("XOR2_X1", ("A", "Z")): ("negative_unate", "positive_unate")})
    assert found["A", "Z"] == PathDelay(after_rise=(0.3, 0.2), after_fall=(0.1, 0.4))
    assert found["B", "Z"].after_rise == found["B", "Z"].after_fall == pytest.approx((0.2, 0.3))


def test_flip_flops_and_negative_delays() -> None:
    """Clear takes as long as the clock, which alone OpenSTA times; a negative delay becomes the shortest."""
    netlist = _one("DFFR_X1", {"CK": 2, "D": 3, "RN": 4, "Q": 6})
    q, qn = (_entry("", 0.08, 0.07),), (_entry("", -0.01, 0.07),)
    paths = {("CK", "Q"): q, ("CK", "QN"): qn, ("RN", "Q"): (_entry("", None, 0.0),)}
    (found,) = path_delays(netlist, _cells(), {"u": CellPaths("DFFR_X1", paths)}, {})
    assert found["RN", "Q"] == found["CK", "Q"] == PathDelay((0.08, 0.07), (0.08, 0.07))
    assert found["RN", "QN"].after_rise == (0.001, 0.07)
    assert SHORTEST_NS == 0.001


_PATHS = {("A1", "ZN"): (_entry("", 0.1, 0.2),), ("A2", "ZN"): (_entry("", 0.1, 0.2),)}


@pytest.mark.parametrize(
    ("sdf", "message"),
    [
        ({}, "SDF must have every path, and A1 to ZN of u (NAND2_X1) is missing"),
        ({"u": CellPaths("NAND2_X1", {("A1", "ZN"): _PATHS["A1", "ZN"]})},
         "SDF must have every path, and A2 to ZN of u (NAND2_X1) is missing"),
        ({"u": CellPaths("NOR2_X1", _PATHS)}, "SDF must be of the same netlist, but it has u as NOR2_X1"),
        ({"u": CellPaths("NAND2_X1", _PATHS | {("A3", "ZN"): _PATHS["A1", "ZN"]})},
         "SDF must have paths of the cell only, and A3 to ZN of u (NAND2_X1) is none"),
        ({"u": CellPaths("NAND2_X1", _PATHS | {("A1", "ZN"): (_entry("", 0.0, 0.0),)})},
         "SDF must have a delay from A1 to ZN of u (NAND2_X1), not zero"),
        ({"u": CellPaths("NAND2_X1", _PATHS | {("A1", "ZN"): (_entry("", None, None),)})},
         "SDF must have a delay from A1 to ZN of u (NAND2_X1), not zero"),
        ({"u": CellPaths("NAND2_X1", _PATHS | {("A1", "ZN"): (_entry("Q", 0.1, 0.1), _entry("", 0.1, 0.1))})},
         "a condition of A1 to ZN of NAND2_X1 must be of its other inputs, not 'Q'"),
    ],
)  # fmt: skip
def test_delays_that_do_not_fit(sdf: dict[str, CellPaths], message: str) -> None:
    netlist = _one("NAND2_X1", {"A1": 3, "A2": 4, "ZN": 6})
    with pytest.raises(ValueError) as caught:
        path_delays(netlist, _cells(), sdf, {})
    assert str(caught.value) == message


def test_icarus_takes_each_edge(tmp_path: Path) -> None:
    """What is written arrives: an XOR and a NAND switch when their SDF says, to the ps."""
    try:
        find_icarus()
    except SimulatorMissing as reason:
        pytest.skip(str(reason))
    models = [_cells()["XOR2_X1"], _cells()["NAND2_X1"]]
    every = {("A", "Z"): PathDelay((0.1, 0.2), (0.3, 0.4)), ("B", "Z"): PathDelay((0.5, 0.6), (0.7, 0.8))}
    gate = {("A1", "ZN"): PathDelay((1.1, 1.2), (1.1, 1.2)), ("A2", "ZN"): PathDelay((1.3, 1.4), (1.3, 1.4))}
    (tmp_path / "d.sdf").write_text(sdf_text(models, [every, gate]))
    bench = """module t; reg a = 0, b = 0; wire y, z; XOR2_X1 u0 (a, b, y); NAND2_X1 u1 (a, b, z);
      initial $sdf_annotate("d.sdf", t);
      initial begin #10 a = 1; #10 b = 1; #10 a = 0; #10 b = 0; #10 b = 1; #10 a = 1; #10 b = 0; #10 $finish(0); end
      always @(y) $display("y%b %.3f", y, $realtime); always @(z) $display("z%b %.3f", z, $realtime);
    endmodule"""
    (tmp_path / "t.v").write_text(TIMESCALE + "".join(map(cell_verilog, models)) + bench)
    subprocess.run(["iverilog", "-gspecify", "-s", "t", "-o", "t.vvp", "t.v"], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-n", "t.vvp", "-sdf-warn"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "SDF" not in done.stdout + done.stderr
    seen = [line.split() for line in done.stdout.splitlines()]
    times = {name: [float(time) for kind, time in seen if kind[0] == name and float(time) > 5] for name in "yz"}
    assert times["y"] == [10.1, 20.6, 30.3, 40.8, 50.5, 60.2, 70.7]
    assert times["z"] == [21.4, 31.1, 61.2, 71.3]


def test_delays_of_opensta(tmp_path: Path) -> None:
    """Those of a chain of inverters add up to the path OpenSTA reports, less its wires."""
    need_tools()
    library = the_library("freepdk45")
    verilog = "module chain (input clk, input a, output y); wire n4, n5;\n" + "".join(
        f"  INV_X1 i{k} (.A({a}), .ZN({y}));\n" for k, (a, y) in enumerate((("a", "n4"), ("n4", "n5"), ("n5", "y")))
    )
    path = tmp_path / "chain.v"
    path.write_text(verilog + "endmodule\n")
    cells = {f"i{k}": ("INV_X1", {"A": 3 + k, "ZN": 4 + k}) for k in range(3)}
    netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [6]}, cells)  # type: ignore[arg-type]
    found = netlist_delays(path.read_text(), netlist, "chain", library, library_cells(library), period_ns=2.0)
    with OpenSta(library) as opensta:
        opensta.load(path, "chain", 2.0)
        stages = [stage for stage in opensta.critical_stages() if stage.cell == "INV_X1"]
        report = opensta.ask("report_checks -path_delay max -format full -digits 6")
    arrival = re.search(r"([\d.]+) +data arrival time", report)
    assert arrival is not None
    assert found.minimum_period_ns == pytest.approx(float(arrival[1]), abs=1e-5)
    rises = [paths["A", "ZN"].after_rise for paths in found.paths]
    for delay, stage in zip(rises, stages, strict=False):
        assert min(abs(stage.delay_ns - edge) for edge in delay) < 0.001  # a wire of a few fs, and early slews


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_cell_is_annotated(name: str) -> None:
    """OpenSTA times every pin pair of every usable cell, Icarus takes it, and everything settles right."""
    need_tools()
    library, animals = the_library(name), zoo(name)
    cells = library_cells(library)
    netlist = animals.waves.netlist
    delays = netlist_delays(animals.verilog, netlist, "zoo", library, cells, period_ns=10.0)
    for instance, paths in zip(netlist.instances, delays.paths, strict=True):
        assert paths.keys() == delay_pairs(cells[instance.cell]).keys()
        assert all(min(*delay.after_rise, *delay.after_fall) > 0 for delay in paths.values())
    waves = with_glitches(
        animals.waves, animals.verilog, "zoo", library, animals.stimulus, period_ns=10.0, delays=delays
    )
    assert sum(waves.toggles) >= sum(animals.waves.toggles)


@pytest.mark.parametrize("name", LIBRARIES)
def test_entries_come_in_the_order_of_edges(name: str, tmp_path: Path) -> None:
    """What hwmodel.power.delays relies on: values of OpenSTA's edges, sense by sense, against the entries of its
    SDF."""
    try:
        find_opensta()
    except ToolMissing as reason:
        pytest.skip(str(reason))
    library, animals = the_library(name), zoo(name)
    cells, netlist = library_cells(library), animals.waves.netlist
    (tmp_path / "zoo.v").write_text(animals.verilog)
    compared = 0
    with OpenSta(library) as opensta:
        opensta.load(tmp_path / "zoo.v", "zoo", 10.0)
        opensta.write_sdf(tmp_path / "zoo.sdf")
        sdf = read_sdf((tmp_path / "zoo.sdf").read_text())
        for instance in netlist.instances:
            model = cells[instance.cell]
            if model.flip_flop is None and any(delay_pairs(model).values()):
                compared += _compare(opensta.ask(_EDGES % instance.name), sdf[instance.name], model.inputs)
    assert compared > 20


_EDGES = (
    "foreach edge [join [get_timing_edges -of_objects [get_cells {%s}]]] {"
    'puts -nonewline "[get_full_name [$edge from_pin]] [get_full_name [$edge to_pin]] [$edge sense]"; '
    "set arcs [$edge timing_arc_iterator]; while {[$arcs has_next]} { set arc [$arcs next]; "
    'puts -nonewline " [$arc to_trans_name] [join [$edge arc_delays $arc] { }]" }; $arcs finish; puts {} }'
)


def _compare(said: str, paths: CellPaths, inputs: tuple[str, ...]) -> int:
    """Entries of unate edges whose rise and fall are those of the entry in the same place."""
    seen: dict[tuple[str, str], int] = {}
    count = 0
    for line in said.splitlines():
        source, output, sense, *arcs = line.split()
        pair = (source.split("/")[1], output.split("/")[1])
        if pair[0] not in inputs:  # some libraries time one output by another, which SDF leaves out
            continue
        entry = paths.entries[pair][seen.get(pair, 0)]
        seen[pair] = seen.get(pair, 0) + 1
        if sense in ("positive_unate", "negative_unate"):
            values = {arcs[k]: 1e9 * (float(arcs[k + 1]) + float(arcs[k + 2])) / 2 for k in range(0, len(arcs), 3)}
            assert (entry.rise_ns, entry.fall_ns) == pytest.approx((values["rise"], values["fall"]), abs=2e-6)
            count += 1
    assert seen == {pair: len(entries) for pair, entries in paths.entries.items()}
    return count


def test_a_clock_of_another_name(tmp_path: Path) -> None:
    """A register of data that toggle, and an XOR of it with a late copy, which does nothing but glitch."""
    need_tools()
    library = the_library("freepdk45")
    cells = {
        "low": ("DFF_X1", {"CK": 2, "D": 3, "Q": 4}),
        "late": ("BUF_X1", {"A": 4, "Z": 6}),
        "later": ("BUF_X1", {"A": 6, "Z": 7}),
        "odd": ("XOR2_X1", {"A": 4, "B": 7, "Z": 8}),
    }
    verilog = "module t (input tick, input a, output y); wire n4, n6, n7;\n" + "".join(
        f"  {cell} {name} ({', '.join(f'.{pin}({nets[net]})' for pin, net in pins.items())});\n"
        for nets in ({2: "tick", 3: "a", 4: "n4", 6: "n6", 7: "n7", 8: "y"},)
        for name, (cell, pins) in cells.items()
    )
    netlist = netlist_of({"tick": [2], "a": [3]}, {"y": [8]}, cells)  # type: ignore[arg-type]
    stimulus = {"a": [0, 1] * 5}
    waves = simulate(netlist, library_cells(library), stimulus, clock="tick", count_from_cycle=2)
    found = with_glitches(waves, verilog + "endmodule\n", "t", library, stimulus, period_ns=2.0, cycles=4, clock="tick")
    register, odd = netlist.instances[0].pins["Q"], netlist.outputs["y"][0]
    assert (waves.toggles[register], waves.toggles[odd]) == (8, 0)
    assert found.toggles[register] == 8
    assert found.toggles[odd] in (8, 16), "each change gives a pulse, or each of one direction"
