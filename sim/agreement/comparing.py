"""One Verilog text in two simulators, every output in every cycle.

Icarus Verilog knows unknown values, and begins with them; Verilator has 0 and 1 only, and begins with random ones. What
Icarus shows as 0 or 1 must be so in Verilator, whatever registers and memories held at first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtl.array import ArraySpec
from rtl.verilog import to_verilog
from sim.bench import MismatchError
from sim.simulators import Ports, run_cycles

from .stimuli import Played, Spec, played_on

__all__ = ["Agreement", "agree", "compare"]


@dataclass(frozen=True)
class Agreement:
    """bits: of outputs that Icarus knew and every run of Verilator had, from the first reset on. unknown: that it did
    not know: outputs beside which nothing is valid. seeds: runs of Verilator.
    """

    name: str
    design: str
    cycles: int
    bits: int
    unknown: int
    seeds: int
    seconds: float


def agree(spec: Spec, verilog: str | None = None, seeds: Sequence[int] = (1, 2, 3)) -> Agreement:
    """Runs the Verilog of ``spec``, or ``verilog`` in its place, in both.

    Raises MismatchError with the first bit that differs, or that Icarus does not know where it must: beside out_valid,
    and in results of an array that are read after a run. ToolError where a tool is missing or fails.
    """
    verilog = to_verilog([spec]) if verilog is None else verilog
    start, played = time.perf_counter(), played_on(spec)
    given = verilog, spec.name, played.inputs, played.outputs, played.words
    (icarus,) = run_cycles(*given, "icarus")
    verilator = run_cycles(*given, "verilator", seeds)
    bits, unknown = compare(spec.name, icarus, dict(zip(seeds, verilator, strict=True)), played)
    kind = "array" if isinstance(spec, ArraySpec) else spec.design
    seconds = round(time.perf_counter() - start, 1)
    return Agreement(spec.name, kind, len(played.words), bits, unknown, len(seeds), seconds)


def compare(
    name: str, icarus: Sequence[str], verilator: Mapping[int, Sequence[str]], played: Played
) -> tuple[int, int]:
    """bits and unknown of :class:`Agreement`. Raises MismatchError."""
    bits = unknown = 0
    for cycle, known in enumerate(icarus):
        if cycle < played.settled:
            continue
        for seed, lines in verilator.items():
            for place, (one, other) in enumerate(zip(known, lines[cycle], strict=True)):
                if one in "01" and one != other:
                    port = _port(place, played.outputs)
                    raise MismatchError(
                        f"{name}: cycle {cycle}: {port} is {one} in Icarus and {other} in Verilator, seed {seed}"
                    )
        lost = [place for place, bit in enumerate(known) if bit not in "01"]
        bits, unknown = bits + len(known) - len(lost), unknown + len(lost)
        if lost and (cycle in played.known or _valid(known, played.outputs)):
            raise MismatchError(f"{name}: cycle {cycle}: {_port(lost[0], played.outputs)} is unknown, and valid")
    return bits, unknown


def _valid(line: str, outputs: Ports) -> bool:
    """Whether there is an out_valid and it is not 0."""
    low = 0
    for name, width in outputs:
        if name == "out_valid":
            return line[low] != "0"
        low += width
    return False


def _port(place: int, outputs: Ports) -> str:
    """The name of a bit of a line, which has the highest bit of each port first."""
    for name, width in outputs:
        if place < width:
            return f"{name}[{width - 1 - place}]"
        place -= width
    raise AssertionError(place)
