"""Operands as the array's memories hold them, and results as they are read, in compiled code.

The same as :mod:`rtl.array.images`, which says what lies where, many times as fast; the tests compare the two.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtl.array import ArraySpec, Run, WordArray, step_layout
from rtl.spec import CodeValues, IntArray, Precision
from siliquant.files import load
from siliquant.inputs import InputError
from siliquant.processes import native_flags, processor
from sim.simulators import Verilator, cached, executable, run_tool

__all__ = ["activation_words", "layout_library", "result_values", "weight_words"]

_SOURCE = Path(__file__).with_name("layout.cpp")
_FLAGS = ("-std=gnu++17", "-O3", *native_flags(), "-fPIC", "-shared")


class _Operand(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "count",
            "k",
            "tiles",
            "places",
            "steps",
            "lanes",
            "planes",
            "port",
            "bits",
            "low",
            "high",
            "pieces",
        )
    ]


class _Results(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "m", "n", "row_tiles", "column_tiles", "rows", "columns", "drains", "drain_rows", "width", "pieces",
        )
    ]  # fmt: skip


def activation_words(spec: ArraySpec, run: Run, codes: IntArray, precision: Precision) -> WordArray:
    """As :func:`rtl.array.activation_image`: uint32 [words, 32-bit pieces of a word] for codes [M, K]."""
    return _laid_out(spec, run, codes, precision, weights=False)


def weight_words(spec: ArraySpec, run: Run, codes: IntArray, precision: Precision) -> WordArray:
    """As :func:`rtl.array.weight_image`: uint32 [words, 32-bit pieces of a word] for codes [N, K]."""
    return _laid_out(spec, run, codes, precision, weights=True)


def result_values(spec: ArraySpec, run: Run, words: WordArray, m: int, n: int) -> IntArray:
    """As :func:`rtl.array.result_matrix`: int64 [m, n] from uint32 [tiles * drain_rows, 32-bit pieces of a word].

    Raises ValueError where there are fewer words or pieces than the results take, or words of another type.
    """
    if words.dtype != np.uint32:  # compiled code takes their address
        raise InputError(f"words must be of type uint32, not {words.dtype}")
    pieces = -(-spec.drains * spec.columns * spec.result_width // 32)
    if words.shape != (run.tiles * spec.drain_rows, pieces):
        raise InputError(f"words must be of shape {(run.tiles * spec.drain_rows, pieces)}, not {words.shape}")
    if not (1 <= m <= run.row_tiles * spec.rows and 1 <= n <= run.column_tiles * spec.columns):
        raise InputError(f"results must be of a product that the run computes, not {m} x {n}")
    words = np.ascontiguousarray(words)
    values = np.empty((m, n), np.int64)
    about = _Results(
        m, n, run.row_tiles, run.column_tiles, spec.rows, spec.columns, spec.drains, spec.drain_rows,
        spec.result_width, pieces,
    )  # fmt: skip
    layout_library().read_results(ctypes.byref(about), words.ctypes.data, values.ctypes.data)
    return values


def _laid_out(spec: ArraySpec, run: Run, codes: IntArray, precision: Precision, *, weights: bool) -> WordArray:
    mac = spec.mac
    values = mac.weight_values(precision) if weights else mac.activation_values(precision)
    tiles, places = (run.column_tiles, spec.columns) if weights else (run.row_tiles, spec.rows)
    lanes = mac.products_per_step(precision)
    if codes.dtype.kind not in "iu" or not np.can_cast(codes.dtype, np.int64):  # uint64 would wrap
        raise InputError(f"codes must be of an integer type of at most 63 bits and a sign, not {codes.dtype}")
    count, k = codes.shape
    if not (1 <= count <= tiles * places and (run.steps - 1) * lanes < k <= run.steps * lanes):
        raise InputError(f"codes must be those of the run, not of shape {codes.shape}")
    full, last = (
        np.ascontiguousarray(layout.weights if weights else layout.activations, np.int64)
        for layout in (step_layout(mac, precision, used) for used in (lanes, k - (run.steps - 1) * lanes))
    )
    planes, port = full.shape
    about = _Operand(
        count, k, tiles, places, run.steps, lanes, planes, port, values.bits, *values.range, -(-places * port // 32)
    )
    codes = np.ascontiguousarray(codes, np.int64)
    words = np.zeros((tiles * run.steps * planes, about.pieces), np.uint32)
    table = _table(values)
    arrays = (array.ctypes.data for array in (codes, table, full, last, words))
    wrong = layout_library().lay_out(ctypes.byref(about), *arrays)
    if wrong >= 0:
        raise InputError(f"codes must be {values} at {precision}, not {codes.reshape(-1)[wrong]}")
    return words


@cache
def _table(values: CodeValues) -> npt.NDArray[np.int16]:
    """By value less the smallest, the bits of its code; -1 where there is none."""
    low, high = values.range
    table = np.full(high - low + 1, -1, np.int16)
    table[np.array(values.values) - low] = values.words
    return table


@cache
def layout_library() -> ctypes.CDLL:
    """What lays out and reads, compiled once for this machine. Raises ToolError where there is no compiler."""
    tools = Verilator().tools()
    key = {"source": _SOURCE.read_text(), "flags": list(_FLAGS), "processor": processor(), "compiler": tools["g++"]}

    def build(folder: Path) -> None:
        run_tool([executable("g++"), *_FLAGS, str(_SOURCE), "-o", "layout.so"], folder)

    library = load(cached("layout", key, build) / "layout.so")
    library.lay_out.argtypes = [ctypes.POINTER(_Operand), *[ctypes.c_void_p] * 5]
    library.lay_out.restype = ctypes.c_int64
    library.read_results.argtypes = [ctypes.POINTER(_Results), *[ctypes.c_void_p] * 2]
    library.read_results.restype = None
    return library
