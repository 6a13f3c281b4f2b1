"""The longest path between registers of a design, in steps that a library gives a delay each.

The plan of the datapath knows every gate and how many inputs each net drives. Two kinds of netlist are told apart: the
smallest, whose carry-propagate adders ripple, and the fastest, whose adders look ahead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hwmodel.yosys import LARGEST_FANOUT
from rtl.logic import Datapath, Op

from .flat import KINDS, NOTHING, OWN_INPUTS, POSITION, Flat, Indices, groups_of
from .structure import Planned, datapath_of, flat_of

__all__ = ["ALONE", "Adders", "LongestPath", "Periods", "Reach", "Step", "longest_path", "periods"]


Times = npt.NDArray[np.float64]


class Step(Enum):
    """What a path is made of; the value is what tables call it. One delay each, in ns, is fitted a library."""

    START = "clock to output"
    AND = "AND term"
    OR = "OR gate"
    XOR = "XOR gate"
    MUX = "multiplexer"
    SUM = "full adder, sum"
    CARRY = "full adder, carry"
    HALF = "half adder"
    RIPPLE = "carry-propagate adder, carry"  # a bit where adders ripple, log2(bits + 1) where they look ahead
    TOTAL = "carry-propagate adder, sum"
    FAN_OUT = "fan-out, doublings"
    LOAD = "fan-out, inputs driven"
    BUFFERS = "fan-out, layers of buffers"
    SETUP = "hold multiplexer and setup"


class Adders(Enum):
    """How carry-propagate adders are built."""

    RIPPLE = "ripple"
    PREFIX = "prefix"


@dataclass(frozen=True)
class Reach:
    """How many datapaths the registers of weights, of activations and of all other operands drive."""

    weights: int = 1
    activations: int = 1
    others: int = 1

    def of(self, port: str) -> int:
        """That of an operand port."""
        return {"weights": self.weights, "activations": self.activations}.get(port, self.others)


ALONE = Reach()
"""Registers of one datapath: a MAC by itself."""


@dataclass(frozen=True)
class LongestPath:
    """The slowest path under given delays: its time in ns, how often each step occurs, and its pipeline stage."""

    ns: float
    steps: Mapping[Step, float]
    stage: int


@dataclass(frozen=True)
class Periods:
    """Longest paths in ns, where adders ripple and where they look ahead; ``ripple``: which share of the first passes
    through carry-propagate adders, 0 to 1.
    """

    relaxed_ns: float
    fastest_ns: float
    ripple: float


_KIND_STEPS: Mapping[Op, tuple[Step, ...]] = {
    Op.AND: (Step.AND,),
    Op.OR: (Step.OR,),
    Op.XOR: (Step.XOR,),
    Op.MUX: (Step.MUX,),
    Op.FULL_ADDER: (Step.SUM, Step.CARRY),
    Op.HALF_ADDER: (Step.HALF, Step.HALF),
}
_OUTPUT_STEPS = (*((*_KIND_STEPS[op], _KIND_STEPS[op][0])[:2] for op in KINDS), (Step.TOTAL, Step.RIPPLE))
"""Of the outputs of each kind of gate, and of a bit of an adder that ripples."""
_IN_WORD = len(KINDS)


@dataclass(frozen=True, eq=False)
class _Gates:
    """Gates of which none is behind another."""

    numbers: Indices


@dataclass(frozen=True, eq=False)
class _Words:
    """Carry-propagate adders that look ahead, none behind another.

    inputs: places, those of one adder after those of another, which begin at ``starts``; constant ones left out.
    hops: log2(bits + 1) of each. sums: nets; adder: [sums], of which each is.
    """

    inputs: Indices
    starts: Indices
    hops: Times
    sums: Indices
    adder: Indices


@dataclass(frozen=True, eq=False)
class _Graph:
    """What does not depend on delays. The place of a net is its number as the gate that makes it gives it, and as many
    more as there are nets as a register gives it. Place 0 is constant, and never late.

    kind: [gates], :data:`_IN_WORD` for bits of carry-propagate adders. word: [gates], the number of the adder. inputs,
    outputs: [gates, 3 and 2], places, 0 where there is none. word_inputs: of each adder, places. drives: [places], how
    many inputs. made_by: [places], the gate, -1 for registers. ripple, ahead: what follows from what, in order, where
    adders ripple and where they look ahead. ends: place, stage, and whether a register takes it, [ends] each.
    """

    kind: Indices
    word: Indices
    inputs: Indices
    outputs: Indices
    word_inputs: list[list[int]]
    drives: Indices
    made_by: Indices
    ripple: list[_Gates]
    ahead: list[_Gates | _Words]
    ends: tuple[Indices, Indices, npt.NDArray[np.bool_]]


def longest_path(spec: Planned, delays_ns: Mapping[Step, float], adders: Adders, reach: Reach = ALONE) -> LongestPath:
    """The slowest path of a design where each step takes ``delays_ns``, its operands from registers of that reach."""
    return _longest(_kept_graph(spec, reach), delays_ns, adders)


def periods(
    spec: Planned, relaxed_ns: Mapping[Step, float], fastest_ns: Mapping[Step, float], reach: Reach = ALONE
) -> Periods:
    """The longest paths of a design under the delays of both kinds of netlist."""
    graph = _graph(spec, reach)
    relaxed, fastest = _longest(graph, relaxed_ns, Adders.RIPPLE), _longest(graph, fastest_ns, Adders.PREFIX)
    ripple_ns = relaxed.steps[Step.RIPPLE] * relaxed_ns[Step.RIPPLE]
    return Periods(relaxed.ns, fastest.ns, ripple_ns / relaxed.ns if relaxed.ns else 0.0)


def _longest(graph: _Graph, delays_ns: Mapping[Step, float], adders: Adders) -> LongestPath:
    ns = _arrivals_ns(graph, delays_ns, adders)
    places, stages, taken = graph.ends
    ends_ns = ns[places] + np.where(taken, delays_ns[Step.SETUP], 0.0)
    last = int(ends_ns.argmax())
    found = dict.fromkeys(Step, 0.0)
    found[Step.SETUP] = 1.0 if taken[last] else 0.0
    place: int | None = int(places[last])
    while place is not None:
        steps, before = _last_step(graph, adders, place)
        for step, number in (*steps, *_fan_out(int(graph.drives[place]))):
            found[step] += number
        place = max(before, key=ns.__getitem__, default=None)
    return LongestPath(float(ends_ns[last]), found, int(stages[last]))


def _arrivals_ns(graph: _Graph, delays_ns: Mapping[Step, float], adders: Adders) -> Times:
    """When each place settles; what registers give does so first."""
    numbers, which = np.unique(graph.drives, return_inverse=True)
    loads = [sum(delays_ns[step] * number for step, number in _fan_out(drives)) for drives in numbers.tolist()]
    loads_ns = np.array(loads, np.float64)[which]
    ns = np.asarray(delays_ns[Step.START] + loads_ns)
    ns[0] = -math.inf
    delays = np.array([[delays_ns[step] for step in steps] for steps in _OUTPUT_STEPS])
    for now in graph.ripple if adders is Adders.RIPPLE else graph.ahead:
        if isinstance(now, _Gates):
            start = ns[graph.inputs[now.numbers]].max(axis=1)[:, None]
            outputs = graph.outputs[now.numbers]
            ns[outputs] = start + delays[graph.kind[now.numbers]] + loads_ns[outputs]
            ns[0] = -math.inf  # where the second outputs went that there are not
        else:
            time = np.maximum.reduceat(ns[now.inputs], now.starts) + delays_ns[Step.TOTAL]
            time += delays_ns[Step.RIPPLE] * now.hops
            ns[now.sums] = time[now.adder] + loads_ns[now.sums]
    return ns


def _last_step(graph: _Graph, adders: Adders, place: int) -> tuple[tuple[tuple[Step, float], ...], list[int]]:
    """The steps to a place, without what it drives, and where they may come from."""
    gate = int(graph.made_by[place])
    if gate < 0:
        return ((Step.START, 1.0),), []
    kind, word = int(graph.kind[gate]), int(graph.word[gate])
    if kind == _IN_WORD and adders is Adders.PREFIX:
        width = int((graph.word == word).sum())
        return ((Step.TOTAL, 1.0), (Step.RIPPLE, math.log2(width + 1))), graph.word_inputs[word]
    step = _OUTPUT_STEPS[kind][int(graph.outputs[gate, 0] != place)]
    return ((step, 1.0),), [each for each in graph.inputs[gate].tolist() if each]


def _graph(spec: Planned, reach: Reach) -> _Graph:
    plan, flat = datapath_of(spec), flat_of(spec)
    inputs = _seen(flat, flat.reads, flat.stage[:, None])
    outputs = np.where(flat.outputs == NOTHING, 0, flat.outputs)
    made_by = np.full(2 * flat.nets, -1)
    for column in (1, 0):
        made_by[outputs[:, column]] = np.arange(len(flat.kind))
    made_by[0] = -1
    in_word = flat.word != NOTHING
    bits = np.flatnonzero(in_word)
    words = np.split(bits, np.flatnonzero(np.diff(flat.word[bits])) + 1) if len(bits) else []
    word_inputs = [[place for place in inputs[each, :2].T.ravel().tolist() if place] for each in words]
    order, slices = groups_of(flat.level)
    ahead: list[_Gates | _Words] = []
    whole, parts = groups_of(flat.level >> POSITION)
    for part in parts:
        gates = whole[part]
        plain = gates[~in_word[gates]]
        if len(plain):
            ahead.append(_Gates(plain))
        if len(plain) < len(gates):
            chosen = np.unique(flat.word[gates[in_word[gates]]]).tolist()
            ahead.append(_words([words[n] for n in chosen], [word_inputs[n] for n in chosen], outputs))
    return _Graph(
        kind=np.where(in_word, _IN_WORD, flat.kind),
        word=flat.word,
        inputs=inputs,
        outputs=outputs,
        word_inputs=word_inputs,
        drives=np.tile(_drives(plan, flat, reach), 2),
        made_by=made_by,
        ripple=[_Gates(order[part]) for part in slices],
        ahead=ahead,
        ends=_ends(plan, flat, spec.pipeline_stages),
    )


_kept_graph = lru_cache(maxsize=256)(_graph)


def _seen(flat: Flat, bits: Indices, at: Indices | int) -> Indices:
    """The places of nets as gates of a stage see them: made there, or out of a register.

    What is inverted there costs nothing: what reads it takes the inverted signal.
    """
    own = np.where(flat.made_in[bits] == at, flat.literal[bits] >> 1, bits)
    return np.where(bits < 2, 0, np.where(flat.made_in[own] == at, own, own + flat.nets))


def _words(words: list[Indices], inputs: list[list[int]], outputs: Indices) -> _Words:
    widths = [len(word) for word in words]
    return _Words(
        inputs=np.array([place for each in inputs for place in each], np.int64),
        starts=np.cumsum([0, *map(len, inputs[:-1])]),
        hops=np.array([math.log2(width + 1) for width in widths]),
        sums=outputs[np.concatenate(words), 0],
        adder=np.repeat(np.arange(len(words)), widths),
    )


def _drives(plan: Datapath, flat: Flat, reach: Reach) -> Indices:
    """How many inputs each net drives; carries within a word none."""
    own = flat.reads < plan.circuit.bits
    read = [
        flat.reads[own],
        flat.literal[flat.inverters] >> 1,
        np.array((*plan.next_accumulator, *plan.output), np.int64),
    ]
    drives = np.bincount(np.concatenate(read), minlength=flat.nets)
    drives[drives == 0] = 1
    drives[plan.circuit.bits :] = 0
    for port, bits in plan.circuit.inputs.items():
        if port not in OWN_INPUTS:
            drives[list(bits)] *= reach.of(port)
    return drives


def _ends(plan: Datapath, flat: Flat, stages: int) -> tuple[Indices, Indices, npt.NDArray[np.bool_]]:
    """Where paths end: at the accumulator, at registers between stages, at the port."""
    words = [(plan.next_accumulator, stages, True)]
    words += [(bits, crossing, True) for crossing, bits in enumerate(plan.schedule.crossings)]
    words.append((plan.output, stages + 1, False))
    places, at, taken = [], [], []
    for number, (word, stage, register) in enumerate(words):
        bits = np.array(word, np.int64)
        crossing = 0 < number < len(words) - 1
        bits = bits[flat.made_in[bits] == stage] if crossing else bits[bits > 1]
        places.append(_seen(flat, bits, stage))
        at.append(np.full(len(bits), stage))
        taken.append(np.full(len(bits), register))
    return np.concatenate(places), np.concatenate(at), np.concatenate(taken)


def _fan_out(inputs: int) -> tuple[tuple[Step, float], ...]:
    """The steps through a net that drives so many inputs: what is more than one output drives comes from buffers."""
    layers = 0
    while inputs > LARGEST_FANOUT:
        inputs, layers = -(-inputs // LARGEST_FANOUT), layers + 1
    most = LARGEST_FANOUT if layers else inputs
    return (Step.FAN_OUT, math.log2(1 + most)), (Step.LOAD, float(most)), (Step.BUFFERS, float(layers))
