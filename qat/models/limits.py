"""How large a network of a config.json may be: its sizes decide memory and time before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN

from siliquant.inputs import InputError, short

__all__ = [
    "MOST_PARAMETERS",
    "QUANT_METHOD",
    "SIZES",
    "check_parameters",
    "check_scores",
    "check_sizes",
    "describing",
    "most_tokens",
    "own_quantisation",
]

QUANT_METHOD = "siliquant"
"""What quantization_config of config.json has as quant_method, as Hugging Face names it."""
MOST_PARAMETERS = 1 << 30
"""Parameters of the largest network: 4 GiB in float32."""
_MOST_SCORES = 1 << 28  # of one layer and input: 1 GiB in float32
_STAGES = 16
SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "image_size": (1, 4096), "patch_size": (1, 4096), "num_channels": (1, 64), "window_size": (1, 4096),
        "hidden_size": (1, 1 << 16), "intermediate_size": (1, 1 << 18), "embed_dim": (1, 1 << 14),
        "num_hidden_layers": (1, 256), "num_attention_heads": (1, 1024), "depths": (1, 64), "num_heads": (1, 1024),
        "vocab_size": (1, 1 << 22), "max_position_embeddings": (1, 1 << 20), "type_vocab_size": (1, 1024),
        "pad_token_id": (0, 1 << 22), "stem_strides": (1, 64), "widths": (1, 1 << 14), "recursions": (1, 64),
        "groups": (1, 1 << 12),
        "dim": (1, 1 << 16), "hidden_dim": (1, 1 << 18), "n_layers": (1, 256), "n_heads": (1, 1024),
        "num_labels": (1, 1 << 16), "encoder_stride": (1, 4096), "pooler_output_size": (1, 1 << 16),
        "num_key_value_heads": (1, 1024), "head_dim": (1, 1 << 14),
    }
)  # fmt: skip
"""Fields of config.json that are numbers or lists of them, with the lowest and highest value of each."""
# Of numbers that are no sizes: what no network that was trained lies outside of.
_SHARES = (0.0, 1.0)
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "layer_norm_eps": (1e-15, 1e-2), "rms_norm_eps": (1e-15, 1e-2), "initializer_range": (0.0, 100.0),
        "mlp_ratio": (1 / 64, 64.0), "projection_ratio": (1 / 64, 64.0), "hidden_dropout_prob": _SHARES,
        "attention_probs_dropout_prob": _SHARES, "classifier_dropout": _SHARES, "drop_path_rate": _SHARES,
        "dropout": _SHARES, "attention_dropout": _SHARES, "seq_classif_dropout": _SHARES,
    }
)  # fmt: skip
# What is no part of the network, though the configuration has a place for it: how results are handed over.
_HANDING_OVER = frozenset(
    {"return_dict", "output_hidden_states", "output_attentions", "problem_type", "chunk_size_feed_forward",
     "is_encoder_decoder", "use_cache", "tie_word_embeddings", "dtype", "transformers_version", "architectures"}
)  # fmt: skip
_LABELS = ("num_labels", "id2label", "label2id")
# What makes another network of the same weights: attention that sees no later text, attention to another network.
_OTHER_NETWORKS = ("is_decoder", "add_cross_attention", "is_encoder_decoder")


def describing(kind: type[PreTrainedConfig], values: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``values`` describes the network, by the fields that its configuration has, and its labels.

    Everything else is left out: what would choose code, types, or how results are handed over. Raises InputError for
    weights that are quantised, and for what would make another network of the same weights.
    """
    if values.get("quantization_config") and own_quantisation(values) is None:
        raise InputError("quantization_config must not be there: the weights must be those of full precision")
    for name in _OTHER_NETWORKS:
        if values.get(name):
            raise InputError(f"{name} must be false for a classifier, not {short(values[name])}")
    _check_fields(values)
    known = {each.name for each in fields(kind) if not each.name.startswith("_")} - _HANDING_OVER
    if "rope_parameters" in known:  # as earlier versions of transformers wrote it
        known |= {"rope_theta", "rope_scaling"}
    return {name: value for name, value in values.items() if name in known or name in _LABELS}


def _check_fields(values: Mapping[str, Any]) -> None:
    """Raises InputError for what would be read as another network than the one that it says, or fail in one's midst."""
    positions = values.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise InputError(f"position_embedding_type must be absolute, not {short(positions)}")
    for name in ("hidden_act", "activation"):
        if isinstance(values.get(name), str) and values[name] not in ACT2FN:
            raise InputError(f"{name} must be one that transformers has, as gelu or relu, not {short(values[name])}")
    pad, words = values.get("pad_token_id", 0), values.get("vocab_size")
    if isinstance(pad, int) and isinstance(words, int) and pad >= words:
        raise InputError(f"pad_token_id must be below vocab_size, {words}, not {short(pad)}")
    if values.get("model_type") != "roberta":
        return
    if pad is None:
        raise InputError("pad_token_id must be a number for roberta, whose positions begin behind it, not None")
    most = values.get("max_position_embeddings")
    if isinstance(pad, int) and isinstance(most, int) and most < pad + 2:
        raise InputError(f"max_position_embeddings must be at least {pad + 2}, with pad_token_id {pad}, not {most}")


def most_tokens(config: PreTrainedConfig) -> int | None:
    """Tokens of the longest text that the network has positions for; None where it takes none or says none.

    The positions of RoBERTa begin behind that of padding.
    """
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int):
        return None
    return most - (config.pad_token_id or 0) - 1 if config.model_type == "roberta" else most


def own_quantisation(values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The quantization_config of a config.json where it is one of ours, else None."""
    found = values.get("quantization_config")
    return found if isinstance(found, dict) and found.get("quant_method") == QUANT_METHOD else None


def check_sizes(values: Mapping[str, Any]) -> None:
    """Raises InputError that names the first field out of range; types are left to the configuration's own check."""
    if isinstance(values.get("image_size"), list | tuple):
        raise InputError(f"image_size must be one number, of square images, not {short(values['image_size'])}")
    for name, (low, high) in SIZES.items():
        for number in _numbers(name, values.get(name)):
            if not low <= number <= high:
                raise InputError(f"{name} must be from {low} to {high}, not {short(number)}")
    for name, (least, most) in _RANGES.items():
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value <= most:
            raise InputError(f"{name} must be from {least:g} to {most:g}, not {short(value)}")
    for name in ("id2label", "label2id"):
        entries = values.get(name)
        if isinstance(entries, dict) and len(entries) > SIZES["num_labels"][1]:
            raise InputError(f"{name} must have at most {SIZES['num_labels'][1]} entries, not {len(entries)}")


def check_parameters(kind: type[PreTrainedModel], config: PreTrainedConfig, most: int = MOST_PARAMETERS) -> None:
    """Makes the network without memory for its weights. Raises InputError for more than ``most`` of them, and for
    images of too many patches; whatever the network itself says against its configuration passes.
    """
    _check_patches(config)
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in kind(config).parameters())
    if count > most:
        raise InputError(f"the network must have at most {most} parameters, not {count}")


def check_scores(heads: int, queries: int, keys: int) -> None:
    """Raises InputError where attention would have more scores in one layer than fit into memory."""
    if heads * queries * keys > _MOST_SCORES:
        raise InputError(
            f"attention must have at most {_MOST_SCORES} scores a layer, not {heads} heads of {queries} x {keys}"
        )


def _check_patches(config: PreTrainedConfig) -> None:
    size, patch = getattr(config, "image_size", None), getattr(config, "patch_size", None)
    if not isinstance(size, int) or not isinstance(patch, int):
        return
    if patch > size:
        raise InputError(f"patch_size must be at most image_size, {size}, not {patch}")
    tokens, window = (size // patch) ** 2, getattr(config, "window_size", None)
    heads = _numbers("num_heads", getattr(config, "num_heads", None) or getattr(config, "num_attention_heads", 1))
    check_scores(int(max(heads, default=1)), tokens, min(window**2, tokens) if isinstance(window, int) else tokens)


def _numbers(name: str, value: Any, level: int = 0) -> list[int | float]:
    """The numbers of a field, also in lists of lists."""
    if isinstance(value, list | tuple):
        if len(value) > _STAGES or level > 2:
            raise InputError(f"{name} must be a list of at most {_STAGES} numbers, not {short(value)}")
        return [number for each in value for number in _numbers(name, each, level + 1)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []
