"""The demonstration: its energy by hand, its page, what it refuses, and all of it once, small."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hwmodel.measurement.store import RowStore
from reports import demo, silicon
from reports.demonstration.figures import Accuracy, Block, Figures, Simulated, energy
from reports.demonstration.page import html, notes, screen, sections
from reports.values.steps import Command, Step
from rtl.array import Architecture, ArraySpec
from rtl.mac import UniformSpec, XnorSpec
from rtl.requant import MultiplierSpec, ThresholdSpec
from siliquant.commandline.cli import run
from siliquant.commandline.commands import COMMANDS

WORK = Simulated(
    images=2, predicted_right=1, gemms=3, macs=600, operand_cycles=100, run_cycles=150, load_cycles=50,
    accumulators=90, equal_accumulators=90, codes=40, equal_codes=40, code_cycles=70,
)  # fmt: skip
ELEMENT = Block(
    name="mac", count=4, area_um2=100.5, minimum_period_ns=1.5, meets_clock=True, power_uw=10.0, idle_uw=4.0,
    activity="uniform", toggles="glitch-aware", recipe="plain", verilog_sha256="0" * 64,
)  # fmt: skip
REQUANTISER = replace(ELEMENT, name="requant", count=2, area_um2=30.25, power_uw=6.0, idle_uw=3.0)
ACCURACY = Accuracy(score=0.9, low=0.85, high=0.95, samples=1000, epochs=3)
FIGURES = Figures(
    network="vit-mnist", bits=4, full_precision=ACCURACY, quantised=replace(ACCURACY, score=0.8765),
    agreement="100 of 100 predictions equal; 0 of 5 codes differ", array="array", architecture="systolic", rows=2,
    columns=2, lanes=2, macs_per_cycle=8, drain_bits=17, operand_bits=33, verilog_file="silicon/array.v",
    verilog_lines=1234, verilog_sha256="1" * 64, simulated=WORK, element=ELEMENT, requantiser=REQUANTISER,
    library="freepdk45", corner="typical", clock_mhz=500.0,
    commands=tuple(Command(name=name, text=f"python -m {name}", seconds=1.0, answer="done")
                   for name in ("train", "quantise", "export", "simulate", "synthesise")),
    versions={"yosys": "0.70"}, date="2026-01-02T03:04+00:00",
)  # fmt: skip
NO_POWER = {"minimum_period_ns": None, "meets_clock": None, "power_uw": None, "idle_uw": None, "activity": None}


def shown(figures: Figures) -> str:
    return "\n".join(line.value for section in sections(figures) for line in section.lines)


# Numbers.


def test_energy_is_what_it_is_by_hand() -> None:
    """At 500 MHz a microwatt is 1/500 pJ a cycle."""
    found = energy(WORK, ELEMENT, REQUANTISER, 500.0)
    assert found is not None
    assert found.elements_pj == pytest.approx((100 * 40 + 50 * 16) / 500)  # 4 x 10 uW busy, 4 x 4 uW idle
    assert found.requantisers_pj == pytest.approx((40 * 6 + (2 * 150 - 40) * 3) / 500)
    assert found.loads_pj == pytest.approx(50 * (16 + 6) / 500)
    assert found.total_pj == pytest.approx(9.6 + 2.04 + 2.2)


def test_what_follows_is_per_image() -> None:
    spent = FIGURES.energy_per_image
    assert spent is not None
    assert spent.total_pj == pytest.approx(6.92)
    assert FIGURES.energy_pj_per_mac == pytest.approx(13.84 / 600)
    assert FIGURES.utilisation == pytest.approx(600 / (150 * 8))
    assert FIGURES.utilisation_with_loads == pytest.approx(600 / (200 * 8))
    assert (FIGURES.time_us_per_image, FIGURES.time_us_per_image_with_loads) == (0.15, 0.2)
    assert FIGURES.area_um2 == 4 * 100.5 + 2 * 30.25
    assert FIGURES.power_uw == 52


def test_the_json_has_every_field_and_what_follows() -> None:
    data = json.loads(FIGURES.to_json())
    derived = data.pop("derived")
    assert data == json.loads(json.dumps(asdict(FIGURES)))
    assert derived["energy_pj_per_image"]["total_pj"] == pytest.approx(6.92)
    assert derived["utilisation"] == 0.5
    assert derived["macs_per_image"] == 300


def test_block_of_a_committed_row() -> None:
    row = next(row for row in RowStore().rows() if row.activity and row.design == "uniform")
    assert row.clock_uw is not None
    assert row.leakage_uw is not None
    found = Block.of("mac", 3, replace(row, activity=None), row)
    assert found.total_area_um2 == 3 * row.area_um2
    assert found.idle_uw == row.idle_uw
    assert found.activity == row.activity
    bare = replace(row, minimum_period_ns=None, meets_clock=None, power_uw=None, clock_uw=None, leakage_uw=None)
    assert Block.of("mac", 3, bare, bare).total_power_uw is None


# Page and screen.


def test_without_opensta_they_say_so_instead_of_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    bare = replace(FIGURES, element=replace(ELEMENT, **NO_POWER), requantiser=replace(REQUANTISER, **NO_POWER))
    assert bare.energy is None
    assert json.loads(bare.to_json())["derived"]["energy_pj_per_image"] is None
    screen(bare, Path("out"))
    for text in (capsys.readouterr().out, html(bare)):
        assert "OpenSTA is not installed" in text
        assert not re.search(r"\d (mW|uW|nJ|pJ)", text)
        assert "402 um2" in text


def test_mismatches_are_what_was_compared_and_not_equal() -> None:
    """In the real demonstration the first one ends it; the page counts all the same."""
    assert FIGURES.mismatches == 0
    assert "3 epochs" in shown(FIGURES)
    assert "90 in 3 GEMMs equal PyTorch's, 0 mismatches" in shown(FIGURES)
    assert "40 equal PyTorch's, 0 mismatches" in shown(FIGURES)
    wrong = replace(FIGURES, simulated=replace(WORK, equal_accumulators=88, equal_codes=39))
    assert (wrong.mismatches, json.loads(wrong.to_json())["derived"]["mismatches"]) == (3, 3)
    for text in (shown(wrong), References(html(wrong)).text):
        assert "88 in 3 GEMMs equal PyTorch's, 2 mismatches" in text
        assert "39 equal PyTorch's, 1 mismatch" in text
        assert "1 mismatches" not in text


def test_a_missed_clock_is_said() -> None:
    assert "misses the clock" not in shown(FIGURES)
    assert "misses the clock" in shown(replace(FIGURES, element=replace(ELEMENT, meets_clock=False)))


@pytest.mark.parametrize(
    ("architecture", "words"),
    [("systolic", "the drain register of each element, 17 bits"), ("broadcast", "33 bits of operand registers")],
)
def test_notes_say_what_an_element_has_beside_the_mac(architecture: str, words: str) -> None:
    assert words in " ".join(notes(replace(FIGURES, architecture=architecture)))


def test_the_screen_fits(capsys: pytest.CaptureFixture[str]) -> None:
    million = replace(
        WORK, macs=10**12, run_cycles=10**10, operand_cycles=10**10, load_cycles=10**10, accumulators=10**10,
        equal_accumulators=10**10, codes=10**9, equal_codes=10**9,
    )  # fmt: skip
    screen(replace(FIGURES, simulated=million), Path("build/demo"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100


class References(HTMLParser):
    """Tags, and where attributes point."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            elif name in ("src", "href", "srcset", "action", "data", "background"):
                self.targets.add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(text: str, figures: Figures) -> None:
    """One file that needs no other, with every line of the screen on it."""
    page = References(text)
    assert page.targets == {f"#{line.source}" for section in sections(figures) for line in section.lines}
    assert {target[1:] for target in page.targets} <= page.ids
    assert not page.tags & {"script", "link", "img", "iframe", "object", "base"}
    assert not re.search(r"https?:|url\(|@import", text)
    for section in sections(figures):
        for line in section.lines:
            assert line.value in page.text
    for command in figures.commands:
        assert command.text in page.text


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = html(FIGURES)
    check_page(text, FIGURES)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_page_escapes_what_commands_said() -> None:
    text = html(replace(FIGURES, agreement="<script>alert(1)</script> & more"))
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text


# Command lines.


@pytest.mark.parametrize("settings", [demo.Settings(), demo.Settings(limit=64, rows=4, columns=2, bits=2)])
def test_the_commands_of_the_steps_are_taken_by_their_command_lines(settings: demo.Settings) -> None:
    parsers = {command.module: command.make_parser for command in COMMANDS} | {silicon.PROG: silicon.parser}
    given = {step.name: parsers[step.module]().parse_args(step.arguments) for step in demo.steps(settings)}
    assert given["quantise"].start == given["train"].out
    assert given["export"].checkpoint == given["quantise"].out
    assert given["simulate"].checkpoint == given["export"].out
    assert given["simulate"].array == f"{settings.rows}x{settings.columns}"
    assert (given["export"].samples, given["simulate"].samples) == (settings.export_samples, settings.samples)
    assert given["synthesise"].equivalence == given["simulate"].out


def test_training_has_the_threads_that_are_asked_for() -> None:
    """Both runs, since their number decides the numbers; and they are 2 unless asked for."""
    for settings, threads in ((demo.Settings(), "2"), (demo.Settings(threads=3), "3")):
        arguments = {step.name: step.arguments for step in demo.steps(settings)}
        for name in ("train", "quantise"):
            place = arguments[name].index("--threads")
            assert arguments[name][place + 1] == threads


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bits", "5"], "bits must be an integer from 2 to 4, not 5"),
        (["--samples", "0"], "samples must be an integer from 1 to 1000, not 0"),
        (["--export-samples", "0"], "export_samples must be an integer from 1 to 1000, not 0"),
        (["--threads", "0"], "threads must be an integer from 1 to 256, not 0"),
        (["--limit", "10"], "limit must be an integer from 64 to 4000, not 10"),
        (["--array", "8"], "array must be ROWSxCOLUMNS, as in 16x16, not '8'"),
        (["--array", "8xeight"], "array must be ROWSxCOLUMNS, as in 16x16, not '8xeight'"),
        (["--array", "100x8"], "rows must be an integer from 1 to 64, not 100"),
        (["--lanes", "few"], "argument --lanes: invalid int value: 'few'"),
        (["--out", "/dev/null"], "/dev/null: File exists"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(demo.PROG, lambda: demo.main(arguments))
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"reports.demo: error: {words}\n"


def test_a_failing_step_ends_it_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Step(name="train", module="qat.nowhere", arguments=(), outputs=(), packages=("siliquant",))
    monkeypatch.setattr(demo, "steps", lambda settings: (step,))
    with pytest.raises(SystemExit) as ended:
        run(demo.PROG, lambda: demo.main(["--out", str(tmp_path)]))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "1/1 train  python -m qat.nowhere" in said
    assert "No module named qat.nowhere" in said
    assert said.endswith("reports.demo: step train failed with exit code 1\n")


@pytest.mark.parametrize("text", ["no json", "[]", "{}"])
def test_silicon_wants_a_record(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"must be a record of sim\.equivalence --out: "):
        silicon.main(["--equivalence", str(path), "--out", str(tmp_path)])


@pytest.mark.parametrize("architecture", list(Architecture))
def test_the_array_of_a_record_is_the_one_that_was_simulated(architecture: Architecture) -> None:
    mac, requant = UniformSpec(lanes=2, pipeline_stages=1), ThresholdSpec(accumulator_width=32, bits=3, signed=False)
    spec = ArraySpec(mac=mac, rows=2, columns=3, architecture=architecture, requant=requant)
    record = json.loads(json.dumps({"array": spec.name, "spec": spec.parameters, "gemms": []}))
    assert silicon.array_of(record) == spec
    with pytest.raises(ValueError, match=f"the array must be {spec.name}, as its parameters say, not other"):
        silicon.array_of(record | {"array": "other"})
    bare = replace(spec, requant=None)
    other = replace(spec, mac=XnorSpec(lanes=2))
    scaled = replace(spec, requant=MultiplierSpec(accumulator_width=32))
    for array in (bare, other, scaled):
        with pytest.raises(ValueError, match="the array must have uniform MACs and requantisers by thresholds"):
            silicon.array_of(json.loads(json.dumps({"array": array.name, "spec": array.parameters})))


# All of it.


@pytest.mark.slow
def test_a_small_demonstration(tmp_path: Path) -> None:
    """One epoch on 64 images, 2 bits, one image simulated on 4 x 4 elements: every number is that of the commands."""
    out = tmp_path / "demo"
    command = [
        sys.executable, "-m", "reports.demo", "--out", str(out), "--bits", "2", "--epochs", "1", "--bit-epochs", "1",
        "--limit", "64", "--export-samples", "2", "--samples", "1", "--array", "4x4", "--lanes", "4", "--threads", "1",
    ]  # fmt: skip
    # Other tests have the other cores: threads of PyTorch that wait for each other take most of the time then.
    alone_on_a_core = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone_on_a_core)
    assert done.returncode == 0, done.stderr
    data = json.loads((out / "demo.json").read_text())
    source, derived = (out / "demo.html").read_text(), data["derived"]
    page = References(source).text

    for field, folder in (("full_precision", "full-precision"), ("quantised", "w2a2")):
        (last,) = csv.DictReader((out / folder / "metrics.csv").read_text().splitlines())
        accuracy = data[field]
        assert [accuracy[name] for name in ("score", "low", "high")] == [
            float(last[f"test_{name}"]) for name in ("score", "low", "high")
        ]
        assert (accuracy["samples"], accuracy["epochs"]) == (1000, 1)
        percent = f"{100 * accuracy['score']:.2f}"
        said = (out / "logs" / f"{'train' if field == 'full_precision' else 'quantise'}.log").read_text()
        assert f"test accuracy {percent} %" in said
        assert f"{percent}%" in done.stdout
        assert f"{percent}%" in page

    record = json.loads((out / "equivalence.json").read_text())
    assert record["samples"] == data["simulated"]["images"] == 1
    assert data["simulated"]["macs"] == record["macs"]
    cycles = sum(gemm["cycles"] for gemm in record["gemms"])
    loads = sum(gemm["load_cycles"] for gemm in record["gemms"])
    assert f"cycles: {cycles:,} in runs and {loads:,} in loads" in (out / "logs" / "simulate.log").read_text()
    accumulators, codes = (sum(gemm[name] for gemm in record["gemms"]) for name in ("accumulators", "codes"))
    assert accumulators > codes > 0
    assert record["mismatches"] == derived["mismatches"] == 0
    for text in (done.stdout, page):
        assert f"{cycles:,} in runs" in text
        assert f"{loads:,} in loads" in text
        assert f"{accumulators:,} in {len(record['gemms'])} GEMMs equal PyTorch's, 0 mismatches" in text
        assert f"{codes:,} equal PyTorch's, 0 mismatches" in text
    assert derived["time_us_per_image"] == pytest.approx(cycles / 500)
    assert 0.2 < derived["utilisation"] < 1

    agreement = data["agreement"].split(";")[0]
    assert agreement in (out / "logs" / "export.log").read_text()
    assert agreement in page

    made = json.loads((out / "silicon" / "silicon.json").read_text())
    assert made["array"] == record["array"]
    verilog = (out / "silicon" / f"{record['array']}.v").read_text()
    assert f"module {record['array']} (" in verilog
    assert (data["element"]["count"], data["requantiser"]["count"]) == (16, 4)
    assert data["element"] == made["element"]
    assert f"{data['element']['area_um2']:,.1f} um2" in (out / "logs" / "synthesise.log").read_text()
    assert derived["area_um2"] == 16 * data["element"]["area_um2"] + 4 * data["requantiser"]["area_um2"]
    assert f"{derived['area_um2']:,.0f} um2" in done.stdout
    if data["element"]["power_uw"] is not None:
        assert f"{derived['energy_pj_per_image']['total_pj'] / 1e3:,.1f} nJ" in done.stdout

    figures = demo.figures(
        demo.Settings(out=out, bits=2, limit=64), demo.steps(demo.Settings(out=out, bits=2, limit=64)),
        [Command(**command) for command in data["commands"]],
    )  # fmt: skip
    check_page(source, figures)
    assert done.stdout.count("\n") <= 40

    # Again: nothing is done twice, and the numbers are the same.
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stderr.count("done before") == len(data["commands"])
    assert again.stdout == done.stdout
