"""Whether a mutant that no test finds is one at all: whether it can ever be seen."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from siliquant.files import scratch
from siliquant.processes import run as processes
from siliquant.processes import shadows
from sim.fuzzing import Spec
from sim.simulators import ToolError

from .stimuli import Stimulus

__all__ = ["Answer", "check_assumed", "decide", "with_assumptions"]

Answer = str
"""equal: registers and outputs take the same in every cycle, whatever the registers hold that may be there together.
differs: they do not, from registers that may never hold that. open: the solver did not end in a minute.
"""


def check_assumed(spec: Spec, stimulus: Stimulus) -> None:
    """Raises ToolError where a stimulus drives controls that the solver takes for illegal."""
    if isinstance(spec, LoadableSpec):
        return
    names = _control_names(spec)
    legal = set(_controls(spec, names))
    places, low = {}, 0
    for name, width in stimulus.inputs:
        places[name] = low, (1 << width) - 1
        low += width
    for word in set(stimulus.cycles):
        given = {name: word >> low & mask for name, (low, mask) in places.items()}
        if given["in_valid"] and not given["rst"] and tuple(given[name] for name in names) not in legal:
            raise ToolError(f"{spec.name}: the tests drive controls that should not be: {given}")


def with_assumptions(spec: Spec, verilog: str) -> str:
    """The text, which assumes that registers of controls hold what is legal; all others may hold anything."""
    assumed = "".join(f"  always @* assume ({text});\n" for text in _assumptions(spec, verilog))
    head = verilog.index(f"module {spec.name} (")
    end = verilog.index("endmodule", head)
    return f"{verilog[:end]}{assumed}{verilog[end:]}"


def decide(spec: Spec, assumed: str, change: str) -> Answer:
    """What a solver says of one change to a text of :func:`with_assumptions`."""
    with scratch("mutants") as folder:
        (folder / "design.v").write_text(assumed)
        (folder / "decide.txt").write_text(change)
        command = shadows.command("sim.mutants.worker", "decide", spec.name)
        done = processes.run(command, cwd=folder, env={**os.environ, **processes.TEMPORARY_HERE})
    if "No matching port in " in done.stdout + done.stderr:
        return "differs"  # a register itself is another one
    if done.returncode != 0:
        raise ToolError(f"Yosys could not look at {change}: {(done.stderr or done.stdout).strip()[-300:]}")
    if "no model found: SUCCESS" in done.stdout:
        return "equal"
    return "differs" if "model found: FAIL" in done.stdout else "open"


def _assumptions(spec: Spec, verilog: str) -> Iterator[str]:
    """What registers of controls may hold, as expressions: the controls of one cycle together, in each stage."""
    if isinstance(spec, LoadableSpec):
        if re.search(r"\bgroup_in_q\b", verilog):
            yield f"group_in_q < {spec.group_width + 1}'d{spec.groups}"
        return
    names = _control_names(spec)
    legal = sorted(set(_controls(spec, names)))
    for suffix in ("_q", *(f"_p{stage}" for stage in range(1, spec.pipeline_stages + 2))):
        there = [place for place, name in enumerate(names) if re.search(rf"\breg .*\b{name}{suffix};", verilog)]
        known = sorted({tuple(words[place] for place in there) for words in legal})
        if there and known:
            yield " || ".join(
                "("
                + " && ".join(f"{names[place]}{suffix} == {word}" for place, word in zip(there, words, strict=True))
                + ")"
                for words in known
            )


def _control_names(spec: MacSpec) -> list[str]:
    return [port.name for port in spec.operand_ports if port.name not in ("weights", "activations")]


def _controls(spec: MacSpec, names: list[str]) -> Iterator[tuple[int, ...]]:
    for precision in spec.precisions:
        for used in range(1, spec.products_per_step(precision) + 1):
            weights = [spec.weight_values(precision).values[0]] * used
            activations = [spec.activation_values(precision).values[0]] * used
            packed = spec.pack(weights, activations, precision)
            yield from zip(*(packed[name] for name in names), strict=True)
