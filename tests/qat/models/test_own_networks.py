"""Networks that a folder describes: config.json and no weights, of every class that is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig, DeiTConfig, PreTrainedConfig, SwinConfig, ViTConfig

import qat.export
import qat.trace
from hwmodel.workload import read_workload
from qat.evaluate import main as evaluate_main
from qat.integers import random_subject
from qat.models import model_classes, presets
from qat.settings import Scheme
from qat.softlabels import main as softlabels_main
from qat.train import main as train_main
from qat.training.runs import read_record
from reports.runs import read_run

SHORT = ["--limit", "16", "--batch-size", "8", "--epochs", "1", "--calibration-batches", "1", "--threads", "1",
         "--device", "cpu"]  # fmt: skip
IMAGES = {"image_size": 28, "patch_size": 7, "num_channels": 1}
SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}


def described(folder: Path, config: PreTrainedConfig, *architectures: str) -> Path:
    """A folder with that config.json alone."""
    folder.mkdir()
    config.architectures = list(architectures) or None
    (folder / "config.json").write_text(config.to_json_string())
    return folder


def vit(folder: Path, **more: Any) -> Path:
    return described(folder, ViTConfig(**{**IMAGES, **SIZES, **more}), "ViTForImageClassification")


def transformer(tokens: int, first: int, rest: int) -> int:
    """MACs of two layers of width 24 and 40, of the first GEMM, and of what is computed of one token."""
    return first + 2 * (tokens * 24 * (4 * 24 + 2 * 40) + 2 * tokens * tokens * 24) + rest


BERT = BertConfig(**SIZES, vocab_size=50, max_position_embeddings=20)
SWIN = SwinConfig(
    **IMAGES | {"patch_size": 2}, embed_dim=8, depths=(1, 1), num_heads=(2, 2), window_size=7, mlp_ratio=2.0
)
CASES: dict[str, tuple[PreTrainedConfig, str, list[str], str, int]] = {
    "vit": (ViTConfig(**IMAGES, **SIZES, num_labels=5), "ViTForImageClassification", [], "mine",
            transformer(17, 16 * 49 * 24, 24 * 5)),
    "vit without a head": (ViTConfig(**IMAGES, **SIZES), "ViTModel", ["--labels", "7"], "mine",
                           transformer(17, 16 * 49 * 24, 24 * 7)),
    "deit": (DeiTConfig(**IMAGES, **SIZES, num_labels=5), "DeiTForImageClassification", [], "mine",
             transformer(18, 16 * 49 * 24, 24 * 5)),
    "deit with a teacher": (DeiTConfig(**IMAGES, **SIZES, num_labels=5), "DeiTForImageClassificationWithTeacher", [],
                            "mine", transformer(18, 16 * 49 * 24, 2 * 24 * 5)),
    # 14 x 14 and 7 x 7 tokens in windows of 7 x 7, of width 8 and 16, four tokens merged to one between.
    "swin": (SWIN, "SwinForImageClassification", ["--labels", "10"], "mine",
             196 * 4 * 8 + 196 * (8 * 8 * 8 + 2 * 49 * 8) + 49 * 32 * 16 + 49 * (8 * 16 * 16 + 2 * 49 * 16) + 16 * 10),
    "bert": (BERT, "BertForSequenceClassification", [], "mine-20", transformer(20, 0, 24 * 24 + 24 * 2)),
    "a short text": (BERT, "BertModel", ["--tokens", "5"], "mine-5", transformer(5, 0, 24 * 24 + 24 * 2)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_gemms_of_a_folder(command: Callable[..., Any], case: str, tmp_path: Path) -> None:
    config, architecture, options, name, macs = CASES[case]
    folder, out = described(tmp_path / "mine", config, architecture), tmp_path / "list.json"
    ended = command(qat.trace.main, "--model", folder, "--out", out, *options)
    assert (ended.code, ended.err) == (0, "")
    found = read_workload(out)
    assert (found.name, found.macs) == (name, macs)
    assert ended.out == f"{name}: {len(found.gemms)} GEMMs, {macs:,} MACs\n"
    assert found.provenance["model"] == "mine"
    assert found.provenance["command"].startswith("python -m qat.trace --model mine ")


def test_what_is_traced_has_its_costs(command: Callable[..., Any], tmp_path: Path) -> None:
    from hwmodel.latency import main as latency_main

    out = tmp_path / "list.json"
    assert command(qat.trace.main, "--model", vit(tmp_path / "my net"), "--out", out).code == 0
    ended = command(latency_main, "--model", out, "--bits", "4")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0].startswith("my net on")


@pytest.mark.parametrize("case", ["deit", "bert"])
def test_a_folder_with_random_weights_as_integers(case: str, tmp_path: Path) -> None:
    """What sim.equivalence takes as --random."""
    config, architecture, *_ = CASES[case]
    subject = random_subject(str(described(tmp_path / "mine", config, architecture)), Scheme(scale_start="mean"), 1)
    assert subject.name == "mine, random weights"
    (batch,) = subject.batches
    assert subject.model.logits(batch).shape == (1, config.num_labels)
    assert batch["input_ids" if case == "bert" else "pixel_values"].shape[-1] == (20 if case == "bert" else 28)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, "model must be one of {names}, or a folder with a config.json, not {folder!r}"),
        (lambda folder: folder.mkdir(), "{folder} must hold a config.json, but it does not"),
        (lambda folder: described(folder, ViTConfig(**IMAGES, **SIZES | {"hidden_size": 0}), "ViTModel"),
         "{folder}/config.json cannot be used: hidden_size must be from 1 to 65536, not 0"),
        (lambda folder: described(folder, ViTConfig(), "ViTForImageClassification") and
         (folder / "config.json").write_text('{"model_type": "gpt2"}'),
         ("{folder}/config.json cannot be used: model_type must be one of vit, deit, swin, sret, bert, roberta, "
         "distilbert, llama, not 'gpt2'")),
        (lambda folder: described(folder, ViTConfig(**IMAGES | {"patch_size": 32}, **SIZES), "ViTModel"),
         "{folder}/config.json cannot be used: patch_size must be at most image_size, 28, not 32"),
        (lambda folder: described(folder, ViTConfig(**IMAGES | {"image_size": 4096, "patch_size": 1}, **SIZES)),
         "{folder}/config.json cannot be used: attention must have at most 268435456 scores a layer, not 3 heads of "),
        (lambda folder: described(folder, BertConfig(), "BertForQuestionAnswering"),
         "{folder}/config.json: architectures must name one of {classes}, BertModel, not 'BertForQuestionAnswering'"),
        (lambda folder: described(folder, ViTConfig()) and
         (folder / "config.json").write_text('{"model_type": "vit", "architectures": "ViTForImageClassification"}'),
         "{folder}/config.json: architectures must be a list of names, not 'ViTForImageClassification'"),
        (lambda folder: described(folder, ViTConfig()) and
         (folder / "config.json").write_text('{"architecture": "deit_tiny"}'),
         "{folder} is a folder of timm, which does not describe its network: give its name instead"),
    ],
)  # fmt: skip
def test_what_is_no_network(
    make: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("mine")
    make(folder)
    with pytest.raises(ValueError) as caught:
        qat.trace.main(["--model", str(folder), "--out", str(tmp_path / "list.json")])
    texts = {"names": ", ".join(presets.PRESET_NAMES), "classes": ", ".join(model_classes())}
    assert str(caught.value).startswith(said.format(folder=str(folder), **texts))


@pytest.mark.usefixtures("quick")
def test_a_run_needs_its_folder_once(command: Callable[..., Any], tmp_path: Path) -> None:
    """Trained from a folder that is gone afterwards: going on, accuracy, integers, and the start of another run."""
    folder, out = vit(tmp_path / "mine", id2label={0: "cat", 1: "dog"}), tmp_path / "run"
    ended = command(train_main, *SHORT, "--model", folder, "--bits", "4", "--out", out)
    assert ended.code == 0, ended.err
    record = read_record(out)
    assert {name: record.model[name] for name in SIZES} == SIZES
    assert record.model["id2label"]["0"] == "LABEL_0"  # fresh weights know no cats
    shutil.rmtree(folder)
    scored = command(evaluate_main, "--checkpoint", out)
    assert scored.code == 0, scored.err
    assert command(train_main, "--resume", "--out", out).code == 0
    ended = command(qat.export.main, "--checkpoint", out, "--out", tmp_path / "integers", "--samples", "2")
    assert ended.code == 0, ended.err
    ended = command(train_main, *SHORT, "--start", out, "--bits", "2", "--out", tmp_path / "next")
    assert ended.code == 0, ended.err
    assert read_record(tmp_path / "next").options["model"] == str(out)
    assert read_run(tmp_path / "next").model == "run"
    ended = command(qat.trace.main, "--model", out, "--out", tmp_path / "list.json")
    assert (ended.code, ended.out.partition(":")[0]) == (0, "run")


@pytest.mark.usefixtures("quick")
def test_a_run_without_a_checkpoint_starts_again_without_its_folder(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    folder, out = vit(tmp_path / "mine"), tmp_path / "run"
    assert command(train_main, *SHORT, "--model", folder, "--bits", "4", "--out", out).code == 0
    first = (out / "model.safetensors").read_bytes()
    shutil.rmtree(folder)
    for path in out.iterdir():
        if path.name != "run.json":
            path.unlink()
    ended = command(train_main, "--resume", "--out", out)
    assert ended.code == 0, ended.err
    assert (out / "model.safetensors").read_bytes() == first


@pytest.mark.usefixtures("quick")
def test_weights_in_a_file_of_the_network_of_a_folder(command: Callable[..., Any], tmp_path: Path) -> None:
    """As a start, as a teacher, and as the teacher of a store."""
    folder, out = vit(tmp_path / "mine"), tmp_path / "run"
    assert command(train_main, *SHORT, "--model", folder, "--bits", "32", "--out", out).code == 0
    file = out / "model.safetensors"
    ended = command(
        train_main,
        *SHORT,
        "--model",
        folder,
        "--start",
        file,
        "--teacher",
        file,
        "--bits",
        "4",
        "--out",
        tmp_path / "low",
    )
    assert ended.code == 0, ended.err
    ended = command(softlabels_main, "--teacher", file, "--model", folder, "--data", "mnist5k", "--crops", "1",
                    "--out", tmp_path / "labels")  # fmt: skip
    assert ended.code == 0, ended.err
    other = vit(tmp_path / "other", intermediate_size=48)
    ended = command(train_main, *SHORT, "--model", other, "--start", out, "--bits", "4", "--out", tmp_path / "wrong")
    said = f"start must be a {other} with intermediate_size 48, but {out} has 40"
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")


@pytest.mark.usefixtures("quick")
def test_a_run_of_no_epochs_that_has_ended_is_not_made_again(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    given = [*SHORT, "--epochs", "0", "--model", vit(tmp_path / "mine"), "--bits", "4", "--out", out]
    made = command(train_main, *given)
    files = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    monkeypatch.setattr("qat.train.calibrate", lambda *_: pytest.fail("it calibrates again"))
    ended = command(train_main, "--resume", "--out", out)
    assert (ended.code, ended.err) == (0, made.err)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == files
    (out / "metrics.jsonl").write_text(json.dumps({"epoch": 0}) + "\n")
    ended = command(train_main, "--resume", "--out", out)
    said = f"{out / 'metrics.jsonl'} must be what a run measured: it lacks test_score"
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")
