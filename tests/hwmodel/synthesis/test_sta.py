"""OpenSTA as a tool: what it answers for a netlist small enough to check by hand."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.synthesis.sizing import Move, apply, meet_clock, together
from hwmodel.synthesis.sta import OpenSta, TimingError, ToolMissing, analyse, find_opensta, opensta_version

NETLIST = """
module two(clk, d, q);
  input clk; wire clk;
  input d; wire d;
  output q; wire q;
  wire \\state[0] ;
  wire n1;
  DFF_X1 first (
    .CK(clk), .D(d), .Q(\\state[0] )
  );
  INV_X1 inverter (
    .A(\\state[0] ), .ZN(n1)
  );
  DFF_X1 second (
    .CK(clk), .D(n1), .Q(q)
  );
endmodule
"""

try:
    find_opensta()
except ToolMissing as reason:
    pytest.skip(str(reason), allow_module_level=True)


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


@pytest.fixture
def netlist(tmp_path: Path) -> Path:
    path = tmp_path / "two.v"
    path.write_text(NETLIST)
    return path


def test_timing_with_details(library: Library, netlist: Path) -> None:
    timing = analyse(netlist, "two", library, 2.0, details=True)
    assert timing.meets_clock
    assert timing.minimum_period_ns == pytest.approx(2.0 - timing.worst_slack_ns)
    assert 0.05 < timing.minimum_period_ns < 0.5
    assert "second/D (DFF_X1)" in timing.critical_path
    assert set(timing.loads_ff) == {"clk", "d", "q", "state[0]", "n1"}
    assert timing.loads_ff["q"] >= library.default_load_ff * 0.999
    pins = {*(f"{cell}/{pin}" for cell in ("first", "second") for pin in ("CK", "D", "Q")), "inverter/A", "inverter/ZN"}
    assert set(timing.slews_ns) >= pins
    assert all(0 <= rise < 1 and 0 <= fall < 1 for rise, fall in timing.slews_ns.values())


def test_minimum_period_does_not_depend_on_the_period(library: Library, netlist: Path) -> None:
    slow, fast = (analyse(netlist, "two", library, period) for period in (2.0, 0.05))
    assert slow.minimum_period_ns == pytest.approx(fast.minimum_period_ns, abs=1e-6)
    assert not fast.meets_clock
    idle = analyse(netlist, "two", library, 1e6)  # of 0.001 MHz
    assert idle.minimum_period_ns == pytest.approx(fast.minimum_period_ns, abs=1e-4)
    assert idle.worst_slack_ns == pytest.approx(1e6 - fast.minimum_period_ns, abs=1e-4)


def test_one_process_times_many_netlists(library: Library, netlist: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.v"
    other.write_text(NETLIST.replace("INV_X1", "INV_X4"))
    with OpenSta(library) as opensta:
        slacks = []
        for path in (netlist, other, netlist):
            opensta.load(path, "two", 1.0)
            slacks.append(opensta.slack_ns())
    assert slacks[0] == slacks[2] != slacks[1]


def burden(netlist: Path) -> None:
    """Give the inverter many loads."""
    loads = "".join(f"  wire m{i};\n  INV_X4 load{i} (\n    .A(n1), .ZN(m{i})\n  );\n" for i in range(12))
    netlist.write_text(netlist.read_text().replace("endmodule", loads + "endmodule"))


def test_sizing_meets_a_clock_and_writes_what_it_did(library: Library, netlist: Path) -> None:
    before = analyse(netlist, "two", library, 1.0)
    burden(netlist)
    slow = analyse(netlist, "two", library, 1.0)
    assert slow.minimum_period_ns > before.minimum_period_ns
    period_ns = 0.9 * slow.minimum_period_ns
    with OpenSta(library) as opensta:
        opensta.load(netlist, "two", period_ns)
        sizing = meet_clock(opensta, library, 10.0)
    assert sizing.slack_ns >= 0
    apply(netlist, sizing.replaced)
    assert analyse(netlist, "two", library, period_ns).worst_slack_ns == pytest.approx(sizing.slack_ns, abs=1e-6)


def move(place: int, gain_ns: float, cost_um2: float = 1.0) -> Move:
    return Move(place, f"u{place}", "INV_X1", "INV_X2", gain_ns, cost_um2)


def test_moves_made_together_are_apart_nearly_as_good_and_no_more_than_needed() -> None:
    best, beside, good, poor = move(4, 0.1), move(5, 0.09), move(7, 0.04), move(1, 0.02)
    assert together([best, beside, good, poor], 1.0, 10.0) == [best, good]
    assert together([best, good], 0.1, 10.0) == [best], "one is enough"
    assert together([best, good], 0.11, 10.0) == [best, good]
    assert together([best, good], 1.0, 1.5) == [best], "no area for both"
    assert together([replace(best, cost_um2=9.0), good], 1.0, 1.5) == [good], "no area for the best"


def test_sizing_keeps_to_its_area(library: Library, netlist: Path) -> None:
    burden(netlist)
    with OpenSta(library) as opensta:
        opensta.load(netlist, "two", 1e-3)
        free = meet_clock(opensta, library)
        assert free.added_um2 > 0 > free.slack_ns
        for share in (0.0, 0.5):
            opensta.load(netlist, "two", 1e-3)
            assert meet_clock(opensta, library, share * free.added_um2).added_um2 <= share * free.added_um2


def test_sizing_finds_instances_whose_names_are_escaped(tmp_path: Path) -> None:
    netlist = tmp_path / "mapped.v"
    netlist.write_text("  INV_X1 \\grid.a.b  (\n    .A(n1)\n  );\n  INV_X1 plain (\n  INV_X1 other (\n")
    apply(netlist, {"grid.a.b": "INV_X2", "plain": "INV_X4"})
    assert netlist.read_text() == ("  INV_X2 \\grid.a.b  (\n    .A(n1)\n  );\n  INV_X4 plain (\n  INV_X1 other (\n")
    with pytest.raises(ValueError, match=r"^every replaced instance must be in mapped.v, but 1 are not$"):
        apply(netlist, {"plain": "INV_X1", "grid.a": "INV_X2"})


def test_the_time_limit_is_that_of_one_command(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenSta(library) as opensta:
        monkeypatch.setattr("hwmodel.synthesis.sta._SECONDS_LIMIT", 2.0)
        for _ in range(6):
            assert opensta.ask("after 400") == ""
        with pytest.raises(TimingError, match=r"^OpenSTA took longer than 2 s in the command 'after 60000'$"):
            opensta.ask("after 60000")


def test_a_signal_that_ends_it_is_said(library: Library) -> None:
    killed = r"OpenSTA was killed \(SIGKILL\), as when no memory is left,"
    with OpenSta(library) as opensta:
        ended = threading.Timer(0.3, lambda: os.kill(int(number), signal.SIGKILL))
        number = opensta.ask("puts [pid]")
        ended.start()
        with pytest.raises(TimingError, match=rf"^{killed} in the command 'after 60000': it said nothing$"):
            opensta.ask("after 60000")
        with pytest.raises(TimingError, match=rf"^{killed} before the command 'puts 1'$"):
            opensta.ask("puts 1")


def test_errors(library: Library, netlist: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^period_ns must be a positive number, not 0$"):
        analyse(netlist, "two", library, 0)
    with pytest.raises(TimingError, match=r"missing\.v is not there"):
        analyse(tmp_path / "missing.v", "two", library, 1.0)
    netlist.write_text(NETLIST.replace("INV_X1", "NOT_A_CELL"))
    with pytest.raises(TimingError, match="NOT_A_CELL"):
        analyse(netlist, "two", library, 1.0)


def test_missing_tool_says_how_to_get_it(library: Library, netlist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSTA", "no-such-sta")
    with pytest.raises(ToolMissing, match=r"OpenSTA is needed .*'no-such-sta'.*apt-get install opensta"):
        analyse(netlist, "two", library, 1.0)
    assert opensta_version() is None
