"""Policies: the width of every GEMM of a network in a file, which training and cost models read alike.

A GEMM has one number for each operand. In the second version of the format one of attention may have a list of them
for each operand, one a head: files without such lists are written in the first, which earlier versions read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .errors import InputError, InputTypeError, short
from .reading import at, belongs, member, parse_json, read_text

__all__ = ["Bits", "policy_text", "policy_widths"]

Bits = int | tuple[int, ...]
"""Of an operand: one width, or one for each head."""
_FORMAT, _WITH_HEADS = "siliquant-policy 1", "siliquant-policy 2"
_MOST_BYTES = 16 << 20
_MOST_BITS = 8
_LEAST_OF_HEADS = 2
_MOST_HEADS = 1024
_WIDTHS = ("weight_bits", "activation_bits")


def policy_text(widths: Mapping[str, tuple[Bits, Bits]], about: Mapping[str, str]) -> str:
    """The file of the bits of weights and activations by GEMM, JSON with a line for each; ``about``: what else it says.

    Where both are tuples, one width a head, the format is the second.

    >>> print(policy_text({"layers.0.fc1": (2, 4)}, {"network": "mine"}), end="")
    {
     "format": "siliquant-policy 1",
     "network": "mine",
     "gemms": [
      {"name": "layers.0.fc1", "weight_bits": 2, "activation_bits": 4}
     ]
    }
    >>> print(policy_text({"layers.0.q_proj": ((2, 4), (2, 4))}, {}), end="")
    {
     "format": "siliquant-policy 2",
     "gemms": [
      {"name": "layers.0.q_proj", "weight_bits": [2, 4], "activation_bits": [2, 4]}
     ]
    }
    """
    heads = any(isinstance(bits, tuple) for both in widths.values() for bits in both)
    head = json.dumps({"format": _WITH_HEADS if heads else _FORMAT, **about}, indent=1).removesuffix("}").rstrip()
    gemms = [
        json.dumps({"name": name, **dict(zip(_WIDTHS, bits, strict=True))}, ensure_ascii=False)
        for name, bits in widths.items()
    ]
    lines = ",\n  ".join(gemms)
    return f'{head},\n "gemms": [\n  {lines}\n ]\n}}\n'


def policy_widths(path: Path) -> dict[str, tuple[Bits, Bits]]:
    """Bits of weights (or of the second operand) and of activations, 1 to 8, by GEMM, in the order of the file; of a
    GEMM whose heads have widths of their own two tuples of one length, each 2 to 8.

    Raises ValueError, with the file and the GEMM, where it is not one, and OSError where it cannot be read.
    """
    with belongs(path, "a policy, as siliquant policy writes it"):
        data = parse_json(read_text(path, _MOST_BYTES))
        if not isinstance(data, dict) or data.get("format") not in (_FORMAT, _WITH_HEADS):
            raise InputError(f"its format must be {_FORMAT!r} or {_WITH_HEADS!r}")
        found: dict[str, tuple[Bits, Bits]] = {}
        for number, entry in enumerate(member(data, "gemms", list), 1):
            with at(f"GEMM {number}"):
                name, widths = _entry(entry, heads=data["format"] == _WITH_HEADS)
                if name in found:
                    raise InputError(f"a GEMM must have one entry, and {short(name)} has two")
                found[name] = widths
        if not found:
            raise InputError("it must have at least one GEMM")
    return found


def _entry(entry: object, *, heads: bool) -> tuple[str, tuple[Bits, Bits]]:
    if not isinstance(entry, dict) or set(entry) != {"name", *_WIDTHS}:
        raise InputTypeError(f"a GEMM must be an object with name, {' and '.join(_WIDTHS)}, not {short(entry)}")
    lists = [isinstance(entry[what], list) for what in _WIDTHS]
    if heads and any(lists):
        weights, activations = (_of_heads(what, entry[what]) for what in _WIDTHS)
        if len(weights) != len(activations):
            raise InputError(
                f"{' and '.join(_WIDTHS)} must be of as many heads, not of {len(weights)} and {len(activations)}"
            )
        return member(entry, "name", str), (weights, activations)
    weight_bits, activation_bits = (member(entry, what, int) for what in _WIDTHS)
    for what, bits in zip(_WIDTHS, (weight_bits, activation_bits), strict=True):
        if not 1 <= bits <= _MOST_BITS:
            raise InputError(f"{what} must be an integer from 1 to {_MOST_BITS}, not {short(bits)}")
    return member(entry, "name", str), (weight_bits, activation_bits)


def _of_heads(what: str, given: object) -> tuple[int, ...]:
    if not isinstance(given, list):
        raise InputTypeError(f"{what} must be a list, one width a head, as the other operand's is, not {short(given)}")
    if not 1 <= len(given) <= _MOST_HEADS:
        raise InputError(f"{what} must be of 1 to {_MOST_HEADS} heads, not {len(given)}")
    for bits in given:
        if isinstance(bits, bool) or not isinstance(bits, int) or not _LEAST_OF_HEADS <= bits <= _MOST_BITS:
            raise InputError(
                f"{what} of a head must be an integer from {_LEAST_OF_HEADS} to {_MOST_BITS}, not {short(bits)}"
            )
    return tuple(given)
