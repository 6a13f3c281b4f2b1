"""The module that takes a generated grid's place: every wrong wire of the grid is found, and nothing else changes."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from rtl.array.element import GridSpec
from rtl.verilog.convert import to_verilog
from sim.harness.sliced import NetlistError, _source, check_connections, sliced_grid, with_sliced_grid
from sim.simulators import read_netlists
from sim.simulators.toolchain import ToolError
from tests.sim.grids import SMALL, grid_of


@pytest.fixture(scope="module", params=[False, True], ids=["broadcast", "systolic"])
def connected(request: pytest.FixtureRequest) -> tuple[GridSpec, dict[str, Any]]:
    """A grid and its netlist."""
    grid = grid_of(SMALL, request.param, 2, 2)
    netlist: dict[str, Any] = read_netlists(to_verilog([grid]), [grid.name])[grid.name]
    return grid, netlist


def test_every_wrong_wire_is_found(connected: tuple[GridSpec, dict[str, Any]]) -> None:
    """Each bit of each input of each element, and of the output, taken from each other wire of the grid."""
    grid, netlist = connected
    check_connections(netlist, grid)
    inputs = {"clk", "rst", *(port.name for port in grid.element.ports if port.is_input)}
    targets = [
        cell["connections"][name]
        for cell in netlist["cells"].values()
        for name in cell["connections"]
        if name in inputs
    ]
    targets.append(netlist["ports"]["drain"]["bits"])
    wires = {bit for port in netlist["ports"].values() for bit in port["bits"]}
    wires |= {bit for cell in netlist["cells"].values() for bits in cell["connections"].values() for bit in bits}
    tried = 0
    for bits in targets:
        for place, right in enumerate(bits):
            for wrong in {*wires, "1", "x"} - {right}:
                bits[place] = wrong
                with pytest.raises(NetlistError, match=r"\] of \w+ must come from "):
                    check_connections(netlist, grid)
                tried += 1
            bits[place] = right
    check_connections(netlist, grid)
    assert tried > 3000


SHAPES = [(1, 1), (2, 1), (5, 7), (4, 8), (3, 16), (16, 16), (2, 32), (3, 33), (40, 1)]
GRIDS = [grid_of(SMALL, systolic, *shape) for systolic in (False, True) for shape in SHAPES]


@pytest.fixture(scope="module")
def netlists() -> dict[str, Any]:
    """Those of all GRIDS as they are sliced, and of their elements."""
    elements = {grid.element.name: grid.element for grid in GRIDS}
    found: dict[str, Any] = read_netlists("\n".join(to_verilog([each]) for each in elements.values()), list(elements))
    sliced = "\n".join(sliced_grid(found[grid.element.name], grid) for grid in GRIDS)
    return found | read_netlists(sliced, [grid.name for grid in GRIDS])


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_what_enters_an_element_is_what_enters_it_in_the_grid(grid: GridSpec, netlists: dict[str, Any]) -> None:
    """Every bit of every input of every element, in grids of part of a word and of several."""
    element, size = netlists[grid.element.name], grid.rows * grid.columns
    wires = {name: net["bits"] for name, net in netlists[grid.name]["netnames"].items()}

    def driver(name: str, place: int, row: int, column: int) -> object:
        """The wire that the generated grid has there: see test_every_wrong_wire_is_found."""
        source = _source(grid, name, place, row, column)
        if source == "0":
            return "0"
        assert isinstance(source, tuple)
        if len(source) == 2:
            return wires[source[0]][source[1]]
        label, port, bit = source
        _, above, left = label.split("_")
        return wires[f"n{element['ports'][port]['bits'][bit]}"][int(above) * grid.columns + int(left)]

    seen = 0
    for name, port in element["ports"].items():
        if port["direction"] != "input" or name == "clk":
            continue
        for place, bit in enumerate(port["bits"]):
            wanted = [driver(name, place, *divmod(each, grid.columns)) for each in range(size)]
            assert wires[f"n{bit}"] == wanted, (name, place)
            seen += size
    assert seen == size * (1 + sum(port.width for port in grid.element.ports if port.is_input))  # and the reset


def edited(connected: tuple[GridSpec, dict[str, Any]], edit: Callable[[dict[str, Any]], object]) -> str:
    """What is said of the netlist after ``edit``; the name of the grid is G in it and that of its element is E."""
    grid, netlist = connected
    wrong = copy.deepcopy(netlist)
    edit(wrong)
    with pytest.raises(NetlistError) as caught:
        check_connections(wrong, grid)
    return str(caught.value).replace(grid.name, "G").replace(grid.element.name, "E")


def test_what_is_said_of_wrong_connections(connected: tuple[GridSpec, dict[str, Any]]) -> None:
    grid, _ = connected
    systolic = grid.element.systolic

    def pins(netlist: dict[str, Any], row: int, column: int) -> dict[str, list[int | str]]:
        return netlist["cells"][f"element_{row}_{column}"]["connections"]

    def swap_drains(netlist: dict[str, Any]) -> None:
        left, right = pins(netlist, 1, 0), pins(netlist, 1, 1)
        left["drain_in"], right["drain_in"] = right["drain_in"], left["drain_in"]

    assert edited(connected, swap_drains) == (
        "drain_in[0] of element_1_0 must come from ('element_0_0', 'drain_out', 0), not ('element_0_1', 'drain_out', 0)"
    )

    def swap_lanes(netlist: dict[str, Any]) -> None:
        pins(netlist, 0, 1)["weights"].reverse()

    assert edited(connected, swap_lanes) == (
        "weights[0] of element_0_1 must come from ('weights', 2), not ('weights', 3)"
    )

    def swap_clock(netlist: dict[str, Any]) -> None:
        pins(netlist, 0, 0)["clk"] = pins(netlist, 0, 0)["rst"]

    assert edited(connected, swap_clock) == "clk[0] of element_0_0 must come from ('clk', 0), not ('rst', 0)"

    def ground(netlist: dict[str, Any]) -> None:
        pins(netlist, 1, 1)["activations"][2] = "0"

    source = ("element_1_0", "activations_out", 2) if systolic else ("activations", 5)
    assert edited(connected, ground) == f"activations[2] of element_1_1 must come from {source}, not 0"
    assert edited(connected, lambda netlist: pins(netlist, 1, 0)["activations"].pop()) == (
        "activations[2] of element_1_0 must come from ('activations', 5), not None"
    )
    assert edited(connected, lambda netlist: pins(netlist, 0, 0).pop("clear")) == (
        "clear[0] of element_0_0 must come from ('clear', 0), not None"
    )
    top = grid.element.mac.accumulator_width
    assert edited(connected, lambda netlist: netlist["ports"]["drain"]["bits"].reverse()) == (
        f"drain[0] of G must come from ('element_1_0', 'drain_out', 0), not ('element_1_1', 'drain_out', {top - 1})"
    )
    assert edited(connected, lambda netlist: netlist["cells"].pop("element_1_1")) == "G must have 4 elements, not 3"

    def rename(netlist: dict[str, Any]) -> None:
        netlist["cells"]["other"] = netlist["cells"].pop("element_1_1")

    assert edited(connected, rename) == (
        "G must have an element_1_1, not only element_0_0, element_0_1, element_1_0, other"
    )
    assert edited(connected, lambda netlist: netlist["cells"]["element_0_1"].update(type="$_NOT_")) == (
        "element_0_1 of G must be a E, not a $_NOT_"
    )


def test_verilog_with_a_wrong_wire_is_refused() -> None:
    grid = grid_of(SMALL, False, 2, 2)
    verilog = to_verilog([grid])
    start, last = verilog.index(f"module {grid.name} ("), verilog.rindex(".weights(weights[3:2])")
    assert start < last
    with pytest.raises(NetlistError) as caught:
        with_sliced_grid(f"{verilog[:last]}.weights(weights[2:1]){verilog[last + 22 :]}", grid)
    assert str(caught.value) == "weights[0] of element_1_1 must come from ('weights', 2), not ('weights', 1)"


def test_only_the_grid_is_replaced() -> None:
    grid = grid_of(SMALL, True, 2, 2)
    verilog = to_verilog([grid])
    sliced = with_sliced_grid(verilog, grid)
    modules = [re.findall(r"(?ms)^module (\w+).*?^endmodule$", text) for text in (verilog, sliced)]
    assert modules[0] == modules[1]
    assert set(modules[0]) == {grid.element.name, grid.name, "siliquant_full_adder"}
    kept = [re.sub(rf"(?ms)^module {grid.name} ?\(.*?^endmodule$", "", text) for text in (verilog, sliced)]
    assert kept[0] == kept[1]
    assert "element_0_0" not in sliced


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            r"always @\(posedge clk\)",
            "always @(negedge clk)",
            r"\S+ must be a gate, an adder or a register on the rising edge of clk, not a \$_DFF_N_",
        ),
        (
            r"always @\(posedge clk\)",
            "always @(posedge clear)",
            r"\S+ must be a gate, an adder or a register on the rising edge of clk, not a \$_DFF_P_",
        ),
        (r"\} \+ \{", "} * {", r"\S+ must be a gate, an adder or a register on the rising edge of clk, not a \$mul"),
        (r"= (\{[^;]*\}) \+ (\{[^;]*\});", r"= $signed(\1) + $signed(\2);", r"\S+ must add unsigned words"),
    ],
)
def test_an_element_that_cannot_be_sliced(old: str, new: str, text: str) -> None:
    grid = grid_of(SMALL, False, 2, 2)
    changed, count = re.subn(old, new, to_verilog([grid]), count=1)
    assert count == 1
    with pytest.raises(NetlistError) as caught:
        with_sliced_grid(changed, grid)
    assert re.fullmatch(text, str(caught.value))


def test_what_yosys_says_of_broken_verilog() -> None:
    with pytest.raises(ToolError, match=r"(?s)^Yosys could not read the Verilog: .*syntax error"):
        read_netlists("module broken(input a; endmodule", ["broken"])
