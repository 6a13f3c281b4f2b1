"""What a MAC design is, before any hardware exists: validated data with its golden model.

In: parameters. Out: :class:`MacSpec` (sums, ports, packing of operands, ``create()`` for the hardware) and
:class:`Precision`. Read ``mac``, then ``packing`` and ``layout`` (where codes lie in port words).
"""

from __future__ import annotations

from .layout import Field, fields_of
from .mac import (
    MAX_BITS,
    IntArray,
    MacSpec,
    Precision,
    UnusedProducts,
    check_integer,
    check_one_of,
    pack_fields,
    parameter,
    signed_range,
    sum_width,
    to_signed,
)
from .packing import Bits, from_bits, packing_of, to_bits, word_bits

__all__ = [
    "MAX_BITS",
    "Bits",
    "Field",
    "IntArray",
    "MacSpec",
    "Precision",
    "UnusedProducts",
    "check_integer",
    "check_one_of",
    "fields_of",
    "from_bits",
    "pack_fields",
    "packing_of",
    "parameter",
    "signed_range",
    "sum_width",
    "to_bits",
    "to_signed",
    "word_bits",
]
