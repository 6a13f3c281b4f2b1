"""Which kinds of a precision-scalable design run a mixture, and have no width that it does not need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwmodel.workload import Mixture, parts_of
from rtl.mac import Dc1dSpec
from rtl.spec import MacSpec

__all__ = ["kinds_of"]


def kinds_of(design: type[MacSpec], mixture: Mixture) -> tuple[MacSpec, ...]:
    """One unit of every kind of a design that runs the mixture, and has no width that it does not need.

    Raises ValueError where no kind is wide enough.
    """
    one: dict[str, Any] = {design.size_parameter: 1}
    kinds = [design(**one, **kind) for kind in _parameters(design, mixture)]
    found = tuple(kind for kind in kinds if mixture.fits(kind))
    if not found:
        mixture.run_on(kinds[0])  # raises
    return found


def _parameters(design: type[MacSpec], mixture: Mixture) -> Sequence[dict[str, Any]]:
    """Of the kinds to look at."""
    pairs = [parts_of(bits) for bits in mixture.widths]
    if not mixture.has_pairs:
        return design.kinds_for([bits for bits, _ in pairs])
    if issubclass(design, Dc1dSpec):  # weights divide, activations do not
        widest = max(bits for _, bits in pairs)
        return [{**kind, "activation_bits": widest} for kind in design.kinds_for(sorted({bits for bits, _ in pairs}))]
    of_operands = sorted({bits for pair in pairs for bits in pair})
    kinds = design.kinds_for(of_operands)
    if any(_has_pairs(design(**kind)) for kind in kinds):
        return kinds
    return design.kinds_for(sorted({max(pair) for pair in pairs}))  # both operands take the width of the wider one


def _has_pairs(spec: MacSpec) -> bool:
    return any(precision.weight_bits != precision.activation_bits for precision in spec.precisions)
