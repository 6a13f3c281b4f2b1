"""Wires of a placement: a tree for every net, its capacitance and resistance, and all of them as SPEF.

A net's wire is its Steiner tree (hwmodel.placement.steiner) with the capacitance and resistance a um of the technology;
each edge has half of its capacitance at either end. Detours of a router, vias and the coupling to one neighbour in
particular are not in it.

The clock is ideal: its net has capacitance and no resistance, so that no clock pin waits for another. There is no clock
tree: no buffers, and no more wire than connects all clock pins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hwmodel.library import Library
from hwmodel.netlist import Netlist
from siliquant.inputs import InputError, spef_word

from .placer import Pin, Placement
from .steiner import Tree, steiner_tree
from .technology import Wire

__all__ = ["Names", "Route", "routes_of", "spef_text"]

_LEAST_OHM = 1e-3  # of an edge: pins that lie on each other
_HEADER = """\
*SPEF "IEEE 1481-1998"
*DESIGN "{top}"
*DATE "none"
*VENDOR "siliquant"
*PROGRAM "siliquant"
*VERSION "1"
*DESIGN_FLOW "EXTERNAL_LOADS"
*DIVIDER /
*DELIMITER :
*BUS_DELIMITER []
*T_UNIT 1 NS
*C_UNIT 1 FF
*R_UNIT 1 OHM
*L_UNIT 1 HENRY
"""


@dataclass(frozen=True)
class Route:
    """The wire of one net: its number, its pins with the driver first, and a tree whose first points are theirs.

    is_clock: it leads to clock pins.
    """

    net: int
    pins: tuple[Pin, ...]
    tree: Tree
    is_clock: bool

    @property
    def length_um(self) -> float:
        """Of all edges."""
        return self.tree.length * 1e-3


def routes_of(placement: Placement) -> tuple[Route, ...]:
    """A route for every net of two pins or more."""
    return tuple(
        Route(
            net, tuple(pin for pin, _ in pins), steiner_tree([point for _, point in pins]), net in placement.clock_nets
        )
        for net, pins in enumerate(placement.nets)
        if len(pins) > 1
    )


@dataclass(frozen=True)
class Names:
    """What the reader of the SPEF calls nets and ports, without escapes: of several names of a net it knows one, and a
    port of one bit may have an index.
    """

    nets: frozenset[str]
    ports: frozenset[str]


def spef_text(routes: Sequence[Route], netlist: Netlist, library: Library, wire: Wire, names: Names) -> str:
    """The wires of a netlist as SPEF (IEEE 1481), under the names of its reader.

    Raises InputError where a net has none of them.
    """
    lines = [_HEADER.format(top=netlist.name)]
    for route in routes:
        own = replace(wire, ohm_per_um=0.0) if route.is_clock else wire
        lines += _net_lines(route, netlist, library, own, names)
    return "\n".join(lines) + "\n"


def _net_lines(route: Route, netlist: Netlist, library: Library, wire: Wire, names: Names) -> Iterator[str]:
    net = _net_name(netlist, route.net, names.nets)
    tree = route.tree
    nodes = [_node(pin, netlist, names.ports) for pin in route.pins]
    nodes += [f"{net}:{number}" for number in range(1, len(tree.points) - len(nodes) + 1)]
    caps_ff = [0.0] * len(nodes)
    ohms = []
    for a, b in tree.edges:
        length_um = (abs(tree.points[a][0] - tree.points[b][0]) + abs(tree.points[a][1] - tree.points[b][1])) * 1e-3
        caps_ff[a] += length_um * wire.ff_per_um / 2
        caps_ff[b] += length_um * wire.ff_per_um / 2
        ohms.append(max(length_um * wire.ohm_per_um, _LEAST_OHM))
    yield f"*D_NET {net} {sum(caps_ff):.6f}"
    yield "*CONN"
    for node, pin in zip(nodes, route.pins, strict=False):
        yield f"{'*P' if pin[0] < 0 else '*I'} {node} {_direction(pin, netlist, library)}"
    yield "*CAP"
    yield from (f"{number} {node} {cap:.6f}" for number, (node, cap) in enumerate(zip(nodes, caps_ff, strict=True), 1))
    yield "*RES"
    for number, ((a, b), ohm) in enumerate(zip(tree.edges, ohms, strict=True), 1):
        yield f"{number} {nodes[a]} {nodes[b]} {ohm:.6f}"
    yield "*END\n"


def _direction(pin: Pin, netlist: Netlist, library: Library) -> str:
    number, name = pin
    if number < 0:
        return "I" if name.rpartition("[")[0] in netlist.inputs else "O"
    return "O" if name in library.output_pins[netlist.instances[number].cell] else "I"


def _node(pin: Pin, netlist: Netlist, ports: frozenset[str]) -> str:
    """An instance's pin or a port; a bit of a vector has its index in bare brackets."""
    number, name = pin
    if number >= 0:
        return f"{spef_word(netlist.instances[number].name)}:{spef_word(name)}"
    port, _, bit = name[:-1].rpartition("[")
    return spef_word(port) if port in ports else f"{spef_word(port)}[{bit}]"


def _net_name(netlist: Netlist, net: int, names: frozenset[str]) -> str:
    own = netlist.net_names[net]
    for name in own:
        if name in names:
            vector, _, index = name.rpartition("[")
            if f"{name}[0]" in own or not vector:  # a net of one bit has its name with and without an index
                return spef_word(name)
            return f"{spef_word(vector)}[{index[:-1]}]"
    raise InputError(f"every net must be known to the timing tool, and {netlist.net_label(net)[:60]} is not")
