"""The graph of a quantised network."""

from __future__ import annotations

import ast
import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.models import is_decoder
from qat.network import scheme_of
from siliquant.inputs import InputError

from .nodes import QuantNode, with_nodes
from .translations import OPSET, translations

__all__ = ["FORMS", "onnx_model"]

FORMS = ("qonnx", "onnx")
_MOST_BYTES = 2_000_000_000
"""Of the numbers in a file: Protocol Buffers hold at most 2 GiB."""
_PREFIX = "model."  # of names of modules, by _Logits


def onnx_model(model: PreTrainedModel, inputs: Mapping[str, Tensor], form: str) -> onnx.ModelProto:
    """A quantised `model` as a graph for inputs of these shapes; its output is called ``logits``.

    form: ``qonnx``, whose quantisers are nodes Quant and BipolarQuant of QONNX, or ``onnx``, of standard operators
    (QuantizeLinear and DequantizeLinear, opset 21). Nodes are called as the modules they come from, and the output of
    a quantiser as the quantiser, with ``#2`` at its second use. A quantiser's values are the network's, bit for bit,
    where its input is; products are of floats, as everywhere in ONNX, so that sums differ from the network's exact
    ones by float32 noise, but those that one bit reads, which are of codes.

    Raises ValueError for another form, and where the model is not quantised, is a decoder, has a weight that is a
    product of two, or does not fit into a file.
    """
    if form not in FORMS:
        raise InputError(f"form must be one of {', '.join(FORMS)}, not {form!r}")
    scheme = scheme_of(model)
    if is_decoder(model.config):
        raise InputError("the network must be no decoder of texts: its graph is not known for ONNX; its integers are")
    size = sum(parameter.numel() * 4 for parameter in model.parameters())
    if size > _MOST_BYTES:
        raise InputError(f"the network must have at most {_MOST_BYTES:,} bytes of float32 for a file, not {size:,}")
    made = _Logits(with_nodes(model)).eval()
    calls = _calls(made, inputs)
    with _quiet():
        program = torch.onnx.export(
            made,
            kwargs=dict(inputs),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            output_names=["logits"],
            custom_translation_table=dict(translations(form)),
        )
    assert program is not None
    found = program.model_proto
    _rename(found.graph, calls)
    _without_traces(found)
    found.producer_name = "siliquant"
    found.metadata_props.add(key="siliquant_scheme", value=json.dumps(scheme.to_dict()))
    onnx.checker.check_model(found)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter and onnxscript warn of their own parts."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Logits(nn.Module):
    """The one output, as a tensor."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Any:
        return self.model(**inputs).logits


def _calls(made: nn.Module, inputs: Mapping[str, Tensor]) -> Counter[str]:
    """How often each quantiser is used for one input; those of weights once."""
    found: Counter[str] = Counter()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: found.update([name]))
        for name, module in made.named_modules() if isinstance(module, QuantNode)
    ]  # fmt: skip
    with torch.no_grad():
        made(**inputs)
    for hook in hooks:
        hook.remove()
    return Counter({
        name.removeprefix(_PREFIX): 1 if name.endswith("weight_quantizer") else count for name, count in found.items()
    })  # fmt: skip


def _rename(graph: onnx.GraphProto, calls: Mapping[str, int]) -> None:
    """Nodes after their modules, outputs of quantisers after the quantisers, weights without our wrapper's name."""
    by_scope: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        by_scope.setdefault(_scope(node), []).append(node)
    names = {each.name: each.name.removeprefix(_PREFIX) for each in graph.initializer}
    for scope, nodes in by_scope.items():
        for place, node in enumerate(nodes, 1):
            node.name = f"{scope}.{node.op_type}" if place == 1 else f"{scope}.{node.op_type}_{place}"
        uses = calls.get(scope, 0)
        for use in range(uses):
            last = nodes[len(nodes) // uses * (use + 1) - 1]
            names[last.output[0]] = scope if not use else f"{scope}#{use + 1}"
    kept = {each.name for each in (*graph.input, *graph.output)}
    for node in graph.node:
        for operands in (node.input, node.output):
            operands[:] = [name if name in kept else names.get(name, name) for name in operands]
    for each in (*graph.initializer, *graph.value_info):
        each.name = names.get(each.name, each.name)


def _scope(node: onnx.NodeProto) -> str:
    """The path of the innermost module that a node comes from."""
    told = {entry.key: entry.value for entry in node.metadata_props}
    scopes = ast.literal_eval(told.get("pkg.torch.onnx.name_scopes", "[]"))
    module = scopes[-2] if len(scopes) > 1 else ""
    return str(module).removeprefix(_PREFIX) or "network"


def _without_traces(model: onnx.ModelProto) -> None:
    """No line of source and no path of this machine goes along."""
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
