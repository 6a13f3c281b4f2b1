"""The testbench of a MAC unit, the same for every design: Driver, Monitor, Model, Checker.

The driver puts one input word a cycle on the unit, the monitor samples its outputs, and the checker compares them in
order with what the model expects. The same sequences can be streamed from files instead, where Python is too slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from rtl.spec import MacSpec
from sim.bench import Layout, MismatchError, response_file, stimulus_file

from .checker import Checker, Sample
from .sequence import Model, Sequence

__all__ = ["Checker", "Driver", "MismatchError", "Model", "Monitor", "Sample", "Testbench", "start_clock", "stream"]


def start_clock(clk: Any) -> None:
    """Runs the clock until the end of the test."""
    Clock(clk, 2, unit="step", impl="gpi").start()


class Driver:
    """Puts input words on a unit, one after each rising edge."""

    def __init__(self, clk: Any, port: Any) -> None:
        self._clk, self._port = clk, port

    async def play(self, words: Iterable[int]) -> None:
        """Drives ``words``; the unit registers the last one on the rising edge after the return."""
        for word in words:
            await RisingEdge(self._clk)
            self._port.value = word


class Monitor:
    """Samples the outputs of a unit after each rising edge, when all is settled."""

    def __init__(self, clk: Any, port: Any, layout: Layout) -> None:
        self._clk, self._port, self._layout = clk, port, layout

    async def watch(self, cycles: int, receive: Callable[[int, Sample], None]) -> None:
        """Calls ``receive`` with the number and the sample of each of ``cycles`` cycles."""
        for cycle in range(cycles):
            await RisingEdge(self._clk)
            await ReadOnly()
            receive(cycle, Sample.of(str(self._port.value), self._layout))


class Testbench:
    """One unit of the bench: its driver and monitor, and a checker for each sequence."""

    __test__ = False  # not a class of tests, whatever its name

    def __init__(self, bench: Any, index: int, spec: MacSpec) -> None:
        layout = Layout.of(spec)
        self.spec = spec
        self.driver = Driver(bench.clk, getattr(bench, f"drive_{index}"))
        self.monitor = Monitor(bench.clk, getattr(bench, f"response_{index}"), layout)

    async def run(self, sequence: Sequence) -> None:
        """Plays a sequence. Raises MismatchError at the first answer that differs from the model."""
        checker = Checker(sequence)
        driving = cocotb.start_soon(self.driver.play(sequence.words))
        await self.monitor.watch(len(sequence.words), checker.receive)
        await driving
        checker.finish()


async def stream(bench: Any, sequences: list[Sequence | None], folder: Path) -> None:
    """Plays one sequence on each unit at once, through files in ``folder``; units without one stay in reset.

    Raises MismatchError at the first answer that differs from the model.
    """
    for index, sequence in enumerate(sequences):
        words = sequence.words if sequence is not None else []
        (folder / stimulus_file(index)).write_text("".join(f"{word:x}\n" for word in words))
        (folder / response_file(index)).unlink(missing_ok=True)
    await FallingEdge(bench.clk)
    bench.streaming.value = 1
    await RisingEdge(bench.done)
    await FallingEdge(bench.clk)
    bench.streaming.value = 0
    await FallingEdge(bench.clk)  # closes the files
    await FallingEdge(bench.clk)
    for index, sequence in enumerate(sequences):
        if sequence is None:
            continue
        checker = Checker(sequence)
        with (folder / response_file(index)).open() as lines:
            next(lines)  # before the first word
            for cycle, line in zip(range(len(sequence.words)), lines, strict=False):
                checker.receive(cycle, Sample.of(line, sequence.layout))
        checker.finish()
