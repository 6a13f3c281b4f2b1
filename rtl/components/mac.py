"""A MAC design as an Amaranth component: the registers around the graph of its datapath."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Instance, Module, Mux, Signal, Value, ValueLike
from amaranth.lib.wiring import Component, In, Out

from rtl.logic import ONE, ZERO, Bit, Datapath, Gate, Op, Registered
from rtl.names import FULL_ADDER_NAME

from .wires import NamedWires, NumberedWires, Wires

__all__ = ["DatapathLogic", "MacComponent"]


class MacComponent(Component):
    """The hardware of a :class:`rtl.spec.MacSpec`, with exactly its ports.

    The latency is :attr:`MacSpec.latency` cycles and the throughput one set of port words per clock cycle.
    Datapath registers have no reset; ``rst`` clears the valid bits only. They load only what is valid: operand
    registers with ``in_valid``, those behind a stage with the valid bit of that stage. So without operands nothing
    switches, and clock gates may serve them.
    """

    def __init__(self, spec: Registered, *, numbered: bool = False) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._spec = spec
        self._numbered = numbered

    def elaborate(self, platform: object) -> Module:
        spec = self._spec
        m = Module()
        datapath = spec.build()

        valid: Value = self.in_valid
        valids: list[Value] = []
        for stage in range(spec.latency):
            register = Signal(name=f"valid_q{stage}")
            m.d.sync += register.eq(valid)
            valid = register
            valids.append(register)
        m.d.comb += self.out_valid.eq(valid)

        accumulator = Signal(spec.accumulator_width, name="accumulator_q", reset_less=True)
        words: dict[str, Value] = {"accumulator": accumulator, "result": accumulator}
        for port in (name for name in datapath.circuit.inputs if name not in words):
            operand = getattr(self, port)
            register = Signal(len(operand), name=f"{port}_q", reset_less=True)
            with m.If(self.in_valid):
                m.d.sync += register.eq(operand)
            words[port] = register
        logic = DatapathLogic(m, datapath, words, valids, numbered=self._numbered)
        with m.If(valids[spec.pipeline_stages]):
            m.d.sync += accumulator.eq(Cat(logic.at(bit, spec.pipeline_stages) for bit in datapath.next_accumulator))
        m.d.comb += self.accumulator.eq(Cat(logic.at(bit, spec.pipeline_stages + 1) for bit in datapath.output))
        return m


class DatapathLogic:
    """Amaranth values of the bits of a datapath, in each pipeline stage.

    valids: bit k is 1 while stage k holds operands; the registers behind stage k load with it, so there are at least
    as many as stages, that of the accumulator included. numbered: gates and registers have numbers in place of names.
    """

    def __init__(
        self, m: Module, datapath: Datapath, words: dict[str, Value], valids: Sequence[Value], *, numbered: bool
    ) -> None:
        self._m = m
        self._plan = datapath.schedule
        self._wires: Wires = NumberedWires(m, datapath) if numbered else NamedWires(m, datapath)
        self._values: dict[tuple[Bit, int], Value] = {}
        for name, word in datapath.circuit.inputs.items():
            for position, bit in enumerate(word):
                self._values[bit, datapath.circuit.input_stages[bit]] = words[name][position]
        registers = [self._wires.registers(crossing) for crossing in range(len(self._plan.crossings))]
        for crossing, found in enumerate(registers):
            for bit, value in found.items():
                self._values[bit, crossing + 1] = value
        for number, gate in enumerate(self._plan.gates):
            self._emit(number, gate)
        for crossing, found in enumerate(registers):
            if found:
                with m.If(valids[crossing]):
                    for register, bits in self._wires.loads(crossing):
                        m.d.sync += register.eq(Cat(self.at(bit, crossing) for bit in bits))

    def at(self, bit: Bit, stage: int) -> Value:
        """The value of ``bit`` in ``stage``."""
        if bit in (ZERO, ONE):
            return Const(bit, 1)
        return self._values[bit, stage]

    def _emit(self, number: int, gate: Gate) -> None:
        stage = self._plan.stage[gate.outputs[0]]
        x = [self.at(bit, stage) for bit in gate.inputs]
        match gate.op:
            case Op.FULL_ADDER:
                name, total, carry = self._wires.adder(number, gate)
                self._m.submodules[name] = Instance(
                    FULL_ADDER_NAME, i_a=x[0], i_b=x[1], i_c=x[2], o_sum=total, o_carry=carry
                )
                results: list[Value] = [total, carry]
            case Op.ADD:
                word = self._wires.word(number, gate)
                width = len(x) // 2
                self._m.d.comb += word.eq(Cat(x[:width]) + Cat(x[width:]))
                results = list(word)
            case Op.NOT:
                results = [~x[0]]
            case _:
                made = _made(gate.op, x)
                results = [self._wires.wire(bit, value) for bit, value in zip(gate.outputs, made, strict=True)]
        for bit, value in zip(gate.outputs, results, strict=True):
            self._values[bit, stage] = value


def _made(op: Op, x: Sequence[Value]) -> Sequence[ValueLike]:
    """What a gate of one operator, or of two beside each other, makes."""
    match op:
        case Op.HALF_ADDER:
            return x[0] ^ x[1], x[0] & x[1]
        case Op.AND:
            return (x[0] & x[1],)
        case Op.OR:
            return (x[0] | x[1],)
        case Op.XOR:
            return (x[0] ^ x[1],)
        case Op.MUX:
            return (Mux(x[0], x[1], x[2]),)
        case _:
            raise ValueError(f"no operator makes a {op.value}")
