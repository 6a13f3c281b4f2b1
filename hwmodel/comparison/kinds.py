"""Which kinds of a precision-scalable design run a mixture, and have no width that it does not need."""

from __future__ import annotations

from typing import Any

from hwmodel.workload import Mixture, parts_of
from rtl.spec import MacSpec

__all__ = ["kinds_of"]


def kinds_of(design: type[MacSpec], mixture: Mixture) -> tuple[MacSpec, ...]:
    """One unit of every kind of a design that runs the mixture, and has no width that it does not need.

    Raises ValueError where no kind is wide enough.
    """
    one: dict[str, Any] = {design.size_parameter: 1}
    pairs = [parts_of(bits) for bits in mixture.widths]
    wanted = design.kinds_for_pairs(pairs) if mixture.has_pairs else design.kinds_for([bits for bits, _ in pairs])
    kinds = [design(**one, **kind) for kind in wanted]
    found = tuple(kind for kind in kinds if mixture.fits(kind))
    if not found:
        mixture.run_on(kinds[0])  # raises
    return found
