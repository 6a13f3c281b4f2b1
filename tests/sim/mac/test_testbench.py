"""The parts of the testbench on their own: layout, model, sequences, and a checker that misses nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from rtl.mac import DESIGNS, LoomSpec, UniformSpec
from rtl.spec.mac import MacSpec, Precision
from sim.bench.mismatch import MismatchError
from sim.bench.top import Layout
from sim.mac import scenarios
from sim.mac.cases import variants
from sim.mac.checker import Checker, Sample
from sim.mac.sequence import Model, Sequence

SPEC = UniformSpec(weight_bits=4, activation_bits=3, lanes=3, reduction_length=50, pipeline_stages=1)
SIGNED, UNSIGNED = SPEC.precisions


def test_layout_places_ports_side_by_side() -> None:
    layout = Layout.of(SPEC)
    assert [name for name, _, _ in layout.inputs] == [
        "rst", "in_valid", "clear", "weights", "activations", "activation_signed"
    ]  # fmt: skip
    assert layout.input_width == 1 + 1 + 1 + 12 + 9 + 1
    assert layout.output_width == 1 + SPEC.accumulator_width
    assert layout.word({"in_valid": 1, "weights": 0xABC}) == 0b010 | 0xABC << 3
    assert layout.output("accumulator", 0b1010_1) == 0b1010


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": 1 << 12}, "weights must be a word of 12 bits, not 4096"),
        ({"clear": -1}, "clear must be a word of 1 bits, not -1"),
        ({"weight": 1}, "weight is no input port"),
    ],
)
def test_layout_refuses(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Layout.of(SPEC).word(values)


def test_model_gives_the_sum_after_every_cycle() -> None:
    weights, activations = np.arange(-4, 4), np.array([0, 1, 2, 3, 4, 5, 6, 7])
    products = (weights * activations).tolist()
    sums = Model(SPEC).sums(weights, activations, UNSIGNED)
    assert sums == [(3, sum(products[:3])), (6, sum(products[:6])), (8, sum(products))]
    assert Model(SPEC).sums(weights[:0], activations[:0], SIGNED) == [(0, 0)]


def test_model_of_a_serial_design_knows_the_last_cycle_only() -> None:
    sums = Model(LoomSpec(units=2)).sums(np.array([1, -2, 3]), np.array([3, 2, 1]), Precision(3, 2, False))
    assert sums == [*[(0, None)] * 11, (3, 2)]


def answers(sequence: Sequence) -> list[Sample]:
    """What a right unit would answer."""
    due = {item.cycle: item for item in sequence.expected}
    samples, held = [], 0
    for cycle in range(len(sequence.words)):
        if cycle in due:
            held = (due[cycle].value or 0) & ((1 << sequence.spec.accumulator_width) - 1)
        samples.append(Sample(int(cycle in due), held))
    return samples


def check(sequence: Sequence, samples: list[Sample]) -> None:
    checker = Checker(sequence)
    for cycle, sample in enumerate(samples):
        checker.receive(cycle, sample)
    checker.finish()


def short_sequence(spec: MacSpec = SPEC) -> Sequence:
    sequence = Sequence(spec)
    sequence.idle(2)
    sequence.add([1, 2, 3, 4], [1, 1, 1, 2], SIGNED)
    sequence.add([-8], [-4], SIGNED)
    sequence.finish()
    return sequence


def test_checker_passes_right_answers() -> None:
    sequence = short_sequence()
    assert [(item.cycle, item.value) for item in sequence.expected] == [(7, 6), (8, 14), (9, 32)]
    check(sequence, answers(sequence))


NAME = SPEC.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda samples: samples.__setitem__(8, Sample(1, 15)),
            f"{NAME}: sum 0 of 2 at w4a3s, after 4 products (cycle 8): expected 14, not 15",
        ),
        (
            lambda samples: samples.__setitem__(9, Sample(1, None)),
            f"{NAME}: sum 1 of 2 at w4a3s, after 1 products (cycle 9): expected 32, not unknown (x)",
        ),
        (
            lambda samples: samples.__setitem__(7, Sample(0, 6)),
            f"{NAME}: sum 0 of 2 at w4a3s, after 3 products (cycle 7): expected out_valid 1, not 0",
        ),
        (lambda samples: samples.__setitem__(3, Sample(1, 0)), f"{NAME}: cycle 3: expected out_valid 0, not 1"),
        (
            lambda samples: samples.__setitem__(10, Sample(None, 32)),
            f"{NAME}: cycle 10: expected out_valid 0, not unknown (x)",
        ),
        (
            lambda samples: samples.__setitem__(11, Sample(0, 33)),
            f"{NAME}: cycle 11, out_valid 0: expected the accumulator to hold 32, not 33",
        ),
        (lambda samples: samples.pop(), f"{NAME}: expected 13 cycles, not 12"),
    ],
    ids=["sum", "x", "late", "early", "valid x", "hold", "short"],
)
def test_checker_finds(change: Callable[[list[Sample]], None], message: str) -> None:
    sequence = short_sequence()
    samples = answers(sequence)
    change(samples)
    with pytest.raises(MismatchError) as caught:
        check(sequence, samples)
    assert str(caught.value) == message


def test_checker_finds_what_never_came_out() -> None:
    sequence = Sequence(SPEC)
    sequence.add([1], [1], SIGNED)
    with pytest.raises(MismatchError, match=r"sum 0 of 1 .*: expected out_valid in cycle 5, the sequence ended"):
        check(sequence, answers(sequence))


def test_reset_drops_what_has_not_come_out() -> None:
    sequence = Sequence(SPEC)
    sequence.add([1] * 15, [1] * 15, SIGNED)
    sequence.reset()
    sequence.add([1], [1], SIGNED)
    sequence.finish()
    # Operands in cycles 2 to 6, out from cycle 5; the reset in cycle 7 lets out what is due by then.
    assert [item.cycle for item in sequence.expected] == [5, 6, 7, 11]


@pytest.mark.parametrize("digits", ["1101", "001101\n"])
def test_sample_reads_a_word(digits: str) -> None:
    assert Sample.of(digits, Layout.of(SPEC)) == Sample(1, 0b110)


@pytest.mark.parametrize(("digits", "valid"), [("xx1", 1), ("xx0", 0), ("10x", None), ("1x0\n", 0), ("11z\n", None)])
def test_sample_with_unknown_bits(digits: str, valid: int | None) -> None:
    assert Sample.of(digits, Layout.of(SPEC)) == Sample(valid, None)


def legal_codes(spec: MacSpec, precision: Precision) -> list[list[int]]:
    """Weights and activations that the golden model takes beside one that it takes, of all that there might be."""

    def taken(weight: int, activation: int) -> bool:
        try:
            spec.compute([weight], [activation], precision)
        except ValueError:
            return False
        return True

    return [[w for w in range(-300, 300) if taken(w, 1)], [a for a in range(-300, 300) if taken(-1, a)]]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design)
def test_every_pair_enters_every_design(design: type[MacSpec]) -> None:
    spec = variants(design)[0]
    precision = min(spec.precisions, key=lambda p: (p.weight_bits + p.activation_bits, p))
    weights, activations = scenarios.operand_codes(spec, precision)
    sequence = scenarios.every_pair(spec, [precision])
    assert [weights.tolist(), activations.tolist()] == legal_codes(spec, precision)
    assert sequence.sums * spec.products_per_step(precision) >= len(weights) * len(activations)


def test_sequences_are_reproducible() -> None:
    first, second = (scenarios.resets(SPEC, SPEC.precisions).words for _ in range(2))
    assert first == second
    assert first != scenarios.resets(SPEC, SPEC.precisions, seed=1).words
