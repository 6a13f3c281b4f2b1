"""Policies: the width of every GEMM of a network in a file, which training and cost models read alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .errors import InputError, InputTypeError, short
from .reading import at, belongs, member, parse_json, read_text

__all__ = ["policy_text", "policy_widths"]

_FORMAT = "siliquant-policy 1"
_MOST_BYTES = 16 << 20
_MOST_BITS = 8
_WIDTHS = ("weight_bits", "activation_bits")


def policy_text(widths: Mapping[str, tuple[int, int]], about: Mapping[str, str]) -> str:
    """The file of the bits of weights and activations by GEMM, JSON with a line for each; ``about``: what else it says.

    >>> print(policy_text({"layers.0.fc1": (2, 4)}, {"network": "mine"}), end="")
    {
     "format": "siliquant-policy 1",
     "network": "mine",
     "gemms": [
      {"name": "layers.0.fc1", "weight_bits": 2, "activation_bits": 4}
     ]
    }
    """
    head = json.dumps({"format": _FORMAT, **about}, indent=1).removesuffix("}").rstrip()
    gemms = [
        json.dumps({"name": name, **dict(zip(_WIDTHS, bits, strict=True))}, ensure_ascii=False)
        for name, bits in widths.items()
    ]
    lines = ",\n  ".join(gemms)
    return f'{head},\n "gemms": [\n  {lines}\n ]\n}}\n'


def policy_widths(path: Path) -> dict[str, tuple[int, int]]:
    """Bits of weights (or of the second operand) and of activations, 1 to 8, by GEMM, in the order of the file.

    Raises ValueError, with the file and the GEMM, where it is not one, and OSError where it cannot be read.
    """
    with belongs(path, "a policy, as siliquant policy writes it"):
        data = parse_json(read_text(path, _MOST_BYTES))
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise InputError(f"its format must be {_FORMAT!r}")
        found: dict[str, tuple[int, int]] = {}
        for number, entry in enumerate(member(data, "gemms", list), 1):
            with at(f"GEMM {number}"):
                name, *bits = _entry(entry)
                if name in found:
                    raise InputError(f"a GEMM must have one entry, and {short(name)} has two")
                found[name] = (bits[0], bits[1])
        if not found:
            raise InputError("it must have at least one GEMM")
    return found


def _entry(entry: object) -> tuple[str, int, int]:
    if not isinstance(entry, dict) or set(entry) != {"name", *_WIDTHS}:
        raise InputTypeError(f"a GEMM must be an object with name, {' and '.join(_WIDTHS)}, not {short(entry)}")
    weight_bits, activation_bits = (member(entry, what, int) for what in _WIDTHS)
    for what, bits in zip(_WIDTHS, (weight_bits, activation_bits), strict=True):
        if not 1 <= bits <= _MOST_BITS:
            raise InputError(f"{what} must be an integer from 1 to {_MOST_BITS}, not {short(bits)}")
    return member(entry, "name", str), weight_bits, activation_bits
