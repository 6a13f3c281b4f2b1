"""A gate-level module as Yosys' JSON has it, with the few edits the flow makes between two passes.

A bit is an integer (a net) or one of "0", "1", "x"; a cell maps each pin to a list of bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Bit = int | str


class Gates:
    """One flat module.  Edits keep `driver` and `sinks` up to date; `module` is the JSON to give back."""

    def __init__(self, module: dict[str, Any], output_pins: Mapping[str, Sequence[str]]) -> None:
        """output_pins: the output pins of cell types that the JSON gives no directions for."""
        self.module = module
        self.cells: dict[str, dict[str, Any]] = module["cells"]
        for cell in self.cells.values():
            if "port_directions" not in cell:
                outputs = output_pins[cell["type"]]
                pins = cell["connections"]
                cell["port_directions"] = {pin: "output" if pin in outputs else "input" for pin in pins}
        self.driver: dict[Bit, tuple[str, str]] = {}
        self.sinks: defaultdict[Bit, dict[tuple[str, str, int], None]] = defaultdict(dict)
        self.output_bits: set[Bit] = set()
        self._count = 0
        self._last_bit = 1
        for bits in self._all_bits():
            self._last_bit = max([self._last_bit, *(bit for bit in bits if isinstance(bit, int))])
        for port in module["ports"].values():
            if port["direction"] != "input":
                self.output_bits.update(port["bits"])
        for name in self.cells:
            self._connect(name)

    def _all_bits(self) -> Iterator[list[Bit]]:
        for port in self.module["ports"].values():
            yield port["bits"]
        for net in self.module["netnames"].values():
            yield net["bits"]
        for cell in self.cells.values():
            yield from cell["connections"].values()

    def _connect(self, name: str) -> None:
        cell = self.cells[name]
        for pin, bits in cell["connections"].items():
            for index, bit in enumerate(bits):
                if not isinstance(bit, int):
                    continue
                if cell["port_directions"].get(pin) == "output":
                    self.driver[bit] = (name, pin)
                else:
                    self.sinks[bit][(name, pin, index)] = None

    def of_type(self, kind: str) -> list[str]:
        """The names of the cells of one type, in the module's order."""
        return [name for name, cell in self.cells.items() if cell["type"] == kind]

    def pin(self, name: str, pin: str) -> Bit | None:
        """The bit at a one-bit pin, None when nothing is connected."""
        bits = self.cells[name]["connections"].get(pin, [])
        return bits[0] if bits else None

    def new_bit(self) -> int:
        """A net not used before."""
        self._last_bit += 1
        return self._last_bit

    def add(self, kind: str, inputs: dict[str, Bit], outputs: dict[str, Bit], name: str | None = None) -> str:
        """Add a cell of one-bit pins; its name is made up when not given."""
        while name is None or name in self.cells:
            self._count += 1
            name = f"$siliquant${self._count}"
        self.cells[name] = {
            "hide_name": 0,
            "type": kind,
            "parameters": {},
            "attributes": {},
            "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
            "connections": {pin: [bit] for pin, bit in (inputs | outputs).items()},
        }
        self._connect(name)
        return name

    def gate(self, kind: str, a: Bit, b: Bit | None = None, out: Bit | None = None) -> Bit:
        """Add $_NOT_, or a two-input gate such as $_AND_, and return its output bit."""
        out = self.new_bit() if out is None else out
        self.add(kind, {"A": a} if b is None else {"A": a, "B": b}, {"Y": out})
        return out

    def remove(self, name: str) -> None:
        """Remove a cell; the nets it drove have no driver then."""
        cell = self.cells.pop(name)
        for pin, bits in cell["connections"].items():
            for index, bit in enumerate(bits):
                self.sinks[bit].pop((name, pin, index), None)
                if self.driver.get(bit) == (name, pin):
                    del self.driver[bit]

    def connect(self, name: str, pin: str, bit: Bit, index: int = 0) -> None:
        """Connect an input pin's bit to another net."""
        bits = self.cells[name]["connections"][pin]
        self.sinks[bits[index]].pop((name, pin, index), None)
        bits[index] = bit
        if isinstance(bit, int):
            self.sinks[bit][(name, pin, index)] = None

    def rename(self, names: dict[str, str]) -> None:
        """Give cells new names, all at once; the order of the cells stays."""
        cells = [(names.get(name, name), cell) for name, cell in self.cells.items()]
        self.cells.clear()
        self.cells.update(cells)
        self.driver = {bit: (names.get(cell, cell), pin) for bit, (cell, pin) in self.driver.items()}
        for bit, readers in self.sinks.items():
            self.sinks[bit] = {(names.get(cell, cell), pin, index): None for cell, pin, index in readers}

    def is_used(self, bit: Bit | None) -> bool:
        """True when a cell or an output port reads the bit."""
        return bit is not None and (bit in self.output_bits or bool(self.sinks.get(bit)))

    def replace(self, old: Bit, new: Bit) -> None:
        """Let everything that reads `old` read `new`; names and output ports of `old` become `new`'s."""
        for name, pin, index in list(self.sinks.get(old, {})):
            self.connect(name, pin, new, index)
        for holder in (*self.module["ports"].values(), *self.module["netnames"].values()):
            holder["bits"] = [new if bit == old else bit for bit in holder["bits"]]
        if old in self.output_bits:
            self.output_bits.discard(old)
            self.output_bits.add(new)
