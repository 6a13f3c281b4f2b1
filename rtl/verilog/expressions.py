"""Verilog expressions of bits, each exactly as wide as it is read: no operand is extended or cut without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from siliquant.inputs import VERILOG_WORDS

from .nets import BITWISE, CONSTANTS, LOW_BITS, Nets, is_private
from .rtlil import Assign, Bit, Bits, Cell, Statement

__all__ = ["Expressions", "constant"]

_BINARY = {
    "$and": "&", "$or": "|", "$xor": "^", "$add": "+", "$sub": "-", "$mul": "*", "$shl": "<<", "$shr": ">>",
    "$eq": "==", "$ne": "!=", "$lt": "<", "$le": "<=", "$gt": ">", "$ge": ">=",
}  # fmt: skip
_COMPARISONS = ("$eq", "$ne", "$lt", "$le", "$gt", "$ge")
_LANES = (*BITWISE, "$mux")
"""Operators of which a bit depends on that place of their operands alone."""
_REDUCTIONS = {"$reduce_or": "|", "$reduce_bool": "|", "$reduce_and": "&", "$reduce_xor": "^"}
_WORDS = {
    "$and": "and", "$or": "or", "$xor": "xor", "$not": "not", "$mux": "mux", "$add": "plus", "$sub": "minus",
    "$mul": "times", "$shl": "shifted", "$shr": "shifted", "$neg": "negated", "$eq": "equal", "$ne": "differs",
    "$lt": "below", "$le": "at_most", "$gt": "above", "$ge": "at_least", "$reduce_or": "any", "$reduce_bool": "any",
    "$reduce_and": "all", "$reduce_xor": "parity",
}  # fmt: skip


def constant(value: int, width: int) -> str:
    """A number as wide as it says.

    >>> constant(5, 4), constant(1, 1), constant(1 << 40, 41)
    ("4'd5", "1'b1", "41'h10000000000")
    """
    if width == 1:
        return f"1'b{value}"
    return f"{width}'d{value}" if value < 1 << 31 else f"{width}'h{value:x}"


@dataclass(frozen=True)
class _Part:
    """A part of a word. plain: it needs no brackets beside an operator."""

    text: str
    width: int
    plain: bool = True


class Expressions:
    """Expressions of the bits of a module.

    An operator is written where it is read; one that is read more than once, or in parts that cannot be written so, is
    a wire of its own (``wires``), named after the first thing that needs it.
    """

    def __init__(self, nets: Nets) -> None:
        self._nets = nets
        self._taken = {wire for wire in nets.module.wires if not is_private(wire)} | VERILOG_WORDS | {"rst_n"}
        for cell in nets.instances:
            self._taken |= {cell.name, *(f"{cell.name}_{pin}" for pin in cell.ports)}
        self._names: dict[str, str] = {}
        self._widths: dict[str, int] = {}
        self._driven = {bit.wire for cell in nets.instances for bits in nets.driven(cell).values() for bit in bits}
        self.wires: dict[str, Cell] = {}
        for process in nets.processes:
            if is_private(process.target[0].wire):
                self._names[process.target[0].wire] = self._free("chosen")
        self._name_shared()

    def name(self, wire: str) -> str:
        """The name of a wire in the text."""
        return self._names.get(wire, wire)

    def width(self, wire: str) -> int:
        """Bits of a wire that are declared: those above the highest that is read are not."""
        if wire not in self._widths:
            declared = self._nets.module.wires[wire]
            width = declared.width
            while width and not (declared.direction or wire in self._driven or Bit(wire, width - 1) in self._nets.live):
                width -= 1
            self._widths[wire] = width
        return self._widths[wire]

    def word(self, bits: Bits) -> str:
        """A word of these bits; 0 for none."""
        if not bits:
            return constant(0, 1)
        return self._joined(list(self._parts(bits))).text

    def operand(self, bits: Bits) -> str:
        """A word that may stand beside an operator."""
        if not bits:
            return constant(0, 1)
        part = self._joined(list(self._parts(bits)))
        return part.text if part.plain else f"({part.text})"

    def definition(self, wire: str) -> str:
        """What a wire is that has a name, by what drives it or by what it is connected to."""
        width = self.width(wire)
        bits = self._nets.outer(wire)[:width]
        made = self._nets.driver(bits[0])
        if made is not None and isinstance(made[0], Cell) and made[0].ports["Y"][:width] == bits:
            if bits[0].wire in self.wires:  # other things read it, too
                return self.word(bits)
            return self._operator(made[0], 0, width).text
        live = [bit if Bit(wire, place) in self._nets.live else Bit("0") for place, bit in enumerate(bits)]
        return self.word(tuple(live))

    def operator(self, cell: Cell, width: int) -> str:
        """The lowest bits of what an operator makes."""
        return self._operator(cell, 0, width).text

    def _name_shared(self) -> None:
        """Gives wires to the operators that cannot be written where they are read."""
        refs: Counter[int] = Counter()
        broken: set[int] = set()
        sinks: dict[int, str] = {}
        cells: dict[int, Cell] = {}
        numbers = {id(cell): number for number, cell in enumerate(self._nets.operators)}

        def see(sink: str, bits: Bits) -> None:
            spans: dict[int, list[int]] = {}
            for bit in bits:
                made = self._nets.driver(bit) if is_private(bit.wire) else None
                if made is not None and isinstance(made[0], Cell):
                    number = numbers[id(made[0])]
                    cells[number] = made[0]
                    spans.setdefault(number, []).append(made[1])
            for number, places in spans.items():
                cell = cells[number]
                refs[number] += 1
                sinks.setdefault(number, sink)
                straight = places == list(range(places[0], places[0] + len(places)))
                whole = len(places) == len(cell.ports["Y"])
                fits = straight and (cell.kind in _LANES or (places[0] == 0 and (cell.kind in LOW_BITS or whole)))
                if not fits:
                    broken.add(number)

        for sink, bits in self._roots():
            see(sink, bits)
        for cell in reversed(self._nets.operators):
            number, made = numbers[id(cell)], cell.ports["Y"]
            if not any(bit in self._nets.live for bit in made):
                continue
            sink = sinks.get(number, made[0].wire)
            if is_private(made[0].wire) and (number in broken or (refs[number] > 1 and cell.kind != "$not")):
                sink = self._own(cell, sink)
            elif not is_private(made[0].wire):
                sink = made[0].wire
            for _ in range(max(refs[number], 1) if cell.kind == "$not" else 1):
                for _, bits in self._operands(cell):
                    see(sink, bits)

    def _own(self, cell: Cell, sink: str) -> str:
        wire = cell.ports["Y"][0].wire
        self._names[wire] = text = self._free(f"{sink}_{_WORDS.get(cell.kind, 'made')}")
        self.wires[wire] = cell
        return text

    def _free(self, text: str) -> str:
        """A new name."""
        free, number = text, 2
        while free in self._taken:
            free, number = f"{text}_{number}", number + 1
        self._taken.add(free)
        return free

    def _roots(self) -> Iterator[tuple[str, Bits]]:
        """What is read by something else than an operator, and what reads it."""
        nets = self._nets
        for wire in nets.module.wires:
            if not is_private(wire) and (bits := nets.outer(wire)) != tuple(Bit(wire, k) for k in range(len(bits))):
                yield wire, self._defining(wire, bits)
        for register in nets.registers:
            yield from self._read(register.body, register.held[0].wire)
        for process in nets.processes:
            yield from self._read(process.body, self.name(process.target[0].wire))
        for cell in nets.instances:
            for name, bits in cell.ports.items():
                yield f"{cell.name}_{name}", bits

    def _defining(self, wire: str, bits: Bits) -> Bits:
        """The bits that stand in the definition of a wire."""
        bits = bits[: self.width(wire)]
        made = self._nets.driver(bits[0]) if bits else None
        if made is not None and isinstance(made[0], Cell) and made[0].ports["Y"][: len(bits)] == bits:
            return bits
        return tuple(bit for place, bit in enumerate(bits) if Bit(wire, place) in self._nets.live)

    def _read(self, body: Sequence[Statement], sink: str) -> Iterator[tuple[str, Bits]]:
        for statement in body:
            if isinstance(statement, Assign):
                live = [place for place, bit in enumerate(statement.target) if bit in self._nets.live]
                yield f"{sink}_next", tuple(statement.source[place] for place in live)
                continue
            for bit in statement.test:
                yield f"{sink}_if", (bit,)
            for _, inner in statement.cases:
                yield from self._read(inner, sink)

    def _operands(self, cell: Cell) -> Iterator[tuple[str, Bits]]:
        """The operands of an operator as they are written, for the bits of it that are read."""
        places = [place for place, bit in enumerate(cell.ports["Y"]) if bit in self._nets.live]
        low, high = places[0], places[-1] + 1
        if cell.kind not in _LANES:
            low = 0
        yield from self._shaped(cell, low, high - low).items()

    def _shaped(self, cell: Cell, low: int, width: int) -> Mapping[str, Bits]:
        """The operands for ``width`` bits of a result from place ``low`` on, as wide as they must be."""
        ports = {name: bits for name, bits in cell.ports.items() if name != "Y"}

        def extended(name: str, to: int) -> Bits:
            bits = ports[name]
            top = bits[-1] if cell.parameters.get(f"{name}_SIGNED", 0) else Bit("0")
            return (bits + (top,) * (to - len(bits)))[:to]

        if cell.kind == "$mux":
            return {"S": ports["S"], "B": ports["B"][low : low + width], "A": ports["A"][low : low + width]}
        if cell.kind in ("$shl", "$shr"):
            to = width if cell.kind == "$shl" else max(len(ports["A"]), len(cell.ports["Y"]))
            return {"A": extended("A", to), "B": ports["B"]}
        if cell.kind in _COMPARISONS:
            to = max(len(ports["A"]), len(ports["B"]))
            while to > 1 and all(extended(name, to)[-1] == Bit("0") for name in "AB") and not self._signed(cell):
                to -= 1
            return {name: extended(name, to) for name in "AB"}
        if cell.kind in _REDUCTIONS:
            return ports
        return {name: extended(name, low + width)[low:] for name in ports}

    def _signed(self, cell: Cell) -> bool:
        return bool(cell.parameters.get("A_SIGNED", 0))

    def _operator(self, cell: Cell, low: int, width: int) -> _Part:
        """``width`` bits of what an operator makes, from place ``low`` on."""
        kind, x = cell.kind, self._shaped(cell, low, width)
        if kind == "$mux":
            text = f"{self.operand(x['S'])} ? {self.operand(x['B'])} : {self.operand(x['A'])}"
            return _Part(text, width, False)
        if kind == "$not":
            return _Part(f"~{self.operand(x['A'])}", width)
        if kind == "$neg":
            return _Part(f"-{self.operand(x['A'])}", width, False)
        if kind in _REDUCTIONS:
            if not x["A"]:
                return _Part(constant(int(kind == "$reduce_and"), 1), width)
            text = self.operand(x["A"])
            return _Part(f"{_REDUCTIONS[kind]}{text if text[0] not in '~-&|^' else f'({text})'}", width, False)
        if kind not in _BINARY:
            raise ValueError(f"cannot write an operator of the kind {kind}")
        a, b = (self.operand(x[name]) for name in "AB")
        if kind in _COMPARISONS and self._signed(cell) and kind not in ("$eq", "$ne"):
            a, b = f"$signed({a})", f"$signed({b})"
        return _Part(f"{a} {_BINARY[kind]} {b}", width, False)

    def _parts(self, bits: Bits) -> Iterator[_Part]:
        """A word in parts, the highest first."""
        end = len(bits)
        while end:
            part = self._part(bits[:end])
            yield part
            end -= part.width

    def _part(self, bits: Bits) -> _Part:
        """The longest part that ends with the last bit."""
        last = bits[-1]
        if last.wire in CONSTANTS:
            count = _run(bits, lambda bit, _: bit.wire in CONSTANTS)
            value = sum(int(bit.wire) << place for place, bit in enumerate(bits[len(bits) - count :]))
            return _Part(constant(value, count), count)
        made = None
        if is_private(last.wire) and last.wire not in self.wires:
            made = self._nets.driver(last)
        if made is not None and isinstance(made[0], Cell):
            return self._made(bits, made[0], made[1])
        repeats = _run(bits, lambda bit, _: bit == last)
        if repeats > 1:
            return _Part(f"{{{repeats}{{{self._slice(last.wire, last.place, last.place)}}}}}", repeats)
        count = _straight(bits)
        return _Part(self._slice(last.wire, last.place, last.place - count + 1), count)

    def _made(self, bits: Bits, cell: Cell, place: int) -> _Part:
        """A part that operators make: one, or several of one bit that are alike."""
        made = cell.ports["Y"]
        count = _run(bits, lambda bit, back: back <= place and bit == made[place - back])
        if len(made) > 1 or cell.kind not in _LANES:
            return self._operator(cell, place - count + 1, count)
        cells: list[Cell] = []
        for bit in reversed(bits):
            other = self._alike(bit, cell)
            if other is None:
                break
            cells.append(other)
        return self._lanes(cells[::-1])

    def _alike(self, bit: Bit, cell: Cell) -> Cell | None:
        """The operator of a bit if it can be written in one with ``cell``: of its kind, with the same select."""
        found = self._nets.driver(bit) if is_private(bit.wire) and bit.wire not in self.wires else None
        if found is None or not isinstance(found[0], Cell) or found[0].kind != cell.kind:
            return None
        other = found[0]
        same = len(other.ports["Y"]) == 1 and other.ports.get("S") == cell.ports.get("S")
        return other if same and all(len(bits) == 1 for bits in other.ports.values()) else None

    def _lanes(self, cells: Sequence[Cell]) -> _Part:
        """One operator on words in place of several on bits, the lowest first; fewer where that is no shorter."""
        cell = cells[-1]
        if len(cells) == 1:
            return self._operator(cell, 0, 1)
        if cell.kind == "$not":
            return _Part(f"~{self.operand(_column(cells, 'A'))}", len(cells))
        if cell.kind == "$mux":
            one, other = (self.operand(_column(cells, name)) for name in "BA")
            return _Part(f"{self.operand(cell.ports['S'])} ? {one} : {other}", len(cells), False)
        for shared in (cell.ports["A"][0], cell.ports["B"][0]):
            count = 0
            others: list[Bit] = []
            for each in reversed(cells):
                pair = [each.ports["A"][0], each.ports["B"][0]]
                if shared not in pair:
                    break
                pair.remove(shared)
                others.append(pair[0])
                count += 1
            if count > 1 and self._is_short(shared):
                text = f"{{{count}{{{self.word((shared,))}}}}} {_BINARY[cell.kind]} {self.operand(tuple(others[::-1]))}"
                return _Part(text, count, False)
        return self._columns(cells)

    def _is_short(self, bit: Bit) -> bool:
        """Whether a bit is one of a wire, or the inverse of one."""
        if not is_private(bit.wire) or bit.wire in self.wires:
            return True
        made = self._nets.driver(bit)
        return made is not None and isinstance(made[0], Cell) and made[0].kind == "$not"

    def _columns(self, cells: Sequence[Cell]) -> _Part:
        """One operator on two words, where one of them is a part of a wire and the other needs no operators."""
        sides = [_column(cells, "A"), _column(cells, "B")]
        best = 1
        for bits, others in (sides, sides[::-1]):
            if not is_private(bits[-1].wire) and bits[-1].wire not in CONSTANTS:
                best = max(best, min(_straight(bits), _run(others, lambda bit, _: not is_private(bit.wire))))
        if best == 1:
            return self._operator(cells[-1], 0, 1)
        one, other = (self.operand(bits[-best:]) for bits in sides)
        return _Part(f"{one} {_BINARY[cells[-1].kind]} {other}", best, False)

    def _slice(self, wire: str, high: int, low: int) -> str:
        name = self.name(wire)
        width = self.width(wire)
        if low == 0 and high == width - 1:
            return name
        return f"{name}[{high}]" if high == low else f"{name}[{high}:{low}]"

    def _joined(self, parts: Sequence[_Part]) -> _Part:
        if len(parts) == 1:
            return parts[0]
        return _Part(f"{{{', '.join(part.text for part in parts)}}}", sum(part.width for part in parts))


def _column(cells: Sequence[Cell], port: str) -> Bits:
    """An operand of one bit of each operator."""
    return tuple(cell.ports[port][0] for cell in cells)


def _straight(bits: Bits) -> int:
    """How many bits, from the last on, lie side by side in one wire."""
    last = bits[-1]
    return _run(bits, lambda bit, back: bit == Bit(last.wire, last.place - back))


def _run(bits: Bits, holds: Callable[[Bit, int], bool]) -> int:
    """How many bits, from the last on, something holds for; it is told how many come behind the bit."""
    count = 0
    while count < len(bits) and holds(bits[-1 - count], count):
        count += 1
    return count
