"""From specs to portable Verilog-2001.

What is asked for keeps its own name. Modules that it instantiates (helpers) begin with a prefix and say their
parameters in their names, and each stands in an include guard: equal names are equal modules, so files of any number of
designs can be read together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from rtl.names import FULL_ADDER_NAME, HELPER_PREFIX, MEMORY_NAME, check_prefix, guarded, helper, with_prefix
from siliquant.files import scratch
from siliquant.inputs import InputError, ToolError
from siliquant.processes import run as processes
from siliquant.processes import shadows

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = [
    "FULL_ADDER",
    "MEMORY",
    "Composite",
    "Elaborated",
    "Generated",
    "GenerationError",
    "Modules",
    "Written",
    "generate",
    "helper_file",
    "to_verilog",
]

FULL_ADDER = f"""\
module {FULL_ADDER_NAME}(input a, input b, input c, output sum, output carry);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
"""
"""The one leaf cell of every design. Synthesis may map it to a full-adder cell of the library."""

MEMORY = f"""\
module {MEMORY_NAME} #(parameter WIDTH = 1, DEPTH = 2, ADDRESS_WIDTH = 1)(
    input clk,
    input read_enable, input [ADDRESS_WIDTH-1:0] read_address, output reg [WIDTH-1:0] read_data,
    input write_enable, input [ADDRESS_WIDTH-1:0] write_address, input [WIDTH-1:0] write_data);
  reg [WIDTH-1:0] words [0:DEPTH-1];
  always @(posedge clk) begin
    if (write_enable) words[write_address] <= write_data;
    if (read_enable) read_data <= words[read_address];
  end
endmodule
"""
"""The memory of arrays: one write and one read a cycle, which gives what was there before. Its place may be taken by a
memory macro. Plain text, since Amaranth spells out initial values of every bit, which takes longer than all the rest.
"""


class GenerationError(ToolError):
    """Yosys did not turn the RTLIL of a design into Verilog."""


class Elaborated(Protocol):
    """What makes a module as an Amaranth component: a MAC, an array, a requantiser."""

    @property
    def name(self) -> str:
        """Module name."""
        ...

    def create(self) -> Component:
        """The Amaranth component."""
        ...


@runtime_checkable
class Written(Protocol):
    """What makes a module as text: a grid."""

    @property
    def name(self) -> str:
        """Module name."""
        ...

    def verilog(self) -> str:
        """The module."""
        ...


Generated: TypeAlias = Elaborated | Written
"""What makes a module."""


@runtime_checkable
class Composite(Protocol):
    """What makes a module that instantiates others."""

    @property
    def parts(self) -> Sequence[Generated]:
        """Those others, each once."""
        ...


@dataclass(frozen=True)
class Modules:
    """Verilog of specs. own: their modules, one text. helpers: modules that they instantiate, by name, unguarded."""

    names: tuple[str, ...]
    own: str
    helpers: Mapping[str, str]

    @property
    def text(self) -> str:
        """A file without the helpers."""
        return f"{_header(*self.names)}\n{self.own}"


def to_verilog(specs: Sequence[Generated], prefix: str = HELPER_PREFIX) -> str:
    """One self-contained text with a module for each spec, named ``spec.name``, and the helpers of all.

    Equal specs give equal text, byte for byte, with the same tool versions. Registers have no initial values: what
    simulates is what is synthesised. Raises GenerationError where Yosys fails, InputError for a bad ``prefix``.
    """
    made = generate(specs, prefix)
    return "\n".join([made.text, *_guarded(made.helpers)])


def helper_file(helpers: Mapping[str, str]) -> str:
    """The text of a file of helpers that designs share."""
    return "\n".join([_header("modules that designs share"), *_guarded(helpers)])


def generate(specs: Sequence[Generated], prefix: str = HELPER_PREFIX) -> Modules:
    """The modules of ``specs``. Raises as :func:`to_verilog`."""
    from amaranth.back import rtlil

    check_prefix(prefix)
    tops = dict.fromkeys(specs)
    # A part may be asked for on its own, too: it is there twice then, under both of its names.
    parts = {_helper_name(part.name): part for spec in tops if isinstance(spec, Composite) for part in spec.parts}
    named = parts | {spec.name: spec for spec in tops}
    texts = [
        _plain_names(rtlil.convert(spec.create(), name=name, emit_src=False), name)
        for name, spec in named.items()
        if not isinstance(spec, Written)
    ]
    modules = _split(_yosys(texts)) if texts else {}
    modules |= {name: spec.verilog() for name, spec in named.items() if isinstance(spec, Written)}
    modules[FULL_ADDER_NAME] = FULL_ADDER
    if any(f"\n  {MEMORY_NAME} #(" in text for text in modules.values()):
        modules[MEMORY_NAME] = MEMORY
    asked = [spec.name for spec in tops]
    helpers = {name for name in modules if name.startswith(HELPER_PREFIX) and name not in asked}
    shared = {with_prefix(name, prefix): with_prefix(modules[name], prefix) for name in modules if name in helpers}
    if both := sorted(shared.keys() & (modules.keys() - helpers)):
        raise InputError(f"prefix must not give a shared module the name of a design, as {prefix!r} does: {both[0]}")
    own = "\n".join(with_prefix(text, prefix) for name, text in modules.items() if name not in helpers)
    return Modules(tuple(asked), own, shared)


def _yosys(texts: Sequence[str]) -> str:
    """RTLIL texts as one Verilog text. Raises GenerationError."""
    with scratch("rtl") as folder:
        sources = []
        for number, text in enumerate(texts):
            sources.append(f"design{number}.il")
            (folder / sources[-1]).write_text(text)
        # Yosys takes no blanks in a path, so all names are relative.
        command = shadows.command("rtl.verilog.rtlil_worker", "design.v", *sources)
        done = processes.run(command, cwd=folder, env={**os.environ, **processes.TEMPORARY_HERE})
        if done.returncode != 0:
            raise GenerationError(f"Yosys could not write Verilog: {done.stderr.strip() or done.stdout.strip()[-500:]}")
        return (folder / "design.v").read_text()


def _split(verilog: str) -> dict[str, str]:
    """The modules of a text by name, in its order."""
    found = list(re.finditer(r"^module (\w+).*?^endmodule\n", verilog, flags=re.MULTILINE | re.DOTALL))
    if len(found) != len(re.findall(r"^module ", verilog, flags=re.MULTILINE)):
        raise GenerationError("Yosys wrote a module whose name is no plain identifier")
    return {module[1]: module[0] for module in found}


def _guarded(helpers: Mapping[str, str]) -> list[str]:
    return [guarded(name, text) for name, text in helpers.items()]


def _header(*lines: str) -> str:
    return "".join(f"// {line}\n" for line in (f"siliquant {version('siliquant')}", *lines))


def _helper_name(name: str) -> str:
    return name if name.startswith(HELPER_PREFIX) else helper(name)


def _plain_names(rtlil: str, module: str) -> str:
    """The text without names that Verilog would have to escape: MODULE.PART of parts, NAME$NUMBER of namesakes."""
    return re.sub(r"(\\[A-Za-z_]\w*)\$(\d+)", r"\1__\2", rtlil.replace(f"\\{module}.", f"\\{module}_"))
