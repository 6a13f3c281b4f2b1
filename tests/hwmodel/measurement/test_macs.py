"""From spec to row: checks of the mapped netlist, the store, and the rows that come with the package."""

from dataclasses import replace
from pathlib import Path

import pytest

import rtl.verilog as verilog
from hwmodel.library.library import find_library
from hwmodel.measurement.dut import Bench, DesignUnderTest, stored
from hwmodel.measurement.keys import generator_key
from hwmodel.measurement.macs import choose, known, measure
from hwmodel.measurement.row import SynthesisRow, tool_versions
from hwmodel.measurement.store import RowStore
from hwmodel.operands.stimulus import Mismatch, StreamPlan, check_sums, make_stimulus, precisions_to_check
from hwmodel.operands.streams import Stream
from rtl.mac import DESIGNS, LoomSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision
from siliquant.files.source import meaning
from tests.currentflow import needs_rows_of_this_flow

SPEC = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=16)
W2A2 = Precision(2, 2)


@pytest.fixture
def bench() -> Bench:
    return Bench(find_library(), clock_mhz=100.0, effort="quick", jobs=1)


def test_rows_are_measured_once_and_found_again(bench: Bench, tmp_path: Path) -> None:
    store = RowStore(tmp_path, packaged=None)
    assert known(SPEC, [W2A2], bench, store) is None
    made = choose(SPEC, [W2A2], bench, store)
    found = known(SPEC, [W2A2], bench, RowStore(tmp_path, packaged=None))
    assert found == made
    row = made.chosen.powered[W2A2]
    assert row.meets_clock
    assert row.power_uw == pytest.approx(row.leakage_uw + row.clock_uw + row.internal_uw + row.switching_uw)
    assert row.energy_pj_per_cycle == pytest.approx(row.power_uw / 100.0)
    assert row.area_um2 == pytest.approx(row.parts.total_um2)
    assert row.spec == SPEC.parameters

    # Another precision of a known netlist: the same area again, and its power.
    unsigned = Precision(2, 2, False)
    assert known(SPEC, [unsigned], bench, store) is None
    more = measure(SPEC, [unsigned], bench, store)
    assert more.row.area_um2 == row.area_um2
    assert more.powered[unsigned].power_uw != row.power_uw


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_what_a_comparison_finds_of_a_clock_it_gives_up_does_not_depend_on_what_else_was_measured(
    order: tuple[bool, ...], bench: Bench, tmp_path: Path
) -> None:
    store, plan = RowStore(tmp_path, packaged=None), StreamPlan(W2A2)
    for screen in order:
        with DesignUnderTest(SPEC, bench, store, screen=screen) as dut:
            assert stored(dut.verilog_sha256, [plan], bench, 20_000.0, store, screen=screen) is None
            made = dut.at(20_000.0, [plan])
        assert made.row.recipe.endswith("-screened" if screen else "-unscreened")
        assert stored(dut.verilog_sha256, [plan], bench, 20_000.0, store, screen=screen) == made


def test_what_both_ways_of_searching_find_serves_both(bench: Bench, tmp_path: Path) -> None:
    store, plan = RowStore(tmp_path, packaged=None), StreamPlan(W2A2)
    with DesignUnderTest(SPEC, bench, store, screen=False) as dut:
        made = dut.at(100.0, [plan])
    assert stored(dut.verilog_sha256, [plan], bench, 100.0, store, screen=True) == made


def test_the_power_of_another_netlist_does_not_count(bench: Bench, tmp_path: Path) -> None:
    store, first, second = RowStore(tmp_path, packaged=None), StreamPlan(W2A2), StreamPlan(Precision(2, 2, False))
    with DesignUnderTest(SPEC, bench, store) as dut:
        powered = dut.at(100.0, [first, second]).powered[first]
    store.put(replace(powered, area_um2=powered.area_um2 + 1.0))
    found = stored(dut.verilog_sha256, [first, second], bench, 100.0, store)
    assert found is not None
    assert set(found.powered) == {second}
    assert found.powered[second].area_um2 == found.row.area_um2


def test_a_netlist_that_differs_in_one_gate_is_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = verilog.numbered_verilog([SPEC]).replace("assign sum = a ^ b ^ c;", "assign sum = a ^ b | c;")
    monkeypatch.setattr("rtl.verilog.numbered_verilog", lambda _: wrong)
    store = RowStore(tmp_path, packaged=None)
    with pytest.raises(Mismatch, match=r"uniform_w2_a2_l1_k16 must give -?\d+ in cycle \d+ of uniform, seed 0, w2a2"):
        measure(SPEC, [W2A2], replace(bench, library=without_adder_cell(bench)), store)
    assert not list(store.rows())


def without_adder_cell(bench: Bench):
    """The library as one without a full-adder cell: the wrong adder is then synthesised as it stands."""
    return replace(bench.library, full_adder=None)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design)
def test_a_stimulus_is_full_rate_and_reproducible(design: type[MacSpec]) -> None:
    spec = design(**{design.size_parameter: 3})
    for precision in precisions_to_check(spec)[:6]:
        plan = StreamPlan(precision, products=2 * spec.products_per_step(precision) + 1, cycles=40)
        stimulus = make_stimulus(spec, plan)
        assert stimulus == make_stimulus(spec, plan)
        assert set(stimulus.words) == {port.name for port in spec.ports if port.is_input} | {"rst"}
        assert stimulus.words["in_valid"] == [0, 0] + [1] * (len(stimulus.words["rst"]) - 2)
        assert stimulus.words["rst"][:2] == [1, 1]
        assert len(stimulus.words["rst"]) >= 42
        assert stimulus.expected


def test_the_check_of_sums_sees_a_wrong_bit_and_a_missing_valid() -> None:
    plan = StreamPlan(Precision(1, 1), products=9, cycles=20)
    spec = XnorSpec(lanes=4)
    stimulus = make_stimulus(spec, plan)
    cycles = len(stimulus.words["rst"])
    mask = (1 << spec.accumulator_width) - 1
    right = dict(stimulus.expected)
    words, valid = [right.get(cycle, 0) & mask for cycle in range(cycles)], [1] * cycles
    check_sums(spec, plan, stimulus, words, valid)
    at = stimulus.expected[1][0]
    with pytest.raises(Mismatch, match=f"must give {right[at]} in cycle {at}"):
        check_sums(spec, plan, stimulus, [*words[:at], words[at] ^ 1, *words[at + 1 :]], valid)
    with pytest.raises(Mismatch, match="out_valid 0"):
        check_sums(spec, plan, stimulus, words, [0] * cycles)


def test_the_text_of_a_stream_names_all_that_it_depends_on() -> None:
    plans = [
        StreamPlan(W2A2), StreamPlan(Precision(2, 2, False)), StreamPlan(W2A2, Stream(seed=1)),
        StreamPlan(W2A2, Stream("lsq-gaussian")), StreamPlan(W2A2, products=5), StreamPlan(W2A2, cycles=5),
    ]  # fmt: skip
    assert len({str(plan) for plan in plans}) == len(plans)


def test_serial_designs_are_checked_at_symmetric_and_extreme_precisions() -> None:
    checked = precisions_to_check(LoomSpec())
    assert {(p.weight_bits, p.activation_bits) for p in checked} >= {(b, b) for b in range(1, 9)} | {(1, 8), (8, 1)}
    assert {p.activation_signed for p in checked} == {True, False}


def test_comments_and_docstrings_do_not_change_the_key_of_the_generator() -> None:
    one = 'def f(x):\n    """Says this."""\n    return x + 1  # why\n'
    same, other = "def f(x):\n    return x + 1\n", "def f(x):\n    return x + 2\n"
    dump = [meaning(text) for text in (one, same, other)]
    assert dump[0] == dump[1] != dump[2]
    assert generator_key(SPEC) != generator_key(replace(SPEC, lanes=2))


def packaged_rows() -> list[SynthesisRow]:
    return [row for row in RowStore(Path("/nonexistent")).rows() if row.library == "freepdk45"]


def test_packaged_rows_are_of_this_code_and_these_tools() -> None:
    rows = packaged_rows()
    assert rows
    tools = tool_versions()
    assert {row.tools["yosys"] for row in rows} == {tools["yosys"]}
    assert {row.tools["amaranth"] for row in rows} == {tools["amaranth"]}


@needs_rows_of_this_flow
@pytest.mark.parametrize("spec", [UniformSpec(weight_bits=2, activation_bits=2), UniformSpec()], ids=lambda s: s.name)
def test_a_sample_of_packaged_rows_is_synthesised_to_the_same_area(spec: MacSpec, tmp_path: Path) -> None:
    bench = Bench(find_library(), jobs=1)
    packaged = known(spec, [], bench, RowStore(tmp_path))
    assert packaged is not None, "the packaged rows are not of this code: python -m docs_tools.packaged --stamp"
    row = packaged.tried[0].row
    store = RowStore(tmp_path, packaged=None)
    store.put(row)
    precision = Precision(spec.weight_bits, spec.activation_bits)
    again = measure(spec, [precision], bench, store)  # knows the recipe, lacks the power
    assert again.row.area_um2 == row.area_um2
    assert again.row.minimum_period_ns == row.minimum_period_ns
    assert again.row.histogram == row.histogram
    stored = known(spec, [precision], bench, RowStore(tmp_path / "none"))
    assert stored is not None
    assert again.powered[precision].power_uw == pytest.approx(stored.tried[0].powered[precision].power_uw)


def test_a_clock_that_the_smallest_netlist_just_misses_is_answered(bench: Bench, tmp_path: Path) -> None:
    store = RowStore(tmp_path, packaged=None)
    relaxed = measure(SPEC, [], bench, store).row
    tight = replace(bench, clock_mhz=round(1000 / (0.93 * relaxed.minimum_period_ns), 1))
    found = choose(SPEC, [W2A2], tight, store)
    assert found.chosen.row.meets_clock
    assert found.chosen.row.minimum_period_ns <= 1000 / tight.clock_mhz
    products = {
        one.spec: one.row.area_um2 * (one.powered[W2A2].power_uw or 0.0) for one in found.tried if one.row.meets_clock
    }
    assert len(products) > 1
    assert found.chosen.spec == min(products, key=products.__getitem__)
    # A clock that nothing can meet gives the fastest, and says so.
    hopeless = choose(SPEC, [W2A2], replace(bench, clock_mhz=20_000.0), store)
    assert hopeless.chosen.row.meets_clock is False
    assert len(hopeless.tried) == 3 * len(SPEC.forms)


@needs_rows_of_this_flow
def test_without_opensta_nothing_is_synthesised_for_a_power_that_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, spec, packaged = Bench(find_library(), jobs=1), UniformSpec(), Precision(4, 4)
    tools = {**tool_versions(), "opensta": "none"}
    monkeypatch.setattr("hwmodel.measurement.store.tool_versions", lambda: tools)
    monkeypatch.setattr("hwmodel.measurement.dut.tool_versions", lambda: tools)
    monkeypatch.setattr("hwmodel.measurement.dut.Workspace", lambda *_, **__: pytest.fail("nothing may be synthesised"))
    another = Precision(4, 4, activation_signed=False)
    found = choose(spec, [packaged, another], bench, RowStore(tmp_path)).chosen
    assert found.row.minimum_period_ns is not None
    assert found.powered[packaged].power_uw is not None
    assert found.powered[another] == found.row
