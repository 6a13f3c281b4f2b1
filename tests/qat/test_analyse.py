"""The command analyse: what it writes and prints, what it goes on from, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hwmodel.policy
import qat.analyse
from hwmodel.workload import assign, read_sensitivity, read_workload
from qat.analysis import measuring
from qat.trace import to_text, workload

Command = Callable[..., Any]
QUICK = ("--bits", "2,4", "--samples", "20", "--convnet-epochs", "1")


@pytest.fixture(scope="module")
def analysed(full_run: Path, low_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that an analysis of a run filled."""
    from tests.qat.conftest import patch

    out = tmp_path_factory.mktemp("analysed") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        patch(monkeypatch)
        qat.analyse.main(["--checkpoint", str(full_run), "--data", "mnist5k", *QUICK, "--by-layer",
                          "--runs", str(low_run), "--out", str(out)])  # fmt: skip
    return out


def test_what_is_written(analysed: Path, full_run: Path) -> None:
    names = {path.name for path in analysed.iterdir()}
    figures = {f"{name}.{form}" for name in ("sensitivity", "outliers", "oscillation") for form in ("png", "svg")}
    assert names == {"analysis.json", "sensitivity.json", "sensitivity.csv", "measurements"} | figures
    found = json.loads((analysed / "analysis.json").read_text())
    assert found["format"] == "siliquant-analysis 1"
    assert found["subject"] == {
        "source": full_run.name, "model": "ViTForImageClassification", "parameters": found["subject"]["parameters"],
        "data": "mnist5k", "samples": 20, "seen": False,
    }  # fmt: skip
    kinds = [(part["kind"], part["how"], part["bits"]) for part in found["sensitivity"]["parts"]]
    assert kinds.count(("class", "alone", 2)) == kinds.count(("class", "left out", 4)) == 8
    assert kinds.count(("gemm", "alone", 2)) == 8
    assert kinds.count(("layer", "alone", 4)) == 16
    assert found["outliers"]["convnet"]["recipe"]["epochs"] == 1
    assert {each["network"] for each in found["outliers"]["statistics"]} == {"transformer", "convnet"}
    assert not list((analysed / "measurements").glob("*.pt"))
    with (analysed / "sensitivity.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 24


def test_policy_reads_the_table_as_it_is(
    analysed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, quick: None
) -> None:
    network = tmp_path / "vit-tiny.json"
    network.write_text(to_text(workload("vit-tiny", labels=10)))
    mine = read_workload(network)
    for name in ("sensitivity.json", "sensitivity.csv"):
        table = read_sensitivity(analysed / name)
        found = assign(mine, 3, (2, 4), sensitivity=table)
        assert float(found.mean_bits) == 3.0
        harms = [sum(table.harm(gemm, bits) for gemm in mine.gemms if gemm.layer is not None) for bits in (2, 4)]
        assert found.harm is not None
        assert harms[1] <= found.harm <= harms[0]
        ended = command(hwmodel.policy.main, "--model", network, "--mean", "3", "--mix-widths", "2,4",
                        "--sensitivity", analysed / name)  # fmt: skip
        assert (ended.code, ended.err) == (0, "")
    # The harm that policy expects is the rise that was measured, as far as it follows 4^-bits.
    rows = json.loads((analysed / "analysis.json").read_text())["sensitivity"]["rows"]
    for row in rows:
        macs = sum(gemm.macs for gemm in mine.gemms
                   if gemm.role.value == row["role"] and row["layer"] in (None, gemm.layer))  # fmt: skip
        assert macs == row["macs"]


def test_what_is_printed(
    analysed: Path, full_run: Path, low_run: Path, command: Command, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same command again, which measures nothing."""
    before = {path: path.read_bytes() for path in analysed.rglob("*") if path.is_file()}
    monkeypatch.setattr(measuring.Bench, "evaluated", None)
    ended = command(qat.analyse.main, "--checkpoint", full_run, "--data", "mnist5k", *QUICK, "--by-layer",
                    "--runs", low_run, "--out", analysed)  # fmt: skip
    assert ended.code == 0
    assert {path: path.read_bytes() for path in analysed.rglob("*") if path.is_file()} == before
    lines = ended.out.splitlines()
    assert lines[0].startswith("On 20 samples of mnist5k, 2 bits everywhere cost ")
    for title in ("Operands by class, alone at 2 bits", "Rise of the loss by width",
                  "Outliers and spread, at full precision",
                  "GEMMs of single layers, alone at 2 bits, the most sensitive first, 10 of 16",
                  "Oscillating weights after the last epoch"):  # fmt: skip
        assert title in lines
    assert "Spearman" not in ended.out
    assert max(map(len, lines[1:-1])) <= 100
    assert "measured on the test split of mnist5k, as --data asks; mnist5k@validation leaves it alone\n" in ended.err


def test_what_is_stopped_goes_on_to_the_same_bytes(
    full_run: Path, tmp_path: Path, command: Command, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("--checkpoint", full_run, "--data", "mnist5k", "--bits", "3", "--samples", "8", "--convnet-epochs", "0")
    real, calls = measuring.Bench.evaluated, 0

    def stopping(self: Any, model: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return real(self, model)

    assert command(qat.analyse.main, *line, "--out", tmp_path / "whole").code == 0
    monkeypatch.setattr(measuring.Bench, "evaluated", stopping)
    assert command(qat.analyse.main, *line, "--out", tmp_path / "parts").code == 130
    assert len(list((tmp_path / "parts/measurements").iterdir())) == 8
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {"measurements"}
    done = calls
    assert command(qat.analyse.main, *line, "--out", tmp_path / "parts").code == 0
    whole, parts = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("whole", "parts")
    )
    assert whole == parts
    assert calls - done == len([path for path in whole if path.parent.name == "measurements"]) - 8


def test_the_validation_split_is_the_default(full_run: Path, tmp_path: Path, command: Command, quick: None) -> None:
    ended = command(qat.analyse.main, "--checkpoint", full_run, "--bits", "4", "--samples", "5",
                    "--convnet-epochs", "0", "--out", tmp_path / "out")  # fmt: skip
    assert ended.code == 0
    found = json.loads((tmp_path / "out/analysis.json").read_text())["subject"]
    assert (found["data"], found["seen"]) == ("mnist5k@validation", True)
    assert (
        f"{full_run} was trained on all training samples of mnist5k, so it has seen those that are measured; a run on "
        "mnist5k@validation has not\n"
    ) in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bits", "1"), "bits must be an integer from 2 to 8, not '1'"),
        (("--bits", "2,9"), "bits must be an integer from 2 to 8, not '9'"),
        (("--samples", "0"), "samples must be at least 1, not 0"),
        (("--epochs", "-1"), "epochs must be an integer from 0 to 1000000, not '-1'"),
        (("--lr", "1e-3"), "--lr must be given with --epochs above 0 only"),
        (("--batch-size", "0"), "batch_size must be an integer from 1 to 1048576, not '0'"),
        (("--checkpoint", "nowhere"), "nowhere must be the folder of a run, or of Hugging Face with a config.json"),
        (("--data", "mr"), "has texts"),
        (("--runs", "FULL"), "must be a quantised run: at full precision nothing oscillates"),
    ],
)
def test_bad_input_is_one_line(
    options: tuple[str, str], said: str, full_run: Path, tmp_path: Path, command: Command, quick: None
) -> None:
    line = [str(full_run) if text == "FULL" else text for text in options]
    source = () if "--checkpoint" in line else ("--checkpoint", full_run)
    ended = command(qat.analyse.main, *source, "--out", tmp_path / "out", *line)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
