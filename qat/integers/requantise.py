"""From the accumulators of one GEMM to the integer codes of the next, where nothing lies between the two.

That is so inside attention: query and key go straight into the scores, value into the context, and the context into
the output projection. Everywhere else a layer norm, softmax, GELU or residual comes between, in float32.

The codes are computed by the layers themselves: their integer path, float64 scales, offsets and bias and the rounding
to float32, then the quantiser of the layer that reads them. Hardware that gives these codes for every accumulator in
range gives those of the network, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qat.network import Product, QuantContext, QuantGemm, QuantLinear, QuantScores, gemms
from qat.quantisers import PerHead, Quantizer
from qat.settings import code_range
from siliquant.inputs import InputError

from .integer import IntegerModel

__all__ = ["Requantisation", "requantisations"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Requantisation:
    """One edge of the network from accumulators to codes.

    A channel is an output feature of a linear layer; for a context product it is a head, since all features of a head
    have the same function.

    Args:
        source: name of the GEMM whose accumulators come in.
        consumer: name of the GEMM that reads the codes.
        side: which operand of it they are: "left" or "right", as in Product.
        part: the head, where the heads' codes have different widths; None where one entry holds all channels.
        bits, signed: of the codes; 1 signed bit is {-1, +1}.
        low, high: int64 [channels], bounds of the accumulator whatever the activation codes.
        head: int64 [channels], to which head of the consumer each channel belongs; 0 with one scale a tensor.
        codes: from accumulators int64 [points, channels] to codes int64 of that shape, non-decreasing in each channel.
    """

    source: str
    consumer: str
    side: str
    part: int | None
    bits: int
    signed: bool
    low: IntArray
    high: IntArray
    head: IntArray
    codes: Callable[[IntArray], IntArray]


def requantisations(model: IntegerModel, tokens: int) -> tuple[Requantisation, ...]:
    """Every edge between two GEMMs with nothing between, in the order of the consuming layers.

    tokens: the longest sum of a context product (for windows: the tokens of one); it bounds those accumulators.
    Raises ValueError for tokens below 1.
    """
    if tokens < 1:
        raise InputError(f"tokens must be at least 1, not {tokens}")
    layers = gemms(model.network)
    edges: list[Requantisation] = []
    for name, layer in layers.items():
        if isinstance(layer, QuantScores | QuantContext):
            for source, side, quantizer in zip(layer.sources, ("left", "right"), layer.operands(), strict=True):
                linear = layers.get(source)
                if isinstance(linear, QuantLinear):
                    edges += _by_width(linear, name, side, quantizer, *_linear(linear, quantizer))
        elif isinstance(layer, QuantLinear):
            context = layers.get(layer.sources[0])
            if isinstance(context, QuantContext):
                quantizer = layer.activations
                edges += _by_width(context, name, "left", quantizer, *_context(context, quantizer, tokens))
    return tuple(edges)


_Codes = Callable[[IntArray], IntArray]


def _linear(layer: QuantLinear, consumer: Quantizer) -> tuple[IntArray, IntArray, _Codes]:
    """Bounds of each output feature, and its codes."""
    weight = layer.weight_codes()
    inputs = [layer.activations.bits[copy] for copy in layer.copy_of_head or (0,)]
    ranges = torch.tensor([code_range(bits, layer.activations.signed) for bits in inputs])
    one, other = (weight * layer.rows(codes).unsqueeze(1) for codes in ranges.unbind(1))
    low, high = torch.minimum(one, other).sum(1).numpy(), torch.maximum(one, other).sum(1).numpy()
    heads = _heads(consumer)

    def codes(accumulators: IntArray) -> IntArray:
        points = len(accumulators)
        with _answering(layer, torch.from_numpy(accumulators)):
            outputs = layer(torch.zeros(points, weight.shape[1]))
        return _numpy(consumer.to_int(outputs.view(1, points, heads, -1)), accumulators)

    return low, high, codes


def _context(layer: QuantContext, consumer: Quantizer, tokens: int) -> tuple[IntArray, IntArray, _Codes]:
    """Bounds of each head, and its codes."""
    first, second = layer.operands()
    heads = max(_heads(first), _heads(second), _heads(consumer))
    bounds = []
    for head in range(heads):
        bits = zip(layer.bits_of(head), (first, second), strict=True)
        left, right = (code_range(width, quantizer.signed) for width, quantizer in bits)
        products = [a * b for a in left for b in right]
        bounds.append((tokens * min(products), tokens * max(products)))
    low, high = np.array(bounds, dtype=np.int64).T

    def codes(accumulators: IntArray) -> IntArray:
        points = len(accumulators)
        # One token of one feature a head: [batch, heads, points, 1].
        with _answering(layer, torch.from_numpy(accumulators).T.reshape(1, heads, points, 1)):
            of_values = max(1, heads // layer.sharing)
            outputs = layer(torch.zeros(1, heads, points, 1), torch.zeros(1, of_values, 1, 1), 0.0)
        return _numpy(consumer.to_int(outputs.transpose(1, 2).reshape(1, points, heads)), accumulators)

    return low, high, codes


def _by_width(
    source: QuantGemm, name: str, side: str, quantizer: Quantizer, low: IntArray, high: IntArray, codes: _Codes
) -> Iterator[Requantisation]:
    """One entry, or one for each head where their codes have different widths."""
    head = np.arange(len(low)) // (len(low) // _heads(quantizer))
    if len(set(quantizer.bits)) == 1:
        yield Requantisation(
            source.gemm_name, name, side, None, quantizer.bits[0], quantizer.signed, low, high, head, codes
        )
        return
    for part, bits in enumerate(quantizer.bits):
        mine = np.flatnonzero(head == part)

        def of_part(accumulators: IntArray, mine: IntArray = mine) -> IntArray:
            every = np.zeros((len(accumulators), len(low)), dtype=np.int64)
            every[:, mine] = accumulators
            return codes(every)[:, mine]

        yield Requantisation(
            source.gemm_name, name, side, part, bits, quantizer.signed, low[mine], high[mine], head[mine], of_part
        )


def _heads(quantizer: Quantizer) -> int:
    return quantizer.granularity.num_heads if isinstance(quantizer.granularity, PerHead) else 1


@contextmanager
def _answering(layer: QuantGemm, accumulators: Tensor) -> Iterator[None]:
    """Inside, the products of `layer` are these accumulators, whatever its operands; a head's where it asks for one."""

    def engine(product: Product) -> Tensor:
        if product.part is None:
            return accumulators
        if isinstance(layer, QuantContext):
            return accumulators[:, product.part]
        return accumulators.chunk(layer.operands()[1].groups, -1)[product.part]

    before, layer.engine = layer.engine, engine
    try:
        with torch.no_grad():
            yield
    finally:
        layer.engine = before


def _numpy(codes: Tensor, like: IntArray) -> IntArray:
    result: IntArray = codes.reshape(like.shape).numpy()
    return result
