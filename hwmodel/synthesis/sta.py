"""Static timing analysis with OpenSTA: minimum period, slack, the critical path, and slews and loads for power.

The constraint is one sentence: with an ideal clock, every path from an input or register to a
register or output must fit in one period.  Inputs arrive at time 0 through the library's driving
cell, outputs drive the library's default load and are due at the period, and nets have the
library's default wire load where it has one, or the wires of a placement (SPEF) in its place.  Hold is not looked at
(no clock tree exists yet).

OpenSTA's own power figures are not used; docs/synthesis.md says why.

It works in a folder of its own, where files have fixed names: paths that a user chose never become Tcl.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from hwmodel.library import Library
from siliquant.files import scratch
from siliquant.inputs import ToolError, positive_number, short, tcl_word
from siliquant.processes import ended_by_signal, kill_program, run_program, start_program

_SECONDS_LIMIT = 600
_END_SECONDS = 10  # in which a program ends whose pipes are closed
_LOOK_SECONDS = 1.0  # how often it is looked whether a command has taken too long


class ToolMissing(ToolError):  # noqa: N818 (it names a state of the machine, not a fault)
    """A program the flow needs is not installed; the message says how to get it."""


class TimingError(ToolError):
    """OpenSTA refused its input; the message holds what it said."""


@dataclass(frozen=True)
class Timing:
    """What OpenSTA found.  All times in ns; the clock is ideal.

    worst_slack_ns: of all constrained paths; minimum_period_ns = period_ns - worst_slack_ns.
    critical_path: OpenSTA's report of the worst path, text in library units.
    slews_ns: "instance/pin" to (rise, fall).  loads_ff: net name to pin plus wire
    capacitance, mean of rise and fall.  Both are empty unless asked for.
    """

    period_ns: float
    worst_slack_ns: float
    minimum_period_ns: float
    critical_path: str
    slews_ns: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    loads_ff: Mapping[str, float] = field(default_factory=dict)

    @property
    def meets_clock(self) -> bool:
        """True when no path is longer than the period."""
        return self.worst_slack_ns >= 0.0


@dataclass(frozen=True)
class PinTimes:
    """When signals arrive at pins and when they are due, in ns: by instance, then pin; none of pins on no path."""

    arrival_ns: Mapping[str, Mapping[str, float]]
    required_ns: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Stage:
    """One cell of a path: its instance, input pin and output pin on the path, cell name, and delay between the two.

    source_edge, edge: "rise" or "fall" at these pins. slew, load: at the input and of the output, in library units.
    """

    instance: str
    source: str
    pin: str
    cell: str
    delay_ns: float
    source_edge: str
    edge: str
    slew: float
    load: float


def find_opensta() -> str:
    """The OpenSTA program: $OPENSTA, else `sta` on PATH.  Raises ToolMissing."""
    named = os.environ.get("OPENSTA")
    found = shutil.which(named or "sta")
    if found is None:
        where = f"$OPENSTA names {named!r}, which cannot be run" if named else "no program `sta` is on PATH"
        raise ToolMissing(
            f"OpenSTA is needed for timing and power, but {where}; on Debian or Ubuntu: apt-get install opensta"
        )
    return found


@lru_cache(maxsize=4)
def _version_of(program: str) -> str:
    result = run_program([program, "-version"], timeout=60)
    words = result.stdout.split()
    return words[0] if words else "unknown"


def opensta_version() -> str | None:
    """The version OpenSTA states, or None when it is not installed."""
    try:
        return _version_of(find_opensta())
    except ToolMissing:
        return None


def analyse(
    netlist: Path, top: str, library: Library, period_ns: float, *, clock: str = "clk", details: bool = False
) -> Timing:
    """Time a mapped Verilog netlist.  With `details`, also every pin's slews and every net's load.

    A clock port that does not exist leaves a purely combinational design timed from inputs to outputs.
    Raises ToolMissing, TimingError, or ValueError for a period that is not positive.
    """
    with OpenSta(library) as opensta:
        opensta.load(netlist, top, period_ns, clock)
        return opensta.timing(details=details)


class OpenSta:
    """A running OpenSTA that has read one library; use it in a with statement.

    load() a netlist, then ask for timing(), try replace() of cells, load() the next.
    Raises ToolMissing when it is not installed, TimingError when it refuses something.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._period_ns = self._spare_ns = 0.0
        program = find_opensta()
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(scratch("sta"))
            (folder / "loop.tcl").write_text(_PROCEDURES + _LOOP)
            (folder / "cells.lib").symlink_to(library.slim())
            self._process = start_program(
                [program, "-no_init", "-no_splash", "loop.tcl"],
                cwd=folder,
                bufsize=1,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            self._folder, self._stack = folder, stack.pop_all()
        if self._process.stdin is None or self._process.stdout is None:
            raise TimingError("OpenSTA was started without pipes")
        self._input, self._output = self._process.stdin, self._process.stdout
        self._due, self._late, self._closed = math.inf, False, threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Ends the program where a command takes too long."""
        while not self._closed.wait(_LOOK_SECONDS):
            if time.monotonic() > self._due:
                self._late = True
                kill_program(self._process)
                return

    def __enter__(self) -> OpenSta:
        try:
            self.ask("read_liberty cells.lib")
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._input.close()
        self._output.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            kill_program(self._process)
            self._process.wait()
        self._stack.__exit__(kind, error, trace)  # a full disk is found by the folder that saw the error

    def ask(self, command: str) -> str:
        """Run one Tcl command and return what it printed. Raises TimingError, after ten minutes at the latest."""
        self._due = time.monotonic() + _SECONDS_LIMIT
        try:
            return self._ask(command)
        finally:
            self._due = math.inf

    def _ask(self, command: str) -> str:
        lines: list[str] = []
        try:
            self._input.write(command.replace("\n", " ") + "\n")
            self._input.flush()
        except OSError:
            raise TimingError(self._how_it_ended(f"before the command {short(command, 80)}", "")) from None
        for line in self._output:
            if line == "@done\n":
                return "".join(lines)
            if line.startswith("@error "):
                raise TimingError(f"OpenSTA refused {short(command, 80)}: {line[7:].strip()}")
            lines.append(line)
        said = "".join(lines[-3:]).strip()
        raise TimingError(self._how_it_ended(f"in the command {short(command, 80)}", said or "it said nothing"))

    def _how_it_ended(self, when: str, said: str) -> str:
        if self._late:
            return f"OpenSTA took longer than {_SECONDS_LIMIT:g} s {when}"
        try:
            how = ended_by_signal(self._process.wait(_END_SECONDS))
        except subprocess.TimeoutExpired:  # it has closed its output only
            how = ""
        return f"OpenSTA {f'{how},' if how else 'stopped'} {when}{said and ': '}{said}"

    def load(self, netlist: Path, top: str, period_ns: float, clock: str = "clk") -> None:
        """Read a mapped Verilog netlist in place of the one before, and constrain it."""
        library = self.library
        self._period_ns = positive_number("period_ns", period_ns)
        constrained_ns = min(self._period_ns, _LONGEST_NS)
        self._spare_ns = self._period_ns - constrained_ns
        period = constrained_ns / library.time_ns
        load = library.default_load_ff / library.capacitance_ff
        try:
            shutil.copyfile(netlist, self._folder / "netlist.v")
        except FileNotFoundError:
            raise TimingError(f"OpenSTA must be given a netlist, and {netlist} is not there") from None
        said = self.ask("read_verilog netlist.v") + self.ask(f"link_design {tcl_word(top)}")
        if "Creating black box" in said:
            raise TimingError(f"OpenSTA does not know every cell of {top}: {said.strip()[:300]}")
        driver, pin = tcl_word(library.driving_cell), tcl_word(library.driving_pin)
        self.ask(f"siliquant_constrain {tcl_word(clock)} {period!r} {driver} {pin} {load!r}")

    def nets(self) -> frozenset[str]:
        """The names of all nets of the netlist, without escapes."""
        return frozenset(_plain(line) for line in self.ask("siliquant_nets").splitlines())

    def ports(self) -> frozenset[str]:
        """The names of all ports of one bit, and of all bits of wider ones, without escapes."""
        asked = "foreach port [get_ports *] {puts [get_full_name $port]}"
        return frozenset(_plain(line) for line in self.ask(asked).splitlines())

    def annotate(self, spef: str) -> None:
        """Read wires as SPEF: the nets in it have these and no wire load.

        Raises TimingError where OpenSTA complains of any, as of a name that is not in the netlist.
        """
        (self._folder / "wires.spef").write_text(spef)
        said = self.ask("read_spef wires.spef")
        if "Warning" in said or "Error" in said:
            raise TimingError(f"OpenSTA must take every wire, but it says {short(said.strip(), 200)}")

    def slack_ns(self) -> float:
        """The worst slack; the period when nothing is constrained."""
        return self.replace({})

    def timing(self, *, details: bool = False) -> Timing:
        """The timing of the netlist as it stands."""
        slack = self.slack_ns()
        path = self.ask("report_checks -path_delay max -format full -fields {slew cap} -digits 6").strip("\n")
        slews: dict[str, tuple[float, float]] = {}
        loads: dict[str, float] = {}
        for line in self.ask("siliquant_details").splitlines() if details else ():
            kind, *numbers, name = line.split(" ", 3)
            if kind in ("@slew", "@load"):
                rise, fall = (_number(number, f"{kind[1:]} of {short(name)}") for number in numbers)
                if kind == "@slew":
                    slews[_plain(name)] = (rise * 1e9, fall * 1e9)
                else:
                    loads[_plain(name)] = (rise + fall) / 2 * 1e15
        return Timing(self._period_ns, slack, self._period_ns - slack, path, slews, loads)

    def pin_times(self) -> PinTimes:
        """When signals arrive at pins, and are due there, at the latest."""
        arrival: dict[str, dict[str, float]] = {}
        required: dict[str, dict[str, float]] = {}
        for line in self.ask("siliquant_times").splitlines():
            arrives, due, name = line.split(" ", 2)
            instance, _, pin = _plain(name).rpartition("/")
            for found, text in ((arrival, arrives), (required, due)):
                time_ns = 1e9 * _number(text, f"time of {short(name)}")
                if abs(time_ns) < _NO_SLACK_NS:
                    found.setdefault(instance, {})[pin] = time_ns
        return PinTimes(arrival, required)

    def write_sdf(self, path: Path) -> None:
        """Write every delay of the netlist as it stands, as SDF 3.0 in the library's time unit; see
        hwmodel.library.sdf."""
        self.ask("write_sdf -digits 6 delays.sdf")
        shutil.move(self._folder / "delays.sdf", path)

    def critical_stages(self) -> list[Stage]:
        """The cells of the worst path from its start to the one before its end."""
        path = self.ask("report_checks -path_delay max -format full -fields {slew cap input_pins} -digits 6")
        found, entered = [], None
        for line in _AT_PIN.finditer(path):
            numbers, edge, instance, pin, cell = line[1].split(), _EDGES[line[2]], line[3], line[4], line[5]
            if len(numbers) == 3:
                entered = instance, pin, edge, _number(numbers[0], "slew")
            elif entered is not None and entered[0] == instance:
                delay_ns = _number(numbers[2], "delay") * self.library.time_ns
                load = _number(numbers[0], "load")
                found.append(Stage(instance, entered[1], pin, cell, delay_ns, entered[2], edge, entered[3], load))
        return found

    def replace(self, cells: Mapping[str, str]) -> float:
        """Replace cells of instances by others with the same pins, and give the worst slack then, as slack_ns."""
        changes = [f"replace_cell {tcl_word(instance)} {tcl_word(cell)}" for instance, cell in cells.items()]
        answer = self.ask("; ".join([*changes, "puts [sta::worst_slack]"]))
        slack = _number(answer, "worst slack") * self.library.time_ns
        return slack + self._spare_ns if abs(slack) < _NO_SLACK_NS else self._period_ns


def _number(text: str, what: str) -> float:
    """A number that OpenSTA printed. Raises TimingError for what is none: it took something for what it is not."""
    try:
        value = float(text.strip().rpartition("\n")[2])
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise TimingError(f"OpenSTA must answer with a number for the {what}, not {short(text.strip())}")
    return value


def _plain(name: str) -> str:
    """A net or pin name as Yosys' JSON has it: without Verilog's escapes."""
    return name.replace("\\", "")


_AT_PIN = re.compile(r"^ *((?:[\d.eE+-]+ +){3,4})([\^v]) (\S+)/(\S+) \((\S+)\)$", flags=re.MULTILINE)
_EDGES = {"^": "rise", "v": "fall"}
_NO_SLACK_NS = 1e15
_LONGEST_NS = 1000.0  # of a period in OpenSTA, whose numbers have seven digits: a longer one would hide the delays

_LOOP = """
while {[gets stdin line] >= 0} {
  if {[catch {uplevel #0 $line} message]} {puts "@error [string map {"\\n" " "} $message]"} else {puts "@done"}
  flush stdout
}
exit
"""

_PROCEDURES = """
proc siliquant_constrain {clock period driver pin load} {
  set inputs {}
  set found {}
  foreach port [all_inputs] {
    if {[get_property $port full_name] eq $clock} {lappend found $port} else {lappend inputs $port}
  }
  if {[llength $found]} {
    create_clock -name clock -period $period $found
  } else {
    create_clock -name clock -period $period
  }
  if {[llength $inputs]} {
    set_input_delay 0 -clock clock $inputs
    set_driving_cell -lib_cell $driver -pin $pin $inputs
  }
  set_output_delay 0 -clock clock [all_outputs]
  set_load $load [all_outputs]
}
proc siliquant_details {} {
  foreach pin [get_pins *] {
    foreach vertex [$pin vertices] {
      puts "@slew [lindex [$vertex slews rise] 0] [lindex [$vertex slews fall] 0] [get_full_name $pin]"
    }
  }
  set corner [sta::cmd_corner]
  set nets [[sta::top_instance] net_iterator]
  while {[$nets has_next]} {
    set net [$nets next]
    puts "@load [$net capacitance rise $corner max] [$net capacitance fall $corner max] [get_full_name $net]"
  }
  $nets finish
}
proc siliquant_nets {} {
  set nets [[sta::top_instance] net_iterator]
  while {[$nets has_next]} {puts [get_full_name [$nets next]]}
  $nets finish
}
proc siliquant_times {} {
  set clock [lindex [all_clocks] 0]
  foreach pin [get_pins *] {
    foreach vertex [$pin vertices] {
      set arrival -1e30
      set required 1e30
      foreach edge {rise fall} {
        set times [$vertex arrivals_clk $edge $clock rise]
        if {[llength $times] == 2} {set arrival [expr {max($arrival, [lindex $times 1])}]}
        set times [$vertex requireds_clk $edge $clock rise]
        if {[llength $times] == 2} {set required [expr {min($required, [lindex $times 1])}]}
      }
      puts "$arrival $required [get_full_name $pin]"
    }
  }
}
"""
