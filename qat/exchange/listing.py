"""The products of a QONNX graph as a list of GEMMs and their widths, as cost models read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from qat.network import role_of
from siliquant.inputs import InputError, short

from .checking import Array
from .reading import QuantisedProduct, input_shapes, left_out, products

__all__ = ["graph_gemms", "sample_of"]

_OPERATOR = re.compile(r"\.(MatMul|Gemm)(_\d+)?$")
_LAYER = re.compile(r"\.(\d+)\.")
_ENDS = frozenset({"patch_embedding", "stem", "pooler", "classifier", "lm_head"})
_OUTSIDE = _ENDS | {"downsampling"}
_MOST_BITS = 8


def sample_of(model: onnx.ModelProto) -> dict[str, Array]:
    """An input of zeros, of the shapes and types that the graph has."""
    shapes = input_shapes(model)
    types = {
        value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in model.graph.input
    }
    return {name: np.zeros(shape, types[name]) for name, shape in shapes.items()}


def graph_gemms(model: onnx.ModelProto) -> tuple[list[dict[str, Any]], dict[str, tuple[int, int]], list[str]]:
    """The fields of each GEMM of a workload file, in the order of execution; bits of weights (or of the second operand)
    and activations by name; and the nodes that multiply and are left out.

    Roles are told by names, as in our own networks; elsewhere they are unknown, and the first and the last product are
    the first and last layers.

    InputError where there is no product of two quantised operands, or one that no array here computes: more than 8
    bits, or an unsigned second operand.
    """
    found = list(products(model, sample_of(model)))
    if not found:
        raise InputError("a graph must have a MatMul or Gemm of two quantised operands (Quant, BipolarQuant)")
    gemms: list[dict[str, Any]] = []
    widths: dict[str, tuple[int, int]] = {}
    calls: dict[str, int] = {}
    for place, product in enumerate(found):
        name = _OPERATOR.sub("", product.name)
        _check(name, product)
        m, k, n, count = product.size
        role = _role(name)
        layer = None if role in _OUTSIDE else _LAYER.search(name)
        ends = role in _ENDS or (role == "unknown" and place in (0, len(found) - 1))
        bits = product.right.bits, product.left.bits
        if widths.setdefault(name, bits) != bits:
            raise InputError(f"calls of {short(name)} must have the same widths, not {widths[name]} and {bits}")
        gemms.append({
            "name": name, "role": role, "layer": int(layer[1]) if layer else None, "call": calls.get(name, 0),
            "m": m, "k": k, "n": n, "count": count, "heads": count if role in ("scores", "context") else 1,
            "ends": ends, "activation_signed": product.left.signed, "static": product.right.static,
            "bias": product.bias, "feeds_gemm": product.feeds,
        })  # fmt: skip
        calls[name] = calls.get(name, 0) + 1
    _share_heads(gemms)
    return gemms, widths, left_out(model, found)


def _check(name: str, product: QuantisedProduct) -> None:
    for what, operand in (("activations", product.left), ("weights", product.right)):
        if not 1 <= operand.bits <= _MOST_BITS:
            raise InputError(f"{what} of {short(name)} must have 1 to {_MOST_BITS} bits, not {operand.bits}")
    if not product.right.signed:
        raise InputError(f"the second operand of {short(name)} must be signed")
    if product.right.offset is not None:
        raise InputError(f"the second operand of {short(name)} must have no offset")


def _role(name: str) -> str:
    try:
        return role_of(name)
    except InputError:
        return "unknown"


def _share_heads(gemms: list[dict[str, Any]]) -> None:
    """Projections have the heads of the attention product of their layer."""
    heads: Mapping[int | None, int] = {gemm["layer"]: gemm["heads"] for gemm in gemms if gemm["role"] == "scores"}
    for gemm in gemms:
        if gemm["role"] in ("query", "key", "value", "projection"):
            gemm["heads"] = heads.get(gemm["layer"], 1)
