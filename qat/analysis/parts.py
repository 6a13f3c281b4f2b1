"""Parts of a quantised network, each of which can be quantised alone or left out: classes, GEMMs, and heads.

The input of query, key and value is one tensor with one quantiser; here each of the three has a copy of it, so that one
GEMM can be quantised and the others not.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import nn
from transformers import PreTrainedModel

from qat.models import from_config
from qat.network import QuantLinear, QuantScores, TracedGemm, gemms, quantizers, sample, trace
from qat.quantisers import PerHead, Quantizer
from qat.training import model_config

__all__ = ["CLASSES", "Part", "Products", "class_of", "parts_of", "products_of", "separate_inputs", "switch"]

Kind = Literal["class", "gemm", "layer", "head"]
_OPERANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "query": ("input", "query"),
        "key": ("input", "key"),
        "value": ("input", "value"),
        "scores": ("query", "key"),
        "context": ("probabilities", "value"),
    }
)
"""Classes of the activations (or first operand) and of the weights (or second) of a GEMM, by its role; elsewhere both
have the class of their role.
"""
CLASSES = ("input", "query", "key", "value", "probabilities", "projection", "fc1", "fc2", "projection_fc1",
           "projection_fc2", "downsampling")  # fmt: skip
"""Of operands, in the order of the network: input of query, key and value; weights and activations of each of these;
attention probabilities; output projection; feed-forward layers; what Swin and SReT have besides.
"""


@dataclass(frozen=True, eq=False)
class Part:
    """Groups of quantisers by the name of their module.

    kind: "class", "gemm" (all GEMMs of a role), "layer" (the GEMM of a role in one layer), "head" (all that a head of
    one layer has by itself). name: of class or role; of a head its number. layer: None for all.
    """

    kind: Kind
    name: str
    layer: int | None
    groups: Mapping[str, frozenset[int]]

    @property
    def label(self) -> str:
        """What it is called in tables."""
        name = f"head {self.name}" if self.kind == "head" else self.name.replace("_", " ")
        return name if self.layer is None else f"layer {self.layer}, {name}"


@dataclass(frozen=True)
class Products:
    """The GEMMs of one inference. macs: by role and layer, of those that are no first or last layer. by_name: what each
    GEMM is.
    """

    macs: Mapping[tuple[str, int | None], int]
    by_name: Mapping[str, TracedGemm]


def class_of(role: str, operand: int) -> str:
    """The class of an operand, 0 or 1, of a GEMM of that role."""
    return _OPERANDS.get(role, (role, role))[operand]


def products_of(model: PreTrainedModel, tokens: int) -> Products:
    """What `model`, which stays as it is, multiplies for one image, or one text of so many tokens."""
    with torch.random.fork_rng(devices=[]):
        traced = trace(from_config(model_config(model)).eval(), sample(model.config, tokens))
    macs: dict[tuple[str, int | None], int] = {}
    for gemm in traced:
        if not gemm.ends:
            key = gemm.role, gemm.layer
            macs[key] = macs.get(key, 0) + gemm.m * gemm.k * gemm.n * gemm.count
    return Products(macs, {gemm.name: gemm for gemm in traced if not gemm.call})


def separate_inputs(model: nn.Module) -> None:
    """Gives query, key and value of a quantised model a quantiser each for the input that they share."""
    for module in list(model.modules()):
        if isinstance(getattr(module, "scores", None), QuantScores):
            shared = module.input_quantizer
            assert isinstance(shared, Quantizer)
            shared.off = range(shared.groups)
    for layer in gemms(model).values():
        if isinstance(layer, QuantLinear) and layer.shared_input:
            own = copy.deepcopy(layer.activations)
            own.off = ()
            layer.shared_input = False
            layer.input_quantizer = own


def parts_of(model: nn.Module, products: Products, *, by_layer: bool = False, by_head: bool = False) -> list[Part]:
    """The classes and the GEMMs by role of a quantised model with separate inputs; with `by_layer` single GEMMs, with
    `by_head` single heads.
    """
    names = {id(quantizer): name for name, quantizer in quantizers(model).items()}
    found: dict[tuple[Kind, str, int | None], dict[str, frozenset[int]]] = {}

    def add(kind: Kind, name: str, layer: int | None, quantizer: Quantizer, groups: Iterable[int]) -> None:
        found.setdefault((kind, name, layer), {})[names[id(quantizer)]] = frozenset(groups)

    for name, layer in gemms(model).items():
        gemm = products.by_name[name]
        if gemm.ends:
            continue
        for operand, quantizer in enumerate(layer.operands()):
            every = range(quantizer.groups)
            add("class", class_of(gemm.role, operand), None, quantizer, every)
            add("gemm", gemm.role, None, quantizer, every)
            if by_layer and gemm.layer is not None:
                add("layer", gemm.role, gemm.layer, quantizer, every)
            if by_head and quantizer.groups > 1 and isinstance(quantizer.granularity, PerHead):
                for head in every:
                    add("head", str(head), gemm.layer, quantizer, (head,))
    made = [Part(kind, name, layer, groups) for (kind, name, layer), groups in found.items()]
    return sorted(made, key=_order)


def _order(part: Part) -> tuple[int, int, int]:
    kinds = ("class", "gemm", "layer", "head")
    place = int(part.name) if part.kind == "head" else CLASSES.index(part.name) if part.kind == "class" else 0
    return kinds.index(part.kind), -1 if part.layer is None else part.layer, place


def switch(model: nn.Module, on: Mapping[str, frozenset[int]]) -> None:
    """Quantises these groups of quantisers, and passes the values of all others as they are."""
    for name, quantizer in quantizers(model).items():
        quantizer.off = set(range(quantizer.groups)) - on.get(name, frozenset())
