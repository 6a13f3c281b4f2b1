"""One Yosys run in a process of its own: python -m hwmodel.yosys.worker JOB.json, in the job's folder.

Yosys ends the process on an error and gives slightly different results when it has worked before in
the same process; so the caller (hwmodel.synthesis.flow) starts this module anew for every step.
Yosys' log goes to standard output.  Job kinds:

elaborate  Verilog -> design.il: one flat module, its full adders kept as instances
map        design.il -> NAME.v and NAME.json for one recipe, with buffers where nets drive many pins
plain      design.v -> design.json: one flat module of gates and registers of one bit, without what nobody reads, and
           made simpler by nothing but what proc ends with, opt_expr -keepdc
name       NAME.v -> NAME.json, read back so that names in the JSON are those in the Verilog
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyosys
from pyosys import libyosys

from siliquant.inputs import yosys_word

from . import abc, adders, clockgates, fanout, hybrid, polarity, registers
from .gates import Gates


class _Yosys:
    def __init__(self) -> None:
        self.design = libyosys.Design()

    def __call__(self, *commands: str) -> None:
        for command in commands:
            self.design.run_pass(command)


def _elaborate(job: dict[str, Any]) -> None:
    """job: top.  Reads design.v, writes design.il."""
    run, top = _Yosys(), yosys_word(job["top"])
    run("read_verilog design.v", f"hierarchy -check -top {top}", "proc")
    if adders.ADDER in job["modules"]:
        run(f"setattr -mod -set keep_hierarchy 1 {adders.ADDER}")
    run("flatten", "opt_expr", "opt_clean", "check -assert", "opt -nodffe -nosdff", "fsm", "opt")
    run("wreduce", "peepopt", "opt_clean", "alumacc", "share", "opt", "memory", "opt -full", "opt_clean")
    run("write_rtlil design.il")


def _plain(job: dict[str, Any]) -> None:
    """job: top.  Reads design.v, writes design.json."""
    run, top = _Yosys(), yosys_word(job["top"])
    run("read_verilog design.v", f"hierarchy -check -top {top}", "proc", "flatten -noscopeinfo", "check -assert")
    run("memory_map", "techmap", "simplemap", "opt_clean", "write_json design.json")


def _map(job: dict[str, Any]) -> None:
    """job: top, name, recipe (the fields of a Recipe), adder, clock_gate, outdone, complements, areas, liberty in
    cells.lib.
    """
    run, recipe = _Yosys(), job["recipe"]
    run("read_rtlil design.il")
    run(*job["carry_map"], "opt -fast", "simplemap", "opt -full", "opt_clean")
    if recipe["adders"] == "logic" or job["adder"] is None:
        if adders.ADDER in job["modules"]:
            run(f"setattr -mod -unset keep_hierarchy {adders.ADDER}")
        run("flatten", "opt -full", "opt_clean")
    if job["clock_gate"]:
        _edit(run, job, _gate_clocks)
    unused = " ".join(f"-dont_use {yosys_word(name)}" for name in job["outdone"])
    run(f"dfflibmap {unused} -liberty cells.lib", "opt_expr", "opt_clean")
    _edit(run, job, _before_abc)
    _edit(run, job, _cover)
    _edit(run, job, _after_abc)
    if job["buffer"]:
        _edit(run, job, _split_fanout)
    _write(run, job["name"])


def _gate_clocks(gates: Gates, job: dict[str, Any]) -> None:
    clockgates.gate_clocks(gates, job["clock_gate"])


def _before_abc(gates: Gates, job: dict[str, Any]) -> None:
    registers.name_registers(gates, set(job["flip_flops"]))
    complements = {cell: (q, qn) for cell, q, qn in job["complements"]}
    adder = job["adder"]
    if not gates.of_type(adders.ADDER):
        return
    adders.merge_adders(gates)
    adders.fold_adders(gates)
    if adder is None:
        return
    hybrid.name_adders(gates)
    if job["plan"]:
        hybrid.order_inputs(gates, job["plan"]["orders"])
        hybrid.dissolve(gates, job["plan"]["dissolved"])
    inverted = {"sum": adder["sum_inverted"], "carry": adder["carry_inverted"]}
    form = polarity.choose_polarity(gates, job["areas"], complements, inverted)
    adders.map_adders(gates, adder, form)
    adders.use_register_complements(gates, complements, adder["cell"])


def _cover(gates: Gates, job: dict[str, Any]) -> None:
    plan = job["plan"]
    times = abc.Times(plan["arrival_ns"], plan["required_ns"], plan["period_ns"]) if plan else None
    abc.cover(gates, Path(pyosys.__file__).parent / "yosys-abc", job["abc"], times)


def _after_abc(gates: Gates, job: dict[str, Any]) -> None:
    registers.absorb_inverters(gates, {cell: (q, qn) for cell, q, qn in job["complements"]}, set(job["inverters"]))


def _split_fanout(gates: Gates, job: dict[str, Any]) -> None:
    clocked = {*job["flip_flops"], *([job["clock_gate"]["cell"]] if job["clock_gate"] else [])}
    fanout.split_fanout(gates, job["buffer"], clocked, set(job["clock_pins"]), job["input_ff"], job["maximum_ff"])


def _write(run: _Yosys, name: str) -> None:
    verilog, data = yosys_word(f"{name}.v"), yosys_word(f"{name}.json")
    run("opt_clean -purge", f"write_verilog -noattr -noexpr -simple-lhs {verilog}", f"write_json {data}")


def _edit(run: _Yosys, job: dict[str, Any], change: Callable[[Gates, dict[str, Any]], None]) -> None:
    """Apply a change to the top module."""
    top = job["top"]
    run("write_json edit.json")
    data = json.loads(Path("edit.json").read_text())
    change(Gates(data["modules"][top], job["output_pins"]), job)
    data["modules"] = {top: data["modules"][top]}
    Path("edit.json").write_text(json.dumps(data))
    run("design -reset", "read_json edit.json", f"hierarchy -top {yosys_word(top)}", "opt_clean")


def _name(job: dict[str, Any]) -> None:
    """job: top, name."""
    run, name, top = _Yosys(), job["name"], yosys_word(job["top"])
    run("read_liberty -lib cells.lib", f"read_verilog {yosys_word(f'{name}.v')}", f"hierarchy -check -top {top}")
    run(f"write_json {yosys_word(f'{name}.json')}")


def main() -> None:
    """Do the job named on the command line."""
    job = json.loads(Path(sys.argv[1]).read_text())
    {"elaborate": _elaborate, "plain": _plain, "map": _map, "name": _name}[job["kind"]](job)


if __name__ == "__main__":
    main()
