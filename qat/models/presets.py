"""The networks by name: their configurations, fresh models, and model classes by what config.json says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    PreTrainedConfig,
    PreTrainedModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from qat.files import quietly
from qat.settings import PRESET_NAMES
from siliquant.inputs import InputError, InputTypeError, short

from .limits import SIZES, check_parameters, check_sizes, describing
from .sret import SReTConfig, SReTForImageClassification

__all__ = [
    "PRESET_NAMES",
    "Preset",
    "config_from_dict",
    "from_config",
    "model_class",
    "model_classes",
    "preset",
]


@dataclass(frozen=True, slots=True)
class Preset:
    """A network by name; family is its Hugging Face model type: "vit", "swin", "sret" or "bert"."""

    name: str
    family: str
    config: PreTrainedConfig


def preset(name: str, *, image_size: int | None = None) -> Preset:
    """The preset of that name, with a configuration of its own, for images of `image_size` pixels if that is given.

    ValueError for an unknown name lists the names.
    """
    if name not in _CONFIGS:
        raise InputError(f"preset must be one of {', '.join(PRESET_NAMES)}, not {name!r}")
    config = _CONFIGS[name]()
    if image_size is not None:
        check_sizes({"image_size": image_size})
        if not hasattr(config, "image_size"):
            raise InputError(f"image_size must not be given for {name}, which takes no images")
        config.image_size = image_size
    return Preset(name, config.model_type, config)


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


def config_from_dict(model: type[PreTrainedModel], values: Mapping[str, Any]) -> PreTrainedConfig:
    """The configuration of a model class from what config.json holds.  ValueError for a value it cannot have."""
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
    try:
        check_parameters(model, config)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"the configuration makes no {kind.model_type}: {_one_line(error)}") from error
    return config


def from_config(config_dict: Mapping[str, Any]) -> PreTrainedModel:
    """An untrained model in training mode from what config.json holds, to be filled with weights.

    "model_type" and the first of "architectures" choose the class.  TypeError unless it is a mapping;
    ValueError for a class that is not one of ours or a value that its configuration cannot have.
    """
    if not isinstance(config_dict, Mapping):
        raise InputTypeError(f"config_dict must be a mapping as in config.json, not {config_dict!r}")
    architectures = config_dict.get("architectures")
    if not isinstance(architectures, (list, tuple)) or not architectures:
        raise InputError(f'"architectures" must be a list with the name of the model class, not {architectures!r}')
    kind = model_class(str(config_dict.get("model_type")), str(architectures[0]))
    return instance(kind, config_from_dict(kind, config_dict))


def instance(kind: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    config.architectures = [kind.__name__]
    return kind(config)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if not isinstance(error, ValueError | TypeError):  # a KeyError says the key alone
        text = f"{type(error).__name__} {text}"
    return text if len(text) <= 300 else f"{text[:297]}..."


def _deit(width: int, heads: int) -> ViTConfig:
    """DeiT without distillation token (Touvron et al., ICML 2021): a ViT of 12 layers on 16 x 16 patches."""
    return ViTConfig(
        hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width, layer_norm_eps=1e-6, qkv_bias=True
    )


def _swin(depth: int, drop_path_rate: float) -> SwinConfig:
    """Swin (Liu et al., ICCV 2021), 224 x 224 pixels, window 7; `depth` is that of the third stage."""
    return SwinConfig(
        embed_dim=96,
        depths=(2, 2, depth, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=drop_path_rate,
    )


# About 1 / sqrt(width) of the small networks: the usual 0.02 is that of width 2500, and slow to leave.
_SMALL_RANGE = 0.1


def _vit_mnist() -> ViTConfig:
    """16 patches of 7 x 7 pixels."""
    return ViTConfig(
        image_size=28,
        patch_size=7,
        num_channels=1,
        hidden_size=96,
        num_hidden_layers=6,
        num_attention_heads=3,
        intermediate_size=384,
        layer_norm_eps=1e-6,
        initializer_range=_SMALL_RANGE,
    )


def _swin_mnist() -> SwinConfig:
    """A 14 x 14 grid in windows of 7 x 7, plain and shifted, then a 7 x 7 grid: no padding anywhere."""
    return SwinConfig(
        image_size=28,
        patch_size=2,
        num_channels=1,
        embed_dim=32,
        depths=(2, 2),
        num_heads=(2, 4),
        window_size=7,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        initializer_range=_SMALL_RANGE,
    )


def _sret_mnist() -> SReTConfig:
    """Grids of 14 x 14 and 7 x 7 as in SReT-T's last stages; the stem has only one stride."""
    return SReTConfig(
        image_size=28,
        num_channels=1,
        stem_strides=(2, 1, 1),
        widths=(32, 64),
        depths=(1, 1),
        num_heads=(2, 4),
        groups=((4, 2), (1, 1)),
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        initializer_range=_SMALL_RANGE,
    )


def _minilm() -> BertConfig:
    """all-MiniLM-L6-v2: six layers of width 384 with 12 heads."""
    return BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)


_CONFIGS: Mapping[str, Callable[[], PreTrainedConfig]] = MappingProxyType(
    {
        "deit-tiny": lambda: _deit(192, 3),
        "deit-small": lambda: _deit(384, 6),
        "deit-base": lambda: _deit(768, 12),
        "swin-tiny": lambda: _swin(6, 0.2),
        "swin-small": lambda: _swin(18, 0.3),
        "sret-tiny": SReTConfig,
        "bert-base": BertConfig,
        "minilm": _minilm,
        "vit-mnist": _vit_mnist,
        "swin-mnist": _swin_mnist,
        "sret-mnist": _sret_mnist,
    }
)

# The usual class of each model type first.
_CLASSES: Mapping[str, tuple[type[PreTrainedModel], ...]] = MappingProxyType(
    {
        "vit": (ViTForImageClassification,),
        "deit": (DeiTForImageClassificationWithTeacher, DeiTForImageClassification),
        "swin": (SwinForImageClassification,),
        "sret": (SReTForImageClassification,),
        "bert": (BertForSequenceClassification,),
    }
)
