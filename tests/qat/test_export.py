"""qat.export: counting where the two paths differ, the command line, and the format's document."""

from __future__ import annotations

import copy
import functools
import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, SwinConfig, SwinForImageClassification, ViTConfig, ViTForImageClassification

from qat import export
from qat.data.datasets import open_data
from qat.files.stored import save_model
from qat.integers.agreement import Agreement, compare_paths
from qat.integers.integer import IntegerModel
from qat.models.fresh import build
from qat.models.sret import SReTConfig, SReTForImageClassification
from qat.network.convert import calibrate, gemms, quantize_model, quantizers
from qat.settings.options import Options
from qat.settings.scheme import Override, Scheme
from qat.training.runs import save_record
from siliquant.commandline import console
from siliquant.commandline.cli import run

DOCUMENT = Path(__file__).parents[2] / "docs" / "integer-format.md"
FAMILIES = ("vit", "swin", "sret")
LABELS: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.3}


@functools.cache
def _quantised(family: str, scheme: Scheme, labels: int = 3) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel
    if family == "vit":
        model = ViTForImageClassification(
            ViTConfig(
                image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=1,
                num_attention_heads=2, intermediate_size=32, **LABELS | {"num_labels": labels},
            )
        )  # fmt: skip
    elif family == "swin":
        model = SwinForImageClassification(
            SwinConfig(
                image_size=8, patch_size=1, num_channels=1, embed_dim=8, depths=(2, 1), num_heads=(2, 4),
                window_size=4, mlp_ratio=2.0, drop_path_rate=0.0, **LABELS | {"num_labels": labels},
            )
        )  # fmt: skip
    else:
        model = SReTForImageClassification(
            SReTConfig(
                image_size=8, num_channels=1, stem_strides=(2, 1, 1), widths=(8, 16), depths=(1, 1), num_heads=(2, 4),
                groups=((4, 2), (1, 1)), mlp_ratio=1.5, drop_path_rate=0.0, **LABELS | {"num_labels": labels},
            )
        )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "table", "token", "embeddings")):
                parameter.normal_(std=0.3)
    quantize_model(model, scheme)
    calibrate(model, [images()])
    return model.eval()


def quantised(family: str, scheme: Scheme, labels: int = 3) -> PreTrainedModel:
    return copy.deepcopy(_quantised(family, scheme, labels))


def images(count: int = 4, seed: int = 1) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))}


def pair(family: str) -> tuple[PreTrainedModel, IntegerModel]:
    scheme = Scheme(4, 4)
    model = quantised(family, scheme)
    return model, IntegerModel.from_quantized(model, scheme, {})


@pytest.mark.parametrize("family", FAMILIES)
def test_paths_that_agree_have_no_ties(family: str) -> None:
    model, integer = pair(family)
    found = compare_paths(model, integer, [images(3, 2), images(2, 3)])
    assert (found.samples, found.predictions, found.ties, found.largest_step, found.untouched) == (5, 5, 0, 0, 5)
    assert found.largest_difference == 0
    assert not model.training
    assert all(q.observer is None for m in (model, integer.network) for q in quantizers(m).values())


def test_products_are_counted_by_kind_and_precision(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand for the one-layer ViT, whose first and last layers have 8 bits; text on the left, counts on the right."""
    monkeypatch.setenv("COLUMNS", "100")
    export._print_gemms(console(), pair("vit")[1])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "integer products",
        "                           weights",
        "                           or",
        "                           second",
        "             activations,  operand,",
        "GEMM         bits          bits      count",
        "──────────────────────────────────────────",
        "convolution  8 signed      8 signed      1",
        "linear       4 signed      4 signed      5",
        "scores       4 signed      4 signed      1",
        "context      4 unsigned    4 signed      1",
        "linear       4 unsigned    4 signed      1",
        "linear       8 signed      8 signed      1",
        "",
    ]


def test_every_activation_code_is_counted_once() -> None:
    """By hand for the one-layer ViT: 5 tokens of width 16 in 2 heads, 32 hidden, an image of 64 pixels."""
    model, integer = pair("vit")
    qkv, scores, context, output, fc1, fc2 = 5 * 16, 2 * 5 * 16, 2 * 25 + 5 * 16, 5 * 16, 5 * 16, 5 * 32
    found = compare_paths(model, integer, [images(4)])
    assert found.codes == 4 * (64 + qkv + scores + context + output + fc1 + fc2 + 16)


def test_ties_are_counted_code_by_code_and_sample_by_sample() -> None:
    """The last layer norm of one side is changed; what the classifier reads is counted beside it with NumPy."""
    model, integer = pair("vit")
    norm = integer.network.get_submodule("vit.layernorm")
    layer = gemms(model)["classifier"]
    quantizer = layer.operands()[0]
    step = float(quantizer.scale[0])
    with torch.no_grad():
        norm.bias[3] += 2.6 * step  # type: ignore[operator,index]
        norm.bias[7] -= 0.3 * step  # type: ignore[operator,index]
    inputs: dict[str, NDArray[np.float32]] = {}
    model.get_submodule("vit.layernorm").register_forward_hook(
        lambda m, i, o: inputs.__setitem__("ours", o[:, 0].detach().numpy())
    )
    norm.register_forward_hook(lambda m, i, o: inputs.__setitem__("theirs", o[:, 0].detach().numpy()))
    batch = images(6, 5)
    found = compare_paths(model, integer, [batch])
    ours, theirs = (np.clip(np.rint(inputs[side] / np.float32(step)), -128, 127) for side in ("ours", "theirs"))
    differing = ours != theirs
    assert found.ties == differing.sum() > 6
    assert found.largest_step == np.abs(ours - theirs).max() == 3
    assert found.untouched == (~differing.any(1)).sum()
    with torch.no_grad():
        classes = model(**batch).logits.argmax(-1), integer.logits(batch).argmax(-1)
    assert found.predictions == int((classes[0] == classes[1]).sum())


def one_pixel_beyond(integer: IntegerModel) -> dict[str, Tensor]:
    """Five images; a pixel of image 2 is at the highest code, which the integer side is made to lack."""
    batch = images(5, 4)
    first = next(iter(gemms(integer.network).values())).operands()[0]
    first.high.fill_(100.0)
    step = float(first.scale[0])
    batch["pixel_values"].clamp_(max=99 * step)
    batch["pixel_values"][2, 0, 3, 4] = 200 * step
    return batch


@pytest.mark.parametrize("family", FAMILIES)
def test_a_difference_in_one_image_touches_that_image_only(family: str) -> None:
    """Windows and groups do not mix images up."""
    model, integer = pair(family)
    found = compare_paths(model, integer, [one_pixel_beyond(integer)])
    assert (found.samples, found.untouched) == (5, 4)
    assert found.ties >= 1
    assert found.largest_step >= 27
    assert found.largest_difference < 1e-5


def test_a_difference_that_has_no_effect_counts_all_the_same() -> None:
    model = quantised("vit", Scheme(4, 4))
    projection = model.get_submodule("vit.embeddings.patch_embeddings.projection")
    with torch.no_grad():
        projection.weight[:, 0, 3, 0] = 0  # type: ignore[operator]
    integer = IntegerModel.from_quantized(model, Scheme(4, 4), {})
    found = compare_paths(model, integer, [one_pixel_beyond(integer)])
    assert (found.samples, found.predictions, found.ties, found.largest_step, found.untouched) == (5, 5, 1, 27, 4)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs python -m qat.export in this process."""

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["qat.export", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            run("python -m qat.export", export.main)
        out, err = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int)
        return Ended(code, out, err)

    return call


def write_run(folder: Path, scheme: Scheme | None, **changes: Any) -> PreTrainedModel:
    """A calibrated, untrained ViT on the digits as qat.train writes it."""
    override = ("*.attention.v_proj=2,4",) if scheme else ()
    options = Options(out=folder, data="digits", bits=2 if scheme else 32, image_size=8, limit=64, override=override)
    assert options.scheme() == scheme
    data = open_data("digits", image_size=8, limit=64)
    model = quantised("vit", scheme or SCHEME, 10)
    if scheme is None:
        model = type(model)(model.config)
    save_record(folder, model, scheme, data, options.to_dict())
    save_model(folder / "model.safetensors", model)
    return model


SCHEME = Scheme(2, 2, overrides=(Override("*.attention.v_proj", (2, 4)),))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "w2a2"
    write_run(folder, SCHEME)
    return folder


def test_a_run_becomes_an_integer_model(finished: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "deep" / "integer"
    ended = command("--checkpoint", finished, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    # 4 convolution, scores, context and three linear precisions, each with its count.
    for row in ("convolution 8 signed 8 signed 1", "linear 2 signed 2..4 signed 1",
                "linear 2 signed 2 signed 4", "linear 2 unsigned 2 signed 1",
                "scores 2 signed 2 signed 1", "context 2 unsigned 2 signed 1",
                "linear 8 signed 8 signed 1"):  # fmt: skip
        assert row in " ".join(ended.out.split())
    count = len(open_data("digits", image_size=8, limit=64).test.labels)
    summary = re.search(
        r"(\d+) of (\d+) predictions equal; (\d+) of (\d+) codes differ \(by (\d+) at most\) "
        r"in (\d+) samples; logits of the others within (\S+)$",
        ended.out.splitlines()[-1],
    )
    assert summary
    equal, samples, ties, codes, largest, touched = map(int, summary.groups()[:6])
    assert equal == samples == count
    assert codes == count * (64 + 80 + 160 + 130 + 80 + 80 + 160 + 16)
    assert (ties, largest, touched) == (0, 0, 0)
    assert float(summary[7]) == 0
    integer = IntegerModel.load(out)
    assert integer.scheme == SCHEME
    assert set(integer.origin) == {"data", "options"}
    assert integer.origin["data"]["name"] == "digits"
    assert integer.origin["options"]["image_size"] == 8


def test_samples_are_as_many_as_asked_for(finished: Path, tmp_path: Path, command: Command) -> None:
    for wanted in (1, 70):
        ended = command("--checkpoint", finished, "--out", tmp_path, "--samples", wanted)
        assert ended.code == 0
        assert f"{wanted} of {wanted} predictions equal" in ended.out
    ended = command("--checkpoint", finished, "--out", tmp_path, "--samples", 0)
    assert (ended.code, "predictions" in ended.out) == (0, False)
    assert IntegerModel.load(tmp_path).gemms()


def test_progress_ends_with_the_last_step(
    finished: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 samples a step, and a last one of fewer."""
    seen: list[tuple[int, int, int]] = []

    def track(steps: Iterator[dict[str, Tensor]], *_: object, total: int, **__: object) -> list[dict[str, Tensor]]:
        taken = list(steps)
        seen.append((total, len(taken), sum(len(step["pixel_values"]) for step in taken)))
        return taken

    monkeypatch.setattr(export, "track", track)
    for wanted in (1, 64, 65):
        assert command("--checkpoint", finished, "--out", tmp_path, "--samples", wanted).code == 0
    assert seen == [(1, 1, 1), (1, 1, 64), (2, 2, 65)]


def test_the_same_run_gives_the_same_bytes(finished: Path, tmp_path: Path, command: Command) -> None:
    for folder in ("one", "two"):
        assert command("--checkpoint", finished, "--out", tmp_path / folder, "--samples", 0).code == 0
    for name in ("integer.json", "integer.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("changes", [{"ties": 1, "largest_step": 1, "untouched": 2}, {"largest_difference": 1e-9}])
def test_exit_code_1_when_a_code_or_a_logit_differs(
    finished: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """The network that is evaluated and its integers are one."""
    same: dict[str, Any] = {"samples": 3, "predictions": 3, "codes": 90, "ties": 0, "largest_step": 0}
    same["untouched"] = 3
    for found, code in ((same, 0), (same | changes, 1)):
        agreement = Agreement(**{"largest_difference": 0.0} | found)
        monkeypatch.setattr(export, "compare_paths", lambda *_, answer=agreement: answer)
        assert command("--checkpoint", finished, "--out", tmp_path, "--samples", 3).code == code


def test_exit_code_1_when_a_prediction_differs(
    finished: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Agreement(
        samples=3, predictions=2, codes=90, ties=4, largest_step=1, untouched=1, largest_difference=2.5e-7
    )
    monkeypatch.setattr(export, "compare_paths", lambda *_: found)
    ended = command("--checkpoint", finished, "--out", tmp_path, "--samples", 3)
    assert ended.code == 1
    assert ended.out.endswith(
        "2 of 3 predictions equal; 4 of 90 codes differ (by 1 at most) in 2 samples; "
        "logits of the others within 2.5e-07\n"
    )


@pytest.mark.parametrize("family", ["vit", "llama"])
def test_a_folder_of_a_quantised_network_is_exported_without_a_run(
    family: str, tmp_path: Path, command: Command
) -> None:
    if family == "vit":
        model = quantised("vit", SCHEME)
    else:
        tokens, scheme = torch.arange(64).view(1, -1), Scheme(2, 2)
        model = quantize_model(build("llama-small", num_labels=2), scheme)
        calibrate(model, [{"input_ids": tokens}])
    model.save_pretrained(tmp_path / "folder")
    ended = command("--checkpoint", tmp_path / "folder", "--samples", 3, "--out", tmp_path / "integers")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"^3 of 3 predictions equal; 0 of [1-9]\d* codes differ .* in 0 samples", ended.out, re.MULTILINE)
    assert dict(IntegerModel.load(tmp_path / "integers").origin) == {}
    ended = command("--checkpoint", tmp_path / "folder", "--samples", 1 << 20, "--out", tmp_path / "more")
    assert (ended.code, ended.err) == (2, "python -m qat.export: error: samples must be at most 65536, not 1048576\n")
    if family == "llama":
        ended = command("--checkpoint", tmp_path / "folder", "--format", "onnx", "--out", tmp_path / "more")
        message = "the network must be no decoder of texts: its graph is not known for ONNX; its integers are"
        assert (ended.code, ended.err) == (2, f"python -m qat.export: error: {message}\n")


def test_bad_input_is_one_line_and_exit_code_2(finished: Path, tmp_path: Path, command: Command) -> None:
    full = tmp_path / "full"
    write_run(full, None)
    unfinished = tmp_path / "unfinished"
    write_run(unfinished, SCHEME)
    (unfinished / "model.safetensors").unlink()
    out = tmp_path / "out"
    prefix = "python -m qat.export: error: "
    for arguments, message in (
        (("--checkpoint", full), f"{full} must be a quantised run to have integers; it is at full precision"),
        (("--checkpoint", tmp_path), f"{tmp_path} must be the folder of a run with a run.json in it"),
        (
            ("--checkpoint", unfinished),
            f"{unfinished / 'model.safetensors'} must be there: the run has not finished an epoch yet",
        ),
        (("--checkpoint", finished, "--samples", -1), "samples must be at least 0, not -1"),
        (("--checkpoint", finished, "--samples", "x"), "argument --samples: invalid int value: 'x'"),
    ):
        ended = command(*arguments, "--out", out)
        assert (ended.code, ended.out, ended.err) == (2, "", f"{prefix}{message}\n")
    ended = command("--checkpoint", finished)
    assert (ended.code, ended.err) == (2, f"{prefix}the following arguments are required: --out\n")
    assert not out.exists()


def test_help_names_the_document(command: Command) -> None:
    ended = command("--help")
    assert ended.code == 0
    assert "docs/integer-format.md" in " ".join(ended.out.split())
    assert DOCUMENT.exists()
    assert "when a prediction, a code or a logit differs" in " ".join(ended.out.split())


# The document


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_the_reader_in_the_document_reads_what_is_saved(family: str, bits: int, tmp_path: Path) -> None:
    (source,) = blocks("python")
    assert len(source.splitlines()) <= 20
    assert "qat" not in source
    assert "torch" not in source
    scheme = Scheme(bits, bits)
    model = IntegerModel.from_quantized(quantised(family, scheme), scheme, {})
    model.save(tmp_path)
    script = tmp_path / "reader.py"
    script.write_text(source)
    found = runpy.run_path(str(script))["read"](tmp_path)
    wanted = {gemm.name: gemm for gemm in model.gemms() if gemm.weight is not None}
    assert list(found) == list(wanted)
    for name, gemm in wanted.items():
        codes, scales = found[name]
        np.testing.assert_array_equal(codes, gemm.weight)
        np.testing.assert_array_equal(scales, gemm.right.scales.numpy())
        assert scales.dtype == np.float32


def test_the_document_names_every_field_and_tensor(tmp_path: Path) -> None:
    scheme = Scheme(1, 4, overrides=(Override("*.scores", activation_bits=1),))
    IntegerModel.from_quantized(quantised("vit", scheme), scheme, {}).save(tmp_path)
    data = json.loads((tmp_path / "integer.json").read_text())
    gemm = data["gemms"][0]
    names = {*data, *gemm, *gemm["left"], *gemm["weight"], *gemm["geometry"]}
    assert {"scales", "threshold", "sha256", "geometry", "packed", "dilation"} <= names
    named = set(re.findall(r"`([a-z_0-9]+)`", DOCUMENT.read_text()))
    assert names <= named, names - named


def test_the_command_in_the_document_runs(finished: Path, tmp_path: Path, command: Command) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert lines
    for line in lines:
        program, dash, module, option, source, *rest = shlex.split(line)
        assert (program, dash, module, option) == ("python", "-m", "qat.export", "--checkpoint")
        assert source == "runs/vit-mnist-w2a2"
        place = rest.index("--out") + 1
        rest[place] = str(tmp_path / rest[place])
        assert command("--checkpoint", finished, *rest).code == 0
