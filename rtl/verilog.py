"""From specs to portable Verilog-2001 and a manifest that says how to use it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from siliquant import processes
from siliquant.errors import ToolError
from siliquant.scratch import scratch

from .spec import MacSpec, Port

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = [
    "FULL_ADDER",
    "MEMORY",
    "Composite",
    "Elaborated",
    "Generated",
    "GenerationError",
    "Written",
    "manifest",
    "ports_manifest",
    "to_verilog",
]

FULL_ADDER = """\
module full_adder(input a, input b, input c, output sum, output carry);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
"""
"""The one leaf cell of every design. Synthesis may map it to a full-adder cell of the library."""

MEMORY = """\
module memory_1r1w #(parameter WIDTH = 1, DEPTH = 2, ADDRESS_WIDTH = 1)(
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


def to_verilog(specs: Sequence[Generated]) -> str:
    """Verilog of one module a spec, named ``spec.name``, of the parts of each, of ``full_adder``, and of memories.

    Equal specs give equal text, byte for byte, with the same tool versions. Registers have no initial values: what
    simulates is what is synthesised. Raises GenerationError where Yosys fails.
    """
    from amaranth.back import rtlil

    modules: dict[Generated, None] = {}
    for spec in specs:
        modules |= dict.fromkeys((*(spec.parts if isinstance(spec, Composite) else ()), spec))
    written = [module.verilog() for module in modules if isinstance(module, Written)]
    texts = [
        _plain_names(rtlil.convert(module.create(), name=module.name, emit_src=False), module.name)
        for module in modules
        if not isinstance(module, Written)
    ]
    with scratch("rtl") as folder:
        sources = []
        for number, text in enumerate(texts):
            sources.append(f"design{number}.il")
            (folder / sources[-1]).write_text(text)
        # Yosys takes no blanks in a path, so all names are relative; the worker needs nothing of these packages.
        worker = Path(__file__).with_name("rtlil_to_verilog.py")
        command = [sys.executable, "-P", str(worker), "design.v", *sources]
        done = processes.run(command, cwd=folder, env={**os.environ, "TMPDIR": "."})
        if done.returncode != 0:
            raise GenerationError(f"Yosys could not write Verilog: {done.stderr.strip() or done.stdout.strip()[-500:]}")
        body = (folder / "design.v").read_text()
    header = "".join(f"// {line}\n" for line in (f"siliquant {version('siliquant')}", *(spec.name for spec in specs)))
    body = "\n".join([body[body.index("module ") :], *written])
    leaves = FULL_ADDER + (f"\n{MEMORY}" if "\n  memory_1r1w #(" in body else "")
    return f"{header}\n{body}\n{leaves}"


def _plain_names(rtlil: str, module: str) -> str:
    """The text without names that Verilog would have to escape: MODULE.PART of parts, NAME$NUMBER of namesakes."""
    return re.sub(r"(\\[A-Za-z_]\w*)\$(\d+)", r"\1__\2", rtlil.replace(f"\\{module}.", f"\\{module}_"))


def ports_manifest(ports: Sequence[Port]) -> list[dict[str, Any]]:
    """Name, direction, width and packing of each port, as JSON types."""
    return [
        {
            "name": port.name,
            "direction": "input" if port.is_input else "output",
            "width": port.width,
            "packing": port.packing,
        }
        for port in ports
    ]


def manifest(spec: MacSpec) -> dict[str, Any]:
    """What a user of the module needs to know, as JSON types."""
    low, high = spec.accumulator_range
    return {
        "module": spec.name,
        "design": spec.design,
        "summary": spec.summary,
        "parameters": spec.parameters,
        "clock": "clk, rising edge",
        "reset": "rst, synchronous, high; empties the pipeline, the first operands after it must carry clear",
        "ports": ports_manifest(spec.ports),
        "latency_cycles": spec.latency,
        "accumulator_width": spec.accumulator_width,
        "accumulator_range": [low, high],
        "reduction_length": spec.reduction_length,
        "precisions": [
            {
                "weight_bits": precision.weight_bits,
                "activation_bits": precision.activation_bits,
                "activation_signed": precision.activation_signed,
                "weight_range": list(spec.weight_range(precision)),
                "activation_range": list(spec.activation_range(precision)),
                "products_per_step": spec.products_per_step(precision),
                "cycles_per_step": spec.cycles_per_step(precision),
            }
            for precision in spec.precisions
        ],
        "versions": {name: version(name) for name in ("siliquant", "amaranth", "pyosys")},
    }
