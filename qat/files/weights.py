"""Tensors from files that others wrote, by safetensors or torch.save, and never code or more than a file holds.

A file of torch.save is a pickle. Torch reads it with weights_only, which builds tensors and plain values alone; what
training scripts put beside them (argparse.Namespace, paths, numbers and arrays of NumPy) is allowed here too, since
none of it runs anything. Every other class is named and refused.
"""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import logging

from siliquant.inputs import MOST_BYTES, InputError, open_regular, read_json, short

__all__ = [
    "MOST_FILE_BYTES", "MOST_TENSORS", "StoredArray", "check_finite", "check_plain", "first_line", "guarded",
    "load_torch", "quietly", "read_folder", "read_state_dict",
]  # fmt: skip

MOST_FILE_BYTES = 8 << 30
"""Bytes of the largest file of tensors, and of all tensors that it is unpacked to."""
MOST_TENSORS = 1 << 16
"""Tensors in one file, at most."""
# Containers of weights, those that a training run went on with first: an average is taken only where it is alone.
_CONTAINERS = ("model", "state_dict", "model_state_dict", "module", "model_ema", "state_dict_ema", "ema_state_dict")
_WRAPPERS = ("module.", "_orig_mod.", "model.")
_NUMBERS = ("b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
_ARRAY, _SCALAR = "an array must be one of numbers", "a scalar must be a number"
_MOST_ENTRIES = 1 << 17  # of a zip archive
_COLOURS = re.compile(chr(27) + r"\[[0-9;]*m")  # of messages for terminals
_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def read_state_dict(file: Path, is_count: Callable[[str], bool] = lambda name: False) -> dict[str, Tensor]:
    """The weights in a file by name: on the CPU, finite, floating-point but for names of which ``is_count`` is true.

    The file is told by its content. The state dict may lie under "model", "state_dict" and the like, to any depth;
    prefixes that DistributedDataParallel, torch.compile and Lightning put before names ("module.", "_orig_mod.",
    "model.") are taken off. Raises InputError that names the file, and the tensor where it is one's fault.
    """
    state = _inner(_load(file))
    if not isinstance(state, dict) or not state:
        raise InputError(f"{file} must hold a state dict, names with tensors, but it does not")
    if len(state) > MOST_TENSORS:
        raise InputError(f"{file} must hold at most {MOST_TENSORS} tensors, not {len(state)}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(f"{file} must hold names with tensors, but {short(name)} is a {type(value).__name__}")
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        bare = _bare(name)
        if bare in found:
            raise InputError(f"{file} must hold each weight once, but {short(bare)} is there with and without a prefix")
        check_plain(file, bare, value)
        if not (is_count(bare) or value.is_floating_point()):
            raise InputError(f"{file}: {bare} must be floating-point, not {value.dtype}")
        found[bare] = value
    total = sum(value.numel() * value.element_size() for value in found.values())
    if total > MOST_FILE_BYTES:
        raise InputError(f"{file} must hold tensors of at most {MOST_FILE_BYTES} bytes, not {total}")
    check_finite(file, {name: value for name, value in found.items() if not is_count(name)})
    return found


def read_folder(folder: Path, is_count: Callable[[str], bool] = lambda name: False) -> dict[str, Tensor]:
    """The weights of a Hugging Face folder: model.safetensors or pytorch_model.bin, whole or in shards with an index.

    Raises InputError as :func:`read_state_dict`, where there are none, and where a shard is missing or lies elsewhere.
    """
    for name in _FILES:
        if not (folder / name).exists():
            continue
        if not name.endswith(".json"):
            return read_state_dict(folder / name, is_count)
        index = read_json(folder / name)
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or not places or not all(isinstance(file, str) for file in places.values()):
            raise InputError('"weight_map" must say the file of each tensor', file=folder / name)
        found: dict[str, Tensor] = {}
        for shard in sorted(set(places.values())):
            if Path(shard).name != shard:
                raise InputError(f"the files of tensors must lie beside it, not at {short(shard)}", file=folder / name)
            found |= read_state_dict(folder / shard, is_count)
        if missing := sorted(set(map(_bare, places)) - found.keys()):
            raise InputError(f"{short(missing[0])} is in none of the files that it names", file=folder / name)
        return found
    raise InputError(f"{folder} must hold weights, {' or '.join(_FILES[::2])}, but it holds neither")


def check_finite(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raises InputError that names the first tensor with a number that float32 cannot hold, NaN or infinity."""
    for name, value in tensors.items():
        if value.is_floating_point():
            bad = int((~torch.isfinite(value.to(torch.float32))).sum())
            if bad:
                raise InputError(
                    f"{file}: {name} must hold finite numbers in float32, but {bad} of its {value.numel()} are not"
                )


def load_torch(file: Path, most_bytes: int = MOST_FILE_BYTES, refusal: str = "cannot be read as a checkpoint") -> Any:
    """What torch.save wrote, on the CPU, without running anything of it.

    Raises InputError, the file and ``refusal`` before its reason, where the file cannot be read, holds a class other
    than those above, or would unpack to more than its own size. Archives in the form of tar, which torch wrote before
    2017, are not read.
    """
    with open_regular(file, most_bytes) as stream:
        head = stream.read(4096)
    zipped = head.startswith(b"PK\x03\x04")
    if not zipped and not head.startswith(b"\x80"):
        raise InputError(f"{file} {refusal}: {_what_it_is(head)}")
    if zipped:
        _check_archive(file, f"{file} {refusal}: ")
    try:
        with quietly(), torch.serialization.safe_globals(_harmless()):
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch has many kinds for a damaged file
        raise InputError(f"{file} {refusal}: {_reason(error)}") from None


@contextmanager
def guarded(sentence: str, *known: type[Exception]) -> Iterator[None]:
    """Turns whatever code of others raises on bad input into InputError: ``sentence``, and the first line of its text.

    Errors of ours, Ctrl-C and a lack of memory pass. Libraries in Rust panic with an exception that is no Exception.
    """
    try:
        yield
    except (InputError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise InputError(f"{sentence}: {first_line(error)}") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings, progress bar and report on stderr: what torch and transformers report is checked here."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)  # an error is raised too, and says so in one line
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """The first line of a message, at most 200 characters and without the codes of terminals."""
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines()]
    text = next((line for line in lines if line), type(error).__name__)
    text = "it ends early" if text == "EOFError" else text
    return text if len(text) <= 200 else f"{text[:197]}..."


def _load(file: Path) -> Any:
    with open_regular(file, MOST_FILE_BYTES) as stream:
        head = stream.read(9)
    if file.suffix == ".safetensors" or (head[8:] == b"{" and not head.startswith((b"PK", b"\x80"))):
        if head[8:] != b"{":
            with open_regular(file, MOST_FILE_BYTES) as stream:
                raise InputError(f"{file} cannot be read as a checkpoint: {_what_it_is(stream.read(4096))}")
        with guarded(f"{file} cannot be read as a checkpoint"):
            return load_file(file)
    return load_torch(file)


def _inner(state: Any) -> Any:
    """The state dict inside containers, of which there may be several, one in the other."""
    for _ in range(8):
        if not isinstance(state, dict):
            return state
        inside = [state[name] for name in _CONTAINERS if isinstance(state.get(name), dict) and state[name]]
        if not inside:
            return state
        state = inside[0]
    return state


def _bare(name: str) -> str:
    """The name without what wrappers of modules put into it."""
    name = name.replace("._orig_mod.", ".")
    while found := [prefix for prefix in _WRAPPERS if name.startswith(prefix) and name != prefix]:
        name = name.removeprefix(found[0])
    return name


def check_plain(file: Path, name: str, value: Tensor) -> None:
    """Raises InputError unless it is an ordinary tensor in memory of its own size: a stride of 0 makes any size."""
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        raise InputError(f"{file}: {short(name)} must be a plain tensor, not a sparse, quantised or empty one")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise InputError(
            f"{file}: {short(name)} must be stored in full, but of its {value.numel()} numbers "
            f"only {value.untyped_storage().nbytes()} bytes are there"
        )


def _check_archive(file: Path, refused: str) -> None:
    """Raises InputError where a zip archive is not one that torch.save made, or would unpack to more than its size."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{refused}it is not whole ({first_line(error)})") from None
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "constants.pkl" in names:
        raise InputError(f"{refused}it is a TorchScript archive, a program; save its state_dict() instead")
    if "data.pkl" not in names:
        raise InputError(f"{refused}it is a zip archive, but none of torch.save")
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > _MOST_ENTRIES or unpacked > file.stat().st_size:
        raise InputError(f"{refused}it would unpack to {unpacked} bytes in {len(entries)} parts, more than it has")
    if any(entry.filename.endswith("data.pkl") and entry.file_size > MOST_BYTES for entry in entries):
        raise InputError(f"{refused}its list of tensors must have at most {MOST_BYTES} bytes")


def _what_it_is(head: bytes) -> str:
    """Of a file that is no checkpoint: what it is, and what to do."""
    start = head.lstrip().lower()
    if not head:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file itself; fetch that with `git lfs pull`"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, not the file itself; download it anew"
    if head.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd")):
        return "it is packed; unpack it first"
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return "it was written by torch.save, so it must not end in .safetensors"
    if head[257:262] == b"ustar":
        return "it is a tar archive; unpack it, or save its state_dict() anew with torch.save"
    return "it is neither a file of safetensors nor one of torch.save"


def _reason(error: Exception) -> str:
    """What torch says of a pickle that it does not read, without its advice to run what is in it."""
    _, advice, after = str(error).partition("from a trusted source.")
    text = after if advice else str(error)
    if ours := re.search(rf"^(?:{_ARRAY}|{_SCALAR})$", text, re.MULTILINE):
        return ours[0]
    found = re.search(r"GLOBAL ([\w.]+)|unrecognized function (.+)|`add_safe_globals`,? but got (.+)", text)
    if isinstance(error, pickle.UnpicklingError) and found:
        return (
            f"it holds an object of {found[found.lastindex or 0].rstrip('.')[:120]}, and to read that would be to run "
            "code of the file. Only tensors and plain values are read: where you trust it, load it with torch "
            "yourself and save the model's state_dict() with torch.save"
        )
    if advice or isinstance(error, KeyError | IndexError | UnicodeDecodeError):
        return "it is damaged, or was not written by torch.save"
    return first_line(error)


class StoredArray:
    """An array of numbers in a pickle. NumPy's own class is never called: of a made-up dtype it reads any memory."""

    value: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _StoredType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError(_ARRAY)
        found = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if by_column else "C")
        self.value = found.astype(kind.dtype.newbyteorder("="), order="C")


class _StoredType:
    """The type of an array's numbers in a pickle, which says the order of their bytes in a second step."""

    def __init__(self, name: object, align: object = False, copy: object = False) -> None:
        if name not in _NUMBERS:
            raise pickle.UnpicklingError(_ARRAY)
        self.dtype: np.dtype[Any] = np.dtype(str(name))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|"):
            raise pickle.UnpicklingError(_ARRAY)
        self.dtype = self.dtype.newbyteorder(order)


def _reconstruct(kind: type, shape: object, letter: object) -> StoredArray:
    if kind is not StoredArray:
        raise pickle.UnpicklingError(_ARRAY)
    return StoredArray()


def _scalar(kind: object, content: object) -> Any:
    if not isinstance(kind, _StoredType) or not isinstance(content, bytes) or len(content) != kind.dtype.itemsize:
        raise pickle.UnpicklingError(_SCALAR)
    return np.frombuffer(content, kind.dtype)[0]


def _no_bytes() -> bytes:
    """The content of an empty array."""
    return b""


def _harmless() -> list[Any]:
    """What may stand beside tensors: plain data of training scripts, under the names that all versions give it."""
    functions: list[tuple[Any, str]] = [(made, f"numpy.{core}.multiarray.{name}")
                 for made, name in ((_reconstruct, "_reconstruct"), (_scalar, "scalar"))
                 for core in ("core", "_core")]  # fmt: skip
    functions += [(_no_bytes, f"{module}.bytes") for module in ("builtins", "__builtin__")]
    classes = [(StoredArray, "numpy.ndarray"), (_StoredType, "numpy.dtype")]
    paths = [(pathlib.PosixPath, f"pathlib{module}.PosixPath") for module in ("", "._local")]
    return [*functions, *classes, argparse.Namespace, *paths]
