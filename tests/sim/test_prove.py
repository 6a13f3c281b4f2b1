"""siliquant prove: what it prints, keeps and refuses."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from rtl.array import Architecture
from rtl.gen import main
from rtl.mac import DESIGNS, UniformSpec
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from siliquant.commandline import run
from siliquant.inputs import InputError, ToolError
from sim import prove
from sim.controllers import standard_arrays
from sim.proofs import MacProof, ProofError, prove_mac, standard_macs, standard_units
from sim.simulators import Source

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
    assert re.search(
        r"^proved: uniform_w2_a2_l1, Verilog [0-9a-f]{12}\. What that says and assumes: ", said, re.MULTILINE
    )
    (record,) = json.loads((tmp_path / "out.json").read_text())["proved"]
    assert (record["name"], record["precisions"]) == ("uniform_w2_a2_l1", 2)
    monkeypatch.setattr(prove, "prove_mac", _never)
    prove.main(SMALL)
    assert " (1 of them before; --fresh proves again). What that says" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        prove.main([*SMALL, "--fresh"])


def _never(spec: MacSpec, source: Source | None = None) -> MacProof:
    raise AssertionError


def test_what_is_not_proved_is_named_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(spec: MacSpec, source: Source | None = None) -> MacProof:
        if spec.pipeline_stages:
            raise ProofError(f"{spec.name}: no")
        return prove_mac(spec)

    specs = [UniformSpec(weight_bits=1, activation_bits=1, lanes=1, pipeline_stages=stages) for stages in (0, 1)]
    monkeypatch.setattr(prove, "standard_macs", lambda: tuple(specs))
    monkeypatch.setattr(prove, "standard_units", lambda: ())
    monkeypatch.setattr(prove, "standard_arrays", lambda: ())
    monkeypatch.setattr(prove, "prove_mac", refuse)
    out = tmp_path / "out.json"
    with pytest.raises(SystemExit) as caught:
        prove.main(["--jobs", "1", "--fresh", "--out", str(out)])
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "sim.prove: uniform_w1_a1_l1_p1: no"
    assert "proved: uniform_w1_a1_l1, Verilog" in said.out
    record = json.loads(out.read_text())
    assert [each["name"] for each in record["proved"]] == ["uniform_w1_a1_l1"]
    assert record["not_proved"] == ["uniform_w1_a1_l1_p1: no"]


def test_two_side_by_side(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    specs = [UniformSpec(weight_bits=1, activation_bits=bits, lanes=1) for bits in (1, 2, 3)]
    monkeypatch.setattr(prove, "standard_macs", lambda: tuple(specs))
    monkeypatch.setattr(prove, "standard_units", lambda: (PartialSumSpec(groups=2, accumulator_width=4),))
    monkeypatch.setattr(prove, "standard_arrays", lambda: ())
    prove.main(["--jobs", "2", "--fresh"])
    assert "proved: 4 specs. What that says" in capsys.readouterr().out


def ends(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code of the command, and the last line of what it says on stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run("sim.prove", lambda: prove.main(arguments))
    return caught.value.code, capsys.readouterr().err.splitlines()[-1]  # type: ignore[return-value]


def test_a_file_is_proved_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=1)
    path = tmp_path / "mine.v"
    path.write_bytes(b"// taken away\r\n" + to_verilog([spec], "own_").encode())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    prove.main([*SMALL, "--verilog", str(path), "--out", str(tmp_path / "out.json")])
    assert f"proved: {spec.name}, Verilog {digest[:12]}. What" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["proved"][0]["verilog_sha256"] == digest
    loaded = "always @(posedge clk) if (in_valid) begin\n    weights_q <= weights;\n"
    verilog = to_verilog([spec])
    assert loaded in verilog
    other = "always @(posedge clk) if (clear) weights_q <= weights;\n  always @(posedge clk) if (in_valid) begin\n"
    path.write_text(verilog.replace(loaded, other))
    assert ends(capsys, *SMALL, "--verilog", str(path)) == (1, (
        f"sim.prove: {path}: {spec.name}: register weights_q[0] (line 23) takes another value than the graph gives it"
    ))  # fmt: skip


WRONG = (
    ("module broken(", "FILE, line 1: ",
     "it must have only what siliquant gen writes (docs/verification.md), not 'the end of the file'"),
    ('module a;\n  initial $readmemh("/etc/passwd", x);\nendmodule\n', "FILE, line 2: ",
     ("Verilog must have no strings, system tasks, escaped names, directives beside include guards, delays, or initial "
      "blocks, not 'initial'")),
    ("module a (input wire clk);\nendmodule\n", "FILE ",
     "must have the module uniform_w2_a2_l1 of these options; it has a (line 1)"),
    ("// nothing\n", "FILE ", "must have the module uniform_w2_a2_l1 of these options; it has none"),
    ("module uniform_w2_a2_l1 (\n  input wire clk\n);\nendmodule\n", "FILE, line 1: ",
     "port accumulator must be an output of 16 bits, as the manifest says, not missing"),
    ("module uniform_w2_a2_l1 (\n  input wire clk,\n  output reg q\n);\n  always @(posedge clk)\n    q = q;\nendmodule",
     "FILE, line 6: ",
     ("register q must take its value with <=: with =, what reads it at the same edge may see its value of before or "
      "after")),
)  # fmt: skip


@pytest.mark.parametrize(("verilog", "where", "said"), WRONG)
def test_a_file_that_is_none_of_the_design_is_bad_input(
    verilog: str, where: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.v"
    path.write_text(verilog)
    wanted = f"sim.prove: error: {where.replace('FILE', str(path))}{said}"
    assert ends(capsys, *SMALL, "--verilog", str(path)) == (2, wanted)


def test_what_is_no_file_of_verilog_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.v"
    assert ends(capsys, *SMALL, "--verilog", str(path)) == (2, f"sim.prove: error: {path}: there is no such file")
    path.write_bytes(b"//\n\xff\n")
    assert ends(capsys, *SMALL, "--verilog", str(path)) == (
        2, f"sim.prove: error: {path}, line 2: must be text in UTF-8"
    )  # fmt: skip
    assert ends(capsys, "--verilog", str(path)) == (2, "sim.prove: error: --verilog must be given with --design only")
    for more in (("--fresh",), ("--jobs", "1")):
        assert ends(capsys, *SMALL, "--verilog", str(path), *more) == (
            2, f"sim.prove: error: {more[0]} must be given with what is generated (no --verilog) only"
        )  # fmt: skip


def test_a_tool_that_is_killed_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> MacProof:
        raise ToolError("sim.simulators.netlist_worker was killed")

    monkeypatch.setattr(prove, "prove_mac", killed)
    path = tmp_path / "mine.v"
    path.write_text("module m ();\nendmodule\n")
    assert ends(capsys, *SMALL, "--verilog", str(path)) == (
        2, f"sim.prove: error: {path}: sim.simulators.netlist_worker was killed"
    )  # fmt: skip


def test_units_of_every_kind_and_number_of_bits_are_in_the_standard_list() -> None:
    units = standard_units()
    assert len(units) > 100
    for kind in (ThresholdSpec, MultiplierSpec):
        mine = [unit for unit in units if isinstance(unit, kind)]
        assert {unit.bits for unit in mine} == set(range(1, 9))
        assert {unit.pipeline_stages for unit in mine} == {0, 1, 2}
    assert {type(unit) for unit in units} == {ThresholdSpec, MultiplierSpec, PartialSumSpec}


def test_the_controllers_of_an_array_are_proved_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = [*SMALL, "--array", "2x1", "--drains", "1"]
    prove.main([*array, "--out", str(tmp_path / "array.json")])
    said = capsys.readouterr().out
    steps = "a reset ends a run, and so does a stop, whatever was before; a launch begins the loop, whatever was before"
    assert f"operand_controller: {steps}; the registers stay those of the model" in said
    record = json.loads((tmp_path / "array.json").read_text())
    (proved,) = record["proved"]
    assert (proved["design"], proved["claims"]) == ("broadcast", 19)
    assert re.search(r"^proved: broadcast_2x1_\w+, Verilog [0-9a-f]{12}\.", said, re.MULTILINE)
    main(["--design", *SMALL[1:], "--array", "2x1", "--drains", "1", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("*.v")
    prove.main([*array, "--verilog", str(path)])
    said = capsys.readouterr().out
    assert f"all but its controllers is the generated netlist: {path}" in said
    verilog = path.read_text()
    path.write_text(verilog.replace("& ~hold", "& hold"))
    name = next(line for line in verilog.splitlines() if re.match(r"module \w+_operand_controller", line)).split()[1]
    line = verilog[: verilog.index(f"module {name}")].count("\n") + 1
    assert ends(capsys, *array, "--verilog", str(path)) == (1, (
        f"sim.prove: {path}: {name} (line {line}): {path.stem}, operand controller: this does not hold: the registers "
        "stay those of the model"
    ))  # fmt: skip
    with pytest.raises(InputError, match=r"^--drains must be given with --array only$"):
        prove.main([*SMALL, "--drains", "2"])


def test_arrays_of_every_design_and_architecture_are_in_the_standard_list() -> None:
    arrays = standard_arrays()
    for architecture in Architecture:
        mine = [array for array in arrays if array.architecture is architecture]
        assert {type(array.mac) for array in mine} == set(DESIGNS)
        assert {type(array.requant) for array in mine} == {type(None), ThresholdSpec, MultiplierSpec}
    assert {array.drains for array in arrays} == {1, 2, 3, 4, 5}
    assert max(array.result_depth for array in arrays) == 1 << 16
