"""hwmodel.power.eventsim: pulses by hand, both rules of inertial delay, registers, refusals, and Icarus net by net."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hwmodel.library.sdf import PathDelay
from hwmodel.netlist.netlist import Netlist
from hwmodel.power.activity import simulate
from hwmodel.power.eventsim import count_transitions
from hwmodel.power.icarus import SimulatorMissing, Window, find_icarus, run_icarus
from tests.hwmodel.mapping import library_cells, netlist_of

Cells = dict[str, tuple[str, dict[str, int | str]]]
Delays = list[dict[tuple[str, str], PathDelay]]


def _same(delay_ns: float) -> PathDelay:
    return PathDelay((delay_ns, delay_ns), (delay_ns, delay_ns))


def _pulses(buffer_ns: float, xor_ns: float) -> tuple[Netlist, Delays]:
    """y = a ^ a, one of them later by buffer_ns: a pulse for each change of a."""
    cells: Cells = {"late": ("BUF_X1", {"A": 3, "Z": 4}), "odd": ("XOR2_X1", {"A": 3, "B": 4, "Z": 5})}
    xor = {("A", "Z"): _same(xor_ns), ("B", "Z"): _same(xor_ns)}
    netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [5]}, cells)
    return netlist, [{("A", "Z"): _same(buffer_ns)}, xor]


def _count(netlist: Netlist, delays: Delays, stimulus: dict[str, list[int]], lenient: bool = False) -> dict[str, int]:
    """Transitions by net name, in all cycles but the first."""
    cycles = len(next(iter(stimulus.values()))) - 1
    cells = library_cells("freepdk45")
    found = count_transitions(netlist, cells, delays, stimulus, first=1, cycles=cycles, launch_ns=0.1, lenient=lenient)
    return {netlist.net_names[net][0]: count for net, count in found.items()}


@pytest.mark.parametrize("lenient", [False, True])
def test_a_pulse_passes_when_it_is_longer_than_the_delay_of_its_gate(lenient: bool) -> None:
    stimulus = {"a": [0, 1, 1, 0, 1]}  # three changes
    assert _count(*_pulses(0.05, 0.02), stimulus, lenient=lenient) == {"n4": 3, "n5": 6}
    assert _count(*_pulses(0.02, 0.05), stimulus, lenient=lenient) == {"n4": 3, "n5": 0}


def test_the_rules_differ_where_inputs_change_their_mind_twice() -> None:
    """Pulses at 0 to 8 and 9 to 12 into a delay of 10: none as long, but at 10 the gate is at 1."""
    cells: Cells = {
        "d1": ("BUF_X1", {"A": 3, "Z": 4}),
        "d2": ("BUF_X1", {"A": 3, "Z": 5}),
        "d3": ("BUF_X1", {"A": 3, "Z": 6}),
        "x1": ("XOR2_X1", {"A": 3, "B": 4, "Z": 7}),
        "x2": ("XOR2_X1", {"A": 5, "B": 6, "Z": 8}),
        "x3": ("XOR2_X1", {"A": 7, "B": 8, "Z": 9}),
        "slow": ("BUF_X1", {"A": 9, "Z": 10}),
    }
    netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [10]}, cells)
    quick = {("A", "Z"): _same(0.0001), ("B", "Z"): _same(0.0001)}
    delays: Delays = [{("A", "Z"): _same(ns)} for ns in (0.08, 0.09, 0.12)]
    delays += [quick, quick, quick, {("A", "Z"): _same(0.1)}]
    stimulus = {"a": [0, 1, 0]}
    assert _count(netlist, delays, stimulus) == {"n4": 2, "n5": 2, "n6": 2, "n7": 4, "n8": 4, "n9": 8, "n10": 0}
    assert _count(netlist, delays, stimulus, lenient=True)["n10"] == 4


def test_the_edge_of_an_input_chooses_the_delay() -> None:
    """An XOR whose output follows in 1 but opposes in 5: a pulse of 3 passes or not by what ends it."""
    netlist, delays = _pulses(0.03, 0.01)
    slow_end = PathDelay(after_rise=(0.01, 0.05), after_fall=(0.01, 0.05))
    delays[1] = {("A", "Z"): _same(0.01), ("B", "Z"): slow_end}
    assert _count(netlist, delays, {"a": [0, 1, 0]})["n5"] == 4
    slow_start = PathDelay(after_rise=(0.05, 0.05), after_fall=(0.01, 0.01))
    delays[1] = {("A", "Z"): slow_start, ("B", "Z"): _same(0.01)}
    assert _count(netlist, delays, {"a": [0, 1, 0]})["n5"] == 2  # only the fall of a makes one


def _counter() -> tuple[Netlist, Delays]:
    """Two bits that count, and a gate that glitches as they do."""
    cells: Cells = {
        "low": ("DFF_X1", {"CK": 2, "D": 5, "Q": 4, "QN": 5}),
        "high": ("DFF_X1", {"CK": 2, "D": 6, "Q": 7}),
        "next": ("XOR2_X1", {"A": 4, "B": 7, "Z": 6}),
        "both": ("AND2_X1", {"A1": 5, "A2": 7, "ZN": 8}),
        "held": ("OR2_X1", {"A1": 3, "A2": 8, "ZN": 9}),
    }
    netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [9]}, cells)
    clock = {("CK", "Q"): _same(0.06), ("CK", "QN"): _same(0.09)}
    gate = {("A1", "ZN"): _same(0.02), ("A2", "ZN"): _same(0.01)}
    return netlist, [clock, clock, {("A", "Z"): _same(0.03), ("B", "Z"): _same(0.03)}, gate, gate]


def test_registers_count() -> None:
    netlist, delays = _counter()
    counts = _count(netlist, delays, {"a": [0] * 9})
    assert (counts["n4"], counts["n5"], counts["n7"]) == (8, 8, 4)
    # n8 = !low & high: up at 1 to 2 when the inverse of low comes, down at 2 to 3; no glitch as high falls at 3 to 0
    assert counts["n8"] == 4
    assert _count(netlist, delays, {"a": [1] * 9})["n9"] == 0


def test_equal_to_icarus_net_by_net(tmp_path: Path) -> None:
    """The lenient rule, on gates of random delays that depend on the input's edge."""
    try:
        find_icarus()
    except SimulatorMissing as reason:
        pytest.skip(str(reason))
    draw = random.Random(2)
    kinds = {"XOR2_X1": ("A", "B", "Z"), "NAND2_X1": ("A1", "A2", "ZN"), "OR2_X1": ("A1", "A2", "ZN")}
    cells: Cells = {}
    delays: Delays = []
    nets = [3, 4, 5, 6]
    for index in range(120):
        kind = draw.choice(list(kinds))
        one, two, output = kinds[kind]
        cells[f"g{index}"] = (kind, {one: draw.choice(nets[-12:]), two: draw.choice(nets), output: 7 + index})
        nets.append(7 + index)
        rise, fall, later = (draw.randint(1000, 60000) * 1e-6 for _ in range(3))
        both = kind == "XOR2_X1"
        delays.append(
            {(pin, output): PathDelay((rise, fall), (later, fall) if both else (rise, fall)) for pin in (one, two)}
        )
    netlist = netlist_of({"clk": [2], "a": [3, 4, 5, 6]}, {"y": [nets[-1]]}, cells)
    stimulus = {"a": [draw.getrandbits(4) for _ in range(60)]}
    library = library_cells("freepdk45")
    waves = simulate(netlist, library, stimulus)
    window = Window(first=1, cycles=59, period_ps=20000, launch_ns=0.1, early_ps=10000)
    icarus = run_icarus(tmp_path, waves, library, delays, stimulus, window)
    expected = {
        netlist.net_names[net][0]: int(count) for net, count in zip(icarus.nets, icarus.counts.sum(1), strict=True)
    }
    assert _count(netlist, delays, stimulus, lenient=True) == expected
    strict = _count(netlist, delays, stimulus)
    assert sum(strict.values()) == pytest.approx(sum(expected.values()), rel=0.05)
    assert sum(expected.values()) > 1.2 * sum(waves.toggles[net] for net in icarus.nets)
    assert strict != expected


def test_refusals() -> None:
    """What is not plain is refused."""
    cells = library_cells("freepdk45")
    clocks: Cells = {"i": ("BUF_X1", {"A": 2, "Z": 4}), "f": ("DFF_X1", {"CK": 4, "D": 3, "Q": 5})}
    clear: Cells = {"f": ("DFFR_X1", {"CK": 2, "D": 3, "RN": 3, "Q": 5})}
    held: Cells = {"f": ("DFFR_X1", {"CK": 2, "D": 3, "RN": "0", "Q": 5})}
    for wrong, message in (
        (clocks, "flip-flop f must be clocked by the clock port, or by a gate of it"),
        (clear, "flip-flop f must have its clear and preset tied off"),
        (held, "flip-flop f must have its clear and preset tied off"),
    ):
        netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [5]}, wrong)
        delays: Delays = [{("A", "Z"): _same(0.1)} if name == "i" else {("CK", "Q"): _same(0.1)} for name in wrong]
        with pytest.raises(ValueError) as caught:
            count_transitions(netlist, cells, delays, {"a": [0, 1]}, first=1, cycles=1, launch_ns=0.1)
        assert str(caught.value) == message
