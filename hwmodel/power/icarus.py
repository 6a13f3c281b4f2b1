"""A mapped netlist with delays in Icarus Verilog: how often every driven net changes, cycle by cycle.

The bench is written from numbers, so that no name has to survive another tool, and none becomes Verilog or SDF:
instance i is u<i>, net n is n<n>, cells and pins are as hwmodel.library.verilog numbers them.

Cycle t lasts from t to t + 1 periods and starts with a rising clock edge; inputs take their words a
little after it, and what nets then do belongs to cycle t.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodel.library import (
    ONE_NET,
    TIMESCALE,
    ZERO_NET,
    CellModel,
    LibraryCells,
    PathDelay,
    cell_verilog,
    numbered,
    sdf_text,
)
from hwmodel.netlist import Netlist
from hwmodel.synthesis import ToolMissing
from siliquant.inputs import ToolError
from siliquant.processes import TEMPORARY_HERE, OutOfTimeError, run_program

from .activity import Waves
from .delays import Pair

__all__ = [
    "UNKNOWN",
    "SimulationError",
    "SimulatorMissing",
    "Transitions",
    "Window",
    "driven_nets",
    "find_icarus",
    "icarus_version",
    "read_dump",
    "run_icarus",
]

UNKNOWN = 2
_TICKS_PER_PS = 1000  # of TIMESCALE
_SECONDS_LIMIT = 600


class SimulatorMissing(ToolMissing):
    """Icarus Verilog is not installed; the message says how to get it."""


class SimulationError(ToolError):
    """Icarus Verilog refused a netlist or its delays; the message holds what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The cycles counted, ``cycles`` from cycle ``first`` (at least 1) on, and the times of each.

    ``period_ps``, an even number, must be enough for everything to settle; inputs change ``launch_ns``
    after the rising edge, before the falling one.  ``early_ps``: how long after the rising edge the design's own clock,
    which is faster, would fall.
    """

    first: int
    cycles: int
    period_ps: int
    launch_ns: float
    early_ps: int


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """What nets did in some cycles.

    counts: transitions, shape (nets, cycles).  early: those of them less than Window.early_ps after the edge, same
    shape.  settled: 0, 1 or UNKNOWN at the end of each cycle, that of the cycle before the first one in front,
    shape (nets, cycles + 1).
    """

    nets: tuple[int, ...]
    counts: NDArray[np.int64]
    early: NDArray[np.int64]
    settled: NDArray[np.uint8]


def find_icarus() -> tuple[str, str]:
    """The programs iverilog and vvp on PATH.  Raises SimulatorMissing."""
    programs = shutil.which("iverilog"), shutil.which("vvp")
    if programs[0] is None or programs[1] is None:
        missing = "iverilog" if programs[0] is None else "vvp"
        raise SimulatorMissing(
            f"Icarus Verilog is needed to simulate with delays, but no program `{missing}` is on PATH; "
            "on Debian or Ubuntu: apt-get install iverilog"
        )
    return programs[0], programs[1]


def no_glitches() -> str | None:
    """What to say where power is too low because the program is missing that finds glitches; None where it is there."""
    try:
        find_icarus()
    except SimulatorMissing as missing:
        return f"power is without glitches, so too low: {missing}"
    return None


def icarus_version() -> str | None:
    """The version Icarus Verilog states, such as "11.0", or None when it is not installed."""
    try:
        return _version_of(find_icarus()[1])
    except SimulatorMissing:
        return None


@lru_cache(maxsize=4)
def _version_of(engine: str) -> str:
    result = run_program([engine, "-V"], timeout=60)
    found = re.search(r"Icarus Verilog runtime version (\S+)", result.stdout + result.stderr)
    return found[1] if found else "unknown"


def driven_nets(waves: Waves, cells: LibraryCells) -> tuple[int, ...]:
    """The nets at the outputs of cells, connected or not, clock nets left out."""
    pins = (
        waves.pins[index][pin]
        for index, instance in enumerate(waves.netlist.instances)
        for pin in cells[instance.cell].outputs
    )
    return tuple(net for net in pins if net not in waves.pulses)


def run_icarus(
    folder: Path,
    waves: Waves,
    cells: LibraryCells,
    delays: Sequence[Mapping[Pair, PathDelay]],
    stimulus: Mapping[str, Sequence[int]],
    window: Window,
    *,
    clock: str = "clk",
) -> Transitions:
    """Simulate from cycle 0, registers at 0, to the end of the window; the transitions of driven_nets.

    ``folder`` takes the files.  Raises SimulatorMissing, and SimulationError where a tool stops or a
    delay finds no path of its cell.
    """
    compiler, engine = find_icarus()
    nets, cycles = driven_nets(waves, cells), window.first + window.cycles
    plain = _numbered(waves.netlist, cells)
    kinds = [plain[instance.cell] for instance in waves.netlist.instances]
    numbered_delays = (
        {(names[source], names[output]): delay for (source, output), delay in paths.items()}
        for (_, names), paths in zip(kinds, delays, strict=True)
    )
    (folder / "delays.sdf").write_text(sdf_text((model for model, _ in kinds), numbered_delays))
    (folder / "vectors.hex").write_text(_vectors(waves.netlist, stimulus, cycles, clock))
    (folder / "bench.v").write_text(_bench(waves, plain, nets, window, clock))
    _call(folder, compiler, "-g2005", "-gspecify", "-s", "bench", "-o", "bench.vvp", "bench.v")
    said = _call(folder, engine, "-n", "bench.vvp", "-sdf-warn")
    complaint = next((line.strip() for line in said.splitlines() if "SDF" in line), None)
    if complaint:
        raise SimulationError(f"Icarus Verilog must take every delay, but it says {complaint!r}")
    return read_dump((folder / "bench.vcd").read_bytes(), nets, window)


def _call(folder: Path, *command: str) -> str:
    name = Path(command[0]).name
    try:
        result = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE}, timeout=_SECONDS_LIMIT)
    except OutOfTimeError:
        raise SimulationError(f"{name} did not finish in {_SECONDS_LIMIT} s") from None
    said = result.stdout + result.stderr
    if result.returncode:
        raise SimulationError(f"{name} stopped: {said.strip()[:300] or 'it said nothing'}")
    return said


_Numbered = Mapping[str, tuple[CellModel, Mapping[str, str]]]


def _numbered(netlist: Netlist, cells: LibraryCells) -> _Numbered:
    """The cells of a netlist under numbers, by their names in the library."""
    used = sorted({instance.cell for instance in netlist.instances})
    return {cell: numbered(cells[cell], number) for number, cell in enumerate(used)}


def _bench(waves: Waves, plain: _Numbered, nets: Sequence[int], window: Window, clock: str) -> str:
    netlist = waves.netlist
    inputs = [net for port, bits in netlist.inputs.items() if port != clock for net in bits]
    names = {net: f"in[{bit}]" for bit, net in enumerate(inputs)}
    names |= {ZERO_NET: "1'b0", ONE_NET: "1'b1"} | dict.fromkeys(netlist.inputs.get(clock, ()), "clk")
    wires: list[str] = []
    instances: list[str] = []
    for index, instance in enumerate(netlist.instances):
        (model, renamed), given = plain[instance.cell], waves.pins[index]
        pins = {renamed[pin]: net for pin, net in given.items()}
        wires += [f"  wire n{pins[pin]};" for pin in model.outputs]
        ports: list[str] = []
        for pin in (*model.inputs, *model.outputs):
            port = names.get(pins[pin], f"n{pins[pin]}")
            if port in ports:  # Icarus does not tell two paths apart that start at one net
                wires.append(f"  wire u{index}_{len(ports)} = {port};")
                port = f"u{index}_{len(ports)}"
            ports.append(port)
        instances.append(f"  {model.name} u{index} ({', '.join(ports)});")
    cycles, half_ns = window.first + window.cycles, window.period_ps / 2000
    lines = [
        TIMESCALE,
        *(cell_verilog(model) for model, _ in plain.values()),
        "module bench;",
        f"  reg clk = 0; reg [{len(inputs) - 1}:0] in, vectors [0:{cycles - 1}]; integer cycle;",
        *wires,
        *instances,
        "  initial begin",
        '    $sdf_annotate("delays.sdf", bench); $readmemh("vectors.hex", vectors);',
        f"    in = vectors[0]; #{2 * half_ns:.6f};",
        f"    for (cycle = 1; cycle < {cycles}; cycle = cycle + 1) begin",
        f'      if (cycle == {window.first}) begin $dumpfile("bench.vcd");',
        f"        $dumpvars(0, {', '.join(f'n{net}' for net in nets)}); end",
        f"      clk = 1; #{window.launch_ns:.6f} in = vectors[cycle];",
        f"      #{half_ns - window.launch_ns:.6f} clk = 0; #{half_ns:.6f};",
        "    end",
        "    $finish;",
        "  end",
        "endmodule\n",
    ]
    return "\n".join(lines)


def _vectors(netlist: Netlist, stimulus: Mapping[str, Sequence[int]], cycles: int, clock: str) -> str:
    """The words of all inputs as one hexadecimal number a cycle, the first port lowest."""
    rows, offset = [0] * cycles, 0
    for port, nets in netlist.inputs.items():
        if port != clock:
            for cycle, word in enumerate(stimulus[port][:cycles]):
                rows[cycle] |= int(word) << offset
            offset += len(nets)
    return "\n".join(f"{row:x}" for row in rows) + "\n"


def read_dump(dump: bytes, nets: Sequence[int], window: Window) -> Transitions:
    """Count in a VCD file of scalars n<net> that starts with all their values at the edge of the first cycle.

    Lines that repeat a value are no transition.  Every net of ``nets`` must be in the file.
    """
    header, _, text = dump.partition(b"$enddefinitions $end\n")
    codes = {int(net): code for code, net in re.findall(rb"\$var wire 1 (\S+) n(\d+) \$end", header)}
    body = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(body == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    kinds = body[starts]
    is_time, is_value = kinds == ord("#"), np.isin(kinds, np.frombuffer(b"01xz", np.uint8))
    times = _fold(body, starts[is_time] + 1, ends[is_time], base=10, zero=ord("0"))
    keys = _fold(body, starts[is_value] + 1, ends[is_value], base=256, zero=0)
    known = np.array([int.from_bytes(codes[net], "big") for net in nets], np.int64)
    order = np.argsort(known)
    rows = order[np.searchsorted(known, keys, sorter=order)]
    cycle_of_time = np.clip(times // (window.period_ps * _TICKS_PER_PS) - window.first, 0, window.cycles - 1)
    is_early = times % (window.period_ps * _TICKS_PER_PS) < window.early_ps * _TICKS_PER_PS
    time_of_value = np.cumsum(is_time)[is_value] - 1
    values = np.minimum(kinds[is_value] - ord("0"), UNKNOWN).astype(np.uint8)
    return _count(tuple(nets), rows, cycle_of_time[time_of_value], is_early[time_of_value], values, window.cycles)


def _fold(
    body: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], base: int, zero: int
) -> NDArray[np.int64]:
    """The bytes from starts to ends as digits of a number, the first one highest."""
    numbers = np.zeros(len(starts), np.int64)
    for offset in range(int((ends - starts).max(initial=0))):
        inside = starts + offset < ends
        numbers[inside] = numbers[inside] * base + (body[starts[inside] + offset].astype(np.int64) - zero)
    return numbers


def _count(
    nets: tuple[int, ...],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    is_early: NDArray[np.bool_],
    values: NDArray[np.uint8],
    cycles: int,
) -> Transitions:
    """From entries in order of time: row of net, column of cycle, whether the clock is high then, new value; a net
    starts with its value before.
    """
    by_net = np.argsort(rows, kind="stable")
    rows, columns, is_early, values = rows[by_net], columns[by_net], is_early[by_net], values[by_net]
    same_net = np.concatenate(([False], rows[1:] == rows[:-1]))
    changes = np.flatnonzero(same_net & np.concatenate(([False], values[1:] != values[:-1])))
    places = rows[changes] * cycles + columns[changes]
    counts = np.bincount(places, minlength=len(nets) * cycles).reshape(len(nets), cycles)
    early = np.bincount(places[is_early[changes]], minlength=len(nets) * cycles).reshape(len(nets), cycles)
    settled = np.full((len(nets), cycles + 1), UNKNOWN, np.uint8)
    settled[rows[~same_net], 0] = values[~same_net]
    last = np.concatenate((places[1:] != places[:-1], [True])) if len(places) else np.zeros(0, bool)
    settled[rows[changes][last], columns[changes][last] + 1] = values[changes][last]
    for cycle in range(cycles):
        quiet = counts[:, cycle] == 0
        settled[quiet, cycle + 1] = settled[quiet, cycle]
    return Transitions(nets, counts, early, settled)
