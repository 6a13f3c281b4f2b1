"""The logic of a MAC between its operand registers and its accumulator, the same frame for every design.

The accumulator register holds the inverted sum: with R = -sum - 1 every product is subtracted, so most partial
products are NANDs, and clearing sets R to all ones. The port shows not R.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .bitheap import BitHeap
from .circuit import Bit, Circuit, Op, Word, evaluate
from .controls import Controls
from .naming import BitName, Names, gathered
from .pipeline import FED_BACK, Schedule, schedule
from .ports import Port

__all__ = ["Datapath", "DatapathBuilder", "Products", "Registered", "build_datapath", "emulate"]

_WORDS = {Op.AND: "and", Op.OR: "or", Op.XOR: "xor", Op.NOT: "not", Op.MUX: "mux"}


class Products(Protocol):
    """What a design says of its products: its operand ports, its accumulator, and the gates between them.

    :class:`rtl.spec.MacSpec` has the meanings.
    """

    @property
    def operand_ports(self) -> Sequence[Port]: ...
    @property
    def pipeline_stages(self) -> int: ...
    @property
    def half_adders(self) -> bool: ...
    @property
    def accumulator_width(self) -> int: ...
    def datapath(self, builder: DatapathBuilder) -> None: ...
    def present(self, builder: DatapathBuilder, result: Word) -> Word: ...


class DatapathBuilder:
    """What a design sees while it describes its products.

    ``negative`` products belong in ``heap``: the frame subtracts them from the inverted accumulator, so a design
    adds each product with ``negative=True`` (see :class:`rtl.logic.bitheap.BitHeap`).
    """

    def __init__(self, spec: Products) -> None:
        self.circuit = Circuit()
        self._words = {port.name: self.circuit.input(port.name, port.width) for port in spec.operand_ports}
        self._fields: dict[tuple[str, int], tuple[Word, ...]] = {}
        self.controls = Controls(self.circuit, (), [()])
        self._half_adders = spec.half_adders
        self.heap = self.sub_heap()

    def set_controls(self, names: Sequence[str], states: Sequence[Sequence[int]]) -> None:
        """Declares the ports that carry controls and every legal value of their bits, one row a state."""
        bits = tuple(bit for name in names for bit in self.word(name))
        self.controls = Controls(self.circuit, bits, states)
        self.heap = self.sub_heap()

    def word(self, port: str) -> Word:
        """The registered bits of an operand port."""
        return self._words[port]

    def fields(self, port: str, width: int) -> tuple[Word, ...]:
        """The registered bits of an operand port in fields of ``width`` bits."""
        if (port, width) not in self._fields:
            word = self.word(port)
            self._fields[port, width] = tuple(word[start : start + width] for start in range(0, len(word), width))
        return self._fields[port, width]

    def bit(self, port: str) -> Bit:
        """The registered bit of a port one bit wide."""
        (bit,) = self.word(port)
        return bit

    def sub_heap(self, name: str = "sum") -> BitHeap:
        """A heap of its own, to be compressed to a row and added to ``heap``. name: what its adders are called by."""
        return BitHeap(self.circuit, self.controls, half_adders=self._half_adders, name=name)


@dataclass(frozen=True)
class Datapath:
    """The finished graph.

    ``next_accumulator`` is a function of the operand ports, ``clear`` and ``accumulator`` (the inverted sum);
    ``output`` is the accumulator port as a function of ``result`` (the accumulator register) and controls.
    """

    circuit: Circuit
    next_accumulator: Word
    output: Word
    schedule: Schedule

    @property
    def uses(self) -> Counter[Bit]:
        """How often each bit is read by live gates and outputs; what an inverter reads, as often as the inverter is."""
        found: Counter[Bit] = Counter((*self.next_accumulator, *self.output))
        for gate in reversed(self.schedule.gates):
            found.update(gate.inputs if gate.op is not Op.NOT else gate.inputs * found[gate.outputs[0]])
        return found

    def names(self) -> Names:
        """Names of all bits but those that one other gate reads, and may have none."""
        names, uses = self.circuit.names, self.uses
        crossing = {bit for bits in self.schedule.crossings for bit in bits}
        nots = (gate for gate in self.schedule.gates if gate.op is Op.NOT)
        inverse: dict[int, int] = {gate.outputs[0]: gate.inputs[0] for gate in nots}
        for gate in self.schedule.gates:
            for bit in gate.outputs if gate.op in _WORDS else ():
                if bit in crossing or (uses[bit] > 1 and gate.op is not Op.NOT):
                    names.describe(bit, _WORDS[gate.op], gate.inputs, inverse)
        return names

    def pipeline(self) -> list[Mapping[Bit, BitName]]:
        """The registers between stage k and stage k + 1, for each k: by bit, the name of what holds it."""
        names = self.names()
        return [
            {Bit(bit): name for bit, name in gathered(bits, names, f"_p{stage}").items()}
            for stage, bits in enumerate(self.schedule.crossings, start=1)
        ]


class Registered(Protocol):
    """What the registers around a datapath follow from; :class:`rtl.spec.MacSpec` has the meanings."""

    @property
    def ports(self) -> Sequence[Port]: ...
    @property
    def latency(self) -> int: ...
    @property
    def pipeline_stages(self) -> int: ...
    @property
    def accumulator_width(self) -> int: ...
    def build(self) -> Datapath: ...


def build_datapath(spec: Products) -> Datapath:
    """Builds the graph of ``spec`` and places its pipeline registers."""
    builder = DatapathBuilder(spec)
    circuit = builder.circuit
    clear = circuit.input("clear", 1)[0]
    stages = spec.pipeline_stages
    # With pipeline registers the sum of products is compressed before the accumulator joins it.
    feedback = circuit.input("accumulator", spec.accumulator_width, stage=stages, arrival=FED_BACK if stages else 0.0)
    spec.datapath(builder)
    kept = tuple(circuit.or_(bit, clear) for bit in feedback)
    circuit.name(kept, "kept")
    for column, bit in enumerate(kept):
        builder.heap.add_bit(column, bit)
    total = builder.heap.total(spec.accumulator_width)
    result = circuit.input("result", spec.accumulator_width, stage=stages + 1)
    output = spec.present(builder, tuple(circuit.not_(bit) for bit in result))
    return Datapath(circuit, total, output, schedule(circuit, stages, total, output))


def emulate(datapath: Datapath, words: Mapping[str, npt.ArrayLike]) -> list[int]:
    """Bit-level emulation without a simulator: the accumulator port after the last cycle.

    words: port words as :meth:`rtl.spec.mac.MacSpec.pack` gives them, each of shape (cycles, ...) to run many sums
    side by side. Returns unsigned words, flattened.
    """
    arrays = {name: np.asarray(value) for name, value in words.items()}
    cycles = len(arrays["clear"])
    accumulator = np.zeros(arrays["clear"].shape[1:], dtype=np.int64)
    for cycle in range(cycles):
        state = {name: array[cycle] for name, array in arrays.items()}
        state |= {"accumulator": accumulator, "result": accumulator}
        accumulator = _to_words(evaluate(datapath.circuit, state, datapath.next_accumulator))
    state["result"] = accumulator
    return [int(word) for word in _to_words(evaluate(datapath.circuit, state, datapath.output)).ravel()]


def _to_words(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    weights = np.int64(1) << np.arange(len(bits), dtype=np.int64)
    return np.asarray(np.tensordot(weights, bits.astype(np.int64), axes=1), dtype=np.int64)
