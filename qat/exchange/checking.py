"""Files beside the networks that they were written from, run by ONNX's reference implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import Tensor
from transformers import PreTrainedModel

from qat.integers import Agreement
from qat.network import quantizers
from siliquant.inputs import InputError

from .translations import DOMAIN

__all__ = ["compare_file", "evaluator"]

Array = np.ndarray[Any, Any]


class Quant(OpRun):
    """QONNX's Quant without a zero point: scale * round(clamp(x / scale)), half to even; narrow: without the lowest
    code of two's complement.
    """

    op_domain = DOMAIN

    def _run(
        self, x: Array, scale: Array, zeropt: Array, bitwidth: Array, *,
        signed: int = 1, narrow: int = 0, rounding_mode: str = "ROUND",
    ) -> tuple[Array]:  # fmt: skip
        if zeropt.any() or rounding_mode not in ("ROUND", "HALF_EVEN") or bitwidth.size != 1 or (narrow and not signed):
            raise InputError("a Quant must have one width, no zero point, rounding ROUND, and narrow with signed only")
        bits = int(bitwidth.item())
        if not 2 - (not signed) <= bits <= 32:
            raise InputError(f"a Quant must have 2 to 32 bits, 1 where it is unsigned, not {bits}")
        low, high = (-(1 << bits - 1) + bool(narrow), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return (np.round(np.clip(x / scale, np.float32(low), np.float32(high))) * scale,)


class IntQuant(Quant):
    """The same by its newer name."""


class BipolarQuant(OpRun):
    """QONNX's BipolarQuant: scale where x >= 0, else -scale."""

    op_domain = DOMAIN

    def _run(self, x: Array, scale: Array) -> tuple[Array]:
        return (np.where(x >= 0, scale, -scale),)


def evaluator(model: onnx.ModelProto) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """What computes every tensor of a graph by name from its inputs."""
    run = cast(Any, ReferenceEvaluator(model, new_ops=[Quant, IntQuant, BipolarQuant]).run)
    return lambda inputs: dict(run(None, dict(inputs), intermediate=True))


@torch.no_grad()
def compare_file(model: PreTrainedModel, file: onnx.ModelProto, samples: Iterable[dict[str, Tensor]]) -> Agreement:
    """Runs the network and its file on `samples`, keyword arguments of one sample each, and counts where they differ:
    codes of activations, logits, predictions. A code may differ where float32 noise lies on the border of two.
    """
    compute = evaluator(file)
    activations = {name: each for name, each in quantizers(model).items() if not name.endswith("weight_quantizer")}
    count = predictions = codes = ties = largest_step = untouched = 0
    largest_difference = 0.0
    model.eval()
    for inputs in samples:
        with _values(model, list(activations)) as ours:
            logits = model(**inputs).logits
        theirs = compute({name: tensor.numpy() for name, tensor in inputs.items()})
        found, touched = torch.from_numpy(theirs["logits"]), False
        for name, used in ours.items():
            for use, values in enumerate(used, 1):
                other = torch.from_numpy(theirs[name if use == 1 else f"{name}#{use}"]).view(values.shape)
                steps = (activations[name].codes_of(values) - activations[name].codes_of(other)).abs()
                codes += steps.numel()
                ties += int((steps > 0).sum())
                largest_step = max(largest_step, int(steps.max()))
                touched |= bool((steps > 0).any())
        count += 1
        predictions += int(bool((found.argmax(-1) == logits.argmax(-1)).all()))
        untouched += not touched
        if not touched:
            largest_difference = max(largest_difference, float((found - logits).abs().max()))
    return Agreement(count, predictions, codes, ties, largest_step, untouched, largest_difference)


@contextmanager
def _values(model: PreTrainedModel, names: list[str]) -> Iterator[dict[str, list[Tensor]]]:
    """Collects what these quantisers give, use by use."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    modules = dict(model.named_modules())
    hooks = [
        modules[name].register_forward_hook(lambda _, given, values, name=name: seen[name].append(values))
        for name in names
    ]  # fmt: skip
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
