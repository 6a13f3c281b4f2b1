"""What drives a module from power-up on: everything unknown, a reset, then operands, pauses and resets.

A port that is not valid is unknown: operands where ``in_valid`` is 0, parameters where ``load_valid`` is 0, all but
``rst`` in a reset. What enters with a valid bit is legal, as the manifest of a design says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random

from hwmodel.operands import Stream, StreamPlan, make_core_stimulus, operand_sums, precisions_to_check
from rtl.array import CoreSpec
from rtl.logic import Port
from rtl.requant import LoadableSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec

__all__ = ["Power", "Word", "power_up"]

_PAUSE = 0.3  # the chance of one before each cycle of operands
_RESET = 0.1  # of one after each sum or handful of entries, which it may cut short
_CYCLES = 400  # at least, of a MAC
_ENTRIES = 2400  # of a requantiser


@dataclass(frozen=True)
class Word:
    """A word of a port: its value, and which of its bits are unknown."""

    value: int
    unknown: int = 0


@dataclass
class Power:
    """Words of the input ports but the clock, one mapping a cycle. due: bits of outputs that are valid, as (cycle,
    port, lowest bit, width); None: outputs are valid beside out_valid, which is so after the first reset.
    """

    ports: tuple[Port, ...]
    cycles: list[Mapping[str, Word]] = field(default_factory=list)
    due: list[tuple[int, str, int, int]] | None = None

    def add(self, count: int = 1, **known: int) -> None:
        """Cycles in which only some ports are known."""
        words = {port.name: Word(0, (1 << port.width) - 1) for port in self.ports}
        words["rst"] = Word(0, 1)
        self.cycles += [words | {name: Word(value) for name, value in known.items()}] * count


def power_up(spec: MacSpec | CoreSpec | LoadableSpec, seed: int = 0) -> Power:
    """The stimulus for a design; it begins with two cycles in which nothing is known, and a reset."""
    inputs = tuple(port for port in spec.ports if port.is_input)
    power, random = Power(inputs), Random(f"{spec.name} {seed}")
    power.add(2)
    power.add(2, rst=1)
    if isinstance(spec, MacSpec):
        _mac(spec, power, random, seed)
    elif isinstance(spec, CoreSpec):
        _core(spec, power, seed)
    else:
        _unit(spec, power, random)
    return power


def _mac(spec: MacSpec, power: Power, random: Random, seed: int) -> None:
    for turn in count():
        if len(power.cycles) > _CYCLES:
            break
        for precision in precisions_to_check(spec):
            products = 2 * spec.products_per_step(precision) + 1
            plan = StreamPlan(precision, Stream(seed=1000 * seed + turn), products, cycles=4)
            weights, activations = operand_sums(spec, plan)[0]
            packed, ignored = spec.pack(weights, activations, precision), spec.ignored_bits(precision)
            cut = random.randrange(1, len(packed["clear"]) + 1) if random.random() < _RESET else None
            for cycle in range(len(packed["clear"]))[:cut]:
                while random.random() < _PAUSE:
                    power.add(rst=0, in_valid=0)
                words = {name: column[cycle] for name, column in packed.items()}
                for name, mask in ignored.items():
                    words[name] = words[name] & ~mask | random.getrandbits(mask.bit_length()) & mask
                power.add(rst=0, in_valid=1, **words)
            if cut is not None:
                power.add(random.randrange(1, 3), rst=1)
    power.add(spec.latency + 3, rst=0, in_valid=0)


def _unit(spec: LoadableSpec, power: Power, random: Random) -> None:
    low, high = spec.accumulator_range
    sets: dict[int, list[int]] = {}

    def load(group: int) -> dict[str, int]:
        if isinstance(spec, ThresholdSpec):  # all accumulators between them, or few: then carries go far
            span = random.choice((high - low, 1 << random.randrange(spec.accumulator_width)))
            start = random.randint(low, max(low, high - span))
            numbers = sorted(min(start + random.randint(0, span), high + 1) for _ in spec.parameter_fields)
        else:
            numbers = [random.choice((item.low, item.high, random.randint(item.low, item.high)))
                       for item in spec.parameter_fields]  # fmt: skip
        sets[group] = numbers
        return {"load_valid": 1, "load_group": group, "load_parameters": spec.pack_parameters(numbers)}

    def accumulator(group: int) -> int:
        steps = spec.steps(sets[group])
        if steps and random.random() < 0.8:  # at a step, below it, or one bit of a comparator away
            away = 1 << random.randrange(spec.accumulator_width)
            return min(max(random.choice(steps) + random.choice((0, -1, away, -away)), low), high)
        return random.choice((low, high, 0, -1, random.randint(low, high), random.randint(low, high)))

    for group in range(spec.groups):
        power.add(rst=0, in_valid=0, load_valid=0)
        power.add(rst=0, in_valid=0, **load(group))
    open_ = 0  # accumulators since the first of a partial sum
    for _ in range(_ENTRIES):
        if random.random() < _RESET / 4:
            power.add(rst=1)
            open_ = 0
            continue
        loads = load(random.randrange(spec.groups)) if random.random() < 0.2 else {"load_valid": 0}
        if random.random() < _PAUSE:
            power.add(rst=0, in_valid=0, **loads)
            continue
        group = random.randrange(spec.groups)
        words = {"accumulator": accumulator(group) & ((1 << spec.accumulator_width) - 1), "group": group}
        if isinstance(spec, PartialSumSpec):
            first = int(open_ in (0, spec.groups) or random.random() < 0.2)
            open_ = 1 if first else open_ + 1
            words |= {"first": first, "last": int(random.random() < 0.4)}
        power.add(rst=0, in_valid=1, **words, **loads)
    power.add(spec.latency + 3, rst=0, in_valid=0, load_valid=0)


def _core(spec: CoreSpec, power: Power, seed: int) -> None:
    power.due = []
    mac, width = spec.mac, spec.mac.accumulator_width
    for turn, precision in enumerate(precisions_to_check(mac)[-2:] * 2):
        products = max(2, spec.rows) * mac.products_per_step(precision) + 1
        plan = StreamPlan(precision, Stream(seed=(4 * seed + turn) * max(spec.rows, spec.columns)), products, cycles=24)
        fed, start = make_core_stimulus(spec, plan), len(power.cycles)
        for cycle in range(len(fed.words["rst"])):
            words = {name: column[cycle] for name, column in fed.words.items()}
            if words["rst"]:
                power.add(rst=1)
                continue
            power.add(**words)
            power.cycles[-1] = {**power.cycles[-1], **dict(_not_valid(spec, words, cycle))}
        power.due += [(start + cycle, "drain", column * width, width) for cycle, column, _ in fed.expected]


def _not_valid(spec: CoreSpec, words: Mapping[str, int], cycle: int) -> Iterator[tuple[str, Word]]:
    """Operand ports of a core, unknown where nothing enters."""
    if not spec.systolic:
        if not words["enable"] & 1:
            for port in spec.ports:
                if port.is_input and port.name in ("weights", "activations", "control", "clear"):
                    yield port.name, Word(0, (1 << port.width) - 1)
        return
    widths = {port.name: port.width for port in spec.ports}
    for name in ("activations", "control", "clear"):
        if name in words:
            part = widths[name] // spec.rows
            empty = [row for row in range(spec.rows) if not words["valid"] >> row & 1]
            yield name, Word(words[name], sum(((1 << part) - 1) << row * part for row in empty))
