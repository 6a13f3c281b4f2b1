"""Planted faults: a datapath with one gate changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np

from rtl.logic import Bit, Circuit, Datapath, Gate, Op, emulate
from rtl.spec import MacSpec

_OTHERS = {
    Op.AND: (Op.OR, Op.XOR),
    Op.OR: (Op.AND, Op.XOR),
    Op.XOR: (Op.AND, Op.OR),
}


def mutants(datapath: Datapath, rng: Random) -> Iterator[Datapath]:
    """The datapath with one gate changed: its kind, one of its inputs, or its outputs."""
    for place, gate in enumerate(datapath.circuit.gates):
        for changed in _changes(gate, rng):
            circuit = Circuit()
            circuit.inputs, circuit.input_stages = datapath.circuit.inputs, datapath.circuit.input_stages
            circuit.sums = datapath.circuit.sums
            circuit.gates = [*datapath.circuit.gates[:place], changed, *datapath.circuit.gates[place + 1 :]]
            yield replace(datapath, circuit=circuit)


def _changes(gate: Gate, rng: Random) -> Iterator[Gate]:
    for op in _OTHERS.get(gate.op, ()):
        yield gate._replace(op=op)
    place = rng.randrange(len(gate.inputs))
    other = Bit(rng.randrange(2, gate.outputs[0]))
    yield gate._replace(inputs=(*gate.inputs[:place], other, *gate.inputs[place + 1 :]))
    if gate.op in (Op.FULL_ADDER, Op.HALF_ADDER):
        yield gate._replace(outputs=gate.outputs[::-1])


def differs(spec: MacSpec, datapath: Datapath, sums: int = 48) -> bool:
    """Whether some random sum of some precision is wrong."""
    rng = np.random.default_rng(0)
    for precision in spec.precisions:
        step = spec.products_per_step(precision)
        kinds = (spec.weight_values(precision).values, spec.activation_values(precision).values)
        for used in {step, max(1, step - 1)}:
            operands = [rng.choice(values, (sums, used)) for values in kinds]
            packed = [spec.pack(w, a, precision) for w, a in zip(*operands, strict=True)]
            words = {port: np.array([each[port] for each in packed], dtype=object).T for port in packed[0]}
            wanted = (operands[0] * operands[1]).sum(axis=1).tolist()
            if [spec.unpack(word) for word in emulate(datapath, words)] != wanted:
                return True
    return False
