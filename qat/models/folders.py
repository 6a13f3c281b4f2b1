"""What a folder says of its network: config.json of Hugging Face, or run.json of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from siliquant.inputs import FileError, InputError, belongs, json_object, member, read_json, read_text, short

from .classes import config_from_dict, described, model_class, model_classes
from .limits import MOST_PARAMETERS

__all__ = ["MOST_CONFIG_BYTES", "class_and_config", "folder_config", "is_timm", "read_config"]

MOST_CONFIG_BYTES = 16 << 20
"""Bytes of the largest config.json; those of 22,000 classes have 2 MB of names."""
MOST_RECORD_BYTES = 256 << 20
"""Bytes of the largest run.json: it names the images that were left out."""


def folder_config(folder: Path, most_parameters: int = MOST_PARAMETERS) -> PreTrainedConfig | None:
    """The configuration of a Hugging Face folder or of a run, which names its class; None for a folder of timm.

    InputError for one that cannot be used, in a config.json for a network of more parameters, and where there is
    neither file.
    """
    record = folder / "run.json"
    if record.exists() and not (folder / "config.json").exists():
        with belongs(record, "the record of a run"):
            return described(member(json_object(read_text(record, MOST_RECORD_BYTES)), "model", dict))[1]
    values = read_config(folder / "config.json")
    if is_timm(values):
        return None
    kind, config, is_classifier = class_and_config(folder, values, most_parameters)
    named = (values.get("architectures") or [None])[0]
    bare = f"{kind.__name__.partition('For')[0]}Model"  # without a head, which it gets
    if named not in (None, bare) and not is_classifier:
        names = ", ".join([*model_classes(), bare])
        raise InputError(f"{folder / 'config.json'}: architectures must name one of {names}, not {short(named)}")
    return config


def is_timm(values: Mapping[str, Any]) -> bool:
    """Whether a config.json is one of timm."""
    return "model_type" not in values and isinstance(values.get("architecture"), str)


def class_and_config(
    folder: Path, values: Mapping[str, Any], most_parameters: int = MOST_PARAMETERS
) -> tuple[type[PreTrainedModel], PreTrainedConfig, bool]:
    """Class and configuration of what config.json holds, and whether it is a classifier."""
    architectures = values.get("architectures")
    if not isinstance(architectures, list | None) or not all(isinstance(each, str) for each in architectures or ()):
        raise InputError(f"{folder / 'config.json'}: architectures must be a list of names, not {short(architectures)}")
    architecture = architectures[0] if architectures else None
    try:
        kind = model_class(str(values.get("model_type")))
        # A network without classifier, such as BertModel, can be the start of one.
        is_classifier = architecture in {"DeiTForImageClassification", kind.__name__}
        if is_classifier:
            kind = model_class(str(values.get("model_type")), architecture)
        config = config_from_dict(kind, values, most_parameters)
        config.architectures = [kind.__name__]
    except InputError as error:
        raise InputError(f"{folder / 'config.json'} cannot be used: {error}") from error
    return kind, config, is_classifier


def read_config(file: Path) -> dict[str, Any]:
    """The object in a config.json. InputError."""
    if not file.exists():
        raise InputError(f"{file.parent} must hold a config.json, but it does not")
    try:
        values = read_json(file, MOST_CONFIG_BYTES)
    except FileError:
        raise
    except InputError as error:
        raise InputError(f"{file} cannot be read as JSON: {error.place or ''} {error.sentence}") from None
    if not isinstance(values, dict):
        raise InputError(f"{file} must hold a JSON object, not {type(values).__name__}")
    return values
