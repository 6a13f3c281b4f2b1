"""What commands print on terminals of several widths: nothing is wider, and no cell is broken or cut."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hwmodel import compare, explain, latency, policy, validate

Command = Callable[[list[str]], None]
TABLES: tuple[tuple[Command, list[str], tuple[str, ...]], ...] = (
    (compare.main, ["--bits", "2,4"], ("uniform 4x4", "2b:1/3 4b:1/2 8b:1/6", "1.00", "yes", "ratio")),
    (
        compare.main,
        ["--bits", "2,4", "--wide"],
        ("uniform 4x4", "2b:1/3 4b:1/2 8b:1/6", "bits/set"),
    ),
    (compare.main, ["--bits", "4", "--model", "deit-tiny"], ("uniform 4x4", "2b:14% 4b:79% 8b:7%")),
    (compare.main, ["--bits", "4", "--model", "deit-tiny", "--wide"], ("uniform 4x4", "utilisation", "requant.")),
    (
        explain.main,
        ["--design", "bitfusion", "--bits", "4"],
        ("operand flip-flops", "full adder, sum", "bitfusion_u4_w842"),
    ),
    (validate.main, ["--library", "freepdk45"], ("freepdk45", "bitblade", "held out")),
    (policy.main, ["--mean", "3", "--mix-widths", "2,4,8"], ("deit-tiny", "projection")),
    (latency.main, ["--bits", "4"], ("utilisation", "all")),
)  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize(("main", "arguments", "shown"), TABLES, ids=[" ".join(each[1]) for each in TABLES])
def test_a_table_fits(
    main: Command,
    arguments: list[str],
    shown: tuple[str, ...],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = ["--out", str(tmp_path)] if main is compare.main else []
    main([*arguments, *out])
    text = capsys.readouterr().out
    for cell in shown:
        assert cell in text
    rules = [number for number, line in enumerate(text.splitlines()) if line.startswith("─")]
    assert rules
    for line in text.splitlines():
        if re.search(r"\S  \S", line) or line.startswith("─"):  # of a table
            assert len(line.rstrip()) <= width, line


def test_the_comparison_begins_with_the_answer_and_ends_with_few_notes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    compare.main(["--bits", "2,3,4", "--out", str(tmp_path)])
    blocks = capsys.readouterr().out.split("\n\n")
    rows = json.loads((tmp_path / "compare.json").read_text())
    area, energy = ([
        min(row[ratio] for row in rows if row["bits"] == bits and row["normalisation"] == "equal throughput"
            and row["family"] != "uniform" and " " in row["run_as"])
        for bits in (2, 3, 4)
    ] for ratio in ("area_ratio", "power_ratio"))  # fmt: skip
    assert " ".join(blocks[0].split()) == (
        f"At equal throughput the smallest precision-scalable MAC takes {area[0]:.2f}, {area[1]:.2f} and {area[2]:.2f} "
        "times the area of the uniform one at 2, 3 and 4 bits, and the most frugal "
        f"{energy[0]:.2f}, {energy[1]:.2f} and {energy[2]:.2f} times the energy of a product."
    )
    notes = blocks[-1].strip().splitlines()
    assert len(notes) <= 4
    assert all(len(note) <= 80 for note in notes)
    titles = [block.splitlines()[0].strip() for block in blocks[1:-1]]
    assert titles == ["mean of 2 bits", "mean of 3 bits", "mean of 4 bits", "requantisation, one unit"]


def test_every_column_of_the_comparison_is_what_its_header_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    compare.main(["--bits", "4", "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    rows = [
        row for row in json.loads((tmp_path / "compare.json").read_text()) if row["normalisation"] == "equal throughput"
    ]
    best = {"uniform": rows[0]}
    for row in rows[1:]:
        product = row["area_ratio"] * row["power_ratio"]
        other = best.setdefault(row["family"], row)
        if product < other["area_ratio"] * other["power_ratio"]:
            best[row["family"]] = row
    for row in rows:
        cells = [
            row["design"], row["run_as"], f"{row['area_um2_per_mac_per_cycle']:.1f}", f"{row['energy_fj_per_mac']:.0f}",
            f"{row['area_ratio']:.2f}", f"{row['power_ratio']:.2f}", "yes" if row["meets_clock"] else "no",
            *["*"] * ("out of range" in row["source"]),
        ]  # fmt: skip
        found = re.search(rf"^{' +'.join(map(re.escape, cells))} *$", shown, re.MULTILINE)
        assert (found is not None) == (row in best.values()), row["design"]
    for unit in json.loads((tmp_path / "requantisation.json").read_text()):
        cells = [
            str(unit["bits"]), unit["design"], str(unit["groups"]), f"{unit['area_um2']:,.0f}",
            f"{unit['energy_pj']:.3f}", f"{unit['area_ratio']:.2f}", unit["basis"],
        ]  # fmt: skip
        assert re.search(rf"^ *{' +'.join(map(re.escape, cells))} *$", shown, re.MULTILINE), unit["spec"]
