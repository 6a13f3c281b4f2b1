"""Outliers and spread against loops over the plain model's own layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from qat.analysis.convnet import ConvNet
from qat.analysis.measuring import Bench, Settings
from qat.analysis.outliers import Statistics, of_convnet, of_transformer, spread
from qat.analysis.store import Store
from qat.analysis.subject import Subject, open_subject
from qat.training import evaluate


@pytest.fixture
def subject(full_run: Path, quick: None) -> Subject:
    return open_subject(full_run, "mnist5k", tokenizer=None, samples=None, seed=0)


@pytest.fixture
def bench(subject: Subject, tmp_path: Path) -> Bench:
    return Bench(subject, Settings(bits=(2,), batch_size=25), Store(tmp_path, {}))


def seen_by(model: Any, data: Any, names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
    """What enters layers of a model while it is evaluated."""
    found: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, arguments, name=name: found[name].append(arguments[0].double().numpy())
        )
    evaluate(model, data, batch_size=25)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def check(one: Statistics, values: np.ndarray[Any, Any], axis: int | None, heads: list[Any] | None) -> None:
    """Against scipy, and root mean squares one channel and one head at a time."""
    assert one.numbers == values.size
    assert one.kurtosis == pytest.approx(stats.kurtosis(values, axis=None), rel=1e-4, abs=1e-4)
    assert one.peak == pytest.approx(np.abs(values).max() / values.std(), rel=1e-5)
    for found, groups in (
        (one.channels, None if axis is None else list(np.moveaxis(values, axis, 0))),
        (one.heads, heads),
    ):
        if groups is None:
            assert found is None
            continue
        means = [np.sqrt((group**2).mean()) for group in groups]
        assert found is not None
        assert found.groups == len(means)
        assert found.ratio == pytest.approx(max(means) / min(means), rel=1e-4)
        assert found.variation == pytest.approx(np.std(means) / np.mean(means), rel=1e-4)


def test_tensors_of_a_transformer(bench: Bench, subject: Subject) -> None:
    found = {(each.tensor, each.gemm, each.part): each for each in of_transformer(bench)}
    attention = "vit.layers.1.attention"
    plain = seen_by(subject.model, subject.data, [f"{attention}.q_proj", f"{attention}.o_proj", "vit.layers.0.mlp.fc2",
                                                  "vit.embeddings.patch_embeddings.projection"])  # fmt: skip
    o_proj = plain[f"{attention}.o_proj"]
    check(found["activation", f"{attention}.o_proj", "projection"], o_proj, -1, np.split(o_proj, 3, -1))
    check(found["activation", f"{attention}.q_proj", "input"], plain[f"{attention}.q_proj"], -1, None)
    check(found["activation", "vit.layers.0.mlp.fc2", "fc2"], plain["vit.layers.0.mlp.fc2"], -1, None)
    patches = found["activation", "vit.embeddings.patch_embeddings.projection", "patch_embedding"]
    assert patches.end
    check(patches, plain["vit.embeddings.patch_embeddings.projection"], 1, None)
    layer: Any = subject.model.get_submodule(attention)
    inner = torch.from_numpy(plain[f"{attention}.q_proj"]).float()
    with torch.no_grad():
        query, key, value = (
            getattr(layer, f"{name}_proj")(inner).unflatten(-1, (3, -1)).double() for name in ("q", "k", "v")
        )
    for name, operand, gemm in (("query", query, "scores"), ("key", key, "scores"), ("value", value, "context")):
        heads = [operand[:, :, head].numpy() for head in range(3)]
        check(found["activation", f"{attention}.{gemm}", name], operand.flatten(2).numpy(), -1, heads)
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    probabilities = scores.softmax(-1).numpy()
    check(found["activation", f"{attention}.context", "probabilities"], probabilities, None,
          [probabilities[:, head] for head in range(3)])  # fmt: skip
    for name, part, axis in (("v_proj", "value", 0), ("o_proj", "projection", 1)):
        weight = getattr(layer, name).weight.detach().double().numpy()
        check(found["weight", f"{attention}.{name}", part], weight, 0, np.split(weight, 3, axis))
    tensors = [each.gemm for each in found.values() if each.tensor == "activation" and each.part == "input"]
    assert tensors == [f"vit.layers.{number}.attention.q_proj" for number in (0, 1)]  # one tensor, once


def test_tensors_of_a_convnet(bench: Bench, subject: Subject) -> None:
    torch.manual_seed(0)
    model = ConvNet(1, 28, 10, 2).eval()
    found, accuracy = of_convnet(model, bench)
    by_name = {(each.tensor, each.gemm): each for each in found}
    plain = seen_by(model, subject.data, ["blocks.3.conv2", "stem", "classifier"])
    check(by_name["activation", "blocks.3.conv2"], plain["blocks.3.conv2"], 1, None)
    check(by_name["activation", "classifier"], plain["classifier"], -1, None)
    weight = model.get_submodule("blocks.3.conv2").weight.detach().double().numpy()  # type: ignore[union-attr]
    check(by_name["weight", "blocks.3.conv2"], weight, 0, None)
    ends = {each.gemm for each in found if each.end}
    assert ends == {"stem", "classifier"}
    assert accuracy == evaluate(model, subject.data).score  # type: ignore[arg-type]
    assert {each.network for each in found} == {"convnet"}


def test_a_group_of_nothing_has_no_ratio() -> None:
    found = spread(torch.tensor([0.0, 4.0, 16.0]))
    assert (found.ratio, found.groups) == (None, 3)
    assert found.variation == pytest.approx(np.std([0, 2, 4]) / 2)
    assert spread(torch.zeros(2)).variation == 0.0


def test_statistics_are_plain_data_and_back(bench: Bench) -> None:
    for each in of_transformer(bench):
        assert Statistics.from_dict(each.to_dict()) == each
