"""What a decoder of texts must be to be known here: Hugging Face's Llama, whose attention sees what came before."""

from __future__ import annotations

from transformers import PreTrainedConfig

from siliquant.inputs import InputError, short

__all__ = ["check_decoder", "is_decoder"]

_ROTARY = frozenset({"rope_type", "rope_theta"})


def is_decoder(config: PreTrainedConfig) -> bool:
    """Whether its network says the next token at each place, with a cache of keys and values."""
    return config.model_type == "llama"


def check_decoder(config: PreTrainedConfig) -> None:
    """InputError for a decoder with something in it that is not known: another gate than SiLU, positions that are
    scaled or rotate a part of a head; and for heads that cannot be shared.
    """
    if not is_decoder(config):
        return
    if config.hidden_act not in ("silu", "swish"):
        raise InputError(f"hidden_act of a decoder must be silu, not {short(config.hidden_act)}")
    rotary = dict(config.rope_parameters or {})
    if (kind := rotary.get("rope_type", "default")) != "default":
        raise InputError(f"rope_type must be default, with positions as they are, not {short(kind)}")
    if unknown := sorted(map(str, rotary.keys() - _ROTARY)):
        raise InputError(f"rope_parameters must be rope_type and rope_theta, and none is called {short(unknown[0])}")
    theta = rotary.get("rope_theta")
    if not isinstance(theta, int | float) or isinstance(theta, bool) or not 1 < theta <= 1e12:
        raise InputError(f"rope_theta must be a number above 1 and of at most 1e12, not {short(theta)}")
    heads, shared = config.num_attention_heads, config.num_key_value_heads
    if heads % shared:
        raise InputError(f"num_attention_heads must be a multiple of num_key_value_heads, {shared}, not {heads}")
