"""Runs whose files were changed: each is refused by name, or evaluates as what it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import qat.export
import qat.softlabels
import qat.train
from qat.evaluate import main as evaluate_main
from qat.files.stored import read_model, save_model, tensors_sha256
from qat.integers import IntegerModel, compare_paths, open_subject
from qat.network.convert import gemms
from qat.quantisers import ElasticBinarizer, Quantizer
from qat.training.runs import load_run, load_start, load_state, read_record
from tests.kept import kept_runs, unpack_run

pytestmark = pytest.mark.usefixtures("quick")
IMAGES = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32))


def altered(
    run: Path,
    folder: Path,
    record: Callable[[Any], object] = lambda _: None,
    tensors: Callable[[dict[str, Tensor]], object] = lambda _: None,
) -> Path:
    """A copy of a run as an earlier version wrote it, whose tensors say nothing of the record, with these changes."""
    folder.mkdir(exist_ok=True)
    about, found = json.loads((run / "run.json").read_text()), load_file(run / "model.safetensors")
    record(about)
    tensors(found)
    (folder / "run.json").write_text(json.dumps(about))
    save_file(found, folder / "model.safetensors")
    return folder


def refusal(load: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as caught:
        load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_records_of_earlier_versions_are_read(tmp_path: Path) -> None:
    runs = kept_runs()
    assert len(runs) == 80
    for run in runs.values():
        assert read_record(unpack_run(run, tmp_path)).data["classes"], run.name


def test_a_run_of_an_earlier_version_is_loaded(low_run: Path, tmp_path: Path) -> None:
    model, _ = load_run(altered(low_run, tmp_path))
    with torch.no_grad():
        assert torch.equal(model(pixel_values=IMAGES).logits, load_run(low_run)[0](pixel_values=IMAGES).logits)


@pytest.mark.parametrize(
    "more",
    [
        {"return_dict": False}, {"use_return_dict": False}, {"output_hidden_states": True}, {"output_attentions": True},
        {"torchscript": True}, {"use_cache": True}, {"problem_type": "regression"}, {"chunk_size_feed_forward": 5},
        {"pruned_heads": {"0": [1]}}, {"attn_implementation": "flex_attention"}, {"_attn_implementation": "sdpa"},
        {"dtype": "float16"}, {"name_or_path": "x"}, {"task_specific_params": {}}, {"tie_word_embeddings": True},
    ],
    ids=lambda more: next(iter(more)),
)  # fmt: skip
def test_what_hands_results_over_is_no_part_of_the_model(
    low_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: dict[str, Any]
) -> None:
    """Nor is any field that the network does not have."""
    model, _ = load_run(altered(low_run, tmp_path, lambda r: r["model"].update(more)))
    with torch.no_grad():
        assert torch.equal(model(pixel_values=IMAGES).logits, load_run(low_run)[0](pixel_values=IMAGES).logits)
    assert capfd.readouterr() == ("", "")
    again = load_start(tmp_path)
    assert again(pixel_values=IMAGES).logits.shape == (3, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["model"].update(layer_norm_eps=0.5), "layer_norm_eps must be from 1e-15 to 0.01, not 0.5"),
        (lambda r: r["model"].update(layer_norm_eps=0), "layer_norm_eps must be from 1e-15 to 0.01, not 0"),
        (lambda r: r["model"].update(hidden_dropout_prob=2.0), "hidden_dropout_prob must be from 0 to 1, not 2.0"),
        (lambda r: r["model"].update(is_decoder=True), "is_decoder must be false for a classifier, not True"),
        (lambda r: r["options"].update(image_size=64), "options.image_size must be 28, as that of the model, not 64"),
        (lambda r: r["options"].update(data="digits"), "options.data must be 'mnist5k', as data.name, not 'digits'"),
        (lambda r: r["scheme"].update(weight_bits=3), "scheme must be that of the options, but differs in weight_bits"),
        (lambda r: r.update(scheme=None), "scheme must be that of the options, but differs in being there"),
        (lambda r: r["data"]["classes"].pop(), "data.classes must be 10 names, as the model has labels, not 9"),
        (
            lambda r: r["data"].update(classes=["1", *"123456789"]),
            "data.classes must have each name once, and has '1' twice",
        ),
        (lambda r: r["data"].update(classes="x"), "data.classes must be a list of names, not 'x'"),
    ],
)  # fmt: skip
def test_a_record_that_contradicts_itself(
    low_run: Path, tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    folder = altered(
        low_run, tmp_path, lambda r: (r["model"].update(id2label={str(i): str(i) for i in range(10)}), change(r))
    )
    assert refusal(lambda: load_run(folder)) == f"{folder / 'run.json'} must be the record of a run: {message}"


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda r: [r[part].update(weight_bits=3) for part in ("scheme", "options")], "scheme.weight_bits is 2, not 3"),
        (lambda r: r["model"].update(layer_norm_eps=1e-3), "model.layer_norm_eps is 1e-12, not 0.001"),
        (lambda r: r["model"].update(hidden_act="relu"), "model.hidden_act is 'gelu', not 'relu'"),
        (lambda r: r["model"].update(more=[1]), "model.more is not there, not [1]"),
    ],
)  # fmt: skip
def test_a_record_that_is_not_that_of_the_weights(
    command: Callable[..., Any], low_run: Path, tmp_path: Path, change: Callable[[Any], object], difference: str
) -> None:
    altered(low_run, tmp_path, change)
    (tmp_path / "model.safetensors").write_bytes((low_run / "model.safetensors").read_bytes())
    said = f"{tmp_path / 'run.json'} must be the record that model.safetensors was written with, of which {difference}"
    assert refusal(lambda: load_run(tmp_path)) == said
    (tmp_path / "state.pt").write_bytes((low_run / "state.pt").read_bytes())
    ended = command(qat.train.main, "--resume", "--out", tmp_path)
    assert (ended.code, ended.err) == (2, f"program: error: {said}\n")


def test_weights_that_are_not_those_that_were_written(low_run: Path, tmp_path: Path) -> None:
    folder = altered(low_run, tmp_path)
    content = bytearray((low_run / "model.safetensors").read_bytes())
    content[-400] ^= 1  # a bit of a number
    (folder / "model.safetensors").write_bytes(content)
    found = refusal(lambda: load_run(folder))
    assert re.fullmatch(
        rf"{re.escape(str(folder / 'model.safetensors'))}: its tensors must have the SHA-256 '[0-9a-f]{{12}}', "
        r"as they were written, not [0-9a-f]{12}",
        found,
    )


def test_the_same_model_is_the_same_file(tmp_path: Path) -> None:
    """Whatever the order of hash tables in a process."""
    model = torch.nn.Linear(2, 3)
    network = {"model": {"b": 1, "a": [1, None]}, "scheme": None}
    for number in range(8):
        save_model(tmp_path / f"{number}.safetensors", model, network)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    tensors = read_model(tmp_path / "0.safetensors", network)
    assert tensors_sha256(tensors) == tensors_sha256(model.state_dict())


FC2 = "vit.layers.0.mlp.fc2.input_quantizer"


@pytest.mark.parametrize(
    ("name", "value", "bounds"),
    [
        (f"{FC2}.start", 0.0, "1.18e-38 to 1e+12"), (f"{FC2}.start", -1.0, "1.18e-38 to 1e+12"),
        (f"{FC2}.start", 1e30, "1.18e-38 to 1e+12"), (f"{FC2}.relative", 0.0, "0.00391 to 1e+12"),
        (f"{FC2}.relative", -1.0, "0.00391 to 1e+12"), (f"{FC2}.relative", 1e-40, "0.00391 to 1e+12"),
        (f"{FC2}.offset", 1e38, "-1e+12 to 1e+12"), (f"{FC2}.magnitude", -1.0, "0 to 1e+30"),
        ("classifier.weight_quantizer.start", -1.0, "1.18e-38 to 1e+12"),
    ],
)  # fmt: skip
def test_parameters_of_quantisers_have_bounds(
    command: Callable[..., Any], low_run: Path, tmp_path: Path, name: str, value: float, bounds: str
) -> None:
    """They are said where the file is read, by every command, and where training goes on."""
    folder = altered(low_run, tmp_path / "run", tensors=lambda found: found[name].fill_(value))
    said = f"{folder / 'model.safetensors'}: {name} must be from {bounds}, not "
    for main, *arguments in (
        (evaluate_main, "--checkpoint", folder),
        (qat.export.main, "--checkpoint", folder, "--out", tmp_path / "out"),
        (qat.train.main, "--model", "vit-tiny", "--start", folder, "--out", tmp_path / "next"),
    ):
        ended = command(main, *arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended
        assert ended.err.startswith(f"program: error: {said}")
    tensors = load_file(low_run / "model.safetensors")
    tensors[name].fill_(value)
    model, _ = load_run(low_run)
    with pytest.raises(ValueError, match=re.escape(f"state.pt: {name} must be from ")):
        load_state(model, tensors, Path("state.pt"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("classifier.weight", kind) for kind in (torch.int8, torch.bool, torch.complex64, torch.float16, torch.float64)]
    + [(f"{FC2}.start", torch.int32), ("vit.layernorm.bias", torch.int64)],
)
def test_tensors_are_not_cast(
    low_run: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder, name: str, kind: torch.dtype
) -> None:
    folder = altered(low_run, tmp_path, tensors=lambda found: found.update({name: found[name].abs().ceil().to(kind)}))
    assert refusal(lambda: load_run(folder)) == (
        f"{folder / 'model.safetensors'}: {name} must be of torch.float32, not {kind}"
    )
    assert not recwarn.list


def overflowing(tensors: dict[str, Tensor]) -> None:
    """Makes sums of finite numbers infinite, of which a layer norm makes NaN."""
    for number in range(2):
        tensors[f"vit.layers.{number}.mlp.fc2.bias"].fill_(3e38)


@pytest.mark.parametrize("bits", [2, 32])
def test_outputs_that_are_not_finite_are_no_accuracy(
    command: Callable[..., Any], low_run: Path, full_run: Path, tmp_path: Path, bits: int
) -> None:
    """Every weight is finite, but what the last layer makes of them overflows."""
    run = low_run if bits == 2 else full_run
    folder = altered(run, tmp_path / "run", tensors=overflowing)
    wanted = "the outputs of the network must be finite numbers, but those of 60 of 60 test samples are not"
    for form in ("text", "json"):
        ended = command(evaluate_main, "--checkpoint", folder, "--format", form)
        assert (ended.code, ended.out, ended.err) == (2, "", f"program: error: {wanted}\n")
    ended = command(qat.softlabels.main, "--teacher", folder, "--data", "mnist5k", "--crops", 1, "--top-k", 2,
                    "--out", tmp_path / "labels")  # fmt: skip
    assert (ended.code, ended.err) == (
        2, "program: error: the outputs of the teacher must be finite numbers, but are not for some views\n"
    )  # fmt: skip
    ended = command(qat.train.main, "--model", "vit-tiny", "--bits", 32, "--limit", 16, "--batch-size", 16,
                    "--epochs", 1, "--teacher", folder, "--out", tmp_path / "next")  # fmt: skip
    assert (ended.code, ended.err) == (
        2, "program: error: the outputs of the teacher must be finite numbers, but are not at epoch 1, step 1\n"
    )  # fmt: skip
    if bits == 2:
        ended = command(qat.export.main, "--checkpoint", folder, "--out", tmp_path / "integer")
        assert (ended.code, ended.err) == (
            2, "program: error: what becomes codes must be numbers, but holds NaN: the network overflows\n"
        )  # fmt: skip


def test_what_is_no_number_has_no_code() -> None:
    for quantizer in (Quantizer(4, signed=True), ElasticBinarizer(signed=True)):
        quantizer.set_scale(torch.ones(1))
        with pytest.raises(ValueError, match=r"must be numbers, but holds NaN"):
            quantizer.to_int(torch.tensor([1.0, math.nan]))
        assert quantizer.to_int(torch.tensor([math.inf, -math.inf])).abs().min() > 0


def test_integers_whose_outputs_are_not_finite(low_run: Path, tmp_path: Path) -> None:
    model, record = load_run(low_run)
    assert record.scheme is not None
    integer = IntegerModel.from_quantized(model, record.scheme, {})
    layer = gemms(integer.network)["classifier"]
    with torch.no_grad():
        for values in (layer.weight, layer.operands()[1].start):
            values.mul_(1e38)  # type: ignore[operator]
        layer.bias.fill_(3.4e38)  # type: ignore[union-attr,operator]
    with pytest.raises(ValueError, match="the outputs of an integer network must be finite numbers, and are not"):
        compare_paths(model, integer, [{"pixel_values": IMAGES}])
    integer.save(tmp_path)
    assert "the scale of classifier must be from 4.59e-41 to 1e+12, not " in refusal(
        lambda: IntegerModel.load(tmp_path)
    )


@pytest.mark.parametrize(
    "quantizer", [Quantizer(4, signed=True), ElasticBinarizer(signed=True), ElasticBinarizer(signed=False)]
)
def test_what_is_no_number_stays_so(quantizer: Quantizer) -> None:
    quantizer.set_scale(torch.ones(1))
    found = quantizer(torch.tensor([math.nan, math.inf, -math.inf]))
    assert found.isnan().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: o.update(data=3), "data must be an object, not 3"),
        (lambda o: o.update(options=3), "options must be an object, not 3"),
        (lambda o: o.update(options={}), "it lacks model"),
        (lambda o: o["options"].pop("model"), "it lacks model"),
        (lambda o: o["options"].update(image_size=64), "options.image_size must be 28, as that of the model, not 64"),
        (lambda o: o["data"].update(classes=3), "data.classes must be a list of names, not 3"),
        (lambda o: o["data"].update(name=3), "name must be a text, not 3"),
    ],
)
def test_integers_whose_origin_is_damaged(
    low_run: Path, tmp_path: Path, change: Callable[[Any], object], said: str
) -> None:
    model, record = load_run(low_run)
    assert record.scheme is not None
    origin = {"data": dict(record.data), "options": dict(record.options)}
    change(origin)
    IntegerModel.from_quantized(model, record.scheme, origin).save(tmp_path)
    file = tmp_path / "integer.json"
    assert refusal(lambda: open_subject(tmp_path, 1)) == f"{file} must be an integer model: {said}"


def test_a_description_of_integers_that_was_changed(low_run: Path, tmp_path: Path) -> None:
    model, record = load_run(low_run)
    assert record.scheme is not None
    IntegerModel.from_quantized(model, record.scheme, {}).save(tmp_path)
    data = json.loads((tmp_path / "integer.json").read_text())
    data["model"]["hidden_act"] = "relu"
    (tmp_path / "integer.json").write_text(json.dumps(data))
    assert "must be an integer model: its description_sha256 must be " in refusal(lambda: IntegerModel.load(tmp_path))
    del data["description_sha256"]  # as an earlier version wrote it
    (tmp_path / "integer.json").write_text(json.dumps(data))
    assert IntegerModel.load(tmp_path).network.config.hidden_act == "relu"


def test_a_finished_run_without_its_state_is_not_trained_again(
    command: Callable[..., Any], low_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for path in low_run.iterdir():
        if path.name != "state.pt":
            (folder / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = command(qat.train.main, "--resume", "--out", folder)
    said = f"{folder / 'state.pt'} must be there to go on with a run that has finished an epoch"
    assert (ended.code, ended.err) == (2, f"program: error: {said}: put it back, or choose another --out\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
