"""Decoders of texts: against transformers' own float modules, against loops over heads, and token by token."""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.models.llama import modeling_llama as llama

import qat
from qat.data import open_data
from qat.integers import IntegerModel, open_subject, random_subject, requantisations
from qat.models import from_config, model_config
from qat.network import exact_product, gemms, integer_engine, logits_in_steps, quantizers
from qat.network.decoder import SteadyNorm, SteadyRotary, SteadySiLU, SteadySoftmax
from qat.network.gemm import Product
from qat.network.layers import QuantContext, QuantScores
from qat.quantisers.granularity import PER_TENSOR, PerChannel, PerHead
from qat.settings import Override, Scheme
from qat.training import check_inputs
from siliquant.inputs import InputError

LAYER = "model.layers.0.self_attn"


def decoder(**changes: Any) -> LlamaForCausalLM:
    """At full precision, in evaluation, with nothing at 0 or 1."""
    if isinstance(rotary := changes.get("rope_parameters"), tuple):
        changes["rope_parameters"] = dict(rotary)
    sizes: dict[str, Any] = {
        "vocab_size": 50, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3,
    }  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**sizes | changes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def text(samples: int = 3, tokens: int = 13, seed: int = 1) -> Tensor:
    return torch.randint(0, 50, (samples, tokens), generator=torch.Generator().manual_seed(seed))


@functools.cache
def _quantised(scheme: Scheme, changes: tuple[tuple[str, Any], ...]) -> PreTrainedModel:
    model = qat.quantize_model(decoder(**dict(changes)), scheme)
    qat.calibrate(model, [{"input_ids": text()}])
    return model.eval()


def quantised(scheme: Scheme, **changes: Any) -> PreTrainedModel:
    return copy.deepcopy(_quantised(scheme, tuple(changes.items())))


def logits(model: nn.Module, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=tokens).logits
    return found


MIXED = Scheme(
    overrides=(
        Override("*.k_proj", (2, 3)), Override("*.scores", activation_bits=(3, 5)), Override("*.context", 3, (4, 3)),
        Override("*1.self_attn.v_proj", 8, 8), Override("*.o_proj", (2, 3, 4, 5)), Override("*0.mlp.up_proj", 2, 3),
    )
)  # fmt: skip
SCHEMES = {
    "head": Scheme(),
    "tensor": Scheme(granularity="tensor"),
    "channel": Scheme(granularity="channel"),
    "one scale for the output": Scheme(output_by_head=False),
    "mixed": MIXED,
    "weights of one bit": Scheme(weight_bits=1),
    "one bit but for context": Scheme(1, 1, overrides=(Override("*.context", activation_bits=2),)),
    "scales of the weights": Scheme(weight_scale="statsq"),
}


# What is in it


def test_every_product_has_its_widths_and_scales() -> None:
    found = gemms(quantised(Scheme(3, 4)))
    block = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "self_attn.scores",
             "self_attn.context", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]  # fmt: skip
    assert set(found) == {f"model.layers.{n}.{name}" for n in (0, 1) for name in block} | {"lm_head"}
    for name, layer in found.items():
        activations, second = layer.operands()
        of_attention = isinstance(layer, QuantScores | QuantContext)
        width = 8 if name == "lm_head" else 4 if of_attention else 3
        assert set(second.bits) == {width}
        assert set(activations.bits) == {8 if name == "lm_head" else 4}
        assert activations.signed != isinstance(layer, QuantContext)
        assert second.signed
        assert activations.offset is None
        assert layer.first_or_last == (name == "lm_head")
    scales = {
        name: tuple(q.granularity for q in found[f"{LAYER}.{name}"].operands())
        for name in ("q_proj", "k_proj", "v_proj", "scores", "context", "o_proj")
    }
    assert scales == {
        "q_proj": (PER_TENSOR, PerHead(4, 0)),
        "k_proj": (PER_TENSOR, PerHead(2, 0)),
        "v_proj": (PER_TENSOR, PerHead(2, 0)),
        "scores": (PerHead(4, 2), PerHead(2, 2)),
        "context": (PerHead(4, 1), PerHead(2, 2)),
        "o_proj": (PerHead(4, -1), PerHead(4, 1)),
    }
    by_channel = gemms(quantised(SCHEMES["channel"]))
    assert by_channel["lm_head"].operands()[1].granularity == PerChannel(0)


def test_inputs_that_several_read_are_quantised_once_where_their_widths_are_one() -> None:
    model = quantised(MIXED)
    shared = [name for name in quantizers(model) if name.endswith(("self_attn.input_quantizer", "mlp.input_quantizer"))]
    assert shared == [f"model.layers.{name}.input_quantizer" for name in ("0.self_attn", "1.mlp")]
    layers = gemms(model)
    for one, other in (("q_proj", "k_proj"), ("k_proj", "v_proj")):
        assert layers[f"{LAYER}.{one}"].operands()[0] is layers[f"{LAYER}.{other}"].operands()[0]
    second = "model.layers.1.mlp"
    assert layers[f"{second}.gate_proj"].operands()[0] is layers[f"{second}.up_proj"].operands()[0]


def test_heads_that_share_keys_have_the_widths_of_their_keys() -> None:
    layers = gemms(quantised(MIXED))
    assert [q.bits for q in layers[f"{LAYER}.scores"].operands()] == [(3, 3, 5, 5), (3, 5)]
    assert [q.bits for q in layers[f"{LAYER}.context"].operands()] == [(4, 4, 3, 3), (4, 3)]


# Against references


@pytest.mark.parametrize("training", [False, True])
def test_float_functions_are_those_of_transformers(training: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 7, 24, generator=generator) * 3
    theirs = llama.LlamaRMSNorm(24, eps=1e-5)
    with torch.no_grad():
        theirs.weight.normal_(generator=generator)
    norm = SteadyNorm(theirs.weight, 1e-5).train(training)
    torch.testing.assert_close(norm(x), theirs(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(SteadySiLU().train(training)(x), F.silu(x), rtol=1e-6, atol=1e-6)
    scores = x.masked_fill(torch.rand(x.shape, generator=generator) < 0.3, torch.finfo(torch.float32).min)
    found = SteadySoftmax().train(training)(scores)
    torch.testing.assert_close(found, F.softmax(scores, -1), rtol=1e-6, atol=1e-7)
    assert bool((found[scores == torch.finfo(torch.float32).min] == 0).all())


LLAMA3: dict[str, Any] = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [{"rope_type": "default", "rope_theta": 5e5}, {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}, LLAMA3],
)
def test_angles_are_those_of_transformers(kind: dict[str, Any]) -> None:
    model = quantised(Scheme(), rope_parameters=tuple(kind.items()))
    theirs, ours = decoder(rope_parameters=kind).model.rotary_emb, model.get_submodule("model.rotary_emb")
    assert isinstance(ours, SteadyRotary)
    assert theirs.attention_scaling == 1
    x, places = torch.zeros(2, 4, 24), torch.tensor([[0, 1, 5, 1000], [7, 8, 9, 100_000]])
    for found, wanted in zip(ours(x, places), theirs(x, places), strict=True):
        assert found.shape == wanted.shape == (2, 4, 6)
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize("training", [False, True])
def test_a_network_whose_quantisers_are_off_is_that_of_transformers(shared: int, training: bool) -> None:
    changes = {"num_key_value_heads": shared, "attention_bias": True, "mlp_bias": True, "head_dim": 10}
    plain, model = decoder(**changes), quantised(Scheme(), **changes).train(training)
    for quantizer in quantizers(model).values():
        quantizer.off = range(quantizer.groups)
    wanted = logits(plain, text())
    assert wanted.std() > 0.5
    torch.testing.assert_close(logits(model, text()), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["head", "tensor", "mixed"])
def test_products_of_shared_heads_are_those_of_loops_over_heads(kind: str) -> None:
    model = quantised(SCHEMES[kind])
    layers = gemms(model)
    scores, context = layers[f"{LAYER}.scores"], layers[f"{LAYER}.context"]
    assert isinstance(scores, QuantScores)
    assert isinstance(context, QuantContext)
    generator = torch.Generator().manual_seed(3)
    query, probabilities = torch.randn(2, 4, 5, 6, generator=generator), torch.rand(2, 4, 5, 7, generator=generator)
    key, value = (torch.randn(2, 2, 7, 6, generator=generator) for _ in range(2))
    with torch.no_grad():
        found = scores(query, key, 0.25), context(probabilities, value, 0.0)
    q, k = (each(x.transpose(1, 2)).double() for each, x in zip(scores.operands(), (query, key), strict=True))
    p, v = context.operands()[0](probabilities).double(), context.operands()[1](value.transpose(1, 2)).double()
    for batch in range(2):
        for head in range(4):
            wanted = 0.25 * q[batch, :, head] @ k[batch, :, head // 2].T, p[batch, head] @ v[batch, :, head // 2]
            for ours, other in zip(found, wanted, strict=True):
                torch.testing.assert_close(ours[batch, head].double(), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", SCHEMES)
def test_integers_are_the_network_bit_for_bit_and_are_saved_and_read(kind: str, tmp_path: Path) -> None:
    model = quantised(SCHEMES[kind])
    wanted = logits(model, text())
    model.save_pretrained(tmp_path / "folder")
    read = qat.load(tmp_path / "folder")
    assert torch.equal(logits(read, text()), wanted)
    found = qat.export_integers(read, tmp_path / "integers")
    inputs = {"input_ids": text()}
    assert torch.equal(found.logits(inputs), wanted)
    assert torch.equal(found.logits(inputs, steps=4), wanted)
    kinds = [gemm.kind for gemm in found.gemms()]
    assert (kinds.count("linear"), kinds.count("scores"), kinds.count("context")) == (15, 2, 2)


def test_codes_behind_values_and_context_are_those_of_the_requantisation() -> None:
    """Values go straight into the context, and the context into the output projection; queries and keys are rotated."""
    integers = IntegerModel.from_quantized(quantised(MIXED), MIXED, {})
    sums: dict[str, list[Tensor]] = {}
    codes: dict[str, list[Product]] = {}

    def engine(product: Product) -> Tensor:
        result = exact_product(product)
        sums.setdefault(product.name, []).append(result)
        codes.setdefault(product.name, []).append(product)
        return result

    integers.logits({"input_ids": text(2)}, engine)
    edges = requantisations(integers, 13)
    names = {(edge.source.rpartition(".")[2], edge.consumer.rpartition(".")[2], edge.side) for edge in edges}
    assert names == {("v_proj", "context", "right"), ("context", "o_proj", "left")}
    for edge in edges:
        if edge.side == "right":  # [batch, tokens, features] of a head of values, which two of queries read
            assert edge.part is not None
            (found,) = sums[edge.source]
            ours = edge.codes(found.chunk(2, -1)[edge.part].flatten(0, 1).numpy())
            for head in (2 * edge.part, 2 * edge.part + 1):
                assert codes[edge.consumer][head].right_bits == edge.bits
                right = codes[edge.consumer][head].right  # [batch, features, tokens]
                assert (ours == right.transpose(1, 2).flatten(0, 1).numpy()).all()
        else:
            by_head = torch.stack([each.flatten() for each in sums[edge.source]], 1)
            read = torch.stack([product.left.flatten() for product in codes[edge.consumer]], 1)
            assert edge.part is None
            assert by_head.shape[1] == 4
            assert (edge.codes(by_head.numpy()) == read.numpy()).all()


# Token by token


def seen(model: nn.Module, compute: Callable[[], Tensor]) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The logits, and all codes of activations by quantiser."""
    found: dict[str, list[Tensor]] = {}
    activations = {name: each for name, each in quantizers(model).items() if not each.of_weight}
    for name, quantizer in activations.items():
        quantizer.observer = lambda codes, name=name: found.setdefault(name, []).append(codes)
    with torch.no_grad():
        result = compute()
    for quantizer in activations.values():
        quantizer.observer = None
    return result, found


@settings(max_examples=15)
@given(
    kind=st.sampled_from(sorted(SCHEMES)),
    samples=st.integers(1, 3),
    tokens=st.integers(2, 33),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_a_cache_changes_no_code_and_no_logit(kind: str, samples: int, tokens: int, share: float, seed: int) -> None:
    model, read = _quantised(SCHEMES[kind], ()), text(samples, tokens, seed)
    steps = max(1, round(share * (tokens - 1)))
    wanted, at_once = seen(model, lambda: model(input_ids=read).logits)
    found, one_by_one = seen(model, lambda: logits_in_steps(model, {"input_ids": read}, steps))
    assert torch.equal(found, wanted)
    assert at_once.keys() == one_by_one.keys()
    for name, (codes,) in at_once.items():
        parts = one_by_one[name]
        if name.endswith("second"):  # what is in the cache at the end
            ours = parts[-1]
        elif name.endswith("context.first"):  # [samples, heads, tokens, keys]; keys to come have a code of 0
            ours = torch.cat([F.pad(part, (0, tokens - part.shape[-1])) for part in parts], 2)
        else:
            ours = torch.cat(parts, 1)
        assert torch.equal(ours, codes)


def test_tokens_that_are_masked_change_nothing_of_the_others() -> None:
    model, read = quantised(Scheme()), text(2, 9)
    mask = torch.ones_like(read)
    mask[0, :3] = 0
    inputs = {"input_ids": read, "attention_mask": mask}
    with torch.no_grad():
        wanted, found = model(**inputs).logits, logits_in_steps(model, inputs, 4)
    assert torch.equal(found[mask == 1], wanted[mask == 1])


@pytest.mark.parametrize(
    ("inputs", "steps", "message"),
    [
        ({"input_ids": text()}, 13, "steps must be from 0 to 12 for 13 tokens, not 13"),
        ({"input_ids": text()}, -1, "steps must be from 0 to 12 for 13 tokens, not -1"),
        ({"input_ids": text(), "labels": text()}, 1,
         "inputs of a decoder must be input_ids and attention_mask, and none is called labels"),
    ],
)  # fmt: skip
def test_steps_that_cannot_be_are_refused(inputs: dict[str, Tensor], steps: int, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        logits_in_steps(_quantised(Scheme(), ()), inputs, steps)


def test_steps_are_of_decoders() -> None:
    model = random_subject("vit-mnist", Scheme(), 1).model
    with pytest.raises(InputError, match=r"^steps must be 0 for a network that is no decoder, not 1$"):
        model.logits({"pixel_values": torch.zeros(1, 1, 28, 28)}, steps=1)


def test_a_decoder_is_verified_with_its_last_tokens_one_at_a_time(tmp_path: Path) -> None:
    subject = random_subject("llama-small", Scheme(), 2, tokens=6)
    assert (subject.name, subject.steps) == ("llama-small, random weights, 2 of 6 tokens one at a time", 2)
    assert random_subject("llama-small", Scheme(), 1, tokens=1).steps == 0
    model = quantised(Scheme())
    model.save_pretrained(tmp_path / "folder")
    qat.export_integers(model, tmp_path / "integers")
    for name in ("folder", "integers"):
        found = open_subject(tmp_path / name, 1)
        assert found.name == f"{tmp_path / name}, random tokens, 2 of 64 tokens one at a time"
        read = found.batches[0]["input_ids"]
        assert torch.equal(found.model.logits({"input_ids": read}), logits(model, read))


# Training


def test_a_small_decoder_learns_a_text() -> None:
    """Letters of a sentence that comes again; and what is trained is what is exported."""
    letters = torch.tensor(list(b"to be or not to be, that is the question. " * 12))
    batches = letters.unfold(0, 32, 7)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.1,
    )  # fmt: skip
    model = qat.quantize_model(LlamaForCausalLM(config), Scheme(4, 4))
    qat.calibrate(model, [{"input_ids": batches[:8]}])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss = model.train()(input_ids=batches, labels=batches).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.8 * math.log(128)
    assert losses[-1] < losses[0] / 2
    model.eval()
    with torch.no_grad():
        evaluated = float(model(input_ids=batches, labels=batches).loss)
    assert abs(evaluated - losses[-1]) < 0.3
    assert all(bool((quantizer.relative != 1).any()) for quantizer in quantizers(model).values())
    integers = IntegerModel.from_quantized(model, Scheme(4, 4), {})
    assert torch.equal(integers.logits({"input_ids": batches[:4]}, steps=3), logits(model, batches[:4]))


# Refused


TIED = "tie_word_embeddings must be false, with a weight of its own for lm_head: that of the embedding is not quantised"
ROTATED = (
    "query_key of a decoder must be separate, not reparameterised: its queries and keys are rotated between "
    "projections and scores"
)
ONE_BIT = (
    f"activation_bits of {LAYER}.context must be from 2 to 8, not 1: at one bit what is masked may have a code of 1"
)


def tied() -> LlamaForCausalLM:
    return decoder(tie_word_embeddings=True)


@pytest.mark.parametrize(
    ("make", "scheme", "message"),
    [
        (tied, Scheme(), TIED),
        (lambda: decoder(hidden_act="gelu"), Scheme(), "hidden_act of a decoder must be silu, not 'gelu'"),
        (lambda: decoder(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}), Scheme(),
         "rope_type must be one of default, linear, llama3, not 'dynamic'"),
        (lambda: decoder(rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}),
         Scheme(), "rope_parameters of default must be rope_theta, and none is called 'partial_rotary_factor'"),
        (decoder, Scheme(query_key="reparameterised"), ROTATED),
        (decoder, Scheme(1, 1), ONE_BIT),
        (decoder, Scheme(overrides=(Override("*.scores", activation_bits=(2, 3, 4, 5)),)),
         f"activation_bits of {LAYER}.scores must be one number or 2, one a head, not 4"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(make: Callable[[], LlamaForCausalLM], scheme: Scheme, message: str) -> None:
    model = make()
    before = {name: id(module) for name, module in model.named_modules()}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        qat.quantize_model(model, scheme)
    assert {name: id(module) for name, module in model.named_modules()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}},
            "rope_type must be one of default, linear, llama3, not 'yarn'",
        ),
        ({"rope_scaling": {"rope_type": "linear", "factor": -1.0}},
         "factor must be a number above 0 and of at most 1e+12, not -1.0"),
        (
            {"rope_scaling": LLAMA3 | {"high_freq_factor": 1.0}},
            "high_freq_factor must be above low_freq_factor, 1.0, not 1.0",
        ),
        ({"rope_theta": 0.5}, "rope_theta must be a number above 1 and of at most 1e+12, not 0.5"),
        ({"num_key_value_heads": 3}, "num_attention_heads must be a multiple of num_key_value_heads, 3, not 4"),
        ({"num_key_value_heads": 0}, "num_key_value_heads must be from 1 to 1024, not 0"),
        ({"head_dim": 1 << 15}, "head_dim must be from 1 to 16384, not 32768"),
        ({"rms_norm_eps": 1.0}, "rms_norm_eps must be from 1e-15 to 0.01, not 1.0"),
    ],
)  # fmt: skip
def test_what_a_config_json_must_not_ask_for(changes: dict[str, Any], message: str) -> None:
    values = model_config(decoder())
    values.pop("rope_parameters")
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        from_config(values | changes)


def test_commands_of_classifiers_refuse_it() -> None:
    message = (
        "mine must be a classifier for digits, not a decoder of texts, which is trained from Python (docs/training.md)"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_inputs("mine", decoder().config, open_data("digits", limit=32))


def test_a_config_json_of_earlier_versions_keeps_its_frequencies() -> None:
    values = model_config(decoder())
    values.pop("rope_parameters")
    found = from_config({**values, "rope_theta": 5e5, "rope_scaling": None})
    assert found.config.rope_parameters == {"rope_type": "default", "rope_theta": 5e5}
    assert from_config(values).config.rope_parameters["rope_theta"] == 1e4


def test_a_network_of_its_configuration_alone_is_one_of_floats() -> None:
    """Heads are shared there, too, in the attention that the configuration names."""
    model = quantised(Scheme())
    plain = LlamaForCausalLM._from_config(model.config)
    plain.load_state_dict(decoder().state_dict())
    torch.testing.assert_close(logits(plain.eval(), text()), logits(decoder(), text()), rtol=1e-5, atol=1e-5)


def test_an_engine_computes_every_product_of_it() -> None:
    model, names = quantised(Scheme()), set()

    def engine(product: Product) -> Tensor:
        names.add(product.name)
        return exact_product(product)

    with integer_engine(model, engine):
        model(input_ids=text())
    assert names == set(gemms(model))
