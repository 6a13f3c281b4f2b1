"""Verdicts follow from records: made-up ones, of which it is known what must be said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments import analysis_file, folders, study_file
from benchmarks.findings import Evidence, document, figures
from benchmarks.findings.arrays import array_points, designs_of
from benchmarks.findings.equal import equal_verdict, placed, seeds_interval
from benchmarks.findings.figures import accuracy_figure
from benchmarks.findings.networks import network_verdicts
from benchmarks.findings.remedies import epochs_to, remedy_verdicts, won_back
from benchmarks.findings.verdict import Outcome, Verdict
from benchmarks.studies import evidence_experiments
from benchmarks.studies.mixed import CLASSES, MEANS, POLICY, WORKLOAD
from hwmodel.workload import assign, assignment_text, load_workload
from reports.inputs.training import KeptRun, study_json
from tests.kept import kept_runs

EXPERIMENTS = {experiment.name: experiment for experiment in evidence_experiments()}
EXAMPLE = kept_runs()["vit-mnist-w2a2-all"]
JITTER = (0.0, 0.002, -0.002, 0.001, -0.001)
"""Of the score by seed, the same for all, so that differences of pairs are what they are said to be."""
WOBBLE = (0.0003, -0.0003, 0.0, 0.0002, -0.0002)


def runs(name: str, score: float, wobble: Sequence[float] = WOBBLE) -> list[KeptRun]:
    """Finished runs of an experiment; ten epochs, each better than the one before."""
    found = []
    for seed, folder in enumerate(folders(EXPERIMENTS[name])):
        last = score + JITTER[seed] + wobble[seed]
        epochs = tuple(
            {**EXAMPLE.epochs[-1], "epoch": str(epoch), "test_score": str(last - 0.01 * (10 - epoch))}
            for epoch in range(1, 11)
        )
        found.append(KeptRun(folder, EXAMPLE.record, epochs))
    return found


def write(results: Path, scores: Mapping[str, float]) -> None:
    """Records of these experiments, by study."""
    studies: dict[str, list[KeptRun]] = {}
    for name, score in scores.items():
        studies.setdefault(EXPERIMENTS[name].study, []).extend(runs(name, score))
    for study, found in studies.items():
        file = study_file(study, results)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(study_json(study, found))


def part(kind: str, name: str, loss: float, layer: int | None = None) -> dict[str, Any]:
    change = {"loss": loss, "low": loss - 0.01, "high": loss + 0.01}
    return {"bits": 2, "kind": kind, "name": name, "layer": layer, "how": "alone", "change": change}


def analysis(classes: Mapping[str, float], heads: Sequence[float], kurtosis: float) -> dict[str, Any]:
    tensors = [
        {"network": network, "tensor": tensor, "end": False, "kurtosis": value}
        for network, value in (("transformer", kurtosis), ("convnet", 2.0))
        for tensor in ("weight", "activation")
    ]
    parts = [part("class", name, loss) for name, loss in classes.items()]
    parts += [part("head", str(number), loss, 0) for number, loss in enumerate(heads)]
    return {
        "settings": {"bits": [2]}, "sensitivity": {"parts": parts}, "outliers": {"statistics": tensors}
    }  # fmt: skip


SENSITIVE = {
    "query": 0.1, "key": 0.1, "value": 0.5, "probabilities": 0.1, "projection": 0.1, "fc1": 0.1, "fc2": 0.1,
}  # fmt: skip


def keep(results: Path, name: str, found: object) -> None:
    file = analysis_file(name, results)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(found if isinstance(found, str) else json.dumps(found))


def outcomes(verdicts: Sequence[Verdict]) -> list[Outcome]:
    return [verdict.outcome for verdict in verdicts]


def test_without_records_nothing_is_claimed(tmp_path: Path) -> None:
    results = tmp_path / "training"
    assert {
        *outcomes(network_verdicts(Evidence.read(results))),
        *outcomes(remedy_verdicts(Evidence.read(results))),
    } == {Outcome.OPEN}
    assert equal_verdict([]).outcome is Outcome.OPEN
    text = document(Evidence.read(results))
    assert text.count("not measured yet |") == 13
    assert text.count("Not trained yet.") == 3
    assert figures(Evidence.read(results)) == {}


@pytest.mark.parametrize(
    ("classes", "heads", "kurtosis", "wanted"),
    [
        (SENSITIVE, (0.0, 0.1), 5.0, [Outcome.HOLDS] * 4),
        ({**SENSITIVE, "fc1": 0.6, "fc2": 0.5}, (0.1, 0.11), 1.0, [Outcome.FAILS] * 4),
        ({**SENSITIVE, "value": 0.11}, (0.0, 0.1), 5.0, [Outcome.HOLDS, Outcome.FAILS, Outcome.HOLDS, Outcome.HOLDS]),
    ],
)
def test_what_is_said_of_networks(
    classes: Mapping[str, float], heads: Sequence[float], kurtosis: float, wanted: list[Outcome], tmp_path: Path
) -> None:
    results = tmp_path / "training"
    keep(results, "vit-cifar", analysis(classes, heads, kurtosis))
    assert outcomes(network_verdicts(Evidence.read(results))) == [*wanted, Outcome.OPEN]


def test_networks_that_differ_hold_in_part(tmp_path: Path) -> None:
    results = tmp_path / "training"
    keep(results, "vit-cifar", analysis(SENSITIVE, (0.0, 0.1), 5.0))
    keep(results, "minilm-sst2", analysis({**SENSITIVE, "fc1": 2.0}, (), 5.0))
    first, second, heads, *_ = network_verdicts(Evidence.read(results))
    assert [first.outcome, second.outcome, heads.outcome] == [Outcome.PARTLY, Outcome.PARTLY, Outcome.HOLDS]
    assert first.found[1] == "MiniLM on SST-2, 2 bits: +0.900 of attention, +2.100 of the feed-forward layers"


@pytest.mark.parametrize(
    ("value", "p_value", "wanted"),
    [(-0.8, 0.01, Outcome.HOLDS), (-0.8, 0.06, Outcome.FAILS), (0.8, 0.01, Outcome.FAILS)],
)
def test_oscillation_goes_with_accuracy_where_that_is_told(
    value: float, p_value: float, wanted: Outcome, tmp_path: Path
) -> None:
    results = tmp_path / "training"
    each = {"value": value, "low": value - 0.1, "high": value + 0.1, "p_value": p_value}
    groups = [{"runs": ["a"] * 9, "correlations": {"all": each}}, {"runs": ["b"], "correlations": {}}]
    keep(results, "vit-cifar-oscillation", {"oscillation": {"groups": groups}})
    assert network_verdicts(Evidence.read(results))[-1].outcome is wanted


def test_a_remedy_holds_where_its_difference_is_told(tmp_path: Path) -> None:
    results = tmp_path / "training"
    scores = {"cifar10-fp": 0.8}
    for bits, head in ((2, 0.63), (3, 0.70), (4, 0.75)):
        scores |= {f"cifar10-w{bits}a{bits}-{name}": score for name, score in
                   {"plain": 0.5, "lsq": 0.6, "head": head, "mdq": head, "obr": 0.55, "mckd": 0.66,
                    "all": 0.7}.items()}  # fmt: skip
    write(results, scores)
    evidence = Evidence.read(results)
    head, gradient, obr, mckd, published, ours, half = remedy_verdicts(Evidence.read(results))
    assert outcomes([head, mckd, published, ours]) == [Outcome.HOLDS] * 4
    assert outcomes([gradient, obr]) == [Outcome.FAILS] * 2
    assert head.found[0].startswith("2 bits: +3.00 points, 95 % interval +3.00 to +3.00 over 5 seeds")
    # A tenth of a point an epoch: 66 % at the end is 60 % after the fourth epoch.
    assert (epochs_to("mckd", "lsq", 2, evidence), half.outcome) == (4, Outcome.HOLDS)
    assert epochs_to("obr", "lsq", 2, evidence) == 11
    assert epochs_to("brevitas", "lsq", 2, evidence) is None
    parts = [evidence.trained(name, 2) for name in ("all", "plain")]
    full = evidence.trained("lsq", 2)
    assert won_back(*parts, full) == pytest.approx((0.7 - 0.5) / (0.6 - 0.5))
    assert won_back(parts[0], [], full) is None
    page = document(Evidence.read(results))
    assert "wins back 67 % of what LSQ as published loses against" in " ".join(page.split())
    assert "| all three | 0.002 | 70.00 | 69.81 to 70.19 | +10.00 ± 0.00 | 2.42 | 1 |" in page


def test_a_seed_more_or_less_is_no_interval() -> None:
    assert seeds_interval([]) is None


@pytest.fixture(scope="module")
def costed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with its policies: that of MNIST in the place of that of CIFAR-10."""
    results = tmp_path_factory.mktemp("costed") / "training"
    workload = load_workload("vit-mnist")
    source = Path(__file__).resolve().parents[1] / "hwmodel" / "data" / "workloads" / "vit-mnist.json"
    keep(results, WORKLOAD, source.read_text())
    for name, widths in CLASSES.items():
        for mean in MEANS:
            found = assign(workload, Fraction(mean), [int(width) for width in widths.split(",")])
            keep(results, POLICY.format(name=name, mean=mean), assignment_text(found, "a test"))
    return results


def test_networks_are_placed_on_arrays_as_fast_as_the_uniform_one(costed: Path) -> None:
    points = array_points(Evidence.read(costed))
    uniform, mixed = points[:3], points[3:]
    assert [point.mean for point in uniform] == ["2", "3", "4"]
    assert {point.design for point in uniform} == {"uniform"}
    assert [point.energy_uj for point in uniform] == sorted(point.energy_uj for point in uniform)
    assert {(point.design, point.name) for point in mixed} <= {
        (design, f"mix-{name}-{mean}") for name in CLASSES for mean in MEANS for design in designs_of(name)
    }
    assert {point.design for point in mixed} == {*designs_of("scalable"), *designs_of("serial")}
    assert max(point.latency_us for point in mixed) <= uniform[0].latency_us


@pytest.mark.parametrize(("better", "wanted"), [(0.0, Outcome.HOLDS), (0.5, Outcome.FAILS)])
def test_mixed_precision_beats_uniform_where_no_uniform_network_matches(
    better: float, wanted: Outcome, costed: Path, tmp_path: Path
) -> None:
    scores = {f"cifar10-w{bits}a{bits}-all": 0.3 + bits / 100 for bits in (2, 3, 4)}
    scores |= {f"cifar10-mix-{name}-{mean}": 0.2 + better for name in CLASSES for mean in MEANS}
    results = tmp_path / "training"
    write(results, scores)
    analysis_file("x", results).parent.symlink_to(analysis_file("x", costed).parent)
    points = placed(Evidence.read(results))
    assert {point.point.design for point in points} == {"uniform", *designs_of("scalable"), *designs_of("serial")}
    assert equal_verdict(points).outcome is wanted
    drawn = accuracy_figure(points)
    assert drawn.startswith(b"<?xml")
    assert drawn == accuracy_figure(points)
