"""Numbers of steps, read at once on the CPU and together on CUDA; the CPU stands in for it here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from qat.training import trainer
from qat.training.readings import LATE_STEPS, Readings
from siliquant.inputs import InputError


def late(steps: int = LATE_STEPS) -> Readings:
    readings = Readings(torch.device("cpu"))
    readings._late = steps
    return readings


def test_the_cpu_reads_at_once() -> None:
    seen: list[float] = []
    readings = Readings(torch.device("cpu"))
    readings.take(torch.tensor(2.5), seen.append)
    assert seen == [2.5]
    readings.end_step()
    readings.settle()
    assert seen == [2.5]


def test_cuda_reads_the_numbers_of_sixteen_steps_in_their_order(
    nothing_is_read: AbstractContextManager[object],
) -> None:
    assert Readings(torch.device("cuda"))._late == LATE_STEPS == 16
    seen: list[float] = []
    readings = late()
    with nothing_is_read:
        for step in range(15):
            readings.take(torch.tensor(step), seen.append)
            readings.take(torch.tensor(step + 0.1), seen.append)
            readings.end_step()
        readings.take(torch.tensor(True), seen.append)
    assert seen == []
    readings.end_step()
    wanted = [float(torch.tensor(value)) for step in range(15) for value in (step, step + 0.1)]
    assert seen == [*wanted, 1.0]
    readings.take(torch.tensor(7), seen.append)
    readings.settle()
    assert seen[-1] == 7


def patient(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(trainer, "Readings", lambda device: late(steps))


def test_a_run_that_reads_late_is_the_same_run(
    tmp_path: Path, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(tmp_path / "first", bits=2)
    patient(monkeypatch, 2)  # of three steps an epoch
    second = train(tmp_path / "second", bits=2)
    columns = [
        [line.rsplit(",", 2)[0] for line in (run / "metrics.csv").read_text().splitlines()] for run in (first, second)
    ]
    assert len(columns[0]) == 3
    assert columns[0] == columns[1]
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


@pytest.mark.parametrize("steps", [0, 2, 16])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_step(
    steps: int, tmp_path: Path, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second step, whenever it is read; and no weights are saved."""
    patient(monkeypatch, steps)
    loss, calls = trainer._loss, []

    def sometimes(*arguments: Any) -> Any:
        calls.append(1)
        value, logits = loss(*arguments)
        return (value * float("nan") if len(calls) >= 2 else value), logits

    monkeypatch.setattr(trainer, "_loss", sometimes)
    with pytest.raises(InputError) as caught:
        train(tmp_path / "run", bits=2)
    sentence = "the loss must stay finite, but is nan at epoch 1, step 2; "
    assert str(caught.value) == sentence + "the last checkpoint is kept: try a lower lr or clip"
    assert len(calls) == (3 if steps == 16 else 2)
    assert not (tmp_path / "run" / "model.safetensors").exists()
