"""The page of a report in a browser: nothing complains, everything is seen, tables sort, anchors lead somewhere."""

from pathlib import Path
from typing import Any

import pytest

WIDTHS = (400, 760, 1240, 1600)
THEMES = ("light", "dark")
# The shown one of the two forms of each figure: its box, and the least height of its letters, in pixels.
FIGURES = """
[...document.querySelectorAll("figure")].map((figure) => {
  const shown = [...figure.querySelectorAll("svg.chart")].filter((svg) => svg.checkVisibility());
  const box = shown[0].getBoundingClientRect();
  const letters = [...shown[0].querySelectorAll("text")].map((text) => text.getBoundingClientRect().height);
  return {name: figure.id, shown: shown.length, width: box.width, height: box.height,
          letters: letters.length, smallest: Math.min(...letters)};
})
"""
# Headers, and the cells under them, of one table.
COLUMN = """
(() => {
  const table = document.getElementById("NAME");
  const header = table.querySelectorAll("thead tr:last-child th")[NUMBER];
  return {sorted: header.ariaSort, cells: [...table.tBodies[0].rows].map((row) => row.cells[NUMBER].textContent)};
})()
"""


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_seen_and_nothing_complains(everything: Path, browser: Any, width: int, theme: str) -> None:
    browser.open(everything / "index.html", width, theme=theme)
    figures = browser.value(FIGURES)
    assert len(figures) == 13
    for figure in figures:
        assert figure["shown"] == 1, figure
        assert 0.6 * min(width, 720) < figure["width"] <= width, figure
        assert figure["height"] > 80, figure
        assert figure["letters"] > 3, figure
        assert figure["smallest"] > 8, figure
    # Wide tables scroll in boxes of their own; the page never sideways.
    assert browser.value("document.documentElement.scrollWidth") == width
    boxes = browser.value(
        "[...document.querySelectorAll('.scroll')].map((box) => [getComputedStyle(box).overflowX, box.tabIndex])"
    )
    assert boxes
    assert all(box == ["auto", 0] for box in boxes)
    assert browser.value("document.fonts.check('9px \"siliquant figures\"')") is True
    assert browser.problems == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_answer_is_seen_without_scrolling(everything: Path, browser: Any, theme: str) -> None:
    """Question, headline, three numbers beside each other and the whole figure in a window of 1600 x 1000."""
    browser.open(everything / "index.html", 1600, theme=theme)
    browser.resize(1600, 1000)
    boxes = browser.value(
        "['.question', 'h1', '.numbers', '#figure-throughput h3', '#figure-throughput svg.wide'].map((selector) => "
        "{ const box = document.querySelector(selector).getBoundingClientRect(); "
        "return [box.left, box.top, box.right, box.bottom]; })"
    )
    above = 0.0
    for left, top, right, bottom in boxes:
        assert above <= top < bottom <= 1000
        assert 0 <= left < right <= 1600
        above = bottom - 1
    assert boxes[-1][2] - boxes[-1][0] > 1000
    tops = browser.value("[...document.querySelectorAll('.numbers dt')].map((e) => e.getBoundingClientRect().top)")
    assert len(tops) == 3
    assert len(set(tops)) == 1


MORE = """
[...document.querySelectorAll(".sideways")].filter((box) => box.checkVisibility()).map((box) => [
  box.dataset.more || "", box.firstElementChild.scrollWidth > box.clientWidth + 1,
  getComputedStyle(box, "::before").content
])
"""


def test_a_table_that_scrolls_says_so(everything: Path, browser: Any) -> None:
    browser.open(everything / "index.html", 400)
    browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    found = browser.value(MORE)
    assert sum(wide for _, wide, _ in found) >= 3
    for more, wide, text in found:
        assert (more, text) == (("start", '"more columns →"') if wide else ("", "none"))
    browser.value(
        "new Promise((done) => { const box = document.querySelector('.sideways[data-more] .scroll'); "
        "box.addEventListener('scroll', () => requestAnimationFrame(() => done(true))); box.scrollLeft = 9999; })"
    )
    assert browser.value(MORE)[0][::2] == ["end", '"← more columns"']
    browser.open(everything / "index.html", 1600)
    assert [more for more, _, _ in browser.value(MORE) if more] == []


def brightness(browser: Any, selector: str, what: str) -> int:
    """Of a colour, 0 to 765."""
    text: str = browser.value(f"getComputedStyle(document.querySelector('{selector}')).{what}")
    return sum(int(part) for part in text[text.index("(") + 1 : -1].split(",")[:3])


@pytest.mark.parametrize("theme", THEMES)
def test_page_and_figures_are_light_or_dark_as_the_system_is(everything: Path, browser: Any, theme: str) -> None:
    browser.open(everything / "index.html", theme=theme)
    paper, ink, letters = (
        brightness(browser, "body", "backgroundColor"), brightness(browser, "body", "color"),
        brightness(browser, "figure svg text", "fill"),
    )  # fmt: skip
    assert (
        (paper > 600 and ink < 200 and letters < 200) if theme == "light" else (paper < 200 and min(ink, letters) > 600)
    )


def test_the_button_changes_the_colours_and_prints_are_light(everything: Path, browser: Any) -> None:
    browser.open(everything / "index.html", theme="light")
    seen = []
    for _ in range(3):
        browser.click(".theme")
        seen.append(
            (browser.value("document.querySelector('.theme').textContent"), brightness(browser, "body", "color"))
        )
    assert [text for text, _ in seen] == ["colours: light", "colours: dark", "colours: auto"]
    assert seen[0][1] == seen[2][1] < seen[1][1]
    browser.open(everything / "index.html", theme="dark", media="print")
    assert brightness(browser, "figure svg text", "fill") == 0
    assert browser.pdf().startswith(b"%PDF")


def test_a_click_on_a_header_sorts(everything: Path, browser: Any) -> None:
    browser.open(everything / "index.html")

    def column(number: int) -> Any:
        return browser.value(COLUMN.replace("NAME", "inference-4-bits").replace("NUMBER", str(number)))

    def click(number: int) -> None:
        browser.click(f"#inference-4-bits thead tr:last-child th:nth-child({number + 1}) button")

    before = column(6)["cells"]
    assert column(6)["sorted"] == "none"
    click(6)
    assert column(6) == {"sorted": "ascending", "cells": sorted(before, key=number_of)}
    click(6)
    assert column(6) == {"sorted": "descending", "cells": sorted(before, key=number_of, reverse=True)}
    click(0)
    assert column(6)["sorted"] == "none"
    assert column(0) == {"sorted": "ascending", "cells": sorted(column(0)["cells"])}


def number_of(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))


def test_unknown_values_stay_last(everything: Path, browser: Any) -> None:
    """The deviation of a single seed is not known; a second row that is, is made up here."""
    browser.open(everything / "index.html")
    browser.value(
        "(() => { const body = document.querySelector('#own-runs tbody'); const row = body.rows[0].cloneNode(true); "
        "row.cells[8].dataset.value = '0.5'; row.cells[8].textContent = '0.50'; body.append(row); })()"
    )
    for _ in range(2):
        browser.click("#own-runs thead th:nth-child(9) button")
        found = browser.value(COLUMN.replace("NAME", "own-runs").replace("NUMBER", "8"))
        assert found["cells"] == ["0.50", "–"]


def test_keys_sort_too_and_the_skip_link_is_first(everything: Path, browser: Any) -> None:
    browser.open(everything / "index.html")
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.activeElement.getBoundingClientRect().left") >= 0
    browser.value("document.querySelector('#hardware-4-bits th button').focus()")
    browser.press("Enter")
    assert browser.value(COLUMN.replace("NAME", "hardware-4-bits").replace("NUMBER", "0"))["sorted"] == "ascending"


def test_anchors_lead_to_their_sections(everything: Path, browser: Any) -> None:
    browser.open(everything / "index.html", 1600)
    names = browser.value("[...document.querySelectorAll('nav a')].map((link) => link.hash.slice(1))")
    assert len(names) == 11
    for name in names:
        browser.click(f"nav a[href='#{name}']")
        top = browser.value(f"document.getElementById('{name}').getBoundingClientRect().top")
        at_end = browser.value("scrollY + innerHeight >= document.documentElement.scrollHeight - 2")
        assert abs(top - 16) < 2 or at_end, name
    assert browser.problems == []


def test_a_request_to_elsewhere_would_be_seen(everything: Path, browser: Any, tmp_path: Path) -> None:
    """The page forbids it, and the tests above would tell."""
    page = tmp_path / "index.html"
    text = (everything / "index.html").read_text()
    page.write_text(text.replace("</body>", '<img src="https://example.invalid/x.png" alt=""></body>'))
    browser.open(page)
    assert any("example.invalid" in problem for problem in browser.problems)
