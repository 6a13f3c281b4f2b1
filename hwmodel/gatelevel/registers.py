"""Which register of a mapped netlist is which of the RTL, and whether it has its complement.

This is a guess that a proof must confirm, so it may be made in any way: here by names, which the flow keeps, and by
what both hold while random inputs run. Synthesis makes one register of two that always hold the same, and none of one
that never changes; those of the RTL that have no partner are looked at for both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from .aig import FALSE, TRUE, Aig
from .machine import Inputs, Machine
from .runs import drawn_inputs

__all__ = ["NoPartner", "Partners", "find_partners", "literals_of"]

_CASES = 256  # runs side by side
_CYCLES = 64
_SETTLED = _CYCLES // 2  # from here on most registers hold what was loaded into them
_ONES = (1 << _CASES * (_CYCLES - _SETTLED)) - 1
_SUFFIX = "_reg"  # of hwmodel.yosys.registers
_DRAWN = 512  # states at random
_ALIKE = 0.9  # of the bits of two registers that are one


class NoPartner(Exception):  # noqa: N818 (it is no fault)
    """A register of the netlist is none of the RTL that a guess would find."""


@dataclass(frozen=True)
class Partners:
    """of_gates: the register of the RTL behind each of the netlist, and whether the latter has its complement.
    same: registers of the RTL that are thought to hold what another does, or its complement. fixed: that never change.
    unsure: the registers of either whose partner, or whether it has the complement, was not told by its name and by
    every bit that it held; those of the RTL that have none, too.
    """

    of_gates: Mapping[str, tuple[str, bool]]
    same: Mapping[str, tuple[str, bool]]
    fixed: Mapping[str, bool]
    unsure: tuple[str, ...] = ()


def find_partners(graph: Aig, rtl: Machine, gates: Machine, inputs: Inputs) -> Partners:
    """The partners of two machines that share a graph and inputs, and no registers.

    Raises NoPartner for a register of the netlist that no other is like, and for two that stand for one: what these
    have after power-up may differ.
    """
    of_rtl, of_gates = _waves(graph, (rtl, gates), inputs)
    shared = Counter(alias for each in rtl.registers for alias in set(each.aliases))
    by_name = {alias + _SUFFIX: each.name for each in rtl.registers for alias in each.aliases if shared[alias] == 1}
    by_wave: defaultdict[int, list[str]] = defaultdict(list)
    for name, wave in reversed(of_rtl.items()):
        by_wave[_plain(wave)].append(name)
    found = {gate: by_name[gate] for gate in of_gates if gate in by_name}
    if twice := next((name for name, count in Counter(found.values()).items() if count > 1), None):
        both = " and ".join(gate for gate, name in found.items() if name == twice)
        raise NoPartner(f"registers {both} of the netlist both stand for {twice} of the RTL")
    left = set(of_rtl).difference(found.values())
    for gate, wave in of_gates.items():
        if gate not in found:
            found[gate] = _like(wave, [name for name in by_wave[_plain(wave)] if name in left] or left, of_rtl, gate)
            left.remove(found[gate])
    unsure: defaultdict[int, list[str]] = defaultdict(list)
    for gate, wave in of_gates.items():
        if gate not in by_name:
            unsure[_plain(wave)].append(gate)
    groups = [group for group in unsure.values() if len(group) > 1]
    if groups:
        _sort_out(_Difference(graph, (rtl, gates), inputs, (of_rtl, of_gates)), groups, found)
    shares = {gate: _alike(of_gates[gate], of_rtl[name]) for gate, name in found.items()}
    partners = {gate: (name, shares[gate] < 0.5) for gate, name in found.items()}
    same, fixed = _others(of_rtl, left, found.values())
    guessed = [gate for gate, share in shares.items() if gate not in by_name or share not in (0, 1)]
    return Partners(partners, same, fixed, (*guessed, *sorted(left)))


class _Difference:
    """How much two machines differ from states at random, which need not be ones that a run comes to."""

    def __init__(
        self,
        graph: Aig,
        machines: tuple[Machine, Machine],
        inputs: Inputs,
        waves: tuple[Mapping[str, int], Mapping[str, int]],
    ) -> None:
        random = Random(3)
        self._graph, (self._rtl, self._gates), self._waves = graph, machines, waves
        self._states = {literal: random.getrandbits(_DRAWN) for literals in inputs.values() for literal in literals}
        self._states |= {register.holds: random.getrandbits(_DRAWN) for register in self._rtl.registers}
        self._of_rtl = {register.name: register for register in self._rtl.registers}

    def of(self, found: Mapping[str, str]) -> int:
        """The bits that differ in what registers take and outputs show, if ``found`` says which is which."""
        ones = (1 << _DRAWN) - 1
        of_rtl, of_gates = self._waves
        inverted = {gate: ones * (_alike(of_gates[gate], of_rtl[name]) < 0.5) for gate, name in found.items()}
        states = dict(self._states)
        for register in self._gates.registers:
            states[register.holds] = states[self._of_rtl[found[register.name]].holds] ^ inverted[register.name]
        values = self._graph.values(states, ones)

        def value(literal: int) -> int:
            return values[literal >> 1] ^ (ones if literal & 1 else 0)

        differ = 0
        for register in self._gates.registers:
            wanted = value(self._of_rtl[found[register.name]].takes) ^ inverted[register.name]
            differ += (value(register.takes) ^ wanted).bit_count()
        for name, literals in self._gates.outputs.items():
            for one, other in zip(literals, self._rtl.outputs[name], strict=True):
                differ += (value(one) ^ value(other)).bit_count()
        return differ


def _sort_out(difference: _Difference, groups: Sequence[Sequence[str]], found: dict[str, str]) -> None:
    """Registers that held the same in all runs, or each other's complement, change partners while that brings the two
    machines nearer: what reads them tells them apart.
    """
    least, better = difference.of(found), True
    while least and better:
        better = False
        for one, other in (pair for group in groups for pair in combinations(group, 2)):
            found[one], found[other] = found[other], found[one]
            now = difference.of(found)
            if now < least:
                least, better = now, True
            else:
                found[one], found[other] = found[other], found[one]


def _like(wave: int, names: Collection[str], waves: Mapping[str, int], gate: str) -> str:
    """The register of the RTL most like one of the netlist, or its complement."""
    shares = {name: abs(_alike(wave, waves[name]) - 0.5) + 0.5 for name in sorted(names)}
    best = max(shares, key=lambda name: shares[name], default=None)
    if best is None or shares[best] < _ALIKE:
        raise NoPartner(f"no partner found for register {gate} of the netlist")
    return best


def _plain(wave: int) -> int:
    """The same number for a wave and its complement."""
    return min(wave, wave ^ _ONES)


def _others(
    waves: Mapping[str, int], alone: Collection[str], partnered: Collection[str]
) -> tuple[dict[str, tuple[str, bool]], dict[str, bool]]:
    """Of the registers of the RTL that are alone: those that hold what a partnered one does, and those that stay."""
    by_wave = {_plain(waves[name]): name for name in partnered}
    same, fixed = {}, {}
    for name in sorted(alone):
        wave = waves[name]
        if wave in (0, _ONES):
            fixed[name] = bool(wave)
        elif (other := by_wave.get(_plain(wave))) is not None:
            same[name] = other, wave != waves[other]
    return same, fixed


def _waves(graph: Aig, machines: tuple[Machine, Machine], inputs: Inputs) -> list[dict[str, int]]:
    """What each register of both holds in the later cycles of random runs, from different states; resets are rare."""
    random, ones = Random(1), (1 << _CASES) - 1
    state = {register.holds: random.getrandbits(_CASES) for machine in machines for register in machine.registers}
    found: list[defaultdict[str, int]] = [defaultdict(int), defaultdict(int)]
    for cycle, drawn in enumerate(drawn_inputs(inputs, random, _CASES, _CYCLES)):
        values = graph.values(drawn | state, ones)
        for machine, waves in zip(machines, found, strict=True):
            for register in machine.registers:
                taken = values[register.takes >> 1] ^ (ones if register.takes & 1 else 0)
                state[register.holds] = taken
                if cycle >= _SETTLED:
                    waves[register.name] = waves[register.name] << _CASES | taken
    return [dict(each) for each in found]


def _alike(one: int, other: int) -> float:
    """The share of equal bits of two waves."""
    return 1 - (one ^ other).bit_count() / (_CASES * (_CYCLES - _SETTLED))


def literals_of(partners: Partners, rtl: Machine) -> tuple[dict[str, int], dict[str, int]]:
    """What registers of the RTL have in a second look, where that is not their own, and what those of the netlist
    have; ``rtl``: the first look.
    """
    own = {register.name: register.holds for register in rtl.registers}
    held = {name: TRUE if value else FALSE for name, value in partners.fixed.items()}
    held |= {name: own[other] ^ inverted for name, (other, inverted) in partners.same.items()}
    return held, {gate: own[name] ^ inverted for gate, (name, inverted) in partners.of_gates.items()}
