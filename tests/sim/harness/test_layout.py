"""Memory images and results in compiled code: those of rtl.array.images, which the cocotb benches load and read."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.array import ArraySpec, Run
from rtl.array.images import activation_image, result_matrix, weight_image
from rtl.mac import DESIGNS, BitSerialSpec, LoomSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision
from siliquant.inputs import InputError
from sim.harness import layout
from sim.harness.layout import activation_words, result_values, weight_words
from sim.simulators import executable, run_tool

MACS = [
    design(**given, **{design.size_parameter: size})
    for design in DESIGNS for given in design.variants() for size in (1, 2, 5)
] + [
    UniformSpec(weight_bits=1, activation_bits=8, lanes=5), UniformSpec(weight_bits=7, activation_bits=3, lanes=11),
    XnorSpec(lanes=37), LoomSpec(units=4), BitSerialSpec(units=3),
]  # fmt: skip


def check_images(spec: ArraySpec, precision: Precision, m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = spec.run(m, k, n, precision)
    for values, count, ours, theirs in (
        (spec.mac.activation_values(precision), m, activation_words, activation_image),
        (spec.mac.weight_values(precision), n, weight_words, weight_image),
    ):
        codes = rng.choice(values.values, (count, k))
        found, wanted = ours(spec, run, codes, precision), theirs(spec, run, codes, precision)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("mac", MACS, ids=lambda mac: mac.name)
def test_images_of_every_design_at_every_precision(mac: MacSpec) -> None:
    """Sums of part of a step, of one, and of several, the last one whole and not, in one tile and in several."""
    spec = ArraySpec(mac=mac, rows=2, columns=3)
    for precision in mac.precisions:
        lanes = mac.products_per_step(precision)
        for k in {1, lanes, lanes + 1, 3 * lanes - 1}:
            check_images(spec, precision, 3, k, 4, k)


@settings(max_examples=150)
@given(st.data())
def test_any_image(data: st.DataObject) -> None:
    mac = data.draw(st.sampled_from(MACS))
    precision = data.draw(st.sampled_from(mac.precisions))
    rows, columns = (data.draw(st.integers(1, 40)) for _ in range(2))
    m, k, n = (data.draw(st.integers(1, most)) for most in (90, 3 * mac.products_per_step(precision), 90))
    spec = ArraySpec(mac=mac, rows=rows, columns=columns, activation_depth=1 << 16, weight_depth=1 << 16,
                     result_depth=1 << 16)  # fmt: skip
    check_images(spec, precision, m, k, n, data.draw(st.integers(0, 99)))


@pytest.mark.parametrize("weight", range(-8, 8))
def test_every_pair_of_codes(weight: int) -> None:
    """All small operands at 4 bits: one weight, and every pair of activations."""
    spec = ArraySpec(mac=UniformSpec(lanes=2), rows=1, columns=1)
    run, precision = spec.run(256, 2, 1, Precision(4, 4)), Precision(4, 4)
    pairs = np.array(list(product(range(-8, 8), repeat=2)))
    for ours, theirs, codes in (
        (activation_words, activation_image, pairs), (weight_words, weight_image, np.array([[weight, -weight - 1]])),
    ):  # fmt: skip
        np.testing.assert_array_equal(ours(spec, run, codes, precision), theirs(spec, run, codes, precision))
    np.testing.assert_array_equal(
        activation_words(spec, run, pairs, precision)[:, 0], (pairs[:, 0] & 15) + 16 * (pairs[:, 1] & 15)
    )


def test_codes_of_any_strides_and_types() -> None:
    spec, precision = ArraySpec(mac=UniformSpec(lanes=3), rows=3, columns=3), Precision(4, 4)
    codes = np.random.default_rng(0).integers(-8, 8, (14, 10))
    run = spec.run(7, 5, 7, precision)
    wanted = activation_image(spec, run, np.ascontiguousarray(codes[::2, ::2]), precision)
    for same in (codes[::2, ::2], codes[::2, ::2].astype(np.int8), np.asfortranarray(codes[::2, ::2])):
        np.testing.assert_array_equal(activation_words(spec, run, same, precision), wanted)


SPEC = ArraySpec(mac=UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=64), rows=2, columns=3)
RUN = SPEC.run(3, 3, 4, Precision(2, 2))


@pytest.mark.parametrize("kind", [np.float32, np.float64, bool, object, np.uint64])
def test_codes_that_are_no_integers_are_refused(kind: type) -> None:
    codes = np.array([[0, 1, 1]]).astype(kind)
    with pytest.raises(InputError, match=rf"codes must be of an integer type of .* sign, not {codes.dtype}"):
        activation_words(SPEC, RUN, codes, Precision(2, 2))


@pytest.mark.parametrize("kind", [np.uint8, np.uint64, np.int32, np.float32])
def test_words_of_another_type_are_refused(kind: type) -> None:
    with pytest.raises(InputError, match=f"words must be of type uint32, not {np.dtype(kind)}"):
        result_values(SPEC, RUN, np.zeros((8, 3), kind), 3, 4)


def test_the_compiler_has_nothing_to_say(tmp_path: Path) -> None:
    """Here, where one compiler is known: on a user's machine a warning of another one is no error."""
    command = [executable("g++"), *layout._FLAGS, "-Wall", "-Wextra", "-Werror", str(layout._SOURCE), "-o", "layout.so"]
    assert "-Werror" not in layout._FLAGS
    assert run_tool(command, tmp_path) == ""


@pytest.mark.parametrize(
    ("spec", "precision", "codes", "text"),
    [
        (SPEC, Precision(2, 2), [[0, 1, -3]], "codes must be from -2 to 1 at w2a2s, not -3"),
        (SPEC, Precision(2, 2), [[0, 1, 1], [1, 2, 9]], "codes must be from -2 to 1 at w2a2s, not 2"),
        (SPEC, Precision(2, 2, False), [[4, 3, 3]], "codes must be from 0 to 3 at w2a2u, not 4"),
        (SPEC, Precision(2, 2), [[1 << 40, 1, 1]], "codes must be from -2 to 1 at w2a2s, not 1099511627776"),
        (replace(SPEC, mac=XnorSpec(lanes=2)), Precision(1, 1), [[1, -1, 0]], "codes must be -1 or 1 at w1a1s, not 0"),
        (SPEC, Precision(2, 2), [[0, 1]], "codes must be those of the run, not of shape (1, 2)"),
        (SPEC, Precision(2, 2), [[0] * 5], "codes must be those of the run, not of shape (1, 5)"),
        (SPEC, Precision(2, 2), [[0] * 3] * 5, "codes must be those of the run, not of shape (5, 3)"),
    ],
)  # fmt: skip
def test_codes_that_are_refused(spec: ArraySpec, precision: Precision, codes: list[list[int]], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        activation_words(spec, RUN, np.array(codes), precision)
    assert str(caught.value) == text


def results_of(spec: ArraySpec, run: Run, seed: int) -> np.ndarray:
    pieces = -(-spec.drains * spec.columns * spec.result_width // 32)
    shape = run.tiles * spec.drain_rows, pieces
    return np.random.default_rng(seed).integers(0, 1 << 32, shape, dtype=np.uint32)


@settings(max_examples=200)
@given(st.data())
def test_any_results(data: st.DataObject) -> None:
    """Random words, so that every bit of every result counts, at every width that results may have."""
    rows, columns = (data.draw(st.integers(1, 40)) for _ in range(2))
    drains = data.draw(st.sampled_from([d for d in range(1, rows + 1) if -(-rows // -(-rows // d)) == d]))
    mac = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=1)
    spec = ArraySpec(mac=mac, rows=rows, columns=columns, drains=drains, result_depth=1 << 16,
                     result_width=data.draw(st.integers(mac.accumulator_width, 48)))  # fmt: skip
    m, n = (data.draw(st.integers(1, 90)) for _ in range(2))
    run = spec.run(m, 1, n, Precision(2, 2))
    words = results_of(spec, run, data.draw(st.integers(0, 99)))
    found, wanted = result_values(spec, run, words, m, n), result_matrix(spec, run, words, m, n)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_results_by_hand() -> None:
    """Two drains of two rows: the first takes rows 3 and 2, the second 1 and 0; drain 0 and column 0 lowest."""
    spec = replace(SPEC, rows=4, columns=2, drains=2, result_width=16)
    run = spec.run(4, 1, 2, Precision(2, 2))
    words = np.array([[0xFFFF_0001, 0x0003_0002], [0x8000_7FFF, 0x0005_0004]], np.uint32)
    wanted = [[4, 5], [2, 3], [32767, -32768], [1, -1]]
    assert result_values(spec, run, words, 4, 2).tolist() == wanted


@pytest.mark.parametrize(
    ("shape", "size", "text"),
    [
        ((7, 3), (3, 4), "words must be of shape (8, 3), not (7, 3)"),
        ((8, 2), (3, 4), "words must be of shape (8, 3), not (8, 2)"),
        ((8, 3), (5, 4), "results must be of a product that the run computes, not 5 x 4"),
        ((8, 3), (3, 7), "results must be of a product that the run computes, not 3 x 7"),
    ],
)
def test_results_that_are_refused(shape: tuple[int, int], size: tuple[int, int], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        result_values(SPEC, RUN, np.zeros(shape, np.uint32), *size)
    assert str(caught.value) == text
