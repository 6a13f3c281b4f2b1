"""Query-key reparameterisation (QKR; Liu et al., OFQ, ICML 2023): the product of both weights is quantised, not each.

With x and x' two tokens, of C elements, and head h:

    q . k = (W_q x + b_q) . (W_k x' + b_k) = (M x + u) . x' + (W_q x + b_q) . b_k,   M = W_k^T W_q,  u = W_k^T b_q

The last term is the same for every x' and falls out of the softmax over them.  So a linear layer t = M x + u, whose
weight is the product [heads * C, C], takes the place of both projections, and scores are t . x' of the quantised input.
These are two integer products as all others, without the quantised keys, of which the second sums C products, not the
size of a head.

While it is trained the weights of query and key stay apart, and their product is computed in float64 and quantised as
a whole; in the integers (`query_key` "fused" of the scheme) it is a weight of its own.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from qat.quantisers import Quantizer
from siliquant.inputs import InputError

from .annealing import near_a_border
from .layers import Borrowed, QuantGemm, QuantLinear, QuantScores

__all__ = ["PassedInput", "ReparameterisedLinear", "ReparameterisedScores", "check_head_size", "fused"]


def fused(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """W_k^T W_q of each head, one below the other: [heads * C, C] (or [heads * C] for a bias) from [heads * d, C]."""
    by_head = key.double().reshape(heads, -1, key.shape[-1]).transpose(1, 2)
    other = query.double().reshape(heads, by_head.shape[2], -1)
    return (by_head @ other).reshape(heads * key.shape[-1], *query.shape[1:]).to(query.dtype)


class PassedInput(nn.Module):
    """In the place of the key projection: its input as it is.  It keeps the projection's parameters, if they are given;
    the bias is never trained, as the scores do not depend on it.
    """

    def __init__(self, projection: nn.Linear | None) -> None:
        super().__init__()
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if projection is not None:
            self.weight, self.bias = cast(nn.Parameter, projection.weight), projection.bias
        if self.bias is not None:
            self.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous()


class ReparameterisedLinear(QuantLinear):
    """In the place of the query projection: t = quantised(M) quantised(x) + u, [..., heads * C] from [..., C].

    `held_beyond`: where set, elements of M farther from a border of two codes, in bins, pass no gradient in training.
    """

    def __init__(
        self,
        name: str,
        sources: tuple[str, ...],
        query: nn.Linear,
        keys: PassedInput,
        heads: int,
        weight_quantizer: Quantizer,
        input_quantizer: Quantizer,
    ) -> None:
        QuantGemm.__init__(self, name, sources)
        self.query_weight = query.weight
        self.query_bias: nn.Parameter | None = query.bias
        self.heads = heads
        self.held_beyond: float | None = None
        self.weight_quantizer = weight_quantizer
        self.shared_input = True
        self.shared_quantizer = Borrowed(input_quantizer)
        self.keys = Borrowed(keys)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """M, computed from the weights as they are now, float32 [heads * C, C]."""
        made = fused(self.query_weight, self.key_weight, self.heads)
        if self.training and self.held_beyond is not None and torch.is_grad_enabled():
            self.weight_quantizer.refresh(made)
            return torch.where(near_a_border(made, self.weight_quantizer, self.held_beyond), made, made.detach())
        return made

    @property
    def outputs(self) -> int:
        return self.heads * self.query_weight.shape[1]

    @property
    def key_weight(self) -> Tensor:
        """W_k, which the module in the place of the key projection owns."""
        return cast(Tensor, self.keys.module.weight)

    @property
    def bias(self) -> Tensor | None:  # type: ignore[override]
        """u as it is now, float32 [heads * C], or None."""
        return None if self.query_bias is None else fused(self.query_bias, self.key_weight, self.heads)


class ReparameterisedScores(QuantScores):
    """t . x' of each head.  t is quantised as [batch, tokens, heads, C]; `second` is the quantiser of the input."""

    def __init__(self, name: str, sources: tuple[str, ...], first: Quantizer, second: Quantizer, heads: int) -> None:
        QuantGemm.__init__(self, name, sources)
        self.first = first
        self.heads = heads
        self.of_input = Borrowed(second)

    def operands(self) -> tuple[Quantizer, Quantizer]:
        return self.first, self.of_input.module

    def forward(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """float32 [batch, heads, tokens, tokens], times `scaling`.

        query, key: t and the input, quantised where there is no engine, cut into pieces of the size of a head, as
        transformers hands them on: [batch, pieces, tokens, head_dim].
        """
        tokens = query.shape[2]
        left = query.transpose(1, 2).reshape(len(query), tokens, self.heads, -1)
        right = key.transpose(1, 2).reshape(len(key), key.shape[2], -1)
        if self.engine is not None:
            return self._by_head(self.first.to_int(left), self.of_input.module.to_int(right), scaling)
        values = self.first(left)
        if not self.exact(values, right):
            return self._of_floats(values, right, scaling)
        return self.exactly(
            lambda: self._by_head(self.first.codes_of(values), self.of_input.module.codes_of(right), scaling),
            lambda: self._of_floats(values, right, scaling),
            values,
            right,
        )

    def _by_head(self, left: Tensor, right: Tensor, scaling: float) -> Tensor:
        every = right.unsqueeze(1).expand(-1, self.heads, -1, -1)
        return self.integer_product(left.transpose(1, 2), every) * scaling

    @staticmethod
    def _of_floats(left: Tensor, right: Tensor, scaling: float) -> Tensor:
        return torch.matmul(left.transpose(1, 2), right.transpose(1, 2).unsqueeze(1)) * scaling


def check_head_size(name: str, query: nn.Linear, key: nn.Linear, heads: int) -> None:
    """InputError unless the input can be cut into pieces of the size of a head, as a projection's outputs are."""
    size = key.out_features // heads
    if query.in_features % size:
        raise InputError(
            f"the input of {name} must be a multiple of its head size, {size}, to reparameterise query and key, "
            f"not {query.in_features}"
        )
