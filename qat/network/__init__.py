"""Quantised networks: layers, conversion of a full-precision model, losses, oscillation of weights.

In: a model and a scheme. Out: the same model with quantised layers. Read ``convert``, ``layers``, ``gemm`` (its integer
products), ``decoder`` (of texts, token by token), ``losses``, ``oscillation``, ``annealing``, ``reparameterised``
(query and key as one), ``rotate`` (of a full-precision network) with ``hadamard``, ``saving`` and ``state`` (what is
written of a network and read for it), ``tracing`` (its products by role and block).
"""

from __future__ import annotations

from .annealing import ConfidenceGuidedAnnealing
from .convert import (
    calibrate,
    check_codes,
    gemms,
    integer_engine,
    quantize_model,
    quantizers,
    query_key_products,
    weight_quantizers,
)
from .decoder import logits_in_steps
from .gemm import Engine, Product, exact_product
from .layers import QuantContext, QuantConv2d, QuantGemm, QuantLinear, QuantScores
from .losses import attention_distillation, hidden_state_distillation, soft_cross_entropy
from .oscillation import BinRegulariser, Freezer, OscillationTracker, bin_regulariser, regulariser_weight
from .rotate import rotate
from .saving import scheme_of
from .state import check_state, holds_quantised, load_quantised, load_state
from .tracing import ROLES, TracedGemm, role_of, sample, trace

__all__ = [
    "ROLES",
    "BinRegulariser",
    "ConfidenceGuidedAnnealing",
    "Engine",
    "Freezer",
    "OscillationTracker",
    "Product",
    "QuantContext",
    "QuantConv2d",
    "QuantGemm",
    "QuantLinear",
    "QuantScores",
    "TracedGemm",
    "attention_distillation",
    "bin_regulariser",
    "calibrate",
    "check_codes",
    "check_state",
    "exact_product",
    "gemms",
    "hidden_state_distillation",
    "holds_quantised",
    "integer_engine",
    "load_quantised",
    "load_state",
    "logits_in_steps",
    "quantize_model",
    "quantizers",
    "query_key_products",
    "regulariser_weight",
    "role_of",
    "rotate",
    "sample",
    "scheme_of",
    "soft_cross_entropy",
    "trace",
    "weight_quantizers",
]
