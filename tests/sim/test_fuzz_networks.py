"""siliquant fuzz on networks: faults of the export and of the array, found, made small and run again."""

import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from transformers import PreTrainedModel

from qat.integers import IntegerModel
from qat.settings import Scheme
from rtl.array import ArraySpec
from rtl.mac import UniformSpec
from rtl.requant import ThresholdSpec
from rtl.verilog import Reset, to_verilog
from siliquant.inputs import InputError
from sim import fuzz
from sim.campaigns import draw_case
from sim.campaigns.network_drawing import FAMILIES
from sim.fuzzing import Case, Fault, NetworkSpec, case_from_text, minimised, networks, run_case

VIT = {
    "model_type": "vit", "image_size": 4, "patch_size": 2, "num_channels": 1, "hidden_size": 4,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 3,
}  # fmt: skip
SCHEME = {"weight_bits": 2, "activation_bits": 2, "first_last_bits": 2, "scale_start": "mean"}
ARRAY = ArraySpec(
    mac=UniformSpec(weight_bits=2, activation_bits=2, lanes=1), rows=1, columns=2,
    requant=ThresholdSpec(accumulator_width=32, bits=2, signed=False),
)  # fmt: skip
SPEC = NetworkSpec(VIT, SCHEME, 1, 0, True, ARRAY)
CASE = Case("network", SPEC.parameters, ())


def replayed(small: Case, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a case runs again, and ends the command with 1."""
    path = tmp_path / "case.json"
    path.write_text(small.text())
    assert case_from_text(path.read_text()).parameters == small.parameters
    monkeypatch.setattr(fuzz, "ENGINES", {"network": (engine,)})
    with pytest.raises(SystemExit) as caught:
        fuzz.main(["--replay", str(path)])
    assert caught.value.code == 1


def test_every_family_is_drawn_and_exported() -> None:
    drawn = [draw_case(Random(place), ("network",)) for place in range(60)]
    assert {case.parameters["config"]["model_type"] for case in drawn} == set(FAMILIES)
    first = {case.parameters["config"]["model_type"]: case for case in reversed(drawn)}
    for case in first.values():
        assert run_case(case_from_text(case.text()), "export") is None


def test_a_file_that_is_not_what_was_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load = IntegerModel.load

    def changed(folder: Path) -> IntegerModel:
        found = load(folder)
        next(parameter for name, parameter in found.network.named_parameters() if name.endswith("bias")).data += 1
        return found

    monkeypatch.setattr(IntegerModel, "load", staticmethod(changed))
    fault = run_case(CASE, "export")
    assert fault is not None
    assert re.fullmatch(r"\S+bias of the file is not what was written", fault.sentence)
    replayed(CASE, "export", tmp_path, monkeypatch)


@pytest.mark.parametrize("part", ["bias", "weight"])
def test_an_export_that_mixes_rows_up(part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Biases, or weight codes, of a layer are taken in the wrong order."""
    right = IntegerModel.from_quantized

    def wrong(model: PreTrainedModel, scheme: Scheme, origin: dict[str, object]) -> IntegerModel:
        made = right(model, scheme, origin)
        values = getattr(made.network.get_submodule("vit.layers.0.mlp.fc1"), part)
        values.data = values.data.flip(0)
        return made

    monkeypatch.setattr(IntegerModel, "from_quantized", staticmethod(wrong))
    fault = run_case(CASE, "export")
    assert fault is not None
    found = r"\d+ of \d+ activation codes differ, by \d+ at most|no code differs, but logits by \d\.\d+e[-+]\d+"
    assert re.fullmatch(found, fault.sentence)
    small, _ = minimised(CASE, fault, lambda each: run_case(each, "export"), most_tries=25)
    spec = small.spec
    assert isinstance(spec, NetworkSpec)
    assert sum(value for value in spec.config.values() if isinstance(value, int)) < sum(
        value for value in VIT.values() if isinstance(value, int)
    )
    replayed(small, "export", tmp_path, monkeypatch)
    monkeypatch.undo()
    assert run_case(small, "export") is None


def test_a_fault_of_the_array(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(spec: ArraySpec, reset: Reset) -> str:
        return re.sub(r"(\.write_data\()weight_data\)", r"\1weight_data ^ 1'b1)", to_verilog([spec], reset=reset))

    monkeypatch.setattr(networks, "verilog_of", broken)
    replayed(CASE, "harness", tmp_path, monkeypatch)
    wrong = r"matrix 0, tile \(0, 0\), row 0, column \d .*: expected -?\d+, not -?\d+"
    assert re.match(rf"vit on \S*, harness: vit\S*, {wrong}", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("config", "scheme", "sentence"),
    [
        (
            {**VIT, "model_type": "none"},
            SCHEME,
            "model_type must be one of vit, deit, swin, sret, bert, roberta, distilbert, llama, not 'none'",
        ),
        (VIT, {**SCHEME, "weight_bits": 9}, "weight_bits must be an integer from 1 to 8, not 9"),
    ],
)
def test_networks_that_there_are_not_are_refused(config: dict, scheme: dict, sentence: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError) as caught:
        run_case(Case("network", replace(SPEC, config=config, scheme=scheme).parameters, ()), "export")
    assert str(caught.value).endswith(sentence)


def test_an_error_is_a_fault_of_its_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(spec: ArraySpec, reset: Reset) -> str:
        raise ZeroDivisionError("a budget\nof nothing")

    monkeypatch.setattr(networks, "verilog_of", crash)
    wanted = Fault("harness", "ZeroDivisionError: a budget of nothing", "ZeroDivisionError")
    assert run_case(CASE, "harness") == wanted
