"""Wires as SPEF: by hand for a netlist of three cells, and as OpenSTA takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.netlist.netlist import Netlist, read_netlist
from hwmodel.placement.floorplan import Floorplan
from hwmodel.placement.placer import Placement
from hwmodel.placement.technology import Wire
from hwmodel.placement.wires import Names, routes_of, spef_text
from hwmodel.synthesis.mapping import name_netlist
from hwmodel.synthesis.sta import OpenSta, TimingError, ToolMissing, find_opensta
from siliquant.inputs import InputError, spef_word

NETLIST = """
module two(clk, d, q);
  input clk; wire clk;
  input [1:0] d; wire [1:0] d;
  output q; wire q;
  wire \\state[0] ;
  wire n1;
  DFF_X1 \\first[0] (
    .CK(clk), .D(d[1]), .Q(\\state[0] )
  );
  NAND2_X1 gate (
    .A1(\\state[0] ), .A2(d[0]), .ZN(n1)
  );
  DFF_X1 second (
    .CK(clk), .D(n1), .Q(q)
  );
endmodule
"""
WIRE = Wire(0.2, 3.0, "as stated")


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


@pytest.fixture(scope="module")
def netlist(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Netlist:
    path = tmp_path_factory.mktemp("netlist") / "two.v"
    path.write_text(NETLIST)
    return read_netlist(name_netlist("two", path, library).read_text(), "two")


def placed(netlist: Netlist) -> Placement:
    """By hand: state[0] is 10 um long, n1 has its two pins at one point, the clock is 40 um long."""
    number = {instance.name: index for index, instance in enumerate(netlist.instances)}
    first, gate, second = number["first[0]"], number["gate"], number["second"]
    nets: list[tuple[tuple[tuple[int, str], tuple[int, int]], ...]] = [()] * netlist.net_count
    where = {name: net for net, names in enumerate(netlist.net_names) for name in names}
    nets[where["state[0]"]] = (((first, "Q"), (0, 0)), ((gate, "A1"), (4000, 6000)))
    nets[where["n1"]] = (((gate, "ZN"), (0, 0)), ((second, "D"), (0, 0)))
    nets[where["d[0]"]] = (((-1, "d[0]"), (0, 0)), ((gate, "A2"), (0, 5000)))
    nets[where["d[1]"]] = (((-1, "d[1]"), (0, 0)), ((first, "D"), (0, 5000)))
    nets[where["q"]] = (((second, "Q"), (0, 0)), ((-1, "q[0]"), (0, 5000)))
    nets[where["clk"]] = (((-1, "clk[0]"), (0, 0)), ((first, "CK"), (10000, 10000)), ((second, "CK"), (0, 20000)))
    plan = Floorplan(40000, 20, 1400, 190)
    return Placement(plan, (), (), (), {}, tuple(nets), frozenset({where["clk"]}))


def test_spef_by_hand(library: Library, netlist: Netlist) -> None:
    routes = routes_of(placed(netlist))
    lengths = {netlist.net_label(route.net): route.length_um for route in routes}
    assert lengths == pytest.approx({"state[0]": 10, "n1": 0, "d[0]": 5, "d[1]": 5, "q": 5, "clk": 30})
    names = Names(frozenset({"state[0]", "n1", "d[0]", "d[1]", "q", "clk"}), frozenset({"d[0]", "d[1]", "q", "clk"}))
    text = spef_text(routes, netlist, library, WIRE, names)
    assert "*C_UNIT 1 FF\n*R_UNIT 1 OHM\n" in text
    nets = {part.split()[0]: part for part in text.split("*D_NET ")[1:]}
    # 10 um: 2 fF, half at each end, and 30 Ohm.
    assert nets["state\\[0\\]"] == (
        "state\\[0\\] 2.000000\n*CONN\n*I first\\[0\\]:Q O\n*I gate:A1 I\n"
        "*CAP\n1 first\\[0\\]:Q 1.000000\n2 gate:A1 1.000000\n"
        "*RES\n1 first\\[0\\]:Q gate:A1 30.000000\n*END\n\n"
    )
    assert "*P d[0] I\n*I gate:A2 I\n" in nets["d[0]"]
    assert "1 d[0] gate:A2 15.000000\n" in nets["d[0]"]
    assert "*I second:Q O\n*P q O\n" in nets["q"]
    # The clock, 30 um with a Steiner point 10 um up: 6 fF and no resistance to speak of.
    assert nets["clk"].startswith("clk 6.000000\n*CONN\n*P clk I\n*I first\\[0\\]:CK I\n*I second:CK I\n*CAP\n")
    assert "4 clk:1 3.000000\n*RES\n1 clk clk:1 0.001000\n" in nets["clk"]


def test_opensta_takes_them(library: Library, netlist: Netlist, tmp_path: Path) -> None:
    """Loads are pins and wires, and a wire in the path makes it longer by R C."""
    try:
        find_opensta()
    except ToolMissing as reason:
        pytest.skip(str(reason))
    path = tmp_path / "two.v"
    path.write_text(NETLIST)
    routes = routes_of(placed(netlist))
    with OpenSta(library) as opensta:
        opensta.load(path, "two", 1.0)
        names = Names(opensta.nets(), opensta.ports())
        assert names.ports == {"d[0]", "d[1]", "q", "clk"}
        assert names.nets == {"state[0]", "n1", "d[0]", "d[1]", "q", "clk"}
        by_wire = {}
        for ohm in (0.0, 3.0, 3000.0):
            opensta.load(path, "two", 1.0)
            opensta.annotate(spef_text(routes, netlist, library, Wire(0.2, ohm, "as stated"), names))
            by_wire[ohm] = opensta.timing(details=True)
        opensta.load(path, "two", 1.0)
        with pytest.raises(TimingError) as error:
            opensta.annotate(spef_text(routes, netlist, library, WIRE, names).replace("*D_NET n1 ", "*D_NET n2 "))
        assert str(error.value).startswith("OpenSTA must take every wire, but it says 'Warning: wires.spef, line ")
    timing = by_wire[3.0]
    a1 = library.input_ff["NAND2_X1"]["A1"]
    assert timing.loads_ff["state[0]"] == pytest.approx(a1 + 2.0, rel=0.05)
    assert timing.loads_ff["clk"] == pytest.approx(2 * library.input_ff["DFF_X1"]["CK"] + 6.0, rel=0.05)
    assert timing.loads_ff["n1"] == pytest.approx(library.input_ff["DFF_X1"]["D"], rel=0.05)
    clock_slews = [max(slews) for pin, slews in timing.slews_ns.items() if pin.endswith("/CK")]
    assert max(clock_slews) < 1e-4
    # 30 kOhm before 1 fF and a pin of 1.6 fF: Elmore says 0.08 ns.
    longer_ns = by_wire[3000.0].minimum_period_ns - by_wire[0.0].minimum_period_ns
    assert longer_ns == pytest.approx(30e3 * (1.0 + a1) * 1e-15 * 1e9, rel=0.3)
    assert timing.minimum_period_ns == pytest.approx(by_wire[0.0].minimum_period_ns, abs=1e-3)


def test_names_are_escaped_or_refused(library: Library, netlist: Netlist) -> None:
    assert spef_word("a_1") == "a_1"
    assert spef_word("a/b.c[3]$*") == "a\\/b\\.c\\[3\\]\\$\\*"
    for bad in ("", "a b", "a\nb", "é"):
        with pytest.raises(InputError, match="a name in SPEF must be 1 to 1024 printable ASCII characters, not "):
            spef_word(bad)
    with pytest.raises(InputError) as error:
        spef_text(routes_of(placed(netlist)), netlist, library, WIRE, Names(frozenset({"clk", "n1"}), frozenset()))
    assert str(error.value) == "every net must be known to the timing tool, and d[0] is not"
