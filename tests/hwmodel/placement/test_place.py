"""A netlist of the flow placed: its wires in timing, loads and rows, the same every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.measurement.dut import Bench, DesignUnderTest, placed_netlist, stored
from hwmodel.measurement.row import WIRE_LOAD, SynthesisRow
from hwmodel.measurement.store import RowStore
from hwmodel.netlist.area import area_parts, instance_parts
from hwmodel.netlist.netlist import read_netlist
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.placement.place import Placing, place
from hwmodel.placement.placer import placer_version
from hwmodel.placement.technology import Wire, technology_of
from hwmodel.synthesis.flow import read_back
from hwmodel.synthesis.sta import ToolMissing, find_opensta
from rtl.array import CoreSpec
from rtl.mac import UniformSpec
from rtl.spec.mac import Precision
from siliquant.inputs import ToolError

SPEC = UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=16)
PLAN = StreamPlan(Precision(2, 2), products=16, cycles=64)

try:
    find_opensta()
except ToolMissing as reason:
    pytest.skip(str(reason), allow_module_level=True)
if placer_version() is None:
    pytest.skip("coloquinte is not installed: it is built for CPython up to 3.12", allow_module_level=True)


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RowStore:
    return RowStore(tmp_path_factory.mktemp("rows"), packaged=None)


def test_rows_with_wires(library: Library, store: RowStore) -> None:
    plain_bench = Bench(library, 100.0, "quick", jobs=1)
    with DesignUnderTest(SPEC, plain_bench, store) as dut:
        plain = dut.at(100.0, [PLAN])
        digest = dut.verilog_sha256
    placing = Placing(technology_of(library))
    bench = Bench(library, 100.0, "quick", jobs=1, placing=placing)
    with DesignUnderTest(SPEC, bench, store) as dut:
        placed = dut.at(100.0, [PLAN])
    assert plain.row.wires == WIRE_LOAD
    assert plain.row.wiring is None
    row, wiring = placed.row, placed.row.wiring
    assert wiring is not None
    assert row.wires == placing.text
    assert row.key != plain.row.key
    assert (row.area_um2, row.histogram, row.recipe) == (plain.row.area_um2, plain.row.histogram, plain.row.recipe)
    assert row.minimum_period_ns != plain.row.minimum_period_ns
    assert placed.powered[PLAN].power_uw != plain.powered[PLAN].power_uw
    assert wiring.wire_ff == pytest.approx(wiring.wire_um * placing.technology.wire.ff_per_um, rel=1e-5)
    core_um2 = wiring.core_width_um * wiring.core_height_um
    assert 100 * row.area_um2 / core_um2 == pytest.approx(wiring.utilisation, rel=1e-3)
    assert SynthesisRow.from_json(row.to_json()) == row
    assert stored(digest, [PLAN], bench, 100.0, store) == placed
    assert stored(digest, [PLAN], plain_bench, 100.0, store) == plain
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwmodel.measurement.store.placer_version", lambda: "another")
        assert stored(digest, [PLAN], bench, 100.0, store) is None
        assert stored(digest, [PLAN], plain_bench, 100.0, store) == plain

    # Heavier wires: the same placement, and power that rises with them.
    heavy = Placing(technology_of(library, wire=Wire(10 * placing.technology.wire.ff_per_um, 3.6, "as stated")))
    with DesignUnderTest(SPEC, Bench(library, 100.0, "quick", jobs=1, placing=heavy), store) as dut:
        more = dut.at(100.0, [PLAN])
    assert more.row.wiring is not None
    assert more.row.wiring.wire_um == wiring.wire_um
    assert (more.powered[PLAN].switching_uw or 0) > 2 * (placed.powered[PLAN].switching_uw or 0)
    assert (more.row.minimum_period_ns or 0) > (row.minimum_period_ns or 0)


def test_a_netlist_that_misses_the_clock_by_its_wires_is_made_for_a_faster_one(
    library: Library, store: RowStore
) -> None:
    """At a clock that it just meets by the wire load; wires of 0.5 fF a um are too slow for it."""
    with DesignUnderTest(SPEC, Bench(library, 10.0, "quick", jobs=1), store) as dut:
        relaxed_ns = dut.at(10.0, []).row.minimum_period_ns
        assert relaxed_ns is not None
        clock_mhz = float(int(1000 / relaxed_ns))
        plain = dut.at(clock_mhz, []).row
    assert plain.meets_clock
    placing = Placing(technology_of(library, wire=Wire(0.5, 3.6, "as stated")))
    with DesignUnderTest(SPEC, Bench(library, clock_mhz, "quick", jobs=1, placing=placing), store) as dut:
        row = dut.at(clock_mhz, []).row
    assert row.wiring is not None
    assert row.clock_mhz == clock_mhz
    assert row.wiring.made_for_mhz > clock_mhz
    assert row.slack_ns == pytest.approx(1000 / clock_mhz - (row.minimum_period_ns or 0), abs=1e-5)
    assert row.meets_clock
    assert row.area_um2 > plain.area_um2


@pytest.mark.parametrize("search", ["", "-screened", "-unscreened"])
def test_a_placed_row_says_how_all_its_netlists_were_searched_for(
    search: str, library: Library, store: RowStore
) -> None:
    """The second one is no faster: the first is kept."""
    with DesignUnderTest(SPEC, Bench(library, 10.0, "quick", jobs=1), store) as dut:
        clock_mhz = float(int(1000 / (dut.at(10.0, []).row.minimum_period_ns or 1.0)))
        plain = dut.at(clock_mhz, []).row
    netlist = store.netlist(plain.key)
    assert netlist is not None
    mapped = read_back(netlist, SPEC.name, library, clock_mhz)
    again = replace(plain, recipe=plain.recipe + search, meets_clock=False), mapped
    bench = Bench(
        library, clock_mhz, "quick", placing=Placing(technology_of(library, wire=Wire(0.5, 3.6, "as stated")))
    )
    row, _ = placed_netlist(plain, mapped, bench, clock_mhz, lambda _: again)
    assert not row.meets_clock
    assert row.recipe == plain.recipe + search


def test_placing_again_gives_the_same_bytes(library: Library, store: RowStore) -> None:
    with DesignUnderTest(SPEC, Bench(library, 100.0, "quick", jobs=1), store) as dut:
        row = dut.at(100.0, [PLAN]).row
    netlist = store.netlist(row.key)
    assert netlist is not None
    mapped = read_back(netlist, SPEC.name, library, 100.0)
    first, second = (place(mapped, library, Placing(technology_of(library)), 100.0) for _ in range(2))
    assert first == second
    assert first.mapped.spef is not None
    loads, timing = first.mapped.timing, mapped.timing
    assert loads is not None
    assert timing is not None
    assert loads.loads_ff.keys() == timing.loads_ff.keys()
    # Loads are pins and wires: with next to no wire they are smaller by just the wires.
    bare = place(
        mapped, library, Placing(technology_of(library, wire=Wire(1e-4, 0.0, "as stated"))), 100.0
    ).mapped.timing
    assert bare is not None
    wires_ff = (first.wiring.wire_um + first.wiring.clock_um) * (0.104578 - 1e-4)
    assert sum(loads.loads_ff.values()) - sum(bare.loads_ff.values()) == pytest.approx(wires_ff, rel=1e-3)


def test_a_whole_array_is_placed(library: Library, store: RowStore) -> None:
    core = CoreSpec(mac=SPEC, rows=2, columns=2)
    plan = StreamPlan(Precision(2, 2), products=8, cycles=64)
    bench = Bench(library, 100.0, "quick", jobs=1, placing=Placing(technology_of(library), 60.0))
    with DesignUnderTest(core, bench, store) as dut:
        found = dut.at(100.0, [plan])
    assert found.row.wiring is not None
    assert found.row.wiring.utilisation == pytest.approx(60, rel=0.03)
    assert found.powered[plan].power_uw is not None


def test_without_opensta_there_are_no_wires(library: Library) -> None:
    mapped = read_back("module m(input a, output y); INV_X1 u(.A(a), .ZN(y)); endmodule", "m", library, 100.0)
    untimed = type(mapped)(mapped.top, mapped.verilog, mapped.netlist, None)
    with pytest.raises(ToolError) as error:
        place(untimed, library, Placing(technology_of(library)), 100.0)
    assert str(error.value) == "wires need OpenSTA: apt-get install opensta"


def test_parts_of_instances_add_up_to_the_parts_of_the_area(library: Library, store: RowStore, tmp_path: Path) -> None:
    with DesignUnderTest(SPEC, Bench(library, 100.0, "quick", jobs=1), store) as dut:
        row = dut.at(100.0, [PLAN]).row
    netlist = store.netlist(row.key)
    assert netlist is not None
    mapped = read_back(netlist, SPEC.name, library, 100.0)
    read = read_netlist(mapped.netlist, SPEC.name)
    parts = instance_parts(read, library)
    areas = area_parts(mapped.netlist, SPEC.name, library)
    for part in set(parts):
        total = sum(library.areas[each.cell] for each, own in zip(read.instances, parts, strict=True) if own == part)
        assert total == pytest.approx(getattr(areas, part))
