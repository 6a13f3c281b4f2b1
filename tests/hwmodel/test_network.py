"""Costs of whole networks: small ones worked out by hand, arrays to match by trying all, and the tables."""

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwmodel import latency
from hwmodel.areaparts import AreaParts
from hwmodel.arraysize import candidates, equal_area, equal_latency
from hwmodel.network import Costs, MacCost, UnitCost, memories, network_cost
from hwmodel.networkresult import Energy, NetworkCost
from hwmodel.networkrows import (
    EQUAL_AREA,
    EQUAL_LATENCY,
    UNIFORM,
    NetworkRow,
    default_elements,
    multiplier,
    network_rows,
)
from hwmodel.networktables import (
    NETWORK_HEADERS,
    network_cells,
    network_frame,
    network_markdown,
    network_notes,
    print_network,
)
from hwmodel.policy import assign, uniform
from hwmodel.published import published_accuracy, published_source
from hwmodel.row import SynthesisRow
from hwmodel.sram import Macro, SramTable, packaged_sram
from hwmodel.tiles import Matrices, needed_words
from hwmodel.tiling import Overlap
from hwmodel.workload import Gemm, Module, PrecisionClass, Role, Scales, Workload, load_workload
from rtl.array import Architecture, ArraySpec
from rtl.array.element import ElementSpec
from rtl.mac import BitFusionSpec, LoomSpec, SubwordSpec, UniformSpec
from rtl.requant import LoadableSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec, Precision


def mac_cost(element: ElementSpec, precision: Precision, role: Role) -> MacCost:
    """10 um2 a unit; 1 pJ a unit, bit of weight and cycle, twice that for values; 0.25 pJ a unit idle."""
    units = getattr(element.mac, element.mac.size_parameter)
    return MacCost(
        area_um2=10.0 * units,
        energy_pj_per_cycle=units * precision.weight_bits * (2.0 if role is Role.VALUE else 1.0),
        idle_pj_per_cycle=0.25 * units,
        leakage_uw=0.5 * units,
        minimum_period_ns=1.5,
    )


def unit_cost(spec: LoadableSpec) -> UnitCost:
    """A partial sum costs twice a requantiser."""
    scale = 2.0 if isinstance(spec, PartialSumSpec) else 1.0
    return UnitCost(
        area_um2=100 * scale, energy_pj=3 * scale, idle_pj_per_cycle=0.5 * scale, leakage_uw=4 * scale,
        minimum_period_ns=1.75,
    )  # fmt: skip


TABLE = SramTable(
    "t", 45, "made up",
    (Macro(words=64, bits=32, area_um2=1000, read_pj=7, write_pj=11, leakage_uw=2, access_ns=1.25, cycle_ns=1),),
)  # fmt: skip
COSTS = Costs(mac=mac_cost, unit=unit_cost, clock_mhz=500, sram=TABLE, off_chip_pj_per_bit=0.125)
MAC = UniformSpec(weight_bits=4, activation_bits=4, lanes=2, reduction_length=64)
REQUANT = ThresholdSpec(accumulator_width=32, bits=4, groups=2)
ARRAY = ArraySpec(
    mac=MAC, rows=2, columns=4, activation_depth=16, weight_depth=16, result_depth=8, requant=REQUANT
)  # fmt: skip


def gemm(name: str, role: Role, **changes: Any) -> Gemm:
    values: dict[str, Any] = {
        "layer": 0, "call": 0, "m": 5, "k": 6, "n": 8, "count": 1, "heads": 1,
        "precision_class": PrecisionClass.BODY, "activation_signed": True, "static": True, "bias": True,
        "feeds_gemm": False,
    }  # fmt: skip
    return Gemm(name=name, role=role, **{**values, **changes})


def network(*gemms: Gemm) -> Workload:
    return Workload(name="w", gemms=gemms, provenance={"model": "deit-tiny"})


def test_one_gemm_by_hand() -> None:
    """5 x 6 x 8 at 4 bits on 2 x 4 elements of 2 lanes.

    3 steps a sum; 3 row tiles and 2 column tiles, but the result memory of 8 words holds 4 tiles of 2 rows: parts of
    2 x 2 and of 1 x 2 tiles. A tile takes max(3, 2) = 3 cycles; the tail is latency 2 + rows 2 + requantiser 2 = 6.
    Runs: 3 * 3 + 3 + 6 + 1 = 19 and 1 * 3 + 3 + 6 + 1 = 13. Loads: max(2 * 3, 2 * 3, 2) = 6 and max(3, 6, 2) = 6.
    """
    cost = network_cost(ARRAY, uniform(network(gemm("a", Role.FC1)), 4), COSTS)
    (kind,) = cost.kinds
    assert (kind.parts, kind.passes, kind.bits) == (2, 1, 4)
    assert (kind.run_cycles, kind.load_cycles, kind.cycles) == (32, 12, 44)
    assert kind.operand_cycles == kind.operand_reads == 6 * 3
    assert (kind.activation_writes, kind.weight_writes) == (9, 12)
    assert (kind.result_writes, kind.result_reads, kind.requantised) == (12, 12, 0)
    assert kind.useful_cycles == 5 * 6 * 8 / (2 * 8)
    assert kind.utilisation == 15 / 44
    # Codes in: activations once for each of 1 column block, weights for each of 2 row blocks; results of 32 bits.
    assert kind.off_chip_bits == 4 * (5 * 6 + 2 * 8 * 6) + 5 * 8 * 32
    # Words: activations 2 x 8 bits, weights 4 x 8, results 4 x 32: 1, 1 and 4 macros of 32 bits.
    energy = kind.energy
    assert energy.mac_pj == 8 * (18 * 2 * 4 + 26 * 2 * 0.25)
    assert energy.requantisation_pj == 4 * (12 * 3 + 32 * 0.5)
    assert energy.activation_sram_pj == 18 * 7 + 9 * 11
    assert energy.weight_sram_pj == 18 * 7 + 12 * 11
    assert energy.result_sram_pj == 4 * (12 * 7 + 12 * 11)
    assert energy.off_chip_pj == kind.off_chip_bits / 8
    # 8 elements, 4 requantisers, 6 macros for 44 cycles of 2 ns.
    assert energy.leakage_pj == pytest.approx((8 * 1 + 4 * 4 + 6 * 2) * 44 / 500)
    assert cost.energy == energy
    assert cost.area.by_part == {
        "mac": 160, "requantisation": 400, "activation_sram": 1000, "weight_sram": 1000, "result_sram": 4000
    }  # fmt: skip
    assert (cost.area.logic_um2, cost.area.total_um2) == (560, 6560)
    assert (cost.latency_us, cost.minimum_period_ns, cost.meets_clock) == (44 / 500, 1.75, True)
    assert cost.energy_pj_per_mac == energy.total_pj / 240


def test_wide_layers_take_passes_that_add_up() -> None:
    """8 x 8 bits on 4 x 4: 3 digits of weights times 2 slices of activations, five of which read what they add to."""
    ends = gemm("a", Role.CLASSIFIER, precision_class=PrecisionClass.ENDS, layer=None)
    (kind,) = network_cost(ARRAY, uniform(network(ends), 4), COSTS).kinds
    assert (kind.bits, kind.passes) == (8, 6)
    assert kind.operand_cycles == 6 * 18
    assert (kind.result_writes, kind.result_reads) == (6 * 12, 5 * 12 + 12)
    assert kind.useful_cycles == 6 * 15
    assert kind.energy.mac_pj == 8 * (6 * 18 * 2 * 4 + (kind.cycles - 108) * 2 * 0.25)


def test_what_feeds_the_next_gemm_is_requantised_at_the_drain() -> None:
    """One parameter set a column: 8 more load cycles a part, codes of 4 bits out, and the parameters in."""
    plain = network_cost(ARRAY, uniform(network(gemm("a", Role.QUERY)), 4), COSTS).kinds[0]
    (kind,) = network_cost(ARRAY, uniform(network(gemm("a", Role.QUERY, feeds_gemm=True)), 4), COSTS).kinds
    assert kind.requantised == 40
    assert kind.load_cycles == plain.load_cycles + 2 * 8
    assert kind.off_chip_bits == 4 * (5 * 6 + 2 * 8 * 6) + 5 * 8 * 4 + 2 * 8 * REQUANT.parameter_width
    feeding = network(gemm("a", Role.QUERY, feeds_gemm=True))
    without = network_cost(replace(ARRAY, requant=None), uniform(feeding, 4), COSTS)
    assert without.kinds[0].requantised == 0
    assert without.energy.requantisation_pj == 0
    assert without.area.requantisation_um2 == 0


def test_scales_along_the_sums_of_a_projection_take_partial_sums() -> None:
    found = network(gemm("a", Role.QUERY, heads=2), gemm("b", Role.PROJECTION, heads=2))
    plain = network_cost(ARRAY, uniform(found, 4), COSTS, scales=Scales.HEAD)
    cut = network_cost(ARRAY, uniform(found, 4), COSTS, scales=Scales.HEAD_REDUCED)
    query, projection = cut.kinds
    assert query.run_cycles == plain.kinds[0].run_cycles
    # Two products of 3 steps' half: 2 steps of 2 lanes.
    assert projection.parts == 2 * plain.kinds[1].parts
    assert projection.operand_cycles == 2 * 6 * 2
    assert cut.area.requantisation_um2 == 4 * (100 + 200)
    taken = projection.result_writes
    expected = taken * 3 + (projection.cycles - taken) * 0.5 + taken * 6 + (projection.cycles - taken) * 1.0
    assert projection.energy.requantisation_pj == 4 * expected
    idle = query.result_writes * 3 + (query.cycles - query.result_writes) * 0.5 + query.cycles * 1.0
    assert query.energy.requantisation_pj == 4 * idle
    assert network_cost(ARRAY, uniform(found, 4), COSTS, scales=Scales.TENSOR).energy == plain.energy


def test_double_buffering_hides_loads_and_doubles_memories() -> None:
    found = uniform(network(gemm("a", Role.FC1)), 4)
    cost = network_cost(ARRAY, found, COSTS, overlap=Overlap.DOUBLE)
    # Load 6, the longer of run 19 and load 6, run 13.
    assert cost.cycles == 6 + 19 + 13
    assert (cost.area.activation_sram_um2, cost.area.weight_sram_um2) == (2000, 2000)
    assert cost.area.result_sram_um2 == 4000
    plain = network_cost(ARRAY, found, COSTS)
    assert cost.energy.activation_sram_pj == plain.energy.activation_sram_pj
    assert cost.energy.leakage_pj == pytest.approx((8 + 16 + 2 * 2 + 2 * 2 + 4 * 2) * 38 / 500)


def test_a_systolic_array_has_a_memory_for_each_row_and_column() -> None:
    array = replace(ARRAY, architecture=Architecture.SYSTOLIC)
    held = memories(array, TABLE)
    assert (held.activation_count, held.weight_count, held.result_count) == (2, 4, 4)
    assert (held.activation.bits, held.weight.bits, held.result.bits) == (8, 8, 32)
    flat = memories(ARRAY, TABLE)
    assert (flat.activation.bits, flat.weight.bits, flat.result.bits) == (16, 32, 128)


def test_energies_add_up_by_every_key() -> None:
    found = load_workload("deit-tiny")
    costs = replace(COSTS, sram=packaged_sram())
    array = ArraySpec(mac=UniformSpec(lanes=16), requant=multiplier(4))
    cost = network_cost(array, assign(found, 3, [2, 4, 8]), costs)
    for grouped in (cost.energy_by_role, cost.energy_by_module, cost.energy_by_class):
        total = sum(grouped.values(), Energy())
        for part, value in cost.energy.by_part.items():
            assert total.by_part[part] == pytest.approx(value)
    assert set(cost.energy_by_module) == set(Module)
    assert sum(cost.cycles_by_role.values()) == cost.cycles
    assert sum(len(kind.gemms) for kind in cost.kinds) == len(found.gemms)
    assert cost.energy.total_pj == pytest.approx(sum(cost.of(gemm).energy.total_pj for gemm in found.gemms))
    assert 0 < cost.utilisation < 1
    assert 0 < cost.load_share < 1


def test_the_role_chooses_the_operand_stream() -> None:
    pair = network(gemm("a", Role.FC1), gemm("b", Role.VALUE))
    first, second = network_cost(ARRAY, uniform(pair, 4), COSTS).kinds
    active = 8 * 18 * 2 * 4
    assert second.energy.mac_pj - first.energy.mac_pj == active


def test_mixed_widths_run_on_a_scalable_element() -> None:
    array = replace(ARRAY, mac=BitFusionSpec(units=1, reduction_length=64), activation_depth=64, weight_depth=64)
    pair = network(gemm("a", Role.FC1, k=16), gemm("b", Role.VALUE, k=16))
    cost = network_cost(array, assign(pair, 3, [2, 4]), COSTS)
    assert [kind.bits for kind in cost.kinds] == [2, 4]
    # 16 products a step at 2 bits, 4 at 4 bits.
    assert [kind.operand_cycles for kind in cost.kinds] == [6 * 1, 6 * 4]


# Arrays to match.

SMALL = network(
    gemm("a", Role.QUERY, m=17, k=24, n=12, feeds_gemm=True), gemm("b", Role.FC1, m=17, k=12, n=24, call=0),
    gemm("c", Role.CLASSIFIER, m=1, k=12, n=10, precision_class=PrecisionClass.ENDS, layer=None),
)  # fmt: skip
GIVEN = ArraySpec(
    mac=UniformSpec(lanes=4, reduction_length=64), rows=4, columns=4, activation_depth=32, weight_depth=32,
    result_depth=32, requant=REQUANT,
)  # fmt: skip


def by_trying_all(
    element: MacSpec, overlap: Overlap, architecture: Architecture
) -> list[tuple[ArraySpec, NetworkCost]]:
    """Every array of the rule, built and costed on its own."""
    given = replace(GIVEN, architecture=architecture)
    mixed = assign(SMALL, 3, [2, 4])
    found = []
    weights, activations = given.element.operand_widths
    for rows, columns in itertools.product(range(1, 9), repeat=2):
        if rows > 2 * columns or columns > 2 * rows:
            continue
        deep = 1 << 12
        probe = replace(given, mac=element, rows=rows, columns=columns, activation_depth=deep, weight_depth=deep)
        wide, high = probe.element.operand_widths
        need = [0, 0]
        for each in SMALL.gemms:
            bits = mixed.of(each)
            product = Matrices(m=each.m, k=each.k, n=each.n, count=1, bits=bits, activation_signed=True)
            need = [max(old, new) for old, new in zip(need, needed_words(element, product), strict=True)]
        array = replace(
            probe,
            activation_depth=max(32 * 4 * activations // (rows * high), need[0]),
            weight_depth=max(32 * 4 * weights // (columns * wide), need[1]),
            result_depth=max(32 * 4 * 32 // (columns * 32), rows),
        )
        found.append((array, network_cost(array, mixed, COSTS, overlap=overlap)))
    return found


@pytest.mark.parametrize("element", [SubwordSpec(units=1, reduction_length=64), LoomSpec(units=6, reduction_length=64)])
@pytest.mark.parametrize(
    ("overlap", "architecture"), [(Overlap.NONE, Architecture.BROADCAST), (Overlap.DOUBLE, Architecture.SYSTOLIC)]
)
def test_matching_arrays_are_the_best_of_all(element: MacSpec, overlap: Overlap, architecture: Architecture) -> None:
    tried = by_trying_all(element, overlap, architecture)
    mixed = assign(SMALL, 3, [2, 4])
    among = candidates(replace(GIVEN, architecture=architecture), element, REQUANT, mixed, COSTS, overlap=overlap)
    assert len(among.cycles) == len(tried)
    for number, (array, cost) in enumerate(tried):
        assert among.array(number) == array
        assert among.cycles[number] == cost.cycles
        assert among.logic_um2[number] == pytest.approx(cost.area.logic_um2)
    area_um2 = sorted(cost.area.logic_um2 for _, cost in tried)[len(tried) // 2]
    fits = [(cost.cycles, cost.area.logic_um2, array.rows) for array, cost in tried if cost.area.logic_um2 <= area_um2]
    chosen = dict(tried)[equal_area(among, area_um2)]
    assert (chosen.cycles, chosen.area.logic_um2, chosen.array.rows) == min(fits)
    cycles = sorted(cost.cycles for _, cost in tried)[len(tried) // 3]
    quick = [(cost.area.logic_um2, cost.cycles, array.rows) for array, cost in tried if cost.cycles <= cycles]
    chosen = dict(tried)[equal_latency(among, cycles)]
    assert (chosen.area.logic_um2, chosen.cycles, chosen.array.rows) == min(quick)


def test_where_no_array_matches_it_says_so() -> None:
    element = SubwordSpec(units=1, reduction_length=64)
    among = candidates(GIVEN, element, REQUANT, assign(SMALL, 3, [2, 4]), COSTS)
    with pytest.raises(ValueError) as caught:
        equal_area(among, 50.0)
    assert str(caught.value) == f"area_um2 must be at least 110, that of the smallest array of {element.name}, not 50"
    with pytest.raises(ValueError) as caught:
        equal_latency(among, 3)
    fewest = int(among.cycles.min())
    assert str(caught.value) == f"cycles must be at least {fewest}, those of the fastest array of {element.name}, not 3"


# Lines of the table.


@pytest.fixture(scope="module")
def rows() -> list[NetworkRow]:
    return network_rows(load_workload("deit-tiny"), [3, 4], replace(COSTS, sram=packaged_sram()))


def test_every_design_is_matched_in_both_ways(rows: list[NetworkRow]) -> None:
    for bits in (3, 4):
        base, *others = [row for row in rows if row.bits == bits]
        assert (base.normalisation, base.design) == (UNIFORM, f"uniform {bits}x{bits}")
        assert (base.logic_area_ratio, base.latency_ratio, base.energy_ratio) == (1, 1, 1)
        designs = [spec.label for spec in default_elements(bits)[1:]]
        assert [(row.design, row.normalisation) for row in others] == [
            (design, name) for design in designs for name in (EQUAL_AREA, EQUAL_LATENCY)
        ]
        for row in others:
            assert row.mean_bits == pytest.approx(bits)
            assert (row.logic_area_ratio if row.normalisation == EQUAL_AREA else row.latency_ratio) <= 1 + 1e-9
            assert row.energy_ratio == pytest.approx(row.energy_uj / base.energy_uj)
            parts = row.mac_uj + row.requantisation_uj + row.sram_uj + row.off_chip_uj + row.leakage_uj
            assert row.energy_uj == pytest.approx(parts)
            assert row.area_um2 == pytest.approx(row.logic_area_um2 + row.sram_area_um2)
            assert row.accuracy_percent is None
            assert row.meets_clock is True


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
    assert text.count("\n| ") == len(rows) + 2 * 2  # a head and a rule a table
    assert "**deit-tiny, mean of 3 bits**" in text
    assert "| uniform 4x4 | 16x16 |  | 4b:100% |" in text
    frame = network_frame(rows)
    assert list(frame.columns) == [field.name for field in dataclasses.fields(NetworkRow)]
    assert len(frame) == len(rows)
    print_network(rows)
    shown = capsys.readouterr().out
    for word in ("bitfusion 8/4/2", "latency us", "off chip MB", "74.71", "16x16"):
        assert word in shown


def test_what_is_left_out_is_said(rows: list[NetworkRow]) -> None:
    costs = replace(COSTS, sram=None, off_chip_pj_per_bit=None)
    slow = replace(costs, clock_mhz=1000.0)
    bare = network_rows(load_workload("vit-mnist"), [4], slow, elements=lambda bits: default_elements(bits, 4))
    assert {row.sram_area_um2 for row in bare} == {row.sram_uj for row in bare} == {0}
    assert {row.meets_clock for row in bare} == {False}
    notes = network_notes(bare)
    assert "Memories are not counted: there is no table of them for this technology." in notes
    assert "Off-chip traffic is counted in bytes; its energy is not in any number." in notes
    assert "(misses): a part of the array does not meet the clock." in notes
    unknown = [replace(row, meets_clock=None) for row in bare]
    assert "Whether the arrays meet the clock is unknown." in network_notes(unknown)
    assert not any("not counted" in note or "off-chip" in note.lower() for note in network_notes(rows))


def test_the_first_element_is_the_uniform_one() -> None:
    with pytest.raises(TypeError) as caught:
        network_rows(SMALL, [4], COSTS, elements=lambda bits: default_elements(bits)[1:])
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
    powered = replace(row, power_uw=1100.0, leakage_uw=100.0, clock_uw=250.0)
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


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    latency.main(arguments)
    return [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]


def test_the_command_shows_cycles_by_role(capsys: pytest.CaptureFixture[str]) -> None:
    array = ArraySpec(
        mac=UniformSpec(), activation_depth=512, weight_depth=512, result_depth=512, requant=multiplier(4)
    )  # fmt: skip
    cost = network_cost(array, uniform(load_workload("deit-tiny"), 4), replace(COSTS, sram=packaged_sram()))
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


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--mean", "3", "--bits", "4"], "--mean and --bits must not be given together"),
        (["--array", "16"], "array must be ROWSxCOLUMNS, as in 16x16, not '16'"),
        (["--mean", "x"], "mean must be a number, not 'x'"),
        (["--bits", "x"], "bits must be an integer, not 'x'"),
        (["--depth", "40"],
         "activation_depth must be at least 48 words for one tile with sums of 768 products, not 40"),
    ],
)  # fmt: skip
def test_bad_options_say_what_must_be(arguments: list[str], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        latency.main(arguments)
    assert str(caught.value) == text
