"""Switching activity with glitches: a short simulation of the mapped netlist with its delays.

OpenSTA writes the delays (SDF), Icarus Verilog simulates some hundred cycles with them, and what nets
do more often than in the run without delays is added to that run's counts:

    n  =  zero-delay transitions of the whole run
        + (transitions with delays - zero-delay transitions in the window) * counted cycles / window

so that only the glitches carry the sampling noise of the window.  What share of a net's transitions comes while a
clock net is high is counted in the window.  Gates are inertial: a pulse shorter than the delay of its gate does not
pass.  The clock is slow enough for everything to settle; the glitches of a cycle do not depend on it.  Inputs change
together, as long after the clock edge as the netlist's own flip-flops take at the median, as if registers of the same
library drove them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import ceil
from pathlib import Path
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from hwmodel.library import Library, LibraryCells, parse_liberty
from hwmodel.operands import Mismatch
from siliquant.files import scratch
from siliquant.inputs import InputError

from .activity import Waves
from .delays import SHORTEST_NS, NetlistDelays, netlist_delays
from .icarus import SimulationError, SimulatorMissing, Transitions, Window, find_icarus, run_icarus

__all__ = [
    "GLITCH_AWARE",
    "SimulationError",
    "SimulatorMissing",
    "add_glitches",
    "choose_window",
    "library_cells",
    "with_glitches",
]

GLITCH_AWARE = "glitch-aware"


def with_glitches(
    waves: Waves,
    synthesis_verilog: str,
    top: str,
    library: Library,
    stimulus: Mapping[str, Sequence[int]],
    *,
    period_ns: float,
    cycles: int = 256,
    clock: str = "clk",
    delays: NetlistDelays | None = None,
    spef: str | None = None,
) -> Waves:
    """The run with the transitions that gate delays add, its activity_source GLITCH_AWARE.

    waves: the zero-delay run of the netlist under ``stimulus``.  synthesis_verilog: the same netlist as
    Verilog, its module named ``top``.  period_ns: of the clock, which is high for its first half; delays do not depend
    on it.  spef: its wires, where they are not the library's wire load.
    cycles: the window, the first counted cycles of ``waves``, or all where it has fewer.  Counts of
    input ports, clock nets and stored states stay as they are.

    In every cycle every net must settle to its zero-delay value: Mismatch names the net and the cycle
    where one does not.  Raises ToolMissing (SimulatorMissing for Icarus), TimingError, SimulationError,
    and ValueError for cycles below 1 and for a netlist and delays that do not fit each other.
    """
    find_icarus()
    cells = library_cells(library)
    if delays is None:
        delays = netlist_delays(
            synthesis_verilog, waves.netlist, top, library, cells, period_ns=period_ns, clock=clock, spef=spef
        )
    window = choose_window(waves, cells, delays, cycles, period_ns)
    with scratch("glitch") as folder:
        found = run_icarus(folder, waves, cells, delays.paths, stimulus, window, clock=clock)
    return add_glitches(waves, found, window)


def choose_window(waves: Waves, cells: LibraryCells, delays: NetlistDelays, cycles: int, period_ns: float) -> Window:
    """The first ``cycles`` counted cycles, each four times as long as the slowest path takes.

    Inputs change the median clock-to-output delay after the edge.  Early is the first half of ``period_ns``, the
    design's own clock.  ValueError for cycles below 1.
    """
    if cycles < 1:
        raise InputError(f"cycles must be at least 1, not {cycles}")
    outputs = [
        fmean(delay.after_rise)
        for instance, paths in zip(waves.netlist.instances, delays.paths, strict=True)
        for (pin, _), delay in paths.items()
        if (flop := cells[instance.cell].flip_flop) and pin in flop.clock_pins
    ]
    launch_ns = median(outputs) if outputs else SHORTEST_NS
    return Window(
        first=waves.cycles - waves.counted_cycles,
        cycles=min(cycles, waves.counted_cycles),
        period_ps=4 * ceil(1000 * (delays.minimum_period_ns + launch_ns)),
        launch_ns=launch_ns,
        early_ps=round(500 * period_ns),
    )


def add_glitches(waves: Waves, found: Transitions, window: Window) -> Waves:
    """Put the transitions of a window into a zero-delay run, after a look at every settled value.

    Raises Mismatch for the first net and cycle where the two runs differ.
    """
    last = window.first + window.cycles
    expected = np.stack([_bits(waves.values[net], window.first - 1, last) for net in found.nets])
    wrong = np.argwhere((found.settled != expected).T)
    if len(wrong):
        column, row = wrong[0].tolist()
        value = ("0", "1", "an unknown value")[found.settled[row, column]]
        raise Mismatch(
            f"{_label(waves, found.nets[row])} must settle to {expected[row, column]} in cycle "
            f"{window.first - 1 + column} of the simulation with delays, not to {value}"
        )
    extra = found.counts.sum(axis=1) - (expected[:, 1:] != expected[:, :-1]).sum(axis=1)
    scaled = np.rint(extra * (waves.counted_cycles / window.cycles)).astype(int).tolist()
    toggles = {net: waves.toggles[net] + more for net, more in zip(found.nets, scaled, strict=True)}
    glitching = waves.with_toggles(toggles, waves.counted_cycles, GLITCH_AWARE)
    return replace(glitching, while_high=_while_high(waves, found, window))


def _while_high(waves: Waves, found: Transitions, window: Window) -> dict[tuple[int, int], float]:
    """Waves.while_high of the nets and clocks that meet in a cell, in the window."""
    rows = {net: row for row, net in enumerate(found.nets)}
    last = window.first + window.cycles
    pulses = {clock: _bits(wave, window.first, last).astype(bool) for clock, wave in waves.pulses.items()}
    totals = found.counts.sum(axis=1)
    return {
        (net, clock): float(found.early[rows[net], pulses[clock]].sum() / totals[rows[net]])
        for pins in waves.pins
        for clock in pulses.keys() & pins.values()
        for net in rows.keys() & pins.values()
        if totals[rows[net]]
    }


def library_cells(library: Library) -> LibraryCells:
    """The cell models of a library's usable cells, read once."""
    return _cells_of(library.slim())


@cache
def _cells_of(liberty: Path) -> LibraryCells:
    return LibraryCells(parse_liberty(liberty.read_text()))


def _bits(wave: int, first: int, last: int) -> NDArray[np.uint8]:
    """The values of a waveform in cycles first to last - 1."""
    packed = (wave >> first & (1 << (last - first)) - 1).to_bytes((last - first + 7) // 8, "little")
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=last - first, bitorder="little")


def _label(waves: Waves, net: int) -> str:
    if net < waves.netlist.net_count:
        return f"net {waves.netlist.net_label(net)}"
    for index, pins in enumerate(waves.pins):
        for pin, connected in pins.items():
            if connected == net:
                return f"output {pin} of {waves.netlist.instances[index].name}"
    return f"net {net}"
