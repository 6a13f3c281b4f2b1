"""Generated Verilog as Yosys reads it: gates of one bit, adders, registers and instances."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siliquant.files import scratch
from siliquant.processes import run as processes
from siliquant.processes import shadows

from .toolchain import ToolError

__all__ = ["NETLIST_SOURCES", "read_netlists"]

NETLIST_SOURCES = (Path(__file__), Path(__file__).with_name("netlist_worker.py"))
"""What decides the netlist of a Verilog text, beside Yosys."""


def read_netlists(verilog: str, modules: Sequence[str]) -> dict[str, Any]:
    """Yosys' JSON of those modules by name. Raises ToolError where Yosys fails."""
    with scratch("netlist") as folder:
        (folder / "design.v").write_text(verilog)
        # Yosys takes no blanks in a path, so all names are relative.
        command = shadows.command("sim.simulators.netlist_worker", "design.v", "design.json", *modules)
        done = processes.run(command, cwd=folder, env={**os.environ, **processes.TEMPORARY_HERE})
        if done.returncode != 0:
            raise ToolError(f"Yosys could not read the Verilog: {(done.stderr or done.stdout).strip()[-500:]}")
        found: dict[str, Any] = json.loads((folder / "design.json").read_text())["modules"]
    return found
