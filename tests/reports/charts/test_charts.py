"""Figures: parts of a page that follow its colours, ids of their own, the same bytes; and the numbers behind them."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwmodel.comparison import scalable_rows
from hwmodel.comparison.comparison import EQUAL_THROUGHPUT, Row
from hwmodel.measurement.store import RowStore
from hwmodel.model.file import load_model
from reports.charts.errors import draw_errors
from reports.charts.floorplan import draw_floorplans
from reports.charts.front import FrontPanel, FrontPoint, draw_front
from reports.charts.grid import draw_dots, draw_grid
from reports.charts.lines import Line, LinePanel, draw_lines
from reports.charts.output import Rendered, inline, render, text_of
from reports.charts.pareto import draw_pareto, pareto
from reports.charts.ratios import draw_ratios
from reports.charts.stacked import Bar, Panel, draw_stacked
from reports.charts.style import BARS, COLOURS, RC, Chart, Layout, design_mark, spaced, width_mark
from reports.numbers.breakdown import CAUSES, PARTS, by_model, by_rows
from reports.numbers.clocks import curves
from reports.numbers.designs import Subject, subjects
from reports.numbers.inference import Floorplan
from reports.numbers.validation import Library
from reports.page.assembly import computed_rows
from reports.values.font import font_face
from reports.values.provenance import Source
from reports.wording.story import order_of

MakeRows = Callable[..., tuple[Row, ...]]
PANELS = [Panel("2 bits", (Bar("uniform", {"gates": 3.0, "control": 1.0}), Bar("loom", {"gates": 5.0, "other": 2.0})))]
LOOKS = dict(zip(PARTS, BARS, strict=True))
PLANS = tuple(
    Floorplan(
        name=name, rows=rows, columns=4, elements_um2=elements, row_registers_um2=100.0, column_registers_um2=200.0,
        requantisers_um2=400.0, activation_memory_um2=memory, weight_memory_um2=2 * memory, result_memory_um2=memory,
    )
    for name, rows, elements, memory in (("uniform", 4, 1e4, 4e3), ("loom", 2, 3e4, 0.0))
)  # fmt: skip


def chart(name: str, draw: Callable[[Layout], object]) -> Chart:
    return Chart(name, "title", "caption", 'a < b & "c"', Source(), draw)  # type: ignore[arg-type]


def all_charts(rows: tuple[Row, ...], library: Library) -> list[Chart]:
    """One of each kind that needs no cost model."""
    found = scalable_rows(rows, EQUAL_THROUGHPUT)
    points = (FrontPoint("A", "2", 1.0, 60.0), FrontPoint("A", "4", 2.0, 70.0))
    own = (FrontPoint("$a_b", "2", 1.0, 60.0, (55.0, 65.0)),)
    lines = tuple(Line(name, (1, 2), (0.1, 0.2)) for name in ("plain", "all"))
    all_rows = [row for row in rows if row.normalisation == EQUAL_THROUGHPUT]
    return [
        chart("ratios", lambda layout: draw_ratios(found, order_of(rows), layout)),
        chart("stacked", lambda layout: draw_stacked(PANELS, LOOKS, "area, µm²", layout)),
        chart("errors", lambda layout: draw_errors(library.quantities, layout)),
        chart("front", lambda layout: draw_front([FrontPanel("p", points, (1.5,), "m"), FrontPanel("o", own)], layout)),
        chart("lines", lambda layout: draw_lines([LinePanel("epoch", "%", lines)], layout)),
        chart("logarithmic", lambda layout: draw_lines([LinePanel("epoch", "%", lines, log=True)] * 2, layout)),
        chart("pareto", lambda layout: draw_pareto(all_rows, layout)),
        chart("floorplans", lambda layout: draw_floorplans(PLANS, layout)),
        chart("dots", lambda layout: draw_dots([("value", 4.0), ("query", 1.0)], "sensitivity", layout)),
        chart("grid", lambda layout: draw_grid({("v", None): 1.0, ("v", 0): 0.5, ("q", 1): 0.0}, "s", 2, layout)),
    ]


@pytest.fixture(scope="module")
def drawn(made_rows: MakeRows, made_library: Library) -> dict[str, Rendered]:
    rows = made_rows({2: {"loom": (1.5, 2.0, 0.7, 0.5)}, 4: {"loom": (0.5, 1.0, 0.7, 0.5)}})
    return {each.name: render(each) for each in all_charts(rows, made_library)}


def test_figures_are_parts_of_a_page(drawn: dict[str, Rendered]) -> None:
    """Well-formed, named for those who do not see them, in the page's colours and font, and at home anywhere."""
    ids: list[str] = []
    for name, found in drawn.items():
        for svg, layout in ((found.wide, "wide"), (found.narrow, "narrow")):
            tree = ElementTree.fromstring(svg)
            assert tree.get("class") == f"chart {layout}"
            assert tree.get("role") == "img"
            title = tree[0]
            assert title.get("id") == tree.get("aria-labelledby") == f"{name}-{layout}-alt"
            assert title.text == 'a < b & "c"'
            assert not re.search(r"#[0-9a-f]{6}\b|<style|<metadata|http|font-family|xlink", svg)
            assert set(re.findall(r"var\(--fig-(\w+)\)", svg)) <= set(COLOURS.values())
            ids += re.findall(r'\bid="([^"]*)"', svg)
            references = re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", svg)
            assert {first or second for first, second in references} <= set(ids)
    assert len(ids) == len(set(ids))


def test_text_is_text(drawn: dict[str, Rendered]) -> None:
    assert "area, µm²</text>" in drawn["stacked"].wide
    assert ">$a_b</text>" in drawn["front"].wide
    assert {"µ", "²", "u"} <= text_of(drawn["stacked"].wide)


def test_files_are_what_their_names_say(drawn: dict[str, Rendered]) -> None:
    for found in drawn.values():
        assert found.files["png"].startswith(b"\x89PNG")
        assert found.files["pdf"].startswith(b"%PDF")
        assert b"<svg" in found.files["svg"]
        assert not re.search(rb"CreationDate|<dc:date>|Software", found.files["png"] + found.files["pdf"])


def test_equal_figures_are_equal_bytes(drawn: dict[str, Rendered]) -> None:
    again = render(chart("stacked", lambda layout: draw_stacked(PANELS, LOOKS, "area, µm²", layout)))
    assert again == drawn["stacked"]


@pytest.mark.parametrize("layout", Layout)
def test_arrays_are_drawn_to_the_areas_of_their_parts(layout: Layout) -> None:
    """Every part of both at one scale: its area on the page, in square points a um2, is the same."""
    from matplotlib.patches import Rectangle

    figure = draw_floorplans(PLANS, layout)
    figure.draw_without_rendering()
    scales = []
    for axes, plan in zip(figure.axes, PLANS, strict=True):
        areas = sorted(value for name, value in vars(plan).items() if name.endswith("_um2") and value)
        boxes = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, Rectangle)]
        drawn = sorted(box.width * box.height for box in boxes)
        scales += [there / area for there, area in zip(drawn, areas, strict=True)]
        lines = [line for line in axes.lines if len(set(line.get_xdata())) == 1]  # type: ignore[arg-type]
        assert len(lines) == plan.columns - 1
    assert scales == pytest.approx([scales[0]] * len(scales), rel=1e-3)


def test_points_of_an_error_are_a_few_bytes_each(made_library: Library) -> None:
    """A stroke without length a point, round or square, wherever the point is; and the PNG has them."""
    many = [
        replace(quantity, points=tuple(replace(point, measured=point.measured * 1.01**number, predicted=point.predicted)
                                       for point in quantity.points for number in range(200)))
        for quantity in made_library.quantities
    ]  # fmt: skip
    found = render(chart("errors", lambda layout: draw_errors(many, layout)))
    assert found.wide.count("h0") > 0.99 * 2 * 3 * 400  # the end of a few is rounded the other way
    assert len(found.wide) < 2 * 3 * 400 * 18 + 25_000
    import io

    from matplotlib.image import imread

    pixels = imread(io.BytesIO(found.files["png"]))[..., :3]
    orange = (abs(pixels - [0xD5 / 255, 0x5E / 255, 0]) < 0.02).all(axis=-1)
    assert orange.sum() > 2000


def test_the_front_of_area_and_energy_is_what_nothing_beats(made_rows: MakeRows) -> None:
    rows = made_rows(
        {4: {"loom": (0.5, 1.5, 1.0, 1.0), "subword 8/4": (2.0, 0.5, 1.0, 1.0), "bitserial": (2, 2, 1, 1)}}
    )
    same = [row for row in rows if row.normalisation == EQUAL_THROUGHPUT]
    assert [row.design for row in pareto(same)] == ["subword 8/4", "uniform 4x4", "loom"]


def test_ids_do_not_depend_on_what_matplotlib_calls_them() -> None:
    """It makes them of coordinates to the last bit, which are not the same in each run."""
    form = (
        '<svg viewBox="0 0 1 1"><clipPath id="{0}"/><clipPath id="{1}"/><g clip-path="url(#{0})"/>'
        '<use xlink:href="#{1}"/></svg>'
    )
    drawn = [inline(form.format(*ids).encode(), chart("x", lambda layout: None), Layout.WIDE) for ids in ("ab", "ba")]
    assert drawn[0] == drawn[1]
    assert 'id="x-wide-0"/><clipPath id="x-wide-1"/><g clip-path="url(#x-wide-0)"/><use href="#x-wide-1"' in drawn[0]


def test_a_colour_of_no_palette_is_refused() -> None:
    svg = b'<svg viewBox="0 0 1 1"><path d="M 0 0" style="stroke: #123456"/></svg>'
    with pytest.raises(ValueError, match=r"^a figure's colours must be those of its palette, not #123456$"):
        inline(svg, chart("x", lambda layout: None), Layout.WIDE)


def test_hue_never_stands_alone() -> None:
    """What lies side by side differs in marker or hatching, too."""
    marks = [width_mark(bits) for bits in range(2, 9)]
    assert len({mark.marker for mark in marks}) == len({mark.colour for mark in marks}) == len(marks)
    designs = (
        "uniform 2x2", "padded plain 8/4", "subword 8/4", "dc1d 8/4 x 8", "bitfusion 8/4", "bitblade 8/4",
        "bitserial 8", "loom 8",
    )  # fmt: skip
    assert len({(design_mark(design).marker) for design in designs}) == len(designs)
    assert all(first.hatch != second.hatch for first, second in pairwise(BARS[:-1]))


def test_ticks_stand_apart() -> None:
    assert spaced((1, 10, 2, 5), 1, 10, 0.35) == [1, 10]
    assert spaced((1, 10, 2, 5), 1, 10, 0.2) == [1, 2, 5, 10]
    assert spaced((1, 10, 2, 5), 1.5, 8, 0.1) == [2, 5]


def test_the_font_has_the_letters_and_is_the_same_each_time() -> None:
    import base64
    import io

    from fontTools.ttLib import TTFont

    css = font_face("µ² abc")
    assert css == font_face("cba ²µ")
    data = re.findall(r"base64,([^)]*)\)", css)
    assert len(data) == 2
    for each in data:
        assert set(TTFont(io.BytesIO(base64.b64decode(each))).getBestCmap()) == set(map(ord, "µ² abc"))


def test_figures_have_one_font() -> None:
    assert RC["svg.hashsalt"]
    assert RC["font.family"] == "DejaVu Sans"


# Numbers behind figures, by the packaged model.


@pytest.fixture(scope="module")
def found() -> tuple[Subject, ...]:
    return subjects(computed_rows(load_model("freepdk45"), 500.0, [2, 4]))


def test_parts_and_causes_add_up_to_the_rows(found: tuple[Subject, ...]) -> None:
    model = load_model("freepdk45")
    for each in found:
        breakdown = by_model(each, model)
        assert set(breakdown.area_um2) <= set(PARTS)
        assert sum(breakdown.area_um2.values()) == pytest.approx(each.row.area_um2_per_mac_per_cycle)
        assert breakdown.energy_fj is not None
        assert set(breakdown.energy_fj) == set(CAUSES)
        assert sum(breakdown.energy_fj.values()) == pytest.approx(each.row.energy_fj_per_mac)
        assert min(breakdown.energy_fj.values()) > 0


def test_measured_parts_and_causes_add_up_to_their_rows(found: tuple[Subject, ...], tmp_path: Path) -> None:
    """Of the designs that come measured with the package."""
    packaged = [row for row in RowStore(tmp_path).rows() if row.clock_mhz == 500.0 and row.library == "freepdk45"]
    checked = 0
    for each in found:
        same = [row for row in packaged if row.design == each.spec.design and row.spec == each.spec.parameters]
        for row in (row for row in same if row.power_uw is not None and row.settled_uw is not None):
            measured = replace(each, row=replace(each.row, source=row.recipe))
            breakdown = by_rows(same)(measured)
            assert breakdown is not None
            assert sum(breakdown.area_um2.values()) == pytest.approx(row.area_um2 / each.row.macs_per_cycle)
            if each.uniform:
                assert breakdown.energy_fj is not None
                energy_fj = 1e3 * row.power_uw / row.clock_mhz / each.row.macs_per_cycle  # type: ignore[operator]
                assert sum(breakdown.energy_fj.values()) == pytest.approx(energy_fj)
                checked += 1
    assert checked
    assert by_rows([])(found[0]) is None


def test_curves_go_through_the_rows(found: tuple[Subject, ...]) -> None:
    """At the clock of the comparison each has the area of its row; none is shorter than what it meets."""
    drawn = curves([each for each in found if each.row.bits == 4], load_model("freepdk45"))
    assert len(drawn) == 8
    for curve in drawn:
        assert list(curve.periods_ns) == sorted(set(curve.periods_ns))
        assert curve.area_um2(2.0) == pytest.approx(curve.subject.row.area_um2_per_mac_per_cycle, rel=0.05)
        assert curve.area_um2(curve.fastest_ns) == curve.areas_um2[0] >= curve.areas_um2[-1]
        assert curve.area_um2(0.99 * curve.fastest_ns) is None


def test_a_row_that_this_version_does_not_make_is_refused(found: tuple[Subject, ...]) -> None:
    rows = [each.row for each in found]
    wrong = [*rows[:-1], replace(rows[-1], spec="loom_u1_m8")]
    plain = found[-1].spec.forms[0].name
    said = f"loom 8 at 4 bits must be {plain}, as this version makes it, not loom_u1_m8"
    with pytest.raises(ValueError, match=f"^{said}$"):
        subjects(wrong)
    wrong = [*rows[:-2], *(replace(row, design="warp") for row in rows[-2:])]
    with pytest.raises(ValueError, match=r"^the designs at 4 bits must be among .*, not 'warp'$"):
        subjects(wrong)
