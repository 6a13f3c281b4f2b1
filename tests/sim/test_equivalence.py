"""Whole networks on simulated arrays: every family and kind of precision, and planted faults that must be found."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from transformers import BertConfig, DeiTConfig

from qat.integers.subject import Subject, random_subject
from qat.settings.scheme import Override, Scheme
from rtl.array import ArraySpec, Codes, plan_passes
from rtl.mac import BitFusionSpec, LoomSpec, UniformSpec, XnorSpec
from rtl.manifests import array_from_parameters
from rtl.requant import ThresholdSpec
from rtl.spec import CodeValues, Precision, codes_of
from siliquant.commandline import run
from siliquant.inputs import InputError
from sim.bench.mismatch import MismatchError
from sim.equivalence import PROG, main, print_result
from sim.harness.drain import drain_tables
from sim.harness.engine import GemmRecord
from sim.harness.equivalence import Equivalence, verify
from sim.harness.library import array_verilog, build_library
from tests.sim.networks import array, check_network, scheme


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


UNIFORM = array(UniformSpec(lanes=8, reduction_length=1024), 4)


@pytest.mark.parametrize(
    ("model", "precision", "spec"),
    [
        ("vit-mnist", scheme(4, 4), UNIFORM),
        ("swin-mnist", scheme(4, 4), UNIFORM),
        ("sret-mnist", scheme(4, 4), UNIFORM),
        ("vit-mnist", replace(scheme(4, 4), query_key="reparameterised"), UNIFORM),
        ("vit-mnist", scheme(2, 3, granularity="tensor"), UNIFORM),
        ("bert", scheme(1, 1), array(XnorSpec(lanes=16), 1)),
        ("bert", scheme(1, 2), array(XnorSpec(lanes=16), 2)),
        (
            "vit-mnist",
            scheme(4, 4, Override("*.mlp.*", 2, 2), Override("*.q_proj", (2, 3, 4), 4), Override("*.fc2", 8, 8)),
            array(BitFusionSpec(units=1), 4, 4, 4, systolic=True),
        ),
        ("vit-mnist", scheme(3, 3, Override("*.v_proj", 5, 3)), array(LoomSpec(units=16), 3, 4, 4)),
        ("llama-small", scheme(4, 4), UNIFORM),
        (
            "llama-small",
            scheme(4, 4, Override("*.k_proj", (2, 4), 4), Override("*.context", activation_bits=(4, 2))),
            array(BitFusionSpec(units=1), 4, 4, 4, systolic=True),
        ),
    ],
    ids=[
        "vit",
        "swin",
        "sret",
        "query-key product",
        "per tensor",
        "bert w1a1",
        "bert w1a2",
        "mixed bitfusion",
        "mixed loom",
        "llama",
        "mixed llama",
    ],
)
def test_networks_are_equal_at_rtl(model: str, precision: Scheme, spec: ArraySpec, tmp_path: Path) -> None:
    if model == "bert":
        config = BertConfig(
            vocab_size=50, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
            num_labels=2, architectures=["BertForSequenceClassification"],
        )  # fmt: skip
        config.save_pretrained(tmp_path)
        model = str(tmp_path)
    check_network(model, precision, spec)


def test_both_heads_of_a_distilled_network_are_equal_at_rtl(tmp_path: Path) -> None:
    """The presets of distilled DeiT, but for their sizes."""
    config = DeiTConfig(
        image_size=8, patch_size=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        num_labels=3, architectures=["DeiTForImageClassificationWithTeacher"],
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    check_network(str(tmp_path), scheme(4, 4), UNIFORM)


@pytest.fixture(scope="module")
def small() -> tuple[Subject, ArraySpec]:
    mac = UniformSpec(weight_bits=2, activation_bits=2, lanes=4, reduction_length=512)
    return random_subject("vit-mnist", scheme(2, 2), 1), array(mac, 2, 2, 3)


def test_requantisers_that_are_too_narrow_are_refused() -> None:
    subject = random_subject("vit-mnist", scheme(4, 4), 1)
    message = "requantisers must have at least the 4 bits of vit.layers.0.attention.context's codes, not 2"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        drain_tables(subject.model, 17, ThresholdSpec(accumulator_width=32, bits=2, signed=False))


@dataclass(frozen=True, kw_only=True)
class EvenSpec(UniformSpec):
    """A uniform design whose weights are even: no sum of its digits is odd."""

    def weight_values(self, precision: Precision) -> CodeValues:
        return codes_of(precision.weight_bits, range(-6, 8, 2))


@pytest.fixture
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.harness.equivalence.build_library", lambda spec: pytest.fail("it is built"))


@pytest.mark.usefixtures("_nothing_is_built")
def test_a_design_that_does_not_hold_the_codes_of_a_layer_says_so() -> None:
    subject = random_subject("vit-mnist", scheme(4, 4), 1)
    mac = EvenSpec(weight_bits=4, activation_bits=4, lanes=8)
    with pytest.raises(InputError) as alone:
        plan_passes(mac, Codes(8, True), Codes(8, True))
    assert mac.name in str(alone.value)
    with pytest.raises(InputError) as caught:
        verify(subject, array(mac, 4))
    assert str(caught.value) == f"vit.embeddings.patch_embeddings.projection: {alone.value}"


@pytest.mark.usefixtures("_nothing_is_built")
def test_an_array_that_does_not_hold_a_tile_says_so_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--random", "vit-mnist", "--bits", "4", "--lanes", "8", "--depth", "16", "--array", "8x8"]
    with pytest.raises(SystemExit) as ended:
        run(PROG, lambda: main(given))
    assert ended.value.code == 2
    # 49 pixels a patch are 7 words of 8 lanes; 96 features are 12, and the second layer of an FFN has 384.
    assert capsys.readouterr().err == (
        "sim.equivalence: error: vit.layers.0.mlp.fc2 on uniform_w4_a4_l8: activation_depth must be at least 48 words "
        "for 1 x 384 x 1, not 16\n"
    )


def faulty(spec: ArraySpec, pattern: str, replacement: str) -> Path:
    text, count = re.subn(pattern, replacement, array_verilog(spec), count=1, flags=re.DOTALL)
    assert count == 1
    return build_library(spec, text)


FAULTS = {
    # Bit 9 of word 3 of the weight memory is wrong: lane 0 of column 1.
    "weight bit": (
        r"(weight_0 \(.{0,200}?\.write_data\()weight_data\)",
        r"\1weight_data ^ (weight_address == 3 ? 24'h200 : 24'h0))",
        (
            r"vit\.embeddings\.patch_embeddings\.projection, matrix 0, tile \(0, 0\), row \d, column 1 \(.*\):"
            r" expected -?\d+, not -?\d+; \d+ of [\d,]+ results of this block differs?"
        ),
    ),
    # Two lanes of row 1 are swapped.
    "swapped lanes": (
        r"\.activations\((activations_edge)\)",
        r".activations({\1[15:12], \1[9:8], \1[11:10], \1[7:0]})",
        r"vit\.embeddings\.patch_embeddings\.projection, matrix 0, tile \(\d+, 0\), row 1, column \d \(.*",
    ),
    # The lowest threshold of column 2 is one too high.
    "threshold": (
        r"(requant_2 \(.{0,400}?\.load_parameters\()load_parameters\)",
        r"\1load_parameters + 99'h1)",
        (
            r"vit\.layers\.0\.attention\.[qkv]_proj, matrix 0, tile \(\d+, \d+\), row \d, column 2 \(.*\): "
            r"expected code 1, not 0; .*"
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_located(small: tuple[Subject, ArraySpec], fault: str) -> None:
    pattern, replacement, message = FAULTS[fault]
    subject, spec = small
    library = faulty(spec, pattern, replacement)
    with pytest.raises(MismatchError) as caught:
        verify(subject, spec, library=library, jobs=1)
    assert re.fullmatch(message, str(caught.value)), caught.value


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--random", "vit-mnist", "--array", "8x8", "--lanes", "8", "--reduction-length", "1024"]
    main([*arguments, "--out", str(tmp_path / "found.json")])
    shown = capsys.readouterr().out
    assert "1 sample; 124,244 accumulators and all logits equal PyTorch's, and so do 39,168 codes" in shown
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["macs"] == sum(gemm["macs"] for gemm in found["gemms"]) == 11_688_768
    assert found["mismatches"] == 0
    assert sum(gemm["accumulators"] for gemm in found["gemms"]) == 124_244
    assert array_from_parameters(found["spec"]).rows == 8


def test_the_table_counts_mismatches(capsys: pytest.CaptureFixture[str]) -> None:
    """By kind of GEMM and in all, as compared less equal, of accumulators and codes."""
    gemms = (
        GemmRecord("layers.0.q_proj", accumulators=1000, equal_accumulators=998, codes=10, equal_codes=9, passes=1),
        GemmRecord("layers.1.q_proj", accumulators=500, equal_accumulators=500, passes=1),
        GemmRecord("classifier", accumulators=2, equal_accumulators=1, passes=1),
    )
    found = Equivalence("network", "array", 1, None, gemms, 1.0, 2.0, 3.0, 4.0, 7.5)
    assert found.mismatches == 4
    print_result(Console(width=120), found)
    lines = capsys.readouterr().out.splitlines()
    times = "time: build 1.0 s, PyTorch 2.0 s, thresholds 3.0 s, simulation 4.0 s (7.5 s of CPU time): 0 M MAC/s."
    assert times in lines
    rule = next(number for number, line in enumerate(lines) if line.startswith("─"))
    assert lines[-1] == "4 mismatches"
    rows = [line.split() for line in lines[rule + 1 : -1] if line.strip()]
    shown = {cells[0]: cells[-3:] for cells in rows}
    assert shown == {
        "q_proj": ["1,500", "10", "3"],
        "classifier": ["2", "0", "1"],
        "all": ["1,502", "10", "4"],
    }


def test_a_mismatch_ends_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differ(*_: object, **__: object) -> None:
        raise MismatchError("layer, tile: expected 1, not 2")

    monkeypatch.setattr("sim.harness.verify", differ)
    with pytest.raises(SystemExit) as end:
        main(["--random", "vit-mnist"])
    assert end.value.code == 1
    assert capsys.readouterr().err.strip() == "sim.equivalence: layer, tile: expected 1, not 2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--random", "vit"], r"model must be one of .*, or a folder with a config\.json, not 'vit'"),
        (["--checkpoint", "nowhere"], "the checkpoint must be a folder of qat.train or qat.export, not nowhere"),
        (["--random", "vit-mnist", "--samples", "0"], "samples must be at least 1, not 0"),
        (["--random", "vit-mnist", "--jobs", "0"], "jobs must be an integer from 1 to 1024, not '0'"),
        (["--random", "vit-mnist", "--array", "8"], "array must be ROWSxCOLUMNS, as in 16x16, not '8'"),
        (["--random", "vit-mnist", "--array", "0x8"], "rows must be an integer from 1 to 256, not 0"),
        (["--random", "vit-mnist", "--design", "x"], "design must be one of uniform, .*, not 'x'"),
        (["--random", "vit-mnist", "--lanes", "many"], "lanes must be an integer, not 'many'"),
        (["--random", "vit-mnist", "--bits", "9"], "weight_bits must be an integer from 1 to 8, not 9"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        main(arguments)
    assert re.fullmatch(message, str(caught.value)), caught.value
