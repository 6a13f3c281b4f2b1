"""Parts of quantised networks: every quantiser in one class and one GEMM, MACs by hand, and the network as it was."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers import BertConfig, PreTrainedModel, SwinConfig, ViTConfig

from qat.analysis.parts import Part, parts_of, products_of, separate_inputs, switch
from qat.models.fresh import untrained
from qat.models.sret import SReTConfig
from qat.network.convert import calibrate, gemms, quantize_model, quantizers
from qat.settings.scheme import Scheme

IMAGES: dict[str, Any] = {"image_size": 8, "patch_size": 4, "num_channels": 1}
CONFIGS = {
    "vit": ViTConfig(**IMAGES, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=24),
    "swin": SwinConfig(image_size=16, patch_size=2, num_channels=1, embed_dim=8, depths=(2, 1), num_heads=(2, 4),
                       window_size=4),
    "bert": BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=40,
                       max_position_embeddings=16),
    "sret": SReTConfig(image_size=8, num_channels=1, stem_strides=(2, 1, 1), widths=(8, 16), depths=(1, 1),
                       num_heads=(2, 4), groups=((4, 2), (1, 1)), mlp_ratio=1.5),
}  # fmt: skip


def network(family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    return untrained(CONFIGS[family], 3).eval()


def everything(model: Any) -> dict[str, frozenset[int]]:
    return {name: frozenset(range(q.groups)) for name, q in quantizers(model).items()}


def joined(parts: list[Part]) -> dict[str, frozenset[int]]:
    """What the parts have; each group once."""
    found: dict[str, frozenset[int]] = {}
    for part in parts:
        for name, groups in part.groups.items():
            assert not found.get(name, frozenset()) & groups
            found[name] = found.get(name, frozenset()) | groups
    return found


@pytest.mark.parametrize("family", CONFIGS)
def test_every_group_is_in_one_class_and_in_one_gemm(family: str) -> None:
    model = network(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    products = products_of(model, 8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    quantised = quantize_model(copy.deepcopy(model), Scheme(3, 3), fit_weights=False)
    shared = {name for name, module in quantised.named_modules() if hasattr(module, "scores")}
    separate_inputs(quantised)
    parts = parts_of(quantised, products, by_layer=True, by_head=True)
    ends = {name for name, gemm in products.by_name.items() if gemm.ends}
    body = {
        name: groups for name, groups in everything(quantised).items()
        if name.rpartition(".")[0] not in ends | shared
    }  # fmt: skip
    assert joined([part for part in parts if part.kind == "class"]) == body
    assert joined([part for part in parts if part.kind == "gemm"]) == body
    layered = joined([part for part in parts if part.kind == "layer"])
    assert layered.items() <= body.items()
    assert {part.name for part in parts if part.kind == "gemm"} == {role for role, _ in products.macs}
    kinds = [part.kind for part in parts]
    assert all(a == b or kinds.index(a) < kinds.index(b) for a, b in pairwise(kinds))
    heads = joined([part for part in parts if part.kind == "head"])
    assert heads == {name: groups for name, groups in body.items() if len(groups) > 1}


def test_what_a_class_and_a_head_are_made_of() -> None:
    model = network("vit")
    quantised = quantize_model(copy.deepcopy(model), Scheme(3, 3), fit_weights=False)
    separate_inputs(quantised)
    parts = {(part.kind, part.name, part.layer): part for part in
             parts_of(quantised, products_of(model, 1), by_head=True)}  # fmt: skip
    first = "vit.layers.0.attention"
    value = parts["class", "value", None].groups
    assert {name for name in value if name.startswith(first)} == {
        f"{first}.v_proj.weight_quantizer", f"{first}.context.second"
    }  # fmt: skip
    gemm = parts["gemm", "value", None].groups
    assert {name for name in gemm if name.startswith(first)} == {
        f"{first}.v_proj.weight_quantizer", f"{first}.v_proj.input_quantizer"
    }  # fmt: skip
    head = parts["head", "1", 0]
    assert head.label == "layer 0, head 1"
    assert set(head.groups.values()) == {frozenset({1})}
    assert len(head.groups) == 9  # weights of four projections, query, key, value, probabilities, context


def test_macs_are_those_of_the_layers_by_hand() -> None:
    tokens, hidden, heads, inner, layers = 5, 12, 3, 24, 2
    found = products_of(network("vit"), 1).macs
    for layer in range(layers):
        for role in ("query", "key", "value", "projection"):
            assert found[role, layer] == tokens * hidden * hidden
        for role in ("scores", "context"):
            assert found[role, layer] == heads * tokens * tokens * (hidden // heads)
        for role in ("fc1", "fc2"):
            assert found[role, layer] == tokens * hidden * inner
    assert len(found) == 8 * layers


def test_separate_inputs_change_no_bit_and_switch_what_is_asked() -> None:
    model = quantize_model(network("vit"), Scheme(3, 3))
    pixels = torch.randn(3, 1, 8, 8)
    calibrate(model, [{"pixel_values": pixels}])
    shared = copy.deepcopy(model)
    separate_inputs(model)
    switch(model, everything(model))
    for name, quantizer in quantizers(model).items():
        if name.endswith("attention.input_quantizer"):
            quantizer.off = range(quantizer.groups)
    with torch.no_grad():
        assert torch.equal(model(pixels).logits, shared(pixels).logits)
    name = "vit.layers.1.attention.v_proj.weight_quantizer"
    switch(model, {name: frozenset({2})})
    for other, quantizer in quantizers(model).items():
        on = {2} if other == name else set()
        assert quantizer.off == set(range(quantizer.groups)) - on
    layers = gemms(model)
    query, key = (layers[f"vit.layers.0.attention.{each}_proj"].operands()[0] for each in ("q", "k"))
    assert query is not key
