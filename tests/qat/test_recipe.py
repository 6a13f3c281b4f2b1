"""--recipe and --dry-run: what they set and print, and that nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers import ViTConfig

from qat.models import presets
from qat.settings import merge, values_of_recipe
from qat.settings.options import Options
from qat.settings.recipes import RECIPES
from qat.softlabels import main as softlabels_main
from qat.train import main
from qat.training import read_record
from siliquant.inputs import InputError

GIVEN = {"out": "run", "start": "fp", "soft_labels": "labels"}
# Of the paper, as docs/training.md lists it.
PAPER = {
    "epochs": 150, "batch_size": 512, "lr": 5e-4, "warmup": 0.0, "weight_decay": 1e-4, "crops_per_image": 4,
    "obr": 0.01, "granularity": "head", "output_by_head": True, "first_last_bits": 8,
    "weight_scale": "learned", "scale_start": "error", "scale_steps": "absolute", "scale_lr": 1.0,
    "gradient_scale": "l1", "distill": "logits",
}  # fmt: skip


def small() -> ViTConfig:
    sizes = {"image_size": 32, "patch_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    return ViTConfig(**sizes, intermediate_size=16)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Four images to train on and two to test of each of two classes, and a network for them."""
    monkeypatch.setattr(presets, "_CONFIGS", {**presets._CONFIGS, "vit-rgb": small})
    for part, count in (("train", 4), ("val", 2)):
        for name in ("cat", "dog"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                path = tmp_path / "images" / part / name / f"{number}.png"
                Image.new("RGB", (40, 40), (number * 60, 50, 7)).save(path)
    return f"imagefolder:{tmp_path / 'images'}"


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_the_recipe_of_the_paper() -> None:
    assert dict(values_of_recipe("paper")) == PAPER
    found = merge(GIVEN, {"recipe": "paper"})
    assert {name: getattr(found, name) for name in PAPER} == PAPER
    others = {name for name in Options.__dataclass_fields__ if name not in PAPER} - set(GIVEN) - {"recipe"}
    plain = merge(GIVEN)
    assert {name: getattr(found, name) for name in others} == {name: getattr(plain, name) for name in others}
    assert merge(found.to_dict()) == found
    assert dict(values_of_recipe(None)) == {}


def test_the_recipe_of_lsq_is_the_four_options_of_the_published_baseline() -> None:
    four = {"granularity": "tensor", "gradient_scale": "lsq", "scale_start": "mean", "scale_steps": "absolute"}
    found = merge(GIVEN, {"recipe": "lsq"})
    assert {**found.to_dict(), "recipe": None} == merge(GIVEN, four).to_dict()
    with pytest.raises(ValueError, match=r"^recipe lsq must be given with start, which is part of it$"):
        merge({**GIVEN, "start": None}, {"recipe": "lsq"})


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_are_options_that_there_are(name: str) -> None:
    assert set(RECIPES[name].values) | set(RECIPES[name].needs) <= set(Options.__dataclass_fields__)
    merge(GIVEN, {"recipe": name})


def test_what_is_given_wins_in_any_order() -> None:
    for sources in (({"epochs": 3}, {"recipe": "paper"}), ({"recipe": "paper"}, {"epochs": 3})):
        found = merge(GIVEN, *sources)
        assert (found.epochs, found.batch_size) == (3, 512)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"soft_labels": None}, "recipe paper must be given with soft_labels, which is part of it"),
        ({"start": None}, "recipe paper must be given with start, which is part of it"),
        ({"recipe": "best"}, "recipe must be one of paper, lsq, not 'best'"),
        ({"bits": 32}, "obr and freeze must be off at bits 32: without codes nothing oscillates"),
    ],
)
def test_what_the_recipe_does_not_go_with(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        merge(GIVEN, {"recipe": "paper"}, given)
    assert str(raised.value) == said


@pytest.mark.usefixtures("quick")
def test_the_two_commands_of_the_paper(command: Callable[..., Any], photos: str, tmp_path: Path) -> None:
    """Soft labels and training from one option, after a dry run that writes nothing and says where values come from."""
    machine = ["--threads", 1, "--device", "cpu", "--workers", 0]
    full = tmp_path / "fp"
    ended = command(main, "--data", photos, "--model", "vit-rgb", "--bits", 32, "--epochs", 1, "--batch-size", 4,
                    "--out", full, *machine)  # fmt: skip
    assert ended.code == 0, ended.err
    labels, out = tmp_path / "labels", tmp_path / "w2a2"
    ended = command(softlabels_main, "--teacher", full, "--data", photos, "--crops", 8, "--top-k", 2, "--out", labels)
    assert ended.code == 0, ended.err
    (tmp_path / "few.yaml").write_text("epochs: 2\nbatch-size: 8\n")
    given = ["--recipe", "paper", "--config", tmp_path / "few.yaml", "--data", photos, "--bits", 2, "--start", full,
             "--soft-labels", labels, "--epochs", 1, "--out", out, *machine]  # fmt: skip
    before = files(tmp_path)
    ended = command(main, *given, "--dry-run")
    assert ended.code == 0, ended.err
    assert files(tmp_path) == before
    lines = ended.out.splitlines()
    count = 12 * 64 * 16 + 16 + 5 * 16 + 16 + 4 * (16 * 17) + 2 * (16 * 17) + 3 * 32 + 2 * 17
    network = f"vit-rgb (ViTForImageClassification), {count:,} parameters, images of 32 x 32 pixels, weights of {full}"
    seen = "mean 0.3529 0.1961 0.0275 and deviation 0.2631 0.0039 0.0039"
    assert lines[:7] == [
        f"network  {network}",
        f"data     {photos}: 8 samples to train on and 4 to test, 2 classes, {seen}",
        f"learns   soft labels of {labels}, 4 of 8 crops of an image in a step",
        "widths   weights of 2 bits and activations of 2, first and last layer 8",
        "steps    1 an epoch of 8 samples, 1 epochs: 1 steps",
        "machine  cpu, 1 process, 0 more that load images",
        "options that differ from their defaults, and where they come from:",
    ]
    told = {line.split()[0]: line.split(None, 2)[1:] for line in lines[7:]}
    assert told["--obr"] == ["0.01", "the recipe paper"]
    assert told["--scale-steps"] == ["absolute", "the recipe paper"]
    assert told["--batch-size"] == ["8", str(tmp_path / "few.yaml")]
    assert told["--epochs"] == ["1", "the command line"]
    assert told["--model"] == ["vit-rgb", f"the start {full}"]
    assert told["--recipe"] == ["paper", "the command line"]
    assert "--lr" not in told  # as by default
    plain, asked = merge({"out": out}), {
        **PAPER, "recipe": "paper", "batch_size": 8, "epochs": 1, "bits": 2, "data": photos, "model": "vit-rgb",
        "start": full, "soft_labels": labels, "out": out, "threads": 1, "device": "cpu", "workers": 0,
    }  # fmt: skip
    differing = {name for name, value in vars(merge(asked)).items() if value != getattr(plain, name)}
    assert set(told) == {f"--{name.replace('_', '-')}" for name in differing | {"out"}}
    ended = command(main, *given)
    assert ended.code == 0, ended.err
    record = read_record(out)
    assert {name: record.options[name] for name in PAPER} == PAPER | {"epochs": 1, "batch_size": 8}
    assert record.options["recipe"] == "paper"
    assert command(main, "--resume", "--out", out, *machine).code == 0
    ended = command(main, "--resume", "--dry-run", "--out", out)
    said = "dry_run must not be given with resume: run.json has what such a run trains"
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")


@pytest.mark.usefixtures("quick")
def test_a_dry_run_refuses_what_training_would(command: Callable[..., Any], photos: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = command(main, "--data", photos, "--model", "vit-mnist", "--dry-run", "--out", out)
    said = f"images for vit-mnist must have 1 channels, but those of {photos} have 3"
    assert (ended.code, ended.out, ended.err) == (2, "", f"program: error: {said}\n")
    assert not out.exists()
    ended = command(main, "--data", "mr", "--model", "bert-tiny", "--max-length", 8, "--limit", 16, "--bits", 32,
                    "--batch-size", 16, "--dry-run", "--out", out)  # fmt: skip
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[1] == "data     mr: 16 samples to train on and 60 to test, 2 classes"
    assert (lines[2], lines[3]) == ("learns   from the labels", "widths   full precision")
    assert not out.exists()
