"""Thresholds for the requantisers at the drain of an array, for every GEMM whose outputs are the next one's operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qat.export import IntegerModel, Requantisation, requantisations
from rtl.array.images import WordArray
from rtl.requant import ThresholdSpec
from rtl.requant.fit import find_thresholds
from rtl.spec import IntArray, signed_range

__all__ = ["DrainTable", "drain_tables", "parameter_words"]


@dataclass(frozen=True, eq=False)
class DrainTable:
    """What turns the accumulators of one GEMM into ranks (code less lowest code) of the next one's operand.

    thresholds: int64 [channels, 2**bits - 1]. A channel is an output feature, or a head where ``by_head``.
    ranks: PyTorch's, from accumulators int64 [points, channels], in the same shape.
    """

    by_head: bool
    thresholds: IntArray
    ranks: Callable[[IntArray], IntArray]


def drain_tables(model: IntegerModel, tokens: int, spec: ThresholdSpec) -> dict[str, DrainTable]:
    """A table for each GEMM that feeds another directly, by name; ``tokens`` bounds the sums of context products."""
    contexts = {gemm.name for gemm in model.gemms() if gemm.kind == "context"}
    edges: dict[str, list[Requantisation]] = {}
    for edge in requantisations(model, tokens):
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
            bipolar = edge.bits == 1 and edge.signed
            pieces.append((codes + 1) >> 1 if bipolar else codes - signed_range(edge.bits, edge.signed)[0])
        return np.concatenate(pieces, axis=1)

    return DrainTable(by_head, np.concatenate(rows), ranks)


def parameter_words(spec: ThresholdSpec, thresholds: IntArray) -> WordArray:
    """Load words of the requantisers: uint32 [channels, pieces], the lowest bits first."""
    pieces = -(-spec.parameter_width // 32)
    words = [spec.pack_parameters(row).to_bytes(4 * pieces, "little") for row in thresholds]
    return np.frombuffer(b"".join(words), "<u4").reshape(-1, pieces)
