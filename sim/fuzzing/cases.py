"""What one run of the fuzzer does: a design and what happens at its ports, as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from rtl.mac import DESIGNS
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError, json_object, listing, short

__all__ = ["ENGINES", "UNITS", "Action", "Case", "Fault", "Spec", "case_from_text", "spec_of"]

Spec: TypeAlias = MacSpec | LoadableSpec
UNITS: tuple[type[LoadableSpec], ...] = (ThresholdSpec, MultiplierSpec, PartialSumSpec)
ENGINES = ("graph", "icarus", "verilator", "netlist")
"""What computes: the graph of gates, the Verilog in two simulators, and its netlist in one."""
ACTIONS = ("part", "idle", "reset", "load", "stray", "enter")
_MOST_ACTIONS = 100_000


@dataclass(frozen=True)
class Action:
    """One thing that happens at the ports.

    kind: "part" (products of one precision, one step after the other; ``begins`` a sum), "idle" (cycles without
    operands), "reset" (cycles), "load" (a parameter set of a requantiser), "stray" (cycles in which a set is loaded
    that is not there) or "enter" (an accumulator of one). numbers: weights, then activations, of a part; one number of
    cycles; the set and its parameters; the set and the accumulator, and of partial sums whether it is the first and the
    last. precision: of a part.
    """

    kind: str
    numbers: tuple[int, ...]
    precision: str = ""
    begins: bool = False

    @property
    def cycles(self) -> int:
        """Of "idle", "reset" and "stray"."""
        return self.numbers[0]


@dataclass(frozen=True)
class Case:
    """A design, and actions. junk: seed of what is on ports that are not valid."""

    design: str
    parameters: Mapping[str, Any]
    actions: tuple[Action, ...]
    junk: int = 0

    @property
    def spec(self) -> Spec:
        """The design. Raises ValueError where there is none of that name or with these parameters."""
        return spec_of(self.design, self.parameters)

    def text(self, **more: Any) -> str:
        """As JSON; ``more`` is noted beside it."""
        actions = [
            [each.kind, list(each.numbers), *([each.precision, each.begins] if each.precision else [])]
            for each in self.actions
        ]
        parameters = {name: list(v) if isinstance(v, tuple) else v for name, v in self.parameters.items()}
        head = {**more, "design": self.design, "parameters": parameters, "junk": self.junk}
        lines = ",\n".join(json.dumps(action) for action in actions)
        return f'{json.dumps(head, indent=1)[:-2]},\n "actions": [\n{lines}\n]}}\n'


@dataclass(frozen=True)
class Fault:
    """What an engine did wrong: in which cycle, in words."""

    engine: str
    sentence: str


def spec_of(design: str, parameters: Mapping[str, Any]) -> Spec:
    """The design of a name with these parameters. Raises ValueError and TypeError as designs do."""
    every: tuple[type[Spec], ...] = (*DESIGNS, *UNITS)
    for known in every:
        if known.design == design:
            names = {item.name for item in fields(known)}
            if unknown := sorted(parameters.keys() - names):
                raise InputError(f"parameters of {design} must be {listing(sorted(names))}, not {unknown[0]!r}")
            given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in parameters.items()}
            return known(**given)
    known_names = ", ".join(known.design for known in every)
    raise InputError(f"design must be one of {known_names}, not {short(design)}")


def case_from_text(text: str) -> Case:
    """What :meth:`Case.text` wrote. Raises InputError for anything else."""
    data = json_object(text)
    for name, kind in (("design", str), ("parameters", dict), ("junk", int), ("actions", list)):
        if not isinstance(data.get(name), kind):
            raise InputError(f"{name} must be there, and be a {kind.__name__}")
    if len(data["actions"]) > _MOST_ACTIONS:
        raise InputError(f"actions must be at most {_MOST_ACTIONS}, not {len(data['actions'])}")
    return Case(data["design"], data["parameters"], tuple(_actions(data["actions"])), data["junk"])


def _actions(given: Sequence[Any]) -> Iterator[Action]:
    for place, each in enumerate(given):
        right = (
            isinstance(each, list)
            and len(each) in (2, 4)
            and each[0] in ACTIONS
            and isinstance(each[1], list)
            and all(type(number) is int for number in each[1])
        )
        if not right or (len(each) == 4 and not (isinstance(each[2], str) and isinstance(each[3], bool))):
            raise InputError(f"action {place} must be [kind, numbers] or [kind, numbers, precision, begins]")
        yield Action(each[0], tuple(each[1]), *each[2:])
