"""Weights from files of others: containers and prefixes as they are in the wild, and nothing that runs or unpacks."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from qat.files import weights
from qat.files.weights import load_torch, read_folder, read_state_dict
from qat.models.checkpoints import load_pretrained
from siliquant.inputs.errors import InputError

STATE = {"head.weight": torch.arange(6.0).reshape(2, 3), "blocks.0.attn.bias": torch.ones(3)}


def stored(content: object, folder: Path, name: str = "x.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def same(found: dict[str, Tensor], wanted: dict[str, Tensor] = STATE) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


BESIDE: dict[str, Any] = {
    "args": argparse.Namespace(lr=0.1, output=Path("/runs"), nested=argparse.Namespace(a=[1])),
    "best": np.float64(72.1),
    "steps": np.int64(3),
    "rng": np.arange(4, dtype=np.uint32),
    "flag": np.bool_(True),
    "optimizer": {"state": {0: torch.zeros(3)}},
}


@pytest.mark.parametrize(
    "container",
    [
        lambda state: state,
        lambda state: OrderedDict(state),
        lambda state: {"model": state, **BESIDE},
        lambda state: {"state_dict": state, "state_dict_ema": {k: v + 1 for k, v in state.items()}},
        lambda state: {"model": state, "model_ema": {k: v + 1 for k, v in state.items()}},
        lambda state: {"model_ema": state, "epoch": 3},
        lambda state: {"state_dict_ema": state},
        lambda state: {"model_state_dict": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"module": {"model": state}},
    ],
)
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.", "model._orig_mod.module."]
)
def test_containers_and_prefixes(tmp_path: Path, container: Callable[[Any], Any], prefix: str) -> None:
    named = {prefix + name: tensor for name, tensor in STATE.items()}
    assert same(read_state_dict(stored(container(named), tmp_path)))


def test_prefixes_inside_names_and_of_some_names(tmp_path: Path) -> None:
    state = {"module.head.weight": STATE["head.weight"], "blocks.0._orig_mod.attn.bias": STATE["blocks.0.attn.bias"]}
    assert same(read_state_dict(stored(state, tmp_path)))
    with pytest.raises(InputError, match=r"each weight once, but 'head\.weight' is there with and without a prefix$"):
        read_state_dict(stored({**STATE, "model.head.weight": torch.zeros(1)}, tmp_path))


def test_old_pickles_and_safetensors_by_their_content(tmp_path: Path) -> None:
    torch.save({"model": STATE, **BESIDE}, tmp_path / "old.pt", pickle_protocol=2, _use_new_zipfile_serialization=False)
    assert same(read_state_dict(tmp_path / "old.pt"))
    save_file(STATE, tmp_path / "weights.bin")
    assert same(read_state_dict(tmp_path / "weights.bin"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    wrong = {**STATE, "norm.bias": torch.tensor([1.0, value, value], dtype=torch.float64)}
    with pytest.raises(InputError) as caught:
        read_state_dict(stored(wrong, tmp_path))
    assert str(caught.value) == (
        f"{tmp_path / 'x.pth'}: norm.bias must hold finite numbers in float32, but 2 of its 3 are not"
    )


class Run:
    """Unpickling it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


class Call:
    """Unpickling it would call something with arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_is_run_and_its_class_is_named(tmp_path: Path, zipped: bool) -> None:
    for place in (
        {"model": STATE, "x": Run(tmp_path / "trap")},
        [Run(tmp_path / "trap")],
        argparse.Namespace(x=Run(tmp_path / "trap")),
    ):
        torch.save(place, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(
            InputError, match=r"x\.pth cannot be read as a checkpoint: it holds an object of posix\.mkdir, and"
        ):
            read_state_dict(tmp_path / "x.pth")
    assert not (tmp_path / "trap").exists()


def test_a_whole_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_state_dict(stored(torch.nn.Linear(2, 2), tmp_path))
    assert "it holds an object of torch.nn.modules.linear.Linear, and to read that" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) <= 500


def test_arrays_of_other_than_numbers_are_refused(tmp_path: Path) -> None:
    made: tuple[object, ...] = (
        Call(np.ndarray, (1,), np.dtype("O"), b"12345678"),  # any address as an object: the interpreter would crash
        Call(np.dtype, "O"),
        Call(np.dtype, "V16"),
        np.array([None, STATE], dtype=object),
        np.zeros(2, [("a", "f4"), ("b", "O")]),
        np.array(["text"]),
    )
    files = [stored({"model": STATE, "x": each}, tmp_path, f"{number}.pth") for number, each in enumerate(made)]
    program = """
import sys
from pathlib import Path
from qat.files.weights import load_torch
for file in sys.argv[1:]:
    try:
        print(load_torch(Path(file)), flush=True)
    except Exception as error:
        print(type(error).__module__, type(error).__name__, flush=True)
"""
    found = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=False)
    assert found.stdout.splitlines() == ["siliquant.inputs.errors InputError"] * len(made), found.stderr
    assert found.returncode == 0  # a crash is a negative one


def test_arrays_of_numbers_are_read(tmp_path: Path) -> None:
    wanted = np.arange(6, dtype=np.int16).reshape(2, 3)
    for made in (wanted, np.asfortranarray(wanted)):
        found = load_torch(stored([made], tmp_path))[0]
        assert isinstance(found, weights.StoredArray)
        assert found.value.dtype == np.int16
        assert (found.value == wanted).all()


@pytest.mark.parametrize("kind", [">f4", ">i2", ">f8", "<f4", "u1", "?"])
def test_arrays_of_any_order_of_bytes_and_empty_ones(tmp_path: Path, kind: str) -> None:
    for wanted in (np.arange(6).astype(kind).reshape(2, 3), np.zeros((0, 3), kind), np.zeros(0, kind)):
        found = load_torch(stored([wanted], tmp_path))[0].value
        assert found.dtype == wanted.dtype.newbyteorder("=")
        assert found.shape == wanted.shape
        assert found.flags.writeable
        assert (found == wanted).all()
    assert load_torch(stored([np.arange(6).astype(kind)[1]], tmp_path))[0] == 1


def test_bytes_of_a_chosen_length_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_torch(stored([Call(bytes, 1 << 40)], tmp_path))


def test_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    """Not code: torch's advice speaks of what one got."""
    torch.save(STATE, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    content = bytearray((tmp_path / "x.pth").read_bytes())
    content[content.index(b"head.weight") - 5] ^= 0xFF
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"as a checkpoint: it is damaged, or was not written by torch\.save$"):
        load_torch(tmp_path / "x.pth")


def test_an_array_of_objects_is_said_to_be_none_of_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"as a checkpoint: an array must be one of numbers$"):
        load_torch(stored([np.array([None, 1], dtype=object)], tmp_path))


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.zeros(1).expand(1 << 20, 1 << 20), "must be stored in full, but of its 1099511627776 numbers "),
        (torch.zeros(3, 3).to_sparse(), "must be a plain tensor"),
        (torch.empty(3, device="meta"), "must be a plain tensor"),
        (torch.zeros(3, dtype=torch.int32), "must be floating-point, not torch.int32"),
        (torch.zeros(3, dtype=torch.complex64), "must be floating-point, not torch.complex64"),
    ],
)  # fmt: skip
def test_tensors_that_are_no_weights(tmp_path: Path, tensor: Tensor, reason: str) -> None:
    with pytest.raises(InputError, match=f"x.pth: '?norm.bias'? {reason}"):
        read_state_dict(stored({**STATE, "norm.bias": tensor}, tmp_path))


def repacked(file: Path, compression: int, copies: int = 1) -> None:
    """The archive with its entries packed, or the largest ones named more than once."""
    with zipfile.ZipFile(file) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)


def test_an_archive_must_not_unpack_to_more_than_it_has(tmp_path: Path) -> None:
    file = stored({"a": torch.zeros(1 << 20)}, tmp_path)
    repacked(file, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"it would unpack to \d+ bytes in \d+ parts, more than it has$"):
        read_state_dict(file)


def test_other_archives_and_files(tmp_path: Path) -> None:
    def refused(content: bytes, name: str = "x.pth") -> str:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_state_dict(tmp_path / name)
        start = f"{tmp_path / name} cannot be read as a checkpoint: "
        assert str(caught.value).startswith(start)
        return str(caught.value).removeprefix(start)

    for name in ("x.pth", "x.safetensors"):
        assert refused(b"", name) == "it is empty"
        assert refused(b"<!DOCTYPE html>\n<html>", name) == "it is a web page, not the file itself; download it anew"
        assert refused(b"version https://git-lfs.github.com/spec/v1\noid", name).startswith(
            "it is a pointer of Git LFS"
        )
        assert refused(b"\x1f\x8b" + bytes(40), name) == "it is packed; unpack it first"
        assert refused(bytes(range(256)), name) == "it is neither a file of safetensors nor one of torch.save"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    assert refused(content.getvalue()).startswith("it is a tar archive; ")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        zipped.writestr("a.txt", "x")
    assert refused(content.getvalue()) == "it is a zip archive, but none of torch.save"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        zipped.writestr("x/data.pkl", "x")
        zipped.writestr("x/constants.pkl", "x")
    assert refused(content.getvalue()).startswith("it is a TorchScript archive, a program; ")
    content = io.BytesIO()
    torch.save(STATE, content)
    assert refused(content.getvalue(), "x.safetensors").startswith("it was written by torch.save, ")
    whole = content.getvalue()
    for size in range(1, len(whole), 97):
        assert refused(whole[:size])
    assert refused(pickle.dumps(STATE)[:30])
    assert refused(b"\x80\x02" + b"(" * 100_000) == "it ends early"
    assert refused((2**40).to_bytes(8, "little") + b"{" + bytes(100), "x.safetensors")
    header = b'{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
    assert refused(len(header).to_bytes(8, "little") + header + bytes(8), "x.safetensors")


def test_only_regular_files_of_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x\.pth must be a regular file, and is a pipe"):
        read_state_dict(tmp_path / "x.pth")
    file = stored(STATE, tmp_path, "y.pth")
    monkeypatch.setattr(weights, "MOST_FILE_BYTES", 100)
    with pytest.raises(InputError, match=r"y\.pth must have at most 100 bytes"):
        read_state_dict(file)


def test_too_many_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MOST_TENSORS", 1)
    with pytest.raises(InputError, match=r"must hold at most 1 tensors, not 2$"):
        read_state_dict(stored(STATE, tmp_path))


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ({"weight_map": {"a": "../x.safetensors"}}, "must lie beside it, not at '../x.safetensors'"),
        ({"weight_map": {"a": "/etc/passwd"}}, "must lie beside it"),
        ({"weight_map": {"a": 3}}, "must say the file of each tensor"),
        ({"weight_map": {}}, "must say the file of each tensor"),
        ([], "must say the file of each tensor"),
        ({"weight_map": {"a": "none.safetensors"}}, "there is no such file"),
        ({"weight_map": {"head.weight": "one.safetensors", "b": "one.safetensors"}}, "'b' is in none of the files"),
    ],
)
def test_an_index_of_shards(tmp_path: Path, index: object, reason: str) -> None:
    save_file(STATE, tmp_path / "one.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=reason):
        read_folder(tmp_path)


def config(folder: Path, **changes: Any) -> Path:
    values = {
        "model_type": "vit", "architectures": ["ViTForImageClassification"], "image_size": 8, "patch_size": 4,
        "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 24,
    } | changes  # fmt: skip
    (folder / "config.json").write_text(json.dumps(values))
    save_file(STATE, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_size": 10**9}, "hidden_size must be from 1 to 65536, not 1000000000"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers must be from 1 to 256, not 1000000000"),
        ({"image_size": 10**6}, "image_size must be from 1 to 4096, not 1000000"),
        ({"image_size": [8, 8]}, r"image_size must be one number, of square images, not \[8, 8\]"),
        ({"model_type": ["vit"]}, "model_type must be one of "),
        ({"patch_size": 0}, "patch_size must be from 1 to 4096, not 0"),
        ({"hidden_size": 60000, "intermediate_size": 240000, "num_hidden_layers": 256, "num_attention_heads": 4},
         "the network must have at most 1073741824 parameters, not "),
        ({"hidden_act": "no_such"}, "hidden_act must be one that transformers has, as gelu or relu, not 'no_such'"),
        ({"hidden_dropout_prob": 7.0}, "hidden_dropout_prob must be from 0 to 1, not 7.0"),
        ({"id2label": {str(i): "x" for i in range(70_000)}}, "id2label must have at most 65536 entries, not 70000"),
        ({"id2label": {"a": "x"}}, "has a bad value"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config must not be there"),
        ({"model_type": "swin", "architectures": None, "depths": [2] * 100}, "depths must be a list of at most 16"),
    ],
)  # fmt: skip
def test_configurations_that_are_no_network(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=f"config.json cannot be used: .*{reason}"):
        load_pretrained(config(tmp_path, **changes))


def test_architectures_that_are_no_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json: architectures must be a list of names, not \[\[\]\]$"):
        load_pretrained(config(tmp_path, architectures=[[]]))


def test_what_a_configuration_orders_is_not_done(tmp_path: Path) -> None:
    """Kernels from a hub, code in the folder and types are not the file's to choose."""
    orders = {"_attn_implementation": "somebody/kernels", "attn_implementation": "somebody/kernels", "dtype": "float16",
              "auto_map": {"AutoModel": "evil.Model"}}  # fmt: skip
    with pytest.raises(InputError, match="does not have the weights of the ViTForImageClassification: missing"):
        load_pretrained(config(tmp_path, **orders))


def test_a_folder_of_timm_needs_a_preset(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "deit_tiny_patch16_224", "num_classes": 2}))
    save_file(STATE, tmp_path / "model.safetensors")
    with pytest.raises(
        InputError, match=r"is a folder of timm, of 'deit_tiny_patch16_224': a preset or a configuration"
    ):
        load_pretrained(tmp_path)
    with pytest.raises(InputError, match="does not have the weights of the ViTForImageClassification: missing"):
        load_pretrained(tmp_path, preset="deit-tiny")
