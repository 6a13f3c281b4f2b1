"""What the requantisers at the drain are loaded with and should give: the very codes that the next GEMM reads."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from qat.integers.subject import random_subject
from qat.network.gemm import Product, exact_product
from qat.settings.scheme import Override, Scheme
from rtl.requant import ThresholdSpec
from rtl.spec.numbers import IntArray
from sim.harness.drain import Drained, _words, drain_tables
from tests.sim.networks import scheme

SPEC = ThresholdSpec(accumulator_width=32, bits=4, signed=False)
HEADS, TOKENS = 3, 17
LAYER = "vit.layers.1.attention"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def by_head(product: Product, codes: torch.Tensor) -> dict[int, IntArray]:
    """Codes of each head [rows, columns]; of all heads where the product is not of one."""
    if product.part is not None:
        return {product.part: codes.reshape(codes.shape[-2:]).numpy()}
    return dict(enumerate(codes.reshape(-1, *codes.shape[-2:]).numpy()))


def ranks_of(codes: IntArray, bits: int, signed: bool) -> IntArray:
    """How far codes lie above the lowest one, in steps."""
    if bits == 1 and signed:
        return (codes + 1) // 2
    return codes + (1 << (bits - 1)) if signed else codes


def read_ranks(products: list[Product]) -> dict[str, dict[int, IntArray]]:
    """Ranks [tokens, features] of each head, by the GEMM they come from, as the next GEMM reads them."""
    read: dict[str, dict[int, IntArray]] = defaultdict(dict)
    for product in products:
        name = product.name.removeprefix(f"{LAYER}.")
        left = ranks_of(product.left, product.left_bits, product.left_signed)
        right = ranks_of(product.right, product.right_bits, product.right_signed)
        if name == "scores":
            read["q_proj"] |= by_head(product, left)
            read["k_proj"] |= by_head(product, right)
        elif name == "context":
            read["v_proj"] |= by_head(product, right.mT)
        elif name == "o_proj" and product.part is not None:
            read["context"] |= by_head(product, left)
        elif name == "o_proj":
            read["context"] |= dict(enumerate(np.split(left[0].numpy(), HEADS, axis=1)))
    return read


def thresholds(words: IntArray) -> IntArray:
    """The thresholds in load words [sets, pieces]."""
    width, count = SPEC.threshold_width, (1 << SPEC.bits) - 1
    whole = [sum(int(piece) << 32 * place for place, piece in enumerate(row)) for row in words]
    fields = [[(word >> width * index) & ((1 << width) - 1) for index in range(count)] for word in whole]
    return np.array([[field - ((field >> (width - 1)) << width) for field in row] for row in fields])


@pytest.mark.parametrize("spec", [SPEC, replace(SPEC, bits=1), replace(SPEC, accumulator_width=31, bits=3)], ids=str)
def test_load_words_are_those_of_the_specification(spec: ThresholdSpec) -> None:
    low, high = spec.accumulator_range
    rng, count = np.random.default_rng(0), (1 << spec.bits) - 1
    rows = np.sort(rng.integers(low, high + 2, (20, count)), axis=1)
    rows = np.concatenate([rows, np.full((1, count), low), np.full((1, count), high + 1)])
    words = _words(spec, rows)
    assert (words.dtype, words.shape) == (np.dtype("<u4"), (22, -(-spec.parameter_width // 32)))
    for row, word in zip(rows, words, strict=True):
        assert int.from_bytes(word.tobytes(), "little") == spec.pack_parameters(row)
    with pytest.raises(ValueError, match=f"threshold0 must be from {low} to {high + 1}, not {high + 2}"):
        _words(spec, np.full((1, count), high + 2))


SCHEMES = {
    "one scale a head": scheme(4, 4),
    "one scale a tensor": scheme(2, 3, granularity="tensor"),
    "weights by head": scheme(4, 4, Override("*.q_proj", (2, 3, 4), 4), Override("*.v_proj", (4, 2, 4), 4)),
    "codes by head": scheme(
        4, 4, Override("*.scores", activation_bits=(2, 4, 3)), Override("*.context", activation_bits=(4, 3, 2)),
        Override("*.o_proj", (3, 4, 4), (4, 2, 3)),
    ),
    "both by head": scheme(4, 4, Override("*.v_proj", (2, 4, 3), 4), Override("*.context", activation_bits=(3, 4, 2))),
    "inputs by head": scheme(
        4, 4, Override("*.q_proj", (2, 3, 4), (2, 3, 4)), Override("*.k_proj", 3, (4, 2, 4)),
        Override("*.v_proj", (3, 3, 2), (3, 3, 2)), Override("*.scores", activation_bits=(2, 4, 3)),
        Override("*.context", activation_bits=(4, 3, 2)),
    ),
    "binary": scheme(1, 1),
}  # fmt: skip


@pytest.mark.parametrize("precision", SCHEMES.values(), ids=SCHEMES)
def test_drained_codes_are_those_that_the_next_gemm_reads(precision: Scheme) -> None:
    subject = random_subject("vit-mnist", precision, 1)
    products: list[Product] = []

    def note(product: Product) -> torch.Tensor:
        if product.name.startswith(LAYER):
            products.append(product)
        return exact_product(product)

    subject.model.logits(subject.batches[0], note)
    wanted = read_ranks(products)
    tables = drain_tables(subject.model, TOKENS, SPEC)
    seen = defaultdict(set)
    for product in products:
        if product.name not in tables:
            continue
        name = product.name.removeprefix(f"{LAYER}.")
        accumulators = exact_product(product).numpy()
        accumulators = accumulators.reshape(-1, *accumulators.shape[-2:])
        drained = Drained.of(tables[product.name], product, accumulators)
        heads = list(range(HEADS)) if product.part is None else [product.part]
        pieces = [wanted[name][head] for head in heads]
        expected = np.stack(pieces) if name == "context" else np.concatenate(pieces, axis=1)[None]
        np.testing.assert_array_equal(drained.ranks, expected)
        # The hardware gives them from what is loaded for each column, or each matrix.
        for matrix, sums in enumerate(accumulators):
            for columns in (slice(0, 5), slice(5, sums.shape[1])):
                loaded = thresholds(drained.parameters(matrix, columns))
                given = (loaded <= sums[:, columns, None]).sum(-1)
                np.testing.assert_array_equal(given, expected[matrix][:, columns])
        seen[name] |= set(heads)
    assert seen == {name: set(range(HEADS)) for name in ("q_proj", "k_proj", "v_proj", "context")}
