"""The graph of gates of a requantisation unit, between its input registers and its output register."""

from __future__ import annotations

from collections.abc import Sequence

from rtl.logic import FED_BACK, ONE, ZERO, BitHeap, Circuit, Controls, Datapath, Word, schedule

from .unit import Loadable, PartialSum, Requantiser

__all__ = ["build_partial_sum", "build_requant"]


def build_requant(spec: Requantiser) -> Datapath:
    """Inputs: accumulator, group (where there are several) and parameters0, parameters1, ...; output: the code."""
    circuit = Circuit()
    accumulator, parameters = _inputs(spec, circuit)
    rank = spec.logic(circuit, accumulator, parameters)
    # A code lies lowest + rank: in two's complement that is the rank with its top bit inverted.
    code = (*rank[:-1], circuit.not_(rank[-1])) if spec.signed and spec.bits > 1 else rank
    return Datapath(circuit, code, (), schedule(circuit, spec.pipeline_stages, code, ()))


def build_partial_sum(spec: PartialSum) -> Datapath:
    """Inputs as of :func:`build_requant`, first, and result (the sum so far); output: the next sum."""
    circuit = Circuit()
    stages = spec.pipeline_stages
    first = circuit.input("first", 1)[0]
    accumulator, (multiplier,) = _inputs(spec, circuit)
    # With pipeline registers the product is summed before the sum so far joins it.
    result = circuit.input("result", spec.total_width, stage=stages, arrival=FED_BACK if stages else 0.0)
    heap = BitHeap(circuit, Controls(circuit, (), [()]))
    heap.add_product(multiplier, accumulator, weight_signed=ZERO, activation_signed=ONE)
    kept = tuple(circuit.and_(bit, circuit.not_(first)) for bit in result)
    circuit.name(kept, "kept")
    for column, bit in enumerate(kept):
        heap.add_bit(column, bit)
    total = heap.total(spec.total_width)
    return Datapath(circuit, total, (), schedule(circuit, stages, total, ()))


def _inputs(spec: Loadable, circuit: Circuit) -> tuple[Word, list[Word]]:
    """The accumulator, and the parameters of its group in words."""
    accumulator = circuit.input("accumulator", spec.accumulator_width)
    sets = [circuit.input(f"parameters{group}", spec.parameter_width) for group in range(spec.groups)]
    group = circuit.input("group", spec.group_width) if spec.groups > 1 else ()
    chosen = _select(circuit, group, sets)
    words, low = [], 0
    for item in spec.parameter_fields:
        words.append(chosen[low : low + item.width])
        circuit.name(words[-1], item.name)
        low += item.width
    return accumulator, words


def _select(circuit: Circuit, number: Word, words: Sequence[Word]) -> Word:
    """The word of that number; the lowest bit of the number chooses first, among neighbours."""
    for control in number:
        pairs = [words[start : start + 2] for start in range(0, len(words), 2)]
        words = [
            tuple(circuit.mux(control, one, zero) for zero, one in zip(*pair, strict=True))
            if len(pair) == 2
            else pair[0]
            for pair in pairs
        ]
        if len(words) > 1:
            for place, word in enumerate(words):
                circuit.name(word, f"chosen_by_{number.index(control)}_{place}")
    return words[0]
