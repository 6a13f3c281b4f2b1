"""Model classes by what config.json says of them, and the configurations that they take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from transformers import (
    BertForSequenceClassification,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DistilBertForSequenceClassification,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaForSequenceClassification,
    SwinForImageClassification,
    ViTForImageClassification,
)

from qat.files import quietly
from siliquant.inputs import InputError, InputTypeError, short

from .decoders import check_decoder
from .limits import MOST_PARAMETERS, SIZES, check_parameters, check_sizes, describing
from .sret import SReTForImageClassification

__all__ = [
    "check_labels",
    "config_from_dict",
    "described",
    "from_config",
    "instance",
    "model_class",
    "model_classes",
    "model_config",
]


def check_labels(num_labels: object) -> None:
    """TypeError or ValueError unless it is an integer from 1 to 65536."""
    if not isinstance(num_labels, int) or isinstance(num_labels, bool):
        raise InputTypeError(f"num_labels must be an integer, not {num_labels!r}")
    low, high = SIZES["num_labels"]
    if num_labels < low:
        raise InputError(f"num_labels must be at least {low}, not {num_labels}")
    if num_labels > high:
        raise InputError(f"num_labels must be at most {high}, not {short(num_labels)}")


def model_class(model_type: str, architecture: str | None = None) -> type[PreTrainedModel]:
    """The class of that name for configurations of that model type, as the two stand in config.json.

    Without an architecture it is the type's usual classifier; for "deit" that is the one with a teacher, whose
    two heads are those of the distilled checkpoints.  ValueError lists the names that there are.
    """
    if model_type not in _CLASSES:
        raise InputError(f"model_type must be one of {', '.join(_CLASSES)}, not {model_type!r}")
    classes = {each.__name__: each for each in _CLASSES[model_type]}
    if architecture is None:
        return _CLASSES[model_type][0]
    if architecture not in classes:
        raise InputError(f"architecture of a {model_type} must be one of {', '.join(classes)}, not {architecture!r}")
    return classes[architecture]


def model_classes() -> list[str]:
    """Names of the classes that `model_class` knows."""
    return [each.__name__ for classes in _CLASSES.values() for each in classes]


def config_from_dict(
    model: type[PreTrainedModel], values: Mapping[str, Any], most_parameters: int = MOST_PARAMETERS
) -> PreTrainedConfig:
    """The configuration of a model class from what config.json holds.  ValueError for a value it cannot have, and for
    more parameters.
    """
    kind = model.config_class
    if kind is None:
        raise InputTypeError(f"{model.__name__} must be a model class with a configuration class")
    check_sizes(values)
    try:
        with quietly():
            config: PreTrainedConfig = kind.from_dict(describing(kind, values))
    except InputError:
        raise
    except Exception as error:  # every configuration has checks of its own
        raise InputError(f"the configuration of a {kind.model_type} has a bad value: {_one_line(error)}") from error
    check_labels(config.num_labels)
    check_decoder(config)
    try:
        check_parameters(model, config, most_parameters)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"the configuration makes no {kind.model_type}: {_one_line(error)}") from error
    return config


def from_config(config_dict: Mapping[str, Any]) -> PreTrainedModel:
    """An untrained model in training mode from what config.json holds, to be filled with weights.  Raises as
    `described`.
    """
    return instance(*described(config_dict))


def described(config_dict: Mapping[str, Any]) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """Class and configuration of what config.json holds.

    "model_type" and the first of "architectures" choose the class.  TypeError unless it is a mapping;
    ValueError for a class that is not one of ours or a value that its configuration cannot have.
    """
    if not isinstance(config_dict, Mapping):
        raise InputTypeError(f"config_dict must be a mapping as in config.json, not {config_dict!r}")
    architectures = config_dict.get("architectures")
    if not isinstance(architectures, (list, tuple)) or not architectures:
        raise InputError(f'"architectures" must be a list with the name of the model class, not {architectures!r}')
    kind = model_class(str(config_dict.get("model_type")), str(architectures[0]))
    config = config_from_dict(kind, config_dict)
    config.architectures = [kind.__name__]
    return kind, config


def model_config(model: PreTrainedModel) -> dict[str, Any]:
    """The configuration that `from_config` makes the same model of, without weights."""
    config: dict[str, Any] = json.loads(model.config.to_json_string(use_diff=False))
    # Where it came from and how attention is computed are not part of what the model is.
    for name in ("_name_or_path", "_attn_implementation", "attn_implementation", "transformers_version", "dtype"):
        config.pop(name, None)
    return {**config, "architectures": [type(model).__name__]}


def instance(kind: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """The model with fresh weights, in training mode."""
    config.architectures = [kind.__name__]
    return kind(config)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if not isinstance(error, ValueError | TypeError):  # a KeyError says the key alone
        text = f"{type(error).__name__} {text}"
    return text if len(text) <= 300 else f"{text[:297]}..."


# The usual class of each model type first.
_CLASSES: Mapping[str, tuple[type[PreTrainedModel], ...]] = MappingProxyType(
    {
        "vit": (ViTForImageClassification,),
        "deit": (DeiTForImageClassificationWithTeacher, DeiTForImageClassification),
        "swin": (SwinForImageClassification,),
        "sret": (SReTForImageClassification,),
        "bert": (BertForSequenceClassification,),
        "roberta": (RobertaForSequenceClassification,),
        "distilbert": (DistilBertForSequenceClassification,),
        "llama": (LlamaForCausalLM,),
    }
)
