"""What drives the bits of a module, without what nothing reads: aliases, equal operators, and unused parts are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import TypeAlias

from .rtlil import Assign, Bit, Bits, Cell, Module, Statement, Switch

__all__ = ["BITWISE", "CONSTANTS", "LOW_BITS", "Nets", "Process", "Register", "is_private", "targets", "tests"]

CONSTANTS = ("0", "1")
BITWISE = ("$and", "$or", "$xor", "$not")
LOW_BITS = ("$add", "$sub", "$mul", "$neg", "$shl")
"""Operators of which a bit depends on no higher bit of an operand, the amount of a shift aside."""


@dataclass(frozen=True)
class Register:
    """What ``held`` takes with each edge of the clock: by statements about those bits."""

    held: Bits
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Process:
    """Combinational statements about ``target``."""

    target: Bits
    body: tuple[Statement, ...]


Driver: TypeAlias = tuple[Cell, int] | tuple[Process, int]


def is_private(wire: str) -> bool:
    """Whether a wire has no name of its own."""
    return wire.startswith("$")


def targets(body: Iterable[Statement]) -> Iterator[Bit]:
    """The bits that statements assign."""
    for statement in body:
        if isinstance(statement, Assign):
            yield from statement.target
        else:
            for _, inner in statement.cases:
                yield from targets(inner)


def tests(body: Iterable[Statement]) -> Iterator[Bit]:
    """The bits that statements decide by."""
    for statement in body:
        if isinstance(statement, Switch):
            yield from statement.test
            for _, inner in statement.cases:
                yield from tests(inner)


def _flat(body: Iterable[Statement]) -> Iterator[Statement]:
    """Statements with those of a switch without a test in its place."""
    for statement in body:
        if isinstance(statement, Assign):
            yield statement
        elif statement.test:
            yield Switch(statement.test, tuple((patterns, tuple(_flat(inner))) for patterns, inner in statement.cases))
        else:
            yield from _flat(statement.cases[0][1])


def _sources(body: Iterable[Statement]) -> dict[Bit, list[Bit]]:
    """The bits that may be assigned to each."""
    found: dict[Bit, list[Bit]] = {}
    for statement in body:
        if isinstance(statement, Assign):
            for target, source in zip(statement.target, statement.source, strict=True):
                found.setdefault(target, []).append(source)
        else:
            for _, inner in statement.cases:
                for target, sources in _sources(inner).items():
                    found.setdefault(target, []).extend(sources)
    return found


class Nets:
    """The bits of a module. What its cells, processes and connections read are bits that are kept: names of their own,
    and outputs of operators that have none.
    """

    def __init__(self, module: Module, outputs: Mapping[str, frozenset[str]]) -> None:
        """outputs: the pins of each module that is instantiated which drive something."""
        self.module = module
        self._outputs = outputs
        self._alias: dict[Bit, Bit] = {}
        self._named: dict[Bit, Bit] = {}
        self._joined: dict[Bit, Bit] = {}
        for cell in module.cells:
            if cell.kind == "$dff" and (cell.ports["CLK"] != (Bit("clk"),) or cell.parameters["CLK_POLARITY"] != 1):
                raise ValueError(f"{cell.ports['Q'][0].wire} must be clocked by the rising edge of clk")
            if cell.kind.startswith("$") and cell.kind != "$dff" and "Y" not in cell.ports:
                raise ValueError(f"cannot write a cell of the kind {cell.kind}")
        flops = self._inner_names([cell for cell in module.cells if cell.kind == "$dff"])
        for each in module.connections:
            self._connect(each.target, each.source)
        bodies = [body for body in map(self._reduce, module.processes) if body]
        self._give_names()
        operators = [cell for cell in module.cells if cell.kind.startswith("$") and cell.kind != "$dff"]
        self.operators = self._merged(operators)
        self.instances = [self._resolved(cell) for cell in module.cells if not cell.kind.startswith("$")]
        made = [self._process(body) for body in bodies]
        self.registers, self.processes = self._registers(flops, made)
        self._drivers: dict[Bit, Driver] = {}
        for cell in self.operators:
            self._drivers |= {bit: (cell, place) for place, bit in enumerate(cell.ports["Y"])}
        for process in self.processes:
            self._drivers |= {bit: (process, place) for place, bit in enumerate(process.target)}
        self.live = self._reached()

    def driven(self, cell: Cell) -> dict[str, Bits]:
        """What an instance drives that is read, by pin."""
        pins = self._outputs[cell.kind] & cell.ports.keys()
        return {name: bits for name, bits in cell.ports.items() if name in pins and not self.live.isdisjoint(bits)}

    def is_open(self, cell: Cell, pin: str) -> bool:
        """Whether an instance drives a pin that nothing reads."""
        return pin in self._outputs[cell.kind] and self.live.isdisjoint(cell.ports[pin])

    def driver(self, bit: Bit) -> Driver | None:
        """What makes a bit: an operator or a process, and the place in its output."""
        return self._drivers.get(bit)

    def of(self, bit: Bit) -> Bit:
        """The bit that is read in place of this one."""
        source = self._source(bit)
        return self._named.get(source, source)

    def outer(self, wire: str) -> Bits:
        """What the bits of a wire are connected to; they themselves where something drives them."""
        width = self.module.wires[wire].width
        return tuple(self._joined.get(Bit(wire, place), Bit(wire, place)) for place in range(width))

    def _source(self, bit: Bit) -> Bit:
        while bit in self._alias:
            bit = self._alias[bit]
        return bit

    def _inner_names(self, flops: list[Cell]) -> list[Cell]:
        """Registers by the names that they have inside, where an output has the other one."""
        held = {cell.ports["Q"] for cell in flops}
        inner: dict[Bits, Bits] = {}
        connections = []
        for each in self.module.connections:
            if each.source in held - inner.keys() and self._is_inside(each):
                inner[each.source] = each.target
                self._connect(each.source, each.target)
            else:
                connections.append(each)
        self.module.connections[:] = connections
        return [replace(cell, ports={**cell.ports, "Q": inner.get(cell.ports["Q"], cell.ports["Q"])}) for cell in flops]

    def _is_inside(self, each: Assign) -> bool:
        """Whether a connection gives an output a name that is no port."""
        wires = self.module.wires
        return wires[each.source[0].wire].direction == "output" and not wires[each.target[0].wire].direction

    def _connect(self, target: Bits, source: Bits) -> None:
        self._alias.update((one, other) for one, other in zip(target, source, strict=True) if one != other)

    def _reduce(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """A process without conditions that always hold; nothing where that leaves connections alone."""
        flat = tuple(_flat(body))
        if any(isinstance(statement, Switch) for statement in flat):
            return flat
        last: dict[Bit, Bit] = {}
        for statement in flat:
            assert isinstance(statement, Assign)
            last.update(zip(statement.target, statement.source, strict=True))
        self._connect(tuple(last), tuple(last.values()))
        return ()

    def _give_names(self) -> None:
        """Keeps the names of wires that are more than another name of one wire or of a constant. Where such a wire has
        what an operator makes, that is read by the name.
        """
        public = [wire for wire in self.module.wires.values() if not is_private(wire.name)]
        for wire in sorted(public, key=lambda wire: wire.direction != ""):
            bits = [Bit(wire.name, place) for place in range(wire.width)]
            if not any(bit in self._alias for bit in bits):
                continue
            found = [self.of(bit) for bit in bits]
            sources = {bit.wire for bit in found}
            renamed = (len(sources) == 1 and not is_private(found[0].wire)) or sources <= set(CONSTANTS)
            if wire.direction != "output" and renamed:
                continue
            for bit in bits:
                if bit in self._alias:
                    source = self._source(bit)
                    del self._alias[bit]
                    self._joined[bit] = self._named.get(source, source)
                    if is_private(source.wire):
                        self._named.setdefault(source, bit)
                    elif wire.direction == "output":
                        self._named[bit] = source

    def _resolved(self, cell: Cell) -> Cell:
        """A cell that reads what is kept; what an operator makes keeps its name."""
        ports = {name: bits if name == "Y" else tuple(map(self.of, bits)) for name, bits in cell.ports.items()}
        return replace(cell, ports=ports)

    def _merged(self, operators: list[Cell]) -> list[Cell]:
        """Operators in an order in which none reads a later one, each but once."""
        makers = {bit: number for number, cell in enumerate(operators) for bit in cell.ports["Y"]}
        order = TopologicalSorter[int]()
        for number, cell in enumerate(operators):
            read = {self._source(bit) for name, bits in cell.ports.items() if name != "Y" for bit in bits}
            read = {self._joined.get(bit, bit) for bit in read}
            order.add(number, *{makers[bit] for bit in read if bit in makers})
        known: dict[object, Bits] = {}
        kept = []
        for number in order.static_order():
            cell = self._resolved(operators[number])
            inputs = tuple((name, bits) for name, bits in cell.ports.items() if name != "Y")
            key = (cell.kind, tuple(cell.parameters.items()), inputs)
            made = cell.ports["Y"]
            if key in known and not any(bit in self._named for bit in made) and is_private(made[0].wire):
                self._connect(made, known[key])
            else:
                known.setdefault(key, made)
                kept.append(cell)
        self._joined = {bit: self._source(source) for bit, source in self._joined.items()}
        return [self._resolved(cell) for cell in kept]

    def _process(self, body: tuple[Statement, ...]) -> Process:
        return Process(tuple(dict.fromkeys(targets(body))), tuple(map(self._statement, body)))

    def _statement(self, statement: Statement) -> Statement:
        if isinstance(statement, Assign):
            return Assign(statement.target, tuple(map(self.of, statement.source)))
        cases = tuple((patterns, tuple(map(self._statement, body))) for patterns, body in statement.cases)
        return Switch(tuple(map(self.of, statement.test)), cases)

    def _registers(self, flops: list[Cell], made: list[Process]) -> tuple[list[Register], list[Process]]:
        """Registers with the statements that decide what they take, and the processes that are left."""
        by_target = {process.target: process for process in made}
        read = {bit for cell in (*self.operators, *self.instances) for name, bits in cell.ports.items()
                if name != "Y" for bit in bits}  # fmt: skip
        read |= set(self._joined.values())
        for process in made:
            read |= {*tests(process.body), *(bit for bits in _sources(process.body).values() for bit in bits)}
        found = []
        for cell in flops:
            held, taken = cell.ports["Q"], cell.ports["D"]
            decided = by_target.pop(taken, None) if read.isdisjoint(taken) else None
            if decided is None:
                found.append(Register(held, (Assign(held, tuple(map(self.of, taken))),)))
                continue
            names = dict(zip(taken, held, strict=True))
            found.append(Register(held, tuple(_about(statement, names) for statement in decided.body)))
        return found, list(by_target.values())

    def _reached(self) -> set[Bit]:
        """The bits that an output or an instance depends on."""
        held = {bit: register for register in self.registers for bit in register.held}
        taken: dict[Bit, list[Bit]] = {}
        for body in (*(each.body for each in self.registers), *(each.body for each in self.processes)):
            taken |= _sources(body)
        todo = [
            bit
            for cell in self.instances
            for name, bits in cell.ports.items()
            if name not in self._outputs[cell.kind]
            for bit in bits
        ]
        for wire in self.module.wires.values():
            if wire.direction == "output":
                todo += [Bit(wire.name, place) for place in range(wire.width)]
        found: set[Bit] = set()
        while todo:
            bit = todo.pop()
            if bit in found:
                continue
            found.add(bit)
            if bit in self._joined:
                todo.append(self._joined[bit])
            elif bit in held:
                todo += [*taken[bit], *tests(held[bit].body)]
            elif (driver := self._drivers.get(bit)) is not None:
                todo += _read(driver, taken.get(bit, ()))
        return found


def _about(statement: Statement, names: dict[Bit, Bit]) -> Statement:
    """A statement about other bits."""
    if isinstance(statement, Assign):
        return Assign(tuple(names[bit] for bit in statement.target), statement.source)
    cases = tuple((patterns, tuple(_about(each, names) for each in body)) for patterns, body in statement.cases)
    return Switch(statement.test, cases)


def _read(driver: Driver, taken: Iterable[Bit]) -> Iterator[Bit]:
    """The bits that one depends on. taken: what a process may assign to it."""
    cell, place = driver
    if isinstance(cell, Process):
        yield from taken
        yield from tests(cell.body)
        return
    for name, bits in cell.ports.items():
        if name == "Y":
            continue
        if cell.kind in BITWISE or (cell.kind == "$mux" and name != "S"):
            yield bits[min(place, len(bits) - 1)]
        elif cell.kind in LOW_BITS and (cell.kind, name) != ("$shl", "B"):
            yield from bits[: place + 1]
        else:
            yield from bits
