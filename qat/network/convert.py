"""Quantises Hugging Face ViT, DeiT, Swin, BERT, RoBERTa, DistilBERT and Llama models, and our SReT, in place.

The model keeps its classes and its forward code: linear layers and convolutions are replaced by quantised ones, and
attention is computed by `qat.network.layers.quantized_attention` through transformers' own table of attention
functions, which a copy of the configuration names. Everything is planned and checked before the first layer is
replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface
from transformers.models.bert.modeling_bert import (
    BertIntermediate,
    BertLayer,
    BertPooler,
    BertPreTrainedModel,
    BertSelfAttention,
)
from transformers.models.deit.modeling_deit import DeiTAttention, DeiTMLP, DeiTPreTrainedModel
from transformers.models.distilbert import modeling_distilbert as distilbert
from transformers.models.llama import modeling_llama as llama
from transformers.models.roberta.modeling_roberta import (
    RobertaIntermediate,
    RobertaLayer,
    RobertaPooler,
    RobertaPreTrainedModel,
    RobertaSelfAttention,
)
from transformers.models.swin.modeling_swin import SwinAttention, SwinMLP, SwinPatchMerging, SwinPreTrainedModel
from transformers.models.vit.modeling_vit import ViTAttention, ViTMLP, ViTPreTrainedModel

from qat.models import SReTAttention, SReTForImageClassification, SReTMLP, check_decoder, model_classes
from qat.quantisers import (
    ElasticBinarizer,
    Granularity,
    PerChannel,
    PerHead,
    PerTensor,
    Quantizer,
    StatisticalQuantizer,
)
from qat.settings import Bits, Scheme
from siliquant.inputs import InputError, InputTypeError

from .decoder import SteadyNorm, SteadyRotary, SteadySiLU, SteadySoftmax
from .gemm import Engine
from .layers import QuantContext, QuantConv2d, QuantGemm, QuantLinear, QuantScores, quantized_attention
from .reparameterised import PassedInput, ReparameterisedLinear, ReparameterisedScores, check_head_size, fused
from .saving import keep_saving

__all__ = [
    "calibrate",
    "check_codes",
    "gemms",
    "integer_engine",
    "quantize_model",
    "quantizers",
    "query_key_products",
    "weight_quantizers",
]

_ATTENTION = "siliquant"
AttentionInterface.register(_ATTENTION, quantized_attention)
AttentionMaskInterface.register(_ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["eager"])

_PROJECTIONS = (ViTAttention, DeiTAttention, SwinAttention, SReTAttention)
_MLPS = (ViTMLP, DeiTMLP, SwinMLP, SReTMLP)
_NO_COPIES: tuple[int, ...] = ()
_FAMILIES = (
    ViTPreTrainedModel,
    DeiTPreTrainedModel,
    SwinPreTrainedModel,
    BertPreTrainedModel,
    RobertaPreTrainedModel,
    distilbert.DistilBertPreTrainedModel,
    llama.LlamaPreTrainedModel,
    SReTForImageClassification,
)


def quantize_model(model: PreTrainedModel, scheme: Scheme, *, fit_weights: bool = True) -> PreTrainedModel:
    """Makes `model` a quantised one by `scheme`, in place, and returns it.

    Weight scales start at the least squared error (`fit_weights`; not needed when a state dict is loaded next).
    Activation scales need `calibrate` or a state dict.

    Its configuration becomes a copy, which other models do not share. `save_pretrained` keeps the quantisation from
    now on, and `load_quantised` (`qat.load`) reads it.

    Raises, with the model as it was:
        TypeError: the model is of a family whose layers and attention are not known here.
        ValueError: the model is quantised already, has a layer that is not known, a weight that is not finite, or an
            override of the scheme matches no GEMM of it.
    """
    if not any(isinstance(module, nn.Linear | nn.Conv2d | QuantGemm) for module in model.modules()):
        raise InputError(f"a model of class {type(model).__name__} has no layer that can be quantised")
    if not isinstance(model, _FAMILIES):
        raise InputTypeError(
            f"a model of class {type(model).__name__} cannot be quantised; it must be of one of "
            f"{', '.join(model_classes())}, or another class of transformers with one of their encoders"
        )
    if gemms(model):
        raise InputError("the model must not be quantised yet")
    _check_decoder(model, scheme)
    builder = _Builder(model, scheme)
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, _PROJECTIONS):
            _attention(builder, name, module, ("q_proj", "k_proj", "v_proj"), module.num_attention_heads)
            builder.linear(f"{name}.o_proj", (f"{name}.context",), reduced_heads=module.num_attention_heads)
        elif isinstance(module, BertSelfAttention | RobertaSelfAttention):
            _attention(builder, name, module, ("query", "key", "value"), module.num_attention_heads)
            output = f"{name.removesuffix('.self')}.output.dense"
            builder.linear(output, (f"{name}.context",), reduced_heads=module.num_attention_heads)
        elif isinstance(module, _MLPS):
            builder.linear(f"{name}.fc1", (f"{_parent(name)} (normalised)",))
            builder.linear(f"{name}.fc2", (f"{name}.fc1",), rectified=True)
        elif isinstance(module, distilbert.DistilBertSelfAttention):
            _attention(builder, name, module, ("q_lin", "k_lin", "v_lin"), module.n_heads)
            builder.linear(f"{name}.out_lin", (f"{name}.context",), reduced_heads=module.n_heads)
        elif isinstance(module, distilbert.FFN):
            builder.linear(f"{name}.lin1", (f"{_parent(name)}.sa_layer_norm",))
            builder.linear(f"{name}.lin2", (f"{name}.lin1",), rectified=True)
        elif isinstance(module, llama.LlamaAttention):
            _decoder_attention(builder, name, module)
        elif isinstance(module, llama.LlamaMLP):
            _gated_mlp(builder, name)
        elif isinstance(module, llama.LlamaRMSNorm):
            builder.replaced[name] = SteadyNorm(module.weight, module.variance_epsilon)
        elif isinstance(module, llama.LlamaRotaryEmbedding):
            builder.replaced[name] = SteadyRotary(module.inv_freq)
        elif isinstance(module, BertIntermediate | RobertaIntermediate):
            builder.linear(f"{name}.dense", (f"{_parent(name)}.attention.output",))
        elif isinstance(module, BertLayer | RobertaLayer):
            builder.linear(f"{name}.output.dense", (f"{name}.intermediate.dense",), rectified=True)
        elif isinstance(module, SwinPatchMerging):
            builder.linear(f"{name}.reduction", (f"{name}.norm",))
        elif isinstance(module, BertPooler | RobertaPooler):
            builder.linear(f"{name}.dense", (_parent(name),), first_or_last=True)
    for name, module in modules.items():
        # What is left: patch embedding, stem and transition convolutions, classifiers.
        if isinstance(module, nn.Conv2d):
            builder.convolution(name)
        elif isinstance(module, nn.Linear) and name not in builder.layers and name not in builder.passed:
            _check_outside_of_blocks(model, name)
            builder.linear(name, (_parent(name) or "pooled tokens",), first_or_last=True)
    if unused := scheme.unused(builder.names):
        raise InputError(f"overrides must match a GEMM of the model, but {', '.join(unused)} match none")
    builder.mark_what_feeds_one_bit()
    if fit_weights:
        builder.fit_weights()
    builder.put()
    _own_configuration(model)
    keep_saving(model, scheme)
    return model


def _check_decoder(model: PreTrainedModel, scheme: Scheme) -> None:
    """ValueError for a decoder that is not known, and for a scheme that it cannot have."""
    if not isinstance(model, llama.LlamaPreTrainedModel):
        return
    check_decoder(model.config)
    if scheme.query_key != "separate":
        raise InputError(
            f"query_key of a decoder must be separate, not {scheme.query_key}: its queries and keys are rotated "
            "between projections and scores"
        )
    head = getattr(model, "lm_head", None)
    if head is not None and head.weight is model.get_input_embeddings().weight:
        raise InputError(
            "tie_word_embeddings must be false, with a weight of its own for lm_head: that of the embedding is not "
            "quantised"
        )


def _check_outside_of_blocks(model: nn.Module, name: str) -> None:
    """ValueError for a linear layer inside one of several like blocks, which the families here have none of but those
    that are known: another attention, a cross-attention, an adapter.
    """
    path = _parent(name)
    while path:
        if isinstance(model.get_submodule(path), nn.ModuleList):
            raise InputError(
                f"a model of class {type(model).__name__} must have attention and MLPs that are known to be quantised, "
                f"but {name} belongs to none"
            )
        path = _parent(path)


def _own_configuration(model: PreTrainedModel) -> None:
    """Gives `model` a copy of its configuration, in which attention is ours: another model may hold the same object."""
    shared = model.config
    own = copy.deepcopy(shared)
    for module in model.modules():
        for name, value in vars(module).items():
            if value is shared:
                setattr(module, name, own)
    own._attn_implementation = _ATTENTION


def gemms(model: nn.Module) -> dict[str, QuantGemm]:
    """The quantised layers by GEMM name, in the order of the modules."""
    return {m.gemm_name: m for m in model.modules() if isinstance(m, QuantGemm)}


def quantizers(model: nn.Module) -> dict[str, Quantizer]:
    """All quantisers by module name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Quantizer)}


def weight_quantizers(model: nn.Module, *, of_blocks: bool = False) -> dict[str, tuple[nn.Parameter, Quantizer]]:
    """Weight and quantiser of each GEMM whose weight is a parameter, by GEMM name: not of products of query and key,
    and, with `of_blocks`, not of the first and last.
    """
    return {
        name: (gemm.weight, gemm.weight_quantizer)
        for name, gemm in gemms(model).items()
        if isinstance(gemm, QuantLinear | QuantConv2d)
        and not isinstance(gemm, ReparameterisedLinear)
        and not (of_blocks and gemm.first_or_last)
    }


def query_key_products(model: nn.Module) -> list[ReparameterisedLinear]:
    """The layers whose weights are products of those of query and key."""
    return [module for module in model.modules() if isinstance(module, ReparameterisedLinear)]


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[dict[str, Tensor]]) -> None:
    """Finds the scales of all activations on `batches` (keyword arguments of the model; training samples).

    Weights are quantised meanwhile, activations are not.  Raises ValueError when there is no batch, one has no sample,
    or an activation is not finite.
    """
    activations = [q for q in quantizers(model).values() if not q.of_weight]
    for quantizer in activations:
        quantizer.begin_search()
    modes = _modes(model)
    model.eval()
    try:
        seen = 0
        for batch in batches:
            if not all(value.numel() for value in batch.values()):
                raise InputError(f"a batch to calibrate on must have samples, but that of number {seen} is empty")
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
    check_codes(model)
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


def check_codes(model: nn.Module) -> None:
    """InputError where a quantiser of `model` has groups off: they have values, and no codes."""
    for name, quantizer in quantizers(model).items():
        if quantizer.off:
            raise InputError(f"{name} must have no groups off for a network of integers, not {sorted(quantizer.off)}")


def _modes(model: nn.Module) -> list[tuple[nn.Module, bool]]:
    """Whether each module is in training mode: a frozen batch norm may differ from the rest."""
    return [(module, module.training) for module in model.modules()]


def _restore(modes: list[tuple[nn.Module, bool]]) -> None:
    for module, training in modes:
        module.training = training


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _quantize_hidden_states(
    module: nn.Module, arguments: tuple[Tensor, ...], keywords: dict[str, Any]
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Quantises the input of query, key and value, or of gate and up, once for all; with an engine they read its codes
    themselves.
    """
    reader = module.scores if hasattr(module, "scores") else module.gate_proj
    assert isinstance(reader, QuantGemm)
    if reader.engine is not None:
        return arguments, keywords
    quantizer = module.input_quantizer
    assert isinstance(quantizer, nn.Module)
    if arguments:
        return (quantizer(arguments[0]), *arguments[1:]), keywords
    return arguments, {**keywords, "hidden_states": quantizer(keywords["hidden_states"])}


def _attention(builder: _Builder, name: str, module: nn.Module, projections: tuple[str, str, str], heads: int) -> None:
    query, key, value = (f"{name}.{projection}" for projection in projections)
    source = (f"{_parent(name)} (normalised)",)
    shared = builder.shared(name, (query, key, value))
    if builder.scheme.query_key == "separate":
        builder.linear(query, source, output_heads=heads, shared=shared)
        builder.linear(key, source, output_heads=heads, shared=shared)
    elif shared is None:
        raise InputError(f"activation_bits of {query}, {key} and {value} must be one with query_key reparameterised")
    else:
        builder.reparameterised(query, key, source, heads, shared)
    builder.linear(value, source, output_heads=heads, shared=shared)
    scores, context = f"{name}.scores", f"{name}.context"
    if builder.scheme.query_key == "separate":
        first, second = (builder.operand(scores, heads, 2, signed=True) for _ in range(2))
        builder.add(scores, QuantScores(scores, (query, key), first, second))
    else:
        assert shared is not None
        first = builder.operand(scores, heads, 2, signed=True)
        builder.add(scores, ReparameterisedScores(scores, (query, source[0]), first, shared, heads))
    first, second = builder.operand(context, heads, 1, signed=False), builder.operand(context, heads, 2, signed=True)
    builder.add(context, QuantContext(context, (f"softmax of {scores}", value), first, second))


def _decoder_attention(builder: _Builder, name: str, module: llama.LlamaAttention) -> None:
    """Heads of keys and values have scales of their own, however many of queries share them; no sums become codes of
    scores as they are, since queries and keys are rotated first.
    """
    sharing, heads = module.num_key_value_groups, module.config.num_attention_heads
    query, key, value, output = (f"{name}.{each}_proj" for each in "qkvo")
    scores, context = f"{name}.scores", f"{name}.context"
    if builder.scheme.widths(context).activation_bits == 1:
        raise InputError(
            f"activation_bits of {context} must be from 2 to 8, not 1: at one bit what is masked may have a code of 1"
        )
    source = (f"{_parent(name)} (normalised)",)
    shared = builder.shared(name, (query, key, value))
    builder.linear(query, source, output_heads=heads, shared=shared)
    builder.linear(key, source, output_heads=heads // sharing, shared=shared)
    builder.linear(value, source, output_heads=heads // sharing, shared=shared)
    first = builder.operand(scores, heads, 2, signed=True, sharing=sharing)
    second = builder.operand(scores, heads // sharing, 2, signed=True)
    builder.add(scores, QuantScores(scores, (f"{query} (rotated)", f"{key} (rotated)"), first, second, sharing))
    first = builder.operand(context, heads, 1, signed=False, sharing=sharing)
    second = builder.operand(context, heads // sharing, 2, signed=True)
    builder.add(context, QuantContext(context, (f"softmax of {scores}", value), first, second, sharing))
    builder.linear(output, (context,), reduced_heads=heads)
    builder.replaced[f"{name}.softmax"] = SteadySoftmax()


def _gated_mlp(builder: _Builder, name: str) -> None:
    """SwiGLU: what down reads is silu(gate) * up, of both signs."""
    gate, up = f"{name}.gate_proj", f"{name}.up_proj"
    shared = builder.shared(name, (gate, up))
    for layer in (gate, up):
        builder.linear(layer, (f"{_parent(name)} (normalised)",), shared=shared)
    builder.linear(f"{name}.down_proj", (f"silu of {gate} times {up}",))
    builder.replaced[f"{name}.act_fn"] = SteadySiLU()


class _Builder:
    """The quantised layers of one model by one scheme, planned; `put` replaces those of the model."""

    def __init__(self, model: PreTrainedModel, scheme: Scheme) -> None:
        self.model = model
        self.scheme = scheme
        self.layers: dict[str, QuantGemm] = {}
        self.inputs: dict[str, Quantizer] = {}
        self.passed: dict[str, PassedInput] = {}
        self.replaced: dict[str, nn.Module] = {}  # no products: float functions

    @property
    def names(self) -> list[str]:
        """Of the GEMMs."""
        return list(self.layers)

    def add(self, name: str, layer: QuantGemm) -> None:
        self.layers[name] = layer.train(self.model.training)

    def mark_what_feeds_one_bit(self) -> None:
        """Sums that a quantiser of one bit reads as they are, which only attention's products do."""
        for layer in self.layers.values():
            attention = isinstance(layer, QuantScores | QuantContext)
            for source, quantizer in zip(layer.sources, layer.operands()):  # noqa: B905 (a linear layer has one source)
                feeding = self.layers.get(source)
                direct = isinstance(feeding, QuantLinear if attention else QuantContext)
                if feeding is not None and direct and isinstance(quantizer, ElasticBinarizer):
                    feeding.feeds_one_bit = True

    def fit_weights(self) -> None:
        """Takes the scales of the weights. ValueError naming a weight that is not finite."""
        for name, layer in self.layers.items():
            if isinstance(layer, QuantLinear | QuantConv2d):
                if layer.weight.is_meta:
                    raise InputError(f"the weight of {name} must have values to take its scales from, and is on meta")
                if not bool(layer.weight.isfinite().all()):
                    raise InputError(f"the weight of {name} must be finite numbers, but holds NaN or infinity")
                layer.weight_quantizer.fit(layer.weight)

    def put(self) -> None:
        """Replaces the layers of the model and adds those that attention has no module for; nothing here fails."""
        for name, quantizer in self.inputs.items():
            module = self.model.get_submodule(name)
            module.input_quantizer = quantizer
            module.register_forward_pre_hook(_quantize_hidden_states, with_kwargs=True)
        for name, layer in (self.layers | self.passed | self.replaced).items():
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, layer)

    def shared(self, name: str, readers: Sequence[str]) -> Quantizer | None:
        """The quantiser of the input of module `name`, once for all linear layers that read it; None where their widths
        differ, or those of the heads of one: each then has one of its own.
        """
        first, *others = (_one(self.scheme.widths(reader).activation_bits) for reader in readers)
        if isinstance(first, tuple) or any(bits != first for bits in others):
            return None
        made = self.activation_quantizer(readers[0], first, signed=True)
        self.inputs[name] = made
        return made

    def operand(self, gemm: str, heads: int, axis: int, *, signed: bool, sharing: int = 1) -> Quantizer:
        """Of a product of two activations, with a scale for each of the heads along the axis. Where several share one
        of the other operand, widths by head are those of the other's.
        """
        bits = self.scheme.widths(gemm).activation_bits
        if sharing > 1 and isinstance(bits, tuple):
            _check_heads(gemm, bits, heads // sharing, "activation_bits")
            bits = tuple(width for width in bits for _ in range(sharing))
        return self.activation_quantizer(gemm, bits, signed=signed, heads=(heads, axis))

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
        bits, along, copies = widths.activation_bits, (reduced, -1) if reduced else None, _NO_COPIES
        if output_heads and isinstance(bits, tuple):
            _check_heads(name, bits, self._granularity(heads)[1], "activation_bits")
            bits = _one(bits)
            if isinstance(bits, tuple):
                every = tuple(sorted(set(bits)))
                copies, bits, along = tuple(every.index(width) for width in bits), every, (len(every), -2)
        input_quantizer = shared or self.activation_quantizer(
            name,
            bits,
            signed=not rectified,
            with_offset=rectified,
            heads=along,
        )
        layer = QuantLinear(name, sources, old.weight, old.bias, weight_quantizer, input_quantizer, shared is not None)
        layer.copy_of_head = copies
        layer.first_or_last = first_or_last
        self.add(name, layer)

    def reparameterised(self, query: str, key: str, sources: tuple[str, ...], heads: int, shared: Quantizer) -> None:
        """One layer for both projections; in the integers, "fused", with a weight of its own."""
        asks, keeps = (self.model.get_submodule(name) for name in (query, key))
        if not isinstance(asks, nn.Linear) or not isinstance(keeps, nn.Linear):
            raise InputError(f"{query} and {key} must be linear layers")
        check_head_size(query, asks, keeps, heads)
        weight = fused(asks.weight.detach(), keeps.weight.detach(), heads)
        bits = self.scheme.widths(query).weight_bits
        quantizer = self.weight_quantizer(query, bits, weight, (heads, 0))
        if self.scheme.query_key == "fused":
            old: nn.Parameter | None = asks.bias
            bias = None if old is None else nn.Parameter(fused(old.detach(), keeps.weight.detach(), heads))
            self.add(query, QuantLinear(query, sources, nn.Parameter(weight), bias, quantizer, shared, True))
            self.passed[key] = PassedInput(None)
        else:
            self.passed[key] = PassedInput(keeps)
            self.add(query, ReparameterisedLinear(query, sources, asks, self.passed[key], heads, quantizer, shared))

    def convolution(self, name: str) -> None:
        old = self.model.get_submodule(name)
        assert isinstance(old, nn.Conv2d)
        widths = self.scheme.widths(name, first_or_last=True)
        if widths.activation_bits == 1 and old.padding != (0, 0):
            raise InputError(f"activation_bits of {name} must be from 2 to 8, not 1: its padding is a code of 0")
        weight_quantizer = self.weight_quantizer(name, widths.weight_bits, old.weight, None)
        input_quantizer = self.activation_quantizer(name, widths.activation_bits, signed=True)
        layer = QuantConv2d(old, name, (_parent(name),), weight_quantizer, input_quantizer)
        layer.first_or_last = True
        self.add(name, layer)

    def weight_quantizer(self, name: str, bits: Bits, weight: Tensor, heads: tuple[int, int] | None) -> Quantizer:
        made = self._weight_quantizer(name, bits, weight, heads)
        made.of_weight = True
        return made.to(self.model.device, self.model.dtype)

    def _weight_quantizer(self, name: str, bits: Bits, weight: Tensor, heads: tuple[int, int] | None) -> Quantizer:
        """`heads`: their number and the axis they lie along."""
        granularity, groups = self._granularity(heads)
        if self.scheme.granularity == "channel":
            granularity, groups = PerChannel(0), weight.shape[0]
        _check_heads(name, bits, groups, "weight_bits")
        if bits == 1:
            return ElasticBinarizer(
                signed=True, granularity=granularity, groups=groups, gradient_scale=self.scheme.gradient_scale
            )
        if self.scheme.weight_scale != "learned":
            of_range = self.scheme.weight_scale == "statsq"
            return StatisticalQuantizer(bits, signed=True, granularity=granularity, groups=groups, of_range=of_range)
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
        common: dict[str, Any] = {
            "signed": signed,
            "granularity": granularity,
            "groups": groups,
            "gradient_scale": self.scheme.gradient_scale,
        }
        made: Quantizer
        if bits == 1:
            made = ElasticBinarizer(**common)
        else:
            made = Quantizer(bits, with_offset=with_offset, mean_start=self.scheme.scale_start == "mean", **common)
        return made.to(self.model.device, self.model.dtype)

    def _granularity(self, heads: tuple[int, int] | None) -> tuple[Granularity, int]:
        if heads is None or self.scheme.granularity != "head":
            return PerTensor(), 1
        return PerHead(*heads), heads[0]


def _one(bits: Bits) -> Bits:
    """The one width of all heads, where they have one."""
    return bits[0] if isinstance(bits, tuple) and len(set(bits)) == 1 else bits


def _check_heads(name: str, bits: Bits, groups: int, what: str) -> None:
    if isinstance(bits, tuple) and len(bits) != groups:
        raise InputError(f"{what} of {name} must be one number or {groups}, one a head, not {len(bits)}")
