"""The core of an array: its elements and the registers at their edge, without memories and controllers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from rtl.logic import Port
from rtl.names import short
from rtl.spec import MacSpec, Precision, check_integer
from siliquant.inputs import InputTypeError

from .element import ElementSpec, GridSpec

__all__ = ["MOST_SIDE", "Architecture", "CoreSpec"]

MOST_SIDE = 256
"""Rows, and columns, of the largest array."""


class Architecture(Enum):
    """How operands reach the elements.

    BROADCAST: a row's activations to all its elements in the same cycle, a column's weights likewise; the operand
    registers lie at the edge. SYSTOLIC: from element to element, a cycle each, through registers in every element.
    """

    BROADCAST = "broadcast"
    SYSTOLIC = "systolic"


@dataclass(frozen=True, kw_only=True)
class CoreSpec:
    """``rows`` x ``columns`` elements of one MAC design, driven as an :class:`rtl.array.spec.ArraySpec` drives them.

    In a broadcast core every input enters a register first, once for all elements, operands only where the first bit of
    ``enable`` says that there are any; in a systolic core the elements have them. What is synthesised and measured to
    know what an array costs.
    """

    mac: MacSpec
    rows: int
    columns: int
    architecture: Architecture = Architecture.BROADCAST

    design = "array"

    def __post_init__(self) -> None:
        if not isinstance(self.mac, MacSpec):
            raise InputTypeError(f"mac must be a MacSpec, not {self.mac!r}")
        if not isinstance(self.architecture, Architecture):
            raise InputTypeError(f"architecture must be an Architecture, not {self.architecture!r}")
        check_integer("rows", self.rows, 1, MOST_SIDE)
        check_integer("columns", self.columns, 1, MOST_SIDE)

    @property
    def systolic(self) -> bool:
        """Whether operands move from element to element."""
        return self.architecture is Architecture.SYSTOLIC

    @property
    def name(self) -> str:
        """Module name."""
        return short(f"core_{self.architecture.value}_{self.rows}x{self.columns}_{self.mac.name}")

    @property
    def summary(self) -> str:
        """One line that says what it does."""
        return "the elements of an array, and the registers at its edge"

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name, as JSON types; :func:`rtl.manifests.core_from_parameters` makes the core of them."""
        return {
            "mac": {"design": self.mac.design, "parameters": self.mac.parameters},
            "rows": self.rows,
            "columns": self.columns,
            "architecture": self.architecture.value,
        }

    @property
    def pipeline_stages(self) -> int:
        """Registers inside the datapath of each element."""
        return self.mac.pipeline_stages

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those of the elements."""
        return self.mac.precisions

    @cached_property
    def element(self) -> ElementSpec:
        """The processing element."""
        return ElementSpec(mac=self.mac, systolic=self.systolic)

    @cached_property
    def grid(self) -> GridSpec:
        """The elements and the wires between them."""
        return GridSpec(element=self.element, rows=self.rows, columns=self.columns)

    @property
    def parts(self) -> tuple[ElementSpec, GridSpec]:
        """The modules that are instantiated."""
        return self.element, self.grid

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst: those of the grid."""
        return tuple(port for port in self.grid.ports if port.width)

    def verilog(self) -> list[str]:
        """The lines of the module between its header and its end: registers and one instance."""
        lines: list[str] = []
        sources = {port.name: port.name for port in self.ports}
        if not self.systolic:
            enable = "enable[0]" if self.mac.pipeline_stages else "enable"
            entering = [port for port in self.ports if port.is_input]
            lines += [f"  reg [{port.width - 1}:0] {port.name}_q;" for port in entering]
            lines += ["  always @(posedge clk) begin"]
            for port in entering:
                # Without operands nothing is added, and nothing drains.
                if port.name in ("enable", "capture", "shift"):
                    lines.append(f"    {port.name}_q <= rst ? {port.width}'d0 : {port.name};")
                else:
                    lines.append(f"    if ({enable}) {port.name}_q <= {port.name};")
                sources[port.name] = f"{port.name}_q"
            lines += ["  end"]
        pins = ", ".join(f".{name}({source})" for name, source in {"clk": "clk", "rst": "rst", **sources}.items())
        return [*lines, f"  {self.grid.name} grid ({pins});"]
