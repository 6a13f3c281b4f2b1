"""Gradients that lie in another order than what was quantised: heads that were multiplied apart."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from qat.quantisers import Layout, fakequant
from qat.quantisers.native import kernels

pytestmark = pytest.mark.skipif(not kernels.available(), reason="no C compiler")


@pytest.mark.parametrize(
    "shape",
    [(2, 5, 3, 64), (1, 7, 2, 16), (3, 4, 5, 17), (2, 3, 2, 2100), (4, 6, 2, 15), (3, 5, 1, 32), (2, 9, 3, 8)],
    ids=str,
)
@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 2, 3, 1), (2, 0, 1, 3), (3, 2, 1, 0)], ids=str)
@pytest.mark.parametrize("offset", [False, True])
def test_a_gradient_that_is_read_in_its_order_gives_the_bits_of_its_copy(
    shape: tuple[int, int, int, int], order: tuple[int, int, int, int], offset: bool
) -> None:
    """`order` is that of its axes in memory: heads first, as products of single heads leave them, and others."""
    draw = torch.Generator().manual_seed(sum(shape))
    layout = Layout(shape[0] * shape[1], shape[2], shape[3])
    x = torch.randn(shape, generator=draw)
    memory = torch.randn([shape[axis] for axis in order], generator=draw)
    grad = memory.permute([order.index(axis) for axis in range(4)])
    assert grad.shape == x.shape
    groups = torch.ones(layout.groups)
    operands = fakequant.Operands(
        groups, 0.3 * groups, 0.1 * groups if offset else None, -8 * groups, 7 * groups, None, True
    )
    rows = kernels.rows_of(grad, layout)
    by_rows = order[3] == 3 and layout.groups > 1 and layout.inner >= 16
    assert (rows is not None) is by_rows
    found = fakequant.learned_backward(x, grad, operands, layout)
    wanted = fakequant.learned_backward(x, grad.contiguous(), operands, layout)
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours is None) is (theirs is None)
        if ours is not None and theirs is not None:
            assert torch.equal(ours.view(torch.int32), theirs.view(torch.int32))
            assert ours.is_contiguous()
    if by_rows and not grad.is_contiguous():
        with pytest.raises(ValueError, match="grad_y must be contiguous"):
            kernels.learned_quantize_backward(x, grad, *operands, layout, 0.1)
        with pytest.raises(ValueError, match="grad_y must be contiguous"):
            kernels.learned_quantize_backward(x, grad, *operands, layout, 0.1, served=True, rows=(1, 1, 1, 1))


def test_rows_are_only_those_of_tensors_in_memory() -> None:
    grad = torch.ones(2, 3, 5, 16).transpose(1, 2)
    layout = (10, 3, 16)
    assert kernels.rows_of(grad, layout) == (5, 240, 16, 80)
    for other in (
        grad.double(),
        grad.to("meta"),
        torch._neg_view(grad),
        grad.flatten(0, 1),
        FakeTensorMode().from_tensor(grad),
    ):
        assert kernels.rows_of(other, layout) is None
    assert kernels.rows_of(grad, (10, 48, 1)) is None
    with pytest.raises(ValueError, match="rows must be of several groups with at least 16 elements in a row"):
        kernels._done(3)
