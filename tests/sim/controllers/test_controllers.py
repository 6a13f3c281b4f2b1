"""The controllers of arrays are proved for arrays of every kind, and faults that are planted in them are refused."""

from __future__ import annotations

import re
from functools import cache

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import BitFusionSpec, BitSerialSpec, LoomSpec, UniformSpec
from rtl.requant import ThresholdSpec
from rtl.verilog import to_verilog
from sim.controllers import prove_array, prove_controller, settings
from sim.controllers.terms import Terms
from sim.controllers.transition import read_modules, transition_of
from sim.proofs import ProofError
from sim.simulators import read_source

SMALL = UniformSpec(lanes=1, weight_bits=2, activation_bits=2)
ARRAYS = (
    ArraySpec(mac=SMALL, rows=3, columns=2, drains=2),
    ArraySpec(mac=SMALL, rows=1, columns=1, activation_depth=5, weight_depth=7, result_depth=2),
    ArraySpec(mac=BitSerialSpec(units=2), rows=4, columns=2, architecture=Architecture.SYSTOLIC),
    ArraySpec(mac=BitFusionSpec(units=1), rows=2, columns=2, requant=ThresholdSpec(accumulator_width=32, groups=3)),
    ArraySpec(mac=UniformSpec(lanes=16), rows=16, columns=16, drains=4, weight_depth=1 << 13, result_depth=1 << 16),
)
FAULTED = ArraySpec(
    mac=LoomSpec(units=1, maximum_bits=2), rows=7, columns=1, drains=3, architecture=Architecture.SYSTOLIC
)


@cache
def faultless() -> str:
    return to_verilog([FAULTED])


@pytest.mark.parametrize("spec", ARRAYS, ids=lambda spec: spec.name)
def test_controllers_follow_their_loops(spec: ArraySpec) -> None:
    found = prove_array(spec)
    assert (found.name, found.design, found.claims) == (spec.name, spec.architecture.value, 19)
    assert found.registers > 100


FEED = "operand controller: this does not hold: "
STORE = "drain controller: this does not hold: "
CHECK = "check of settings: this does not hold: "
KEPT, SHOWN = "the registers stay those of the model", "outputs are those of the model"
BEGINS = "a launch begins the loop, whatever was before"
_SAID = {"operand_controller": FEED, "drain_controller": STORE, "settings_check": CHECK}
FAULTS = (
    ("a row too few", r"\{1'b0, row_tiles\} - 17'd1", "{1'b0, row_tiles} - 17'd2", STORE + KEPT),
    ("hold does the contrary", r"running & ~hold", "running & hold", FEED + KEPT),
    ("the highest bit of a counter is stuck", r"(?<=\W)step <= last_step \? 16'd0 : \(step \+ 16'd1\)",
     "step <= last_step ? 16'd0 : ((step + 16'd1) & 16'h7fff)", FEED + KEPT),
    ("bit 4 of the rows is stuck", r"row_tile <= last_row \? 16'd0 : \(row_tile \+ 16'd1\)",
     "row_tile <= last_row ? 16'd0 : ((row_tile + 16'd1) & 16'hffef)", STORE + KEPT),
    ("a column begins with the weights of the first", r"weight_tile <= next_weight", "weight_tile <= weight_base",
     FEED + KEPT),
    ("a tile does not wait", r"since < ", "3'd7 < ", "the Verilog has no register since"),
    ("a tile waits a cycle too little", r"together \? 3'd3 : 3'd7(?=\)\))", "together ? 3'd2 : 3'd6", FEED),
    ("it waits for ever", r"since <= since \+ 3'd1", "since <= since", FEED + KEPT),
    ("a sum is not begun", r"assign clear = ", "assign clear = (row_tile != 16'd3) & ", FEED + SHOWN),
    ("a run has no end", r"if \(last_column\) running <= 1'b0", "if (last_column) running <= 1'b1", FEED + KEPT),
    ("a reset does nothing", r"if \(rst\) running <= 1'b0;", "if (rst) running <= running;",
     FEED + "a reset ends a run, and so does a stop, whatever was before"),
    ("a refusal does not end a run", r"else if \(stop\) running <= 1'b0;", "else if (stop) running <= cycle == 2'd3;",
     FEED + "a reset ends a run, and so does a stop, whatever was before"),
    ("planes that are wrong are in the way of the next run", r"    step <= 16'd0;(?=\n    row_tile <= 16'd0;\n    col)",
     "    step <= (running & (weight_plane == 4'd15) & (activation_plane == 4'd15)) ? step : 16'd0;", FEED + BEGINS),
    ("a tile that was cut is in the way of the next run", r"    place <= 2'd0;",
     "    place <= (place == 2'd3) ? place : 2'd0;", STORE + BEGINS),
    ("control words of the last step are others", r"last_step \? 3'd4", "last_step ? 3'd3", FEED + SHOWN),
    ("a word is left out", r"address \+ \{9'd0, ahead\}", "address + 11'd2", STORE + KEPT),
    ("a drain has a place more", r"end_of_drain = place == 2'd2", "end_of_drain = place == 2'd3", STORE + KEPT),
    ("the last drain is not short", r"place >= 2'd1", "place >= 2'd2", STORE + SHOWN),
    ("a word is complete too early", r"together \| \(whose == 2'd2\)", "together | (whose == 2'd1)", STORE + SHOWN),
    ("a tile is too long", r"together \? 3'd3 : 3'd7;", "together ? 3'd3 : 3'd0;", STORE),
    ("a stop does nothing", r"else if \(stop\) left <= 3'd0;", "else if (stop) left <= left;",
     STORE + "after a reset or a stop no sum is to come, whatever was before"),
    ("the highest bit of a size is lost", r"weight_product = \{4'd0, column_tiles\}",
     "weight_product = {4'd0, column_tiles & 16'h7fff}", CHECK + "a product is then known to be too large for the w"),
    ("a memory has a word more", r"activation_following > 18'd2048", "activation_following > 18'd2049",
     CHECK + "a product is then known to be too large for the activation memory"),
    ("a base is added too early", r"phase_3 \? result_base", "phase_2 ? result_base",
     CHECK + "a product is then known to be too large for the result memory"),
    ("an excess is forgotten", r"result_over <= result_over \| ", "result_over <= ", CHECK + "a product is"),
    ("a table has a cycle more", r"cycles > 8'd4", "cycles > 8'd5", CHECK + "what is wrong is refused with the lowest"),
    ("causes are exchanged", r"\? 4'd6 :", "? 4'd7 :", CHECK + "what is wrong is refused with the lowest cause"),
    ("it answers a cycle early", r"refused = phase_4", "refused = phase_3", CHECK + "nothing is refused but 5 cycles"),
    ("the next address is this one", r"next_address = active \? following", "next_address = active ? address",
     STORE + SHOWN),
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "put", "said"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_planted_faults_are_refused(pattern: str, put: str, said: str) -> None:
    verilog, count = re.subn(pattern, put, faultless(), count=1)
    assert count == 1
    controller = next((name for name, beginning in _SAID.items() if said.startswith(beginning)), "operand_controller")
    with pytest.raises(ProofError, match=re.escape(said)):
        prove_controller(FAULTED, controller, read_source(verilog.encode()))


@pytest.mark.parametrize(
    ("pattern", "put", "said"),
    [
        (r"\bsince\b", "waited", r"^systolic_7x1_\w+ \(line \d+\): the Verilog has no register since$"),
        (r"assign issue = ", "wire issued = ", r"^\w+_operand_controller: nothing drives issue\[0\] \(line \d+\)$"),
        (r"next_weight = weight_step \+", "next_weight = weight_step >>",
         r"^\w+_operand_controller \(line \d+\): an operation is none that a controller has$"),
    ],
    ids=["register", "output", "operation"],
)  # fmt: skip
def test_what_is_missing_is_named(pattern: str, put: str, said: str) -> None:
    verilog, count = re.subn(pattern, put, faultless())
    assert count
    with pytest.raises(Exception, match=said):
        prove_controller(FAULTED, "operand_controller", read_source(verilog.encode()))


def test_a_signal_may_be_of_any_depth() -> None:
    """Two thousand gates, one behind the other."""
    steps = "".join(f"  wire deep_{place + 1} = deep_{place} | deep_{place};\n" for place in range(2000))
    put = rf"  wire deep_0 = \1;\n{steps}  assign clear = deep_2000;"
    verilog, count = re.subn(r"  assign clear = (\(step [^;]*);", put, to_verilog([FAULTED]))
    assert count == 1
    assert prove_controller(FAULTED, "operand_controller", read_source(verilog.encode())) > 0


def test_only_the_phases_of_the_check_are_taken_to_be_over() -> None:
    """Another register, whatever its name, holds anything: here what keeps a second wrong run from being refused."""
    more = "reg phase_done; always @(posedge clk) if (phase_4) phase_done <= 1'b1;"
    verilog, count = re.subn(r"  wire activation_beyond_above", f"  {more}\n  wire activation_beyond_above",
                             faultless(), count=1)  # fmt: skip
    verilog, others = re.subn(r"refused = phase_4", "refused = ~phase_done & phase_4", verilog)
    assert (count, others) == (1, 1)
    with pytest.raises(ProofError, match=re.escape(f"{CHECK}what is wrong is refused with the lowest cause")):
        prove_controller(FAULTED, "settings_check", read_source(verilog.encode()))


def test_words_that_are_too_narrow_are_named() -> None:
    verilog = re.sub(r"reg +\[2:0\] since;", "reg since;", faultless())
    with pytest.raises(ProofError, match=r"a word of 1 bits is too narrow for 7$"):
        prove_controller(FAULTED, "operand_controller", read_source(verilog.encode()))


def test_the_column_that_chooses_a_parameter_set_is_that_of_the_loop() -> None:
    array = ArraySpec(
        mac=LoomSpec(units=1, maximum_bits=2), rows=2, columns=1,
        requant=ThresholdSpec(accumulator_width=32, bits=2, groups=2),
    )  # fmt: skip
    own, other = "assign column = column_tile;", "assign column = column_tile ^ 16'd1;"
    verilog, count = re.subn(own, other, to_verilog([array]))
    assert count == 1
    with pytest.raises(ProofError, match=re.escape(STORE + SHOWN)):
        prove_controller(array, "drain_controller", read_source(verilog.encode()))


@pytest.mark.parametrize("spec", [ARRAYS[0], ARRAYS[-1]], ids=lambda spec: spec.name)
def test_no_product_of_settings_overflows_the_words_of_the_proof(
    spec: ArraySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most of all settings at once, by Python's numbers."""
    widths = {port.name: port.width for port in spec.settings}
    most = {name: (1 << width) - 1 for name, width in widths.items()}
    results = most["result_base"] + most["row_tiles"] * most["column_tiles"] * spec.drain_rows
    weights = most["weight_base"] + most["column_tiles"] * most["weight_planes"] * most["steps"]
    needed = max(results, weights).bit_length()
    assert needed <= settings._WIDE
    modules = read_modules(to_verilog([spec]), spec.name)
    (name,) = (name for name in modules if name.endswith("_settings_check"))
    monkeypatch.setattr(settings, "_WIDE", needed - 1)
    terms = Terms()
    with pytest.raises(AssertionError, match=f"^{needed - 1} bits are too few for {max(results, weights)}$"):
        settings.prove_settings(spec, terms, transition_of(name, modules[name], terms))


def test_products_of_the_largest_array_fit() -> None:
    assert ((1 << 16) - 1) ** 2 * 256 >= 1 << 39  # rows of a drain of 256 rows
    assert 1 << settings._WIDE > ((1 << 16) - 1) + ((1 << 16) - 1) ** 2 * 256
