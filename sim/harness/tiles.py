"""Tiles of the matrix products of a network: the operands that one element of an output-stationary array sees.

Such an element computes rows and columns that are as many apart as the array has rows and columns: for each column
tile all row tiles. A sample of those is taken, of a few layers of each kind, over several inputs of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from qat.integers import Subject
from qat.network import Product, exact_product
from rtl.spec import IntArray

__all__ = ["DEFAULT", "Sampling", "Tile", "take_tiles"]

_Key = tuple[str, int | None]
_Codes = npt.NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How much is taken.

    layers: of each kind of product, evenly from the first to the last. tiles: at most so many rows and so many columns
    of each product, evenly over its row and column tiles; and so many matrices of a product of two activations.
    places: rows and columns of the array.
    """

    layers: int = 3
    tiles: int = 8
    places: int = 16


DEFAULT = Sampling()


@dataclass(frozen=True, eq=False, kw_only=True)
class Tile:
    """Weights [columns, K] and activations [rows, K] of one product, and what they are.

    name, part: of the product (see qat.network.gemm.Product); matrix: which of its matrices; kind: of the layer.
    outputs: how many sums of the network, for one sample, the tile stands for. zero_weights, zero_activations: shares
    of zeros in the whole product, over all samples.
    """

    name: str
    part: int | None
    matrix: int
    kind: str
    outputs: float
    weight_bits: int
    weight_signed: bool
    activation_bits: int
    activation_signed: bool
    zero_weights: float
    zero_activations: float
    weights: IntArray
    activations: IntArray

    @property
    def about(self) -> dict[str, Any]:
        """All of it but the codes, as JSON types."""
        sizes = {
            "columns": len(self.weights),
            "rows": len(self.activations),
            "products": int(self.weights.shape[-1]),
        }
        named = {name: value for name, value in vars(self).items() if name not in ("weights", "activations")}
        return named | sizes

    @property
    def macs(self) -> float:
        """How many MACs of the network, for one sample, the tile stands for."""
        return self.outputs * self.weights.shape[-1]


@dataclass(frozen=True)
class _Class:
    """Products that stand for each other: of the same layer of a block, the same precision and the same length.

    products: the length; 0 where it differs from sample to sample.
    """

    kind: str
    layer: str
    products: int
    weight_bits: int
    weight_signed: bool
    activation_bits: int
    activation_signed: bool

    @classmethod
    def of(cls, product: Product, kind: str) -> _Class:
        """The class of a product of a layer of that kind."""
        layer = ".".join(part for part in product.name.split(".") if not part.isdigit())
        length = 0 if _of_activations(kind) else int(product.left.shape[-1])
        return cls(
            kind, layer, length, product.right_bits, product.right_signed, product.left_bits, product.left_signed
        )


@dataclass
class _Seen:
    """Operands [matrices, rows, K] of one product, sample by sample."""

    left: list[_Codes] = field(default_factory=list)
    right: list[_Codes] = field(default_factory=list)

    def add(self, product: Product, kind: str) -> None:
        """Keeps the operands of one sample: one matrix for all rows where there is one weight."""
        left, right = (operand.numpy().astype(np.int16) for operand in (product.left, product.right))
        if not _of_activations(kind) and right.ndim == 2:
            left = left.reshape(1, -1, left.shape[-1])
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        for operand, kept in ((left, self.left), (right, self.right)):
            kept.append(np.broadcast_to(operand, (*batch, *operand.shape[-2:])).reshape(-1, *operand.shape[-2:]))

    def matrices(self, kind: str, most: int) -> list[tuple[_Codes, _Codes]]:
        """Activations [M, K] and weights [N, K]: the rows of all samples on one weight, else some samples and heads."""
        samples, count = len(self.left), len(self.left[0])
        if not _of_activations(kind):
            chosen = _evenly(count, most)
            return [(np.concatenate([left[i] for left in self.left]), self.right[0][i]) for i in chosen]
        spread = min(samples, most)
        places = [
            (turn * samples // spread, (again + turn * count // spread) % count)
            for again in range(count)
            for turn in range(spread)
        ]
        return [(self.left[sample][i], self.right[sample][i]) for sample, i in sorted(places[:most])]

    def zeros(self) -> tuple[float, float]:
        """Shares of zeros in activations and weights."""
        left, right = (
            sum(int((each == 0).sum()) for each in operands) / sum(each.size for each in operands)
            for operands in (self.left, self.right)
        )
        return round(left, 4), round(right, 4)


def take_tiles(subject: Subject, sampling: Sampling = DEFAULT) -> tuple[Tile, ...]:
    """The tiles of a network on its samples, in the order of its layers; texts without their padding."""
    kinds = {gemm.name: gemm.kind for gemm in subject.model.gemms()}
    classes: dict[_Key, _Class] = {}

    def look(product: Product) -> Tensor:
        classes[product.name, product.part] = _Class.of(product, kinds[product.name])
        return exact_product(product)

    samples = [_without_padding(batch) for batch in subject.batches]
    subject.model.logits(samples[0], look)
    seen = {key: _Seen() for key in _choose(classes, sampling.layers)}
    outputs = dict.fromkeys(classes.values(), 0)

    def take(product: Product) -> Tensor:
        result = exact_product(product)
        key = product.name, product.part
        outputs[classes[key]] += result.numel()
        if key in seen:
            seen[key].add(product, kinds[product.name])
        return result

    for sample in samples:
        subject.model.logits(sample, take)
    matrices = {key: one.matrices(kinds[key[0]], sampling.tiles) for key, one in seen.items()}
    shares = dict.fromkeys(classes.values(), 0)
    for key, pairs in matrices.items():
        shares[classes[key]] += len(pairs)

    tiles: list[Tile] = []
    for (name, part), pairs in matrices.items():
        own = classes[name, part]
        zero_activations, zero_weights = seen[name, part].zeros()
        for matrix, (left, right) in enumerate(pairs):
            rows, columns = (_lines(len(each), len(tiles), sampling) for each in (left, right))
            tiles.append(
                Tile(
                    name=name, part=part, matrix=matrix, kind=own.kind,
                    outputs=round(outputs[own] / shares[own] / len(samples), 3),
                    weight_bits=own.weight_bits, weight_signed=own.weight_signed,
                    activation_bits=own.activation_bits, activation_signed=own.activation_signed,
                    zero_weights=zero_weights, zero_activations=zero_activations,
                    weights=right[columns].astype(np.int64), activations=left[rows].astype(np.int64),
                )
            )  # fmt: skip
    return tuple(tiles)


def _of_activations(kind: str) -> bool:
    """Whether a layer has no weight: it multiplies query and key, or probabilities and values."""
    return kind in ("scores", "context")


def _choose(classes: Mapping[_Key, _Class], layers: int) -> list[_Key]:
    """The products of at most ``layers`` layers of each class, in the network's order."""
    names: dict[_Class, list[str]] = {}
    for (name, _), own in classes.items():
        known = names.setdefault(own, [])
        if name not in known:
            known.append(name)
    chosen = {own: {known[i] for i in _from_end_to_end(len(known), layers)} for own, known in names.items()}
    return [key for key, own in classes.items() if key[0] in chosen[own]]


def _lines(count: int, turn: int, sampling: Sampling) -> list[int]:
    """Rows or columns of ``count`` that one element computes; with each ``turn`` it is another element."""
    lines: Sequence[int] = range(turn % min(sampling.places, count), count, sampling.places)
    return [lines[i] for i in _evenly(len(lines), sampling.tiles)]


def _evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers below ``count``."""
    number = min(count, most)
    return [i * count // number for i in range(number)]


def _from_end_to_end(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers below ``count``, the first and the last among them where there are two."""
    if count <= most or most == 1:
        return _evenly(count, most)
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _without_padding(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One sample; a text is cut to the tokens that its mask keeps, which are the first."""
    mask = inputs.get("attention_mask")
    length = None if mask is None else int(mask.sum())
    return {name: tensor if length is None else tensor[:, :length] for name, tensor in inputs.items()}
