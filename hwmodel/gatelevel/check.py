"""One design in one library: synthesised by several recipes, each netlist proved, and simulated from power-up on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hwmodel.library import Library, LibraryCells
from hwmodel.operands import Mismatch
from hwmodel.synthesis import Recipe, ToolMissing, Workspace, recipes
from siliquant.inputs import InputError, ToolError

from .designs import Spec
from .kept import GateCheck, keep_check, kept_check
from .proof import Undecided, prove_gates
from .simulation import Seen, simulate_gates
from .stimuli import power_up

__all__ = ["Failure", "check_gates", "recipes_of"]

SEEDS = (1,)
"""Of runs in which registers are 0 or 1 at first."""


@dataclass(frozen=True)
class Failure:
    """A netlist, named by text, that differs from its RTL, or of which a tool that failed says nothing."""

    text: str
    differs: bool


def recipes_of(library: Library, number: int, count: int) -> tuple[Recipe, ...]:
    """``count`` recipes of all that the flow has for a library, so that designs in turn, by number, take all."""
    known = recipes("high", library.full_adder is not None)
    return tuple(known[(number * count + place) % len(known)] for place in range(min(count, len(known))))


def check_gates(
    spec: Spec,
    library: Library,
    chosen: Sequence[Recipe],
    *,
    clock_mhz: float = 500.0,
    models: str | None = None,
    seconds: float = 600.0,
    fresh: bool = False,
) -> Iterator[GateCheck | Failure]:
    """Checks the netlist of each recipe against the Verilog that ``gen`` writes.

    Each result comes as soon as it is there, and is kept; what is known comes first. models: the library's own Verilog.
    seconds: for each proof. fresh: nothing is taken from what is kept. Raises ToolMissing.
    """
    from rtl.verilog import numbered_verilog, to_verilog

    verilog, numbered = to_verilog([spec]), numbered_verilog([spec])
    texts = hashlib.sha256(json.dumps([verilog, numbered, models]).encode()).hexdigest()
    question = (spec.name, dict(spec.parameters), texts, library.use_sha256, clock_mhz, SEEDS)
    known = {} if fresh else {recipe: kept_check(*question, recipe.name) for recipe in chosen}
    yield from (found for found in known.values() if found is not None)
    left = [recipe for recipe in chosen if known.get(recipe) is None]
    if not left:
        return
    cells, power = LibraryCells(library.files.library()), power_up(spec)

    def checked(workspace: Workspace, recipe: Recipe) -> GateCheck:
        start = time.perf_counter()
        mapped = workspace.synthesise(clock_mhz, recipe=recipe)

        def run(**how: Any) -> Seen:
            return simulate_gates(verilog, mapped, cells, power, **how)

        proved, undecided = None, None
        try:
            proved = prove_gates(verilog, mapped, cells, seconds=seconds)
        except Undecided as error:
            undecided = str(error)
        found = GateCheck(
            spec.name,
            spec.design,
            library.name,
            mapped.recipe,
            sum(mapped.cells.values()),
            proved,
            undecided,
            run(),
            tuple(run(seed=seed) for seed in SEEDS),
            None if models is None else run(models=models),
            round(time.perf_counter() - start, 2),
        )
        if proved is not None:
            keep_check(found, *question, recipe.name)
        return found

    # Rows are of the Verilog with numbers for names, which synthesis takes sooner; this proves that it is the same.
    place = f"{spec.name} in {library.name}"
    try:
        with Workspace(numbered, spec.name, library) as workspace:
            for recipe in left:
                place = f"{spec.name} by {recipe.name} in {library.name}"
                try:
                    outcome: GateCheck | Failure = checked(workspace, recipe)
                except ToolMissing:
                    raise
                except (ToolError, InputError, Mismatch) as error:
                    outcome = Failure(f"{place}: {error}", isinstance(error, Mismatch))
                yield outcome
    except ToolMissing:
        raise
    except ToolError as error:
        yield Failure(f"{place}: {error}", differs=False)
