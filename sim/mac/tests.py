"""cocotb tests of MAC units: every unit of the bench at once, each against the golden model of its spec.

The simulation is started by :func:`sim.mac.bench.run_mac_tests`, which names the specs in the environment.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import gather

from rtl.spec import MacSpec

from .bench import SPECS_VARIABLE, specs_from_json
from .scenarios import SCENARIOS
from .testbench import Testbench, start_clock, stream


def _begin(bench: Any) -> None:
    """What each test begins with."""
    gc.disable()  # a test makes many small objects that live to its end, none in a cycle: they would be looked at again
    bench.streaming.value = 0
    start_clock(bench.clk)


async def _play(bench: Any, name: str) -> None:
    """Plays a scenario on all units at once, word by word."""
    _begin(bench)
    units = [Testbench(bench, index, spec) for index, spec in enumerate(_specs())]
    await gather(*(unit.run(SCENARIOS[name](unit.spec)) for unit in units))


async def _stream(bench: Any, name: str) -> None:
    """Plays a scenario on all units at once, through files."""
    _begin(bench)
    await stream(bench, [SCENARIOS[name](spec) for spec in _specs()], Path.cwd())


def _specs() -> list[MacSpec]:
    return specs_from_json(os.environ[SPECS_VARIABLE])


@cocotb.test()
async def random_sums(bench: Any) -> None:
    """Sums of any length with stalls."""
    await _play(bench, "random_sums")


@cocotb.test()
async def switches(bench: Any) -> None:
    """Sums back to back, each at another precision."""
    await _play(bench, "switches")


@cocotb.test()
async def mixed_sums(bench: Any) -> None:
    """Sums whose precision changes from step to step."""
    await _play(bench, "mixed_sums")


@cocotb.test()
async def balanced_sums(bench: Any) -> None:
    """Places of a last step that are left over, balanced beside accumulators of all kinds."""
    await _stream(bench, "balanced_sums")


@cocotb.test()
async def resets(bench: Any) -> None:
    """Resets while operands are in the pipeline."""
    await _play(bench, "resets")


@cocotb.test()
async def streamed_sums(bench: Any) -> None:
    """Sums of any length at every precision."""
    await _stream(bench, "streamed_sums")


@cocotb.test()
async def extremes(bench: Any) -> None:
    """Operands at the corners of their ranges."""
    await _stream(bench, "extremes")


@cocotb.test()
async def longest_sums(bench: Any) -> None:
    """The largest and smallest sums that the accumulator is made for."""
    await _stream(bench, "longest_sums")


@cocotb.test()
async def far_sums(bench: Any) -> None:
    """Sums that go a part of the way to those."""
    await _stream(bench, "far_sums")


@cocotb.test()
async def every_pair(bench: Any) -> None:
    """Every pair of codes at every precision."""
    await _stream(bench, "every_pair")
