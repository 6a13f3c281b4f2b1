"""Counts of parts: against the generated component, and against formulas and profiles found by hand."""

import re
from collections import Counter
from functools import cache
from itertools import product

import pytest
from amaranth.back import rtlil

from hwmodel.measurement.sweep import sweep_designs
from hwmodel.model.structure import FLIP_FLOPS, Part, Share, datapath_of, full_adders_by_column, structure_of
from rtl.logic.circuit import Circuit, Op, Word
from rtl.logic.datapath import Datapath
from rtl.logic.pipeline import schedule
from rtl.mac import (
    DESIGNS,
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec.mac import MacSpec
from tests.hwmodel.model.slowcounts import nodes_of, shares_of

CELL = re.compile(r"^  cell (\S+) \S+\n(.*?)^  end$", re.MULTILINE | re.DOTALL)
CONNECT = re.compile(r"connect \\(\w+) (.*)")
PROCESS = re.compile(
    r"^  process \S+\n.*?switch \\(\w+) \[0\]\n.*?^ +assign \S+ \[(\d+):?(\d*)\].*?^  end$", re.M | re.S
)
LOGIC = ("$and", "$or", "$xor", "$mux", "$not")

SPECS = [
    design(**{design.size_parameter: 1}, pipeline_stages=stages)
    for design, stages in product(DESIGNS, (0, 1))
    if not isinstance(design(), BitBladeSpec | BitFusionSpec) or not stages
]
SPECS += [design(**{design.size_parameter: 5}) for design in (UniformSpec, BitSerialSpec, LoomSpec, XnorSpec)]
SPECS += [design(widths=(8, 4), units=2) for design in DESIGNS if "widths" in design.parameter_help()]
SPECS += [design(widths=(8, 4), units=1, pipeline_stages=2) for design in (BitFusionSpec, BitBladeSpec, SubwordSpec)]
SPECS += [PaddedSpec(gating=True, units=1, pipeline_stages=stages) for stages in (0, 2)]
SPECS += [
    UniformSpec(weight_bits=w, activation_bits=a, lanes=lanes, reduction_length=length)
    for w, a, lanes, length in ((1, 1, 1, 2), (1, 8, 3, 64), (8, 1, 2, 64), (3, 5, 7, 4096), (8, 8, 2, 1 << 24))
]


class Component:
    """The cells of a generated component, equal ones counted once: Amaranth may spell an expression out twice."""

    def __init__(self, spec: MacSpec) -> None:
        self.text = rtlil.convert(spec.create(numbered=True), name="top", emit_src=False)
        self.cells: Counter[str] = Counter()
        self.flip_flops: dict[str, int] = {}
        driver: dict[str, tuple[str, ...]] = {}
        for kind, body in CELL.findall(self.text):
            ports = {name: one_bit(net) for name, net in CONNECT.findall(body)}
            if kind == "$dff":
                self.flip_flops[ports["Q"]] = int(re.search(r"WIDTH (\d+)", body)[1])
            elif kind in LOGIC:
                driver[ports["Y"]] = (kind, *(ports[pin] for pin in "ABS" if pin in ports))
            else:
                self.cells[kind] += 1

        @cache
        def computed(net: str) -> int:
            """A number that is the same for nets that compute the same."""
            return hash((driver[net][0], *map(computed, driver[net][1:])) if net in driver else net)

        self.cells += Counter(kind for kind, _ in {(cell[0], computed(net)) for net, cell in driver.items()})

    def wires(self, name: str) -> int:
        """Bits of all wires whose name matches."""
        return sum(int(width) for width in re.findall(rf"wire width (\d+) \\{name}$", self.text, re.MULTILINE))

    def held(self) -> Counter[str]:
        """Bits that keep their value where a signal other than the reset is 0, by that signal."""
        found: Counter[str] = Counter()
        for switch, high, low in PROCESS.findall(self.text):
            found[switch] += int(high) - int(low or high) + 1
        del found["rst"]
        return found


def one_bit(net: str) -> str:
    """A net in one spelling: bit 0 of a wire may be written as the wire."""
    return net.strip() if net.endswith("]") or "{" in net else f"{net.strip()} [0]"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_counts_are_those_of_the_component(spec: MacSpec) -> None:
    counts, component = structure_of(spec).counts, Component(spec)
    cells, registers = component.cells, component.flip_flops
    assert counts[Part.HALF_ADDERS] == 0, "the component spells these as two gates"
    assert counts[Part.FULL_ADDERS] == cells["\\siliquant_full_adder"]
    assert counts[Part.AND_TERMS] == cells["$and"]
    assert counts[Part.OR_GATES] == cells["$or"]
    assert counts[Part.XOR_GATES] == cells["$xor"]
    assert counts[Part.MULTIPLEXERS] == cells["$mux"]
    assert counts[Part.CARRY_BITS] == component.wires(r"add\d+")
    held = component.held()
    assert counts[Part.HOLDS] == held[f"valid_q{spec.pipeline_stages}"]
    assert held["in_valid"] == counts[Part.OPERAND_REGISTERS]
    assert sum(held.values()) + counts[Part.CONTROL_REGISTERS] == sum(registers.values())
    gates = sum(-(-number // 24) for number in held.values() if number >= 4)
    assert counts[Part.CLOCK_GATES] == pytest.approx(gates)
    assert sum(counts[part] for part in FLIP_FLOPS) == sum(registers.values())
    assert counts[Part.PIPELINE_REGISTERS] == component.wires(r"pipeline\d+_q")
    assert counts[Part.CONTROL_REGISTERS] == component.wires(r"valid_q\d+")
    assert counts[Part.ACCUMULATOR_REGISTERS] == component.wires("accumulator_q")
    ports = ["clear", *(port.name for port in spec.operand_ports)]
    assert counts[Part.OPERAND_REGISTERS] == sum(registers[f"\\{name}_q [0]"] for name in ports)


@pytest.mark.parametrize(("w", "a", "lanes"), [(2, 2, 1), (4, 4, 16), (8, 8, 4), (1, 4, 3), (7, 3, 5)])
@pytest.mark.parametrize("stages", [0, 1])
def test_a_uniform_mac_in_closed_form(w: int, a: int, lanes: int, stages: int) -> None:
    spec = UniformSpec(weight_bits=w, activation_bits=a, lanes=lanes, pipeline_stages=stages)
    counts = structure_of(spec).counts
    assert counts[Part.AND_TERMS] == lanes * w * a
    assert counts[Part.OPERAND_REGISTERS] == lanes * (w + a) + 2  # activation_signed and clear
    assert counts[Part.ACCUMULATOR_REGISTERS] == counts[Part.HOLDS] == spec.accumulator_width
    assert counts[Part.CONTROL_REGISTERS] == 2 + stages
    assert (counts[Part.PIPELINE_REGISTERS] > 0) is (stages > 0)
    assert counts[Part.MULTIPLEXERS] == 0


def test_parts_that_grow_with_the_lanes() -> None:
    """Every lane more adds as many terms, and nearly as many full adders, as the one before."""
    found = [structure_of(UniformSpec(lanes=lanes)).counts for lanes in (16, 32, 64)]
    for part in (Part.AND_TERMS, Part.OPERAND_REGISTERS):
        assert found[2][part] - found[1][part] == 2 * (found[1][part] - found[0][part])
    steps = [
        found[1][Part.FULL_ADDERS] - found[0][Part.FULL_ADDERS],
        found[2][Part.FULL_ADDERS] - found[1][Part.FULL_ADDERS],
    ]
    assert steps[1] == pytest.approx(2 * steps[0], rel=0.05)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_full_adder_has_a_column(spec: MacSpec) -> None:
    columns = full_adders_by_column(datapath_of(spec))
    assert sum(columns) == structure_of(spec).counts[Part.FULL_ADDERS]
    assert len(columns) < spec.accumulator_width  # the top column needs no carry
    assert not columns or columns[-1] > 0


def plan_of(circuit: Circuit, total: Word, output: Word = ()) -> Datapath:
    return Datapath(circuit, total, output, schedule(circuit, 0, total, output))


def test_columns_of_a_tree_by_hand() -> None:
    """Three words of two bits beside a third bit of weight 2: one adder of weight 0, then two of weight 1."""
    circuit = Circuit()
    a, b, c = (circuit.input(name, 2) for name in "abc")
    (d,) = circuit.input("d", 1)
    low, carry = circuit.full_adder(a[0], b[0], c[0])
    middle, first = circuit.full_adder(a[1], b[1], c[1])
    middle, second = circuit.full_adder(middle, carry, d)
    high = circuit.xor(first, second)
    assert full_adders_by_column(plan_of(circuit, (low, middle, high))) == (1, 2)


def test_columns_behind_a_shifter_count_at_the_highest() -> None:
    """A sum that is shifted left by 0 or 2 and then inverted; what only the port needs has no column."""
    circuit = Circuit()
    a, b, c = (circuit.input(name, 1) for name in "abc")
    s = circuit.input("s", 1)
    word = circuit.shift_left(circuit.full_adder(a[0], b[0], c[0]), s[0], 2)
    beside, _ = circuit.full_adder(a[0], b[0], s[0])
    assert full_adders_by_column(plan_of(circuit, tuple(circuit.not_(bit) for bit in word), (beside,))) == (0, 0, 1)


def test_columns_through_a_carry_propagate_adder() -> None:
    """Of two full adders that a word adder takes at weight 1 one gives its sum there, the other its carry."""
    circuit = Circuit()
    a, b, c, d = (circuit.input(name, 2) for name in "abcd")
    total, _ = circuit.full_adder(a[0], b[0], c[0])
    _, carry = circuit.full_adder(a[1], b[1], d[1])
    word = circuit.add((d[0], total), (c[1], carry))
    assert full_adders_by_column(plan_of(circuit, word)) == (1, 1)


def test_columns_of_a_population_count_by_hand() -> None:
    """Seven lanes give seven bits of weight 1 and seven of weight 2, the latter inverted; so is the odd padding.

    The inversions add 7 x 2 + 1 = 15, which comes off again: one more of weight 1, modulo 16.
    Weight 1: 7 bits, padding, accumulator and that one, of which three go without a full adder: 3 more leave two.
    Weight 2: 7 bits, accumulator and 4 carries: 5.  Weight 4: accumulator and 5 carries: 2.  Weight 8 has no carry.
    """
    assert full_adders_by_column(datapath_of(XnorSpec(lanes=7, reduction_length=7))) == (3, 5, 2)


@pytest.mark.parametrize("spec", SPECS[::3], ids=lambda spec: spec.name)
def test_nodes_are_the_gates_with_adders_spelt_out(spec: MacSpec) -> None:
    plan = datapath_of(spec)
    nodes, counts = nodes_of(plan), structure_of(spec).counts
    found = Counter(node.part for node in nodes if node.part is not None)
    assert found == {part: counts[part] for part in found}
    assert sum(found.values()) + sum(node.op is Op.NOT for node in nodes) == len(nodes)
    made: set[int] = {0, 1, *(bit for word in plan.circuit.inputs.values() for bit in word)}
    for node in nodes:
        assert made.issuperset(node.inputs), "every input is made before it is read"
        assert not made.intersection(node.outputs), "every bit is made once"
        made.update(node.outputs)
        assert node.stage == plan.schedule.stage[node.outputs[0]]
    assert made.issuperset((*plan.next_accumulator, *plan.output))


def test_every_design_of_the_sweep_is_counted() -> None:
    for design in sweep_designs()[::14]:
        found = structure_of(design.spec)
        assert set(found.counts) == set(Part)
        assert sum(full_adders_by_column(datapath_of(design.spec))) == found.counts[Part.FULL_ADDERS]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_bit_is_shared_by_the_elements_that_have_all_it_depends_on(spec: MacSpec) -> None:
    plan = datapath_of(spec)
    ports = {bit: {name} for name, bits in plan.circuit.inputs.items() for bit in bits}
    for gate in plan.schedule.gates:
        found = set().union(*(ports.get(bit, set()) for bit in gate.inputs))
        ports.update(dict.fromkeys(gate.outputs, found))
    shares = shares_of(plan)
    for bit, names in ports.items():
        its_own, weights, activations = (
            bool(names & {"accumulator", "result"}),
            "weights" in names,
            "activations" in names,
        )
        if its_own or (weights and activations):
            expected = Share.ELEMENT
        else:
            expected = Share.COLUMN if weights else Share.ROW if activations else Share.ARRAY
        assert shares[bit] is expected
