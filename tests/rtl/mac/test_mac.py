"""Every design against its golden model by bit-level evaluation of its graph, without a simulator.

The registers and the generated Verilog are covered by the simulations in tests/sim.
"""

from itertools import combinations, product

import numpy as np
import pytest

from rtl.logic.datapath import emulate
from rtl.mac import DESIGNS, PaddedSpec, UniformSpec, XnorSpec
from rtl.mac.scalable import ScalableSpec
from rtl.spec.mac import MacSpec, Precision
from sim.mac.cases import variants, with_size
from tests.exhaustive.macs import all_pairs, built, check_pairs, run, run_steps

MOST = 4  # kinds of a design


SETS = [sets for count in (2, 3, 4) for sets in combinations((8, 4, 2, 1), count)]


def units_of(design: type[MacSpec]) -> list[MacSpec]:
    """One multiplier and three of each kind of a design, or of some kinds, and a few with registers inside."""
    known = variants(design)
    kinds = known[:: -(-len(known) // MOST)]
    late = [with_size(kind, 4, pipeline_stages=1 + number % 2) for number, kind in enumerate(kinds[:2])]
    return [with_size(kind, size) for kind in kinds for size in (1, 3)] + late


ALL = [spec for design in DESIGNS for spec in units_of(design)]
ASYMMETRIC = [UniformSpec(weight_bits=w, activation_bits=a, lanes=n) for w, a, n in ((1, 8, 3), (8, 1, 2), (3, 5, 7))]


def operands(spec: MacSpec, precision: Precision, rows: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of all sign combinations first, random codes after."""
    rng = np.random.default_rng(seed)
    w, a = np.array(spec.weight_values(precision).values), np.array(spec.activation_values(precision).values)
    weights, activations = rng.choice(w, (rows, length)), rng.choice(a, (rows, length))
    for row, (one, other) in enumerate(product((w[0], w[-1]), (a[0], a[-1]))):
        weights[row], activations[row] = one, other
    return weights, activations


def precisions_to_test(spec: MacSpec) -> list[Precision]:
    """All of a scalable design; of a serial one the symmetric and the extreme pairs."""
    if len(spec.precisions) <= 18:
        return list(spec.precisions)
    widths = [(precision.weight_bits, precision.activation_bits) for precision in spec.precisions]
    return [p for p, (w, a) in zip(spec.precisions, widths, strict=True) if w == a or {w, a} <= {1, 3, 8}]


@pytest.mark.parametrize(("m", "n"), list(product(range(1, 9), repeat=2)))
def test_uniform_multiplies_every_pair_at_every_width(m: int, n: int) -> None:
    spec = UniformSpec(weight_bits=m, activation_bits=n, lanes=1, reduction_length=1 << 16)
    for precision in spec.precisions:
        w, a = all_pairs(spec, precision)
        assert len(w) == 1 << m + n
        assert run_steps(spec, w, a, precision) == (w * a).ravel().tolist()


@pytest.mark.parametrize("half_adders", [False, True])
@pytest.mark.parametrize(("m", "n"), list(product(range(2, 9), range(1, 9))))
def test_recoded_weights_multiply_every_pair_at_every_width(m: int, n: int, half_adders: bool) -> None:
    spec = UniformSpec(
        weight_bits=m, activation_bits=n, lanes=1, reduction_length=1 << 16, booth=True, half_adders=half_adders
    )
    for precision in spec.precisions:
        w, a = all_pairs(spec, precision)
        assert run_steps(spec, w, a, precision) == (w * a).ravel().tolist()


FORMS = list(dict.fromkeys(
    form for design in DESIGNS for kind in variants(design)[-3:] for form in with_size(kind, 3).forms[1:]
))  # fmt: skip


@pytest.mark.parametrize("spec", FORMS, ids=lambda spec: spec.name)
def test_every_form_has_the_ports_and_the_sums_of_the_first(spec: MacSpec) -> None:
    assert spec.forms[0].ports == spec.ports
    assert spec.forms[0].name != spec.name
    assert spec in spec.forms
    assert {form.forms for form in spec.forms} == {spec.forms}
    assert type(spec)(**spec.parameters) == spec
    for number, precision in enumerate(precisions_to_test(spec)):
        w, a = operands(spec, precision, 8, 2 * spec.products_per_step(precision) + 1, number)
        assert run(spec, w, a, precision) == spec.compute(w, a, precision).tolist()


def test_forms_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^booth must be False for weights of 1 bit, not True$"):
        UniformSpec(weight_bits=1, booth=True)
    with pytest.raises(TypeError, match=r"^booth must be a bool, not 1$"):
        UniformSpec(booth=1)
    with pytest.raises(TypeError, match=r"^half_adders must be a bool, not 'yes'$"):
        XnorSpec(half_adders="yes")
    with pytest.raises(ValueError, match=r"^widths must be at least 2 of "):
        PaddedSpec(widths=(), booth=True)


ONE_UNIT = [
    spec
    for design in DESIGNS
    for spec in [design(**design.variants()[-1], **{design.size_parameter: 1}, reduction_length=1 << 17)]
    if all(spec.cycles_per_step(precision) == 1 for precision in spec.precisions)
]


@pytest.mark.parametrize(
    ("spec", "precision"),
    [(spec, p) for spec in ONE_UNIT for p in spec.precisions],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_unit_multiplies_every_pair_in_every_place(spec: MacSpec, precision: Precision) -> None:
    assert check_pairs(spec, precision) == len(all_pairs(spec, precision)[0]) * spec.products_per_step(precision)


OF_SETS = [
    design(widths=widths, units=units, reduction_length=1 << 17)
    for design in DESIGNS
    if issubclass(design, ScalableSpec)
    for widths in SETS
    for units in (1, 3)
]


NARROW = [spec for spec in OF_SETS if spec.units == 1 and spec.widths[0] < 8]


@pytest.mark.parametrize("spec", NARROW, ids=lambda spec: spec.name)
def test_a_unit_of_any_set_multiplies_every_pair_of_codes(spec: MacSpec) -> None:
    """In all places at once, each pair in another one each time. Sets with 8 bits are proved, as these are, in
    tests/sim/proofs/test_datapath.py.
    """
    for precision in precisions_to_test(spec):
        w, a = all_pairs(spec, precision)
        step = spec.products_per_step(precision)
        orders = np.random.default_rng(step).permuted(np.tile(np.arange(len(w)), (step, 1)), axis=1).T
        weights, activations = w[orders, 0], a[orders, 0]
        assert run_steps(spec, weights, activations, precision) == (weights * activations).sum(axis=1).tolist()


@pytest.mark.parametrize("spec", ALL + ASYMMETRIC + OF_SETS, ids=lambda spec: spec.name)
def test_sums_of_several_steps_the_last_one_short(spec: MacSpec) -> None:
    for seed, precision in enumerate(precisions_to_test(spec)):
        length = 3 * spec.products_per_step(precision) - (spec.products_per_step(precision) > 1)
        weights, activations = operands(spec, precision, 12, length, seed)
        assert run(spec, weights, activations, precision) == spec.compute(weights, activations, precision).tolist()


@pytest.mark.parametrize("lanes", range(1, 9))
def test_binary_sums_of_every_length_need_no_other_correction(lanes: int) -> None:
    spec = XnorSpec(lanes=lanes)
    for precision, length in product(spec.precisions, range(1, 2 * lanes + 1)):
        weights, activations = operands(spec, precision, 8, length, length)
        assert run(spec, weights, activations, precision) == (weights * activations).sum(axis=1).tolist()


def test_gating_ignores_what_lies_below_the_code() -> None:
    spec = PaddedSpec(units=1, gating=True)
    for precision in spec.precisions:
        (word,) = zip(*spec.pack([1], [1], precision).values(), strict=True)
        words = dict(zip(spec.pack([1], [1], precision), word, strict=True))
        for name, bits in (("weights", precision.weight_bits), ("activations", precision.activation_bits)):
            words[name] |= (1 << 8 - bits) - 1
        got = emulate(built(spec), {name: np.array([[word]]) for name, word in words.items()})
        assert [spec.unpack(word) for word in got] == [1]


def test_longest_reduction_at_the_extremes_does_not_overflow() -> None:
    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=4, reduction_length=64)
    for precision in spec.precisions:
        for w, a in product(spec.weight_values(precision).range, spec.activation_values(precision).range):
            weights, activations = np.full((1, 64), w), np.full((1, 64), a)
            assert run(spec, weights, activations, precision) == [64 * w * a]


Part = tuple[np.ndarray, np.ndarray, Precision]


def run_parts(spec: MacSpec, parts: list[Part]) -> int:
    """The sum of parts with precisions of their own, as the hardware gives it."""
    packs = [spec.pack(weights, activations, precision) for weights, activations, precision in parts]
    words = {name: [word for pack in packs for word in pack[name]] for name in packs[0]}
    words["clear"] = [1] + [0] * (len(words["clear"]) - 1)
    (word,) = emulate(built(spec), {name: np.array(column, dtype=object)[:, None] for name, column in words.items()})
    return spec.unpack(word)


def random_parts(spec: MacSpec, precisions: list[Precision], rng: np.random.Generator) -> list[Part]:
    parts = []
    for _ in range(int(rng.integers(2, 6))):
        precision = precisions[int(rng.integers(len(precisions)))]
        length = int(rng.integers(1, 2 * spec.products_per_step(precision) + 1))
        weights, activations = operands(spec, precision, 5, length, int(rng.integers(1 << 30)))
        parts.append((weights[4], activations[4], precision))
    return parts


KEPT = [spec for spec in ALL if spec.one_width_a_sum]


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_precision_may_change_from_step_to_step(spec: MacSpec) -> None:
    """Widths and signs, or the signs alone where a sum must keep its widths."""
    rng = np.random.default_rng(1)
    widths = sorted({p.weight_bits for p in spec.precisions})
    for number in range(12):
        kept = widths[number % len(widths)]
        known = [p for p in precisions_to_test(spec) if not spec.one_width_a_sum or p.weight_bits == kept]
        parts = random_parts(spec, known, rng)
        assert run_parts(spec, parts) == spec.compute_steps(parts)
        assert spec.compute_steps(parts) == sum(int((w * a).sum()) for w, a, _ in parts)


def test_designs_that_shift_their_sums_are_those_that_must_keep_their_widths() -> None:
    assert {(spec.design, getattr(spec, "gating", None)) for spec in KEPT} == {("subword", None), ("padded", True)}
    for spec in ALL:
        stable = [port.name for port in spec.operand_ports if "must not change inside a sum" in port.packing]
        assert stable == (["mode"] if spec.one_width_a_sum else [])


@pytest.mark.parametrize("spec", KEPT, ids=lambda spec: spec.name)
def test_a_sum_that_does_not_keep_its_widths_is_refused_and_shifted_as_its_last_operands_are(spec: MacSpec) -> None:
    rng = np.random.default_rng(2)
    wrong = refused = 0
    for _ in range(20):
        parts = random_parts(spec, list(spec.precisions), rng)
        exact = sum(int((w * a).sum()) for w, a, _ in parts)
        scaled = sum(int((w * a).sum()) << spec.sum_shift(precision) for w, a, precision in parts)
        shown = run_parts(spec, parts)
        assert shown == scaled >> spec.sum_shift(parts[-1][2])
        wrong += shown != exact
        if len({precision.weight_bits for _, _, precision in parts}) > 1:
            refused += 1
            with pytest.raises(ValueError, match=f"a sum of {spec.name} must keep its widths, not change them: w"):
                spec.compute_steps(parts)
        else:
            assert shown == spec.compute_steps(parts) == exact
    assert wrong > 3
    assert refused >= wrong


@pytest.mark.parametrize(
    "spec", [s for s in ALL if isinstance(s, ScalableSpec) and len(s.widths) > 2], ids=lambda spec: spec.name
)
def test_a_mode_code_that_is_none_spoils_its_own_sum_only(spec: MacSpec) -> None:
    modes = [port.name for port in spec.operand_ports if port.name.endswith("mode")]
    assert modes or isinstance(spec, PaddedSpec)
    assert all("; no other code" in port.packing for port in spec.operand_ports if port.name in modes)
    for mode, precision in product(modes, spec.precisions):
        weights, activations = operands(spec, precision, 8, 2 * spec.products_per_step(precision), 3)
        packs = [spec.pack(w, a, precision) for w, a in zip(weights, activations, strict=True)]
        good = {name: np.array([pack[name] for pack in packs], dtype=object).T for name in packs[0]}
        assert 2 not in good[mode]
        bad = {**good, mode: np.full_like(good[mode], 2)}
        both = {name: np.concatenate([bad[name], good[name]]) for name in good}
        shown = [spec.unpack(word) for word in emulate(built(spec), both)]
        assert shown == spec.compute(weights, activations, precision).tolist()


def test_compute_steps_checks_the_length_of_the_whole_sum() -> None:
    spec, precision = UniformSpec(lanes=2, reduction_length=6), Precision(4, 4)
    part = (np.ones(3, int), np.full(3, 2), precision)
    assert spec.compute_steps([part, part]) == 12
    with pytest.raises(ValueError, match=r"the reduction must have at most 6 products \(reduction_length\), not 9"):
        spec.compute_steps([part] * 3)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_what_fills_a_short_step_adds_nothing(spec: MacSpec) -> None:
    """The codes that a spec names for unused places are those that packing puts there."""
    for precision in precisions_to_test(spec):
        step = spec.products_per_step(precision)
        fill = spec.unused_products(precision)
        for used in {0, 1, step // 2, max(0, step - 1)}:
            weights, activations = operands(spec, precision, 5, max(used, 1), used)
            w, a = weights[4][:used], activations[4][:used]
            unused = step - used
            full_w = np.concatenate([w, np.full(unused, fill.weight)]).astype(int)
            half = unused // 2
            full_a = np.concatenate([a, np.repeat(fill.activations, (half, unused - half))]).astype(int)
            short, full = spec.pack(w, a, precision), spec.pack(full_w, full_a, precision)
            if fill.balance is not None:
                assert short.pop(fill.balance) == [unused % 2]
                assert full.pop(fill.balance) == [0]
            assert short == full
