"""Generated Verilog as Yosys reads it: gates of one bit, adders, registers and instances."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from siliquant.files import scratch
from siliquant.inputs import InputError, short
from siliquant.processes import TEMPORARY_HERE, module_command, run_program

from .toolchain import ToolError

__all__ = ["NETLIST_SOURCES", "check_loops", "line_of", "plain_name", "plain_verilog", "read_netlists", "yosys_said"]

NETLIST_SOURCES = (Path(__file__), Path(__file__).with_name("netlist_worker.py"))
"""What decides the netlist of a Verilog text, beside Yosys."""


_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PRAGMA = re.compile(  # what synthesis obeys and simulators do not
    r"(?://|/\*)\W*(?:"
    # The name of a tool, and then one of its orders: a word with an underscore, a value that is given, or one of these
    # words. So a sentence may begin with the name.
    r"(?:(?:synopsys|synthesis|rtl_synthesis|pragma|ambit|cadence|exemplar|xilinx|altera|quartus|vcs|psl)\b[\s:]*)+"
    r"(?:\w*_\w*|\w+\s*=|(?:o(?:n|ff)|keep|preserve|noprune|attribute|template|enum|label|resource|protect(?:ed)?"
    r"|(?:rom|ram|mult)style|coverage|assert|assume|cover|default|property|sequence|endpoint|restrict|fairness)\b)"
    r"|translate_o(?:n|ff)\b|(?:full|parallel)_case\b|verilator\b(?! lint_o(?:n|ff)\b))",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(
    r"^[ \t]*(?:`ifndef[ \t]+([A-Za-z_]\w*_defined)[ \t]*\n\s*`define[ \t]+\1|`endif)[ \t]*$", re.ASCII | re.MULTILINE
)
_STRANGE = re.compile(
    r"[`\r]"  # simulators and Yosys choose other branches, and end lines at other places
    # Yosys drops these.
    r"|\b(?:initial|specify)\b|#(?!\s*\(\s*(?:\.|parameter\b))|@(?!\s*\*|\s*\(\s*(?:\*|posedge\b|negedge\b))"
    r"|/\*|\$(?!(?:un)?signed\b)|[^\w\s`$\[\]{}():;,.=?~&|^!<>+*/@#'-]",
    re.ASCII,
)


def plain_verilog(verilog: str) -> str:
    """The text line by line, without comments, and without include guards and what they leave out. Raises InputError
    where it has more than netlists need.

    Yosys runs functions of the system that Verilog imports, and reads files that it names. Both take a string, and
    nothing that is generated has one, nor system tasks but $signed and $unsigned, escaped names, and directives beside
    those of include guards. Nor has it what Yosys reads otherwise than simulators or synthesis do: branches of the
    preprocessor, comments that are orders, carriage returns within a line, initial and specify blocks, delays, and
    lists of signals that a block waits for.
    """
    ended = verilog.replace("\r\n", "\n")
    order = next((each for each in _COMMENT.finditer(ended) if _PRAGMA.match(each[0])), None)
    if order is not None:
        raise InputError(f"a comment must be no order to a tool, as {short(order[0])} is", place=_line(ended, order))
    text = _COMMENT.sub(_without_comment, ended) if "\r" not in ended else ended
    plain = "".join(_unguarded(text))
    found = _STRANGE.search(plain)
    if found is not None:
        raise InputError(
            "Verilog must have no strings, system tasks, escaped names, directives beside include guards, delays, "
            f"or initial blocks, not {found[0]!r}",
            place=_line(plain, found),
        )
    return plain


def _unguarded(text: str) -> Iterator[str]:
    """What include guards leave, in the place where it is. A directive that is none of a guard stays."""
    known: set[str] = set()
    guards: list[bool] = []  # whether what is in each guard that is open was there before
    at = 0
    for match in _DIRECTIVE.finditer(text):
        part = text[at : match.start()]
        # A branch of a guard that is left out is another one in simulators: its directives stay to be refused.
        yield re.sub(r"[^\n`]", "", part) if any(guards) else part
        at = match.end()
        if match[1] is None:
            if not guards:  # it ends nothing
                yield match[0]
                continue
            guards.pop()
        else:
            guards.append(match[1] in known)
            if not any(guards):
                known.add(match[1])
        yield _newlines(match[0])
    if guards:
        raise InputError("an include guard must have its end, `endif", place=f"line {text.count(chr(10)) + 1}")
    yield text[at:]


def _newlines(text: str) -> str:
    return "\n" * text.count("\n")


def _without_comment(match: re.Match[str]) -> str:
    lines, text = match[0].count("\n"), match.string
    goes_on = lines or match[0].endswith("\\")
    if goes_on and "`" in text[text.rfind("\n", 0, match.start()) + 1 : match.start()]:
        what = "of several lines" if lines else "with a backslash at its end"
        raise InputError(f"a directive must not end in a comment {what}", place=_line(text, match))
    return "\n" * lines or " "


def _line(text: str, match: re.Match[str]) -> str:
    return f"line {text.count(chr(10), 0, match.start()) + 1}"


def line_of(item: Mapping[str, Any]) -> str:
    """The line of a cell, a net or a module of Yosys' JSON, for a message: `` (line 12)``; empty where it has none."""
    found = re.search(r":(\d+)", item.get("attributes", {}).get("src", ""))
    return f" (line {found[1]})" if found else ""


def plain_name(name: str) -> str:
    """A name of Yosys as Verilog has it: one of a module with parameters is ``$paramod$...\\NAME``."""
    return name.rpartition("\\")[2]


def yosys_said(said: str) -> str:
    """The end of what Yosys says of design.v, with its lines, and without names that only Yosys knows."""
    lines = re.sub(r"design\.v:(\d+)(?:\.\d+-\d+\.\d+)?", r"line \1", said.strip()[-500:])
    return re.sub(r"\$\w+\$line (\d+)\$\d+", r"line \1", lines).replace("\\", "")


def check_loops(verilog: str, top: str, *, flat: bool) -> None:
    """Raises InputError where a signal of the module, or of one below it, depends on itself without a register between,
    whether anything reads it or not: simulators may never end there. flat: loops through instances count.
    """
    with scratch("loops") as folder:
        (folder / "design.v").write_text(verilog)
        command = module_command("sim.simulators.netlist_worker", "loops", "design.v", top, "flat" if flat else "apart")
        done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
    said = str(done.stdout) + str(done.stderr)
    if done.returncode != 0:
        raise ToolError(f"Yosys could not read the Verilog: {yosys_said(said)}")
    loop = re.search(r"found logic loop in module (\S+):(.*)", said, re.DOTALL)
    if loop is not None:
        line = re.search(r"source: design\.v:(\d+)", loop[2])
        raise InputError(
            f"no signal of {plain_name(loop[1])} must depend on itself without a register between",
            place=f"line {line[1]}" if line else None,
        )


def read_netlists(verilog: str, modules: Sequence[str]) -> dict[str, Any]:
    """Yosys' JSON of those modules by name. Raises ToolError where Yosys fails, InputError as :func:`plain_verilog`."""
    with scratch("netlist") as folder:
        (folder / "design.v").write_text(plain_verilog(verilog))
        # Yosys takes no blanks in a path, so all names are relative.
        command = module_command("sim.simulators.netlist_worker", "design.v", "design.json", *modules)
        done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
        if done.returncode != 0:
            raise ToolError(f"Yosys could not read the Verilog: {yosys_said(done.stderr or done.stdout)}")
        found: dict[str, Any] = json.loads((folder / "design.json").read_text())["modules"]
    return found
