"""Verilog as Yosys writes it, with numbers in place of names: the text that the flow synthesises and rows are keyed by.

Names and comments decide nothing in silicon, but the order in which a synthesis tool meets its nets does: areas of one
circuit written in two ways differ by a percent at times (docs/hardware.md says by how much these do).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.metadata import version

from rtl.names import FULL_ADDER_NAME
from siliquant.files import scratch
from siliquant.processes import TEMPORARY_HERE, module_command, run_program

from .blocks import Reset
from .convert import Generated, GenerationError, Written, with_parts, written

__all__ = ["numbered_verilog"]

_FULL_ADDER = f"""\
module {FULL_ADDER_NAME}(input a, input b, input c, output sum, output carry);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
"""


def numbered_verilog(specs: Sequence[Generated]) -> str:
    """One self-contained text with a module for each spec, named ``spec.name``, and what they instantiate.

    The circuit is that of :func:`rtl.verilog.to_verilog`. Raises GenerationError where Yosys fails.
    """
    from amaranth.back import rtlil

    named = with_parts(specs)
    texts = [
        _plain_names(rtlil.convert(spec.create(numbered=True), name=name, emit_src=False), name)
        for name, spec in named.items()
        if not isinstance(spec, Written)
    ]
    modules = _split(_yosys(texts)) if texts else {}
    for name, spec in named.items():
        if isinstance(spec, Written):
            modules |= written(name, spec, Reset.SYNCHRONOUS_HIGH)
    asked = list(dict.fromkeys(spec.name for spec in specs))
    head = "".join(f"// {line}\n" for line in (f"siliquant {version('siliquant')}", *asked))
    own = "\n".join(text for name, text in modules.items() if name in asked)
    inner = [text for name, text in modules.items() if name not in asked]
    guard = f"`ifndef {FULL_ADDER_NAME}_defined\n`define {FULL_ADDER_NAME}_defined\n{_FULL_ADDER}`endif\n"
    return "\n".join([f"{head}\n{own}", *inner, guard])


def _yosys(texts: Sequence[str]) -> str:
    """RTLIL texts as one Verilog text. Raises GenerationError."""
    with scratch("rtl") as folder:
        sources = []
        for number, text in enumerate(texts):
            sources.append(f"design{number}.il")
            (folder / sources[-1]).write_text(text)
        # Yosys takes no blanks in a path, so all names are relative.
        command = module_command("rtl.verilog.rtlil_worker", "design.v", *sources)
        done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
        if done.returncode != 0:
            raise GenerationError(f"Yosys could not write Verilog: {done.stderr.strip() or done.stdout.strip()[-500:]}")
        return (folder / "design.v").read_text()


def _split(verilog: str) -> dict[str, str]:
    """The modules of a text by name, in its order."""
    found = list(re.finditer(r"^module (\w+).*?^endmodule\n", verilog, flags=re.MULTILINE | re.DOTALL))
    if len(found) != len(re.findall(r"^module ", verilog, flags=re.MULTILINE)):
        raise GenerationError("Yosys wrote a module whose name is no plain identifier")
    return {module[1]: module[0] for module in found}


def _plain_names(rtlil: str, module: str) -> str:
    """The text without names that Verilog would have to escape: MODULE.PART of parts, NAME$NUMBER of namesakes."""
    return re.sub(r"(\\[A-Za-z_]\w*)\$(\d+)", r"\1__\2", rtlil.replace(f"\\{module}.", f"\\{module}_"))
