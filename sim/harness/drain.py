"""Thresholds for the requantisers at the drain of an array, for every GEMM whose outputs are the next one's operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qat.integers import IntegerModel, Requantisation, requantisations
from qat.network import Product
from rtl.array import WordArray
from rtl.requant import ThresholdSpec, find_thresholds
from rtl.spec import IntArray, network_codes
from siliquant.inputs import InputError

__all__ = ["DrainTable", "Drained", "drain_tables", "requantiser_of"]


def requantiser_of(model: IntegerModel, groups: int = 1) -> ThresholdSpec:
    """Thresholds at the end of each column, for the widest codes that sums of the network become there.

    groups: parameter sets a column.
    """
    bits = max((edge.bits for edge in requantisations(model, 1)), default=1)
    return ThresholdSpec(accumulator_width=32, bits=bits, signed=False, groups=groups)


@dataclass(frozen=True, eq=False)
class DrainTable:
    """What turns the accumulators of one GEMM into ranks (code less lowest code) of the next one's operand.

    parameters: load words of the requantisers, uint32 [channels, pieces], the lowest bits first. A channel is an output
    feature, or a head where ``by_head``.
    ranks: PyTorch's, from accumulators int64 [points, channels], in the same shape.
    """

    by_head: bool
    parameters: WordArray
    ranks: Callable[[IntArray], IntArray]

    def some_ranks(self, points: IntArray, channels: IntArray) -> IntArray:
        """Ranks of accumulators [points, len(channels)] that belong to some of the channels."""
        every = np.zeros((len(points), len(self.parameters)), np.int64)
        every[:, channels] = points
        return self.ranks(every)[:, channels]


@dataclass(frozen=True, eq=False)
class Drained:
    """The codes that one product should drain, as ranks [matrices, M, N], and where their parameters are.

    channels: of the table, for each matrix (by head) or each column.
    """

    table: DrainTable
    ranks: IntArray
    channels: IntArray

    @classmethod
    def of(cls, table: DrainTable, product: Product, accumulators: IntArray) -> Drained:
        """For the exact accumulators [matrices, M, N] of ``product``."""
        matrices, _, n = accumulators.shape
        count, part = len(table.parameters), product.part or 0
        if not table.by_head:
            channels = part * n + np.arange(n)
            ranks = table.some_ranks(accumulators.reshape(-1, n), channels)
            return cls(table, ranks.reshape(accumulators.shape), channels)
        heads = 1 if product.part is not None or count == 1 else product.left.shape[-3]
        # [samples, heads, M * N] to one column a head.
        by_head = accumulators.reshape(matrices // heads, heads, -1).swapaxes(1, 2)
        ranks = table.some_ranks(by_head.reshape(-1, heads), (part + np.arange(heads)) % count)
        ranks = ranks.reshape(by_head.shape).swapaxes(1, 2)
        return cls(table, ranks.reshape(accumulators.shape), (np.arange(matrices) % heads + part) % count)

    def parameters(self, matrix: int, columns: slice) -> WordArray:
        """Those of the columns, or the one set of the head."""
        return self.table.parameters[
            self.channels[matrix : matrix + 1] if self.table.by_head else self.channels[columns]
        ]


def drain_tables(model: IntegerModel, tokens: int, spec: ThresholdSpec) -> dict[str, DrainTable]:
    """A table for each GEMM that feeds another directly, by name; ``tokens`` bounds the sums of context products.

    Raises ValueError where codes are wider than those of ``spec``.
    """
    contexts = {gemm.name for gemm in model.gemms() if gemm.kind == "context"}
    edges: dict[str, list[Requantisation]] = {}
    for edge in requantisations(model, tokens):
        if edge.bits > spec.bits:
            raise InputError(
                f"requantisers must have at least the {edge.bits} bits of {edge.source}'s codes, not {spec.bits}"
            )
        edges.setdefault(edge.source, []).append(edge)
    return {source: _table(parts, source in contexts, spec) for source, parts in edges.items()}


def _table(parts: Sequence[Requantisation], by_head: bool, spec: ThresholdSpec) -> DrainTable:
    """Parts are the heads of one operand in order, where their widths differ."""
    never = spec.accumulator_range[1] + 1
    rows = []
    for edge in parts:
        found = find_thresholds(edge.codes, edge.low, edge.high, edge.bits, edge.signed)
        padding = (1 << spec.bits) - 1 - found.shape[1]
        rows.append(np.pad(found, ((0, 0), (0, padding)), constant_values=never))
    starts = np.cumsum([0, *(len(edge.low) for edge in parts)])

    def ranks(accumulators: IntArray) -> IntArray:
        pieces = []
        for edge, start in zip(parts, starts, strict=False):
            codes = edge.codes(np.ascontiguousarray(accumulators[:, start : start + len(edge.low)]))
            pieces.append(np.searchsorted(network_codes(edge.bits, edge.signed).values, codes))
        return np.concatenate(pieces, axis=1)

    return DrainTable(by_head, _words(spec, np.concatenate(rows)), ranks)


def _words(spec: ThresholdSpec, thresholds: IntArray) -> WordArray:
    """``pack_parameters`` of every row, all at once."""
    numbers, width = spec.check_parameters(thresholds), spec.threshold_width
    bits = ((numbers[..., None] >> np.arange(width)) & 1).astype(np.uint8).reshape(len(numbers), -1)
    octets = np.zeros((len(numbers), -(-spec.parameter_width // 32) * 4), np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    octets[:, : packed.shape[1]] = packed
    return octets.view("<u4")
