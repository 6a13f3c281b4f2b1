"""QONNX graphs read: products with the codes of other programs, as GEMMs with widths."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from hwmodel.latency import main as latency
from qat.exchange import graph_gemms, onnx_model
from qat.exchange.reading import products, read_graph
from qat.network import calibrate, gemms, quantize_model, trace
from qat.settings import Override, Scheme
from qat.trace import main
from siliquant.inputs import policy_widths

DOMAIN = "qonnx.custom_op.general"
IMAGES = {"pixel_values": torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(2))}
TEXT = {"input_ids": torch.arange(7).view(1, 7), "attention_mask": torch.ones(1, 7, dtype=torch.int64)}
MIXED = {
    "vit": Scheme(3, 4, overrides=(Override("*.fc1", 2, 6), Override("*.v_proj", 5, 7))),
    "bert": Scheme(3, 4, overrides=(Override("*.intermediate.dense", 2, 6), Override("*.value", 5, 7))),
}


def network(family: str) -> PreTrainedModel:
    """A model with nothing at zero."""
    torch.manual_seed(0)
    model: PreTrainedModel
    labels: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.3}
    if family == "vit":
        model = ViTForImageClassification(ViTConfig(
            image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, **labels,
        ))  # fmt: skip
    else:
        model = BertForSequenceClassification(BertConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=16, **labels,
        ))  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
    return model.eval()


@pytest.mark.parametrize(("family", "inputs"), [("vit", IMAGES), ("bert", TEXT)])
def test_what_is_written_is_read_as_the_trace_of_the_network(family: str, inputs: dict[str, Any]) -> None:
    model = network(family)
    traced = [asdict(each) for each in trace(copy.deepcopy(model), inputs)]
    calibrate(quantize_model(model, MIXED[family]), [inputs])
    listed, widths, missing = graph_gemms(onnx_model(model, inputs, "qonnx"))
    assert missing == []
    assert sorted(listed, key=str) == sorted(traced, key=str)
    wanted = {name: tuple(max(each.bits) for each in layer.operands())[::-1] for name, layer in gemms(model).items()}
    assert widths == wanted
    assert len(set(widths.values())) > 3


def test_codes_and_sums_are_those_of_qonnx() -> None:
    model = network("vit")
    calibrate(quantize_model(model, MIXED["vit"]), [IMAGES])
    graph = onnx_model(model, IMAGES, "qonnx")
    given = {name: tensor.numpy() for name, tensor in IMAGES.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports, and of 0-dimensional arrays
        wrapper = pytest.importorskip("qonnx.core.modelwrapper").ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        tensors = execute_onnx(wrapper(graph).transform(InferShapes()), given, return_full_exec_context=True)
    nodes = {node.name: node for node in graph.graph.node}
    found = list(products(graph, given))
    assert len(found) == len(gemms(model))
    for product in found:
        node = nodes[product.name]
        left = tensors[node.input[0]]
        offset = 0.0 if product.left.offset is None else product.left.offset
        if product.left.scale.size == 1:
            codes = np.rint((left - offset) / product.left.scale)
            assert np.array_equal(codes.astype(np.int64), product.left.codes)
        if product.left.scale.size == product.right.scale.size == 1:
            sums = product.left.codes @ product.right.codes.swapaxes(-1, -2)
            constant = offset * product.right.scale * product.right.codes.sum(-1)
            values = sums * product.left.scale * product.right.scale + constant
            np.testing.assert_allclose(product.result, values, rtol=1e-4, atol=1e-5)


def brevitas(**changes: Any) -> onnx.ModelProto:
    """Two linear layers as Brevitas writes them: narrow weights, unsigned activations, a Gemm and a MatMul."""
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {"bits": 4.0, "zero": 0.0, "signed": 1, "narrow": 1, "op": "Quant", **changes}

    def constant(name: str, value: Any) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(value, np.float32), name)

    def quant(x: str, name: str, scale: str, bits: str, signed: int, narrow: int) -> onnx.NodeProto:
        return helper.make_node(
            values["op"], [x, scale, "zero", bits], [name], name, domain=DOMAIN, signed=signed, narrow=narrow,
            rounding_mode="ROUND",
        )  # fmt: skip

    nodes = [
        quant("x", "xq", "sx", "b8", 1, 0),
        quant("w1", "w1q", "sw", "bits", values["signed"], values["narrow"]),
        helper.make_node("Gemm", ["xq", "w1q", "bias"], ["h"], "fc1", transB=1),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        quant("r", "rq", "sr", "b4", 0, 0),
        quant("w2", "w2q", "sw", "bits", values["signed"], values["narrow"]),
        helper.make_node("Transpose", ["w2q"], ["w2t"], "turn", perm=[1, 0]),
        helper.make_node("MatMul", ["rq", "w2t"], ["y"], "fc2"),
    ]
    constants = [
        constant("w1", rng.normal(size=(6, 5))), constant("w2", rng.normal(size=(3, 6))),
        constant("bias", rng.normal(size=6)), constant("sx", 0.1), constant("sw", 0.25), constant("sr", 0.2),
        constant("zero", values["zero"]), constant("bits", values["bits"]), constant("b4", 4), constant("b8", 8),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])], constants,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("op", ["Quant", "IntQuant"])
def test_a_graph_of_another_program(op: str) -> None:
    listed, widths, missing = graph_gemms(brevitas(op=op))
    assert missing == []
    assert widths == {"fc1": (4, 8), "fc2": (4, 4)}
    shapes = [(each["name"], each["m"], each["k"], each["n"], each["count"]) for each in listed]
    assert shapes == [("fc1", 1, 5, 6, 1), ("fc2", 1, 6, 3, 1)]
    facts = [(each["role"], each["ends"], each["activation_signed"], each["bias"]) for each in listed]
    assert facts == [("unknown", True, True, True), ("unknown", True, False, False)]
    first, second = products(brevitas(op=op), {"x": np.ones((1, 5), np.float32)})
    assert first.right.codes.min() == -7  # narrow
    sums = first.left.codes @ first.right.codes.T
    np.testing.assert_allclose(first.result, sums * 0.1 * 0.25, rtol=1e-5, atol=1e-6)
    assert second.left.codes.min() >= 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zero": 3.0}, "a Quant must have one width, no zero point, rounding ROUND, and narrow with signed only"),
        ({"bits": 9.0}, "weights of 'fc1' must have 1 to 8 bits, not 9"),
        ({"bits": 1.0}, "a Quant must have 2 to 32 bits, 1 where it is unsigned, not 1"),
        ({"signed": 0, "narrow": 0}, "the second operand of 'fc1' must be signed"),
    ],
)
def test_what_no_array_computes_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        graph_gemms(brevitas(**changes))
    assert str(caught.value) == said


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out, widths = tmp_path / "net.onnx", tmp_path / "gemms.json", tmp_path / "widths.json"
    graph = brevitas()
    graph.graph.node[2].name = "layers.0.mlp.fc1"
    extra = copy.deepcopy(graph.graph.node[2])
    extra.name, extra.output[0] = "layers.1.mlp.fc1", "unread"
    graph.graph.node.insert(3, extra)
    onnx.save(graph, file)
    main(["--model", str(file), "--out", str(out), "--policy-out", str(widths)])
    assert capsys.readouterr().out == "net: 3 GEMMs, 78 MACs\n"
    assert policy_widths(widths) == {"layers.0.mlp.fc1": (4, 8), "layers.1.mlp.fc1": (4, 8), "fc2": (4, 4)}
    assert json.loads(out.read_text())["inputs"] == {"x": "1 x 5"}
    latency(["--model", str(out), "--policy", str(widths), "--design", "bitfusion", "--array", "2x2"])
    assert "net on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "must have a graph|has no graph|graph|ModelProto"),
        (b"not a graph at all", "Error parsing message"),
    ],
)
def test_files_that_are_none(content: bytes, said: str, tmp_path: Path, command: Callable[..., Any]) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    ended = command(main, "--model", file, "--out", tmp_path / "out.json")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert str(file) in ended.err
    assert not (tmp_path / "out.json").exists()


def test_options_of_a_graph(command: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    onnx.save(brevitas(), file)
    for given, said in (
        (["--model", file, "--tokens", "5"], "--tokens must be given with a network that is no QONNX file only"),
        (["--model", "deit-tiny", "--policy-out", "x"], "--policy-out must be given with a QONNX file only"),
        (["--model", tmp_path / "no.onnx"], "no.onnx"),
    ):
        ended = command(main, *given, "--out", tmp_path / "out.json")
        assert ended.code == 2
        assert said in ended.err


def test_tensors_elsewhere_are_not_read(tmp_path: Path) -> None:
    graph = brevitas()
    onnx.save(graph, tmp_path / "net.onnx", save_as_external_data=True, location="data.bin", size_threshold=0)
    with pytest.raises(ValueError, match=r"net\.onnx.*its tensors must be in the file itself, not in others$"):
        read_graph(tmp_path / "net.onnx")


def test_what_is_left_out_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = brevitas()
    [second] = [node for node in graph.graph.node if node.name == "fc2"]
    second.input[0] = "r"  # not quantised
    onnx.save(graph, tmp_path / "net.onnx")
    main(["--model", str(tmp_path / "net.onnx"), "--out", str(tmp_path / "out.json")])
    assert capsys.readouterr().err == "qat.trace: left out, no product of two quantised operands: fc2\n"


def test_weights_may_be_constants_of_nodes_and_inputs_are_none() -> None:
    graph = brevitas()
    [weight] = [each for each in graph.graph.initializer if each.name == "w1"]
    graph.graph.initializer.remove(weight)
    graph.graph.node.insert(0, helper.make_node("Constant", [], ["w1"], value=weight))
    assert [each["static"] for each in graph_gemms(graph)[0]] == [True, True]
    graph.graph.node.remove(graph.graph.node[0])
    graph.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [6, 5]))
    assert [each["static"] for each in graph_gemms(graph)[0]] == [False, True]


def test_a_graph_that_does_not_run_is_told() -> None:
    graph = brevitas()
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    with pytest.raises(ValueError, match=r"^the graph must run on one sample of zeros, but: ValueError: "):
        graph_gemms(graph)
