"""A grid of equal elements as one module in which bit e of every net belongs to element e.

The netlist of one element, as Yosys reads it from the generated Verilog, is written once with nets as wide as the
grid has elements. Every operator is bitwise, so each bit computes what the element computes; a simulator evaluates
them all with the machine's widest words instead of one by one. That the generated grid connects its elements as
this module does is checked connection by connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rtl.array import GridSpec
from rtl.names import FULL_ADDER_NAME
from sim.simulators import ToolError, read_netlists

__all__ = ["NetlistError", "sliced_grid", "with_sliced_grid"]

Bits = Sequence[int | str]


class NetlistError(ToolError):
    """A netlist is not what the generator writes."""


def with_sliced_grid(verilog: str, grid: GridSpec) -> str:
    """The Verilog with the module of the grid replaced by :func:`sliced_grid`; all else is as it was."""
    netlists = read_netlists(verilog, [grid.name, grid.element.name])
    check_connections(netlists[grid.name], grid)
    start = verilog.index(f"\nmodule {grid.name} (") + 1
    end = verilog.index("endmodule", start) + len("endmodule\n")
    return verilog[:start] + sliced_grid(netlists[grid.element.name], grid) + verilog[end:]


def check_connections(netlist: Mapping[str, Any], grid: GridSpec) -> None:
    """Raises NetlistError where the grid's netlist does not connect its elements as :func:`sliced_grid` takes them."""
    driver: dict[int | str, object] = {"0": "0"}
    for name, port in netlist["ports"].items():
        if port["direction"] == "input":
            driver |= {bit: (name, place) for place, bit in enumerate(port["bits"])}
    cells = netlist["cells"]
    if len(cells) != grid.rows * grid.columns:
        raise NetlistError(f"{grid.name} must have {grid.rows * grid.columns} elements, not {len(cells)}")
    directions = {port.name: port.is_input for port in grid.element.ports}
    for label, cell in cells.items():
        if cell["type"] != grid.element.name:
            raise NetlistError(f"{label} of {grid.name} must be a {grid.element.name}, not a {cell['type']}")
        for name, bits in cell["connections"].items():
            if not directions.get(name, True):
                driver |= {bit: (label, name, place) for place, bit in enumerate(bits)}
    for row in range(grid.rows):
        for column in range(grid.columns):
            label = f"element_{row}_{column}"
            if label not in cells:
                raise NetlistError(f"{grid.name} must have an {label}, not only {', '.join(cells)}")
            inputs = {port.name: port.width for port in grid.element.ports if port.is_input} | {"clk": 1, "rst": 1}
            for name, size in inputs.items():
                bits = cells[label]["connections"].get(name, [])
                for place in range(size):  # Verilog lets a wire be narrower than the port
                    wanted = _source(grid, name, place, row, column)
                    found = driver.get(bits[place]) if place < len(bits) else None
                    if found != wanted:
                        raise NetlistError(f"{name}[{place}] of {label} must come from {wanted}, not {found}")
    width = grid.element.mac.accumulator_width
    for place, bit in enumerate(netlist["ports"]["drain"]["bits"]):
        drain, column = divmod(place // width, grid.columns)
        wanted = (f"element_{grid.drained_rows[drain]}_{column}", "drain_out", place % width)
        if driver.get(bit) != wanted:
            raise NetlistError(f"drain[{place}] of {grid.name} must come from {wanted}, not {driver.get(bit)}")


def _source(grid: GridSpec, name: str, place: int, row: int, column: int) -> object:
    """What drives bit ``place`` of a port of element (row, column)."""
    systolic = grid.element.systolic
    if name in ("clk", "rst"):
        return (name, place)
    width = next(port.width for port in grid.element.ports if port.name == name)
    if name == "drain_in":
        return (f"element_{row - 1}_{column}", "drain_out", place) if row else "0"
    if name == "weights":
        return (
            (f"element_{row - 1}_{column}", "weights_out", place)
            if systolic and row
            else (name, column * width + place)
        )
    if systolic and column:
        return (f"element_{row}_{column - 1}", f"{name}_out", place)
    return (name, row * width + place) if systolic or name == "activations" else (name, place)


def sliced_grid(netlist: Mapping[str, Any], grid: GridSpec) -> str:
    """Verilog of a module with name and ports of the grid; element (r, c) is bit r * columns + c."""
    rows, columns, systolic = grid.rows, grid.columns, grid.element.systolic
    size = rows * columns
    ports = netlist["ports"]
    body: list[str] = []

    def net(bit: int | str) -> str:
        if isinstance(bit, str):
            return f"{{{size}{{1'b{bit}}}}}"
        return f"n{bit}"

    # What comes in: every bit of every port of an element, for all elements.
    def down(place: int, name: str, width: int) -> str:
        """The bits of the columns at the edge."""
        return _concat(f"{name}[{c * width + place}]" for c in reversed(range(columns)))

    def along(place: int, name: str, width: int, one: Callable[[str], str]) -> str:
        """The bits of the rows at the edge, each as ``columns`` bits."""
        return _concat(one(f"{name}[{r * width + place}]") for r in reversed(range(rows)))

    outputs = {name: port["bits"] for name, port in ports.items() if port["direction"] == "output"}
    for name, port in ports.items():
        if port["direction"] != "input" or name in ("clk", "rst"):
            continue
        bits = port["bits"]
        for place, bit in enumerate(bits):
            if name == "drain_in":
                upper = f"{net(outputs['drain_out'][place])}[{size - columns - 1}:0]"
                value = f"{{{upper}, {{{columns}{{1'b0}}}}}}" if rows > 1 else f"{{{columns}{{1'b0}}}}"
            elif name == "weights" and systolic:
                edge = down(place, name, len(bits))
                upper = f"{net(outputs['weights_out'][place])}[{size - columns - 1}:0]"
                value = f"{{{upper}, {edge}}}" if rows > 1 else edge
            elif name == "weights":
                value = f"{{{rows}{{{down(place, name, len(bits))}}}}}"
            elif systolic:
                edge = along(place, name, len(bits), lambda bit: f"{{{columns - 1}'b0, {bit}}}" if columns > 1 else bit)
                moved = net(outputs[f"{name}_out"][place])
                inner = _concat([f"{{{columns - 1}{{1'b1}}}}, 1'b0"] * rows) if columns > 1 else ""
                value = f"(({moved} << 1) & {inner}) | {edge}" if columns > 1 else edge
            elif name == "activations":
                value = along(place, name, len(bits), lambda bit: f"{{{columns}{{{bit}}}}}")
            else:
                value = f"{{{size}{{{name}[{place}]}}}}"
            body.append(f"  wire [{size - 1}:0] {net(bit)} = {value};")
    (reset,) = ports["rst"]["bits"]
    body.append(f"  wire [{size - 1}:0] {net(reset)} = {{{size}{{rst}}}};")
    clocks = set(ports["clk"]["bits"])
    for label, cell in netlist["cells"].items():
        body += _cell(label, cell, net, size, clocks)
    width = grid.element.mac.accumulator_width
    bottom = [
        f"{net(outputs['drain_out'][place])}[{row * columns + column}]"
        for row in grid.drained_rows
        for column in range(columns)
        for place in range(width)
    ]
    body.append(f"  assign drain = {_concat(reversed(bottom))};")
    header = ["input clk", "input rst"]
    ports = [port for port in grid.ports if port.width]
    header += [f"{'input' if port.is_input else 'output'} [{port.width - 1}:0] {port.name}" for port in ports]
    return f"module {grid.name} (\n    " + ",\n    ".join(header) + ");\n" + "\n".join(body) + "\nendmodule\n"


_TWO = {"$_AND_": "&", "$_OR_": "|", "$_XOR_": "^"}


def _cell(
    label: str, cell: Mapping[str, Any], net: Callable[[int | str], str], size: int, clocks: set[int]
) -> Iterator[str]:
    """Declarations of the nets that a cell drives."""
    kind = cell["type"]
    pins: dict[str, Bits] = cell["connections"]
    one = {name: net(bits[0]) for name, bits in pins.items() if bits}
    wire = f"  wire [{size - 1}:0]"
    if kind in _TWO:
        yield f"{wire} {one['Y']} = {one['A']} {_TWO[kind]} {one['B']};"
    elif kind == "$_NOT_":
        yield f"{wire} {one['Y']} = ~{one['A']};"
    elif kind == "$_MUX_":
        yield f"{wire} {one['Y']} = ({one['S']} & {one['B']}) | (~{one['S']} & {one['A']});"
    elif kind == "$_DFF_P_" and pins["C"][0] in clocks:
        yield f"  reg [{size - 1}:0] {one['Q']};"
        yield f"  always @(posedge clk) {one['Q']} <= {one['D']};"
    elif kind == FULL_ADDER_NAME:
        half = f"{one['sum']}_h"
        yield f"{wire} {half} = {one['a']} ^ {one['b']};"
        yield f"{wire} {one['sum']} = {half} ^ {one['c']};"
        yield f"{wire} {one['carry']} = ({one['a']} & {one['b']}) | ({half} & {one['c']});"
    elif kind == "$add":
        yield from _adder(label, cell, net, size)
    else:
        raise NetlistError(f"{label} must be a gate, an adder or a register on the rising edge of clk, not a {kind}")


def _adder(label: str, cell: Mapping[str, Any], net: Callable[[int | str], str], size: int) -> Iterator[str]:
    pins, parameters = cell["connections"], cell["parameters"]
    if int(parameters["A_SIGNED"], 2) or int(parameters["B_SIGNED"], 2):
        raise NetlistError(f"{label} must add unsigned words")
    width = len(pins["Y"])
    a, b = ([net(bit) for bit in (*pins[name], *["0"] * width)][:width] for name in "AB")
    wire = f"  wire [{size - 1}:0]"
    carry = ""
    for place, bit in enumerate(pins["Y"]):
        y = net(bit)
        half = f"{y}_h"
        yield f"{wire} {half} = {a[place]} ^ {b[place]};"
        yield f"{wire} {y} = {half}{f' ^ {carry}' if carry else ''};"
        if place < width - 1:
            both = f"({a[place]} & {b[place]})"
            yield f"{wire} {y}_c = {both}{f' | ({half} & {carry})' if carry else ''};"
            carry = f"{y}_c"


def _concat(parts: Iterator[str] | Sequence[str]) -> str:
    return "{" + ", ".join(parts) + "}"
