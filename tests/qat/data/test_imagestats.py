"""Mean and deviation of images, and how many processes load them, against NumPy and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qat.data import imagestats, loading
from qat.data.datasets import Data, open_data, with_look
from qat.data.images import FolderImages
from qat.data.imagestats import look_of_images, measured_stats
from qat.data.loading import batches, worker_count
from qat.data.look import IMAGENET, Look
from qat.data.views import CentreCrop
from qat.settings import read_image_stats
from siliquant.inputs import InputError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Seven images of noise of several sizes in each of two classes, darker in the second; a folder named test."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 7), ("test", 1)):
        for number, name in enumerate("ab"):
            (tmp_path / part / name).mkdir(parents=True)
            for image in range(count):
                shape = 3 + image, 9 - image, 3
                pixels = generator.integers(0, 250 - 100 * number, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{image}.png")
    return tmp_path


def opened(folder: Path, size: int = 8) -> Data:
    return open_data(f"imagefolder:{folder}", image_size=size)


def train_of(folder: Path, size: int = 8) -> FolderImages:
    split = opened(folder, size).train
    assert isinstance(split, FolderImages)
    return split


def by_numpy(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Every image counts the same, whatever its size."""
    pixels = [np.asarray(Image.open(file), np.float64).reshape(-1, 3) / 255 for file in files]
    mean = np.mean([part.mean(axis=0) for part in pixels], axis=0)
    return mean, np.sqrt(np.mean([((part - mean) ** 2).mean(axis=0) for part in pixels], axis=0))


def test_against_numpy(noise: Path) -> None:
    found = measured_stats(train_of(noise))
    for values, wanted in zip(found, by_numpy(sorted((noise / "train").glob("*/*"))), strict=True):
        assert values == tuple(round(float(value), 4) for value in wanted)


def test_many_images_are_taken_from_all_classes_by_any_number_of_processes(
    noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagestats, "MOST_MEASURED", 4)
    monkeypatch.setattr(imagestats, "_CHUNK", 1)
    monkeypatch.setattr(imagestats, "_FEW", 0)
    told: list[tuple[int, int]] = []
    found = measured_stats(train_of(noise), report=lambda done, total: told.append((done, total)))
    assert told == [(done, 4) for done in range(1, 5)]
    files = sorted((noise / "train").glob("*/*"))
    mean, _ = by_numpy([files[place] for place in (0, 3, 7, 10)])
    assert found[0] == tuple(round(float(value), 4) for value in mean)
    state = torch.random.get_rng_state()
    assert measured_stats(train_of(noise), processes=2) == found
    assert torch.equal(torch.random.get_rng_state(), state)  # fresh weights are drawn from it
    files[7].write_bytes(b"x")
    for processes in (1, 2):
        with pytest.raises(InputError, match=rf"^{files[7]} is not an image that can be read: "):
            measured_stats(train_of(noise), processes=processes)


def test_small_images_are_seen_whole(noise: Path) -> None:
    """Of shorter sides 3, 4, 5, 6, 5, 4, 3 most are at most 4 and 5, not 3."""
    stats = ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    for size, ratio in ((5, 1.0), (4, 1.0), (3, 256 / 224)):
        assert look_of_images(train_of(noise, size), stats) == Look(*stats, resize_ratio=ratio)
    assert look_of_images(train_of(noise, 3), (IMAGENET.mean, IMAGENET.std)) == IMAGENET


def test_data_with_another_look(noise: Path) -> None:
    look = Look((0.5,) * 3, (0.25,) * 3, resize_ratio=1.0)
    data = opened(noise)
    data.train.sizes(np.arange(14))
    seen = with_look(data, look)
    assert seen.evaluation == CentreCrop(1.0)
    assert isinstance(seen.train, FolderImages)
    assert isinstance(seen.test, FolderImages)
    assert seen.train.look == seen.test.look == look
    assert seen.train.measured.all()
    plain = data.train.fetch(np.arange(2))  # type: ignore[union-attr]
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET.mean, IMAGENET.std))
    torch.testing.assert_close(seen.train.fetch(np.arange(2)), (plain * std + mean - 0.5) / 0.25)
    digits = open_data("digits")
    assert with_look(digits, look) is digits


def test_a_folder_named_test_stands_in_for_val(noise: Path) -> None:
    assert opened(noise).test.folder == noise / "test"  # type: ignore[union-attr]
    (noise / "val").mkdir()
    with pytest.raises(InputError, match=rf"^{noise / 'val'} must hold one folder for each class"):
        opened(noise)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("measured", None),
        ("imagenet", ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ("0.5,.25,0/1,2e-1,3", ((0.5, 0.25, 0.0), (1.0, 0.2, 3.0))),
    ],
)
def test_texts_of_image_stats(text: str, found: object) -> None:
    assert read_image_stats(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "image_stats must be measured, imagenet, or six numbers as .5,.5,.4/.25,.24,.26, not ''"),
        ("Imagenet", "image_stats must be measured, imagenet, or six numbers as .5,.5,.4/.25,.24,.26, not 'Imagenet'"),
        (
            "1,1/1,1,1",
            "image_stats must be measured, imagenet, or six numbers as .5,.5,.4/.25,.24,.26, not '1,1/1,1,1'",
        ),
        ("1,1,1/1,0,1", "a deviation of image_stats must be a number from 1e-06 to 10, not '0'"),
        ("1,nan,1/1,1,1", "a mean of image_stats must be a number from -10 to 10, not 'nan'"),
    ],
)
def test_texts_that_are_none(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_image_stats(text)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("cores", "threads", "device", "processes", "found"),
    [
        (2, 2, CPU, 1, 0), (8, 2, CPU, 1, 6), (64, 2, CPU, 1, 8), (8, 2, CPU, 4, 0), (1, 8, CPU, 1, 0),
        (1, 1, CUDA, 1, 1), (8, 8, CUDA, 1, 7), (64, 1, CUDA, 4, 8), (16, 1, CUDA, 4, 3), (2, 1, CUDA, 4, 1),
    ],
)  # fmt: skip
def test_how_many_processes_load_images(
    noise: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    threads: int,
    device: torch.device,
    processes: int,
    found: int,
) -> None:
    monkeypatch.setattr(loading, "cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert worker_count(train_of(noise), None, device, processes) == found
    assert worker_count(train_of(noise), 3, device, processes) == 3
    assert worker_count(open_data("digits").train, None, device, processes) == 0


def test_what_is_loaded_does_not_depend_on_the_processes(noise: Path) -> None:
    split = train_of(noise)
    plan = [(np.arange(3), None), (np.array([7, 1]), None)]
    alone = list(batches(split, plan))
    assert all(torch.equal(one, other) for one, other in zip(alone, batches(split, plan, 2), strict=True))
