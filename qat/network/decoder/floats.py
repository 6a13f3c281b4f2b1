"""The float functions of a decoder, so that a token's values do not depend on which others are computed with it.

A token is computed with all before it, or alone with a cache of theirs. Its integers are the same if its floats are,
and those of PyTorch are not quite: sums of a softmax over more columns, of which the rest are 0, are added up in
another order, and the last elements of a tensor go through another exponential function than those before them, whose
last bit may differ. So in evaluation these compute in float64 and round to the dtype of their input once; the sum of a
softmax is one of integers, which no order changes. In training they are PyTorch's own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SteadyNorm", "SteadyRotary", "SteadySiLU", "SteadySoftmax"]

_FRACTION = 2.0**40
"""Of exponentials from 0 to 1 in a sum: 2**22 of them are exact in 64 bits."""


class SteadyNorm(nn.Module):
    """x / sqrt(mean(x**2) + eps) * weight over the last axis (RMSNorm; Zhang, Sennrich, NeurIPS 2019)."""

    def __init__(self, weight: nn.Parameter, eps: float) -> None:
        super().__init__()
        self.weight = weight
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        wide = x.double()
        scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (scaled * self.weight.double()).to(x.dtype)


class SteadySiLU(nn.Module):
    """x * sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x) if self.training else F.silu(x.double()).to(x.dtype)


class SteadySoftmax(nn.Module):
    """Over the last axis. Columns whose score is the lowest of their dtype, which a mask gives, are 0."""

    def forward(self, scores: Tensor) -> Tensor:
        if self.training:
            return F.softmax(scores, dim=-1)
        wide = scores.double()
        powers = torch.exp(wide - wide.amax(-1, keepdim=True))
        total = (powers * _FRACTION).round().to(torch.int64).sum(-1, keepdim=True)
        return (powers / (total.double() / _FRACTION)).to(scores.dtype)


class SteadyRotary(nn.Module):
    """Cosines and sines of position * frequency (RoPE; Su et al., 2021), as transformers' Llama takes them.

    frequencies: float32 [head_dim / 2].
    """

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("inv_freq", frequencies, persistent=False)
        self.inv_freq: Tensor

    @torch.no_grad()
    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Two of [batch, tokens, head_dim], in the dtype of `x`, for positions [batch, tokens]."""
        angles = (position_ids[..., None].float() * self.inv_freq.float()).double()
        both = torch.cat((angles, angles), dim=-1)
        return both.cos().to(x.dtype), both.sin().to(x.dtype)
