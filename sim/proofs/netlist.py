"""The Verilog that is written for a MAC or a requantisation unit is its graph of gates, in its registers.

Yosys reads the Verilog. Its gates and those of the graph are numbered from one table (:mod:`sim.proofs.numbering`), and
each register and output of the Verilog must have the number of what it is to take (:mod:`sim.proofs.registers`). A full
adder is an instance, whose module is compared with its truth table.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from rtl.logic import Datapath
from rtl.names import FULL_ADDER_NAME
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from sim.simulators import generated_verilog, read_netlists

from .numbering import Name, Netlist, Number, Numbers
from .polynomials import ProofError
from .registers import Loads, mac_registers, unit_registers

__all__ = ["NetlistProof", "prove_netlist"]


@dataclass(frozen=True)
class NetlistProof:
    """What was compared. verilog_sha256: of the text. cells: of the Verilog. registers: bits. seconds: taken."""

    name: str
    verilog_sha256: str
    cells: int
    registers: int
    seconds: float


def prove_netlist(
    spec: MacSpec | LoadableSpec, verilog: str | None = None, datapath: Datapath | None = None
) -> NetlistProof:
    """Proves that the Verilog of ``spec``, or ``verilog`` in its place, is its graph between its registers.

    Raises ProofError, naming the first signal that differs; ToolError where Yosys cannot read it.
    """
    start = time.perf_counter()
    if verilog is None:
        verilog = generated_verilog([spec], {"design": spec.design, **spec.parameters})
    modules = read_netlists(verilog, [spec.name, FULL_ADDER_NAME])
    if spec.name not in modules:
        raise ProofError(f"the Verilog has no module {spec.name}")
    numbers = Numbers()
    if any(cell["type"] == FULL_ADDER_NAME for cell in modules[spec.name]["cells"].values()):
        _check_full_adder(modules)
    netlist = Netlist(modules[spec.name], numbers)
    ports = {port.name: (port.width, port.is_input) for port in spec.ports}
    netlist.check_ports(ports | {"clk": (1, True), "rst": (1, True)})
    built = datapath or spec.build()
    wanted = mac_registers(spec, built, numbers) if isinstance(spec, MacSpec) else unit_registers(spec, built, numbers)
    if extra := sorted(netlist.registers.keys() - wanted.takes.keys()):
        raise ProofError(f"{spec.name}: the Verilog has a register {_shown(extra[0])} that there should not be")
    # One that nothing reads may be missing: what reads it would have another number without it.
    for name in netlist.registers:
        if not _takes(netlist, numbers, name, wanted.takes[name]):
            raise ProofError(f"{spec.name}: register {_shown(name)} of the Verilog takes another value")
    for name, number in wanted.outputs.items():
        if netlist.number(netlist.output(name)) != number:
            raise ProofError(f"{spec.name}: output {_shown(name)} of the Verilog has another value")
    digest = hashlib.sha256(verilog.encode()).hexdigest()
    return NetlistProof(spec.name, digest, netlist.cells, len(netlist.registers), time.perf_counter() - start)


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


def _check_full_adder(modules: Mapping[str, Any]) -> None:
    """The module of the full adder has the truth table of one."""
    if FULL_ADDER_NAME not in modules:
        raise ProofError(f"the Verilog has no module {FULL_ADDER_NAME}")
    numbers = Numbers()
    netlist = Netlist(modules[FULL_ADDER_NAME], numbers)
    netlist.check_ports({**dict.fromkeys("abc", (1, True)), "sum": (1, False), "carry": (1, False)})
    cases = np.array(list(product((False, True), repeat=3)))
    given = {(name, 0): cases[:, place] for place, name in enumerate("abc")}
    count = cases.sum(axis=1)
    for name, wanted in (("sum", count % 2 == 1), ("carry", count > 1)):
        if (numbers.values(netlist.number(netlist.output((name, 0))), given) != wanted).any():
            raise ProofError(f"{name} of {FULL_ADDER_NAME} is not that of a full adder")


def _shown(name: Name) -> str:
    return f"{name[0]}[{name[1]}]"
