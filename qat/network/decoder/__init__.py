"""What a decoder of texts has beyond other networks: float functions of each token alone, a cache of keys and values.

In: modules of transformers' Llama; a quantised decoder and tokens. Out: modules in their place; logits that were
computed a token at a time. Read ``floats``, then ``cache``.
"""

from __future__ import annotations

from .cache import cache_of_zeros, logits_in_steps
from .floats import SteadyNorm, SteadyRotary, SteadySiLU, SteadySoftmax

__all__ = ["SteadyNorm", "SteadyRotary", "SteadySiLU", "SteadySoftmax", "cache_of_zeros", "logits_in_steps"]
