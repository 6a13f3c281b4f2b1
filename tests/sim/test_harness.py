"""Simulated arrays as an engine: results and cycles of whole products, planted faults, and the build."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qat.export import Product
from rtl.array import Architecture, ArraySpec
from rtl.array.passes import Codes, plan_passes
from rtl.mac import LoomSpec, UniformSpec, XnorSpec
from rtl.spec import IntArray
from sim.checker import MismatchError
from sim.harness.driver import ArraySimulator
from sim.harness.engine import ArrayEngine, GemmRecord
from sim.harness.library import array_verilog, build_library
from sim.toolchain import SimulationError, ToolError

BROADCAST = ArraySpec(
    mac=UniformSpec(lanes=3, reduction_length=100),
    rows=3,
    columns=4,
    activation_depth=40,
    weight_depth=48,
    result_depth=24,
)
BINARY = ArraySpec(
    mac=XnorSpec(lanes=5, reduction_length=200),
    rows=4,
    columns=3,
    architecture=Architecture.SYSTOLIC,
    activation_depth=40,
    weight_depth=48,
    result_depth=24,
    result_width=30,
)
SERIAL = ArraySpec(
    mac=LoomSpec(units=3, pipeline_stages=1),
    rows=2,
    columns=3,
    architecture=Architecture.SYSTOLIC,
    activation_depth=160,
    weight_depth=160,
    result_depth=16,
    result_width=36,
)
ARRAYS = (BROADCAST, BINARY, SERIAL)


def codes_of(bits: int, signed: bool) -> IntArray:
    """Every code of that width."""
    if bits == 1:
        return np.array([-1, 1] if signed else [0, 1])
    low = -(1 << (bits - 1)) if signed else 0
    return np.arange(low, low + (1 << bits))


def product(
    left: Sequence[int], right: Sequence[int], bits: tuple[int, int] = (4, 4), *, signed: bool = True, seed: int = 0
) -> Product:
    """Random codes of the shapes [..., M, K] and [..., N, K]; bits of activations and weights."""
    rng = np.random.default_rng(seed)
    return Product(
        name="layer",
        part=None,
        left=torch.from_numpy(rng.choice(codes_of(bits[0], signed), left)),
        right=torch.from_numpy(rng.choice(codes_of(bits[1], True), right)),
        left_bits=bits[0],
        left_signed=signed,
        right_bits=bits[1],
        right_signed=True,
    )


def exact(given: Product) -> IntArray:
    """The accumulators, by NumPy's integers."""
    return np.asarray(given.left.numpy() @ given.right.numpy().swapaxes(-1, -2))


def check(engine: ArrayEngine, given: Product) -> None:
    found = engine(given)
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), exact(given))


def library_of(spec: ArraySpec) -> Path:
    return build_library(spec)  # built once, then it is in the cache


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
        # Read the operands, register them, add, capture, then one row a cycle is written.
        assert engine.records["layer"] == GemmRecord(
            "layer", products=1, macs=36, passes=1, operand_cycles=1, cycles=1 + 2 + 3 + 1, predicted_cycles=7,
            load_cycles=2, predicted_load_cycles=2,
        )  # fmt: skip
        engine.records.clear()
        engine(product((6, 3), (8, 3)))
        assert engine.records["layer"].cycles == 7 + 3 * 3
        engine.records.clear()
        engine(product((6, 15), (8, 15)))
        assert engine.records["layer"].cycles == 7 + 3 * 5 + 4
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
            max(1, min(depths[0] // 12, 4)) * max(1, min(depths[1] // 12, 4)), depths[2] // 3
        )  # an upper bound of the tiles at once
        overhead = 2 + 3 + 1
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
        assert str(caught.value) == text
        check(engine, product((2, 36), (2, 36)))


def test_unsigned_second_operand_is_refused() -> None:
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine:
        with pytest.raises(ValueError) as caught:
            engine(replace(product((2, 3), (2, 3)), right_signed=False))
        assert str(caught.value) == "the second operand must be signed, not unsigned 4-bit codes"


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


# Faults. All are in one array, and each needs operands that show it.

FAULTS = {
    # Lanes 0 and 1 of column 3 swapped; bit 1 of lane 0 of column 1 stuck at 1 in word 5.
    ".write_data(weight_data)": ".write_data({weight_data[47:44], weight_data[39:36], weight_data[43:40],"
    " weight_data[35:0]} | ((weight_address == 5) ? 48'h2000 : 48'h0))",
    # The control word of the last step of a sum says signed.
    ".write_data(control_data)": ".write_data(control_data | control_address)",
}


@pytest.fixture(scope="module")
def faulty() -> Path:
    """The library of a broadcast array with the faults."""
    verilog = array_verilog(BROADCAST)
    for right, wrong in FAULTS.items():
        assert verilog.count(right) == 1
        verilog = verilog.replace(right, wrong)
    return build_library(BROADCAST, verilog)


def sparse(
    left: tuple[int, ...], right: tuple[int, ...],
    lefts: dict[tuple[int, ...], int], rights: dict[tuple[int, ...], int], *,
    signed: bool = True, part: int | None = None,
) -> Product:  # fmt: skip
    """Codes that are 0 but for some."""
    given = replace(product(left, right, signed=signed), part=part)
    for tensor, values in ((given.left.zero_(), lefts), (given.right.zero_(), rights)):
        for place, value in values.items():
            tensor[place] = value
    return given


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            sparse((8, 18), (2, 18), {(7, 15): 3}, {(0, 15): 7}),
            (
                "layer, matrix 0, tile (2, 0), row 1, column 1 (output 7, 1): expected 0, not 6; "
                "1 of 16 results of this block differ"
            ),
        ),
        (
            sparse((2, 5, 3), (2, 8, 3), {(1, 4, 0): 2, (1, 4, 1): -3}, {(1, 7, 0): 5}, part=2),
            (
                "layer, head 2, matrix 1, tile (1, 1), row 1, column 3 (output 4, 7): expected 10, not -15; "
                "1 of 40 results of this block differ"
            ),
        ),
        (
            sparse((2, 5), (1, 5), {(0, 0): 15, (0, 4): 15, (1, 3): 15}, {(0, 0): 7, (0, 4): -8}, signed=False),
            (
                "layer, matrix 0, tile (0, 0), row 0, column 0 (output 0, 0): expected -15, not 113; "
                "1 of 2 results of this block differ"
            ),
        ),
    ],
    ids=["stuck bit", "swapped lanes", "control word"],
)
def test_faults_are_found(faulty: Path, given: Product, text: str) -> None:
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine:
        check(engine, given)
    with ArrayEngine(BROADCAST, faulty, jobs=2) as engine:
        with pytest.raises(MismatchError) as caught:
            engine(given)
        assert str(caught.value) == text
        assert not engine.records
        check(engine, product((9, 15), (3, 15)))  # shows none of the faults


def test_a_fault_in_one_of_many_parts_is_found(faulty: Path) -> None:
    """The first wrong result of the first wrong part is named, however many follow."""
    spec = replace(BROADCAST, activation_depth=6, weight_depth=6, result_depth=3)
    given = product((3, 7, 18), (3, 9, 18))
    wanted = exact(given)
    with ArrayEngine(spec, faulty, jobs=2) as engine, pytest.raises(MismatchError) as caught:
        engine(given)
    pattern = (
        r"layer, matrix 0, tile \((\d), (\d)\), row (\d), column (\d) \(output (\d), (\d)\): "
        r"expected (-?\d+), not (-?\d+); \d+ of 12 results of this block differ"
    )
    found = re.fullmatch(pattern, str(caught.value))
    assert found is not None, str(caught.value)
    tile, element, output = (tuple(int(found[index]) for index in pair) for pair in ((1, 2), (3, 4), (5, 6)))
    assert output == (3 * tile[0] + element[0], 4 * tile[1] + element[1])
    assert element[1] in (1, 3)
    assert int(found[7]) == wanted[0][output] != int(found[8])


def test_cycles_that_differ_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hardware, said to have another stage or to load quicker, or never ready."""
    longer = replace(BROADCAST, mac=replace(BROADCAST.mac, pipeline_stages=1))
    given = product((3, 3), (4, 3))
    with ArrayEngine(longer, library_of(BROADCAST), jobs=1) as engine, pytest.raises(MismatchError) as caught:
        engine(given)
    assert str(caught.value) == "layer, matrix 0: expected 8 run cycles, not 7"
    monkeypatch.setattr(ArraySpec, "load_cycles", lambda *_: 1)
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine, pytest.raises(MismatchError) as caught:
        engine(given)
    assert str(caught.value) == "layer, matrix 0: expected 1 load cycles, not 2"
    monkeypatch.setattr(ArraySpec, "cycles", lambda *_: -249)  # 4 times that and 1,000 cycles are waited for
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine, pytest.raises(SimulationError) as late:
        engine(given)
    assert str(late.value) == f"{BROADCAST.name} must end a run in -249 cycles, not go on for 4 times that"


# The build.


def test_equal_arrays_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = library_of(BROADCAST)
    monkeypatch.setattr("sim.harness.library.run_tool", lambda *_: pytest.fail("built again"))
    monkeypatch.setattr("sim.generated.to_verilog", lambda *_: pytest.fail("generated again"))
    assert build_library(BROADCAST) == first
    assert build_library(BROADCAST, array_verilog(BROADCAST)) == first
    assert [path.name for path in first.parent.iterdir() if path.is_dir()] == []


def test_what_makes_another_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys: list[object] = []

    def note(kind: str, key: object, make: Callable[[Path], None]) -> Path:
        keys.append(key)
        return tmp_path

    verilog = array_verilog(BROADCAST)
    monkeypatch.setattr("sim.harness.library.cached", note)
    for text in (None, verilog, verilog + "// other"):
        assert build_library(BROADCAST, text) == tmp_path / "array.so"
    monkeypatch.setattr("sim.harness.library._OPTIMISE", ("OPT_FAST=-O0",))
    build_library(BROADCAST)
    monkeypatch.setattr("sim.toolchain.Verilator.tools", lambda _: {"verilator": "another"})
    build_library(BROADCAST)
    other = tmp_path / "harness.cpp"
    other.write_text("// another")
    (tmp_path / "sliced.py").touch()
    monkeypatch.setattr("sim.harness.library._SOURCE", other)
    build_library(BROADCAST)
    assert [keys.index(key) for key in keys] == [0, 0, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("right", "wrong", "text"),
    [
        ("module memory_1r1w ", "module memory_elsewhere ", r"verilator_bin ended with code 1:\n.*memory_1r1w"),
        ("module memory_1r1w ", "module 1r1w ", r"Yosys could not read the Verilog: .*syntax error"),
        ("result_data;", "result_data", r"Yosys could not read the Verilog: .*syntax error"),
    ],
)
def test_broken_verilog(right: str, wrong: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each with the tool's message, and nothing left in the cache."""
    verilog = array_verilog(BROADCAST)
    assert right in verilog
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    with pytest.raises(ToolError, match=f"(?s)^{text}"):
        build_library(BROADCAST, verilog.replace(right, wrong))
    assert [path for path in (tmp_path / "sim").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("tool", ["make", "g++"])
def test_missing_tool(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else real(name))
    with pytest.raises(ToolError) as caught:
        build_library(BROADCAST)
    assert str(caught.value) == f"{tool} is missing; on Debian or Ubuntu: sudo apt-get install {tool}"
