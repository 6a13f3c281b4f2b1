"""The folder of a run: the trained model, all that was chosen for it, and how it went.

run.json            model configuration, scheme, data, options, versions
model.safetensors   its parameters after the last finished epoch
metrics.jsonl       one line an epoch; metrics.csv the same without the shares of single modules
state.pt            what `--resume` needs
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from qat.data import Data, FolderImages, look_of_record
from qat.files import load_torch, read_model
from qat.models import from_config, is_preset, load_pretrained, model_config, recognise
from qat.network import holds_quantised, load_quantised, load_state, quantize_model, quantizers
from qat.quantisers.native import status
from qat.settings import Scheme, recorded
from siliquant.files import write_atomically
from siliquant.inputs import FileError, InputError, belongs, json_object, member, read_text, short

__all__ = [
    "RunRecord",
    "check_origin",
    "load_run",
    "load_start",
    "load_state",
    "load_teacher",
    "model_config",
    "names_of_skipped",
    "network_of",
    "read_record",
    "read_state",
    "save_record",
]  # fmt: skip

_FORMAT = 1
MOST_RECORD_BYTES = 256 << 20
"""Bytes of the largest run.json: it names the images that were left out."""
MOST_STATE_BYTES = 32 << 30
"""Bytes of the largest state.pt."""


@dataclass(frozen=True)
class RunRecord:
    """What run.json says: plain data, and the scheme (None at full precision).

    network: model and scheme as they stand in the file.
    """

    model: Mapping[str, Any]
    scheme: Scheme | None
    data: Mapping[str, Any]
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    network: Mapping[str, Any]


def save_record(
    folder: Path,
    model: PreTrainedModel,
    scheme: Scheme | None,
    data: Data,
    options: Mapping[str, Any],
    skipped: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Writes run.json; `skipped` are the images left out, by part.  OSError when the folder cannot be written."""
    record = {
        "format": _FORMAT,
        "model": model_config(model),
        "scheme": scheme.to_dict() if scheme else None,
        "data": {
            "name": data.name,
            "classes": list(data.classes),
            "train_fingerprint": data.train.fingerprint,
            "test_fingerprint": data.test.fingerprint,
            "test_samples": len(data.test.labels),
            "skipped": {part: list(names) for part, names in skipped.items()},
            "metrics": list(data.metrics),
            "look": data.train.look.to_dict() if isinstance(data.train, FolderImages) else None,
        },
        "options": dict(options),
        "versions": versions(),
    }
    write_atomically(folder / "run.json", json.dumps(record, indent=1) + "\n")


def versions() -> dict[str, str]:
    """Of what the numbers of a run depend on."""
    kernels = status()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "kernels": f"native, {kernels.compiler}" if kernels.available else f"torch, {kernels.reason}",
        "threads": str(torch.get_num_threads()),
    }


def read_state(path: Path) -> dict[str, Any]:
    """What `Training.save` wrote.  ValueError when the file is damaged, OSError when it cannot be read."""
    state = load_torch(path, MOST_STATE_BYTES, "must be a checkpoint that can be read")
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise InputError(f"{path} must be the checkpoint of a run, but holds something else")
    return state


def read_record(folder: Path) -> RunRecord:
    """run.json of a run folder.  ValueError when it is none."""
    path = folder / "run.json"
    if not path.exists():
        raise InputError(f"{folder} must be the folder of a run with a run.json in it")
    with belongs(path, "the record of a run"):
        data = json_object(_text(path))
        if member(data, "format", int) != _FORMAT:
            raise InputError(f"format must be {_FORMAT}, not {short(data['format'])}")
        scheme = None if data.get("scheme", {}) is None else Scheme.from_dict(member(data, "scheme", dict))
        model, about, options, made_by = (member(data, name, dict) for name in ("model", "data", "options", "versions"))
        member(about, "train_fingerprint", str)
        check_origin(model, about, options)
        if (wanted := recorded(options, Path("run")).scheme()) != scheme:
            name = _first_difference(wanted, scheme)
            raise InputError(f"scheme must be that of the options, but differs in {name}")
    return RunRecord(model, scheme, about, options, made_by, {name: data.get(name) for name in ("model", "scheme")})


def check_origin(model: Mapping[str, Any], about: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """InputError where what a record says of a model, its data and options is of a wrong kind, or where two of them say
    different things.
    """
    for name in ("name", "test_fingerprint"):
        member(about, name, str)
    names_of_skipped(about)
    look_of_record(about)
    member(options, "model", str)
    chosen = recorded(options, Path("run"))
    if chosen.data != about["name"]:
        raise InputError(f"options.data must be {short(about['name'])}, as data.name, not {short(chosen.data)}")
    if chosen.image_size is not None and chosen.image_size != model.get("image_size"):
        size = short(model.get("image_size"))
        raise InputError(f"options.image_size must be {size}, as that of the model, not {chosen.image_size}")
    classes = about.get("classes")
    if classes is None:
        return
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise InputError(f"data.classes must be a list of names, not {short(classes)}")
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise InputError(f"data.classes must have each name once, and has {short(twice[0])} twice")
    labels = model.get("id2label")
    if isinstance(labels, dict) and len(labels) != max(len(classes), 1):
        raise InputError(f"data.classes must be {len(labels)} names, as the model has labels, not {len(classes)}")


def _first_difference(one: Scheme | None, other: Scheme | None) -> str:
    if one is None or other is None:
        return "being there"
    return next(each.name for each in fields(Scheme) if getattr(one, each.name) != getattr(other, each.name))


def _text(path: Path) -> str:
    try:
        return read_text(path, MOST_RECORD_BYTES)
    except FileError:
        raise
    except InputError as error:
        raise InputError(f"{error.place} {error.sentence}") from None


def names_of_skipped(about: Mapping[str, Any]) -> dict[str, list[str]]:
    """The images that a run left out, by part; `about` is what its record says of data.  Raises InputError."""
    skipped = about.get("skipped", {})
    if not isinstance(skipped, dict) or not all(
        part in ("train", "test") and isinstance(names, list) and all(isinstance(name, str) for name in names)
        for part, names in skipped.items()
    ):
        raise InputError(f"skipped must be lists of names for train and test, not {short(skipped)}")
    return skipped


def load_run(folder: Path | str) -> tuple[PreTrainedModel, RunRecord]:
    """The trained model of a run, in evaluation mode, and its record.

    Raises ValueError when a file is missing or damaged or a tensor does not fit.
    """
    folder = Path(folder)
    record = read_record(folder)
    with belongs(folder / "run.json", "the record of a run"):
        model = from_config(dict(record.model))
    if record.scheme is not None:
        quantize_model(model, record.scheme, fit_weights=False)
    path = folder / "model.safetensors"
    load_state(model, read_model(path, record.network), path)
    return model.eval(), record


def load_start(
    source: Path,
    *,
    config: PreTrainedConfig | None = None,
    num_labels: int | None = None,
    new_head: bool = False,
) -> PreTrainedModel:
    """The full-precision parameters of a run (of its latent weights if it is quantised), or of another checkpoint, of
    the network that `config` describes.
    """
    if (source / "run.json").exists():
        trained, what = load_run(source)[0], "a run"
    elif holds_quantised(source):
        trained, what = load_quantised(source), "a quantised network"
    else:
        return load_pretrained(source, config=config, num_labels=num_labels, new_head=new_head)
    model = from_config(model_config(trained))
    skip = tuple(f"{name}." for name in quantizers(trained))
    tensors = {_full_name(name): t for name, t in trained.state_dict().items() if not name.startswith(skip)}
    labels = model.config.num_labels
    if num_labels is not None and labels != num_labels:
        if not new_head:
            raise InputError(f"{source} must have {num_labels} classes, not {labels}; a new head would replace them")
        raise InputError(f"{source} is {what} with {labels} classes: a new head is for other checkpoints only")
    load_state(model, tensors, source)
    return model.eval()


def _full_name(name: str) -> str:
    """Of a parameter at full precision: the layer of a product of query and key has those of the query."""
    for own, full in ((".query_weight", ".weight"), (".query_bias", ".bias")):
        if name.endswith(own):
            return name.removesuffix(own) + full
    return name


def network_of(source: Path) -> tuple[str, int | None] | None:
    """What `--model` has to be for the network of a start: a preset and, where it is not the preset's, its image_size
    in pixels; else the folder of the start.

    None for what does not say its network: a file, a folder of timm. InputError as `recognise`.
    """
    if not (source / "run.json").exists():
        return recognise(source)
    options = read_record(source).options
    name, size = member(options, "model", str), options.get("image_size")
    if not is_preset(name):
        return str(source), None
    return name, size if isinstance(size, int) else None


def load_teacher(path: Path, *, config: PreTrainedConfig | None = None) -> PreTrainedModel:
    """A classifier in evaluation mode whose parameters take no gradient: a run (quantised or not) or a checkpoint, of
    the network that `config` describes.
    """
    if (path / "run.json").exists():
        model = load_run(path)[0]
    elif holds_quantised(path):
        model = load_quantised(path)
    else:
        model = load_pretrained(path, config=config)
    return model.eval().requires_grad_(False)
