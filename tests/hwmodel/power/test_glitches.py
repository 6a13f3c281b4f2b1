"""hwmodel.power.glitches on whole designs: against an independent simulation, by hand, and what must be refused."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodel.library.sdf import PathDelay
from hwmodel.library.verilog import cell_verilog
from hwmodel.operands.stimulus import Mismatch
from hwmodel.power import icarus
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.delays import NetlistDelays, netlist_delays
from hwmodel.power.eventsim import count_transitions
from hwmodel.power.glitches import (
    GLITCH_AWARE,
    SimulationError,
    SimulatorMissing,
    add_glitches,
    choose_window,
    with_glitches,
)
from hwmodel.power.glitches import library_cells as used_cells
from hwmodel.power.icarus import Transitions, Window, icarus_version, read_dump, run_icarus
from hwmodel.power.power import PowerReport, netlist_power
from rtl.mac import BitFusionSpec, UniformSpec
from rtl.spec.mac import MacSpec
from tests.hwmodel.mapping import library_cells, netlist_of
from tests.hwmodel.power.delayed import Case, mapped, need_tools, the_library

need_tools()

UNIFORM = UniformSpec(weight_bits=4, activation_bits=4, lanes=8)
FUSION = BitFusionSpec(units=1)
WINDOW = 64


def _delays(case: Case) -> NetlistDelays:
    synthesis = case.synthesis
    return netlist_delays(synthesis.verilog, case.waves.netlist, synthesis.top, case.library, case.cells, period_ns=2.0)


def _glitches(case: Case, cycles: int = WINDOW, delays: NetlistDelays | None = None) -> Waves:
    top = case.synthesis.top
    return with_glitches(
        case.waves,
        case.synthesis.verilog,
        top,
        case.library,
        case.stimulus,
        period_ns=2.0,
        cycles=cycles,
        delays=delays,
    )


def _power(case: Case, waves: Waves) -> PowerReport:
    timing = case.synthesis.timing
    assert timing is not None
    return netlist_power(waves, case.power, slews_ns=timing.slews_ns, loads_ff=timing.loads_ff, clock_mhz=500)


def _weighted(case: Case, counts: dict[int, int]) -> float:
    """Transitions times the load of their net."""
    timing, names = case.synthesis.timing, case.waves.netlist.net_names
    assert timing is not None
    loads = {
        net: next((timing.loads_ff[name] for name in names[net] if name in timing.loads_ff), 0.0) for net in counts
    }
    return sum(count * loads[net] for net, count in counts.items())


@pytest.mark.parametrize("spec", [UNIFORM, FUSION], ids=lambda spec: spec.design)
def test_against_an_independent_simulation(spec: MacSpec, tmp_path: Path) -> None:
    """The textbook rule within 10 % of the charge moved; Icarus' own rule almost net by net."""
    case = mapped(spec)
    delays = _delays(case)
    window = choose_window(case.waves, case.cells, delays, WINDOW, 2.0)
    found = run_icarus(tmp_path, case.waves, case.cells, delays.paths, case.stimulus, window)
    ours = dict(zip(found.nets, found.counts.sum(axis=1).tolist(), strict=True))
    settled = dict(zip(found.nets, (np.diff(found.settled.astype(int)) != 0).sum(axis=1).tolist(), strict=True))
    strict, lenient = (
        count_transitions(
            case.waves.netlist, case.cells, delays.paths, case.stimulus,
            first=window.first, cycles=window.cycles, launch_ns=window.launch_ns, lenient=lenient,
        )
        for lenient in (False, True)
    )  # fmt: skip
    assert len(strict) > 500
    differing = [net for net in lenient if lenient[net] != ours[net]]  # inputs that switch in the same fs
    assert len(differing) <= 0.02 * len(lenient)
    assert _weighted(case, lenient) == pytest.approx(_weighted(case, ours), rel=0.001)
    assert _weighted(case, strict) == pytest.approx(_weighted(case, ours), rel=0.1)
    extra, other = (_weighted(case, counts) - _weighted(case, settled) for counts in (ours, strict))
    assert other == pytest.approx(extra, rel=0.1)  # of the glitches alone


@pytest.mark.parametrize(
    ("spec", "lowest", "highest"), [(UNIFORM, 0.12, 0.25), (FUSION, 0.23, 0.42)], ids=["uniform", "bitfusion"]
)
def test_share_of_glitches_in_power(spec: MacSpec, lowest: float, highest: float) -> None:
    """Registers, clock and leakage stay; gates take more, in a plausible band."""
    case = mapped(spec)
    waves = _glitches(case)
    assert (waves.activity_source, case.waves.activity_source) == (GLITCH_AWARE, "zero-delay")
    assert waves.counted_cycles == case.waves.counted_cycles
    assert all(more >= count for more, count in zip(waves.toggles, case.waves.toggles, strict=True))
    before, after = _power(case, case.waves), _power(case, waves)
    assert after.leakage_uw == before.leakage_uw
    assert after.clock_uw == before.clock_uw
    share = 1 - (before.power_uw - before.leakage_uw) / (after.power_uw - after.leakage_uw)
    assert lowest < share < highest
    registers = {net for pins in (case.waves.pins[i] for i in _flip_flops(case)) for net in pins.values()}
    assert all(waves.toggles[net] == case.waves.toggles[net] for net in registers - _gate_outputs(case))


def _flip_flops(case: Case) -> list[int]:
    instances = case.waves.netlist.instances
    return [index for index, one in enumerate(instances) if case.cells[one.cell].flip_flop is not None]


def _gate_outputs(case: Case) -> set[int]:
    flops = set(_flip_flops(case))
    instances = enumerate(case.waves.netlist.instances)
    return {case.waves.pins[i][pin] for i, one in instances if i not in flops for pin in case.cells[one.cell].outputs}


def test_a_window_stands_for_the_whole_run() -> None:
    """Half the window gives the same within sampling noise; delays may be given; a longer window is cut."""
    case = mapped(UNIFORM)
    delays = _delays(case)
    power = [_power(case, _glitches(case, cycles, delays=delays)).power_uw for cycles in (128, 256, 10_000)]
    assert power[0] == pytest.approx(power[1], rel=0.02)
    assert power[1] == pytest.approx(power[2], rel=0.02)
    assert power[0] != power[1]


def _pulser() -> tuple[Waves, dict[str, list[int]]]:
    """y = a ^ a: nothing but glitches."""
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "late": ("BUF_X1", {"A": 3, "Z": 4}),
        "odd": ("XOR2_X1", {"A": 3, "B": 4, "Z": 5}),
    }
    stimulus = {"a": [0, 1, 1, 0, 1, 0, 0, 0]}
    return simulate(
        netlist_of({"clk": [2], "a": [3]}, {"y": [5]}, cells), library_cells("freepdk45"), stimulus, count_from_cycle=2
    ), stimulus


def test_counts_by_hand(tmp_path: Path) -> None:
    """Extra transitions of the window, scaled to the counted cycles, on top of the run's own."""
    waves, stimulus = _pulser()
    both = PathDelay((0.02, 0.02), (0.02, 0.02))
    delays = [{("A", "Z"): PathDelay((0.05, 0.05), (0.05, 0.05))}, {("A", "Z"): both, ("B", "Z"): both}]
    window = Window(first=2, cycles=3, period_ps=1000, launch_ns=0.1, early_ps=500)
    found = run_icarus(tmp_path, waves, library_cells("freepdk45"), delays, stimulus, window)
    late, odd = waves.pins[0]["Z"], waves.pins[1]["Z"]
    assert found.nets == (late, odd)
    assert found.counts.tolist() == [[0, 1, 1], [0, 2, 2]]
    assert found.settled.tolist() == [[1, 1, 0, 1], [0, 0, 0, 0]]
    assert waves.toggles[late] == 3
    result = add_glitches(waves, found, window)
    assert (result.toggles[late], result.toggles[odd]) == (3, 4 * 6 // 3)
    assert result.toggles[waves.netlist.inputs["clk"][0]] == 2 * 6


def test_a_dump_by_hand() -> None:
    """Two nets in two cycles of 10 ps from cycle 3; a line that repeats a value is no transition."""
    header = b"$timescale 1fs $end\n$var wire 1 ! n7 $end\n$var wire 1 a! n9 $end\n$enddefinitions $end\n"
    body = b"#30000\n$dumpvars\n0a!\n1!\n$end\n#31000\n0!\n#35000\n1!\n0a!\n#41000\n1a!\n#42000\n0!\n#43000\nx!\n"
    found = read_dump(header + body, (9, 7), Window(first=3, cycles=2, period_ps=10, launch_ns=0.001, early_ps=5))
    assert found.counts.tolist() == [[0, 1], [2, 2]]
    assert found.settled.tolist() == [[0, 0, 1], [1, 1, icarus.UNKNOWN]]


def test_values_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other operands, a wrong cell, a clock that is too fast, an unknown value: never a silent count."""
    case = mapped(UNIFORM)
    delays = _delays(case)
    other = dict(case.stimulus) | {"weights": case.stimulus["weights"][::-1]}
    with pytest.raises(Mismatch, match=r"^net \S+ must settle to [01] in cycle 7 of the simulation with delays, not "):
        with_glitches(case.waves, "", case.synthesis.top, case.library, other, period_ns=2.0, cycles=8, delays=delays)
    with monkeypatch.context() as patch:
        patch.setattr(icarus, "cell_verilog", lambda model: cell_verilog(model).replace("|", "&", 1))
        with pytest.raises(Mismatch, match=r"must settle to [01] in cycle \d+ of the simulation with delays"):
            _glitches(case, 8, delays=delays)
    with pytest.raises(Mismatch, match="simulation with delays"):
        _glitches(case, 8, delays=replace(delays, minimum_period_ns=0.05))
    waves, _ = _pulser()
    unknown = Transitions(
        (waves.pins[0]["Z"],), np.array([[0]]), np.array([0]), np.array([[1, icarus.UNKNOWN]], np.uint8)
    )
    with pytest.raises(Mismatch) as caught:
        add_glitches(waves, unknown, Window(first=2, cycles=1, period_ps=100, launch_ns=0.01, early_ps=50))
    assert str(caught.value) == (
        "net n4 must settle to 1 in cycle 2 of the simulation with delays, not to an unknown value"
    )


def test_delays_that_icarus_does_not_take_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    case = mapped(UNIFORM)
    monkeypatch.setattr(
        icarus, "cell_verilog", lambda model: re.sub(r"    \(i\d => o0\) = 0;\n", "", cell_verilog(model))
    )
    with pytest.raises(SimulationError, match=r"^Icarus Verilog must take every delay, but it says 'SDF WARNING: "):
        _glitches(case, 8)
    monkeypatch.setattr(icarus, "cell_verilog", lambda model: "module;")
    with pytest.raises(SimulationError, match=r"^iverilog stopped: "):
        _glitches(case, 8)


def test_arguments_and_missing_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    case = mapped(UNIFORM)
    with pytest.raises(ValueError, match=r"^cycles must be at least 1, not 0$"):
        _glitches(case, 0)
    version = icarus_version()
    assert version is not None
    assert version[0].isdigit()
    monkeypatch.setenv("PATH", "/nowhere")
    assert icarus_version() is None
    with pytest.raises(SimulatorMissing, match=r"no program `iverilog` is on PATH.*apt-get install iverilog$"):
        _glitches(case)


@pytest.mark.parametrize(("change", "pulses"), [(1, 1), (256, 1), (257, 0), (298, 0)])
def test_a_window_has_256_cycles_where_none_are_given(change: int, pulses: int) -> None:
    """One change of the input of 299 that count: in the window it stands for as many glitches as the run is longer."""
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "late": ("BUF_X1", {"A": 3, "Z": 4}),
        "odd": ("XOR2_X1", {"A": 3, "B": 4, "Z": 5}),
    }
    stimulus = {"a": [int(cycle >= change) for cycle in range(300)]}
    library = the_library("freepdk45")
    waves = simulate(netlist_of({"clk": [2], "a": [3]}, {"y": [5]}, cells), used_cells(library), stimulus)
    both = PathDelay((0.02, 0.02), (0.02, 0.02))
    paths = ({("A", "Z"): PathDelay((0.05, 0.05), (0.05, 0.05))}, {("A", "Z"): both, ("B", "Z"): both})
    found = with_glitches(waves, "", "top", library, stimulus, period_ns=2.0, delays=NetlistDelays(paths, 0.1))
    assert found.toggles[waves.pins[1]["Z"]] == pulses * round(2 * 299 / 256)
    assert found.toggles[waves.pins[0]["Z"]] == 1


def test_a_cycle_is_four_times_the_slowest_path_and_early_half_of_the_clock() -> None:
    """Without registers inputs change a picosecond after the edge: 4 x 101 ps; of a clock of 3 ns 1.5 ns are early."""
    waves, _ = _pulser()
    cells = library_cells("freepdk45")
    for cycles, counted in ((3, 3), (6, 6), (7, 6)):
        assert choose_window(waves, cells, NetlistDelays(({}, {}), 0.1), cycles, 3.0) == Window(
            first=2, cycles=counted, period_ps=404, launch_ns=0.001, early_ps=1500
        )


def test_inputs_of_one_gate_may_share_a_net(tmp_path: Path) -> None:
    """Two pins of a gate on one net, pins on constants, and an unconnected output."""
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "u": ("AOI22_X1", {"A1": 3, "A2": 3, "B1": 4, "B2": "1", "ZN": 5}),
        "v": ("FA_X1", {"A": 5, "B": 5, "CI": 3, "S": 6}),
    }
    netlist = netlist_of({"clk": [2], "a": [3, 4]}, {"y": [6]}, cells)
    draw = random.Random(3)
    stimulus = {"a": [draw.getrandbits(2) for _ in range(40)]}
    models = library_cells("freepdk45")
    waves = simulate(netlist, models, stimulus)
    one, two = PathDelay((0.1, 0.1), (0.1, 0.1)), PathDelay((0.2, 0.3), (0.4, 0.5))
    delays = [
        {(pin, "ZN"): one for pin in ("A1", "A2", "B1")},
        {(pin, "S"): two for pin in ("A", "B", "CI")} | {(pin, "CO"): one for pin in ("A", "B", "CI")},
    ]
    window = Window(first=1, cycles=39, period_ps=4000, launch_ns=0.1, early_ps=2000)
    result = add_glitches(waves, run_icarus(tmp_path, waves, models, delays, stimulus, window), window)
    reference = count_transitions(netlist, models, delays, stimulus, first=1, cycles=39, launch_ns=0.1, lenient=True)
    assert {net: result.toggles[net] for net in reference} == reference
    assert result.toggles[waves.pins[1]["CO"]] >= waves.toggles[waves.pins[1]["CO"]] > 0
