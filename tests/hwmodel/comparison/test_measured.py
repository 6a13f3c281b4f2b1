"""Measurements of a comparison: what one design does to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from hwmodel.comparison import measured
from hwmodel.comparison.comparison import Question
from hwmodel.comparison.measured import Answers
from hwmodel.library.library import find_library
from hwmodel.measurement.dut import Bench
from hwmodel.measurement.executors import Outcome
from hwmodel.synthesis.mapping import SynthesisError
from rtl.mac import UniformSpec
from rtl.spec.mac import MacSpec, Precision
from siliquant.inputs import PackageMissing


def test_a_design_that_fails_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    good, bad = (UniformSpec(weight_bits=2, activation_bits=2, lanes=lanes, reduction_length=16) for lanes in (1, 2))

    def one_after_the_other(jobs: int) -> Callable[..., Iterator[Outcome[MacSpec, object]]]:
        def run(call: Callable[[MacSpec], object], items: Iterable[MacSpec]) -> Iterator[Outcome[MacSpec, object]]:
            for item in items:
                if item == bad:
                    yield Outcome(item, error=SynthesisError("Yosys stopped"))
                else:
                    yield Outcome(item, call(item))

        return run

    monkeypatch.setattr(measured, "local", one_after_the_other)
    answers = Answers(Bench(find_library(), clock_mhz=100.0, effort="quick", jobs=1), 1)
    questions = [Question(spec, (Precision(2, 2),)) for spec in (bad, good)]
    with pytest.raises(SynthesisError, match=r"^Yosys stopped$"):
        answers.prepare(questions)
    assert f"{bad.name}: Yosys stopped" in capsys.readouterr().err
    assert answers.get(questions[1]).area_um2 > 0


def test_what_is_not_installed_ends_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    tried: list[MacSpec] = []

    def failing(jobs: int) -> Callable[..., Iterator[Outcome[MacSpec, object]]]:
        def run(call: Callable[[MacSpec], object], items: Iterable[MacSpec]) -> Iterator[Outcome[MacSpec, object]]:
            for item in items:
                tried.append(item)
                yield Outcome(item, error=PackageMissing("this needs the package pyosys"))

        return run

    monkeypatch.setattr(measured, "local", failing)
    specs = [UniformSpec(weight_bits=2, activation_bits=2, lanes=lanes, reduction_length=16) for lanes in (1, 2)]
    answers = Answers(Bench(find_library(), clock_mhz=100.0, effort="quick", jobs=1), 1)
    with pytest.raises(PackageMissing, match=r"^this needs the package pyosys$"):
        answers.prepare([Question(spec, (Precision(2, 2),)) for spec in specs])
    assert len(tried) == 1
    assert "pyosys" not in capsys.readouterr().err
