"""What an array says to the settings of a run: by hand, as its words count, and proved for small ones."""

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from rtl.array import Architecture, ArraySpec, Refusal, Run
from rtl.array.run import ERROR_WIDTH, REFUSAL_CYCLES
from rtl.mac import DESIGNS, LoomSpec, UniformSpec
from rtl.requant import MultiplierSpec
from rtl.spec.mac import Precision
from rtl.verilog.convert import to_verilog
from sim.array.cases import limit_settings

TINY = UniformSpec(weight_bits=1, activation_bits=1, lanes=1, reduction_length=16)
SPEC = ArraySpec(
    mac=LoomSpec(units=2), rows=3, columns=2, activation_depth=40, weight_depth=41, result_depth=18,
    requant=MultiplierSpec(accumulator_width=32, groups=3),
)  # fmt: skip
ONE = {"steps": 1, "weight_planes": 1, "activation_planes": 1, "row_tiles": 1, "column_tiles": 1}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({}, Refusal.NONE),
        ({"steps": 0}, Refusal.STEPS),
        ({"weight_planes": 0, "row_tiles": 0}, Refusal.WEIGHT_PLANES),
        ({"activation_planes": 0}, Refusal.ACTIVATION_PLANES),
        ({"row_tiles": 0, "weight_base": 63}, Refusal.ROW_TILES),
        ({"column_tiles": 0}, Refusal.COLUMN_TILES),
        ({"steps": 41, "activation_base": 0}, Refusal.ACTIVATION_MEMORY),
        ({"steps": 40}, Refusal.NONE),
        ({"steps": 42}, Refusal.WEIGHT_MEMORY),
        ({"steps": 10, "weight_planes": 4}, Refusal.NONE),
        ({"steps": 10, "weight_planes": 4, "weight_base": 1}, Refusal.NONE),
        ({"steps": 10, "weight_planes": 4, "weight_base": 2}, Refusal.WEIGHT_MEMORY),
        ({"steps": 5, "activation_planes": 4, "row_tiles": 2}, Refusal.NONE),
        ({"steps": 5, "activation_planes": 4, "row_tiles": 2, "activation_base": 1}, Refusal.ACTIVATION_MEMORY),
        ({"activation_base": 63}, Refusal.ACTIVATION_MEMORY),
        ({"weight_planes": 8, "activation_planes": 8}, Refusal.NONE),
        ({"weight_planes": 13, "activation_planes": 5}, Refusal.CONTROL_MEMORY),
        ({"control_base": 191}, Refusal.NONE),
        ({"control_base": 192}, Refusal.CONTROL_MEMORY),
        ({"row_tiles": 2, "column_tiles": 3}, Refusal.NONE),
        ({"row_tiles": 2, "column_tiles": 3, "result_base": 1}, Refusal.RESULT_MEMORY),
        ({"row_tiles": 7}, Refusal.RESULT_MEMORY),
        ({"steps": 65535, "row_tiles": 65535, "column_tiles": 65535}, Refusal.WEIGHT_MEMORY),
        ({"column_tiles": 3, "requantise": 1, "group_step": 1}, Refusal.NONE),
        ({"column_tiles": 3, "requantise": 1, "group_step": 1, "group": 1}, Refusal.REQUANT_SETS),
        ({"column_tiles": 3, "requantise": 1, "group": 2}, Refusal.NONE),
        ({"requantise": 1, "group": 3}, Refusal.REQUANT_SETS),
        ({"group": 3, "group_step": 1}, Refusal.NONE),
    ],
    ids=str,
)
def test_what_is_wrong_with_settings(change: dict[str, int], cause: Refusal) -> None:
    assert SPEC.check_run(ONE | change) is cause


def test_settings_are_those_of_ports() -> None:
    with pytest.raises(ValueError, match=r"^settings of broadcast_\w+ must be of steps, .*, group_step, not rows$"):
        SPEC.check_run(ONE | {"rows": 1})
    with pytest.raises(ValueError, match=r"^weight_planes must be an integer from 0 to 15, not 16$"):
        SPEC.check_run(ONE | {"weight_planes": 16})
    with pytest.raises(TypeError, match=r"^steps must be an integer from 0 to 65535, not 1\.5$"):
        SPEC.check_run(ONE | {"steps": 1.5})


def test_planned_runs_are_never_refused_and_others_are_not_planned() -> None:
    """A run that is planned is one that the hardware takes, whatever its bases."""
    taken = refused = 0
    for m, k, n in product((1, 3, 4, 9), (1, 4, 9), (1, 2, 5)):
        for weight, activation, control, result in product((0, 20), (0, 30), (0, 130), (0, 9)):
            bases = {"weight_base": weight, "activation_base": activation, "control_base": control,
                     "result_base": result}  # fmt: skip
            try:
                run = SPEC.run(m, k, n, Precision(3, 2), **bases)
            except ValueError:
                refused += 1
                plain = {"steps": -(-k // 2), "weight_planes": 3, "activation_planes": 2, "row_tiles": -(-m // 3),
                         "column_tiles": -(-n // 2)}  # fmt: skip
                assert SPEC.check_run(plain | bases)
            else:
                taken += 1
                assert SPEC.check_run(vars(run)) is Refusal.NONE
    assert taken > 50
    assert refused > 50


def test_a_base_is_named_where_words_do_not_fit() -> None:
    with pytest.raises(ValueError) as caught:
        SPEC.run(3, 2, 2, Precision(2, 2), result_base=16)
    assert str(caught.value) == "result_depth must be at least 19 words for 3 x 2 x 2 from result_base 16 on, not 18"


@pytest.mark.parametrize("architecture", Architecture)
def test_no_run_ends_before_its_settings_are_checked(architecture: Architecture) -> None:
    """A refused run writes nothing, since the first word of the shortest run comes with the answer of the check."""
    for design in DESIGNS:
        spec = ArraySpec(mac=design(**{design.size_parameter: 1}), rows=1, columns=1, architecture=architecture)
        shortest = Run(**ONE)
        assert spec.cycles(shortest) >= REFUSAL_CYCLES


def test_limits_are_on_both_sides() -> None:
    """The settings that simulations start with have every cause, and many that are legal."""
    causes = [SPEC.check_run(settings) for settings in limit_settings(SPEC, np.random.default_rng(0))]
    assert set(causes) == set(Refusal)
    assert causes.count(Refusal.NONE) >= 5


def test_errors_fit_their_port() -> None:
    assert max(Refusal) < 1 << ERROR_WIDTH
    assert all(cause.meaning for cause in Refusal)


# Proofs.

PROVE = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    design.run_pass(line)
"""


def yosys(*commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROVE], input="\n".join(commands), capture_output=True, text=True, check=False
    )


BEHAVIOUR = """
module top(input clk, input rst, input start, {inputs}, output wrong);
  {regs}
  reg [5:0] age;
  always @(posedge clk) begin
    age <= rst ? 6'd63 : start ? 6'd0 : age == 6'd63 ? 6'd63 : age + 6'd1;
    if (start) begin {latch} end
  end
  wire refused;
  wire [3:0] error;
  {module} unit(.clk(clk), .rst(rst), .launch(start), {pins}, .refused(refused), .error(error));
  wire [3:0] expected = {expected} 4'd0;
  assign wrong = (refused != (age == 6'd{last} && expected != 0)) || (refused && error != expected);
endmodule
"""


def behaviour(spec: ArraySpec, module: str, bits: dict[str, int]) -> str:
    """The check as products and sums of 40 bits, for settings of so many bits that are kept from a start on."""

    def wide(name: str) -> str:
        return f"{{40'd0, {name}_q}}"

    weights = f"{wide('column_tiles')} * {wide('steps')} * {wide('weight_planes')} + {wide('weight_base')}"
    activations = f"{wide('row_tiles')} * {wide('steps')} * {wide('activation_planes')} + {wide('activation_base')}"
    cycles = f"{wide('weight_planes')} * {wide('activation_planes')}"
    results = f"{wide('row_tiles')} * {wide('column_tiles')} * 40'd{spec.drain_rows} + {wide('result_base')}"
    causes = [
        *(f"{name}_q == 0" for name in ONE),
        f"{weights} > {spec.weight_depth}",
        f"{activations} > {spec.activation_depth}",
        f"{cycles} > {spec.control_cycles} || {cycles} + {wide('control_base')} > {3 * spec.control_cycles}",
        f"{results} > {spec.result_depth}",
    ]
    names = [port.name for port in spec.settings]
    full = {port.name: port.width for port in spec.settings}
    pad = {name: f"{{{full[name] - bits[name]}'d0, {name}_q}}" if bits[name] < full[name] else f"{name}_q"
           for name in names}  # fmt: skip
    return BEHAVIOUR.format(
        inputs=", ".join(f"input [{bits[name] - 1}:0] {name}" for name in names),
        regs=" ".join(f"reg [{bits[name] - 1}:0] {name}_q;" for name in names),
        latch=" ".join(f"{name}_q <= {name};" for name in names),
        pins=", ".join(f".{name}({pad[name]})" for name in names),
        expected=" ".join(f"{text} ? 4'd{code} :" for code, text in enumerate(causes, start=1)),
        module=module,
        last=REFUSAL_CYCLES - 1,
    )


@pytest.mark.parametrize("depths", [(5, 7, 6), (8, 4, 7)], ids=str)
def test_the_check_is_proved(depths: tuple[int, int, int], tmp_path: Path) -> None:
    """For all settings of few bits: the answer of the hardware is that of products and sums that are wide enough."""
    spec = ArraySpec(
        mac=LoomSpec(units=1), rows=3, columns=1, activation_depth=depths[0], weight_depth=depths[1],
        result_depth=depths[2],
    )  # fmt: skip
    bits = {port.name: min(3, port.width) for port in spec.settings} | {"control_base": 8, "weight_planes": 4}
    text = to_verilog([spec])
    (name,) = re.findall(r"(?m)^module (\w+_settings_check) \($", text)
    (tmp_path / "check.v").write_text(text + behaviour(spec, name, bits))
    for wrong, fails in ((None, False), ("6'd4", True)):
        if wrong:  # a check that would come a cycle later is refuted
            source = (tmp_path / "check.v").read_text()
            (tmp_path / "check.v").write_text(source.replace("age == 6'd4 &&", "age == 6'd5 &&"))
        done = yosys(
            f"read_verilog {tmp_path / 'check.v'}", "hierarchy -top top", "proc", "flatten", "opt -full",
            f"sat -verify -seq {REFUSAL_CYCLES + 4} -prove-skip 1 -prove wrong 0 -set-at 1 rst 1 -set-at 2 start 1"
            + "".join(f" -set-at {cycle} start 0" for cycle in (1, *range(3, REFUSAL_CYCLES + 5)))
            + "".join(f" -set-at {cycle} rst 0" for cycle in range(2, REFUSAL_CYCLES + 5)) + " top",
        )  # fmt: skip
        assert (done.returncode != 0) == fails, (done.stdout + done.stderr)[-1500:]


@pytest.mark.parametrize("architecture", Architecture)
def test_no_run_goes_on_for_ever(architecture: Architecture, tmp_path: Path) -> None:
    """Proved for an array with two words in each memory and all settings: busy falls in time."""
    spec = ArraySpec(mac=TINY, rows=1, columns=1, architecture=architecture, activation_depth=2, weight_depth=2,
                     result_depth=2, result_width=8)  # fmt: skip
    assert spec.control_cycles == 1
    runs = [Run(steps=s, weight_planes=1, activation_planes=1, row_tiles=r, column_tiles=c)
            for s, r, c in product((1, 2), repeat=3) if s * r <= 2 and s * c <= 2 and r * c <= 2]  # fmt: skip
    longest = max(map(spec.cycles, runs))
    (tmp_path / "array.v").write_text(to_verilog([spec]))
    start = 3  # the first cycle with busy 1, after a reset and the start

    def prove(cycle: int, port: str) -> int:
        last = start + longest
        given = "-set-at 1 rst 1 -set-at 1 start 0 -set-at 2 start 1 -set hold 0"
        given += "".join(f" -set-at {at} rst 0" for at in range(2, last + 1))
        given += "".join(f" -set-at {at} start 0" for at in range(3, last + 1))
        return yosys(
            f"read_verilog {tmp_path / 'array.v'}", f"hierarchy -top {spec.name}", "proc", "memory", "flatten",
            "opt -full", f"sat -verify -seq {cycle} -prove-skip {cycle - 1} -prove {port} 0 {given} {spec.name}",
        ).returncode  # fmt: skip

    assert prove(start + longest, "busy") == 0
    assert prove(start + longest - 1, "busy") != 0, "the longest run takes all of its cycles"
    assert prove(start + longest, "error") != 0, "some runs are refused"
