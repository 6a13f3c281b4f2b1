"""A case in a simulator: a word of all inputs a cycle in, one of all outputs out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from rtl.verilog import to_verilog
from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import run as processes
from siliquant.processes import shadows
from sim.simulators import Ports, ToolError, run_cycles

from .cases import ENGINES, Spec

__all__ = ["run_bench", "verilog_of"]


def verilog_of(spec: Spec) -> str:
    """The Verilog of a design."""
    return to_verilog([spec])


def run_bench(
    spec: Spec, cycles: Sequence[Mapping[str, int]], engine: str, verilog: str | None = None
) -> list[tuple[str, str]]:
    """out_valid and the result of every cycle, before its clock edge, as bits; x where they are unknown.

    cycles: words of all inputs. engine: "icarus", "verilator", or "netlist", gates that Yosys makes of the Verilog,
    in Icarus. verilog: in place of that of ``spec``. Raises ToolError.
    """
    if engine not in ENGINES[1:]:
        raise InputError(f"engine must be one of {', '.join(ENGINES[1:])}, not {engine!r}")
    inputs = [("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
    outputs = [(port.name, port.width) for port in spec.ports if not port.is_input]
    text = verilog_of(spec) if verilog is None else verilog
    if engine == "netlist":
        text = _gates(text, spec.name)
    simulator = "verilator" if engine == "verilator" else "icarus"
    (lines,) = run_cycles(text, spec.name, inputs, outputs, [_joined(words, inputs) for words in cycles], simulator)
    valid = _place("out_valid", outputs)
    (result,) = (_place(name, outputs) for name, _ in outputs if name != "out_valid")
    return [(line[valid], line[result]) for line in lines]


def _gates(verilog: str, module: str) -> str:
    """The netlist that Yosys makes of a module."""
    with scratch("fuzz") as folder:
        (folder / "design.v").write_text(verilog)
        command = shadows.command("sim.fuzzing.netlist_worker", "design.v", "design.v", module)
        done = processes.run(command, cwd=folder, env={**os.environ, **processes.TEMPORARY_HERE})
        if done.returncode != 0:
            raise ToolError(f"Yosys could not make gates: {(done.stderr or done.stdout).strip()[-500:]}")
        return (folder / "design.v").read_text()


def _joined(words: Mapping[str, int], inputs: Ports) -> int:
    joined = low = 0
    for name, width in inputs:
        joined |= words.get(name, 0) << low
        low += width
    return joined


def _place(name: str, outputs: Ports) -> slice:
    """Where a port lies in a line."""
    low = 0
    for known, width in outputs:
        if known == name:
            return slice(low, low + width)
        low += width
    raise InputError(f"a module must have the port {name}")
