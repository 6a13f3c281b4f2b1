"""The memory of keys and values, by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hwmodel.workload import Gemm, Pair, PrecisionClass, Role, Workload, cache_bits, load_workload, uniform
from hwmodel.workload.assignment import Assignment
from siliquant.inputs import InputError

TOKENS, FEATURES = 10, 12  # of keys; values have 6


def gemm(name: str, role: Role, m: int, k: int, n: int, count: int = 1, layer: int = 0) -> Gemm:
    static = role in (Role.KEY, Role.VALUE)
    return Gemm(
        name=name, role=role, layer=layer, call=0, m=m, k=k, n=n, count=count, heads=1, bias=False, feeds_gemm=False,
        precision_class=PrecisionClass.BODY, activation_signed=True, static=static,
    )  # fmt: skip


def network(phase: str | None, *, without: str = "") -> Workload:
    """One token after nine, in two layers."""
    gemms: list[Gemm] = []
    for layer in (0, 1):
        gemms += [
            gemm(f"k{layer}", Role.KEY, 1, 24, FEATURES, layer=layer),
            gemm(f"v{layer}", Role.VALUE, 1, 24, 6, layer=layer),
            gemm(f"s{layer}", Role.SCORES, 1, 6, TOKENS, 4, layer=layer),
            gemm(f"c{layer}", Role.CONTEXT, 1, TOKENS, 3, 4, layer=layer),
        ]
    kept = tuple(each for each in gemms if each.name != without)
    return Workload(name="w", gemms=kept, provenance={} if phase is None else {"phase": phase})


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_keys_and_values_of_all_tokens_have_the_width_of_the_products_that_read_them(phase: str) -> None:
    assert cache_bits(uniform(network(phase), 3)) == {
        Role.SCORES: 2 * TOKENS * FEATURES * 3,
        Role.CONTEXT: 2 * TOKENS * 6 * 3,
    }
    assert cache_bits(uniform(network(phase), Pair(3, 5)))[Role.CONTEXT] == 2 * TOKENS * 6 * 5
    widths = {"s0": 2, "s1": 8, "c0": 4, "c1": 1}
    bits = tuple((name, widths.get(name, 7)) for name in uniform(network(phase), 3).by_name)
    found = cache_bits(Assignment(network(phase), bits, uniform(network(phase), 3).mean_bits, None))
    assert found == {Role.SCORES: TOKENS * FEATURES * (2 + 8), Role.CONTEXT: TOKENS * 6 * (4 + 1)}


@pytest.mark.parametrize("phase", [None, "training", 3])
def test_other_networks_have_no_cache(phase: Any) -> None:
    assert cache_bits(uniform(network(phase), 3)) == {}
    assert cache_bits(uniform(load_workload("bert-base-128"), 3)) == {}


@pytest.mark.parametrize(("name", "reader", "what"), [("k1", "s1", "key"), ("v0", "c0", "value")])
def test_a_layer_whose_keys_are_not_said_is_refused(name: str, reader: str, what: str) -> None:
    message = f"{reader} must have a {what} in its layer, whose outputs are in the cache"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        cache_bits(uniform(network("decode", without=name), 3))
