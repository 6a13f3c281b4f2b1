"""Random small transformers with random schemes, and random arrays that compute them."""

from __future__ import annotations

from random import Random
from typing import Any

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from siliquant.inputs import InputError, InputTypeError
from sim.fuzzing import NetworkSpec

from .unit_drawing import draw_mac

__all__ = ["FAMILIES", "draw_network"]

FAMILIES = ("vit", "deit", "swin", "sret", "bert", "llama")
_ATTENTION = {"bert": ("*.self.query", "*.self.value", "*.scores"), "": ("*.q_proj", "*.v_proj", "*.scores")}
_OTHERS = {
    "bert": ("*.intermediate.dense", "*.pooler.dense"), "llama": ("*.gate_proj", "*.down_proj", "*self_attn*"),
    "": ("*.mlp.fc1", "*.mlp.fc2", "*attention*"),
}  # fmt: skip
_DEPTH = 1 << 14  # words, so that any layer fits


def draw_network(rng: Random) -> NetworkSpec:
    """One network of moderate size on an array of any design."""
    family = rng.choice(FAMILIES)
    config = {"swin": _swin, "sret": _sret, "bert": _bert, "llama": _llama}.get(family, _vit)(rng)
    heads = None if family == "llama" else config.get("num_attention_heads")  # some of which share keys and values
    scheme = _scheme(family, heads, rng)
    widths = [scheme["activation_bits"], *(each["activation_bits"] for each in scheme["overrides"])]
    flat = [bits for each in widths for bits in (each if isinstance(each, list) else [each]) if bits is not None]
    return NetworkSpec(
        config={"model_type": family, **config}, scheme=scheme, seed=rng.getrandbits(32),
        tokens=rng.randint(1, 8) if family in ("bert", "llama") else 0, moved=rng.random() < 0.7,
        array=_array(max(flat), rng),
    )  # fmt: skip


def _heads(rng: Random) -> tuple[int, int]:
    """Heads, and the width of all."""
    heads = rng.randint(1, 3)
    return heads, heads * rng.choice((2, 3, 4, 8))


def _vit(rng: Random) -> dict[str, Any]:
    heads, width = _heads(rng)
    patch = rng.choice((2, 3, 4))
    return {
        "image_size": patch * rng.randint(1, 3),
        "patch_size": patch,
        "num_channels": rng.randint(1, 3),
        "hidden_size": width,
        "num_hidden_layers": rng.randint(1, 2),
        "num_attention_heads": heads,
        "intermediate_size": rng.randint(2, 20),
        "qkv_bias": rng.random() < 0.7,
    }


def _bert(rng: Random) -> dict[str, Any]:
    heads, width = _heads(rng)
    return {
        "vocab_size": rng.randint(5, 40),
        "hidden_size": width,
        "num_hidden_layers": rng.randint(1, 2),
        "num_attention_heads": heads,
        "intermediate_size": rng.randint(2, 20),
        "max_position_embeddings": 16,
    }


def _llama(rng: Random) -> dict[str, Any]:
    """Heads of queries on as many of keys and values, or on fewer; those have even widths, for they are rotated."""
    shared = rng.randint(1, 2)
    heads = shared * rng.randint(1, 3)
    return {
        "vocab_size": rng.randint(5, 40),
        "hidden_size": heads * rng.choice((2, 4, 8)),
        "num_hidden_layers": rng.randint(1, 2),
        "num_attention_heads": heads,
        "num_key_value_heads": shared,
        "intermediate_size": rng.randint(2, 20),
        "max_position_embeddings": 16,
    }


def _swin(rng: Random) -> dict[str, Any]:
    window, stages = rng.choice((2, 3, 4)), rng.randint(1, 2)
    return {
        "image_size": 2 * window << (stages - 1) << rng.randint(0, 1),
        "patch_size": 2,
        "num_channels": rng.randint(1, 3),
        "embed_dim": 2 * rng.randint(1, 4),
        "depths": [rng.randint(1, 2) for _ in range(stages)],
        "num_heads": [rng.choice((1, 2)) for _ in range(stages)],
        "window_size": window,
        "mlp_ratio": rng.choice((1.0, 2.0)),
        "drop_path_rate": 0.0,
    }


def _sret(rng: Random) -> dict[str, Any]:
    stages = rng.randint(1, 2)
    return {
        "image_size": rng.choice((8, 16)),
        "num_channels": rng.randint(1, 3),
        "stem_strides": [2, 1, 1],
        "widths": [4 * rng.randint(1, 2) << stage for stage in range(stages)],
        "depths": [1] * stages,
        "num_heads": [rng.choice((1, 2)) for _ in range(stages)],
        "groups": [[rng.choice((1, 2)), 1] for _ in range(stages)],
        "mlp_ratio": rng.choice((1.0, 2.0)),
        "drop_path_rate": 0.0,
    }


def _scheme(family: str, heads: int | None, rng: Random) -> dict[str, Any]:
    bits = [rng.randint(1, 4), rng.randint(2 if family == "llama" else 1, 4)]  # of what a decoder masks one is too few
    found: dict[str, Any] = {
        "weight_bits": bits[0],
        "activation_bits": bits[1],
        "first_last_bits": rng.choice((2, 4, 8)),
        "granularity": rng.choice(("head", "head", "tensor", "channel")),
        "output_by_head": rng.random() < 0.5,
        "scale_start": rng.choice(("error", "mean")),
        "weight_scale": "statistical" if bits[0] > 1 and rng.random() < 0.2 else "learned",
        "overrides": [],
    }
    if rng.random() < 0.4:
        pattern = rng.choice(_OTHERS.get(family, _OTHERS[""]))
        found["overrides"].append(_override(pattern, rng.randint(2, 8), rng.choice((None, rng.randint(2, 8)))))
    if heads is not None and found["granularity"] == "head" and rng.random() < 0.4:
        pattern = rng.choice(_ATTENTION.get(family, _ATTENTION[""]))
        each = [rng.randint(2, 4) for _ in range(heads)]
        found["overrides"].append(_override(pattern, each, each if pattern == "*.scores" else None))
    return found


def _override(pattern: str, weight_bits: Any, activation_bits: Any) -> dict[str, Any]:
    return {"pattern": pattern, "weight_bits": weight_bits, "activation_bits": activation_bits}


def _array(bits: int, rng: Random) -> ArraySpec:
    """Of any design of few lanes; results are wide enough for all sums of such networks."""
    while True:
        mac = draw_mac(rng.choice(DESIGNS), rng, lanes=(1, 2, 3, 4, 8), lengths=(1 << 12, 1 << 14))
        rows, columns, width = rng.randint(1, 4), rng.randint(1, 4), rng.choice((32, 32, 36, 48))
        requant: RequantSpec | None = None
        kind, groups = rng.random(), rng.choice((1, 2, 4))
        if kind < 0.6:
            requant = ThresholdSpec(accumulator_width=width, bits=bits, signed=False, groups=groups)
        elif kind < 0.7:
            requant = MultiplierSpec(accumulator_width=width, bits=bits, groups=groups)
        try:
            return ArraySpec(
                mac=mac, rows=rows, columns=columns, architecture=rng.choice(list(Architecture)),
                activation_depth=_DEPTH, weight_depth=_DEPTH, result_depth=_DEPTH, result_width=width,
                drains=rng.randint(1, rows), requant=requant,
            )  # fmt: skip
        except (InputError, InputTypeError):
            continue
