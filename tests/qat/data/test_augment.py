"""Changes of pixels: each operation of RandAugment against NumPy, which one a draw chooses, erasing, and shifts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from qat.data import Data, batches, open_data
from qat.data.augment import DRAWS, Changes
from qat.data.augment.operations import OPERATIONS, Asked
from qat.data.datasets import augmented
from qat.data.views import CentreCrop, Changed, RandomResizedCrop, Shift, ShiftAndFlip, uniforms, whole
from siliquant.inputs import InputError

Pixels = NDArray[np.float64]
FILL = (10, 20, 30)
SIDE = 20


def image(seed: int = 0, low: int = 0, high: int = 256) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(low, high, (SIDE, SIDE, 3), dtype=np.uint8))


def done(name: str, picture: Image.Image, magnitude: float, *, negative: bool = False) -> Pixels:
    asked = Asked(magnitude, negative, FILL, Image.Resampling.NEAREST)
    return np.asarray(OPERATIONS[name](picture, asked)).astype(np.float64)


def pixels_of(picture: Image.Image) -> Pixels:
    return np.asarray(picture).astype(np.float64)


def test_the_operations_are_those_of_the_increasing_set_of_timm() -> None:
    assert list(OPERATIONS) == [
        "autocontrast", "equalise", "invert", "rotate", "posterise", "solarise", "solarise_add", "colour", "contrast",
        "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
    ]  # fmt: skip


def test_autocontrast_stretches_each_channel() -> None:
    picture = image(1, 50, 180)
    before = pixels_of(picture)
    low, high = before.min(axis=(0, 1)), before.max(axis=(0, 1))
    assert np.abs(done("autocontrast", picture, 3) - (before - low) * 255 / (high - low)).max() <= 1


def test_equalise_spreads_values_by_their_ranks() -> None:
    """Four values, each of a quarter of many pixels, become the steps of a third."""
    values = np.array([3, 7, 100, 101], np.uint8).repeat(2500).reshape(100, 100)
    found = done("equalise", Image.fromarray(np.stack([values] * 3, axis=2)), 0)
    for value, wanted in ((3, 0), (7, 85), (100, 170), (101, 255)):
        assert np.abs(found[values == value] - wanted).max() <= 2


def test_invert() -> None:
    assert (done("invert", image(), 5) == 255 - pixels_of(image())).all()


@pytest.mark.parametrize(("magnitude", "bits"), [(0, 4), (2.4, 4), (2.5, 3), (9, 1), (10, 0)])
def test_posterise_keeps_the_upper_bits(magnitude: float, bits: int) -> None:
    step = 1 << (8 - bits)
    assert (done("posterise", image(), magnitude) == pixels_of(image()) // step * step).all()


@pytest.mark.parametrize(("magnitude", "threshold"), [(0, 256), (5, 128), (9, 26), (10, 0)])
def test_solarise_inverts_bright_values(magnitude: float, threshold: int) -> None:
    before = pixels_of(image())
    assert (done("solarise", image(), magnitude) == np.where(before < threshold, before, 255 - before)).all()


@pytest.mark.parametrize(("magnitude", "added"), [(0, 0), (5, 55), (10, 110)])
def test_solarise_add_brightens_dark_values(magnitude: float, added: int) -> None:
    before = pixels_of(image())
    assert (done("solarise_add", image(), magnitude) == np.where(before < 128, before + added, before)).all()


FACTORS = [(0, False, 1.0), (5, False, 1.45), (10, False, 1.9), (5, True, 0.55), (10, True, 0.1)]


@pytest.mark.parametrize(("magnitude", "negative", "factor"), FACTORS)
def test_enhancements_blend_with_what_lacks_the_quality(magnitude: float, negative: bool, factor: float) -> None:
    """Grey by the weights of ITU-R 601, its mean, black, and a mean of neighbours (1/13 each, 5/13 the pixel)."""
    before = pixels_of(image(2))
    grey = before @ np.array([0.299, 0.587, 0.114])
    smooth = sum(np.roll(before, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1))
    without = {
        "colour": grey[..., None] + 0 * before, "contrast": 0 * before + grey.mean(), "brightness": 0 * before,
        "sharpness": (smooth + 4 * before) / 13,
    }  # fmt: skip
    for name, plain in without.items():
        found = done(name, image(2), magnitude, negative=negative)
        wanted = (plain + (before - plain) * factor).clip(0, 255)
        inner = slice(1, -1) if name == "sharpness" else slice(None)  # its edge is as before, whatever the factor
        assert np.abs(found - wanted)[inner, inner].max() <= 2.0, name


def taken(before: Pixels, rows: Pixels, columns: Pixels) -> Pixels:
    """The pixels that lie at these places (of centres at a half), and the fill outside."""
    y, x = np.floor(rows).astype(int), np.floor(columns).astype(int)
    inside = (y >= 0) & (y < SIDE) & (x >= 0) & (x < SIDE)
    return np.where(inside[..., None], before[y.clip(0, SIDE - 1), x.clip(0, SIDE - 1)], np.array(FILL, np.float64))


@pytest.mark.parametrize(("magnitude", "negative"), [(0, False), (3.7, False), (10, False), (3.7, True), (10, True)])
def test_geometry(magnitude: float, negative: bool) -> None:
    """Where each pixel comes from: 30 degrees, a slope of 0.3, or 0.45 of the side, at the largest magnitude."""
    share = (-1 if negative else 1) * magnitude / 10
    y, x = (grid + 0.5 for grid in np.mgrid[:SIDE, :SIDE])
    angle, centre = math.radians(30 * share), SIDE / 2
    cos, sin = math.cos(angle), math.sin(angle)
    places = {
        "rotate": (sin * (x - centre) + cos * (y - centre) + centre, cos * (x - centre) - sin * (y - centre) + centre),
        "shear_x": (y, x + 0.3 * share * y), "shear_y": (y + 0.3 * share * x, x),
        "translate_x": (y, x + 0.45 * SIDE * share), "translate_y": (y + 0.45 * SIDE * share, x),
    }  # fmt: skip
    before = pixels_of(image(3))
    for name, (rows, columns) in places.items():
        found = done(name, image(3), magnitude, negative=negative)
        same = (found == taken(before, rows, columns)).all(axis=2).mean()
        assert same >= 0.97, (name, same)  # places on the very border of two pixels round either way


def draws(*layers: tuple[str, float, float, float, float]) -> NDArray[np.float64]:
    """Of one view: the operation, and the four other numbers, of both layers; nothing is erased."""
    found = np.zeros((1, DRAWS))
    for place, (name, *others) in enumerate(layers):
        found[0, 5 * place : 5 * place + 5] = (list(OPERATIONS).index(name) + 0.5) / len(OPERATIONS), *others
    return found


def coloured(numbers: NDArray[np.float64], magnitude: float) -> Pixels:
    made = Changes(numbers, magnitude).coloured(image(), 0, FILL, Image.Resampling.NEAREST)
    return pixels_of(made)


def test_a_draw_chooses_operation_magnitude_and_direction() -> None:
    """Normal numbers by Box and Muller: with 1 - exp(-2) and 0 it is 2, and with a half of a turn -2."""
    two, off = 1 - math.exp(-2), ("invert", 0.5, 0.0, 0.0, 0.0)
    for layer, wanted in (
        (("brightness", 0.49, 0.0, 0.0, 0.5), done("brightness", image(), 6)),
        (("brightness", 0.0, two, 0.0, 0.9), done("brightness", image(), 7)),
        (("brightness", 0.0, two, 0.5, 0.49), done("brightness", image(), 5, negative=True)),
    ):
        assert (coloured(draws(layer, off), 6) == wanted).all()
        assert (coloured(draws(off, layer), 6) == wanted).all()
    assert (coloured(draws(off, off), 6) == pixels_of(image())).all()
    assert (coloured(draws(("brightness", 0, two, 0, 0.9), off), 9.5) == done("brightness", image(), 10)).all()
    assert (coloured(draws(("brightness", 0, two, 0.5, 0.9), off), 0.5) == done("brightness", image(), 0)).all()
    both = done("solarise", Image.fromarray(done("invert", image(), 0).astype(np.uint8)), 6)
    layers = ("invert", 0.0, 0.0, 0.0, 0.9), ("solarise", 0.0, 0.0, 0.0, 0.9)
    assert (coloured(draws(*layers), 6) == both).all()


def test_every_operation_is_drawn_alike() -> None:
    drawn = uniforms(0, 0, np.arange(6000), 0, DRAWS, 4)
    counts = np.bincount((drawn[:, [0, 5]] * len(OPERATIONS)).astype(int).reshape(-1), minlength=15)
    assert np.abs(counts - 800).max() < 5 * math.sqrt(800)


def test_erasing() -> None:
    """The share of images, areas of 2 to 33 %, sides in a ratio of at most 0.3, noise of deviation 1, any place."""
    n, side = 1500, 32
    before = torch.full((n, 3, side, side), 9.0)
    changes = Changes(uniforms(1, 0, np.arange(n), 0, DRAWS, 4), erasing=0.25)
    after = changes.erase(before.clone())
    gone = (after != before).all(dim=1)
    erased = gone.flatten(1).any(dim=1)
    assert abs(float(erased.float().mean()) - 0.25) < 0.04
    tops, lefts = set(), set()
    for each in gone[erased]:
        rows, columns = (torch.nonzero(each.any(dim=axis))[:, 0] for axis in (1, 0))
        high, wide = (int(line[-1] - line[0]) + 1 for line in (rows, columns))
        assert int(each.sum()) == high * wide
        assert 0.01 <= high * wide / side**2 <= 0.36
        assert 0.25 <= high / wide <= 4
        tops.add(int(rows[0]))
        lefts.add(int(columns[0]))
    assert {0, 5, 15} <= tops
    assert {0, 5, 15} <= lefts
    noise = after.permute(0, 2, 3, 1)[gone]
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02
    few = np.array([7, 3])
    assert torch.equal(changes[few].erase(before[:2].clone()), after[few])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of 32 pixels in each of two classes."""
    for part in ("train", "val"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = np.random.default_rng(number + 10 * (name == "b")).integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    return tmp_path


def opened(folder: Path, **options: Any) -> Data:
    data = open_data(f"imagefolder:{folder}", image_size=32)
    return augmented(data, **options)


def test_shifts_are_paddings_and_crops(folder: Path) -> None:
    """Of four pixels, with black around, of the whole image: as networks for CIFAR are trained."""
    data, found = opened(folder), set()
    policy = ShiftAndFlip(None, 4, 32)
    indices = np.arange(8)
    plain = data.train.fetch(indices)  # type: ignore[union-attr]
    black = data.train.fetch(np.zeros(1, np.int64), Changed(None, None, 0).sample(0, 0, indices[:1], 0, None))  # type: ignore
    assert torch.equal(black[0], plain[0])
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.train.look.mean, data.train.look.std))  # type: ignore[union-attr]
    padded = (-mean / std).expand(3, 40, 40).repeat(8, 1, 1, 1)
    padded[:, :, 4:36, 4:36] = plain
    for epoch in range(40):
        views = policy.sample(0, epoch, indices, 0, data.train.sizes(indices))  # type: ignore[union-attr]
        seen = data.train.fetch(indices, views)  # type: ignore[union-attr]
        for place in range(8):
            top, left = (round(float(value) * 32) + 4 for value in views.boxes[place, :2])
            part = padded[place, :, top : top + 32, left : left + 32]
            torch.testing.assert_close(seen[place], part.flip(2) if views.flips[place] else part)
            found.add((top, left, bool(views.flips[place])))
    assert {top for top, _, _ in found} == {left for _, left, _ in found} == set(range(9))
    assert {flip for _, _, flip in found} == {False, True}


def test_which_views_training_images_have(folder: Path) -> None:
    assert opened(folder).augmentation == opened(folder, augment="crop").augmentation == RandomResizedCrop()
    assert opened(folder, augment="none").augmentation == CentreCrop()
    assert opened(folder, augment="shift").augmentation == ShiftAndFlip(CentreCrop(), 4, 32)
    assert opened(folder, rand_augment=9.0).augmentation == Changed(RandomResizedCrop(), 9.0, 0.0)
    assert opened(folder, augment="none", erasing=0.5).augmentation == Changed(CentreCrop(), None, 0.5)
    digits = open_data("digits")
    for augment, policy in ((None, Shift(1, 8)), ("shift", Shift(1, 8)), ("none", None),
                            ("crop", RandomResizedCrop(flip=False))):  # fmt: skip
        assert augmented(digits, augment).augmentation == policy
    with pytest.raises(InputError, match=r"^rand_augment is for images of folders, but those of digits are digits in "):
        augmented(digits, rand_augment=9.0)
    with pytest.raises(
        InputError, match=r"^augment, rand_augment and random_erasing are for images, but mr has texts$"
    ):
        augmented(open_data("mr", limit=2, max_length=4), "none")


def test_what_is_seen_depends_on_nothing_but_seed_epoch_and_image(folder: Path) -> None:
    """Whatever lies beside it in a batch, and which process loads it."""
    data = opened(folder, augment="shift", rand_augment=9.0, erasing=0.5)
    split, policy = data.train, data.augmentation
    assert policy is not None

    def seen(seed: int, epoch: int, *orders: list[int], workers: int = 0) -> torch.Tensor:
        plan = [(np.array(order), policy.sample(seed, epoch, np.array(order), 0, split.sizes(np.array(order))))  # type: ignore
                for order in orders]  # fmt: skip
        images = torch.cat(list(batches(split, plan, workers)))
        return images[np.argsort([index for order in orders for index in order])]

    first = seen(0, 0, list(range(8)))
    assert torch.equal(first, seen(0, 0, [7, 3], [0, 1, 2], [6, 5, 4]))
    assert torch.equal(first, seen(0, 0, [7, 3], [0, 1, 2], [6, 5, 4], workers=2))
    assert not torch.equal(first, seen(0, 1, list(range(8))))
    assert not torch.equal(first, seen(1, 0, list(range(8))))


def test_changes_of_other_shapes() -> None:
    with pytest.raises(InputError, match=rf"^draws must be of shape \[n, {DRAWS}\], not \[2, 3\]$"):
        Changes(np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"^rand_augment must be from 0 to 10, not 11$"):
        Changes(np.zeros((2, DRAWS)), 11)
    with pytest.raises(InputError, match=r"^erasing must be a share from 0 to 1, not 2$"):
        Changes(np.zeros((2, DRAWS)), erasing=2)
    views = whole(3)
    with pytest.raises(InputError, match=r"^changes must be as many as views, 3, not 2$"):
        type(views)(views.boxes, views.flips, Changes(np.zeros((2, DRAWS))))
    changed = type(views)(views.boxes, views.flips, Changes(np.arange(3.0)[:, None] * np.ones(DRAWS)))
    picked = changed[np.array([2, 0])].changes
    assert picked is not None
    assert picked.draws[:, 0].tolist() == [2.0, 0.0]
