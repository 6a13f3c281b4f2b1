"""The bit-sliced grid is proved equal to the generated grid, and planted differences are refuted."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtl.array.element import GridSpec
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
from rtl.spec.mac import MacSpec
from rtl.verilog.convert import to_verilog
from sim.harness.sliced import check_connections, sliced_grid
from sim.simulators import read_netlists
from tests.sim.grids import SMALL, grid_of

YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    design.run_pass(command)
"""
Registers = list[tuple[str, int]]


def between(text: str, module: str, edit: Callable[[str], str]) -> str:
    """The text with one module of it edited, without its endmodule."""
    start = text.index(f"module {module} (")
    end = text.index("endmodule", start)
    return text[:start] + edit(text[start:end]) + text[end:]


def state_ports(text: str, width: int) -> str:
    """A module with two ports more."""
    return text.replace("\n);", f"\n  , input [{width - 1}:0] now, output [{width - 1}:0] next);", 1)


def cut_generated(verilog: str, grid: GridSpec) -> tuple[str, Registers]:
    """The generated Verilog with its state as a port: ``now`` is what all registers hold, ``next`` what they take.

    Also returns names and widths of the registers of an element.
    """
    found: Registers = []

    def cut_element(text: str) -> str:
        declared = re.findall(r"(?m)^  reg +(?:\[(\d+):0\] )?(\w+);", text)
        found.extend((name, int(top or 0) + 1) for top, name in declared)
        taken: list[str] = []

        def cut_block(match: re.Match[str]) -> str:
            names = list(dict.fromkeys(re.findall(r"(\w+) <= ", match[1])))
            taken.extend(names)
            held = " ".join(f"next_{name} = {name};" for name in names)
            block = re.sub(r"(\w+) <= ", r"next_\1 = ", match[1])
            return f"  always @* begin {held}\n  {block}\n  end\n"

        text = re.sub(r"(?s)  always @\(posedge clk\) (.*?)\n(?=\n)", cut_block, text)
        assert sorted(taken) == sorted(name for name, _ in found)
        assert "posedge" not in text
        width, low = sum(size for _, size in found), 0
        lines = []
        for name, size in found:
            text = re.sub(rf"(?m)^  reg (.*\b{name};)", rf"  wire \1 reg [{size - 1}:0] next_{name};", text)
            lines += [f"assign {name} = now[{low} +: {size}];", f"assign next[{low} +: {size}] = next_{name};"]
            low += size
        return state_ports(text, width) + "\n".join(lines) + "\n"

    def cut_grid(text: str) -> str:
        width = sum(size for _, size in found)
        total = width * grid.rows * grid.columns

        def connect(match: re.Match[str]) -> str:
            low = width * (int(match[1]) * grid.columns + int(match[2]))
            return f"{match[0]} .now(now[{low} +: {width}]), .next(next[{low} +: {width}]),"

        text = re.sub(rf"{grid.element.name} element_(\d+)_(\d+) \(", connect, text)
        return state_ports(text, total)

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
    (BitBladeSpec(units=1, widths=(8, 4), pipeline_stages=2, reduction_length=16), 1, 2),
    (UniformSpec(weight_bits=1, activation_bits=1, lanes=1, reduction_length=4), 3, 16),  # of more than one word
]


@pytest.mark.parametrize("systolic", [False, True], ids=["broadcast", "systolic"])
@pytest.mark.parametrize(("mac", "rows", "columns"), PROOFS, ids=lambda part: getattr(part, "name", None))
def test_sliced_grid_is_the_generated_grid(
    mac: MacSpec, rows: int, columns: int, systolic: bool, tmp_path: Path
) -> None:
    done = prove(grid_of(mac, systolic, rows, columns), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("systolic", [False, True], ids=["broadcast", "systolic"])
def test_drains_are_those_of_the_generated_grid(systolic: bool, tmp_path: Path) -> None:
    done = prove(dataclasses.replace(grid_of(SMALL, systolic, 3, 2), drains=2), tmp_path)
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
        (True, replaced(r"(n\d+)\[0\], activations", r"\1[1], activations")),
        (True, replaced(r"activations\[3\]", "activations[0]")),
        (True, replaced(r"(n\d+)\[1:0\], weights", r"\1[2:1], weights")),
        (True, replaced(r"assign drain = \{(n\d+)\[3\], (n\d+)\[3\]", r"assign drain = {\1[3], \2[1]")),
    ],
    ids=["gate", "carry", "weight lane", "drain edge", "neighbour", "activation row", "weight row", "drain column"],
)
def test_planted_difference_is_refuted(systolic: bool, change: Callable[[str], str], tmp_path: Path) -> None:
    done = prove(grid_of(SMALL, systolic, 2, 2), tmp_path, change)
    assert done.returncode != 0
    assert "proof did fail" in done.stdout + done.stderr
