"""One simulated array: operands in, results and cycles out."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from rtl.array import (
    ArraySpec,
    Pass,
    Refusal,
    Run,
    WordArray,
    control_image,
    width_of_results,
)
from rtl.spec import IntArray
from siliquant.files import load
from siliquant.inputs import InputError
from sim.simulators import SimulationError

from .layout import activation_words, layout_library, result_values, weight_words

__all__ = ["ArraySimulator", "Block", "RefusedError", "check_width"]


class RefusedError(SimulationError):
    """The array refused a run: ``cause``, after ``cycles`` in which it was busy."""

    def __init__(self, text: str, cause: Refusal, cycles: int) -> None:
        super().__init__(text)
        self.cause, self.cycles = cause, cycles


class _Image(ctypes.Structure):
    _fields_ = [("words", ctypes.c_void_p), ("count", ctypes.c_int64), ("pieces", ctypes.c_int64)]


class _Settings(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "steps", "weight_planes", "activation_planes", "row_tiles", "column_tiles", "weight_base",
            "activation_base", "control_base", "result_base", "shift", "negate", "accumulate", "halve", "requantise",
            "group", "group_step",
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
    """A Verilated array. Not for two threads at once; several simulators of one library run side by side.

    As layers do that ping-pong between the two ends of the memories, every second run has its operands at the end of
    their memories, all others at the start; results and parameter sets stay where they are for all passes of a product.
    """

    def __init__(self, spec: ArraySpec, library: Path) -> None:
        self.spec = spec
        layout_library()  # compiled now, not by the first of several threads
        self._library = load(library)
        self._library.array_new.restype = ctypes.c_void_p
        self._library.array_delete.argtypes = [ctypes.c_void_p]
        image = ctypes.POINTER(_Image)
        self._library.array_load.argtypes = [ctypes.c_void_p, image, image, image, ctypes.c_int64, ctypes.c_int64]
        self._library.array_load.restype = ctypes.c_int64
        if spec.requant is not None:
            self._library.array_requant.argtypes = [ctypes.c_void_p, image, image, image]
            self._library.array_requant.restype = ctypes.c_int64
        self._library.array_run.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Settings), ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64,
            ctypes.POINTER(ctypes.c_int32),
        ]  # fmt: skip
        self._library.array_run.restype = ctypes.c_int64
        self._handle = self._library.array_new()
        self._turn = 0  # of the halves of the memories

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
        check_width(spec, passes, k)
        operand_cycles = cycles = predicted = loads = predicted_loads = group = 0
        if parameters is not None:
            group = self._group(len(parameters))
            loads += self._load_parameters(parameters, n, group)
            predicted_loads += len(parameters)
        results_at_end = self._turn % 2
        for number, each in enumerate(passes):
            run = self._placed(spec.run(m, k, n, each.precision), results_at_end)
            last = number == len(passes) - 1
            loads += self.load(
                run,
                weight_words(spec, run, each.weights.take(weights), each.precision),
                activation_words(spec, run, each.activations.take(activations), each.precision),
                control_image(spec, k, each.precision, run.control_base),
            )
            predicted_loads += spec.load_cycles(run)
            changed = each.changed or (last and parameters is not None)
            predicted += spec.cycles(run, changed=changed)
            settings = {
                **asdict(run), "shift": each.shift, "negate": int(each.negate), "accumulate": int(each.accumulate),
                "halve": int(each.halve), "requantise": int(last and parameters is not None), "group": group,
                "group_step": int(parameters is not None and len(parameters) > 1),
            }  # fmt: skip
            count = run.tiles * spec.drain_rows if last else 0
            took, words = self.run(settings, spec.cycles(run, changed=changed), count)
            cycles += took
            operand_cycles += run.tiles * run.cycles_per_tile
        return Block(result_values(spec, run, words, m, n), operand_cycles, cycles, predicted, loads, predicted_loads)

    def load(self, run: Run, weights: WordArray, activations: WordArray, control: list[tuple[int, int]]) -> int:
        """Writes words from the bases of ``run`` on, and those of a control table to their addresses; the cycles."""
        table = np.array(control, np.uint32).reshape(-1, 2)
        images = (ctypes.byref(_image(image)) for image in (weights, activations, table))
        return int(self._library.array_load(self._handle, *images, run.weight_base, run.activation_base))

    def run(self, settings: Mapping[str, int], expected: int, count: int) -> tuple[int, WordArray]:
        """Starts a run of ``settings`` by port; the cycles that it took, and its first ``count`` result words.

        Raises SimulationError where it has not ended after four times the ``expected`` cycles and 1000 more, or has
        been refused.
        """
        spec, error = self.spec, ctypes.c_int32()
        pieces = -(-spec.drains * spec.columns * spec.result_width // 32)
        words = np.zeros((count, pieces), np.uint32)
        given = _Settings(**settings)
        took = self._library.array_run(
            self._handle, ctypes.byref(given), words.ctypes.data, count, pieces, 4 * expected + 1000, error
        )
        if took < 0:
            raise SimulationError(f"{spec.name} must end a run in {expected} cycles, not go on for 4 times that")
        if error.value:
            raise RefusedError(f"{spec.name} refuses a run: {Refusal(error.value).meaning}", Refusal(error.value), took)
        return int(took), words

    def _placed(self, run: Run, results_at_end: int) -> Run:
        """The run with its words at the start or the end of each memory."""
        spec, turn = self.spec, self._turn % 2
        self._turn += 1
        return replace(
            run,
            weight_base=turn * (spec.weight_depth - run.weight_words),
            activation_base=turn * (spec.activation_depth - run.activation_words),
            control_base=turn * 2 * spec.control_cycles,
            result_base=results_at_end * (spec.result_depth - run.tiles * spec.drain_rows),
        )

    def _group(self, sets: int) -> int:
        """The first of the parameter sets that are used: by turns those at the start and at the end."""
        assert self.spec.requant is not None
        tiles = -(-sets // self.spec.columns)
        return self._turn % 2 * (self.spec.requant.groups - tiles)

    def _load_parameters(self, parameters: WordArray, n: int, group: int) -> int:
        """Parameters of column n go to the requantiser of column n % columns, as set group + n // columns; cycles."""
        columns = self.spec.columns
        masks = np.zeros((len(parameters), -(-columns // 32)), np.uint32)
        groups = np.full((len(parameters), 1), group, np.uint32)
        if len(parameters) == 1:
            for column in range(columns):
                masks[0, column // 32] |= np.uint32(1 << column % 32)
        else:
            if len(parameters) != n:
                raise InputError(f"parameters must be one set, or one for each of {n} columns, not {len(parameters)}")
            place = np.arange(n)
            masks[place, place % columns // 32] = np.uint32(1) << (place % columns % 32).astype(np.uint32)
            groups[:, 0] += (place // columns).astype(np.uint32)
        images = masks, groups, np.ascontiguousarray(parameters)
        return int(self._library.array_requant(self._handle, *(ctypes.byref(_image(image)) for image in images)))


def check_width(spec: ArraySpec, passes: tuple[Pass, ...], k: int) -> None:
    """Raises InputError where sums of ``k`` products may not fit the results of the array."""
    width = width_of_results(passes, k)
    if width > spec.result_width:
        raise InputError(
            f"result_width must be at least {width} bits for sums of {k} products in {len(passes)} passes, "
            f"not {spec.result_width}"
        )


def _image(words: WordArray) -> _Image:
    """Where the words are, which must outlive it. Raises InputError for what compiled code would read amiss."""
    if words.dtype != np.uint32 or words.ndim != 2 or not words.flags.c_contiguous:
        raise InputError(f"words must be a contiguous matrix of type uint32, not {words.dtype} of shape {words.shape}")
    return _Image(words.ctypes.data, len(words), words.shape[1])
