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
    columns = grid.columns
    size = grid.rows * columns
    ports = netlist["ports"]
    body: list[str] = []

    def net(bit: int | str) -> str:
        if isinstance(bit, str):
            return f"{{{size}{{1'b{bit}}}}}"
        return f"n{bit}"

    outputs = {name: port["bits"] for name, port in ports.items() if port["direction"] == "output"}
    for name, port in ports.items():
        if port["direction"] != "input" or name in ("clk", "rst"):
            continue
        passed = outputs.get("drain_out" if name == "drain_in" else f"{name}_out", ())
        for place, bit in enumerate(port["bits"]):
            moved = net(passed[place]) if passed else ""
            body += _words(net(bit), _sources(grid, name, place, len(port["bits"]), moved))
    (reset,) = ports["rst"]["bits"]
    body += _words(net(reset), ["rst"] * size)
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


def _sources(grid: GridSpec, name: str, place: int, width: int, moved: str) -> list[str]:
    """What drives bit ``place`` of a port of ``width`` bits of each element: a bit of a port of the grid, or of the net
    ``moved`` of what the elements pass on.
    """
    columns, systolic = grid.columns, grid.element.systolic
    found = []
    for element in range(grid.rows * columns):
        row, column = divmod(element, columns)
        if name == "drain_in":
            found.append(f"{moved}[{element - columns}]" if row else "1'b0")
        elif name == "weights":
            found.append(f"{moved}[{element - columns}]" if systolic and row else f"{name}[{column * width + place}]")
        elif systolic and column:
            found.append(f"{moved}[{element - 1}]")
        else:
            found.append(f"{name}[{row * width + place if systolic or name == 'activations' else place}]")
    return found


def _words(name: str, sources: Sequence[str]) -> Iterator[str]:
    """A net whose bits are those sources, the lowest first, in words of 32 bits: a simulator has each at once.

    What several words have in common is a net of its own, gathered once.
    """
    size = len(sources)
    words = [tuple(sources[low : low + 32]) for low in range(0, size, 32)]
    nets: dict[tuple[str, ...], str] = {}
    for word in dict.fromkeys(words):
        half = word[:16]
        if words.count(word) > 1 or half + half == word:
            nets[word] = f"{name}_w{len(nets)}"
            if half + half == word and len(set(half)) > 1:
                yield f"  wire [15:0] {nets[word]}_h = {_gathered(half)};"
                yield f"  wire [31:0] {nets[word]} = {{{nets[word]}_h, {nets[word]}_h}};"
            else:
                yield f"  wire [{len(word) - 1}:0] {nets[word]} = {_gathered(word)};"
    yield f"  wire [{size - 1}:0] {name};"
    # Verilator would make one wide expression of assignments to words that follow each other.
    for number in (*range(0, len(words), 2), *range(1, len(words), 2)):
        low, word = 32 * number, words[number]
        place = f"[{low + len(word) - 1}:{low}]" if len(words) > 1 else ""
        yield f"  assign {name}{place} = {nets.get(word) or _gathered(word)};"


def _gathered(sources: Sequence[str]) -> str:
    """Sources side by side, the lowest first; equal neighbours, and bits that follow each other in a net, as one."""
    parts: list[str] = []
    left = list(sources)
    while left:
        source, count = left[0], 1
        name, _, index = source.rstrip("]").partition("[")
        following = [f"{name}[{int(index) + further}]" for further in range(len(left))] if index else []
        if left[1:2] == [source]:
            count = next((place for place, other in enumerate(left) if other != source), len(left))
            parts.append(f"{{{count}{{{source}}}}}")
        elif left[1:2] == following[1:2] != []:
            pairs = zip(left, following, strict=True)
            count = next((place for place, (one, other) in enumerate(pairs) if one != other), len(left))
            parts.append(f"{name}[{int(index) + count - 1}:{index}]")
        else:
            parts.append(source)
        del left[:count]
    return _concat(parts[::-1])


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
