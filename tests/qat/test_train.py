"""Training from the command line: what is written, what each choice does, and what is refused in one line."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import ViTForImageClassification

import qat.train
from qat.data.datasets import DATA, Data, open_data
from qat.data.views import CentreCrop
from qat.evaluate import main as evaluate_main
from qat.models import presets
from qat.network.convert import gemms, quantizers
from qat.settings.options import Options, merge
from qat.softlabels import main as softlabels_main
from qat.train import main, run_training
from qat.training.accuracy import evaluate
from qat.training.distributed import Processes
from qat.training.rundata import open_run_data
from qat.training.runs import load_run, read_record
from qat.training.softlabels import make_store
from siliquant.files.write import alone, write_atomically

pytestmark = pytest.mark.usefixtures("quick")
UNKNOWN = f"model must be one of {', '.join(presets.PRESET_NAMES)}, or a folder with a config.json"
ALONE = Processes(0, 1, torch.device("cpu"))
SHORT = ["--model", "vit-tiny", "--limit", "32", "--batch-size", "16", "--epochs", "1", "--calibration-batches", "1",
         "--threads", "1", "--device", "cpu"]  # fmt: skip
STEP = {"limit": 16, "epochs": 1}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def opened(folder: Path) -> Data:
    record = read_record(folder)
    return open_run_data(record.data, record.options, record.model)[0]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def kept_metrics(folder: Path) -> list[dict[str, Any]]:
    timed = ("seconds", "samples_per_second")
    return [{name: value for name, value in record.items() if name not in timed} for record in metrics(folder)]


# What is written


def test_the_command_line(command: Callable[..., Any], tmp_path: Path) -> None:
    """One line an epoch and one at the end, without codes for a terminal; long paths and brackets stay whole."""
    out = tmp_path / ("long" * 30) / "[bold]run[/]"
    ended = command(main, *SHORT, "--epochs", "2", "--bits", "2", "--out", out)
    assert (ended.code, ended.out) == (0, "")
    lines = ended.err.splitlines()
    assert "\x1b" not in ended.err
    assert "\r" not in ended.err
    record = metrics(out)[-1]
    for number, line in enumerate(lines[:-1], 1):
        assert re.fullmatch(
            rf"epoch {number}: loss \d+\.\d{{4}}  test \d+\.\d\d %  oscillating \d+\.\d\d%  \d+ samples/s", line
        )
    assert len(lines) == 3
    assert lines[2] == (
        f"{out}: test accuracy {100 * record['test_score']:.2f} % (95 % interval {100 * record['test_low']:.2f} to "
        f"{100 * record['test_high']:.2f} %)"
    )
    assert sorted(digests(out)) == ["metrics.csv", "metrics.jsonl", "model.safetensors", "run.json", "state.pt"]


def test_the_record_says_everything(low_run: Path, full_run: Path) -> None:
    record = json.loads((low_run / "run.json").read_text())
    options = merge(record["options"])
    assert list(record["options"]) == list(Options.__dataclass_fields__)
    assert (options.bits, options.obr, options.freeze, options.lr) == (2, 0.1, 0.02, 3e-3)
    assert (options.start, options.teacher, options.out) == (full_run, full_run, low_run)
    data = open_data("mnist5k", limit=48)
    assert record["data"]["name"] == "mnist5k"
    assert record["data"]["classes"] == list("0123456789")
    assert record["data"]["train_fingerprint"] == data.train.fingerprint
    assert re.fullmatch("[0-9a-f]{64}", record["data"]["test_fingerprint"])
    assert record["versions"]["torch"] == torch.__version__
    assert set(record["versions"]) == {"python", "torch", "transformers", "kernels", "threads"}
    assert record["versions"]["threads"] == "1"
    assert record["versions"]["kernels"].split(",")[0] in ("native", "torch")
    assert record["model"]["architectures"] == ["ViTForImageClassification"]
    assert read_record(low_run).scheme == options.scheme()
    assert read_record(full_run).scheme is None


def test_the_metrics(low_run: Path) -> None:
    records = metrics(low_run)
    assert [record["epoch"] for record in records] == [1, 2]
    for record in records:
        assert 0 <= record["test_low"] < record["test_score"] < record["test_high"] <= 1
        assert record["loss"] > 0
        assert 0 <= record["train_accuracy"] <= 1
        assert 0 <= record["oscillation"] <= 1
        assert 0 <= record["frozen"] <= 1
        assert record["held"] is None
        assert record["samples_per_second"] * record["seconds"] == pytest.approx(48)
        shares = record.pop("oscillation_by_module")
        assert len(shares) == 1 + 2 * 6 + 1  # patches, six matrices in each of two layers, classifier
        assert all(0 <= share <= 1 for share in shares.values())
    assert records[1]["oscillation"] > 0
    table = list(csv.DictReader(io.StringIO((low_run / "metrics.csv").read_text())))
    assert [{name: float(value) if value else None for name, value in row.items()} for row in table] == records


def test_the_last_model_is_kept_and_the_metrics_are_its_own(low_run: Path) -> None:
    model, _ = load_run(low_run)
    data = qat.train.open_data("mnist5k", limit=48, image_size=28)
    result = evaluate(model, data, batch_size=64)
    assert metrics(low_run)[-1]["test_score"] == result.score
    assert metrics(low_run)[-1]["test_loss"] == result.loss
    state = torch.load(low_run / "state.pt", weights_only=True)
    saved = weights(low_run)
    assert state["model"].keys() == saved.keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in state["model"].items())


def test_the_worse_last_epoch_is_kept_not_the_better_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation is made to call each epoch worse than the one before."""
    scores = iter([60, 30, 0])
    saved = []

    def worse(model: Any, data: Any, **options: Any) -> Any:
        found = evaluate(model, data, **options)
        right = next(scores)
        saved.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        logits = torch.nn.functional.one_hot(found.labels, 10).float()
        logits[right:] *= -1
        return replace(found, logits=logits)

    monkeypatch.setattr("qat.training.trainer.evaluate", worse)
    out = tmp_path / "run"
    given = merge({"out": out, "model": "vit-tiny", "limit": 32, "batch_size": 16, "epochs": 3, "bits": 32})
    history = run_training(given, ALONE, resume=False, console=Console(file=io.StringIO()))
    assert [record["test_score"] for record in history] == [1.0, 0.5, 0.0]
    assert all(torch.equal(tensor, saved[2][name]) for name, tensor in weights(out).items())


def test_the_test_split_is_seen_by_nothing_but_the_evaluation(
    tmp_path: Path, full_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Guarded:
        """A test split with a name but no samples to give."""

        labels = open_data("mnist5k").test.labels
        fingerprint = "f" * 64
        image_size, channels = 28, 1

        def fetch(self, *_: Any) -> Any:
            raise AssertionError("a test sample was asked for")

        sizes = fetch

    def guarded(name: str, **options: Any) -> Data:
        return replace(open_data(name, **options), test=Guarded())  # type: ignore[arg-type]

    monkeypatch.setattr("qat.train.open_data", guarded)
    out, console = tmp_path / "run", Console(file=io.StringIO())
    given = merge({"out": out, "model": "vit-tiny", "limit": 16, "batch_size": 16, "epochs": 1, "bits": 2,
                   "teacher": str(full_run), "obr": 0.01})  # fmt: skip
    with pytest.raises(AssertionError, match="a test sample was asked for"):
        run_training(given, ALONE, resume=False, console=console)
    small = evaluate(load_run(full_run)[0], open_data("mnist5k", limit=16))
    monkeypatch.setattr("qat.training.trainer.evaluate", lambda *_, **__: small)
    run_training(replace(given, out=tmp_path / "again"), ALONE, resume=False, console=console)
    teacher = load_run(full_run)[0]
    data = guarded("mnist5k", limit=16)
    assert make_store(lambda x: teacher(pixel_values=x).logits, data, tmp_path / "s", crops=2, top_k=2)


def test_the_same_command_gives_the_same_bytes(
    train: Callable[..., Path], tmp_path: Path, low_run: Path, full_run: Path
) -> None:
    """Whatever was drawn before."""
    options = {"bits": 2, "obr": 0.1, "freeze": 0.02, "lr": 3e-3, "start": full_run, "teacher": full_run}
    torch.manual_seed(123)
    again = train(tmp_path / "again", **options)
    assert (again / "model.safetensors").read_bytes() == (low_run / "model.safetensors").read_bytes()
    assert kept_metrics(again) == kept_metrics(low_run)
    other = train(tmp_path / "other", **options, seed=1)
    assert (other / "model.safetensors").read_bytes() != (low_run / "model.safetensors").read_bytes()


def test_the_fresh_weights_depend_on_the_seed(train: Callable[..., Path], tmp_path: Path, full_run: Path) -> None:
    again = train(tmp_path / "a", bits=32)
    assert (again / "model.safetensors").read_bytes() == (full_run / "model.safetensors").read_bytes()
    other = train(tmp_path / "b", bits=32, seed=1, epochs=0)
    head = "vit.embeddings.patch_embeddings.projection.weight"
    assert not torch.allclose(weights(other)[head], weights(again)[head], atol=1e-2)


# What each choice does


def test_post_training_quantisation(command: Callable[..., Any], tmp_path: Path, full_run: Path) -> None:
    out = tmp_path / "ptq"
    ended = command(main, *SHORT, "--epochs", "0", "--bits", "8", "--start", full_run, "--out", out)
    assert ended.code == 0
    assert len(ended.err.splitlines()) == 1
    [record] = metrics(out)
    assert (record["epoch"], record["loss"], record["train_accuracy"]) == (0, None, None)
    assert record["test_loss"] == pytest.approx(metrics(full_run)[-1]["test_loss"], abs=0.05)
    full, low = weights(full_run), weights(out)
    assert all(torch.equal(tensor, low[name]) for name, tensor in full.items())
    assert load_run(out)[0](pixel_values=torch.zeros(1, 1, 28, 28)).logits.isfinite().all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"granularity": "tensor", "gradient_scale": "lsq"}, {(2, 1)}),
        ({"granularity": "head"}, {(2, 1), (2, 3)}),
        ({"granularity": "channel"}, {(2, 1), (2, 24), (2, 48)}),
        ({"weight_scale": "statistical"}, {(2, 1), (2, 3)}),
        ({"override": ["*.fc1=3/4", "*.q_proj=2,3,4"]}, {(2, 1), (2, 3), (3, 1), (4, 1), ((2, 3, 4), 3)}),
    ],
    ids=["lsq", "head", "channel", "statistical", "override"],
)
def test_one_step_of_each_choice_of_scales(
    train: Callable[..., Path], tmp_path: Path, options: dict[str, Any], expected: set[Any]
) -> None:
    out = train(tmp_path / "run", bits=2, **STEP, **options)
    model, record = load_run(out)
    kinds = {(q.bits[0] if len(set(q.bits)) == 1 else q.bits, q.groups)
             for name, q in quantizers(model).items() if 8 not in q.bits}  # fmt: skip
    assert kinds == expected
    first = train(tmp_path / "ptq", bits=2, **{**STEP, "epochs": 0}, **options)
    before, after = weights(first), weights(out)
    moved = {name.rsplit(".", 1)[1] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    statistical = options.get("weight_scale") == "statistical"
    assert moved == {"weight", "bias", "relative", "offset", "cls_token", "position_embeddings"} | (
        {"start"} if statistical else set()
    )
    for name, value in options.items():
        assert record.options[name] == value


def test_each_remedy_alone_changes_the_training(train: Callable[..., Path], tmp_path: Path, full_run: Path) -> None:
    teacher = load_run(full_run)[0]
    data = qat.train.open_data("mnist5k", limit=48, image_size=28)
    make_store(lambda x: teacher(pixel_values=x).logits, data, tmp_path / "labels", crops=4, top_k=3)
    remedies = {
        "plain": {}, "obr": {"obr": 10.0}, "teacher": {"teacher": full_run}, "freeze": {"freeze": 0.0},
        "labels": {"soft_labels": tmp_path / "labels", "crops_per_image": 2},
        "layers": {"teacher": full_run, "distill": "layers"},
    }  # fmt: skip
    runs = {name: train(tmp_path / name, bits=2, lr=3e-3, start=full_run, **more) for name, more in remedies.items()}
    assert len({(out / "model.safetensors").read_bytes() for out in runs.values()}) == len(runs)
    results = {name: metrics(out)[-1] for name, out in runs.items()}
    assert results["freeze"]["frozen"] > 0
    assert results["plain"]["frozen"] is None
    assert results["layers"]["loss"] > results["teacher"]["loss"]
    for name, more in remedies.items():
        recorded = read_record(runs[name]).options
        for option, value in more.items():
            assert recorded[option] == (str(value) if isinstance(value, Path) else value)


def test_binary_in_a_chain_of_teachers(train: Callable[..., Path], tmp_path: Path) -> None:
    """W1A4, W1A2, W1A1, each from the one before: its latent weights, fresh scales."""
    common = {"model": "vit-mnist", **STEP}
    before = train(tmp_path / "full", bits=32, **common)
    for bits in (4, 2, 1):
        out = train(tmp_path / f"w1a{bits}", bits=1, activation_bits=bits, start=before, teacher=before, **common)
        assert metrics(out)[-1]["loss"] > 0
        options = read_record(out).options
        assert (options["bits"], options["activation_bits"]) == (1, bits)
        assert options["start"] == options["teacher"] == str(before)
        model, _ = load_run(out)
        found = {name: layer for name, layer in gemms(model).items() if name.endswith(("fc1", "q_proj"))}
        assert len(found) == 12
        for layer in found.values():
            left, right = layer.operands()
            assert {left.bits[0], right.bits[0]} == {1, bits}
        before = out


def test_a_run_starts_from_latent_weights(train: Callable[..., Path], tmp_path: Path, low_run: Path) -> None:
    out = train(tmp_path / "run", bits=32, start=low_run, epochs=0)
    low = weights(low_run)
    assert all(torch.equal(tensor, low[name]) for name, tensor in weights(out).items())


@pytest.mark.parametrize("model", ["swin-mnist", "sret-mnist"])
def test_a_step_of_the_other_vision_models(train: Callable[..., Path], tmp_path: Path, model: str) -> None:
    out = train(tmp_path / "run", model=model, bits=2, obr=0.01, **STEP)
    assert metrics(out)[-1]["loss"] > 0
    assert load_run(out)[1].options["model"] == model


def test_a_step_of_bert_with_and_without_distillation_of_layers(train: Callable[..., Path], tmp_path: Path) -> None:
    common = {"model": "bert-tiny", "data": "mr", "max_length": 8, **STEP}
    teacher = train(tmp_path / "teacher", bits=32, **common)
    low = train(tmp_path / "low", bits=2, start=teacher, teacher=teacher, distill="layers", **common)
    plain = train(tmp_path / "plain", bits=2, start=teacher, teacher=teacher, **common)
    assert metrics(low)[-1]["loss"] > metrics(plain)[-1]["loss"] > 0
    # Also where the student keeps its own attention; one that is its teacher has no distance to it but dropout's.
    full = train(tmp_path / "full", bits=32, start=teacher, teacher=teacher, distill="layers", **common)
    assert metrics(full)[-1]["loss"] > 0


def test_a_step_of_minilm(train: Callable[..., Path], tmp_path: Path) -> None:
    out = train(
        tmp_path / "run", model="minilm", data="mr", bits=4, max_length=8, limit=8, batch_size=8, epochs=1, lr=5e-5
    )
    [record] = metrics(out)
    assert record["loss"] > 0
    assert len(record["oscillation_by_module"]) == 6 * 6 + 2
    assert read_record(out).data["classes"] == ["negative", "positive"]


def test_regression_on_pairs(command: Callable[..., Any], tmp_path: Path) -> None:
    header = "\t".join(["index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1",
                        "sentence2", "score"])  # fmt: skip
    for part in ("train", "dev"):
        rows = ["\t".join([str(i), "g", "f", "y", "o", "a", "b", f"word {i}", "other words", str(i / 4)])
                for i in range(12)]  # fmt: skip
        write_atomically(tmp_path / "sts" / f"{part}.tsv", "\n".join([header, *rows]) + "\n")
    out = tmp_path / "run"
    ended = command(main, *SHORT, "--model", "bert-tiny", "--data", f"glue:sts-b:{tmp_path / 'sts'}", "--max-length",
                    "8", "--bits", "4", "--out", out)  # fmt: skip
    assert ended.code == 0, ended.err
    assert ": test Pearson correlation " in ended.err
    [record] = metrics(out)
    assert -1 <= record["test_spearman"] <= 1
    assert read_record(out).data["metrics"] == ["pearson", "spearman"]
    assert -1 <= record["test_low"] <= record["test_score"] <= record["test_high"] <= 1


# What is refused


def refused(command: Callable[..., Any], folder: Path, *arguments: object) -> str:
    """The message of a command that is refused in one line and leaves the folder alone."""
    before = digests(folder) if folder.exists() else None
    ended = command(main, *SHORT, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("program: error: ") or ended.err.startswith("python -m qat.train: error: ")
    assert ended.err.count("\n") == 1, ended.err
    assert (digests(folder) if folder.exists() else None) == before
    return ended.err.split(": error: ", 1)[1].strip()


def test_a_folder_that_another_training_has_is_refused(command: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with alone(out, "training"):
        said = refused(command, out, "--out", out)
        assert said == f"{out} is in use by another training; choose another --out, or wait"
    assert not out.exists()


def test_wrong_options(command: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = [
        (["--bits", "9"], "bits must be an integer from 1 to 8, or 32 for full precision, not 9"),
        (["--bits", "x"], "argument --bits: invalid int value: 'x'"),
        (["--bit", "2"], "unrecognized arguments: --bit 2"),
        (["--model", "vit-huge"], f"{UNKNOWN}, not 'vit-huge'"),
        (["--data", "cifar"],
         f"the data must be one of {', '.join(DATA)}, not 'cifar'"),
        (["--data", "mr"], "data for vit-tiny must be images, but mr has texts"),
        (["--model", "minilm"], "data for minilm must be texts, but mnist5k has images"),
        (["--model", "deit-tiny"], "images for deit-tiny must have 3 channels, but those of mnist5k have 1"),
        (["--model", "minilm", "--image-size", "56"], "image_size must not be given for minilm, which takes no images"),
        (["--override", "*.fc9=2"], "overrides must match a GEMM of the model, but *.fc9 match none"),
        (["--override", "*.q_proj=2,3"],
         "weight_bits of vit.layers.0.attention.q_proj must be one number or 3, one a head, not 2"),
        (["--start", tmp_path / "none"],
         f"{tmp_path / 'none'} must be a checkpoint file or a Hugging Face folder, but there is neither"),
        (["--config", tmp_path / "none.yaml"], f"{tmp_path / 'none.yaml'}: there is no such file"),
    ]  # fmt: skip
    if not torch.cuda.is_available():
        text = "device must be cpu or auto where PyTorch finds no GPU, not 'cuda'"
        cases.append((["--device", "cuda"], text))
    if importlib.util.find_spec("tensorboard") is None:
        text = "tensorboard must be installed for --tensorboard: pip install tensorboard"
        cases.append((["--tensorboard"], text))
    for arguments, message in cases:
        found = refused(command, out, "--out", out, *arguments)
        assert found == message, arguments
    assert refused(command, out) == "out must be given: the folder of the run"


def test_a_configuration_that_is_none(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- bits\n")
    assert refused(command, tmp_path, "--config", tmp_path / "a.yaml") == (
        f"{tmp_path / 'a.yaml'} must be a .yaml, .yml or .toml file with a value for each option"
    )
    (tmp_path / "a.yaml").write_text("epoch: 3\n")
    found = refused(command, tmp_path, "--config", tmp_path / "a.yaml", "--out", tmp_path / "run")
    assert found.startswith("there is no option epoch; there are activation_bits, ")


def test_flags_win_over_the_file(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"bits: 9\nlr: 1e-3\nepochs: 0\nout: {tmp_path / 'run'}\n")
    short = ["--limit", "16", "--batch-size", "16", "--calibration-batches", "1", "--threads", "1"]
    ended = command(main, *short, "--model", "vit-tiny", "--config", tmp_path / "a.yaml", "--bits", "3")
    assert ended.code == 0, ended.err
    options = read_record(tmp_path / "run").options
    assert (options["bits"], options["lr"], options["epochs"]) == (3, 1e-3, 0)


def test_a_teacher_that_does_not_fit(
    command: Callable[..., Any], train: Callable[..., Path], tmp_path: Path, full_run: Path
) -> None:
    out = tmp_path / "out"
    other = json.loads((full_run / "run.json").read_text())
    other["model"] |= {"id2label": {str(i): str(i) for i in range(7)}, "label2id": {str(i): i for i in range(7)}}
    del other["data"]["classes"][7:]
    seven = tmp_path / "seven"
    write_atomically(seven / "run.json", json.dumps(other))
    tensors = weights(full_run)
    tensors |= {name: tensors[name][:7].clone() for name in ("classifier.weight", "classifier.bias")}
    save_file(tensors, seven / "model.safetensors")
    assert refused(command, out, "--out", out, "--teacher", seven) == (
        "the teacher must have 10 classes, as mnist5k, not 7"
    )
    assert refused(command, out, "--out", out, "--start", seven) == (
        f"{seven} must have 10 classes, not 7; a new head would replace them"
    )
    (seven / "model.safetensors").unlink()
    assert refused(command, out, "--out", out, "--teacher", seven) == (
        f"{seven / 'model.safetensors'} must be there: the run has not finished an epoch yet"
    )
    swin = train(tmp_path / "swin", model="swin-mnist", bits=32, epochs=0, limit=16)
    message = "distill must be 'logits' unless model and teacher are ViT or BERT of one shape"
    assert refused(command, out, "--out", out, "--teacher", swin, "--distill", "layers") == message
    assert refused(command, out, "--model", "swin-mnist", "--out", out, "--teacher", swin, "--distill", "layers") == (
        message
    )
    assert refused(command, out, "--out", out, "--start", swin) == (
        f"start must be a vit-tiny with model_type vit, but {swin} has swin"
    )


def test_a_store_that_does_not_fit(command: Callable[..., Any], tmp_path: Path) -> None:
    out, labels = tmp_path / "out", tmp_path / "labels"
    data = qat.train.open_data("mnist5k", limit=16, image_size=28)
    make_store(lambda x: x.flatten(1)[:, :10], data, labels, crops=4, top_k=2)
    found = refused(command, out, "--out", out, "--soft-labels", labels)
    assert found.startswith(f"{labels} has soft labels of other images: those of mnist5k with fingerprint ")
    assert refused(command, out, "--out", out, "--soft-labels", labels, "--limit", 16, "--batch-size", 14) == (
        "batch_size must be a positive multiple of 4, not 14"
    )
    assert refused(command, out, "--out", out, "--soft-labels", labels, "--limit", 16, "--crops-per-image", 5) == (
        "crops_per_image must be an integer from 1 to 4, the stored crops, not 5"
    )
    assert refused(command, out, "--out", out, "--soft-labels", tmp_path).startswith(
        f"{tmp_path} must be a folder of soft labels with a manifest.json"
    )
    found = refused(command, out, "--out", out, "--soft-labels", labels, "--data", "mr", "--model", "minilm")
    assert found == "soft_labels are for images, but mr has texts"


def test_a_folder_of_images_that_cannot_be_used(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small() -> Any:
        return presets.ViTConfig(
            image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=16,
        )  # fmt: skip

    monkeypatch.setattr(presets, "_CONFIGS", {**presets._CONFIGS, "vit-rgb": small})
    out, root = tmp_path / "out", tmp_path / "images"
    given = ["--model", "vit-rgb", "--data", f"imagefolder:{root}", "--out", out]
    assert refused(command, out, *given) == (
        f"{root / 'train'} must be a folder with one folder for each class, but it is not a folder"
    )
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
    assert refused(command, out, *given) == f"{root / 'train' / 'cat'} must hold images, but it holds none"
    for place in root.glob("*/*"):
        for number in range(2):
            Image.new("RGB", (40, 40), (number * 99, 50, 7)).save(place / f"{number}.png")
    ended = command(main, *SHORT, *given[:-1], tmp_path / "good", "--bits", "32")
    assert ended.code == 0, ended.err
    assert read_record(tmp_path / "good").data["classes"] == ["cat", "dog"]
    path = root / "train" / "dog" / "1.png"
    path.write_bytes(b"no image")
    found = refused(command, out, *given)  # found out when the scales are calibrated
    assert found.startswith(f"{path} is not an image that can be read: ")


# Of the training images below: red of 0, 60, 120 and 180, and two channels of one value.
MEASURED = ((0.3529, 0.1961, 0.0275), (0.2631, 0.0039, 0.0039))


def rgb() -> presets.ViTConfig:
    return presets.ViTConfig(
        image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16
    )


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of two classes, four to train and two to test of each, and a network for them."""
    monkeypatch.setattr(presets, "_CONFIGS", {**presets._CONFIGS, "vit-rgb": rgb})
    for part, count in (("train", 4), ("val", 2)):
        for name in ("cat", "dog"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for number in range(count):
                path = tmp_path / "images" / part / name / f"{number}.png"
                Image.new("RGB", (40, 40), (number * 60, 50, 7)).save(path)
    return tmp_path / "images"


def test_images_that_are_left_out_stay_left_out(command: Callable[..., Any], tmp_path: Path, photos: Path) -> None:
    """Training, going on with it, its evaluation and soft labels see the same images; a further one is named."""
    for name in ("train/cat/1.png", "val/dog/0.png"):
        (photos / name).write_bytes((photos / name).read_bytes()[:60])
    out = tmp_path / "run"
    given = [*SHORT, "--model", "vit-rgb", "--data", f"imagefolder:{photos}", "--bits", "32", "--out", out]
    assert "and at most 1 may be" in refused(command, out, *given, "--skip-unreadable", 1)
    ended = command(main, *given, "--skip-unreadable", 2)
    assert ended.code == 0, ended.err
    assert f"left out, since it cannot be read: {photos / 'train/cat/1.png'}\n" in ended.err
    record = read_record(out)
    assert record.data["skipped"] == {"train": ["cat/1.png"], "test": ["dog/0.png"]}
    assert record.data["test_samples"] == 3
    assert command(main, "--resume", "--out", out).code == 0
    ended = command(evaluate_main, "--checkpoint", out)
    assert ended.code == 0, ended.err
    assert "of 3;" in ended.out
    assert command(softlabels_main, "--teacher", out, "--data", f"imagefolder:{photos}", "--crops", 1, "--top-k", 2,
                   "--out", tmp_path / "labels").code == 2  # fmt: skip
    ended = command(softlabels_main, "--teacher", out, "--data", f"imagefolder:{photos}", "--crops", 1, "--top-k", 2,
                    "--out", tmp_path / "labels", "--skip-unreadable", 1)  # fmt: skip
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "labels" / "skipped.json").read_text()) == {"train": ["cat/1.png"]}
    (photos / "val/cat/0.png").write_bytes(b"x" * (photos / "val/cat/0.png").stat().st_size)
    ended = command(evaluate_main, "--checkpoint", out)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "val/cat/0.png is not an image that can be read" in ended.err
    assert ended.err.endswith("mend them, or leave them out with --skip-unreadable N\n")
    assert command(main, "--resume", "--out", out).err.endswith(": mend them\n")  # where that is no option
    with pytest.raises(ValueError, match=r"may be: mend them$"):
        opened(out)
    ended = command(evaluate_main, "--checkpoint", out, "--skip-unreadable", 1, "--format", "json")
    assert json.loads(ended.out)["left_out"] == ["cat/0.png"]
    assert json.loads(ended.out)["n"] == 2


def test_images_are_seen_as_the_checkpoint_says(command: Callable[..., Any], tmp_path: Path, photos: Path) -> None:
    """preprocessor_config.json of the start decides, is recorded, and a teacher must agree with it."""
    config = rgb()
    config.num_labels = 2
    for name, mean in (("start", 0.5), ("teacher", 0.4)):
        ViTForImageClassification(config).save_pretrained(tmp_path / name)  # type: ignore[no-untyped-call]
        values = {"image_mean": [mean] * 3, "image_std": [0.5] * 3, "size": 32, "resample": 2, "do_normalize": True}
        (tmp_path / name / "preprocessor_config.json").write_text(json.dumps(values))
    out = tmp_path / "run"
    given = [*SHORT, "--model", "vit-rgb", "--data", f"imagefolder:{photos}", "--bits", "32", "--out", out,
             "--image-size", 32, "--start", tmp_path / "start"]  # fmt: skip
    assert refused(command, out, *given, "--teacher", tmp_path / "teacher") == (
        "start and teacher must take images of the same mean and deviation, but "
        f"{tmp_path / 'start'} has 0.5 0.5 0.5 and 0.5 0.5 0.5, {tmp_path / 'teacher'} has 0.4 0.4 0.4 and 0.5 0.5 0.5"
    )
    (tmp_path / "teacher" / "preprocessor_config.json").unlink()
    silent = (
        f"{tmp_path / 'teacher'} does not say how its images are normalised: give --image-stats imagenet, as DeiT, "
        "Swin and SReT have it, or its numbers as R,G,B/R,G,B, or measured"
    )
    for first, second in (("start", "teacher"), ("teacher", "start")):
        assert refused(command, out, *given[:-1], tmp_path / first, "--teacher", tmp_path / second) == silent
    ended = command(main, *given)
    assert ended.code == 0, ended.err
    assert f"images as {tmp_path / 'start'} says: mean 0.5 0.5 0.5, deviation 0.5 0.5 0.5, bilinear" in ended.err
    look = {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "resample": "bilinear",
        "resize_ratio": 1.0,
        "stretch": True,
        "size": 32,
    }
    assert read_record(out).data["look"] == look
    (tmp_path / "start" / "preprocessor_config.json").unlink()
    data = opened(out)
    assert data.test.look.to_dict() == look  # type: ignore[union-attr]
    assert read_record(command_run(command, given[:-2], tmp_path / "next", out)).data["look"] == look
    # What is given wins, and the part that is seen stays that of the file.
    for stats, mean, std in (
        ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("0.1,0.2,.3/1,2,3", [0.1, 0.2, 0.3], [1, 2, 3]),
        ("measured", *(list(values) for values in MEASURED)),
    ):
        made = command_run(command, [*given[:-2], "--image-stats", stats], tmp_path / stats[:3], out)
        assert read_record(made).data["look"] == look | {"mean": mean, "std": std}
        assert opened(made).test.look.mean == tuple(mean)  # type: ignore[union-attr]


def test_images_are_measured_where_nothing_says_how_they_are_seen(
    command: Callable[..., Any], tmp_path: Path, photos: Path
) -> None:
    """Without start and teacher; images no larger than the network's are seen whole in tests."""
    out = tmp_path / "run"
    given = [*SHORT, "--model", "vit-rgb", "--data", f"imagefolder:{photos}", "--bits", "32"]
    ended = command(main, *given, "--out", out)
    assert ended.code == 0, ended.err
    mean, std = (" ".join(f"{value:.4f}" for value in values) for values in MEASURED)
    assert ended.err.startswith(f"images have mean {mean} and deviation {std}, as measured on 8 of training\n")
    look = read_record(out).data["look"]
    assert (tuple(look["mean"]), tuple(look["std"])) == MEASURED
    assert look["resize_ratio"] == 256 / 224  # of 40 pixels, for a network of 32
    assert opened(out).train.look.to_dict() == look  # type: ignore[union-attr]
    ended = command(main, *given, "--image-size", 48, "--out", tmp_path / "large")
    assert ended.code == 0, ended.err
    assert read_record(tmp_path / "large").data["look"] == look | {"resize_ratio": 1.0}
    assert opened(tmp_path / "large").evaluation == CentreCrop(1.0)
    said = "image_stats must be given for images of folders only, not for 'digits'"
    assert refused(command, out, *SHORT, "--data", "digits", "--image-stats", "measured", "--out", out) == said
    ended = command(softlabels_main, "--teacher", out, "--data", "digits", "--crops", 1, "--top-k", 2,
                    "--image-stats", "measured", "--out", tmp_path / "labels")  # fmt: skip
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")


def test_data_that_are_no_folders_do_not_ask_how_images_are_seen(
    command: Callable[..., Any], tmp_path: Path, full_run: Path
) -> None:
    """A file that cannot be used does not matter to them, in training and for soft labels."""
    teacher = tmp_path / "teacher"
    load_run(full_run)[0].save_pretrained(teacher)
    (teacher / "preprocessor_config.json").write_text('{"do_pad": true}')
    name = read_record(full_run).data["name"]
    ended = command(main, *SHORT, "--data", name, "--bits", "32", "--start", teacher, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    ended = command(softlabels_main, "--teacher", teacher, "--data", name, "--crops", 1, "--top-k", 2,
                    "--out", tmp_path / "labels")  # fmt: skip
    assert ended.code == 0, ended.err


def command_run(command: Callable[..., Any], given: list[object], out: Path, start: Path) -> Path:
    """A run that starts from another one."""
    at = given.index("--out") + 1
    ended = command(main, *given[:at], out, *given[at + 1 :], "--start", start)
    assert ended.code == 0, ended.err
    return out


def test_a_folder_that_holds_a_run(command: Callable[..., Any], full_run: Path) -> None:
    assert refused(command, full_run, "--out", full_run, "--bits", "32") == (
        f"{full_run} holds a run already: give --resume to go on with it, or another folder"
    )


def test_resuming_what_is_not_there_or_other(command: Callable[..., Any], tmp_path: Path, low_run: Path) -> None:
    def resumed(*arguments: object) -> str:
        ended = command(main, "--resume", *arguments)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        return str(ended.err).split(": error: ", 1)[1].strip()

    before = digests(low_run)
    assert resumed() == "out must be given: the folder of the run"
    assert resumed("--out", tmp_path) == f"{tmp_path} must be the folder of a run with a run.json in it"
    for option, was, now in [
        ("--bits", "2", "3"), ("--lr", "0.003", "0.1"), ("--freeze", "0.02", "0.5"), ("--data", "'mnist5k'", "digits"),
        ("--distill", "'logits'", "layers"), ("--limit", "48", "32"),
    ]:  # fmt: skip
        shown = f"'{now}'" if was.startswith("'") else now
        assert resumed("--out", low_run, option, now) == (
            f"{option[2:]} must stay {was}, as the run in {low_run} has it, not {shown}"
        )
    assert resumed("--out", low_run, "--start", "x").startswith("start must stay ")
    assert digests(low_run) == before


def test_a_loss_that_is_not_finite(command: Callable[..., Any], tmp_path: Path, full_run: Path) -> None:
    out = tmp_path / "out"
    ended = command(main, *SHORT, "--limit", "64", "--lr", "1e30", "--bits", "32", "--clip", "0", "--out", out)
    assert ended.code == 2
    assert re.search(
        r"error: the loss must stay finite, but is (nan|inf) at epoch 1, step 2; the last checkpoint is kept: "
        r"try a lower lr or clip\n$",
        ended.err,
    ) or re.search("error: the norm of the gradient must stay finite, but is (nan|inf) at epoch 1, step 2; ", ended.err)
    assert sorted(digests(out)) == ["run.json"]


@pytest.mark.parametrize("poison", ["loss", "gradient", "test"])
def test_the_last_checkpoint_survives_what_is_not_finite(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    """In the second epoch."""
    out = tmp_path / "out"
    original, calls = qat.training.trainer._loss, []

    def poisoned(training: Any, *arguments: Any) -> Any:
        loss, logits = original(training, *arguments)
        calls.append(digests(out).get("state.pt"))
        if training.epoch == 1:
            if poison == "loss":
                loss = loss * float("nan")
            elif poison == "gradient":
                loss.register_hook(lambda gradient: gradient * float("inf"))
            else:
                with torch.no_grad():
                    training.model.classifier.bias.fill_(float("nan"))
        return loss, logits

    monkeypatch.setattr("qat.training.trainer._loss", poisoned)
    ended = command(main, *SHORT, "--epochs", "2", "--limit", "16", "--bits", "32", "--out", out)
    assert ended.code == 2
    what = {"loss": "loss must stay finite", "gradient": "norm of the gradient must stay finite",
            "test": "outputs of the network must be finite numbers"}[poison]  # fmt: skip
    assert f"error: the {what}, but " in ended.err
    assert digests(out)["state.pt"] == calls[-1]
    state = torch.load(out / "state.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 0)
    assert len(metrics(out)) == 1


def test_the_image_size_is_that_of_data_and_model(train: Callable[..., Path], tmp_path: Path) -> None:
    model, _ = load_run(train(tmp_path / "run", bits=32, image_size=14, epochs=1))
    assert model.config.image_size == 14
    assert model.vit.embeddings.position_embeddings.shape[1] == 5


def test_the_presets_are_listed(command: Callable[..., Any]) -> None:
    ended = command(main, "--list-models")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == list(presets.PRESET_NAMES)
