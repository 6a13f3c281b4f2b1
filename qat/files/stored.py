"""model.safetensors as this project writes it: the tensors, and in its header of which network and what they hash to.

The header has one entry of ours, ``siliquant``, since safetensors writes several in any order: JSON with ``sha256``, of
the tensors, and ``network``, model and scheme as run.json has them. A file without it, of an earlier version, is taken
as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from siliquant.files import write_atomically
from siliquant.inputs import InputError, json_object, member, open_regular, short

from .weights import MOST_FILE_BYTES, check_finite, guarded

__all__ = ["check_network", "read_model", "save_model", "save_tensors", "tensors_sha256"]

_ENTRY = "siliquant"


def save_model(path: Path, model: nn.Module, network: Mapping[str, Any] | None = None) -> None:
    """All parameters and buffers as safetensors; `network` is what run.json says of the model, as `read_model` has it.

    OSError where it cannot be written.
    """
    save_tensors(path, model.state_dict(), network)


def save_tensors(path: Path, state: Mapping[str, Tensor], network: Mapping[str, Any] | None = None) -> None:
    """The same for tensors by name."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    about: dict[str, Any] = {"sha256": tensors_sha256(tensors)}
    if network is not None:
        about["network"] = dict(network)
    write_atomically(path, safetensors.torch.save(tensors, {_ENTRY: json.dumps(about, sort_keys=True)}))


def read_model(path: Path, network: Mapping[str, Any], record: str = "run.json") -> dict[str, Tensor]:
    """The tensors that `save_model` wrote: finite, and those of `network`, what `record` beside it says of the model.

    InputError where the file is missing or damaged, is not what was written, or was written with another run.json.
    """
    if not path.exists():
        yet = ": the run has not finished an epoch yet" if record == "run.json" else f" beside {record}"
        raise InputError(f"{path} must be there{yet}")
    expected = check_network(path, network, record)
    with guarded(f"{path} must be a safetensors file"):
        tensors = safetensors.torch.load_file(path)
    if expected is not None and (found := tensors_sha256(tensors)) != expected:
        raise InputError(
            f"its tensors must have the SHA-256 {short(expected[:12])}, as they were written, not {found[:12]}",
            file=path,
        )
    check_finite(path, tensors)
    return tensors


def check_network(path: Path, network: Mapping[str, Any], record: str = "run.json") -> str | None:
    """What the tensors in the file must hash to; None for a file of an earlier version.

    InputError where the file is damaged, or was written with another run.json than one with this `network`.
    """
    open_regular(path, MOST_FILE_BYTES).close()
    with guarded(f"{path} must be a safetensors file"), safetensors.safe_open(path, "pt") as stream:
        entry = (stream.metadata() or {}).get(_ENTRY)
    if entry is None:
        return None
    about = json_object(entry, path)
    where, then, now = _difference(about.get("network", network), dict(network))
    if where:
        raise InputError(
            f"must be the record that {path.name} was written with, of which {where} is {then}, not {now}",
            file=path.parent / record,
        )
    return member(about, "sha256", str)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _difference(written: Any, found: Any, place: str = "") -> tuple[str, str, str]:
    """The place of the first difference of two values of JSON, and both there, for a message; empty where none is."""
    if isinstance(written, dict) and isinstance(found, dict):
        for key in sorted(written.keys() | found.keys()):
            inner = f"{place}.{key}" if place else key
            if key not in written or key not in found:
                then, now = (short(each[key]) if key in each else "not there" for each in (written, found))
                return short(inner).strip("'"), then, now
            if (deeper := _difference(written[key], found[key], inner))[0]:
                return deeper
        return "", "", ""
    # An integer of JSON is not true, nor 4 the number 4.0 of a field that has integers.
    same = json.dumps(written, sort_keys=True) == json.dumps(found, sort_keys=True)
    return ("", "", "") if same else (short(place).strip("'"), short(written), short(found))
