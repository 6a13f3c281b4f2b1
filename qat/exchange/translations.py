"""What the operators of `qat.exchange.nodes` are in a file.

``qonnx``: Quant(x, scale, 0, bits) and BipolarQuant(x, scale) of QONNX (Pappalardo et al., 2022): float32 values on a
grid. ``onnx``: Clip, QuantizeLinear and DequantizeLinear of ONNX; the integers between have the narrowest type of
ONNX that holds them, 4 or 8 bits, and signs are chosen by Where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from onnx import TensorProto
from onnx.defs import OpSchema
from onnxscript import opset21 as onnx
from onnxscript.values import Op, Opset

__all__ = ["DOMAIN", "OPSET", "translations"]

DOMAIN = "qonnx.custom_op.general"
OPSET = 21
"""Of ONNX: the first with integers of 4 bits in QuantizeLinear."""
_QONNX = Opset(DOMAIN, 1)
_TYPES: Mapping[tuple[bool, int], int] = MappingProxyType(
    {
        (signed, bits): int(getattr(TensorProto, f"{'' if signed else 'U'}INT{bits}"))
        for signed in (False, True)
        for bits in (4, 8)
    }
)
"""By sign and bits."""


def translations(form: str) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Of each operator, what writes its node; ``form``: qonnx or onnx."""
    integer, bipolar = (_quant, _bipolar_quant) if form == "qonnx" else (_linear, _sign)
    return {
        torch.ops.siliquant.integer_node.default: integer,
        torch.ops.siliquant.bipolar_node.default: bipolar,
    }


def _operator(name: str, inputs: Sequence[str], attributes: Mapping[str, OpSchema.AttrType]) -> Op:
    """An operator of QONNX, which onnxscript knows none of: all its operands are float32."""
    kinds = OpSchema.FormalParameter
    return Op(_QONNX, name, OpSchema(
        name, DOMAIN, 1, inputs=[kinds(each, "T") for each in inputs], outputs=[kinds("y", "T")],
        type_constraints=[("T", ["tensor(float)"], "")],
        attributes=[OpSchema.Attribute(each, kind, required=True) for each, kind in attributes.items()],
    ))  # fmt: skip


_QUANT = _operator(
    "Quant",
    ("x", "scale", "zeropt", "bitwidth"),
    {"signed": OpSchema.AttrType.INT, "narrow": OpSchema.AttrType.INT, "rounding_mode": OpSchema.AttrType.STRING},
)
_BIPOLAR_QUANT = _operator("BipolarQuant", ("x", "scale"), {})


def _quant(x: Any, scale: Any, low: int, high: int, _: bool) -> Any:
    zero, bits = _number(0), _number((high - low).bit_length())
    return _QUANT(x, scale, zero, bits, signed=int(low < 0), narrow=0, rounding_mode="ROUND")


def _bipolar_quant(x: Any, scale: Any) -> Any:
    return _BIPOLAR_QUANT(x, scale)


def _linear(x: Any, scale: Any, low: int, high: int, inside: bool) -> Any:
    """Bounds first: an integer type of ONNX may have more codes."""
    bits, signed = (high - low).bit_length(), low < 0
    kind = _TYPES[signed, 4 if bits <= 4 else 8]
    if not inside:
        return onnx.Mul(_integers(onnx.Div(x, scale), None, bits, low, high, kind), scale)
    if not len(scale.shape):
        return _integers(x, scale, bits, low, high, kind)
    axis = len(x.shape) - len(scale.shape)
    if bits not in (4, 8):
        x = _bounded(x, scale, low, high)
    whole: Any = onnx.Constant(value_ints=[-1])
    flat = onnx.Reshape(scale, whole)
    return onnx.DequantizeLinear(onnx.QuantizeLinear(x, flat, axis=axis, output_dtype=kind), flat, axis=axis)


def _integers(x: Any, scale: Any, bits: int, low: int, high: int, kind: int) -> Any:
    """scale: one number, None for 1."""
    if bits not in (4, 8):
        x = onnx.Clip(x, _number(low), _number(high)) if scale is None else _bounded(x, scale, low, high)
    scale = _number(1) if scale is None else scale
    return onnx.DequantizeLinear(onnx.QuantizeLinear(x, scale, output_dtype=kind), scale)


def _bounded(x: Any, scale: Any, low: int, high: int) -> Any:
    if not len(scale.shape):
        return onnx.Clip(x, onnx.Mul(scale, _number(low)), onnx.Mul(scale, _number(high)))
    return onnx.Max(onnx.Min(x, onnx.Mul(scale, _number(high))), onnx.Mul(scale, _number(low)))


def _number(value: int) -> Any:
    return onnx.Constant(value_float=float(value))


def _sign(x: Any, scale: Any) -> Any:
    return onnx.Where(onnx.GreaterOrEqual(x, _number(0)), scale, onnx.Neg(scale))
