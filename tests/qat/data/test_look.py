"""How checkpoints say what is done to images, and that it is done: in training, tests, and records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from qat.data.datasets import open_data
from qat.data.look import IMAGENET, Look, read_look
from qat.data.views import CentreCrop, CentrePart
from qat.training.accuracy import split_batches
from qat.training.rundata import look_of
from siliquant.inputs.errors import InputError

HALF, DEIT, STD = (0.5, 0.5, 0.5), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# As on the hub: google/vit-base-patch16-224, facebook/deit-tiny-patch16-224, microsoft/swin-tiny-patch4-window7-224.
VIT = {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
       "image_processor_type": "ViTImageProcessor", "resample": 2, "rescale_factor": 0.00392156862745098,
       "size": {"height": 224, "width": 224}}  # fmt: skip
DEIT_FILE = {"crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
             "feature_extractor_type": "DeiTFeatureExtractor", "image_mean": list(DEIT),
             "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 256}  # fmt: skip
SWIN = {"do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
        "image_mean": list(DEIT), "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224}  # fmt: skip


def written(folder: Path, values: object, name: str = "preprocessor_config.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize(
    ("values", "look"),
    [
        (VIT, Look(HALF, HALF, "bilinear", 1.0, True, 224)),
        (DEIT_FILE, Look(DEIT, STD, "bicubic", 256 / 224, True, 224)),
        (SWIN, Look(DEIT, STD, "bicubic", 1.0, True, 224)),
        (DEIT_FILE | {"size": {"shortest_edge": 256}}, Look(DEIT, STD, "bicubic", 256 / 224, False, 224)),
        (VIT | {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
         Look(HALF, HALF, "bilinear", 1 / 0.875, False, 224)),
        (VIT | {"do_normalize": False}, Look((0.0,) * 3, (1.0,) * 3, "bilinear", 1.0, True, 224)),
        (VIT | {"do_rescale": False, "image_mean": 127.5, "image_std": 127.5},
         Look(HALF, HALF, "bilinear", 1.0, True, 224)),
        ({"image_processor_type": "ViTImageProcessor"}, Look(HALF, HALF, "bilinear", 1.0, True, 224)),
    ],
)  # fmt: skip
def test_preprocessor_config(tmp_path: Path, values: dict[str, Any], look: Look) -> None:
    found = read_look(written(tmp_path, values))
    assert found is not None
    assert found == look or (np.allclose(found.mean, look.mean) and np.allclose(found.std, look.std))
    assert (found.resample, found.resize_ratio, found.stretch, found.size) == (
        look.resample, look.resize_ratio, look.stretch, look.size,
    )  # fmt: skip
    assert Look.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert read_look(tmp_path / "model.safetensors") == found  # a file beside it


def test_other_places_and_none(tmp_path: Path) -> None:
    assert read_look(tmp_path) is None
    timm = {"architecture": "vit", "pretrained_cfg": {
        "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9, "interpolation": "bicubic",
        "input_size": [3, 224, 224]}}  # fmt: skip
    assert look_of(written(tmp_path / "timm", timm, "config.json")) == Look(HALF, HALF, "bicubic", 1 / 0.9, False, 224)
    assert read_look(written(tmp_path / "five", {"image_processor": VIT}, "processor_config.json")) is not None
    assert read_look(written(tmp_path / "text", {"processor_class": "x"}, "processor_config.json")) is None
    assert read_look(written(tmp_path / "plain", {"model_type": "vit"}, "config.json")) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_mean": [0.5, 0.5]}, r"image_mean must be three numbers, not \[0\.5, 0\.5\]"),
        ({"image_std": [0.5, 0, 0.5]}, "std must be three numbers from 1e-06"),
        ({"image_std": None}, "image_std must be three numbers, not None"),
        ({"image_mean": "x"}, "image_mean must be three numbers, not 'x'"),
        ({"resample": 9}, "resample must be an integer from 0 to 5, not 9"),
        ({"rescale_factor": 0}, "rescale_factor must be a number from 1e-6 to 1e6, not 0"),
        ({"size": {"height": 224, "width": 192}}, "size must be of a square of 1 to 4096 pixels a side"),
        ({"size": {"longest_edge": 1}}, "size must be of a square"),
        ({"size": 10**9}, "size must be of a square"),
        ({"do_center_crop": True, "crop_size": 300}, "crop_size must be at most size, 224, not 300"),
        ({"crop_pct": 0}, "crop_pct must be a number from 0.0625 to 1, not 0"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order must be false"),
        ({"do_resize": False}, "do_resize must be true"),
        ({"do_normalize": "yes"}, "do_normalize must be true or false, not 'yes'"),
    ],
)
def test_what_cannot_be_done(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"preprocessor_config.json: {message}"):
        read_look(written(tmp_path, VIT | changes))


def test_files_that_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold a JSON object, not list"):
        read_look(written(tmp_path, []))
    (tmp_path / "preprocessor_config.json").write_text("[" * 1000)
    with pytest.raises(InputError, match="levels deep"):
        read_look(tmp_path)
    with pytest.raises(InputError, match="what is done to images must be given as"):
        Look.from_dict({"mean": [0, 0, 0]})


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """One image of two colours, twice as wide as high, in each class."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 64:] = 200
    for part in ("train", "val"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / part / name / "x.png")
    return tmp_path


def test_it_is_done_to_images(images: Path) -> None:
    look = Look(HALF, (0.25, 0.5, 1.0), "nearest", 1.0, True, 8)
    data = open_data(f"imagefolder:{images}", image_size=8, look=look)
    [(found, _)] = list(split_batches(data, data.test, 2))
    expected = (torch.tensor([0.0] * 4 + [200 / 255] * 4) - 0.5) / torch.tensor(look.std)[:, None]
    torch.testing.assert_close(found[0], expected[:, None, :].expand(3, 8, 8))
    assert data.evaluation is None
    default = open_data(f"imagefolder:{images}", image_size=8)
    assert default.evaluation == CentreCrop()
    assert default.train.look == IMAGENET  # type: ignore[union-attr]
    part = Look(HALF, HALF, "box", 2.0, True).evaluation
    assert part == CentrePart(0.5)
    assert part.sample(0, 0, np.arange(1), 0, np.array([[9, 5]])).boxes.tolist() == [[0.25, 0.25, 0.5, 0.5]]
    with pytest.raises(InputError, match="the checkpoint takes images of 8 pixels a side, as its own files "):
        open_data(f"imagefolder:{images}", image_size=16, look=look)
