"""The matrix products of one inference of a network, by shape: ``python -m qat.trace --model deit-tiny --out FILE``.

The network of a preset or of a Hugging Face folder, with random weights, runs once with integers, and every product
that its layers ask for is written down. So the list has what really runs: each window, each head, each repeated
application of a block.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from transformers import PreTrainedConfig

from qat.models import SIZES, build, check_scores, is_decoder, is_preset, most_tokens, preset, shapes_alone
from qat.network import sample, trace
from siliquant.commandline import called, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, belongs, integer, policy_text, printable

from .parsers import trace as parser

__all__ = ["FORMAT", "graph_workload", "main", "to_text", "workload"]

PROG = "qat.trace"
FORMAT = "siliquant-workload 1"
_TOKENS = 128
_MOST_TOKENS = 1 << 16  # where a network says no most
_MOST_SHAPES = 1 << 42  # parameters of a decoder, which takes no memory here


def workload(
    network: str, *, labels: int | None = None, tokens: int | None = None, phase: str | None = None
) -> dict[str, Any]:
    """The JSON of hwmodel/data/workloads for a preset, or a folder that describes a network: the GEMMs, and where they
    come from, by the folder's name.

    labels: default the folder's own; of a preset 1000 for images and 2 for texts. tokens: default 128, or as many as
    the network has positions. phase, of a decoder: ``prefill`` (default), all tokens at once, or ``decode``, the last
    of them alone, with a cache of the others; logits are of the last token in both. Raises ValueError as `preset`, for
    a text longer than the positions, and for labels of a decoder or a phase of another network.
    """
    found = preset(network, most_parameters=_MOST_SHAPES)
    if not is_decoder(found.config):
        found = preset(network)
    name, config = found.name, found.config
    most = most_tokens(config) or _MOST_TOKENS
    tokens = min(_TOKENS, most) if tokens is None else tokens
    if not 1 <= tokens <= most:
        raise InputError(f"tokens must be an integer from 1 to {most} for {name}, not {tokens}")
    decoder = is_decoder(config)
    if decoder and labels is not None:
        raise InputError(f"labels must not be given for {name}, a decoder: it has outputs for its vocabulary")
    if phase is not None and not decoder:
        raise InputError(f"phase must not be given for {name}, which is no decoder")
    new = 1 if phase == "decode" else tokens
    if not _takes_images(config) and not decoder:
        check_scores(config.num_attention_heads, tokens, tokens)
    if labels is None:
        labels = (1000 if _takes_images(config) else 2) if is_preset(network) else config.num_labels or 1
    torch.manual_seed(0)
    model = (shapes_alone(config) if decoder else build(network, num_labels=labels)).eval()
    inputs = sample(model.config, new)
    if decoder:
        inputs = {"input_ids": inputs["input_ids"].to(model.device)}  # a mask would be of those in the cache, too
    text = "input_ids" in inputs
    traced = trace(model, inputs, cached=tokens - new)
    phase = phase or ("prefill" if decoder else None)
    command = ["python -m qat.trace", "--model", quote(name), *(["--tokens", str(tokens)] if text else [])]
    command += ["--phase", phase] if phase else ["--labels", str(labels)]
    named = [name, *([phase] if phase else []), *([str(tokens)] if text else [])]
    return {
        "format": FORMAT,
        "name": "-".join(named),
        "model": name,
        "command": " ".join(command),
        **({"source": found.source} if found.source else {}),
        **({"phase": phase, "context": tokens} if phase else {}),
        "inputs": {key: " x ".join(map(str, value.shape)) for key, value in inputs.items()},
        "config": _plain(config),
        "versions": {
            "python": platform.python_version(),
            "torch": version("torch"),
            "transformers": version("transformers"),
            "siliquant": version("siliquant"),
        },
        "macs": sum(gemm.m * gemm.k * gemm.n * gemm.count for gemm in traced),
        "gemms": [asdict(gemm) for gemm in traced],
    }


def graph_workload(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """The same JSON for the products of two quantised operands in a QONNX file, for one sample, and the bits of the
    second operand and of activations by GEMM. Raises ValueError, with the file, where it is not such a graph.
    """
    from qat.exchange import graph_gemms, input_shapes, read_graph

    graph = read_graph(path)
    with belongs(path, "a QONNX graph"):
        gemms, widths, missing = graph_gemms(graph)
        shapes = input_shapes(graph)
    for name in missing:
        print(f"{called(PROG)}: left out, no product of two quantised operands: {printable(name)}", file=sys.stderr)
    return {
        "format": FORMAT,
        "name": path.stem,
        "model": path.name,
        "command": f"python -m qat.trace --model {quote(path.name)}",
        "inputs": {name: " x ".join(map(str, shape)) for name, shape in shapes.items()},
        "config": {},
        "versions": {name: version(name) for name in ("onnx", "siliquant")},
        "macs": sum(gemm["m"] * gemm["k"] * gemm["n"] * gemm["count"] for gemm in gemms),
        "gemms": gemms,
    }, widths


def _takes_images(config: object) -> bool:
    return hasattr(config, "image_size")


_SIZES = (
    "model_type", "image_size", "patch_size", "num_channels", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio",
    "stem_strides", "widths", "recursions", "groups", "projection_ratio", "qkv_bias", "num_key_value_heads", "head_dim",
)  # fmt: skip


def _plain(config: PreTrainedConfig) -> dict[str, Any]:
    """What of the configuration decides the shapes."""
    names = (*_SIZES, "vocab_size") if is_decoder(config) else _SIZES  # which a decoder has outputs for
    values = {name: getattr(config, name) for name in names if getattr(config, name, None) is not None}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def to_text(found: Mapping[str, Any]) -> str:
    """JSON with one GEMM a line."""
    head = json.dumps({key: value for key, value in found.items() if key != "gemms"}, indent=1)
    lines = ",\n  ".join(json.dumps(gemm) for gemm in found["gemms"])
    return f'{head.removesuffix("}").rstrip()},\n "gemms": [\n  {lines}\n ]\n}}\n'


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    tokens = None if options.tokens is None else integer("tokens", options.tokens, 1, _MOST_TOKENS)
    labels = None if options.labels is None else integer("labels", options.labels, *SIZES["num_labels"])
    if options.model.endswith(".onnx"):
        made.only_with("a network that is no QONNX file", False, "--tokens", "--labels", "--phase")
        found, widths = graph_workload(Path(options.model))
        if options.policy_out is not None:
            write_atomically(options.policy_out, policy_text(widths, {"network": found["name"]}))
        _write(options.out, found)
        return
    made.only_with("a QONNX file", False, "--policy-out")
    network = preset(options.model, most_parameters=_MOST_SHAPES)
    made.only_with("a network of texts", not _takes_images(network.config), "--tokens")
    found = workload(options.model, labels=labels, tokens=tokens, phase=options.phase)
    _write(options.out, found)


def _write(path: Path, found: Mapping[str, Any]) -> None:
    write_atomically(path, to_text(found))
    print(f"{found['name']}: {len(found['gemms'])} GEMMs, {found['macs']:,} MACs")


if __name__ == "__main__":
    run(PROG, main)
