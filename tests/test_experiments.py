"""Studies of trainings: what runs when, at which rate, what is kept, and how runs are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats

from benchmarks.experiments import Experiment, Kept, best_rate, command, difference, finished, kept, records, run_all
from benchmarks.experiments import running as module
from benchmarks.studies import METHODS, evidence_experiments
from hwmodel.policy import parser as policy
from qat import parsers
from qat.settings.options import add_arguments, merge
from reports.inputs.training import KeptRun
from siliquant.commandline.cli import Parser
from tests.kept import kept_runs, unpack_run

JUDGES = tuple(Experiment(f"judge-{rate}", "validation", rate, ("--lr", rate)) for rate in ("5e-4", "1e-3", "2e-3"))
CHOSEN = Experiment(
    "chosen", "test", "with the best rate", ("--lr", "{rate}", "--data", "imagefolder:{data}"), seeds=2,
    rates=tuple((judge.title, judge.name) for judge in JUDGES),
)  # fmt: skip
PARSERS: dict[str, Callable[[], Parser]] = {
    "qat.softlabels": parsers.softlabels, "qat.analyse": parsers.analyse, "qat.trace": parsers.trace,
    "hwmodel.policy": policy,
}  # fmt: skip
SCORES = {"judge-5e-4": 0.5, "judge-1e-3": 0.75, "judge-2e-3": 0.75, "chosen": 0.7, "chosen-s1": 0.8}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run; each leaves a finished run with a score of SCORES."""
    commands: list[list[str]] = []
    example = kept_runs()["vit-mnist-w2a2-all"]

    def one(experiment: Experiment, seed: int, runs: Path, places: Mapping[str, str]) -> str | None:
        words = command(experiment, seed, runs, places)
        commands.append(words)
        out = Path(words[words.index("--out") + 1])
        record = json.loads(json.dumps(example.record))
        record["options"] |= {"lr": float(words[words.index("--lr") + 1]), "out": str(out)}
        record["data"]["name"] = f"imagefolder:{places.get('data', '')}/x"
        last = {**example.epochs[-1], "test_score": str(SCORES[out.name])}
        unpack_run(KeptRun(out.name, record, (*example.epochs[:-1], last)), runs)
        return None

    monkeypatch.setattr(module, "_run_one", one)
    return commands


def test_the_rate_is_the_one_that_validation_judges_best(ran: list[list[str]], tmp_path: Path) -> None:
    places = {"data": str(tmp_path / "images")}
    run_all(tmp_path / "runs", [CHOSEN, *JUDGES], 2, places, tmp_path)
    order = [Path(words[words.index("--out") + 1]).name for words in ran]
    assert set(order[:3]) == {judge.name for judge in JUDGES}
    assert set(order[3:]) == {"chosen", "chosen-s1"}
    for words in ran[3:]:
        assert words[words.index("--lr") + 1] == "1e-3"  # the lower of two that are as good
        assert words[words.index("--data") + 1] == f"imagefolder:{tmp_path / 'images'}"
    found = kept(CHOSEN, tmp_path)
    assert [each.score for each in found] == [0.7, 0.8]
    assert [each.rate for each in found] == ["0.001", "0.001"]
    assert str(tmp_path) not in (tmp_path / "test.json").read_text()
    assert records("test", tmp_path)["chosen"].record["data"]["name"] == "imagefolder:data/x"


def test_without_a_judge_there_is_no_rate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^judge-5e-4 must be trained before chosen, which takes its rate from it$"):
        best_rate(CHOSEN, {judge.name: judge for judge in JUDGES}, tmp_path)


def test_a_command_that_fails_is_told_and_nothing_new_begins(tmp_path: Path) -> None:
    bad = Experiment("bad", "test", "bad", ("--bits", "99"))
    late = replace(bad, name="late", after=("bad",))
    with pytest.raises(
        ValueError, match=r"^bad: .*bits must be an integer from 1 to 8, or 32 for full precision, not 9"
    ):
        run_all(tmp_path, [late, bad], 2, {}, tmp_path)
    assert not (tmp_path / "logs" / "late.txt").exists()


def test_what_waits_for_itself_is_told(tmp_path: Path) -> None:
    first = Experiment("first", "test", "first", (), after=("second",))
    with pytest.raises(ValueError, match=r"^first waits for what waits for it$"):
        run_all(tmp_path, [first, replace(first, name="second", after=("first",))], 1, {}, tmp_path)


def test_differences_are_paired() -> None:
    def runs(*scores: float) -> list[Kept]:
        return [Kept(seed, score, 1000, 8, None, 1.0, "1e-3") for seed, score in enumerate(scores)]

    first, second = runs(0.5, 0.6, 0.7), runs(0.53, 0.61, 0.75, 0.9)
    found = difference(first, second)
    assert found is not None
    test = scipy.stats.ttest_rel([53, 61, 75], [50, 60, 70]).confidence_interval(0.95)
    assert found.half is not None
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((test.low, test.high))
    assert (found.seeds, found.significant) == (3, False)
    assert str(found) == "+3.00 points, 95 % interval -1.97 to +7.97 over 3 seeds"
    assert str(difference(first[:2], second)) == "+2.00 points over 2 seeds, too few for an interval"
    assert str(difference(first[:1], second)) == "+3.00 points over 1 seed, too few for an interval"
    assert difference([], second) is None
    gap = difference(first, [second[0], second[2]])  # the second seed has none
    assert gap is not None
    assert (gap.seeds, gap.mean) == (2, pytest.approx(4))
    assert difference(runs(0.5, 0.5, 0.5), runs(0.6, 0.61, 0.6)).significant  # type: ignore[union-attr]


def test_every_training_of_the_study_is_one_that_can_be_asked_for() -> None:
    experiments = evidence_experiments()
    names = {experiment.name for experiment in experiments}
    assert len(names) == len(experiments)
    parser = Parser(prog="test", description=None)
    add_arguments(parser)
    for experiment in experiments:
        assert experiment.needs <= names
        words = [word.format(runs="runs", data="data", rate="1e-3", seed="-s1") for word in experiment.arguments]
        if experiment.module in PARSERS:
            PARSERS[experiment.module]().parse_args([*words, "--out", "x"])
        else:
            assert experiment.trains
            options = merge(vars(parser.parse_args([*words, "--out", "x"])))
            validates = options.data.endswith("@validation")
            assert validates == ("-val-" in experiment.name) == experiment.study.endswith("-validation")
            assert all("-val-" in name for name in experiment.needs) or not validates  # judged without the test images
    rates = [dict(experiment.rates) for experiment in experiments if experiment.rates]
    assert {len(each) for each in rates} == {3}


def test_each_seed_of_one_bit_starts_from_its_own(tmp_path: Path) -> None:
    (one_bit,) = (each for each in evidence_experiments() if each.name == "glue-rte-w1a1")
    for seed, suffix in enumerate(("", "-s1", "-s2")):
        words = command(one_bit, seed, tmp_path, {"data": "data"})
        assert words[words.index("--start") + 1] == f"{tmp_path}/glue-rte-w1a2{suffix}"
        assert words[words.index("--teacher") + 1] == f"{tmp_path}/glue-rte-fp"


def test_methods_of_the_study_differ_in_their_method_alone() -> None:
    parser = Parser(prog="test", description=None)
    add_arguments(parser)
    tested = [each for each in evidence_experiments() if each.rates and each.name.startswith("cifar10-w2a2-")]
    assert [each.name.removeprefix("cifar10-w2a2-") for each in tested] == list(METHODS)
    shared, own = set(), set()
    for experiment in tested:
        words = [word.format(runs="runs", data="data", rate="1e-3") for word in experiment.arguments]
        given = vars(parser.parse_args([*words, "--out", "x"]))
        shared.add(tuple(str(given[name]) for name in ("model", "data", "limit", "start", "bits", "epochs", "lr")))
        own.add(str((experiment.module, sorted(given.items(), key=str))))
    assert (len(shared), len(own)) == (1, len(tested))


def test_a_step_that_writes_one_file_is_done_when_it_is_there(tmp_path: Path) -> None:
    step = Experiment("gemms", "", "", ("--model", "vit-cifar"), module="qat.trace", file="gemms.json")
    words = command(step, 0, tmp_path, {})
    assert words[1:] == ["-m", "qat.trace", "--model", "vit-cifar", "--out", str(tmp_path / "gemms" / "gemms.json")]
    assert not finished(step, 0, tmp_path)
    run_all(tmp_path, [step], 1, {}, tmp_path)
    assert finished(step, 0, tmp_path)
    kept_file = (tmp_path / "gemms" / "gemms.json").read_bytes()
    run_all(tmp_path, [step], 1, {}, tmp_path)
    assert (tmp_path / "gemms" / "gemms.json").read_bytes() == kept_file


def test_analyses_are_kept_without_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    step = Experiment("why", "vit", "", ("--checkpoint", "{runs}/fp"), module="qat.analyse")
    runs, images = tmp_path / "runs", tmp_path / "images"

    def one(experiment: Experiment, seed: int, runs: Path, places: Mapping[str, str]) -> str | None:
        (runs / experiment.name).mkdir(parents=True)
        found = {"runs": [f"{runs}/fp"], "data": f"imagefolder:{places['data']}/x"}
        (runs / experiment.name / "analysis.json").write_text(json.dumps(found, indent=1))
        return None

    monkeypatch.setattr(module, "_run_one", one)
    run_all(runs, [step], 1, {"data": str(images)}, tmp_path / "results" / "training")
    kept_text = (tmp_path / "results" / "analysis" / "vit.json").read_text()
    assert kept_text == '{"runs":["runs/fp"],"data":"imagefolder:data/x"}\n'


def test_the_runs_whose_oscillation_is_looked_at_are_all_at_two_bits() -> None:
    (step,) = (each for each in evidence_experiments() if each.name == "cifar10-oscillation")
    runs = step.arguments[step.arguments.index("--runs") + 1 :]
    assert len(set(runs)) == 5 * len(METHODS)
    assert all(name.startswith("{runs}/cifar10-w2a2-") for name in runs)
