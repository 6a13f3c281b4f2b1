"""Evaluation: intervals and scores against SciPy and NumPy, the command line, and data that changed."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import qat.training.rundata
from qat.data.text import GLUE
from qat.evaluate import main
from qat.settings.names import METRIC_NAMES
from qat.training.accuracy import Evaluation, evaluate, split_batches
from qat.training.metrics import METRICS
from qat.training.runs import load_run
from siliquant.files.write import write_atomically
from siliquant.inputs import wilson_interval

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_the_interval_is_wilsons(n: int) -> None:
    for correct in range(n + 1):
        expected = scipy.stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
        assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-7)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_interval_holds_the_share(n: int, share: float) -> None:
    correct = round(share * n)
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1


def test_scores_of_classes() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0], [-2.0, -1.0]])
    found = Evaluation(logits, torch.tensor([0, 1, 1, 0]), 0.5)
    assert (found.regression, found.correct, found.score) == (False, 2, 0.5)
    assert found.interval() == wilson_interval(2, 4)


def test_all_metrics_have_a_name_that_data_are_checked_against() -> None:
    assert tuple(METRICS) == METRIC_NAMES
    for wrong in ((), ("f1", "f1"), ("accuracy", "recall")):
        must = rf"^metrics must be some of {', '.join(METRIC_NAMES)}, each once, not {re.escape(repr(wrong))}$"
        with pytest.raises(ValueError, match=must):
            replace(GLUE["cola"], metrics=wrong)


@given(
    st.integers(2, 4).flatmap(
        lambda n: st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=60)
    )
)
def test_metrics_of_classes_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, guessed = (np.array(side) for side in zip(*pairs, strict=True))
    classes = max(2, 1 + int(max(labels.max(), guessed.max())))
    logits = F.one_hot(torch.from_numpy(guessed), classes).float()
    found = Evaluation(logits, torch.from_numpy(labels), 0.0, ("f1", "matthews", "accuracy")).scores
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one label alone
        matthews = sklearn.metrics.matthews_corrcoef(labels, guessed)
        f1 = sklearn.metrics.f1_score(labels == 1, guessed == 1, zero_division=0)
    assert found["matthews"].value == pytest.approx(matthews, abs=1e-12)
    assert found["f1"].value == pytest.approx(f1, abs=1e-12)
    assert found["accuracy"].value == (labels == guessed).mean()
    assert all(each.low <= each.value <= each.high for each in found.values())


def test_the_interval_of_f1_and_matthews_is_a_bootstrap_over_samples() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 400)
    guessed = np.where(generator.random(400) < 0.8, labels, 1 - labels)
    found = Evaluation(F.one_hot(torch.from_numpy(guessed)).float(), torch.from_numpy(labels), 0.0, ("f1", "matthews"))
    for name, measure in (("f1", sklearn.metrics.f1_score), ("matthews", sklearn.metrics.matthews_corrcoef)):
        chosen = (generator.integers(0, 400, 400) for _ in range(600))
        low, high = np.percentile([measure(labels[each], guessed[each]) for each in chosen], [2.5, 97.5])
        score = found.scores[name]
        assert (score.low, score.high) == pytest.approx((low, high), abs=0.02)
        again = Evaluation(found.logits, found.labels, 0.0, (name,)).headline
        assert again == score


def test_correlations_are_those_of_scipy() -> None:
    generator = np.random.default_rng(2)
    wanted = generator.integers(0, 5, 80).astype(np.float32)  # with ties
    guessed = (np.exp(wanted) + 20 * generator.normal(size=80)).astype(np.float32)
    found = Evaluation(torch.from_numpy(guessed)[:, None], torch.from_numpy(wanted), 0.0, ("pearson", "spearman"))
    assert found.scores["spearman"].value == pytest.approx(scipy.stats.spearmanr(guessed, wanted).statistic)
    assert found.scores["pearson"].value == pytest.approx(scipy.stats.pearsonr(guessed, wanted).statistic, abs=1e-6)
    # Bonett and Wright (2000), equation 3
    value = found.scores["spearman"].value
    half = 1.959964 * math.sqrt((1 + value**2 / 2) / 77)
    assert found.scores["spearman"].high == pytest.approx(math.tanh(math.atanh(value) + half))
    assert (found.score, found.interval()) == (found.scores["pearson"].value, (found.headline.low, found.headline.high))


def test_scores_of_a_regression() -> None:
    generator = np.random.default_rng(0)
    wanted = generator.normal(size=50).astype(np.float32)
    logits = (2 * wanted + generator.normal(size=50)).astype(np.float32)
    found = Evaluation(torch.from_numpy(logits)[:, None], torch.from_numpy(wanted), 1.0, ("pearson",))
    result = scipy.stats.pearsonr(logits.astype(np.float64), wanted.astype(np.float64))
    assert found.regression
    assert found.score == pytest.approx(np.corrcoef(logits, wanted)[0, 1])
    interval = result.confidence_interval(0.95)
    assert found.interval() == pytest.approx((interval.low, interval.high), abs=1e-6)
    flat = Evaluation(torch.ones(5, 1), torch.arange(5.0), 1.0, ("pearson", "spearman"))
    assert [each.value for each in flat.scores.values()] == [0, 0]
    assert -1 < flat.interval()[0] < 0 < flat.interval()[1] < 1
    perfect = Evaluation(torch.arange(5.0)[:, None], torch.arange(5.0), 0.0, ("pearson",))
    assert perfect.score == pytest.approx(1)
    assert all(map(math.isfinite, perfect.interval()))


def test_the_whole_split_once_in_any_shares_and_batches(full_run: Path) -> None:
    model, _ = load_run(full_run)
    data = qat.training.rundata.open_data("mnist5k", image_size=28)
    n = len(data.test.labels)
    whole = evaluate(model, data)
    assert len(whole.labels) == n
    assert torch.equal(whole.labels, torch.from_numpy(data.test.labels))
    with torch.no_grad():
        expected = model(pixel_values=data.test.fetch(np.arange(n))).logits
    assert torch.allclose(whole.logits, expected, atol=1e-5)
    assert whole.loss == pytest.approx(float(F.cross_entropy(expected, whole.labels)), abs=1e-5)
    small = evaluate(model, data, batch_size=7)
    assert torch.allclose(small.logits, whole.logits, atol=1e-5)
    for rank in range(3):
        part = evaluate(model, data, rank=rank, world=3, batch_size=8)
        assert torch.equal(part.labels, whole.labels[rank::3])
        assert torch.allclose(part.logits, whole.logits[rank::3], atol=1e-5)
    sizes = [len(labels) for _, labels in split_batches(data, data.test, 25)]
    assert sizes == [25, 25, n - 50]


def test_evaluation_leaves_the_mode_of_the_model(full_run: Path) -> None:
    model, _ = load_run(full_run)
    assert not model.training
    data = qat.training.rundata.open_data("mnist5k", image_size=28)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, data)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_command_line(command: Callable[..., Any], low_run: Path) -> None:
    last = json.loads((low_run / "metrics.jsonl").read_text().splitlines()[-1])
    ended = command(main, "--checkpoint", low_run, "--format", "json", "--batch-size", 64)
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {
        "score": last["test_score"], "low": last["test_low"], "high": last["test_high"], "n": 60,
        "loss": last["test_loss"],
        "metrics": {"accuracy": {"value": last["test_score"], "low": last["test_low"], "high": last["test_high"]}},
    }  # fmt: skip
    ended = command(main, "--checkpoint", low_run, "--device", "cpu", "--workers", "1")
    assert (ended.code, ended.err) == (0, "")
    correct = round(60 * last["test_score"])
    low, high = (100 * edge for edge in wilson_interval(correct, 60))
    assert ended.out == (
        f"accuracy {100 * correct / 60:.2f} % ({correct} of 60; 95 % interval {low:.2f} to {high:.2f} %); "
        f"loss {last['test_loss']:.4f}\n"
    )


def test_a_regression_on_the_command_line(
    command: Callable[..., Any], full_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = torch.arange(4.0)
    result = Evaluation(torch.tensor([[0.0], [1.0], [3.0], [2.0]]), wanted, 0.5, ("pearson", "spearman"))
    monkeypatch.setattr("qat.training.evaluate", lambda *_, **__: result)
    ended = command(main, "--checkpoint", full_run)
    assert re.fullmatch(
        r"Pearson correlation 80\.00 % \(4 samples; 95 % interval -69\.\d\d to 99\.\d\d %\); "
        r"Spearman correlation 80\.00 % \(4 samples; 95 % interval -8\d\.\d\d to 99\.\d\d %\); loss 0\.5000\n",
        ended.out,
    )


def test_test_samples_that_changed(
    command: Callable[..., Any], full_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = qat.training.rundata.open_data

    def other(*arguments: Any, **options: Any) -> Any:
        data = opened(*arguments, **options)
        test: Any = data.test
        return replace(data, test=replace(test, pixels=test.pixels[::-1].copy()))

    ours = opened("mnist5k", image_size=28).test.fingerprint[:12]
    monkeypatch.setattr("qat.training.rundata.open_data", other)
    theirs = other("mnist5k", image_size=28).test.fingerprint[:12]
    ended = command(main, "--checkpoint", full_run)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"program: error: mnist5k must hold the test samples of the run ({ours}), not others ({theirs})\n"
    )


def test_what_is_no_run(command: Callable[..., Any], full_run: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        ended = command(main, *arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        return str(ended.err).split(": error: ", 1)[1].strip()

    assert refused("--checkpoint", tmp_path) == f"{tmp_path} must be the folder of a run with a run.json in it"
    assert refused("--checkpoint", full_run, "--batch-size", 0) == (
        "batch_size must be an integer from 1 to 1048576, not '0'"
    )
    assert refused() == "the following arguments are required: --checkpoint"
    record = (full_run / "run.json").read_text()
    write_atomically(tmp_path / "run.json", record)
    model = tmp_path / "model.safetensors"
    assert refused("--checkpoint", tmp_path) == f"{model} must be there: the run has not finished an epoch yet"
    model.write_bytes((full_run / "model.safetensors").read_bytes()[:-100])
    assert refused("--checkpoint", tmp_path).startswith(f"{model} must be a safetensors file: ")


def test_images_have_the_size_that_the_model_takes(
    command: Callable[..., Any], train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of the data: digits are 8 pixels unless asked otherwise."""
    asked = []
    opened = qat.training.rundata.open_data
    monkeypatch.setattr(
        "qat.training.rundata.open_data", lambda *a, **o: (asked.append(o["image_size"]), opened(*a, **o))[1]
    )
    out = train(tmp_path / "run", bits=32, epochs=0, limit=16)
    assert command(main, "--checkpoint", out).code == 0
    assert asked == [28]
