"""The data that a run was trained on, opened again from the run's record; whether a network takes data; and how images
of a folder are normalised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import PreTrainedConfig

from qat.data import (
    IMAGENET,
    Data,
    FolderImages,
    Look,
    TextSplit,
    checked,
    look_of_images,
    look_of_record,
    measured,
    open_data,
    read_look,
    with_look,
    without,
)
from qat.models import is_decoder, most_tokens
from qat.settings import read_image_stats, recorded
from siliquant.inputs import InputError, member, printable

from .classes import check_recorded
from .runs import names_of_skipped, read_record

__all__ = ["check_inputs", "look_of", "normalised", "open_run_data", "stated_look"]


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
    chosen = recorded(options, Path("run"))
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
    """ValueError unless the network `name` takes what the data have, and says what they say."""
    if is_decoder(config):
        raise InputError(
            f"{name} must be a classifier for {data.name}, not a decoder of texts, which is trained from Python "
            "(docs/training.md)"
        )
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
            most = most_tokens(config) if what == "max_length" else getattr(config, field, None)
            if isinstance(most, int) and found > most:
                raise InputError(f"{what} must be at most {most} for {name}, its {field}, not {found}")


def stated_look(sources: Sequence[Path], stats: str | None, console: Console) -> Look | None:
    """What the checkpoints, a start and a teacher, say of images of a folder; None: neither says anything. A line is
    printed where that is not what DeiT has.

    Without `stats`, the text of --image-stats, every one must say it, and both the same mean and deviation, since they
    see the same pixels. InputError.
    """
    found = {path: look_of(path) for path in sources}
    looks = [(path, look) for path, look in found.items() if look]
    if stats is None:
        for path, look in found.items():
            if look is None:
                raise InputError(
                    f"{path} does not say how its images are normalised: give --image-stats imagenet, as DeiT, Swin "
                    "and SReT have it, or its numbers as R,G,B/R,G,B, or measured"
                )
        if len(looks) == 2 and (looks[0][1].mean, looks[0][1].std) != (looks[1][1].mean, looks[1][1].std):
            raise InputError(
                "start and teacher must take images of the same mean and deviation, but "
                + ", ".join(f"{path} has {_numbers(look.mean)} and {_numbers(look.std)}" for path, look in looks)
            )
    if not looks:
        return None
    path, look = looks[0]
    if look != IMAGENET and stats is None:
        said = (
            f"images as {path} says: mean {_numbers(look.mean)}, deviation {_numbers(look.std)}, {look.resample}, "
            f"{look.resize_ratio:.4g} times the part that is seen in tests"
        )
        console.print(printable(said), highlight=False, markup=False, soft_wrap=True)
    return look


def normalised(data: Data, stated: Look | None, stats: str | None, console: Console, processes: int = 1) -> Data:
    """Data of folders of images as they are seen: with mean and deviation that `stats`, the text of --image-stats,
    gives, else the `stated` ones, else measured on the training images, of which a line is printed.

    The rest is as stated, or as `qat.data.look_of_images` has it. Other data as they are. InputError.
    """
    split = data.train
    if not isinstance(split, FolderImages) or (stated is not None and stats is None):
        return data if stated is None else with_look(data, stated)
    found = read_image_stats(stats or "measured")
    if found is None:
        found = measured(split, console, processes)
    mean, std = found
    look = look_of_images(split, found) if stated is None else replace(stated, mean=mean, std=std)
    return with_look(data, look)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
