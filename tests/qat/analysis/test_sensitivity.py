"""Measured sensitivity against networks that are put together by hand, and rows against loops over samples."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwmodel.workload import Role, read_sensitivity
from qat.analysis.measuring import Bench, Settings
from qat.analysis.sensitivity import (
    HeadRow,
    Row,
    Sensitivity,
    count,
    head_rows,
    measure,
    policy_csv,
    policy_json,
)
from qat.analysis.store import Store
from qat.analysis.subject import open_subject
from qat.network.convert import calibrate, gemms, quantize_model, quantizers
from qat.settings.scheme import Scheme
from qat.training import calibration_inputs, evaluate

BITS = (2, 4)


@pytest.fixture(scope="module")
def bench(full_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for module in ("training.rundata", "analysis.subject"):
            monkeypatch.setattr(f"qat.{module}.open_data", _small())
        subject = open_subject(full_run, "mnist5k", tokenizer=None, samples=40, seed=0)
    settings = Settings(bits=BITS, by_layer=True, by_head=True, batch_size=16)
    return Bench(subject, settings, Store(tmp_path_factory.mktemp("kept"), subject.key()))


def _small() -> Any:
    from qat.data.datasets import open_data

    def opened(name: str, **options: Any) -> Any:
        data = open_data(name, **options)
        return type(data)(**{**vars(data), "test": data.test.take(np.arange(60))})

    return opened


@pytest.fixture(scope="module")
def found(bench: Bench) -> Sensitivity:
    told: list[str] = []
    made = measure(bench, told.append)
    assert len(told) == count(bench)
    return made


def losses(bench: Bench, model: nn.Module) -> tuple[float, float]:
    result = evaluate(model, bench.subject.data)
    return float(F.cross_entropy(result.logits.double(), result.labels)), result.score


def by_hand(bench: Bench, bits: int, *, weights: bool) -> Any:
    """Quantised by qat.network alone; scales of activations found with quantised weights, or with plain ones."""
    model = quantize_model(copy.deepcopy(bench.subject.model), Scheme(bits, bits))
    for name, layer in gemms(model).items():
        if bench.products.by_name[name].ends or not weights:
            second = layer.operands()[1]
            second.off = range(second.groups)
    calibrate(model, calibration_inputs(bench.options, bench.subject.data, torch.device("cpu")))
    return model


def entry(found: Sensitivity, kind: str, name: str, bits: int, how: str, layer: int | None = None) -> Any:
    (one,) = [each for each in found.parts if (each.kind, each.name, each.bits, each.how, each.layer)
              == (kind, name, bits, how, layer)]  # fmt: skip
    return one


def test_nothing_and_everything_are_the_networks_that_training_has(bench: Bench, found: Sensitivity) -> None:
    loss, score = losses(bench, bench.subject.model)
    assert (found.full.loss, found.full.accuracy) == pytest.approx((loss, score), abs=1e-5)
    for whole in found.quantised:
        model = by_hand(bench, whole.bits, weights=True)
        for name, layer in gemms(model).items():
            for quantizer in layer.operands():
                quantizer.off = range(quantizer.groups) if bench.products.by_name[name].ends else ()
        wanted = losses(bench, model)
        assert (whole.loss, whole.accuracy) == pytest.approx(wanted, abs=1e-9)
        assert whole.change.loss == pytest.approx(wanted[0] - loss, abs=1e-5)


def test_a_class_alone_and_left_out(bench: Bench, found: Sensitivity) -> None:
    """The probabilities: one quantiser a layer, which no other GEMM shares."""
    loss, _ = losses(bench, bench.subject.model)
    alone, rest = by_hand(bench, 2, weights=False), by_hand(bench, 2, weights=True)
    for model, on in ((alone, True), (rest, False)):
        for name, quantizer in quantizers(model).items():
            gemm = name.rpartition(".")[0]
            end = gemm in bench.products.by_name and bench.products.by_name[gemm].ends
            mine = name.endswith("context.first")
            quantizer.off = () if mine == on and not end else range(quantizer.groups)
    one, other = (entry(found, "class", "probabilities", 2, how) for how in ("alone", "left out"))
    assert one.loss == pytest.approx(losses(bench, alone)[0], abs=1e-6)
    assert one.change.loss == pytest.approx(losses(bench, alone)[0] - loss, abs=1e-5)
    assert other.loss == pytest.approx(losses(bench, rest)[0], abs=1e-6)
    assert other.change.loss == pytest.approx(found.quantised[0].loss - losses(bench, rest)[0], abs=1e-6)


def test_heads_and_layers_are_measured_too(bench: Bench, found: Sensitivity) -> None:
    model = by_hand(bench, 4, weights=False)
    for name, quantizer in quantizers(model).items():
        attention = name.startswith("vit.layers.1.attention.") and quantizer.groups == 3
        quantizer.off = {0, 1} if attention else range(quantizer.groups)
    one = entry(found, "head", "2", 4, "alone", 1)
    assert one.loss == pytest.approx(losses(bench, model)[0], abs=1e-6)
    for name, quantizer in quantizers(model).items():
        quantizer.off = () if name.startswith("vit.layers.0.mlp.fc2.") else range(quantizer.groups)
    one = entry(found, "layer", "fc2", 4, "alone", 0)
    assert one.loss == pytest.approx(losses(bench, model)[0], abs=1e-6)


def test_rows_are_least_squares_of_the_rises(bench: Bench, found: Sensitivity) -> None:
    full = bench.answers(2, {}, alone=True)
    rows = {(row.role, row.layer): row for row in found.rows}
    assert {layer for _, layer in rows} == {None, 0, 1}
    for part in bench.parts:
        if part.kind not in ("gemm", "layer"):
            continue
        row = rows[part.name, part.layer]
        noise, rise = 0.0, 0.0
        for bits in BITS:
            each = bench.answers(bits, part.groups, alone=True)
            noise += (row.macs * 4.0**-bits) ** 2
            rise += (
                row.macs * 4.0**-bits * float(np.mean([a - b for a, b in zip(each.losses, full.losses, strict=True)]))
            )
        wanted = rise / noise
        assert row.sensitivity == pytest.approx(max(wanted, 0.0), rel=1e-9, abs=1e-15)
        assert row.low <= wanted + 1e-15
        assert row.high >= wanted - 1e-15
        assert row.told == (row.low > 0)
    whole = sum(row.macs for row in found.rows if row.layer is None)
    assert whole == sum(bench.products.macs.values()) == sum(row.macs for row in found.rows if row.layer is not None)


def test_heads_share_out_what_their_gemm_costs(bench: Bench, found: Sensitivity) -> None:
    """By the rise of each head alone, over the widths as in the other rows."""
    full = bench.answers(2, {}, alone=True)
    rises = {}
    for part in bench.parts:
        if part.kind == "head":
            each = [bench.answers(bits, part.groups, alone=True).losses for bits in BITS]
            change = [float(np.mean(these - full.losses)) for these in each]
            rises[part.layer, int(part.name)] = max(0.0, sum(4.0**-b * c for b, c in zip(BITS, change, strict=True)))
    rows = {(row.role, row.layer): row for row in found.rows}
    heads = {(row.role, row.layer, row.head): row for row in found.heads}
    assert set(heads) == {(role, layer, head) for role in ("query", "key", "value", "scores", "context")
                          for layer in (0, 1) for head in range(3)}  # fmt: skip
    assert any(rises.values())
    for (role, layer, head), row in heads.items():
        whole, all_heads = rows[role, layer], sum(rises[layer, each] for each in range(3))
        assert row.macs * 3 == whole.macs
        wanted = whole.sensitivity * (3 * rises[layer, head] / all_heads if all_heads else 1)
        assert row.sensitivity == pytest.approx(wanted, rel=1e-9, abs=1e-30)
        assert sum(heads[role, layer, each].share for each in range(3)) == pytest.approx(1)


def test_without_layers_heads_share_out_what_all_layers_cost() -> None:
    rows = [Row("query", None, 0.5, 0, 1, True, 60)]
    macs: dict[tuple[str, int | None], int] = {("query", 0): 20, ("query", 1): 40}
    alone = {(0, 0): 3.0, (0, 1): 1.0, (1, 0): 0.0, (1, 1): 6.0}
    found = head_rows(rows, alone, macs)
    assert [(row.layer, row.head, row.share, row.macs) for row in found] == [
        (0, 0, 0.3, 10), (0, 1, 0.1, 10), (1, 0, 0.0, 20), (1, 1, 0.6, 20)
    ]  # fmt: skip
    assert sum(row.sensitivity * row.macs for row in found) == pytest.approx(0.5 * 60)
    assert {row.sensitivity for row in head_rows(rows, dict.fromkeys(alone, 0.0), macs)} == {0.5}


def test_rows_of_heads_are_written_beside_the_others(tmp_path: Path) -> None:
    rows, heads = (Row("value", 1, 2e-6, 1e-6, 3e-6, True, 10),), (HeadRow("value", 1, 2, 0.25, 0.5, 5),)
    (tmp_path / "s.json").write_text(policy_json(rows, "by hand", heads))
    (tmp_path / "s.csv").write_text(policy_csv(rows, heads))
    for name in ("s.json", "s.csv"):
        table = read_sensitivity(tmp_path / name)
        assert (dict(table.rows), dict(table.heads)) == ({(Role.VALUE, 1): 2e-6}, {(Role.VALUE, 1, 2): 0.25})


def test_a_sensitivity_is_never_negative_and_marked_where_it_may_be_0(tmp_path: Path) -> None:
    rows = (Row("value", None, 2e-6, 1e-6, 3e-6, True, 10), Row("fc1", None, 0.0, -2e-6, 1e-7, False, 10),
            Row("fc1", 3, 0.5, -0.1, 1.0, False, 5))  # fmt: skip
    (tmp_path / "s.json").write_text(policy_json(rows, "by hand"))
    (tmp_path / "s.csv").write_text(policy_csv(rows))
    wanted = {(Role.VALUE, None): 2e-6, (Role.FC1, None): 0.0, (Role.FC1, 3): 0.5}
    table = read_sensitivity(tmp_path / "s.json")
    assert (dict(table.rows), table.source) == (wanted, "by hand")
    assert dict(read_sensitivity(tmp_path / "s.csv").rows) == wanted
    marked = json.loads((tmp_path / "s.json").read_text())["not_told_from_zero"]
    assert marked == [{"role": "fc1", "layer": None}, {"role": "fc1", "layer": 3}]


def test_what_was_measured_is_not_measured_again(bench: Bench, found: Sensitivity, monkeypatch: Any) -> None:
    monkeypatch.setattr(Bench, "_measured", None)
    again = measure(Bench(bench.subject, bench.settings, bench.store), lambda _: None)
    assert again == found


def test_a_short_training_comes_first_and_is_the_same_every_time(bench: Bench, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in bench.subject.model.state_dict().items()}
    settings = Settings(bits=(2,), epochs=1, lr=2e-3, batch_size=16)
    part = next(part for part in bench.parts if (part.kind, part.name) == ("class", "fc1"))
    made = [
        Bench(bench.subject, settings, Store(tmp_path / str(time), {})).answers(2, part.groups, alone=True)
        for time in range(2)
    ]
    assert np.array_equal(made[0].losses, made[1].losses)
    assert not np.array_equal(made[0].losses, bench.answers(2, part.groups, alone=True).losses)
    assert all(torch.equal(tensor, bench.subject.model.state_dict()[name]) for name, tensor in before.items())
