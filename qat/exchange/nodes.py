"""Quantisers as nodes of a graph: operators that compute their values, and modules that call them.

    siliquant::integer_node(x, scale, low, high, inside)   scale * round(clamp(x / scale, low, high))
    siliquant::bipolar_node(x, scale)                      scale where x >= 0, else -scale

Both compute in float32, scales broadcast to `x`; ``inside``: whether the scale belongs into the nodes of integers.
What a node of a file means is said in `qat.exchange.translations`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.network import gemms, quantizers, query_key_products, weight_quantizers
from qat.quantisers import ElasticBinarizer, PerChannel, PerHead, Quantizer
from siliquant.inputs import InputError

__all__ = ["QuantNode", "with_nodes"]


@torch.library.custom_op(
    "siliquant::integer_node",
    mutates_args=(),
    schema="(Tensor x, Tensor scale, int low, int high, bool inside) -> Tensor",
)
def integer_node(x: Tensor, scale: Tensor, low: int, high: int, inside: bool) -> Tensor:
    return (x / scale).clamp(low, high).round() * scale


@torch.library.custom_op("siliquant::bipolar_node", mutates_args=(), schema="(Tensor x, Tensor scale) -> Tensor")
def bipolar_node(x: Tensor, scale: Tensor) -> Tensor:
    return torch.where(x >= 0, scale, -scale)


@integer_node.register_fake
def _(x: Tensor, scale: Tensor, low: int, high: int, inside: bool) -> Tensor:
    return torch.empty_like(x)


@bipolar_node.register_fake
def _(x: Tensor, scale: Tensor) -> Tensor:
    return torch.empty_like(x)


class QuantNode(nn.Module):
    """In the place of a quantiser, with its values, bit for bit: one node for each width."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        granularity = quantizer.granularity
        self.axis = granularity.axis if isinstance(granularity, PerHead | PerChannel) else None
        self.bits, self.signed, self.groups = quantizer.bits, quantizer.signed, quantizer.groups
        self.granularity = granularity
        self.register_buffer("scale", quantizer.scale.detach().clone())
        self.scale: Tensor
        self.offset = quantizer.offset
        # What is subtracted before: of one bit a threshold, which is not added again.
        binary = isinstance(quantizer, ElasticBinarizer)
        before = quantizer.threshold if isinstance(quantizer, ElasticBinarizer) else quantizer.offset
        moved = before is not None and bool((before != 0).any())
        self.register_buffer("shift", before.detach().clone() if moved and before is not None else None)
        self.shift: Tensor | None
        self.back = moved and not binary
        self.mirrored = binary and quantizer.signed  # signs are +1 above the threshold only, BipolarQuant's at 0 too
        # Programs that multiply integers take one scale for all, or one for each output of a weight.
        self.inside = quantizer.groups == 1 or (quantizer.of_weight and self.axis == 0)
        self._codes_of = quantizer.codes_of

    @property
    def relative(self) -> Tensor:
        """In the dtype of values, as a quantiser's is."""
        return self.scale

    @property
    def passes(self) -> bool:
        """Whether what comes out has no codes, as of a quantiser."""
        return False

    def codes_of(self, values: Tensor) -> Tensor:
        """The codes that `forward` gave these values for."""
        return self._codes_of(values)

    def forward(self, x: Tensor) -> Tensor:
        """The values of `x`, float32, in its shape."""
        if len(set(self.bits)) == 1:
            return self._node(x, slice(None))
        assert self.axis is not None
        size = x.shape[self.axis] // len(self.bits)
        parts = x.split(size, self.axis)
        return torch.cat([self._node(part, slice(head, head + 1)) for head, part in enumerate(parts)], self.axis)

    def _node(self, x: Tensor, groups: slice) -> Tensor:
        scale = self._along(self.scale[groups], x.shape)
        shift = None if self.shift is None else self._along(self.shift[groups], x.shape)
        if self.mirrored:
            return -torch.ops.siliquant.bipolar_node(-x if shift is None else shift - x, scale)
        if shift is not None:
            x = x - shift
        bits = self.bits[groups][0]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)
        values: Tensor = torch.ops.siliquant.integer_node(x, scale, low, high, self.inside)
        return values + shift if self.back and shift is not None else values

    def _along(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """One value for all, or one for each element of the axis, so that it broadcasts to `shape`."""
        if len(values) == 1:
            return values.reshape(())
        assert self.axis is not None
        axis = self.axis % len(shape)
        return values.repeat_interleave(shape[axis] // len(values)).view(-1, *(1,) * (len(shape) - axis - 1))


def with_nodes(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of a quantised model in evaluation mode, with a node in the place of every quantiser.

    InputError where a weight is the product of two.
    """
    made = copy.deepcopy(model).eval()
    if products := query_key_products(made):
        raise InputError(
            f"query_key must be separate for an ONNX file: the weight of {products[0].gemm_name} is a product"
        )
    for layer in gemms(made).values():
        layer.as_floats = True
    for weight, quantizer in weight_quantizers(made).values():
        quantizer.refresh(weight)  # a scale that follows it
    nodes = {id(quantizer): QuantNode(quantizer) for quantizer in quantizers(made).values()}
    for module in list(made.modules()):
        for child, part in list(module.named_children()):
            if id(part) in nodes:
                setattr(module, child, nodes[id(part)])
    return made
