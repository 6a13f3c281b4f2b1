"""Which units of each design are simulated: found from the parameters of its spec, so a new design needs no entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from rtl.spec import MAX_BITS, MacSpec

from .scenarios import pair_steps, some_precisions

__all__ = ["Case", "cases", "variants", "with_size"]

_COMMON = ("reduction_length", "pipeline_stages")
_SHAPES = ((1, 2), (3, 1), (2, 0), (5, 2), (1, 1), (7, 0), (3, 2), (4, 1), (11, 0), (6, 2), (1, 0), (16, 1))
"""Size and pipeline stages: one, odd, even, no power of two."""
_MOST_PAIR_CYCLES = 320_000


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
    """All simulations of a design: every pair of operands on small units, everything else on units of many shapes."""
    plain = variants(design)
    known = [*plain, *_forms(plain)]
    small = [_pair_spec(spec) for spec in known]
    # Units that need many cycles get a bench of their own, so that the others do not have to wait for them.
    long = tuple(spec for spec in small if _pair_cycles(spec) >= 1 << 15)
    short = tuple(spec for spec in small if spec not in long)
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
    """Units of the sizes and pipeline depths of _SHAPES, spread over the variants of a design."""
    chosen = [*known[:: max(1, len(known) // 9)], known[-1]]
    count = max(len(chosen), 5)
    return [_shape(chosen[k % len(chosen)], *_SHAPES[k % len(_SHAPES)]) for k in range(count)]


def _shape(spec: MacSpec, size: int, stages: int) -> MacSpec:
    """A unit whose longest sums do not take too many cycles to run."""
    spec = with_size(spec, size, pipeline_stages=stages)
    cycles = sum(spec.reduction_length / spec.macs_per_cycle(precision) for precision in some_precisions(spec))
    return spec if cycles < 8_000 else replace(spec, reduction_length=17 * size + 1)


def _pair_spec(spec: MacSpec) -> MacSpec:
    """The smallest unit that sees the pairs of operands at every precision soon enough."""
    size = 1
    while _pair_cycles(with_size(spec, size)) > _MOST_PAIR_CYCLES:
        size *= 2
    return with_size(spec, size)


def _pair_cycles(spec: MacSpec) -> int:
    """Cycles of :func:`sim.mac.scenarios.every_pair`."""
    return sum(pair_steps(spec, precision) * spec.cycles_per_step(precision) for precision in spec.precisions)
