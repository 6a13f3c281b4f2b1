"""Registers of a mapped netlist: names that survive synthesis, and their complement outputs put to use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .gates import Bit, Gates

SUFFIX = "_reg"


def name_registers(gates: Gates, flip_flops: set[str]) -> None:
    """Name each flip-flop after the net that it drives, or the inverse of it: bit 3 of accumulator_q becomes
    accumulator_q_3_reg.

    A flip-flop with an inverted output alone drives accumulator_q through an inverter, and perhaps a port as it is. A
    later step may replace the net by the complement output; the cell's name stays.
    """
    names: dict[Bit, str] = {}
    for net, entry in gates.module["netnames"].items():
        if entry.get("hide_name") or net.startswith("$"):
            continue
        for index, bit in enumerate(entry["bits"]):
            label = f"{net}_{index}" if len(entry["bits"]) > 1 else net
            known = names.get(bit)
            if known is None or _preference(label) < _preference(known):
                names[bit] = label
    renamed: dict[str, str] = {}
    taken = set(gates.cells)
    for name, cell in gates.cells.items():
        if cell["type"] not in flip_flops:
            continue
        for pin, bits in cell["connections"].items():
            if cell["port_directions"].get(pin) == "output" and bits:
                labels = [names.get(bits[0]), *_through_inverters(gates, bits[0], names)]
                known_labels = [label for label in labels if label]
                if known_labels:
                    wanted = re.sub(r"[^A-Za-z0-9_]", "_", min(known_labels, key=_preference)) + SUFFIX
                    if wanted not in taken:
                        renamed[name] = wanted
                        taken.add(wanted)
                    break
    gates.rename(renamed)


def _through_inverters(gates: Gates, bit: Bit, names: Mapping[Bit, str]) -> list[str | None]:
    """The names of the inverses of a net."""
    inverters = [cell for cell, _, _ in gates.sinks.get(bit, {}) if gates.cells[cell]["type"] == "$_NOT_"]
    return [names.get(gates.cells[cell]["connections"]["Y"][0]) for cell in inverters]


def _preference(label: str) -> tuple[bool, int, str]:
    """Registers end in _q by the house's convention: prefer such a name, then the shortest."""
    return ("_q" not in label, len(label), label)


def absorb_inverters(gates: Gates, complements: Mapping[str, tuple[str, str]], inverters: set[str]) -> int:
    """Let what reads an inverted register bit read the flip-flop's other output; returns inverters saved."""
    saved = 0
    for name in [name for name, cell in gates.cells.items() if cell["type"] in inverters]:
        cell = gates.cells[name]
        ins = [pin for pin in cell["connections"] if cell["port_directions"].get(pin) == "input"]
        outs = [pin for pin in cell["connections"] if cell["port_directions"].get(pin) == "output"]
        if len(ins) != 1 or len(outs) != 1:
            continue
        found = complement_of(gates, gates.pin(name, ins[0]), complements)
        out = gates.pin(name, outs[0])
        if found is None or out is None or out in gates.output_bits:
            continue
        gates.remove(name)
        gates.replace(out, take_complement(gates, *found))
        saved += 1
    return saved


def complement_of(gates: Gates, bit: Bit | None, complements: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """The flip-flop and its pin that gives the complement of a bit; None when there is no such pin."""
    source = gates.driver.get(bit) if bit is not None else None
    if source is None:
        return None
    name, pin = source
    q, qn = complements.get(gates.cells[name]["type"], ("", ""))
    if pin == q:
        return name, qn
    return (name, q) if pin == qn and qn else None


def take_complement(gates: Gates, name: str, pin: str) -> Bit:
    """The net at a flip-flop's other output, made when nothing is connected there."""
    bits = gates.cells[name]["connections"].get(pin)
    if bits:
        return bits[0]
    bit = gates.new_bit()
    gates.cells[name]["connections"][pin] = [bit]
    gates.cells[name]["port_directions"][pin] = "output"
    gates.driver[bit] = (name, pin)
    return bit
