"""The bit-sliced grid: proved equal to the generated grid, and every wrong wire of that is found."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtl.array.element import ElementSpec, GridSpec
from rtl.mac import (
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from sim.harness.sliced import NetlistError, check_connections, read_netlists, sliced_grid, with_sliced_grid
from sim.toolchain import ToolError

YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    design.run_pass(command)
"""
Registers = list[tuple[str, int]]


def grid_of(mac: MacSpec, systolic: bool, rows: int, columns: int) -> GridSpec:
    return GridSpec(element=ElementSpec(mac=mac, systolic=systolic), rows=rows, columns=columns)


def between(text: str, module: str, edit: Callable[[str], str]) -> str:
    """The text with one module of it edited, without its endmodule."""
    start = text.index(f"module {module}(")
    end = text.index("endmodule", start)
    return text[:start] + edit(text[start:end]) + text[end:]


def cut_generated(verilog: str, grid: GridSpec) -> tuple[str, Registers]:
    """The generated Verilog with its state as a port: ``now`` is what all registers hold, ``next`` what they take.

    Also returns names and widths of the registers of an element.
    """
    found: Registers = []

    def cut_element(text: str) -> str:
        found.extend((name, int(top or 0) + 1) for top, name in re.findall(r"(?m)^  reg (?:\[(\d+):0\] )?(\w+);", text))
        text = re.sub(r"(?m)^  reg ", "  wire ", text).replace(");", ", now, next);", 1)
        text = re.sub(r"  always @\(posedge clk\)\n\s+(\w+) <= ([^;]*);", r"  assign next_\1 = \2;", text)
        assert "always" not in text
        width, low = sum(size for _, size in found), 0
        lines = [f"input [{width - 1}:0] now;", f"output [{width - 1}:0] next;"]
        for name, size in found:
            lines += [f"assign {name} = now[{low} +: {size}];", f"wire [{size - 1}:0] next_{name};"]
            lines.append(f"assign next[{low} +: {size}] = next_{name};")
            low += size
        return text + "\n".join(lines) + "\n"

    def cut_grid(text: str) -> str:
        width = sum(size for _, size in found)
        total = width * grid.rows * grid.columns

        def connect(match: re.Match[str]) -> str:
            low = width * (int(match[1]) * grid.columns + int(match[2]))
            return f"{match[0]} .now(now[{low} +: {width}]), .next(next[{low} +: {width}]),"

        text = re.sub(rf"{grid.element.name} element_(\d+)_(\d+) \(", connect, text.replace(");", ", now, next);", 1))
        return f"{text}input [{total - 1}:0] now;\noutput [{total - 1}:0] next;\n"

    verilog = between(verilog, grid.element.name, cut_element)
    return between(verilog, grid.name, cut_grid), found


def cut_sliced(verilog: str, netlist: dict[str, Any], registers: Registers, grid: GridSpec) -> str:
    """The sliced grid with the same ports, ``now`` and ``next`` in the same order."""
    bits = [bit for name, _ in registers for bit in netlist["netnames"][name]["bits"]]
    cells = netlist["cells"].values()
    assert sorted(bits) == sorted(bit for cell in cells if "DFF" in cell["type"] for bit in cell["connections"]["Q"])
    size, total = grid.rows * grid.columns, len(bits) * grid.rows * grid.columns
    verilog = re.sub(r"(?m)^  reg ", "  wire ", verilog)
    verilog = re.sub(
        r"  always @\(posedge clk\) (n\d+) <= (.*);",
        rf"  wire [{size - 1}:0] next_\1;\n  assign next_\1 = \2;",
        verilog,
    )
    assert "always" not in verilog
    lines = [
        f"assign n{bit}[{e}] = now[{e * len(bits) + place}]; assign next[{e * len(bits) + place}] = next_n{bit}[{e}];"
        for place, bit in enumerate(bits)
        for e in range(size)
    ]
    state = f"input [{total - 1}:0] now, output [{total - 1}:0] next, input clk,"
    return verilog.replace("input clk,", state, 1).replace("endmodule", "\n".join([*lines, "endmodule"]), 1)


def prove(
    grid: GridSpec, folder: Path, change: Callable[[str], str] = lambda text: text
) -> subprocess.CompletedProcess[str]:
    """Proves that the sliced grid, after ``change``, is the generated grid. Returns the process that tried to.

    Both have the same registers. From any state of these and any inputs, outputs and next states are equal: so they
    are for ever, from whatever state the registers start. ABC merges what is equal in both, the rest is SAT.
    """
    verilog = to_verilog([grid])
    netlists = read_netlists(verilog, [grid.name, grid.element.name])
    check_connections(netlists[grid.name], grid)
    element = netlists[grid.element.name]
    generated, registers = cut_generated(verilog, grid)
    (folder / "generated.v").write_text(generated)
    (folder / "sliced.v").write_text(cut_sliced(change(sliced_grid(element, grid)), element, registers, grid))
    commands = [
        f"read_verilog {folder / 'generated.v'}",
        f"hierarchy -check -top {grid.name}",
        "flatten",
        f"rename {grid.name} generated",
        f"read_verilog {folder / 'sliced.v'}",
        f"rename {grid.name} sliced",
        "proc",
        "opt_clean",
        "miter -equiv -flatten generated sliced miter",
        "hierarchy -top miter",
        "opt -full",
        "techmap",
        "abc -g AND,XOR -script +strash;ifraig;ifraig",
        "opt",
        "sat -verify -prove trigger 0 miter",
    ]
    return subprocess.run(
        [sys.executable, "-c", YOSYS], input="\n".join(commands), capture_output=True, text=True, check=False
    )


SMALL = UniformSpec(weight_bits=2, activation_bits=3, lanes=1, reduction_length=16)
PROOFS = [
    (SMALL, 1, 1),
    (SMALL, 1, 3),
    (SMALL, 3, 1),
    (UniformSpec(lanes=2, reduction_length=64), 2, 3),
    (UniformSpec(weight_bits=1, activation_bits=1, lanes=3, pipeline_stages=2, reduction_length=16), 2, 2),
    (XnorSpec(lanes=5, pipeline_stages=1, reduction_length=16), 2, 3),
    (LoomSpec(units=2, reduction_length=16), 2, 2),
    (BitSerialSpec(units=1, reduction_length=16), 3, 2),
    (SubwordSpec(units=1, pipeline_stages=1, reduction_length=16), 1, 2),
    (PaddedSpec(units=1, gating=True, reduction_length=16), 2, 1),
    (BitFusionSpec(units=1, reduction_length=16), 1, 1),
    (BitBladeSpec(units=1, minimum_bits=4, pipeline_stages=2, reduction_length=16), 1, 2),
]


@pytest.mark.parametrize("systolic", [False, True], ids=["broadcast", "systolic"])
@pytest.mark.parametrize(("mac", "rows", "columns"), PROOFS, ids=lambda part: getattr(part, "name", None))
def test_sliced_grid_is_the_generated_grid(
    mac: MacSpec, rows: int, columns: int, systolic: bool, tmp_path: Path
) -> None:
    done = prove(grid_of(mac, systolic, rows, columns), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert len(re.findall(old, text)) >= 1
        return re.sub(old, new, text, count=1)

    return change


@pytest.mark.parametrize(
    ("systolic", "change"),
    [
        (False, replaced(r" \^ ", " | ")),
        (False, replaced(r"_c = \(", "_c = ~(")),
        (False, replaced(r"weights\[0\]", "weights[2]")),
        (False, replaced(r"\[1:0\], \{2\{1'b0\}\}", "[1:0], {2{1'b1}}")),
        (True, replaced(r"<< 1", "<< 2")),
        (True, replaced(r"\{1\{1'b1\}\}, 1'b0", "{2{1'b1}}")),
        (True, replaced(r"(n\d+)\[1:0\], \{(weights)", r"\1[2:1], {\2")),
        (True, replaced(r"assign drain = \{(n\d+)\[3\], (n\d+)\[3\]", r"assign drain = {\1[3], \2[1]")),
    ],
    ids=["gate", "carry", "weight lane", "drain edge", "neighbour", "mask", "weight row", "drain column"],
)
def test_planted_difference_is_refuted(systolic: bool, change: Callable[[str], str], tmp_path: Path) -> None:
    done = prove(grid_of(SMALL, systolic, 2, 2), tmp_path, change)
    assert done.returncode != 0
    assert "proof did fail" in done.stdout + done.stderr


@pytest.fixture(scope="module", params=[False, True], ids=["broadcast", "systolic"])
def connected(request: pytest.FixtureRequest) -> tuple[GridSpec, dict[str, Any]]:
    """A grid and its netlist."""
    grid = grid_of(SMALL, request.param, 2, 2)
    netlist: dict[str, Any] = read_netlists(to_verilog([grid]), [grid.name])[grid.name]
    return grid, netlist


def test_every_wrong_wire_is_found(connected: tuple[GridSpec, dict[str, Any]]) -> None:
    """Each bit of each input of each element, and of the output, taken from each other wire of the grid."""
    grid, netlist = connected
    check_connections(netlist, grid)
    inputs = {"clk", "rst", *(port.name for port in grid.element.ports if port.is_input)}
    targets = [
        cell["connections"][name]
        for cell in netlist["cells"].values()
        for name in cell["connections"]
        if name in inputs
    ]
    targets.append(netlist["ports"]["drain"]["bits"])
    wires = {bit for port in netlist["ports"].values() for bit in port["bits"]}
    wires |= {bit for cell in netlist["cells"].values() for bits in cell["connections"].values() for bit in bits}
    tried = 0
    for bits in targets:
        for place, right in enumerate(bits):
            for wrong in {*wires, "1", "x"} - {right}:
                bits[place] = wrong
                with pytest.raises(NetlistError, match=r"\] of \w+ must come from "):
                    check_connections(netlist, grid)
                tried += 1
            bits[place] = right
    check_connections(netlist, grid)
    assert tried > 3000


def edited(connected: tuple[GridSpec, dict[str, Any]], edit: Callable[[dict[str, Any]], object]) -> str:
    """What is said of the netlist after ``edit``; the name of the grid is G in it and that of its element is E."""
    grid, netlist = connected
    wrong = copy.deepcopy(netlist)
    edit(wrong)
    with pytest.raises(NetlistError) as caught:
        check_connections(wrong, grid)
    return str(caught.value).replace(grid.name, "G").replace(grid.element.name, "E")


def test_what_is_said_of_wrong_connections(connected: tuple[GridSpec, dict[str, Any]]) -> None:
    grid, _ = connected
    systolic = grid.element.systolic

    def pins(netlist: dict[str, Any], row: int, column: int) -> dict[str, list[int | str]]:
        return netlist["cells"][f"element_{row}_{column}"]["connections"]

    def swap_drains(netlist: dict[str, Any]) -> None:
        left, right = pins(netlist, 1, 0), pins(netlist, 1, 1)
        left["drain_in"], right["drain_in"] = right["drain_in"], left["drain_in"]

    assert edited(connected, swap_drains) == (
        "drain_in[0] of element_1_0 must come from ('element_0_0', 'drain_out', 0), not ('element_0_1', 'drain_out', 0)"
    )

    def swap_lanes(netlist: dict[str, Any]) -> None:
        pins(netlist, 0, 1)["weights"].reverse()

    assert edited(connected, swap_lanes) == (
        "weights[0] of element_0_1 must come from ('weights', 2), not ('weights', 3)"
    )

    def swap_clock(netlist: dict[str, Any]) -> None:
        pins(netlist, 0, 0)["clk"] = pins(netlist, 0, 0)["rst"]

    assert edited(connected, swap_clock) == "clk[0] of element_0_0 must come from ('clk', 0), not ('rst', 0)"

    def ground(netlist: dict[str, Any]) -> None:
        pins(netlist, 1, 1)["activations"][2] = "0"

    source = ("element_1_0", "activations_out", 2) if systolic else ("activations", 5)
    assert edited(connected, ground) == f"activations[2] of element_1_1 must come from {source}, not 0"
    assert edited(connected, lambda netlist: pins(netlist, 1, 0)["activations"].pop()) == (
        "activations[2] of element_1_0 must come from ('activations', 5), not None"
    )
    assert edited(connected, lambda netlist: pins(netlist, 0, 0).pop("clear")) == (
        "clear[0] of element_0_0 must come from ('clear', 0), not None"
    )
    top = grid.element.mac.accumulator_width
    assert edited(connected, lambda netlist: netlist["ports"]["drain"]["bits"].reverse()) == (
        f"drain[0] of G must come from ('element_1_0', 'drain_out', 0), not ('element_1_1', 'drain_out', {top - 1})"
    )
    assert edited(connected, lambda netlist: netlist["cells"].pop("element_1_1")) == "G must have 4 elements, not 3"

    def rename(netlist: dict[str, Any]) -> None:
        netlist["cells"]["other"] = netlist["cells"].pop("element_1_1")

    assert edited(connected, rename) == (
        "G must have an element_1_1, not only element_0_0, element_0_1, element_1_0, other"
    )
    assert edited(connected, lambda netlist: netlist["cells"]["element_0_1"].update(type="$_NOT_")) == (
        "element_0_1 of G must be a E, not a $_NOT_"
    )


def test_verilog_with_a_wrong_wire_is_refused() -> None:
    grid = grid_of(SMALL, False, 2, 2)
    verilog = to_verilog([grid])
    start, last = verilog.index(f"module {grid.name}("), verilog.rindex(".weights(weights[3:2])")
    assert start < last
    with pytest.raises(NetlistError) as caught:
        with_sliced_grid(f"{verilog[:last]}.weights(weights[2:1]){verilog[last + 22 :]}", grid)
    assert str(caught.value) == "weights[0] of element_1_1 must come from ('weights', 2), not ('weights', 1)"


def test_only_the_grid_is_replaced() -> None:
    grid = grid_of(SMALL, True, 2, 2)
    verilog = to_verilog([grid])
    sliced = with_sliced_grid(verilog, grid)
    modules = [re.findall(r"(?ms)^module (\w+).*?^endmodule$", text) for text in (verilog, sliced)]
    assert modules[0] == modules[1]
    assert set(modules[0]) == {grid.element.name, grid.name, "full_adder"}
    kept = [re.sub(rf"(?ms)^module {grid.name}\(.*?^endmodule$", "", text) for text in (verilog, sliced)]
    assert kept[0] == kept[1]
    assert "element_0_0" not in sliced


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "always @(posedge clk)",
            "always @(negedge clk)",
            r"\S+ must be a gate, an adder or a register on the rising edge of clk, not a \$_DFF_N_",
        ),
        (
            "always @(posedge clk)",
            "always @(posedge clear)",
            r"\S+ must be a gate, an adder or a register on the rising edge of clk, not a \$_DFF_P_",
        ),
        (" } + { ", " } * { ", r"\S+ must be a gate, an adder or a register on the rising edge of clk, not a \$mul"),
        (r"} = { ", r"} = $signed({ ", r"\S+ must add unsigned words"),
    ],
)
def test_an_element_that_cannot_be_sliced(old: str, new: str, text: str) -> None:
    grid = grid_of(SMALL, False, 2, 2)
    verilog = to_verilog([grid])
    assert old in verilog
    changed = verilog.replace(old, new, 1)
    if "signed" in new:
        place = changed.index(new)
        changed = changed[:place] + re.sub(
            r"(\{[^;]*\}) \+ (\{[^;]*\});", r"\1) + $signed(\2);", changed[place:], count=1
        )
    with pytest.raises(NetlistError) as caught:
        with_sliced_grid(changed, grid)
    assert re.fullmatch(text, str(caught.value))


def test_what_yosys_says_of_broken_verilog() -> None:
    with pytest.raises(ToolError, match=r"(?s)^Yosys could not read the Verilog: .*syntax error"):
        read_netlists("module broken(input a; endmodule", ["broken"])
