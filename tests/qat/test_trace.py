"""Traced GEMM lists: against hooks on the plain model, against the layers themselves, and against the files kept."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from hwmodel.latency import main as latency
from hwmodel.workload import Pair, Role, load_workload, parts_of, read_workload, uniform
from qat.integers.integer import IntegerModel
from qat.integers.requantise import requantisations
from qat.integers.subject import random_subject
from qat.models.fresh import build
from qat.network.convert import gemms, quantize_model
from qat.network.gemm import Product, exact_product
from qat.network.tracing import ROLES, role_of, sample, trace
from qat.settings.scheme import Scheme
from qat.trace import main, to_text, workload

KEPT = Path(__file__).resolve().parents[2] / "hwmodel" / "data" / "workloads"


def counted(name: str, labels: int) -> tuple[int, int]:
    """MACs of linear layers and convolutions of the plain model by forward hooks, and of attention by its shapes."""
    torch.manual_seed(0)
    model = build(name, num_labels=labels).eval()
    found = {"layers": 0, "attention": 0}

    def linear(module: nn.Linear, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        found["layers"] += output.numel() * module.in_features

    def convolution(module: nn.Conv2d, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        found["layers"] += output.numel() * module.weight[0].numel()

    def softmax(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, ...]) -> None:
        values = module.v_proj.out_features if hasattr(module, "v_proj") else module.value.out_features
        batch, tokens = inputs[0].shape[:2]
        found["attention"] += 2 * batch * tokens * tokens * values

    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(linear)
        elif isinstance(module, nn.Conv2d):
            module.register_forward_hook(convolution)
        if hasattr(module, "v_proj") or hasattr(module, "value"):
            module.register_forward_hook(softmax)
    with torch.no_grad():
        model(**sample(model.config, 9))
    return found["layers"], found["attention"]


@pytest.mark.parametrize("name", ["vit-mnist", "swin-mnist", "sret-mnist"])
def test_macs_are_those_of_the_plain_model(name: str) -> None:
    layers, attention = counted(name, 10)
    torch.manual_seed(0)
    model = build(name, num_labels=10).eval()
    found = trace(model, sample(model.config, 9))
    static = sum(gemm.m * gemm.k * gemm.n * gemm.count for gemm in found if gemm.static)
    assert static == layers
    products = [gemm.m * gemm.k * gemm.n * gemm.count for gemm in found if not gemm.static]
    assert sum(products) == attention


def test_bert_on_a_short_text() -> None:
    layers, attention = counted("minilm", 2)
    model = build("minilm", num_labels=2).eval()
    found = trace(model, sample(model.config, 9))
    assert sum(gemm.m * gemm.k * gemm.n * gemm.count for gemm in found) == layers + attention
    roles = [gemm.role for gemm in found]
    assert roles[:8] == ["query", "key", "value", "scores", "context", "projection", "fc1", "fc2"]
    assert roles[-2:] == ["pooler", "classifier"]
    assert {gemm.heads for gemm in found if gemm.role == "projection"} == {12}


@pytest.mark.parametrize("name", ["vit-mnist", "swin-mnist", "sret-mnist"])
def test_precisions_and_edges_are_those_of_the_layers(name: str) -> None:
    scheme = Scheme(3, 3, 7, scale_start="mean")
    subject = random_subject(name, scheme, 1)
    layers = gemms(subject.model.network)
    model = build(name, num_labels=10).eval()
    found = trace(model, sample(model.config, 9))
    assert list(dict.fromkeys(gemm.name for gemm in found)) == sorted(layers, key=[g.name for g in found].index)
    for gemm in found:
        first, second = layers[gemm.name].operands()
        assert gemm.ends is (set(second.bits) == {7})
        assert gemm.activation_signed is first.signed
        assert second.signed
    edges = {edge.source for edge in requantisations(subject.model, 64)}
    assert {gemm.name for gemm in found if gemm.feeds_gemm} == edges


def test_names_are_those_of_integer_files() -> None:
    model = build("vit-mnist", num_labels=10)
    names = [gemm.name for gemm in trace(model, sample(model.config, 9))]
    quantised = quantize_model(build("vit-mnist", num_labels=10), Scheme(scale_start="mean"), fit_weights=False)
    for quantizer in (q for gemm in gemms(quantised).values() for q in gemm.operands()):
        quantizer.set_scale(torch.ones_like(quantizer.scale))
    integer = IntegerModel.from_quantized(quantised, Scheme(scale_start="mean"), {})
    assert set(names) == {gemm.name for gemm in integer.gemms()}


def test_a_width_for_each_operand_is_that_of_the_trained_network() -> None:
    """What costs are counted of at --bits 4/8 is what is trained with 4 bits of weights and 8 of activations."""
    scheme = Scheme(weight_bits=4, activation_bits=6, scale_start="mean")
    quantised = quantize_model(build("vit-mnist", num_labels=10), scheme, fit_weights=False)
    found = {name: [set(each.bits) for each in gemm.operands()] for name, gemm in gemms(quantised).items()}
    alike = uniform(load_workload("vit-mnist"), Pair(4, 6))
    assert found == {name: [{parts_of(bits)[1]}, {parts_of(bits)[0]}] for name, bits in alike.bits}


def test_roles_are_those_of_the_hardware_model() -> None:
    assert {role for _, role in ROLES} == {role.value for role in Role if role is not Role.UNKNOWN}


def test_a_name_without_a_role_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        role_of("vit.something")
    assert str(caught.value) == (
        "the name of a GEMM must tell its role, and vit.something matches no pattern of qat.network.ROLES"
    )


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_the_kept_list_of_a_decoder_is_what_is_traced_now(phase: str) -> None:
    path = KEPT / f"smollm2-135m-{phase}-1024.json"
    found = workload("smollm2-135m", tokens=1024, phase=phase)
    kept = json.loads(path.read_text())
    assert {**found, "versions": None} == {**kept, "versions": None}
    assert kept["source"].startswith("config.json of HuggingFaceTB/SmolLM2-135M on Hugging Face; ")
    assert kept["config"]["vocab_size"] == 49152
    assert to_text(kept) == path.read_text()


@pytest.mark.parametrize("name", ["vit-mnist", "deit-tiny"])
def test_the_kept_list_is_what_is_traced_now(name: str) -> None:
    kept = json.loads((KEPT / f"{name}.json").read_text())
    labels = int(kept["command"].rpartition(" ")[2])
    found = workload(name, labels=labels, tokens=128)
    assert {**found, "versions": None} == {**kept, "versions": None}


def test_the_command_writes_a_workload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "list.json"
    main(["--model", "minilm", "--tokens", "5", "--out", str(path)])
    macs = 6 * (12 * 384 * 384 * 5 + 2 * 5 * 5 * 384) + 384 * 384 + 384 * 2
    assert capsys.readouterr().out == f"minilm-5: 50 GEMMs, {macs:,} MACs\n"
    found = read_workload(path)
    assert found.name == "minilm-5"
    assert found.provenance["command"] == "python -m qat.trace --model minilm --tokens 5 --labels 2"
    assert found.provenance["inputs"] == {"input_ids": "1 x 5", "attention_mask": "1 x 5"}
    assert to_text(json.loads(path.read_text())) == path.read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [("--labels", "2147483648"), ("--labels", "0"), ("--labels", "x"), ("--labels", "9" * 5000), ("--tokens", "x")],
)
def test_numbers_of_the_command_have_ranges(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name[2:]} must be an integer from 1 to 65536, not '.{{1,60}}'$"):
        main(["--model", "minilm", name, value, "--out", str(tmp_path / "x.json")])


@pytest.mark.parametrize("tokens", [0, 513])
def test_texts_longer_than_the_positions_are_refused(tokens: int) -> None:
    with pytest.raises(ValueError) as caught:
        workload("minilm", labels=2, tokens=tokens)
    assert str(caught.value) == f"tokens must be an integer from 1 to 512 for minilm, not {tokens}"


# Decoders: llama-small has two layers of width 64, four heads of 16 on two of keys and values, an FFN of 128.


@pytest.mark.parametrize(("phase", "new"), [("prefill", 20), ("decode", 1)])
def test_a_decoder_by_hand(phase: str, new: int) -> None:
    found = workload("llama-small", tokens=20, phase=phase)
    block = [
        ("query", new, 64, 64, 1, 4), ("key", new, 64, 32, 1, 2), ("value", new, 64, 32, 1, 2),
        ("scores", new, 16, 20, 4, 4), ("context", new, 20, 16, 4, 4), ("projection", new, 64, 64, 1, 4),
        ("gate", new, 64, 128, 1, 1), ("up", new, 64, 128, 1, 1), ("down", new, 128, 64, 1, 1),
    ]  # fmt: skip
    fields = ("role", "m", "k", "n", "count", "heads")
    listed = [tuple(gemm[field] for field in fields) for gemm in found["gemms"]]
    assert listed == [*block, *block, ("lm_head", 1, 64, 256, 1, 1)]
    assert [gemm["layer"] for gemm in found["gemms"]] == [0] * 9 + [1] * 9 + [None]
    assert {gemm["role"] for gemm in found["gemms"] if gemm["feeds_gemm"]} == {"value", "context"}
    assert {gemm["role"] for gemm in found["gemms"] if not gemm["activation_signed"]} == {"context"}
    assert {gemm["role"] for gemm in found["gemms"] if gemm["ends"]} == {"lm_head"}
    assert (found["name"], found["phase"], found["context"]) == (f"llama-small-{phase}-20", phase, 20)
    assert found["command"] == f"python -m qat.trace --model llama-small --tokens 20 --phase {phase}"
    assert found["inputs"] == {"input_ids": f"1 x {new}"}
    if phase == "prefill":
        assert workload("llama-small", tokens=20) == found


def test_a_token_is_decoded_by_the_products_that_are_listed() -> None:
    """Those of an integer network with a cache that was filled."""
    subject = random_subject("llama-small", Scheme(scale_start="mean", output_by_head=False), 1, tokens=9)
    found: list[tuple[object, ...]] = []

    def engine(product: Product) -> torch.Tensor:
        left, right = product.left, product.right
        count = 1 if right.ndim == 2 else left.shape[:-2].numel()
        found.append((product.name, left[..., 0].numel() // count, left.shape[-1], right.shape[-2], count))
        return exact_product(product)

    subject.model.logits(subject.batches[0], engine, steps=1)
    listed = workload("llama-small", tokens=9, phase="decode")["gemms"]
    assert found[-len(listed) :] == [tuple(gemm[name] for name in ("name", "m", "k", "n", "count")) for gemm in listed]


def test_a_decoder_goes_where_networks_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "decode.json"
    main(["--model", "llama-small", "--tokens", "20", "--phase", "decode", "--out", str(path)])
    assert read_workload(path).provenance["phase"] == "decode"
    capsys.readouterr()
    latency(["--model", str(path), "--bits", "3/5"])
    keys = 2 * 20 * 32 * 5  # layers, tokens, features, bits
    both = f"{2 * keys:,} bits ({2 * keys // 8:,} bytes)"
    line = f"keys and values of all tokens: {both}, keys {keys:,} and values {keys:,} bits"
    assert " ".join(capsys.readouterr().out.split()).endswith(line)
    latency(["--model", str(path), "--bits", "4", "--format", "json"])
    sizes = {record["role"]: record["cache_bytes"] for record in json.loads(capsys.readouterr().out)}
    assert {role: size for role, size in sizes.items() if size} == {"scores": 640, "context": 640, "all": 1280}
    latency(["--model", "vit-mnist", "--format", "json"])
    assert all("cache_bytes" not in record for record in json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--model", "llama-small", "--labels", "5"],
         "labels must not be given for llama-small, a decoder: it has outputs for its vocabulary"),
        (["--model", "vit-mnist", "--phase", "decode"], "phase must not be given for vit-mnist, which is no decoder"),
        (["--model", "llama-small", "--tokens", "129"],
         "tokens must be an integer from 1 to 128 for llama-small, not 129"),
    ],
)  # fmt: skip
def test_what_a_decoder_cannot_be_asked_for(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        main([*given, "--out", str(tmp_path / "x.json")])


def test_a_decoder_is_listed_whatever_its_size(tmp_path: Path) -> None:
    """Llama 3 with 8 billion parameters, of which none takes memory."""
    sizes = {"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8,
             "num_hidden_layers": 32, "vocab_size": 128256, "max_position_embeddings": 8192}  # fmt: skip
    described = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "rope_theta": 500000.0, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(described))
    found = workload(str(tmp_path), tokens=8192, phase="decode")
    layer = 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336) + 2 * 8192 * 4096
    assert found["macs"] == 32 * layer + 4096 * 128256
    assert found["config"]["num_key_value_heads"] == 8
    with pytest.raises(ValueError, match=r"the network must have at most 1073741824 parameters, not 8030261248$"):
        random_subject(str(tmp_path), Scheme(), 1)
