"""How often each part of a design switches under a stream of operands, from the plan of its datapath alone.

Three counts a part and cycle: transitions without delays (a bit changes at most once a cycle), and the extra ones of
gates with the rough relative delays of rtl.logic.circuit, pulses shorter than a gate's own delay left out, in two ways:

    glitches  of all parts; an adder is one slow cell that keeps most pulses from its outputs
    pulses    of adders made of quick gates, inside and out; more pulses pass, and in deep trees they multiply

Neither is a prediction for a library: real adders lie between the two, and fitted coefficients say where.

Cycles are computed side by side, one bit of a word a cycle, and so are gates, those of several designs together: what
little a design costs on top of its gates is spread over all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hwmodel.operands import StreamPlan, stimulus_bits
from rtl.logic import Datapath, Op
from rtl.spec import Bits, MacSpec, word_bits

from .flat import KINDS, NOTHING, Flat, Indices, flatten, groups_of
from .inertial import Timed, Words, extra_transitions
from .structure import PARTS, SHARES, Part, Share, datapath_of, flat_of, nets_of, parts_of, share_of

__all__ = ["Switching", "Work", "count_transitions", "switching_of", "switchings"]

ByShare = Mapping[Share, Mapping[Part, float]]

_GLITCH_CYCLES = 256
_ONES = np.uint64(2**64 - 1)
_MOST_WORDS = 1 << 21  # of the waves of all nets of designs that are counted together
_KEYS = len(SHARES) * len(PARTS)
_AND, _OR, _XOR, _FULL_ADDER = (KINDS.index(op) for op in (Op.AND, Op.OR, Op.XOR, Op.FULL_ADDER))


@dataclass(frozen=True)
class Switching:
    """Transitions a cycle of each part: ``settled`` of its outputs without delays; on top of that, ``glitches`` of them
    and ``pulses`` of the gates in adders. See the module.

    ``*_by_share``: by what the outputs depend on.
    """

    settled_by_share: ByShare
    glitches_by_share: ByShare
    pulses_by_share: ByShare

    @property
    def settled(self) -> Mapping[Part, float]:
        """Of all outputs."""
        return _total(self.settled_by_share)

    @property
    def glitches(self) -> Mapping[Part, float]:
        """Of all outputs."""
        return _total(self.glitches_by_share)

    @property
    def pulses(self) -> Mapping[Part, float]:
        """Of the gates in adders."""
        return _total(self.pulses_by_share)


def _total(by_share: ByShare) -> Mapping[Part, float]:
    return {part: sum(found[part] for found in by_share.values()) for part in Part}


@dataclass(frozen=True, eq=False)
class Work:
    """A plan and what drives it. bits: [cycles, width] of the inputs of its circuit; inputs without are the register
    that takes its sum. start: the input that is 1 where a new sum begins.
    """

    plan: Datapath
    flat: Flat
    bits: Mapping[str, Bits]
    start: str

    @property
    def cycles(self) -> int:
        """How many there are."""
        return len(next(iter(self.bits.values())))

    @property
    def feedback(self) -> list[str]:
        """The inputs that are the register of the sum."""
        return [name for name in self.plan.circuit.inputs if name not in self.bits]


@lru_cache(maxsize=65536)
def switching_of(spec: MacSpec, plan: StreamPlan) -> Switching:
    """The transitions of a design under a stream.  Milliseconds the first time, remembered afterwards."""
    ((_, found),) = switchings([(spec, plan)])
    return found


def switchings(pairs: Iterable[tuple[MacSpec, StreamPlan]]) -> Iterator[tuple[int, Switching]]:
    """Those of designs under streams, each with its place, in their order.

    Many small designs are quicker together than one by one, best those whose streams have about as many cycles. Memory
    is bounded whatever their number.
    """
    waiting: list[Work] = []
    nets = words = done = 0
    for spec, stream in pairs:
        work = Work(datapath_of(spec), flat_of(spec), stimulus_bits(spec, stream), "clear")
        nets, words = nets + work.flat.nets, max(words, -(-work.cycles // 64))
        if waiting and nets * words > _MOST_WORDS:
            yield from enumerate(count_together(waiting), start=done)
            done += len(waiting)
            waiting, nets, words = [], work.flat.nets, -(-work.cycles // 64)
        waiting.append(work)
    if waiting:
        yield from enumerate(count_together(waiting), start=done)


def count_transitions(plan: Datapath, words: Mapping[str, Sequence[int]], start: str) -> Switching:
    """The transitions of a plan.

    words: of the inputs of its circuit, one a cycle; inputs without words are the register that takes its sum. start:
    the input that is 1 where a new sum begins.
    """
    inputs = plan.circuit.inputs
    bits = {name: word_bits(column, len(inputs[name])) for name, column in words.items() if name in inputs}
    (found,) = count_together([Work(plan, flatten(plan), bits, start)])
    return found


def count_together(works: Sequence[Work]) -> list[Switching]:
    """The transitions of several plans, registers seen as wires: pipelining delays transitions, it makes none."""
    both = _Batch(works)
    waves = both.waves()
    changes = np.array([work.cycles - 1 for work in works])
    toggles = _toggles(waves, _masks(changes, waves.shape[1])[both.net_of])
    settled = both.by_key(both.gate_keys, both.gate_of, toggles[both.outputs].sum(axis=1))
    for number, work in enumerate(works):
        offset = both.offsets[number]
        for part, nets in _registers(work):
            np.add.at(settled[number], share_of(work.flat, nets) * len(PARTS) + part, toggles[nets + offset])
    window = np.minimum(changes, _GLITCH_CYCLES)
    kept = waves[:, : -(-int(window.max()) // 64) + 1]
    before, after = _cycle_ends(kept, _masks(window, kept.shape[1])[both.net_of])
    gates = both.timed()
    glitches = both.by_key(both.gate_keys, both.gate_of, extra_transitions(gates, before, after))
    quick, owner = _in_gates(gates)
    pulses = both.by_key(
        both.gate_keys[owner], both.gate_of[owner], extra_transitions(quick, before, after), quick.counted
    )
    return [
        Switching(*(_by_share(counts[n] / cycles) for counts, cycles in
                    ((settled, changes[n]), (glitches, window[n]), (pulses, window[n]))))
        for n in range(len(works))
    ]  # fmt: skip


class _Batch:
    """Plans side by side, their nets and gates numbered one after the other; net 0 of each is constant."""

    def __init__(self, works: Sequence[Work]) -> None:
        self.works = works
        flats = [work.flat for work in works]
        sizes = [flat.nets for flat in flats]
        self.offsets = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        self.nets = sum(sizes)
        self.net_of = np.repeat(np.arange(len(works)), sizes)
        self.gate_of = np.repeat(np.arange(len(works)), [len(flat.kind) for flat in flats])
        self.kind, self.stage, self.level = (
            np.concatenate([getattr(flat, name) for flat in flats]) for name in ("kind", "stage", "level")
        )
        own = self.offsets[self.gate_of][:, None]
        self.inputs = np.concatenate([flat.inputs for flat in flats]) + 2 * own
        outputs = np.concatenate([flat.outputs for flat in flats])
        # A second output that a gate lacks is a net that never changes.
        self.lacks = outputs == NOTHING
        self.outputs = np.where(self.lacks, 0, outputs) + own
        parts = np.concatenate([parts_of(flat) for flat in flats])
        shares = np.concatenate([share_of(flat, flat.outputs[:, 0]) for flat in flats])
        self.gate_keys = shares * len(PARTS) + parts

    def by_key(
        self, keys: Indices, plans: Indices, numbers: Indices, counted: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float64]:
        """Sums of numbers of gates for each plan, by share and part: [plans, shares x parts]."""
        where = plans * _KEYS + keys
        if counted is not None:
            where, numbers = where[counted], numbers[counted]
        sums = np.bincount(where, numbers, len(self.works) * _KEYS)
        return sums.astype(np.float64).reshape(len(self.works), _KEYS)

    def timed(self) -> Timed:
        """The gates, the transitions of all of them asked for."""
        outputs = np.where(self.lacks, NOTHING, self.outputs)
        every = np.ones(len(self.kind), np.bool_)
        return Timed(self.kind, self.inputs, outputs, self.stage, self.level, self.nets, every)

    def waves(self) -> Words:
        """Every net over all cycles, one bit a cycle."""
        waves = np.zeros((self.nets, -(-max(work.cycles for work in self.works) // 64)), np.uint64)
        late = np.zeros(self.nets, np.bool_)
        for work, offset in zip(self.works, self.offsets.tolist(), strict=True):
            inputs = work.plan.circuit.inputs
            for name, bits in work.bits.items():
                _put(waves, np.array(inputs[name], np.int64) + offset, bits)
            for name in work.feedback:
                late[np.array(inputs[name], np.int64) + offset] = True
        order, slices = groups_of(self.level, self.kind)
        blocks = [order[part] for part in slices]
        for block in blocks:
            self._evaluate(block, waves)
        if late.any():
            for work, offset in zip(self.works, self.offsets.tolist(), strict=True):
                if work.feedback:
                    sums = _sums(work, waves, offset)
                    for name in work.feedback:
                        _put(waves, np.array(work.plan.circuit.inputs[name], np.int64) + offset, sums)
            for block in blocks:
                behind = block[late[self.inputs[block] >> 1].any(axis=1)]
                if len(behind):
                    late[self.outputs[behind, 0]] = True
                    late[self.outputs[behind, 1][~self.lacks[behind, 1]]] = True
                    self._evaluate(behind, waves)
        return waves

    def _evaluate(self, gates: Indices, waves: Words) -> None:
        """Gates of one kind, none behind another."""
        kind = KINDS[self.kind[gates[0]]]
        reads = 3 if kind in (Op.MUX, Op.FULL_ADDER) else 2
        x = []
        for literals in self.inputs[gates, :reads].T:
            values = waves[literals >> 1]
            turned = literals & 1
            if turned.any():
                values ^= (turned.astype(np.uint64) * _ONES)[:, None]
            x.append(values)
        first, second = self.outputs[gates].T
        match kind:
            case Op.AND:
                waves[first] = x[0] & x[1]
            case Op.OR:
                waves[first] = x[0] | x[1]
            case Op.XOR:
                waves[first] = x[0] ^ x[1]
            case Op.MUX:
                waves[first] = x[2] ^ (x[0] & (x[1] ^ x[2]))
            case Op.HALF_ADDER:
                waves[first], waves[second] = x[0] ^ x[1], x[0] & x[1]
            case _:
                half = x[0] ^ x[1]
                waves[first], waves[second] = half ^ x[2], (x[0] & x[1]) | (x[2] & half)


def _registers(work: Work) -> Iterator[tuple[int, Indices]]:
    """The nets that registers hold, by the number of their part."""
    inputs, plan = work.plan.circuit.inputs, work.plan
    feedback = work.feedback
    for part, bits in (
        (Part.OPERAND_REGISTERS, [bit for name in work.bits for bit in inputs[name]]),
        (Part.PIPELINE_REGISTERS, [bit for crossing in plan.schedule.crossings for bit in crossing]),
        (Part.ACCUMULATOR_REGISTERS, inputs[feedback[0]] if feedback else plan.next_accumulator),
    ):
        yield PARTS.index(part), nets_of(work.flat, bits)


def _sums(work: Work, waves: Words, offset: int) -> Bits:
    """The register of the sum over all cycles, from what a cycle makes of an empty one: [cycles, bits].

    Modulo its width, a cycle adds that to the register; where a sum starts, that is all.
    """
    literals = work.flat.literal[np.array(work.plan.next_accumulator, np.int64)]
    bits = _unpacked(waves[(literals >> 1) + offset], work.cycles) ^ (literals & 1).astype(np.uint8)[:, None]
    places = np.arange(len(literals), dtype=np.uint64)[:, None]
    added = np.cumsum((bits.astype(np.uint64) << places).sum(axis=0, dtype=np.uint64))
    start = work.bits[work.start][:, 0]
    before = np.concatenate((np.zeros(1, np.uint64), added))[np.flatnonzero(start)]
    after = added - before[np.cumsum(start, dtype=np.int64) - 1]
    following = (after >> places & np.uint64(1)).astype(np.uint8).T
    return np.concatenate((np.zeros_like(following[:1]), following[:-1]))


def _in_gates(gates: Timed) -> tuple[Timed, Indices]:
    """The gates with full adders as two XORs, two ANDs and an OR, which are counted; and which gate each is of."""
    whole, adders = np.flatnonzero(gates.kind != _FULL_ADDER), np.flatnonzero(gates.kind == _FULL_ADDER)
    (a, b, c), (total, carry) = gates.inputs[adders].T, gates.outputs[adders].T
    half, both, through = gates.nets + np.arange(3 * len(adders)).reshape(3, -1)
    zero, none = np.zeros_like(a), np.full_like(a, NOTHING)
    made = [
        (_XOR, a, b, half),
        (_XOR, 2 * half, c, total),
        (_AND, a, b, both),
        (_AND, 2 * half, c, through),
        (_OR, 2 * both, 2 * through, carry),
    ]
    inputs = [gates.inputs[whole], *(np.column_stack((one, other, zero)) for _, one, other, _ in made)]
    outputs = [gates.outputs[whole], *(np.column_stack((output, none)) for *_, output in made)]
    kind = np.concatenate([gates.kind[whole], *(np.full(len(adders), kind) for kind, *_ in made)])
    owner = np.concatenate([whole, *[adders] * 5])
    found = Timed(
        kind=kind,
        inputs=np.concatenate(inputs),
        outputs=np.concatenate(outputs),
        stage=gates.stage[owner],
        level=np.zeros_like(kind),
        nets=gates.nets + 3 * len(adders),
        counted=np.arange(len(kind)) >= len(whole),
    )
    return replace(found, level=_levels(found, gates.level[owner])), owner


def _levels(gates: Timed, coarse: Indices) -> Indices:
    """The most gates on a way to each, where ``coarse`` are levels of what each is a part of, of up to three levels."""
    of_net = np.zeros(gates.nets, np.int64)
    found = np.zeros(len(gates.kind), np.int64)
    order, slices = groups_of(coarse)
    steps = np.concatenate(
        [np.repeat([0], (~gates.counted).sum()), np.repeat([0, 1, 0, 1, 2], gates.counted.sum() // 5)]
    )
    for part in slices:
        chosen = order[part]
        for step in range(3):
            now = chosen[steps[chosen] == step]
            found[now] = 1 + of_net[gates.inputs[now] >> 1].max(axis=1)
            for output in gates.outputs[now].T:
                there = output != NOTHING
                of_net[output[there]] = found[now[there]]
    return found


def _put(waves: Words, nets: Indices, bits: Bits) -> None:
    """Writes [cycles, nets] bits to waves."""
    lines = np.packbits(bits, axis=0, bitorder="little").T
    packed = np.zeros((len(nets), 8 * waves.shape[1]), np.uint8)
    packed[:, : lines.shape[1]] = lines
    waves[nets] = packed.view("<u8")


def _unpacked(waves: Words, cycles: int) -> Bits:
    """The bits of waves: [nets, cycles]."""
    return np.unpackbits(waves.astype("<u8").view(np.uint8), axis=1, count=cycles, bitorder="little")


def _masks(lengths: Indices, words: int) -> Words:
    """Words whose first bits are 1: [lengths, words]."""
    left = np.clip(lengths[:, None] - 64 * np.arange(words), 0, 64).astype(np.uint64)
    return np.where(left == 64, _ONES, (np.uint64(1) << (left & np.uint64(63))) - np.uint64(1))


def _later(waves: Words) -> Words:
    """What each net is a cycle later."""
    found = waves >> np.uint64(1)
    found[:, :-1] |= waves[:, 1:] << np.uint64(63)
    return found


def _toggles(waves: Words, masks: Words) -> Indices:
    """How often each net changes in the cycles of its mask."""
    return np.bitwise_count((waves ^ _later(waves)) & masks).sum(axis=1, dtype=np.int64)


def _cycle_ends(waves: Words, masks: Words) -> tuple[Words, Words]:
    """What each net is at the end of a cycle and of the next; the same for ever behind the cycles of its mask."""
    before, after = waves & masks, _later(waves) & masks
    used = -(-int(np.bitwise_count(masks).sum(axis=1).max()) // 64)
    return np.ascontiguousarray(before[:, :used]), np.ascontiguousarray(after[:, :used])


def _by_share(rates: npt.NDArray[np.float64]) -> ByShare:
    table = rates.reshape(len(SHARES), len(PARTS)).tolist()
    return {share: dict(zip(PARTS, line, strict=True)) for share, line in zip(SHARES, table, strict=True)}
