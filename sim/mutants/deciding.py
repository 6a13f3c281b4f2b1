"""Whether a mutant that no test finds is one at all: whether it can ever be seen."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from rtl.array import ArraySpec, control_image
from rtl.logic import placed
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from siliquant.files import scratch
from siliquant.processes import TEMPORARY_HERE, module_command, run_program
from sim.controllers import controller_fault
from sim.fuzzing import Spec
from sim.proofs import ProofError
from sim.simulators import ToolError

from .stimuli import Stimulus

__all__ = ["Answer", "check_assumed", "check_granted", "decide", "with_assumptions"]

_CLOCKED = re.compile(r"-port clk ", re.IGNORECASE)  # of a register, a memory, or a controller
Answer: TypeAlias = Literal["equal", "refused", "differs", "open"]
"""equal: registers and outputs take the same in every cycle, whatever the registers hold that may be there together; or
no output is ever another one after registers of 0 and a reset; or of a controller the proof of :mod:`sim.controllers`
holds. refused: it does not. differs: an output can be another one. open: the solver did not end in its time.
"""


def check_assumed(spec: Spec | ArraySpec, stimulus: Stimulus) -> None:
    """Raises ToolError where a stimulus drives controls that the solver takes for illegal."""
    legal: set[tuple[int, ...]]
    if isinstance(spec, ArraySpec):
        names, legal, when = ["control_data"], {(word,) for word in _control_words(spec)}, "load_control"
    elif isinstance(spec, MacSpec):
        names, when = _control_names(spec), "in_valid"
        legal = set(_controls(spec, names))
    else:
        return
    places = placed(stimulus.inputs)
    for word in set(stimulus.cycles):
        given = {name: word >> low & (1 << width) - 1 for name, low, width in places}
        if given[when] and not given["rst"] and tuple(given[name] for name in names) not in legal:
            raise ToolError(f"{spec.name}: the tests drive controls that should not be: {given}")


def with_assumptions(spec: Spec | ArraySpec, verilog: str) -> str:
    """The text, which assumes that registers of controls hold what is legal; all others may hold anything."""
    assumed = "".join(f"  always @* assume ({text});\n" for text in _assumptions(spec, verilog))
    head = verilog.index(f"module {spec.name} (")
    end = verilog.index("endmodule", head)
    return f"{verilog[:end]}{assumed}{verilog[end:]}"


def decide(spec: Spec | ArraySpec, assumed: str, change: str, part: str = "") -> Answer:
    """What a solver says of one change to a text of :func:`with_assumptions`, or to a part of it. Of a controller that
    is not the same from any registers, the proof is tried for the controllers of :mod:`sim.controllers`.
    """
    with scratch("mutants") as folder:
        (folder / "design.v").write_text(assumed)
        (folder / "decide.txt").write_text(change)
        answer = _answer(folder, spec.name, part, change)
        if answer == "equal" or _CLOCKED.search(change):  # what follows has one clock, that of all that is clocked
            return answer
        if not part:
            return _ever(folder, spec, change)
        assert isinstance(spec, ArraySpec)
        _worker(folder, "part", spec.name, part, change)
        (module,) = json.loads((folder / "part.json").read_text())["modules"].values()
    wire = re.search(r"-port Q .*-wire (\S+)", change)
    try:
        fault = controller_fault(spec, part, module, wire[1].lstrip("\\") if wire else "")
    except ProofError:  # it cannot be read
        return "open"
    return "refused" if fault else "equal"


def check_granted(spec: ArraySpec, assumed: str, cycles: int = 30) -> None:
    """Looks for a run that ends while operands or sums are on their way, which :func:`decide` takes for impossible, in
    the first ``cycles`` after registers of 0, for all control words and settings that the check accepts. Raises
    ProofError where there is one, where no run ends in these cycles, or where the solver does not end in its time.
    """
    with scratch("mutants") as folder:
        (folder / "design.v").write_text(assumed)
        given = {"inputs": list(_assumed_inputs(spec)), "accepted": _accepted(spec), "cycles": cycles}
        (folder / "assumed.json").write_text(json.dumps(given))
        _worker(folder, "granted", spec.name, "", "")
        said = json.loads((folder / "granted.json").read_text())
    if "was asserted in frame" in said["apart"]:
        raise ProofError(f"{spec.name}: a run ends while operands or sums are on their way")
    if not re.search(rf"No output asserted in {cycles} frames|UNSATISFIABLE|Property proved", said["apart"]):
        raise ProofError(f"{spec.name}: the solver did not look at {cycles} cycles in its time")
    if "was asserted in frame" not in said["ended"]:  # nothing was looked at
        raise ProofError(f"{spec.name}: no run ends in {cycles} cycles")


def _answer(folder: Path, name: str, part: str, change: str) -> Answer:
    said = _worker(folder, "decide", name, part, change, "No matching port in ")
    if "No matching port in " in said:
        return "differs"  # a register itself is another one
    if "no model found: SUCCESS" in said:
        return "equal"
    return "differs" if "model found: FAIL" in said else "open"


def _ever(folder: Path, spec: Spec | ArraySpec, change: str) -> Answer:
    """Whether a change can be seen at an output, a reset and legal inputs being all that is assumed."""
    given = {"inputs": list(_assumed_inputs(spec)), "accepted": _accepted(spec)}
    (folder / "assumed.json").write_text(json.dumps(given))
    said = _worker(folder, "never", spec.name, "", change)
    if "Property proved" in said or "UNSATISFIABLE" in said:  # the second where nothing but a constant is left
        return "equal"
    return "differs" if "was asserted in frame" in said else "open"


def _worker(folder: Path, what: str, name: str, part: str, change: str, allowed: str = "") -> str:
    """What Yosys says. Raises ToolError where it fails, unless it says what is allowed."""
    command = module_command("sim.mutants.worker", what, name, part)
    done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
    said = str(done.stdout) + str(done.stderr)
    if done.returncode != 0 and not (allowed and allowed in said):
        raise ToolError(f"Yosys could not look at {change}: {said.strip()[-300:]}")
    return said


def _assumptions(spec: Spec | ArraySpec, verilog: str) -> Iterator[str]:
    """What registers of controls may hold, as expressions: the controls of one cycle together, in each stage."""
    if isinstance(spec, ArraySpec):
        return
    if isinstance(spec, LoadableSpec):
        if re.search(r"\bgroup_in_q\b", verilog):
            yield f"group_in_q < {spec.group_width + 1}'d{spec.groups}"
        return
    names = _control_names(spec)
    legal = sorted(set(_controls(spec, names)))
    for suffix in ("_q", *(f"_p{stage}" for stage in range(1, spec.pipeline_stages + 2))):
        there = [place for place, name in enumerate(names) if re.search(rf"\breg .*\b{name}{suffix};", verilog)]
        if there and legal:
            yield _one_of([f"{names[place]}{suffix}" for place in there], [[word[p] for p in there] for word in legal])


def _assumed_inputs(spec: Spec | ArraySpec) -> Iterator[str]:
    """What legal inputs are, as expressions over ports: legal controls of a MAC, a parameter set that is there of a
    unit, of an array that words of control tables are what is read from their memory.
    """
    if isinstance(spec, ArraySpec):
        yield _one_of(["read_control_0"], sorted({(word,) for word in _control_words(spec)}))
        return
    if isinstance(spec, LoadableSpec):
        yield f"!in_valid || rst || group < {spec.group_width + 1}'d{spec.groups}"
        return
    names = _control_names(spec)
    if names:
        yield f"!in_valid || rst || {_one_of(names, sorted(set(_controls(spec, names))))}"


def _accepted(spec: Spec | ArraySpec) -> dict[str, int]:
    """The largest number that each size of a run may be for the check of settings to accept it; empty where there is
    no such check.
    """
    if not isinstance(spec, ArraySpec):
        return {}
    tiles = spec.result_depth // spec.drain_rows
    return {
        "run_steps": min(spec.weight_depth, spec.activation_depth),
        "run_weight_planes": min(spec.weight_depth, spec.control_cycles),
        "run_activation_planes": min(spec.activation_depth, spec.control_cycles),
        "run_row_tiles": min(spec.activation_depth, tiles),
        "run_column_tiles": min(spec.weight_depth, tiles),
    }


def _one_of(names: Sequence[str], words: Iterable[Sequence[int]]) -> str:
    """That the signals hold one of these, together."""
    known = sorted({tuple(each) for each in words})
    each = (" && ".join(f"{name} == {word}" for name, word in zip(names, values, strict=True)) for values in known)
    return " || ".join(f"({text})" for text in each)


def _control_words(spec: ArraySpec) -> Iterator[int]:
    """What control tables hold."""
    for precision in spec.mac.precisions:
        for k in range(1, spec.mac.products_per_step(precision) + 1):
            yield from (word for _, word in control_image(spec, k, precision))


def _control_names(spec: MacSpec) -> list[str]:
    return [port.name for port in spec.operand_ports if port.name not in ("weights", "activations")]


def _controls(spec: MacSpec, names: list[str]) -> Iterator[tuple[int, ...]]:
    for precision in spec.precisions:
        for used in range(1, spec.products_per_step(precision) + 1):
            weights = [spec.weight_values(precision).values[0]] * used
            activations = [spec.activation_values(precision).values[0]] * used
            packed = spec.pack(weights, activations, precision)
            yield from zip(*(packed[name] for name in names), strict=True)
