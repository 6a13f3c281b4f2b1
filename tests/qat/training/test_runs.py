"""The folder of a run: records and checkpoints that are read back, replaced whole, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from qat.files.stored import save_model
from qat.models.classes import from_config
from qat.models.fresh import build
from qat.models.presets import preset
from qat.network.convert import gemms, quantizers
from qat.training.runs import (
    load_run,
    load_start,
    load_state,
    load_teacher,
    model_config,
    read_record,
    read_state,
)

IMAGES = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32))


def changed(source: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a run with another record."""
    record = json.loads((source / "run.json").read_text())
    change(record)
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes())
    return folder


def test_a_run_is_loaded_as_it_was_saved(low_run: Path) -> None:
    model, record = load_run(low_run)
    saved = load_file(low_run / "model.safetensors")
    found = model.state_dict()
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in saved.items())
    assert not model.training
    assert all(quantizer.calibrated for quantizer in quantizers(model).values())
    assert record.options["bits"] == 2


@pytest.mark.parametrize("name", ["vit-mnist", "swin-mnist", "sret-mnist"])
def test_a_model_is_rebuilt_from_its_record(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build(name, num_labels=10).eval()
    config = model_config(model)
    assert json.loads(json.dumps(config)) == config
    again = from_config(config).eval()
    save_model(tmp_path / "m.safetensors", model)
    load_state(again, load_file(tmp_path / "m.safetensors"), tmp_path)
    with torch.no_grad():
        assert torch.equal(again(pixel_values=IMAGES).logits, model(pixel_values=IMAGES).logits)


def test_the_record_has_no_place_of_this_machine_in_the_model(full_run: Path) -> None:
    text = json.dumps(read_record(full_run).model)
    assert str(full_run) not in text
    assert "_name_or_path" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(format=2), "format must be 1, not 2"),
        (lambda r: r.pop("options"), "it lacks options"),
        (lambda r: r["scheme"].update(weight_bits=9), "weight_bits must be an integer from 1 to 8, not 9"),
        (lambda r: r["scheme"].update(colour=9), "a scheme has no field colour; it has "),
        (lambda r: r.update(scheme=3), "scheme must be an object, not 3"),
    ],
)  # fmt: skip
def test_a_record_that_is_none(low_run: Path, tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    folder = changed(low_run, tmp_path, change)
    with pytest.raises(ValueError, match=re.escape(f"{folder / 'run.json'} must be the record of a run: {message}")):
        read_record(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"3"])
def test_a_file_that_is_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'run.json'} must be the record of a run: ")):
        read_record(tmp_path)


def test_a_run_whose_tensors_do_not_fit(low_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    wider = changed(low_run, tmp_path, lambda r: r["model"].update(hidden_size=48))
    save_file(load_file(path), path)  # as an earlier version wrote it, without a word about the model
    with pytest.raises(
        ValueError, match=re.escape(f"{path}: classifier.weight must have shape [10, 48], not [10, 24]")
    ):
        load_run(wider)
    changed(low_run, tmp_path, lambda r: None)
    tensors = load_file(path)
    scale = "vit.layers.1.mlp.fc2.input_quantizer.offset"
    save_file({name: tensor for name, tensor in tensors.items() if name != scale}, path)
    with pytest.raises(ValueError) as caught:
        load_run(tmp_path)
    assert str(caught.value) == f"{path} must fit the model, but it lacks {scale}"
    save_file({**tensors, **{f"extra{i}": torch.zeros(1) for i in range(7)}}, path)
    with pytest.raises(ValueError) as caught:
        load_run(tmp_path)
    names = ", ".join(f"extra{i}" for i in range(5))
    assert str(caught.value) == f"{path} must fit the model, but it has {names} and 2 more"


def test_a_start_has_the_latent_weights_alone(low_run: Path) -> None:
    model = load_start(low_run, num_labels=10)
    assert gemms(model) == {}
    low = load_file(low_run / "model.safetensors")
    assert all(torch.equal(tensor, low[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_start_with_other_classes(full_run: Path) -> None:
    with pytest.raises(ValueError) as caught:
        load_start(full_run, num_labels=3)
    assert str(caught.value) == f"{full_run} must have 3 classes, not 10; a new head would replace them"
    with pytest.raises(ValueError) as caught:
        load_start(full_run, num_labels=3, new_head=True)
    assert str(caught.value) == f"{full_run} is a run with 10 classes: a new head is for other checkpoints only"


def test_a_teacher_takes_no_gradient(low_run: Path, full_run: Path, tmp_path: Path) -> None:
    for folder in (low_run, full_run):
        teacher = load_teacher(folder)
        assert not teacher.training
        assert not any(parameter.requires_grad for parameter in teacher.parameters())
        assert torch.equal(teacher(pixel_values=IMAGES).logits, load_run(folder)[0](pixel_values=IMAGES).logits)
    torch.manual_seed(0)
    model = build("vit-mnist", num_labels=10).eval()
    save_model(tmp_path / "m.safetensors", model)
    teacher = load_teacher(tmp_path / "m.safetensors", config=preset("vit-mnist").config)
    assert torch.equal(teacher(pixel_values=IMAGES).logits, model(pixel_values=IMAGES).logits)


class Touch:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_state_that_is_none(low_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    whole = (low_run / "state.pt").read_bytes()
    for content in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1], b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(f"{path} must be a checkpoint that can be read: ")) as caught:
            read_state(path)
        assert "\n" not in str(caught.value)
    torch.save({"model": Touch(tmp_path / "made")}, path)
    with pytest.raises(ValueError, match=re.escape(f"{path} must be a checkpoint that can be read: ")):
        read_state(path)
    assert not (tmp_path / "made").exists()
    for other in ([1], {"epoch": 1}, {"model": 3}):
        torch.save(other, path)
        with pytest.raises(ValueError) as caught:
            read_state(path)
        assert str(caught.value) == f"{path} must be the checkpoint of a run, but holds something else"
    with pytest.raises(FileNotFoundError):
        read_state(tmp_path / "none")
