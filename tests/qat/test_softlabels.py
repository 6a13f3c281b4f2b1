"""The store of soft labels: what is written and read back, going on after a kill, replay, and FKD's own files."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification

from qat.data.datasets import Data, open_data
from qat.data.fkd import import_fkd, read_fkd
from qat.data.images import ArrayImages, FolderImages
from qat.data.loading import batches
from qat.data.softlabels import Settings, SoftLabelStore, fill_store, stored_views
from qat.data.text import TextSplit
from qat.data.views import RandomResizedCrop, Shift, Views
from qat.softlabels import main
from qat.training.softlabels import make_store, replay, weights_sha256

CLASSES = 7
ROOT = Path(__file__).resolve().parents[2]


def images(n: int = 23, seed: int = 0) -> ArrayImages:
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8), np.uint8)
    return ArrayImages(pixels, np.arange(n, dtype=np.int64) % CLASSES, 8, (0.5,), (0.25,))


def data(n: int = 23, seed: int = 0, classes: int = CLASSES) -> Data:
    names = tuple(f"class {i}" for i in range(classes))
    return Data("tiny", names, images(n, seed), images(5, seed + 1), RandomResizedCrop((0.3, 1.0)), None)


def teacher(x: Tensor, classes: int = CLASSES) -> Tensor:
    """Fixed weights, so that any change of an image changes its logits."""
    weights = torch.linspace(-1, 1, x[0].numel() * classes).sin().reshape(-1, classes)
    return x.flatten(1) @ weights * 0.3


class Killed(BaseException):
    """What ends a run in the middle."""


def dying(after: int) -> Any:
    """A teacher that is killed after so many batches."""
    calls = [0]

    def logits(x: Tensor) -> Tensor:
        calls[0] += 1
        if calls[0] > after:
            raise Killed
        return teacher(x)

    return logits


def make(folder: Path, logits: Any = teacher, of: Data | None = None, **options: Any) -> int:
    settings: dict[str, Any] = {"crops": 3, "top_k": 4, "seed": 1, "batch_size": 8, "images_per_shard": 5}
    return make_store(logits, of or data(), folder, **(settings | options))


def content(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def every(store: SoftLabelStore) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.indices((store.settings.images, store.crops)).reshape(2, -1)
    return pairs[0], pairs[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("store") / "labels"
    make(folder)
    return folder


def test_stored_labels_are_the_teachers_on_the_stored_views(made: Path) -> None:
    split = images()
    store = SoftLabelStore.open(made, split, CLASSES)
    assert store.crops == 3
    indices, crops = every(store)
    order = np.random.default_rng(0).permutation(len(indices))
    indices, crops = indices[order], crops[order]
    views = store.views(indices, crops)
    expected = torch.softmax(teacher(split.fetch(indices, views)), 1).numpy()
    found = store.probabilities(indices, crops)
    assert found.dtype == np.float32
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-6
    top = np.argsort(-expected, axis=1)[:, :4]
    kept = np.take_along_axis(found, top, 1)
    assert np.abs(kept - np.take_along_axis(expected, top, 1)).max() < 1e-3
    others = found.copy()
    np.put_along_axis(others, top, np.nan, 1)
    rest = others[~np.isnan(others)].reshape(-1, CLASSES - 4)
    assert np.ptp(rest, axis=1).max() == 0
    assert np.abs(rest[:, 0] * 3 - (1 - kept.sum(axis=1))).max() < 1e-6


def test_stored_views_are_those_of_the_policy_rounded(made: Path) -> None:
    store = SoftLabelStore.open(made)
    indices, crops = every(store)
    drawn = RandomResizedCrop((0.3, 1.0)).sample(1, 0, indices, crops, np.full((len(indices), 2), 8))
    found = store.views(indices, crops)
    assert np.abs(found.boxes - drawn.boxes).max() <= 2**-11
    assert (found.flips == drawn.flips).all()
    assert 0 < found.flips.mean() < 1


def test_files_are_plain_arrays_and_a_manifest(made: Path) -> None:
    names = sorted(path.name for path in made.iterdir())
    assert names == [*(f"images-{first:08d}-crops-00000.npy" for first in range(0, 23, 5)), "manifest.json"]
    rows = np.load(made / names[0], allow_pickle=False)
    assert rows.shape == (5, 3)
    assert rows.dtype.itemsize == 8 + 1 + 4 * 2 + 4
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["bytes_per_crop"] == manifest["mb_per_million_crops"] == 21
    assert (manifest["data"], manifest["images"], manifest["crops"]) == ("tiny", 23, 3)
    assert [shard["status"] for shard in manifest["shards"]] == ["finished"] * 5
    assert manifest["shards"][4]["images"] == [20, 23]


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, made: Path, after: int) -> None:
    with pytest.raises(Killed):
        make(tmp_path / "x", dying(after + 1))  # one call checks the classes
    (tmp_path / "x").mkdir(exist_ok=True)
    (tmp_path / "x" / ".images-00000010-crops-00000.npy.77.abcd.tmp").write_bytes(b"half of a sh")
    done = len(list((tmp_path / "x").glob("[!.]*.npy")))
    assert done == min(after // 2, 4)
    calls = []
    make(tmp_path / "x", lambda x: (calls.append(len(x)), teacher(x))[1])
    assert sum(calls[1:]) == (23 - 5 * done) * 3
    assert content(tmp_path / "x") == content(made)


def test_a_shard_that_the_manifest_does_not_know_is_made_again(tmp_path: Path, made: Path) -> None:
    with pytest.raises(Killed):
        make(tmp_path / "x", dying(3))
    (tmp_path / "x" / "images-00000005-crops-00000.npy").write_bytes(b"not what it should be")
    make(tmp_path / "x")
    assert content(tmp_path / "x") == content(made)


def test_a_process_that_is_really_killed(tmp_path: Path, made: Path) -> None:
    """Killed by signal 9 within its third shard."""
    script = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "import test_softlabels as t\n"
        "calls = []\n"
        "def logits(x):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 6: os.kill(os.getpid(), 9)\n"
        "    return t.teacher(x)\n"
        "t.make(Path(sys.argv[1]), logits)\n"
    )
    folder = tmp_path / "x"
    command = [sys.executable, "-c", script, str(folder), str(ROOT), str(Path(__file__).parent)]
    assert subprocess.run(command, check=False).returncode == -9
    with pytest.raises(ValueError, match=re.escape(f"{folder} is not finished, 3 of 5 shards are missing: make its")):
        SoftLabelStore.open(folder)
    make(folder)
    assert content(folder) == content(made)


def test_more_crops_leave_the_old_files_alone(tmp_path: Path, made: Path) -> None:
    make(tmp_path / "x", crops=2)
    old = {name: digest for name, digest in content(tmp_path / "x").items() if name.endswith(".npy")}
    make(tmp_path / "x", crops=3)
    assert old.items() <= content(tmp_path / "x").items()
    assert len(content(tmp_path / "x")) == 11
    more, once = SoftLabelStore.open(tmp_path / "x"), SoftLabelStore.open(made)
    indices, crops = every(once)
    assert more.crops == 3
    assert more.views(indices, crops).boxes.tobytes() == once.views(indices, crops).boxes.tobytes()
    assert np.abs(more.probabilities(indices, crops) - once.probabilities(indices, crops)).max() < 1e-3
    with pytest.raises(ValueError) as caught:
        make(tmp_path / "x", crops=2)
    assert str(caught.value) == f"{tmp_path / 'x'} has 3 crops an image, so crops must be at least 3, not 2"


def test_a_store_that_is_being_extended_is_usable(tmp_path: Path) -> None:
    make(tmp_path, crops=2)
    with pytest.raises(Killed):
        make(tmp_path, dying(3), crops=6)
    assert SoftLabelStore.open(tmp_path).crops == 2
    make(tmp_path, crops=6)
    assert SoftLabelStore.open(tmp_path).crops == 6


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"top_k": 5}, "top_k 4, not 5"),
        ({"seed": 2}, "seed 1, not 2"),
        ({"policy": Shift(1, 8)}, f"policy {RandomResizedCrop((0.3, 1.0))!r}, not Shift(pixels=1, size=8)"),
        ({"sha256": "abc"}, "teacher_sha256 , not abc"),
        ({"description": "Vit"}, "teacher , not Vit"),
        ({"images_per_shard": 6}, "images_per_shard 5, not 6"),
        ({"of": data(seed=9)}, f"fingerprint {images().fingerprint}, not {images(seed=9).fingerprint}"),
    ],
)  # fmt: skip
def test_other_settings_are_refused(made: Path, options: dict[str, Any], named: str) -> None:
    before = content(made)
    with pytest.raises(ValueError) as caught:
        make(made, **options)
    assert str(caught.value) == f"{made} was made with {named}: choose another folder"
    assert content(made) == before


def copied(made: Path, folder: Path) -> Path:
    for path in made.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_changed_shard_is_named(made: Path, tmp_path: Path) -> None:
    path = copied(made, tmp_path) / "images-00000010-crops-00000.npy"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(bytes(changed))
    expected = f"{path} is not what was written: its SHA-256 is "
    with pytest.raises(ValueError, match=re.escape(expected)):
        SoftLabelStore.open(tmp_path)
    with pytest.raises(ValueError, match=re.escape(expected)):
        make(tmp_path)
    assert SoftLabelStore.open(tmp_path, verify=False).crops == 3
    path.unlink()
    with pytest.raises(ValueError, match=re.escape(f"{path} is missing: make the soft labels again to go on")):
        SoftLabelStore.open(tmp_path)
    make(tmp_path)
    assert content(tmp_path) == content(made)


def test_a_shard_of_other_records_is_not_read(made: Path, tmp_path: Path) -> None:
    path = copied(made, tmp_path) / "images-00000000-crops-00000.npy"
    store = SoftLabelStore.open(tmp_path, verify=False)
    np.save(path, np.zeros((5, 3)))
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a shard of this store")):
        store.views(np.array([0]), np.array([0]))
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a shard that can be read")):
        store.views(np.array([0]), np.array([0]))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format=2), lambda m: m.pop("seed"), lambda m: m.update(classes="7"),
        lambda m: m.update(top_k=99), lambda m: m.update(shards=[]), lambda m: m.update(shards=3),
        lambda m: m["shards"][0].update(crops=[1, 3]), lambda m: m.update(images_per_shard=0),
        lambda m: m.update(images=True),
    ],
)  # fmt: skip
def test_a_broken_manifest_is_named(made: Path, tmp_path: Path, change: Any) -> None:
    path = copied(made, tmp_path) / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a manifest that can be read: ")):
        SoftLabelStore.open(tmp_path)


def test_a_store_of_other_images_or_classes_is_refused(made: Path, tmp_path: Path) -> None:
    other = images(seed=4)
    with pytest.raises(ValueError) as caught:
        SoftLabelStore.open(made, other)
    assert str(caught.value) == (
        f"{made} has soft labels of other images: those of tiny with fingerprint {images().fingerprint[:12]}, "
        f"not {other.fingerprint[:12]}"
    )
    with pytest.raises(ValueError, match=re.escape(f"{made} has soft labels of 7 classes, not 10")):
        SoftLabelStore.open(made, images(), 10)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path} must be a folder of soft labels with a manifest.json")):
        SoftLabelStore.open(tmp_path)


def test_what_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("the teacher has 7 classes, but tiny has 9")):
        make(tmp_path / "x", of=data(classes=9))
    assert not (tmp_path / "x").exists()
    with pytest.raises(ValueError, match=re.escape("top_k must be an integer from 1 to 7, the classes, not 8")):
        make(tmp_path / "x", top_k=8)
    with pytest.raises(ValueError, match=re.escape("crops must be an integer of at least 1, not 0")):
        make(tmp_path / "x", crops=0)
    tokens = torch.zeros(1, 4)
    texts = TextSplit(tokens.int(), tokens.byte(), tokens.byte(), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="soft labels of crops need images, but words is text"):
        make(tmp_path / "x", of=Data("words", ("a", "b"), texts, texts, None, None))
    store = make(tmp_path / "y") and SoftLabelStore.open(tmp_path / "y")
    assert isinstance(store, SoftLabelStore)
    with pytest.raises(ValueError, match=re.escape("crops must be from 0 to 2, not 3 to 3")):
        store.views(np.array([0]), np.array([3]))
    with pytest.raises(ValueError, match=re.escape("indices must be from 0 to 22, not -1 to 5")):
        store.probabilities(np.array([5, -1]), np.array([0, 0]))


@given(st.integers(1, CLASSES), st.lists(st.floats(-30, 30), min_size=CLASSES, max_size=CLASSES))
def test_smoothed_probabilities_sum_to_one(
    tmp_path_factory: pytest.TempPathFactory, top_k: int, row: list[float]
) -> None:
    """Also where float16 rounds the kept ones to more than 1, and where all are kept."""
    folder = tmp_path_factory.mktemp("sum")
    make(folder, lambda x: torch.tensor([row]).expand(len(x), -1), data(n=1), crops=1, top_k=top_k)
    [found] = SoftLabelStore.open(folder, verify=False).probabilities(np.array([0]), np.array([0]))
    assert abs(found.sum() - 1) < 1e-6
    assert found.min() >= 0
    exact = torch.softmax(torch.tensor(row), 0).numpy()
    assert np.abs(np.sort(found)[-top_k:] - np.sort(exact)[-top_k:]).max() < 1e-3


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_rounded_boxes_stay_inside(corner: list[float]) -> None:
    top, left, height, width = corner
    box = np.array([[top, left, height * (1 - top), width * (1 - left)]], np.float32)
    for kind in ("float16", "float32"):
        found = stored_views(Views(box, np.zeros(1, np.bool_)), kind).boxes
        assert (found[:, :2].astype(np.float64) + found[:, 2:]).max() <= 1
        assert np.abs(found - box).max() < (1e-3 if kind == "float16" else 1e-6)
        assert (found == found.astype(kind)).all()


def test_shifts_of_small_images_survive_the_store_exactly(tmp_path: Path) -> None:
    split = images(n=30)
    policy = Shift(3, 8)
    make(tmp_path, of=Data("tiny", tuple("abcdefg"), split, split, policy, None), images_per_shard=30)
    store = SoftLabelStore.open(tmp_path, split, 7)
    indices, crops = every(store)
    drawn = policy.sample(1, 0, indices, crops, split.sizes(indices))
    assert torch.equal(split.fetch(indices, store.views(indices, crops)), split.fetch(indices, drawn))


def stored(folder: Path, n: int, crops: int) -> SoftLabelStore:
    """A store without meaning."""
    settings = Settings("none", "0", n, 3, 1, 0, "none", "none", "0", images_per_shard=1000)
    fill_store(folder, settings, crops, lambda shard: np.zeros(shard.shape, settings.record))
    return SoftLabelStore.open(folder)


@pytest.mark.parametrize(("n", "crops", "per_image"), [(40, 9, 4), (41, 4, 4), (7, 5, 2), (3, 6, 4), (12, 3, 1)])
def test_replay_visits_every_image_once_in_so_many_epochs(tmp_path: Path, n: int, crops: int, per_image: int) -> None:
    store = stored(tmp_path, n, crops)
    for turn in range(2):
        visits: Counter[int] = Counter()
        for epoch in range(turn * per_image, (turn + 1) * per_image):
            total = 0
            for indices, numbers in replay(store, 3, epoch, 2 * per_image, per_image):
                assert indices.dtype == numbers.dtype == np.int64
                assert len(indices) == len(numbers) <= 2 * per_image
                total += len(indices)
                for group in range(0, len(indices), per_image):
                    assert len(set(indices[group : group + per_image].tolist())) == 1
                    assert len(set(numbers[group : group + per_image].tolist())) == per_image
                    assert set(numbers.tolist()) <= set(range(crops))
                    visits[int(indices[group])] += 1
            assert abs(total - n) < per_image**2
            if n % per_image == 0:
                assert total == n
        assert visits == dict.fromkeys(range(n), 1)


def test_replay_depends_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    store = stored(tmp_path, 400, 8)

    def replayed(seed: int, epoch: int, size: int = 16) -> list[tuple[int, int]]:
        return [(int(i), int(c)) for pair in replay(store, seed, epoch, size) for i, c in zip(*pair, strict=True)]

    assert replayed(0, 5) == replayed(0, 5)
    assert sorted(replayed(0, 5)) == sorted(replayed(0, 5, 64))  # however it is cut into batches
    assert replayed(0, 5) != replayed(1, 5)
    assert {i for i, _ in replayed(0, 4)}.isdisjoint(i for i, _ in replayed(0, 5))
    first, later = dict.fromkeys(i for i, _ in replayed(0, 0)), dict.fromkeys(i for i, _ in replayed(0, 4))
    assert list(first) != list(later)
    counts = Counter(c for epoch in range(40) for _, c in replayed(0, epoch))
    assert max(abs(counts[c] - 2000) for c in range(8)) < 200


def test_replay_refuses_what_is_not_there(tmp_path: Path) -> None:
    store = stored(tmp_path, 10, 2)
    with pytest.raises(ValueError) as caught:
        replay(store, 0, 0, 8)
    assert str(caught.value) == "crops_per_image must be an integer from 1 to 2, the stored crops, not 4"
    with pytest.raises(ValueError, match=re.escape("batch_size must be a positive multiple of 2, not 7")):
        replay(store, 0, 0, 7, 2)


def test_a_replayed_epoch_end_to_end(made: Path) -> None:
    split = images()
    store = SoftLabelStore.open(made, split, CLASSES)
    plan = list(replay(store, 0, 1, 6, 3))
    fetched = batches(split, ((indices, store.views(indices, crops)) for indices, crops in plan))
    for (indices, crops), x in zip(plan, fetched, strict=True):
        expected = torch.softmax(teacher(x), 1).numpy()
        found = store.probabilities(indices, crops)
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
        assert np.abs(found - expected).max() < 0.2


def test_the_hash_of_weights_is_of_names_and_values() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).bfloat16()
    before = weights_sha256(model)
    assert weights_sha256(model) == before
    with torch.no_grad():
        model[0].bias[1] += 1
    assert weights_sha256(model) != before
    assert weights_sha256(torch.nn.Sequential(torch.nn.Linear(2, 3))) != weights_sha256(
        torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(2, 3))
    )


class TinyClassifier(torch.nn.Module):
    """What a teacher has to be, as far as the command line looks."""

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (), {"model_type": "vit", "num_labels": 10, "image_size": 8, "num_channels": 1})()
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, pixel_values: Tensor) -> Any:
        return type("Output", (), {"logits": self.linear(pixel_values.flatten(1))})()


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = TinyClassifier().eval()
    asked = []

    def load_teacher(path: Path, *, config: Any) -> TinyClassifier:
        asked.append((path, config and (config.hidden_size, config.image_size)))
        return model

    monkeypatch.setattr("qat.training.load_teacher", load_teacher)
    out = tmp_path / "labels"
    command = ["--teacher", "somewhere", "--data", "digits", "--crops", "2", "--top-k", "3", "--out", str(out),
               "--images-per-shard", "700", "--device", "cpu"]  # fmt: skip
    main(command)
    assert asked == [(Path("somewhere"), None)]
    size = sum(path.stat().st_size for path in out.glob("*.npy"))
    assert capsys.readouterr().out == (
        f"{out}: 1438 images x 2 crops, {size / 1e6:.2f} MB; 18 bytes a crop, size per million crops 18.0 MB\n"
    )
    digits = open_data("digits")
    assert not isinstance(digits.train, TextSplit)
    store = SoftLabelStore.open(out, digits.train, 10)
    assert store.settings.policy == "Shift(pixels=1, size=8)"
    assert store.settings.teacher == "TinyClassifier"
    before = content(out)
    main([*command, "--model", "vit-mnist", "--image-size", "8"])
    assert asked[1] == (Path("somewhere"), (96, 8))
    assert content(out) == before
    with pytest.raises(
        ValueError, match=re.escape("policy Shift(pixels=1, size=8), not RandomResizedCrop(scale=(0.2,")
    ):
        main([*command, "--scale", "0.2,0.9"])
    # Of the training samples that a training with the same limit has, and of no others.
    part, few = tmp_path / "part", open_data("digits", limit=100)
    assert not isinstance(few.train, TextSplit)
    main([*command[:6], "--out", str(part), "--device", "cpu", "--limit", "100"])
    assert SoftLabelStore.open(part, few.train, 10).settings.images == 100
    with pytest.raises(ValueError, match="has soft labels of other images"):
        SoftLabelStore.open(part, digits.train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--teacher x --data mnist5k --out y", "crops must be given: how many of each image, as --crops 8"),
        ("--teacher x --data mnist5k --out y --crops 0", "crops must be an integer from 1 to 99999, not '0'"),
        ("--teacher x --data mnist5k --out y --crops 2 --limit 0",
         "limit must be an integer from 1 to 4294967295, not '0'"),
        ("--teacher x --data mr --out y --crops 2", "soft labels of crops need images, but mr is text"),
        ("--teacher x --data mnist5k --out y --crops 2 --scale 1", "scale must be two numbers LOW,HIGH, not '1'"),
        ("--teacher x --data mnist5k --out y --crops 2 --scale 0,1",
         "scale must be two numbers with 0 < low <= high <= 1, not (0.0, 1.0)"),
        ("--from-fkd x --data digits --out y",
         "FKD labels are of images in folders, but digits is not: use imagefolder:DIR"),
    ],
)  # fmt: skip
def test_bad_command_lines(options: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        main(options.split())
    assert str(caught.value) == message


def test_source_is_teacher_or_fkd(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "digits", "--out", "y"])
    assert "one of the arguments --teacher --from-fkd is required" in capsys.readouterr().err


FKD_CLASSES = 12


@pytest.fixture
def photos(tmp_path: Path) -> Data:
    """Five training images in two of the class folders' layout; twelve classes."""
    rng = np.random.default_rng(0)
    for number in range(FKD_CLASSES):
        for part in ("train", "val"):
            folder = tmp_path / "images" / part / f"n{number:02d}"
            folder.mkdir(parents=True)
            pixels = rng.integers(0, 256, (20 + number, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{folder.name}_7.JPEG")
    return open_data(f"imagefolder:{tmp_path / 'images'}", image_size=16)


def fkd_labels(form: str, number: int, crops: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Labels of one image in one of FKD's forms, and the probabilities [crops, classes] that they stand for."""
    full = np.random.default_rng(number).dirichlet(np.full(FKD_CLASSES, 0.3), crops).astype(np.float32)
    order = np.argsort(-full, axis=1)
    k = {"hard": 1, "smoothing": 1, "ms5": 5}.get(form, FKD_CLASSES)
    top, values = order[:, :k], np.take_along_axis(full, order[:, :k], 1)
    rest = (1 - values.sum(axis=1, keepdims=True)) / max(FKD_CLASSES - k, 1)
    meant = np.repeat(rest, FKD_CLASSES, axis=1)
    np.put_along_axis(meant, top, values, 1)
    forms = {
        "hard": (top[:, 0], np.eye(FKD_CLASSES)[top[:, 0]]),
        "smoothing": (np.stack([top[:, 0], values[:, 0]], 1), meant),
        "ms5": (np.stack([top, values], 1), meant),
        "probabilities": (full, full),
        "logits": (np.log(full + 1e-9) + 3, full),
    }
    return forms[form]


def write_fkd(data: Data, folder: Path, form: str, tensors: bool = False, half: bool = False) -> None:
    """The layout of the released files, as their generator writes it: NumPy coordinates, flips and labels."""
    split = data.train
    assert isinstance(split, FolderImages)
    for number in range(len(split.labels)):
        labels, _ = fkd_labels(form, number)
        parts = [fkd_boxes(number), np.array([True, False, True]) ^ (number % 2 == 0),
                 labels.astype(np.float16) if half else labels]  # fmt: skip
        path = folder / split.path(number).relative_to(split.folder).with_suffix(".tar")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save([torch.from_numpy(part) for part in parts] if tensors else parts, path)


def fkd_boxes(number: int) -> np.ndarray:
    """Whole pixels of an image of 20 + number by 30, in fractions."""
    return np.array(
        [[2 / (20 + number), 3 / 30, 10 / (20 + number), 20 / 30], [0, 0, 1, 1], [5 / (20 + number), 0, 0.5, 1 / 3]],
        np.float32,
    )


@pytest.mark.parametrize("form", ["hard", "smoothing", "ms5", "probabilities", "logits"])
@pytest.mark.parametrize(("tensors", "half", "below"), [(False, False, "train"), (True, False, ""), (False, True, "")])
def test_fkd_files_become_a_store(
    photos: Data, tmp_path: Path, form: str, tensors: bool, half: bool, below: str
) -> None:
    write_fkd(photos, tmp_path / "fkd" / below, form, tensors, half)
    size = import_fkd(tmp_path / "fkd", photos, tmp_path / "out", top_k=FKD_CLASSES, images_per_shard=5)
    assert size == sum(path.stat().st_size for path in (tmp_path / "out").glob("*.npy"))
    split = photos.train
    assert isinstance(split, FolderImages)
    store = SoftLabelStore.open(tmp_path / "out", split, FKD_CLASSES)
    assert store.crops == 3
    assert store.settings.top_k == {"hard": 1, "smoothing": 1, "ms5": 5}.get(form, FKD_CLASSES)
    crops = np.arange(3)
    for number in range(FKD_CLASSES):
        found = store.probabilities(np.full(3, number), crops)
        assert np.abs(found - fkd_labels(form, number)[1]).max() < 2e-3
        views = store.views(np.full(3, number), crops)
        assert views.boxes.tobytes() == fkd_boxes(number).tobytes()
        assert views.flips.tolist() == ([False, True, False] if number % 2 == 0 else [True, False, True])


def test_fkd_views_are_the_crops_of_the_authors(photos: Data, tmp_path: Path) -> None:
    write_fkd(photos, tmp_path / "fkd", "ms5")
    import_fkd(tmp_path / "fkd", photos, tmp_path / "out")
    split = photos.train
    assert isinstance(split, FolderImages)
    store = SoftLabelStore.open(tmp_path / "out", split)
    found = split.fetch(np.array([4]), store.views(np.array([4]), np.array([0])))[0]
    with Image.open(split.path(4)) as image:  # rows 2 to 11, columns 3 to 22 of 24 x 30
        part = image.crop((3, 2, 23, 12)).resize((16, 16), Image.Resampling.BICUBIC)
    raw = np.asarray(part, np.float32) / 255
    expected = (raw - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(found.permute(1, 2, 0).numpy() - expected).max() < 1e-5


def test_fkd_labels_from_the_command_line(photos: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_fkd(photos, tmp_path / "fkd" / "train", "ms5")
    main(["--from-fkd", str(tmp_path / "fkd"), "--data", f"imagefolder:{tmp_path / 'images'}",
          "--out", str(tmp_path / "out"), "--crops", "2", "--top-k", "3"])  # fmt: skip
    assert "12 images x 2 crops" in capsys.readouterr().out
    assert SoftLabelStore.open(tmp_path / "out").settings.top_k == 3


def test_an_fkd_file_that_is_missing_or_short(photos: Data, tmp_path: Path) -> None:
    write_fkd(photos, tmp_path / "fkd", "ms5")
    path = tmp_path / "fkd" / "n03" / "n03_7.tar"
    torch.save([np.zeros((1, 4), np.float32) + 0.5, np.array([True]), fkd_labels("ms5", 3, 1)[0]], path)
    with pytest.raises(ValueError, match=re.escape(f"{path} must have at least 3 crops, not 1")):
        import_fkd(tmp_path / "fkd", photos, tmp_path / "out")
    path.unlink()
    with pytest.raises(ValueError, match=re.escape(f"{path} is missing: it must hold the FKD labels of ")):
        import_fkd(tmp_path / "fkd", photos, tmp_path / "out")


class Evil:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch evil",)


LABELS = np.array([[[0, 1, 2], [0.5, 0.25, 0.125]]] * 2, np.float32)
GOOD = [np.full((2, 4), 0.5, np.float32), np.array([True, False]), LABELS]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([Evil(), *GOOD[1:]], ""),
        ([np.array(["a"], object), *GOOD[1:]], ""),
        (GOOD[:2], ""),
        ([GOOD[0] * np.nan, *GOOD[1:]], "its coordinates must be fractions of the image"),
        ([GOOD[0] * 100, *GOOD[1:]], "its coordinates must be fractions of the image"),
        ([*GOOD[:2], np.full((2, 2, 3), 12.0)], "its labels must be classes from 0 to 11"),
        ([*GOOD[:2], np.full((2, 2, 3), 0.5)], "its labels must be classes from 0 to 11"),
        ([*GOOD[:2], GOOD[2] + [[[0], [3]]]], "its probabilities must be from 0 to 1"),
        ([*GOOD[:2], np.zeros((2, 9))], "its labels must be of one of FKD's forms for 12 classes, not [2, 9]"),
        ([*GOOD[:2], np.concatenate([LABELS, LABELS, LABELS[:1]])], "it must have labels for 2 crops, not 5"),
        ([*GOOD[:2], LABELS * [[[0], [1]]]], "its probabilities of a crop must be of different classes, above 0 and"),
        ([*GOOD[:2], LABELS * [[[1], [0]]]], "its probabilities of a crop must be of different classes, above 0 and"),
        ([*GOOD[:2], LABELS * [[[1], [1.5]]]], "its probabilities of a crop must be of different classes, above 0 and"),
    ],
)  # fmt: skip
def test_bad_fkd_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[Any], reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(parts, tmp_path / "x.tar")
    with pytest.raises(ValueError, match=re.escape(f"x.tar is not an FKD label file that can be read: {reason}")):
        read_fkd(tmp_path / "x.tar", 12)
    assert not (tmp_path / "evil").exists()
    assert len(read_fkd(saved(GOOD, tmp_path), 12).views) == 2


def saved(parts: list[Any], folder: Path) -> Path:
    """Also what an old NumPy wrote is read: its modules had other names."""
    content = io.BytesIO()
    torch.save(parts, content, pickle_protocol=2, _use_new_zipfile_serialization=False)
    path = folder / "good.tar"
    path.write_bytes(content.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert b"cnumpy.core.multiarray\n" in path.read_bytes()
    return path


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("class", CLASSES, f"classes from 0 to {CLASSES - 1}"),
        ("class", 1, "each class once in a crop"),
        ("probability", np.nan, "probabilities from 0 to 1"),
        ("probability", np.inf, "probabilities from 0 to 1"),
        ("probability", -1, "probabilities from 0 to 1"),
        ("probability", 1, "probabilities of a crop that are above 0 and at most 1 together"),
        ("probability", 0, "probabilities of a crop that are above 0 and at most 1 together"),
        ("box", np.nan, "boxes from -64 to 64 sides of their image"),
        ("box", 1000, "boxes from -64 to 64 sides of their image"),
        ("box", 0, "boxes of a height and width above 0"),
        ("flip", 2, "flips of 0 or 1"),
    ],
)
def test_records_that_no_teacher_gives(made: Path, tmp_path: Path, field: str, value: float, wanted: str) -> None:
    """Though the manifest has their checksum."""
    folder = Path(shutil.copytree(made, tmp_path / "labels"))
    manifest = json.loads((folder / "manifest.json").read_text())
    path = folder / manifest["shards"][0]["file"]
    content = np.load(path)
    content[field] = value
    np.save(path, content)
    manifest["shards"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    store = SoftLabelStore.open(folder, images(), CLASSES)
    for read in (store.views, store.probabilities):
        with pytest.raises(ValueError) as caught:
            read(np.zeros(1, np.int64), np.zeros(1, np.int64))
        assert str(caught.value) == f"{path} must hold {wanted}: make the soft labels again"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"crops": 9}, "its crops must be 3, as its shards have it, not 9"),
        ({"bytes_per_crop": 9}, "its bytes_per_crop must be "),
        ({"seed": -1}, "seed must be from 0 to 2^64 - 1, not -1"),
    ],
)
def test_a_manifest_that_contradicts_itself(made: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(ValueError, match=re.escape(f"manifest.json is not a manifest that can be read: {said}")):
        SoftLabelStore.open(tmp_path)
    manifest["shards"][0]["images"] = [0, 3]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"images of its shard '.*' must be \[0, 5\], not \[0, 3\]"):
        SoftLabelStore.open(tmp_path)


def test_a_teacher_of_other_images(command: Callable[..., Any], tmp_path: Path) -> None:
    """Its channels are compared with those of the data before anything is computed."""
    config = ViTConfig(image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                       intermediate_size=8, num_labels=10)  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path / "hf")  # type: ignore[no-untyped-call]
    ended = command(main, "--teacher", tmp_path / "hf", "--data", "digits", "--crops", 1, "--out", tmp_path / "labels")
    said = f"images for the teacher {tmp_path / 'hf'} must have 3 channels, but those of digits have 1"
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")
