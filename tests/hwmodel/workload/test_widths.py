"""Widths of weights and activations: how they are written, read and refused."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import pytest

from hwmodel.workload.widths import (
    Pair,
    Width,
    check_width,
    mean_text,
    plain_width,
    precision_of,
    read_mean,
    read_width,
    width_records,
)


def test_one_number_says_both() -> None:
    assert [read_width("bits", text, 2, 8) for text in ("4", "4/8", "8/4", "4/4")] == [4, Pair(4, 8), Pair(8, 4), 4]
    assert [read_mean("mean", text, 1, 8) for text in ("2.5", "2.5/8", "3/3.0")] == [
        Fraction(5, 2), Pair(Fraction(5, 2), Fraction(8)), Fraction(3)
    ]  # fmt: skip
    assert [plain_width(width) for width in (4, Pair(4, 8))] == [4, "4/8"]
    assert mean_text(Pair(Fraction(14, 3), Fraction(8))) == "4.66667/8"
    assert [str(precision_of(width)) for width in (4, Pair(4, 8))] == ["w4a4s", "w4a8s"]


REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: Pair(4, 4), "the widths of a pair must differ, not 4/4: one number says both"),
    (lambda: read_width("bits", "1/8", 2, 8), "bits of weights must be an integer from 2 to 8, not '1'"),
    (lambda: read_width("bits", "4/8/4", 2, 8), "bits of activations must be an integer from 2 to 8, not '8/4'"),
    (lambda: read_width("bits", "4/", 2, 8), "bits of activations must be an integer from 2 to 8, not ''"),
    (lambda: read_mean("mean", "9", 1, 8), "mean must be a number from 1 to 8, such as 3 or 2.5, not '9'"),
    (lambda: read_mean("mean", "3/0.5", 1, 8),
     "mean of activations must be a number from 1 to 8, such as 3 or 2.5, not '0.5'"),
    (lambda: read_mean("mean", "4/8/2", 1, 8),
     "mean of activations must be a number from 1 to 8, such as 3 or 2.5, not '8/2'"),
    (lambda: check_width("bits", Pair(4, 9), 1, 8), "bits of activations must be an integer from 1 to 8, not 9"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSALS, ids=[text for _, text in REFUSALS])
def test_refusals_say_what_must_be(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text


@dataclass
class Line:
    bits: Width
    mean_bits: float | Pair[Fraction]
    name: str


def test_records_have_columns_of_both_operands_only_where_they_differ() -> None:
    assert width_records([Line(4, 4.0, "a")], ("bits", "mean_bits")) == [{"bits": 4, "mean_bits": 4.0, "name": "a"}]
    lines = [Line(4, 4.0, "a"), Line(Pair(4, 8), Pair(Fraction(7, 2), Fraction(8)), "b")]
    assert width_records(lines, ("bits", "mean_bits")) == [
        {"bits": 4, "mean_bits": 4.0, "name": "a", "weight_bits": 4, "activation_bits": 4, "mean_weight_bits": 4.0,
         "mean_activation_bits": 4.0},
        {"bits": "4/8", "mean_bits": "3.5/8", "name": "b", "weight_bits": 4, "activation_bits": 8,
         "mean_weight_bits": 3.5, "mean_activation_bits": 8.0},
    ]  # fmt: skip
