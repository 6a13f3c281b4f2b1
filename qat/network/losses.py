"""Losses of quantisation-aware training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from siliquant.inputs import InputError

__all__ = ["attention_distillation", "hidden_state_distillation", "soft_cross_entropy"]


def soft_cross_entropy(logits: Tensor, probabilities: Tensor) -> Tensor:
    """Mean over the batch of -sum(p * log softmax(logits)): the distillation loss of the paper, section 4.2.

    Both [batch, classes]; ValueError when the shapes differ.
    """
    if logits.shape != probabilities.shape:
        raise InputError(
            f"probabilities must have the shape of the logits, {tuple(logits.shape)}, not {tuple(probabilities.shape)}"
        )
    return -(probabilities * F.log_softmax(logits.float(), dim=-1)).sum(-1).mean()


def hidden_state_distillation(student: Sequence[Tensor], teacher: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Sum over layers of the mean squared error of hidden states, over tokens that are not padding.

    Hidden states [batch, tokens, width] a layer, `mask` [batch, tokens] with 1 for real tokens.
    ValueError when student and teacher differ in layers or shapes.
    """
    _same_layers(student, teacher)
    weight = mask.unsqueeze(-1).float()
    total = torch.zeros((), device=mask.device)
    for ours, theirs in zip(student, teacher, strict=True):
        total = total + ((ours.float() - theirs.float()).square() * weight).sum() / (weight.sum() * ours.shape[-1])
    return total


def attention_distillation(student: Sequence[Tensor], teacher: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Sum over layers of the soft cross-entropy of attention rows, less its smallest value (KL divergence).

    Attention probabilities [batch, heads, tokens, tokens] a layer; rows of padding, `mask` [batch, tokens] 0, are left
    out.  ValueError when student and teacher differ in layers or shapes.
    """
    _same_layers(student, teacher)
    rows = mask[:, None, :].float()
    total = torch.zeros((), device=mask.device)
    for ours, theirs in zip(student, teacher, strict=True):
        # One floor for both: layers that are equal cost exactly nothing.
        logarithms = theirs.float().clamp(min=1e-8).log() - ours.float().clamp(min=1e-8).log()
        difference = theirs.float() * logarithms
        total = total + (difference.sum(-1) * rows).sum() / (rows.sum() * ours.shape[1])
    return total


def _same_layers(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    if len(student) != len(teacher):
        raise InputError(f"student and teacher must have as many layers, not {len(student)} and {len(teacher)}")
    for number, (ours, theirs) in enumerate(zip(student, teacher, strict=True)):
        if ours.shape != theirs.shape:
            raise InputError(
                f"layer {number} of student and teacher must have the same shape, "
                f"not {tuple(ours.shape)} and {tuple(theirs.shape)}"
            )
