"""From specs to portable Verilog-2001 and a manifest that says how to use it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .spec import MacSpec

__all__ = ["FULL_ADDER", "GenerationError", "manifest", "to_verilog"]

FULL_ADDER = """\
module full_adder(input a, input b, input c, output sum, output carry);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
"""
"""The one leaf cell of every design. Synthesis may map it to a full-adder cell of the library."""


class GenerationError(RuntimeError):
    """Yosys did not turn the RTLIL of a design into Verilog."""


def to_verilog(specs: Sequence[MacSpec]) -> str:
    """Verilog of one module a spec, named ``spec.name``, and of ``full_adder``.

    Equal specs give equal text, byte for byte, with the same tool versions. Registers have no initial values: what
    simulates is what is synthesised. Raises GenerationError where Yosys fails.
    """
    from amaranth.back import rtlil

    texts = [rtlil.convert(spec.create(), name=spec.name, emit_src=False) for spec in dict.fromkeys(specs)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "design.il"), Path(folder, "design.v")
        sources = []
        for number, text in enumerate(texts):
            sources.append(source.with_stem(f"design{number}"))
            sources[-1].write_text(text)
        command = [sys.executable, "-m", "rtl.rtlil_to_verilog", str(target), *map(str, sources)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise GenerationError(f"Yosys could not write Verilog: {done.stderr.strip() or done.stdout.strip()[-500:]}")
        body = target.read_text()
    header = "".join(f"// {line}\n" for line in (f"siliquant {version('siliquant')}", *(spec.name for spec in specs)))
    modules = body[body.index("module ") :]
    return f"{header}\n{modules}\n{FULL_ADDER}"


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
        "ports": [
            {
                "name": port.name,
                "direction": "input" if port.is_input else "output",
                "width": port.width,
                "packing": port.packing,
            }
            for port in spec.ports
        ],
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
