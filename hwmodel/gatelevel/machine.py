"""A module as a state machine: what its registers take and its outputs show, as functions of registers and inputs.

Two ways lead here. RTL is read by Yosys, which makes words bits, leaves out what nobody reads, and simplifies by its
opt_expr alone (hwmodel.synthesis.plain_gates). A mapped netlist has the functions that its Liberty file states, as
:mod:`hwmodel.liberty` reads them; a register behind clock gates keeps what it has where one of their enables is 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hwmodel.library import ONE_NET, ZERO_NET, CellModel, Expression, FlipFlop, LibraryCells
from hwmodel.netlist import ClockNet, Instance, Netlist, clock_nets
from siliquant.inputs import InputError

from .aig import FALSE, TRUE, Aig

__all__ = ["Inputs", "Machine", "Register", "machine_of_netlist", "machine_of_rtl"]

Inputs = Mapping[str, tuple[int, ...]]
"""Literals of the input ports, from bit 0 up, the clock left out."""

_Net = TypeVar("_Net", bound=Hashable)
_BINARY: Mapping[str, Callable[[Aig, int, int], int]] = {
    "$_AND_": lambda graph, a, b: graph.conjunction(a, b),
    "$_NAND_": lambda graph, a, b: graph.conjunction(a, b) ^ 1,
    "$_ANDNOT_": lambda graph, a, b: graph.conjunction(a, b ^ 1),
    "$_OR_": lambda graph, a, b: graph.disjunction(a, b),
    "$_NOR_": lambda graph, a, b: graph.disjunction(a, b) ^ 1,
    "$_ORNOT_": lambda graph, a, b: graph.disjunction(a, b ^ 1),
    "$_XOR_": lambda graph, a, b: graph.exclusive(a, b),
    "$_XNOR_": lambda graph, a, b: graph.exclusive(a, b) ^ 1,
}


@dataclass(frozen=True)
class Register:
    """One bit. name: unique in its module; aliases: what the flow may call it, the likeliest first. holds, takes:
    literals of what it has and of what it has next.
    """

    name: str
    aliases: tuple[str, ...]
    holds: int
    takes: int


@dataclass(frozen=True)
class Machine:
    """registers; outputs: the literals of each port, from bit 0 up. Raises InputError for two registers of one name."""

    registers: tuple[Register, ...]
    outputs: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        counts = Counter(register.name for register in self.registers)
        if twice := next((name for name, count in counts.items() if count > 1), None):
            raise InputError(f"registers must have names of their own, but two are {twice}")


def machine_of_rtl(
    graph: Aig, module: Mapping[str, Any], inputs: Inputs, held: Mapping[str, int] | None = None, *, clock: str = "clk"
) -> Machine:
    """The machine of a module in Yosys' JSON, of gates of one bit.

    held: literals that registers of some names have; others have new inputs. Raises InputError for a cell that is
    neither a gate nor a register of the rising edge of ``clock``, for loops, and for nets without a driver or with
    several.
    """
    (edge,) = module["ports"][clock]["bits"]
    literals: dict[int | str, int] = {"0": FALSE, "1": TRUE}
    for name, given in inputs.items():
        for bit, driven in zip(module["ports"][name]["bits"], given, strict=True):
            _check_free(bit == edge or bit in literals, name)
            literals[bit] = driven
    makers: dict[int | str, Mapping[str, Any]] = {}
    taken: dict[int | str, int | str] = {}
    for label, cell in module["cells"].items():
        pins, kind = cell["connections"], cell["type"]
        for pin in ("Q", "Y"):
            net = pins.get(pin, [None])[0]
            if net == edge or net in literals or net in makers or net in taken:
                raise InputError(f"net {net} of the RTL must have one driver, but {label} is another")
        if kind == "$_DFF_P_" and pins["C"] == [edge]:
            taken[pins["Q"][0]] = pins["D"][0]
        elif kind in _BINARY or kind in ("$_NOT_", "$_MUX_"):
            makers[pins["Y"][0]] = cell
        else:
            raise InputError(f"RTL must be gates and registers of the rising edge of {clock}, but {label} is {kind}")
    aliases = _names(module, taken)
    shared = Counter(each[0] for each in aliases.values())
    # Of two that the flow would call the same, r[1] and r_1, neither is the other.
    names = {bit: each[0] if shared[each[0]] == 1 else f"{each[0]} (net {bit})" for bit, each in aliases.items()}
    for bit, name in names.items():
        literals[bit] = held[name] if held and name in held else graph.input()

    def reads(bit: int | str) -> list[int | str]:
        if bit not in makers:
            raise InputError(f"net {bit} of the RTL must have a driver")
        return [bits[0] for pin, bits in makers[bit]["connections"].items() if pin != "Y"]

    def make(bit: int | str) -> int:
        cell = makers[bit]
        pins = {pin: literals[bits[0]] for pin, bits in cell["connections"].items() if pin != "Y"}
        if cell["type"] == "$_NOT_":
            return pins["A"] ^ 1
        if cell["type"] == "$_MUX_":
            return graph.choice(pins["S"], pins["B"], pins["A"])
        return _BINARY[cell["type"]](graph, pins["A"], pins["B"])

    def literal(bit: int | str) -> int:
        return _found(bit, literals, reads, make, str)

    registers = tuple(Register(names[bit], aliases[bit], literals[bit], literal(taken[bit])) for bit in taken)
    ports = {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == "output"}
    return Machine(registers, {name: tuple(literal(bit) for bit in bits) for name, bits in ports.items()})


def machine_of_netlist(
    graph: Aig,
    netlist: Netlist,
    cells: LibraryCells,
    inputs: Inputs,
    held: Mapping[str, int] | None = None,
    *,
    clock: str = "clk",
) -> Machine:
    """The machine of a mapped netlist. held: as of :func:`machine_of_rtl`.

    Raises InputError for a flip-flop of a falling edge, or whose clear or preset is used, which the flow does not make,
    for loops, for nets with several drivers, those of the clock, too, for those without one, and for an input pin of a
    cell that is not connected.
    """
    clocks = clock_nets(netlist, cells, clock)
    literals: dict[int, int] = {ZERO_NET: FALSE, ONE_NET: TRUE}
    ports = set(netlist.inputs.get(clock, ()))
    _check_free(not ports.isdisjoint(literals), clock)
    for name, given in inputs.items():
        for net, bit in zip(netlist.inputs[name], given, strict=True):
            _check_free(net in ports or net in literals, name)
            literals[net] = bit
    makers: dict[int, tuple[Expression, Instance, Mapping[str, int]]] = {}
    driven = set(ports)
    flops: list[tuple[Instance, FlipFlop, Mapping[str, int], tuple[int, ...]]] = []
    for instance in netlist.instances:
        model = cells[instance.cell]
        if lacking := next((pin for pin in model.inputs if pin not in instance.pins), None):
            raise InputError(f"pin {lacking} of {instance.name} ({instance.cell}) must be connected")
        passes_clock_on = _passes_clock_on(instance, model, clocks)
        states: Mapping[str, int] = {}
        if model.flip_flop is not None:
            enables = _enables(instance, model.flip_flop, clocks, clock)
            has = held[instance.name] if held and instance.name in held else graph.input()
            states = {model.flip_flop.state: has, model.flip_flop.inverse: has ^ 1}
            flops.append((instance, model.flip_flop, states, enables))
        for pin, function in model.outputs.items():
            if pin not in instance.pins:
                continue
            net = instance.pins[pin]
            if net in driven or net in literals or (net in clocks and not passes_clock_on):
                raise InputError(f"net {netlist.net_label(net)} must have one driver, but {instance.name} is another")
            driven.add(net)
            if net not in clocks:
                makers[net] = function, instance, states

    def reads(net: int) -> list[int]:
        if net not in makers:
            raise InputError(f"net {netlist.net_label(net)} must have a driver that is not the clock")
        function, instance, states = makers[net]
        return [instance.pins[name] for name in sorted(function.names) if name not in states]

    def value(function: Expression, instance: Instance, states: Mapping[str, int]) -> int:
        own = {name: literals[instance.pins[name]] for name in function.names if name not in states}
        return graph.of_expression(function, {**own, **states})

    def make(net: int) -> int:
        return value(*makers[net])

    def literal(net: int) -> int:
        return _found(net, literals, reads, make, netlist.net_label)

    registers = []
    for instance, flop, states, enables in flops:
        loads = TRUE
        for net in (instance.pins[name] for name in flop.next_state.names if name not in states):
            literal(net)
        for net in enables:
            loads = graph.conjunction(loads, literal(net))
        has = states[flop.state]
        for forced in (each for each in (flop.clear, flop.preset) if each is not None):
            pins = {name: literal(instance.pins[name]) for name in forced.names}
            if graph.of_expression(forced, pins) != FALSE:
                raise InputError(f"clear and preset of {instance.name} ({instance.cell}) must be tied, and never act")
        taken = graph.choice(loads, value(flop.next_state, instance, states), has)
        registers.append(Register(instance.name, (instance.name,), has, taken))
    return Machine(tuple(registers), {name: tuple(literal(n) for n in nets) for name, nets in netlist.outputs.items()})


def _enables(instance: Instance, flop: FlipFlop, clocks: Mapping[int, ClockNet], clock: str) -> tuple[int, ...]:
    """The nets at the enables of the clock gates before a flip-flop."""
    found = [clocks.get(instance.pins[pin]) for pin in sorted(flop.clock_pins)]
    edge = found[0] if len(found) == 1 else None
    # What clocks it while the clock is high must be 1.
    if edge is None or not flop.clocked_on.evaluate(dict.fromkeys(flop.clock_pins, int(edge.direct)), 1):
        raise InputError(f"flip-flop {instance.name} ({instance.cell}) must be of the rising edge of {clock}")
    return edge.enables


def _check_free(taken: bool, name: str) -> None:
    """Raises InputError for a bit of an input port whose net something drives already."""
    if taken:
        raise InputError(f"every bit of input port {name} must have a net of its own, which nothing else drives")


def _passes_clock_on(instance: Instance, model: CellModel, clocks: Mapping[int, ClockNet]) -> bool:
    """Whether a cell is one through which :func:`hwmodel.netlist.clock_nets` follows the clock."""
    if model.clock_gate is not None:
        return instance.pins[model.clock_gate.clock] in clocks
    return len(model.inputs) == 1 and model.flip_flop is None and instance.pins[model.inputs[0]] in clocks


def _names(module: Mapping[str, Any], registers: Mapping[int | str, Any]) -> dict[int | str, tuple[str, ...]]:
    """All names of each register as the flow writes them (hwmodel.yosys.registers), public ones first."""
    found: dict[int | str, list[tuple[bool, int, str]]] = {bit: [] for bit in registers}
    for net, entry in module["netnames"].items():
        for place, bit in enumerate(entry["bits"]):
            if bit in found:
                label = f"{net}_{place}" if len(entry["bits"]) > 1 else net
                name = re.sub(r"[^A-Za-z0-9_]", "_", label)
                found[bit].append((bool(entry.get("hide_name")), len(name), name))
    return {bit: tuple(name for _, _, name in sorted(names)) or (f"net {bit}",) for bit, names in found.items()}


def _found(
    net: _Net,
    known: dict[_Net, int],
    reads: Callable[[_Net], Sequence[_Net]],
    make: Callable[[_Net], int],
    label: Callable[[_Net], str],
) -> int:
    """The literal of a net; of those that it depends on, too, without recursion."""
    waiting, begun = [net], set[_Net]()
    while waiting:
        last = waiting[-1]
        if last in known:
            waiting.pop()
            continue
        lacking = [each for each in reads(last) if each not in known]
        if not lacking:
            known[last] = make(last)
        elif last in begun:
            raise InputError(f"net {label(last)} must not depend on itself")
        begun.add(last)
        waiting += lacking
    return known[net]
