"""Lines and tables of whole networks, the command, and the numbers of the document."""

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwmodel import latency
from hwmodel.comparison import contenders
from hwmodel.inference.inference import network_cost
from hwmodel.inference.memories import packaged_sram
from hwmodel.inference.parts import MacCost, UnitCost
from hwmodel.inference.rows import (
    EQUAL_AREA,
    EQUAL_LATENCY,
    UNIFORM,
    NetworkRow,
    default_elements,
    multiplier,
    network_rows,
)
from hwmodel.inference.tables import (
    NETWORK_HEADERS,
    network_cells,
    network_frame,
    network_markdown,
    network_notes,
    network_sentence,
    print_network,
)
from hwmodel.measurement.row import SynthesisRow
from hwmodel.netlist.area import AreaParts
from hwmodel.workload import Mixture, Pair, PrecisionClass, Role, SensitivityTable, Workload, load_workload
from hwmodel.workload.assignment import assign, network_widths, uniform
from hwmodel.workload.published import published_accuracy, published_source
from rtl.array import ArraySpec, Codes, plan_passes
from rtl.mac import LoomSpec, SubwordSpec, UniformSpec
from rtl.spec import MacSpec
from tests.hwmodel.inference.networkcases import ARRAY, COSTS, SMALL, gemm, network


@pytest.fixture(scope="module")
def rows() -> list[NetworkRow]:
    return network_rows(load_workload("deit-tiny"), [3, 4], replace(COSTS, sram=packaged_sram()))


def test_every_design_is_matched_in_both_ways(rows: list[NetworkRow]) -> None:
    for bits in (3, 4):
        base, *others = [row for row in rows if row.bits == bits]
        assert (base.normalisation, base.design) == (UNIFORM, f"uniform {bits}x{bits}")
        assert (base.logic_area_ratio, base.latency_ratio, base.energy_ratio) == (1, 1, 1)
        mixture = assign(load_workload("deit-tiny"), bits, network_widths(bits)).mixture()
        elements = default_elements(bits, mixture)[1:]
        assert {row.element.split("_")[0] for row in others} == {spec.design for spec in elements}
        assert len(others) == 2 * len({spec.design for spec in elements})
        assert {row.design for row in others} <= {spec.label for spec in elements}
        assert {row.normalisation for row in others} == {EQUAL_AREA, EQUAL_LATENCY}
        for row in others:
            assert row.mean_bits == pytest.approx(bits)
            assert (row.logic_area_ratio if row.normalisation == EQUAL_AREA else row.latency_ratio) <= 1 + 1e-9
            assert row.energy_ratio == pytest.approx(row.energy_uj / base.energy_uj)
            parts = row.mac_uj + row.requantisation_uj + row.sram_uj + row.off_chip_uj + row.leakage_uj
            assert row.energy_uj == pytest.approx(parts)
            assert row.area_um2 == pytest.approx(row.logic_area_um2 + row.sram_area_um2)
            assert row.accuracy_percent is None
            assert row.meets_clock is True


def test_the_uniform_array_has_16_rows_and_columns_and_512_words(rows: list[NetworkRow]) -> None:
    costs, tiny = replace(COSTS, sram=packaged_sram()), load_workload("deit-tiny")
    mac = UniformSpec(weight_bits=4, activation_bits=4, lanes=16)
    array = ArraySpec(
        mac=mac, rows=16, columns=16, drains=4, activation_depth=512, weight_depth=512, result_depth=128,
        requant=multiplier(4, width=32),
    )  # fmt: skip
    cost, row = network_cost(array, uniform(tiny, 4), costs), base(rows, 4)
    assert (row.element, row.rows, row.columns, row.drains) == (mac.name, 16, 16, 4)
    assert (row.latency_us, row.utilisation, row.load_share) == (cost.latency_us, cost.utilisation, cost.load_share)
    assert (row.area_um2, row.logic_area_um2) == (cost.area.total_um2, cost.area.logic_um2)
    energy = cost.energy
    assert row.energy_uj == pytest.approx(energy.total_pj * 1e-6, rel=1e-12)
    assert row.mac_uj == pytest.approx(energy.mac_pj * 1e-6, rel=1e-12)
    assert row.requantisation_uj == pytest.approx(energy.requantisation_pj * 1e-6, rel=1e-12)
    assert row.leakage_uj == pytest.approx(energy.leakage_pj * 1e-6, rel=1e-12)
    assert row.off_chip_uj == pytest.approx(energy.off_chip_pj * 1e-6, rel=1e-12)
    assert row.off_chip_bytes == cost.off_chip_bytes
    shallow = network_rows(tiny, [4], costs, elements=lambda bits, mix: default_elements(bits, mix)[:1], depth=256)
    assert shallow[0].area_um2 < row.area_um2
    assert shallow[0].latency_us > row.latency_us


@pytest.mark.parametrize(("k", "words"), [(8192, 512), (8193, 513), (12345, 772)])
def test_memories_hold_a_tile_of_the_longest_sums(k: int, words: int) -> None:
    """16 lanes take as many products a step; what those memories cost is in the row."""
    costs = replace(COSTS, sram=packaged_sram())
    long = network(gemm("a", Role.FC1, m=5, k=24, n=8), gemm("b", Role.FC2, m=5, k=k, n=8))
    base, *others = network_rows(long, [4], costs, elements=lambda bits, mix: default_elements(
        bits, mix, 16, contenders(["bitserial"]), k))  # fmt: skip
    assert (base.activation_depth_words, base.weight_depth_words, base.longest_sum) == (words, words, k)
    assert min(row.weight_depth_words for row in others) >= -(-k // 16)  # of at least 16 serial units, a plane each
    mac = UniformSpec(weight_bits=4, activation_bits=4, lanes=16, reduction_length=k)
    array = ArraySpec(
        mac=mac, rows=16, columns=16, drains=4, activation_depth=words, weight_depth=words, result_depth=128,
        requant=multiplier(4),
    )  # fmt: skip
    cost = network_cost(array, uniform(long, 4), costs)
    assert (base.area_um2, base.latency_us) == (cost.area.total_um2, cost.latency_us)
    assert base.energy_uj == pytest.approx(cost.energy.total_pj * 1e-6, rel=1e-12)


def test_of_each_design_the_best_kind_is_shown_and_narrow_ones_run_the_ends_in_passes() -> None:
    """8-bit first and last layers take a 4/2 unit several passes: their cycles are in the latency."""
    tiny = load_workload("deit-tiny")
    found = network_rows(tiny, [3], COSTS)
    assert {row.design for row in found if row.design.startswith("subword")} == {"subword 4/2"}
    kinds = [SubwordSpec(units=12, widths=(4, 2)), SubwordSpec(units=6)]  # of equal throughput at 4 and at 2 bits
    arrays = [ArraySpec(mac=mac, rows=8, columns=8, activation_depth=512, weight_depth=512) for mac in kinds]
    mixed = assign(tiny, 3, network_widths(3))
    narrow, wide = (network_cost(array, mixed, COSTS) for array in arrays)
    ends = [gemm for gemm in tiny.gemms if gemm.precision_class is PrecisionClass.ENDS]
    assert {mixed.of(gemm) for gemm in ends} == {8}
    assert len(plan_passes(kinds[0], Codes(8, True), Codes(8, True))) > 1
    assert len(plan_passes(kinds[1], Codes(8, True), Codes(8, True))) == 1
    assert narrow.cycles > wide.cycles
    rows = [
        network_rows(tiny, [4], COSTS, elements=lambda bits, mix, kind=kind: (
            UniformSpec(weight_bits=bits, activation_bits=bits, lanes=16), kind))
        for kind in (SubwordSpec(units=8, widths=(8, 4)), SubwordSpec(units=8))
    ]  # fmt: skip
    both = network_rows(tiny, [4], COSTS, elements=lambda bits, mix: (
        UniformSpec(weight_bits=bits, activation_bits=bits, lanes=16),
        SubwordSpec(units=8, widths=(8, 4)), SubwordSpec(units=8)))  # fmt: skip

    def product(row: NetworkRow) -> float:
        return row.logic_area_ratio * row.latency_ratio * row.energy_ratio

    assert both[1:] == [min(pair, key=product) for pair in zip(rows[0][1:], rows[1][1:], strict=True)]


def test_published_accuracies_stand_beside_uniform_rows_only(rows: list[NetworkRow]) -> None:
    assert [row.accuracy_percent for row in rows if row.normalisation == UNIFORM] == [71.22, 74.71]
    assert published_accuracy("swin-tiny", 2) == 77.66
    assert published_accuracy("sret-tiny", 32) == 75.81
    assert published_accuracy("bert-base", 4) is None
    assert published_accuracy("deit-tiny", 8) is None
    assert "2307.00331" in published_source()
    assert any("published, not ours" in note for note in network_notes(rows))


def test_tables_have_every_row(rows: list[NetworkRow], capsys: pytest.CaptureFixture[str]) -> None:
    lines = network_cells(rows)
    assert all(len(line) == len(NETWORK_HEADERS) for _, line in lines)
    text = network_markdown(rows)
    assert text.count("\n| ") == 5 * (len(rows) + 2 * 2)  # five tables a mean, with a head and a rule each
    assert max(line.count("|") for line in text.splitlines()) == 7 + 1
    for header in NETWORK_HEADERS:
        assert re.search(rf"^\| .*{re.escape(header)} \|", text, re.MULTILINE), header
    assert "**deit-tiny, mean of 3 bits: area, time and energy**" in text
    assert "| uniform 4x4 | 16x16 |  | 4b:100% |" in text
    frame = network_frame(rows)
    assert list(frame.columns) == [field.name for field in dataclasses.fields(NetworkRow)]
    assert len(frame) == len(rows)
    print_network(rows, wide=True)
    shown = capsys.readouterr().out
    for word in ("bitfusion 4/2", "latency", "chip", "74.71", "16x16"):
        assert word in shown


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_a_terminal_has_the_answer_and_one_table_a_mean(
    rows: list[NetworkRow], columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_network(rows)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert all(len(line.rstrip()) <= columns for line in lines if not line.startswith("Mixed"))
    assert " ".join(network_sentence(rows).split()) in " ".join(shown.split())
    assert [line for line in lines if line.startswith("deit-tiny, mean")] == [
        "deit-tiny, mean of 3 bits",
        "deit-tiny, mean of 4 bits",
    ]
    for row in rows:
        cells = [row.design, f"{row.rows}x{row.columns}", f"{row.latency_us:,.0f}", f"{row.energy_ratio:.2f}"]
        assert any(all(cell in line for cell in cells) for line in lines), row.design
    assert "Published accuracy, uniform, not ours: 71.22 % at 3 bits and 74.71 % at 4 bits." in lines
    assert len(lines) - 1 - max(number for number, line in enumerate(lines) if not line) == 4  # notes


def test_the_sentence_has_the_least_at_equal_area(rows: list[NetworkRow]) -> None:
    sentence = network_sentence(rows)
    for bits in (3, 4):
        mixed = [row for row in rows if row.bits == bits and row.normalisation == "equal area"]
        assert f"{min(row.energy_uj for row in mixed) / base(rows, bits).energy_uj:.2f}" in sentence
        assert f"{min(row.latency_us for row in mixed) / base(rows, bits).latency_us:.2f}" in sentence
    unmixed = [
        replace(row, bits=2, mean_bits=2.0, mixture="2b:100%", energy_ratio=0.1) for row in rows if row.bits == 3
    ]
    assert network_sentence([*unmixed, *rows]) == sentence
    alone = network_sentence([row for row in rows if row.normalisation == UNIFORM])
    energies = [f"{base(rows, bits).energy_uj:,.1f}" for bits in (3, 4)]
    assert alone == f"One inference of deit-tiny takes {energies[0]} and {energies[1]} uJ at 3 and 4 bits."


def test_a_design_without_an_array_as_fast_is_left_out_by_name() -> None:
    """Eight-bit products take a 2-D bit-serial array 64 cycles: none of up to 32 rows is as fast as the uniform one."""

    def elements(bits: int, mixture: Mixture) -> tuple[MacSpec, ...]:
        return (
            UniformSpec(weight_bits=bits, activation_bits=bits, lanes=16),
            LoomSpec(units=16),
            SubwordSpec(units=16),
        )

    found = network_rows(load_workload("vit-mnist"), [8], COSTS, elements=elements)
    shown = [(row.design, row.normalisation) for row in found]
    assert ("loom 8", "equal area") in shown
    assert ("loom 8", "equal latency") not in shown
    assert ("subword 8/4/2", "equal latency") in shown
    note = "No array at equal latency and 8 bits: loom 8."
    assert note in network_notes(found)
    assert note in network_markdown(found)


def test_a_mean_that_no_mix_comes_near_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    one = Workload(name="one", gemms=(gemm("query", Role.QUERY, m=8, k=64, n=64),), provenance={})
    found = network_rows(one, [3], COSTS, elements=lambda bits, mix: default_elements(bits, mix, 4))
    assert {row.mean_bits for row in found if row.normalisation != UNIFORM} == {2.0}
    note = "The mix at 3 bits has a mean of 2.00: none of these GEMMs is nearer."
    assert note in network_notes(found)
    print_network(found)
    shown = capsys.readouterr().out
    assert note in shown
    assert shown.startswith("One inference of one takes ")


def base(rows: list[NetworkRow], bits: int) -> NetworkRow:
    (found,) = (row for row in rows if row.bits == bits and row.normalisation == UNIFORM)
    return found


def test_the_notes_say_which_mixture_the_policy_assigned(rows: list[NetworkRow]) -> None:
    (mixed, *_) = (row for row in rows if row.bits == 4 and row.normalisation != UNIFORM)
    assert mixed.mixture == "2b:14% 4b:79% 8b:7%"
    (note,) = (note for note in network_notes(rows) if "standard mixture" in note)
    assert "mean of 4 bits: 2b:14% 4b:79% 8b:7%" in note
    assert not any("standard mixture" in note for note in network_notes([rows[0]]))


def test_a_terminal_has_each_number_under_its_header(
    rows: list[NetworkRow], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # all of it side by side
    print_network(rows, wide=True)
    shown = capsys.readouterr().out
    for row, (_, cells) in zip(rows, network_cells(rows), strict=True):
        named = dict(zip(NETWORK_HEADERS, cells, strict=True))
        first = [named[name] for name in ("area mm2", "latency us", "energy uJ", "energy ratio")]
        rest = [named[name] for name in NETWORK_HEADERS[3:] if named[name] not in ("",)]
        wanted = " +".join(re.escape(cell) for cell in first if cell)
        lines = [line for line in shown.splitlines() if line.startswith(row.design) and re.search(wanted, line)]
        assert any(all(cell in line.split() or " " in cell for cell in rest) for line in lines), row.design


def test_what_is_left_out_is_said(rows: list[NetworkRow]) -> None:
    costs = replace(COSTS, sram=None, off_chip_pj_per_bit=None)
    slow = replace(costs, clock_mhz=1000.0)
    bare = network_rows(
        load_workload("vit-mnist"), [4], slow, elements=lambda bits, mix: default_elements(bits, mix, 4)
    )
    assert {row.sram_area_um2 for row in bare} == {row.sram_uj for row in bare} == {0}
    assert {row.meets_clock for row in bare} == {False}
    notes = network_notes(bare)
    assert "Memories are not counted: there is no table of them for this technology." in notes
    assert "Off-chip traffic is counted in bytes; its energy is not in any number." in notes
    assert "(misses): a part of the array does not meet the clock." in notes
    unknown = [replace(row, meets_clock=None) for row in bare]
    assert "Whether the arrays meet the clock is unknown." in network_notes(unknown)
    assert not any("not counted" in note or "off-chip" in note.lower() for note in network_notes(rows))


def test_the_mix_is_that_of_the_widths_and_the_table_that_are_given() -> None:
    pair = network(gemm("a", Role.VALUE, m=8, k=64, n=64), gemm("b", Role.FC1, m=8, k=64, n=64 * 3))

    def mixture(**given: Any) -> str:
        found = network_rows(pair, [3], COSTS, elements=lambda bits, mix: default_elements(bits, mix, 4), **given)
        return next(row.mixture for row in found if row.normalisation != UNIFORM)

    assert mixture() == "2b:75% 4b:25%"
    assert mixture(widths=(2, 3)) == "3b:100%"
    assert mixture(widths=(2, 6)) == "2b:75% 6b:25%"
    # A value takes twice the energy of other GEMMs here: the more, the wider it is.
    same = network(gemm("a", Role.VALUE, m=8, k=64, n=64), gemm("b", Role.FC1, m=8, k=64, n=64))
    tables = [SensitivityTable("t", {(role, None): float(role is most) for role in (Role.VALUE, Role.FC1)})
              for most in (Role.VALUE, Role.FC1)]  # fmt: skip
    both = [
        network_rows(same, [3], COSTS, elements=lambda bits, mix: default_elements(bits, mix, 4), sensitivity=table)
        for table in tables
    ]
    assert all(one.mac_uj > other.mac_uj for one, other in zip(both[0][1:], both[1][1:], strict=True))
    assert len(both[0]) > 1


def test_the_first_element_is_the_uniform_one() -> None:
    with pytest.raises(TypeError) as caught:
        network_rows(SMALL, [4], COSTS, elements=lambda bits, mix: default_elements(bits, mix)[1:])
    assert str(caught.value).startswith("the first element at 4 bits must be a UniformSpec, not PaddedSpec(")


def test_requantisers_are_the_narrowest_known() -> None:
    assert [multiplier(bits).bits for bits in (2, 3, 4, 5, 8)] == [2, 3, 4, 8, 8]
    with pytest.raises(ValueError) as caught:
        multiplier(9)
    assert str(caught.value) == "bits must be at most 8, the widest codes of a known requantiser, not 9"


# What parts cost.


def synthesis_row(**changes: Any) -> SynthesisRow:
    values: dict[str, Any] = {
        "design": "d", "spec": {}, "library": "lib", "library_sha256": "0", "library_use_sha256": "0", "corner": "c",
        "clock_mhz": 500.0, "area_um2": 7.0, "parts": AreaParts(), "cells": 1, "histogram": {}, "recipe": "r",
        "minimum_period_ns": 1.5, "slack_ns": None, "meets_clock": True, "verilog_sha256": "0", "tools": {},
    }  # fmt: skip
    return SynthesisRow(**{**values, **changes})


def test_costs_from_rows() -> None:
    row = synthesis_row()
    powered = replace(row, power_uw=1100.0, leakage_uw=100.0, clock_uw=250.0, idle_uw=350.0)
    assert UnitCost.of_rows(row, powered) == UnitCost(
        area_um2=7, energy_pj=2, idle_pj_per_cycle=0.5, leakage_uw=100, minimum_period_ns=1.5
    )
    with pytest.raises(ValueError) as caught:
        UnitCost.of_rows(row, row)
    assert str(caught.value) == "the row of d must have power, and has none"


GOOD: dict[str, Any] = {"area_um2": 1, "idle_pj_per_cycle": 1, "leakage_uw": 1, "minimum_period_ns": None}
REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: MacCost(**GOOD, energy_pj_per_cycle=-1), ValueError,
     "energy_pj_per_cycle must be a number of at least 0, not -1"),
    (lambda: UnitCost(**GOOD, energy_pj=float("nan")), ValueError, "energy_pj must be a number of at least 0, not nan"),
    (lambda: UnitCost(**GOOD, energy_pj="1"), TypeError, "energy_pj must be a number of at least 0, not '1'"),  # type: ignore[arg-type]
    (lambda: MacCost(**{**GOOD, "area_um2": None}, energy_pj_per_cycle=1), TypeError,
     "area_um2 must be a number of at least 0, not None"),
    (lambda: replace(COSTS, clock_mhz=0), ValueError, "clock_mhz must be a positive number, not 0"),
    (lambda: replace(COSTS, off_chip_pj_per_bit=-1.0), ValueError,
     "off_chip_pj_per_bit must be a positive number, not -1.0"),
    (lambda: network_cost(ARRAY, uniform(SMALL, 4), COSTS).of(gemm("z", Role.FC1)), ValueError,
     "the GEMM must be one of w, not z"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_refusals_say_what_must_be(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


# The command line.


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # one table, not parts of it


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    latency.main(arguments)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_command_shows_cycles_by_role(capsys: pytest.CaptureFixture[str]) -> None:
    array = ArraySpec(
        mac=UniformSpec(), activation_depth=512, weight_depth=512, result_depth=128, drains=4, requant=multiplier(4)
    )  # fmt: skip
    cost = network_cost(array, uniform(load_workload("deit-tiny"), 4), replace(COSTS, sram=packaged_sram()))
    alone = network_cost(
        replace(array, drains=1, result_depth=512), cost.assignment, replace(COSTS, sram=packaged_sram())
    )  # fmt: skip
    assert shown(capsys, "--drains", "1")[-3:] != shown(capsys)[-3:]
    assert alone.cycles > 1.1 * cost.cycles
    lines = shown(capsys, "--model", "deit-tiny", "--bits", "4")
    (total,) = [line for line in lines if line[:1] == ["all"]]
    assert total[total.index("6") + 1] == f"{cost.cycles:,}"
    (fc1,) = [line for line in lines if line[:1] == ["fc1"]]
    assert fc1[5] == f"{cost.cycles_by_role[Role.FC1]:,}"
    assert any(f"{cost.latency_us:,.1f}" in line for line in lines)


def test_the_command_takes_mixed_precision(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(
        capsys, "--mean", "3", "--design", "bitfusion", "--units", "5", "--array", "8x8", "--overlap", "double",
        "--architecture", "systolic", "--no-requantise", "--scales", "head-reduced", "--memories", "hp",
    )  # fmt: skip
    assert next(line for line in lines if line[:1] == ["all"])[3:6] == ["2", "4", "8"]
    assert any(line[:4] == ["mean", "of", "3", "bits;"] for line in lines)


def test_the_command_takes_a_width_for_each_operand(capsys: pytest.CaptureFixture[str]) -> None:
    """Products of two activations take passes on a MAC whose weights are narrower: three digits of 8 bits."""
    latency.main(["--bits", "4/8", "--format", "json"])
    records = {record["role"]: record for record in json.loads(capsys.readouterr().out)}
    assert [records["fc1"][name] for name in ("bits", "weight_bits", "activation_bits", "passes")] == [
        "4/8", "4", "8", "1"
    ]  # fmt: skip
    assert [records["scores"][name] for name in ("bits", "weight_bits", "activation_bits", "passes")] == [
        "8", "8", "8", "3"
    ]  # fmt: skip
    assert [records["all"][name] for name in ("bits", "weight_bits", "activation_bits")] == ["4/8 8", "4 8", "8"]
    latency.main(["--bits", "4/4", "--format", "json"])
    assert all("weight_bits" not in record for record in json.loads(capsys.readouterr().out))


def test_latency_has_memories_as_deep_as_the_longest_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each operand, with accumulators that hold them; what is given is kept, and refused where it is too little."""
    monkeypatch.setenv("COLUMNS", "250")
    own = tmp_path / "long.csv"
    own.write_text("name,m,k,n,count\n0.fc1,5,768,8,1\n0.fc2,5,8449,8,1\n")
    given = ["--model", str(own), "--bits", "4"]
    more = ", more than 512 to hold a tile of the longest sums, 8,449 products)"
    for options, text in (
        ([], f"(operands 529 words each{more}"),
        (["--design", "bitserial", "--units", "16"], f"(operands 529 words of activations, 2116 of weights{more}"),
        (["--depth", "600", "--reduction-length", "8449"], "(operands 600 words each)"),
    ):
        latency.main([*given, *options])
        assert text in capsys.readouterr().out
    latency.main([*given, "--format", "json"])
    records = json.loads(capsys.readouterr().out)
    assert {(record["activation_depth_words"], record["weight_depth_words"]) for record in records} == {(529, 529)}
    for options, said in (
        (["--depth", "512"],
         "0.fc2: activation_depth must be at least 529 words for one tile with sums of 8449 products, not 512"),
        (["--reduction-length", "8448"],
         "0.fc2: the reduction must have at most 8448 products (reduction_length), not 8449"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            latency.main([*given, *options])
        assert str(caught.value) == said


def test_codes_of_each_operand_count_with_their_own_width() -> None:
    """All of a product that fits at once: M x K codes of activations, K x N of weights, and sums of 32 bits."""
    found = Workload(name="w", gemms=(next(g for g in load_workload("deit-tiny").gemms if g.role is Role.FC1),),
                     provenance={})  # fmt: skip
    array = ArraySpec(
        mac=UniformSpec(weight_bits=4, activation_bits=8), rows=256, columns=128, activation_depth=4096,
        weight_depth=4096, result_depth=4096,
    )  # fmt: skip
    cost = network_cost(array, uniform(found, Pair(4, 8)), COSTS)
    gemm = found.gemms[0]
    outputs = gemm.m * gemm.n * array.result_width
    assert cost.total(lambda kind: kind.off_chip_bits) == gemm.m * gemm.k * 8 + gemm.k * gemm.n * 4 + outputs


def test_both_means_are_in_the_rows_of_a_network() -> None:
    small = load_workload("vit-mnist")
    rows = network_rows(small, [4, Pair(4, 8)], COSTS, elements=lambda bits, mixture: default_elements(
        bits, mixture, 16, contenders(["bitfusion"])))  # fmt: skip
    first, last = rows[0], rows[-1]
    assert (first.bits, first.mean_bits) == (4, 4.0)
    assert (str(last.bits), last.mean_bits.activation_bits) == ("4/8", 8)
    records = network_frame(rows).to_dict("records")
    assert [records[0][name] for name in ("bits", "weight_bits", "activation_bits")] == [4, 4, 4]
    assert [records[-1][name] for name in ("bits", "weight_bits", "activation_bits")] == ["4/8", 4, 8]
    assert last.accuracy_percent is None
    text = network_markdown(rows)
    assert "vit-mnist, mean of 4/8 bits: area, time and energy" in text
    assert "a/b bits: of weights, of activations." in text
    assert "a/b bits" not in network_markdown([row for row in rows if row.bits == 4])


EMBEDDING = "vit.embeddings.patch_embeddings.projection"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--mean", "3", "--bits", "4"], "--mean and --bits must not be given together"),
        (["--array", "16"], "array must be ROWSxCOLUMNS, as in 16x16, not '16'"),
        (["--mean", "x"], "mean must be a number from 1 to 8, such as 3 or 2.5, not 'x'"),
        (["--bits", "x"], "bits must be an integer, not 'x'"),
        (["--depth", "40"],
         f"{EMBEDDING}: activation_depth must be at least 48 words for one tile with sums of 768 products, not 40"),
    ],
)  # fmt: skip
def test_bad_options_say_what_must_be(arguments: list[str], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        latency.main(arguments)
    assert str(caught.value) == text
