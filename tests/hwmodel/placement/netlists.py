"""Small netlists of FreePDK45 cells, for placements."""

from __future__ import annotations

import random

from hwmodel.library.library import Library
from hwmodel.netlist.netlist import Instance, Netlist

CELLS = ("DFF_X1", "INV_X1", "NAND2_X1", "FA_X1", "XOR2_X1", "AOI22_X1", "BUF_X8", "INV_X32")


def random_netlist(library: Library, cells: int, seed: int) -> Netlist:
    """Cells of random kinds whose inputs come from random cells and four ports; net 0 and 1 are constants, net 2 is the
    clock.
    """
    chance = random.Random(seed)
    kinds = [chance.choice(CELLS) for _ in range(cells)]
    ports = tuple(range(3, 7))
    outputs = [7 + number for number in range(cells)]
    instances = []
    for number, cell in enumerate(kinds):
        pins = {pin: chance.choice([0, 1, *ports, *outputs, *outputs]) for pin in library.input_ff[cell]}
        pins |= {pin: 2 for pin in pins if pin in library.clock_pins}
        pins[library.output_pins[cell][0]] = outputs[number]
        instances.append(Instance(f"u{number}", cell, pins))
    names = [(), (), ("clk", "clk[0]"), *((f"a[{bit}]",) for bit in range(4))]
    names += [(f"n{number}", f"n{number}[0]") for number in range(cells)]
    inputs = {"clk": (2,), "a": ports}
    return Netlist("small", inputs, {"q": (outputs[-1],)}, tuple(instances), tuple(names))
