"""What a run starts from and learns from: names of classes in one order, and the network that a folder says it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
)

import qat.export
from qat.data import Data
from qat.evaluate import main as evaluate_main
from qat.models import presets
from qat.softlabels import main as softlabels_main
from qat.train import main
from qat.training.classes import compare_classes
from qat.training.runs import network_of, read_record

SHORT = ["--epochs", "0", "--calibration-batches", "1", "--batch-size", "4", "--threads", "1", "--device", "cpu"]


def small(**more: Any) -> ViTConfig:
    sizes = {"image_size": 64, "patch_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    return ViTConfig(**{**sizes, "intermediate_size": 16, **more})


@pytest.fixture(autouse=True)
def _presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 64 pixels among the presets, and the names of presets with it."""
    monkeypatch.setattr(presets, "_CONFIGS", {**presets._CONFIGS, "vit-rgb": small})
    monkeypatch.setattr("qat.models.recognition.PRESET_NAMES", (*presets.PRESET_NAMES, "vit-rgb"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("val", 2)):
        for name in ("cat", "dog"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                path = tmp_path / "images" / part / name / f"{number}.png"
                Image.new("RGB", (40, 40), (number * 60, 50, 7)).save(path)
    return tmp_path / "images"


def start(folder: Path, *names: str, **sizes: Any) -> Path:
    """A Hugging Face folder of 32 pixels with these names of classes."""
    labels = {"id2label": dict(enumerate(names))} if names else {"num_labels": 2}
    config = small(**{"image_size": 32, **labels, **sizes})
    ViTForImageClassification(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def train(command: Callable[..., Any], photos: Path, out: Path, *arguments: object) -> Any:
    given = ["--data", f"imagefolder:{photos}", "--image-stats", "imagenet", "--out", out, "--bits", "32", *SHORT]
    return command(main, *given, "--workers", 0, *arguments)


REFUSED = "must have its classes in the order of imagefolder:{photos}, but 'cat' is class 1 of it, and 0 of the data"


@pytest.mark.parametrize("option", ["--start", "--teacher"])
def test_the_same_classes_in_another_order(
    command: Callable[..., Any], photos: Path, tmp_path: Path, option: str
) -> None:
    folder, out = start(tmp_path / "hf", "dog", "cat"), tmp_path / "out"
    more = ["--model", "vit-rgb", "--image-size", 32] if option == "--teacher" else []
    ended = train(command, photos, out, option, folder, *more)
    what = f"the teacher {folder}" if option == "--teacher" else str(folder)
    assert (ended.code, ended.err) == (2, f"program: error: {what} {REFUSED.format(photos=photos)}\n")
    assert not (out / "run.json").exists()
    ended = command(softlabels_main, "--teacher", folder, "--data", f"imagefolder:{photos}", "--crops", 1, "--top-k", 2,
                    "--image-stats", "imagenet", "--out", tmp_path / "labels")  # fmt: skip
    assert (ended.code, ended.err) == (2, f"program: error: the teacher {folder} {REFUSED.format(photos=photos)}\n")


def test_a_fresh_classifier_has_the_classes_of_the_data(
    command: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    folder, out = start(tmp_path / "hf", "dog", "cat"), tmp_path / "out"
    ended = train(command, photos, out, "--start", folder, "--new-head")
    assert ended.code == 0, ended.err
    assert read_record(out).model["id2label"] == {"0": "cat", "1": "dog"}


def test_other_names_are_said_once(command: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    folder, out = start(tmp_path / "hf", "fish", "bird"), tmp_path / "out"
    ended = train(command, photos, out, "--start", folder)
    said = f"classes of {folder} are taken by their number: 'fish' there is 'cat' here, and 1 more differ"
    assert (ended.code, ended.err.splitlines()[0], ended.err.count("taken by")) == (0, said, 1)
    assert read_record(out).model["id2label"] == {"0": "cat", "1": "dog"}
    ended = train(command, photos, tmp_path / "next", "--start", out)
    assert (ended.code, ended.err.count("taken by")) == (0, 0)


@pytest.mark.parametrize("names", [(), ("cat", "dog"), ("Cat", "DOG"), ("LABEL_0", "LABEL_1"), ("0", "1")])
def test_names_that_agree_or_are_none(
    command: Callable[..., Any], photos: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    ended = train(command, photos, tmp_path / "out", "--start", start(tmp_path / "hf", *names))
    assert (ended.code, ended.err.count("\n")) == (0, 1), ended.err


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (("a", "b", "c"), ("a", "c", "b"), "'b' is class 2 of it, and 1 of the data"),
        (("a", "b", "c"), ("b", "x", "y"), "'b' is class 0 of it, and 1 of the data"),
        (("0", "1"), ("1", "0"), "'0' is class 1 of it, and 0 of the data"),
        (("entailment", "neutral", "contradiction"), ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), "is class 2 of it"),
        (("ice_bear", "crane"), ("Crane", "Ice Bear"), "'ice_bear' is class 1 of it, and 0 of the data"),
        (("crane", "b", "crane 2"), ("crane", "b", "crane"), None),  # ImageNet has two of that name
        (("a", "b"), ("a", "x"), None),
        (("a", "b"), (), None),
        ((), ("a", "b"), None),
    ],
)  # fmt: skip
def test_which_names_are_refused(ours: tuple[str, ...], theirs: tuple[str, ...], said: str | None) -> None:
    data: Any = Data("some", ours, None, None, None, None)  # type: ignore[arg-type]
    if said is None:
        assert (compare_classes("it", theirs, data) is None) == (not ours or not theirs)
        return
    with pytest.raises(ValueError, match=said):
        compare_classes("it", theirs, data)


def test_classes_of_a_record_in_another_order(command: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    """Evaluation, export and going on with it see what the images are called."""
    out = tmp_path / "out"
    given = ["--data", f"imagefolder:{photos}", "--model", "vit-rgb", "--image-size", 32, "--out", out, *SHORT]
    assert command(main, *given).code == 0
    record = json.loads((out / "run.json").read_text())
    record["data"]["classes"].reverse()
    (out / "run.json").write_text(json.dumps(record))
    wanted = f"imagefolder:{photos} must have the classes of the run, ['dog', 'cat'], not ('cat', 'dog')"
    for run, *arguments in (
        (evaluate_main, "--checkpoint", out),
        (qat.export.main, "--checkpoint", out, "--out", tmp_path / "integer"),
        (main, "--resume", "--out", out),
    ):
        ended = command(run, *arguments)
        assert (ended.code, ended.err) == (2, f"program: error: {wanted}\n")


def test_the_network_is_that_of_the_start(command: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    """A folder's, with its size of images, and that of a run."""
    folder = start(tmp_path / "hf")
    assert network_of(folder) == ("vit-rgb", 32)
    for number, source in enumerate((folder, tmp_path / "0")):
        ended = train(command, photos, tmp_path / str(number), "--start", source)
        assert ended.code == 0, ended.err
        options = read_record(tmp_path / str(number)).options
        assert (options["model"], options["image_size"]) == ("vit-rgb", 32)
    (tmp_path / "a.yaml").write_text(f"start: {folder}\nimage-size: 32\n")
    ended = train(command, photos, tmp_path / "config", "--config", tmp_path / "a.yaml")
    assert ended.code == 0, ended.err


def test_a_start_of_other_images_than_asked_for(command: Callable[..., Any], photos: Path, tmp_path: Path) -> None:
    folder, out = start(tmp_path / "hf"), tmp_path / "out"
    ended = train(command, photos, out, "--model", "vit-rgb", "--start", folder)
    said = f"{folder} has image_size 32, but 64 is asked for: ask for images of 32 pixels"
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")
    ended = train(command, photos, out, "--model", "vit-rgb", "--start", folder, "--image-size", 48)
    assert ended.err.endswith("has image_size 32, but 48 is asked for: ask for images of 32 pixels\n")
    ended = train(command, photos, out, "--model", "vit-rgb", "--start", folder, "--image-size", 32)
    assert ended.code == 0, ended.err


def test_a_network_that_is_none_of_ours_is_its_folder(
    command: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    folder = start(tmp_path / "hf", hidden_size=24)
    assert network_of(folder) == (str(folder), None)
    ended = train(command, photos, tmp_path / "out", "--start", folder)
    assert ended.code == 0, ended.err
    record = read_record(tmp_path / "out")
    assert (record.options["model"], record.options["image_size"]) == (str(folder), None)
    assert (record.model["hidden_size"], record.model["image_size"]) == (24, 32)
    text = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    BertForSequenceClassification(text).save_pretrained(tmp_path / "bert")  # type: ignore[no-untyped-call]
    assert network_of(tmp_path / "bert") == (str(tmp_path / "bert"), None)


def test_a_start_that_does_not_say_its_network_needs_a_model(
    command: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(ViTForImageClassification(small(num_labels=2)).state_dict(), file)
    ended = train(command, photos, tmp_path / "out", "--start", file)
    said = f"model must be given with the start {file}, which does not say its network"
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")
    ended = train(command, photos, tmp_path / "out", "--start", file, "--model", "vit-rgb")
    assert ended.code == 0, ended.err


def test_what_does_not_say_its_network(tmp_path: Path) -> None:
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "config.json").write_text('{"architecture": "deit_tiny"}')
    save_file({}, tmp_path / "x.safetensors")
    assert network_of(tmp_path / "timm") is None
    assert network_of(tmp_path / "x.safetensors") is None
    assert network_of(tmp_path / "nowhere") is None


def test_a_teacher_that_says_its_network_may_be_another(
    command: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    teacher = start(tmp_path / "hf", hidden_size=24)
    given = ["--model", "vit-rgb", "--image-size", 32, "--teacher", teacher]
    ended = train(command, photos, tmp_path / "out", *given)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("kind", "is_preset"), [(DeiTForImageClassificationWithTeacher, True), (DeiTForImageClassification, False)]
)
def test_a_folder_of_deit_is_distilled_where_it_has_two_heads(tmp_path: Path, kind: Any, is_preset: bool) -> None:
    """Both have the same sizes; only the class tells them apart."""
    config = presets.preset("deit-tiny-distilled").config
    config.architectures = [kind.__name__]
    config.save_pretrained(tmp_path)
    assert network_of(tmp_path) == (("deit-tiny-distilled", None) if is_preset else (str(tmp_path), None))


def test_a_distilled_network_is_trained_and_exported(
    command: Callable[..., Any], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both heads learn, and the integers of both give the logits that PyTorch gives."""
    sizes = small(image_size=32).to_dict()
    two = DeiTForImageClassificationWithTeacher.config_class(**{k: v for k, v in sizes.items() if k != "model_type"})
    monkeypatch.setattr(presets, "_CONFIGS", {**presets._CONFIGS, "deit-tiny-distilled": lambda: two})
    out = tmp_path / "out"
    given = ["--data", f"imagefolder:{photos}", "--out", out, "--model", "deit-tiny-distilled", "--batch-size", "4",
             "--epochs", "1", "--threads", "1", "--device", "cpu"]  # fmt: skip
    ended = command(main, *given)
    assert ended.code == 0, ended.err
    assert read_record(out).model["architectures"] == ["DeiTForImageClassificationWithTeacher"]
    ended = command(qat.export.main, "--checkpoint", out, "--out", tmp_path / "integer")
    assert ended.code == 0, ended.err
    assert "4 of 4 predictions equal; 0 of " in ended.out
