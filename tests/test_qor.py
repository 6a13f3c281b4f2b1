"""The benchmark of areas: plain RTL has the function of ours, figures survive, bad input is one line."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console

from docs_tools.results import read_result
from hwmodel.library import find_library
from rtl.mac import UniformSpec
from rtl.verilog import numbered_verilog
from siliquant.commandline.cli import run
from tests.scripts import script

ROOT = Path(__file__).resolve().parents[1]
SMALL = UniformSpec(weight_bits=5, activation_bits=4, lanes=3, reduction_length=6)
BENCH = """
module bench;
  reg clk = 0, rst = 1, in_valid = 0, clear = 1, activation_signed = 0;
  reg [14:0] weights = 0;
  reg [11:0] activations = 0;
  wire valid_a, valid_b;
  wire [{top}:0] sum_a, sum_b;
  integer step, differing = 0, sums = 0;
  {ours} a(.clk(clk), .rst(rst), .in_valid(in_valid), .clear(clear), .weights(weights), .activations(activations),
    .activation_signed(activation_signed), .out_valid(valid_a), .accumulator(sum_a));
  plain b(.clk(clk), .rst(rst), .in_valid(in_valid), .clear(clear), .weights(weights), .activations(activations),
    .activation_signed(activation_signed), .out_valid(valid_b), .accumulator(sum_b));
  initial begin
    for (step = 0; step < 4000; step = step + 1) begin
      in_valid = step > 3 && $random % 3 != 0;
      clear = step < 9 || $random % 2 == 0;
      weights = $random; activations = $random; activation_signed = $random;
      #1 clk = 1; #1;
      if (step > 9 && (valid_a !== valid_b || sum_a !== sum_b)) differing = differing + 1;
      if (step > 9 && sum_b !== 0) sums = sums + 1;
      rst = 0; clk = 0;
    end
    $display("%0d %0d", differing, sums > 1000);
  end
endmodule
"""


@pytest.fixture(scope="module")
def qor() -> ModuleType:
    return script("benchmarks/qor.py")


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_plain_rtl_computes_what_the_design_does_in_every_cycle(qor: ModuleType, tmp_path: Path) -> None:
    plain = qor.plain_rtl(SMALL)
    assert _simulated(plain, tmp_path) == "0 1"
    for wanted, other in (("if (valid_q0)", ""), ("clear_q ?", "0 ?"), ("activation_signed_q &", "")):
        assert wanted in plain
        assert _simulated(plain.replace(wanted, other), tmp_path)[:2] != "0 "


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_front_ends_keep_the_function(qor: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "adders.v").write_text(qor.ADDERS)
    (tmp_path / "plain.v").write_text(qor.plain_rtl(SMALL))
    for front in sorted({front for front, _ in qor.STRONG}):
        commands = ["read_verilog plain.v", *front.split("; "), "techmap", "write_verilog -noattr made.v"]
        qor._yosys(tmp_path, *commands)
        made = (tmp_path / "made.v").read_text()
        assert ("siliquant_full_adder" in made) is ("adders.v" in front)
        assert _simulated(made, tmp_path) == "0 1"


def _simulated(plain: str, folder: Path) -> str:
    """How many cycles differ, and whether there were sums at all."""
    bench = BENCH.format(ours=SMALL.name, top=SMALL.accumulator_width - 1)
    (folder / "all.v").write_text(numbered_verilog([SMALL]) + plain + bench)
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", "all.vvp", "all.v"], cwd=folder, check=True)
    return subprocess.run(["vvp", "all.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_strong_flow_is_smaller_than_the_default_one_and_has_its_clock_gates(qor: ModuleType) -> None:
    library = find_library()
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=1, reduction_length=16)
    row = qor.against_plain(spec, library, qor.Known(None, library, lambda _: None))
    assert row["ours"]["area_um2"] < row["strong"]["area_um2"] < row["weak"]["area_um2"]
    assert row["ratio"] == row["ours"]["area_um2"] / row["strong"]["area_um2"]
    assert row["strong"]["way"].startswith("synth -flatten -booth")
    assert row["strong"]["minimum_period_ns"] is None or row["strong"]["minimum_period_ns"] > 0


class Killed(BaseException):
    """As if the process had ended."""


def test_a_run_goes_on_where_it_ended(qor: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[str] = []
    limit = [3]

    def flow(workspace: SimpleNamespace, period_ns: float) -> object:
        if len(made) == limit[0]:
            raise Killed
        made.append(workspace.name)
        return qor.Figure(100.0 + len(made), None, "a recipe")

    class Place(SimpleNamespace):
        def __init__(self, verilog: str, name: str, library: object) -> None:
            super().__init__(name=name)

        def __enter__(self) -> Place:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(qor, "Workspace", Place)
    monkeypatch.setattr(qor, "our_flow", flow)
    path = tmp_path / "figures.json"
    given = ["--only", "units,clock", "--out", str(path)]
    with pytest.raises(Killed):
        qor.main(given)
    assert len(json.loads(path.read_text())["known"]) == 3
    limit[0] = 1000
    qor.main(given)
    whole = path.read_text()
    data = json.loads(whole)
    assert len(made) == len(data["known"]) > 20  # none was made twice
    assert [row["design"] for row in data["units"]] == [spec.name for spec in qor.UNITS]
    assert data["units"][0]["ours"] == {"area_um2": 101.0, "minimum_period_ns": None, "way": "a recipe"}
    qor.main(given)
    assert path.read_text() == whole


@pytest.mark.parametrize("text", ["{}", "[]", '{"known": {"a": [1]}}', '{"known": {"a": ["x", 1, "y"]}}',
                                  '{"known": {"a": [-1, null, "y"]}}', '{"known": 3}'])  # fmt: skip
def test_a_file_of_something_else_is_kept_and_named(
    text: str, qor: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    assert _refused(qor, capsys, "--only", "units", "--out", str(path)) == (
        f"benchmarks/qor.py: error: {path} must hold figures of benchmarks/qor.py under known, or not be there\n"
    )
    assert path.read_text() == text


def test_parts_are_named(qor: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("plain,area", "", "mac,mac"):
        assert _refused(qor, capsys, "--only", text) == (
            "benchmarks/qor.py: error: only must be different ones of plain, mac, units, clock between commas, "
            f"not {text!r}\n"
        )


def test_clocks_are_of_a_library(qor: ModuleType) -> None:
    other = SimpleNamespace(name="other")
    assert qor.parts_of(SimpleNamespace(only=None), other) == ["plain", "mac", "units"]
    assert qor.parts_of(SimpleNamespace(only=None), find_library()) == list(qor.PARTS)
    message = "only must be without clock for other: there are periods for freepdk45, sky130hd"
    with pytest.raises(ValueError, match=f"^{message}$"):
        qor.parts_of(SimpleNamespace(only="clock"), other)


def test_what_is_kept_can_be_printed_with_its_goals(qor: ModuleType) -> None:
    values = dict(read_result("qor-freepdk45")) | {"geomean": 0.6201}
    console = Console(width=200)
    with console.capture() as captured:
        for each in qor.tables(values):
            console.print(each)
    said = captured.get()
    assert "ours / strong: 0.620, goal at most 0.62: missed" in said
    assert "2,101" in said
    values["geomean"] = 0.62
    assert "geometric mean, ours / strong: 0.620, goal at most 0.62: met" in list(qor.tables(values))


def _refused(qor: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run("benchmarks/qor.py", lambda: qor.main(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err
