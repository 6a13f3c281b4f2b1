"""qat.network.layers against loops over single numbers: floats from dequantised operands, integers from codes."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import SwinConfig, SwinForImageClassification

from qat.network.convert import calibrate, gemms, quantize_model, quantizers
from qat.network.gemm import Product
from qat.network.layers import QuantContext, QuantConv2d, QuantGemm, QuantLinear, QuantScores, quantized_attention
from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.granularity import PER_TENSOR, Granularity, PerChannel, PerHead
from qat.quantisers.quantiser import Quantizer
from qat.settings.scheme import Scheme

Floats = NDArray[np.float64]
LABELS: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.3}


def made(
    bits: int | tuple[int, ...],
    scales: list[float],
    granularity: Granularity = PER_TENSOR,
    *,
    signed: bool = True,
    offset: float | None = None,
    thresholds: tuple[float, ...] = (),
) -> Quantizer:
    """A quantiser with known scales."""
    kind: Any = ElasticBinarizer if bits == 1 else Quantizer
    more = {} if bits == 1 else {"with_offset": offset is not None}
    result: Quantizer = kind(bits, signed=signed, granularity=granularity, groups=len(scales), **more)
    result.set_scale(torch.tensor(scales), None if offset is None else torch.tensor([offset]))
    if thresholds:
        assert isinstance(result, ElasticBinarizer)
        nn.init.zeros_(result.threshold).data += torch.tensor(thresholds)
    return result


def grid_value(x: float, scale: float, bits: int, signed: bool, offset: float = 0.0, threshold: float = 0.0) -> float:
    """The value that one number is quantised to."""
    if bits == 1:
        v = (x - threshold) / scale
        return scale * ((1 if v > 0 else -1) if signed else (1 if v > 0.5 else 0))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return scale * min(max(round((x - offset) / scale), low), high) + offset


def grid(x: Tensor, quantizer: Quantizer, axis: int | None = None) -> Floats:
    """`x` quantised number by number; the scales are for equal shares of `axis`."""
    offset = 0.0 if quantizer.offset is None else quantizer.offset.tolist()[0]
    thresholds = quantizer.threshold.tolist() if isinstance(quantizer, ElasticBinarizer) else [0.0] * quantizer.groups
    values, scales = x.detach().numpy(), quantizer.scale.tolist()
    result = np.empty(values.shape)
    for index in np.ndindex(*values.shape):
        group = 0 if axis is None else index[axis] * quantizer.groups // values.shape[axis]
        result[index] = grid_value(
            float(values[index]), scales[group], quantizer.bits[group], quantizer.signed, offset, thresholds[group]
        )
    return result


def linear_by_loops(x: Floats, weight: Floats, bias: Floats | None) -> Floats:
    result = np.zeros((len(x), len(weight)))
    for m, n in np.ndindex(*result.shape):
        result[m, n] = sum(x[m, k] * weight[n, k] for k in range(x.shape[1])) + (0.0 if bias is None else bias[n])
    return result


class Recorder:
    """An engine that keeps what it was given and multiplies in int64 with NumPy."""

    def __init__(self) -> None:
        self.products: list[Product] = []

    def __call__(self, product: Product) -> Tensor:
        self.products.append(product)
        assert product.left.dtype == product.right.dtype == torch.int64
        left, right = product.left.numpy(), product.right.numpy()
        return torch.from_numpy(np.einsum("...mk,...nk->...mn", left, np.broadcast_to(right, right.shape)))


def both(layer: QuantGemm, *arguments: Any) -> tuple[Floats, Floats, list[Product]]:
    """Output with fake-quantised floats, output with integers, and the products of the latter."""
    engine = Recorder()
    with torch.no_grad():
        floats = layer(*arguments)
        layer.engine = engine
        integers = layer(*arguments)
        layer.engine = None
    assert integers.dtype == torch.float32
    assert integers.shape == floats.shape
    return floats.double().numpy(), integers.double().numpy(), engine.products


def linear(weight_quantizer: Quantizer, input_quantizer: Quantizer, *, bias: bool = True, size: int = 6) -> QuantLinear:
    plain = nn.Linear(size, 4, bias=bias)
    return QuantLinear("fc", ("before",), plain.weight, plain.bias, weight_quantizer, input_quantizer)


LINEAR = {
    "tensor": (made(4, [0.07]), made(3, [0.31]), None, None),
    "no bias": (made(2, [0.2]), made(8, [0.02]), None, None),
    "rows by head": (made(3, [0.1, 0.05], PerHead(2, 0)), made(4, [0.25]), 0, None),
    "rows by head of other widths": (made((2, 4), [0.2, 0.04], PerHead(2, 0)), made(4, [0.25]), 0, None),
    "rows by channel": (made(4, [0.1, 0.05, 0.06, 0.03], PerChannel(0)), made(4, [0.25]), 0, None),
    "reduction by head": (made(4, [0.1, 0.05], PerHead(2, 1)), made(4, [0.25, 0.4], PerHead(2, -1)), 1, -1),
    "reduction by head, three": (
        made(2, [0.3, 0.2, 0.1], PerHead(3, 1)),
        made((2, 3, 4), [0.5, 0.3, 0.2], PerHead(3, -1)),
        1,
        -1,
    ),
    "input by head, weight by tensor": (made(4, [0.1]), made(4, [0.25, 0.4], PerHead(2, -1)), None, -1),
    "input by head, weight by channel": (
        made(4, [0.1, 0.05, 0.06, 0.03], PerChannel(0)),
        made(4, [0.25], PER_TENSOR),
        0,
        None,
    ),
    "unsigned with offset": (made(4, [0.06]), made(4, [0.17], signed=False, offset=-0.21), None, None),
    "offset, rows by channel": (
        made(4, [0.1, 0.05, 0.06, 0.03], PerChannel(0)),
        made(2, [0.6], signed=False, offset=-0.21),
        0,
        None,
    ),
    "binary": (made(1, [0.3], thresholds=(0.05,)), made(1, [0.8], thresholds=(-0.3,)), None, None),
    "binary, reduction by head": (
        made(1, [0.3, 0.2], PerHead(2, 1), thresholds=(0.05, -0.1)),
        made(1, [0.8, 0.6], PerHead(2, -1), thresholds=(-0.3, 0.4)),
        1,
        -1,
    ),
    "binary weight, unsigned": (made(1, [0.3, 0.2], PerHead(2, 0)), made(1, [0.8], signed=False), 0, None),
}


@pytest.mark.parametrize("case", LINEAR)
def test_a_linear_layer_is_the_loop_over_dequantised_numbers(case: str) -> None:
    weight_quantizer, input_quantizer, weight_axis, input_axis = LINEAR[case]
    layer = linear(weight_quantizer, input_quantizer, bias=case != "no bias")
    x = torch.randn(5, 6)
    bias = None if layer.bias is None else layer.bias.detach().double().numpy()
    wanted = linear_by_loops(
        grid(x, input_quantizer, input_axis), grid(layer.weight, weight_quantizer, weight_axis), bias
    )
    floats, integers, _ = both(layer, x)
    np.testing.assert_allclose(floats, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(integers, wanted, rtol=1e-6, atol=1e-7)
    # A reference that only looks right would not see this.
    assert (
        np.abs(wanted - linear_by_loops(x.double().numpy(), layer.weight.detach().double().numpy(), bias)).max() > 0.01
    )


def test_a_linear_layer_takes_any_leading_axes() -> None:
    layer = linear(made(4, [0.07]), made(4, [0.3]))
    x = torch.randn(2, 3, 5, 6)
    floats, integers, products = both(layer, x)
    flat = both(layer, x.view(-1, 6))[0]
    np.testing.assert_allclose(floats.reshape(-1, 4), flat, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(integers, floats, rtol=1e-5, atol=1e-6)
    assert products[0].left.shape == (2, 3, 5, 6)


def test_one_product_where_scales_do_not_lie_along_the_reduction() -> None:
    layer = linear(made(3, [0.1, 0.05], PerHead(2, 0)), made(4, [0.25], signed=False, offset=-0.2))
    x = torch.randn(5, 6)
    products = both(layer, x)[2]
    assert len(products) == 1
    (product,) = products
    assert (product.name, product.part) == ("fc", None)
    assert (product.left_bits, product.left_signed, product.right_bits, product.right_signed) == (4, False, 3, True)
    assert (product.left.shape, product.right.shape) == ((5, 6), (4, 6))
    # Codes: values without offset, over the scale.
    np.testing.assert_array_equal(
        product.left.numpy(), np.rint((grid(x, layer.activations) + 0.2) / 0.25).astype(np.int64)
    )
    scales = np.repeat([0.1, 0.05], 2)[:, None]
    np.testing.assert_array_equal(
        product.right.numpy(), np.rint(grid(layer.weight, layer.weight_quantizer, 0) / scales).astype(np.int64)
    )
    assert layer.partial_sums == 1


def test_partial_sums_of_heads_along_the_reduction_come_one_by_one() -> None:
    layer = linear(made((2, 3, 4), [0.3, 0.2, 0.1], PerHead(3, 1)), made((4, 3, 2), [0.2, 0.3, 0.6], PerHead(3, -1)))
    products = both(layer, torch.randn(5, 6))[2]
    assert layer.partial_sums == 3
    assert [p.part for p in products] == [0, 1, 2]
    assert [tuple(p.left.shape) for p in products] == [(5, 2)] * 3
    assert [tuple(p.right.shape) for p in products] == [(4, 2)] * 3
    assert [(p.left_bits, p.right_bits) for p in products] == [(4, 2), (3, 3), (2, 4)]
    whole = torch.cat([p.right for p in products], 1)
    assert torch.equal(whole, layer.weight_codes())


def test_rows_of_other_widths_come_as_products_of_one_width() -> None:
    layer = linear(made((2, 4), [0.2, 0.04], PerHead(2, 0)), made(4, [0.25]))
    products = both(layer, torch.randn(5, 6))[2]
    assert [(p.part, p.left_bits, p.right_bits) for p in products] == [(0, 4, 2), (1, 4, 4)]
    assert [tuple(p.right.shape) for p in products] == [(2, 6), (2, 6)]
    assert products[0].right.min() >= -2
    assert products[0].right.max() <= 1


def by_head_and_apart() -> tuple[QuantLinear, list[QuantLinear]]:
    """Three heads of two rows that read the input at 2, 4 and 2 bits, and a layer for each of them."""
    torch.manual_seed(0)
    plain = nn.Linear(6, 6)
    of_weight, of_input = made((3, 4, 2), [0.1, 0.05, 0.2], PerHead(3, 0)), made((2, 4), [0.9, 0.3], PerHead(2, -2))
    together = QuantLinear("q", (), plain.weight, plain.bias, of_weight, of_input)
    together.copy_of_head = (0, 1, 0)
    apart = []
    for head, copy in enumerate(together.copy_of_head):
        own = [made((q.bits[at],), [float(q.scale[at])]) for q, at in ((together.weight_quantizer, head),
                                                                     (together.activations, copy))]  # fmt: skip
        assert together.bias is not None
        weight, bias = (nn.Parameter(each.detach().chunk(3)[head].clone()) for each in (together.weight, together.bias))
        apart.append(QuantLinear(f"head {head}", (), weight, bias, *own))
    return together, apart


@pytest.mark.parametrize("training", [False, True])
def test_heads_that_read_the_input_at_other_widths_are_layers_side_by_side(training: bool) -> None:
    """Values in evaluation to the bit; in training values, and gradients of input, weights, biases and scales."""
    together, apart = by_head_and_apart()
    x = torch.randn(4, 5, together.weight.shape[1])
    for layer in (together, *apart):
        layer.train(training)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = together(mine)
    wanted = torch.cat([layer(theirs) for layer in apart], -1)
    assert torch.equal(out, wanted) if not training else torch.allclose(out, wanted, atol=1e-6)
    torch.manual_seed(1)
    grad = torch.randn_like(out)
    out.backward(grad)
    wanted.backward(grad)
    assert mine.grad is not None
    torch.testing.assert_close(mine.grad, theirs.grad)
    for name in ("weight", "bias"):
        ours = getattr(together, name).grad
        torch.testing.assert_close(ours, torch.cat([getattr(layer, name).grad for layer in apart]))
    of_copies = [apart[0].activations.relative.grad + apart[2].activations.relative.grad,  # type: ignore[operator]
                 apart[1].activations.relative.grad]  # fmt: skip
    torch.testing.assert_close(together.activations.relative.grad, torch.cat(of_copies))  # type: ignore[arg-type]


def test_heads_that_read_the_input_at_other_widths_are_products_of_their_own() -> None:
    together, _ = by_head_and_apart()
    x = torch.randn(4, together.weight.shape[1])
    floats, integers, products = both(together.eval(), x)
    np.testing.assert_array_equal(floats, integers)
    assert [(p.part, p.left_bits, p.right_bits) for p in products] == [(0, 2, 3), (1, 4, 4), (2, 2, 2)]
    assert torch.equal(products[0].left, products[2].left)
    assert bool((products[1].left.abs().max() > 2).item())


def test_the_offset_adds_beta_times_the_sum_of_the_weights() -> None:
    layer = linear(made(4, [0.1, 0.05, 0.06, 0.03], PerChannel(0)), made(4, [0.25], signed=False, offset=-0.21))
    offset = layer.activations.offset
    assert offset is not None
    # Far below the range every code is 0 and what is left is the offset's term and the bias.
    _, integers, products = both(layer, torch.full((1, 6), -50.0))
    assert int(products[0].left.abs().sum()) == 0
    sums = grid(layer.weight, layer.weight_quantizer, 0).sum(1)
    assert layer.bias is not None
    wanted = offset.tolist()[0] * sums + layer.bias.detach().double().numpy()
    np.testing.assert_allclose(integers[0], wanted, rtol=1e-6)


def test_a_shared_input_is_quantised_by_its_owner_only() -> None:
    owner = made(2, [0.5])
    plain = nn.Linear(6, 4)
    layer = QuantLinear("q", ("before",), plain.weight, plain.bias, made(8, [0.005]), owner, shared_input=True)
    assert [name for name, _ in layer.named_modules()] == ["", "weight_quantizer"]
    x = torch.randn(5, 6)
    weight = grid(layer.weight, layer.weight_quantizer)
    bias = plain.bias.detach().double().numpy()
    floats, integers, _ = both(layer, x)
    np.testing.assert_allclose(floats, linear_by_loops(x.double().numpy(), weight, bias), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(integers, linear_by_loops(grid(x, owner), weight, bias), rtol=1e-5, atol=1e-6)


CONVOLUTIONS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "patches": ({"in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 2}, (4, 6)),
    "patches that do not cover": ({"in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 2}, (5, 5)),
    "stem": ({"in_channels": 2, "out_channels": 3, "kernel_size": 3, "stride": 2, "padding": 1, "bias": False}, (5, 6)),
    "uneven": (
        {"in_channels": 1, "out_channels": 2, "kernel_size": (3, 2), "stride": (1, 2), "padding": (2, 1)},
        (4, 5),
    ),
    "dilated": ({"in_channels": 2, "out_channels": 2, "kernel_size": 2, "dilation": 2}, (4, 4)),
    "depthwise": (
        {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "stride": 2, "padding": 1, "groups": 3},
        (5, 4),
    ),
    "depthwise, twice the channels": (
        {"in_channels": 2, "out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1, "groups": 2},
        (4, 4),
    ),
}


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def convolution_by_loops(x: Floats, weight: Floats, bias: Floats | None, sizes: dict[str, Any]) -> Floats:
    (down, right), (top, left), (spread_y, spread_x) = (
        pair(sizes.get(name, default)) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    groups = sizes.get("groups", 1)
    batch, _, height, width = x.shape
    outputs, inputs, high, wide = weight.shape
    rows = (height + 2 * top - spread_y * (high - 1) - 1) // down + 1
    columns = (width + 2 * left - spread_x * (wide - 1) - 1) // right + 1
    result = np.zeros((batch, outputs, rows, columns))
    for b, n, i, j in np.ndindex(*result.shape):
        total = 0.0 if bias is None else bias[n]
        first = n // (outputs // groups) * inputs
        for c, u, v in np.ndindex(inputs, high, wide):
            y, z = i * down - top + u * spread_y, j * right - left + v * spread_x
            if 0 <= y < height and 0 <= z < width:
                total += x[b, first + c, y, z] * weight[n, c, u, v]
        result[b, n, i, j] = total
    return result


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_is_the_loop_over_dequantised_numbers(case: str, by_channel: bool) -> None:
    sizes, (height, width) = CONVOLUTIONS[case]
    plain = nn.Conv2d(**sizes)
    outputs = sizes["out_channels"]
    scales = [0.05 + 0.02 * n for n in range(outputs)] if by_channel else [0.06]
    weight_quantizer = made(4, scales, PerChannel(0) if by_channel else PER_TENSOR)
    layer = QuantConv2d(plain, "conv", ("pixels",), weight_quantizer, made(3, [0.4]))
    x = torch.randn(2, sizes["in_channels"], height, width)
    bias = None if plain.bias is None else plain.bias.detach().double().numpy()
    weight = grid(plain.weight, weight_quantizer, 0 if by_channel else None)
    wanted = convolution_by_loops(grid(x, layer.activations), weight, bias, sizes)
    floats, integers, products = both(layer, x)
    np.testing.assert_allclose(floats, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(integers, wanted, rtol=1e-6, atol=1e-7)
    # One product; the weight's codes in the order channel, row, column of its own group.
    (product,) = products
    positions, size = wanted.shape[2] * wanted.shape[3], weight[0].size
    assert product.right.reshape(outputs, size).tolist() == layer.weight_codes().reshape(outputs, size).tolist()
    if sizes.get("groups", 1) == 1:
        assert (product.left.shape, product.right.shape) == ((2, positions, size), (outputs, size))
    else:
        channels = sizes["in_channels"]
        assert product.left.shape == (2, channels, positions, size)
        assert product.right.shape == (channels, outputs // channels, size)


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        ({"groups": 2}, "2 groups with padding 'zeros'"),
        ({"padding": 1, "padding_mode": "reflect"}, "1 groups with padding 'reflect'"),
    ],
)
def test_other_convolutions_are_refused(sizes: dict[str, Any], what: str) -> None:
    message = f"stem.0 must be a convolution with zero padding, of 1 group or depthwise, not {what}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        QuantConv2d(nn.Conv2d(4, 4, 3, **sizes), "stem.0", ("pixels",), made(4, [0.1]), made(4, [0.1]))


HEADS = {
    "one width": ((3, 3), (4, 4)),
    "widths differ": ((2, 4), (3, 2)),
}


def scores_and_context(
    key_bits: tuple[int, int] = (3, 3), bits: tuple[int, int] = (4, 4)
) -> tuple[QuantScores, QuantContext]:
    first, second = made(bits, [0.3, 0.5], PerHead(2, 2)), made(key_bits, [0.4, 0.25], PerHead(2, 2))
    scores = QuantScores("scores", ("query", "key"), first, second)
    first = made(bits, [0.06, 0.09], PerHead(2, 1), signed=False)
    second = made(key_bits, [0.35, 0.2], PerHead(2, 2))
    return scores, QuantContext("context", ("probabilities", "value"), first, second)


def scores_by_loops(layer: QuantScores, query: Tensor, key: Tensor, scaling: float) -> Floats:
    """The heads lie on axis 1 of the operands."""
    q, k = grid(query, layer.first, 1), grid(key, layer.second, 1)
    batch, heads, tokens, size = q.shape
    result = np.zeros((batch, heads, tokens, k.shape[2]))
    for b, h, i, j in np.ndindex(*result.shape):
        result[b, h, i, j] = scaling * sum(q[b, h, i, d] * k[b, h, j, d] for d in range(size))
    return result


def context_by_loops(layer: QuantContext, probabilities: Tensor, value: Tensor) -> Floats:
    p, v = grid(probabilities, layer.first, 1), grid(value, layer.second, 1)
    result = np.zeros((*p.shape[:3], v.shape[3]))
    for b, h, i, d in np.ndindex(*result.shape):
        result[b, h, i, d] = sum(p[b, h, i, j] * v[b, h, j, d] for j in range(p.shape[3]))
    return result


@pytest.mark.parametrize("case", HEADS)
def test_scores_are_the_loop_over_dequantised_numbers(case: str) -> None:
    layer = scores_and_context(*HEADS[case])[0]
    query, key = torch.randn(2, 2, 3, 4), torch.randn(2, 2, 3, 4)
    floats, integers, products = both(layer, query, key, 0.5)
    wanted = scores_by_loops(layer, query, key, 0.5)
    np.testing.assert_allclose(floats, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(integers, wanted, rtol=1e-6, atol=1e-7)
    if case == "one width":
        assert [(p.part, p.left.shape, p.right.shape) for p in products] == [(None, (2, 2, 3, 4), (2, 2, 3, 4))]
    else:
        assert [(p.part, p.left.shape, p.right.shape) for p in products] == [
            (head, (2, 3, 4), (2, 3, 4)) for head in (0, 1)
        ]
        assert [(p.left_bits, p.right_bits) for p in products] == [(3, 2), (2, 4)]


@pytest.mark.parametrize("case", HEADS)
def test_context_is_the_loop_over_dequantised_numbers(case: str) -> None:
    layer = scores_and_context(*HEADS[case])[1]
    probabilities, value = torch.randn(2, 2, 3, 3).softmax(-1), torch.randn(2, 2, 3, 4)
    floats, integers, products = both(layer, probabilities, value, 0.0)
    wanted = context_by_loops(layer, probabilities, value)
    np.testing.assert_allclose(floats, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(integers, wanted, rtol=1e-6, atol=1e-7)
    assert not any(p.left_signed for p in products)
    assert all(p.right_signed for p in products)
    # right is [N, K] with K the tokens: the values turned around.
    assert products[0].right.shape[-2:] == (4, 3)


def test_dropout_of_probabilities_acts_in_training_only() -> None:
    layer = scores_and_context()[1]
    probabilities, value = torch.randn(8, 2, 6, 6).softmax(-1), torch.randn(8, 2, 6, 4)
    without = layer(probabilities, value, 0.0)
    assert torch.equal(without, layer(probabilities, value, 0.0))
    assert (layer(probabilities, value, 0.5) != without).float().mean() > 0.5


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scaling", [None, 0.37])
def test_attention_is_softmax_between_the_two_products(masked: bool, scaling: float | None) -> None:
    scores, context = scores_and_context()
    module = cast(nn.Module, SimpleNamespace(scores=scores, context=context))
    query, key, value = (torch.randn(2, 2, 3, 4) for _ in range(3))
    mask = torch.randn(2, 1, 3, 3) if masked else None
    if mask is not None:
        mask[0, 0, :, 2] = -1e4
    with torch.no_grad():
        got, probabilities = quantized_attention(module, query, key, value, mask, scaling)
    factor = 0.37 if scaling else 1 / math.sqrt(4)
    logits = scores_by_loops(scores, query, key, factor) + (0.0 if mask is None else mask.double().numpy())
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    wanted = exponents / exponents.sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities.numpy(), wanted, rtol=1e-5, atol=1e-7)
    if masked:
        assert probabilities[0, :, :, 2].max() == 0
    after = context_by_loops(context, torch.from_numpy(wanted).float(), value).transpose(0, 2, 1, 3)
    assert got.shape == (2, 3, 2, 4)
    assert got.is_contiguous()
    np.testing.assert_allclose(got.numpy(), after, rtol=1e-5, atol=1e-6)


class _Fine(nn.Module):
    """Passes on what it gets: a quantiser without error."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_swin_keeps_its_position_bias_and_its_shifted_masks() -> None:
    """With quantisers that change nothing the quantised Swin is the float one, masks and position bias included."""
    config = SwinConfig(
        image_size=16, patch_size=2, num_channels=1, embed_dim=8, depths=(2, 1), num_heads=(2, 4), window_size=4,
        mlp_ratio=2.0, drop_path_rate=0.0, **LABELS,
    )  # fmt: skip
    model = SwinForImageClassification(config).eval()
    tables = [p for name, p in model.named_parameters() if name.endswith("relative_position_bias_table")]
    assert len(tables) == 3
    for table in tables:
        nn.init.normal_(table)
    model.set_attn_implementation("eager")
    pixels = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        wanted = model(pixel_values=pixels).logits
        for table in tables:
            kept = table.clone()
            table.zero_()
            assert (model(pixel_values=pixels).logits - wanted).abs().max() > 1e-3
            table.copy_(kept)
    quantize_model(model, Scheme(8, 8))
    calibrate(model, [{"pixel_values": pixels}])
    with torch.no_grad():
        eight = model(pixel_values=pixels).logits
    assert 0 < (eight - wanted).abs().max() < 0.05 * wanted.abs().max() + 0.05
    for layer in gemms(model).values():
        if isinstance(layer, QuantScores | QuantContext):
            layer.first, layer.second = _Fine(), _Fine()  # type: ignore[assignment]
        elif isinstance(layer, QuantLinear | QuantConv2d):
            layer.weight_quantizer = _Fine()  # type: ignore[assignment]
            if not layer.shared_input:
                layer.input_quantizer = _Fine()  # type: ignore[assignment]
    for quantizer in quantizers(model).values():
        assert isinstance(quantizer, Quantizer)  # those of query, key and value are left: one for the three
        quantizer.forward = lambda x: x  # type: ignore[method-assign]
    with torch.no_grad():
        exact = model(pixel_values=pixels).logits
    torch.testing.assert_close(exact, wanted, rtol=1e-5, atol=1e-6)
