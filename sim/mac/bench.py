"""Builds a bench of MAC units and runs the cocotb tests on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rtl.mac import DESIGNS
from rtl.spec import MacSpec
from sim.bench import TOP, bench_verilog
from sim.simulators import SIMULATORS, generated_verilog

__all__ = ["SPECS_VARIABLE", "run_mac_tests", "specs_from_json", "specs_to_json", "verilog_of"]

SPECS_VARIABLE = "SILIQUANT_SPECS"
"""Environment variable that carries the specs of a bench to the simulation, as JSON."""


def specs_to_json(specs: Sequence[MacSpec]) -> str:
    """Specs as JSON: design and parameters of each."""
    return json.dumps([{"design": spec.design, "parameters": spec.parameters} for spec in specs])


def specs_from_json(text: str) -> list[MacSpec]:
    """The specs that :func:`specs_to_json` wrote."""
    designs = {design.design: design for design in DESIGNS}
    return [designs[item["design"]](**item["parameters"]) for item in json.loads(text)]


def verilog_of(specs: Sequence[MacSpec]) -> str:
    """The Verilog of a bench with one unit a spec."""
    return generated_verilog(specs) + "\n" + bench_verilog(specs)


def run_mac_tests(
    specs: Sequence[MacSpec],
    folder: Path,
    *,
    simulator: str = "verilator",
    tests: Sequence[str] = (),
    verilog: str | None = None,
) -> str:
    """Simulates units of ``specs`` side by side in ``folder`` and returns the log.

    tests: names of tests in sim.mac.tests, all by default. verilog: takes the place of the generated text.
    Raises SimulationError where the hardware and a golden model disagree, ToolError where a tool is missing or fails.
    """
    chosen = SIMULATORS[simulator]
    build = chosen.build(verilog if verilog is not None else verilog_of(specs), TOP)
    test_filter = rf"\.({'|'.join(tests)})$" if tests else None
    env = {SPECS_VARIABLE: specs_to_json(specs)}
    return chosen.run(build, TOP, "sim.mac.tests", folder, env=env, test_filter=test_filter)
