"""Tokens one at a time: the keys and values of those before are not computed again, but kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from siliquant.inputs import InputError

__all__ = ["cache_of_zeros", "logits_in_steps"]

_INPUTS = frozenset({"input_ids", "attention_mask"})


def logits_in_steps(model: nn.Module, inputs: Mapping[str, Tensor], steps: int) -> Tensor:
    """float32 [batch, tokens, vocabulary] of a decoder, of whose tokens the last ``steps`` are computed one at a time
    with a cache of keys and values, after all others at once.

    In evaluation they are those of all tokens at once, bit for bit, but where a token is masked.

    InputError for other inputs than input_ids [batch, tokens] and attention_mask, and unless a token is left for the
    first part.
    """
    if unknown := sorted(set(inputs) - _INPUTS):
        raise InputError(f"inputs of a decoder must be input_ids and attention_mask, and none is called {unknown[0]}")
    tokens = inputs["input_ids"].shape[1]
    if not 0 <= steps < tokens:
        raise InputError(f"steps must be from 0 to {tokens - 1} for {tokens} tokens, not {steps}")
    done, cache, parts = 0, None, []
    for end in range(tokens - steps, tokens + 1):
        given = {"input_ids": inputs["input_ids"][:, done:end]}
        if "attention_mask" in inputs:  # of what is in the cache, too
            given["attention_mask"] = inputs["attention_mask"][:, :end]
        found = model(**given, past_key_values=cache, use_cache=True)
        parts.append(found.logits)
        done, cache = end, found.past_key_values
    return torch.cat(parts, 1)


def cache_of_zeros(model: PreTrainedModel, tokens: int) -> DynamicCache:
    """Keys and values of one sample of that many tokens, all 0: for shapes."""
    cache, config = DynamicCache(config=model.config), model.config
    for layer in range(config.num_hidden_layers):
        zeros = torch.zeros(1, config.num_key_value_heads, tokens, config.head_dim, device=model.device)
        cache.update(zeros, zeros, layer)
    return cache
