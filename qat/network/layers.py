"""Quantised linear, convolution and attention layers.

Their outputs are defined by integers: codes of both operands, accumulators, then scales, offsets and bias in float64,
rounded once to float32.  With an engine set (`qat.integers.integer`) the accumulators are the engine's; in evaluation
they are computed here, as exactly, so that the network that is evaluated is the one that is exported, bit for bit.

In training fake-quantised floats are multiplied, which is faster and differs by float noise.  Where the sums go
straight to a quantiser of one bit, noise would decide the many that lie exactly on its threshold: there training has
the exact values too, with the gradients of the floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qat.quantisers import PerHead, Quantizer
from siliquant.inputs import InputError

from .decoder import SteadySoftmax
from .gemm import Engine, Product, exact_sums

__all__ = [
    "Borrowed",
    "QuantContext",
    "QuantConv2d",
    "QuantGemm",
    "QuantLinear",
    "QuantScores",
    "for_heads",
    "quantized_attention",
]


class _ValuesOf(torch.autograd.Function):
    """The exact values, with the gradient of the floats that they stand for."""

    generate_vmap_rule = True

    @staticmethod
    def forward(floats: Tensor, exact: Tensor) -> Tensor:
        return exact.view_as(exact)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.to(ctx.dtype), None


M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Borrowed(Generic[M]):
    """A module of another one, which lists its parameters and its state; who borrows it does not list them too."""

    module: M


class QuantGemm(nn.Module):
    """What all quantised layers share: a name, what feeds them, and the engine of the integer path.

    `feeds_one_bit`: its sums become codes of one bit with nothing between; they are exact in training too.
    `first_or_last`: it is no part of a block, but an embedding, a stem, a pooler or a classifier.
    `as_floats`: floats are multiplied in evaluation too, but where it feeds one bit: as in graphs of other programs.
    """

    def __init__(self, name: str, sources: tuple[str, ...]) -> None:
        super().__init__()
        self.gemm_name = name
        self.sources = sources
        self.engine: Engine | None = None
        self.feeds_one_bit = False
        self.as_floats = False
        self.first_or_last = False

    def operands(self) -> tuple[Quantizer, Quantizer]:
        """Quantisers of the first operand (activations) and of the second (weights, keys, values)."""
        raise NotImplementedError

    def bits_of(self, head: int) -> tuple[int, int]:
        """Widths of both operands where only the part of a head is computed."""
        first, second = self.operands()
        return first.bits[head % first.groups], second.bits[head % second.groups]

    def product(self, left: Tensor, right: Tensor, head: int | None = None) -> Tensor:
        """Accumulators as float64, to be changed at will, from the engine if there is one; `head` where only its part
        is computed.
        """
        first, second = self.operands()
        left_bits, right_bits = (max(first.bits), max(second.bits)) if head is None else self.bits_of(head)
        if self.engine is None:
            return exact_sums(self.gemm_name, left, right, left_bits, right_bits).double()
        accumulators = self.engine(
            Product(
                name=self.gemm_name,
                part=head,
                left=left,
                right=right,
                left_bits=left_bits,
                left_signed=first.signed,
                right_bits=right_bits,
                right_signed=second.signed,
            )
        )
        return accumulators.to(torch.float64, copy=True)

    def exact(self, left: Tensor, right: Tensor) -> bool:
        """Whether the output for these quantised operands is computed from their codes: in evaluation, and before a
        quantiser of one bit.  Not while operands pass as they are, without codes (scales are searched, groups are off),
        nor in half precision, where values no longer tell their codes.
        """
        if (self.training or self.as_floats) and not self.feeds_one_bit:
            return False
        coded = not any(getattr(each, "passes", True) for each in self.operands())
        return coded and all(each.dtype in (torch.float32, torch.float64) for each in (left, right))

    def exactly(self, values: Callable[[], Tensor], floats: Callable[[], Tensor], *leaves: Tensor | None) -> Tensor:
        """`values`, with the gradient of `floats` where one of `leaves` wants it."""
        with torch.no_grad():
            exact = values()
        if torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves):
            result: Tensor = _ValuesOf.apply(floats(), exact)
            return result
        return exact


class _WeightGemm(QuantGemm):
    """A product with a learned weight; `input_quantizer` may belong to another module that quantises for several."""

    def __init__(
        self,
        name: str,
        sources: tuple[str, ...],
        weight: Tensor,
        bias: Tensor | None,
        weight_quantizer: Quantizer,
        input_quantizer: Quantizer,
        shared_input: bool = False,
    ) -> None:
        super().__init__(name, sources)
        self.weight = cast(nn.Parameter, weight)
        self.bias = cast(nn.Parameter | None, bias)
        self.weight_quantizer = weight_quantizer
        self.shared_input = shared_input
        if shared_input:
            self.shared_quantizer = Borrowed(input_quantizer)
        else:
            self.input_quantizer = input_quantizer

    @property
    def activations(self) -> Quantizer:
        """The quantiser of the input."""
        return self.shared_quantizer.module if self.shared_input else self.input_quantizer

    def operands(self) -> tuple[Quantizer, Quantizer]:
        return self.activations, self.weight_quantizer

    def quantized_input(self, x: Tensor) -> Tensor:
        return x if self.shared_input else self.activations(x)

    def weight_codes(self) -> Tensor:
        """int64, in the shape of the weight."""
        return self.weight_quantizer.to_int(self.weight)

    @property
    def outputs(self) -> int:
        """Output features: the size of the weight's axis 0."""
        return self.weight.shape[0]

    def rows(self, values: Tensor) -> Tensor:
        """One value for each output feature from one a tensor, a head or a channel of the weight's axis 0."""
        return values.repeat_interleave(self.outputs // len(values))


def _heads_on_reduction(quantizer: Quantizer, axes: tuple[int, ...]) -> bool:
    return quantizer.groups > 1 and isinstance(quantizer.granularity, PerHead) and quantizer.granularity.axis in axes


class QuantLinear(_WeightGemm):
    """y = quantised(x) @ quantised(weight).T + bias; x [..., in], weight [out, in].

    `copy_of_head`: where heads along the outputs read the input at different widths, the copy of it that each reads:
    its quantiser sees [..., copies, in], with a width and a scale for each copy. Else empty.
    """

    copy_of_head: tuple[int, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias  # once: they may be computed
        if self.engine is not None:
            return self._integer(self.activations.to_int(self._copies(x)), self.weight_quantizer.to_int(weight), bias)
        left, right = self.quantized_input(self._copies(x)), self.weight_quantizer(weight)
        if not self.exact(left, right):
            return self._floats(left, right, bias)
        return self.exactly(
            lambda: self._integer(self.activations.codes_of(left), self.weight_quantizer.codes_of(right), bias),
            lambda: self._floats(left, right, bias),
            left,
            right,
            bias,
        )

    def _copies(self, x: Tensor) -> Tensor:
        """What the input's quantiser sees: the input, or a copy of it for each width."""
        if not self.copy_of_head:
            return x
        return x.unsqueeze(-2).expand(*x.shape[:-1], self.activations.groups, x.shape[-1])

    def _floats(self, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """The output from the values of both operands."""
        if not self.copy_of_head:
            return F.linear(left, right, bias)
        copies, heads = left.unbind(-2), len(self.copy_of_head)
        biases = [None] * heads if bias is None else bias.chunk(heads)
        parts = zip(self.copy_of_head, right.chunk(heads), biases, strict=True)
        return torch.cat([F.linear(copies[copy], rows, part) for copy, rows, part in parts], -1)

    def bits_of(self, head: int) -> tuple[int, int]:
        if not self.copy_of_head:
            return super().bits_of(head)
        return self.activations.bits[self.copy_of_head[head]], self.weight_quantizer.bits[head]

    @property
    def partial_sums(self) -> int:
        """Accumulators with a scale of their own that make one output: the heads, if they lie along the input."""
        for quantizer, axes in ((self.activations, (-1,)), (self.weight_quantizer, (1, -1))):
            if _heads_on_reduction(quantizer, axes):
                return quantizer.groups
        return 1

    def _integer(self, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """The output from the codes of both operands."""
        input_scale, weight_scale = self.activations.scale.double(), self.weight_quantizer.scale.double()
        copies = self.copy_of_head
        if self.partial_sums > 1:
            result = torch.zeros(1, dtype=torch.float64, device=left.device)
            parts = zip(left.chunk(self.partial_sums, -1), right.chunk(self.partial_sums, 1), strict=True)
            for head, (part_left, part_right) in enumerate(parts):
                scale = input_scale[head % len(input_scale)] * weight_scale[head % len(weight_scale)]
                result = result + self.product(part_left, part_right, head) * scale
        else:
            if copies or len(set(self.weight_quantizer.bits)) > 1:
                parts_of_rows = enumerate(right.chunk(self.weight_quantizer.groups, 0))
                read = [left[..., copy, :] for copy in copies] or [left] * self.weight_quantizer.groups
                accumulators = torch.cat([self.product(read[head], rows, head) for head, rows in parts_of_rows], -1)
            else:
                accumulators = self.product(left, right)
            if copies:
                input_scale = self.rows(input_scale[list(copies)])
            result = accumulators.mul_(self.rows(weight_scale) * input_scale)
        if self.activations.offset is not None:
            # sum of offset * weight over the reduction: the same for every input.
            sums = right.double().sum(1) * self.rows(weight_scale)
            result = result.add_(sums * self.activations.offset.detach().double())
        if bias is not None:
            result = result.add_(bias.detach().double())
        return result.to(self.weight_quantizer.relative.dtype)


class QuantConv2d(_WeightGemm):
    """A convolution of a quantised image by a quantised kernel; zero padding, groups 1 or depthwise."""

    def __init__(
        self,
        convolution: nn.Conv2d,
        name: str,
        sources: tuple[str, ...],
        weight_quantizer: Quantizer,
        input_quantizer: Quantizer,
    ) -> None:
        super().__init__(name, sources, convolution.weight, convolution.bias, weight_quantizer, input_quantizer)
        if convolution.groups not in (1, convolution.in_channels) or convolution.padding_mode != "zeros":
            raise InputError(
                f"{name} must be a convolution with zero padding, of 1 group or depthwise, "
                f"not {convolution.groups} groups with padding {convolution.padding_mode!r}"
            )
        self.geometry: dict[str, Any] = {
            "stride": convolution.stride,
            "padding": convolution.padding,
            "dilation": convolution.dilation,
        }
        self.kernel_size = convolution.kernel_size
        self.groups = convolution.groups

    def forward(self, x: Tensor) -> Tensor:
        if self.engine is not None:
            return self._integer(self.activations.to_int(x), self.weight_codes())
        left, right = self.quantized_input(x), self.weight_quantizer(self.weight)
        if not self.exact(left, right):
            return self._floats(left, right)
        return self.exactly(
            lambda: self._by_samples(self.activations.codes_of(left), self.weight_quantizer.codes_of(right)),
            lambda: self._floats(left, right),
            left,
            right,
            self.bias,
        )

    def _floats(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.cuts_patches(x):
            return self._patches(x, weight)
        return F.conv2d(x, weight, self.bias, groups=self.groups, **self.geometry)

    def cuts_patches(self, x: Tensor) -> bool:
        """Whether each pixel of `x` is read once: patches side by side, as in the embedding of a transformer."""
        fits = all(size % kernel == 0 for size, kernel in zip(x.shape[2:], self.kernel_size, strict=True))
        plain = self.geometry["padding"] == (0, 0) and self.geometry["dilation"] == (1, 1)
        return fits and plain and self.groups == 1 and self.geometry["stride"] == self.kernel_size

    def _patches(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution as one matrix product, whose gradient for the input is much cheaper on a CPU."""
        high, wide = self.kernel_size
        rows, columns = x.shape[2] // high, x.shape[3] // wide
        grid = x.unflatten(3, (columns, wide)).unflatten(2, (rows, high)).permute(0, 2, 4, 1, 3, 5)
        return F.linear(grid.flatten(3), weight.flatten(1), self.bias).permute(0, 3, 1, 2)

    def _by_samples(self, left: Tensor, right: Tensor) -> Tensor:
        """The output, a few samples at a time: kernels that overlap have many times the elements of the image."""
        if torch.compiler.is_compiling():  # a program for any number of samples
            return self._integer(left, right)
        area = self.kernel_size[0] * self.kernel_size[1]
        strides = self.geometry["stride"][0] * self.geometry["stride"][1]
        once = max(1, _UNFOLDED * strides // max(1, left[0].numel() * area)) if len(left) else 1
        return torch.cat([self._integer(part, right) for part in left.split(once)])

    def _integer(self, left: Tensor, right: Tensor) -> Tensor:
        """The output from the codes of both operands."""
        batch, channels = left.shape[:2]
        # Codes are small integers: float32 holds them, and unfold has no integer version.
        patches = F.unfold(left.float(), self.kernel_size, **self.geometry).to(left.dtype)
        if self.groups == 1:
            accumulators = self.product(patches.transpose(1, 2), right.flatten(1)).transpose(1, 2)
        else:
            by_channel = patches.view(batch, channels, -1, patches.shape[-1]).transpose(2, 3)
            accumulators = self.product(by_channel, right.view(channels, -1, right[0].numel())).transpose(2, 3)
            accumulators = accumulators.flatten(1, 2)
        scale = self.rows(self.weight_quantizer.scale.double()) * self.activations.scale.double()
        result = accumulators.mul_(scale.view(1, -1, 1))
        if self.bias is not None:
            result = result.add_(self.bias.detach().double().view(1, -1, 1))
        height, width = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                left.shape[2:], *(self.geometry[k] for k in ("padding", "dilation")), self.kernel_size,
                self.geometry["stride"], strict=True,
            )
        )  # fmt: skip
        return result.view(batch, -1, height, width).to(self.weight.dtype)


class _AttentionGemm(QuantGemm):
    """A product of two activations, head by head: operands [batch, heads, tokens, ...].

    `sharing`: heads of the first operand, side by side, that have one of the second (grouped-query attention; Ainslie
    et al., EMNLP 2023).
    """

    def __init__(
        self, name: str, sources: tuple[str, ...], first: Quantizer, second: Quantizer, sharing: int = 1
    ) -> None:
        super().__init__(name, sources)
        self.first = first
        self.second = second
        self.sharing = sharing

    def operands(self) -> tuple[Quantizer, Quantizer]:
        return self.first, self.second

    def bits_of(self, head: int) -> tuple[int, int]:
        first, second = self.operands()
        return first.bits[head % first.groups], second.bits[head // self.sharing % second.groups]

    def integer_product(self, left: Tensor, right: Tensor) -> Tensor:
        """[batch, heads, M, N] from codes [batch, heads, M, K] and [batch, heads, N, K], scaled and rounded once."""
        first, second = self.operands()
        right = for_heads(right, left.shape[1])
        if len(set(first.bits)) > 1 or len(set(second.bits)) > 1:
            heads = [self.product(left[:, h], right[:, h], h) for h in range(left.shape[1])]
            accumulators = torch.stack(heads, 1)
        else:
            accumulators = self.product(left, right)
        scale = second.scale.double()
        if 1 < len(scale) < left.shape[1]:
            scale = scale.repeat_interleave(left.shape[1] // len(scale))
        result = accumulators.mul_((first.scale.double() * scale).view(1, -1, 1, 1))
        return result.to(first.relative.dtype)


class QuantScores(_AttentionGemm):
    """query @ key.T of each head.  The quantisers see [batch, tokens, heads, head_dim]."""

    def forward(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """float32 [batch, heads, tokens, keys], times `scaling`, from [batch, heads, tokens, head_dim] and
        [batch, heads / sharing, keys, head_dim].
        """
        query, key = query.transpose(1, 2), key.transpose(1, 2)
        if self.engine is not None:
            return self._integer(self.first.to_int(query), self.second.to_int(key), scaling)
        left, right = self.first(query), self.second(key)
        if not self.exact(left, right):
            return self._floats(left, right, scaling)
        return self.exactly(
            lambda: self._integer(self.first.codes_of(left), self.second.codes_of(right), scaling),
            lambda: self._floats(left, right, scaling),
            left,
            right,
        )

    def _integer(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        return self.integer_product(query.transpose(1, 2), key.transpose(1, 2)) * scaling

    @staticmethod
    def _floats(query: Tensor, key: Tensor, scaling: float) -> Tensor:
        left = query.transpose(1, 2)
        batch, heads, tokens, _ = left.shape
        right = for_heads(key.permute(0, 2, 3, 1), heads)
        # The scaling comes with the product, not as a pass of its own; beta=0 says that the first operand is not read.
        products = torch.baddbmm(left.new_empty(()), left.flatten(0, 1), right.flatten(0, 1), beta=0, alpha=scaling)
        return products.view(batch, heads, tokens, -1)


class QuantContext(_AttentionGemm):
    """probabilities @ value of each head.  Probabilities are unsigned."""

    def forward(self, probabilities: Tensor, value: Tensor, dropout: float) -> Tensor:
        """float32 [batch, heads, tokens, head_dim] from [batch, heads, tokens, keys] and those of values, which are
        [batch, heads / sharing, keys, head_dim].
        """
        value = value.transpose(1, 2)
        if self.engine is not None:
            return self._integer(self.first.to_int(probabilities), self.second.to_int(value))
        left, right = self.first(probabilities), self.second(value)
        kept = F.dropout(left, dropout, training=dropout > 0)
        if not self.exact(left, right) or dropout >= 1:
            return self._floats(kept.to(right.dtype), right)
        # Dropout leaves some codes out and makes up for it by a factor, which the sums take instead.
        rest = 1 - dropout
        return self.exactly(
            lambda: self._integer(self.first.codes_of(kept * rest), self.second.codes_of(right)) / rest,
            lambda: self._floats(kept, right),
            left,
            right,
        )

    @staticmethod
    def _floats(probabilities: Tensor, value: Tensor) -> Tensor:
        return torch.matmul(probabilities, for_heads(value.transpose(1, 2), probabilities.shape[1]))

    def _integer(self, probabilities: Tensor, value: Tensor) -> Tensor:
        return self.integer_product(probabilities, value.permute(0, 2, 3, 1))


def for_heads(shared: Tensor, heads: int) -> Tensor:
    """[batch, heads, ...] from [batch, shared heads, ...]: each as often, side by side, as queries share it."""
    return shared if shared.shape[1] == heads else shared.repeat_interleave(heads // shared.shape[1], 1)


_UNFOLDED = 1 << 23  # elements of kernels side by side that are held at once


def quantized_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention of a module, by its quantised `scores` and `context` if it has them, as transformers calls it.

    query, key, value: [batch, heads, tokens, head_dim], key and value of fewer heads where queries share them.  Returns
    [batch, tokens, heads, head_dim] and the unquantised probabilities [batch, heads, tokens, tokens].
    """
    score, combine = getattr(module, "scores", None), getattr(module, "context", None)
    scaling = scaling if scaling is not None else 1 / math.sqrt(query.shape[-1])
    # A model built from the configuration of a quantised one comes here too, and has floats to multiply.
    if isinstance(score, QuantScores):
        scores = score(query, key, scaling)
    else:
        scores = torch.matmul(query, for_heads(key, query.shape[1]).transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    own = getattr(module, "softmax", None)
    probabilities = own(scores) if isinstance(own, SteadySoftmax) else F.softmax(scores, dim=-1)
    if isinstance(combine, QuantContext):
        context = combine(probabilities, value, dropout)
    else:
        kept = F.dropout(probabilities.to(value.dtype), dropout, training=dropout > 0)
        context = torch.matmul(kept, for_heads(value, kept.shape[1]))
    return context.transpose(1, 2).contiguous(), probabilities
