"""The Verilog that is written for a MAC is the graph of gates of its datapath, in its frame of registers.

Yosys reads the Verilog. Gates of both sides get a number from one table: equal gates of inputs with equal numbers have
the same one. So two signals with one number are equal functions of the registers and ports, gate by gate, and the check
is that each register and each output of the Verilog has the number of what the frame wants there. A full adder is an
instance, whose module is compared with its truth table.

The frame, for S pipeline stages (:mod:`sim.proofs.frame` proves that it accumulates):

    valid_q<k>      takes 0 where rst is 1, else in_valid (k = 0) or valid_q<k-1>; out_valid is the last one, k = S + 1
    <port>_q        takes the port where in_valid is 1; so does clear_q
    pipeline<k>_q   takes the bits that cross from stage k to stage k + 1 where valid_q<k> is 1
    accumulator_q   takes the next accumulator where valid_q<S> is 1
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from rtl.logic import ONE, ZERO, Bit, Datapath, Op
from rtl.names import FULL_ADDER_NAME
from rtl.spec import MacSpec
from sim.simulators import generated_verilog, read_netlists

from .polynomials import ProofError

__all__ = ["NetlistProof", "prove_netlist"]

Number: TypeAlias = int
Net: TypeAlias = int | str
"""A net of Yosys' JSON: a number, or a constant as text."""
_GATES = {"$_NOT_": Op.NOT, "$_AND_": Op.AND, "$_OR_": Op.OR, "$_XOR_": Op.XOR}
_REGISTER = "$_DFF_P_"


@dataclass(frozen=True)
class NetlistProof:
    """What was compared. cells: of the Verilog. registers: bits. seconds: taken."""

    name: str
    cells: int
    registers: int
    seconds: float


def prove_netlist(spec: MacSpec, verilog: str | None = None, datapath: Datapath | None = None) -> NetlistProof:
    """Proves that the Verilog of ``spec``, or ``verilog`` in its place, is its datapath in the frame.

    Raises ProofError, naming the first signal that differs; ToolError where Yosys cannot read it.
    """
    start = time.perf_counter()
    if verilog is None:
        verilog = generated_verilog([spec], {"design": spec.design, **spec.parameters})
    modules = read_netlists(verilog, [spec.name, FULL_ADDER_NAME])
    if spec.name not in modules:
        raise ProofError(f"the Verilog has no module {spec.name}")
    table = _Table()
    _check_full_adder(modules)
    netlist = _Netlist(modules[spec.name], table)
    wanted = _Frame(spec, datapath or spec.build(), table)
    registers = dict(wanted.registers())
    if extra := sorted(netlist.registers.keys() - registers.keys()):
        raise ProofError(f"{spec.name}: the Verilog has a register {_shown(extra[0])} that the frame has not")
    for name, number in registers.items():
        if name not in netlist.registers:
            raise ProofError(f"{spec.name}: the Verilog has no register {_shown(name)}")
        if netlist.number(netlist.registers[name]) != number:
            raise ProofError(f"{spec.name}: register {_shown(name)} of the Verilog takes another value")
    for name, number in wanted.outputs():
        if netlist.number(netlist.output(name)) != number:
            raise ProofError(f"{spec.name}: output {_shown(name)} of the Verilog has another value")
    return NetlistProof(spec.name, netlist.cells, len(registers), time.perf_counter() - start)


class _Table:
    """Numbers of signals: the same for equal functions of signals with equal numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, Number] = {}
        self._inverse_of: dict[Number, Number] = {}
        self.zero, self.one = self.of("constant", 0), self.of("constant", 1)

    def of(self, kind: Hashable, *key: Hashable) -> Number:
        """The number of what ``kind`` and ``key`` say."""
        return self._numbers.setdefault((kind, *key), len(self._numbers))

    def gate(self, op: Op, inputs: tuple[Number, ...]) -> tuple[Number, ...]:
        """The numbers of a gate's outputs."""
        match op:
            case Op.NOT:
                made = self.of(op, *inputs)
                self._inverse_of[made] = inputs[0]
                return (made,)
            case Op.MUX:
                select, one, other = inputs
                while select in self._inverse_of:  # Yosys takes an inverter before a select away
                    select, one, other = self._inverse_of[select], other, one
                return (self.of(op, select, one, other),)
            case Op.AND | Op.OR | Op.XOR:
                return (self.of(op, *sorted(inputs)),)
            case Op.HALF_ADDER:
                return (self.of(Op.XOR, *sorted(inputs)), self.of(Op.AND, *sorted(inputs)))
            case Op.FULL_ADDER:
                return tuple(self.of(op, which, *sorted(inputs)) for which in ("sum", "carry"))
            case Op.ADD:
                width = len(inputs) // 2
                return self.addition(inputs[:width], inputs[width:], width)

    def addition(self, a: tuple[Number, ...], b: tuple[Number, ...], width: int) -> tuple[Number, ...]:
        """The lowest bits of the sum of two unsigned words."""
        words = tuple(sorted(map(self._without_zeros, (a, b))))
        return tuple(self.of(Op.ADD, position, *words) for position in range(width))

    def _without_zeros(self, word: tuple[Number, ...]) -> tuple[Number, ...]:
        end = max((place for place, bit in enumerate(word, start=1) if bit != self.zero), default=0)
        return word[:end]


class _Netlist:
    """The module as Yosys has it. registers: by name and place, the net that each takes."""

    def __init__(self, module: Mapping[str, Any], table: _Table) -> None:
        self._table = table
        self._known: dict[Net, Number] = {"0": table.zero, "1": table.one}
        self._ports: Mapping[str, Any] = module["ports"]
        for name, port in self._ports.items():
            if port["direction"] == "input":
                self._known |= {net: table.of("port", name, place) for place, net in enumerate(port["bits"])}
        self._makers: dict[Net, tuple[str, Mapping[str, Any]]] = {}
        outputs: dict[Net, Net] = {}
        self.cells = len(module["cells"])
        for label, cell in module["cells"].items():
            if cell["type"] == _REGISTER:
                self._check_clock(label, cell)
                outputs[cell["connections"]["Q"][0]] = cell["connections"]["D"][0]
                continue
            for pin in ("Y", "sum", "carry"):
                self._makers |= dict.fromkeys(cell["connections"].get(pin, ()), (pin, cell))
        self.registers: dict[tuple[str, int], Net] = {}
        for name, entry in module["netnames"].items():
            if entry["hide_name"] or name in self._ports:
                continue
            for place, net in enumerate(entry["bits"]):
                if net in outputs:
                    self.registers[name, place] = outputs[net]
                    self._known[net] = table.of("register", name, place)
        unnamed = [net for net in outputs if net not in self._known]
        if unnamed:
            raise ProofError(f"{len(unnamed)} registers of the Verilog have no name")

    def _check_clock(self, label: str, cell: Mapping[str, Any]) -> None:
        if cell["connections"]["C"] != self._ports["clk"]["bits"]:
            raise ProofError(f"register {label} of the Verilog is not clocked by clk")

    def output(self, name: tuple[str, int]) -> Net:
        """The net of a bit of an output port."""
        port, place = name
        net: Net = self._ports[port]["bits"][place]
        return net

    def number(self, net: Net) -> Number:
        """The number of a net; of those that it depends on, too, without recursion."""
        waiting = [net]
        while waiting:
            if waiting[-1] in self._known:
                waiting.pop()
                continue
            _, cell = self._maker(waiting[-1])
            lacking = [each for each in _inputs_of(cell) if each not in self._known]
            if lacking:
                waiting += lacking
            else:
                self._number_outputs(cell)
        return self._known[net]

    def _maker(self, net: Net) -> tuple[str, Mapping[str, Any]]:
        if net not in self._makers:
            raise ProofError(f"net {net} of the Verilog has no driver")
        return self._makers[net]

    def _number_outputs(self, cell: Mapping[str, Any]) -> None:
        nets, kind = cell["connections"], cell["type"]

        def numbers(pin: str) -> tuple[Number, ...]:
            return tuple(self._known[net] for net in nets[pin])

        if kind in _GATES:
            inputs = numbers("A") + (() if kind == "$_NOT_" else numbers("B"))
            self._known[nets["Y"][0]] = self._table.gate(_GATES[kind], inputs)[0]
        elif kind == "$_MUX_":
            self._known[nets["Y"][0]] = self._table.gate(Op.MUX, numbers("S") + numbers("B") + numbers("A"))[0]
        elif kind == FULL_ADDER_NAME:
            made = self._table.gate(Op.FULL_ADDER, numbers("a") + numbers("b") + numbers("c"))
            self._known |= dict(zip(nets["sum"] + nets["carry"], made, strict=True))
        elif kind == "$add":
            if any(int(cell["parameters"][f"{side}_SIGNED"], 2) for side in "AB"):
                raise ProofError("an adder of the Verilog has signed words")
            made = self._table.addition(numbers("A"), numbers("B"), len(nets["Y"]))
            self._known |= dict(zip(nets["Y"], made, strict=True))
        else:
            raise ProofError(f"the Verilog has a cell {kind} that no graph has")


def _inputs_of(cell: Mapping[str, Any]) -> list[Net]:
    return [net for pin, nets in cell["connections"].items() if pin not in ("Y", "sum", "carry") for net in nets]


class _Frame:
    """What registers and outputs are to take, from the datapath."""

    def __init__(self, spec: MacSpec, datapath: Datapath, table: _Table) -> None:
        self._spec = spec
        self._datapath = datapath
        self._table = table
        self._plan = datapath.schedule
        self._numbers: dict[tuple[Bit, int], Number] = {}
        inputs = datapath.circuit.inputs
        for name, word in inputs.items():
            register = "accumulator" if name == "result" else name
            stage = datapath.circuit.input_stages
            for place, bit in enumerate(word):
                self._numbers[bit, stage[bit]] = table.of("register", f"{register}_q", place)
        for crossing, bits in enumerate(self._plan.crossings):
            for place, bit in enumerate(bits):
                self._numbers[bit, crossing + 1] = table.of("register", f"pipeline{crossing}_q", place)
        for gate in self._plan.gates:
            at = self._plan.stage[gate.outputs[0]]
            made = table.gate(gate.op, tuple(self._at(bit, at) for bit in gate.inputs))
            self._numbers |= {(bit, at): number for bit, number in zip(gate.outputs, made, strict=True)}

    def _at(self, bit: Bit, stage: int) -> Number:
        if bit in (ZERO, ONE):
            return self._table.one if bit == ONE else self._table.zero
        return self._numbers[bit, stage]

    def _held(self, name: str, place: int, enable: Number, value: Number) -> Number:
        """What a register with an enable takes."""
        return self._table.gate(Op.MUX, (enable, value, self._table.of("register", name, place)))[0]

    def _valid(self, stage: int) -> Number:
        return self._table.of("register", f"valid_q{stage}", 0)

    def registers(self) -> Iterator[tuple[tuple[str, int], Number]]:
        """By name and place, the number of what each register takes."""
        table, spec, circuit = self._table, self._spec, self._datapath.circuit
        reset, in_valid = table.of("port", "rst", 0), table.of("port", "in_valid", 0)
        for stage in range(spec.latency):
            before = self._valid(stage - 1) if stage else in_valid
            yield (f"valid_q{stage}", 0), table.gate(Op.MUX, (reset, table.zero, before))[0]
        for port in (name for name in circuit.inputs if name not in ("accumulator", "result")):
            for place in range(len(circuit.inputs[port])):
                value = table.of("port", port, place)
                yield (f"{port}_q", place), self._held(f"{port}_q", place, in_valid, value)
        for crossing, bits in enumerate(self._plan.crossings):
            name = f"pipeline{crossing}_q"
            for place, bit in enumerate(bits):
                value = self._at(bit, crossing)
                yield (name, place), self._held(name, place, self._valid(crossing), value)
        for place, bit in enumerate(self._datapath.next_accumulator):
            value = self._at(bit, spec.pipeline_stages)
            yield (
                ("accumulator_q", place),
                self._held("accumulator_q", place, self._valid(spec.pipeline_stages), value),
            )

    def outputs(self) -> Iterator[tuple[tuple[str, int], Number]]:
        """By port and place, the number of each output."""
        yield ("out_valid", 0), self._valid(self._spec.latency - 1)
        for place, bit in enumerate(self._datapath.output):
            yield ("accumulator", place), self._at(bit, self._spec.pipeline_stages + 1)


def _check_full_adder(modules: Mapping[str, Any]) -> None:
    """The module of the full adder has the truth table of one."""
    module = modules.get(FULL_ADDER_NAME)
    if module is None:
        raise ProofError(f"the Verilog has no module {FULL_ADDER_NAME}")
    for a, b, c in product((0, 1), repeat=3):
        value = _evaluated(module, {"a": a, "b": b, "c": c})
        found = [value(module["ports"][name]["bits"][0]) for name in ("sum", "carry")]
        if found != [(a + b + c) % 2, (a + b + c) // 2]:
            raise ProofError(f"{FULL_ADDER_NAME} gives sum and carry {found} for {a} + {b} + {c}")


def _evaluated(module: Mapping[str, Any], inputs: Mapping[str, int]) -> Callable[[Net], int]:
    """The values of the nets of a small module of gates."""
    values: dict[Net, int] = {module["ports"][name]["bits"][0]: value for name, value in inputs.items()}
    makers = {cell["connections"]["Y"][0]: cell for cell in module["cells"].values()}

    def value(net: Net) -> int:
        if net not in values:
            cell = makers[net]
            x = [value(cell["connections"][pin][0]) for pin in "AB" if pin in cell["connections"]]
            values[net] = {
                "$_NOT_": lambda: 1 - x[0], "$_AND_": lambda: x[0] & x[1], "$_OR_": lambda: x[0] | x[1],
                "$_XOR_": lambda: x[0] ^ x[1],
            }[cell["type"]]()  # fmt: skip
        return values[net]

    return value


def _shown(name: tuple[str, int]) -> str:
    return f"{name[0]}[{name[1]}]"
