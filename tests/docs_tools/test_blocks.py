"""Places in a page: found, filled, and refused where half of one is missing."""

from __future__ import annotations

import pytest

from docs_tools.blocks import Place, filled, markerless, places
from docs_tools.markdown import spread, table

PAGE = """\
Area is <!--area.all-->1.5<!--/--> times as large.

<!-- two-lines:begin -->
| a |

| b |
<!-- two-lines:end -->
"""


def test_places_are_found_with_what_they_hold() -> None:
    assert places(PAGE) == [Place("two-lines", "| a |\n\n| b |"), Place("area.all", "1.5")]


def test_places_are_filled_and_nothing_else_changes() -> None:
    done = filled(PAGE, {"two-lines": "x", "area.all": "2.0"})
    assert done == PAGE.replace("1.5", "2.0").replace("| a |\n\n| b |", "x")
    assert filled(PAGE, {place.name: place.text for place in places(PAGE)}) == PAGE


def test_an_empty_place_can_be_filled() -> None:
    assert filled("<!-- a:begin -->\n<!-- a:end -->", {"a": "x"}) == "<!-- a:begin -->\nx\n<!-- a:end -->"
    assert filled("<!--a--><!--/-->", {"a": "x"}) == "<!--a-->x<!--/-->"


def test_a_place_without_a_text_is_refused() -> None:
    with pytest.raises(KeyError, match=r"area\.all"):
        filled(PAGE, {"two-lines": "x"})


@pytest.mark.parametrize(
    ("page", "marker"),
    [
        ("<!-- a:begin -->\nx\n", "<!-- a:begin -->"),
        ("<!-- a:begin -->\nx\n<!-- b:end -->", "<!-- a:begin -->"),
        ("1.5<!--/-->", "<!--/-->"),
        ("So <!--a-->1 < 2<!--/-->", "<!--a-->"),
    ],
)
def test_half_a_marker_is_named(page: str, marker: str) -> None:
    with pytest.raises(ValueError) as caught:
        places(page)
    assert str(caught.value) == f"every marker must have its other half, and {marker} has none"


def test_a_line_that_begins_with_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no line must begin with a marker of a value, .* as <!--a--> does$"):
        places("It takes\n<!--a-->1.5<!--/--> times the area.")


def test_a_page_reads_without_the_markers_of_values() -> None:
    assert markerless("Area is <!--a-->1.5<!--/--> times.") == "Area is 1.5 times."


def test_tables_and_ranges() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert spread([1.04, 1.01]) == "1.0"
    assert spread([2.0, 0.94, 1.0]) == "0.9 to 2.0"
