"""The networks by name or by a folder that describes one: their configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from transformers import BertConfig, DeiTConfig, LlamaConfig, PreTrainedConfig, SwinConfig, ViTConfig

from qat.settings import PRESET_NAMES
from siliquant.inputs import InputError, short

from .folders import folder_config
from .limits import MOST_PARAMETERS, check_sizes
from .sret import SReTConfig

__all__ = ["PRESET_NAMES", "Preset", "is_preset", "preset"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A network by name; family is its Hugging Face model type: "vit", "deit" (distilled), "swin", "sret", "bert"
    or "llama". source: where its sizes come from, empty where ``qat.models.presets`` alone says it.
    """

    name: str
    family: str
    config: PreTrainedConfig
    source: str = ""


def is_preset(text: str) -> bool:
    """Whether it is the name of a preset, which a folder of that name does not hide."""
    return text in _CONFIGS


def preset(text: str, *, image_size: int | None = None, most_parameters: int = MOST_PARAMETERS) -> Preset:
    """The network that `--model` means, with a configuration of its own: a preset by name, or what a Hugging Face
    folder (its config.json; weights are not looked at) or a run (its run.json) describes, by the folder's name.

    image_size: of images, in pixels, where it is not the network's own. most_parameters: of a Hugging Face folder's
    network.  ValueError for what is neither lists the
    names; InputError as `qat.models.folders.folder_config`.
    """
    if is_preset(text):
        name, config = text, _CONFIGS[text]()
    elif text and "\0" not in text and Path(text).is_dir():
        name, found = Path(text).resolve().name, folder_config(Path(text), most_parameters)
        if found is None:
            raise InputError(f"{text} is a folder of timm, which does not describe its network: give its name instead")
        config = found
    else:
        raise InputError(
            f"model must be one of {', '.join(PRESET_NAMES)}, or a folder with a config.json, not {short(text)}"
        )
    if image_size is not None:
        check_sizes({"image_size": image_size})
        if not hasattr(config, "image_size"):
            raise InputError(f"image_size must not be given for {text}, which takes no images")
        config.image_size = image_size
    return Preset(name, config.model_type, config, _SOURCES.get(text, ""))


def _deit(width: int, heads: int) -> ViTConfig:
    """DeiT without distillation token (Touvron et al., ICML 2021): a ViT of 12 layers on 16 x 16 patches."""
    return ViTConfig(
        hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width, layer_norm_eps=1e-6, qkv_bias=True
    )


def _distilled(width: int, heads: int) -> DeiTConfig:
    """DeiT with distillation token (the same paper, section 4): a second head, and the mean of both as logits."""
    return DeiTConfig(
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


def _vit_cifar(width: int, layers: int, heads: int, initializer_range: float) -> ViTConfig:
    """64 patches of 4 x 4 pixels in colour."""
    return ViTConfig(
        image_size=32,
        patch_size=4,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        layer_norm_eps=1e-6,
        initializer_range=initializer_range,
    )


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


def _llama_small() -> LlamaConfig:
    """A decoder of bytes: two layers of width 64, four heads of queries on two of keys and values."""
    return LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
        initializer_range=_SMALL_RANGE,
    )


def _smollm2() -> LlamaConfig:
    """SmolLM2-135M: nine heads of queries on three of keys and values. Its last layer shares the weight of the
    embedding; here it has its own, since that is quantised.
    """
    return LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        max_position_embeddings=8192,
        initializer_range=1 / 24,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        tie_word_embeddings=False,
    )


_SOURCES: Mapping[str, str] = MappingProxyType(
    {"smollm2-135m": "config.json of HuggingFaceTB/SmolLM2-135M on Hugging Face; Allal et al., 2025, arXiv 2502.02737"}
)
_CONFIGS: Mapping[str, Callable[[], PreTrainedConfig]] = MappingProxyType(
    {
        "deit-tiny": lambda: _deit(192, 3),
        "deit-small": lambda: _deit(384, 6),
        "deit-base": lambda: _deit(768, 12),
        "deit-tiny-distilled": lambda: _distilled(192, 3),
        "deit-small-distilled": lambda: _distilled(384, 6),
        "deit-base-distilled": lambda: _distilled(768, 12),
        "swin-tiny": lambda: _swin(6, 0.2),
        "swin-small": lambda: _swin(18, 0.3),
        "sret-tiny": SReTConfig,
        "bert-base": BertConfig,
        "minilm": _minilm,
        "vit-cifar": lambda: _vit_cifar(96, 6, 3, _SMALL_RANGE),
        "vit-cifar-large": lambda: _vit_cifar(192, 9, 6, 0.07),
        "vit-mnist": _vit_mnist,
        "swin-mnist": _swin_mnist,
        "sret-mnist": _sret_mnist,
        "llama-small": _llama_small,
        "smollm2-135m": _smollm2,
    }
)
