"""What the registers and outputs of generated modules are to take, from the graph between them.

A MAC with S pipeline stages (:mod:`sim.proofs.frame` proves that it accumulates):

    valid_q<k>        0 where rst is 1, else in_valid (k = 0) or valid_q<k-1>; out_valid is the last one, k = S + 1
    <port>_q          the port where in_valid is 1; so does clear_q
    <name>_p<k + 1>   the bits that cross from stage k to stage k + 1, by their names, where valid_q<k> is 1
    accumulator_q     the next accumulator where valid_q<S> is 1

A requantisation unit has, in place of the operand registers and the accumulator:

    parameters<g>_q   load_parameters where load_valid is 1, rst is 0 and load_group is g
    <port>_in_q       the port where in_valid is 1
    code_q            the code where valid_q<S> is 1; accumulator_q the next sum of a unit of partial sums, whose
                      out_valid is the last of last_valid_q<k>, which begin with in_valid and last
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rtl.logic import ONE, ZERO, Bit, Datapath, Op
from rtl.requant import LoadableSpec, PartialSumSpec
from rtl.spec import MacSpec
from sim.simulators import Name

from .numbering import Number, Numbers
from .polynomials import ProofError

__all__ = ["Loads", "Registers", "mac_registers", "unit_registers"]


@dataclass(frozen=True)
class Loads:
    """A register that takes ``value`` exactly where ports have these values, and else holds: words by port."""

    value: Number
    where: Mapping[str, int]


@dataclass(frozen=True)
class Registers:
    """takes: by name and place, the number of what each register takes. outputs: by port and place, of each output."""

    takes: Mapping[Name, Number | Loads]
    outputs: Mapping[Name, Number]


Bits: TypeAlias = dict[tuple[Bit, int], Number]
"""The number of each bit in each pipeline stage."""


class _Graph:
    """A graph of gates between registers whose names are given by input."""

    def __init__(self, datapath: Datapath, names: Mapping[str, str], numbers: Numbers) -> None:
        self.datapath, self.numbers = datapath, numbers
        self._bits: Bits = {}
        circuit, plan = datapath.circuit, datapath.schedule
        if not set(plan.gates) <= set(circuit.gates):
            raise ProofError("the gates that are placed in stages are not those of the graph")
        for name, word in circuit.inputs.items():
            for place, bit in enumerate(word):
                self._bits[bit, circuit.input_stages[bit]] = numbers.register(names[name], place)
        self._held = datapath.pipeline()
        for crossing, held in enumerate(self._held):
            self._bits |= {
                (bit, crossing + 1): numbers.register(each.text, each.place or 0) for bit, each in held.items()
            }
        for gate in plan.gates:
            stage = plan.stage[gate.outputs[0]]
            made = numbers.gate(gate.op, tuple(self.at(bit, stage) for bit in gate.inputs))
            self._bits |= {(bit, stage): number for bit, number in zip(gate.outputs, made, strict=True)}

    def at(self, bit: Bit, stage: int) -> Number:
        """The number of a bit in a stage."""
        if bit in (ZERO, ONE):
            return self.numbers.one if bit == ONE else self.numbers.zero
        return self._bits[bit, stage]

    def held(self, name: Name, enable: Number, value: Number) -> Number:
        """What a register takes that loads where ``enable`` is 1."""
        return self.numbers.gate(Op.MUX, (enable, value, self.numbers.register(*name)))[0]

    def delays(self, name: str, first: Number, count: int) -> Iterator[tuple[Name, Number]]:
        """Registers of one bit, each of which takes what the one before holds, or 0 where rst is 1."""
        reset = self.numbers.port("rst", 0)
        for stage in range(count):
            before = self.numbers.register(f"{name}_q{stage - 1}", 0) if stage else first
            yield (f"{name}_q{stage}", 0), self.numbers.gate(Op.MUX, (reset, self.numbers.zero, before))[0]

    def ports(self, names: Mapping[str, str]) -> Iterator[tuple[Name, Number]]:
        """Registers, by input and name, that take the port of their input where in_valid is 1."""
        enable = self.numbers.port("in_valid", 0)
        for port, register in names.items():
            for place in range(len(self.datapath.circuit.inputs[port])):
                yield (register, place), self.held((register, place), enable, self.numbers.port(port, place))

    def pipeline(self) -> Iterator[tuple[Name, Number]]:
        """The registers inside the graph."""
        for crossing, held in enumerate(self._held):
            for bit, (text, place) in held.items():
                name = text, place or 0
                yield name, self.held(name, self.numbers.register(f"valid_q{crossing}", 0), self.at(bit, crossing))

    def result(self, register: str, stage: int) -> Iterator[tuple[Name, Number]]:
        """The register behind the graph, which loads what is valid in the last stage."""
        for place, bit in enumerate(self.datapath.next_accumulator):
            enable = self.numbers.register(f"valid_q{stage}", 0)
            yield (register, place), self.held((register, place), enable, self.at(bit, stage))


def mac_registers(spec: MacSpec, datapath: Datapath, numbers: Numbers) -> Registers:
    """Of a MAC."""
    ports = {name: f"{name}_q" for name in datapath.circuit.inputs if name not in ("accumulator", "result")}
    names = {**ports, "accumulator": "accumulator_q", "result": "accumulator_q"}
    graph, stages = _Graph(datapath, names, numbers), spec.pipeline_stages
    takes = dict(graph.delays("valid", numbers.port("in_valid", 0), spec.latency))
    takes |= dict(graph.ports(ports)) | dict(graph.pipeline()) | dict(graph.result("accumulator_q", stages))
    shown = {("accumulator", place): graph.at(bit, stages + 1) for place, bit in enumerate(datapath.output)}
    return Registers(takes, shown | {("out_valid", 0): numbers.register(f"valid_q{spec.latency - 1}", 0)})


def unit_registers(spec: LoadableSpec, datapath: Datapath, numbers: Numbers) -> Registers:
    """Of a requantisation unit."""
    inputs, partial = datapath.circuit.inputs, isinstance(spec, PartialSumSpec)
    ports: dict[str, str] = {name: f"{name}_in_q" for name in ("accumulator", "group", "first") if name in inputs}
    sets = {f"parameters{group}": f"parameters{group}_q" for group in range(spec.groups)}
    result, port = ("accumulator_q", "total") if partial else ("code_q", "code")
    graph = _Graph(datapath, {**ports, **sets, "result": result}, numbers)
    in_valid = numbers.port("in_valid", 0)
    takes: dict[Name, Number | Loads] = dict(graph.delays("valid", in_valid, spec.latency - int(partial)))
    if partial:
        (last,) = numbers.gate(Op.AND, (in_valid, numbers.port("last", 0)))
        takes |= dict(graph.delays("last_valid", last, spec.latency))
    takes |= dict(graph.ports(ports)) | dict(graph.pipeline()) | dict(graph.result(result, spec.pipeline_stages))
    for group, name in enumerate(sets.values()):
        where = {"load_valid": 1, "rst": 0} | ({"load_group": group} if spec.groups > 1 else {})
        for place in range(spec.parameter_width):
            takes[name, place] = Loads(numbers.port("load_parameters", place), where)
    valid = f"{'last_' if partial else ''}valid_q{spec.latency - 1}"
    shown = {(port, place): numbers.register(result, place) for place in range(len(datapath.next_accumulator))}
    return Registers(takes, shown | {("out_valid", 0): numbers.register(valid, 0)})
