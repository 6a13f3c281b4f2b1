"""The Verilog that is written computes what Amaranth's RTLIL does, as Yosys proves, in every style of reset; and the
same names stand for the same things.
"""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.gen import main
from rtl.mac import BitFusionSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec
from rtl.names import FULL_ADDER_NAME, MEMORY_NAME, MOST_NAME
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.verilog import Generated, Reset, numbered_verilog, to_verilog
from rtl.verilog.convert import MEMORY
from rtl.verilog.rtlil import parse

TINY = UniformSpec(lanes=1, weight_bits=2, activation_bits=2)
DEPTHS = {"activation_depth": 4, "weight_depth": 4, "result_depth": 4}
ARRAYS = (
    ArraySpec(mac=TINY, rows=2, columns=2, result_width=24, **DEPTHS),
    ArraySpec(
        mac=LoomSpec(units=1, maximum_bits=2), rows=3, columns=1, drains=2,
        requant=MultiplierSpec(accumulator_width=32, bits=2, multiplier_width=4, shift_bits=1), **DEPTHS,
    ),
    ArraySpec(
        mac=TINY, rows=2, columns=2, architecture=Architecture.SYSTOLIC, drains=2,
        requant=ThresholdSpec(accumulator_width=32, bits=1, groups=3), **DEPTHS,
    ),
)  # fmt: skip
UNITS = (
    UniformSpec(lanes=2, weight_bits=3, activation_bits=3), PaddedSpec(units=1, widths=(4, 2), gating=True),
    SubwordSpec(units=1, widths=(4, 2)), BitFusionSpec(units=1, widths=(4, 2)),
    ThresholdSpec(bits=2, groups=3),
    MultiplierSpec(bits=2, groups=2, accumulator_width=5, multiplier_width=3, offset_width=4, shift=2),
    PartialSumSpec(groups=2, accumulator_width=5, multiplier_width=3),
)  # fmt: skip
"""Small ones: no wires inside have the same names on both sides."""


def equal(one: str, other: str, top: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Yosys' answer whether two texts have the same module ``top``: register by register, output by output."""
    commands = []
    for name, text in (("one", one), ("other", other)):
        (folder / f"{name}.v").write_text(text)
        commands += [
            f"read_verilog {folder / name}.v", f"hierarchy -top {top}", "proc", "memory_map", "flatten", "opt_clean",
            "async2sync", f"rename {top} {name}", f"design -stash {name}",
        ]  # fmt: skip
    commands += [f"design -copy-from {name} -as {name} {name}" for name in ("one", "other")]
    commands += ["equiv_make one other both", "hierarchy -top both", "equiv_simple", "equiv_induct"]
    commands += ["equiv_status -assert"]
    script = "import sys; from pyosys import libyosys as y; d = y.Design(); [d.run_pass(c) for c in sys.argv[1:]]"
    return subprocess.run([sys.executable, "-c", script, *commands], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("spec", [ARRAYS[0], ARRAYS[2], *UNITS], ids=lambda spec: spec.name)
def test_the_text_is_what_yosys_writes(spec: Generated, tmp_path: Path) -> None:
    plain = numbered_verilog([spec]) + (MEMORY if isinstance(spec, ArraySpec) else "")
    done = equal(plain, to_verilog([spec]), spec.name, tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]


@pytest.mark.parametrize(
    ("pattern", "put"),
    [("row_tiles - 16'd1|row_tiles} - 17'd1", "row_tiles} - 17'd2"), (r"running & ~hold", "running & hold")],
)
def test_another_text_is_not(pattern: str, put: str, tmp_path: Path) -> None:
    array = ARRAYS[0]
    text, count = re.subn(pattern, put, to_verilog([array]), count=1)
    assert count == 1
    done = equal(numbered_verilog([array]) + MEMORY, text, array.name, tmp_path)
    assert done.returncode != 0
    assert "unproven $equiv" in done.stderr


def with_port(text: str, spec: Generated, reset: Reset) -> str:
    """The text with a module ``top`` whose reset is ``rst``, active high."""
    ports = [port for port in spec.ports if port.width]
    heads = [f"{'input' if port.is_input else 'output'} [{port.width - 1}:0] {port.name}" for port in ports]
    pins = ", ".join(f".{port.name}({port.name})" for port in ports)
    given = "rst" if reset.port == "rst" else "~rst"
    return f"""{text}
module top(input clk, input rst, {", ".join(heads)});
  {spec.name} it (.clk(clk), .{reset.port}({given}), {pins});
endmodule
"""


def numbered(text: str) -> str:
    """Shared modules, whose names say the style, by the order in which they come."""
    names = list(dict.fromkeys(re.findall(r"\bsiliquant_\w+", text)))
    return re.sub(r"\bsiliquant_\w+", lambda match: f"shared{names.index(match[0])}", text)


@pytest.mark.parametrize("spec", [ARRAYS[2], UNITS[0], UNITS[4]], ids=lambda spec: spec.name)
def test_each_style_of_reset_does_the_same(spec: Generated, tmp_path: Path) -> None:
    high, low = ({style: to_verilog([spec], reset=style) for style in Reset if level in style.value}
                 for level in ("high", "low"))  # fmt: skip
    texts = [with_port(each[style], spec, style) for each in (high, low) for style in each if style.edge == ""]
    done = equal(*texts, "top", tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]
    for each in (high, low):
        (synchronous,), (asynchronous,) = ([s for s in each if (s.edge != "") == wanted] for wanted in (False, True))
        changed = numbered(each[asynchronous]).replace(asynchronous.edge, "").replace("asynchronous", "synchronous")
        assert [line.split() for line in changed.splitlines()] == [
            line.split() for line in numbered(each[synchronous]).splitlines()
        ]
        assert re.findall(r"@\(posedge clk ?([^)]*)\) if \(!?rst", each[asynchronous])
    assert "rst_n" not in "".join(high.values())
    assert not re.search(r"\brst\b", "".join(low.values()))


def test_the_command_writes_the_style_and_the_manifest_says_it(tmp_path: Path) -> None:
    main(["--design", "uniform", "--lanes", "1", "--reset", "async-low", "--out", str(tmp_path)])
    text = (tmp_path / "uniform_w4_a4_l1.json").read_text()
    assert '"reset": "rst_n, asynchronous, low; empties the pipeline, the first operands after it must carry' in text
    assert "rst_n 0 at any time: nothing that has entered comes out any more" in text
    assert "but for one that may come in the cycle in which rst_n is 0" in text
    assert not re.search(r"\brst\b", text)
    with pytest.raises(
        ValueError, match=r"^reset must be one of sync-high, sync-low, async-high, async-low, not 'none'$"
    ):
        main(["--design", "uniform", "--reset", "none", "--out", str(tmp_path)])


def declared(text: str) -> set[str]:
    """Names of signals and instances."""
    found = re.findall(r"(?m)^  (?:wire|reg) +(?:\[\d+:0\] )?([\w, ]+?)(?: =.*|;)$", text)
    return {name for names in found for name in names.split(", ")} | set(
        re.findall(r"(?m)^  siliquant_\w+ (\w+) \(", text)
    )


def test_shared_modules_of_two_styles_have_two_names(tmp_path: Path) -> None:
    """Else the first of two files would silently give its modules to the second. What holds nothing is shared."""
    shared: dict[Reset, set[str]] = {}
    for reset in Reset:
        words = ["--design", "uniform", "--lanes", "1", "--array", "2x2", "--requant-bits", "2", "--reset", reset.value]
        main([*words, "--out", str(tmp_path / reset.value)])
        (verilog,), (manifest,) = ((tmp_path / reset.value).glob(name) for name in ("*.v", "*.json"))
        shared[reset] = set(re.findall(r"^`define (\w+)_defined$", verilog.read_text(), re.MULTILINE))
        named = set(re.findall(r'"module": "(siliquant_\w+)"', manifest.read_text()))
        assert named == shared[reset] - {FULL_ADDER_NAME, MEMORY_NAME}
        assert len(named) == 3
        assert max(map(len, named)) <= MOST_NAME
    for one, other in combinations(Reset, 2):
        assert shared[one] & shared[other] == {FULL_ADDER_NAME, MEMORY_NAME}


@pytest.mark.parametrize("spec", [*ARRAYS, *UNITS], ids=lambda spec: spec.name)
def test_names_are_plain_and_short(spec: Generated) -> None:
    text = to_verilog([spec])
    assert "$" not in text
    assert "__" not in text
    assert max(map(len, re.findall(r"(?m)^module (\w+)", text))) <= MOST_NAME
    assert max(map(len, declared(text))) <= MOST_NAME
    assert max(map(len, text.splitlines())) < 200


def test_names_stay_where_something_else_changes() -> None:
    """Longer sums leave all names, more lanes those of the products, a second drain nearly all."""
    small = UniformSpec(lanes=2, weight_bits=3, activation_bits=3)
    wide = UniformSpec(lanes=2, weight_bits=3, activation_bits=3, reduction_length=1 << 16)
    more = UniformSpec(lanes=3, weight_bits=3, activation_bits=3)
    names = {spec: declared(to_verilog([spec])) for spec in (small, wide, more)}
    rows = {name for name in names[small] if "lane" in name}
    assert rows == {f"lane{lane}_row{bit}" for lane in range(2) for bit in range(3)}
    assert names[small] <= names[wide]
    assert rows <= names[more]
    drains = [declared(to_verilog([ArraySpec(mac=TINY, rows=2, columns=2, drains=drains)])) for drains in (1, 2)]
    assert len(drains[0] - drains[1]) < 5, drains[0] - drains[1]


def test_enables_are_conditions_and_headers_say_what_ports_mean() -> None:
    spec = UniformSpec(lanes=2, pipeline_stages=1)
    text = to_verilog([spec])
    assert "always @(posedge clk) if (in_valid) begin\n    weights_q <= weights;" in text
    assert "always @(posedge clk) if (valid_q1) accumulator_q <= " in text
    for port in spec.ports:
        assert re.search(
            rf"(?m)^  (input |output) wire +(\[\d+:0\] )?{port.name},? +// {re.escape(port.packing)}$", text
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("this is no RTLIL\n", "expected a module, not this is no RTLIL"),
        ("module \\m\n  memory width 8 \\x\nend\n", r"cannot read the line: memory width 8 \\x"),
        ("module \\m\n  process $1\n    sync always\n  end\nend\n", "cannot read the line: sync always"),
    ],
)
def test_rtlil_of_another_kind_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(parse(text))


def test_an_operator_that_has_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from amaranth.back import rtlil

    from rtl.verilog.convert import GenerationError

    convert = rtlil.convert
    changed = lambda *given, **named: convert(*given, **named).replace("cell $and", "cell $pow")  # noqa: E731
    monkeypatch.setattr(rtlil, "convert", changed)
    with pytest.raises(GenerationError, match=r"^uniform_w4_a4_l1: cannot write an operator of the kind \$pow$"):
        to_verilog([UniformSpec(lanes=1)])
