"""Networks as ONNX files: what other programs compute from them is what the networks compute."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from qat.exchange import compare_file, onnx_model
from qat.exchange.checking import evaluator
from qat.export import main
from qat.models.sret import SReTConfig, SReTForImageClassification
from qat.network import calibrate, quantize_model, quantizers
from qat.quantisers import ElasticBinarizer
from qat.settings import Override, Scheme

MIXED = Scheme(
    4,
    5,
    overrides=(
        Override("*.q_proj", (2, 6)),
        Override("*.k_proj", 4, (6, 3)),
        Override("*.scores", None, (2, 5)),
        Override("*.v_proj", 3, 7),
    ),
)
SCHEMES = {
    "w3a4": Scheme(3, 4), "w8a8": Scheme(8, 8), "w1a1": Scheme(1, 1), "mixed": MIXED,
    "channel": Scheme(6, 2, granularity="channel", weight_scale="statistical"),
}  # fmt: skip
CASES = [("vit", name) for name in SCHEMES] + [("bert", "w3a4"), ("sret", "w1a1")]


def samples(family: str, count: int) -> list[dict[str, Tensor]]:
    """One at a time."""
    generator = torch.Generator().manual_seed(5)
    if family == "bert":
        mask = torch.ones(1, 7, dtype=torch.int64)
        return [{"input_ids": torch.randint(0, 50, (1, 7), generator=generator), "attention_mask": mask}] * count
    return [{"pixel_values": torch.randn(1, 1, 8, 8, generator=generator)} for _ in range(count)]


@functools.cache
def _network(family: str, scheme: str) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel
    labels: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.3}
    if family == "vit":
        model = ViTForImageClassification(ViTConfig(
            image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, **labels,
        ))  # fmt: skip
    elif family == "bert":
        model = BertForSequenceClassification(BertConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=16, **labels,
        ))  # fmt: skip
    else:
        model = SReTForImageClassification(SReTConfig(
            image_size=8, num_channels=1, stem_strides=(2, 1, 1), widths=(8, 16), depths=(1, 1), num_heads=(2, 4),
            groups=((4, 2), (1, 1)), mlp_ratio=1.5, drop_path_rate=0.0, **labels,
        ))  # fmt: skip
    calibrate(quantize_model(model, SCHEMES[scheme]), samples(family, 4))
    with torch.no_grad():
        for quantizer in quantizers(model).values():
            quantizer.relative.uniform_(0.8, 1.2)
            if isinstance(quantizer, ElasticBinarizer):  # some at 0, where sums lie on the threshold
                quantizer.threshold.add_(quantizer.scale * 0.1 * torch.randint(0, 2, quantizer.scale.shape))
    return model.eval()


def network(family: str, scheme: str) -> PreTrainedModel:
    return copy.deepcopy(_network(family, scheme))


@functools.cache
def graph(family: str, scheme: str, form: str) -> onnx.ModelProto:
    return onnx_model(network(family, scheme), samples(family, 1)[0], form)


def outputs_and_codes(model: PreTrainedModel, inputs: dict[str, Tensor]) -> tuple[Any, dict[str, Any]]:
    """Logits, and the values that each quantiser gave last."""
    seen: dict[str, Any] = {}
    for name, quantizer in quantizers(model).items():
        quantizer.register_forward_hook(lambda _, given, values, name=name: seen.update({name: values.numpy()}))
    with torch.no_grad():
        return model(**inputs).logits.numpy(), seen


@pytest.mark.parametrize("form", ["qonnx", "onnx"])
@pytest.mark.parametrize(("family", "scheme"), CASES)
def test_a_file_has_the_codes_of_its_network(family: str, scheme: str, form: str) -> None:
    found = compare_file(network(family, scheme), graph(family, scheme, form), samples(family, 3))
    assert (found.predictions, found.ties, found.untouched) == (3, 0, 3)
    assert found.codes > 1000
    assert found.largest_difference < 1e-5


@pytest.mark.parametrize(("family", "scheme"), [("vit", "w3a4"), ("vit", "w1a1"), ("vit", "mixed"), ("bert", "w3a4")])
def test_qonnx_reads_and_computes_it(family: str, scheme: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports, and of 0-dimensional arrays
        wrapper = pytest.importorskip("qonnx.core.modelwrapper").ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        [inputs] = samples(family, 1)
        logits, values = outputs_and_codes(network(family, scheme), inputs)
        model = wrapper(copy.deepcopy(graph(family, scheme, "qonnx"))).transform(InferShapes())
        named = {name: tensor.numpy() for name, tensor in inputs.items()}
        tensors = execute_onnx(model, named, return_full_exec_context=True)
    np.testing.assert_allclose(tensors["logits"], logits, rtol=0, atol=1e-5)
    for name, expected in values.items():
        if not name.endswith("weight_quantizer"):
            np.testing.assert_allclose(tensors[name].reshape(expected.shape), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("family", "scheme"), [("vit", "w3a4"), ("vit", "w8a8"), ("vit", "w1a1"), ("vit", "mixed")])
def test_onnxruntime_computes_it(family: str, scheme: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    [inputs] = samples(family, 1)
    logits, _ = outputs_and_codes(network(family, scheme), inputs)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = runtime.InferenceSession(graph(family, scheme, "onnx").SerializeToString(), options)
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    np.testing.assert_allclose(found, logits, rtol=0, atol=1e-5)


def test_nodes_of_qonnx() -> None:
    model = graph("vit", "w3a4", "qonnx")
    assert {each.domain: each.version for each in model.opset_import} == {"": 21, "qonnx.custom_op.general": 1}
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Quant"] == len(quantizers(network("vit", "w3a4")))
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = {node.output[0]: node for node in model.graph.node if node.op_type == "Quant"}
    node = nodes["vit.layers.0.attention.q_proj.weight_quantizer"]
    x, scale, zero, bits = node.input
    assert x == "vit.layers.0.attention.q_proj.weight"
    assert constants[scale].shape == (16, 1)
    assert len(np.unique(constants[scale])) == 2  # one a head
    assert (constants[zero], constants[bits]) == (0, 3)
    given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    assert given == {"signed": 1, "narrow": 0, "rounding_mode": b"ROUND"}
    assert "vit.layers.0.mlp.fc2.input_quantizer" not in nodes  # its values have an offset, added behind the node


def test_integers_of_onnx_have_the_narrowest_type() -> None:
    for name, types in (("w3a4", {"INT4", "UINT4", "INT8"}), ("mixed", {"INT4", "INT8", "UINT8"})):
        found = {
            onnx.TensorProto.DataType.Name(onnx.helper.get_attribute_value(each))
            for node in graph("vit", name, "onnx").graph.node if node.op_type == "QuantizeLinear"
            for each in node.attribute if each.name == "output_dtype"
        }  # fmt: skip
        assert found == types, name


def test_nothing_of_this_machine_is_in_a_file() -> None:
    text = str(graph("vit", "w3a4", "qonnx"))
    for word in (str(Path(__file__).parents[2]), "site-packages", ".py", "stack_trace"):
        assert word not in text


def test_what_has_no_graph_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^form must be one of qonnx, onnx, not 'tflite'$"):
        onnx_model(network("vit", "w3a4"), samples("vit", 1)[0], "tflite")
    product = ViTForImageClassification(ViTConfig(
        image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    ))  # fmt: skip
    calibrate(quantize_model(product, Scheme(query_key="reparameterised")), samples("vit", 1))
    with pytest.raises(
        ValueError, match=r"^query_key must be separate for an ONNX file: the weight of .* is a product$"
    ):
        onnx_model(product, samples("vit", 1)[0], "onnx")


def test_other_nodes_of_qonnx_are_not_computed_wrongly() -> None:
    model = copy.deepcopy(graph("vit", "w3a4", "qonnx"))
    [node] = [node for node in model.graph.node if node.output[0].endswith("fc1.weight_quantizer")]
    [mode] = [each for each in node.attribute if each.name == "rounding_mode"]
    mode.s = b"FLOOR"
    with pytest.raises(ValueError, match=r"^a Quant must have one width, no zero point, rounding ROUND"):
        evaluator(model)({"pixel_values": np.zeros((1, 1, 8, 8), np.float32)})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("form", ["qonnx", "onnx"])
def test_the_command_line(form: str, command: Callable[..., Any], low_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = command(main, "--checkpoint", low_run, "--format", form, "--samples", "4", "--out", out, "--device", "cpu")
    assert ended.code == 0, ended.err
    written, said = ended.out.splitlines()
    file = out / "network.onnx"
    assert written == f"{file}: {file.stat().st_size:,} bytes"
    assert said.startswith("4 of 4 predictions equal; 0 of ")
    assert [each.name for each in out.iterdir()] == ["network.onnx"]
    before = file.read_bytes()
    assert command(main, "--checkpoint", low_run, "--format", form, "--samples", "0", "--out", out).code == 0
    assert file.read_bytes() == before
