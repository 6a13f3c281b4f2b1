"""Two simulators: they agree on what is right, and differences and unknown values are found and named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, UniformSpec
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from siliquant.inputs import ToolError
from sim import agree as command
from sim.agreement import Agreement, Played, agree, agreed_specs, compare, played_on
from sim.bench import MismatchError
from sim.simulators import run_cycles

SMALL = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9)
ARRAY = ArraySpec(
    mac=UniformSpec(weight_bits=1, activation_bits=1, lanes=1, reduction_length=9), rows=2, columns=1,
    architecture=Architecture.SYSTOLIC, activation_depth=16, weight_depth=16, result_depth=16, result_width=8,
    requant=ThresholdSpec(accumulator_width=8, bits=1, groups=1),
)  # fmt: skip


def test_every_design_unit_and_architecture_is_run() -> None:
    specs = agreed_specs()
    for kind in (*DESIGNS, ThresholdSpec, MultiplierSpec, PartialSumSpec):
        assert sum(type(spec) is kind for spec in specs) == 2
    arrays = [spec for spec in specs if isinstance(spec, ArraySpec)]
    kinds = {(spec.architecture, type(spec.requant)) for spec in arrays}
    assert len(kinds) == 2 * 3
    assert len(arrays) + sum(isinstance(spec, MacSpec | LoadableSpec) for spec in specs) == len(specs)


@pytest.mark.parametrize("spec", [SMALL, ARRAY], ids=lambda spec: spec.name)
def test_both_simulators_show_the_same_from_any_start(spec: UniformSpec | ArraySpec) -> None:
    found = agree(spec, seeds=(1, 2))
    assert found.design == ("array" if spec is ARRAY else "uniform")
    assert (found.cycles, found.seeds) == (len(played_on(spec).words), 2)
    assert found.bits > 10 * found.cycles / 2
    # Before its first sum a MAC shows what it powered up with, an array words of its memory that nothing has written.
    first = 10 * SMALL.accumulator_width if spec is SMALL else found.unknown
    assert 0 < found.unknown == first


def test_a_valid_bit_without_reset_is_unknown_and_told() -> None:
    verilog = to_verilog([SMALL])
    assert verilog.count("    valid_q1 <= 1'b0;\n") == 1
    with pytest.raises(MismatchError, match=r"uniform_w2_a2_l1_k9: cycle 1: out_valid\[0\] is unknown, and valid"):
        agree(SMALL, verilog.replace("    valid_q0 <= 1'b0;\n", "").replace("    valid_q1 <= 1'b0;\n", ""), seeds=(1,))


def test_what_a_simulator_makes_of_an_unknown_condition_is_found() -> None:
    """Icarus takes an unknown condition for false, and so knows what a register holds that nothing has set."""
    verilog = to_verilog([SMALL]).replace(
        "assign out_valid = valid_q1;", "reg seen, known;\n  assign out_valid = known;"
    )
    verilog = verilog.replace("  always @(posedge clk) if (in_valid)", "  always @(posedge clk) begin\n"
                              "    seen <= seen;\n    if (seen) known <= 1'b1; else known <= 1'b0;\n  end\n"
                              "  always @(posedge clk) if (in_valid)", 1)  # fmt: skip
    with pytest.raises(MismatchError, match=r"cycle \d+: out_valid\[0\] is 0 in Icarus and 1 in Verilator, seed \d"):
        agree(SMALL, verilog, seeds=(1, 2, 3, 4, 5, 6))


@pytest.mark.parametrize("engine", ["icarus", "verilator"])
def test_a_simulator_that_reads_another_text_is_found(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if one of them had read an operator otherwise."""
    verilog = to_verilog([SMALL])
    assert verilog.count("assign sum = a ^ b ^ c;") == 1
    other = verilog.replace("assign sum = a ^ b ^ c;", "assign sum = a ^ b | c;")

    def runs(text: str, *given: Any) -> list[list[str]]:
        return run_cycles(other if engine in given else text, *given)

    monkeypatch.setattr("sim.agreement.comparing.run_cycles", runs)
    with pytest.raises(
        MismatchError, match=r"cycle \d+: accumulator\[\d\] is [01] in Icarus and [01] in Verilator, seed 1"
    ):
        agree(SMALL, verilog, seeds=(1,))


def test_lines_are_compared_bit_by_bit() -> None:
    played = Played((), (("out_valid", 1), ("sum", 2)), (0, 0, 0), 1, frozenset({2}))
    assert compare("top", ["x0x", "010", "110"], {1: ["111", "010", "110"]}, played) == (6, 0)
    runs = {1: ["111", "010", "110"], 2: ["000", "000", "110"]}
    assert compare("top", ["xxx", "0x0", "110"], runs, played) == (5, 1)
    with pytest.raises(MismatchError, match=r"^top: cycle 1: sum\[0\] is 0 in Icarus and 1 in Verilator, seed 2$"):
        compare("top", ["xxx", "010", "110"], {1: ["111", "010", "110"], 2: ["000", "011", "110"]}, played)
    with pytest.raises(MismatchError, match=r"^top: cycle 1: sum\[1\] is unknown, and valid$"):
        compare("top", ["xxx", "1x0", "110"], {1: ["111", "110", "110"]}, played)
    with pytest.raises(MismatchError, match=r"^top: cycle 2: sum\[0\] is unknown, and valid$"):
        compare("top", ["xxx", "010", "01x"], {1: ["111", "010", "010"]}, played)


def test_the_command_writes_what_agrees_and_ends_with_code_1_where_something_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "agree.json"
    given = ["--design", "uniform", "--lanes", "1", "--out", str(out)]
    agreement = Agreement("uniform_w4_a4_l1", "uniform", 100, 1200, 3, 3, 1.5)
    monkeypatch.setattr(command, "agree", lambda spec: agreement)
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    command.main(given)
    assert "1,200 bits are the same in both. What that says: docs/simulation.md" in capsys.readouterr().out
    assert json.loads(out.read_text())["modules"][0]["bits"] == 1200

    def differs(spec: MacSpec) -> Agreement:
        raise MismatchError(f"{spec.name}: cycle 9: sum[1] is unknown, and valid")

    monkeypatch.setattr(command, "agree", differs)
    with pytest.raises(SystemExit) as end:
        command.main([*given, "--fresh"])
    assert end.value.code == 1
    assert "uniform_w4_a4_l1: cycle 9: sum[1] is unknown, and valid" in capsys.readouterr().err
    assert json.loads(out.read_text()) == {
        "modules": [],
        "differ": ["uniform_w4_a4_l1: cycle 9: sum[1] is unknown, and valid"],
        "errors": [],
    }


def test_a_tool_that_fails_leaves_the_other_modules_and_what_is_found_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    specs = [replace(SMALL, lanes=lanes) for lanes in (1, 2, 3)]
    monkeypatch.setattr(command, "agreed_specs", lambda: specs)
    asked: list[str] = []

    def fails_at_first(spec: MacSpec) -> Agreement:
        asked.append(spec.name)
        if spec is specs[1] and len(asked) < 4:
            raise ToolError("vvp ended with code 1")
        return Agreement(spec.name, "uniform", 100, 1200, 3, 3, 1.5)

    monkeypatch.setattr(command, "agree", fails_at_first)
    given = ["--jobs", "1", "--out", str(tmp_path / "out.json")]
    with pytest.raises(SystemExit) as end:
        command.main(given)
    assert end.value.code == 2
    wrong = f"{specs[1].name}: vvp ended with code 1"
    assert f"error: {wrong}" in capsys.readouterr().err
    written = json.loads((tmp_path / "out.json").read_text())
    assert [each["name"] for each in written["modules"]] == [specs[0].name, specs[2].name]
    assert (written["differ"], written["errors"]) == ([], [wrong])
    command.main(given)
    assert asked == [*(spec.name for spec in specs), specs[1].name]
    written = json.loads((tmp_path / "out.json").read_text())
    assert [each["name"] for each in written["modules"]] == [spec.name for spec in specs]
