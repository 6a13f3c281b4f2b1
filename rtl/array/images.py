"""Operands as the array's memories hold them, and results as they are read; whole matrices are arranged by NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtl.spec import CodeValues, IntArray, Precision
from siliquant.inputs import InputError

from .geometry import ArrayGeometry
from .run import Run
from .step import step_layout

__all__ = ["activation_image", "control_image", "load_words", "result_matrix", "weight_image"]

WordArray = npt.NDArray[np.uint32]


def activation_image(spec: ArrayGeometry, run: Run, codes: IntArray, precision: Precision) -> WordArray:
    """The activation memory for codes [M, K]: uint32 [words, 32-bit pieces of a word, the lowest first]."""
    values = spec.mac.activation_values(precision)
    return _image(spec, run.steps, run.row_tiles, spec.rows, codes, precision, values, False)


def weight_image(spec: ArrayGeometry, run: Run, codes: IntArray, precision: Precision) -> WordArray:
    """The weight memory for codes [N, K]: uint32 [words, 32-bit pieces of a word, the lowest first]."""
    values = spec.mac.weight_values(precision)
    return _image(spec, run.steps, run.column_tiles, spec.columns, codes, precision, values, True)


def _image(
    spec: ArrayGeometry, steps: int, tiles: int, places: int, codes: IntArray, precision: Precision,
    values: CodeValues, weights: bool,
) -> WordArray:  # fmt: skip
    lacking = values.lacking(codes)
    if lacking.size:
        raise InputError(f"codes must be {values} at {precision}, not {lacking[0]}")
    width = values.bits
    lanes = spec.mac.products_per_step(precision)
    count, k = codes.shape
    last = k - (steps - 1) * lanes
    bits = values.bits_of(codes)
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


def control_image(spec: ArrayGeometry, k: int, precision: Precision, base: int = 0) -> list[tuple[int, int]]:
    """Addresses and words of the control table at ``base`` for sums of ``k`` products."""
    lanes = spec.mac.products_per_step(precision)
    found = []
    for first, used in ((base, lanes), (base + spec.control_cycles, (k - 1) % lanes + 1)):
        found += [(first + c, word) for c, word in enumerate(step_layout(spec.mac, precision, used).control)]
    return found


def load_words(
    spec: ArrayGeometry, run: Run, weights: IntArray, activations: IntArray, precision: Precision
) -> dict[str, list[dict[str, int]]]:
    """What the load ports carry to write weights [N, K], activations [M, K] and the control table of a run where it
    reads them: for each of the three memories the words of its ports, cycle by cycle.
    """
    found: dict[str, list[dict[str, int]]] = {}
    for name, base, image in (
        ("weight", run.weight_base, weight_image(spec, run, weights, precision)),
        ("activation", run.activation_base, activation_image(spec, run, activations, precision)),
    ):
        words = (int.from_bytes(pieces.tobytes(), "little") for pieces in image)
        found[f"{name}s"] = [
            {f"load_{name}s": 1, f"{name}_address": address, f"{name}_data": word}
            for address, word in enumerate(words, base)
        ]
    found["control"] = [
        {"load_control": 1, "control_address": address, "control_data": word}
        for address, word in control_image(spec, weights.shape[1], precision, run.control_base)
    ]
    return found


def result_matrix(spec: ArrayGeometry, run: Run, words: WordArray, m: int, n: int) -> IntArray:
    """The M x N results from the words of the result memory: uint32 [tiles * drain_rows, pieces], as they are read."""
    width, places = spec.result_width, spec.drains * spec.columns
    if width == 32:
        values = words[:, :places].astype(np.int32).astype(np.int64)
    else:
        bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : places * width]
        fields = bits.reshape(len(words), places, width).astype(np.int64)
        values = (fields << np.arange(width)).sum(-1)
        values -= (values >> (width - 1)) << width
    drained = values.reshape(run.column_tiles, run.row_tiles, spec.drain_rows, spec.drains, spec.columns)
    rows = drained.swapaxes(2, 3).reshape(run.column_tiles, run.row_tiles, -1, spec.columns)  # the last row first
    tiles = rows[:, :, spec.rows - 1 :: -1]
    matrix = tiles.transpose(1, 2, 0, 3).reshape(run.row_tiles * spec.rows, run.column_tiles * spec.columns)
    return np.ascontiguousarray(matrix[:m, :n])
