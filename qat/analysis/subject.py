"""What is analysed: a network at full precision, and samples that it is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from transformers import PreTrainedModel

from qat.data import Data, TextSplit, checked, epoch_indices, has_look, look_of_record, open_data, without
from qat.models import says_its_network
from qat.settings import Options, merge
from qat.training import (
    check_inputs,
    check_recorded,
    classes_of,
    compare_classes,
    load_start,
    look_of,
    names_of_skipped,
    read_record,
    weights_sha256,
)
from siliquant.inputs import InputError

__all__ = ["VALIDATION", "Subject", "open_subject"]

VALIDATION = "@validation"
_KEPT = ("model", "image_size", "tokenizer", "max_length", "limit")  # of the options of a run


@dataclass(frozen=True, eq=False)
class Subject:
    """model: at full precision, in evaluation mode; of a quantised run its latent weights. data: `test` is what is
    measured, `train` what scales are found on and what is trained on. source: the folder. seen: whether the model was
    trained on the samples that are measured; None where nothing says so. options: those of a run about its network and
    texts, the others as they are by default. remarks: sentences for the user.
    """

    model: PreTrainedModel
    data: Data
    source: Path
    seen: bool | None
    options: Options
    remarks: tuple[str, ...]

    @property
    def texts(self) -> bool:
        """Whether the samples are texts."""
        return isinstance(self.data.test, TextSplit)

    @property
    def tokens(self) -> int:
        """Tokens of a text; 1 for images, which have none."""
        return int(self.data.test.tokens.shape[1]) if isinstance(self.data.test, TextSplit) else 1

    def key(self) -> dict[str, Any]:
        """What decides a measurement of it, as plain data."""
        splits = {"train": self.data.train.fingerprint, "test": self.data.test.fingerprint}
        return {"weights": weights_sha256(self.model), "data": self.data.name, **splits,
                "samples": len(self.data.test.labels), "limit": self.options.limit}  # fmt: skip


def open_subject(source: Path, name: str | None, *, tokenizer: Path | None, samples: int | None, seed: int) -> Subject:
    """A run or a Hugging Face folder, with the data of that name.

    name: default what the run was trained on, of which the validation split of the training samples is measured.
    samples: how many of these, drawn by `seed`; None: all. Raises InputError for what does not fit together.
    """
    record = read_record(source) if (source / "run.json").exists() else None
    if record is None and not says_its_network(source):
        raise InputError(f"{source} must be the folder of a run, or of Hugging Face with a config.json")
    if record is None and name is None:
        raise InputError("data must be given for a folder that is no run: a name, as --data mnist5k")
    recorded = "" if record is None else record.data["name"]
    name = name or f"{recorded.removesuffix(VALIDATION)}{VALIDATION}"
    values = {} if record is None else {each: record.options[each] for each in _KEPT if each in record.options}
    options = merge(values, {"out": Path("analysis"), "data": name})
    model = load_start(source)
    same = record is not None and recorded.removesuffix(VALIDATION) == name.removesuffix(VALIDATION)
    data = open_data(
        name,
        image_size=getattr(model.config, "image_size", None),
        tokenizer=tokenizer or options.tokenizer,
        max_length=options.max_length,
        limit=options.limit if same else None,
        look=_look(source, name, record.data if record else None),
    )
    check_inputs(str(source), model.config, data)
    if record is not None and same:
        data = _as_recorded(data, record.data)
    data, _ = checked(data, Console(stderr=True))
    labels = len(data.classes) or 1
    if model.config.num_labels != labels:
        raise InputError(f"{source} must have {labels} classes, as {name}, not {model.config.num_labels}")
    remark = compare_classes(str(source), classes_of(source, model), data)
    seen = None if not same else name.endswith(VALIDATION) and not recorded.endswith(VALIDATION)
    notes = [remark] if remark else []
    if not name.endswith(VALIDATION):
        notes.append(f"measured on the test split of {name}, as --data asks; {name}{VALIDATION} leaves it alone")
    if seen:
        notes.append(
            f"{source} was trained on all training samples of {recorded}, so it has seen those that are measured; "
            f"a run on {recorded}{VALIDATION} has not"
        )
    return Subject(model, _some(data, samples, seed), source, seen, options, tuple(notes))


def _look(source: Path, name: str, about: Mapping[str, Any] | None) -> Any:
    if not has_look(name):
        return None
    found = look_of_record(about) if about is not None else look_of(source)
    if found is None:
        raise InputError(f"{source} must say how its images are normalised, as a preprocessor_config.json does")
    return found


def _as_recorded(data: Data, about: Mapping[str, Any]) -> Data:
    """Without the images that the run left out; of a split that the run had, its own samples."""
    skipped = names_of_skipped(about)
    split_again = data.name.endswith(VALIDATION) != str(about["name"]).endswith(VALIDATION)
    if not split_again:
        data = without(data, skipped)
        check_recorded(data, about, ("train", "test"))
        return data
    gone = [*skipped.get("train", []), *skipped.get("test", [])]
    return without(data, {"train": gone, "test": gone})


def _some(data: Data, samples: int | None, seed: int) -> Data:
    count = len(data.test.labels)
    if samples is None or samples >= count:
        return data
    chosen = np.sort(epoch_indices(count, seed, 0)[:samples])
    return replace(data, test=data.test.take(chosen))
