"""The section of an analysis: what is read, what it says of made-up numbers, and what is refused."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.charts import Chart, Layout
from reports.inputs import Analysis, read_analysis
from reports.sections import TableBlock, analysis_section
from siliquant.inputs import InputError


def part(name: str, bits: int, how: str, loss: float, half: float) -> dict[str, Any]:
    change = {"loss": loss, "low": loss - half, "high": loss + half, "accuracy": -loss / 10}
    return {"kind": "class", "name": name, "bits": bits, "how": how, "change": change}


def tensor(network: str, name: str, kurtosis: float | None, *, end: bool = False) -> dict[str, Any]:
    return {"network": network, "tensor": "weight", "part": name, "kurtosis": kurtosis, "peak": 4.0, "end": end}


RECORD: dict[str, Any] = {
    "format": "siliquant-analysis 1",
    "subject": {"source": "run$1", "data": "digits@validation", "samples": 287},
    "sensitivity": {
        "parts": [
            part("fc1", 2, "alone", 0.25, 0.125), part("attention_input", 2, "alone", 0.5, 0.25),
            part("fc1", 2, "left out", -0.125, 0.5), part("fc1", 4, "alone", 0.0, 0.5),
            {"kind": "gemm", "name": "fc1"},
        ]
    },
    "outliers": {
        "statistics": [
            tensor("transformer", "fc1", 1.0), tensor("transformer", "fc1", 4.0), tensor("transformer", "fc1", None),
            tensor("convnet", "convolution", -1.0), tensor("transformer", "classifier", 99.0, end=True),
        ]
    },
}  # fmt: skip


def read(record: dict[str, Any], folder: Path) -> Analysis:
    path = folder / "analysis.json"
    path.write_text(json.dumps(record))
    return read_analysis(path)


def test_what_it_says(tmp_path: Path) -> None:
    section = analysis_section(read(RECORD, tmp_path), "analysis.json")
    assert section.title == "Why run$1 is hard to quantise"
    chart, outliers = section.blocks
    assert isinstance(chart, Chart)
    assert chart.title == (
        "Attention input costs most alone at 2 bits: the loss rises by 0.5000 (95 %: 0.2500 to 0.7500)"
    )
    assert chart.alt == "Rise of the loss at 2 bits by class: attention input 0.5, fc1 0.25."
    assert chart.table is not None
    assert chart.table.rows[2] == ("fc1", 2, "left out", -0.125, -0.625, 0.375, pytest.approx(1.25))
    assert isinstance(outliers, TableBlock)
    assert outliers.table.rows == (
        ("transformer", "fc1", "weight", 2.5, 4.0, 4.0), ("convnet", "convolution", "weight", -1.0, -1.0, 4.0)
    )  # fmt: skip
    assert chart.draw(Layout.WIDE).axes
    assert chart.draw(Layout.NARROW).axes


def test_nothing_is_claimed_of_what_cannot_be_told(tmp_path: Path) -> None:
    record = copy.deepcopy(RECORD)
    for entry in record["sensitivity"]["parts"][:2]:
        entry["change"]["low"] = -0.001
    chart = analysis_section(read(record, tmp_path), "").blocks[0]
    assert isinstance(chart, Chart)
    assert chart.title == "No class of operands alone costs at 2 bits what can be told from nothing"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("format",), "siliquant-analysis 2", "format must be 'siliquant-analysis 1', not 'siliquant-analysis 2'"),
        (("subject", "samples"), "3", "samples must be an integer, not '3'"),
        (("sensitivity", "parts"), [3], "parts must be a list of objects"),
        (("sensitivity", "parts"), [], "sensitivity.parts must have a class of operands that was quantised alone"),
        (("sensitivity", "parts", 1, "change", "loss"), "x", "entry 2: loss must be a finite number, not 'x'"),
        (("sensitivity", "parts", 0, "change", "low"), 9, "low and high must enclose loss, 0.25, not be 9 and 0.375"),
        (("sensitivity", "parts", 0, "how"), "so", "how must be 'alone' or 'left out', not 'so'"),
        (("outliers", "statistics", 0, "kurtosis"), True, "kurtosis must be a finite number, not True"),
    ],
)
def test_what_is_no_analysis_is_refused(place: tuple[Any, ...], value: object, said: str, tmp_path: Path) -> None:
    record = copy.deepcopy(RECORD)
    inner: Any = record
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=re.escape(said)) as found:
        read(record, tmp_path)
    assert str(tmp_path / "analysis.json") in str(found.value)
