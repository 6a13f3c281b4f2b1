"""qat.models.sret against a reference that attends over the whole image through masks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.vit.modeling_vit import eager_attention_forward

from qat.models.sret import SReTAttention, SReTConfig, SReTForImageClassification, evaluation_order, grid_sides


def tiny(**changes: Any) -> SReTConfig:
    """Grids of 4 x 4 and 2 x 2 tokens."""
    sizes: dict[str, Any] = {
        "image_size": 8,
        "num_channels": 1,
        "stem_strides": (2, 1, 1),
        "widths": (8, 16),
        "depths": (1, 2),
        "num_heads": (2, 4),
        "groups": ((4, 2), (2, 2)),
        "mlp_ratio": 1.5,
        "drop_path_rate": 0.0,
        "num_labels": 3,
    }
    return SReTConfig(**{**sizes, **changes})


def random_model(config: SReTConfig) -> SReTForImageClassification:
    """Every weight and statistic away from its start, so that leaving one out shows."""
    torch.manual_seed(5)
    model = SReTForImageClassification(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                scales = "coefficient" in name or (tensor.ndim == 1 and name.endswith("weight"))
                tensor.copy_(0.4 * torch.randn_like(tensor) + (1.0 if scales else 0.0))
                if name.endswith("running_var"):
                    tensor.copy_(tensor.abs() + 0.5)
    return model.eval()


def reference(
    config: SReTConfig, weights: dict[str, Tensor], images: Tensor, order_of: Callable[[int], Tensor]
) -> Tensor:
    """The network from its definition, weights by name; order_of gives the order of n tokens."""

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def mlp(name: str, x: Tensor) -> Tensor:
        return linear(f"{name}.fc2", functional.gelu(linear(f"{name}.fc1", x)))

    def add(name: str, x: Tensor, branch: Tensor) -> Tensor:
        return weights[f"{name}.shortcut_coefficient"] * x + weights[f"{name}.branch_coefficient"] * branch

    def attention(name: str, x: Tensor, heads: int, group: Tensor) -> Tensor:
        q, k, v = (linear(f"{name}.{letter}_proj", x).unflatten(-1, (heads, -1)) for letter in "qkv")
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(group[:, None] != group[None, :], float("-inf"))
        return linear(f"{name}.o_proj", torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v).flatten(2))

    x = images
    for index, stride in enumerate(config.stem_strides):
        name = f"sret.embeddings.stem.{3 * index + 1}"
        x = functional.conv2d(x, weights[f"sret.embeddings.stem.{3 * index}.weight"], None, stride, 1)
        statistics = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        x = functional.batch_norm(x, *statistics, weights[f"{name}.weight"], weights[f"{name}.bias"]).relu()
    side = x.shape[-1]
    x = x.flatten(2).mT + weights["sret.embeddings.position_embeddings"]
    for stage, width in enumerate(config.widths):
        if stage:
            name = f"sret.downsamples.{stage - 1}"
            x = x.mT.reshape(len(x), -1, side, side)
            x = functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 2, 1, groups=x.shape[1])
            side = x.shape[-1]
            x = x.flatten(2).mT
        tokens = side * side
        for block in range(config.depths[stage]):
            for application in range(config.recursions):
                rank = order_of(tokens).argsort() if application else torch.arange(tokens)
                group = rank // (tokens // config.groups[stage][application])
                name = f"sret.stages.{stage}.blocks.{block}"
                branch = attention(
                    f"{name}.attention", norm(f"{name}.layernorm_before", x), config.num_heads[stage], group
                )
                x = add(f"{name}.attention_residual", x, branch)
                x = add(f"{name}.mlp_residual", x, mlp(f"{name}.mlp", norm(f"{name}.layernorm_after", x)))
                name = f"sret.stages.{stage}.projections.{block * config.recursions + application}"
                x = add(f"{name}.residual", x, mlp(f"{name}.mlp", norm(f"{name}.layernorm", x)))
        assert x.shape == (len(images), tokens, width)
    return linear("classifier", norm("sret.layernorm", x).mean(1))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"groups": ((1, 8), (4, 1))},
        {"recursions": 3, "groups": ((8, 4, 2), (4, 2, 1))},
        {"recursions": 1, "groups": ((4,), (2,))},
    ],
)
def test_matches_the_definition(changes: dict[str, Any], implementation: str) -> None:
    """Groups as masks over all tokens give the same logits."""
    config = tiny(**changes)
    model = random_model(config)
    model.set_attn_implementation(implementation)
    images = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        logits = model(pixel_values=images).logits
        expected = reference(config, model.state_dict(), images, evaluation_order)
        unpermuted = reference(config, model.state_dict(), images, torch.arange)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert torch.allclose(logits, unpermuted, rtol=1e-3, atol=1e-3) == (config.recursions == 1)
    assert logits.std(0).min() > 0.01


def test_training_draws_the_groups_from_torch() -> None:
    """The first application keeps its groups, the second has those of the next permutation of the generator."""
    config = tiny(widths=(8,), depths=(1,), num_heads=(2,), groups=((4, 2),))
    model = random_model(config)
    images = torch.randn(2, 1, 8, 8)
    results = []
    with torch.no_grad():
        for seed in range(3):
            torch.manual_seed(seed)
            order = torch.randperm(16)
            model.train()
            model.sret.embeddings.eval()
            torch.manual_seed(seed)
            results.append(model(images).logits)
            expected = reference(config, model.state_dict(), images, lambda _, order=order: order)  # type: ignore[misc]
            torch.testing.assert_close(results[-1], expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(results[0], results[1])


def test_evaluation_uses_no_generator() -> None:
    """Nothing is drawn, and two runs agree to the bit."""
    model = random_model(tiny())
    images = torch.randn(2, 1, 8, 8)
    before = torch.get_rng_state()
    with torch.no_grad():
        first = model(images).logits
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(99)
        assert torch.equal(model(images).logits, first)


@pytest.mark.parametrize("tokens", [*range(1, 130), 196, 784])
def test_evaluation_order_is_a_permutation(tokens: int) -> None:
    """Each token once."""
    assert sorted(evaluation_order(tokens).tolist()) == list(range(tokens))


def test_evaluation_order_spreads_every_group() -> None:
    """Fixed for ever, since trained networks depend on it; half of SReT-T's 28 tokens a row in each of two groups."""
    assert evaluation_order(16).tolist() == [0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5]
    group = evaluation_order(784).argsort() // 392
    by_row = group.reshape(28, 28).sum(1)
    by_column = group.reshape(28, 28).sum(0)
    assert 13 <= by_row.min() <= by_row.max() <= 15
    assert 8 <= by_column.min() <= by_column.max() <= 20


def test_parameters_of_sret_t() -> None:
    """4.8 M as in the literature, by a count of its own."""
    config = SReTConfig(num_labels=1000)
    assert grid_sides(config) == (28, 14, 7)
    expected = 9 * (3 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64 + 64) + 784 * 64  # stem, batch norms, positions
    for width, depth in ((64, 2), (128, 5), (256, 3)):
        hidden = int(3.6 * width)
        block = 4 * (width * width + width) + 2 * width * hidden + hidden + width + 2 * 2 * width + 4
        projection = 2 * (width * width + width) + 2 * width + 2
        expected += depth * (block + 2 * projection)
    expected += 128 * 10 + 256 * 10 + 2 * 256 + 256 * 1000 + 1000  # down-sampling, last norm, classifier
    with torch.device("meta"):
        model = SReTForImageClassification(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected == 4_755_819


def test_attention_goes_through_the_interface() -> None:
    """A registered function sees every application, with the attributes that a quantised one needs."""
    calls: list[tuple[int, ...]] = []

    def recording(module: SReTAttention, query: Tensor, key: Tensor, value: Tensor, mask: None, **settings: Any) -> Any:
        assert mask is None
        assert settings == {"dropout": 0.0, "scaling": module.head_dim**-0.5}
        assert query.shape == key.shape == value.shape
        assert query.shape[1] == module.num_attention_heads
        assert query.shape[3] == module.head_dim
        assert not module.is_causal
        calls.append(tuple(query.shape))
        return eager_attention_forward(module, query, key, value, mask, **settings)

    model = random_model(tiny())
    images = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        expected = model(images).logits
        ALL_ATTENTION_FUNCTIONS.register("test-recording", recording)
        model.set_attn_implementation("test-recording")
        torch.testing.assert_close(model(images).logits, expected, rtol=1e-5, atol=1e-5)
    first, second = [(12, 2, 4, 4), (6, 2, 8, 4)], [(6, 4, 2, 4)] * 4  # (batch x groups, heads, tokens, head_dim)
    assert calls == first + second
    for module in model.modules():
        if isinstance(module, SReTAttention):
            assert [name for name, _ in module.named_children()] == ["q_proj", "k_proj", "v_proj", "o_proj"]
            assert module.config is model.config
            assert module.attention_dropout == 0.0


def test_drop_path() -> None:
    """Rates rise linearly over the blocks; a dropped branch leaves the shortcut alone."""
    model = SReTForImageClassification(SReTConfig())
    rates = [block.attention_residual.drop_path.drop_prob for stage in model.sret.stages for block in stage.blocks]
    assert rates == pytest.approx([0.1 * index / 9 for index in range(10)])
    residual = random_model(tiny(drop_path_rate=0.5)).sret.stages[1].blocks[1].mlp_residual
    x, branch = torch.ones(2000, 1, 2), torch.ones(2000, 1, 2)
    kept = residual.train()(x, branch)[:, 0, 0] != residual.shortcut_coefficient
    assert 0.45 < kept.float().mean() < 0.55
    expected = residual.shortcut_coefficient + residual.branch_coefficient
    assert torch.allclose(residual.eval()(x, branch), expected)


def test_every_parameter_learns() -> None:
    """A gradient for each, and a step lowers the loss."""
    torch.manual_seed(0)
    model = SReTForImageClassification(tiny())
    images, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = functional.cross_entropy(model(images).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_saved_and_loaded(tmp_path: Path) -> None:
    """The same logits to the bit, and the same configuration."""
    model = random_model(tiny())
    model.save_pretrained(tmp_path)
    loaded, report = SReTForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    images = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(loaded(images).logits, model(images).logits)
    assert loaded.config.groups == ((4, 2), (2, 2))
    assert loaded.config.widths == (8, 16)


def test_weights_left_out_of_a_file_start_as_in_a_fresh_model(tmp_path: Path) -> None:
    """from_pretrained makes the missing ones itself: coefficients are 1, not whatever the memory held."""
    model = SReTForImageClassification(tiny())
    kept = {name: tensor for name, tensor in model.state_dict().items() if "coefficient" not in name}
    model.save_pretrained(tmp_path, state_dict=kept)
    loaded = SReTForImageClassification.from_pretrained(tmp_path)
    coefficients = [tensor for name, tensor in loaded.named_parameters() if "coefficient" in name]
    assert len(coefficients) == 3 * 4 + 6 * 2
    assert all(tensor.item() == 1.0 for tensor in coefficients)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"image_size": 0}, ValueError, "image_size must be at least 1, not 0"),
        ({"recursions": 1.5}, TypeError, "recursions must be an integer, not 1.5"),
        ({"widths": 8}, TypeError, "widths must be a sequence of integers, not 8"),
        ({"widths": (8, True)}, TypeError, "widths[1] must be an integer, not True"),
        ({"depths": (1, 0)}, ValueError, "depths[1] must be at least 1, not 0"),
        ({"depths": (1,)}, ValueError, "depths must have 2 entries, one a stage as widths has, not 1"),
        ({"stem_strides": (2, 2)}, ValueError, "stem_strides must have 3 entries, not 2"),
        (
            {"widths": (7, 14)},
            ValueError,
            "widths[0] must be even, since the stem begins with half of it, but it is 7",
        ),
        (
            {"widths": (8, 12)},
            ValueError,
            (
                "widths[1] must be a multiple of 8, the width before it, for the depthwise convolution between "
                "the stages, not 12"
            ),
        ),
        ({"widths": ()}, ValueError, "widths must have at least one entry, one a stage"),
        ({"num_heads": (3, 4)}, ValueError, "widths[0] must be a multiple of num_heads[0] = 3, not 8"),
        ({"groups": 2}, TypeError, "groups must be a sequence with one entry a stage, not 2"),
        ({"groups": (2, 2)}, TypeError, "groups[0] must be a sequence of integers, not 2"),
        ({"groups": ((4, 2), (2,))}, ValueError, "groups[1] must have 2 entries, one an application, not 1"),
        ({"groups": ((4, 3), (2, 2))}, ValueError, "groups[0][1] must divide the stage's 16 tokens, not 3"),
        ({"mlp_ratio": 0}, ValueError, "mlp_ratio must be a positive number, not 0"),
        ({"drop_path_rate": 1.0}, ValueError, "drop_path_rate must be at least 0 and below 1, not 1.0"),
        ({"hidden_act": "glue"}, ValueError, "hidden_act must be an activation that transformers knows, not 'glue'"),
    ],
)
def test_bad_configuration(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    """Which field, and what it must be."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        tiny(**changes)


@pytest.mark.parametrize("shape", [(2, 1, 8, 9), (2, 3, 8, 8), (1, 8, 8)])
def test_bad_images(shape: tuple[int, ...]) -> None:
    """No silent broadcasting."""
    message = f"pixel_values must have the shape (batch, 1, 8, 8), not {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        random_model(tiny())(torch.zeros(shape))
