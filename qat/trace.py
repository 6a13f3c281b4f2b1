"""The matrix products of one inference of a network, by shape: ``python -m qat.trace --model deit-tiny --out FILE``.

The network of a preset or of a Hugging Face folder, with random weights, runs once with integers, and every product
that its layers ask for is written down. So the list has what really runs: each window, each head, each repeated
application of a block.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from shlex import quote
from typing import Any

import torch
from torch import Tensor, nn

from qat.models import SIZES, build, check_scores, is_preset, preset
from qat.network import (
    Product,
    QuantContext,
    QuantConv2d,
    QuantGemm,
    QuantLinear,
    QuantScores,
    gemms,
    integer_engine,
    quantize_model,
    quantizers,
)
from qat.settings import Scheme
from siliquant.commandline import run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, integer

from .parsers import trace as parser

__all__ = ["FORMAT", "ROLES", "TracedGemm", "main", "role_of", "to_text", "trace", "workload"]

PROG = "qat.trace"
FORMAT = "siliquant-workload 1"
ROLES: tuple[tuple[str, str], ...] = (
    ("*patch_embeddings.projection", "patch_embedding"),
    ("*.embeddings.stem.*", "stem"),
    ("*.downsamples.*", "downsampling"),
    ("*.downsample.reduction", "downsampling"),
    ("*.projections.*.mlp.fc1", "projection_fc1"),
    ("*.projections.*.mlp.fc2", "projection_fc2"),
    ("*.q_proj", "query"),
    ("*.query", "query"),
    ("*.k_proj", "key"),
    ("*.key", "key"),
    ("*.v_proj", "value"),
    ("*.value", "value"),
    ("*.scores", "scores"),
    ("*.context", "context"),
    ("*.o_proj", "projection"),
    ("*.attention.output.dense", "projection"),
    ("*.mlp.fc1", "fc1"),
    ("*.intermediate.dense", "fc1"),
    ("*.mlp.fc2", "fc2"),
    ("*.output.dense", "fc2"),
    ("*.pooler.dense", "pooler"),
    ("*classifier", "classifier"),
)
"""The role of a GEMM by a pattern of its name; the first that matches."""
_OUTSIDE = ("patch_embedding", "stem", "downsampling", "pooler", "classifier")
_BY_HEAD = ("query", "key", "value", "scores", "context", "projection")
_TOKENS = 128
_MOST_TOKENS = 1 << 16  # where a network says no most
_ENDS_BITS, _BODY_BITS = 8, 4  # any two widths that differ tell the ends from the body


@dataclass(frozen=True, kw_only=True)
class TracedGemm:
    """One call of one GEMM: ``count`` products of [m, k] codes by [n, k] codes.

    Args:
        name: in the network, as integer files and records of simulations have it.
        role: one of ROLES.
        layer: number of the block it belongs to, in the order of first use; None outside of blocks.
        call: 0 for the first use of this name, 1 for the next (a block that is applied again), and so on.
        m, k, n: rows of activations, length of sums, columns of weights or of the second operand.
        count: matrices: heads times windows of an attention product, channels of a depthwise convolution; else 1.
        heads: of the attention it belongs to; 1 elsewhere.
        ends: whether it has the width of the first and last layers rather than that of the body.
        activation_signed: whether the first operand is signed; the second always is.
        static: whether the second operand is a weight, not an activation.
        bias: whether a bias is added.
        feeds_gemm: whether its sums become codes of another GEMM with nothing between.
    """

    name: str
    role: str
    layer: int | None
    call: int
    m: int
    k: int
    n: int
    count: int
    heads: int
    ends: bool
    activation_signed: bool
    static: bool
    bias: bool
    feeds_gemm: bool


def role_of(name: str) -> str:
    """The role of the GEMM of that name.  Raises ValueError where no pattern matches."""
    for pattern, role in ROLES:
        if fnmatchcase(name, pattern):
            return role
    raise InputError(f"the name of a GEMM must tell its role, and {name} matches no pattern of qat.trace.ROLES")


@torch.no_grad()
def trace(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[TracedGemm, ...]:
    """Every GEMM call of ``model``, which must not be quantised yet, on ``inputs`` (one sample), in order of execution.

    The model is quantised in place; its numbers mean nothing afterwards. Raises ValueError as quantize_model, and for a
    GEMM without a role.
    """
    # One scale for the input of the output projection: the projection is then one GEMM, not one a head.
    scheme = Scheme(_BODY_BITS, _BODY_BITS, _ENDS_BITS, output_by_head=False, scale_start="mean")
    quantised = quantize_model(model, scheme, fit_weights=False)  # type: ignore[arg-type]
    for quantizer in quantizers(quantised).values():
        quantizer.set_scale(torch.ones_like(quantizer.scale))
    layers = gemms(quantised)
    feeding = _feeding(layers)
    found: list[TracedGemm] = []
    blocks: dict[str, int] = {}
    block: list[int | None] = [None]

    def engine(product: Product) -> Tensor:
        left, right = product.left, product.right
        layer, role = layers[product.name], role_of(product.name)
        if role == "query":
            block[0] = blocks.setdefault(product.name, len(blocks))
        *batch, m, k = left.shape
        count = 1
        for size in batch:
            count *= size
        static = isinstance(layer, QuantLinear | QuantConv2d)
        if right.ndim == 2:  # one weight for all: their rows are rows of one matrix
            m, count = m * count, 1
        found.append(
            TracedGemm(
                name=product.name,
                role=role,
                layer=None if role in _OUTSIDE else block[0],
                call=sum(gemm.name == product.name for gemm in found),
                m=m,
                k=k,
                n=right.shape[-2],
                count=count,
                heads=_heads(quantised, product.name) if role in _BY_HEAD else 1,
                ends=product.right_bits == _ENDS_BITS,
                activation_signed=product.left_signed,
                static=static,
                bias=static and getattr(layer, "bias", None) is not None,
                feeds_gemm=product.name in feeding,
            )
        )
        shape = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        return torch.zeros(*shape, left.shape[-2], right.shape[-2], dtype=torch.int64)

    with integer_engine(quantised, engine):
        quantised(**inputs)
    return tuple(found)


def _feeding(layers: Mapping[str, QuantGemm]) -> frozenset[str]:
    """Names of the GEMMs whose outputs another reads as they are: as qat.integers.requantise finds them."""
    found: set[str] = set()
    for layer in layers.values():
        if isinstance(layer, QuantScores | QuantContext):
            found |= {source for source in layer.sources if isinstance(layers.get(source), QuantLinear)}
        elif isinstance(layer, QuantLinear):
            found |= {source for source in layer.sources[:1] if isinstance(layers.get(source), QuantContext)}
    return frozenset(found)


def _heads(model: nn.Module, name: str) -> int:
    """Heads of the attention module that the GEMM is in."""
    path = name
    while path:
        path = path.rpartition(".")[0]
        for place in (path, f"{path}.self" if path else "self"):  # BERT's output projection lies beside its attention
            try:
                heads = getattr(model.get_submodule(place), "num_attention_heads", None)
            except AttributeError:
                continue
            if isinstance(heads, int):
                return heads
    raise InputError(f"{name} must be in an attention module with num_attention_heads")


def sample(config: object, tokens: int) -> dict[str, Tensor]:
    """One input of the network: an image of zeros, or ``tokens`` tokens."""
    size = getattr(config, "image_size", None)
    if size is not None:
        return {"pixel_values": torch.zeros(1, getattr(config, "num_channels", 3), size, size)}
    shape = (1, tokens)
    return {
        "input_ids": torch.zeros(shape, dtype=torch.int64),
        "attention_mask": torch.ones(shape, dtype=torch.int64),
    }


def workload(network: str, *, labels: int | None = None, tokens: int | None = None) -> dict[str, Any]:
    """The JSON of hwmodel/data/workloads for a preset, or a folder that describes a network: the GEMMs, and where they
    come from, by the folder's name.

    labels: default the folder's own; of a preset 1000 for images and 2 for texts. tokens: default 128, or as many as
    the network has positions. Raises ValueError as `preset`, and for a text longer than the positions.
    """
    found = preset(network)
    name, config = found.name, found.config
    most = getattr(config, "max_position_embeddings", None) or _MOST_TOKENS
    tokens = min(_TOKENS, most) if tokens is None else tokens
    if not 1 <= tokens <= most:
        raise InputError(f"tokens must be an integer from 1 to {most} for {name}, not {tokens}")
    if not _takes_images(config):
        check_scores(config.num_attention_heads, tokens, tokens)
    if labels is None:
        labels = (1000 if _takes_images(config) else 2) if is_preset(network) else config.num_labels or 1
    torch.manual_seed(0)
    model = build(network, num_labels=labels).eval()
    inputs = sample(model.config, tokens)
    text = "input_ids" in inputs
    traced = trace(model, inputs)
    command = ["python -m qat.trace", "--model", quote(name), *(["--tokens", str(tokens)] if text else []), "--labels"]
    return {
        "format": FORMAT,
        "name": f"{name}-{tokens}" if text else name,
        "model": name,
        "command": " ".join([*command, str(labels)]),
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


def _takes_images(config: object) -> bool:
    return hasattr(config, "image_size")


_SIZES = (
    "model_type", "image_size", "patch_size", "num_channels", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio",
    "stem_strides", "widths", "recursions", "groups", "projection_ratio", "qkv_bias",
)  # fmt: skip


def _plain(config: object) -> dict[str, Any]:
    """What of the configuration decides the shapes."""
    values = {name: getattr(config, name) for name in _SIZES if getattr(config, name, None) is not None}
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
    made.only_with("a network of texts", not _takes_images(preset(options.model).config), "--tokens")
    found = workload(options.model, labels=labels, tokens=tokens)
    write_atomically(options.out, to_text(found))
    print(f"{found['name']}: {len(found['gemms'])} GEMMs, {found['macs']:,} MACs")


if __name__ == "__main__":
    run(PROG, main)
