"""Processing element of an array: the datapath of a MAC, its accumulator, and a register that drains it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from textwrap import wrap
from typing import TYPE_CHECKING

from rtl.logic import Port
from rtl.names import helper
from rtl.spec import MacSpec

from .step import control_ports

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = ["ElementSpec", "GridSpec"]


@dataclass(frozen=True, kw_only=True)
class ElementSpec:
    """A MAC without its own operand registers (broadcast) or with registers that pass operands on (systolic).

    The accumulator is copied to a drain register when a sum is complete; drain registers of a column form a chain
    towards the last row. Without operands nothing switches but what drains. In a systolic array everything moves one
    element a cycle: activations and control to the next column, weights to the next row.
    """

    mac: MacSpec
    systolic: bool

    @property
    def name(self) -> str:
        """Module name."""
        return helper(f"{'systolic' if self.systolic else 'broadcast'}_element_{self.mac.name}")

    @property
    def summary(self) -> str:
        """One line that says what it does."""
        return f"processing element of a {'systolic' if self.systolic else 'broadcast'} array: {self.mac.summary}"

    @cached_property
    def operand_widths(self) -> tuple[int, int]:
        """Bits of the weight word and of the activation word of a cycle."""
        widths = {port.name: port.width for port in self.mac.operand_ports}
        return widths["weights"], widths["activations"]

    @property
    def control_width(self) -> int:
        """Bits of all control ports."""
        return sum(port.width for port in control_ports(self.mac))

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst."""
        weights, activations = self.operand_widths
        moving = (
            ("weights", weights, "weights of a cycle"),
            ("activations", activations, "activations of a cycle"),
            ("control", self.control_width, "control ports of the MAC, the first lowest"),
            ("clear", 1, "1: these operands start a new sum"),
        )
        drain = self.mac.accumulator_width
        if not self.systolic:
            return (
                *(Port(name, width, True, f"{meaning}, from a register") for name, width, meaning in moving),
                Port("enable", self.mac.pipeline_stages + 1, True,
                     "of each pipeline stage, the first lowest, 1: it holds operands; the last: the sum takes them"),
                Port("capture", 1, True, "1: the drain register takes the accumulator"),
                Port("shift", 1, True, "1: the drain register takes drain_in, unless it takes the accumulator"),
                Port("drain_in", drain, True, "drain register of the row before"),
                Port("drain_out", drain, False, "drain register"),
            )  # fmt: skip
        timing = (
            ("valid", 1, "1: there are operands"),
            ("last", 1, "1: these operands complete the sum"),
            ("shift", 1, "1: the drain register takes drain_in"),
        )
        return (
            *(Port(name, width, True, meaning) for name, width, meaning in (*moving, *timing)),
            Port("drain_in", drain, True, "drain register of the row before"),
            *(Port(f"{name}_out", width, False, f"{name}, a cycle later") for name, width, _ in (*moving, *timing)),
            Port("drain_out", drain, False, "drain register"),
        )

    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component. numbered: gates have numbers in place of names."""
        from .element_component import ElementComponent

        return ElementComponent(self, numbered=numbered)


@dataclass(frozen=True, kw_only=True)
class GridSpec:
    """``rows`` x ``columns`` elements and nothing but the wires between them.

    Operands come in along the edges: in a broadcast grid all at once, in a systolic grid row r and column c so many
    cycles later. The drain registers of a column form a chain from the first row to the last. ``drains`` of them are
    outputs: that of the last row, and that of every ``drain_rows`` rows before it.
    """

    element: ElementSpec
    rows: int
    columns: int
    drains: int = 1

    @property
    def name(self) -> str:
        """Module name."""
        size = f"{self.rows}x{self.columns}" + (f"_d{self.drains}" if self.drains > 1 else "")
        return helper(f"grid_{size}_{'systolic' if self.element.systolic else 'broadcast'}_{self.element.mac.name}")

    @property
    def summary(self) -> str:
        """One line that says what it does."""
        moving = "pass operands on, one a cycle" if self.element.systolic else "all have their operands at once"
        return f"{self.rows} x {self.columns} elements that {moving}; sums leave down the columns"

    @property
    def drain_rows(self) -> int:
        """Rows from one output of a column to the next; the first output may have fewer before it."""
        return -(-self.rows // self.drains)

    @property
    def drained_rows(self) -> tuple[int, ...]:
        """Rows whose drain registers are outputs, the last row first."""
        return tuple(self.rows - 1 - drain * self.drain_rows for drain in range(self.drains))

    @property
    def parts(self) -> tuple[ElementSpec]:
        """The module that is instantiated."""
        return (self.element,)

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst."""
        weights, activations = self.element.operand_widths
        drain = self.drains * self.columns * self.element.mac.accumulator_width
        taken = "the last row" if self.drains == 1 else f"every {self.drain_rows} rows, the last row lowest"
        # A systolic grid has controls of its own for every row.
        controls = ["control", "clear", *(["valid", "last", "shift"] if self.element.systolic else [])]
        per_row = self.rows if self.element.systolic else 1
        width = {port.name: port.width for port in self.element.ports}
        return (
            Port("weights", self.columns * weights, True, "weights of all columns, column 0 lowest"),
            Port("activations", self.rows * activations, True, "activations of all rows, row 0 lowest"),
            *(Port(name, per_row * width[name], True, "of each row, row 0 lowest" if per_row > 1 else "of all elements")
              for name in controls),
            *(Port(name, width[name], True, "of all elements")
              for name in ("enable", "capture", "shift") if not self.element.systolic),
            Port("drain", drain, False, f"drain registers of {taken}, column 0 lowest"),
        )  # fmt: skip

    def verilog(self) -> list[str]:
        """The lines of the module between its header and its end: one instance a line, as text, since nothing else is
        in it and there may be thousands.
        """
        lines = ["  // verilator lint_off UNUSEDSIGNAL  // the last elements pass operands on to nobody"]
        widths = {port.name: port.width for port in self.element.ports if port.width}
        outputs = [port.name for port in self.element.ports if not port.is_input and port.width]
        for row in range(self.rows):
            for column in range(self.columns):
                lines += [
                    f"  wire {f'[{widths[name] - 1}:0] ' if widths[name] > 1 else ''}{name}_{row}_{column};"
                    for name in outputs
                ]
                sources = {"clk": "clk", "rst": "rst"}
                sources |= {
                    name: self._source(name, width, row, column)
                    for name, width in widths.items()
                    if name not in outputs
                }
                sources |= {name: f"{name}_{row}_{column}" for name in outputs}
                pins = ", ".join(f".{name}({source})" for name, source in sources.items())
                lines.append(f"  {self.element.name} element_{row}_{column} (")
                lines += wrap(f"{pins});", 118, initial_indent="    ", subsequent_indent="    ", break_long_words=False)
        taken = [f"drain_out_{row}_{column}" for row in self.drained_rows for column in range(self.columns)]
        drain = ", ".join(reversed(taken))
        lines.append("  // verilator lint_on UNUSEDSIGNAL")
        return [*lines, f"  assign drain = {{{drain}}};"]

    def _source(self, name: str, width: int, row: int, column: int) -> str:
        """What is connected to an input of element (row, column): a neighbour, or a part of a port."""

        def part(index: int) -> str:
            total = next(port.width for port in self.ports if port.name == name)
            if total == width:
                return name
            high = f"{index * width + width - 1}:" if width > 1 else ""
            return f"{name}[{high}{index * width}]"

        if name == "drain_in":
            return f"drain_out_{row - 1}_{column}" if row else f"{width}'d0"
        if name == "weights":
            return f"weights_out_{row - 1}_{column}" if self.element.systolic and row else part(column)
        if name == "activations" or self.element.systolic:
            return f"{name}_out_{row}_{column - 1}" if self.element.systolic and column else part(row)
        return name
