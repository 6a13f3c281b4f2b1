"""The Verilog that is written for a MAC or a requantisation unit is its graph of gates, in its registers.

Yosys reads the Verilog. Its gates and those of the graph are numbered from one table (:mod:`sim.proofs.numbering`), and
each register and output of the Verilog must have the number of what it is to take (:mod:`sim.proofs.registers`). A full
adder is an instance, whose module is compared with its truth table.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from rtl.logic import Datapath
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError
from sim.simulators import (
    Name,
    PortShapes,
    Source,
    SourceModule,
    check_loops,
    check_no_parameters,
    check_reset_port,
    generated_verilog,
    line_of,
    port_fault,
    ports_of,
    read_netlists,
    read_source,
)

from .numbering import Netlist, Number, Numbers, is_instance
from .polynomials import ProofError
from .registers import Loads, Registers, mac_registers, unit_registers

__all__ = ["NetlistProof", "check_ports", "prove_netlist"]

_EMPTY: Mapping[str, Any] = {"ports": {}, "cells": {}, "netnames": {}}
"""A module that Yosys does not write, since there is nothing in it."""


@dataclass(frozen=True)
class NetlistProof:
    """What was compared. verilog_sha256: of the text. cells: of the Verilog. registers: bits. seconds: taken."""

    name: str
    verilog_sha256: str
    cells: int
    registers: int
    seconds: float


def prove_netlist(
    spec: MacSpec | LoadableSpec, source: Source | None = None, datapath: Datapath | None = None
) -> NetlistProof:
    """Proves that the Verilog of ``spec``, or that of a file in its place, is its graph between its registers.

    Raises ProofError, naming the first signal that differs; InputError where the file does not have the module with its
    ports, ToolError where Yosys cannot read it.
    """
    start = time.perf_counter()
    read = source or read_source(generated_verilog([spec]).encode())
    below = _below(spec, read)
    modules = read_netlists(read.text, [spec.name, *below])
    ports = {port.name: (port.width, port.is_input) for port in spec.ports} | {"clk": (1, True), "rst": (1, True)}
    top = modules.get(spec.name, _EMPTY)
    check_ports(top, read.module(spec.name), ports)
    for name in below:
        _check_full_adder(spec.name, name, modules.get(name, _EMPTY))
    if other := {cell["type"] for cell in top["cells"].values() if is_instance(cell)} - {*below}:
        raise ProofError(f"{spec.name} must instantiate nothing but a full adder, not {min(other)}")
    numbers = Numbers()
    try:
        built = datapath or spec.build()
        made = mac_registers if isinstance(spec, MacSpec) else unit_registers
        wanted = made(spec, built, numbers)  # type: ignore[arg-type]
        netlist = Netlist(top, numbers, wanted.takes.keys())
        _compare(netlist, wanted, numbers)
    except ProofError as error:
        raise ProofError(f"{spec.name}: {error}") from error
    if source is not None:
        check_loops(source.text, spec.name, flat=True)  # what nothing reads is not in the netlist
    return NetlistProof(spec.name, read.sha256, netlist.cells, len(netlist.registers), time.perf_counter() - start)


def _below(spec: MacSpec | LoadableSpec, source: Source) -> list[str]:
    """The modules that are instantiated in the module of a file and below, any number of them; all are to be compared
    with a full adder.
    """
    top, *below = source.below(spec.name)
    check_reset_port(top)
    for module in (top, *below):
        check_no_parameters(module)
    return [module.name for module in below]


def check_ports(module: Mapping[str, Any], source: SourceModule, wanted: PortShapes) -> None:
    """Raises InputError unless a module has exactly these ports. module: as Yosys writes it in JSON. source: of the
    same, for the lines.
    """
    fault = port_fault(ports_of(module), wanted, "as the manifest says")
    if fault is not None:
        line = (source.inputs | source.outputs).get(fault[0], source.line)
        raise InputError(fault[1], place=f"line {line}")


def _compare(netlist: Netlist, wanted: Registers, numbers: Numbers) -> None:
    """Registers take, and outputs have, the numbers that they should. Raises ProofError."""
    if extra := sorted(netlist.registers.keys() - wanted.takes.keys()):
        raise ProofError(f"there should be no register {netlist.shown(extra[0])}")
    # One that nothing reads may be missing: what reads it would have another number without it.
    for name in netlist.registers:
        if not _takes(netlist, numbers, name, wanted.takes[name]):
            raise ProofError(f"register {netlist.shown(name)} takes another value than the graph gives it")
    for name, number in wanted.outputs.items():
        if netlist.number(netlist.output(name)) != number:
            raise ProofError(f"output {netlist.shown(name)} has another value than the graph gives it")


def _takes(netlist: Netlist, numbers: Numbers, name: Name, wanted: Number | Loads) -> bool:
    """Whether a register of the Verilog takes what it should."""
    found = netlist.number(netlist.registers[name])
    if not isinstance(wanted, Loads):
        return found == wanted
    enable = numbers.loads(found, numbers.register(*name), wanted.value)
    if enable is None:
        return False
    bits = [(port, place) for port in wanted.where for place in range(netlist.width(port))]
    cases = np.array(list(product((False, True), repeat=len(bits))))
    given = {bit: cases[:, index] for index, bit in enumerate(bits)}
    expected = np.ones(len(cases), bool)
    for port, place in bits:
        expected &= given[port, place] == bool(wanted.where[port] >> place & 1)
    return bool((numbers.values(enable, given) == expected).all())


def _check_full_adder(top: str, name: str, module: Mapping[str, Any]) -> None:
    """A module that is instantiated has the ports and the truth table of a full adder."""
    ports = {**dict.fromkeys("abc", (1, True)), "sum": (1, False), "carry": (1, False)}
    fault = port_fault(ports_of(module), ports, "as of a full adder")
    if fault is not None:
        raise ProofError(f"{top} must instantiate nothing but a full adder, not {name}{line_of(module)}: {fault[1]}")
    numbers = Numbers()
    cases = np.array(list(product((False, True), repeat=3)))
    given = {(port, 0): cases[:, place] for place, port in enumerate("abc")}
    count = cases.sum(axis=1)
    for output, wanted in (("sum", count % 2 == 1), ("carry", count > 1)):
        try:
            netlist = Netlist(module, numbers)
            made = numbers.values(netlist.number(netlist.output((output, 0))), given)
        except ProofError as error:
            raise ProofError(f"{name}{line_of(module)}: {error}") from error
        if (made != wanted).any():
            raise ProofError(f"{output} of {name}{line_of(module)} is not that of a full adder")
