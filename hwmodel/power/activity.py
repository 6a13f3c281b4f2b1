"""Switching activity of a mapped netlist under an operand stream, without gate delays.

    waves = simulate(read_netlist(json_text), LibraryCells(parse_liberty(text)), {"rst": [1, 0, 0], ...})
    waves.words("result")          output words, cycle by cycle, to compare with the golden model
    waves.toggles_per_cycle(net)   transitions of a net per clock cycle

Zero-delay means that a net changes at most once a cycle.  Glitches come on top: take the counts from
a simulation with delays and put them in with ``Waves.with_toggles``.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hwmodel.library import ONE_NET, Expression, LibraryCells
from hwmodel.netlist import GateLevel, Netlist, pulses_of
from siliquant.inputs import InputError

ZERO_DELAY = "zero-delay"


@dataclass(frozen=True, slots=True)
class Waves:
    """What every net did.

    ``values[n]``: waveform of net n, bit t its settled value in cycle t; nets past
    netlist.net_count belong to unconnected outputs and states.  ``pins[i]``: net at every pin and
    state name of instance i.  ``toggles[n]``: transitions in the ``counted_cycles`` cycles that end
    the run.  ``pulses``: the cycles in which each clock net pulses, bit t for cycle t: all of them, but for those
    behind clock gates; 2 transitions a pulse, low in ``values``.  ``activity_source``: where the toggles come from.
    ``while_high``: the share (0 to 1) of a net's transitions that come while a clock net is high, by (net, clock net);
    for those it leaves out see transitions_while_high.
    """

    netlist: Netlist
    cycles: int
    counted_cycles: int
    values: tuple[int, ...]
    pins: tuple[Mapping[str, int], ...]
    toggles: tuple[int, ...]
    pulses: Mapping[int, int]
    activity_source: str = ZERO_DELAY
    while_high: Mapping[tuple[int, int], float] = field(default_factory=dict)

    def words(self, port: str) -> list[int]:
        """The words of an output or input port, one a cycle, as unsigned integers."""
        nets = self.netlist.outputs.get(port) or self.netlist.inputs.get(port)
        if nets is None:
            known = ", ".join((*self.netlist.inputs, *self.netlist.outputs))
            raise InputError(f"port must be one of {known}, not {port!r}")
        return _waves_to_words([self.values[net] for net in nets], self.cycles)

    def toggles_per_cycle(self, net: int) -> float:
        """Transitions of a net per clock cycle; 2 for the clock."""
        return self.toggles[net] / self.counted_cycles

    def one_probability(self, net: int) -> float:
        """Share of time in the counted cycles in which a net is 1; 0.5 for the clock."""
        return self.share(self.pulses[net]) / 2 if net in self.pulses else self.share(self.values[net])

    def transitions_while_high(self, net: int, clock: int) -> float:
        """Share of a net's transitions that come while a clock net is high.

        Without delays everything changes right after the edge that starts a cycle: then it is the share that falls in
        cycles in which the clock net pulses; of no transitions, the share of these cycles.
        """
        if (net, clock) in self.while_high:
            return self.while_high[net, clock]
        changes, pulses = self.changes(net), self.pulses.get(clock, 0)
        return self.share(changes & pulses) / share if (share := self.share(changes)) else self.share(pulses)

    def changes(self, net: int) -> int:
        """The cycles into which the settled value of a net changes, as a waveform."""
        wave = self.values[net]
        return wave ^ ((wave << 1) & self.values[ONE_NET])

    def state_probability(self, instance: int, state: Expression) -> float:
        """Share of time in which an expression over the pins of an instance is true.

        Joint over the pins, as simulated; the clock is taken as high for half of each cycle, and so is a gated one
        where it pulses.
        """
        pins = self.pins[instance]
        ones = self.values[ONE_NET]
        low = {name: self.values[pins[name]] for name in state.names}
        clocked = [name for name in low if pins[name] in self.pulses]
        share = self.share(state.evaluate(low, ones))
        if not clocked:
            return share
        high = low | {name: low[name] ^ self.pulses[pins[name]] for name in clocked}
        return (share + self.share(state.evaluate(high, ones))) / 2

    def with_toggles(self, toggles: Mapping[int, int], counted_cycles: int, activity_source: str) -> Waves:
        """The same run with other transition counts, such as those of a simulation with delays.

        ``toggles`` maps net numbers to transitions in ``counted_cycles``; nets it leaves out keep
        their zero-delay count, scaled to that number of cycles.
        """
        if counted_cycles < 1:
            raise InputError(f"counted_cycles must be at least 1, not {counted_cycles}")
        scale = counted_cycles / self.counted_cycles
        counts = tuple(toggles.get(net, round(count * scale)) for net, count in enumerate(self.toggles))
        return replace(self, toggles=counts, counted_cycles=counted_cycles, activity_source=activity_source)

    def share(self, wave: int) -> float:
        """Share of the counted cycles in which a waveform is 1."""
        return (wave >> (self.cycles - self.counted_cycles)).bit_count() / self.counted_cycles


def simulate(
    netlist: Netlist,
    library_cells: LibraryCells,
    stimulus: Mapping[str, Sequence[int]],
    *,
    clock: str = "clk",
    count_from_cycle: int = 1,
) -> Waves:
    """Run a netlist without delays and count transitions.

    ``stimulus`` maps every input port but the clock to one unsigned word a cycle (bit i of the word
    is bit i of the port), all of one length; a word given for cycle t is applied after the clock edge
    that starts cycle t, and registers take it at the end of the cycle.  They start at 0, so a design
    with a reset port gets 1 there in its first cycles.  Transitions into cycle ``count_from_cycle``
    and later are counted: set it past the reset.

    ValueError for ports or words that do not fit, cells that are not in the library, latches, clocks gated by
    other cells than clock gates, inverted clocks, floating inputs and loops of gates.
    """
    waves, cycles = _input_waves(netlist, stimulus, clock)
    if not 1 <= count_from_cycle < cycles:
        raise InputError(f"count_from_cycle must be from 1 to {cycles - 1}, not {count_from_cycle}")
    design = GateLevel(netlist, library_cells, clock)
    values = design.run(waves, cycles)
    counted = cycles - count_from_cycle
    toggles = [((value ^ (value << 1)) >> count_from_cycle & (1 << counted) - 1).bit_count() for value in values]
    pulses = pulses_of(design.clock_nets, values, cycles)
    for net, wave in pulses.items():
        toggles[net] = 2 * (wave >> count_from_cycle).bit_count()
    return Waves(netlist, cycles, counted, tuple(values), tuple(design.pins), tuple(toggles), pulses)


def _input_waves(netlist: Netlist, stimulus: Mapping[str, Sequence[int]], clock: str) -> tuple[dict[int, int], int]:
    ports = {port: nets for port, nets in netlist.inputs.items() if port != clock}
    for port in (*ports, *stimulus):
        if port not in ports or port not in stimulus:
            wanted = ", ".join(ports) or "no port"
            wrong = "is missing" if port in ports else "is none of them"
            raise InputError(f"stimulus must name the input ports of {netlist.name}, {wanted}; {port} {wrong}")
    lengths = {port: len(words) for port, words in stimulus.items()}
    if not lengths:
        raise InputError(f"{netlist.name} must have an input port besides the clock {clock}")
    if len(set(lengths.values())) != 1:
        raise InputError(f"stimulus must have as many words at every port, not {lengths}")
    cycles = next(iter(lengths.values()))
    if cycles < 2:
        raise InputError(f"stimulus must have at least 2 cycles, not {cycles}")
    waves: dict[int, int] = {}
    for port, nets in ports.items():
        waves.update(zip(nets, _words_to_waves(port, stimulus[port], len(nets)), strict=True))
    return waves, cycles


def _words_to_waves(port: str, words: Sequence[int], width: int) -> list[int]:
    numbers = [operator.index(word) for word in words]
    for cycle, number in enumerate(numbers):
        if not 0 <= number < 1 << width:
            raise InputError(f"word {cycle} of port {port} must be from 0 to {(1 << width) - 1}, not {number}")
    size = (width + 7) // 8
    packed = np.frombuffer(b"".join(number.to_bytes(size, "little") for number in numbers), np.uint8)
    bits = np.unpackbits(packed.reshape(len(numbers), size), axis=1, count=width, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(bits.T, axis=1, bitorder="little")]


def _waves_to_words(waves: Sequence[int], cycles: int) -> list[int]:
    size = (cycles + 7) // 8
    packed = np.frombuffer(b"".join(wave.to_bytes(size, "little") for wave in waves), np.uint8)
    bits = np.unpackbits(packed.reshape(len(waves), size), axis=1, count=cycles, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(bits.T, axis=1, bitorder="little")]
