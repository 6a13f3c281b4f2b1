"""The calls of ``import qat``: quantise a network, keep it as a folder, write its integers.

    import qat

    qat.quantize_model(model, qat.Scheme(weight_bits=4, activation_bits=4))
    qat.calibrate(model, batches)
    model.save_pretrained("w4a4")
    qat.export_integers(qat.load("w4a4"), "integers")

Bad input raises ValueError, TypeError or OSError with one sentence that says what it must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from transformers import PreTrainedModel

from qat.integers import IntegerModel
from qat.network import calibrate, load_quantised, quantize_model, scheme_of
from qat.quantisers import PerChannel, PerHead, PerTensor, Quantizer
from qat.settings import Override, Scheme
from qat.training import load_run

__all__ = [
    "IntegerModel",
    "Override",
    "PerChannel",
    "PerHead",
    "PerTensor",
    "Quantizer",
    "Scheme",
    "calibrate",
    "export_integers",
    "load",
    "quantize_model",
]


def load(folder: str | PathLike[str]) -> PreTrainedModel:
    """The network of a folder in evaluation mode: what `save_pretrained` of a quantised model wrote, or a run.

    ValueError for another folder, and where a file is damaged or was changed.
    """
    folder = Path(folder)
    return load_run(folder)[0] if (folder / "run.json").exists() else load_quantised(folder)


def export_integers(
    model: PreTrainedModel, folder: str | PathLike[str], origin: Mapping[str, Any] = MappingProxyType({})
) -> IntegerModel:
    """Writes the integers of a quantised `model` into `folder`, and returns them as they are read back.

    origin: where the network comes from, as JSON. ValueError where the model is not quantised.
    """
    IntegerModel.from_quantized(model, scheme_of(model), origin).save(Path(folder))
    return IntegerModel.load(Path(folder))
