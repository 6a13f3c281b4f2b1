"""The text of a module: a header with the meaning of each port, the registers, and the logic part by part."""

from __future__ import annotations

import heapq
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

from rtl.logic import Port
from rtl.names import FULL_ADDER_NAME

from .blocks import Reset, blocks, combinational
from .expressions import Expressions
from .nets import Nets, is_private
from .parts import part_of
from .rtlil import Bit, Cell, Module

__all__ = ["header", "module_text", "with_reset"]

_MOST = 118
"""Characters of a line, where it can be broken."""


@dataclass(frozen=True)
class _Item:
    """A signal, or an instance with all that it drives, and its lines. reads: what must stand before."""

    name: str
    drives: frozenset[str]
    lines: tuple[str, ...]
    reads: frozenset[str]


def header(
    name: str, ports: Sequence[Port], reset: Reset, registers: Container[str] = (), unread: Container[str] = ()
) -> list[str]:
    """The lines of a header, each port with its meaning. registers: outputs that are. unread: inputs that nothing
    reads.
    """
    clock = Port("clk", 1, True, "clock, rising edge")
    resets = Port(reset.port, 1, True, reset.meaning)
    shown = [clock, resets, *(port for port in ports if port.width)]
    declared = [
        f"{'input  wire' if port.is_input else 'output ' + ('reg ' if port.name in registers else 'wire')} "
        f"{_range(port.width):>9} {port.name}"
        for port in shown
    ]
    most = max(map(len, declared)) + 1
    lines = [f"module {name} ("]
    for port, text in zip(shown, declared, strict=True):
        text += "" if port is shown[-1] else ","
        first, *more = wrap(port.packing, _MOST - most - 7) or [""]
        made = [f"  {text:<{most}}  // {first}" if first else f"  {text}"]
        made += [f"  {'':<{most}}  // {line}" for line in more]
        lines += waived(made, "UNUSEDSIGNAL", "nothing reads it, or not all of it") if port.name in unread else made
    return [*lines, ");"]


def waived(lines: Sequence[str], message: str, why: str) -> list[str]:
    """Lines of which Verilator would say what is meant to be so."""
    indent = " " * (len(lines[0]) - len(lines[0].lstrip()))
    return [
        f"{indent}// verilator lint_off {message}  // {why}",
        *lines,
        f"{indent}// verilator lint_on {message}",
    ]


def module_text(
    module: Module,
    ports: Sequence[Port],
    about: Sequence[str],
    reset: Reset,
    outputs: Mapping[str, frozenset[str]],
) -> str:
    """The text of a module that Amaranth has made. about: lines above it. ports: all but clock and reset. outputs: the
    pins of each module that is instantiated which drive something.
    """
    nets = Nets(module, outputs)
    write = Expressions(nets)
    lines = [f"// {line}".rstrip() for line in about]
    wires = nets.module.wires
    held = {register.held[0].wire for register in nets.registers if register.held}
    held |= {process.target[0].wire for process in nets.processes}
    inputs = [wire for wire in wires.values() if wire.direction == "input"]
    unread = {wire.name for wire in inputs if not _is_read(nets, wire.name, wire.width)}
    unread = {reset.port if name == "rst" else name for name in unread}
    lines += header(module.name, ports, reset, held, unread)
    if registers := list(_registers(nets, write)):
        lines += ["", "  // Registers", *registers]
    if between := list(_declared(nets, write)):
        lines += ["", "  // What instances drive", *between]
    lines += _logic(nets, write)
    for block in blocks(nets, write, reset):
        lines += ["", *(each for line in block for each in broken(f"  {line}"))]
    return with_reset("\n".join([*lines, "", "endmodule"]) + "\n", reset)


def with_reset(text: str, reset: Reset) -> str:
    """A text with the reset of another style in place of ``rst``, in what is no block of registers."""
    if reset.port == "rst":
        return text
    text = text.replace(".rst(rst)", f".{reset.port}({reset.port})")
    text = re.sub(r"~rst\b", reset.port, text)
    return re.sub(r"\brst\b", f"~{reset.port}", text)


def _unread(line: str, nets: Nets, wire: str, width: int) -> list[str]:
    """A declaration, and that not all of the wire is read where it is so."""
    return [line] if _is_read(nets, wire, width) else waived([line], "UNUSEDSIGNAL", "not all bits are read")


def _is_read(nets: Nets, wire: str, width: int) -> bool:
    """Whether each of the lowest bits of a wire is read."""
    return all(Bit(wire, place) in nets.live for place in range(width))


def _registers(nets: Nets, write: Expressions) -> Iterator[str]:
    """Declarations; outputs that are registers are in the header."""
    for register in nets.registers:
        wire = nets.module.wires[register.held[0].wire] if register.held else None
        if wire is not None and not wire.direction and (width := write.width(wire.name)):
            yield from _unread(f"  reg {_range(width):>9} {wire.name};", nets, wire.name, width)


def _declared(nets: Nets, write: Expressions) -> Iterator[str]:
    """Declarations of what instances drive that may hold state: it may be read before them."""
    for cell in nets.instances:
        for wire in _driven(cell, nets) if cell.kind != FULL_ADDER_NAME else ():
            width = nets.module.wires[wire].width
            if not nets.module.wires[wire].direction:
                yield from _unread(f"  wire {_range(width):>9} {wire};", nets, wire, width)


def _logic(nets: Nets, write: Expressions) -> Iterator[str]:
    """Everything between registers, in an order in which all is declared before it is read, part by part."""
    title = None
    for item in _ordered([*_signals(nets, write), *_instances(nets, write)]):
        part = part_of(item.name)
        if part.title != title:
            title = part.title
            yield ""
            if title:
                yield f"  // {title}"
        yield from (f"  {line}" for line in item.lines)


def _signals(nets: Nets, write: Expressions) -> Iterator[_Item]:
    driven = {bit.wire for register in nets.registers for bit in register.held}
    driven |= {wire for cell in nets.instances for wire in _driven(cell, nets)}
    processed = {process.target[0].wire for process in nets.processes}
    for wire in nets.module.wires.values():
        if wire.direction == "input" or is_private(wire.name) or wire.name in driven | processed:
            continue
        if not (width := write.width(wire.name)):
            continue
        item = _item(wire.name, width, write.definition(wire.name), wire.direction)
        yield item if wire.direction or _is_read(nets, wire.name, width) else _waived(item)
    for private, cell in write.wires.items():
        width = write.width(private)
        item = _item(write.name(private), width, write.operator(cell, width), "")
        yield item if _is_read(nets, private, width) else _waived(item)
    for process in nets.processes:
        name = write.name(process.target[0].wire)
        wire = nets.module.wires[process.target[0].wire]
        declared = () if wire.direction else (f"reg {_range(len(process.target))} {name};".replace("  ", " "),)
        lines = (*declared, *combinational(process.body, nets, write))
        yield _Item(name, frozenset((name,)), lines, _identifiers("\n".join(lines)) - {name})


def _item(name: str, width: int, text: str, direction: str) -> _Item:
    head = f"assign {name}" if direction else f"wire {_range(width)} {name}".replace("  ", " ")
    return _Item(name, frozenset((name,)), tuple(broken(f"{head} = {text};")), _identifiers(text))


def _waived(item: _Item) -> _Item:
    return replace(item, lines=tuple(waived(item.lines, "UNUSEDSIGNAL", "not all bits are read")))


def _driven(cell: Cell, nets: Nets) -> list[str]:
    """The wires that an instance drives."""
    return list(dict.fromkeys(bit.wire for bits in nets.driven(cell).values() for bit in bits))


def _unread_name(cell: Cell, pin: str) -> str:
    """The name of a wire that an instance drives and nothing reads."""
    return f"{cell.name}_{pin}"


def _instances(nets: Nets, write: Expressions) -> Iterator[_Item]:
    for cell in nets.instances:
        drives = _driven(cell, nets)
        lines = [f"wire {', '.join(drives)};"] if drives and cell.kind == FULL_ADDER_NAME else []
        pins = [
            f".{name}({_unread_name(cell, name) if nets.is_open(cell, name) else write.word(bits)})"
            for name, bits in cell.ports.items()
            if bits
        ]
        parameters = ", ".join(f".{name}({value})" for name, value in cell.parameters.items())
        head = f"{cell.kind} {f'#({parameters}) ' if parameters else ''}{cell.name} ("
        one = f"{head}{', '.join(pins)});"
        unread = [
            f"wire {_range(len(bits))} {_unread_name(cell, name)};".replace("  ", " ")
            for name, bits in cell.ports.items()
            if bits and nets.is_open(cell, name)
        ]
        lines += waived(unread, "UNUSEDSIGNAL", "nothing reads it") if unread else []
        lines += [one] if len(one) < _MOST else [head, *filled(pins, ");")]
        read = _identifiers("\n".join(f".({pin.partition('(')[2]}" for pin in pins)) - set(drives)
        adder = cell.kind == FULL_ADDER_NAME
        yield _Item(cell.name, frozenset(drives if adder else ()), tuple(lines), read)


def _ordered(items: Sequence[_Item]) -> Iterator[_Item]:
    """Items after those that they read, and of those that may come next the one of the first part and name."""
    makers = {name: number for number, item in enumerate(items) for name in item.drives}
    waits = [{makers[name] for name in item.reads if name in makers} for item in items]
    readers: list[list[int]] = [[] for _ in items]
    for number, sources in enumerate(waits):
        for source in sources:
            readers[source].append(number)
    keys = [(part_of(item.name).rank, _natural(item.name), number) for number, item in enumerate(items)]
    ready = [key for key in keys if not waits[key[2]]]
    heapq.heapify(ready)
    count = 0
    while ready:
        number = heapq.heappop(ready)[2]
        count += 1
        yield items[number]
        for reader in readers[number]:
            waits[reader].discard(number)
            if not waits[reader]:
                heapq.heappush(ready, keys[reader])
    if count < len(items):
        first = next(item.name for item, left in zip(items, waits, strict=True) if left)
        raise ValueError(f"{first} depends on itself")


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name))


def _identifiers(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"(?<!['\w])[A-Za-z_]\w*", text))


def _range(width: int) -> str:
    return f"[{width - 1}:0]" if width > 1 else ""


def filled(parts: Sequence[str], end: str) -> Iterator[str]:
    """Parts with commas between them, as many in a line as it takes."""
    line = " "
    for number, part in enumerate(parts):
        text = f" {part}{end if number == len(parts) - 1 else ','}"
        if len(line) + len(text) > _MOST:
            yield line
            line = " "
        line += text
    yield line


def broken(line: str) -> Iterator[str]:
    """A statement in lines, broken between the parts of words."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    while (
        len(line) > _MOST
        and (cut := max(line.rfind(mark, 40, _MOST) for mark in (", ", "? ", ": ", "| ", "& ", "^ ", "+ "))) > 0
    ):
        yield line[: cut + 1].rstrip()
        line = f"{indent}{line[cut + 1 :].lstrip()}"
    yield line
