"""The signals of a module that Yosys wrote in JSON: what drives each, what it is called, and what must be known first.

Also its ports, compared with those that it should have.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from .netlists import line_of

__all__ = ["Cell", "Name", "Net", "PortShapes", "ProofError", "Signals", "port_fault", "ports_of"]

Net: TypeAlias = int | str
"""A net of Yosys' JSON: a number, or a constant as text."""
Name: TypeAlias = tuple[str, int]
"""A bit of a register, a port or a wire."""
Cell: TypeAlias = Mapping[str, Any]
PortShapes: TypeAlias = Mapping[str, tuple[int, bool]]
"""Bits of ports by name, and whether each is an input."""


class ProofError(Exception):
    """A step of an argument does not hold."""


class Signals:
    """said: the beginning of all messages. Every ProofError names a signal, with the line that declares it."""

    def __init__(self, module: Cell, said: str = "") -> None:
        self._said = said
        self._netnames: Mapping[str, Any] = module["netnames"]
        self._drivers: dict[Net, Cell | None] = {}
        self._names: dict[Net, list[Name]] = {}
        public = (each for each, entry in self._netnames.items() if not entry.get("hide_name"))
        for each in sorted(public, key=lambda each: (each in module["ports"], each)):
            for place, net in enumerate(self._netnames[each]["bits"]):
                self._names.setdefault(net, []).append((each, place))

    def names_of(self, net: Net) -> Sequence[Name]:
        """All names of a net, those that are no ports first."""
        return self._names.get(net, ())

    def shown(self, name: Name) -> str:
        """A bit, with the line that declares it, for a message."""
        return f"{name[0]}[{name[1]}]{line_of(self._netnames.get(name[0], {}))}"

    def called(self, net: Net) -> str:
        """The same of a net; of one without a name the line of what drives it."""
        names = self.names_of(net)
        return self.shown(names[0]) if names else f"a signal{line_of(self._drivers.get(net) or {})}"

    def drive(self, nets: Sequence[Net], cell: Cell | None = None) -> None:
        """Notes what drives some nets: a cell, or with None what is known from the start. Raises ProofError for a net
        that something else drives, too.
        """
        for net in nets:
            if isinstance(net, str) or net in self._drivers:
                raise ProofError(f"{self._said}{self.called(net)} has more than one driver")
            self._drivers[net] = cell

    def needed(self, nets: Sequence[Net], known: Container[Net]) -> Iterator[Cell]:
        """The cells that some nets depend on, each after those that it depends on, without recursion. Whoever takes a
        cell makes its outputs known before the next. Raises ProofError for what depends on itself, on x, or on nothing.
        """
        waiting, begun = [*nets], set[Net]()
        while waiting:
            last = waiting[-1]
            if last in known:
                waiting.pop()
                continue
            cell = self._driver(last)
            lacking = [each for each in _inputs_of(cell) if each not in known]
            if not lacking:
                yield cell
            elif last in begun:
                raise ProofError(f"{self._said}{self.called(last)} depends on itself")
            else:
                begun.add(last)
                waiting += lacking

    def _driver(self, net: Net) -> Cell:
        if isinstance(net, str):
            raise ProofError(f"{self._said}a signal is {net}, which is neither 0 nor 1")
        cell = self._drivers.get(net)
        if cell is None:
            raise ProofError(f"{self._said}nothing drives {self.called(net)}")
        return cell


def _inputs_of(cell: Cell) -> Iterator[Net]:
    for pin, nets in cell["connections"].items():
        if cell["port_directions"][pin] != "output":
            yield from nets


def ports_of(module: Cell) -> PortShapes:
    """The ports of a module."""
    return {name: (len(port["bits"]), port["direction"] == "input") for name, port in module["ports"].items()}


def port_fault(found: PortShapes, wanted: PortShapes, why: str) -> tuple[str, str] | None:
    """The first port that is not as it should be, and a sentence about it; None where all are. why: in that sentence,
    says who wants them.
    """
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            return name, f"port {name} must be {_said(wanted.get(name))}, {why}, not {_said(found.get(name))}"
    return None


def _said(port: tuple[int, bool] | None) -> str:
    if port is None:
        return "missing"
    return f"an {'input' if port[1] else 'output'} of {port[0]} bit{'s' if port[0] > 1 else ''}"
