"""Requantisers at the drain of simulated arrays, bit for bit, and runs that a simulated array refuses."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from rtl.array import Architecture, ArraySpec, Refusal
from rtl.array.passes import Codes, plan_passes
from rtl.array.run import REFUSAL_CYCLES
from rtl.mac import UniformSpec
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from rtl.spec.numbers import IntArray
from sim.harness.driver import ArraySimulator, RefusedError
from tests.sim.harness.products import library_of

ROWS, COLUMNS, GROUPS, WIDTH = 3, 3, 5, 20
REQUANTISERS: tuple[RequantSpec, ...] = (
    MultiplierSpec(accumulator_width=WIDTH, groups=GROUPS, bits=4, signed=True, multiplier_width=9, offset_width=20,
                   shift=5, shift_bits=2, pipeline_stages=1),
    ThresholdSpec(accumulator_width=WIDTH, groups=GROUPS, bits=3, signed=False),
)  # fmt: skip


def array(requant: RequantSpec) -> ArraySpec:
    """Broadcast with the one, systolic with the other; one drain and two."""
    architecture = Architecture.BROADCAST if isinstance(requant, MultiplierSpec) else Architecture.SYSTOLIC
    drains = 3 if architecture is Architecture.BROADCAST else 2
    return ArraySpec(
        mac=UniformSpec(lanes=2, reduction_length=100), rows=ROWS, columns=COLUMNS, architecture=architecture,
        activation_depth=40, weight_depth=40, result_depth=20, result_width=WIDTH, drains=drains, requant=requant,
    )  # fmt: skip


def some_parameters(requant: RequantSpec, count: int, rng: np.random.Generator) -> IntArray:
    """Parameter sets that give all kinds of codes for sums of a few hundred."""
    if isinstance(requant, MultiplierSpec):
        columns = [rng.integers(1, 40, count), rng.integers(-500, 3000, count), rng.integers(5, 9, count)]
        return np.stack(columns, axis=1)
    return np.sort(rng.integers(-300, 300, (count, len(requant.parameter_fields))), axis=1)


def load_words(requant: RequantSpec, parameters: IntArray) -> np.ndarray:
    pieces = -(-requant.parameter_width // 32)
    data = b"".join(requant.pack_parameters(row).to_bytes(4 * pieces, "little") for row in parameters)
    return np.frombuffer(data, "<u4").reshape(-1, pieces)


@pytest.mark.parametrize("requant", REQUANTISERS, ids=lambda requant: requant.design)
@pytest.mark.parametrize("bits", [(4, 4), (8, 4)], ids=str)
def test_codes_are_those_of_the_golden_model(requant: RequantSpec, bits: tuple[int, int]) -> None:
    """One set for all columns and one a column, sets that begin anywhere, in one pass and in several."""
    spec, rng = array(requant), np.random.default_rng(sum(bits))
    plan = plan_passes(spec.mac, Codes(bits[0], True), Codes(bits[1], True))
    seen: set[int] = set()
    with ArraySimulator(spec, library_of(spec)) as simulator:
        for m, k, n in ((1, 1, 1), (2, 4, 3), (5, 7, 8), (3, 10, 13), (4, 6, 4)):
            weights = rng.integers(-(1 << bits[0] - 1), 1 << bits[0] - 1, (n, k))
            activations = rng.integers(-(1 << bits[1] - 1), 1 << bits[1] - 1, (m, k))
            sums = activations @ weights.T
            for sets in {1, n}:
                parameters = some_parameters(requant, sets, rng)
                block = simulator.multiply(activations, weights, plan, load_words(requant, parameters))
                low, bound = requant.code_range[0], 1 << requant.bits
                codes = requant.compute(sums, parameters[None])
                np.testing.assert_array_equal(block.results, codes % bound)  # codes have zeros above them
                seen |= set((codes - low).ravel().tolist())
                assert block.cycles == block.predicted_cycles
    assert len(seen) > bound // 2


@pytest.mark.parametrize("requant", REQUANTISERS, ids=lambda requant: requant.design)
def test_refused_runs_are_named_and_harm_nothing(requant: RequantSpec) -> None:
    spec = array(requant)
    plan = plan_passes(spec.mac, Codes(4, True), Codes(4, True))
    rng = np.random.default_rng(0)
    left, right = rng.integers(-8, 8, (3, 6)), rng.integers(-8, 8, (4, 6))
    run = spec.run(3, 6, 4, plan[0].precision)
    settings = asdict(run) | dict.fromkeys(("shift", "negate", "accumulate", "halve"), 0)
    settings |= {"requantise": 1, "group": 0, "group_step": 1}
    changes = {
        Refusal.STEPS: {"steps": 0},
        Refusal.WEIGHT_MEMORY: {"weight_base": spec.weight_depth - run.weight_words + 1},
        Refusal.ACTIVATION_MEMORY: {"activation_base": spec.activation_depth - run.activation_words + 1},
        Refusal.CONTROL_MEMORY: {"control_base": 3},
        Refusal.RESULT_MEMORY: {"result_base": spec.result_depth - run.tiles * spec.drain_rows + 1},
        Refusal.REQUANT_SETS: {"group": GROUPS - run.column_tiles + 1},
    }
    with ArraySimulator(spec, library_of(spec)) as simulator:
        for cause, change in changes.items():
            assert spec.check_run(settings | change) is cause
            with pytest.raises(RefusedError) as caught:
                simulator.run(settings | change, spec.cycles(run), 0)
            assert str(caught.value) == f"{spec.name} refuses a run: {cause.meaning}"
            assert (caught.value.cause, caught.value.cycles) == (cause, REFUSAL_CYCLES)
            block = simulator.multiply(left, right, plan)
            np.testing.assert_array_equal(block.results, left @ right.T)


@pytest.mark.parametrize("requant", REQUANTISERS, ids=lambda requant: requant.design)
def test_layers_ping_pong(requant: RequantSpec) -> None:
    """A network of three layers: codes of each are the activations of the next, from half to half of the memories."""
    spec = array(replace(requant, bits=4 if requant.signed else 3))
    (one,) = plan_passes(spec.mac, Codes(4, True), Codes(4, spec.requant is None or spec.requant.signed))
    rng, width, batch = np.random.default_rng(1), 6, 4
    with ArraySimulator(spec, library_of(spec)) as simulator:
        values = expected = rng.integers(0, 8, (batch, width))
        for _ in range(3):
            weights, parameters = rng.integers(-8, 8, (width, width)), some_parameters(requant, width, rng)
            block = simulator.multiply(values, weights, (one,), load_words(requant, parameters))
            expected = requant.compute(expected @ weights.T, parameters[None])
            sign = 1 << requant.bits - 1 if requant.signed else 0
            values = (block.results ^ sign) - sign  # a reader extends the sign
            np.testing.assert_array_equal(values, expected)
