"""Rotations folded into weights: the same function, in double precision to its last digits, and what has none."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification

from qat.network.hadamard import hadamard, mean_keeping_rotation, rotation
from qat.network.rotate import rotate
from tests.qat.network.test_convert import FAMILIES, samples, tiny

PRIMES = [3, 7, 11, 19, 23, 31, 43, 47, 59, 67, 71, 79, 83, 103, 107, 127, 131, 139, 151, 163, 167, 179, 191, 199, 211,
          223, 227, 239, 251]  # fmt: skip
"""Those to 256 that are 3 mod 4 (OEIS A002145)."""
OFFERED = {2**k * part for part in (1, *(prime + 1 for prime in PRIMES)) for k in range(9)}


def test_every_size_to_256_has_orthogonal_rows_or_is_refused() -> None:
    for size in range(257):
        if size not in OFFERED:
            must = rf"^there must be a Hadamard matrix .* but none is known here for {size}$"
            with pytest.raises(ValueError, match=must):
                hadamard(size)
            continue
        made = hadamard(size)
        assert bool((made.abs() == 1).all())
        assert torch.equal(made @ made.T, size * torch.eye(size, dtype=torch.float64))
        assert bool((made[0] == 1).all())
    assert not OFFERED & {28, 36, 52, 56, 76, 92, 100}
    assert {12, 20, 24, 40, 44, 48, 60, 68, 72, 80, 84, 88, 96} == {n for n in OFFERED if n < 100 and n & (n - 1)}


@pytest.mark.parametrize("size", [384, 512, 768, 1024])
def test_widths_of_networks_have_one(size: int) -> None:
    made = hadamard(size)
    assert torch.equal(made @ made.T, size * torch.eye(size, dtype=torch.float64))


@pytest.mark.parametrize("size", [8, 12, 32, 96])
def test_rotations_are_orthogonal_and_one_keeps_the_mean(size: int) -> None:
    generator = torch.Generator().manual_seed(3)
    unit, ones = torch.eye(size, dtype=torch.float64), torch.ones(size, dtype=torch.float64)
    drawn = rotation(size, generator)
    torch.testing.assert_close(drawn @ drawn.T, unit)
    assert bool((drawn.abs() * size**0.5 - 1 < 1e-12).all())
    keeping = mean_keeping_rotation(size, generator)
    torch.testing.assert_close(keeping @ keeping.T, unit)
    torch.testing.assert_close(keeping @ ones, ones)
    assert not torch.equal(drawn, rotation(size, generator))


def logits(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    model.eval()
    with torch.no_grad():
        result: Tensor = model(**inputs).logits
    return result


def doubled(family: str) -> tuple[PreTrainedModel, dict[str, Tensor]]:
    """A network with norms that are not at their start, in double precision."""
    model = tiny(family).double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.normal_(1.0, 0.3)
    inputs = samples(family)
    return model, {n: t.double() if t.is_floating_point() else t for n, t in inputs.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kinds", [("values",), ("queries",), ("queries", "values")], ids=" ".join)
def test_rotations_of_heads_are_exact_in_every_network(family: str, kinds: Sequence[str]) -> None:
    model, inputs = doubled(family)
    before = logits(model, inputs)
    state = copy.deepcopy(model.state_dict())
    rotate(model, kinds, seed=5)
    torch.testing.assert_close(logits(model, inputs), before, rtol=1e-11, atol=1e-11)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, state[name])}
    parts = {
        "values": ("v_proj", "value.", "o_proj", "attention.output.dense"),
        "queries": ("q_proj", "k_proj", "query.", "key."),
    }
    wanted = tuple(part for kind in kinds for part in parts[kind])
    assert changed
    assert all(any(part in name for part in wanted) for name in changed)
    assert not any(name.endswith(("o_proj.bias", "output.dense.bias")) for name in changed)


@pytest.mark.parametrize("family", ["vit", "deit"])
@pytest.mark.parametrize("kinds", [("residual",), ("residual", "values", "queries")], ids=" ".join)
def test_the_rotation_of_the_residual_is_exact(family: str, kinds: Sequence[str]) -> None:
    model, inputs = doubled(family)
    before = logits(model, inputs)
    states: list[Tensor] = []
    model.base_model.layers[1].register_forward_pre_hook(lambda _, given: states.append(given[0]))
    logits(model, inputs)
    rotate(model, kinds, seed=5)
    torch.testing.assert_close(logits(model, inputs), before, rtol=1e-11, atol=1e-11)
    one, other = states
    assert float((one - other).abs().max()) > 0.1  # the vectors between the blocks are others
    torch.testing.assert_close(one.norm(dim=-1), other.norm(dim=-1))
    torch.testing.assert_close(one.mean(-1), other.mean(-1))
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            assert bool((module.weight == 1).all())
            assert bool((module.bias == 0).all())


def test_an_outlier_of_the_residual_becomes_a_little_of_each_element() -> None:
    model, inputs = doubled("vit")
    with torch.no_grad():
        model.base_model.embeddings.position_embeddings[..., 5] += 40.0
    largest: list[float] = []
    hook = model.base_model.layers[0].register_forward_pre_hook(
        lambda _, given: largest.append(float((given[0] - given[0].mean(-1, keepdim=True)).abs().max()))
    )
    logits(model, inputs)
    rotate(model, ("residual",), seed=1)
    logits(model, inputs)
    hook.remove()
    assert largest[1] < 0.75 * largest[0]


def test_in_single_precision_it_is_the_same_to_float_noise() -> None:
    model, inputs = tiny("vit"), samples("vit")
    before = logits(model, inputs)
    rotate(model, ("residual", "values", "queries"))
    torch.testing.assert_close(logits(model, inputs), before, rtol=1e-4, atol=1e-5)


def test_the_same_seed_and_no_other_kind_give_the_same_rotation() -> None:
    one, other, third = (tiny("vit") for _ in range(3))
    rotate(one, ("values",), seed=7)
    rotate(other, ("queries", "values"), seed=7)
    rotate(third, ("values",), seed=8)
    name = "vit.layers.0.attention.v_proj.weight"
    assert torch.equal(one.state_dict()[name], other.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], third.state_dict()[name])


REFUSED = (
    "residual must be rotated in a ViT or DeiT for images, not in {}: elsewhere a layer norm, a pooling or a learned "
    "coefficient lies on the residual itself"
)


@pytest.mark.parametrize("family", ["bert", "swin", "sret"])
def test_residuals_that_cannot_be_rotated(family: str) -> None:
    model = tiny(family)
    state = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError) as caught:
        rotate(model, ("values", "residual"))
    assert str(caught.value) == REFUSED.format(type(model).__name__)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_other_things_that_cannot_be_rotated() -> None:
    sizes = {"image_size": 8, "patch_size": 4, "num_channels": 1, "num_hidden_layers": 1, "intermediate_size": 8}
    odd = ViTForImageClassification(ViTConfig(hidden_size=14, num_attention_heads=2, **sizes))
    with pytest.raises(ValueError, match=r"^there must be a Hadamard matrix .* but none is known here for 7$"):
        rotate(odd, ("values",))
    plain = ViTForImageClassification(ViTConfig(hidden_size=8, num_attention_heads=2, qkv_bias=False, **sizes))
    with pytest.raises(ValueError, match=r"^residual must be rotated in a network with biases .*: qkv_bias$"):
        rotate(plain, ("residual",))
    bare = ViTForImageClassification(ViTConfig(hidden_size=8, num_attention_heads=2, num_labels=0, **sizes))
    with pytest.raises(ValueError, match=r"^residual must be rotated in a network with a classifier, which rotates it"):
        rotate(bare, ("residual",))
    with pytest.raises(ValueError, match=r"^a model of class ViTPatchEmbeddings has no attention that is known here"):
        rotate(plain.vit.embeddings.patch_embeddings, ("values",))  # type: ignore[arg-type]
    rotate(plain.vit.embeddings.patch_embeddings, ())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^a rotation must be one of values, queries, residual, not 'keys'$"):
        rotate(plain, ("keys",))
