"""Generated Verilog as Yosys reads it: gates of one bit, adders, registers and instances."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import run as processes
from siliquant.processes import shadows

from .toolchain import ToolError

__all__ = ["NETLIST_SOURCES", "plain_verilog", "read_netlists"]

NETLIST_SOURCES = (Path(__file__), Path(__file__).with_name("netlist_worker.py"))
"""What decides the netlist of a Verilog text, beside Yosys."""


_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_GUARD = re.compile(r"`ifndef\s+(\w+_defined)\s+`define\s+\1\b|`endif\b")
_STRANGE = re.compile(
    r"[`\r]"  # simulators and Yosys choose other branches, and end lines at other places
    # Yosys drops these.
    r"|\b(?:initial|specify)\b|#(?!\s*\(\s*(?:\.|parameter\b))|@(?!\s*\*|\s*\(\s*(?:\*|posedge\b|negedge\b))"
    r"|\$(?!(?:un)?signed\b)|[^\w\s`$\[\]{}():;,.=?~&|^!<>+*/@#'-]",
    re.ASCII,
)


def plain_verilog(verilog: str) -> str:
    """The text without comments. Raises InputError where it has more than netlists need.

    Yosys runs functions of the system that Verilog imports, and reads files that it names. Both take a string, and
    nothing that is generated has one, nor system tasks but $signed and $unsigned, escaped names, and directives beside
    those of include guards. Nor has it what Yosys reads otherwise than simulators do: branches of the preprocessor,
    carriage returns within a line, initial and specify blocks, delays, and lists of signals that a block waits for.
    """
    ended = verilog.replace("\r\n", "\n")
    text = _COMMENT.sub(lambda match: "\n" * match[0].count("\n") or " ", ended) if "\r" not in ended else ended
    unguarded = _GUARD.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
    found = _STRANGE.search(unguarded)
    if found is not None:
        line = unguarded.count("\n", 0, found.start()) + 1
        raise InputError(
            "Verilog must have no strings, system tasks, escaped names, directives beside include guards, delays, "
            f"or initial blocks, not {found[0]!r}",
            place=f"line {line}",
        )
    return text


def read_netlists(verilog: str, modules: Sequence[str]) -> dict[str, Any]:
    """Yosys' JSON of those modules by name. Raises ToolError where Yosys fails, InputError as :func:`plain_verilog`."""
    with scratch("netlist") as folder:
        (folder / "design.v").write_text(plain_verilog(verilog))
        # Yosys takes no blanks in a path, so all names are relative.
        command = shadows.command("sim.simulators.netlist_worker", "design.v", "design.json", *modules)
        done = processes.run(command, cwd=folder, env={**os.environ, **processes.TEMPORARY_HERE})
        if done.returncode != 0:
            said = re.sub(r"design\.v:(\d+)", r"line \1", (done.stderr or done.stdout).strip()[-500:])
            raise ToolError(f"Yosys could not read the Verilog: {said}")
        found: dict[str, Any] = json.loads((folder / "design.json").read_text())["modules"]
    return found
