"""A trained network beside its integers on the same samples: every activation code, every logit, every prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qat.network import quantizers
from qat.quantisers import Quantizer
from siliquant.inputs import InputError

from .integer import IntegerModel

__all__ = ["Agreement", "compare_paths"]


@dataclass(frozen=True)
class Agreement:
    """The trained network, as it is evaluated, beside its integers on the same samples.

    codes: how many activation codes were compared; ties: how many differ; largest_step: by how many codes at most.
    untouched: samples without such a code, largest_difference: of their logits; predictions: samples whose predicted
    class is the same, of a decoder the predicted token at every place.  In evaluation a quantised network sums its
    codes exactly, as its integers do, so that no rounding decides between two codes: a code or a logit that differs is
    a fault.
    """

    samples: int
    predictions: int
    codes: int
    ties: int
    largest_step: int
    untouched: int
    largest_difference: float


@contextmanager
def _recorded(model: PreTrainedModel, seen: dict[str, list[Tensor]]) -> Iterator[None]:
    """Collects the codes of all activations by quantiser."""
    activations = {name: q for name, q in quantizers(model).items() if not name.endswith("weight_quantizer")}

    def recorder(name: str) -> Quantizer.Observer:
        return lambda codes: seen.setdefault(name, []).append(codes)

    for name, quantizer in activations.items():
        quantizer.observer = recorder(name)
    try:
        yield
    finally:
        for quantizer in activations.values():
            quantizer.observer = None


@torch.no_grad()
def compare_paths(model: PreTrainedModel, integer: IntegerModel, batches: Iterable[dict[str, Tensor]]) -> Agreement:
    """Runs both on `batches` (keyword arguments of the model) and counts where they differ.

    InputError where an output is NaN or infinite, or what becomes codes is NaN.
    """
    samples = predictions = codes = ties = largest_step = untouched = 0
    largest_difference = 0.0
    model.eval()
    for inputs in batches:
        ours: dict[str, list[Tensor]] = {}
        theirs: dict[str, list[Tensor]] = {}
        with _recorded(model, ours):
            fake = model(**inputs).logits
        if not bool(fake.isfinite().all()):
            raise InputError("the outputs of the trained network must be finite numbers, and are not")
        with _recorded(integer.network, theirs):
            exact = integer.logits(inputs)
        size = len(fake)
        touched = torch.zeros(size, dtype=torch.bool)
        for name, tensors in ours.items():
            # Query, key and value read one quantised tensor, in the integer path each for itself.
            repeats = len(theirs[name]) // len(tensors)
            for mine, other in zip(tensors, theirs[name][::repeats], strict=True):
                difference = (mine - other).abs().reshape(size, -1)  # windows of one image lie together
                codes += mine.numel()
                ties += int((difference > 0).sum())
                largest_step = max(largest_step, int(difference.max()))
                touched |= difference.amax(1) > 0
        samples += size
        predictions += int((fake.argmax(-1) == exact.argmax(-1)).reshape(size, -1).all(1).sum())
        untouched += int((~touched).sum())
        if not bool(touched.all()):
            largest_difference = max(largest_difference, float((fake - exact)[~touched].abs().max()))
    return Agreement(samples, predictions, codes, ties, largest_step, untouched, largest_difference)
