"""Internal energy summed transition by transition, to check the rule of hwmodel.power.power against.

The rule works with counts and probabilities.  Here every single transition of every cycle gets the
table of its own direction, of the input that really switched, in the state that really was.  Slower,
and written apart from the rule.  Where several inputs switched at once, the mean of their arcs counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodel.library import ONE_NET, CellPower, ClockGate, Energy, Expression, LibraryPower

from .activity import Waves
from .power import PinEnvironment

_Bits = NDArray[np.bool_]


def exact_internal_pj_per_cycle(
    waves: Waves,
    power: LibraryPower,
    *,
    slews_ns: Mapping[str, tuple[float, float]],
    loads_ff: Mapping[str, float],
) -> float:
    """Internal energy per counted cycle in pJ, clock pins included, of a zero-delay run.

    To be compared with (internal_uw + clock_uw) / clock_mhz of a netlist without clock buffers, less
    the charging of the clock net.
    """
    environment = PinEnvironment(waves, slews_ns, loads_ff)
    total_pj = 0.0
    for index, instance in enumerate(waves.netlist.instances):
        model, data = power.cells[instance.cell], power[instance.cell]
        if model.clock_gate is not None:
            total_pj += _gate_pj(index, model.clock_gate, data, waves, environment)
            continue
        cell = _CellRun(waves, index)
        for pin in model.outputs:
            energies = data.outputs.get(pin, ())
            if energies:
                load_pf = environment.load_pf(waves.pins[index][pin])
                total_pj += cell.output_pj(pin, energies, environment, load_pf, model.flip_flop is not None)
        for pin in model.inputs:
            energies = data.inputs.get(pin, ())
            if energies:
                total_pj += cell.input_pj(pin, energies, environment)
    return total_pj / waves.counted_cycles


def _gate_pj(index: int, gate: ClockGate, data: CellPower, waves: Waves, environment: PinEnvironment) -> float:
    """All edges of a clock gate's pins, one after the other: the clock rises, the enable changes, the clock falls."""
    pins, first = waves.pins[index], waves.cycles - waves.counted_cycles
    load_pf = environment.load_pf(pins[gate.output])
    enable, total_pj = waves.values[pins[gate.enable]], 0.0
    state = dict.fromkeys(gate.tests, 0) | {gate.clock: 0, gate.output: 0, gate.enable: enable >> (first - 1) & 1}

    def edge(pin: str, value: int, energies: Sequence[Energy], load: float) -> float:
        named = [each for each in energies if each.when is not None and each.when.evaluate(state, 1)]
        chosen = named or [each for each in energies if each.when is None]
        slews = environment.slews(index, pin)
        each_pj = [(e.rise_pj if value else e.fall_pj).at(slews[0 if value else 1], load) for e in chosen]
        return sum(each_pj) if named else sum(each_pj) / max(1, len(each_pj))

    by_clock = [each for each in data.outputs[gate.output] if each.related == gate.clock]
    for cycle in range(first, waves.cycles):
        passes, following = state[gate.enable], enable >> cycle & 1
        total_pj += edge(gate.clock, 1, data.inputs[gate.clock], 0.0)
        total_pj += edge(gate.clock, 1, by_clock, load_pf) if passes else 0.0
        state |= {gate.clock: 1, gate.output: passes}
        if following != state[gate.enable]:
            total_pj += edge(gate.enable, following, data.inputs[gate.enable], 0.0)
            state[gate.enable] = following
        total_pj += edge(gate.clock, 0, data.inputs[gate.clock], 0.0)
        total_pj += edge(gate.clock, 0, by_clock, load_pf) if passes else 0.0
        state |= {gate.clock: 0, gate.output: 0}
    return total_pj


class _CellRun:
    """The settled values of one instance: ``now`` and ``before`` each counted cycle's clock edge."""

    def __init__(self, waves: Waves, index: int) -> None:
        self.waves = waves
        self.index = index
        self.pins = waves.pins[index]
        self.first = waves.cycles - waves.counted_cycles
        self.clocked = {name for name, net in self.pins.items() if net in waves.pulses}

    def bits(self, wave: int, shift: int) -> _Bits:
        """A waveform in the counted cycles, or (shift 1) in those before them."""
        size = (self.waves.cycles + 7) // 8
        packed = np.frombuffer(wave.to_bytes(size, "little"), np.uint8)
        bits = np.unpackbits(packed, count=self.waves.cycles, bitorder="little").astype(bool)
        return bits[self.first - shift : self.waves.cycles - shift]

    def pin(self, name: str, shift: int = 0) -> _Bits:
        return self.bits(self.waves.values[self.pins[name]], shift)

    def changed(self, name: str) -> _Bits:
        if name in self.clocked:
            return self.bits(self.waves.pulses[self.pins[name]], 0)
        return self.pin(name) ^ self.pin(name, 1)

    def holds(self, when: Expression, shift: int, clock_high: bool = False) -> _Bits:
        ones = self.waves.values[ONE_NET]
        values = {name: self.waves.values[self.pins[name]] for name in when.names}
        if clock_high:
            values |= {name: self.waves.pulses[self.pins[name]] for name in self.clocked & values.keys()}
        return self.bits(when.evaluate(values, ones), shift)

    def output_pj(
        self, pin: str, energies: Sequence[Energy], environment: PinEnvironment, load_pf: float, stored: bool
    ) -> float:
        """All transitions of an output: the arcs of inputs that switched, in their state; else any arc."""
        rises, falls = self.pin(pin) & ~self.pin(pin, 1), ~self.pin(pin) & self.pin(pin, 1)
        cycles = self.waves.counted_cycles
        sums, counts = np.zeros((3, cycles)), np.zeros((3, cycles))
        for energy in energies:
            slew_ns = sum(environment.slews(self.index, energy.related)) / 2
            each = np.where(rises, energy.rise_pj.at(slew_ns, load_pf), energy.fall_pj.at(slew_ns, load_pf))
            switched = self.changed(energy.related)
            state = self._state(energy, energies, 1 if stored else 0)
            for rank, chosen in enumerate((switched & state, switched, np.ones(cycles, bool))):
                sums[rank] += each * chosen
                counts[rank] += chosen
        mean = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        best = np.where(counts[0] > 0, mean[0], np.where(counts[1] > 0, mean[1], mean[2]))
        return float(best[rises | falls].sum())

    def input_pj(self, pin: str, energies: Sequence[Energy], environment: PinEnvironment) -> float:
        """All transitions of an input pin, each in the state that holds; the clock rises before the state changes, and
        everything else changes while it is high.
        """
        rise_ns, fall_ns = environment.slews(self.index, pin)
        total_pj = 0.0
        for energy in energies:
            rise_pj, fall_pj = energy.rise_pj.at(rise_ns, 0.0), energy.fall_pj.at(fall_ns, 0.0)
            if pin in self.clocked:
                pulses = self.changed(pin)
                total_pj += rise_pj * (self._state(energy, energies, 1) & pulses).sum()
                total_pj += fall_pj * (self._state(energy, energies, 0) & pulses).sum()
                continue
            state = self._state(energy, energies, 0, clock_high=True)
            rises, falls = self.pin(pin) & ~self.pin(pin, 1), ~self.pin(pin) & self.pin(pin, 1)
            total_pj += rise_pj * (rises & state).sum() + fall_pj * (falls & state).sum()
        return float(total_pj)

    def _state(self, energy: Energy, energies: Sequence[Energy], shift: int, clock_high: bool = False) -> _Bits:
        """Cycles in which an entry holds; one without a state holds where no other of its pin does."""
        if energy.when is not None:
            return self.holds(energy.when, shift, clock_high)
        named = [other.when for other in energies if other.related == energy.related and other.when is not None]
        state = np.ones(self.waves.counted_cycles, bool)
        for when in named:
            state &= ~self.holds(when, shift, clock_high)
        return state
