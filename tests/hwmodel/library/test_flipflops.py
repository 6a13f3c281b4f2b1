"""Which flip-flops registers are made of: the smallest, an inverter behind a complement output counted in."""

import re
from pathlib import Path

import pytest

from hwmodel.library.flipflops import Storage, outdone
from hwmodel.library.library import find_library
from hwmodel.measurement import Bench, RowStore, measure
from rtl.mac import UniformSpec
from tests.hwmodel.library.smalllibrary import small_library, with_cell, with_copy

PLAIN = ("CK", "D", "", "")


def flip_flop(name: str, area: float, q: str, qn: str, state: tuple[str, ...] = PLAIN) -> Storage:
    return Storage(name, area, ("CK", "D", "RN"), state, q, qn)


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ([flip_flop("N", 3.4, "", "QN")], ("X1", "X2")),
        ([flip_flop("N", 3.6, "", "QN")], ("X2",)),  # an inverter more is larger than X1
        ([flip_flop("N", 5.0, "", "QN")], ()),
        ([flip_flop("N", 1.0, "Q", "QN")], ()),  # has both
        ([flip_flop("N", 1.0, "", "QN", ("!CK", "D", "", ""))], ()),  # of the other edge
        ([flip_flop("N", 1.0, "", "QN", ("CK", "D", "!RN", ""))], ()),  # with a reset
        ([flip_flop("N", 1.0, "", "QN", ("CK", "!D", "", ""))], ()),  # two inversions
        ([flip_flop("N", 1.0, "Q", "", ("CK", "!D", "", ""))], ("X1", "X2")),
        ([flip_flop("N", 1.0, "", "QN", ("CK", "D & RN", "", ""))], ()),  # no plain one
    ],
)
def test_what_one_with_an_inverter_outdoes(others: list[Storage], names: tuple[str, ...]) -> None:
    known = [flip_flop("X1", 4.0, "Q", ""), flip_flop("X2", 4.5, "Q", "")]
    assert outdone([*known, *others], inverter=0.5) == names


def test_registers_hold_complements_where_that_is_smaller(tmp_path: Path) -> None:
    """The sums are compared with the golden model when a row is measured."""
    text = with_copy(small_library(), "DFF_X1", "DFFN_X1")
    without_q = re.compile(r'pin \("?Q"?\)\s*\{')

    def no_true_output(cell: str) -> str:
        start = without_q.search(cell)
        assert start is not None
        depth, end = 1, start.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(cell[end], 0)
            end += 1
        rest = cell[: start.start()] + cell[end:]
        return re.sub(r"\bQ\b", "!QN", re.sub(r"!\s*Q\b", "QN", rest))

    path = tmp_path / "my.lib"
    path.write_text(with_cell(text, "DFFN_X1", no_true_output))
    library = find_library(liberty=path, cache_dir=tmp_path / "cache")
    assert library.outdone == ("DFF_X1", "DFF_X2")
    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=4)
    found = measure(spec, spec.precisions[:1], Bench(library, clock_mhz=100.0, effort="quick"), RowStore(tmp_path))
    kinds = {cell for cell in found.row.histogram if cell.startswith("DFF")}
    assert kinds == {"DFFN_X1"}
