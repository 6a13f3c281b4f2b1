"""Computes every product of an integer network on simulated arrays, and compares each result with the exact one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType, TracebackType

import numpy as np
import torch

from qat.network import Product, exact_product
from rtl.array import ArraySpec, Codes, Pass, plan_passes
from rtl.spec import IntArray
from siliquant.inputs import InputError, counted
from siliquant.processes import cores
from sim.bench import MismatchError

from .drain import Drained, DrainTable
from .driver import ArraySimulator, Block, check_width

__all__ = ["ArrayEngine", "GemmRecord", "passes_of"]


@dataclass(frozen=True)
class GemmRecord:
    """What was simulated of one GEMM so far, summed over all arrays; ``passes`` is of one product. Operands enter in
    ``operand_cycles`` of the ``cycles``. ``accumulators`` were compared with the exact ones, ``codes`` with PyTorch's,
    and ``equal_accumulators`` and ``equal_codes`` of them were equal. The codes were drained through requantisers, in
    ``code_cycles`` of their own.
    """

    name: str
    products: int = 0
    macs: int = 0
    accumulators: int = 0
    equal_accumulators: int = 0
    codes: int = 0
    equal_codes: int = 0
    code_cycles: int = 0
    passes: int = 0
    operand_cycles: int = 0
    cycles: int = 0
    predicted_cycles: int = 0
    load_cycles: int = 0
    predicted_load_cycles: int = 0

    @property
    def mismatches(self) -> int:
        """Accumulators and codes that were compared and not equal."""
        return self.accumulators - self.equal_accumulators + self.codes - self.equal_codes

    def plus(self, block: Block) -> GemmRecord:
        """The record with the cycles of a block added."""
        return replace(
            self,
            operand_cycles=self.operand_cycles + block.operand_cycles,
            cycles=self.cycles + block.cycles,
            predicted_cycles=self.predicted_cycles + block.predicted_cycles,
            load_cycles=self.load_cycles + block.load_cycles,
            predicted_load_cycles=self.predicted_load_cycles + block.predicted_load_cycles,
        )


@dataclass(frozen=True)
class _Part:
    """Rows and columns of one matrix of a product that are computed at once."""

    matrix: int
    rows: slice
    columns: slice


class ArrayEngine:
    """An engine of :class:`qat.integers.integer.IntegerModel`: products go to ``jobs`` simulators of ``library`` side
    by side.

    Results are compared with the exact ones as they come; the first that differs raises MismatchError. GEMMs with one
    of ``tables`` are computed once more with requantisation at the drain, and the codes compared with PyTorch's.
    ``report`` is told the MACs of each product when it is done. Raises ValueError for operands without a row, a column
    or a matrix, and for those that the array has no precision, memory or result width for.
    """

    def __init__(
        self, spec: ArraySpec, library: Path, *, jobs: int | None = None,
        tables: Mapping[str, DrainTable] = MappingProxyType({}), report: Callable[[int], None] = lambda macs: None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self._tables = tables
        self.records: dict[str, GemmRecord] = {}
        self._report = report
        count = jobs or cores()
        self._simulators = [ArraySimulator(spec, library) for _ in range(count)]
        self._free: SimpleQueue[ArraySimulator] = SimpleQueue()
        for simulator in self._simulators:
            self._free.put(simulator)
        self._pool = ThreadPoolExecutor(count)

    def __enter__(self) -> ArrayEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for simulator in self._simulators:
            simulator.close()

    def __call__(self, product: Product) -> torch.Tensor:
        """The accumulators of the simulated hardware, int64 [..., M, N]."""
        passes = passes_of(self.spec, product)
        left, right = product.left.numpy(), product.right.numpy()
        if not left.size or not right.size:
            raise InputError(
                f"{_layer(product)} must have operands without a side of 0, not shapes {left.shape} and {right.shape}"
            )
        expected = exact_product(product).numpy()
        shape = expected.shape
        if right.ndim == 2:  # one weight for all: rows of all samples are rows of one matrix
            left, right = left.reshape(1, -1, left.shape[-1]), right[None]
        else:
            batch = shape[:-2]
            left = np.broadcast_to(left, (*batch, *left.shape[-2:])).reshape(-1, *left.shape[-2:])
            right = np.broadcast_to(right, (*batch, *right.shape[-2:])).reshape(-1, *right.shape[-2:])
        wanted = expected.reshape(len(left), left.shape[1], right.shape[1])
        found = np.empty_like(wanted)
        record = self.records.get(product.name, GemmRecord(product.name))
        for part, block in self._simulated(left, right, passes, None):
            equal = self._check(product, part, block, wanted[part.matrix, part.rows, part.columns], "")
            found[part.matrix, part.rows, part.columns] = block.results
            record = replace(
                record.plus(block),
                accumulators=record.accumulators + block.results.size,
                equal_accumulators=record.equal_accumulators + equal,
            )
        if product.name in self._tables:
            drained = Drained.of(self._tables[product.name], product, wanted)
            for part, block in self._simulated(left, right, passes, drained):
                equal = self._check(product, part, block, drained.ranks[part.matrix, part.rows, part.columns], "code ")
                record = replace(
                    record,
                    codes=record.codes + block.results.size,
                    equal_codes=record.equal_codes + equal,
                    code_cycles=record.code_cycles + block.cycles + block.load_cycles,
                )
        macs = wanted.size * left.shape[-1]
        self.records[product.name] = replace(
            record, products=record.products + 1, macs=record.macs + macs, passes=len(passes)
        )
        self._report(macs)
        return torch.from_numpy(found.reshape(shape))

    def _simulated(
        self, left: IntArray, right: IntArray, passes: tuple[Pass, ...], drained: Drained | None
    ) -> Iterator[tuple[_Part, Block]]:
        """All parts of a product in order, while the simulators work ahead."""
        parts = list(self._parts(left.shape, right.shape[1], passes, drained is not None))
        futures = [self._pool.submit(self._multiply, left, right, part, passes, drained) for part in parts]
        try:
            for part, future in zip(parts, futures, strict=True):
                yield part, future.result()
        finally:
            for future in futures:
                future.cancel()

    def _multiply(
        self, left: IntArray, right: IntArray, part: _Part, passes: tuple[Pass, ...], drained: Drained | None
    ) -> Block:
        parameters = None if drained is None else drained.parameters(part.matrix, part.columns)
        simulator = self._free.get()
        try:
            return simulator.multiply(
                left[part.matrix, part.rows], right[part.matrix, part.columns], passes, parameters
            )
        finally:
            self._free.put(simulator)

    def _parts(self, left: tuple[int, ...], n: int, passes: tuple[Pass, ...], requantised: bool) -> Iterator[_Part]:
        """Parts that fit into the memories, and into the requantisers where those are used."""
        spec = self.spec
        matrices, m, k = left
        sizes = [spec.run(1, k, 1, each.precision) for each in passes]  # of one tile
        rows = min(spec.activation_depth // max(size.activation_words for size in sizes), -(-m // spec.rows))
        columns = min(spec.weight_depth // max(size.weight_words for size in sizes), -(-n // spec.columns))
        tiles = spec.result_depth // spec.drain_rows
        columns = min(columns, tiles)
        if requantised and spec.requant is not None:
            columns = min(columns, spec.requant.groups)
        rows = min(rows, tiles // columns)
        for matrix in range(matrices):
            for column in range(0, n, columns * spec.columns):
                for row in range(0, m, rows * spec.rows):
                    yield _Part(
                        matrix, slice(row, row + rows * spec.rows), slice(column, column + columns * spec.columns)
                    )

    def _check(self, product: Product, part: _Part, block: Block, wanted: IntArray, what: str) -> int:
        """How many results are equal. Raises MismatchError for the first that differs, and for cycles that are not as
        predicted.
        """
        spec, layer = self.spec, _layer(product)
        equal = block.results == wanted
        wrong = np.argwhere(~equal)
        if len(wrong):
            row, column = (int(index) for index in wrong[0])
            m, n = part.rows.start + row, part.columns.start + column
            raise MismatchError(
                f"{layer}, matrix {part.matrix}, tile ({m // spec.rows}, {n // spec.columns}), row {m % spec.rows}, "
                f"column {n % spec.columns} (output {m}, {n}): expected {what}{int(wanted[row, column])}, "
                f"not {int(block.results[row, column])}; {len(wrong)} of {counted(wanted.size, 'result')} of this "
                f"block {'differs' if len(wrong) == 1 else 'differ'}"
            )
        for kind, cycles, predicted in (
            ("run", block.cycles, block.predicted_cycles),
            ("load", block.load_cycles, block.predicted_load_cycles),
        ):
            if cycles != predicted:
                raise MismatchError(f"{layer}, matrix {part.matrix}: expected {predicted} {kind} cycles, not {cycles}")
        return int(equal.sum())


def passes_of(spec: ArraySpec, product: Product) -> tuple[Pass, ...]:
    """How the array computes a product. Raises ValueError, which names the layer, where it cannot: its design does not
    hold the codes or so long sums, its memories not one tile, or its results not the sums.
    """
    layer, k = _layer(product), product.left.shape[-1]
    weights = Codes(product.right_bits, product.right_signed)
    try:
        passes = plan_passes(spec.mac, weights, Codes(product.left_bits, product.left_signed))
    except InputError as error:  # it names the design
        raise InputError(f"{layer}: {error.sentence}") from None
    try:
        for each in passes if k else ():
            spec.run(1, k, 1, each.precision)
        check_width(spec, passes, k)
    except InputError as error:
        raise InputError(f"{layer} on {spec.mac.name}: {error.sentence}") from None
    return passes


def _layer(product: Product) -> str:
    return product.name if product.part is None else f"{product.name}, head {product.part}"
