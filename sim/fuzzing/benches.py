"""A case in a simulator: a word of all inputs a cycle in, one of all outputs out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from rtl.array import ArraySpec
from rtl.logic import joined, placed
from rtl.verilog import Reset, to_verilog
from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import TEMPORARY_HERE, module_command, run_program
from sim.simulators import ToolError, run_cycles

from .cases import SIMULATED, Spec

__all__ = ["Outputs", "run_bench", "verilog_of"]

Outputs: TypeAlias = list[dict[str, str]]
"""The bits of every output port in every cycle, before its clock edge; x where they are unknown."""


@lru_cache(maxsize=8)
def verilog_of(spec: Spec | ArraySpec, reset: Reset) -> str:
    """The Verilog of a design."""
    return to_verilog([spec], reset=reset)


def run_bench(
    spec: Spec | ArraySpec,
    cycles: Sequence[Mapping[str, int]],
    engine: str,
    verilog: str | None = None,
    reset: Reset = Reset.SYNCHRONOUS_HIGH,
) -> Outputs:
    """What a module shows in each cycle.

    cycles: words of all inputs; rst is 1 where it is to be reset, whatever its port is. engine: "icarus", "verilator",
    or "netlist", gates that Yosys makes of the Verilog, in Icarus. verilog: in place of that of ``spec``. Raises
    ToolError.
    """
    if engine not in SIMULATED:
        raise InputError(f"engine must be one of {', '.join(SIMULATED)}, not {engine!r}")
    inputs = [(reset.port, 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
    outputs = [(port.name, port.width) for port in spec.ports if not port.is_input]
    text = verilog_of(spec, reset) if verilog is None else verilog
    if engine == "netlist":
        text = _gates(text, spec.name)
    inactive = int(reset.port != "rst")
    words = [joined(inputs, {**each, reset.port: each.get("rst", 0) ^ inactive}) for each in cycles]
    simulator = "verilator" if engine == "verilator" else "icarus"
    (lines,) = run_cycles(text, spec.name, inputs, outputs, words, simulator)
    places = placed(outputs)
    return [{name: line[low : low + width] for name, low, width in places} for line in lines]


def _gates(verilog: str, module: str) -> str:
    """The netlist that Yosys makes of a module."""
    with scratch("fuzz") as folder:
        (folder / "design.v").write_text(verilog)
        command = module_command("sim.fuzzing.netlist_worker", "design.v", "design.v", module)
        done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
        if done.returncode != 0:
            raise ToolError(f"Yosys could not make gates: {(done.stderr or done.stdout).strip()[-500:]}")
        return (folder / "design.v").read_text()
