"""Clock gates behind everything: registers that hold, pulses, energy edge by edge, delays, and the setup of enables."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodel.netlist.netlist import read_netlist
from hwmodel.operands.stimulus import StreamPlan, check_sums, make_stimulus
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.clockedcells import gate_internal_pj
from hwmodel.power.delays import netlist_delays
from hwmodel.power.eventsim import count_transitions
from hwmodel.power.glitches import choose_window, library_cells, with_glitches
from hwmodel.power.icarus import run_icarus
from hwmodel.power.power import PinEnvironment, netlist_power
from hwmodel.power.transitions import exact_internal_pj_per_cycle
from hwmodel.synthesis.sta import OpenSta
from rtl.mac import UniformSpec
from rtl.spec.mac import Precision
from tests.hwmodel.mapping import LIBRARIES, netlist_of
from tests.hwmodel.power.delayed import Case, mapped, need_tools, power_tables, the_library

need_tools()

SPEC = UniformSpec(weight_bits=4, activation_bits=4, lanes=2, pipeline_stages=1)
PLAN = StreamPlan(Precision(4, 4), products=5, cycles=120, utilisation=0.4)
GATE: dict[str, int | str] = {"CK": 2, "E": 3, "GCK": 5}
HELD: dict[str, tuple[str, dict[str, int | str]]] = {
    "g": ("CLKGATE_X1", GATE),
    "f": ("DFF_X1", {"CK": 5, "D": 4, "Q": 6}),
}


def partly(name: str) -> tuple[Case, Waves, dict[str, list[int]]]:
    """A design under operands in some of the cycles, its sums checked."""
    case = mapped(SPEC, name)
    stimulus = make_stimulus(SPEC, PLAN)
    netlist = read_netlist(case.synthesis.netlist, SPEC.name)
    waves = simulate(netlist, case.cells, stimulus.words, count_from_cycle=stimulus.first_full_cycle)
    check_sums(SPEC, PLAN, stimulus, waves.words("accumulator"), waves.words("out_valid"))
    return case, waves, dict(stimulus.words)


def test_a_register_behind_a_gate_loads_where_its_enable_was_high() -> None:
    enable, data = [1, 0, 0, 1, 1, 0, 1], [1, 0, 0, 0, 1, 0, 1]
    netlist = netlist_of({"clk": [2], "e": [3], "d": [4]}, {"q": [6]}, HELD)
    waves = simulate(netlist, library_cells(the_library("freepdk45")), {"e": enable, "d": data})
    stored, expected, gated = 0, [], netlist.instances[0].pins["GCK"]
    for loads, value in zip(enable, data, strict=True):
        expected.append(stored)
        stored = value if loads else stored
    assert waves.words("q") == expected
    assert waves.pulses == {2: 0b1111111, gated: sum(bit << cycle + 1 for cycle, bit in enumerate(enable[:-1]))}
    assert waves.toggles[gated] == 2 * sum(enable[:-1])
    assert waves.one_probability(gated) == sum(enable[:-1]) / 6 / 2
    assert waves.words("q")[-1] == 1


def test_gates_in_a_row_and_behind_buffers() -> None:
    cells = {
        **HELD,
        "h": ("CLKGATE_X1", {"CK": 8, "E": 7, "GCK": 9}),
        "b": ("BUF_X1", {"A": 5, "Z": 8}),
        "t": ("CLKGATETST_X1", {"CK": 9, "E": "1", "SE": "0", "GCK": 10}),
        "k": ("DFF_X1", {"CK": 10, "D": 4, "Q": 11}),
    }
    netlist = netlist_of({"clk": [2], "e": [3], "d": [4], "l": [7]}, {"q": [11]}, cells)  # type: ignore[arg-type]
    stimulus = {"e": [1, 1, 0, 0, 1], "l": [0, 1, 1, 0, 1], "d": [1, 1, 0, 0, 1]}
    waves = simulate(netlist, library_cells_of_all(), stimulus)
    assert waves.words("q") == [0, 0, 1, 1, 1]
    gated = {name: netlist.instances[at].pins[pin] for at, name, pin in ((0, "g", "GCK"), (3, "b", "Z"))}
    gated |= {name: netlist.instances[at].pins["GCK"] for at, name in ((2, "h"), (4, "t"))}
    assert [waves.pulses[gated[name]] for name in "gbht"] == [0b00110, 0b00110, 0b00100, 0b00100]


def library_cells_of_all():  # type: ignore[no-untyped-def]
    """Every cell of FreePDK45, those beside its smallest clock gate too."""
    return power_tables("freepdk45").cells


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"g": ("CLKGATE_X1", {**GATE, "CK": 3, "E": 4})}, "clock gate g (CLKGATE_X1) must be of the clock clk"),
        ({"i": ("INV_X1", {"A": 2, "ZN": 7}), "g": ("CLKGATE_X1", {**GATE, "CK": 7})},
         "clock gate g (CLKGATE_X1) must be of the clock, not of its inverse"),
        ({"g": ("CLKGATETST_X1", {**GATE, "SE": "1"})}, "test pin SE of the clock gate g must be tied to 0"),
        ({"g": ("CLKGATETST_X1", {**GATE, "SE": 4})}, "test pin SE of the clock gate g must be tied to 0"),
        ({"g": ("CLKGATE_X1", {"CK": 2, "GCK": 5})}, "enable E of the clock gate g must be connected"),
        ({"g": ("CLKGATE_X1", {**GATE, "E": 2})},
         "must not read the clock clk: only flip-flops, buffers, inverters and clock gates may"),
    ],
)  # fmt: skip
def test_refusals(cells: dict[str, tuple[str, dict[str, int | str]]], message: str) -> None:
    netlist = netlist_of({"clk": [2], "e": [3], "d": [4]}, {}, cells)
    with pytest.raises(ValueError) as caught:
        simulate(netlist, library_cells_of_all(), {"e": [1, 0], "d": [0, 0]})
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("name", LIBRARIES)
def test_mapped_designs_compute_behind_gates_and_cost_what_every_edge_does(name: str) -> None:
    """Sums with idle cycles in between are right; energy is that of a walk through all edges, within 3 %."""
    case, waves, _ = partly(name)
    gate = case.library.clock_gate
    assert gate is not None
    gates = [at for at, one in enumerate(waves.netlist.instances) if one.cell == gate.cell]
    assert len(gates) >= 3
    assert not json.loads(case.synthesis.netlist)["modules"][SPEC.name]["cells"].keys() & {"$_DFFE_PP_"}
    timing = case.synthesis.timing
    assert timing is not None
    environment = {"slews_ns": timing.slews_ns, "loads_ff": timing.loads_ff}
    report = netlist_power(waves, case.power, **environment, clock_mhz=500)  # type: ignore[arg-type]
    exact_pj = exact_internal_pj_per_cycle(waves, case.power, **environment)  # type: ignore[arg-type]
    names, volts = waves.netlist.net_names, case.power.voltage_v
    clock_nets_pj = sum(
        waves.toggles_per_cycle(net) * timing.loads_ff[names[net][0]] * 1e-3 * volts**2 / 2 for net in waves.pulses
    )
    assert (report.internal_uw + report.clock_uw) / 500 - clock_nets_pj == pytest.approx(exact_pj, rel=0.03)
    busy = [waves.toggles_per_cycle(waves.pins[at][gate.output]) / 2 for at in gates]
    assert all(0.3 < share < 0.5 for share in busy), "they let the clock through with the operands"


def test_energy_of_a_gate_edge_by_edge() -> None:
    """FreePDK45 states energies by enable and output: five cycles by hand, at the slews and load of a table."""
    power = power_tables("freepdk45")
    enable = [0, 0, 1, 1, 0, 0]
    netlist = netlist_of({"clk": [2], "e": [3], "d": [4]}, {"q": [6]}, HELD)
    waves = simulate(netlist, power.cells, {"e": enable, "d": [0] * 6})
    slews = {f"g/{pin}": (0.0171859, 0.0171859) for pin in ("CK", "E", "GCK")}
    environment = PinEnvironment(waves, slews, {"clk": 1.0, "e": 1.0, "d": 1.0, "q": 1.0, "net5": 3.79562})
    loads = {names[0]: 3.79562 for names in waves.netlist.net_names if names}
    environment = PinEnvironment(waves, slews, loads)
    clock_pj, enable_pj = gate_internal_pj(0, power.cells["CLKGATE_X1"], power["CLKGATE_X1"], waves, environment)
    # Cycles 1 and 2 are held back, the second with the enable high when the clock falls; 3 and 4 get through, the
    # second with the enable low when it falls; 5 is held back.
    hidden_rise, hidden_fall, opening_fall = 1.280451, 3.579704, 6.302373
    rise, fall, closing_fall = 3.361918, 5.382529, 6.513173
    total_fj = (hidden_rise + hidden_fall) + (hidden_rise + opening_fall)
    total_fj += (rise + fall) + (rise + closing_fall) + (hidden_rise + hidden_fall)
    assert clock_pj == pytest.approx(total_fj * 1e-3 / 5)
    high_still, high_pulse = (0.519013 - 0.411229) / 2, (0.490208 - 0.412666) / 2  # while the clock is high
    share = 1 / 2  # it rises in a cycle without a pulse and falls in one with a pulse
    assert enable_pj == pytest.approx(2 / 5 * (share * high_pulse + (1 - share) * high_still) * 1e-3)


@pytest.mark.parametrize("name", LIBRARIES)
def test_delays_in_icarus_and_here_agree_behind_gates(name: str, tmp_path: Path) -> None:
    """Every net settles to its value without delays, and the event simulation counts what Icarus Verilog does."""
    case, waves, words = partly(name)
    delays = netlist_delays(case.synthesis.verilog, waves.netlist, SPEC.name, case.library, case.cells, period_ns=20.0)
    window = choose_window(waves, case.cells, delays, 60, 20.0)
    found = run_icarus(tmp_path, waves, case.cells, delays.paths, words, window)
    expected = [[waves.values[net] >> cycle & 1 for cycle in range(window.first - 1, window.first + 60)]
                for net in found.nets]  # fmt: skip
    np.testing.assert_array_equal(found.settled, expected)
    counted = count_transitions(
        waves.netlist, case.cells, delays.paths, words, first=window.first, cycles=window.cycles,
        launch_ns=window.launch_ns, lenient=True,
    )  # fmt: skip
    icarus = dict(zip(found.nets, found.counts.sum(axis=1).tolist(), strict=True))
    assert sum(counted.values()) == pytest.approx(sum(icarus[net] for net in counted), rel=0.01)
    glitching = with_glitches(waves, case.synthesis.verilog, SPEC.name, case.library, words, period_ns=20.0, cycles=60)
    assert all(glitching.toggles[net] == waves.toggles[net] for net in waves.pulses)


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_setup_time_of_enables_counts(name: str, tmp_path: Path) -> None:
    """OpenSTA ends paths at the enables of gates, with their setup time."""
    case = mapped(SPEC, name)
    gate = case.library.clock_gate
    assert gate is not None
    path = tmp_path / "mapped.v"
    path.write_text(case.synthesis.verilog)
    with OpenSta(case.library) as opensta:
        opensta.load(path, SPEC.name, 20.0)
        said = opensta.ask(f"report_checks -path_delay max -to clock_gate_0/{gate.enable} -digits 6")
    assert re.search(rf"clock_gate_0/{gate.clock} \({gate.cell}\)", said)
    assert re.search(r"-?\d+\.\d+ +\d+\.\d+ +library setup time", said)
    assert "slack (MET)" in said


def test_a_library_without_gates_has_multiplexers() -> None:
    library = replace(the_library("freepdk45"), clock_gate=None)
    from hwmodel.synthesis.flow import synthesise
    from hwmodel.synthesis.recipes import Recipe
    from rtl.verilog import numbered_verilog

    recipe = Recipe("cell", "chain", "area")
    plain = synthesise(numbered_verilog([SPEC]), SPEC.name, library, 50.0, jobs=1, recipe=recipe)
    gated = mapped(SPEC).synthesis
    assert not [cell for cell in plain.cells if cell.startswith("CLKGATE")]
    assert plain.area_um2 > 1.05 * gated.area_um2
    stimulus = make_stimulus(SPEC, PLAN)
    waves = simulate(read_netlist(plain.netlist, SPEC.name), library_cells(library), stimulus.words)
    check_sums(SPEC, PLAN, stimulus, waves.words("accumulator"), waves.words("out_valid"))
