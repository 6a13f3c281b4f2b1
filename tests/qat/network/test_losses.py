"""Distillation losses against torch's own and against loops over the tokens that are not padding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from qat.network.losses import attention_distillation, hidden_state_distillation, soft_cross_entropy

BATCH, HEADS, TOKENS, WIDTH = 3, 2, 5, 4
LENGTHS = (5, 2, 3)
MASK = torch.tensor([[1 if token < length else 0 for token in range(TOKENS)] for length in LENGTHS])


def probabilities(draw: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=draw).mul_(2).softmax(-1)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_soft_cross_entropy_is_that_of_torch_with_probabilities(classes: int) -> None:
    draw = torch.Generator().manual_seed(classes)
    logits = (torch.randn(7, classes, generator=draw) * 3).requires_grad_()
    targets = probabilities(draw, 7, classes)
    loss = soft_cross_entropy(logits, targets)
    want = F.cross_entropy(logits.double(), targets.double())
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)
    (grad,) = torch.autograd.grad(loss, logits)
    assert torch.allclose(grad, (logits.softmax(-1) - targets).detach() / 7, atol=1e-6)


def test_soft_cross_entropy_of_hard_labels_and_of_low_precision() -> None:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 6, generator=draw)
    labels = torch.tensor([0, 5, 2, 2])
    hard = F.one_hot(labels, 6).float()
    assert soft_cross_entropy(logits, hard).item() == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    low = soft_cross_entropy(logits.bfloat16(), hard)
    assert low.dtype == torch.float32
    assert low.item() == soft_cross_entropy(logits.bfloat16().float(), hard).item()


def layers(seed: int, *shape: int, count: int = 3) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw) for _ in range(count)]


def test_hidden_states_are_compared_token_by_token_without_padding() -> None:
    ours, theirs = layers(2, BATCH, TOKENS, WIDTH), layers(3, BATCH, TOKENS, WIDTH)
    want = 0.0
    for a, b in zip(ours, theirs, strict=True):
        squares = [
            (float(a[i, t, w]) - float(b[i, t, w])) ** 2
            for i in range(BATCH)
            for t in range(LENGTHS[i])
            for w in range(WIDTH)
        ]
        want += sum(squares) / len(squares)
    assert hidden_state_distillation(ours, theirs, MASK).item() == pytest.approx(want, rel=1e-5)


def test_attention_is_compared_row_by_row_without_padding() -> None:
    draw = torch.Generator().manual_seed(4)
    ours, theirs = ([probabilities(draw, BATCH, HEADS, TOKENS, TOKENS) for _ in range(3)] for _ in range(2))
    want = 0.0
    for a, b in zip(ours, theirs, strict=True):
        divergences = [
            float((b[i, h, t].double() * (b[i, h, t].double() / a[i, h, t].double()).log()).sum())
            for i in range(BATCH)
            for h in range(HEADS)
            for t in range(LENGTHS[i])
        ]
        want += sum(divergences) / len(divergences)
    assert attention_distillation(ours, theirs, MASK).item() == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("loss", [hidden_state_distillation, attention_distillation])
def test_padding_has_no_part_in_value_and_gradient(loss: Callable[..., Tensor]) -> None:
    draw = torch.Generator().manual_seed(5)
    shape = (BATCH, HEADS, TOKENS, TOKENS) if loss is attention_distillation else (BATCH, TOKENS, WIDTH)
    theirs = probabilities(draw, *shape)
    ours = probabilities(draw, *shape).requires_grad_()
    padding = MASK == 0
    where = padding[:, None].expand(BATCH, HEADS, TOKENS) if len(shape) == 4 else padding
    value = loss([ours], [theirs], MASK)
    (grad,) = torch.autograd.grad(value, ours)
    assert not grad[where].any()
    assert bool(grad[~where].any(-1).all())
    other = ours.detach().clone()
    other[where] = probabilities(draw, *other[where].shape)
    assert loss([other], [theirs], MASK).item() == pytest.approx(value.item(), rel=1e-6)


@pytest.mark.parametrize("loss", [hidden_state_distillation, attention_distillation])
def test_identical_layers_cost_nothing(loss: Callable[..., Tensor]) -> None:
    """Also for probabilities of 0, of 1 and below the smallest one that the logarithm tells apart."""
    draw = torch.Generator().manual_seed(6)
    if loss is attention_distillation:
        same = [probabilities(draw, BATCH, HEADS, TOKENS, TOKENS), torch.eye(TOKENS).expand(BATCH, HEADS, -1, -1)]
        same.append((torch.randn(BATCH, HEADS, TOKENS, TOKENS, generator=draw) * 40).softmax(-1))
    else:
        same = layers(7, BATCH, TOKENS, WIDTH)
    assert loss(same, same, MASK).item() == 0.0


def test_attention_of_zero_has_a_finite_value_and_gradient() -> None:
    theirs = torch.eye(TOKENS).expand(BATCH, HEADS, -1, -1)
    ours = theirs.roll(1, -1).clone().requires_grad_()
    value = attention_distillation([ours], [theirs], MASK)
    value.backward()
    assert 1 < value.item() < 100
    assert ours.grad is not None
    assert bool(ours.grad.isfinite().all())


def test_no_layers_cost_nothing() -> None:
    assert hidden_state_distillation([], [], MASK).item() == 0.0
    assert attention_distillation([], [], MASK).item() == 0.0


A, B = torch.zeros(2, 3, 4), torch.zeros(2, 3, 1)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: soft_cross_entropy(torch.zeros(2, 3), torch.zeros(2, 4)),
            "probabilities must have the shape of the logits, (2, 3), not (2, 4)",
        ),
        (
            lambda: soft_cross_entropy(torch.zeros(2, 3), torch.zeros(2)),
            "probabilities must have the shape of the logits, (2, 3), not (2,)",
        ),
        (
            lambda: hidden_state_distillation([A], [A, A], MASK),
            "student and teacher must have as many layers, not 1 and 2",
        ),
        (
            lambda: attention_distillation([], [A], MASK),
            "student and teacher must have as many layers, not 0 and 1",
        ),
        (
            lambda: attention_distillation([B], [A], MASK),
            "layer 0 of student and teacher must have the same shape, not (2, 3, 1) and (2, 3, 4)",
        ),
        (
            lambda: hidden_state_distillation([A, A, B], [A, A, A], MASK),
            "layer 2 of student and teacher must have the same shape, not (2, 3, 1) and (2, 3, 4)",
        ),
    ],
)
def test_errors(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text
