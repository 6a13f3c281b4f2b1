"""A MAC design as an Amaranth component: the registers around the graph of its datapath."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Instance, Module, Mux, Signal, Value, ValueLike
from amaranth.lib.wiring import Component, In, Out

from rtl.logic import ONE, ZERO, Bit, Datapath, Gate, Op, Registered
from rtl.names import FULL_ADDER_NAME

__all__ = ["DatapathLogic", "MacComponent"]


class MacComponent(Component):
    """The hardware of a :class:`rtl.spec.MacSpec`, with exactly its ports.

    The latency is :attr:`MacSpec.latency` cycles and the throughput one set of port words per clock cycle.
    Datapath registers have no reset; ``rst`` clears the valid bits only. They load only what is valid: operand
    registers with ``in_valid``, those behind a stage with the valid bit of that stage. So without operands nothing
    switches, and clock gates may serve them.
    """

    def __init__(self, spec: Registered) -> None:
        super().__init__({port.name: (In if port.is_input else Out)(port.width) for port in spec.ports})
        self._spec = spec

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
        logic = DatapathLogic(m, datapath, words, valids)
        with m.If(valids[spec.pipeline_stages]):
            m.d.sync += accumulator.eq(Cat(logic.at(bit, spec.pipeline_stages) for bit in datapath.next_accumulator))
        m.d.comb += self.accumulator.eq(Cat(logic.at(bit, spec.pipeline_stages + 1) for bit in datapath.output))
        return m


class DatapathLogic:
    """Amaranth values of the bits of a datapath, in each pipeline stage.

    valids: bit k is 1 while stage k holds operands; the registers behind stage k load with it, so there are at least
    as many as stages, that of the accumulator included.
    """

    def __init__(self, m: Module, datapath: Datapath, words: dict[str, Value], valids: Sequence[Value]) -> None:
        self._m = m
        self._plan = datapath.schedule
        self._uses = Counter(bit for gate in self._plan.gates for bit in gate.inputs)
        self._uses.update((*datapath.next_accumulator, *datapath.output))
        self._values: dict[tuple[Bit, int], Value] = {}
        for name, word in datapath.circuit.inputs.items():
            for position, bit in enumerate(word):
                self._values[bit, datapath.circuit.input_stages[bit]] = words[name][position]
        pipelines = []
        for crossing, bits in enumerate(self._plan.crossings):
            register = Signal(len(bits), name=f"pipeline{crossing}_q", reset_less=True)
            for position, bit in enumerate(bits):
                self._values[bit, crossing + 1] = register[position]
            pipelines.append(register)
        for number, gate in enumerate(self._plan.gates):
            self._emit(number, gate)
        for crossing, bits in enumerate(self._plan.crossings):
            update = pipelines[crossing].eq(Cat(self.at(bit, crossing) for bit in bits))
            if not bits:
                continue
            with m.If(valids[crossing]):
                m.d.sync += update

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
                total = Signal(name=f"fa{number}_sum")
                carry = Signal(name=f"fa{number}_carry")
                self._m.submodules[f"fa{number}"] = Instance(
                    FULL_ADDER_NAME, i_a=x[0], i_b=x[1], i_c=x[2], o_sum=total, o_carry=carry
                )
                results: list[Value] = [total, carry]
            case Op.HALF_ADDER:
                results = [
                    self._name(number, x[0] ^ x[1], gate.outputs[0]),
                    self._name(number, x[0] & x[1], gate.outputs[1]),
                ]
            case Op.ADD:
                width = len(x) // 2
                word = Signal(width, name=f"add{number}")
                self._m.d.comb += word.eq(Cat(x[:width]) + Cat(x[width:]))
                results = list(word)
            case Op.NOT:
                results = [~x[0]]
            case Op.AND:
                results = [self._name(number, x[0] & x[1], gate.outputs[0])]
            case Op.OR:
                results = [self._name(number, x[0] | x[1], gate.outputs[0])]
            case Op.XOR:
                results = [self._name(number, x[0] ^ x[1], gate.outputs[0])]
            case Op.MUX:
                results = [self._name(number, Mux(x[0], x[1], x[2]), gate.outputs[0])]
        for bit, value in zip(gate.outputs, results, strict=True):
            self._values[bit, stage] = value

    def _name(self, number: int, value: ValueLike, bit: Bit) -> Value:
        """``value``, through a signal of its own where more than one gate reads it."""
        if self._uses[bit] < 2:
            return Value.cast(value)
        signal = Signal(name=f"n{bit}")
        self._m.d.comb += signal.eq(value)
        return signal
