"""Simulated arrays as an engine: results and cycles of whole products, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.array import ArraySpec
from rtl.array.passes import Codes, plan_passes
from rtl.spec.numbers import IntArray
from siliquant.inputs import InputError
from sim.harness.driver import ArraySimulator
from sim.harness.engine import ArrayEngine, GemmRecord
from tests.sim.harness.products import ARRAYS, BINARY, BROADCAST, SERIAL, check, codes_of, library_of, product


@pytest.fixture(params=ARRAYS, ids=lambda spec: spec.mac.design)
def engine(request: pytest.FixtureRequest) -> Iterator[ArrayEngine]:
    """Two simulators of one array side by side."""
    with ArrayEngine(request.param, library_of(request.param), jobs=2) as made:
        yield made


SHAPES = [
    ((1, 1), (1, 1)),
    ((7, 11), (9, 11)),
    ((2, 5, 6), (7, 6)),
    ((2, 3, 4, 5), (6, 5)),
    ((2, 3, 5, 7), (2, 3, 4, 7)),  # attention scores: heads of samples
    ((1, 3, 5, 7), (2, 3, 4, 7)),
    ((2, 1, 5, 7), (3, 4, 7)),
    ((5, 7), (3, 4, 7)),
]
BITS = [(1, 1), (4, 4), (3, 2), (2, 1), (1, 3), (8, 4), (4, 8), (8, 8)]


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_shapes(engine: ArrayEngine, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    for signed in (True, False):
        check(engine, product(left, right, (2, 3), signed=signed))


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_widths(engine: ArrayEngine, bits: tuple[int, int]) -> None:
    """Codes of any width, in one pass or in many."""
    for signed in (True, False):
        given = product((5, 13), (7, 13), bits, signed=signed)
        check(engine, given)
        plan = plan_passes(engine.spec.mac, Codes(bits[1], True), Codes(bits[0], signed))
        assert engine.records["layer"].passes == len(plan)


@pytest.mark.parametrize("bits", [(1, 1), (4, 4), (8, 8)], ids=str)
def test_extremes(engine: ArrayEngine, bits: tuple[int, int]) -> None:
    """Sums of the largest products, of either sign."""
    given = product((4, 45), (4, 45), bits)
    for first in (0, -1):
        for second in (0, -1):
            left = torch.full_like(given.left, int(codes_of(bits[0], True)[first]))
            right = torch.full_like(given.right, int(codes_of(bits[1], True)[second]))
            check(engine, replace(given, left=left, right=right))


@settings(max_examples=60)
@given(st.data())
def test_any_product(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(ARRAYS))
    batch = data.draw(st.sampled_from([(), (2,), (1, 2)]))
    m, k, n = (data.draw(st.integers(1, most)) for most in (12, 20, 12))
    bits = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    shared = data.draw(st.booleans())
    right = (n, k) if shared else (*batch, n, k)
    given = product((*batch, m, k), right, bits, signed=data.draw(st.booleans()), seed=data.draw(st.integers(0, 999)))
    with ArrayEngine(spec, library_of(spec), jobs=1) as engine:
        check(engine, given)


def test_cycles_are_those_of_the_schedule() -> None:
    """One tile of one step, by hand; then tiles that wait for the drain, and tiles that do not."""
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine:
        engine(product((3, 3), (4, 3)))
        # Read the operands, register them, add, capture, then two rows a cycle are written, or what there is.
        assert engine.records["layer"] == GemmRecord(
            "layer", products=1, macs=36, accumulators=12, equal_accumulators=12, passes=1, operand_cycles=1,
            cycles=1 + 2 + 2 + 1, predicted_cycles=6, load_cycles=2, predicted_load_cycles=2,
        )  # fmt: skip
        engine.records.clear()
        engine(product((6, 3), (8, 3)))
        assert engine.records["layer"].cycles == 6 + 3 * 2
        engine.records.clear()
        engine(product((6, 15), (8, 15)))
        assert engine.records["layer"].cycles == 6 + 3 * 5 + 4
        assert engine.records["layer"].load_cycles == 2 * 5
    with ArrayEngine(SERIAL, library_of(SERIAL), jobs=1) as engine:
        engine(product((2, 3), (3, 3), (5, 2)))
        # Ten pairs of bits, a pipeline of 3, two rows, and a cycle for each element from corner to corner.
        assert engine.records["layer"].cycles == 10 + 3 + 2 + 3 + 1
        assert engine.records["layer"].load_cycles == 2 * 10


@pytest.mark.parametrize("depths", [(13, 13, 3), (13, 48, 24), (40, 13, 24), (30, 30, 12)], ids=str)
def test_parts_where_memories_are_small(depths: tuple[int, int, int]) -> None:
    """The same hardware, of whose memories less may be used; 36 is 12 steps of three products."""
    spec = replace(BROADCAST, activation_depth=depths[0], weight_depth=depths[1], result_depth=depths[2])
    given = product((2, 10, 36), (2, 13, 36))
    reports: list[int] = []
    with ArrayEngine(spec, library_of(BROADCAST), jobs=2, report=reports.append) as engine:
        check(engine, given)
        tiles = 4 * 4
        per_part = min(
            max(1, min(depths[0] // 12, 4)) * max(1, min(depths[1] // 12, 4)), depths[2] // 2
        )  # an upper bound of the tiles at once
        overhead = 2 + 2 + 1
        assert engine.records["layer"].cycles >= 2 * (tiles * 12 + -(-tiles // per_part) * overhead)
        assert engine.records["layer"].macs == 2 * 10 * 13 * 36
    assert reports == [2 * 10 * 13 * 36]


@pytest.mark.parametrize(
    ("spec", "k", "text"),
    [
        (replace(BROADCAST, activation_depth=12), 40,
         "activation_depth must be at least 14 words for 1 x 40 x 1, not 12"),
        (replace(BROADCAST, weight_depth=12), 40, "weight_depth must be at least 14 words for 1 x 40 x 1, not 12"),
        (replace(BROADCAST, activation_depth=80, weight_depth=80), 101,
         "the reduction must have at most 100 products (reduction_length), not 101"),
    ],
)  # fmt: skip
def test_a_sum_that_does_not_fit(spec: ArraySpec, k: int, text: str) -> None:
    with ArrayEngine(spec, library_of(BROADCAST), jobs=1) as engine:
        with pytest.raises(ValueError) as caught:
            engine(product((2, k), (2, k)))
        assert str(caught.value) == f"layer on {spec.mac.name}: {text}"
        check(engine, product((2, 36), (2, 36)))


@pytest.mark.parametrize(
    ("left", "right"), [((0, 3), (4, 3)), ((2, 3), (0, 3)), ((2, 0), (4, 0)), ((0, 2, 3), (0, 4, 3))], ids=str
)
def test_empty_operands_are_refused(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine:
        with pytest.raises(ValueError) as caught:
            engine(product(left, right))
        assert str(caught.value) == f"layer must have operands without a side of 0, not shapes {left} and {right}"
        assert not engine.records


@pytest.mark.parametrize(
    ("spec", "most"), [(replace(BROADCAST, result_width=21), 63), (replace(BINARY, result_width=20), 16)],
    ids=["uniform", "xnor"],
)  # fmt: skip
def test_results_that_passes_may_overflow_are_refused(spec: ArraySpec, most: int) -> None:
    """8-bit codes, all of them the largest: sums of ``most`` products just fit into a result, one more do not."""
    given = product((1, most + 1), (1, most + 1), (8, 8))
    given.left.fill_(-128)
    given.right.fill_(-128)
    with ArrayEngine(spec, library_of(spec), jobs=1) as engine:
        check(engine, replace(given, left=given.left[:, 1:], right=given.right[:, 1:]))
        with pytest.raises(ValueError) as caught:
            engine(given)
    width, passes = spec.result_width, len(plan_passes(spec.mac, Codes(8, True), Codes(8, True)))
    assert str(caught.value) == (
        f"layer on {spec.mac.name}: result_width must be at least {width + 1} bits for sums of {most + 1} products in "
        f"{passes} passes, not {width}"
    )


def test_every_result_is_compared_and_counted(engine: ArrayEngine) -> None:
    for left, right, count in (((7, 11), (9, 11), 63), ((2, 3, 5, 7), (2, 3, 4, 7), 120)):
        check(engine, product(left, right))
        record = engine.records.pop("layer")
        assert (record.accumulators, record.equal_accumulators, record.mismatches) == (count, count, 0)
        assert (record.codes, record.equal_codes) == (0, 0)


def test_mismatches_are_what_was_compared_and_not_equal() -> None:
    record = GemmRecord("layer", accumulators=10, equal_accumulators=7, codes=5, equal_codes=4)
    assert record.mismatches == 4


def test_unsigned_second_operand_is_refused() -> None:
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine:
        with pytest.raises(ValueError) as caught:
            engine(replace(product((2, 3), (2, 3)), right_signed=False))
        assert str(caught.value) == "layer: the second operand must be signed, not unsigned 4-bit codes"


def test_jobs_and_repetition_change_nothing() -> None:
    """One simulator or two, in one engine once or twice: the same results and records."""
    products = [product((3, 10, 20), (11, 20), (8, 4)), product((3, 4, 9), (3, 5, 9), (1, 1))]
    found: list[tuple[list[IntArray], dict[str, GemmRecord]]] = []
    for jobs in (1, 2):
        with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=jobs) as engine:
            results = [engine(given).numpy() for given in products]
            found.append((results, dict(engine.records)))
            again = [engine(given).numpy() for given in products]
            assert all(map(np.array_equal, results, again))
            once, twice = found[-1][1]["layer"], engine.records["layer"]
            for name in ("products", "macs", "cycles", "predicted_cycles", "load_cycles", "predicted_load_cycles"):
                assert getattr(twice, name) == 2 * getattr(once, name)
    assert all(map(np.array_equal, found[0][0], found[1][0]))
    assert found[0][1] == found[1][1]


def test_a_simulator_multiplies_block_by_block() -> None:
    left, right = blocks = (np.arange(-8, 7).reshape(3, 5), np.arange(-10, 10).reshape(4, 5) // 2)
    plan = plan_passes(BROADCAST.mac, Codes(4, True), Codes(4, True))
    run = BROADCAST.run(3, 5, 4, plan[0].precision)
    with (
        ArraySimulator(BROADCAST, library_of(BROADCAST)) as one,
        ArraySimulator(BROADCAST, library_of(BROADCAST)) as two,
    ):
        for simulator in (one, two, one):
            block = simulator.multiply(*blocks, plan)
            assert np.array_equal(block.results, left @ right.T)
            assert block.cycles == block.predicted_cycles == BROADCAST.cycles(run)
            assert block.load_cycles == block.predicted_load_cycles == BROADCAST.load_cycles(run)
    one.close()  # once more does no harm


@pytest.mark.parametrize(
    "words", [np.zeros((4, 2), np.int64), np.zeros(4, np.uint32), np.zeros((4, 4), np.uint32)[:, :2]]
)
def test_words_that_compiled_code_would_read_amiss_are_refused(words: np.ndarray) -> None:
    run = BROADCAST.run(1, 1, 1, BROADCAST.mac.precisions[0])
    with (
        ArraySimulator(BROADCAST, library_of(BROADCAST)) as simulator,
        pytest.raises(InputError, match="words must be a contiguous matrix of type uint32, not"),
    ):
        simulator.load(run, words, words, [(0, 0)])
