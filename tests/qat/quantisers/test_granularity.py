"""Layouts against the group of each single element; heads on the right axis of attention weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from qat.network.convert import quantize_model, weight_quantizers
from qat.quantisers.granularity import PER_TENSOR, Granularity, Layout, PerChannel, PerHead, PerTensor
from qat.quantisers.quantiser import Quantizer
from qat.settings.scheme import Scheme

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def group_of_each(layout: Layout, shape: list[int]) -> NDArray[np.int64]:
    """The number of its group for each element of a tensor of `shape`, as the layout has it."""
    assert math.prod(layout) == math.prod(shape)
    groups = np.arange(layout.groups)[None, :, None]
    return np.broadcast_to(groups, layout).reshape(shape)


def along(shape: list[int], axis: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
    column = values.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])
    return np.broadcast_to(column, shape)


@given(shape=SHAPES)
def test_per_tensor_is_one_group(shape: list[int]) -> None:
    assert PerTensor().layout(shape) == Layout(1, 1, math.prod(shape))
    assert not group_of_each(PER_TENSOR.layout(shape), shape).any()


@given(shape=SHAPES, data=st.data())
def test_per_channel_groups_by_the_index_along_the_axis(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    layout = PerChannel(axis).layout(tuple(shape))
    assert layout.groups == shape[axis]
    assert np.array_equal(group_of_each(layout, shape), along(shape, axis, np.arange(shape[axis])))


@given(shape=SHAPES, heads=st.integers(1, 4), data=st.data())
def test_per_head_groups_adjacent_slices_of_the_axis(shape: list[int], heads: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    shape[axis] = size * heads
    layout = PerHead(heads, axis).layout(tuple(shape))
    assert layout.groups == heads
    assert np.array_equal(group_of_each(layout, shape), along(shape, axis, np.arange(size * heads) // size))


def test_a_scalar_is_one_group() -> None:
    assert PerTensor().layout(()) == Layout(1, 1, 1)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: PerHead(0, 0), "num_heads must be at least 1, not 0"),
        (lambda: PerHead(-2, 0), "num_heads must be at least 1, not -2"),
        (
            lambda: PerHead(3, 1).layout((6, 8)),
            "axis 1 of shape (6, 8) must be a multiple of num_heads=3, not 8",
        ),
        (
            lambda: PerHead(4, -1).layout((8, 6)),
            "axis -1 of shape (8, 6) must be a multiple of num_heads=4, not 6",
        ),
        (lambda: PerChannel(2).layout((3, 4)), "axis must be from -2 to 1 for shape (3, 4), not 2"),
        (lambda: PerChannel(-3).layout([3, 4]), "axis must be from -2 to 1 for shape (3, 4), not -3"),
        (lambda: PerHead(2, 5).layout((4,)), "axis must be from -1 to 0 for shape (4,), not 5"),
    ],
)
def test_errors(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text


HEADS, WIDTH, HEAD = 4, 32, 8
SIZES = (0.01, 10.0, 0.3, 1.0)  # of the weights of the four heads


def head_of(weight: Tensor, axis: int, head: int) -> Tensor:
    """The slice that belongs to a head, written without the package."""
    rows = slice(head * HEAD, (head + 1) * HEAD)
    return weight[rows] if axis == 0 else weight[:, rows]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_each_head_has_its_own_scale_and_codes(axis: int, bits: int) -> None:
    """Heads along the outputs of q, k, v (axis 0) and along the inputs of the output projection (axis 1)."""
    weight = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(axis))
    for head, size in enumerate(SIZES):
        head_of(weight, axis, head).mul_(size)
    quantizer = Quantizer(bits, signed=True, granularity=PerHead(HEADS, axis), groups=HEADS)
    quantizer.fit(weight)
    codes = quantizer.to_int(weight)
    for head, size in enumerate(SIZES):
        part = head_of(weight, axis, head).double()
        scale = quantizer.scale[head].item()
        assert 0.01 * size < scale < 2 * size  # the scale of this head, not of its neighbours
        want = (part / scale).clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).round().long()
        assert torch.equal(head_of(codes, axis, head), want)
        assert len(want.unique()) >= {2: 4, 4: 10, 8: 50}[bits]
        alone = Quantizer(bits, signed=True)
        alone.fit(part.float())
        assert alone.scale.item() == pytest.approx(scale, rel=1e-5)


def test_a_head_of_small_weights_is_lost_without_its_own_scale() -> None:
    """What grouping along the wrong axis, or one scale for all heads, does to the smallest head."""
    weight = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(7))
    for head, size in enumerate(SIZES):
        head_of(weight, 0, head).mul_(size)
    kinds: dict[Granularity, int] = {PerHead(HEADS, 0): HEADS, PerHead(HEADS, 1): HEADS, PerTensor(): 1}
    nonzero = []
    for granularity, groups in kinds.items():
        quantizer = Quantizer(4, signed=True, granularity=granularity, groups=groups)
        quantizer.fit(weight)
        nonzero.append(int(head_of(quantizer.to_int(weight), 0, 0).count_nonzero()))
    assert nonzero[0] > HEAD * WIDTH / 2
    assert nonzero[1:] == [0, 0]


def vit() -> PreTrainedModel:
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        intermediate_size=48,
        image_size=8,
        patch_size=4,
        num_channels=1,
    )
    return ViTForImageClassification(config)


def bert() -> PreTrainedModel:
    config = BertConfig(
        vocab_size=30,
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        intermediate_size=48,
        max_position_embeddings=16,
    )
    return BertForSequenceClassification(config)


@pytest.mark.parametrize(
    ("model", "inputs", "output"),
    [(vit, ("q_proj", "k_proj", "v_proj"), "o_proj"), (bert, ("query", "key", "value"), "attention.output.dense")],
)
def test_attention_weights_of_a_model_are_grouped_by_output_and_by_input(
    model: Callable[[], PreTrainedModel], inputs: tuple[str, ...], output: str
) -> None:
    found: dict[str, Granularity] = {}
    for name, (weight, quantizer) in weight_quantizers(quantize_model(model(), Scheme())).items():
        found[name] = quantizer.granularity
        assert quantizer.scale.shape == (quantizer.layout(weight).groups,)
    axes = {name: 0 for name in found if name.endswith(inputs)} | {name: 1 for name in found if name.endswith(output)}
    assert len(axes) == 4
    for name, granularity in found.items():
        assert granularity == (PerHead(HEADS, axes[name]) if name in axes else PER_TENSOR)
