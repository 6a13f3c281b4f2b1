"""A module of Verilog as the terms of a solver: what its registers take and its outputs are, one cycle on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from siliquant.files import scratch
from siliquant.processes import TEMPORARY_HERE, module_command, run_program
from sim.simulators import Cell, Net, ProofError, Signals, ToolError, line_of, plain_verilog, yosys_said

from .terms import Fact, Terms, Word

__all__ = ["Transition", "read_modules", "transition_of"]

_ARITHMETIC: Mapping[str, Callable[[Word, Word], Word]] = {
    "$add": lambda a, b: a + b,
    "$sub": lambda a, b: a - b,
    "$mul": lambda a, b: a * b,
    "$and": lambda a, b: a & b,
    "$or": lambda a, b: a | b,
    "$xor": lambda a, b: a ^ b,
    "$shl": lambda a, b: a << b,
}
_COMPARISONS: Mapping[str, Callable[[Word, Word], Fact]] = {
    "$eq": lambda a, b: a.same(b),
    "$ne": lambda a, b: ~a.same(b),
    "$lt": lambda a, b: a < b,
    "$le": lambda a, b: a <= b,
    "$gt": lambda a, b: b < a,
    "$ge": lambda a, b: b <= a,
}
_TESTS: Mapping[str, Callable[..., Fact]] = {
    "$logic_not": lambda a: ~a.holds,
    "$reduce_bool": lambda a: a.holds,
    "$reduce_or": lambda a: a.holds,
    "$logic_and": lambda a, b: a.holds & b.holds,
    "$logic_or": lambda a, b: a.holds | b.holds,
}


class Words(dict[str, Word]):
    """Words by name. ProofError for a name that is not there."""

    def __init__(self, kind: str, words: Mapping[str, Word]) -> None:
        super().__init__(words)
        self._kind = kind

    def __missing__(self, name: str) -> Word:
        raise ProofError(f"the Verilog has no {self._kind} {name}")


@dataclass(frozen=True)
class Transition:
    """registers, inputs: words that may be anything. taken: what each register holds a cycle later. outputs: now.

    A word is there under each of its names.
    """

    registers: Mapping[str, Word]
    inputs: Mapping[str, Word]
    taken: Mapping[str, Word]
    outputs: Mapping[str, Word]

    def after(self, terms: Terms, registers: Mapping[str, Word], inputs: Mapping[str, Word]) -> dict[str, Word]:
        """What the registers hold a cycle after they held these, with these inputs."""
        return terms.replaced(self.taken, self._pairs(registers, inputs))

    def shown(self, terms: Terms, registers: Mapping[str, Word], inputs: Mapping[str, Word]) -> dict[str, Word]:
        """The outputs where the registers hold these, with these inputs."""
        return terms.replaced(self.outputs, self._pairs(registers, inputs))

    def _pairs(self, registers: Mapping[str, Word], inputs: Mapping[str, Word]) -> list[tuple[Word, Word]]:
        pairs = [(word, registers[name]) for name, word in self.registers.items()]
        return pairs + [(word, inputs[name]) for name, word in self.inputs.items()]


def read_modules(verilog: str, top: str) -> dict[str, Any]:
    """The module ``top`` and all that are instantiated below it, as Yosys writes them in JSON. Raises ToolError where
    Yosys cannot read them.
    """
    with scratch("controller") as folder:
        (folder / "design.v").write_text(plain_verilog(verilog))
        command = module_command("sim.controllers.worker", top)
        done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
        if done.returncode != 0:
            raise ToolError(f"Yosys could not read {top}: {yosys_said(done.stderr or done.stdout)}")
        found: dict[str, Any] = json.loads((folder / "design.json").read_text())["modules"]
    return found


def transition_of(name: str, module: Mapping[str, Any], terms: Terms, nameless: str = "") -> Transition:
    """The transition of a module as Yosys writes it in JSON. Raises ProofError for one that
    has what no controller has.

    nameless: of a register that has no name, since a mutant has a gate between it and its name.
    """
    return _Reader(name, module, terms, nameless).transition()


class _Reader:
    """Terms of a netlist of words, each made once."""

    def __init__(self, name: str, module: Mapping[str, Any], terms: Terms, nameless: str = "") -> None:
        self._name, self._module, self._terms, self._nameless = name, module, terms, nameless
        self._signals = Signals(module, f"{name}: ")
        self._words: list[Word] = []  # of registers, inputs and cells
        self._places: dict[Net, tuple[int | str, int]] = {"0": ("0", 0), "1": ("1", 0)}  # of known nets, in these

    def transition(self) -> Transition:
        ports = self._module["ports"]
        inputs = {name: self._free(name, port["bits"]) for name, port in ports.items() if port["direction"] == "input"}
        clock = ports["clk"]["bits"] if "clk" in ports else None
        registers: dict[str, Word] = {}
        taken: dict[str, Sequence[Net]] = {}
        for cell in self._module["cells"].values():
            if cell["type"] != "$dff":
                if "Y" not in cell["connections"] or not cell["type"].startswith("$") or "$paramod" in cell["type"]:
                    raise ProofError(
                        f"{self._name}{line_of(cell)}: a controller has no instances, latches, memories or registers "
                        "with another reset"
                    )
                self._signals.drive(cell["connections"]["Y"], cell)
                continue
            if cell["connections"]["CLK"] != clock or int(cell["parameters"]["CLK_POLARITY"], 2) != 1:
                raise ProofError(
                    f"{self._name}{line_of(cell)}: every register must take its value at the rising edge of clk"
                )
            held = cell["connections"]["Q"]
            names = self._called(held) or ([self._nameless] if self._nameless else [])
            if not names or names[0] in registers:
                raise ProofError(f"{self._name}: register {self._signals.called(held[0])} must be one word")
            word = self._free(names[0], held)
            registers |= dict.fromkeys(names, word)
            taken |= dict.fromkeys(names, cell["connections"]["D"])
        outputs = {
            name: self._word(port["bits"])
            for port in ports.values()
            if port["direction"] == "output" and port["bits"]
            for name in self._called(port["bits"])
        }
        return Transition(
            Words("register", registers),
            Words("input", inputs),
            Words("register", {name: self._word(bits) for name, bits in taken.items()}),
            Words("output", outputs),
        )

    def _called(self, bits: Sequence[Net]) -> list[str]:
        """Every name of a word."""
        named = self._module["netnames"].items()
        return [name for name, each in named if each["bits"] == bits and not each.get("hide_name")]

    def _free(self, name: str, bits: Sequence[Net]) -> Word:
        self._signals.drive(bits)
        word = self._terms.free(f"{self._name}.{name}", len(bits))
        self._keep(word, bits)
        return word

    def _keep(self, word: Word, bits: Sequence[Net]) -> None:
        self._places |= {bit: (len(self._words), place) for place, bit in enumerate(bits)}
        self._words.append(word)

    def _word(self, bits: Sequence[Net]) -> Word:
        """The term of some bits, the lowest first: parts of words stay together."""
        for cell in self._signals.needed(bits, self._places):
            self._keep(self._cell(cell), cell["connections"]["Y"])
        parts = []
        places = [self._places[bit] for bit in bits]
        for (source, _), run in groupby(enumerate(places), lambda item: (item[1][0], item[1][1] - item[0])):
            run_places = [place for _, (_, place) in run]
            if isinstance(source, str):
                parts.append(self._terms.number(int(source), 1))
                continue
            parts.append(self._terms.part(self._words[source], run_places[0], len(run_places)))
        return self._terms.joined(parts)

    def _cell(self, cell: Cell) -> Word:
        kind, pins = cell["type"], cell["connections"]
        width = len(pins["Y"])
        signed = any(int(cell["parameters"].get(f"{pin}_SIGNED", "0"), 2) for pin in "AB")
        if signed:
            raise ProofError(f"{self._name}{line_of(cell)}: a controller has no operation on signed words")
        if kind == "$mux":
            return self._word(pins["S"]).holds.choose(self._word(pins["B"]), self._word(pins["A"]))
        words = [self._word(pins[pin]) for pin in "AB" if pin in pins]
        if kind == "$not":
            return ~words[0].extended(width)
        if kind == "$xnor":
            return ~(words[0].extended(width) ^ words[1].extended(width))
        if kind in _ARITHMETIC:
            wide = max(width, words[1].width) if kind == "$shl" else width
            return _ARITHMETIC[kind](words[0].extended(wide), words[1].extended(wide)).extended(width)
        if kind in _COMPARISONS:
            return self._terms.as_word(_COMPARISONS[kind](*words)).extended(width)
        if kind in _TESTS:
            return self._terms.as_word(_TESTS[kind](*words)).extended(width)
        raise ProofError(f"{self._name}{line_of(cell)}: an operation is none that a controller has")
