"""Components that are no design of ours: what is written does what their RTLIL does, or is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, ClockDomain, Module, Mux, ResetSignal, Signal
from amaranth.lib.wiring import Component, In, Out

from rtl.logic import Port
from rtl.verilog import Reset, to_verilog
from rtl.verilog.convert import GenerationError

Build = Callable[[Module, Any], None]


class Made:
    """What a function makes of a module with these ports."""

    summary = "made for a test"
    name = "top"

    def __init__(self, build: Build, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        inputs, outputs = {**inputs, "tick": 1}, {**outputs, "tock": 1}  # something has a clock
        self._build, self._inputs, self._outputs = build, inputs, outputs
        self.ports = [Port(name, width, True, "") for name, width in inputs.items()]
        self.ports += [Port(name, width, False, "") for name, width in outputs.items()]

    def create(self, *, numbered: bool = False) -> Component:
        build, members = self._build, {name: In(width) for name, width in self._inputs.items()}

        class Top(Component):
            def elaborate(self, platform: object) -> Module:
                m = Module()
                m.d.sync += self.tock.eq(self.tick)
                build(m, self)
                return m

        return Top({**members, **{name: Out(width) for name, width in self._outputs.items()}})


def dangling(m: Module, c: Any) -> None:
    with m.If(c.a[0]), m.If(c.b[0]):
        m.d.sync += c.q.eq(c.a)
    with m.Else():
        m.d.sync += c.q.eq(~c.a)


def dangling_comb(m: Module, c: Any) -> None:
    with m.If(c.a[0]), m.If(c.b[0]):
        m.d.comb += c.q.eq(c.a)
    with m.Else():
        m.d.comb += c.q.eq(~c.a)


def parity_of_inverse(m: Module, c: Any) -> None:
    m.d.sync += c.q.eq((~c.a).xor())


def choice_in_a_test(m: Module, c: Any) -> None:
    with m.Switch(Cat(Mux(c.a[0], c.b[0], c.b[1]), c.a[1])), m.Case("1-", "-1"):
        m.d.sync += c.q.eq(c.b)


def late_hold(m: Module, c: Any) -> None:
    with m.If(c.a[0]):
        m.d.sync += c.q.eq(c.b)
    with m.If(c.b[0]):
        m.d.sync += c.q.eq(c.q)


def table(m: Module, c: Any) -> None:
    with m.Switch(c.a):
        with m.Case(3):
            m.d.sync += c.q.eq(c.b)
        with m.Case(5):
            m.d.sync += c.q.eq(1)


def reset_inside(m: Module, c: Any) -> None:
    kept = Signal(4, reset_less=True)
    with m.If(ResetSignal()):
        m.d.sync += kept.eq(c.a)
    with m.Else():
        m.d.sync += kept.eq(c.b)
    m.d.comb += c.q.eq(kept)


def signed(m: Module, c: Any) -> None:
    m.d.comb += c.q.eq(Mux(c.a.as_signed() < c.b.as_signed(), c.a.as_signed() * c.b.as_signed(), -c.a))


def slices(m: Module, c: Any) -> None:
    total = c.a + c.b
    m.d.comb += c.q.eq(Cat(total[3], total[0:2], (total << c.a[0:2])[1]))


def words_of_the_language(m: Module, c: Any) -> None:
    found = Signal(4, name="table")
    m.d.sync += found.eq(c.a)
    m.d.comb += c.q.eq(found ^ c.b)


PORTS: tuple[Mapping[str, int], Mapping[str, int]] = {"a": 4, "b": 4}, {"q": 4}
BUILDS = (
    dangling, dangling_comb, parity_of_inverse, choice_in_a_test, late_hold, table, reset_inside,
    signed, slices, words_of_the_language,
)  # fmt: skip
SCRIPT = "import sys; from pyosys import libyosys as y; d = y.Design(); [d.run_pass(c) for c in sys.argv[1:]]"


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_the_text_is_the_rtlil(build: Build, tmp_path: Path) -> None:
    made = Made(build, *PORTS)
    text = re.sub(r"attribute .init .*\n", "", rtlil.convert(made.create(), name="top", emit_src=False))
    (tmp_path / "one.il").write_text(text)
    (tmp_path / "other.v").write_text(to_verilog([made]))
    commands = []
    for name, read in (("one", "read_rtlil one.il"), ("other", "read_verilog other.v")):
        commands += [
            read,
            "hierarchy -top top",
            "proc",
            "flatten",
            "opt_clean",
            f"rename top {name}",
            f"design -stash {name}",
        ]
    commands += [f"design -copy-from {name} -as {name} {name}" for name in ("one", "other")]
    commands += ["miter -equiv -flatten -make_outputs -make_assert one other both", "hierarchy -top both"]
    commands += ["sat -verify -tempinduct -prove-asserts -set-at 1 in_rst 1 -seq 1 -maxsteps 8 both"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *commands], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, to_verilog([made]) + done.stdout[-1200:] + done.stderr[-300:]
    checked = subprocess.run(
        ["iverilog", "-g2001", "-Wall", "-Wno-timescale", "-tnull", "other.v"], cwd=tmp_path, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")


def two_clocks(m: Module, c: Any) -> None:
    m.domains.other = ClockDomain("other", local=True)
    m.d.other += c.q.eq(c.a)


def keyword_port(m: Module, c: Any) -> None:
    m.d.comb += c.q.eq(c.logic)


@pytest.mark.parametrize(
    ("build", "inputs", "said"),
    [
        (two_clocks, {"a": 4}, "must be clocked by the rising edge of clk"),
        (keyword_port, {"logic": 4}, "logic cannot be a name in the text"),
    ],
)
def test_what_cannot_be_written_is_refused(build: Build, inputs: Mapping[str, int], said: str) -> None:
    with pytest.raises(GenerationError, match=said):
        to_verilog([Made(build, inputs, {"q": 4})])


def test_a_value_that_is_loaded_in_reset_waits_for_the_clock() -> None:
    text = to_verilog([Made(reset_inside, *PORTS)], reset=Reset.ASYNCHRONOUS_LOW)
    assert text.count("negedge") == 1  # of tock
