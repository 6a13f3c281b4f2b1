"""Modules of Verilog that a user brings: what they declare, what drives it, and what they instantiate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from siliquant.inputs import InputError

__all__ = [
    "Chosen",
    "Driver",
    "Instance",
    "Pin",
    "SourceModule",
    "Target",
    "Token",
    "check_drivers",
    "check_once",
    "drive",
]

Part: TypeAlias = tuple[int, int] | None
"""The lowest and the highest bit that is driven; None: any of the word."""
Target: TypeAlias = tuple[str, Part, int]
"""What is assigned to, and in which line."""


class Token(NamedTuple):
    """A word, number or symbol. kind: which of them. line: from 1."""

    text: str
    kind: str
    line: int


@dataclass(frozen=True)
class Driver:
    """What drives bits of a word. origin: equal for what is one driver, such as the statements of an always block."""

    part: Part
    line: int
    origin: int


class Pin(NamedTuple):
    """A pin of an instance. targets: what is driven where it is an output; None: what is connected can be driven by
    nothing, as an operation or a number.
    """

    line: int
    targets: Sequence[Target] | None


@dataclass(frozen=True)
class Instance:
    """An instance in a module. parameters: numbers that it gives, pins: what is connected, by name."""

    name: str
    module: str
    line: int
    parameters: Mapping[str, int]
    pins: Mapping[str, Pin]


@dataclass
class SourceModule:
    """A module of the file, filled while it is read. outputs, inputs, registers: lines by name; words: of all that it
    declares. parameters: their values by name. widths: of ports, wires and registers, a number or the parameter that it
    is; scalars: the names of those without a range; memories: of registers that are memories. drivers: by name, what
    drives which bits, and in which line. instances: by name. origins: how many assignments, blocks and pins were seen,
    which numbers the next one.
    """

    name: str
    line: int
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int | str] = field(default_factory=dict)
    scalars: set[str] = field(default_factory=set)
    memories: set[str] = field(default_factory=set)
    registers: dict[str, int] = field(default_factory=dict)
    drivers: dict[str, list[Driver]] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    origins: int = 0


def drive(module: SourceModule, targets: Sequence[Target], *, register: bool) -> None:
    """Notes what drives words: a register is driven by an always block, every other word by an assignment or a pin."""
    origin = module.origins
    module.origins += max(len(targets), 1)
    for place, (name, part, line) in enumerate(targets):
        if (name in module.registers) != register:
            raise InputError(
                f"{name} must be a {'reg' if register else 'wire'} to be assigned to here", place=f"line {line}"
            )
        # Within an always block a later statement is the one that counts.
        made = Driver(part, line, origin if register else origin + place)
        module.drivers.setdefault(name, []).append(made)


def check_once(targets: Sequence[Target]) -> None:
    """No bit stands twice in what one statement assigns to: tools do not agree on which of its values counts."""
    for place, (name, part, line) in enumerate(targets):
        for other, earlier, _ in targets[:place]:
            one, two = Driver(part, line, 0), Driver(earlier, line, 0)
            if other == name and _low(one) <= _high(two) and _low(two) <= _high(one):
                raise InputError(f"no bit of {name} must be assigned to twice in a statement", place=f"line {line}")


class Chosen:
    """Bits that the choices of a list of statements, each an if or a case, assign to. What assigns to them behind it
    overrides it, whatever was chosen; Yosys 0.70 lets the choice win where both stand in a branch of another one.
    """

    def __init__(self) -> None:
        self._bits: dict[str, tuple[int, int]] = {}  # by name: a mask, and the line of the last choice

    def add(self, targets: Sequence[Target]) -> None:
        """Notes what a choice assigns to."""
        for name, part, line in targets:
            self._bits[name] = self._bits.get(name, (0, 0))[0] | _mask(part), line

    def check(self, targets: Sequence[Target]) -> None:
        """Raises InputError where a statement that is no choice assigns to such a bit."""
        for name, part, line in targets:
            bits, before = self._bits.get(name, (0, 0))
            if bits & _mask(part):
                raise InputError(
                    f"{name} must not be assigned to behind the if or case that assigns to it in line {before}: which "
                    "of the two counts depends on the tool",
                    place=f"line {line}",
                )


def _mask(part: Part) -> int:
    return -1 if part is None else (1 << part[1] + 1) - (1 << part[0])


def check_drivers(module: SourceModule) -> None:
    """No bit has two drivers."""
    for name, drivers in module.drivers.items():
        last: Driver | None = None
        for driver in sorted(drivers, key=lambda each: each.part or (0, sys.maxsize)):
            if last is not None and driver.origin != last.origin and _low(driver) <= _high(last):
                first, second = sorted((driver.line, last.line))
                raise InputError(
                    f"{name} must have one driver, and is driven in line {first}, too", place=f"line {second}"
                )
            if last is None or _high(driver) > _high(last):
                last = driver


def _low(driver: Driver) -> int:
    return 0 if driver.part is None else driver.part[0]


def _high(driver: Driver) -> int:
    return sys.maxsize if driver.part is None else driver.part[1]
