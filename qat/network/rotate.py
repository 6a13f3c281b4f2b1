"""Rotations that are folded into the weights of a full-precision network before it is quantised.

A rotation mixes the elements of a vector, so that an outlier in one becomes a little of each and the steps of a
quantiser can be smaller (QuaRot, Ashkboos et al., NeurIPS 2024; SpinQuant, Liu et al., ICLR 2025).  Those here cost
nothing afterwards: the rotated network computes the same function with other weights, but for the rounding of floats.

values: of each head, R: W_v becomes R W_v, and the columns W_o of the output projection that read the head W_o R^T.
    Attention mixes tokens, not the elements of a value, so the two meet, whatever the network.
queries: of each head, one R for query and key: (R q) . (R k) = q . k.
residual: of the vectors between the blocks, Q: what writes them becomes Q W, what reads them W Q^T.  A layer norm
    before each reader subtracts the mean and divides by the deviation; Q keeps the vector of ones, and so both, and
    the norm's own weights are folded into its readers first.  After a block with the norm behind the sum, as in BERT,
    the norm's weights are part of the vector that goes on, and no reader can take them over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.bert.modeling_bert import BertSelfAttention
from transformers.models.deit.modeling_deit import DeiTAttention, DeiTForImageClassification, DeiTModel
from transformers.models.deit.modeling_deit import DeiTForImageClassificationWithTeacher as DeiTWithTeacher
from transformers.models.distilbert.modeling_distilbert import DistilBertSelfAttention
from transformers.models.roberta.modeling_roberta import RobertaSelfAttention
from transformers.models.swin.modeling_swin import SwinAttention
from transformers.models.vit.modeling_vit import ViTAttention, ViTForImageClassification

from qat.models import SReTAttention
from qat.settings import ROTATIONS
from siliquant.inputs import InputError, short

from .hadamard import mean_keeping_rotation, rotation

__all__ = ["rotate"]


class _Heads(NamedTuple):
    """The projections of one attention."""

    number: int
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear


@torch.no_grad()
def rotate(model: PreTrainedModel, kinds: Sequence[str], seed: int = 0) -> None:
    """Rotates a full-precision `model` in place; kinds: of ROTATIONS. The same seed gives the same rotations.

    InputError, with the model as it was, for an unknown kind, for `residual` of a network whose vectors between blocks
    cannot be rotated, for one without attention, and for sizes without a Hadamard matrix.
    """
    for kind in kinds:
        if kind not in ROTATIONS:
            raise InputError(f"a rotation must be one of {', '.join(ROTATIONS)}, not {short(kind)}")
    attentions = list(_attentions(model))
    if kinds and not attentions:
        raise InputError(f"a model of class {type(model).__name__} has no attention that is known here to be rotated")
    planned: list[Callable[[], None]] = []
    for kind in sorted(set(kinds)):
        # Draws of one kind do not depend on which others there are.
        drawn = np.random.SeedSequence([seed, ROTATIONS.index(kind)]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(drawn[0] >> 1))
        if kind == "residual":
            planned.append(_residual(model, generator))
        else:
            of_kind = _of_values if kind == "values" else _of_queries
            planned += [of_kind(heads, _of_heads(heads, generator)) for heads in attentions]
    for fold in planned:
        fold()


def _attentions(model: nn.Module) -> Iterator[_Heads]:
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, ViTAttention | DeiTAttention | SwinAttention | SReTAttention):
            yield _Heads(module.num_attention_heads, module.q_proj, module.k_proj, module.v_proj, module.o_proj)
        elif isinstance(module, DistilBertSelfAttention):
            yield _Heads(module.n_heads, module.q_lin, module.k_lin, module.v_lin, module.out_lin)
        elif isinstance(module, BertSelfAttention | RobertaSelfAttention):
            output = modules[f"{name.removesuffix('.self')}.output.dense"]
            assert isinstance(output, nn.Linear)
            yield _Heads(module.num_attention_heads, module.query, module.key, module.value, output)


def _of_heads(heads: _Heads, generator: torch.Generator) -> Tensor:
    """float64 [heads, size, size]."""
    size = heads.value.out_features // heads.number
    return torch.stack([rotation(size, generator) for _ in range(heads.number)])


def _of_values(heads: _Heads, matrices: Tensor) -> Callable[[], None]:
    def fold() -> None:
        _write(heads.value, matrices)
        _read(heads.output, matrices)

    return fold


def _of_queries(heads: _Heads, matrices: Tensor) -> Callable[[], None]:
    def fold() -> None:
        _write(heads.query, matrices)
        _write(heads.key, matrices)

    return fold


def _write(layer: nn.Linear | nn.Conv2d, matrices: Tensor) -> None:
    """The layer's outputs, in as many parts as there are matrices [parts, size, size], each times its matrix."""
    for tensor in (layer.weight, layer.bias):
        if tensor is not None:
            parts = tensor.detach().double().reshape(*matrices.shape[:2], -1)
            tensor.copy_((matrices.to(parts.device) @ parts).view(tensor.shape))


def _read(layer: nn.Linear, matrices: Tensor) -> None:
    """The layer for inputs whose parts were each multiplied by its matrix."""
    parts = layer.weight.detach().double().reshape(layer.out_features, *matrices.shape[:2])
    layer.weight.copy_(torch.einsum("opi,pji->opj", parts, matrices.to(parts.device)).reshape(layer.weight.shape))


def _residual(model: PreTrainedModel, generator: torch.Generator) -> Callable[[], None]:
    if not isinstance(model, ViTForImageClassification | DeiTForImageClassification | DeiTWithTeacher):
        raise InputError(
            f"residual must be rotated in a ViT or DeiT for images, not in {type(model).__name__}: elsewhere a layer "
            "norm, a pooling or a learned coefficient lies on the residual itself"
        )
    base: Any = model.base_model
    norms: list[tuple[nn.LayerNorm, list[nn.Linear]]] = []
    writers: list[nn.Linear | nn.Conv2d] = [base.embeddings.patch_embeddings.projection]
    for layer in base.layers:
        attention, mlp = layer.attention, layer.mlp
        norms.append((layer.layernorm_before, [attention.q_proj, attention.k_proj, attention.v_proj]))
        norms.append((layer.layernorm_after, [mlp.fc1]))
        writers += [attention.o_proj, mlp.fc2]
    norms.append((base.layernorm, [module for module in model.children() if isinstance(module, nn.Linear)]))
    for _, readers in norms:
        if not readers:
            raise InputError("residual must be rotated in a network with a classifier, which rotates it back")
        if any(reader.bias is None for reader in readers):
            raise InputError("residual must be rotated in a network with biases of query, key and value: qkv_bias")
    tokens: list[Tensor] = [base.embeddings.position_embeddings, base.embeddings.cls_token]
    if isinstance(base, DeiTModel):
        tokens.append(base.embeddings.distillation_token)
    matrix = mean_keeping_rotation(model.config.hidden_size, generator)[None]

    def fold() -> None:
        for norm, readers in norms:
            _take_over(norm, readers)
            for reader in readers:
                _read(reader, matrix)
        for writer in writers:
            _write(writer, matrix)
        for token in tokens:
            token.copy_(token.detach().double() @ matrix[0].T.to(token.device))

    return fold


def _take_over(norm: nn.LayerNorm, readers: list[nn.Linear]) -> None:
    """Folds the weight and bias of a norm into the layers that read it."""
    weight, bias = norm.weight.detach().double(), norm.bias.detach().double()
    for reader in readers:
        old = reader.weight.detach().double()
        reader.bias.copy_(reader.bias.detach().double() + old @ bias)
        reader.weight.copy_(old * weight)
    norm.weight.fill_(1.0)
    norm.bias.zero_()
