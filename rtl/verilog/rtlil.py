"""RTLIL text, as Amaranth writes it, as data: modules of wires, cells, processes and connections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from siliquant.inputs import VERILOG_WORDS

__all__ = [
    "VERILOG_WORDS",
    "Assign",
    "Bit",
    "Bits",
    "Cell",
    "Module",
    "Statement",
    "Switch",
    "Wire",
    "module_named",
    "parse",
]


class Bit(NamedTuple):
    """A place in a wire; the constants are the wires "0" and "1"."""

    wire: str
    place: int = 0


Bits: TypeAlias = tuple[Bit, ...]
"""The least significant first."""


@dataclass(frozen=True)
class Wire:
    """direction: "input", "output" or "". Names of public wires are identifiers, those of others begin with $."""

    name: str
    width: int
    direction: str = ""


@dataclass(frozen=True)
class Cell:
    """An operator, whose kind begins with $, or an instance of a module. ports: what is connected to each pin."""

    kind: str
    name: str
    parameters: dict[str, int]
    ports: dict[str, Bits]


@dataclass(frozen=True)
class Assign:
    """target = source, unless a later statement says otherwise."""

    target: Bits
    source: Bits


@dataclass(frozen=True)
class Switch:
    """The statements of the first case of which a pattern fits: 0, 1 and -, the highest bit first; none: any fits."""

    test: Bits
    cases: tuple[tuple[tuple[str, ...], tuple[Statement, ...]], ...]


Statement: TypeAlias = Assign | Switch


@dataclass
class Module:
    """A module. processes: statements of combinational logic, one tuple a process."""

    name: str
    wires: dict[str, Wire] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    processes: list[tuple[Statement, ...]] = field(default_factory=list)
    connections: list[Assign] = field(default_factory=list)


def module_named(module: Module, names: Mapping[str, str]) -> Module:
    """A module with other names of modules, its own among them, and of wires that have namesakes: without $NUMBER.

    Raises ValueError where a port or an instance cannot have its name in Verilog.
    """
    for each in module.wires.values():
        if each.name == "rst_n" or (each.direction and ("$" in each.name or each.name in VERILOG_WORDS)):
            raise ValueError(f"{each.name} cannot be a name in the text")
    taken = {wire for wire in module.wires if "$" not in wire} | {cell.name for cell in module.cells} | VERILOG_WORDS
    wires: dict[str, str] = {}
    for wire in module.wires:
        if "$" in wire[1:] or wire in VERILOG_WORDS:
            base, number = wire.partition("$")[0], 2
            while f"{base}_{number}" in taken:
                number += 1
            wires[wire] = f"{base}_{number}"
            taken.add(wires[wire])

    def bits(found: Bits) -> Bits:
        return tuple(Bit(wires.get(bit.wire, bit.wire), bit.place) for bit in found)

    def statement(found: Statement) -> Statement:
        if isinstance(found, Assign):
            return Assign(bits(found.target), bits(found.source))
        cases = tuple((patterns, tuple(map(statement, body))) for patterns, body in found.cases)
        return Switch(bits(found.test), cases)

    return Module(
        names[module.name],
        {wires.get(name, name): replace(wire, name=wires.get(name, name)) for name, wire in module.wires.items()},
        [
            replace(cell, kind=names.get(cell.kind, cell.kind), ports={k: bits(v) for k, v in cell.ports.items()})
            for cell in module.cells
        ],
        [tuple(map(statement, body)) for body in module.processes],
        [Assign(bits(each.target), bits(each.source)) for each in module.connections],
    )


_TOKEN = re.compile(r"\{|\}|\[\d+(?::\d+)?\]|\d+'[01-]*|[\\$]\S+|\S+")


def parse(text: str) -> Iterator[Module]:
    """The modules of a text. Raises ValueError for a line that Amaranth does not write."""
    lines = [line for line in map(str.split, text.splitlines()) if line and line[0] != "attribute"]
    return _Parser([" ".join(line) for line in lines]).modules()


class _Parser:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._module = Module("")

    def modules(self) -> Iterator[Module]:
        while self._at < len(self._lines):
            yield self._one_module()

    def _next(self) -> tuple[str, str]:
        """The first word of the next line, and its rest."""
        word, _, rest = self._lines[self._at].partition(" ")
        self._at += 1
        return word, rest

    def _one_module(self) -> Module:
        word, rest = self._next()
        if word != "module":
            raise ValueError(f"expected a module, not {word} {rest}")
        self._module = module = Module(rest.removeprefix("\\"))
        while (line := self._next())[0] != "end":
            word, rest = line
            match word:
                case "wire":
                    self._wire(rest)
                case "cell":
                    self._cell(*rest.split(" "))
                case "process":
                    module.processes.append(self._statements())
                    self._next()
                case "connect":
                    module.connections.append(self._assign(rest))
                case _:
                    raise ValueError(f"cannot read the line: {word} {rest}")
        return module

    def _wire(self, rest: str) -> None:
        *options, name = rest.replace("signed ", "").split(" ")
        width, direction = 1, ""
        for option, value in zip(options[::2], options[1::2], strict=True):
            if option == "width":
                width = int(value)
            elif option in ("input", "output"):
                direction = option
        name = name.removeprefix("\\")
        self._module.wires[name] = Wire(name, width, direction)

    def _cell(self, kind: str, name: str) -> None:
        cell = Cell(kind.removeprefix("\\"), name.removeprefix("\\"), {}, {})
        while (line := self._next())[0] != "end":
            word, rest = line
            port, _, value = rest.partition(" ")
            if word == "parameter":
                cell.parameters[port.removeprefix("\\")] = _number(value)
            else:
                cell.ports[port.removeprefix("\\")] = self._bits(value)
        self._module.cells.append(cell)

    def _statements(self) -> tuple[Statement, ...]:
        """Those up to the next case or end, which is left."""
        found: list[Statement] = []
        while self._lines[self._at].split(" ")[0] not in ("case", "end"):
            word, rest = self._next()
            if word == "assign":
                found.append(self._assign(rest))
            elif word == "switch":
                found.append(self._switch(rest))
            else:
                raise ValueError(f"cannot read the line: {word} {rest}")
        return tuple(found)

    def _switch(self, rest: str) -> Switch:
        cases = []
        while (line := self._next())[0] != "end":
            patterns = tuple(pattern.partition("'")[2] for pattern in line[1].split(", ") if pattern)
            cases.append((patterns, self._statements()))
        return Switch(self._bits(rest), tuple(cases))

    def _assign(self, rest: str) -> Assign:
        tokens = _TOKEN.findall(rest)
        target, end = self._one(tokens, 0)
        source, _ = self._one(tokens, end)
        return Assign(target, source)

    def _bits(self, text: str) -> Bits:
        return self._one(_TOKEN.findall(text), 0)[0]

    def _one(self, tokens: list[str], at: int) -> tuple[Bits, int]:
        """The signal that begins at a token, and where the next one begins."""
        token = tokens[at]
        if token == "{":
            parts: list[Bits] = []
            at += 1
            while tokens[at] != "}":
                part, at = self._one(tokens, at)
                parts.append(part)
            return tuple(bit for part in reversed(parts) for bit in part), at + 1
        if "'" in token and token[0].isdigit():
            return tuple(Bit(each) for each in reversed(token.partition("'")[2])), at + 1
        name = token.removeprefix("\\")
        low, high = 0, self._module.wires[name].width - 1
        if at + 1 < len(tokens) and tokens[at + 1].startswith("["):
            first, _, second = tokens[at + 1][1:-1].partition(":")
            high, low = int(first), int(second or first)
            at += 1
        return tuple(Bit(name, place) for place in range(low, high + 1)), at + 1


def _number(text: str) -> int:
    """A parameter."""
    return int(text.partition("'")[2], 2) if "'" in text else int(text)
