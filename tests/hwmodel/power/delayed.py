"""Shared by the tests of simulation with delays: designs mapped by the flow, and a netlist of every cell."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pytest

from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.power import LibraryPower
from hwmodel.liberty.tree import parse_liberty
from hwmodel.library.library import Library, find_library
from hwmodel.netlist.netlist import Instance, Netlist, read_netlist
from hwmodel.operands.stimulus import StreamPlan, make_stimulus
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.glitches import library_cells
from hwmodel.power.icarus import SimulatorMissing, find_icarus
from hwmodel.synthesis.flow import Synthesis, synthesise
from hwmodel.synthesis.recipes import Recipe
from hwmodel.synthesis.sta import ToolMissing, find_opensta
from rtl.spec.mac import MacSpec, Precision
from rtl.verilog import numbered_verilog


def need_tools() -> None:
    """Skips the module when OpenSTA or Icarus Verilog is not there."""
    try:
        find_opensta()
        find_icarus()
    except (ToolMissing, SimulatorMissing) as reason:
        pytest.skip(str(reason), allow_module_level=True)


@cache
def the_library(name: str) -> Library:
    """The library; skips the test when its file is not there."""
    try:
        return find_library(name)
    except FileNotFoundError as reason:
        pytest.skip(str(reason))


@dataclass(frozen=True)
class Case:
    """A mapped design with its zero-delay run under uniform operands of 4 bits."""

    library: Library
    synthesis: Synthesis
    stimulus: Mapping[str, list[int]]
    waves: Waves

    @property
    def cells(self) -> LibraryCells:
        """Its library's cells."""
        return library_cells(self.library)

    @property
    def power(self) -> LibraryPower:
        """Its library's power tables."""
        return power_tables(self.library.name)


@cache
def power_tables(name: str) -> LibraryPower:
    """The power tables of a library."""
    return LibraryPower(LibraryCells(parse_liberty(the_library(name).read())))


@cache
def mapped(spec: MacSpec, name: str = "freepdk45", cycles: int = 256) -> Case:
    """A design mapped for area with the library's full adders; its clock is slow, so that no cell is sized up."""
    library = the_library(name)
    recipe = Recipe("cell", "chain", "area") if library.full_adder else Recipe("logic", "ripple", "area")
    synthesis = synthesise(numbered_verilog([spec]), spec.name, library, 50.0, jobs=1, recipe=recipe)
    stimulus = make_stimulus(spec, StreamPlan(Precision(4, 4), cycles=cycles))
    netlist = read_netlist(synthesis.netlist, spec.name)
    waves = simulate(netlist, library_cells(library), stimulus.words, count_from_cycle=stimulus.first_full_cycle)
    return Case(library, synthesis, stimulus.words, waves)


@dataclass(frozen=True)
class Zoo:
    """One instance of every usable cell, its inputs the first bits of the port ``in``, and a run of it."""

    verilog: str
    stimulus: Mapping[str, list[int]]
    waves: Waves


@cache
def zoo(name: str) -> Zoo:
    """Every gate and flip-flop of a library, each with an input port of its own, in all states and then in random
    ones.
    """
    library = the_library(name)
    cells = library_cells(library)
    nets = ["constant 0", "constant 1", "clk"]
    inputs: dict[str, tuple[int, ...]] = {"clk": (2,)}
    instances: list[Instance] = []
    ports, lines = ["input clk"], list[str]()
    for index, cell in enumerate(cell for cell in library.areas if cells[cell].inputs and _rises(cells, cell)):
        model, port = cells[cell], f"in{index}"
        clock_pins = model.flip_flop.clock_pins if model.flip_flop else frozenset()
        others = [pin for pin in model.inputs if pin not in clock_pins]
        pins = dict.fromkeys(clock_pins, 2) | {pin: len(nets) + bit for bit, pin in enumerate(others)}
        inputs[port] = tuple(pins[pin] for pin in others)
        nets += [f"{port}[{bit}]" for bit in range(len(others))]
        for output in model.outputs:
            pins[output] = len(nets)
            lines.append(f"  wire n{len(nets)};")
            nets.append(f"n{len(nets)}")
        ports.append(f"input [{len(others) - 1}:0] {port}")
        connections = ", ".join(f".{pin}({nets[net]})" for pin, net in pins.items())
        lines.append(f"  {cell} c{index} ({connections});")
        instances.append(Instance(f"c{index}", cell, pins))
    verilog = "\n".join([f"module zoo ({', '.join(ports)});", *lines, "endmodule\n"])
    netlist = Netlist("zoo", inputs, {}, tuple(instances), tuple((net,) for net in nets))
    states = max(1 << len(bits) for bits in inputs.values())
    draw = random.Random(1)
    stimulus = {
        port: [
            0,
            *(state % (1 << len(bits)) for state in range(states)),
            *(draw.getrandbits(len(bits)) for _ in range(99)),
        ]
        for port, bits in inputs.items()
        if port != "clk"
    }
    return Zoo(verilog, stimulus, simulate(netlist, cells, stimulus))


def _rises(cells: LibraryCells, cell: str) -> bool:
    """Not a flip-flop of the falling edge, which hwmodel.power.activity refuses, and no clock gate."""
    flop = cells[cell].flip_flop
    if flop is None:
        return cells[cell].clock_gate is None
    return flop.clocked_on.evaluate(dict.fromkeys(flop.clock_pins, 1), 1) == 1
