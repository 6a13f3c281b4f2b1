"""Data pins of flip-flops and clock gates cost what the clock's level says: against a walk through a VCD file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.liberty.power import Energy
from hwmodel.netlist.netlist import read_netlist
from hwmodel.operands.stimulus import StreamPlan, make_stimulus
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.clockedcells import data_pin_pj
from hwmodel.power.delays import netlist_delays
from hwmodel.power.glitches import add_glitches, choose_window
from hwmodel.power.icarus import Transitions, Window, read_dump, run_icarus
from hwmodel.power.power import PinEnvironment, netlist_power
from rtl.mac import BitFusionSpec, UniformSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.mapping import netlist_of
from tests.hwmodel.power.delayed import Case, mapped, need_tools, power_tables

need_tools()

SPECS: list[MacSpec] = [UniformSpec(weight_bits=4, activation_bits=4, lanes=4), BitFusionSpec(units=1, widths=(8, 4))]


def _events(dump: str) -> tuple[dict[int, int], list[tuple[int, int, int]]]:
    """Values at the start by net, and (femtosecond, net, new value) of every change of a VCD file, in order."""
    header, _, body = dump.partition("$enddefinitions $end\n")
    nets = {code: int(net) for code, net in re.findall(r"\$var wire 1 (\S+) n(\d+) \$end", header)}
    values: dict[int, int] = {}
    events: list[tuple[int, int, int]] = []
    time = 0
    for line in body.splitlines():
        if line.startswith("#"):
            time = int(line[1:])
        elif line[0] in "01":
            net, value = nets[line[1:]], int(line[0])
            if net in values:
                events.append((time, net, value))
            else:
                values[net] = value
    return values, events


def _walked_pj(case: Case, waves: Waves, window: Window, dump: str, half_fs: int) -> float:
    """Energy a cycle of all data pins on nets that cells drive, one by one at the times of the file."""
    timing = case.synthesis.timing
    assert timing is not None
    values, events = _events(dump)
    values |= {0: 0, 1: 1}
    readers: dict[int, list[tuple[int, str]]] = {}
    for index, instance in enumerate(waves.netlist.instances):
        model = case.cells[instance.cell]
        for pin in model.inputs if model.flip_flop or model.clock_gate else ():
            net = waves.pins[index][pin]
            if net not in waves.pulses:
                readers.setdefault(net, []).append((index, pin))
    period_fs, total_pj = window.period_ps * 1000, 0.0
    for time, net, value in events:
        values[net] = value
        cycle, since_fs = divmod(time, period_fs)
        for index, pin in readers.get(net, ()):
            names = waves.pins[index]
            state = {name: values.get(at, waves.values[at] >> cycle & 1) for name, at in names.items()}
            for name, at in names.items():
                if at in waves.pulses:
                    state[name] = waves.pulses[at] >> cycle & 1 if since_fs < half_fs else 0
            energies = case.power[waves.netlist.instances[index].cell].inputs[pin]
            rise_ns, fall_ns = timing.slews_ns[f"{waves.netlist.instances[index].name}/{pin}"]
            total_pj += sum(
                energy.rise_pj.at(rise_ns, 0.0) if value else energy.fall_pj.at(fall_ns, 0.0)
                for energy in _holding(energies, state)
            )
    return total_pj / window.cycles


def _holding(energies: tuple[Energy, ...], state: dict[str, int]) -> list[Energy]:
    named = [energy for energy in energies if energy.when is not None and energy.when.evaluate(state, 1)]
    return named or [energy for energy in energies if energy.when is None][:1]


def _ruled_pj(case: Case, waves: Waves) -> float:
    timing = case.synthesis.timing
    assert timing is not None
    environment = PinEnvironment(waves, timing.slews_ns, timing.loads_ff)
    ports = {net for nets in waves.netlist.inputs.values() for net in nets}
    total_pj = 0.0
    for index, instance in enumerate(waves.netlist.instances):
        model = case.cells[instance.cell]
        clock = next((pin for pin in model.inputs if waves.pins[index][pin] in waves.pulses), "")
        for pin in model.inputs if model.flip_flop or model.clock_gate else ():
            net = waves.pins[index][pin]
            if net not in waves.pulses and net not in ports and waves.toggles[net]:
                energies = case.power[instance.cell].inputs[pin]
                total_pj += data_pin_pj(index, pin, clock, energies, waves, environment)
    return total_pj


def _power_pj(case: Case, waves: Waves, period_ns: float) -> float:
    timing = case.synthesis.timing
    assert timing is not None
    return netlist_power(
        waves, case.power, slews_ns=timing.slews_ns, loads_ff=timing.loads_ff, clock_mhz=1000 / period_ns
    ).energy_pj_per_cycle


def _settling(dump: str, waves: Waves, found: Transitions, window: Window, half_fs: int) -> Waves:
    """The run without delays with while_high from the last changes of every cycle whose settled value changes."""
    row = {net: index for index, net in enumerate(found.nets)}
    settles, period_fs = found.settled[:, 1:] != found.settled[:, :-1], window.period_ps * 1000
    last = {(net, time // period_fs): time % period_fs for time, net, _ in _events(dump)[1]}
    times: dict[int, list[tuple[int, bool]]] = {}
    for (net, cycle), since_fs in last.items():
        if settles[row[net], cycle - window.first]:
            times.setdefault(net, []).append((cycle, since_fs < half_fs))
    while_high = {
        (net, clock): sum(early and pulses >> cycle & 1 for cycle, early in each) / len(each)
        for net, each in times.items()
        for clock, pulses in waves.pulses.items()
    }
    return replace(waves, while_high=while_high)


@pytest.mark.parametrize("utilisation", [1.0, 0.4])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.design)
def test_against_the_times_of_every_change(spec: MacSpec, utilisation: float, tmp_path: Path) -> None:
    """Within 2 % or 0.05 % of the design's energy, at clocks at which many, some and no changes come late."""
    case = mapped(spec)
    stimulus = make_stimulus(spec, StreamPlan(Precision(4, 4), products=100, cycles=160, utilisation=utilisation))
    netlist = read_netlist(case.synthesis.netlist, spec.name)
    plain = simulate(netlist, case.cells, stimulus.words, count_from_cycle=stimulus.first_full_cycle)
    delays = netlist_delays(
        case.synthesis.verilog, netlist, case.synthesis.top, case.library, case.cells, period_ns=2.0
    )
    for period_ns in (1.0, 2.0, 4.0):
        window, half_fs = choose_window(plain, case.cells, delays, 1000, period_ns), round(period_ns * 500_000)
        found = run_icarus(tmp_path, plain, case.cells, delays.paths, stimulus.words, window)
        waves = add_glitches(plain, found, window)
        dump = (tmp_path / "bench.vcd").read_text()
        error_pj = 0.0005 * _power_pj(case, waves, period_ns)
        walked_pj = _walked_pj(case, waves, window, dump, half_fs)
        assert _ruled_pj(case, waves) == pytest.approx(walked_pj, rel=0.02, abs=error_pj)
        half_pj = _ruled_pj(case, replace(waves, while_high=dict.fromkeys(waves.while_high, 0.5)))
        assert abs(half_pj - walked_pj) > 2 * error_pj, "half of them late is another energy"
        if period_ns == 2.0:  # without delays: as if all settled in the first half, 0.2 % too little at most
            settled_pj = _ruled_pj(case, _settling(dump, plain, found, window, half_fs))
            assert 0 < settled_pj - _ruled_pj(case, plain) < 4 * error_pj


@pytest.mark.parametrize("early", [1.0, 0.25, 0.0])
def test_a_data_pin_by_hand(early: float) -> None:
    """FreePDK45, at a slew of its tables: free, and behind a gate that never opens, where the clock is always low."""
    high_fj = (
        (-0.635332 + 0.699974) / 2 + (-0.5533 + 0.659383) / 2
    ) / 2  # the data rise while Q is 0, fall while it is 1
    low_fj = ((3.057099 + 4.232647) / 2 + (3.017534 + 4.176186) / 2) / 2
    held_fj = (3.057099 + 4.232647) / 2
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "free": ("DFF_X1", {"CK": 2, "D": 4, "Q": 6}),
        "gate": ("CLKGATE_X1", {"CK": 2, "E": 3, "GCK": 5}),
        "held": ("DFF_X1", {"CK": 5, "D": 4, "Q": 7}),
    }
    netlist = netlist_of({"clk": [2], "e": [3], "d": [4]}, {"q": [6], "r": [7]}, cells)
    power = power_tables("freepdk45")
    plain = simulate(netlist, power.cells, {"e": [0] * 7, "d": [0, 1, 1, 0, 1, 0, 0]})
    data = netlist.inputs["d"][0]
    waves = plain if early == 1.0 else replace(plain, while_high={(data, 2): early})
    environment = PinEnvironment(waves, {f"{name}/D": (0.0171859, 0.0171859) for name in ("free", "held")}, {})
    free_pj, held_pj = (
        data_pin_pj(index, "D", "CK", power["DFF_X1"].inputs["D"], waves, environment) for index in (0, 2)
    )
    assert waves.toggles[data] == 4
    assert free_pj == pytest.approx(4 / 6 * (early * high_fj + (1 - early) * low_fj) * 1e-3)
    assert held_pj == pytest.approx(4 / 6 * held_fj * 1e-3)


def test_early_changes_are_counted_by_time() -> None:
    """Less than half a period of the design's clock after the edge that starts a cycle."""
    header = b"$var wire 1 ! n7 $end\n$enddefinitions $end\n"
    body = b"#10000\n0!\n#12000\n1!\n#14999\n0!\n#15000\n1!\n#20000\n0!\n#26000\n1!\n"
    found = read_dump(header + body, (7,), Window(first=1, cycles=2, period_ps=10, launch_ns=0.001, early_ps=5))
    assert found.counts.tolist() == [[3, 2]]
    assert found.early.tolist() == [[2, 1]]
