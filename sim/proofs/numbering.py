"""Numbers of signals: equal functions of registers and ports get equal ones, on both sides of a comparison.

A gate whose inputs have equal numbers has an equal number, whether it is one of a graph or one that Yosys read from
Verilog. So two signals with one number are equal, gate by gate. The converse does not hold, nor is it needed.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rtl.logic import Op
from sim.simulators import Cell, Name, Net, Signals, line_of

from .polynomials import ProofError

__all__ = ["Netlist", "Number", "Numbers", "is_instance"]

Number: TypeAlias = int
Bools: TypeAlias = npt.NDArray[np.bool_]
_GATES = {"$_NOT_": Op.NOT, "$_AND_": Op.AND, "$_OR_": Op.OR, "$_XOR_": Op.XOR}
_REGISTER = "$_DFF_P_"


class Numbers:
    """Numbers of signals: the same for equal functions of signals with equal numbers."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, Number] = {}
        self._keys: list[tuple[Any, ...]] = []
        self.zero, self.one = self._of("constant", 0), self._of("constant", 1)

    def _of(self, *key: Any) -> Number:
        """The number of what ``key`` says."""
        found = self._numbers.setdefault(key, len(self._numbers))
        if found == len(self._keys):
            self._keys.append(key)
        return found

    def register(self, name: str, place: int) -> Number:
        """What a register holds."""
        return self._of("register", name, place)

    def port(self, name: str, place: int) -> Number:
        """A bit of an input."""
        return self._of("port", name, place)

    def loads(self, taken: Number, register: Number, value: Number) -> Number | None:
        """Where a register that takes ``taken`` loads ``value`` and else holds: the number of its enable; or None."""
        key = self._keys[taken]
        if key[0] is Op.MUX and key[2:] == (value, register):
            return Number(key[1])
        if key[0] is Op.MUX and key[2:] == (register, value):
            return self.gate(Op.NOT, (key[1],))[0]
        return None

    def values(self, number: Number, given: Mapping[Name, Bools]) -> Bools:
        """The values of a small function of these inputs, many at once. ProofError where it has anything but gates."""
        needed, waiting = set[Number](), [number]
        while waiting:
            last = waiting.pop()
            if last not in needed:
                needed.add(last)
                if isinstance(self._keys[last][0], Op):
                    waiting += [each for each in self._keys[last][1:] if isinstance(each, int)]
        found: dict[Number, Bools] = {}
        for each in sorted(needed):  # what a gate takes has lower numbers
            found[each] = self._value(self._keys[each], found, given)
        return found[number]

    def _value(self, key: tuple[Any, ...], found: Mapping[Number, Bools], given: Mapping[Name, Bools]) -> Bools:
        kind, *inputs = key
        if kind == "constant":
            return np.full(next(iter(given.values())).shape, bool(inputs[0]))
        if kind == "port" and tuple(inputs) in given:
            return given[inputs[0], inputs[1]]
        if kind not in (Op.NOT, Op.AND, Op.OR, Op.XOR, Op.MUX):
            raise ProofError(
                f"a function must be of plain gates, not of {kind if isinstance(kind, str) else kind.value}"
            )
        x = [found[each] for each in inputs]
        match kind:
            case Op.NOT:
                return ~x[0]
            case Op.AND:
                return x[0] & x[1]
            case Op.OR:
                return x[0] | x[1]
            case Op.XOR:
                return x[0] ^ x[1]
        return np.where(x[0], x[1], x[2])

    def gate(self, op: Op, inputs: tuple[Number, ...]) -> tuple[Number, ...]:
        """The numbers of a gate's outputs."""
        match op:
            case Op.NOT | Op.MUX:
                return (self._of(op, *inputs),)
            case Op.AND | Op.OR | Op.XOR:
                return (self._of(op, *sorted(inputs)),)
            case Op.HALF_ADDER:
                return (self._of(Op.XOR, *sorted(inputs)), self._of(Op.AND, *sorted(inputs)))
            case Op.FULL_ADDER:
                return tuple(self._of(op, which, *sorted(inputs)) for which in ("sum", "carry"))
            case Op.ADD:
                width = len(inputs) // 2
                return self.addition(inputs[:width], inputs[width:], width)

    def addition(self, a: tuple[Number, ...], b: tuple[Number, ...], width: int) -> tuple[Number, ...]:
        """The lowest bits of the sum of two unsigned words."""
        words = tuple(sorted(map(self._without_zeros, (a, b))))
        return tuple(self._of(Op.ADD, position, *words) for position in range(width))

    def _without_zeros(self, word: tuple[Number, ...]) -> tuple[Number, ...]:
        end = max((place for place, bit in enumerate(word, start=1) if bit != self.zero), default=0)
        return word[:end]


def is_instance(cell: Cell) -> bool:
    """Whether a cell is of a module, which in a MAC or a unit can but be the full adder, and none of Yosys' own."""
    return not cell["type"].startswith("$")


class Netlist:
    """The module as Yosys has it. registers: by name and place, the net that each takes; of several names of one it is
    among ``names``, where one of these is.
    """

    def __init__(self, module: Cell, numbers: Numbers, names: Collection[Name] = ()) -> None:
        self._numbers = numbers
        self._signals = Signals(module)
        self._known: dict[Net, Number] = {"0": numbers.zero, "1": numbers.one}
        self._ports: Mapping[str, Any] = module["ports"]
        self.cells = len(module["cells"])
        for name, port in self._ports.items():
            if port["direction"] == "input":
                self._signals.drive(port["bits"])
                self._known |= {net: numbers.port(name, place) for place, net in enumerate(port["bits"])}
        self.registers: dict[Name, Net] = {}
        for label, cell in module["cells"].items():
            if cell["type"] == _REGISTER:
                self._add_register(cell, names)
                continue
            _check_pins(label, cell)
            for pin, nets in cell["connections"].items():
                if cell["port_directions"][pin] == "output":
                    self._signals.drive(nets, cell)

    def _add_register(self, cell: Cell, names: Collection[Name]) -> None:
        (held,), (taken,) = cell["connections"]["Q"], cell["connections"]["D"]
        if cell["connections"]["C"] != self._ports["clk"]["bits"]:
            raise ProofError(f"register {self.called(held)} is not clocked by clk")
        self._signals.drive([held])
        inside = [name for name in self._signals.names_of(held) if name[0] not in self._ports]
        if not inside:
            raise ProofError("every bit of a register must have a name")
        name = next((name for name in inside if name in names), inside[0])
        self.registers[name] = taken
        self._known[held] = self._numbers.register(*name)

    def called(self, net: Net) -> str:
        """A bit of a port, register or wire by its name, with the line that declares it, for a message."""
        return self._signals.called(net)

    def shown(self, name: Name) -> str:
        """The same of a name."""
        return self._signals.shown(name)

    def width(self, port: str) -> int:
        """Bits of a port."""
        return len(self._ports[port]["bits"])

    def output(self, name: Name) -> Net:
        """The net of a bit of an output port."""
        port, place = name
        net: Net = self._ports[port]["bits"][place]
        return net

    def number(self, net: Net) -> Number:
        """The number of a net; of those that it depends on, too."""
        for cell in self._signals.needed([net], self._known):
            self._number_outputs(cell)
        return self._known[net]

    def _number_outputs(self, cell: Cell) -> None:
        nets, kind = cell["connections"], cell["type"]

        def numbers(pin: str) -> tuple[Number, ...]:
            return tuple(self._known[net] for net in nets[pin])

        if kind in _GATES:
            inputs = numbers("A") + (() if kind == "$_NOT_" else numbers("B"))
            self._known[nets["Y"][0]] = self._numbers.gate(_GATES[kind], inputs)[0]
        elif kind == "$_MUX_":
            self._known[nets["Y"][0]] = self._numbers.gate(Op.MUX, numbers("S") + numbers("B") + numbers("A"))[0]
        elif is_instance(cell):
            made = self._numbers.gate(Op.FULL_ADDER, numbers("a") + numbers("b") + numbers("c"))
            self._known |= dict(zip(nets["sum"] + nets["carry"], made, strict=True))
        elif kind == "$add":
            if any(int(cell["parameters"][f"{side}_SIGNED"], 2) for side in "AB"):
                raise ProofError(f"an adder{line_of(cell)} has signed words")
            made = self._numbers.addition(numbers("A"), numbers("B"), len(nets["Y"]))
            self._known |= dict(zip(nets["Y"], made, strict=True))
        else:
            raise ProofError(f"an operation or a register{line_of(cell)} is none that the graph has")


def _check_pins(label: str, cell: Cell) -> None:
    """A full adder has all of its pins, of one bit each; Yosys sees to those of its own cells."""
    if is_instance(cell):
        pins = {pin: len(nets) for pin, nets in cell["connections"].items()}
        if pins != dict.fromkeys(("a", "b", "c", "sum", "carry"), 1):
            raise ProofError(f"full adder {label}{line_of(cell)} must have five pins of one bit")
