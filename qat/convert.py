"""Quantises Hugging Face ViT, DeiT, Swin and BERT models, and our SReT, in place.

The model keeps its classes and its forward code: linear layers and convolutions are replaced by quantised ones, and
attention is computed by `qat.layers.quantized_attention` through transformers' own table of attention functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface
from transformers.models.bert.modeling_bert import BertIntermediate, BertLayer, BertPooler, BertSelfAttention
from transformers.models.deit.modeling_deit import DeiTAttention, DeiTMLP
from transformers.models.swin.modeling_swin import SwinAttention, SwinMLP, SwinPatchMerging
from transformers.models.vit.modeling_vit import ViTAttention, ViTMLP

from siliquant.errors import InputError

from .binary import ElasticBinarizer
from .gemm import Engine
from .granularity import Granularity, PerChannel, PerHead, PerTensor
from .layers import QuantContext, QuantConv2d, QuantGemm, QuantLinear, QuantScores, quantized_attention
from .models.sret import SReTAttention, SReTMLP
from .quantizer import Quantizer, StatisticalQuantizer
from .scheme import Bits, Scheme

__all__ = ["calibrate", "gemms", "integer_engine", "quantize_model", "quantizers", "weight_quantizers"]

_ATTENTION = "siliquant"
AttentionInterface.register(_ATTENTION, quantized_attention)
AttentionMaskInterface.register(_ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["eager"])

_PROJECTIONS = (ViTAttention, DeiTAttention, SwinAttention, SReTAttention)
_MLPS = (ViTMLP, DeiTMLP, SwinMLP, SReTMLP)


def quantize_model(model: PreTrainedModel, scheme: Scheme, *, fit_weights: bool = True) -> PreTrainedModel:
    """Makes `model` a quantised one by `scheme`, in place, and returns it.

    Weight scales start at the least squared error (`fit_weights`; not needed when a state dict is loaded next).
    Activation scales need `calibrate` or a state dict.

    Raises:
        ValueError: the model is quantised already, has no layer that can be quantised, or an override of the scheme
            matches no GEMM of it.
    """
    if gemms(model):
        raise InputError("the model must not be quantised yet")
    builder = _Builder(model, scheme)
    for name, module in list(model.named_modules()):
        if isinstance(module, _PROJECTIONS):
            _attention(builder, name, module, ("q_proj", "k_proj", "v_proj"), module.num_attention_heads)
            builder.linear(f"{name}.o_proj", (f"{name}.context",), reduced_heads=module.num_attention_heads)
        elif isinstance(module, BertSelfAttention):
            _attention(builder, name, module, ("query", "key", "value"), module.num_attention_heads)
            output = f"{name.removesuffix('.self')}.output.dense"
            builder.linear(output, (f"{name}.context",), reduced_heads=module.num_attention_heads)
        elif isinstance(module, _MLPS):
            builder.linear(f"{name}.fc1", (f"{_parent(name)} (normalised)",))
            builder.linear(f"{name}.fc2", (f"{name}.fc1",), rectified=True)
        elif isinstance(module, BertIntermediate):
            builder.linear(f"{name}.dense", (f"{_parent(name)}.attention.output",))
        elif isinstance(module, BertLayer):
            builder.linear(f"{name}.output.dense", (f"{name}.intermediate.dense",), rectified=True)
        elif isinstance(module, SwinPatchMerging):
            builder.linear(f"{name}.reduction", (f"{name}.norm",))
        elif isinstance(module, BertPooler):
            builder.linear(f"{name}.dense", (_parent(name),), first_or_last=True)
    for name, module in list(model.named_modules()):
        # What is left: patch embedding, stem and transition convolutions, classifiers.
        if isinstance(module, nn.Conv2d):
            builder.convolution(name)
        elif isinstance(module, nn.Linear):
            builder.linear(name, (_parent(name) or "pooled tokens",), first_or_last=True)
    if not builder.names:
        raise InputError(f"a model of class {type(model).__name__} has no layer that can be quantised")
    if unused := scheme.unused(builder.names):
        raise InputError(f"overrides must match a GEMM of the model, but {', '.join(unused)} match none")
    if fit_weights:
        for weight, quantizer in weight_quantizers(model).values():
            quantizer.fit(weight)
    model.config._attn_implementation = _ATTENTION
    return model


def gemms(model: nn.Module) -> dict[str, QuantGemm]:
    """The quantised layers by GEMM name, in the order of the modules."""
    return {m.gemm_name: m for m in model.modules() if isinstance(m, QuantGemm)}


def quantizers(model: nn.Module) -> dict[str, Quantizer]:
    """All quantisers by module name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Quantizer)}


def weight_quantizers(model: nn.Module) -> dict[str, tuple[nn.Parameter, Quantizer]]:
    """Weight and quantiser of each GEMM that has a weight, by GEMM name."""
    return {
        name: (gemm.weight, gemm.weight_quantizer)
        for name, gemm in gemms(model).items()
        if isinstance(gemm, QuantLinear | QuantConv2d)
    }


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[dict[str, Tensor]]) -> None:
    """Finds the scales of all activations on `batches` (keyword arguments of the model; training samples).

    Weights are quantised meanwhile, activations are not.  Raises ValueError when there is no batch or an activation is
    not finite.
    """
    weights = {id(quantizer) for _, quantizer in weight_quantizers(model).values()}
    activations = [q for q in quantizers(model).values() if id(q) not in weights]
    for quantizer in activations:
        quantizer.begin_search()
    modes = _modes(model)
    model.eval()
    try:
        seen = 0
        for batch in batches:
            model(**batch)
            seen += 1
        if not seen:
            raise InputError("calibration needs at least one batch of training samples, not 0")
        for quantizer in activations:
            quantizer.end_search()
    finally:
        for quantizer in activations:
            quantizer.search = None
        _restore(modes)


@contextmanager
def integer_engine(model: nn.Module, engine: Engine) -> Iterator[None]:
    """Inside, every GEMM of the quantised `model` goes through `engine` as integers.  Evaluation only."""
    layers = list(gemms(model).values())
    if not layers:
        raise InputError("the model must be quantised to be computed with integers")
    modes = _modes(model)
    model.eval()
    for layer in layers:
        layer.engine = engine
    try:
        with torch.no_grad():
            yield
    finally:
        for layer in layers:
            layer.engine = None
        _restore(modes)


def _modes(model: nn.Module) -> list[tuple[nn.Module, bool]]:
    """Whether each module is in training mode: a frozen batch norm may differ from the rest."""
    return [(module, module.training) for module in model.modules()]


def _restore(modes: list[tuple[nn.Module, bool]]) -> None:
    for module, training in modes:
        module.training = training


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _quantize_hidden_states(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Quantises the input of query, key and value once for the three; with an engine they read its codes themselves."""
    scores = module.scores
    assert isinstance(scores, QuantScores)
    if scores.engine is not None:
        return arguments
    quantizer = module.input_quantizer
    assert isinstance(quantizer, Quantizer)
    return (quantizer(arguments[0]), *arguments[1:])


def _attention(builder: _Builder, name: str, module: nn.Module, projections: tuple[str, str, str], heads: int) -> None:
    query, key, value = (f"{name}.{projection}" for projection in projections)
    source = (f"{_parent(name)} (normalised)",)
    # One tensor feeds the three, so it has one width: that of the query projection.
    bits = builder.scheme.widths(query).activation_bits
    module.input_quantizer = builder.activation_quantizer(query, bits, signed=True)
    for projection in (query, key, value):
        builder.linear(projection, source, output_heads=heads, shared=module.input_quantizer)

    def operand(gemm: str, axis: int, signed: bool) -> Quantizer:
        bits = builder.scheme.widths(gemm).activation_bits
        return builder.activation_quantizer(gemm, bits, signed=signed, heads=(heads, axis))

    scores, context = f"{name}.scores", f"{name}.context"
    builder.names += [scores, context]
    first, second = operand(scores, 2, True), operand(scores, 2, True)
    module.scores = QuantScores(scores, (query, key), first, second)
    first, second = operand(context, 1, False), operand(context, 2, True)
    module.context = QuantContext(context, (f"softmax of {scores}", value), first, second)
    module.register_forward_pre_hook(_quantize_hidden_states)


class _Builder:
    """Replaces layers of one model by one scheme and remembers the names of its GEMMs."""

    def __init__(self, model: PreTrainedModel, scheme: Scheme) -> None:
        self.model = model
        self.scheme = scheme
        self.names: list[str] = []

    def linear(
        self,
        name: str,
        sources: tuple[str, ...],
        *,
        first_or_last: bool = False,
        rectified: bool = False,
        output_heads: int | None = None,
        reduced_heads: int | None = None,
        shared: Quantizer | None = None,
    ) -> None:
        old = self.model.get_submodule(name)
        if not isinstance(old, nn.Linear):
            raise InputError(f"{name} must be a linear layer, not {type(old).__name__}")
        widths = self.scheme.widths(name, first_or_last=first_or_last)
        reduced = reduced_heads if self.scheme.output_by_head else None
        heads = (output_heads, 0) if output_heads else (reduced, 1) if reduced else None
        weight_quantizer = self.weight_quantizer(name, widths.weight_bits, old.weight, heads)
        input_quantizer = shared or self.activation_quantizer(
            name,
            widths.activation_bits,
            signed=not rectified,
            with_offset=rectified,
            heads=(reduced, -1) if reduced else None,
        )
        layer = QuantLinear(name, sources, old.weight, old.bias, weight_quantizer, input_quantizer, shared is not None)
        self._replace(name, layer)

    def convolution(self, name: str) -> None:
        old = self.model.get_submodule(name)
        assert isinstance(old, nn.Conv2d)
        widths = self.scheme.widths(name, first_or_last=True)
        if widths.activation_bits == 1 and old.padding != (0, 0):
            raise InputError(f"activation_bits of {name} must be from 2 to 8, not 1: its padding is a code of 0")
        weight_quantizer = self.weight_quantizer(name, widths.weight_bits, old.weight, None)
        input_quantizer = self.activation_quantizer(name, widths.activation_bits, signed=True)
        self._replace(name, QuantConv2d(old, name, (_parent(name),), weight_quantizer, input_quantizer))

    def weight_quantizer(self, name: str, bits: Bits, weight: Tensor, heads: tuple[int, int] | None) -> Quantizer:
        """`heads`: their number and the axis they lie along."""
        granularity, groups = self._granularity(heads)
        if self.scheme.granularity == "channel":
            granularity, groups = PerChannel(0), weight.shape[0]
        _check_heads(name, bits, groups, "weight_bits")
        if bits == 1:
            return ElasticBinarizer(
                signed=True, granularity=granularity, groups=groups, gradient_scale=self.scheme.gradient_scale
            )
        if self.scheme.weight_scale == "statistical":
            return StatisticalQuantizer(bits, signed=True, granularity=granularity, groups=groups)
        return Quantizer(
            bits,
            signed=True,
            granularity=granularity,
            groups=groups,
            gradient_scale=self.scheme.gradient_scale,
            mean_start=self.scheme.scale_start == "mean",
        )

    def activation_quantizer(
        self, name: str, bits: Bits, *, signed: bool, with_offset: bool = False, heads: tuple[int, int] | None = None
    ) -> Quantizer:
        granularity, groups = self._granularity(heads)
        _check_heads(name, bits, groups, "activation_bits")
        gradient_scale = self.scheme.gradient_scale
        if bits == 1:
            return ElasticBinarizer(
                signed=signed, granularity=granularity, groups=groups, gradient_scale=gradient_scale
            )
        return Quantizer(
            bits,
            signed=signed,
            granularity=granularity,
            groups=groups,
            with_offset=with_offset,
            gradient_scale=gradient_scale,
            mean_start=self.scheme.scale_start == "mean",
        )

    def _granularity(self, heads: tuple[int, int] | None) -> tuple[Granularity, int]:
        if heads is None or self.scheme.granularity != "head":
            return PerTensor(), 1
        return PerHead(*heads), heads[0]

    def _replace(self, name: str, layer: QuantGemm) -> None:
        parent, _, child = name.rpartition(".")
        layer.train(self.model.training)
        setattr(self.model.get_submodule(parent), child, layer)
        self.names.append(name)


def _check_heads(name: str, bits: Bits, groups: int, what: str) -> None:
    if isinstance(bits, tuple) and len(bits) != groups:
        raise InputError(f"{what} of {name} must be one number or {groups}, one a head, not {len(bits)}")
