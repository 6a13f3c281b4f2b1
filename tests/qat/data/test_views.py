"""Views: random numbers without state, what each policy draws, and images fetched through views."""

import math
import random
import re
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qat.data.images import ArrayImages, FolderImages
from qat.data.views import CentreCrop, RandomResizedCrop, Shift, Views, concatenate, philox, uniforms, whole

SIZES = np.array([[375, 500], [500, 333], [1, 900], [64, 64]], np.int64)


def images(n: int = 6, size: int = 8, channels: int = 2) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (n, channels, size, size), np.uint8)
    return ArrayImages(pixels, np.arange(n, dtype=np.int64), size, (0.0,) * channels, (1 / 255,) * channels)


def box_views(*boxes: tuple[float, float, float, float], flip: bool = False) -> Views:
    return Views(np.array(boxes, np.float32), np.full(len(boxes), flip))


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)  # fmt: skip
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, int], expected: str) -> None:
    """The answers that the authors of Random123 publish."""
    found = philox(np.array(counter, np.uint64), key)
    assert " ".join(f"{word:08x}" for word in found) == expected


def test_uniforms_are_uniform_and_differ_in_every_part_of_the_key() -> None:
    drawn = uniforms(3, 0, np.arange(20_000), 0, 5)
    assert drawn.shape == (20_000, 5)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.01
    counts = np.histogram(drawn, bins=16, range=(0, 1))[0]
    assert np.abs(counts / drawn.size * 16 - 1).max() < 0.05
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.03
    base = uniforms(3, 0, [7], 0, 4)
    others = [
        uniforms(4, 0, [7], 0, 4), uniforms(3 + (1 << 32), 0, [7], 0, 4), uniforms(3, 1, [7], 0, 4),
        uniforms(3, 0, [8], 0, 4), uniforms(3, 0, [7], 1, 4), uniforms(3, 0, [7], 0, 4, stream=1),
    ]  # fmt: skip
    assert len({tuple(found[0]) for found in [base, *others]}) == 7


def test_uniforms_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=re.escape("seed must be an integer from 0 to 18446744073709551615, not -1")):
        uniforms(-1, 0, [0], 0, 1)
    with pytest.raises(TypeError, match=re.escape("epoch must be an integer, not 0.5")):
        uniforms(0, 0.5, [0], 0, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("indices must be from 0 to 4294967295, not -2 to 3")):
        uniforms(0, 0, [3, -2], 0, 1)


POLICIES = [Shift(2, 28), RandomResizedCrop(), RandomResizedCrop((0.5, 0.9), flip=False), CentreCrop()]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_view_depends_on_its_own_image_alone(policy: Shift | RandomResizedCrop | CentreCrop) -> None:
    indices = np.arange(300)
    sizes = SIZES[indices % 4]
    together = policy.sample(5, 2, indices, 1, sizes)
    chosen = np.array([299, 0, 17, 17, 160])
    apart = policy.sample(5, 2, chosen, np.full(5, 1), sizes[chosen])
    assert (apart.boxes == together.boxes[chosen]).all()
    assert (apart.flips == together.flips[chosen]).all()
    again = concatenate([policy.sample(5, 2, indices[a : a + 100], 1, sizes[a : a + 100]) for a in (0, 100, 200)])
    assert again.boxes.tobytes() == together.boxes.tobytes()
    if not isinstance(policy, CentreCrop):
        for other in (policy.sample(6, 2, indices, 1, sizes), policy.sample(5, 3, indices, 1, sizes),
                      policy.sample(5, 2, indices, 2, sizes)):  # fmt: skip
            assert (other.boxes != together.boxes).any(axis=1).mean() > 0.5


def test_shifts_are_all_equally_likely() -> None:
    views = Shift(2, 28).sample(0, 0, np.arange(25_000), 0, np.zeros((25_000, 2), np.int64))
    pixels = views.boxes[:, :2] * 28
    assert np.abs(pixels - np.rint(pixels)).max() < 1e-5
    cells, counts = np.unique(np.rint(pixels), axis=0, return_counts=True)
    assert sorted(map(tuple, cells)) == [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert (views.boxes[:, 2:] == 1).all()
    assert not views.flips.any()


def plain_random_resized_crop(height: int, width: int, chance: random.Random) -> tuple[int, ...]:
    """The usual sampling with its defaults, one box at a time (top, left, height, width)."""
    for _ in range(10):
        area = height * width * chance.uniform(0.08, 1)
        ratio = math.exp(chance.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return chance.randint(0, height - h), chance.randint(0, width - w), h, w
    raise AssertionError("ten misses in a row hardly happen at this aspect ratio")


def test_random_resized_crops_are_whole_pixels_in_range() -> None:
    n = 8000
    sizes = np.tile(np.array([[375, 500]]), (n, 1))
    views = RandomResizedCrop().sample(1, 0, np.arange(n), 0, sizes)
    pixels = views.boxes.astype(np.float64) * (375, 500, 375, 500)
    assert np.abs(pixels - np.rint(pixels)).max() < 1e-3
    top, left, height, width = np.rint(pixels).T
    assert top.min() == 0
    assert left.min() == 0
    assert (top + height).max() == 375
    assert (left + width).max() == 500
    area, ratio = height * width / (375 * 500), width / height
    assert area.min() > 0.078
    assert area.max() < 1.0
    assert ratio.min() > 0.73
    assert ratio.max() < 1.36
    chance = random.Random(0)
    expected = np.array([plain_random_resized_crop(375, 500, chance) for _ in range(8000)])
    for found, reference in zip((top, left, height, width), expected.T, strict=True):
        quantiles = [np.quantile(each, np.linspace(0.05, 0.95, 10)) for each in (found, reference)]
        assert np.abs(quantiles[0] - quantiles[1]).max() < 12
    assert abs(views.flips.mean() - 0.5) < 0.02


def test_a_box_that_never_fits_is_the_largest_central_one() -> None:
    sizes = np.array([[10, 900], [900, 10], [30, 30]])
    narrow = RandomResizedCrop((1.0, 1.0), (2.0, 2.0))
    boxes = narrow.sample(0, 0, np.arange(3), 0, sizes).boxes * np.tile(sizes, 2)
    expected = [[0, 440, 10, 20], [447, 0, 5, 10], [7, 0, 15, 30]]
    assert np.abs(boxes - expected).max() < 1e-3


def test_centre_crop_is_the_central_square_of_the_shorter_side() -> None:
    boxes = CentreCrop().sample(0, 0, np.arange(2), 0, np.array([[256, 512], [1024, 256]])).boxes
    assert np.abs(boxes * [[256, 512] * 2, [1024, 256] * 2] - [[16, 144, 224, 224], [400, 16, 224, 224]]).max() < 1e-3


def test_four_thousand_views_are_drawn_fast() -> None:
    indices = np.arange(4000)
    sizes = SIZES[indices % 4]
    RandomResizedCrop().sample(0, 0, indices, 0, sizes)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        RandomResizedCrop().sample(0, 0, indices, 0, sizes)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(-1, 28), "pixels must be an integer from 0 to 28, not -1"),
        (lambda: Shift(2, 0), "size must be an integer from 1 to 65536, not 0"),
        (lambda: RandomResizedCrop((0.0, 1.0)), "scale must be two numbers with 0 < low <= high <= 1, not (0.0, 1.0)"),
        (lambda: RandomResizedCrop(ratio=(2, 1)), "ratio must be two numbers with 0 < low <= high, not (2, 1)"),
        (lambda: CentreCrop(0.5), "resize_ratio must be a number of at least 1, not 0.5"),
        (lambda: Views(np.zeros((2, 4), np.float32), np.zeros(3, np.bool_)),
         "views must have boxes of shape [n, 4] and flips of shape [n], not [2, 4] and [3]"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()  # type: ignore[operator]


@given(st.integers(-9, 9), st.integers(-9, 9), st.booleans(), st.sampled_from([np.float32, np.float16]))
def test_whole_pixel_shifts_are_slices(down: int, right: int, flip: bool, stored: type) -> None:
    """Shifts up to beyond the image, also with fractions that were rounded to float16."""
    split = images(size=8)
    box = np.array([[down / 8, right / 8, 1, 1]], stored).astype(np.float32)
    found = split.fetch(np.array([3]), Views(box, np.array([flip])))
    canvas = np.zeros((2, 8 + 40, 8 + 40), np.float32)
    canvas[:, 20:28, 20:28] = split.pixels[3]
    expected = canvas[:, 20 + down : 28 + down, 20 + right : 28 + right]
    assert (found[0].numpy() == (expected[:, :, ::-1] if flip else expected)).all()


@pytest.mark.parametrize("flip", [False, True])
def test_boxes_of_arrays_against_torch_interpolate(flip: bool) -> None:
    """A box on whole pixels inside a dark frame is a crop that is resized; the frame keeps borders out of it."""
    raw = np.zeros((1, 3, 20, 20), np.uint8)
    raw[:, :, 6:13, 4:15] = np.random.default_rng(1).integers(0, 256, (1, 3, 7, 11), np.uint8)
    split = ArrayImages(raw, np.zeros(1, np.int64), 16, (0.0,) * 3, (1 / 255,) * 3)
    found = split.fetch(np.array([0]), box_views((4 / 20, 2 / 20, 11 / 20, 15 / 20), flip=flip))
    crop = torch.from_numpy(raw[:, :, 4:15, 2:17]).float()
    expected = torch.nn.functional.interpolate(crop, (16, 16), mode="bilinear", align_corners=False)
    assert torch.allclose(found, expected.flip(3) if flip else expected, atol=1e-2)
    assert found.max() > 100


def test_outside_of_an_array_is_black_before_normalisation() -> None:
    split = ArrayImages(np.full((1, 1, 8, 8), 255, np.uint8), np.zeros(1, np.int64), 8, (0.25,), (0.5,))
    found = split.fetch(np.array([0]), box_views((-0.75, 0.0, 1.5, 1.0)))
    assert torch.allclose(found[0, 0, 0], torch.tensor(-0.5))
    assert torch.allclose(found[0, 0, 6, 1:-1], torch.tensor(1.5))


def test_a_fetched_image_does_not_depend_on_its_batch() -> None:
    torch.set_num_threads(1)
    split = images(n=40, size=12)
    indices = np.arange(40)
    mixed = concatenate(
        [Shift(3, 12).sample(0, 0, indices[:20], 0, split.sizes(indices[:20])),
         RandomResizedCrop().sample(0, 0, indices[20:], 0, split.sizes(indices[20:]))]
    )  # fmt: skip
    together = split.fetch(indices, mixed)
    order = np.random.default_rng(0).permutation(40)
    for part in np.array_split(order, 7):
        assert (split.fetch(part, mixed[part]) == together[torch.from_numpy(part)]).all()
    assert (split.fetch(indices) == split.fetch(indices, whole(40))).all()


def test_array_images_refuse_what_does_not_fit() -> None:
    split = images()
    with pytest.raises(ValueError, match=re.escape("views must be as many as indices, 2, not 1")):
        split.fetch(np.array([0, 1]), whole(1))
    with pytest.raises(ValueError, match=re.escape("pixels must be uint8 [2, channels, height, width] as there are")):
        ArrayImages(np.zeros((3, 1, 4, 4), np.uint8), np.zeros(2, np.int64), 4, (0.0,), (1.0,))
    with pytest.raises(ValueError, match="mean and std must be of 1 channels"):
        ArrayImages(np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64), 4, (0.0, 0.0), (1.0,))


def test_the_fingerprint_is_of_pixels_and_labels() -> None:
    split = images()
    assert split.fingerprint == images().fingerprint
    pixels, labels = split.pixels.copy(), split.labels.copy()
    pixels[5, 1, 7, 7] ^= 1
    labels[0] = 3
    changed = [ArrayImages(pixels, split.labels, 8, split.mean, split.std),
               ArrayImages(split.pixels, labels, 8, split.mean, split.std)]  # fmt: skip
    assert len({split.fingerprint, *(each.fingerprint for each in changed)}) == 3


@pytest.mark.parametrize("flip", [False, True])
def test_boxes_of_files_against_pillow(tmp_path: object, flip: bool) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "c").mkdir()
    raw = np.random.default_rng(2).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(raw).save(folder / "c" / "x.png")
    split = FolderImages(folder, np.array([b"c/x.png"]), np.zeros(1, np.int64), 16)
    found = split.fetch(np.array([0]), box_views((5 / 30, 10 / 40, 20 / 30, 24 / 40), flip=flip))[0]
    part = Image.fromarray(np.ascontiguousarray(raw[5:25, 10:34])).resize((16, 16), Image.Resampling.BICUBIC)
    expected = np.asarray(part, np.float32)[:, :: -1 if flip else 1] / 255
    expected = (expected - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(found.permute(1, 2, 0).numpy() - expected).max() < 1e-5
    outside = split.fetch(np.array([0]), box_views((-2.0, 0.0, 1.0, 1.0)))[0]
    assert np.abs(outside[:, 3, 3].numpy() - np.array([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])).max() < 1e-5
