"""A mapped netlist does what its RTL does, for all inputs and from every state: proved, register by register.

Each register of the netlist is one of the RTL, or its complement (:mod:`.registers`). Where both machines hold the
same and have the same inputs, every register must take the same and every output must show the same. By induction they
then do so for ever, whatever the registers hold at first: each run of the netlist, from any state after power-up, is a
run of the RTL. ABC proves it (``cec``: equal parts found by simulation and proved by SAT, Mishchenko et al., ICCAD
2006).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyosys

from hwmodel.library import LibraryCells
from hwmodel.netlist import read_netlist
from hwmodel.operands import Mismatch
from hwmodel.synthesis import Mapped, SynthesisError, plain_gates
from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import TEMPORARY_HERE, OutOfTimeError, run_program

from .aig import Aig
from .machine import machine_of_netlist, machine_of_rtl
from .registers import NoPartner, Partners, find_partners, literals_of
from .runs import real_difference

__all__ = ["GateProof", "Undecided", "prove_gates"]

_CASES = 2048  # random ones that look for a difference, which they can name
_CONFLICTS = 1_000_000_000
_SAID = re.compile(r"^Networks are (equivalent|NOT EQUIVALENT)", re.MULTILINE)


class Undecided(SynthesisError):  # noqa: N818 (it is no fault)
    """Neither a proof nor a difference that is one for sure: no time was left, or no partner of a register is sure."""


@dataclass(frozen=True)
class GateProof:
    """registers, outputs: bits that were compared. merged: registers of the RTL that the netlist has once for two, or
    not, since they never change. alike: of all those bits, how many both sides form alike, so that nothing was left to
    prove. seconds: taken.
    """

    registers: int
    outputs: int
    merged: int
    alike: int
    seconds: float


@dataclass(frozen=True)
class _Duty:
    """What must be equal: literals of the RTL and of the netlist."""

    label: str
    rtl: int
    gates: int


def prove_gates(verilog: str, mapped: Mapped, cells: LibraryCells, *, seconds: float = 600.0) -> GateProof:
    """Proves that a mapped netlist does what the module of its name in ``verilog`` does.

    Raises Mismatch, with the first bit that differs; Undecided after about so many seconds, and where a guess of which
    register is which failed and no run from a reset shows a difference; SynthesisError where a tool fails.
    """
    start = time.perf_counter()
    module, netlist = plain_gates(verilog, mapped.top), read_netlist(mapped.netlist, mapped.top)
    _check_known(mapped)
    graph = Aig()
    inputs = {name: tuple(graph.input() for _ in nets) for name, nets in netlist.inputs.items() if name != "clk"}
    ports = {name: (port["direction"], len(port["bits"])) for name, port in module["ports"].items()}
    sides = (("input", netlist.inputs), ("output", netlist.outputs))
    if ports != {name: (side, len(nets)) for side, each in sides for name, nets in each.items()}:
        raise Mismatch(f"the netlist of {mapped.top} has other ports than its RTL")
    first = machine_of_rtl(graph, module, inputs)
    alone = machine_of_netlist(graph, netlist, cells, inputs)
    try:
        partners = find_partners(graph, first, alone, inputs)
    except NoPartner as error:
        raise _failed(mapped.top, str(error), real_difference(graph, first, alone, inputs)) from None
    of_rtl, of_gates = literals_of(partners, first)
    own = {register.name: register.holds for register in first.registers}
    rtl = machine_of_rtl(graph, module, inputs, own | of_rtl)
    gates = machine_of_netlist(graph, netlist, cells, inputs, of_gates)
    taken = {register.name: register for register in rtl.registers}
    duties = [
        _Duty(f"register {name} takes", taken[name].takes ^ inverted, register.takes)
        for register in gates.registers
        for name, inverted in (partners.of_gates[register.name],)
    ]
    duties += [
        _Duty(f"output {name}[{place}] shows", rtl.outputs[name][place], literal)
        for name, literals in gates.outputs.items()
        for place, literal in enumerate(literals)
    ]
    for name, (other, inverted) in partners.same.items():
        duties.append(_Duty(f"register {name}, which is not in the netlist, takes", taken[name].takes,
                            taken[other].takes ^ inverted))  # fmt: skip
    duties += [
        _Duty(f"register {name}, which is not in the netlist, takes", taken[name].takes, int(value))
        for name, value in partners.fixed.items()
    ]
    left = [duty for duty in duties if duty.rtl != duty.gates]
    free = [literal for literals in inputs.values() for literal in literals] + list(own.values())
    found = _look(graph, left, free)
    if found is None and left and not _proved(graph, left, free, mapped.top, seconds):
        found = "a register or output of the netlist has"
    if found is not None:
        said = f"{found} another value than in the RTL"
        if not partners.unsure:
            raise Mismatch(f"{mapped.top}: {said}")
        why = f"{said} if {_few(partners)} are what they are taken for, which is not sure"
        differs = real_difference(graph, first, alone, inputs)
        raise _failed(mapped.top, why if differs is None else said, differs)
    merged = len(partners.same) + len(partners.fixed)
    bits = sum(map(len, gates.outputs.values()))
    return GateProof(len(gates.registers), bits, merged, len(duties) - len(left), time.perf_counter() - start)


def _check_known(mapped: Mapped) -> None:
    """Raises InputError for a pin or port that may be 0 or 1: a netlist counts it as 0, and silicon may not."""
    module = json.loads(mapped.netlist)["modules"][mapped.top]
    for name, port in module["ports"].items():
        for place, bit in enumerate(port["bits"]):
            if bit in ("x", "z"):
                raise InputError(f"port {name}[{place}] of the netlist of {mapped.top} must be connected, not {bit}")
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if {"x", "z"} & set(bits):
                raise InputError(f"pin {pin} of {name} in the netlist of {mapped.top} must be connected, 0 or 1, not x")


def _failed(top: str, said: str, differs: str | None) -> Mismatch | Undecided:
    """What came of a guess that failed. differs: what a run from a reset shows."""
    if differs is None:
        return Undecided(f"{top}: not decided: {said}; runs from a reset show no difference")
    return Mismatch(f"{top}: {said}; {differs} differs, too")


def _few(partners: Partners) -> str:
    """The first names of the registers that are not sure."""
    names, more = partners.unsure[:4], len(partners.unsure) - 4
    return f"{', '.join(names)}{f' and {more} more registers' if more > 0 else ''}"


def _look(graph: Aig, duties: Sequence[_Duty], free: Sequence[int]) -> str | None:
    """The first that random inputs and states show to differ, with its verb."""
    random, ones = Random(2), (1 << _CASES) - 1
    values = graph.values({literal: random.getrandbits(_CASES) for literal in free}, ones)
    for duty in duties:
        inverted = ones if (duty.rtl ^ duty.gates) & 1 else 0
        if values[duty.rtl >> 1] ^ values[duty.gates >> 1] ^ inverted:
            return duty.label
    return None


def _proved(graph: Aig, duties: Sequence[_Duty], free: Sequence[int], top: str, seconds: float) -> bool:
    """Whether ABC proves all of them; False where it finds a difference."""
    program = Path(pyosys.__file__).parent / "yosys-abc"
    with scratch("gates") as folder:
        (folder / "rtl.aig").write_bytes(graph.aiger(free, [duty.rtl for duty in duties]))
        (folder / "gates.aig").write_bytes(graph.aiger(free, [duty.gates for duty in duties]))
        command = f"cec -n -T 1000000 -C {_CONFLICTS} rtl.aig gates.aig"  # ABC ends late by limits of its own
        env = {**os.environ, **TEMPORARY_HERE}
        try:
            done = run_program([str(program), "-c", command], cwd=folder, env=env, timeout=seconds)
        except OutOfTimeError:
            raise Undecided(f"{top}: ABC found neither a proof nor a difference to the RTL in {seconds:g} s") from None
    said = _SAID.findall(done.stdout)
    if done.returncode or len(said) != 1:
        raise SynthesisError(f"ABC compared {top} and said {(done.stdout + done.stderr).strip()[-300:]!r}")
    return bool(said[0] == "equivalent")
