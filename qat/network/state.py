"""What is read for a network: each tensor is looked at before it is taken, and none is cast."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.files import read_model
from qat.models import from_config, own_quantisation, read_config
from qat.quantisers import check_bounds
from qat.settings import Scheme
from siliquant.inputs import InputError, InputTypeError, belongs, member, short

from .convert import quantize_model, quantizers
from .saving import CONFIG, TENSORS, VERSION, marked

__all__ = ["check_state", "holds_quantised", "load_quantised", "load_state"]

_OF_THE_WRITER = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")  # what tools add to a config.json


def check_state(network: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """InputError for a tensor whose dtype, shape or numbers the network cannot have at that name of its state.

    Numbers are finite, variances not negative, parameters of quantisers within their bounds, and integers, which are
    tables of the architecture, those of `network`. `prefix` stands before the name in messages.
    """
    state = network.state_dict()
    owned = {f"{name}.{own}": own for name, quantizer in quantizers(network).items() for own in quantizer.state_dict()}
    for name, found in tensors.items():
        own, place = state[name], f"{prefix}{name}"
        if found.shape != own.shape:
            raise InputError(f"{place} must have shape {list(own.shape)}, not {list(found.shape)}")
        if found.dtype is not own.dtype:
            raise InputTypeError(f"{place} must be of {own.dtype}, not {found.dtype}")
        if found.is_floating_point():
            if not bool(found.isfinite().all()):
                raise InputError(f"{place} must be finite numbers, but holds NaN or infinity")
            if name.endswith("running_var") and not bool((found >= 0).all()):
                raise InputError(f"{place} must be variances of 0 or more, but the least is {float(found.min())}")
            if name in owned:
                check_bounds(owned[name], found, place)
        elif name.endswith("num_batches_tracked"):
            if int(found) < 0:
                raise InputError(f"{place} must be 0 or more, not {int(found)}")
        elif not torch.equal(found, own):
            raise InputError(f"{place} must be the table of this architecture, and holds other numbers")


def load_state(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Strictly: InputError that names missing and unexpected tensors, one of another shape or type, and parameters of
    quantisers beyond their bounds (`qat.network.check_state`).
    """
    own = model.state_dict().keys()
    missing, unexpected = [name for name in own if name not in tensors], [name for name in tensors if name not in own]
    for kind, names in (("lacks", missing), ("has", unexpected)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            listed = ", ".join(short(name, 80).strip("'") for name in names[:5])
            raise InputError(f"{path} must fit the model, but it {kind} {listed}{more}")
    check_state(model, tensors, f"{path}: ")
    model.load_state_dict(dict(tensors))


def holds_quantised(folder: Path) -> bool:
    """Whether it is such a folder. InputError for a config.json that cannot be read."""
    return (folder / CONFIG).is_file() and own_quantisation(read_config(folder / CONFIG)) is not None


def load_quantised(folder: str | PathLike[str]) -> PreTrainedModel:
    """The quantised model in evaluation mode, with the bits that were saved.

    ValueError for another folder, a scheme that the network cannot have, and whatever `load_state` finds of tensors:
    missing, damaged, of another shape or type, not finite; and for tensors that are not those of this config.json.
    """
    folder = Path(folder)
    values = read_config(folder / CONFIG)
    about = own_quantisation(values)
    if about is None:
        raise InputError(f"{folder} must hold a quantised network, but its {CONFIG} has no quantization_config of ours")
    with belongs(folder / CONFIG, "the configuration of a quantised network"):
        if member(about, "version", int) != VERSION:
            raise InputError(f"quantization_config.version must be {VERSION}, not {about['version']}")
        if unknown := sorted(set(about) - {"quant_method", "version", "scheme"}):
            raise InputError(f"quantization_config has quant_method, version and scheme, and no {short(unknown[0])}")
        scheme = Scheme.from_dict(member(about, "scheme", dict))
        model = from_config(values)
        quantize_model(model, scheme, fit_weights=False)
    described = {name: value for name, value in values.items() if name not in ("quantization_config", *_OF_THE_WRITER)}
    path = folder / TENSORS
    if not path.exists() and (shards := folder / f"{TENSORS}.index.json").exists():
        raise InputError(f"a quantised network has its tensors in {TENSORS}, not in shards", file=shards)
    tensors = read_model(path, {"model": described, "scheme": about["scheme"]}, CONFIG)
    for name in marked(model) & tensors.keys():
        if tensors[name].ndim == 0 or len(tensors[name]) != 1:
            raise InputError(f"{path}: {name} must have a leading axis of length one, not {list(tensors[name].shape)}")
        tensors[name] = tensors[name][0]
    load_state(model, tensors, path)
    return model.eval()
