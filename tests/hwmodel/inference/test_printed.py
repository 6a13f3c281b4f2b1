"""Every cell, note and sentence of a network's tables, of rows made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodel.inference.rows import EQUAL_AREA, EQUAL_LATENCY, UNIFORM, NetworkRow
from hwmodel.inference.tables import (
    network_cells,
    network_markdown,
    network_notes,
    network_sentence,
    print_network,
)
from hwmodel.workload import published_source

BASE = NetworkRow(
    model="net", bits=4, mean_bits=4.0, mixture="4b:100%", normalisation=UNIFORM, design="uniform 4x4",
    element="uniform_w4_a4_l16", rows=16, columns=8, drains=1, pipeline_stages=0, clock_mhz=500.0, meets_clock=True,
    area_um2=2_345_678.0, logic_area_um2=1_234_567.0, sram_area_um2=1_111_111.0, latency_us=1234.5, utilisation=0.654,
    load_share=0.3, energy_uj=1234.56, mac_uj=100.16, requantisation_uj=20.25, sram_uj=3.04, off_chip_uj=4.44,
    leakage_uj=5.55, off_chip_bytes=6_780_000.0, logic_area_ratio=1.0, latency_ratio=1.0, energy_ratio=1.0,
    accuracy_percent=74.7, activation_depth_words=512, weight_depth_words=512, longest_sum=8192,
)  # fmt: skip
SMALLER = replace(
    BASE, mixture="2b:50% 8b:50%", normalisation=EQUAL_AREA, design="subword 8/4/2", rows=7, columns=9, latency_us=9.96,
    energy_uj=0.123, off_chip_uj=0.0, logic_area_ratio=0.987, latency_ratio=1.234, energy_ratio=1.456,
    accuracy_percent=None,
)  # fmt: skip
QUICKER = replace(SMALLER, normalisation=EQUAL_LATENCY, rows=10, columns=11, latency_us=10.0, energy_uj=1.0)
OTHER = replace(SMALLER, design="loom 8", latency_ratio=1.111, energy_ratio=2.5)
ROWS = [BASE, SMALLER, QUICKER, OTHER]


def test_cells_are_the_figures_of_a_row_in_the_units_of_their_headers() -> None:
    assert network_cells([BASE, SMALLER, QUICKER]) == [
        (4, ["uniform 4x4", "16x8", "", "4b:100%", "2.35", "1.23", "1,234", "65%", "1,234.6", "100.2", "20.2", "3.0",
             "4.4", "5.5", "6.8", "1.00", "1.00", "1.00", "74.70"]),
        (4, ["subword 8/4/2", "7x9", "area", "2b:50% 8b:50%", "2.35", "1.23", "10", "65%", "0.12", "100.2", "20.2",
             "3.0", "", "5.5", "6.8", "0.99", "1.23", "1.46", ""]),
        (4, ["subword 8/4/2", "10x11", "latency", "2b:50% 8b:50%", "2.35", "1.23", "10", "65%", "1.0", "100.2", "20.2",
             "3.0", "", "5.5", "6.8", "0.99", "1.23", "1.46", ""]),
    ]  # fmt: skip
    assert [cells[1] for _, cells in network_cells([replace(BASE, meets_clock=each) for each in (False, None)])] == [
        "16x8 (misses)", "16x8"
    ]  # fmt: skip


HOST = (
    "One inference of net, batch 1, at 500 MHz. GEMMs only: layer norms, softmax, GELU and residuals are the host's "
    "and cost nothing here. First and last layers at 8 bits on every design."
)
ALIKE = (
    "Every design runs the same mixed network at the mean, the uniform one that of one width. Arrays of each design "
    "have at most the logic area, or at most the latency, of the uniform one; memories keep their capacity."
)
CLOCKS = "Energy of MACs and requantisers has that of their clocks while they wait; SRAM is that of its accesses."
ABOUT = [HOST, ALIKE, CLOCKS]
MIXED = (
    "Shares of the mixed network's MACs by width, first and last layers left out, are what the policy assigns (mean of "
    "4 bits: 2b:50% 8b:50%); the tables of MACs take a standard mixture of the same mean."
)
WITHOUT = "No array at equal latency and 4 bits: loom 8."
BARE = "Memories are not counted: there is no table of them for this technology."
TRAFFIC = "Off-chip traffic is counted in bytes; its energy is not in any number."
ACCURACY = f"Accuracy: published, not ours; {published_source()}. None was published for the mixed networks."
MISSES = "(misses): a part of the array does not meet the clock."
UNKNOWN = "Whether the arrays meet the clock is unknown."


def test_notes_say_what_holds_and_nothing_else() -> None:
    assert network_notes(ROWS) == [WITHOUT, *ABOUT, MIXED, ACCURACY]
    assert network_notes([BASE]) == [*ABOUT, ACCURACY]
    plain = replace(BASE, accuracy_percent=None, off_chip_uj=0.0, sram_area_um2=0.0)
    assert network_notes([plain]) == [*ABOUT, BARE, TRAFFIC]
    assert network_notes([replace(plain, meets_clock=False), BASE]) == [*ABOUT, ACCURACY, MISSES]
    assert network_notes([replace(plain, meets_clock=None), BASE]) == [*ABOUT, ACCURACY, UNKNOWN]
    far = [replace(row, mean_bits=3.94) for row in (SMALLER, QUICKER)]
    said = "The mix at 4 bits has a mean of 3.94: none of these GEMMs is nearer."
    assert network_notes([BASE, *far]) == [said, *ABOUT, MIXED, ACCURACY]
    deep = [
        replace(BASE, activation_depth_words=513, longest_sum=8193),
        replace(SMALLER, weight_depth_words=9999),
        QUICKER,
    ]
    said = "513 words, not 512, to hold a tile of the longest sums (8,193 products)."
    said = f"Operand memories of the uniform array: {said}"
    assert network_notes(deep) == [*ABOUT, said, MIXED, ACCURACY]
    assert network_notes([BASE, *deep[1:]]) == [*ABOUT, MIXED, ACCURACY]
    near = [replace(row, mean_bits=4.05) for row in (SMALLER, QUICKER)]
    assert network_notes([BASE, *near]) == [*ABOUT, MIXED, ACCURACY]


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        (ROWS, "Published accuracy, uniform, not ours: 74.70 % at 4 bits."),
        ([BASE, replace(QUICKER, meets_clock=None), SMALLER], UNKNOWN),
        ([replace(BASE, meets_clock=None), replace(QUICKER, meets_clock=False), SMALLER], MISSES),
        ([replace(BASE, accuracy_percent=None), SMALLER, QUICKER], "Mixed, by MACs: 4 bits is 2b:50% 8b:50%."),
    ],
)
def test_the_last_note_of_a_terminal_is_what_matters_most(
    rows: list[NetworkRow], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_network(rows)
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2:] == [last, "--wide: every column. Method: docs/network.md; limits: docs/limits.md."]
    assert ("Mixed, by MACs: 4 bits is 2b:50% 8b:50%." in shown) is True
    assert ("No array at equal latency and 4 bits: loom 8." in shown) is (OTHER in rows)
    print_network([replace(row, sram_area_um2=0.0) for row in rows[:1]], wide=True)
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "Method: docs/network.md; limits: docs/limits.md."
    batch = "Batch 1, 500 MHz, GEMMs only; first and last layers at 8 bits on every design."
    assert f"{BARE} {batch}" in shown
    print_network(rows[:1])
    assert batch in capsys.readouterr().out.splitlines()


def test_the_sentence_takes_the_least_of_each_mean_at_equal_area() -> None:
    three = [replace(row, bits=3, mean_bits=3.05, energy_ratio=row.energy_ratio + 1) for row in ROWS]
    said = (
        "One inference of net on a precision-scalable array of equal logic area takes at least {} of the uniform array"
    )
    one = said.format("1.46 times the energy and 1.11 times the time")
    assert network_sentence(ROWS) == f"{one} at a mean of 4 bits."
    two = said.format("2.46 and 1.46 times the energy and 1.11 and 1.11 times the time")
    assert network_sentence([*three, *ROWS]) == f"{two} at a mean of 3 and 4 bits."
    far = [replace(row, mean_bits=3.06) for row in three]
    assert network_sentence([*far, *ROWS]) == f"{one} at a mean of 4 bits."
    bare = [replace(BASE, energy_uj=0.5), BASE]
    assert network_sentence(bare) == "One inference of net takes 0.5 and 1,234.6 uJ at 4 bits."


SHOWN = """\
One inference of net on a precision-scalable array of equal logic area takes at least 1.46 times the
energy and 1.11 times the time of the uniform array at a mean of 4 bits.

net, mean of 4 bits
                      at       area  latency   energy  energy
design         array  equal     mm2       us       uJ   ratio
─────────────────────────────────────────────────────────────
uniform 4x4    16x8            2.35    1,234  1,234.6    1.00
subword 8/4/2  7x9    area     2.35       10     0.12    1.46
subword 8/4/2  10x11  latency  2.35       10      1.0    1.46
loom 8         7x9    area     2.35       10     0.12    2.50

Batch 1, 500 MHz, GEMMs only; first and last layers at 8 bits on every design.
No array at equal latency and 4 bits: loom 8.
Mixed, by MACs: 4 bits is 2b:50% 8b:50%.
Published accuracy, uniform, not ours: 74.70 % at 4 bits.
--wide: every column. Method: docs/network.md; limits: docs/limits.md.
"""


def test_a_terminal_has_text_on_the_left_and_numbers_on_the_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_network(ROWS)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == SHOWN.splitlines()


MARKDOWN = """\
**net, mean of 4 bits: area, time and energy**

| design | array | at equal | area mm2 | latency us | energy uJ | energy ratio |
| --- | --- | --- | ---: | ---: | ---: | ---: |
| uniform 4x4 | 16x8 |  | 2.35 | 1,234 | 1,234.6 | 1.00 |
| subword 8/4/2 | 7x9 | area | 2.35 | 10 | 0.12 | 1.46 |

**net, mean of 4 bits: beside the uniform array**

| design | array | at equal | logic area ratio | latency ratio | energy ratio | accuracy % |
| --- | --- | --- | ---: | ---: | ---: | ---: |
| uniform 4x4 | 16x8 |  | 1.00 | 1.00 | 1.00 | 74.70 |
| subword 8/4/2 | 7x9 | area | 0.99 | 1.23 | 1.46 |  |

**net, mean of 4 bits: use of the array**

| design | array | at equal | widths by MACs | of it logic | utilisation | off chip MB |
| --- | --- | --- | --- | ---: | ---: | ---: |
| uniform 4x4 | 16x8 |  | 4b:100% | 1.23 | 65% | 6.8 |
| subword 8/4/2 | 7x9 | area | 2b:50% 8b:50% | 1.23 | 65% | 6.8 |

**net, mean of 4 bits: energy of logic**

| design | array | at equal | MACs uJ | requant. uJ | leakage uJ |
| --- | --- | --- | ---: | ---: | ---: |
| uniform 4x4 | 16x8 |  | 100.2 | 20.2 | 5.5 |
| subword 8/4/2 | 7x9 | area | 100.2 | 20.2 | 5.5 |

**net, mean of 4 bits: energy of memories and traffic**

| design | array | at equal | SRAM uJ | off chip uJ |
| --- | --- | --- | ---: | ---: |
| uniform 4x4 | 16x8 |  | 3.0 | 4.4 |
| subword 8/4/2 | 7x9 | area | 3.0 |  |"""


def test_markdown_has_a_table_for_each_question() -> None:
    tables, _, notes = network_markdown(ROWS[:2]).partition("\n\n- ")
    assert tables == MARKDOWN
    assert notes == "\n- ".join(network_notes(ROWS[:2])) + "\n"
