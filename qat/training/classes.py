"""Names of classes: those of a checkpoint's outputs beside those of the data, which must be in one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from qat.data import Data
from siliquant.inputs import InputError, short

from .runs import read_record

__all__ = ["check_recorded", "classes_of", "compare_classes"]


def classes_of(source: Path, model: PreTrainedModel) -> tuple[str, ...]:
    """What the outputs of `model`, which was loaded from `source`, are called; empty where nothing says so.

    Of a run the classes of its data, else the id2label of its configuration, of which names by number alone
    (LABEL_0, 0) say nothing.
    """
    if (source / "run.json").exists():
        return tuple(read_record(source).data.get("classes", ()))
    labels: Mapping[Any, str] = getattr(model.config, "id2label", None) or {}
    names = tuple(str(labels.get(number, number)) for number in range(model.config.num_labels or 0))
    if all(name in (f"LABEL_{number}", str(number)) for number, name in enumerate(names)):
        return ()
    return names


def compare_classes(what: str, names: Sequence[str], data: Data) -> str | None:
    """A sentence for the user where `what`, with classes of these names, calls some of them otherwise than the data.

    None where they agree, whatever their case, or where one side has none. InputError where a name of the data is that
    of another output: its samples would count for the wrong class.
    """
    ours, theirs = [_plain(name) for name in data.classes], [_plain(name) for name in names]
    if not theirs or ours == theirs or len(ours) != len(theirs):  # their number is checked where weights are read
        return None
    for number, name in enumerate(ours):
        if name in theirs and theirs[number] != name:
            raise InputError(
                f"{what} must have its classes in the order of {data.name}, but {short(data.classes[number])} is class "
                f"{theirs.index(name)} of it, and {number} of the data"
            )
    number = next(place for place, name in enumerate(ours) if theirs[place] != name)
    differing = sum(mine != other for mine, other in zip(ours, theirs, strict=True))
    more = f", and {differing - 1} more differ" if differing > 1 else ""
    return (
        f"classes of {what} are taken by their number: {short(names[number])} there is {short(data.classes[number])} "
        f"here{more}"
    )


def check_recorded(data: Data, about: Mapping[str, Any], parts: Sequence[str]) -> None:
    """InputError unless `data` has the classes, and in these parts the samples, that the record of a run says."""
    for part in parts:
        found, wanted = getattr(data, part).fingerprint, about[f"{part}_fingerprint"]
        if found != wanted:
            raise InputError(
                f"{data.name} must hold the {part} samples of the run ({str(wanted)[:12]}), not others ({found[:12]})"
            )
    classes = about.get("classes")
    if classes is not None and list(classes) != list(data.classes):
        raise InputError(f"{data.name} must have the classes of the run, {short(classes)}, not {short(data.classes)}")


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
