"""qat.analysis.oscillation against scipy, and against every order of a few runs; what it refuses."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from qat.analysis.oscillation import groups, read_runs, spearman
from siliquant.inputs import InputError


@pytest.mark.parametrize("n", [5, 6, 7])
def test_the_p_value_counts_all_orders(n: int) -> None:
    draw = np.random.default_rng(n)
    first, second = draw.normal(size=n), draw.normal(size=n)
    found = spearman(first, second)
    ranks = stats.rankdata(first), stats.rankdata(second)
    value = np.corrcoef(*ranks)[0, 1]
    # Not in floats: sums of squared distances of ranks decide.
    size = [sum(round(2 * a) * round(2 * b) for a, b in zip(order, ranks[1], strict=True))
            for order in itertools.permutations(ranks[0])]  # fmt: skip
    mean = n * (n + 1) ** 2
    own = size[0] - mean
    at_least, at_most = (sum(sign * (each - mean - own) >= 0 for each in size) / len(size) for sign in (1, -1))
    assert found.value == pytest.approx(value)
    assert found.p_value == pytest.approx(min(1.0, 2 * min(at_least, at_most)))
    half = 1.959964 * np.sqrt((1 + value**2 / 2) / (n - 3))
    assert found.low == pytest.approx(np.tanh(np.arctanh(value) - half))
    assert found.high == pytest.approx(np.tanh(np.arctanh(value) + half))


def test_more_runs_have_scipys_p_value() -> None:
    draw = np.random.default_rng(1)
    first = draw.normal(size=20)
    second = first + draw.normal(size=20)
    wanted = stats.spearmanr(first, second)
    found = spearman(first, second)
    assert (found.value, found.p_value, found.runs) == pytest.approx((wanted.statistic, wanted.pvalue, 20))


def test_a_perfect_order_of_five_has_a_wide_interval() -> None:
    found = spearman(np.arange(5.0), -np.arange(5.0))
    assert found.value == pytest.approx(-1)
    assert found.low == pytest.approx(-1)
    assert found.high is not None
    assert -0.2 < found.high < 0.3  # of -0.9, the nearest that has an interval
    assert found.p_value == pytest.approx(2 / 120)


def test_what_is_the_same_everywhere_has_no_correlation() -> None:
    found = spearman(np.zeros(6), np.arange(6.0))
    assert (found.value, found.low, found.high, found.p_value) == (None, None, None, None)


def copies(run: Path, folder: Path, number: int) -> list[Path]:
    """Copies of a run with other shares and scores: the more oscillates, the lower the score, but for one."""
    made = []
    for place in range(number):
        target = folder / f"run{place}"
        target.mkdir(parents=True)
        shutil.copy(run / "run.json", target)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        last = lines[-1]
        last["oscillation"] = place / 10
        last["oscillation_by_module"] = dict.fromkeys(last["oscillation_by_module"], place / 10)
        score = (9 - place if place != 1 else 9.5) / 10
        last |= {"test_score": score, "test_low": score - 0.05, "test_high": score + 0.05}
        (target / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        made.append(target)
    return made


def test_runs_are_read_by_class(low_run: Path, tmp_path: Path) -> None:
    (run,) = read_runs([low_run])
    lines = [json.loads(line) for line in (low_run / "metrics.jsonl").read_text().splitlines()]
    assert run.epochs == (1, 2)
    assert run.shares == tuple(line["oscillation"] for line in lines)
    modules = lines[-1]["oscillation_by_module"]
    for name, pattern in (("value", ".v_proj"), ("projection", ".o_proj"), ("fc2", ".mlp.fc2")):
        mine = [share for module, share in modules.items() if module.endswith(pattern)]
        assert len(mine) == 2
        assert run.by_class[name][-1] == pytest.approx(sum(mine) / 2)
    assert (run.weight_bits, run.activation_bits, run.name) == (2, 2, "run")
    assert run.low <= run.score <= run.high
    assert groups([run])[0].correlations == {}


def test_five_runs_have_a_correlation_and_four_have_none(low_run: Path, tmp_path: Path) -> None:
    folders = copies(low_run, tmp_path, 5)
    (four,) = groups(read_runs(folders[:4]))
    assert four.correlations == {}
    (five,) = groups(read_runs(folders))
    scores = [0.9, 0.95, 0.7, 0.6, 0.5]
    wanted = stats.spearmanr(range(5), scores).statistic
    assert five.correlations["all"].value == pytest.approx(wanted)
    assert five.correlations["fc1"].value == pytest.approx(wanted)
    assert [run.name for run in five.runs] == [f"run{place}" for place in range(5)]


def test_runs_of_other_widths_are_another_group(low_run: Path, train: Callable[..., Path], tmp_path: Path) -> None:
    folders = copies(low_run, tmp_path, 2)
    record = json.loads((folders[1] / "run.json").read_text())
    record["scheme"]["weight_bits"] = 3
    record["options"]["weight_bits"] = 3
    (folders[1] / "run.json").write_text(json.dumps(record))
    assert [len(group.runs) for group in groups(read_runs(folders))] == [1, 1]


def damaged(run: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    (made,) = copies(run, folder, 1)
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    change(lines[-1])
    (made / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return made


def test_what_is_no_quantised_run_is_refused(full_run: Path, low_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(f"{full_run} must be a quantised run: at full precision nothing")):
        read_runs([full_run])
    with pytest.raises(InputError, match="runs must be folders with different names, not run, run"):
        read_runs([low_run, low_run])
    cases: tuple[tuple[str, Any, str], ...] = (
        ("oscillation", 1.5, "oscillation must be a share from 0 to 1, not 1.5"),
        ("test_score", None, "test_score must be a finite number, not None"),
        ("oscillation_by_module", 3, "oscillation_by_module must be an object, not 3"),
    )
    for place, (name, value, said) in enumerate(cases):
        wrong = damaged(low_run, tmp_path / str(place), lambda line: line.update({name: value}))  # noqa: B023
        with pytest.raises(InputError) as found:
            read_runs([wrong])
        assert said in str(found.value)
    (made,) = copies(low_run, tmp_path / "lost", 1)
    (made / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match="it must have at least one epoch"):
        read_runs([made])
    (made / "metrics.jsonl").unlink()
    with pytest.raises(InputError, match="must be there: the run has not finished an epoch yet"):
        read_runs([made])
