"""Runs of a few steps on a few images, shared by the tests of training."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from rich.console import Console
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertConfig, ViTConfig

from qat.data import datasets as data_module
from qat.data.datasets import Data
from qat.data.images import ArrayImages
from qat.data.text import TextSplit
from qat.models import presets
from qat.settings.options import merge
from qat.train import run_training
from qat.training.distributed import Processes
from siliquant.commandline.cli import run

TEST_SAMPLES = 60
TINY = {
    "model": "vit-tiny",
    "limit": 48,
    "batch_size": 16,
    "epochs": 2,
    "calibration_batches": 1,
    "threads": 1,
    "device": "cpu",
}

opened = cache(data_module.open_data)


def small_data(name: str, **options: Any) -> Data:
    """`open_data` with a small test split, so that an epoch does not take longer to evaluate than to train."""
    data = opened(name, **options)
    test = data.test
    if isinstance(test, ArrayImages):
        return replace(data, test=replace(test, pixels=test.pixels[:TEST_SAMPLES], labels=test.labels[:TEST_SAMPLES]))
    if isinstance(test, TextSplit):
        n = TEST_SAMPLES
        return replace(data, test=replace(test, **{k: v[:n] for k, v in vars(test).items() if k != "fingerprint"}))
    return data


def vit_tiny(dropout: float = 0.0) -> ViTConfig:
    """Two narrow layers on 16 patches."""
    return ViTConfig(
        image_size=28, patch_size=7, num_channels=1, hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=48, initializer_range=0.2, hidden_dropout_prob=dropout,
    )  # fmt: skip


def bert_tiny() -> BertConfig:
    """Two narrow layers."""
    return BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)


def patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data wherever runs open them, and presets of small models."""
    more = {"vit-tiny": vit_tiny, "vit-drop": partial(vit_tiny, 0.1), "bert-tiny": bert_tiny}
    monkeypatch.setattr(presets, "_CONFIGS", {**presets._CONFIGS, **more})
    for module in ("train", "training.rundata", "analysis.subject"):
        monkeypatch.setattr(f"qat.{module}.open_data", small_data)


def train_tiny(folder: Path, *, resume: bool = False, **options: Any) -> Path:
    """The folder, after a run with the tiny options and those given."""
    given = {**TINY, "out": folder, **options}
    with pytest.MonkeyPatch.context() as monkeypatch:
        patch(monkeypatch)
        run_training(
            merge(given), Processes(0, 1, torch.device("cpu")), resume=resume, console=Console(file=io.StringIO())
        )
    return folder


READS = ("_local_scalar_dense", "nonzero", "masked_select", "bincount", "is_nonzero", "equal", "unique_dim", "_unique2")


class NothingIsRead(TorchDispatchMode):
    """Refuses every operation that makes this process wait for what a device computes."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in READS, name
        return func(*args, **(kwargs or {}))


@pytest.fixture
def nothing_is_read() -> NothingIsRead:
    """To be entered where nothing may wait for a device."""
    return NothingIsRead()


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data."""
    patch(monkeypatch)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a main function with arguments, as its command line would."""

    def call(main: Callable[[], None], *arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run("program", main)
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def train() -> Callable[..., Path]:
    """`train_tiny`."""
    return train_tiny


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at full precision."""
    return train_tiny(tmp_path_factory.mktemp("full") / "run", bits=32)


@pytest.fixture(scope="session")
def low_run(tmp_path_factory: pytest.TempPathFactory, full_run: Path) -> Path:
    """A run at two bits with everything that has a state: teacher, regulariser, tracker, freezing."""
    return train_tiny(tmp_path_factory.mktemp("low") / "run", **LOW, start=full_run, teacher=full_run)


LOW = {"bits": 2, "obr": 0.1, "freeze": 0.02, "lr": 3e-3}
