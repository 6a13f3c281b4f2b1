"""Widths of every GEMM, or of its heads, from a file of ``siliquant policy --out``, as overrides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siliquant.inputs import Bits, InputError, belongs, policy_widths, short

__all__ = ["policy_overrides", "with_policy"]

_WILD = frozenset("*?[]")


def with_policy(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of options by name; where one is ``policy``, its overrides come before those that are there, which win.

    ValueError and OSError as `policy_overrides`.
    """
    found = dict(values)
    if found.get("policy") is not None:
        own = found.get("override") or ()
        found["override"] = (*policy_overrides(Path(found["policy"])), *((own,) if isinstance(own, str) else own))
    return found


def policy_overrides(path: Path) -> tuple[str, ...]:
    """``NAME=WEIGHT_BITS/ACTIVATION_BITS`` of every GEMM in the file, both lists where its heads have widths of their
    own. ValueError, with the file, where it is not a policy; OSError where it cannot be read.
    """
    widths = policy_widths(path)
    with belongs(path, "a policy"):
        for name in widths:
            if _WILD & set(name):
                raise InputError(f"names must be those of single GEMMs, without * ? [ ], not {short(name)}")
    return tuple(f"{name}={_text(weights)}/{_text(activations)}" for name, (weights, activations) in widths.items())


def _text(bits: Bits) -> str:
    return str(bits) if isinstance(bits, int) else ",".join(map(str, bits))
