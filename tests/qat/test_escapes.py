"""What commands of qat print holds no codes that a terminal obeys, whatever a file or a name holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from qat import evaluate, export, softlabels, trace, train
from qat.models import presets

EVIL = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J"
pytestmark = pytest.mark.usefixtures("quick")


def network(folder: Path, **values: Any) -> Path:
    """A Hugging Face folder, and what its config.json says otherwise."""
    config = ViTConfig(image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
                       intermediate_size=16, num_labels=2)  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | values))
    return folder


def clean(ended: Any, code: int = 2) -> str:
    """What it said, without any code."""
    said = ended.out + ended.err
    assert ended.code == code, said
    assert all(letter.isprintable() or letter == "\n" for letter in said), repr(said)
    assert code == 0 or ended.err.count("\n") == 1
    return str(said)


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": EVIL}, {"architectures": [EVIL]}, {"hidden_act": EVIL}, {"hidden_size": EVIL},
        {"dtype": EVIL}, {"id2label": {"0": EVIL}},
    ],
)  # fmt: skip
def test_of_a_network(command: Callable[..., Any], tmp_path: Path, values: dict[str, Any]) -> None:
    folder = network(tmp_path / "hf", **values)
    for ended in (
        command(trace.main, "--model", folder, "--out", tmp_path / "x.json"),
        command(train.main, "--start", folder, "--data", "digits", "--out", tmp_path / "run"),
        command(softlabels.main, "--teacher", folder, "--data", "digits", "--crops", 1, "--out", tmp_path / "labels"),
    ):
        said = ended.out + ended.err
        assert ended.code in (0, 2), said
        assert all(letter.isprintable() or letter == "\n" for letter in said), repr(said)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("data", "name"), EVIL), (("data", "classes"), [EVIL, EVIL]), (("options", "data"), EVIL),
        (("options", "distill"), EVIL), (("options", EVIL), 1), (("scheme", EVIL), 1), (("model", "model_type"), EVIL),
        (("data", "look"), EVIL), (("data", "skipped"), {EVIL: []}), ((EVIL,), 1),
    ],
)  # fmt: skip
def test_of_a_run(
    command: Callable[..., Any], tmp_path: Path, low_run: Path, place: tuple[str, ...], value: Any
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.safetensors", "state.pt", "metrics.jsonl"):
        (run / name).write_bytes((low_run / name).read_bytes())
    record = json.loads((low_run / "run.json").read_text())
    inner = record
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (run / "run.json").write_text(json.dumps(record))
    code = 0 if place == (EVIL,) else 2  # what the record has beside is not looked at
    clean(command(evaluate.main, "--checkpoint", run), code)
    clean(command(export.main, "--checkpoint", run, "--samples", 0, "--out", tmp_path / "integer"), code)
    clean(command(train.main, "--resume", "--out", run), code)


def test_of_a_configuration(command: Callable[..., Any], tmp_path: Path) -> None:
    for name, text in (("a.toml", f'"{EVIL}" = 1'), ("b.toml", 'model = "\\u001b[31m"'), ("c.yaml", f"model: {EVIL}"),
                       ("d.yaml", '"\\e[31m": 1'), ("e.yaml", 'model: "\\e[31m"')):  # fmt: skip
        (tmp_path / name).write_text(text)
        clean(command(train.main, "--config", tmp_path / name, "--out", tmp_path / "run"))


def test_of_folders_of_images(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of classes and files, of a store, and of the run itself: also in what is no error."""
    monkeypatch.setattr(
        presets,
        "_CONFIGS",
        {
            **presets._CONFIGS,
            "vit-rgb": lambda: ViTConfig(
                image_size=32,
                patch_size=16,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=1,
                intermediate_size=16,
            ),
        },
    )
    evil = "\x1b[31m"
    root, out = tmp_path / f"images{evil}", tmp_path / f"run{evil}"
    for part in ("train", "val"):
        for name in (f"a{evil}", "b"):
            (root / part / name).mkdir(parents=True)
            Image.new("RGB", (32, 32), (9, 50, 7)).save(root / part / name / f"0{evil}.png")
    given = ["--data", f"imagefolder:{root}", "--model", "vit-rgb", "--batch-size", 2, "--threads", 1,
             "--device", "cpu", "--workers", 0]  # fmt: skip
    clean(command(train.main, *given, "--epochs", 1, "--bits", 4, "--out", out), 0)
    clean(command(train.main, *given, "--start", out, "--dry-run", "--out", tmp_path / "next"), 0)
    clean(command(evaluate.main, "--checkpoint", out), 0)
    clean(command(softlabels.main, "--teacher", network(tmp_path / "hf", id2label={"0": evil, "1": "x"}),
                  "--data", f"imagefolder:{root}", "--image-stats", "imagenet", "--crops", 1, "--top-k", 2,
                  "--out", tmp_path / f"labels{evil}"), 0)  # fmt: skip
    file = root / "train" / "b" / f"0{evil}.png"
    file.write_bytes(b"x")
    clean(command(train.main, *given, "--out", tmp_path / "again"))
