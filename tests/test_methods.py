"""The study of other methods: every line is a training that its command takes; they differ in their method alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.experiments.experiment import Experiment
from benchmarks.experiments.records import keep
from qat import parsers
from qat.settings.options import merge
from tests.kept import kept_runs, unpack_run
from tests.scripts import script


@pytest.fixture(scope="module")
def methods() -> ModuleType:
    return script("benchmarks/qat_methods.py")


def options(experiment: Experiment) -> dict[str, Any]:
    words = [argument.format(runs="runs") for argument in experiment.arguments]
    given = vars(parsers.train().parse_args([*words, "--out", "runs/x"]))
    for name in ("config", "resume", "list_models", "dry_run"):
        given.pop(name, None)
    return merge(given).to_dict()


def test_methods_have_the_same_start_data_and_steps(methods: ModuleType) -> None:
    found = {e.name: e for e in methods.experiments("digits", 2, 4, "1e-3", 2, 1)}
    assert [name for name in found if name not in ("fp", "soft")] == list(methods.METHODS)
    every = {name: options(found[name]) for name in methods.METHODS}
    assert len({str(sorted(each.items())) for each in every.values()}) == len(every)
    for each in every.values():
        assert {name: each[name] for name in ("data", "bits", "epochs", "lr", "start", "seed")} == {
            "data": "digits", "bits": 2, "epochs": 2, "lr": 1e-3, "start": "runs/fp", "seed": 0,
        }  # fmt: skip
    assert found["all"].needs == {"fp", "soft"}
    assert found["ofq"].needs == {"fp"}
    full = options(found["fp"])
    assert (full["bits"], full["epochs"], full["start"]) == (32, 4, None)
    given = [argument.format(runs="runs") for argument in found["soft"].arguments]
    assert parsers.softlabels().parse_args([*given, "--out", "runs/soft"]).teacher == Path("runs/fp")


def test_the_table_says_losses_and_whether_integers_are_equal(
    methods: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = kept_runs()["vit-mnist-w2a2-all"]
    chosen = methods.experiments("mnist5k", 8, 40, "2e-3", 2, 1)
    for name in ("obr", "ofq"):
        keep(unpack_run(replace(example, name=name), tmp_path), methods.STUDY, {}, tmp_path)
    monkeypatch.setattr(methods, "exported", lambda folder, samples: folder.name == "ofq")
    first, last = (f"{float(example.epochs[place]['loss']):.3f}" for place in (0, -1))
    score = f"{100 * float(example.epochs[-1]['test_score']):.2f}"
    found = list(methods.lines(chosen, tmp_path, tmp_path, 5))
    assert [(line[0], line[1], *line[3:]) for line in found] == [
        ("a scale a head, bin regulariser", score, first, last, "differ"),
        ("OFQ's three, integer codes", score, first, last, "equal"),
    ]
