"""hwmodel.power.power: table points by hand, the rule against a transition-by-transition sum, units, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.power import LibraryPower, LookupTable, check_energy_ratio, energy_ratio
from hwmodel.liberty.tree import parse_liberty
from hwmodel.library.cells import described_cells
from hwmodel.netlist.netlist import Netlist
from hwmodel.operands.streams import LSQ_GAUSSIAN, UNIFORM, Stream, pack
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.loads import estimated_loads_ff, estimated_slews_ns
from hwmodel.power.power import COMBINATIONAL, COMPRESSOR, REGISTER, netlist_power
from hwmodel.power.transitions import exact_internal_pj_per_cycle
from tests.hwmodel.mapping import LIBRARIES, MAC, liberty_path, library_cells, map_verilog, netlist_of

CYCLES = 400


def _inverter(a: list[int]) -> Waves:
    netlist = netlist_of({"a": [2]}, {"y": [3]}, {"u": ("INV_X1", {"A": 2, "ZN": 3})})
    return simulate(netlist, library_cells("freepdk45"), {"a": a})


def _inverter_point() -> tuple[float, float, float, float]:
    """Slew ns, load fF, rise fJ and fall fJ of INV_X1 in row 2, column 3 of its tables, straight from the text."""
    cell = liberty_path("freepdk45").read_text().split("cell (INV_X1) {")[1].split("cell (")[0]
    power = cell.split("internal_power () {")[1]
    found = []
    for kind in ("fall_power", "rise_power"):
        rows = power.split(kind)[1].split("}")[0].split('"')[1::2]
        index_1, index_2, *values = [[float(item) for item in row.split(",")] for row in rows]
        found.append((index_1[2], index_2[3], values[2][3]))
    (slew, load, fall), (_, _, rise) = found
    return slew, load, rise, fall


def test_inverter_by_hand() -> None:
    """At a table point: n * (rise + fall) / 2, C V^2 / 2, and leakage by state."""
    slew_ns, load_ff, rise_fj, fall_fj = _inverter_point()
    waves = _inverter([0, 1, 1, 0, 1, 1, 1, 1, 1])  # 3 transitions in 8 cycles, high in 7 of them
    report = netlist_power(
        waves,
        LibraryPower(library_cells("freepdk45")),
        slews_ns={"u/A": (slew_ns, slew_ns)},
        loads_ff={"y": load_ff},
        clock_mhz=500,
    )
    toggles = 3 / 8
    assert report.internal_uw == pytest.approx(toggles * (rise_fj + fall_fj) / 2 * 1e-3 * 500, rel=1e-12)
    assert report.switching_uw == pytest.approx(toggles * load_ff * 1.1**2 / 2 * 1e-3 * 500, rel=1e-12)
    assert report.leakage_uw == pytest.approx((18.604146 * 7 + 10.102224) / 8 * 1e-3, rel=1e-12)  # nW in the file
    assert report.clock_uw == 0
    assert report.power_uw == pytest.approx(report.internal_uw + report.switching_uw + report.leakage_uw)
    assert report.energy_pj_per_cycle == pytest.approx(report.power_uw / 500)
    assert report.parts[COMBINATIONAL] == report.total


def test_arcs_are_weighted() -> None:
    """A full adder's sum: arcs by the toggles of their input and the probability of their state."""
    cells = library_cells("freepdk45")
    power = LibraryPower(cells)
    netlist = netlist_of(
        {"a": [2], "b": [3], "c": [4]},
        {"s": [5]},
        {"u": ("FA_X1", {"A": 2, "B": 3, "CI": 4, "S": 5, "CO": 6})},
    )
    a, b, c = [0, 1, 0, 1, 0, 1, 0, 1, 0], [0] * 9, [1, 1, 1, 1, 1, 0, 0, 0, 0]
    waves = simulate(netlist, cells, {"a": a, "b": b, "c": c})
    slews = {f"u/{pin}": (0.02, 0.02) for pin in ("A", "B", "CI")}
    loads = {"s": 2.0, "n6": 0.0}
    report = netlist_power(waves, power, slews_ns=slews, loads_ff=loads, clock_mhz=1)

    def arc(pin: str, related: str, when: str) -> float:
        group = next(
            group
            for group in cells.group("FA_X1").find("pin", pin).group_iter("internal_power")
            if (group.text("related_pin"), group.text("when")) == (related, when)
        )
        load_pf = loads["s"] * 1e-3 if pin == "S" else 0.0
        tables = [power.table(table, 1e-3) for table in group.groups]
        return sum(table.at(0.02, load_pf) for table in tables) / 2

    # a switches 8 times, c once; b is 0 throughout; c is 1 in 4 of 8 counted cycles, a is 1 in 4
    weights = {("A", "!B & CI"): 8 * 0.5, ("A", "!B & !CI"): 8 * 0.5, ("CI", "!A & !B"): 0.5, ("CI", "A & !B"): 0.5}
    mean_s = sum(weight * arc("S", *key) for key, weight in weights.items()) / 9
    mean_co = (4 * arc("CO", "A", "!B & CI") + 0.5 * arc("CO", "CI", "A & !B")) / 4.5
    toggles_s, toggles_co = waves.toggles[netlist.outputs["s"][0]], waves.toggles[waves.pins[0]["CO"]]
    assert (toggles_s, toggles_co) == (7, 4)
    assert report.internal_uw == pytest.approx((toggles_s * mean_s + toggles_co * mean_co) / 8, rel=1e-9)


def test_interpolation() -> None:
    """Bilinear inside, the last interval extended outside, a constant for a scalar."""
    table = LookupTable((1.0, 2.0, 4.0), (0.0, 10.0), (1.0, 2.0, 3.0, 5.0, 7.0, 11.0))
    assert table.at(1.0, 0.0) == 1.0
    assert table.at(4.0, 10.0) == 11.0
    assert table.at(1.5, 5.0) == pytest.approx((1 + 2 + 3 + 5) / 4)
    assert table.at(3.0, 10.0) == pytest.approx(8.0)
    assert table.at(6.0, 0.0) == pytest.approx(11.0)
    assert table.at(1.0, 20.0) == pytest.approx(3.0)
    assert table.at(0.0, 0.0) == pytest.approx(-1.0)
    assert LookupTable((0.0,), (0.0,), (4.5,)).at(9.0, 9.0) == 4.5


@pytest.mark.parametrize("name", LIBRARIES)
def test_units(name: str) -> None:
    """What toolchain measurements found: fJ or pJ, nW or pW, and gates in the sanity band."""
    power = LibraryPower(library_cells(name))
    expected = {
        "freepdk45": (1.1, 1e-3, 1.0, 1.0),
        "sky130hd": (1.8, 1.0, 1.0, 1.0),
        "ihp-sg13g2": (1.2, 1.0, 1e-3, 1.0),
        "asap7": (0.7, 1e-3, 1e-3, 1e-3),
    }[name]
    found = (power.voltage_v, power.energy_unit_pj, power.leakage_unit_nw, power.time_unit_ns)
    assert found == pytest.approx(expected)
    cells = [cell for cell, _, why in described_cells(power.cells.library) if not why]
    gates = [cell.name for cell in cells if len(cell.outputs) == 1 and 1 <= len(cell.inputs) <= 2]
    ratio = energy_ratio(power, gates)
    assert ratio is not None
    assert 0.2 < ratio < 2


def test_wrong_energy_unit_is_refused() -> None:
    """A library whose tables are a thousand times too large fails loudly."""
    text = liberty_path("freepdk45").read_text()
    wrong = text.replace("capacitive_load_unit    \t\t  (1,ff)", "capacitive_load_unit (1,pf)")
    assert wrong != text
    cells = LibraryCells(parse_liberty(wrong))
    check_energy_ratio("x", energy_ratio(LibraryPower(cells), ["INV_X1"]))  # both scale: consistent, so accepted
    power = LibraryPower(library_cells("freepdk45"))
    power.energy_unit_pj *= 1000
    sentence = (
        r"in my\.lib must be 0\.02 to 20\.0 times that of their input capacitance, not .*--accept-library takes it"
    )
    with pytest.raises(ValueError, match=sentence):
        check_energy_ratio("my.lib", energy_ratio(power, ["INV_X1"]))


def _run(netlist: Netlist, name: str, stream: str) -> tuple[Waves, LibraryPower, dict[str, float]]:
    cells = library_cells(name)
    codes = {
        port: pack(Stream(stream, 7).codes(CYCLES, 2, 4, signed=True, operand=port), 4)
        for port in ("weights", "activations")
    }
    rst = [1, 1] + [0] * (CYCLES - 2)
    waves = simulate(netlist, cells, codes | {"rst": rst, "clear": [0] * CYCLES}, count_from_cycle=4)
    return waves, LibraryPower(cells), estimated_loads_ff(netlist, cells, output_load_ff=4.0)


@pytest.mark.parametrize("name", LIBRARIES)
def test_rule_against_every_transition(name: str, tmp_path: Path) -> None:
    """The internal energy of a whole MAC within 2 % of the sum over transitions; parts and totals add up."""
    netlist, _ = map_verilog(MAC, "mac", name, tmp_path)
    for stream in (UNIFORM, LSQ_GAUSSIAN):
        waves, power, loads_ff = _run(netlist, name, stream)
        slews_ns = estimated_slews_ns(waves, power, loads_ff, input_slew_ns=0.02)
        report = netlist_power(waves, power, slews_ns=slews_ns, loads_ff=loads_ff, clock_mhz=500)
        exact_pj = exact_internal_pj_per_cycle(waves, power, slews_ns=slews_ns, loads_ff=loads_ff)
        clock_net_pj = loads_ff["clk"] * 1e-3 * power.voltage_v**2
        assert (report.internal_uw + report.clock_uw) / 500 - clock_net_pj == pytest.approx(exact_pj, rel=0.02)
        assert report.parts[REGISTER].clock_uw == report.clock_uw > 0
        assert report.parts[COMPRESSOR].power_uw == 0
        assert report.power_uw == pytest.approx(sum(part.power_uw for part in report.parts.values()))
        assert 0 < report.leakage_uw < 0.1 * report.power_uw
        assert report.switching_uw == pytest.approx(_charging_uw(waves, power, loads_ff, clock_mhz=500))


def _charging_uw(waves: Waves, power: LibraryPower, loads_ff: dict[str, float], clock_mhz: float) -> float:
    """C V^2 / 2 of every net that a cell drives, by its first name."""
    total_fj = 0.0
    for instance in waves.netlist.instances:
        for pin in power.cells[instance.cell].outputs.keys() & instance.pins.keys():
            net = instance.pins[pin]
            total_fj += waves.toggles_per_cycle(net) * loads_ff[waves.netlist.net_names[net][0]]
    return total_fj * 1e-3 * power.voltage_v**2 / 2 * clock_mhz


def test_clock_rate_and_glitches(tmp_path: Path) -> None:
    """Dynamic power follows the clock, leakage does not; other toggles raise only what they should."""
    netlist, _ = map_verilog(MAC, "mac", "freepdk45", tmp_path)
    waves, power, loads_ff = _run(netlist, "freepdk45", UNIFORM)
    slews_ns = estimated_slews_ns(waves, power, loads_ff, input_slew_ns=0.02)
    slow = netlist_power(waves, power, slews_ns=slews_ns, loads_ff=loads_ff, clock_mhz=250)
    fast = netlist_power(waves, power, slews_ns=slews_ns, loads_ff=loads_ff, clock_mhz=500)
    assert slow.leakage_uw == fast.leakage_uw
    assert 2 * slow.total.clock_uw == pytest.approx(fast.clock_uw)
    assert 2 * slow.internal_uw == pytest.approx(fast.internal_uw)
    doubled = waves.with_toggles(
        {net: 2 * count for net, count in enumerate(waves.toggles) if net not in waves.pulses},
        waves.counted_cycles,
        "glitch-aware",
    )
    glitching = netlist_power(doubled, power, slews_ns=slews_ns, loads_ff=loads_ff, clock_mhz=500)
    assert glitching.switching_uw == pytest.approx(2 * fast.switching_uw)
    assert glitching.clock_uw == pytest.approx(fast.clock_uw)
    assert glitching.activity_source == "glitch-aware"
    adders = {instance.cell for instance in waves.netlist.instances if instance.cell.startswith("XNOR")}
    split = netlist_power(waves, power, slews_ns=slews_ns, loads_ff=loads_ff, clock_mhz=500, compressor_cells=adders)
    assert split.parts[COMPRESSOR].power_uw > 0
    assert split.power_uw == pytest.approx(fast.power_uw)


def test_ground_tables_are_left_out() -> None:
    """Of a library that splits energy by supply pin, only the power supply's part is taken."""
    text = """library (two) {
      nom_voltage : 1; time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, pf);
      cell (INV) { area : 1; pg_pin (VDD) { pg_type : primary_power; } pg_pin (VSS) { pg_type : primary_ground; }
        leakage_power () { value : 3; related_pg_pin : VDD; } leakage_power () { value : 100; related_pg_pin : VSS; }
        pin (A) { direction : input; capacitance : 0.001; }
        pin (Y) { direction : output; function : "!A";
          internal_power () { related_pin : A; related_pg_pin : VDD;
            rise_power (scalar) { values ("0.004"); } fall_power (scalar) { values ("0.002"); } }
          internal_power () { related_pin : A; related_pg_pin : VSS;
            rise_power (scalar) { values ("9"); } fall_power (scalar) { values ("9"); } } } } }"""
    cells = LibraryCells(parse_liberty(text))
    netlist = netlist_of({"a": [2]}, {"y": [3]}, {"u": ("INV", {"A": 2, "Y": 3})})
    waves = simulate(netlist, cells, {"a": [0, 1, 0]})
    slews = {"u/A": (0.0, 0.0)}
    report = netlist_power(waves, LibraryPower(cells), slews_ns=slews, loads_ff={"y": 0.0}, clock_mhz=10)
    assert report.internal_uw == pytest.approx(0.003 * 10)
    assert report.leakage_uw == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("slews_ns", "loads_ff", "clock_mhz", "message"),
    [
        ({}, {"y": 1.0}, 500.0, "slews_ns must have every pin that switches, and u/A is missing"),
        ({"u/A": (0.1, 0.1)}, {}, 500.0, "loads_ff must have every net that switches, and n3 is missing"),
        ({"u/A": (0.1, float("nan"))}, {"y": 1.0}, 500.0,
         "slews_ns of u/A must be two finite numbers, not 0.1 and nan"),
        ({"u/A": (0.1, 0.1)}, {"y": float("inf")}, 500.0, "loads_ff of y must be a finite number, not inf"),
        ({"u/A": (0.1, 0.1)}, {"y": 1.0}, 0.0, "clock_mhz must be positive, not 0.0"),
    ],
)  # fmt: skip
def test_missing_data(
    slews_ns: dict[str, tuple[float, float]], loads_ff: dict[str, float], clock_mhz: float, message: str
) -> None:
    """Nothing is guessed."""
    power = LibraryPower(library_cells("freepdk45"))
    with pytest.raises(ValueError) as caught:
        netlist_power(_inverter([0, 1, 0]), power, slews_ns=slews_ns, loads_ff=loads_ff, clock_mhz=clock_mhz)
    assert str(caught.value) == message


def test_bad_units_and_tables() -> None:
    """What a library must say, and did not."""
    head = 'library (x) { nom_voltage : 1; time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW";'
    with pytest.raises(ValueError, match="library 'x' must have a number and ff or pf for capacitive_load_unit, not "):
        LibraryCells(parse_liberty(head + "}"))
    bad = head.replace('"1ns"', '"1 hour"') + " capacitive_load_unit (1, ff); }"
    with pytest.raises(ValueError, match="library 'x' must have a number with a unit in s for time_unit, not '1 hour'"):
        LibraryPower(LibraryCells(parse_liberty(bad)))
    text = (
        head
        + """ capacitive_load_unit (1, ff);
      lu_table_template (t) { variable_1 : input_net_transition; index_1 ("1, 2"); }
      lu_table_template (u) { variable_1 : normalized_voltage; index_1 ("1, 2"); }
      cell (A) { rise_power (t) { values ("1, 2, 3"); } rise_power (u) { values ("1, 2"); } } }"""
    )
    library = parse_liberty(text)
    power = LibraryPower(LibraryCells(library))
    short, strange = library.find("cell", "A").groups
    with pytest.raises(ValueError, match="line 4: rise_power 't' must have 2 x 1 values over rising indices, not 3"):
        power.table(short, 1.0)
    with pytest.raises(ValueError, match="line 4: rise_power 'u' must be over slew and load, not 'normalized_voltage'"):
        power.table(strange, 1.0)
