"""Designs of a comparison are counted once, here or by other processes, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hwmodel.comparison import estimated as modelanswer
from hwmodel.comparison.comparison import Question
from hwmodel.comparison.estimated import ModelAnswers, model_answer
from hwmodel.model import features
from hwmodel.model.features import find, transitions_of
from hwmodel.model.file import load_model
from hwmodel.model.model import energies_of, shape_of
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import UniformSpec
from rtl.spec.mac import Precision

MODEL = load_model("freepdk45")
CLOCK_MHZ = 500.0
SIGNED, UNSIGNED = Precision(2, 3), Precision(2, 3, activation_signed=False)
QUESTIONS = [
    Question(UniformSpec(weight_bits=2, activation_bits=3, lanes=lanes, reduction_length=5555), (precision,))
    for lanes in range(1, 7)
    for precision in (SIGNED, UNSIGNED)
]


def forget() -> None:
    """Nothing is remembered: what is known is what is kept."""
    for each in (features._entry, features.counts_of, features.shared_counts_of, transitions_of,
                 features.shared_transitions_of, shape_of, energies_of):  # fmt: skip
        each.cache_clear()


@pytest.mark.parametrize("processes", [False, True], ids=["one", "several"])
def test_what_was_prepared_is_answered_without_counting(
    processes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    forget()
    if processes:
        monkeypatch.setattr(modelanswer, "_WORTH_PROCESSES", 0)
    answers = ModelAnswers(MODEL, CLOCK_MHZ, 2)
    answers.prepare(QUESTIONS)
    assert capsys.readouterr().out == "", "progress goes to stderr"

    def counting(*_: object) -> None:
        raise AssertionError("all of it was counted before")

    def none(pairs: Iterator[object]) -> Iterator[object]:
        assert list(pairs) == []
        return iter(())

    with monkeypatch.context() as patched:
        for name in ("structure_of", "switching_of", "periods"):
            patched.setattr(features, name, counting)
        patched.setattr(features, "switchings", none)
        if processes:
            found = [answers.get(question) for question in QUESTIONS]  # what the others found was taken over
        forget()
        found = [ModelAnswers(MODEL, CLOCK_MHZ, 1).get(question) for question in QUESTIONS]  # and was kept
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "empty"))
    forget()
    assert found == [model_answer(question, MODEL, CLOCK_MHZ) for question in QUESTIONS]


def test_transitions_are_counted_of_the_pipelining_that_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    forget()
    asked: list[object] = []

    def watched(wanted: dict[UniformSpec, list[StreamPlan]], *delays: object) -> object:
        asked.extend(wanted)
        return find(wanted, *delays)

    monkeypatch.setattr(modelanswer, "find", watched)
    question = Question(
        UniformSpec(weight_bits=8, activation_bits=8, lanes=4, reduction_length=5555), (Precision(8, 8),)
    )
    tight = model_answer(question, MODEL, 900.0)
    assert tight.spec.pipeline_stages > 0
    assert asked == [tight.spec]
