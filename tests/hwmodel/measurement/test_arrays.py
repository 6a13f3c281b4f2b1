"""Cores of arrays: their netlists compute what they must, and have the parts and transitions that the model counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from hwmodel.library.library import find_library
from hwmodel.measurement.dut import power_data
from hwmodel.measurement.sweep import sweep_cores
from hwmodel.measurement.table import spec_of
from hwmodel.model.arrays import core_cost, core_counts, drain_takes, reach_of, share_cost, share_counts
from hwmodel.model.features import PARTS, counts_of
from hwmodel.model.file import load_model
from hwmodel.model.structure import FLIP_FLOPS, Part, Share
from hwmodel.netlist.netlist import read_netlist
from hwmodel.operands.arraystimulus import CoreStimulus, check_drained, make_core_stimulus
from hwmodel.operands.stimulus import Mismatch, StreamPlan
from hwmodel.operands.streams import Stream
from hwmodel.power.activity import Waves, simulate
from hwmodel.synthesis.flow import Workspace
from hwmodel.synthesis.recipes import Recipe
from rtl.array import Architecture, CoreSpec
from rtl.mac import DESIGNS, BitSerialSpec, SubwordSpec, UniformSpec
from rtl.spec.mac import Precision
from rtl.verilog import numbered_verilog

SYSTOLIC = Architecture.SYSTOLIC
CORES = [
    CoreSpec(mac=UniformSpec(weight_bits=4, activation_bits=4, lanes=2), rows=3, columns=2),
    CoreSpec(mac=UniformSpec(weight_bits=2, activation_bits=2, lanes=4, pipeline_stages=1), rows=2, columns=3,
             architecture=SYSTOLIC),
    CoreSpec(mac=BitSerialSpec(units=2, pipeline_stages=2), rows=2, columns=2),
    CoreSpec(mac=SubwordSpec(units=1, widths=(8, 4)), rows=3, columns=1, architecture=SYSTOLIC),
]  # fmt: skip


def plan_of(spec: CoreSpec) -> StreamPlan:
    products = (spec.rows + 2) * spec.mac.products_per_step(spec.precisions[0])
    return StreamPlan(spec.precisions[0], products=products, cycles=64)


@cache
def simulated(spec: CoreSpec) -> tuple[CoreStimulus, Waves, int]:
    """The stimulus, what the nets of the netlist did, and the number of its flip-flops."""
    library = find_library()
    with Workspace(numbered_verilog([spec]), spec.name, library, jobs=1) as workspace:
        found = workspace.synthesise(10.0, recipe=Recipe("cell", "chain", "area"))
    stimulus = make_core_stimulus(spec, plan_of(spec))
    cells = power_data(library.files).cells
    netlist = read_netlist(found.netlist, spec.name)
    waves = simulate(netlist, cells, stimulus.words, count_from_cycle=stimulus.first_full_cycle)
    return stimulus, waves, sum(count for cell, count in found.cells.items() if cell in library.flip_flops)


@pytest.mark.parametrize("spec", CORES, ids=lambda spec: spec.name)
def test_the_netlist_drains_the_sums_of_every_row_and_column(spec: CoreSpec) -> None:
    stimulus, waves, _ = simulated(spec)
    assert len(stimulus.expected) >= 2 * spec.rows * spec.columns
    assert len({word for _, _, word in stimulus.expected}) > spec.rows * spec.columns
    check_drained(spec, plan_of(spec), stimulus, waves.words("drain"))


def test_a_wrong_sum_is_named() -> None:
    spec = CORES[0]
    stimulus, waves, _ = simulated(spec)
    cycle, column, word = stimulus.expected[0]
    wrong = replace(stimulus, expected=((cycle, column, word ^ 1),))
    with pytest.raises(Mismatch) as caught:
        check_drained(spec, plan_of(spec), wrong, waves.words("drain"))
    assert str(caught.value) == (
        f"column {column} of {spec.name} must drain {word ^ 1:#x} in cycle {cycle} of {plan_of(spec)}, not {word:#x}"
    )


@pytest.mark.parametrize("spec", CORES, ids=lambda spec: spec.name)
def test_flip_flops_are_counted_exactly(spec: CoreSpec) -> None:
    counted = dict(zip(PARTS, core_counts(spec).tolist(), strict=True))
    more = sum(counted[part] for part in FLIP_FLOPS) - simulated(spec)[2]
    if not spec.systolic:
        assert more == 0
        return
    # A control bit that waits for the pipeline is what the next element has in its operand register.
    shared = spec.rows * (spec.columns - 1) * spec.pipeline_stages * (spec.element.control_width + 1)
    assert 0 <= more <= shared


@pytest.mark.parametrize("drain", [1, 2, 3, 5])
@pytest.mark.parametrize("rows", [1, 2, 5, 6])
@pytest.mark.parametrize("architecture", Architecture)
def test_drain_registers_change_as_often_as_counted(rows: int, drain: int, architecture: Architecture) -> None:
    """A column of registers, moved cycle by cycle, between sums of different words."""
    systolic, drain = architecture is SYSTOLIC, min(drain, rows)
    held, taken = [0] * rows, 0
    for tile in (1, 2, 3):
        own = [100 * tile + row for row in range(rows)]
        if systolic:  # each row stops once it has passed on those before it in its drain
            ends = list(range(rows - 1, -1, -drain))
            taken += sum(1 + row - max(0, end - drain + 1) for end in ends for row in range(rows)
                         if end - drain < row <= end)  # fmt: skip
            continue
        for step in (own, *([0] * k + own[: rows - k] for k in range(1, drain))):
            taken += sum(new != old for new, old in zip(step, held, strict=True))
            held = step
    assert taken == 3 * drain_takes(rows, systolic, drain=drain)


def test_a_larger_array_costs_more_and_its_elements_alike() -> None:
    model, plan = load_model("freepdk45"), StreamPlan(Precision(4, 4))
    mac = UniformSpec(lanes=4)
    small, large = (core_cost(CoreSpec(mac=mac, rows=n, columns=n), plan, model, 10.0) for n in (2, 8))
    one = share_cost(CoreSpec(mac=mac, rows=1, columns=1), Share.ELEMENT, plan, model, 10.0)
    assert 4 * one.total_area_um2 < small.total_area_um2
    assert large.total_area_um2 < 16 * small.total_area_um2, "a row's registers serve more columns"
    assert large.minimum_period_ns > small.minimum_period_ns > one.minimum_period_ns
    assert reach_of(CoreSpec(mac=mac, rows=2, columns=3)).others == 6


def test_what_one_operand_decides_is_counted_once_a_row_or_column() -> None:
    """A MAC by itself has the same parts, however they are shared."""
    for design in sweep_cores():
        spec = design.spec
        assert isinstance(spec, CoreSpec)
        every = sum(share_counts(spec, share) for share in Share)
        extra = dict(zip(PARTS, (every - counts_of(spec.mac)).tolist(), strict=True))
        width = spec.mac.accumulator_width
        assert extra.pop(Part.ACCUMULATOR_REGISTERS) == width
        assert extra.pop(Part.MULTIPLEXERS) == width
        assert extra.pop(Part.CLOCK_GATES) == pytest.approx(-(-width // 24))
        assert (
            extra.pop(Part.CONTROL_REGISTERS) == (3 if spec.systolic else 3 + spec.pipeline_stages) - spec.mac.latency
        )
        assert not any(extra.values())
        registers = [share_counts(spec, share)[PARTS.index(Part.OPERAND_REGISTERS)] for share in Share]
        widths = {port.name: port.width for port in spec.mac.operand_ports}
        weights, activations = widths.pop("weights"), widths.pop("activations")
        assert registers == [0, weights, activations, sum(widths.values()) + 1]


def test_arrays_of_the_sweep_are_of_every_design_and_both_architectures() -> None:
    cores = [design.spec for design in sweep_cores()]
    assert {core.mac.design for core in cores if isinstance(core, CoreSpec)} == {design.design for design in DESIGNS}
    assert {core.architecture for core in cores if isinstance(core, CoreSpec)} == set(Architecture)
    for design in sweep_cores():
        assert design.held_out == "array"
        assert spec_of("array", json.dumps(design.spec.parameters)) == design.spec


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: make_core_stimulus(CORES[0], StreamPlan(Precision(4, 4), Stream("vit-mnist"))),
         "stream must be drawn, not recorded, so that all elements have sums of one length, not "),
        (lambda: make_core_stimulus(CORES[0], StreamPlan(Precision(4, 4), products=4)),
         "a sum must take at least the 3 cycles in which its rows drain, not 2"),
        (lambda: CoreSpec(mac=UniformSpec(), rows=0, columns=1), "rows must be an integer from 1 to 256, not 0"),
        (lambda: spec_of("array", "{}"), "the parameters of a core must be mac, rows, columns, architecture, not none"),
    ],
)  # fmt: skip
def test_bad_cores_are_refused(made: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        made()
    assert str(caught.value).startswith(sentence)
