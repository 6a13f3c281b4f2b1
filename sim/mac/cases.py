"""Which units of each design are simulated: found from the parameters of its spec, so a new design needs no entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from rtl.spec import MAX_BITS, MacSpec

from .scenarios import pair_steps, some_precisions

__all__ = ["Case", "cases", "pair_cycles", "variants", "with_size"]

_COMMON = ("reduction_length", "pipeline_stages")
_SHAPES = ((1, 2), (3, 1), (2, 0), (5, 2), (1, 1), (4, 0), (3, 2))
"""Size and pipeline stages: one, odd, even, no power of two."""
_MOST_GATES = 1_200
"""Of a unit of those shapes: what a simulator of more takes to compile says nothing that smaller ones do not."""
_SHORT_CYCLES = 1 << 15
"""All units whose pairs of operands take fewer are simulated with them."""
_MOST_PAIR_CYCLES = 160_000
"""Of the others the one whose pairs take most, up to these."""


@dataclass(frozen=True)
class Case:
    """Units that share a bench, and the tests they run (all where empty)."""

    name: str
    specs: tuple[MacSpec, ...]
    tests: tuple[str, ...]


def variants(design: type[MacSpec]) -> list[MacSpec]:
    """Every choice of the parameters that are neither sizes nor forms nor common to all designs, at the defaults of
    those.
    """
    choices: dict[str, Sequence[Any]] = {}
    forms = {item.name for item in fields(design) if item.metadata["form"]}
    for name, (default, _) in design.parameter_help().items():
        if name in forms:
            continue
        if isinstance(default, bool):
            choices[name] = (False, True)
        elif isinstance(default, tuple):
            choices[name] = tuple(dict.fromkeys([default, *(kind.get(name, default) for kind in design.variants())]))
        elif name not in (design.size_parameter, *_COMMON):
            choices[name] = range(1, MAX_BITS + 1) if name.endswith("_bits") else (default,)
    found = []
    for values in product(*choices.values()):
        try:
            found.append(design(**dict(zip(choices, values, strict=True))))
        except ValueError:
            continue  # a design may refuse a combination
    return found


def with_size(spec: MacSpec, size: int, **parameters: Any) -> MacSpec:
    """The same design with ``size`` lanes or units, and other parameters replaced."""
    return replace(spec, **{spec.size_parameter: size, **parameters})


def cases(design: type[MacSpec]) -> list[Case]:
    """All simulations of a design: every pair of operands on one unit, everything else on units of many shapes.

    Of the units whose pairs take long one is simulated, in another form than the first where there is one: what the
    gates of the compared kinds compute of each pair is compared by ``tests.exhaustive``, and parallel units are proved
    in every form. Serial units of widths that no compared kind has get random operands and extremes.
    """
    plain = variants(design)
    known = [*plain, *_forms(plain)]
    small = [with_size(spec, 1) for spec in known]
    short = tuple(spec for spec in small if pair_cycles(spec) < _SHORT_CYCLES)
    longer = [spec for spec in small if _SHORT_CYCLES <= pair_cycles(spec) <= _MOST_PAIR_CYCLES]
    # It has a bench of its own, so that the others do not have to wait for it.
    long = (max(longer, key=lambda spec: (pair_cycles(spec), spec.forms.index(spec))),) if longer else ()
    others = (
        "random_sums",
        "switches",
        "balanced_sums",
        "mixed_sums",
        "resets",
        "streamed_sums",
        "extremes",
        "longest_sums",
        "far_sums",
    )
    found = [
        Case("every pair", short, ("every_pair",)),
        Case("every pair, long", long, ("every_pair",)),
        Case("shapes", tuple(_shaped(known)), others),
    ]
    return [case for case in found if case.specs]


def _forms(known: Sequence[MacSpec]) -> list[MacSpec]:
    """Other forms of some variants, the last among them: each form of a design at several."""
    some = [*known[:: max(1, len(known) // 6)], known[-1]]
    return list(dict.fromkeys(spec.forms[-1 - number % (len(spec.forms) - 1)] for number, spec in enumerate(some)))


def _shaped(known: Sequence[MacSpec]) -> list[MacSpec]:
    """Units of the sizes and pipeline depths of _SHAPES, spread over the variants of a design: the more units, the
    fewer gates each.
    """
    chosen = list(dict.fromkeys([*(known[len(known) * k // 6] for k in range(6)), known[-1]]))
    chosen = [chosen[k % len(chosen)] for k in range(max(len(chosen), 5))]
    chosen.sort(key=lambda spec: len(with_size(spec, 1).build().circuit.gates))
    shapes = sorted(_SHAPES[: len(chosen)], reverse=True)
    return [_shape(spec, *shape) for spec, shape in zip(chosen, shapes, strict=True)]


def _shape(spec: MacSpec, size: int, stages: int) -> MacSpec:
    """A unit that is not too large, and whose longest sums do not take too many cycles to run."""
    while size > 1 and len(with_size(spec, size).build().circuit.gates) > _MOST_GATES:
        size -= 1
    spec = with_size(spec, size, pipeline_stages=stages)
    cycles = sum(spec.reduction_length / spec.macs_per_cycle(precision) for precision in some_precisions(spec))
    return spec if cycles < 8_000 else replace(spec, reduction_length=17 * size + 1)


def pair_cycles(spec: MacSpec) -> int:
    """Cycles of :func:`sim.mac.scenarios.every_pair`."""
    return sum(pair_steps(spec, precision) * spec.cycles_per_step(precision) for precision in spec.precisions)
