"""Graphs of QONNX from other programs: their products of quantised operands, with codes, widths and sizes.

A graph is run on one input by ONNX's reference implementation, and every MatMul and Gemm is looked at: where both
operands come from quantisers through nothing but changes of shape, it is a product of integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from siliquant.inputs import InputError, belongs, read_bytes, short

from .checking import Array, evaluator

__all__ = ["Operand", "QuantisedProduct", "input_shapes", "left_out", "products", "read_graph"]

_MOST_BYTES = 2 << 30
_PRODUCTS = frozenset({"MatMul", "Gemm"})
_MULTIPLY = _PRODUCTS | {"Conv", "ConvTranspose", "Einsum"}
_QUANTISERS = frozenset({"Quant", "IntQuant", "BipolarQuant"})
_SHAPES = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Expand"})
"""Operators that move elements and change none."""


@dataclass(frozen=True)
class Operand:
    """One operand of a product: codes [..., rows, K], int64; of weights [..., N, K].

    scale: of one step, broadcast to the operand before it was moved; offset: what is added to each value, or None.
    static: it is a weight.
    """

    codes: Array
    bits: int
    signed: bool
    scale: Array
    offset: Array | None
    static: bool


@dataclass(frozen=True)
class QuantisedProduct:
    """A node whose operands are integers: left [..., M, K] times right [..., N, K] transposed. result: what the graph
    computed, before a bias. bias: whether one is added. feeds: its sums are quantised again with nothing between.
    """

    name: str
    left: Operand
    right: Operand
    result: Array
    bias: bool
    feeds: bool

    @property
    def size(self) -> tuple[int, int, int, int]:
        """M, K, N, and how many such products there are."""
        (*batch, m, k), n = self.left.codes.shape, self.right.codes.shape[-2]
        many = int(np.prod(batch, dtype=np.int64))
        return (m * many, k, n, 1) if self.right.codes.ndim == 2 else (m, k, n, many)


def read_graph(path: Path) -> onnx.ModelProto:
    """The graph in a file of at most 2 GiB, checked. ValueError where it is none; OSError where it cannot be read."""
    with belongs(path, "an ONNX file"):
        content = read_bytes(path, _MOST_BYTES)
        try:
            model = onnx.load_model_from_string(content)
            if any(each.external_data for each in model.graph.initializer):
                raise InputError("its tensors must be in the file itself, not in others")
            onnx.checker.check_model(model)
        except InputError:
            raise
        except Exception as error:  # the checker and Protocol Buffers have errors of their own
            raise InputError(short(" ".join(str(error).split()), 200)) from None
    return model


def input_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs; a size that is left open is 1. InputError for an input without a shape."""
    constants = {each.name for each in model.graph.initializer}
    found = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            raise InputError(f"the input {short(value.name)} must have a shape")
        found[value.name] = tuple(max(size.dim_value, 1) for size in kind.shape.dim)
    return found


def products(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> Iterator[QuantisedProduct]:
    """The products of integers, in the order of execution. InputError where a quantiser of the graph has more than
    this one knows: a zero point, several widths in one node, or another rounding.
    """
    tensors = _computed(model, inputs)
    tensors |= {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    constants = _constants(model)
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in model.graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        left, right = (_operand(name, tensors, makers, constants) for name in node.input[:2])
        if left is None or right is None or min(left.codes.ndim, right.codes.ndim) < 2:
            continue
        given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if given.get("alpha", 1.0) != 1.0:
            raise InputError(f"{short(node.name)} must have alpha 1, not {given['alpha']}")
        first = left.codes.swapaxes(-1, -2) if given.get("transA") else left.codes
        second = right.codes if given.get("transB") else right.codes.swapaxes(-1, -2)
        result = tensors[node.output[0]]
        if len(node.input) > 2:
            result = result - given.get("beta", 1.0) * tensors[node.input[2]]
        added, feeds = _after(node.output[0], readers, constants)
        yield QuantisedProduct(
            node.name or node.output[0], replace(left, codes=first), replace(right, codes=second), np.asarray(result),
            added or len(node.input) > 2, feeds,
        )  # fmt: skip


def _after(name: str, readers: Mapping[str, Sequence[onnx.NodeProto]], constants: frozenset[str]) -> tuple[bool, bool]:
    """Whether a constant is added to a tensor, and whether it is then quantised, moved at most."""
    bias = False
    while len(found := readers.get(name, ())) == 1:
        (node,) = found
        if node.op_type in _QUANTISERS:
            return bias, node.input[0] == name
        constant = node.op_type == "Add" and any(other in constants for other in node.input)
        if not constant and not (node.op_type in _SHAPES and node.input[0] == name):
            break
        bias |= constant
        name = node.output[0]
    return bias, False


def _computed(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Every tensor of the graph. InputError where it cannot be run."""
    try:
        return evaluator(model)(inputs)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever an operator raises for what it is given
        said = short(" ".join(str(error).split()), 200)
        raise InputError(f"the graph must run on one sample of zeros, but: {type(error).__name__}: {said}") from None


def _constants(model: onnx.ModelProto) -> frozenset[str]:
    """Tensors that no input changes: what is in the file."""
    made = (name for node in model.graph.node if node.op_type == "Constant" for name in node.output)
    return frozenset((*(each.name for each in model.graph.initializer), *made))


def left_out(model: onnx.ModelProto, found: Sequence[QuantisedProduct]) -> list[str]:
    """Names of the nodes that multiply and are none of these products: of floats, or of operands that are not read."""
    names = {product.name for product in found}
    nodes = [node for node in model.graph.node if node.op_type in _MULTIPLY]
    return [name for node in nodes if (name := node.name or node.output[0]) not in names]


def _operand(
    name: str, tensors: Mapping[str, Array], makers: Mapping[str, onnx.NodeProto], constants: frozenset[str]
) -> Operand | None:
    """What a tensor is where it comes from a quantiser through changes of shape; None elsewhere."""
    path: list[onnx.NodeProto] = []
    node, offset = makers.get(name), None
    while node is not None and (node.op_type in _SHAPES or (node.op_type == "Add" and offset is None)):
        if node.op_type == "Add":
            first, second = node.input
            value, constant = (first, second) if second in constants else (second, first)
            if constant not in constants:
                return None
            offset = tensors[constant]
        else:
            path.append(node)
            value = node.input[0]
        node = makers.get(value)
    if node is None or node.op_type not in _QUANTISERS:
        return None
    given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    x, scale = tensors[node.output[0]], tensors[node.input[1]]
    bipolar = node.op_type == "BipolarQuant"
    bits = 1 if bipolar else int(tensors[node.input[3]].item())
    codes = np.rint(x / scale).astype(np.int64)
    for each in reversed(path):
        codes = _moved(each, codes, tensors)
    static = node.input[0] in constants
    return Operand(codes, bits, bipolar or bool(given.get("signed", 1)), scale, offset, static)


def _moved(node: onnx.NodeProto, codes: Array, tensors: Mapping[str, Array]) -> Array:
    """Codes as a node moves its values."""
    given: dict[str, Any] = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Transpose":
        return codes.transpose(given.get("perm") or tuple(reversed(range(codes.ndim))))
    if node.op_type == "Expand":
        return np.broadcast_to(codes, tensors[node.output[0]].shape)
    return codes.reshape(tensors[node.output[0]].shape)
