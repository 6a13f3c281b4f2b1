"""Operands as the array's memories hold them.

How a design lays operands out on its ports is known bit by bit (:mod:`rtl.layout`): whole matrices are rearranged by
NumPy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from siliquant.errors import InputError

from ..layout import step_layout
from ..spec import IntArray, Precision
from .spec import ArraySpec, Run

__all__ = ["activation_image", "control_image", "result_matrix", "weight_image"]

WordArray = npt.NDArray[np.uint32]


def _to_bits(codes: IntArray, width: int, low: int, high: int) -> npt.NDArray[np.uint8]:
    """Bits [..., width] of codes [...], the lowest first."""
    if width == 1 and (low, high) == (-1, 1):
        return (codes > 0).astype(np.uint8)[..., None]
    narrow = codes.astype(np.uint8)  # two's complement; all codes have at most 8 bits
    return (narrow[..., None] >> np.arange(width, dtype=np.uint8)) & np.uint8(1)


def activation_image(spec: ArraySpec, run: Run, codes: IntArray, precision: Precision) -> WordArray:
    """The activation memory for codes [M, K]: uint32 [words, 32-bit pieces of a word, the lowest first]."""
    limits = spec.mac.activation_range(precision)
    return _image(spec, run.steps, run.row_tiles, spec.rows, codes, precision, precision.activation_bits, limits, False)


def weight_image(spec: ArraySpec, run: Run, codes: IntArray, precision: Precision) -> WordArray:
    """The weight memory for codes [N, K]: uint32 [words, 32-bit pieces of a word, the lowest first]."""
    limits = spec.mac.weight_range(precision)
    return _image(
        spec, run.steps, run.column_tiles, spec.columns, codes, precision, precision.weight_bits, limits, True
    )


def _image(
    spec: ArraySpec, steps: int, tiles: int, places: int, codes: IntArray, precision: Precision, width: int,
    limits: tuple[int, int], weights: bool,
) -> WordArray:  # fmt: skip
    if codes.size and (codes.min() < limits[0] or codes.max() > limits[1]):
        raise InputError(
            f"codes must be from {limits[0]} to {limits[1]} at {precision}, not from {codes.min()} to {codes.max()}"
        )
    if width == 1 and limits == (-1, 1) and not codes.all():
        raise InputError(f"codes must be -1 or 1 at {precision}, not 0")
    lanes = spec.mac.products_per_step(precision)
    count, k = codes.shape
    last = k - (steps - 1) * lanes
    bits = _to_bits(codes, width, *limits)
    padded = np.zeros((tiles * places, steps * lanes, width), np.uint8)
    padded[:count, :k] = bits
    flat = padded.reshape(tiles * places, steps, lanes * width)
    sources = np.concatenate([np.zeros_like(flat[..., :1]), np.ones_like(flat[..., :1]), flat], axis=-1)
    layouts = [step_layout(spec.mac, precision, used) for used in (lanes, last)]
    full, short = ((layout.weights if weights else layout.activations) for layout in layouts)
    words = sources[:, :, full]  # [tiles * places, steps, planes, port width]
    if last < lanes:
        words[:, -1] = sources[:, -1][:, short]
    planes, port = full.shape
    arranged = words.reshape(tiles, places, steps, planes, port).transpose(0, 2, 3, 1, 4)
    stream = arranged.reshape(tiles * steps * planes, places * port)
    bytes_ = np.packbits(stream, axis=1, bitorder="little")
    pieces = np.zeros((len(bytes_), -(-places * port // 32) * 4), np.uint8)
    pieces[:, : bytes_.shape[1]] = bytes_
    return pieces.view("<u4")


def control_image(spec: ArraySpec, k: int, precision: Precision) -> list[tuple[int, int]]:
    """Addresses and words of the control table for sums of ``k`` products."""
    lanes = spec.mac.products_per_step(precision)
    found = []
    for base, used in ((0, lanes), (spec.control_depth // 2, (k - 1) % lanes + 1)):
        found += [(base + c, word) for c, word in enumerate(step_layout(spec.mac, precision, used).control)]
    return found


def result_matrix(spec: ArraySpec, run: Run, words: WordArray, m: int, n: int) -> IntArray:
    """The M x N results from the words of the result memory: uint32 [tiles * rows, pieces], as they are read."""
    width = spec.result_width
    if width == 32:
        values = words[:, : spec.columns].astype(np.int32).astype(np.int64)
    else:
        bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : spec.columns * width]
        fields = bits.reshape(len(words), spec.columns, width).astype(np.int64)
        values = (fields << np.arange(width)).sum(-1)
        values -= (values >> (width - 1)) << width
    tiles = values.reshape(run.column_tiles, run.row_tiles, spec.rows, spec.columns)[:, :, ::-1]
    matrix = tiles.transpose(1, 2, 0, 3).reshape(run.row_tiles * spec.rows, run.column_tiles * spec.columns)
    return np.ascontiguousarray(matrix[:m, :n])
