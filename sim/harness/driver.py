"""One simulated array: operands in, results and cycles out."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from rtl.array import ArraySpec
from rtl.array.images import WordArray, activation_image, control_image, result_matrix, weight_image
from rtl.array.passes import Pass, width_of_results
from rtl.spec import IntArray
from siliquant.builds import load
from siliquant.errors import InputError

from ..toolchain import SimulationError

__all__ = ["ArraySimulator", "Block"]


class _Image(ctypes.Structure):
    _fields_ = [("words", ctypes.c_void_p), ("count", ctypes.c_int64), ("pieces", ctypes.c_int64)]


class _Settings(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "steps", "weight_planes", "activation_planes", "row_tiles", "column_tiles", "shift", "negate",
            "accumulate", "halve", "requantise", "group_step",
        )
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Block:
    """What a simulated array gave for one block: results [M, N]; cycles of its runs and of loading, as simulated and
    as the spec predicts, and those of the runs in which operands enter.
    """

    results: IntArray
    operand_cycles: int
    cycles: int
    predicted_cycles: int
    load_cycles: int
    predicted_load_cycles: int


class ArraySimulator:
    """A Verilated array. Not for two threads at once; several simulators of one library run side by side."""

    def __init__(self, spec: ArraySpec, library: Path) -> None:
        self.spec = spec
        self._library = load(library)
        self._library.array_new.restype = ctypes.c_void_p
        self._library.array_delete.argtypes = [ctypes.c_void_p]
        image = ctypes.POINTER(_Image)
        self._library.array_load.argtypes = [ctypes.c_void_p, image, image, image]
        self._library.array_load.restype = ctypes.c_int64
        if spec.requant is not None:
            self._library.array_requant.argtypes = [ctypes.c_void_p, image, image, image]
            self._library.array_requant.restype = ctypes.c_int64
        self._library.array_run.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Settings), ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64
        ]  # fmt: skip
        self._library.array_run.restype = ctypes.c_int64
        self._handle = self._library.array_new()

    def __enter__(self) -> ArraySimulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the simulation."""
        if self._handle is not None:
            self._library.array_delete(self._handle)
            self._handle = None

    def multiply(
        self, activations: IntArray, weights: IntArray, passes: tuple[Pass, ...], parameters: WordArray | None = None
    ) -> Block:
        """activations [M, K] times weights [N, K] in ``passes``; all of it must fit into the memories.

        With ``parameters``, of one requantiser for all columns or of one a column of the result (see
        :class:`sim.harness.drain.DrainTable`), the results are its codes. Raises ValueError where the operands do
        not fit or the results may not, SimulationError where the array does not end in time.
        """
        spec = self.spec
        (m, k), n = activations.shape, len(weights)
        width = width_of_results(passes, k)
        if width > spec.result_width:
            raise InputError(
                f"result_width must be at least {width} bits for sums of {k} products in {len(passes)} passes, "
                f"not {spec.result_width}"
            )
        operand_cycles = cycles = predicted = loads = predicted_loads = 0
        if parameters is not None:
            loads += self._load_parameters(parameters, n)
            predicted_loads += len(parameters)
        for number, each in enumerate(passes):
            run = spec.run(m, k, n, each.precision)
            images = (
                weight_image(spec, run, each.weights.take(weights), each.precision),
                activation_image(spec, run, each.activations.take(activations), each.precision),
                np.array(control_image(spec, k, each.precision), np.uint32),
            )
            loads += int(self._library.array_load(self._handle, *(ctypes.byref(_image(image)) for image in images)))
            predicted_loads += spec.load_cycles(run)
            pieces = -(-spec.columns * spec.result_width // 32)
            last = number == len(passes) - 1
            words = np.zeros((run.tiles * spec.rows if last else 0, pieces), np.uint32)
            predicted += (expected := spec.cycles(run))
            settings = _Settings(
                run.steps, run.weight_planes, run.activation_planes, run.row_tiles, run.column_tiles,
                each.shift, each.negate, each.accumulate, each.halve,
                last and parameters is not None, parameters is not None and len(parameters) > 1,
            )  # fmt: skip
            took = self._library.array_run(
                self._handle, ctypes.byref(settings), words.ctypes.data, len(words), pieces, 4 * expected + 1000
            )
            if took < 0:
                raise SimulationError(f"{spec.name} must end a run in {expected} cycles, not go on for 4 times that")
            cycles += took
            operand_cycles += run.tiles * run.cycles_per_tile
        return Block(result_matrix(spec, run, words, m, n), operand_cycles, cycles, predicted, loads, predicted_loads)

    def _load_parameters(self, parameters: WordArray, n: int) -> int:
        """Parameters of column n go to the requantiser of column n % columns, as group n // columns; cycles."""
        columns = self.spec.columns
        masks = np.zeros((len(parameters), -(-columns // 32)), np.uint32)
        groups = np.zeros((len(parameters), 1), np.uint32)
        if len(parameters) == 1:
            for column in range(columns):
                masks[0, column // 32] |= np.uint32(1 << column % 32)
        else:
            if len(parameters) != n:
                raise InputError(f"parameters must be one set, or one for each of {n} columns, not {len(parameters)}")
            place = np.arange(n)
            masks[place, place % columns // 32] = np.uint32(1) << (place % columns % 32).astype(np.uint32)
            groups[:, 0] = place // columns
        images = masks, groups, np.ascontiguousarray(parameters)
        return int(self._library.array_requant(self._handle, *(ctypes.byref(_image(image)) for image in images)))


def _image(words: WordArray) -> _Image:
    """Where the words are, which must outlive it."""
    return _Image(words.ctypes.data, len(words), words.shape[1])
