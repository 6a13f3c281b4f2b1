"""What a decoder of texts must be to be known here: Hugging Face's Llama, whose attention sees what came before."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from transformers import PreTrainedConfig

from siliquant.inputs import InputError, short

__all__ = ["check_decoder", "is_decoder"]

_ROTARY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "default": (),
        "linear": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    }
)
"""What kinds of rotary positions have beside their base, rope_theta."""
_MOST = 1e12


def is_decoder(config: PreTrainedConfig) -> bool:
    """Whether its network says the next token at each place, with a cache of keys and values."""
    return config.model_type == "llama"


def check_decoder(config: PreTrainedConfig) -> None:
    """InputError for a decoder with something in it that is not known: another gate than SiLU, other rotary positions;
    and for heads that cannot be shared.
    """
    if not is_decoder(config):
        return
    if config.hidden_act not in ("silu", "swish"):
        raise InputError(f"hidden_act of a decoder must be silu, not {short(config.hidden_act)}")
    _check_rotary(dict(config.rope_parameters or {}))
    heads, shared = config.num_attention_heads, config.num_key_value_heads
    if heads % shared:
        raise InputError(f"num_attention_heads must be a multiple of num_key_value_heads, {shared}, not {heads}")


def _check_rotary(found: dict[str, Any]) -> None:
    """InputError unless frequencies are the same for every text, and all of a head is rotated by them."""
    kind = found.get("rope_type", "default")
    if not isinstance(kind, str) or kind not in _ROTARY:
        raise InputError(f"rope_type must be one of {', '.join(_ROTARY)}, not {short(kind)}")
    known = ("rope_theta", *_ROTARY[kind])
    if unknown := sorted(map(str, found.keys() - {"rope_type", *known})):
        raise InputError(
            f"rope_parameters of {kind} must be {', '.join(known)}, and none is called {short(unknown[0])}"
        )
    for name in known:
        value, least = found.get(name), 1 if name == "rope_theta" else 0
        if not isinstance(value, int | float) or isinstance(value, bool) or not least < value <= _MOST:
            raise InputError(f"{name} must be a number above {least} and of at most {_MOST:g}, not {short(value)}")
    if kind == "llama3" and found["high_freq_factor"] <= found["low_freq_factor"]:
        low, high = found["low_freq_factor"], found["high_freq_factor"]
        raise InputError(f"high_freq_factor must be above low_freq_factor, {low}, not {high}")
