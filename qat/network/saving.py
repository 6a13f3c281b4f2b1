"""A quantised model as a folder of Hugging Face: config.json with its scheme, model.safetensors with its quantisers.

config.json is that of the model at full precision and ``quantization_config``, as Hugging Face names it::

    {"quant_method": "siliquant", "version": 1, "scheme": {...}}

model.safetensors has the whole state in its own names. Weights of quantised layers have a leading axis of length one
more: what knows nothing of the quantisers finds weights that do not fit, and cannot take them for a network at full
precision. transformers skips a quant_method that it does not know with a warning only.
"""

from __future__ import annotations

import json
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.files import save_tensors
from qat.models import QUANT_METHOD, model_config
from qat.quantisers import Quantizer
from qat.settings import Scheme
from siliquant.files import write_atomically
from siliquant.inputs import InputError, InputTypeError

from .layers import QuantConv2d, QuantLinear
from .reparameterised import PassedInput, ReparameterisedLinear

__all__ = ["CONFIG", "TENSORS", "VERSION", "keep_saving", "marked", "scheme_of"]

CONFIG, TENSORS = "config.json", "model.safetensors"
VERSION = 1
_SCHEME = "quantization_scheme"


def keep_saving(model: PreTrainedModel, scheme: Scheme) -> None:
    """From now on `model.save_pretrained` writes the quantised model, and `scheme_of` knows its scheme."""
    setattr(model, _SCHEME, scheme)
    model.save_pretrained = partial(_save, model)  # type: ignore[method-assign]


def scheme_of(model: nn.Module) -> Scheme:
    """The scheme by which a model was quantised. InputError where it is not."""
    scheme = getattr(model, _SCHEME, None)
    if not isinstance(scheme, Scheme):
        raise InputError("the model must be quantised")
    return scheme


def marked(model: nn.Module) -> set[str]:
    """Names of the tensors that have one axis more in the file."""
    found = set()
    for name, module in model.named_modules():
        if isinstance(module, ReparameterisedLinear):
            found.add(f"{name}.query_weight")
        elif isinstance(module, QuantLinear | QuantConv2d) or (
            isinstance(module, PassedInput) and module.weight is not None
        ):
            found.add(f"{name}.weight")
    return found


def _save(model: PreTrainedModel, save_directory: str | PathLike[str], **options: Any) -> None:
    """Writes the folder, the weights first.

    Raises, and writes nothing: TypeError for any option of transformers; ValueError for a quantiser without scale or
    parameters that are not of float32.
    """
    if options:
        raise InputTypeError(f"save_pretrained of a quantised model takes a folder alone, not {', '.join(options)}")
    folder, scheme = Path(save_directory), scheme_of(model)
    for name, module in model.named_modules():
        if isinstance(module, Quantizer) and not module.calibrated:
            raise InputError(f"{name} must have a scale to be saved: calibrate the model first")
    state: dict[str, Tensor] = model.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and tensor.dtype is not torch.float32:
            raise InputError(f"{name} must be of float32 to be saved, not {tensor.dtype}")
    with_axis = marked(model)
    network = {"model": model_config(model), "scheme": scheme.to_dict()}
    about = {"quant_method": QUANT_METHOD, "version": VERSION, "scheme": network["scheme"]}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor[None] if name in with_axis else tensor for name, tensor in state.items()}
    save_tensors(folder / TENSORS, tensors, network)
    content = json.dumps({**network["model"], "quantization_config": about}, indent=2, sort_keys=True)
    write_atomically(folder / CONFIG, content + "\n")
