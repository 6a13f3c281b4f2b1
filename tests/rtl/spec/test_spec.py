"""The data side of the designs: ranges, widths, golden model, packing rules and refusals."""

import dataclasses
import json
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.logic import Op
from rtl.mac import (
    DESIGNS,
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    Dc1dSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec.mac import Precision
from rtl.spec.numbers import check_integer, pack_fields, sum_width, to_signed
from rtl.spec.values import all_codes

DEFAULTS = [design() for design in DESIGNS]


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 40), 1 << 40))
def test_sum_width_is_the_narrowest(one: int, other: int) -> None:
    low, high = min(one, other), max(one, other)
    width = sum_width(low, high)
    assert -(1 << (width - 1)) <= low
    assert high <= (1 << (width - 1)) - 1
    assert width == 1 or low < -(1 << (width - 2)) or high > (1 << (width - 2)) - 1


@given(st.integers(1, 64).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, (1 << width) - 1))))
def test_to_signed_inverts_pack(case: tuple[int, int]) -> None:
    width, word = case
    assert pack_fields([to_signed(word, width)], width) == word


@pytest.mark.parametrize("spec", DEFAULTS, ids=lambda spec: spec.design)
def test_accumulator_holds_the_extreme_sums_and_is_no_wider(spec) -> None:
    extremes = []
    for precision in spec.precisions:
        for w in spec.weight_values(precision).values:
            for a in spec.activation_values(precision).values:
                extremes.append(spec.reduction_length * w * a)
    assert spec.accumulator_range == (min(extremes), max(extremes))
    assert spec.accumulator_width == sum_width(min(extremes), max(extremes))


@pytest.mark.parametrize("spec", DEFAULTS, ids=lambda spec: spec.design)
def test_parameters_make_the_same_spec(spec) -> None:
    assert type(spec)(**spec.parameters) == spec
    assert re.fullmatch(r"[a-z]\w*", spec.name)
    assert len({port.name for port in spec.ports}) == len(spec.ports)


@pytest.mark.parametrize("spec", DEFAULTS, ids=lambda spec: spec.design)
def test_codes_are_as_wide_as_the_precision_and_fill_a_step(spec) -> None:
    for precision in spec.precisions:
        weights, activations = spec.weight_values(precision), spec.activation_values(precision)
        assert (weights.bits, activations.bits) == (precision.weight_bits, precision.activation_bits)
        fill = spec.unused_products(precision)
        assert not weights.lacking([fill.weight]).size
        assert not activations.lacking(fill.activations).size


def test_values_of_codes() -> None:
    """{-1, +1} in the binary design; in the others two's complement, or from 0."""
    for design in (
        BitBladeSpec,
        BitFusionSpec,
        BitSerialSpec,
        Dc1dSpec,
        LoomSpec,
        PaddedSpec,
        SubwordSpec,
        UniformSpec,
    ):
        for precision in design().precisions:
            assert design().weight_values(precision) == all_codes(precision.weight_bits, True)
            assert design().activation_values(precision) == all_codes(
                precision.activation_bits, precision.activation_signed
            )
    for signed, values in ((True, (-1, 1)), (False, (0, 1))):
        precision = Precision(1, 1, signed)
        assert XnorSpec().weight_values(precision).values == (-1, 1)
        assert XnorSpec().activation_values(precision).values == values


def test_names_differ_where_specs_do() -> None:
    specs = [UniformSpec(weight_bits=w, lanes=n, pipeline_stages=p) for w in (2, 3) for n in (1, 2) for p in (0, 1)]
    specs += [UniformSpec(reduction_length=77)]
    assert len({spec.name for spec in specs}) == len(specs)


def test_throughput() -> None:
    def rate(spec, w, a):
        return spec.macs_per_cycle(Precision(w, a))

    assert rate(UniformSpec(weight_bits=3, activation_bits=5, lanes=7), 3, 5) == 7
    assert [rate(PaddedSpec(units=3), b, b) for b in (8, 4, 2)] == [3, 3, 3]
    assert [rate(SubwordSpec(units=3), b, b) for b in (8, 4, 2)] == [3, 6, 12]
    for design in (BitFusionSpec, BitBladeSpec):
        assert [rate(design(units=3), b, b) for b in (8, 4, 2)] == [3, 12, 48]
        assert rate(design(units=3), 8, 2) == rate(design(units=3), 2, 8) == 12
        assert rate(design(units=3, widths=(8, 4)), 4, 8) == 6
    assert rate(BitSerialSpec(units=16), 3, 8) == Fraction(16, 3)
    assert rate(LoomSpec(units=64), 3, 5) == Fraction(64, 15)
    assert rate(XnorSpec(lanes=9), 1, 1) == 9
    assert [rate(SubwordSpec(units=3, widths=(4, 2, 1)), b, b) for b in (4, 2, 1)] == [3, 6, 12]
    assert [rate(BitFusionSpec(units=1, widths=(8, 1)), w, a) for w, a in ((8, 8), (8, 1), (1, 1))] == [1, 8, 64]
    assert [rate(Dc1dSpec(units=3, widths=(8, 2)), w, a) for w, a in ((8, 8), (8, 3), (2, 8))] == [3, 3, 12]


def test_widths_may_be_a_list_and_are_one_in_json() -> None:
    spec = SubwordSpec(units=2, widths=[4, 2])
    assert (spec, spec.name, spec.label) == (SubwordSpec(units=2, widths=(4, 2)), "subword_u2_w42", "subword 4/2")
    assert spec.parameters["widths"] == [4, 2]
    assert SubwordSpec(**json.loads(json.dumps(spec.parameters))) == spec
    assert [spec.mode_word(bits) for bits in spec.widths] == [0, 1]
    deep = BitFusionSpec(widths=(8, 4, 2, 1))
    assert ([deep.mode_word(bits) for bits in deep.widths], deep.mode_ports[0].width) == ([0, 1, 3, 7], 3)


def test_a_set_without_a_width_has_no_hardware_for_it() -> None:
    """No port, control or shift by 4: where 8/2 has one choice, 8/4/2 has two."""
    for design in (SubwordSpec, BitFusionSpec, BitBladeSpec, Dc1dSpec, PaddedSpec):
        given = {"gating": True} if design is PaddedSpec else {}
        two, three = (design(units=1, widths=widths, **given) for widths in ((8, 2), (8, 4, 2)))
        assert all(port.width == 1 for port in two.mode_ports)
        for op in (Op.MUX, Op.AND):
            assert two.build().circuit.count(op) <= three.build().circuit.count(op)
        assert len(two.build().circuit.gates) < len(three.build().circuit.gates)


KINDS = [
    (SubwordSpec, [2, 4], [(4, 2)]),
    (SubwordSpec, [2, 4, 8], [(8, 4), (8, 2), (8, 4, 2)]),
    (BitFusionSpec, [1, 2, 4], [(4, 2), (4, 1), (4, 2, 1)]),
    (BitBladeSpec, [3, 6], [(8, 4)]),
    (SubwordSpec, [4], [(4, 2)]),
    (Dc1dSpec, [1], [(2, 1)]),
    (SubwordSpec, [7, 8], [(8, 4)]),
]


@pytest.mark.parametrize(("design", "needed", "sets"), KINDS)
def test_kinds_run_what_is_needed_and_nothing_else(design, needed, sets) -> None:
    assert [design(**kind).widths for kind in design.kinds_for(needed)] == sets
    for kind in design.kinds_for(needed):
        widths = design(**kind).widths
        used = {min(width for width in widths if width >= bits) for bits in needed}
        assert used == set(widths) or len(widths) == 2


def test_kinds_of_other_designs() -> None:
    assert [PaddedSpec(**kind).label for kind in PaddedSpec.kinds_for([3, 5])] == [
        "padded plain 5/3",
        "padded gated 5/3",
    ]
    assert [BitSerialSpec(**kind).label for kind in BitSerialSpec.kinds_for([2, 4])] == ["bitserial 4"]
    assert [LoomSpec(**kind).label for kind in LoomSpec.kinds_for([1])] == ["loom 2"]
    assert [Dc1dSpec(**kind).label for kind in Dc1dSpec.kinds_for([2, 4])] == ["dc1d 4/2 x 4"]
    assert UniformSpec.kinds_for([3]) == ({},)
    pairs = [(2, 8), (4, 8)]
    assert [Dc1dSpec(**kind).label for kind in Dc1dSpec.kinds_for_pairs(pairs)] == ["dc1d 4/2 x 8"]
    assert [SubwordSpec(**kind).label for kind in SubwordSpec.kinds_for_pairs(pairs)] == ["subword 8/4"]
    assert [BitFusionSpec(**kind).label for kind in BitFusionSpec.kinds_for_pairs(pairs)] == [
        "bitfusion 8/4", "bitfusion 8/2", "bitfusion 8/4/2",
    ]  # fmt: skip
    assert [LoomSpec(**kind).label for kind in LoomSpec.kinds_for_pairs(pairs)] == ["loom 8"]


def test_latency_counts_operand_registers_pipeline_and_accumulator() -> None:
    assert [UniformSpec(pipeline_stages=p).latency for p in (0, 1, 2)] == [2, 3, 4]


@pytest.mark.parametrize("signed", [True, False])
def test_compute_is_the_dot_product(signed: bool) -> None:
    rng = np.random.default_rng(1)
    precision = Precision(3, 5, signed)
    weights = rng.integers(-4, 4, (2, 3, 11))
    activations = rng.integers(*((-16, 16) if signed else (0, 32)), (2, 3, 11))
    expected = [[sum(w * a for w, a in zip(ws, as_, strict=True)) for ws, as_ in zip(*rows, strict=True)]
                for rows in zip(weights.tolist(), activations.tolist(), strict=True)]  # fmt: skip
    got = UniformSpec(weight_bits=3, activation_bits=5).compute(weights, activations, precision)
    assert got.tolist() == expected
    assert got.dtype == np.int64


def test_compute_of_nothing_is_zero() -> None:
    assert UniformSpec().compute([], [], Precision(4, 4)).item() == 0


SPEC = UniformSpec(weight_bits=4, activation_bits=4, lanes=4, reduction_length=8)
REFUSALS = [
    (lambda: UniformSpec(weight_bits=9), ValueError, "weight_bits must be an integer from 1 to 8, not 9"),
    (lambda: UniformSpec(activation_bits=0), ValueError, "activation_bits must be an integer from 1 to 8, not 0"),
    (lambda: UniformSpec(lanes=0), ValueError, "lanes must be an integer from 1 to 1024, not 0"),
    (lambda: UniformSpec(lanes=2.0), TypeError, "lanes must be an integer from 1 to 1024, not 2.0"),
    (lambda: UniformSpec(lanes=True), TypeError, "lanes must be an integer from 1 to 1024, not True"),
    (lambda: UniformSpec(pipeline_stages=3), ValueError, "pipeline_stages must be an integer from 0 to 2, not 3"),
    (lambda: UniformSpec(reduction_length=0), ValueError,
     "reduction_length must be an integer from 1 to 16777216, not 0"),
    (lambda: SubwordSpec(widths=(8, 3)), ValueError, "widths must be at least 2 of 8, 4, 2 and 1, falling, not '8/3'"),
    (lambda: BitFusionSpec(widths=[4]), ValueError, "widths must be at least 2 of 8, 4, 2 and 1, falling, not '4'"),
    (lambda: PaddedSpec(gating=1), TypeError, "gating must be a bool, not 1"),
    (lambda: Precision(4, 9), ValueError, "activation_bits must be an integer from 1 to 8, not 9"),
    (lambda: Precision(4, 4, 1), TypeError, "activation_signed must be a bool, not 1"),
    (lambda: SPEC.compute([1], [1], Precision(4, 3)), ValueError,
     "precision must be one of w4a4s, w4a4u for uniform_w4_a4_l4_k8, not w4a3s"),
    (lambda: SPEC.compute([8], [1], Precision(4, 4)), ValueError, "weights must be from -8 to 7 at w4a4s, not 8"),
    (lambda: SPEC.compute([1], [-1], Precision(4, 4, False)), ValueError,
     "activations must be from 0 to 15 at w4a4u, not -1"),
    (lambda: SPEC.compute([1.0], [1], Precision(4, 4)), TypeError,
     "weights must be an array of integers, not of float64"),
    (lambda: SPEC.compute([1, 2], [1], Precision(4, 4)), ValueError,
     "weights and activations must have equal shapes, not (2,) and (1,)"),
    (lambda: SPEC.compute(1, 1, Precision(4, 4)), ValueError, "weights must have a reduction axis, not shape ()"),
    (lambda: SPEC.compute([0] * 9, [0] * 9, Precision(4, 4)), ValueError,
     "the reduction must have at most 8 products (reduction_length), not 9"),
    (lambda: SPEC.pack([[1]], [[1]], Precision(4, 4)), ValueError,
     "weights must have shape (K,) to be packed, not (1, 1)"),
    (lambda: XnorSpec().compute([0], [1], Precision(1, 1)), ValueError, "weights must be -1 or 1 at w1a1s, not 0"),
    (lambda: XnorSpec().compute([1], [0], Precision(1, 1)), ValueError, "activations must be -1 or 1 at w1a1s, not 0"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_refusals_say_what_must_be(call, kind, text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_check_integer_without_upper_bound() -> None:
    assert check_integer("n", 10**9, 1) == 10**9
    with pytest.raises(ValueError, match=re.escape("n must be an integer of at least 1, not 0")):
        check_integer("n", 0, 1)


def test_specs_are_frozen_and_hashable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.lanes = 3
    assert {UniformSpec(), UniformSpec()} == {UniformSpec()}
