"""Names of weights in the checkpoints of timm, DeiT and the official Swin, for the Hugging Face models.

Those checkpoints hold query, key and value as one matrix `qkv`, in this order along the output features.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["is_buffer", "is_head", "names_of"]

_VIT = (
    (r"^(vit|deit)\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layers\.(\d+)\.", r"blocks.\1."),
    (r"^layernorm\.", "norm."),
    (r"^(cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "head_dist."),
)
_SWIN = (
    (r"^swin\.", ""),
    (r"^embeddings\.position_embeddings$", "absolute_pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^encoder\.layers\.", "layers."),
    (r"\.relative_position_bias\.", "."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head."),
)
_BLOCK = (
    (r"\.attention\.", ".attn."),
    (r"\.o_proj\.", ".proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
)


def names_of(
    model_type: str, model_keys: Iterable[str], checkpoint_keys: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Each name that a checkpoint of the network must have, with the model's names of the same weight.

    model_type is "vit", "deit" or "swin".  Mostly one name stands for one; `qkv` stands for three, in the order
    query, key, value.  The names that a checkpoint has tell two versions apart: patch merging belongs to the
    stage before it (official Swin, older timm) or after it (timm since 0.9), and Swin's head is `head` or
    `head.fc`.
    """
    table: dict[str, tuple[str, ...]] = {}
    # No stage comes before the first, so only the older numbering has one there.
    later = "layers.0.downsample.reduction.weight" not in checkpoint_keys
    nested_head = "head.fc.weight" in checkpoint_keys
    for key in model_keys:
        name = _substitute(key, (*(_SWIN if model_type == "swin" else _VIT), *_BLOCK))
        if model_type == "swin":
            if later:
                name = re.sub(r"^layers\.(\d+)\.downsample\.", lambda m: f"layers.{int(m[1]) + 1}.downsample.", name)
            if nested_head:
                name = re.sub(r"^head\.", "head.fc.", name)
        part = re.search(r"\.([qkv])_proj\.", name)
        if part:
            fused = name.replace(part[0], ".qkv.")
            if fused not in table:
                table[fused] = tuple(key.replace(part[0], f".{letter}_proj.") for letter in "qkv")
        else:
            table[name] = (key,)
    return table


def is_head(name: str) -> bool:
    """Whether a checkpoint's name is that of a classifier's weight or bias."""
    return re.fullmatch(r"(head|head\.fc|head_dist)\.(weight|bias)", name) is not None


def is_buffer(name: str) -> bool:
    """Whether it is one of Swin's tables that follow from the sizes alone and are not weights."""
    return re.fullmatch(r"layers\.\d+\.blocks\.\d+\.(attn\.relative_position_index|attn_mask)", name) is not None


def _substitute(name: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
