"""Requantisation units: golden models, fitted parameters, gates, Verilog, and proofs of small instances."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.requant import MultiplierSpec, PartialSumSpec, RequantSpec, ThresholdSpec
from rtl.requant.fit import find_thresholds, fit_multiplier
from rtl.requant.slopes import count_differing, feasible_slopes
from rtl.requant.spec import LoadableSpec
from rtl.verilog.convert import to_verilog
from tests.exhaustive.units import check_accumulators

RNG = np.random.default_rng(5)


def reference(x: np.ndarray, scale: float, offset: float, bits: int, signed: bool) -> np.ndarray:
    """Codes as a layer computes them in float64: scale, offset, round half to even, clamp."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return np.clip(np.rint(x * scale + offset), low, high).astype(np.int64)


def naive_thresholds(codes: np.ndarray, low: int, bits: int, lowest: int) -> list[int]:
    """By looking at every code, codes[k] being that of accumulator low + k."""
    return [low + int((codes - lowest < i).sum()) for i in range(1, 2**bits)]


def line(scale: float, offset: float, bits: int, signed: bool) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: reference(x, scale, offset, bits, signed)


def steps_of(spec: RequantSpec, parameters: Sequence[int]) -> tuple[int, ...]:
    """By looking at every code."""
    low, high = spec.accumulator_range
    codes = spec.compute(np.arange(low, high + 1), parameters)
    return tuple(int(low + 1 + place) for place in np.flatnonzero(np.diff(codes)))


@given(st.data())
def test_steps_are_where_the_code_changes(data: st.DataObject) -> None:
    width, bits, signed = data.draw(st.integers(2, 9)), data.draw(st.integers(1, 4)), data.draw(st.booleans())
    kinds: tuple[RequantSpec, ...] = (
        ThresholdSpec(accumulator_width=width, bits=bits, signed=signed),
        MultiplierSpec(accumulator_width=width, bits=bits, signed=signed, multiplier_width=5, offset_width=8, shift=2),
        MultiplierSpec(accumulator_width=width, bits=bits, multiplier_width=3, offset_width=9, shift=0, shift_bits=3),
    )
    for spec in kinds:
        numbers = [data.draw(st.integers(item.low, item.high)) for item in spec.parameter_fields]
        parameters = sorted(numbers) if isinstance(spec, ThresholdSpec) else numbers
        found = spec.steps(parameters)
        changes = steps_of(spec, parameters)
        assert found == changes
    assert PartialSumSpec(accumulator_width=width).steps([1]) == ()


SCALES = [0.0371, 0.25, 0.5, 1.0, 0.125, 0.0009, 3.7]


@pytest.mark.parametrize(("bits", "signed", "scale"), list(product((2, 3, 4), (True, False), SCALES)))
@pytest.mark.parametrize("offset", [0.0, 0.5, -1.25, 3.3, 1e4, -1e4])
def test_thresholds_equal_the_float_reference_on_the_whole_range(
    bits: int, signed: bool, scale: float, offset: float
) -> None:
    spec = ThresholdSpec(accumulator_width=10, bits=bits, signed=signed)
    low, high = spec.accumulator_range
    x = np.arange(low, high + 1)
    wanted = reference(x, scale, offset, bits, signed)
    found = find_thresholds(line(scale, offset, bits, signed), [low], [high], bits, signed)
    assert found.tolist() == [naive_thresholds(wanted, low, bits, spec.code_range[0])]
    np.testing.assert_array_equal(spec.compute(x, found[0]), wanted)
    fitted = fit_multiplier(found, [low], [high], multiplier_width=12)
    unit = MultiplierSpec(
        accumulator_width=10, bits=bits, signed=signed, multiplier_width=12, offset_width=40,
        shift=int(fitted.shifts[0]),
    )  # fmt: skip
    got = unit.compute(x, fitted.parameters()[0])
    assert int((got != wanted).sum()) == int(fitted.differing[0])
    above, below = feasible_slopes(found, [low], [high])[0]
    if below is None or above < below:
        exact = fit_multiplier(found, [low], [high])
        assert exact.differing.tolist() == [0]
        exact_unit = MultiplierSpec(
            accumulator_width=10, bits=bits, signed=signed, multiplier_width=exact.multiplier_width,
            offset_width=exact.offset_width, shift=int(exact.shifts[0]),
        )  # fmt: skip
        np.testing.assert_array_equal(exact_unit.compute(x, exact.parameters()[0]), wanted)
    else:
        assert float(scale).as_integer_ratio()[1] <= 8, "only ties lie on no line"


def test_ties_that_round_half_to_even_makes_lie_on_no_line() -> None:
    found = find_thresholds(line(0.5, 0.0, 3, False), [0], [20], 3, False)
    assert found.tolist() == [[2, 3, 6, 7, 10, 11, 14]]
    message = "the thresholds of channel 0 must lie on a line, but no multiplier gives them all"
    with pytest.raises(ValueError, match=f"^{message}$"):
        fit_multiplier(found, [0], [20])
    best = fit_multiplier(found, [0], [20], multiplier_width=8)
    # Half up in place of half to even: 1, 5, 9 and 13 differ.
    assert (best.differing.tolist(), best.share_differing) == ([3], Fraction(1, 7))


@st.composite
def monotone(draw: st.DrawFn) -> tuple[list[int], int, int]:
    low = draw(st.integers(-60, 20))
    high = low + draw(st.integers(0, 60))
    levels = 2 ** draw(st.integers(1, 3)) - 1
    return sorted(draw(st.lists(st.integers(low, high + 1), min_size=levels, max_size=levels))), low, high


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[int], int, int]:
    low = draw(st.integers(-60, 20))
    high = low + draw(st.integers(0, 60))
    m, s = draw(st.integers(0, 200)), draw(st.integers(0, 9))
    b = draw(st.integers(-(200 << s), 200 << s))
    levels = 2 ** draw(st.integers(1, 3)) - 1
    ranks = np.clip((m * np.arange(low, high + 1) + b) >> s, 0, levels)
    return [low + int((ranks < i).sum()) for i in range(1, levels + 1)], low, high


def by_hand(m: int, b: int, s: int, x: np.ndarray, levels: int) -> np.ndarray:
    return np.clip((m * x + b) >> s, 0, levels)


@given(st.one_of(monotone(), lines()))
@settings(max_examples=80, deadline=None)
def test_no_narrower_multiplier_is_exact(case: tuple[list[int], int, int]) -> None:
    """Against a search over every multiplier, shift and useful offset."""
    thresholds, low, high = case
    x, levels = np.arange(low, high + 1), len(thresholds)
    wanted = (np.array(thresholds)[:, None] <= x).sum(0)
    try:
        fitted = fit_multiplier([thresholds], [low], [high])
    except ValueError:
        width, smallest = 5, 32
    else:
        m, b, s = int(fitted.multipliers[0]), int(fitted.offsets[0]), int(fitted.shifts[0])
        np.testing.assert_array_equal(by_hand(m, b, s, x, levels), wanted)
        width, smallest = m.bit_length(), m
    for s in range(9):
        for m in range(min(smallest, 1 << width)):
            # The least offset that serves makes some step just reached, or lets all be missed.
            b = np.array([(i << s) - m * int(t) for i, t in enumerate(thresholds, 1) if t <= high] + [-(1 << 40)])
            assert not (by_hand(m, b[:, None], s, x, levels) == wanted).all(1).any(), (m, s)


@given(st.one_of(monotone(), lines()), st.integers(1, 6), st.booleans())
@settings(max_examples=100, deadline=None)
def test_share_differing_is_that_of_enumeration(case: tuple[list[int], int, int], width: int, same_shift: bool) -> None:
    thresholds, low, high = case
    x, levels = np.arange(low, high + 1), len(thresholds)
    wanted = (np.array(thresholds)[:, None] <= x).sum(0)
    fitted = fit_multiplier([thresholds, thresholds], [low, low], [high, high], multiplier_width=width,
                            same_shift=same_shift)  # fmt: skip
    assert fitted.multiplier_width <= width
    got = by_hand(int(fitted.multipliers[1]), int(fitted.offsets[1]), int(fitted.shifts[1]), x, levels)
    assert fitted.differing.tolist() == [int((got != wanted).sum())] * 2
    assert fitted.reachable.tolist() == [len(x)] * 2


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_narrow_multiplier_is_as_good_as_a_search_finds(bits: int) -> None:
    """Every multiplier, shift and offset of 3 bits, on lines that need more: nearly, as not all of them are candidates.

    The same lines whatever ran before: on few others it is further off.
    """
    rng = np.random.default_rng(99)
    for _ in range(6):
        scale, offset = float(rng.uniform(0.02, 0.4)), float(rng.uniform(-3, 12))
        x = np.arange(-40, 41)
        wanted = reference(x, scale, offset, bits, False)
        found = find_thresholds(line(scale, offset, bits, False), [-40], [40], bits, False)
        best = len(x)
        for m, s in product(range(8), range(8)):
            b = np.arange(-(60 * m) - 1, (2**bits << s) + 60 * m + 1)
            got = by_hand(m, b[:, None], s, x, 2**bits - 1)
            best = min(best, int((got != wanted).sum(1).min()))
        fitted = fit_multiplier(found, [-40], [40], multiplier_width=3)
        assert best <= int(fitted.differing[0]) <= best + 2


def test_channels_share_a_shift_or_have_their_own() -> None:
    scales = np.array([0.3017, 0.013, 0.0024])
    x_low, x_high = np.array([-100, -300, -2000]), np.array([90, 310, 1900])
    found = find_thresholds(lambda x: reference(x, scales, 0.21317, 4, True), x_low, x_high, 4, True)
    shared, own = fit_multiplier(found, x_low, x_high), fit_multiplier(found, x_low, x_high, same_shift=False)
    assert len(set(shared.shifts.tolist())) == 1
    assert own.shifts.max() == shared.shifts.max() > own.shifts.min()
    assert own.multiplier_width < shared.multiplier_width
    for fitted in (shared, own):
        assert fitted.differing.tolist() == [0, 0, 0]
        least = int(fitted.shifts.min())
        spread = int(fitted.shifts.max()) - least
        spec = MultiplierSpec(
            accumulator_width=12, groups=3, multiplier_width=fitted.multiplier_width,
            offset_width=fitted.offset_width, shift=least, shift_bits=spread.bit_length(),
        )  # fmt: skip
        for channel, (low, high) in enumerate(zip(x_low, x_high, strict=True)):
            x = np.arange(low, high + 1)
            got = spec.compute(x, fitted.parameters(with_shift=spread > 0)[channel])
            np.testing.assert_array_equal(got, reference(x, scales[channel], 0.21317, 4, True))


def test_wide_accumulators_are_exact_too() -> None:
    low, high = -(1 << 20), (1 << 20) - 1
    found = find_thresholds(lambda x: reference(x, 2.0**-16 * 1.1, 0.3, 4, True), [low], [high], 4, True)
    fitted = fit_multiplier(found, [low], [high])
    assert fitted.differing.tolist() == [0]
    m, b, s = (int(column[0]) for column in (fitted.multipliers, fitted.offsets, fitted.shifts))
    for i, t in enumerate(found[0].tolist(), start=1):
        if low < t <= high:
            assert ((m * t + b) >> s) >= i > ((m * (t - 1) + b) >> s)


def test_thresholds_of_one_bit() -> None:
    signed = ThresholdSpec(accumulator_width=5, bits=1)
    x = np.arange(-16, 16)
    found = find_thresholds(lambda x: np.where(x > 3, 1, -1), [-16], [15], 1, True)
    assert found.tolist() == [[4]]
    np.testing.assert_array_equal(signed.compute(x, found[0]), np.where(x > 3, 1, -1))
    assert [signed.unpack(word) for word in (0, 1)] == [-1, 1]
    unsigned = ThresholdSpec(accumulator_width=5, bits=1, signed=False)
    np.testing.assert_array_equal(unsigned.compute(x, found[0]), (x > 3).astype(int))
    assert unsigned.code_range == (0, 1)


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        (lambda x: -np.clip(x, -1, 1), "codes must not decrease with the accumulator, but do in channel 0"),
        (lambda x: np.where(x == -1, 1, np.clip(x, -2, 1)), "codes must not decrease with the accumulator"),
        (lambda x: x, "codes must be from -2 to 1, not -8"),
        (lambda x: np.zeros(3, np.int64), "codes must have the shape of the accumulators (2, 1), not (3,)"),
    ],
)
def test_functions_that_are_no_requantisation_are_refused(codes: Callable, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        find_thresholds(codes, [-8], [8], 2, True)


def test_a_range_must_not_be_empty() -> None:
    with pytest.raises(ValueError, match=r"^low must be at most high, not 5 with high 4$"):
        find_thresholds(lambda x: x, [0, 5], [3, 4], 2, True)
    with pytest.raises(ValueError, match=r"^thresholds must be in ascending order$"):
        count_differing([3, 2], [2, 3], 0, 9)
    with pytest.raises(TypeError, match=r"^low must be integers, not of float64$"):
        find_thresholds(lambda x: x, [0.5], [3], 2, True)
    with pytest.raises(ValueError, match=r"^codes must be -1 or 1, not 0$"):
        find_thresholds(lambda x: 0 * x, [0], [3], 1, True)


# The hardware.

UNITS: list[RequantSpec] = [
    ThresholdSpec(accumulator_width=6, bits=3),
    ThresholdSpec(accumulator_width=6, bits=2, signed=False, groups=3, pipeline_stages=1),
    ThresholdSpec(accumulator_width=5, bits=1, groups=2),
    ThresholdSpec(accumulator_width=7, bits=4, groups=1, pipeline_stages=2),
    MultiplierSpec(accumulator_width=6, bits=3, multiplier_width=4, offset_width=9, shift=5),
    MultiplierSpec(accumulator_width=6, bits=2, signed=False, groups=3, multiplier_width=3, offset_width=7, shift=2,
                   shift_bits=2, pipeline_stages=1),
    MultiplierSpec(accumulator_width=5, bits=1, groups=2, multiplier_width=3, offset_width=6, shift=3),
    MultiplierSpec(accumulator_width=4, bits=8, multiplier_width=1, offset_width=3, shift=0, pipeline_stages=2),
    MultiplierSpec(accumulator_width=4, bits=3, multiplier_width=2, offset_width=3, shift=30, shift_bits=5),
]  # fmt: skip


def random_parameters(spec: RequantSpec, sets: int) -> np.ndarray:
    fields = spec.parameter_fields
    low, high = np.array([field.low for field in fields]), np.array([field.high for field in fields])
    drawn = RNG.integers(low, high, size=(sets, len(fields)), endpoint=True)
    if isinstance(spec, ThresholdSpec):
        drawn[0], drawn[-1] = low[0], high[0]  # always and never
        drawn.sort(axis=1)
    else:
        drawn[0], drawn[-1] = low, high
    return drawn


@pytest.mark.parametrize("spec", UNITS, ids=lambda spec: spec.name)
def test_gates_equal_the_golden_model(spec: RequantSpec) -> None:
    """Both against the rule: every accumulator with many parameter sets in every group, without registers."""
    assert check_accumulators(spec) == spec.groups * 40 << spec.accumulator_width


def run_verilog(spec: LoadableSpec, words: dict[str, list[int]], folder: Path) -> dict[str, list[str]]:
    """Outputs by port and cycle, as binary text, of the generated Verilog in Icarus."""
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog (iverilog) is not installed")
    ports = [("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
    outputs = [port for port in spec.ports if not port.is_input]
    cycles, total = len(words["rst"]), sum(width for _, width in ports)
    stimulus = []
    for cycle in range(cycles):
        stimulus.append("".join(format(words[name][cycle], f"0{width}b") for name, width in ports))
    (folder / "words.txt").write_text("\n".join(stimulus) + "\n")
    (folder / "unit.v").write_text(to_verilog([spec]))
    (folder / "bench.v").write_text(f"""
module bench;
  reg clk = 0; reg [{total - 1}:0] words [0:{cycles - 1}]; reg [{total - 1}:0] now; integer t;
  {"".join(f"wire [{port.width - 1}:0] {port.name};" for port in outputs)}
  {spec.name} unit(.clk(clk), {
        ", ".join(
            f".{name}(now[{total - 1 - sum(w for _, w in ports[:k])} -: {width}])"
            for k, (name, width) in enumerate(ports)
        )
    }, {", ".join(f".{port.name}({port.name})" for port in outputs)});
  initial begin
    $readmemb("{folder / "words.txt"}", words);
    for (t = 0; t < {cycles}; t = t + 1) begin
      now = words[t]; #5;
      $display("{" ".join("%b" for _ in outputs)}", {", ".join(port.name for port in outputs)});
      clk = 1; #5; clk = 0;
    end
  end
endmodule
""")
    target = folder / "bench.vvp"
    sources = [str(folder / name) for name in ("bench.v", "unit.v")]
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", str(target), *sources], check=True)
    text = subprocess.run(["vvp", str(target)], capture_output=True, text=True, check=True).stdout
    rows = [row.split() for row in text.splitlines()]
    return {port.name: [row[k] for row in rows] for k, port in enumerate(outputs)}


def random_words(spec: LoadableSpec, cycles: int) -> dict[str, list[int]]:
    words = {
        port.name: RNG.integers(0, 1 << min(port.width, 62), size=cycles).tolist()
        for port in spec.ports
        if port.is_input
    }
    for name in ("group", "load_group"):
        words[name] = RNG.integers(0, spec.groups, size=cycles).tolist()
    words["rst"] = [1, 1, *(RNG.random(cycles - 2) < 0.02).astype(int).tolist()]
    words["load_valid"] = (RNG.random(cycles) < 0.3).astype(int).tolist()
    return words


def loads(spec: LoadableSpec, words: dict[str, list[int]], sets: np.ndarray) -> Iterator[np.ndarray]:
    """The parameter sets inside, [groups, fields], for the accumulator of each cycle; loads the first cycles all."""
    held = np.zeros((spec.groups, sets.shape[1]), dtype=np.int64)
    for cycle, load in enumerate(words["load_valid"]):
        chosen = sets[cycle % len(sets)]
        words["load_parameters"][cycle] = spec.pack_parameters(chosen)
        if 2 <= cycle < spec.groups + 2:
            words["rst"][cycle] = 0
            load = words["load_valid"][cycle] = 1
            words["load_group"][cycle] = cycle - 2
        if load and not words["rst"][cycle]:
            held[words["load_group"][cycle]] = chosen
        yield held.copy()


@pytest.mark.parametrize("spec", UNITS, ids=lambda spec: spec.name)
def test_verilog_loads_switches_groups_and_resets(spec: RequantSpec, tmp_path: Path) -> None:
    """Random stalls, loads (beside an accumulator, too), groups and resets, every cycle checked."""
    cycles = 400
    words = random_words(spec, cycles)
    sets = random_parameters(spec, 40)
    low, high = spec.accumulator_range
    x = RNG.integers(low, high, size=cycles, endpoint=True)
    words["accumulator"] = (x & ((1 << spec.accumulator_width) - 1)).tolist()
    held = list(loads(spec, words, sets))
    got = run_verilog(spec, words, tmp_path)
    seen = 0
    for cycle in range(spec.groups + 2, cycles - spec.latency):
        at = cycle + spec.latency
        wanted = words["in_valid"][cycle] and not any(words["rst"][cycle:at])
        assert got["out_valid"][at] == str(int(wanted))
        if wanted:
            code = int(spec.compute(x[cycle], held[cycle][words["group"][cycle]]))
            assert spec.unpack(int(got["code"][at], 2)) == code, cycle
            seen += 1
    assert seen > 100


PARTIAL = [
    PartialSumSpec(accumulator_width=6, groups=3, multiplier_width=4),
    PartialSumSpec(accumulator_width=5, groups=2, multiplier_width=3, pipeline_stages=1),
    PartialSumSpec(accumulator_width=4, groups=1, multiplier_width=2, pipeline_stages=2),
]


@pytest.mark.parametrize("spec", PARTIAL, ids=lambda spec: spec.name)
def test_partial_sums_of_heads(spec: PartialSumSpec, tmp_path: Path) -> None:
    cycles = 400
    words = random_words(spec, cycles)
    words["rst"] = [1, 1, *[0] * (cycles - 2)]
    words["in_valid"][: spec.groups + 4] = [0] * (spec.groups + 4)
    sets = RNG.integers(0, 1 << spec.multiplier_width, size=(40, 1))
    sets[0] = (1 << spec.multiplier_width) - 1
    low, high = spec.accumulator_range
    x = RNG.integers(low, high, size=cycles, endpoint=True)
    x[RNG.random(cycles) < 0.3] = low
    words["accumulator"] = (x & ((1 << spec.accumulator_width) - 1)).tolist()
    # Heads follow each other, with stalls between.
    head, order = 0, []
    for cycle in range(cycles):
        words["first"][cycle], words["last"][cycle] = int(head == 0), int(head == spec.groups - 1)
        words["group"][cycle] = head
        if words["in_valid"][cycle]:
            order.append(cycle)
            head = (head + 1) % spec.groups
    held = list(loads(spec, words, sets))
    got = run_verilog(spec, words, tmp_path)
    sums = 0
    for start in range(0, len(order) - spec.groups - 1, spec.groups):
        heads = order[start : start + spec.groups]
        at = heads[-1] + spec.latency
        if at >= cycles:
            break
        multipliers = np.array([held[cycle][words["group"][cycle]] for cycle in heads])
        total = int(spec.compute(x[heads], multipliers))
        assert got["out_valid"][at] == "1"
        word = int(got["total"][at], 2)
        assert word - (word >> (spec.total_width - 1) << spec.total_width) == total
        sums += 1
    assert sums > 40
    lasts = sum(words["in_valid"][cycle] & words["last"][cycle] for cycle in range(cycles - spec.latency))
    assert got["out_valid"][spec.latency + 2 :].count("1") == lasts


def test_partial_sums_keep_to_their_error_bound() -> None:
    spec = PartialSumSpec(accumulator_width=12, groups=3, multiplier_width=8)
    for _ in range(50):
        scales = RNG.uniform(0.001, 0.2, size=3)
        unit = scales.max() / 255
        multipliers = np.rint(scales / unit).astype(np.int64)
        x = RNG.integers(*spec.accumulator_range, size=(40, 3), endpoint=True)
        error = np.abs(unit * spec.compute(x, multipliers[:, None]) - (x * scales).sum(1))
        assert (error <= unit / 2 * np.abs(x).sum(1) * (1 + 1e-12)).all()
        assert unit / 2 == pytest.approx(scales.max() / (2**9 - 2))
    extreme = np.full(3, spec.accumulator_range[0])
    assert spec.compute(extreme, np.full((3, 1), 255)) == spec.total_range[0]


PLAIN_MULTIPLIER = """
module plain(input clk, input rst, input in_valid, input signed [4:0] accumulator, input group, input load_valid,
    input load_group, input [9:0] load_parameters, output out_valid, output [1:0] code);
  reg [1:0] valid; reg signed [4:0] a; reg [9:0] set; reg [1:0] q;
  wire signed [9:0] scaled = a * $signed({1'b0, set[2:0]}) + $signed(set[8:3]);
  wire signed [9:0] rank = scaled >>> (2 + set[9]);
  always @(posedge clk) begin
    valid <= rst ? 0 : {valid, in_valid};
    if (in_valid) a <= accumulator;
    if (valid[0]) q <= rank < 0 ? 0 : rank > 3 ? 3 : rank;
    if (load_valid & ~rst) set <= load_parameters;
  end
  assign out_valid = valid[1];
  assign code = q;
endmodule
"""
YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    design.run_pass(command)
"""


def prove(spec: RequantSpec, plain: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Equal outputs once a set was loaded and used, and by induction for ever, whatever comes."""
    (folder / "unit.v").write_text(to_verilog([spec]))
    (folder / "plain.v").write_text(plain)
    depth = spec.groups + spec.latency
    start = " ".join(f"-set-at {k + 1} in_load_valid 1 -set-at {k + 1} in_load_group {k}" for k in range(spec.groups))
    start += "".join(f" -set-at {k + 1} in_rst 0 -set-at {k + 1} in_in_valid 1" for k in range(depth))
    commands = [
        f"read_verilog {folder / 'unit.v'} {folder / 'plain.v'}",
        "hierarchy -check", "proc", "memory", "flatten", "opt -full",
        f"miter -equiv -flatten -make_outputs plain {spec.name} miter",
        "hierarchy -top miter", "opt -full",
        f"sat -verify -seq {depth} -prove-skip {depth - 1} -prove trigger 0 {start} miter",
        f"sat -verify -tempinduct-inductonly -maxsteps {depth + 1} -prove trigger 0 miter",
    ]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", YOSYS], input="\n".join(commands), capture_output=True, text=True, check=False
    )


def test_a_multiplier_equals_plain_verilog(tmp_path: Path) -> None:
    spec = MultiplierSpec(
        accumulator_width=5, bits=2, signed=False, multiplier_width=3, offset_width=6, shift=2, shift_bits=1
    )
    done = prove(spec, PLAIN_MULTIPLIER, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    done = prove(spec, PLAIN_MULTIPLIER.replace("rank > 3", "rank > 4"), tmp_path)
    assert done.returncode != 0
    assert "proof did fail" in done.stdout + done.stderr


# What a spec is.


@pytest.mark.parametrize(
    ("made", "error", "sentence"),
    [
        (lambda: ThresholdSpec(accumulator_width=1), ValueError,
         "accumulator_width must be an integer from 2 to 48, not 1"),
        (lambda: ThresholdSpec(accumulator_width=49), ValueError,
         "accumulator_width must be an integer from 2 to 48, not 49"),
        (lambda: ThresholdSpec(bits=9), ValueError, "bits must be an integer from 1 to 8, not 9"),
        (lambda: ThresholdSpec(bits=True), TypeError, "bits must be an integer from 1 to 8, not True"),
        (lambda: ThresholdSpec(groups=0), ValueError, "groups must be an integer from 1 to 1024, not 0"),
        (lambda: ThresholdSpec(signed=1), TypeError, "signed must be a bool, not 1"),
        (lambda: ThresholdSpec(pipeline_stages=3), ValueError, "pipeline_stages must be an integer from 0 to 2, not 3"),
        (lambda: MultiplierSpec(multiplier_width=33), ValueError,
         "multiplier_width must be an integer from 1 to 32, not 33"),
        (lambda: MultiplierSpec(shift_bits=6), ValueError, "shift_bits must be an integer from 0 to 5, not 6"),
        (lambda: MultiplierSpec(shift=62), ValueError, "shift must be an integer from 0 to 61, not 62"),
        (lambda: MultiplierSpec(accumulator_width=40, multiplier_width=30), ValueError,
         "accumulator * multiplier + offset must be at most 62 bits wide, not 70"),
        (lambda: PartialSumSpec(accumulator_width=40, multiplier_width=30, groups=4), ValueError,
         "total must be at most 62 bits wide, not 72"),
        (lambda: ThresholdSpec(accumulator_width=4, bits=2).compute([8], [0, 0, 0]), ValueError,
         "accumulators must be from -8 to 7, not 8"),
        (lambda: ThresholdSpec(accumulator_width=4, bits=2).compute([0.5], [0, 0, 0]), TypeError,
         "accumulators must be an array of integers, not of float64"),
        (lambda: ThresholdSpec(accumulator_width=4, bits=2).compute([1], [0, 9, 9]), ValueError,
         "threshold1 must be from -8 to 8, not 9"),
        (lambda: ThresholdSpec(accumulator_width=4, bits=2).compute([1], [0, 2, 1]), ValueError,
         "thresholds of thresholds_n4_g1_b2_s1 must be in ascending order"),
        (lambda: ThresholdSpec(accumulator_width=4, bits=2).compute([1], [0, 2]), ValueError,
         "parameters of thresholds_n4_g1_b2_s1 must have shape (..., 3), not (2,)"),
        (lambda: ThresholdSpec(accumulator_width=4, bits=2).pack_parameters([[0, 1, 2]]), ValueError,
         "parameters to be packed must have shape (3,), not (1, 3)"),
        (lambda: MultiplierSpec(accumulator_width=4, multiplier_width=3, offset_width=4).compute(0, [8, 0]), ValueError,
         "multiplier must be from 0 to 7, not 8"),
        (lambda: PartialSumSpec(accumulator_width=4, groups=2).compute([1, 1, 1], [[1], [1], [1]]), ValueError,
         "accumulators must have shape (..., 2) or fewer heads, not (3,)"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused(made: Callable[[], object], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        made()


@pytest.mark.parametrize("spec", [*UNITS, *PARTIAL], ids=lambda spec: spec.name)
def test_a_spec_is_its_parameters(spec: LoadableSpec) -> None:
    assert type(spec)(**spec.parameters) == spec
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
    names = [port.name for port in spec.ports]
    assert names[0] == "in_valid"
    assert names[names.index("accumulator") :][:6] == [
        "accumulator", "group", "load_valid", "load_group", "load_parameters", "out_valid",
    ]  # fmt: skip
    assert spec.group_width == max(1, (spec.groups - 1).bit_length())
    assert spec.latency == 2 + spec.pipeline_stages


def test_load_word_holds_the_first_field_in_its_lowest_bits() -> None:
    assert ThresholdSpec(accumulator_width=4, bits=2).pack_parameters([-8, 1, 8]) == 0b01000_00001_11000
    spec = MultiplierSpec(accumulator_width=4, multiplier_width=3, offset_width=4, shift=7, shift_bits=2)
    assert spec.pack_parameters([5, -1, 9]) == 0b10_1111_101
    assert spec.parameter_width == 9


def test_import_loads_neither_amaranth_nor_torch() -> None:
    code = "import sys, rtl.requant.fit; print(*sorted({'torch', 'amaranth', 'pyosys'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
