"""What a MAC design is, before any hardware exists: validated data with its golden model.

In: parameters. Out: :class:`MacSpec` (sums, ports, packing of operands, ``create()`` for the hardware),
:class:`Precision`, and :class:`CodeValues`, what the codes of a design stand for. Read ``mac`` and ``values``, then
``packing`` and ``layout`` (where codes lie in port words).
"""

from __future__ import annotations

from .layout import Field, fields_of
from .mac import MacSpec, Precision, UnusedProducts, parameter
from .multiplier import MultiplierMacSpec
from .numbers import (
    MAX_BITS,
    IntArray,
    check_flag,
    check_integer,
    check_widths,
    integers_of,
    pack_fields,
    read_widths,
    signed_range,
    sum_width,
    to_signed,
    widths_text,
)
from .packing import Packing, packing_of, word_bits
from .values import BIPOLAR, Bits, CodeValues, all_codes, codes_of, network_codes

__all__ = [
    "BIPOLAR",
    "MAX_BITS",
    "Bits",
    "CodeValues",
    "Field",
    "IntArray",
    "MacSpec",
    "MultiplierMacSpec",
    "Packing",
    "Precision",
    "UnusedProducts",
    "all_codes",
    "check_flag",
    "check_integer",
    "check_widths",
    "codes_of",
    "fields_of",
    "integers_of",
    "network_codes",
    "pack_fields",
    "packing_of",
    "parameter",
    "read_widths",
    "signed_range",
    "sum_width",
    "to_signed",
    "widths_text",
    "word_bits",
]
