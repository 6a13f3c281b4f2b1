"""Two processes that train together, against one alone."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from qat.training.accuracy import Evaluation
from qat.training.distributed import Processes, processes

ROOT = Path(__file__).resolve().parents[3]
CHILD = """
import io, json, sys
sys.path[:0] = sys.argv[2:]
import pytest, torch
from pathlib import Path
from rich.console import Console
import qat.train
from qat.training.distributed import processes
from qat.settings.options import merge
from qat.files.stored import save_model
import conftest
torch.set_num_threads(1)
out = Path(sys.argv[1])
conftest.patch(pytest.MonkeyPatch())
train = qat.train.train
def starting(training, *rest):
    save_model(out / f"start-{training.options.out.name}-{training.processes.rank}.safetensors", training.model)
    return train(training, *rest)
qat.train.train = starting
with processes("cpu") as group:
    for name, options in json.loads(CASES).items():
        given = merge({**conftest.TINY, **options, "out": out / name if group.rank == 0 else out / f"{name}-none"})
        shown = io.StringIO()
        history = qat.train.run_training(given, group, resume=False, console=Console(file=shown))
        (out / f"{name}-{group.rank}.json").write_text(json.dumps([history, shown.getvalue()]))
    try:
        odd = merge({**conftest.TINY, "batch_size": 15, "out": out / "odd"})
        qat.train.run_training(odd, group, resume=False, console=Console(file=shown))
    except ValueError as error:
        (out / f"odd-{group.rank}.txt").write_text(str(error))
"""
CASES: dict[str, dict[str, Any]] = {
    "full": {"bits": 32},
    # The last step of an epoch would differ from one process's where its parts had different sizes: 48 is 3 x 16.
    "low": {"bits": 4, "obr": 0.1, "freeze": 0.02},
    "binary": {"bits": 1, "activation_bits": 2, "weight_bits": 1, "epochs": 1},
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that two processes wrote into."""
    out = tmp_path_factory.mktemp("two")
    script = CHILD.replace("CASES", repr(json.dumps(CASES)))
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(out), str(ROOT), str(Path(__file__).parents[1])],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        outputs = [child.communicate(timeout=180)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0], outputs
    return out


@pytest.fixture(scope="module")
def alone(train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same runs in one process."""
    out = tmp_path_factory.mktemp("one")
    return {name: train(out / name, **options) for name, options in CASES.items()}


def history(folder: Path, name: str, rank: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((folder / f"{name}-{rank}.json").read_text())[0]
    for record in records:
        del record["seconds"], record["samples_per_second"]
    return records


@pytest.mark.parametrize("name", CASES)
def test_all_start_as_one_would(together: Path, train: Callable[..., Path], tmp_path: Path, name: str) -> None:
    """Bit for bit, with the scales of activations that were calibrated in each."""
    untrained = load_file(train(tmp_path / "run", **CASES[name] | {"epochs": 0}) / "model.safetensors")
    for rank in range(2):
        found = load_file(together / f"start-{name if rank == 0 else f'{name}-none'}-{rank}.safetensors")
        assert found.keys() == untrained.keys()
        assert all(torch.equal(tensor, untrained[key]) for key, tensor in found.items())
    assert (name == "full") == (not any(key.endswith("relative") for key in untrained))


@pytest.mark.parametrize("name", CASES)
def test_two_train_as_one_would(together: Path, alone: dict[str, Path], name: str) -> None:
    """Within the rounding of sums in another order, and what that makes of roundings to codes."""
    ours = history(together, name, 0)
    theirs = [json.loads(line) for line in (alone[name] / "metrics.jsonl").read_text().splitlines()]
    tolerance = {"full": 1e-5, "low": 2e-2, "binary": 5e-2}[name]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=tolerance)
        assert mine["test_loss"] == pytest.approx(other["test_loss"], rel=tolerance)
        assert mine["test_score"] == pytest.approx(other["test_score"], abs=0 if name == "full" else 0.07)
        assert mine["learning_rate"] == other["learning_rate"]
    found, expected = (load_file(folder / "model.safetensors") for folder in (together / name, alone[name]))
    # The gradient of a key's bias is 0, but for rounding, which AdamW makes steps of full length of.
    keys = [key for key in expected if not key.endswith("k_proj.bias")]
    distance = torch.cat([(expected[key] - found[key]).abs().flatten() for key in keys])
    assert float(distance.max()) < {"full": 1e-6, "low": 4e-3, "binary": 4e-3}[name]
    assert float(distance.mean()) < {"full": 1e-8, "low": 1e-5, "binary": 1e-5}[name]


@pytest.mark.parametrize("name", CASES)
def test_both_know_the_result_and_the_first_alone_writes(together: Path, name: str) -> None:
    assert history(together, name, 0) == history(together, name, 1)
    assert sorted(path.name for path in (together / name).iterdir()) == [
        "metrics.csv", "metrics.jsonl", "model.safetensors", "run.json", "state.pt"
    ]  # fmt: skip
    assert not (together / f"{name}-none").exists()
    shown = [json.loads((together / f"{name}-{rank}.json").read_text())[1] for rank in range(2)]
    assert re.match(r"epoch 1: loss ", shown[0])
    assert shown[1] == ""


def test_a_batch_that_cannot_be_shared_out(together: Path) -> None:
    for rank in range(2):
        text = (together / f"odd-{rank}.txt").read_text()
        assert text == "batch_size must be a multiple of 2 processes, not 15"
    assert not (together / "odd").exists()


def test_one_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with processes("cpu") as group:
        assert (group.rank, group.world, group.device) == (0, 1, torch.device("cpu"))
        assert group.summed({"a": 1.5, "b": 2.0}) == {"a": 1.5, "b": 2.0}
        part = Evaluation(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), 0.5)
        assert group.gathered(part) is part
    assert not torch.distributed.is_initialized()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ValueError) as caught, processes("cuda"):
        pass
    assert str(caught.value) == "device must be cpu or auto where PyTorch finds no GPU, not 'cuda'"
    with processes("auto") as group:
        assert group == Processes(0, 1, torch.device("cpu"))
