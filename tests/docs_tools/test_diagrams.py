"""The diagrams are those that the specifications give, byte for byte, and are well-formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from docs_tools.diagrams import FOLDER, drawn
from docs_tools.numbers import pages

DRAWN = drawn()


@pytest.mark.parametrize("name", DRAWN)
def test_a_diagram_is_what_its_specification_gives(name: str) -> None:
    assert (FOLDER / name).read_text() == DRAWN[name], "python -m docs_tools.numbers --write draws it anew"
    root = ElementTree.fromstring(DRAWN[name])
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text


def test_no_diagram_is_left_over_and_each_is_shown() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(DRAWN)
    shown = "".join(page.read_text() for page in pages())
    for name in DRAWN:
        assert f"(diagrams/{name})" in shown, f"{name} stands in no page"


def test_the_subword_diagram_has_as_many_blocks_as_products() -> None:
    """One, two and four products of 64, 16 and 4 partial products each."""
    assert [DRAWN["subword.svg"].count(f'fill="{colour}"') for colour in ("#0072b2", "#d55e00")] == [
        64 + 16 + 8,
        16 + 8,
    ]
    assert DRAWN["padded.svg"].count('fill="#0072b2"') == 64 + 16 + 4
