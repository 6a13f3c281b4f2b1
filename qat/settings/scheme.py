"""What is quantised to how many bits, with which scales: the whole choice as data."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from siliquant.inputs import InputError, InputTypeError

from .ranges import GradientScale, check_bits

__all__ = ["Override", "Scheme", "Widths"]

Bits = int | tuple[int, ...]


@dataclass(frozen=True)
class Widths:
    """Bit-widths of one GEMM: of its weights (or second operand) and of its activations.

    An int, or one int for each head where the operand has heads.
    """

    weight_bits: Bits
    activation_bits: Bits


@dataclass(frozen=True)
class Override:
    """Other bit-widths for the GEMMs whose name matches `pattern` (shell wildcards: `*.mlp.fc2`, `*layers.0.*`).

    A tuple of widths gives each head its own; None keeps what the scheme says.
    """

    pattern: str
    weight_bits: Bits | None = None
    activation_bits: Bits | None = None

    def __post_init__(self) -> None:
        for name in ("weight_bits", "activation_bits"):
            bits = getattr(self, name)
            if isinstance(bits, list):
                object.__setattr__(self, name, bits := tuple(bits))
            for b in bits if isinstance(bits, tuple) else () if bits is None else (bits,):
                check_bits(b, name, lowest=1)
            if isinstance(bits, tuple) and (not bits or 1 in bits):
                raise InputError(f"{name} of single heads must be from 2 to 8, not {bits}")


@dataclass(frozen=True)
class Scheme:
    """How a model is quantised.

    Args:
        weight_bits, activation_bits: 1 to 8; 1 is elastic binarisation.
        first_last_bits: weights and activations of the patch embedding (stem) and the classifier; 2 to 8.
        granularity: "head": one scale a module, and one a head in attention (module-dependent quantisation);
            "tensor": one scale a tensor; "channel": weights by output channel, activations by tensor.
        output_by_head: with "head", whether the output projection has a scale for each head on its input side, which
            in integer hardware needs a rescaled partial sum a head; else one scale for its input and its weight.
        weight_scale: "learned" (LSQ), or not learned and following the weights: "statistical" (2 * mean|w| / sqrt(Qp)),
            "statsq" (2 * mean|w| / 2^(b-1)).
        scale_start: "error": the least squared error, on the weights or a few batches; "mean": 2 * mean|x| / sqrt(Qp).
        query_key: "separate": both are projected and quantised; "reparameterised": one layer with the product of their
            weights, whose scores are with the layer's input; "fused": that product as a weight of its own, as integers
            have it.
        gradient_scale: what gradients of scales are multiplied by.
        overrides: other widths by GEMM name, the last match wins.
    """

    weight_bits: int = 4
    activation_bits: int = 4
    first_last_bits: int = 8
    granularity: Literal["head", "tensor", "channel"] = "head"
    output_by_head: bool = True
    weight_scale: Literal["learned", "statistical", "statsq"] = "learned"
    scale_start: Literal["error", "mean"] = "error"
    gradient_scale: GradientScale = GradientScale.L1
    overrides: tuple[Override, ...] = ()
    query_key: Literal["separate", "reparameterised", "fused"] = "separate"

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, "weight_bits", lowest=1)
        check_bits(self.activation_bits, "activation_bits", lowest=1)
        check_bits(self.first_last_bits, "first_last_bits")
        for name, allowed in (
            ("granularity", ("head", "tensor", "channel")),
            ("weight_scale", ("learned", "statistical", "statsq")),
            ("scale_start", ("error", "mean")),
            ("query_key", ("separate", "reparameterised", "fused")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not isinstance(self.gradient_scale, GradientScale):
            raise InputTypeError(f"gradient_scale must be a GradientScale, not {self.gradient_scale!r}")
        if self.weight_scale != "learned" and self.weight_bits == 1:
            raise InputError(f"weight_scale must be learned at weight_bits 1, not {self.weight_scale!r}")

    def widths(self, name: str, *, first_or_last: bool = False) -> Widths:
        """The widths of the GEMM of that name."""
        if first_or_last:
            chosen = Widths(self.first_last_bits, self.first_last_bits)
        else:
            chosen = Widths(self.weight_bits, self.activation_bits)
        for override in self.overrides:
            if fnmatch.fnmatchcase(name, override.pattern):
                changed = {
                    field: bits
                    for field in ("weight_bits", "activation_bits")
                    if (bits := getattr(override, field)) is not None
                }
                chosen = replace(chosen, **changed)
        return chosen

    def unused(self, names: Sequence[str]) -> list[str]:
        """Patterns of overrides that match none of the names."""
        return [o.pattern for o in self.overrides if not any(fnmatch.fnmatchcase(n, o.pattern) for n in names)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it.  Where query and key are separate, as they were in all schemes of
        earlier versions, nothing is said of them, so that those can be read by both.
        """
        plain = {**asdict(self), "gradient_scale": self.gradient_scale.value}
        return {name: value for name, value in plain.items() if (name, value) != ("query_key", "separate")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scheme:
        """TypeError or ValueError for an unknown field or a value that is not allowed."""
        _check_fields("a scheme", cls, data)
        values = dict(data)
        if "gradient_scale" in values:
            allowed = [kind.value for kind in GradientScale]
            if values["gradient_scale"] not in allowed:
                wrong = values["gradient_scale"]
                raise InputError(f"gradient_scale must be one of {', '.join(allowed)}, not {wrong!r}")
            values["gradient_scale"] = GradientScale(values["gradient_scale"])
        overrides = values.get("overrides", ())
        if not isinstance(overrides, list | tuple) or not all(isinstance(o, Mapping) for o in overrides):
            raise InputTypeError(f"overrides must be a list of objects, not {overrides!r}")
        for override in overrides:
            _check_fields("an override", Override, override)
            if not isinstance(override.get("pattern"), str):
                raise InputTypeError(f"pattern of an override must be text, not {override.get('pattern')!r}")
        values["overrides"] = tuple(Override(**override) for override in overrides)
        return cls(**values)


def _check_fields(what: str, kind: type[Scheme] | type[Override], data: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(data) - known):
        raise InputError(f"{what} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}")
