"""Signals of the bits of a datapath: with numbers, or named by what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

from amaranth.hdl import Module, Signal, Value, ValueLike

from rtl.logic import Bit, Datapath, Gate, Word

__all__ = ["NamedWires", "NumberedWires", "Wires"]


class Wires(Protocol):
    """What makes the signals of a datapath."""

    def adder(self, number: int, gate: Gate) -> tuple[str, Signal, Signal]:
        """Of a full adder: the name of its instance, its sum and its carry."""
        ...

    def word(self, number: int, gate: Gate) -> Signal:
        """Of a carry-propagate adder."""
        ...

    def wire(self, bit: Bit, value: ValueLike) -> Value:
        """``value``, what the gate of ``bit`` makes, or a signal that has it."""
        ...

    def registers(self, crossing: int) -> Mapping[Bit, Value]:
        """Registers behind stage ``crossing``, by the bits that they hold."""
        ...

    def loads(self, crossing: int) -> Iterator[tuple[Signal, Word]]:
        """The same registers, and the bits that each takes."""
        ...


class NumberedWires:
    """Numbers of gates and bits in place of names; a signal only where more than one gate reads a bit."""

    def __init__(self, m: Module, datapath: Datapath) -> None:
        self._m = m
        self._crossings = datapath.schedule.crossings
        self._uses = Counter(bit for gate in datapath.schedule.gates for bit in gate.inputs)
        self._uses.update((*datapath.next_accumulator, *datapath.output))
        self._registers = [
            Signal(len(bits), name=f"pipeline{crossing}_q", reset_less=True)
            for crossing, bits in enumerate(self._crossings)
        ]

    def adder(self, number: int, gate: Gate) -> tuple[str, Signal, Signal]:
        name = f"fa{number}"
        return name, Signal(name=f"{name}_sum"), Signal(name=f"{name}_carry")

    def word(self, number: int, gate: Gate) -> Signal:
        return Signal(len(gate.outputs), name=f"add{number}")

    def wire(self, bit: Bit, value: ValueLike) -> Value:
        if self._uses[bit] < 2:
            return Value.cast(value)
        signal = Signal(name=f"n{bit}")
        self._m.d.comb += signal.eq(value)
        return signal

    def registers(self, crossing: int) -> Mapping[Bit, Value]:
        return {bit: self._registers[crossing][place] for place, bit in enumerate(self._crossings[crossing])}

    def loads(self, crossing: int) -> Iterator[tuple[Signal, Word]]:
        yield self._registers[crossing], self._crossings[crossing]


class NamedWires:
    """A signal for every bit that has a name, words where all of their bits are needed."""

    def __init__(self, m: Module, datapath: Datapath) -> None:
        self._m = m
        self._names = datapath.names()
        live = Counter(self._names[bit].text for bit in datapath.schedule.stage if bit in self._names)
        self._whole = {text for text, count in live.items() if count == self._names.width(text)}
        self._signals: dict[str, Signal] = {}
        self._pipeline: list[dict[Bit, Value]] = []
        self._loads: list[list[tuple[Signal, Word]]] = []
        for held in datapath.pipeline():
            bits: dict[str, list[Bit]] = {}
            for bit, name in sorted(held.items(), key=lambda item: (item[1].place or 0, item[0])):
                bits.setdefault(name.text, []).append(bit)
            made = {text: Signal(len(word), name=text, reset_less=True) for text, word in bits.items()}
            self._pipeline.append({bit: made[name.text][name.place or 0] for bit, name in held.items()})
            self._loads.append([(made[text], tuple(word)) for text, word in bits.items()])

    def adder(self, number: int, gate: Gate) -> tuple[str, Signal, Signal]:
        total, carry = (self._names[bit].flat for bit in gate.outputs)
        return total.removesuffix("_sum"), Signal(name=total), Signal(name=carry)

    def word(self, number: int, gate: Gate) -> Signal:
        return Signal(len(gate.outputs), name=self._names[gate.outputs[0]].text)

    def wire(self, bit: Bit, value: ValueLike) -> Value:
        if bit not in self._names:
            return Value.cast(value)
        text, place = name = self._names[bit]
        if place is None or text not in self._whole:
            signal: Value = Signal(name=name.flat)
        else:
            if text not in self._signals:
                self._signals[text] = Signal(self._names.width(text), name=text)
            signal = self._signals[text][place]
        self._m.d.comb += signal.eq(value)
        return signal

    def registers(self, crossing: int) -> Mapping[Bit, Value]:
        return self._pipeline[crossing]

    def loads(self, crossing: int) -> Iterator[tuple[Signal, Word]]:
        yield from self._loads[crossing]
