"""Costs of whole networks: small ones worked out by hand."""

from dataclasses import replace

import pytest

from hwmodel.inference.inference import memories, network_cost
from hwmodel.inference.memories import packaged_sram
from hwmodel.inference.result import Energy
from hwmodel.inference.rows import multiplier
from hwmodel.inference.tiling import Overlap
from hwmodel.workload import Module, PrecisionClass, Role, Scales, load_workload
from hwmodel.workload.assignment import assign, uniform
from rtl.array import Architecture, ArraySpec
from rtl.mac import BitFusionSpec, UniformSpec
from tests.hwmodel.inference.networkcases import ARRAY, COSTS, EDGED, REQUANT, TABLE, gemm, network


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


def test_edges_count_once_a_row_a_column_and_an_array() -> None:
    """2 rows of 1, 4 columns of 7 and 31 at the edge: 61 times what a row has. 6 tiles drain: of each column, row 0
    takes its sum and a zero, row 1 its sum and that of row 0.
    """
    found = uniform(network(gemm("a", Role.FC1)), 4)
    plain, edged = network_cost(ARRAY, found, COSTS), network_cost(ARRAY, found, EDGED)
    (kind,) = plain.kinds
    assert edged.area.mac_um2 == plain.area.mac_um2 + 61 * 3
    assert edged.kinds[0].cycles == kind.cycles
    more_pj = edged.energy.mac_pj - kind.energy.mac_pj
    assert more_pj == pytest.approx(61 * (18 * 5 * 4 + 26 * 0.75) + 6 * 4 * (2 + 2) * 0.375)
    more_pj = edged.energy.leakage_pj - kind.energy.leakage_pj
    assert more_pj == pytest.approx(61 * 0.125 * 44 / 500)
    systolic = replace(ARRAY, architecture=Architecture.SYSTOLIC)  # takes no zeros
    plain, edged = network_cost(systolic, found, COSTS), network_cost(systolic, found, EDGED)
    idle = edged.kinds[0].cycles - 18
    more_pj = edged.energy.mac_pj - plain.energy.mac_pj
    assert more_pj == pytest.approx(61 * (18 * 5 * 4 + idle * 0.75) + 6 * 4 * (1 + 2) * 0.375)


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
    # Load 6, the longer of run 19 with the cycle of the next start and load 6, run 13.
    assert cost.cycles == 6 + 20 + 13
    assert (cost.area.activation_sram_um2, cost.area.weight_sram_um2) == (2000, 2000)
    assert cost.area.result_sram_um2 == 4000
    plain = network_cost(ARRAY, found, COSTS)
    assert cost.energy.activation_sram_pj == plain.energy.activation_sram_pj
    assert cost.energy.leakage_pj == pytest.approx((8 + 16 + 2 * 2 + 2 * 2 + 4 * 2) * 39 / 500)


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
