"""Steps of synthesis in Yosys worker processes: elaborate a design, map it by one recipe, name its netlist."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from hwmodel.library import Library
from rtl.names import FULL_ADDER_NAME
from siliquant.files import scratch
from siliquant.inputs import ToolError
from siliquant.processes import TEMPORARY_HERE, OutOfTimeError, module_command, run_program

from .hybrid import Plan
from .recipes import Recipe, abc_commands, carry_commands
from .selection import Netlist

__all__ = ["SynthesisError", "elaborate", "map_recipe", "modules", "name_netlist", "netlist_area", "plain_gates"]

_SECONDS_LIMIT = 900


class SynthesisError(ToolError):
    """Yosys refused the design; the message holds what it said."""


def elaborate(folder: Path, verilog: str, top: str) -> Path:
    """Read a design and flatten it, once for all recipes; the checkpoint's path.  Raises SynthesisError."""
    (folder / "design.v").write_text(verilog)
    _run(folder, {"kind": "elaborate", "top": top, "modules": modules(verilog)})
    return folder / "design.il"


def modules(verilog: str) -> list[str]:
    """The names of the modules in a Verilog text."""
    return re.findall(r"^\s*module\s+\\?(\w+)", verilog, flags=re.MULTILINE | re.ASCII)


def map_recipe(
    place: Path,
    checkpoint: Path,
    top: str,
    module_names: Sequence[str],
    library: Library,
    recipe: Recipe,
    period_ns: float,
    plan: Plan | None = None,
) -> Netlist:
    """Run one recipe in a new folder; its netlist, with buffers where nets drive many pins.

    plan: what a hybrid recipe's round is told.
    """
    place.mkdir()
    (place / "design.il").symlink_to(checkpoint)
    (place / "cells.lib").symlink_to(library.slim())
    for name in ("adder_chain.v", "ripple.v"):
        (place / name).write_text(resources.files("hwmodel.yosys").joinpath("maps", name).read_text())
    constraint = f"set_driving_cell {library.driving_cell}\nset_load {library.default_load_ff:g} [all_outputs]\n"
    (place / "abc.constr").write_text(constraint)
    _run(
        place,
        {
            "kind": "map",
            "top": top,
            "name": "mapped",
            "modules": module_names,
            "recipe": asdict(recipe),
            "carry_map": carry_commands(recipe),
            "abc": abc_commands(recipe, period_ns),
            "plan": asdict(plan) if plan else None,
            "adder": asdict(library.full_adder) if library.full_adder and recipe.adders != "logic" else None,
            "clock_gate": asdict(library.clock_gate) if library.clock_gate else None,
            "complements": library.complements,
            "buffer": library.buffer if library.has_buffer else None,
            "input_ff": library.input_ff,
            "maximum_ff": library.maximum_ff,
            "clock_pins": library.clock_pins,
            "flip_flops": library.flip_flops,
            "outdone": library.outdone,
            "output_pins": {**library.output_pins, FULL_ADDER_NAME: ("sum", "carry")},
            "inverters": library.inverters,
            "areas": dict(library.gate_areas),
        },
    )
    path = place / "mapped.v"
    path.write_text(re.sub(r"^(\s*(?:wire|reg)) signed\b", r"\1", path.read_text(), flags=re.MULTILINE))
    area_um2, _ = netlist_area(path.with_suffix(".json"), top, library)
    return Netlist(recipe.name, path, area_um2)


def name_netlist(top: str, netlist: Path, library: Library) -> Path:
    """Yosys JSON of the netlist as it reads in Verilog."""
    cells = netlist.parent / "cells.lib"
    if not cells.exists():
        cells.symlink_to(library.slim())
    _run(netlist.parent, {"kind": "name", "top": top, "name": netlist.stem})
    return netlist.with_suffix(".json")


def plain_gates(verilog: str, top: str) -> dict[str, Any]:
    """A module and what it instantiates as one of gates and registers of one bit, in Yosys' JSON: words become bits,
    what nobody reads is left out, and nothing else is optimised but by Yosys' opt_expr. Raises SynthesisError.
    """
    with scratch("gates") as folder:
        (folder / "design.v").write_text(verilog)
        _run(folder, {"kind": "plain", "top": top})
        module: dict[str, Any] = json.loads((folder / "design.json").read_text())["modules"][top]
    return module


def netlist_area(netlist: Path, top: str, library: Library) -> tuple[float, dict[str, int]]:
    """Area in um2 and the cell histogram of a mapped JSON netlist."""
    try:
        cells = json.loads(netlist.read_text())["modules"][top]["cells"].values()
    except ValueError:
        advice = "is there space left? TMPDIR names another folder"
        raise SynthesisError(f"Yosys left half a netlist in {netlist.parent.parent}: {advice}") from None
    counts = Counter(cell["type"] for cell in cells)
    unknown = sorted(set(counts) - set(library.areas))
    if unknown:
        raise SynthesisError(f"the library {library.name} cannot map {', '.join(unknown)} of {top}")
    return round(sum(library.areas[kind] * count for kind, count in counts.items()), 6), dict(sorted(counts.items()))


def _run(folder: Path, job: Mapping[str, Any]) -> None:
    """Run one worker step in its folder; SynthesisError with Yosys' own words when it fails."""
    (folder / "job.json").write_text(json.dumps(job))
    with (folder / f"{job['kind']}.log").open("w+", errors="replace") as log:
        try:
            result = run_program(
                module_command("hwmodel.yosys.worker", "job.json"),
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS_LIMIT,
                env=_environment(),
            )
        except OutOfTimeError:
            raise SynthesisError(f"Yosys did not finish the step {job['kind']} in {_SECONDS_LIMIT} s") from None
        if result.returncode:
            log.seek(0)
            lines = log.read().splitlines()
            said = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "nothing")
            raise SynthesisError(f"Yosys stopped in the step {job['kind']} of {job['top']}: {said.strip()[:300]}")


def _environment() -> dict[str, str]:
    """The caller's environment, with hashing fixed, so that runs repeat exactly; temporary files, some of which ABC
    leaves behind, go into the folder of the step.
    """
    return {**os.environ, "PYTHONHASHSEED": "0", **TEMPORARY_HERE}
