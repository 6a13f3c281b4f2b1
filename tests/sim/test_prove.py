"""siliquant prove: what it prints, keeps and refuses."""

import json
from pathlib import Path

import pytest

from rtl.mac import DESIGNS, UniformSpec
from rtl.spec import MacSpec
from sim import prove
from sim.proofs import MacProof, ProofError, prove_mac, standard_macs

SMALL = ["--design", "uniform", "--weight-bits", "2", "--activation-bits", "2", "--lanes", "1"]


def test_every_kind_form_and_pipelining_is_in_the_standard_list() -> None:
    specs = standard_macs()
    assert len(specs) > 500
    assert len(set(specs)) == len(specs)
    for design in DESIGNS:
        mine = [spec for spec in specs if type(spec) is design]
        assert {spec.pipeline_stages for spec in mine} == {0, 1, 2}
        assert {spec.half_adders for spec in mine} == {False, True}
        assert len({getattr(spec, design.size_parameter) for spec in mine}) >= 6
    pairs = {(spec.weight_bits, spec.activation_bits) for spec in specs if isinstance(spec, UniformSpec)}
    assert len(pairs) == 64


def test_a_mac_is_proved_and_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    prove.main([*SMALL, "--out", str(tmp_path / "out.json")])
    said = capsys.readouterr().out
    assert "uniform_w2_a2_l1: the Verilog shows the sum of all products since the last clear, for all operands" in said
    (record,) = json.loads((tmp_path / "out.json").read_text())["proved"]
    assert (record["name"], record["precisions"]) == ("uniform_w2_a2_l1", 2)
    monkeypatch.setattr(prove, "prove_mac", _never)
    prove.main(SMALL)
    assert capsys.readouterr().out == said
    with pytest.raises(AssertionError):
        prove.main([*SMALL, "--fresh"])


def _never(spec: MacSpec) -> MacProof:
    raise AssertionError


def test_what_is_not_proved_is_named_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(spec: MacSpec) -> MacProof:
        if spec.pipeline_stages:
            raise ProofError(f"{spec.name}: no")
        return prove_mac(spec)

    specs = [UniformSpec(weight_bits=1, activation_bits=1, lanes=1, pipeline_stages=stages) for stages in (0, 1)]
    monkeypatch.setattr(prove, "standard_macs", lambda: tuple(specs))
    monkeypatch.setattr(prove, "prove_mac", refuse)
    out = tmp_path / "out.json"
    with pytest.raises(SystemExit) as caught:
        prove.main(["--jobs", "1", "--fresh", "--out", str(out)])
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "sim.prove: uniform_w1_a1_l1_p1: no"
    assert "1 MACs" not in said.out
    record = json.loads(out.read_text())
    assert [each["name"] for each in record["proved"]] == ["uniform_w1_a1_l1"]
    assert record["not_proved"] == ["uniform_w1_a1_l1_p1: no"]


def test_two_side_by_side(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    specs = [UniformSpec(weight_bits=1, activation_bits=bits, lanes=1) for bits in (1, 2, 3)]
    monkeypatch.setattr(prove, "standard_macs", lambda: tuple(specs))
    prove.main(["--jobs", "2", "--fresh"])
    assert "3 MACs: the Verilog shows" in capsys.readouterr().out
