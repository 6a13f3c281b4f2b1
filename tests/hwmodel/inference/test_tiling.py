"""Counts of products on arrays, against rtl.array's own formulas, the engine of the simulations, and a real record."""

import json
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.inference.inference import network_cost
from hwmodel.inference.rows import operand_depths
from hwmodel.inference.tiles import Grids, Matrices, Timing, needed_words, tile_words
from hwmodel.inference.tiling import Overlap, cycles_of, tally
from hwmodel.workload import PrecisionClass, Role, Scales, load_workload
from hwmodel.workload.assignment import uniform
from qat.network.gemm import Product
from rtl.array import Architecture, ArraySpec, drained
from rtl.mac import (
    DESIGNS,
    BitFusionSpec,
    BitSerialSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.requant import ThresholdSpec
from rtl.spec.mac import MacSpec
from rtl.spec.numbers import IntArray
from sim.harness import engine as engine_module
from sim.harness.drain import DrainTable
from sim.harness.driver import Block
from sim.harness.engine import ArrayEngine, GemmRecord, passes_of
from tests.hwmodel.inference import networkcases as cases
from tests.sim.harness.products import SERIAL, check, library_of
from tests.sim.harness.products import product as random_product

RECORD = Path(__file__).with_name("equivalence_vit_mnist.json")
MACS: tuple[MacSpec, ...] = (
    UniformSpec(weight_bits=4, activation_bits=4, lanes=3, reduction_length=200),
    UniformSpec(weight_bits=2, activation_bits=3, lanes=2, reduction_length=200, pipeline_stages=1),
    PaddedSpec(units=2, reduction_length=200),
    SubwordSpec(units=2, reduction_length=200),
    BitFusionSpec(units=1, reduction_length=200, pipeline_stages=2),
    BitSerialSpec(units=4, reduction_length=200),
    LoomSpec(units=3, reduction_length=200),
    XnorSpec(lanes=4, reduction_length=200),
)


def array_of(mac: MacSpec, rows: int, columns: int, architecture: Architecture, depths: tuple[int, int, int],
             requant: ThresholdSpec | None = None, drains: int = 1) -> ArraySpec:  # fmt: skip
    return ArraySpec(
        mac=mac, rows=rows, columns=columns, architecture=architecture, activation_depth=depths[0],
        weight_depth=depths[1], result_width=40, requant=requant, **drained(rows, drains, depths[2]),
    )  # fmt: skip


arrays = st.builds(
    array_of,
    st.sampled_from(MACS),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(Architecture),
    st.tuples(st.integers(200, 1200), st.integers(200, 1200), st.integers(1, 40)),
    st.one_of(
        st.none(), st.builds(ThresholdSpec, accumulator_width=st.just(40), bits=st.just(2), groups=st.integers(1, 3))
    ),
    st.integers(1, 4),
)
products = st.builds(
    Matrices,
    m=st.integers(1, 23),
    k=st.integers(1, 40),
    n=st.integers(1, 23),
    count=st.integers(1, 3),
    bits=st.integers(2, 8),
    activation_signed=st.booleans(),
)


class Simulator:
    """Stands in for the simulation: exact results, the cycles that the spec predicts, counted as the driver does."""

    def __init__(self, spec: ArraySpec, library: Path) -> None:
        self.spec = spec

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        pass

    def multiply(self, activations: IntArray, weights: IntArray, passes: Any, parameters: Any = None) -> Block:
        runs = [self.spec.run(len(activations), activations.shape[1], len(weights), each.precision) for each in passes]
        changed = [each.changed for each in passes]
        changed[-1] |= parameters is not None
        cycles = sum(self.spec.cycles(run, changed=change) for run, change in zip(runs, changed, strict=True))
        loads = sum(self.spec.load_cycles(run) for run in runs) + (0 if parameters is None else len(parameters))
        operand_cycles = sum(run.tiles * run.cycles_per_tile for run in runs)
        results = (
            np.zeros((len(activations), len(weights)), np.int64) if parameters is not None else activations @ weights.T
        )
        return Block(results, operand_cycles, cycles, cycles, loads, loads)


def engine_record(array: ArraySpec, product: Matrices, *, by_head: bool = False) -> GemmRecord:
    """What the engine of the simulations counts for the product."""
    low = -(1 << (product.bits - 1)) if product.activation_signed else 0
    left = torch.full((product.count, product.m, product.k), low, dtype=torch.int64)
    right = torch.ones((product.count, product.n, product.k), dtype=torch.int64)
    given_product = Product("g", None, left, right, product.bits, product.activation_signed, product.bits, True)
    tables = {}
    if array.requant is not None:
        channels = product.count if by_head else product.n
        parameters = np.zeros((channels, 1), np.uint32)
        tables["g"] = DrainTable(by_head, parameters, lambda accumulators: np.zeros_like(accumulators))
    with ArrayEngine(array, Path(), jobs=1, tables=tables) as engine:
        engine(given_product)
        return engine.records["g"]


@settings(max_examples=60)
@given(array=arrays, product=products)
def test_counts_are_those_of_the_simulations(array: ArraySpec, product: Matrices) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "ArraySimulator", Simulator)
        record = engine_record(array, product)
        heads = engine_record(array, product, by_head=True)
    plain = tally(Timing.of(array), Grids.of([array]), product).of(0)
    assert plain["operand_cycles"] == record.operand_cycles
    assert plain["run_cycles"] == record.cycles
    assert plain["load_cycles"] == record.load_cycles
    assert plain["cycles"] == record.cycles + record.load_cycles
    if array.requant is not None:
        for found, sets in ((record, product.n), (heads, 1)):
            drained = Matrices(**{**vars(product), "parameter_sets": sets})
            assert cycles_of(Timing.of(array), Grids.of([array]), drained, Overlap.NONE)[0] == found.code_cycles


def parts_of(array: ArraySpec, product: Matrices) -> list[tuple[int, int]]:
    """(rows, columns) of every part in the order of the engine."""
    passes = product.passes(array.mac)
    words = tile_words(array.mac, product.k, passes)
    rows = min(array.activation_depth // max(w.steps * w.activation_planes for w in words), -(-product.m // array.rows))
    columns = min(array.weight_depth // max(w.steps * w.weight_planes for w in words), -(-product.n // array.columns))
    tiles = array.result_depth // array.drain_rows
    columns = min(columns, tiles)
    rows = min(rows, tiles // columns)
    found = []
    for _ in range(product.count):
        for column in range(0, product.n, columns * array.columns):
            for row in range(0, product.m, rows * array.rows):
                found.append(
                    (min(rows * array.rows, product.m - row), min(columns * array.columns, product.n - column))
                )
    return found


@settings(max_examples=80)
@given(array=arrays, product=products)
def test_words_and_overlap_by_walking_through_all_runs(array: ArraySpec, product: Matrices) -> None:
    passes = product.passes(array.mac)
    runs = [
        array.run(m, product.k, n, each.precision) for m, n in parts_of(array, product) for each in passes
    ]  # fmt: skip
    loads = [array.load_cycles(run) for run in runs]
    changed = [each.changed for each in passes] * (len(runs) // len(passes))
    cycles = [array.cycles(run, changed=change) for run, change in zip(runs, changed, strict=True)]
    overlapped = loads[0] + sum(max(cycles[i] + 1, loads[i + 1]) for i in range(len(runs) - 1)) + cycles[-1]
    found = tally(Timing.of(array), Grids.of([array]), product, Overlap.DOUBLE).of(0)
    assert found["cycles"] == overlapped
    assert found["activation_words"] == sum(run.activation_words for run in runs)
    assert found["weight_words"] == sum(run.weight_words for run in runs)
    drains = [array.drain_cycles(changed=change) for change in changed]
    assert found["drain_cycles"] == sum(run.tiles * drain for run, drain in zip(runs, drains, strict=True))
    assert found["drained_words"] == sum(run.tiles * array.rows for run in runs)
    adding = sum(
        run.tiles * array.rows for index, run in enumerate(runs) if passes[index % len(passes)].accumulate
    )  # fmt: skip
    assert found["added_words"] == adding
    assert found["result_words"] * len(passes) == found["drained_words"]
    assert found["parts"] * len(passes) == len(runs)
    codes_in = sum(
        m * product.k * min(product.bits, each.precision.activation_bits)
        + n * product.k * min(product.bits, each.precision.weight_bits)
        for m, n in parts_of(array, product)
        for each in passes
    )
    assert found["code_bits_in"] == codes_in
    assert found["result_bits_out"] == product.m * product.n * product.count * 40


def test_many_sizes_at_once_are_each_alone() -> None:
    specs = [
        array_of(MACS[4], rows, columns, Architecture.SYSTOLIC, (200 + 7 * rows, 300 + columns, 40), None, columns)
        for rows in range(1, 6)
        for columns in range(1, 6)
    ]
    product = Matrices(m=19, k=33, n=17, count=2, bits=4, activation_signed=False)
    together = tally(Timing.of(specs[0]), Grids.of(specs), product, Overlap.DOUBLE)
    for number, spec in enumerate(specs):
        assert together.of(number) == tally(Timing.of(spec), Grids.of([spec]), product, Overlap.DOUBLE).of(0)


def test_cycles_of_a_simulated_array_whose_memories_hold_one_tile() -> None:
    """Sums as long as the memories hold, on the Verilated array; with a word less both refuse them."""
    found = uniform(cases.network(cases.gemm("layer", Role.FC1, m=7, k=120, n=8)), 4)
    depths = operand_depths(SERIAL.mac, found, depth=1)
    assert depths == {"activation_depth": 160, "weight_depth": 160}  # 120 products, three at a time, of four planes
    array = replace(SERIAL, **depths)
    given_product = random_product((7, 120), (8, 120))
    with ArrayEngine(array, library_of(array), jobs=1) as engine:
        check(engine, given_product)
        record = engine.records["layer"]
    (cost,) = network_cost(array, found, cases.COSTS).kinds
    assert (cost.parts, cost.operand_cycles) == (4 * 3, 4 * 3 * 40 * 16)
    assert (cost.operand_cycles, cost.run_cycles, cost.load_cycles) == (
        record.operand_cycles, record.cycles, record.load_cycles
    )  # fmt: skip
    assert cost.cycles == record.cycles + record.load_cycles
    for name in depths:
        shallow = replace(array, **{name: 159})
        with pytest.raises(ValueError, match=rf"^layer on {array.mac.name}: .*159"):
            passes_of(shallow, given_product)
        said = f"layer: {name} must be at least 160 words for one tile with sums of 120 products, not 159"
        with pytest.raises(ValueError, match=f"^{said}$"):
            network_cost(shallow, found, cases.COSTS)


def test_memories_in_two_halves_have_the_words_of_an_array() -> None:
    found = uniform(cases.SMALL, 4)
    for depth in (1 << 15, (1 << 15) + 1):
        array = replace(cases.ARRAY, weight_depth=depth)
        assert network_cost(array, found, cases.COSTS).cycles > 0
        if depth == 1 << 15:
            assert network_cost(array, found, cases.COSTS, overlap=Overlap.DOUBLE).cycles > 0
            continue
        with pytest.raises(ValueError) as caught:
            network_cost(array, found, cases.COSTS, overlap=Overlap.DOUBLE)
        assert str(caught.value) == "operand memories in two halves must have at most 65536 words, not 2 x 32769"


def test_cycles_of_a_simulated_network() -> None:
    """Every GEMM of 20 images that ran through a Verilated array, kept from `make demo`."""
    kept = json.loads(RECORD.read_text())
    requant = ThresholdSpec(accumulator_width=32, groups=1, bits=4, signed=False)
    array = ArraySpec(
        mac=UniformSpec(weight_bits=4, activation_bits=4, lanes=4), rows=8, columns=8,
        architecture=Architecture.SYSTOLIC, requant=requant,
    )  # fmt: skip
    assert array.name == kept["array"]
    found = load_workload("vit-mnist")
    bits = uniform(found, 4)
    timing, grids = Timing.of(array), Grids.of([array])
    records = {record["name"]: record for record in kept["gemms"]}
    assert [gemm.name for gemm in found.gemms] == list(records)
    for gemm in found.gemms:
        record = records[gemm.name]
        m, k, n, count = gemm.products(Scales.HEAD_REDUCED)
        product = Matrices(m=m, k=k, n=n, count=count, bits=bits.of(gemm), activation_signed=gemm.activation_signed)
        counts = tally(timing, grids, product).of(0)
        for ours, theirs in (("operand_cycles",) * 2, ("run_cycles", "cycles"), ("load_cycles",) * 2):
            assert counts[ours] * kept["samples"] == record[theirs], gemm.name
        assert (
            len(product.passes(array.mac))
            == record["passes"]
            == (6 if gemm.precision_class is PrecisionClass.ENDS else 1)
        )
        assert gemm.macs * kept["samples"] == record["macs"]
        after = gemm.requantisation(Scales.HEAD)
        assert (after is not None) is (record["codes"] > 0)
        if after is not None:
            drained = Matrices(**{**vars(product), "parameter_sets": after.parameter_sets})
            assert cycles_of(timing, grids, drained, Overlap.NONE)[0] * kept["samples"] == record["code_cycles"]
            assert after.outputs * kept["samples"] == record["codes"]


def test_words_of_one_unit_are_those_of_all() -> None:
    for design in DESIGNS:
        for variant in design.variants():
            for mac in (design(**variant), design(**{**variant, design.size_parameter: 5})):
                for precision in mac.precisions:
                    array = ArraySpec(mac=mac, rows=1, columns=1)
                    product = Matrices(
                        m=1, k=40, n=1, count=1, bits=precision.weight_bits,
                        activation_signed=precision.activation_signed,
                    )  # fmt: skip
                    if precision.weight_bits == precision.activation_bits and len(product.passes(mac)) == 1:
                        used = product.passes(mac)[0].precision
                        (words,) = tile_words(mac, 40, product.passes(mac))
                        assert (words.weight_planes, words.activation_planes) == array.planes(used)
                        run = array.run(1, 40, 1, used)
                        assert needed_words(mac, product) == (run.activation_words, run.weight_words)


def refusal(array: ArraySpec, **changes: Any) -> str:
    values: dict[str, Any] = {"m": 4, "k": 40, "n": 4, "count": 1, "bits": 4, "activation_signed": True, **changes}
    with pytest.raises(ValueError) as caught:
        tally(Timing.of(array), Grids.of([array]), Matrices(**values))
    return str(caught.value)


def test_refusals_say_what_must_be() -> None:
    mac = UniformSpec(lanes=2, reduction_length=100)
    small = ArraySpec(mac=mac, rows=2, columns=2, activation_depth=19, weight_depth=20, result_depth=2)
    assert refusal(small) == "activation_depth must be at least 20 words for one tile with sums of 40 products, not 19"
    small = ArraySpec(mac=mac, rows=2, columns=2, activation_depth=20, weight_depth=19, result_depth=2)
    assert refusal(small) == "weight_depth must be at least 20 words for one tile with sums of 40 products, not 19"
    assert refusal(ArraySpec(mac=mac), k=101) == (
        "the reduction must have at most 100 products (reduction_length), not 101"
    )
    slow = UniformSpec(lanes=1, reduction_length=70_000)
    deep = ArraySpec(mac=slow, activation_depth=1 << 16, weight_depth=1 << 16)
    assert refusal(deep, k=65_536) == "a sum must have at most 65535 steps, not 65536 for 65536 products"
    narrow = ArraySpec(mac=mac, result_width=16)
    assert refusal(narrow, bits=8, k=100) == (
        "result_width must be at least 22 bits for sums of 100 products in 6 passes, not 16"
    )
