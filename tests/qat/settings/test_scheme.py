"""The scheme: widths by name, what it refuses, and JSON there and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qat.settings.ranges import GradientScale
from qat.settings.scheme import Override, Scheme, Widths

NAME = "vit.layers.0.attention.q_proj"


def test_defaults() -> None:
    scheme = Scheme()
    assert scheme.widths(NAME) == Widths(4, 4)
    assert scheme.widths("classifier", first_or_last=True) == Widths(8, 8)
    assert (scheme.granularity, scheme.output_by_head, scheme.weight_scale) == ("head", True, "learned")
    assert scheme.gradient_scale is GradientScale.L1
    assert scheme.overrides == ()


@pytest.mark.parametrize("bits", range(1, 9))
def test_widths_of_weights_and_activations(bits: int) -> None:
    assert Scheme(weight_bits=bits).widths(NAME) == Widths(bits, 4)
    assert Scheme(activation_bits=bits).widths(NAME) == Widths(4, bits)
    if bits > 1:
        assert Scheme(first_last_bits=bits).widths(NAME, first_or_last=True) == Widths(bits, bits)
        assert Scheme(first_last_bits=bits).widths(NAME) == Widths(4, 4)


def test_the_last_override_that_matches_wins_side_by_side() -> None:
    scheme = Scheme(
        weight_bits=2,
        activation_bits=3,
        overrides=(
            Override("*.attention.*", weight_bits=4, activation_bits=5),
            Override("*.q_proj", weight_bits=6),
            Override("*.layers.1.*", activation_bits=7),
            Override("*.layers.[23].*", 8, 8),
        ),
    )
    assert scheme.widths("vit.layers.0.mlp.fc1") == Widths(2, 3)
    assert scheme.widths("vit.layers.0.attention.k_proj") == Widths(4, 5)
    assert scheme.widths("vit.layers.0.attention.q_proj") == Widths(6, 5)
    assert scheme.widths("vit.layers.1.attention.q_proj") == Widths(6, 7)
    assert scheme.widths("vit.layers.1.mlp.fc1") == Widths(2, 7)
    assert scheme.widths("vit.layers.2.attention.q_proj") == Widths(8, 8)
    assert scheme.widths("vit.layers.4.attention.Q_PROJ") == Widths(4, 5)


def test_overrides_reach_the_first_and_last_layers_too() -> None:
    scheme = Scheme(overrides=(Override("classifier", weight_bits=3),))
    assert scheme.widths("classifier", first_or_last=True) == Widths(3, 8)


def test_a_tuple_gives_each_head_its_width() -> None:
    override = Override("*.q_proj", weight_bits=(2, 4, 8), activation_bits=[3, 3, 5])  # type: ignore[arg-type]
    assert override.activation_bits == (3, 3, 5)
    assert Scheme(overrides=(override,)).widths(NAME) == Widths((2, 4, 8), (3, 3, 5))
    assert hash(override) == hash(Override("*.q_proj", (2, 4, 8), (3, 3, 5)))


def test_one_bit_is_allowed_for_whole_operands() -> None:
    scheme = Scheme(weight_bits=1, activation_bits=1, overrides=(Override("*.q_proj", weight_bits=4),))
    assert scheme.widths(NAME) == Widths(4, 1)
    assert scheme.widths("x") == Widths(1, 1)
    statistical = Scheme(weight_scale="statistical", overrides=(Override("x", weight_bits=1),))
    assert statistical.widths("x") == Widths(1, 4)


def test_overrides_without_a_match_are_told() -> None:
    scheme = Scheme(overrides=(Override("*.q_proj", 2), Override("*.query", 2), Override("b?d", 2)))
    assert scheme.unused([NAME, "bid"]) == ["*.query"]
    assert scheme.unused([]) == ["*.q_proj", "*.query", "b?d"]


BITS = st.one_of(st.integers(1, 8), st.lists(st.integers(2, 8), min_size=1, max_size=4).map(tuple))
OVERRIDES = st.builds(Override, st.text(max_size=5), weight_bits=st.none() | BITS, activation_bits=st.none() | BITS)
SCHEMES = st.builds(
    Scheme,
    weight_bits=st.integers(2, 8),
    activation_bits=st.integers(1, 8),
    first_last_bits=st.integers(2, 8),
    granularity=st.sampled_from(["head", "tensor", "channel"]),
    output_by_head=st.booleans(),
    weight_scale=st.sampled_from(["learned", "statistical", "statsq"]),
    gradient_scale=st.sampled_from(GradientScale),
    overrides=st.lists(OVERRIDES, max_size=3).map(tuple),
    query_key=st.sampled_from(["separate", "reparameterised", "fused"]),
)


@given(scheme=SCHEMES)
def test_json_there_and_back(scheme: Scheme) -> None:
    back = Scheme.from_dict(json.loads(json.dumps(scheme.to_dict())))
    assert back == scheme
    assert hash(back) == hash(scheme)


def test_what_is_not_given_is_the_default() -> None:
    assert Scheme.from_dict({}) == Scheme()
    assert Scheme.from_dict({"weight_bits": 2, "overrides": [{"pattern": "a"}]}) == Scheme(
        weight_bits=2, overrides=(Override("a"),)
    )


def scheme(**arguments: Any) -> Callable[[], object]:
    return lambda: Scheme(**arguments)


def override(**arguments: Any) -> Callable[[], object]:
    return lambda: Override("*", **arguments)


def read(data: Any) -> Callable[[], object]:
    return lambda: Scheme.from_dict(data)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (scheme(weight_bits=9), ValueError, "weight_bits must be an integer from 1 to 8, not 9"),
        (scheme(weight_bits=0), ValueError, "weight_bits must be an integer from 1 to 8, not 0"),
        (scheme(weight_bits=True), TypeError, "weight_bits must be an integer from 1 to 8, not True"),
        (scheme(weight_bits=(4, 4)), TypeError, "weight_bits must be an integer from 1 to 8, not (4, 4)"),
        (scheme(activation_bits="4"), TypeError, "activation_bits must be an integer from 1 to 8, not '4'"),
        (scheme(activation_bits=32), ValueError, "activation_bits must be an integer from 1 to 8, not 32"),
        (scheme(first_last_bits=1), ValueError, "first_last_bits must be an integer from 2 to 8, not 1"),
        (scheme(granularity="row"), ValueError, "granularity must be one of head, tensor, channel, not 'row'"),
        (scheme(weight_scale="max"), ValueError, "weight_scale must be one of learned, statistical, statsq, not 'max'"),
        (scheme(gradient_scale="l1"), TypeError, "gradient_scale must be a GradientScale, not 'l1'"),
        (
            scheme(weight_bits=1, weight_scale="statistical"),
            ValueError,
            "weight_scale must be learned at weight_bits 1, not 'statistical'",
        ),
        (override(weight_bits=9), ValueError, "weight_bits must be an integer from 1 to 8, not 9"),
        (override(activation_bits=False), TypeError, "activation_bits must be an integer from 1 to 8, not False"),
        (override(weight_bits=(4, 9)), ValueError, "weight_bits must be an integer from 1 to 8, not 9"),
        (override(weight_bits=(4, 1)), ValueError, "weight_bits of single heads must be from 2 to 8, not (4, 1)"),
        (override(activation_bits=()), ValueError, "activation_bits of single heads must be from 2 to 8, not ()"),
        (
            read({"bits": 4, "adder": 1}),
            ValueError,
            (
                "a scheme has no field adder, bits; it has activation_bits, first_last_bits, gradient_scale, "
                "granularity, output_by_head, overrides, query_key, scale_start, weight_bits, weight_scale"
            ),
        ),
        (
            read({"overrides": [{"pattern": "x", "bits": 4}]}),
            ValueError,
            "an override has no field bits; it has activation_bits, pattern, weight_bits",
        ),
        (read({"overrides": [{}]}), TypeError, "pattern of an override must be text, not None"),
        (read({"overrides": "x"}), TypeError, "overrides must be a list of objects, not 'x'"),
        (read({"overrides": ["x"]}), TypeError, "overrides must be a list of objects, not ['x']"),
        (read({"gradient_scale": "l2"}), ValueError, "gradient_scale must be one of none, lsq, l1, not 'l2'"),
        (read({"gradient_scale": []}), ValueError, "gradient_scale must be one of none, lsq, l1, not []"),
        (read({"weight_bits": "4"}), TypeError, "weight_bits must be an integer from 1 to 8, not '4'"),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
