"""Data pins of flip-flops and clock gates cost what the clock's level says: against a walk through a VCD file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwmodel.liberty.power import Energy
from hwmodel.netlist.netlist import read_netlist
from hwmodel.operands.stimulus import StreamPlan, make_stimulus
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.clockedcells import data_pin_pj
from hwmodel.power.delays import netlist_delays
from hwmodel.power.glitches import add_glitches, choose_window
from hwmodel.power.icarus import Window, run_icarus
from hwmodel.power.power import PinEnvironment
from rtl.mac import BitFusionSpec, UniformSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.power.delayed import Case, mapped, need_tools

need_tools()

WINDOW = 48
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
        for pin in model.inputs if model.flip_flop or model.clock_gate else ():
            net = waves.pins[index][pin]
            if net not in waves.pulses and net not in ports and waves.toggles[net]:
                energies = case.power[instance.cell].inputs[pin]
                total_pj += data_pin_pj(index, pin, energies, waves, environment)
    return total_pj


@pytest.mark.parametrize("utilisation", [1.0, 0.4])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.design)
def test_against_the_times_of_every_change(spec: MacSpec, utilisation: float, tmp_path: Path) -> None:
    case = mapped(spec)
    stimulus = make_stimulus(spec, StreamPlan(Precision(4, 4), products=400, cycles=260, utilisation=utilisation))
    netlist = read_netlist(case.synthesis.netlist, spec.name)
    plain = simulate(netlist, case.cells, stimulus.words, count_from_cycle=stimulus.first_full_cycle)
    delays = netlist_delays(
        case.synthesis.verilog, netlist, case.synthesis.top, case.library, case.cells, period_ns=2.0
    )
    for period_ns in (1.0, 2.0, 4.0):
        window = choose_window(plain, case.cells, delays, 1000, period_ns)
        found = run_icarus(tmp_path, plain, case.cells, delays.paths, stimulus.words, window)
        waves = add_glitches(plain, found, window)
        dump = (tmp_path / "bench.vcd").read_text()
        walked_pj = _walked_pj(case, waves, window, dump, round(period_ns * 500_000))
        ruled_pj = _ruled_pj(case, waves)
        print(spec.design, utilisation, period_ns, walked_pj, ruled_pj, ruled_pj / walked_pj)

