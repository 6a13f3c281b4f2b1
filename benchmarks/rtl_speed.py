"""Speed of the simulations of arrays, side by side in one run: the C++ harness, and cocotb with Verilator and Icarus.

    python benchmarks/rtl_speed.py [--sizes 16,32] [--gemm 197x768x192] [--repeats 25] [--jobs 2]

One product at uniform 4x4 bits, 16 lanes an element, long enough that no array waits for its results to drain. The
harness simulates whole arrays (sim/harness); cocotb the same Verilog as it is generated, every element a module of its
own, at 4 x 4 elements, since a larger one takes it minutes to build (Verilator) or to run (Icarus): MACs a second
compare over sizes, cycles a second do not. What is slow gets the first rows and columns of the product. Loading,
running and reading are timed as one.

Rates are given by the clock on the wall and by CPU time, which other work on the machine changes less; either is of the
best of several runs. A run of cocotb without a product is taken off its CPU time. Builds are timed once, in CPU time,
with an empty cache but the Verilog at hand; the first of each kind compiles Verilator's runtime, too.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table

from rtl.array import Architecture, ArraySpec, Codes, plan_passes
from rtl.mac import UniformSpec
from rtl.spec import IntArray, Precision, check_integer
from siliquant.commandline import Parser, add_jobs, read_jobs, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError
from siliquant.processes import cores
from sim.array import TOP, Job, Step, run_array_tests, verilog_of_arrays
from sim.harness import ArraySimulator, array_verilog, build_library
from sim.simulators import SIMULATORS

Shape = tuple[int, int, int]

MAC = UniformSpec(weight_bits=4, activation_bits=4, lanes=16)
SMALL = 4
PRECISION = Precision(4, 4, True)
TEST_SECONDS = re.compile(r"\*\* sim\.array\.tests\.jobs +PASS +\S+ +(\S+) ")


@dataclass(frozen=True)
class Speed:
    """One line of the table: CPU time of the build, and time on the wall and of the CPU for so many products."""

    name: str
    build_s: float
    macs: int
    cycles: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """MACs a second of CPU time."""
        return self.macs / self.cpu_s


def array_of(size: int, architecture: Architecture, m: int, n: int) -> ArraySpec:
    """An array whose memories hold the whole product."""
    depth = max(4096, -(-m // size) * -(-n // size) * size)
    return ArraySpec(
        mac=MAC, rows=size, columns=size, architecture=architecture,
        activation_depth=4096, weight_depth=4096, result_depth=depth,
    )  # fmt: skip


def codes(m: int, k: int, n: int) -> tuple[IntArray, IntArray]:
    """Activations [M, K] and weights [N, K]."""
    rng = np.random.default_rng(0)
    return rng.integers(-8, 8, (m, k)), rng.integers(-8, 8, (n, k))


def child_seconds() -> float:
    """CPU time of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(build: Callable[[], Path]) -> tuple[Path, float]:
    """What was built, and the CPU time of that."""
    began = child_seconds()
    return build(), child_seconds() - began


def harness_speeds(spec: ArraySpec, shape: Shape, repeats: int, jobs: int) -> Iterator[Speed]:
    """One simulator, then ``jobs`` side by side, each with the whole product."""
    activations, weights = codes(*shape)
    plan = plan_passes(MAC, Codes(4, True), Codes(4, True))
    array_verilog(spec)  # now in the cache: generating is no part of the build
    library, build_s = timed(lambda: build_library(spec))
    with ExitStack() as stack:
        simulators = [stack.enter_context(ArraySimulator(spec, library)) for _ in range(jobs)]
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        for count in sorted({1, jobs}):
            wall: list[float] = []
            cpu: list[float] = []
            for _ in range(repeats):
                began, began_cpu = time.perf_counter(), time.process_time()
                blocks = list(pool.map(lambda each: each.multiply(activations, weights, plan), simulators[:count]))
                cpu.append(time.process_time() - began_cpu)
                wall.append(time.perf_counter() - began)
            if not all(np.array_equal(block.results, activations @ weights.T) for block in blocks):
                raise AssertionError(f"{spec.name} multiplies wrongly")
            cycles = sum(block.cycles + block.load_cycles for block in blocks)
            name = f"harness, {spec.architecture.value} {spec.rows}x{spec.columns}"
            beside = f", {count} side by side" if count > 1 else ""
            yield Speed(f"{name}{beside}", build_s, count * prod(shape), cycles, min(wall), min(cpu))


def cocotb_speed(simulator: str, spec: ArraySpec, shape: Shape, repeats: int, times: int = 1) -> Speed:
    """The tests' way to compute that product so many ``times``, which must take long beside the start of a simulation;
    the time on the wall is what cocotb reports of it, without the start.
    """
    activations, weights = codes(*shape)
    job = Job(0, "product", (Step(activations, weights, PRECISION),), activations @ weights.T)
    verilog = verilog_of_arrays([spec])
    _, build_s = timed(lambda: SIMULATORS[simulator].build(verilog, TOP))
    wall: list[float] = []
    cpu: list[float] = []
    idle: list[float] = []
    for _ in range(repeats):
        for jobs, used in (([], idle), ([job] * times, cpu)):
            began = child_seconds()
            with tempfile.TemporaryDirectory() as folder:
                log = run_array_tests([spec], Path(folder), simulator=simulator, tests=["jobs"], jobs=jobs)
            used.append(child_seconds() - began)
        wall += [float(seconds) for seconds in TEST_SECONDS.findall(log)]
    planned = spec.run(*shape, PRECISION)
    cycles = spec.load_cycles(planned) + spec.cycles(planned) + planned.tiles * spec.rows
    name = f"cocotb and {simulator.capitalize()}, {spec.architecture.value} {spec.rows}x{spec.columns}"
    return Speed(name, build_s, times * prod(shape), times * cycles, min(wall), min(cpu) - min(idle))


def speeds(sizes: Sequence[int], shape: Shape, repeats: int, jobs: int) -> Iterator[Speed]:
    """Every simulation, the fastest kind first."""
    m, k, n = shape
    for size in sizes:
        for architecture in Architecture:
            yield from harness_speeds(array_of(size, architecture, m, n), shape, repeats, jobs)
    small = array_of(SMALL, Architecture.BROADCAST, m, n)
    yield cocotb_speed("verilator", small, (min(m, 64), k, min(n, 64)), min(repeats, 3), 8)
    yield cocotb_speed("icarus", small, (min(m, 16), k, min(n, 16)), min(repeats, 2))


def shape_of(text: str) -> Shape:
    """M, K and N of "MxKxN"."""
    try:
        m, k, n = (check_integer("a size", int(part), 1, 4096) for part in text.split("x"))
    except ValueError:
        raise ValueError(f"--gemm must be MxKxN, each from 1 to 4096, not {text}") from None
    return m, k, n


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/rtl_speed.py", description=__doc__)
    parser.add_argument("--sizes", default="16,32", metavar="N,...", help="rows and columns")
    parser.add_argument("--gemm", default="197x768x192", metavar="MxKxN", help="product")
    parser.add_argument("--repeats", type=int, default=25, metavar="N", help="runs, of which the best counts")
    add_jobs(parser, 2)
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args(arguments)
    repeats, jobs = check_integer("--repeats", options.repeats, 1), read_jobs(options.jobs)
    if not re.fullmatch(r"\d+(,\d+)*", options.sizes):
        raise ValueError(f"--sizes must be numbers with commas between, not {options.sizes}")
    sizes = [check_integer("a size", int(size), 1, 64) for size in options.sizes.split(",")]
    shape = shape_of(options.gemm)
    for size in sizes:
        array_of(size, Architecture.BROADCAST, shape[0], shape[2]).run(*shape, PRECISION)  # it must fit
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    found: list[Speed] = []
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, SILIQUANT_CACHE_DIR=cache):
        for speed in speeds(sizes, shape, repeats, jobs):
            print(f"{speed.name}: {speed.rate / 1e6:.3g} M MAC/CPU s", file=sys.stderr, flush=True)
            found.append(speed)
    for speed in found:
        if speed.cpu_s <= 0:
            raise InputError(f"{speed.name} must take CPU time, not {speed.cpu_s:.2f} s: the machine is too busy")
    base = next(speed for speed in found if speed.name.startswith("cocotb and Verilator"))
    table = Table(
        title=f"{options.gemm}, {MAC.name}; best of {repeats} (cocotb: 3 and 2); {cores()} cores",
        title_justify="left",
    )
    headers = ("build, CPU s", "MACs", "cycles", "cycles/s", "M MAC/s", "cycles/CPU s", "M MAC/CPU s", "to Verilator")
    for header in ("simulation", *headers):
        table.add_column(header, justify="left" if header == "simulation" else "right")
    for speed in found:
        table.add_row(
            speed.name, f"{speed.build_s:.0f}", f"{speed.macs:,}", f"{speed.cycles:,}",
            f"{speed.cycles / speed.wall_s:,.0f}", f"{speed.macs / speed.wall_s / 1e6:,.3g}",
            f"{speed.cycles / speed.cpu_s:,.0f}", f"{speed.rate / 1e6:,.3g}", f"{speed.rate / base.rate:,.3g}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"Sizes differ: cocotb has {SMALL}x{SMALL} elements, each a module. MACs a second compare over sizes, cycles a "
        f"second do not. The last column is M MAC/CPU s of that of {base.name}."
    )
    if options.out:
        rows = [
            {
                "name": speed.name,
                "build_cpu_s": round(speed.build_s, 1),
                "cycles_per_cpu_s": round(speed.cycles / speed.cpu_s),
                "macs_per_cpu_s": round(speed.rate),
            }
            for speed in found
        ]
        about = {"product": options.gemm, "mac": MAC.name, "repeats": repeats}
        write_atomically(options.out, json.dumps(about | {"rows": rows}) + "\n")


if __name__ == "__main__":
    run("benchmarks/rtl_speed.py", main)
