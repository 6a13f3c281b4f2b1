"""The report as a whole: its page and files, what it says where something is missing, and what it refuses."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import reports.page.assembly
from hwmodel.comparison.comparison import Row
from hwmodel.comparison.tables import write_tables
from hwmodel.measurement.store import RowStore, write_packaged
from hwmodel.model.file import load_model
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.workload import default_sensitivity
from reports import render
from reports.charts.style import Chart
from reports.inputs import (
    PACKAGED_ACCURACY,
    PACKAGED_EQUIVALENCE,
    packaged_oscillations,
    read_accuracies,
    read_equivalence,
    read_oscillation,
    read_rows,
)
from reports.numbers.designs import subjects
from reports.numbers.validation import Library
from reports.page.assembly import Inputs, assemble, computed_rows
from siliquant.commandline.cli import run

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "tests" / "hwmodel" / "inference" / "equivalence_vit_mnist.json"
METRICS = ROOT / "tests" / "reports" / "vit-mnist-w2a2-all" / "metrics.csv"
SENSITIVITY = ROOT / "hwmodel" / "data" / "sensitivity.json"
MakeRows = Callable[..., tuple[Row, ...]]
RATIOS = {4: {"loom": (1.5, 2.0, 0.75, 0.5), "bitserial": (3.0, 1.25, 4.0, 3.0)}}


@pytest.fixture(scope="module", autouse=True)
def one_library(made_library: Library) -> Iterator[None]:
    """Every calibration point of the package would take a minute on a machine that never looked at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.page.assembly, "libraries", lambda: (made_library,))
        yield


class Page(HTMLParser):
    """What of a page can be counted."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_page_needs_nothing_from_elsewhere(everything: Path) -> None:
    text = (everything / "index.html").read_text()
    assert not re.search(r"https?://|url\((?!#|data:)|@import", text)
    page = Page(text)
    for _, attributes in page.tags:
        for name in ("src", "href", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or (everything / value).is_file(), value
    assert not page.all("link") + page.all("img")
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")


def test_the_page_is_accessible(everything: Path) -> None:
    page = Page((everything / "index.html").read_text())
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        target = attributes["href"] or ""
        assert not target.startswith("#") or target[1:] in ids
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1
    assert page.all("a")[0]["class"] == "skip"
    headers = page.all("th")
    assert all(header.get("scope") in ("col", "row", "colgroup") for header in headers)
    assert all(header.get("aria-sort") == "none" for header in headers if header["scope"] == "col")
    assert len(page.all("table")) == len(page.all("caption"))
    for attributes in page.all("svg"):
        assert attributes["aria-labelledby"] in ids


def test_every_section_is_there(everything: Path) -> None:
    text = (everything / "index.html").read_text()
    names = [attributes["id"] for attributes in Page(text).all("section")]
    assert names == [
        "hardware", "area", "power", "clock", "requantisation", "inference", "accuracy", "model", "bit-exactness",
        "oscillation", "sensitivity",
    ]  # fmt: skip
    assert "is left out" not in text
    assert "Published, not ours: Huang et al." in text
    assert "own runs: vit-mnist on mnist5k" in text
    assert "compare.json, sha256 " in text


def test_what_was_given_is_escaped(everything: Path) -> None:
    text = (everything / "index.html").read_text()
    assert "&lt;all&gt; &amp; more" in text
    assert "<all>" not in text
    assert r"\textless{}all\textgreater{} \& more" in (everything / "tables" / "own-runs.tex").read_text()


def test_every_figure_has_its_files_and_every_table_its_forms(everything: Path) -> None:
    page = Page((everything / "index.html").read_text())
    figures = [(attributes["id"] or "").removeprefix("figure-") for attributes in page.all("figure")]
    assert len(figures) == 13
    for name in figures:
        for form in ("svg", "png", "pdf"):
            assert (everything / "figures" / f"{name}.{form}").stat().st_size > 1000
    for attributes in page.all("table"):
        for form in ("csv", "md", "tex"):
            assert (everything / "tables" / f"{attributes['id']}.{form}").is_file()
    hardware = (everything / "tables" / "hardware-4-bits.csv").read_text().splitlines()
    assert hardware[0].startswith("design,runs_as,area_um2_per_unit,power_uw_per_unit,")
    assert [line.split(",")[0] for line in hardware[1:]] == ["uniform 4x4", "loom 8"]


def test_sources_name_command_library_tools_and_date(everything: Path) -> None:
    text = re.sub(r"<[^>]*>", "", (everything / "index.html").read_text())
    line = next(line for line in text.splitlines() if line.startswith("Source: python -m hwmodel.compare"))
    assert re.fullmatch(
        r"Source: python -m hwmodel\.compare --bits 4 · freepdk45, typical, 1\.10 V, 25\.00 C, 500 MHz · "
        r"Yosys \S+, OpenSTA \S+, siliquant \S+ · \d{4}-\d\d-\d\d · compare\.json, sha256 [0-9a-f]{12}",
        line,
    )


def changed(compared: Path, path: Path, **changes: Any) -> Path:
    """The comparison with other fields, in another file."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([row | changes for row in json.loads(compared.read_text())]))
    return path


def given(rows: tuple[Row, ...], **changes: Any) -> Inputs:
    """Rows with records of the package."""
    return Inputs(
        rows=rows,
        equivalence=(read_equivalence(PACKAGED_EQUIVALENCE), ""),
        accuracy=read_accuracies(PACKAGED_ACCURACY),
        oscillation=(tuple(map(read_oscillation, packaged_oscillations())), ""),
        sensitivity=(default_sensitivity(), ""),
        **changes,
    )


def of_package(means: list[int]) -> tuple[Row, ...]:
    return computed_rows(load_model("freepdk45"), 500.0, means)


def test_a_network_of_ones_own_is_named_after_its_file(tmp_path: Path) -> None:
    own = tmp_path / "my net.csv"
    own.write_text("name,m,k,n,count\nquery,17,96,96,1\nfc1,17,96,384,1\nclassifier,1,96,10,1\n")
    found = assemble(given(of_package([2]), workload=str(own)))
    (chart,) = (chart for chart in found.charts() if chart.name == "gemms")
    assert "Energy of one inference of my net by what its GEMMs do" in chart.caption
    assert chart.source.command == "python -m hwmodel.compare --bits 2 --model 'my net.csv'"


def test_records_of_the_package_are_shown_where_none_are_given() -> None:
    found = assemble(given(of_package([2]), workload="vit-mnist"))
    assert found.missing == ()
    text = {section.name: section for section in found.sections}
    assert text["bit-exactness"].paragraphs == (
        (
            "Bit-exact: 2,485,040 accumulators and 783,360 requantised codes of 20 samples through 50 GEMMs equal "
            "PyTorch's."
        ),
        "Of 20 samples 19 are predicted right.",
    )
    oscillation = text["oscillation"].blocks[0]
    assert isinstance(oscillation, Chart)
    assert "plain-lsq from 5.7 % to 2.2 %" in oscillation.alt
    own = next(table for table in found.tables() if table.name == "own-runs")
    assert [(row[0], row[3], round(float(row[7] or 0), 2)) for row in own.rows][:4] == [
        ("full precision", 32, 97.8), ("plain LSQ", 2, 95.4), ("LSQ, our starts and steps", 2, 96.14),
        ("all three", 2, 96.28),
    ]  # fmt: skip


def test_where_nothing_is_mixed_it_is_said() -> None:
    """MACs mix 1, 2 and 4 bits at a mean of 2; a network has no codes of 1 bit there, and mixes nothing."""
    found = assemble(given(of_package([2]), workload="vit-mnist"))
    assert found.headline == "At equal throughput one bit-width costs less area and energy than a mix of the same mean"
    assert found.answer[2].endswith("at least as fast: at 2 bits nothing is mixed.")
    alone = [replace(row, mixture="2b:1", run_as="2b:1") for row in of_package([2])]
    found = assemble(given(tuple(alone), workload="vit-mnist"))
    assert found.headline == (
        "At equal throughput a MAC of one bit-width costs less area and energy than one that can switch precision"
    )
    assert (
        found.sections[0]
        .paragraphs[0]
        .endswith("At a mean of 2 bits nothing is mixed: the choice is paid for and not used.")
    )
    assert found.answer[0].endswith("At 2 bits nothing is mixed: there the designs could switch, and do not.")
    assert found.answer[2].endswith("at least as fast: at 2 bits nothing is mixed.")


def test_without_a_cost_model_its_sections_are_left_out_and_the_same_input_gives_the_same_bytes(
    compared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, found = changed(compared, tmp_path / "compare.json", library="other"), []
    for name in ("one", "two"):
        render.main(["--out", str(tmp_path / name), "--compare", str(path)])
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        found.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert found[0] == found[1]
    lines = capsys.readouterr().out.splitlines()[:6]
    assert lines == [
        "Area by part is left out: other has no cost model.",
        "Power by cause is left out: other has no cost model.",
        "Area against clock period is left out: other has no cost model.",
        "Requantisation is left out: other has no cost model.",
        "One inference of DeiT-T is left out: other has no cost model.",
        "Accuracy against energy is left out: other has no cost model.",
    ]
    text = found[0][Path("index.html")].decode()
    assert all(line in re.sub(r"</?span[^>]*>", "", text) for line in lines)
    assert '<span class="option">--synthesise</span>' in text


def test_parts_of_measured_rows_are_those_of_their_synthesis(compared: Path, tmp_path: Path) -> None:
    """Written where hwmodel.compare writes them; without them, no parts."""
    made, pattern = [], next(RowStore(tmp_path).rows())
    for number, subject in enumerate(subjects(read_rows(compared))):
        made += [
            replace(
                pattern, design=subject.spec.design, spec=subject.spec.parameters, library="freepdk45", clock_mhz=500.0,
                recipe="made", activity=str(StreamPlan(precision)), toggles="glitch-aware",
                verilog_sha256=f"{number:064}", leakage_uw=1.0, clock_uw=2.0, settled_uw=3.0, power_uw=10.0,
            )
            for precision in subject.spec.precisions
        ]  # fmt: skip
    path = tmp_path / "compare.json"
    write_tables([replace(row, source="made") for row in read_rows(compared)], tmp_path)
    alone = assemble(given(read_rows(path), compare=path, workload="vit-mnist"))
    assert [missing.line for missing in alone.missing][:2] == [
        f"{title} is left out: the rows of synthesis (rows/*.jsonl) are not beside the comparison."
        for title in ("Area by part", "Power by cause")
    ]
    assert alone.note == "All these numbers were measured on synthesised netlists."
    write_packaged(made, tmp_path / "rows")
    beside = assemble(given(read_rows(path), compare=path, workload="vit-mnist"))
    (chart,) = next(section for section in beside.sections if section.name == "area").blocks
    assert isinstance(chart, Chart)
    assert chart.caption.endswith("Parts are those of the netlists: full and half adders are compressors, all other "
                                  "gates are gates.")  # fmt: skip
    assert chart.source.tools["yosys"] == pattern.tools["yosys"]
    (chart,) = next(section for section in beside.sections if section.name == "power").blocks
    assert chart.title == "Glitches take the largest share of a product's energy in 2 of 2 cases"
    assert chart.source.command == "python -m hwmodel.compare --bits 4 --synthesise"


def test_rows_of_another_version_lose_what_is_asked_of_their_designs(made_rows: MakeRows) -> None:
    rows = made_rows({4: {"loom 8": (1.5, 2.0, 0.75, 0.5), "bitserial 8": (3.0, 1.25, 4.0, 3.0)}})
    found = assemble(given(tuple(replace(row, library="freepdk45") for row in rows)))
    said = "uniform 4x4 at 4 bits must be uniform_w4_a4_l4, as this version makes it, not uniform_w4"
    assert [missing.line for missing in found.missing][:3] == [
        f"{title} is left out: {said}." for title in ("Area by part", "Power by cause", "Area against clock period")
    ]


def test_other_numbers_say_something_else(made_rows: MakeRows) -> None:
    """Of a comparison with the opposite numbers, everything says the opposite."""
    losing, winning = (assemble(given(made_rows({4: {"loom": (ratio, ratio, ratio, ratio)}}))) for ratio in (2.0, 0.5))
    assert losing.headline == "At equal throughput one bit-width costs less area and energy than a mix of the same mean"
    assert winning.headline == (
        "At equal throughput a mix of bit-widths costs less area and energy than one of the same mean"
    )
    assert [chart.title for chart in losing.charts()][:3] == [
        "At equal throughput, no precision-scalable design costs less area or energy than the uniform MAC",
        "The uniform MAC takes less area and less energy than every other design at 4 bits",
        "Unit for unit, no precision-scalable design costs less area or power than the uniform MAC",
    ]
    assert [chart.title for chart in winning.charts()][:3] == [
        "At equal throughput, every precision-scalable design costs less area and energy than the uniform MAC",
        "No design beats in both area and energy loom at 4 bits",
        "Unit for unit, every precision-scalable design costs less area and power than the uniform MAC",
    ]
    assert "area from 2.00 times (loom at 4 bits)" in losing.charts()[0].alt
    assert "area from 0.50 times (loom at 4 bits)" in winning.charts()[0].alt


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bits", "2,9"], "bits must be an integer from 2 to 8, not '9'"),
        (["--clock-mhz", "0"], "clock_mhz must be a number from 0.001 to 1e+06, not '0'"),
        (["--model", "lenet"], "model must be one of bert-base-128, "),
        (["--library", "none"], "library must be one with a cost model ("),
        (["--accuracy", str(RECORD)], f"{RECORD} must be a file of accuracies: its format must be "),
        (["--equivalence", str(SENSITIVITY)],
         f"{SENSITIVITY} must be a record of sim.equivalence --out: it lacks array"),
        (["--sensitivity", str(METRICS)], f"{METRICS} must be a sensitivity table: "),
        (["--compare", str(RECORD)], f"{RECORD} must be compare.json or compare.csv of hwmodel.compare: "),
        (["--compare", "nowhere.json"], "nowhere.json: there is no such file"),
        (["--oscillation", str(METRICS), "--oscillation", str(METRICS)],
         "oscillation must be of runs in folders with different names, not vit-mnist-w2a2-all, vit-mnist-w2a2-all"),
        (["--nothing"], "unrecognized arguments: --nothing"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(render.PROG, lambda: render.main(["--out", str(tmp_path / "out"), *options]))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"reports.render: error: {said}")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_options_must_agree_with_the_file(compared: Path, tmp_path: Path) -> None:
    for option, value, said in (
        ("--bits", "2", f"bits must be 4, as {compared} has it, not 2"),
        ("--clock-mhz", "400", f"clock_mhz must be 500, as {compared} has it, not 400"),
        ("--library", "sky130hd", f"library must be freepdk45, as {compared} has it, not sky130hd"),
    ):
        with pytest.raises(ValueError) as caught:
            render.main(["--out", str(tmp_path), "--compare", str(compared), option, value])
        assert str(caught.value) == said


def test_help_fits_a_screen_and_shows_the_defaults() -> None:
    text = render.parser().format_help()
    assert len(text.splitlines()) <= 45
    assert text.count("default") >= 5


@pytest.mark.slow
def test_the_report_of_the_packaged_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the README, with the calibration points of the package."""
    from reports.numbers.validation import libraries, library_names

    monkeypatch.setattr(reports.page.assembly, "libraries", libraries)
    render.main(["--out", str(tmp_path)])
    assert "is left out" not in capsys.readouterr().out
    text = (tmp_path / "index.html").read_text()
    for name in library_names():
        assert f'<figure id="figure-model-{name}">' in text
    assert 'id="hardware-2-bits"' in text
    assert text.count('<details class="figure">') == len(library_names()) - 1
    assert len(text.encode()) < 1_500_000
