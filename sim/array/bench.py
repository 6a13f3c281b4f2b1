"""Builds a bench of arrays and runs the cocotb tests on it.

The operand memories are inside the arrays, so Python loads them by whole words, starts a run and has nothing to do
until ``busy`` falls. Each array has a clock of its own: one that stands still costs no time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rtl.array import ArraySpec
from rtl.manifests import array_from_parameters
from siliquant.files import scratch
from sim.bench import Layout
from sim.simulators import SIMULATORS, generated_verilog

from .cases import Job, save_jobs
from .trace import FLIP_VARIABLE, TRACE_VARIABLE, Looked, read_trace

__all__ = [
    "ARRAYS_VARIABLE",
    "JOBS_VARIABLE",
    "TOP",
    "array_bench_verilog",
    "arrays_from_json",
    "arrays_to_json",
    "run_array_tests",
    "trace_array_tests",
    "verilog_of_arrays",
]

ARRAYS_VARIABLE = "SILIQUANT_ARRAYS"
"""Environment variable that carries the specs of a bench to the simulation, as JSON."""
JOBS_VARIABLE = "SILIQUANT_JOBS"
"""Environment variable with the path of the products that the test ``jobs`` computes."""
TOP = "array_bench"
"""Name of the simulated top module."""


def arrays_to_json(specs: Sequence[ArraySpec]) -> str:
    """Specs as JSON."""
    return json.dumps([spec.parameters for spec in specs])


def arrays_from_json(text: str) -> list[ArraySpec]:
    """The specs that :func:`arrays_to_json` wrote."""
    return [array_from_parameters(parameters) for parameters in json.loads(text)]


def array_bench_verilog(specs: Sequence[ArraySpec]) -> str:
    """Verilog of the top module with one array a spec, to be put behind the modules of those specs.

    Array i has the ports clk_i, drive_i (rst and all its inputs), response_i (all its outputs) and busy_i.
    """
    ports, body = [], []
    for index, spec in enumerate(specs):
        layout = Layout.of(spec)
        ports += [
            f"input clk_{index}",
            f"input [{layout.input_width - 1}:0] drive_{index}",
            f"output [{layout.output_width - 1}:0] response_{index}",
            f"output busy_{index}",
        ]
        pins = [
            *(f".{name}(drive_{index}[{low} +: {width}])" for name, low, width in layout.inputs),
            *(f".{name}(response_{index}[{low} +: {width}])" for name, low, width in layout.outputs),
        ]
        (busy,) = (low for name, low, _ in layout.outputs if name == "busy")
        body.append(f"  {spec.name} array_{index}(.clk(clk_{index}), {', '.join(pins)});")
        body.append(f"  assign busy_{index} = response_{index}[{busy}];")
    header, lines = ",\n    ".join(ports), "\n".join(body)
    return f"\nmodule {TOP}(\n    {header});\n{lines}\nendmodule\n"


def verilog_of_arrays(specs: Sequence[ArraySpec]) -> str:
    """The Verilog of a bench with one array a spec."""
    return generated_verilog(specs) + array_bench_verilog(specs)


def run_array_tests(
    specs: Sequence[ArraySpec],
    folder: Path,
    *,
    simulator: str = "verilator",
    tests: Sequence[str] = (),
    jobs: Sequence[Job] = (),
    verilog: str | None = None,
    trace: Path | None = None,
    flip: int | None = None,
) -> str:
    """Simulates arrays of ``specs`` in ``folder`` and returns the log.

    tests: names of tests in sim.array.tests, all by default. jobs: what the test ``jobs`` computes. verilog: takes the
    place of the generated text. trace: where the :mod:`sim.array.trace` of one array goes; flip: which of the looks of
    each test, from 1, sees another bit. Raises SimulationError where
    hardware and expectation disagree, ToolError where a tool is missing or fails.
    """
    chosen = SIMULATORS[simulator]
    build = chosen.build(verilog if verilog is not None else verilog_of_arrays(specs), TOP)
    test_filter = rf"\.({'|'.join(tests)})$" if tests else None
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / "jobs.npz").resolve()
    save_jobs(path, jobs)
    env = {ARRAYS_VARIABLE: arrays_to_json(specs), JOBS_VARIABLE: str(path)}
    if trace is not None:
        env[TRACE_VARIABLE] = str(trace.resolve())
    if flip is not None:
        env[FLIP_VARIABLE] = str(flip)
    return chosen.run(build, TOP, "sim.array.tests", folder, env=env, test_filter=test_filter)


def trace_array_tests(spec: ArraySpec) -> list[Looked]:
    """What all tests drive on one array, and what they look at, as they run in Icarus."""
    with scratch("trace") as folder:
        run_array_tests([spec], folder, simulator="icarus", trace=folder / "trace.txt")
        return read_trace(folder / "trace.txt")
