"""Faults planted in a simulated array, and cycles that are not as predicted: each is found and located."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from qat.network.gemm import Product
from rtl.array import ArraySpec
from sim.bench.mismatch import MismatchError
from sim.harness.engine import ArrayEngine
from sim.harness.library import array_verilog, build_library
from sim.simulators.toolchain import SimulationError
from tests.sim.harness.products import BROADCAST, check, exact, library_of, product

# All faults are in one array, and each needs operands that show it.

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
                "1 of 16 results of this block differs"
            ),
        ),
        (
            sparse((2, 5, 3), (2, 8, 3), {(1, 4, 0): 2, (1, 4, 1): -3}, {(1, 7, 0): 5}, part=2),
            (
                "layer, head 2, matrix 1, tile (1, 1), row 1, column 3 (output 4, 7): expected 10, not -15; "
                "1 of 40 results of this block differs"
            ),
        ),
        (
            sparse((2, 5), (1, 5), {(0, 0): 15, (0, 4): 15, (1, 3): 15}, {(0, 0): 7, (0, 4): -8}, signed=False),
            (
                "layer, matrix 0, tile (0, 0), row 0, column 0 (output 0, 0): expected -15, not 113; "
                "1 of 2 results of this block differs"
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
        r"expected (-?\d+), not (-?\d+); \d+ of 12 results of this block differs?"
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
    assert str(caught.value) == "layer, matrix 0: expected 7 run cycles, not 6"
    monkeypatch.setattr(ArraySpec, "load_cycles", lambda *_: 1)
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine, pytest.raises(MismatchError) as caught:
        engine(given)
    assert str(caught.value) == "layer, matrix 0: expected 1 load cycles, not 2"
    monkeypatch.setattr(ArraySpec, "cycles", lambda *_, changed: -249)  # 4 times that and 1,000 cycles are waited for
    with ArrayEngine(BROADCAST, library_of(BROADCAST), jobs=1) as engine, pytest.raises(SimulationError) as late:
        engine(given)
    assert str(late.value) == f"{BROADCAST.name} must end a run in -249 cycles, not go on for 4 times that"
