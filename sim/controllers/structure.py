"""Two readings of an array are the same netlist, but for its controllers, which are proved otherwise.

Modules are compared in pairs, from the top down: the ports are equal, and with the same inputs, registers, words of
memories and outputs of instances both give the same outputs, and give registers, memories and instances the same.
Ports, registers, memories and instances are paired by their names, modules by the instances that they are of, so names
of modules may differ. Every signal has the number of what makes it: a cell of the same kind and the same parameters
whose inputs have equal numbers has an equal number. So equal numbers are equal functions; the converse does not hold,
nor is it needed.

An x of Yosys is any value, another one in each place and cycle, so what depends on one may have equal numbers and not
be equal. Memories have some: address and data of a port that does not write, and the clock of one that has none. So x
may be a data input of multiplexers alone, and these may enter memories alone. There both have, for the same selects,
the same words or anything; and the port writes, for the same selects, in both or in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeAlias

from sim.simulators import Name, Net, ProofError, Signals, line_of, plain_name, port_fault, ports_of

__all__ = ["prove_same"]

Module: TypeAlias = Mapping[str, Any]
Modules: TypeAlias = Mapping[str, Module]
_COMMUTATIVE = frozenset(("$add", "$mul", "$and", "$or", "$xor", "$xnor", "$eq", "$ne", "$logic_and", "$logic_or"))
_OTHERS = "than in the generated array"


def prove_same(found: Modules, wanted: Modules, top: str, apart: Callable[[str], bool]) -> dict[str, str]:
    """Proves that the module ``top`` and all below it are the same in ``found`` as in ``wanted``.

    apart: whether a module of ``wanted``, by its name, is one of which only the ports are compared. Returns by those
    names the modules of ``found`` in their places. Raises ProofError with the first place that differs.
    """
    pairs = {top: top}
    waiting = [top]
    while waiting:
        name = waiting.pop()
        mine, other = found[pairs[name]], wanted[name]
        _check_ports(plain_name(pairs[name]), mine, other)
        if apart(name):
            continue
        for instance, below, its in _compared(plain_name(pairs[name]), mine, other):
            if below not in pairs:
                pairs[below] = its
                waiting.append(below)
            elif pairs[below] != its:
                raise ProofError(
                    f"{plain_name(pairs[name])}: instance {instance} is of another module, or has other parameters, "
                    f"{_OTHERS}"
                )
    return {name: its for name, its in pairs.items() if apart(name)}


def _check_ports(name: str, mine: Module, other: Module) -> None:
    fault = port_fault(ports_of(mine), ports_of(other), "as in the generated array")
    if fault is not None:
        raise ProofError(f"{name}{line_of(mine)}: {fault[1]}")


def _compared(name: str, mine: Module, other: Module) -> Iterator[tuple[str, str, str]]:
    """Each instance, in words, and the modules that it is of: in the second, and in the first.

    Raises ProofError where the modules differ.
    """
    table: dict[Hashable, int] = {}
    one, two = _Side(name, mine, table), _Side(name, other, table)
    _check_there(one, "instance", one.instances, two.instances)
    _check_there(one, "memory", one.memories, two.memories)
    _pair_registers(one, two)
    _check_outputs(one, two, mine, other)
    _check_registers(one, two)
    for label, memory in two.memories.items():
        _check_pins(f"{name}: memory {label}", one, two, one.memories[label], memory)
        if one.memories[label]["parameters"] != memory["parameters"]:
            raise ProofError(f"{name}: memory {label}{line_of(one.memories[label])} is of another kind {_OTHERS}")
    for label, instance in two.instances.items():
        its = one.instances[label]
        _check_pins(f"{name}: instance {label}", one, two, its, instance)
        yield f"{label}{line_of(its)}", instance["type"], its["type"]


def _check_there(side: _Side, kind: str, these: Modules, those: Modules) -> None:
    """Cells of a kind have the same names."""
    if extra := sorted(these.keys() - those.keys()):
        raise ProofError(f"{side.name}: {kind} {extra[0]}{line_of(these[extra[0]])} is none of the generated array")
    if lacking := sorted(those.keys() - these.keys()):
        raise ProofError(
            f"{side.name}{line_of(side.module)}: the {kind} {lacking[0]} of the generated array is missing"
        )


def _check_outputs(one: _Side, two: _Side, mine: Module, other: Module) -> None:
    for port, each in other["ports"].items():
        if each["direction"] == "output":
            for place, (a, b) in enumerate(zip(mine["ports"][port]["bits"], each["bits"], strict=True)):
                if not _same(one, a, two, b):
                    shown = one.signals.shown((port, place))
                    raise ProofError(f"{one.name}: output {shown} has another value {_OTHERS}")


def _check_registers(one: _Side, two: _Side) -> None:
    for held, (taken, clock, _) in two.registers.items():
        name = two.name_of[held]
        its_taken, its_clock, cell = one.registers[one.held_by[name]]
        said = f"{one.name}: register {name[0]}[{name[1]}]{line_of(cell)}"
        if not _same(one, its_clock, two, clock):
            raise ProofError(f"{said} has another clock {_OTHERS}")
        if not _same(one, its_taken, two, taken):
            raise ProofError(f"{said} takes another value {_OTHERS}")


def _check_pins(said: str, one: _Side, two: _Side, mine: Module, other: Module) -> None:
    """What enters a memory or an instance is the same."""
    pins, others = mine["connections"], other["connections"]
    for pin in sorted(pins.keys() | others.keys()):
        if len(pins.get(pin, ())) != len(others.get(pin, ())):
            raise ProofError(f"{said}{line_of(mine)} has another pin {pin} {_OTHERS}")
        if other["port_directions"][pin] == "output":
            continue
        for place, (a, b) in enumerate(zip(pins[pin], others[pin], strict=True)):
            if not _same(one, a, two, b, anything=mine["type"] == "$mem_v2"):
                raise ProofError(f"{said}{line_of(mine)}: {pin}[{place}] is connected to something else {_OTHERS}")


def _same(one: _Side, a: Net, two: _Side, b: Net, *, anything: bool = False) -> bool:
    """Whether two nets are equal; anything: they may be x, both of them."""
    if not anything:
        one.check_known(a)
        two.check_known(b)
    return one.number(a) == two.number(b)


def _pair_registers(one: _Side, two: _Side) -> None:
    """Registers that have a name in common are one."""
    for held in two.registers:
        names = two.signals.names_of(held)
        if not names:
            raise ProofError(f"{two.name}: a register of the generated array has no name")
        mine = next((one.held_as[name] for name in names if name in one.held_as), None)
        if mine is None:
            raise ProofError(f"{one.name}: {one.signals.shown(names[0])} must be a register, as in the generated array")
        if mine in one.known:
            raise ProofError(
                f"{one.name}: {one.signals.shown(names[0])} must be a register of its own, as in the generated array, "
                f"not {one.signals.shown(one.name_of[mine])}"
            )
        one.hold(mine, names[0])
        two.hold(held, names[0])
    for held in one.registers:
        if held not in one.known:
            raise ProofError(f"{one.name}: register {one.signals.called(held)} is none of the generated array")


class _Side:
    """A module and the numbers of its signals. registers: by what each holds, what it takes, its clock, and its cell.
    instances, memories: cells by name. held_as: what registers hold, by each of its names. name_of, held_by: the name
    with which what a register holds is paired, and the reverse.
    """

    def __init__(self, name: str, module: Module, table: dict[Hashable, int]) -> None:
        self.name, self.module, self._table = name, module, table
        self.signals = Signals(module, f"{name}: ")
        self.known: dict[Net, int] = {value: self._of("constant", value) for value in "01x"}
        self._anything: set[Net] = {"x"}
        self.name_of: dict[Net, Name] = {}
        self.held_by: dict[Name, Net] = {}
        self.registers: dict[Net, tuple[Net, Net, Module]] = {}
        self.instances: dict[str, Module] = {}
        self.memories: dict[str, Module] = {}
        for port, each in module["ports"].items():
            if each["direction"] == "input":
                self._give(each["bits"], ("port", port))
        for label, cell in module["cells"].items():
            self._add(label, cell)
        self.held_as = {name: net for net in self.registers for name in self.signals.names_of(net)}

    def _of(self, *key: Any) -> int:
        return self._table.setdefault(key, len(self._table))

    def _give(self, nets: list[Net], key: tuple[Any, ...]) -> None:
        self.signals.drive(nets)
        for place, net in enumerate(nets):
            self.known[net] = self._of(*key, place)

    def _add(self, label: str, cell: Module) -> None:
        kind, pins = cell["type"], cell["connections"]
        if kind == "$dff":
            if int(cell["parameters"]["CLK_POLARITY"], 2) != 1:
                raise ProofError(f"{self.name}{line_of(cell)}: every register must take its value at a rising edge")
            self.signals.drive(pins["Q"])
            for held, taken in zip(pins["Q"], pins["D"], strict=True):
                self.registers[held] = (taken, pins["CLK"][0], cell)
        elif kind == "$mem_v2":
            memory = plain_name(cell["parameters"]["MEMID"])
            self.memories[memory] = cell
            self._give(pins["RD_DATA"], ("memory", memory))
        elif not kind.startswith("$") or kind.startswith("$paramod"):
            self.instances[label] = cell
            for pin, nets in pins.items():
                if cell["port_directions"][pin] == "output":
                    self._give(nets, ("instance", label, pin))
        elif set(cell["port_directions"].values()) == {"input", "output"} and "Y" in pins:
            self.signals.drive(pins["Y"], cell)
        else:
            raise ProofError(f"{self.name}{line_of(cell)}: an array has no latches or registers with another reset")

    def hold(self, net: Net, name: Name) -> None:
        """Gives what a register holds the number of ``name``."""
        self.known[net] = self._of("register", *name)
        self.name_of[net] = name
        self.held_by[name] = net

    def check_known(self, net: Net) -> None:
        """Raises ProofError where a net depends on an x."""
        self.number(net)
        if net in self._anything:
            raise ProofError(f"{self.name}: {self.signals.called(net)} depends on x")

    def number(self, net: Net) -> int:
        """The number of a net; of those that it depends on, too."""
        for cell in self.signals.needed([net], self.known):
            self._number_outputs(cell)
        return self.known[net]

    def _number_outputs(self, cell: Module) -> None:
        kind, parameters = cell["type"], cell["parameters"]
        if free := {
            pin for pin, nets in cell["connections"].items() if pin != "Y" and self._anything.intersection(nets)
        }:
            if kind != "$mux" or "S" in free:
                raise ProofError(f"{self.name}{line_of(cell)}: an operation depends on x")
            self._anything.update(cell["connections"]["Y"])
        pins = [
            (pin, parameters.get(f"{pin}_SIGNED"), tuple(self.known[net] for net in nets))
            for pin, nets in sorted(cell["connections"].items())
            if pin != "Y"
        ]
        if kind in _COMMUTATIVE:
            pins = [("", *each[1:]) for each in sorted(pins, key=lambda each: each[1:])]
        more = tuple(sorted((name, value) for name, value in parameters.items() if name[:2] not in ("A_", "B_")))
        key = (kind, more, len(cell["connections"]["Y"]), tuple(pins))
        for place, net in enumerate(cell["connections"]["Y"]):
            self.known[net] = self._of(*key, place)
