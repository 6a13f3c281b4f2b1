"""The data that a run was trained on, opened again from the run's record; what a checkpoint says of its images; whether
a network takes data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import PreTrainedConfig

from qat.data import Data, Look, TextSplit, checked, look_of_record, open_data, read_look, without
from qat.settings import merge
from siliquant.inputs import InputError, member

from .classes import check_recorded
from .runs import names_of_skipped, read_record

__all__ = ["check_inputs", "look_of", "open_run_data"]


def open_run_data(
    about: Mapping[str, Any], options: Mapping[str, Any], model: Mapping[str, Any], *, skip: int | None = None
) -> tuple[Data, list[str]]:
    """The data that a run was trained on, from what its record says of data, options and model, without the images that
    it left out; and the names of up to `skip` more of its test images that cannot be read now, which are left out too;
    None: none, and there is no option.

    ValueError when its files or classes have changed or more test images cannot be
    read.
    """
    name = member(about, "name", str)
    member(about, "test_fingerprint", str)
    chosen = merge(dict(options), {"out": Path("run")})
    data = open_data(
        name,
        image_size=model.get("image_size"),
        tokenizer=chosen.tokenizer,
        max_length=chosen.max_length,
        limit=chosen.limit,
        look=look_of_record(about),
    )
    data = without(data, names_of_skipped(about))
    check_recorded(data, about, ("test",))
    data, left_out = checked(data, Console(stderr=True), skip=skip, parts=("test",))
    return data, left_out.get("test", [])


def look_of(source: Path) -> Look | None:
    """What a run or another checkpoint says about images; None: nothing. Raises InputError."""
    if not (source / "run.json").exists():
        return read_look(source)
    return look_of_record(read_record(source).data)


def check_inputs(name: str, config: PreTrainedConfig, data: Data) -> None:
    """ValueError unless the network `name` takes what the data have."""
    split, pixels = data.train, getattr(config, "image_size", None)
    if isinstance(split, TextSplit) != (pixels is None):
        has, needs = ("texts", "images") if isinstance(split, TextSplit) else ("images", "texts")
        raise InputError(f"data for {name} must be {needs}, but {data.name} has {has}")
    if isinstance(split, TextSplit):
        _check_tokens(name, config, data)
        return
    for what, wanted, found in (
        ("channels", config.num_channels, split.channels),
        ("pixels a side", pixels, split.image_size),
    ):
        if found != wanted:
            raise InputError(f"images for {name} must have {wanted} {what}, but those of {data.name} have {found}")


def _check_tokens(name: str, config: PreTrainedConfig, data: Data) -> None:
    """ValueError unless every token, kind of text and place has a row in the tables of the network `name`."""
    for split in (data.train, data.test):
        assert isinstance(split, TextSplit)
        for what, field, found in (
            ("max_length", "max_position_embeddings", split.tokens.shape[1]),
            ("the tokenizer's largest number", "vocab_size", int(split.tokens.max()) + 1),
            ("kinds of texts", "type_vocab_size", int(split.types.max()) + 1),
        ):
            most = getattr(config, field, None)
            if isinstance(most, int) and found > most:
                raise InputError(f"{what} must be at most {most} for {name}, its {field}, not {found}")
