"""LSQ's own start and steps of a scale, which the published baseline uses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from qat.network.convert import quantizers
from qat.quantisers.native.memory import keep_freed_memory
from qat.quantisers.quantiser import Quantizer
from qat.settings.options import merge
from qat.settings.scheme import Scheme
from qat.training.runs import load_run
from qat.training.trainer import _parameter_groups


@pytest.mark.parametrize(("bits", "signed", "high"), [(2, True, 1), (4, True, 7), (4, False, 15), (8, True, 127)])
def test_mean_start_of_weights_and_of_activations(bits: int, signed: bool, high: int) -> None:
    x = torch.linspace(-1 if signed else 0, 3, 600).reshape(3, 200)
    expected = 2 * float(x.abs().double().mean()) / high**0.5
    of_weight, of_stream = (Quantizer(bits, signed=signed, mean_start=True) for _ in range(2))
    of_weight.fit(x)
    of_stream.begin_search()
    for row in x:
        of_stream(row[None])
    of_stream.end_search()
    assert float(of_weight.scale) == pytest.approx(expected, rel=1e-5)
    assert float(of_stream.scale) == pytest.approx(expected, rel=1e-5)


def test_absolute_steps_move_a_scale_by_the_learning_rate_whatever_its_size(tmp_path: Path) -> None:
    quantizer = Quantizer(4, signed=True, groups=1)
    for start in (0.01, 5.0):
        quantizer.set_scale(torch.tensor([start]))
        moved = {}
        for steps in ("relative", "absolute"):
            options = merge({"out": tmp_path, "scale_steps": steps, "scale_lr": 0.5})
            groups = [g for g in _parameter_groups(quantizer, options) if g["params"]]
            assert [len(g["params"]) for g in groups] == [1]
            with torch.no_grad():
                quantizer.relative.fill_(1.0)
            optimizer = torch.optim.AdamW(
                [{**g, "lr": 1e-3 * g["factor"]} for g in groups],
            )
            quantizer.relative.grad = torch.tensor([0.3])
            optimizer.step()
            moved[steps] = start - float(quantizer.scale)
        assert moved["relative"] == pytest.approx(5e-4 * start, rel=1e-3)
        assert moved["absolute"] == pytest.approx(5e-4, rel=1e-3)


def test_the_command_trains_published_lsq(train: Callable[..., Path], tmp_path: Path, full_run: Path) -> None:
    options = {"bits": 2, "granularity": "tensor", "gradient_scale": "lsq", "start": full_run, "epochs": 1}
    published = train(tmp_path / "run", **options, scale_start="mean", scale_steps="absolute")
    model, record = load_run(published)
    assert record.scheme is not None
    assert record.scheme.scale_start == "mean"
    assert record.options["scale_steps"] == "absolute"
    assert all(q.mean_start for q in quantizers(model).values())
    assert all(bool((q.scale > 0).all()) for q in quantizers(model).values())


def test_a_start_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"^scale_start must be one of error, mean, not .max.$"):
        Scheme(scale_start="max")  # type: ignore[arg-type]


def test_freed_memory_is_kept_where_the_c_library_is_glibc() -> None:
    import platform

    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
