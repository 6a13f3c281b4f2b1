"""Where a mapped netlist's area goes: compressors, logic, and registers by what they hold.

Registers carry the names of the RTL (hwmodel.yosys.registers), so the parts follow the house's conventions:

    accumulator_q*                                     accumulator registers
    pipeline*, *_sum_q*                                pipeline registers
    *valid*, *clear*, *mode*, *sign*, *count*, *state* control
    any other  <port>_q*                               operand registers

Gates that lead only to control registers or to out_valid count as control too. A clock gate belongs to the registers
that it clocks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, fields

from hwmodel.library import Library
from siliquant.inputs import InputError

from .netlist import Netlist, read_netlist

_REGISTER_PARTS = (
    ("accumulator_registers_um2", re.compile(r"(?:^|_)accumulator_q")),
    ("pipeline_registers_um2", re.compile(r"(?:^|_)pipeline|_sum_q")),
    ("control_um2", re.compile(r"valid|clear|mode|sign|padding|count|state")),
    ("operand_registers_um2", re.compile(r"[a-z0-9]_q(?:\d|_|$)")),
)
_CONTROL_OUTPUT = re.compile(r"valid")


@dataclass(frozen=True)
class AreaParts:
    """Area in um2 by part; the parts add up to the whole.

    compressor_um2: full- and half-adder cells.  logic_um2: every other gate that is not control.
    """

    compressor_um2: float = 0.0
    logic_um2: float = 0.0
    operand_registers_um2: float = 0.0
    pipeline_registers_um2: float = 0.0
    accumulator_registers_um2: float = 0.0
    control_um2: float = 0.0

    @property
    def total_um2(self) -> float:
        """The sum of the parts."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


def register_part(name: str) -> str:
    """The part a register belongs to, by its instance name; a name of no convention is control."""
    for part, pattern in _REGISTER_PARTS:
        if pattern.search(name):
            return part
    return "control_um2"


def area_parts(netlist_json: str, top: str, library: Library) -> AreaParts:
    """Divide a mapped netlist's area.  ValueError when a cell is not the library's."""
    netlist = read_netlist(netlist_json, top)
    totals: defaultdict[str, float] = defaultdict(float)
    for instance, part in zip(netlist.instances, instance_parts(netlist, library), strict=True):
        totals[part] += library.areas[instance.cell]
    return AreaParts(**{part: round(area, 6) for part, area in totals.items()})


def instance_parts(netlist: Netlist, library: Library) -> list[str]:
    """The field of AreaParts that each instance counts to.  ValueError when a cell is not the library's."""
    adders = {cell.cell for cell in (library.full_adder, library.half_adder) if cell}
    flip_flops = set(library.flip_flops)
    useful = _leads_to_data(netlist, library, flip_flops)
    clocked = _parts_of_clocks(netlist, library, flip_flops)
    parts = []
    for instance in netlist.instances:
        if instance.cell not in library.areas:
            raise InputError(f"every cell must be in the library {library.name}, but {instance.cell} is not")
        if instance.cell in flip_flops:
            parts.append(register_part(instance.name))
        elif library.clock_gate is not None and instance.cell == library.clock_gate.cell:
            parts.append(clocked.get(instance.pins[library.clock_gate.output], "control_um2"))
        elif instance.cell in adders:
            parts.append("compressor_um2")
        else:
            parts.append("logic_um2" if instance.name in useful else "control_um2")
    return parts


def _parts_of_clocks(netlist: Netlist, library: Library, flip_flops: set[str]) -> dict[int, str]:
    """The part of the first register of each net at a clock pin."""
    found: dict[int, str] = {}
    for instance in netlist.instances:
        if instance.cell in flip_flops:
            for pin in library.clock_pins:
                if pin in instance.pins:
                    found.setdefault(instance.pins[pin], register_part(instance.name))
    return found


def _leads_to_data(netlist: Netlist, library: Library, flip_flops: set[str]) -> set[str]:
    """The gates from which a path of gates leads to a register or output that is not control."""
    driver: dict[int, str] = {}
    inputs: dict[str, list[int]] = {}
    start: list[int] = [
        net for port, nets in netlist.outputs.items() if not _CONTROL_OUTPUT.search(port) for net in nets
    ]
    for instance in netlist.instances:
        outputs = library.output_pins.get(instance.cell, ())
        read = [net for pin, net in instance.pins.items() if pin not in outputs]
        if instance.cell in flip_flops:
            start += read if register_part(instance.name) != "control_um2" else []
            continue
        inputs[instance.name] = read
        driver.update((net, instance.name) for pin, net in instance.pins.items() if pin in outputs)
    found: set[str] = set()
    while start:
        gate = driver.get(start.pop())
        if gate is not None and gate not in found:
            found.add(gate)
            start += inputs[gate]
    return found
