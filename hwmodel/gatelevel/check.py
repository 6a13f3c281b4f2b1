"""One design in one library: synthesised by several recipes, each netlist proved, and simulated from power-up on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from hwmodel.library import Library, LibraryCells
from hwmodel.synthesis import Mapped, Recipe, Workspace, recipes

from .designs import Spec
from .proof import GateProof, Undecided, prove_gates
from .simulation import Seen, simulate_gates
from .stimuli import power_up

__all__ = ["GateCheck", "check_gates", "recipes_of"]

SEEDS = (1,)
"""Of runs in which registers are 0 or 1 at first."""


@dataclass(frozen=True)
class GateCheck:
    """A netlist beside its RTL. proved: None where ABC found neither a proof nor a difference in time. unknown: the run
    with unknown values. drawn: runs with random values in their place. own: with the library's own Verilog, if any.
    """

    name: str
    design: str
    library: str
    recipe: str
    cells: int
    proved: GateProof | None
    unknown: Seen
    drawn: tuple[Seen, ...]
    own: Seen | None
    seconds: float


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
) -> list[GateCheck]:
    """Checks the netlist of each recipe against the Verilog that ``gen`` writes.

    models: the library's own Verilog. seconds: for each proof. Raises Mismatch where a netlist differs, SynthesisError
    and SimulationError where a tool fails.
    """
    from rtl.verilog import numbered_verilog, to_verilog

    verilog, cells, power = to_verilog([spec]), LibraryCells(library.files.library()), power_up(spec)
    found = []
    # Rows are of the Verilog with numbers for names, which synthesis takes sooner; this proves that it is the same.
    with Workspace(numbered_verilog([spec]), spec.name, library) as workspace:
        for recipe in chosen:
            start = time.perf_counter()
            mapped = workspace.synthesise(clock_mhz, recipe=recipe)

            def run(mapped: Mapped = mapped, **how: object) -> Seen:
                return simulate_gates(verilog, mapped, cells, power, **how)  # type: ignore[arg-type]

            try:
                proved: GateProof | None = prove_gates(verilog, mapped, cells, seconds=seconds)
            except Undecided:
                proved = None
            found.append(
                GateCheck(
                    spec.name,
                    spec.design,
                    library.name,
                    mapped.recipe,
                    sum(mapped.cells.values()),
                    proved,
                    run(),
                    tuple(run(seed=seed) for seed in SEEDS),
                    None if models is None else run(models=models),
                    round(time.perf_counter() - start, 2),
                )
            )
    return found
