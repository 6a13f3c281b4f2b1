"""The matrix products that a network asks for, each with its role and the block it belongs to, found by running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaAttention

from qat.models import is_decoder
from qat.settings import Scheme
from siliquant.inputs import InputError

from .convert import gemms, integer_engine, quantize_model, quantizers
from .decoder import cache_of_zeros
from .gemm import Product
from .layers import QuantContext, QuantConv2d, QuantGemm, QuantLinear, QuantScores

__all__ = ["ROLES", "TracedGemm", "role_of", "sample", "trace"]

ROLES: tuple[tuple[str, str], ...] = (
    ("*patch_embeddings.projection", "patch_embedding"),
    ("*.embeddings.stem.*", "stem"),
    ("*.downsamples.*", "downsampling"),
    ("*.downsample.reduction", "downsampling"),
    ("*.projections.*.mlp.fc1", "projection_fc1"),
    ("*.projections.*.mlp.fc2", "projection_fc2"),
    ("*.q_proj", "query"),
    ("*.query", "query"),
    ("*.k_proj", "key"),
    ("*.key", "key"),
    ("*.v_proj", "value"),
    ("*.value", "value"),
    ("*.q_lin", "query"),
    ("*.k_lin", "key"),
    ("*.v_lin", "value"),
    ("*.scores", "scores"),
    ("*.context", "context"),
    ("*.o_proj", "projection"),
    ("*.attention.output.dense", "projection"),
    ("*.attention.out_lin", "projection"),
    ("*.mlp.fc1", "fc1"),
    ("*.ffn.lin1", "fc1"),
    ("*.ffn.lin2", "fc2"),
    ("*.intermediate.dense", "fc1"),
    ("*.mlp.fc2", "fc2"),
    ("*.mlp.gate_proj", "gate"),
    ("*.mlp.up_proj", "up"),
    ("*.mlp.down_proj", "down"),
    ("*.output.dense", "fc2"),
    ("*.pooler.dense", "pooler"),
    ("classifier.dense", "pooler"),
    ("pre_classifier", "pooler"),
    ("classifier.out_proj", "classifier"),
    ("*classifier", "classifier"),
    ("lm_head", "lm_head"),
)
"""The role of a GEMM by a pattern of its name; the first that matches."""
_OUTSIDE = ("patch_embedding", "stem", "downsampling", "pooler", "classifier", "lm_head")
_BY_HEAD = ("query", "key", "value", "scores", "context", "projection")
_ENDS_BITS, _BODY_BITS = 8, 4  # any two widths that differ tell the ends from the body


@dataclass(frozen=True, kw_only=True)
class TracedGemm:
    """One call of one GEMM: ``count`` products of [m, k] codes by [n, k] codes.

    Args:
        name: in the network, as integer files and records of simulations have it.
        role: one of ROLES.
        layer: number of the block it belongs to, in the order of first use; None outside of blocks.
        call: 0 for the first use of this name, 1 for the next (a block that is applied again), and so on.
        m, k, n: rows of activations, length of sums, columns of weights or of the second operand.
        count: matrices: heads times windows of an attention product, channels of a depthwise convolution; else 1.
        heads: of the attention it belongs to, of keys and values their own; 1 elsewhere.
        ends: whether it has the width of the first and last layers rather than that of the body.
        activation_signed: whether the first operand is signed; the second always is.
        static: whether the second operand is a weight, not an activation.
        bias: whether a bias is added.
        feeds_gemm: whether its sums become codes of another GEMM with nothing between.
    """

    name: str
    role: str
    layer: int | None
    call: int
    m: int
    k: int
    n: int
    count: int
    heads: int
    ends: bool
    activation_signed: bool
    static: bool
    bias: bool
    feeds_gemm: bool


def role_of(name: str) -> str:
    """The role of the GEMM of that name.  Raises ValueError where no pattern matches."""
    for pattern, role in ROLES:
        if fnmatchcase(name, pattern):
            return role
    raise InputError(f"the name of a GEMM must tell its role, and {name} matches no pattern of qat.network.ROLES")


@torch.no_grad()
def trace(model: nn.Module, inputs: Mapping[str, Tensor], *, cached: int = 0) -> tuple[TracedGemm, ...]:
    """Every GEMM call of ``model``, which must not be quantised yet, on ``inputs`` (one sample), in order of execution.

    cached: of a decoder, tokens whose keys and values are in its cache before these inputs; its last layer computes the
    last token alone, and it may be on meta, where it has shapes and no numbers. The model is quantised in place; its
    numbers mean nothing afterwards. Raises ValueError as quantize_model, and for a GEMM without a role.
    """
    # One scale for the input of the output projection: the projection is then one GEMM, not one a head.
    scheme = Scheme(_BODY_BITS, _BODY_BITS, _ENDS_BITS, output_by_head=False, scale_start="mean")
    quantised = quantize_model(model, scheme, fit_weights=False)  # type: ignore[arg-type]
    for quantizer in quantizers(quantised).values():
        if quantizer.relative.is_meta:
            quantizer.calibrated = True
        else:
            quantizer.set_scale(torch.ones_like(quantizer.scale))
    layers = gemms(quantised)
    feeding = _feeding(layers)
    found: list[TracedGemm] = []
    blocks: dict[str, int] = {}
    block: list[int | None] = [None]

    def engine(product: Product) -> Tensor:
        left, right = product.left, product.right
        layer, role = layers[product.name], role_of(product.name)
        if role == "query":
            block[0] = blocks.setdefault(product.name, len(blocks))
        *batch, m, k = left.shape
        count = 1
        for size in batch:
            count *= size
        static = isinstance(layer, QuantLinear | QuantConv2d)
        if right.ndim == 2:  # one weight for all: their rows are rows of one matrix
            m, count = m * count, 1
        found.append(
            TracedGemm(
                name=product.name,
                role=role,
                layer=None if role in _OUTSIDE else block[0],
                call=sum(gemm.name == product.name for gemm in found),
                m=m,
                k=k,
                n=right.shape[-2],
                count=count,
                heads=_heads(quantised, product.name, role) if role in _BY_HEAD else 1,
                ends=product.right_bits == _ENDS_BITS,
                activation_signed=product.left_signed,
                static=static,
                bias=static and getattr(layer, "bias", None) is not None,
                feeds_gemm=product.name in feeding,
            )
        )
        shape = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        return torch.zeros(*shape, left.shape[-2], right.shape[-2], dtype=torch.int64, device=left.device)

    more: dict[str, Any] = {"past_key_values": cache_of_zeros(quantised, cached)} if cached else {}
    if is_decoder(quantised.config):
        more["logits_to_keep"] = 1  # as generation asks for
    with integer_engine(quantised, engine):
        quantised(**inputs, **more)
    return tuple(found)


def _feeding(layers: Mapping[str, QuantGemm]) -> frozenset[str]:
    """Names of the GEMMs whose outputs another reads as they are: as qat.integers.requantise finds them."""
    found: set[str] = set()
    for layer in layers.values():
        if isinstance(layer, QuantScores | QuantContext):
            found |= {source for source in layer.sources if isinstance(layers.get(source), QuantLinear)}
        elif isinstance(layer, QuantLinear):
            found |= {source for source in layer.sources[:1] if isinstance(layers.get(source), QuantContext)}
    return frozenset(found)


def _heads_of(module: nn.Module, role: str) -> int | None:
    if isinstance(module, LlamaAttention):
        shared = role in ("key", "value")
        return module.config.num_key_value_heads if shared else module.config.num_attention_heads
    return getattr(module, "num_attention_heads", None) or getattr(module, "n_heads", None)


def _heads(model: nn.Module, name: str, role: str) -> int:
    """Heads of the attention module that the GEMM is in; of keys and values where queries share them."""
    path = name
    while path:
        path = path.rpartition(".")[0]
        for place in (path, f"{path}.self" if path else "self"):  # BERT's output projection lies beside its attention
            try:
                heads = _heads_of(model.get_submodule(place), role)
            except AttributeError:
                continue
            if isinstance(heads, int):
                return heads
    raise InputError(f"{name} must be in an attention module with num_attention_heads")


def sample(config: object, tokens: int) -> dict[str, Tensor]:
    """One input of the network: an image of zeros, or ``tokens`` tokens."""
    size = getattr(config, "image_size", None)
    if size is not None:
        return {"pixel_values": torch.zeros(1, getattr(config, "num_channels", 3), size, size)}
    shape = (1, tokens)
    return {
        "input_ids": torch.zeros(shape, dtype=torch.int64),
        "attention_mask": torch.ones(shape, dtype=torch.int64),
    }
