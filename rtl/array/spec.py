"""An array of processing elements with its memories and controller: what it is, and how many cycles it takes.

Output-stationary: every element keeps one output of a tile of rows x columns until its sum is complete. No hardware
library is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from siliquant.errors import InputError, InputTypeError

from ..requant.spec import RequantSpec
from ..spec import MacSpec, Port, Precision, check_integer
from .core import Architecture, CoreSpec
from .element import ElementSpec, GridSpec

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = ["PLANES_WIDTH", "SHIFT_WIDTH", "SIZE_WIDTH", "ArraySpec", "Run", "address_width"]

SIZE_WIDTH = 16
"""Bits of the counters of steps and tiles."""
PLANES_WIDTH = 4
"""Bits of the counters of operand words a step."""
SHIFT_WIDTH = 4
"""Bits of the shift of a pass."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the array over operands that are in its memories: M x N outputs, one pass.

    steps: K over the products of a step, rounded up. weight_planes, activation_planes: operand words of a step; each
    pair of them is one cycle (1 and 1 unless operands are serial). row_tiles, column_tiles: M over rows and N over
    columns, rounded up.
    """

    steps: int
    weight_planes: int
    activation_planes: int
    row_tiles: int
    column_tiles: int

    def __post_init__(self) -> None:
        for name in ("steps", "row_tiles", "column_tiles"):
            check_integer(name, getattr(self, name), 1, (1 << SIZE_WIDTH) - 1)
        for name in ("weight_planes", "activation_planes"):
            check_integer(name, getattr(self, name), 1, (1 << PLANES_WIDTH) - 1)

    @property
    def cycles_per_tile(self) -> int:
        """Cycles with operands that one tile takes."""
        return self.steps * self.weight_planes * self.activation_planes

    @property
    def tiles(self) -> int:
        """Output tiles."""
        return self.row_tiles * self.column_tiles

    @property
    def activation_words(self) -> int:
        """Words of the activation memory that the operands fill."""
        return self.row_tiles * self.steps * self.activation_planes

    @property
    def weight_words(self) -> int:
        """Words of the weight memory that the operands fill."""
        return self.column_tiles * self.steps * self.weight_planes


@dataclass(frozen=True, kw_only=True)
class ArraySpec:
    """``rows`` x ``columns`` elements of one MAC design.

    Memories: activations of ``activation_depth`` words (one step word for every row), weights of ``weight_depth``
    words (one for every column), results of ``result_depth`` words (one result of ``result_width`` bits for every
    column). A control table holds the control words of the cycles of a step, so that any design and precision runs
    without logic of its own in the controller.

    A run multiplies what is in the memories: for each column tile, all row tiles. The drained sums are shifted left,
    negated and added to the result memory as the run says, so that wide operands can be computed slice by slice.
    With ``requant`` each column ends in a requantiser, used in runs that ask for it.

    >>> from rtl.mac import UniformSpec
    >>> array = ArraySpec(mac=UniformSpec(lanes=16), rows=16, columns=16, result_depth=4096)
    >>> run = array.run(197, 192, 192, Precision(4, 4))
    >>> run.tiles, run.cycles_per_tile, array.cycles(run), array.load_cycles(run)
    (156, 12, 2511, 156)
    """

    mac: MacSpec
    rows: int = 16
    columns: int = 16
    architecture: Architecture = Architecture.BROADCAST
    activation_depth: int = 2048
    weight_depth: int = 2048
    result_depth: int = 2048
    result_width: int = 32
    requant: RequantSpec | None = None

    def __post_init__(self) -> None:
        _ = self.core  # raises where these are wrong
        for name in ("activation_depth", "weight_depth", "result_depth"):
            check_integer(name, getattr(self, name), 1, 1 << SIZE_WIDTH)
        check_integer("result_width", self.result_width, self.mac.accumulator_width, 48)
        if self.result_depth < self.rows:
            raise InputError(f"result_depth must be at least the {self.rows} rows of one tile, not {self.result_depth}")
        if self.requant is not None and not isinstance(self.requant, RequantSpec):
            raise InputTypeError(f"requant must be a RequantSpec or None, not {self.requant!r}")
        if self.requant is not None and self.requant.accumulator_width != self.result_width:
            raise InputError(
                f"the accumulator_width of requant must be the result_width {self.result_width}, "
                f"not {self.requant.accumulator_width}"
            )

    @cached_property
    def core(self) -> CoreSpec:
        """The elements without memories and controllers."""
        return CoreSpec(mac=self.mac, rows=self.rows, columns=self.columns, architecture=self.architecture)

    @property
    def systolic(self) -> bool:
        """Whether operands move from element to element."""
        return self.core.systolic

    @property
    def name(self) -> str:
        """Module name."""
        parts = [self.architecture.value, f"{self.rows}x{self.columns}", self.mac.name]
        depths = (self.activation_depth, self.weight_depth, self.result_depth, self.result_width)
        parts.append("_".join(f"{letter}{value}" for letter, value in zip("awrb", depths, strict=True)))
        return "_".join([*parts, *([self.requant.name] if self.requant else [])])

    @property
    def element(self) -> ElementSpec:
        """The processing element, of which there are rows x columns."""
        return self.core.element

    @property
    def grid(self) -> GridSpec:
        """The elements and the wires between them."""
        return self.core.grid

    @property
    def parts(self) -> tuple[ElementSpec | GridSpec | RequantSpec, ...]:
        """The modules that are made once and instantiated."""
        return (self.element, self.grid, *([self.requant] if self.requant else []))

    @property
    def macs_per_cycle(self) -> int:
        """Products a cycle of all elements at their narrowest precision."""
        return int(max(self.mac.macs_per_cycle(p) for p in self.mac.precisions) * self.rows * self.columns)

    @cached_property
    def control_depth(self) -> int:
        """Words of the control table: the cycles of a step, and those of the last step of a sum."""
        return 2 * max(self.mac.cycles_per_step(precision) for precision in self.mac.precisions)

    def planes(self, precision: Precision) -> tuple[int, int]:
        """Weight and activation words of one step at ``precision``: the number of times that each port changes."""
        from ..layout import step_layout

        layout = step_layout(self.mac, precision, self.mac.products_per_step(precision))
        return len(layout.weights), len(layout.activations)

    def run(self, m: int, k: int, n: int, precision: Precision) -> Run:
        """The run of one M x K x N product. Raises ValueError where memories or accumulators are too small for it."""
        for name, value in (("M", m), ("K", k), ("N", n)):
            check_integer(name, value, 1)
        if k > self.mac.reduction_length:
            most = f"{self.mac.reduction_length} products (reduction_length)"
            raise InputError(f"the reduction must have at most {most}, not {k}")
        steps = -(-k // self.mac.products_per_step(precision))
        weight_planes, activation_planes = self.planes(precision)
        found = Run(
            steps=steps,
            weight_planes=weight_planes,
            activation_planes=activation_planes,
            row_tiles=-(-m // self.rows),
            column_tiles=-(-n // self.columns),
        )
        for name, words, depth in (
            ("activation_depth", found.activation_words, self.activation_depth),
            ("weight_depth", found.weight_words, self.weight_depth),
            ("result_depth", found.tiles * self.rows, self.result_depth),
        ):
            if words > depth:
                raise InputError(f"{name} must be at least {words} words for {m} x {k} x {n}, not {depth}")
        return found

    def cycles(self, run: Run) -> int:
        """Cycles of a run in which ``busy`` is high.

        The sums of a tile drain in ``rows`` cycles, beside the next tile; so a tile takes the longer of its operands
        and its drain. Then the last one passes the pipeline, drains, and in a systolic array crosses rows and columns.
        """
        period = max(run.cycles_per_tile, self.rows)
        skew = self.rows + self.columns - 2 if self.systolic else 0
        tail = self.mac.latency + self.rows + skew + (self.requant.latency if self.requant else 0)
        return (run.tiles - 1) * period + run.cycles_per_tile + tail + 1

    def load_cycles(self, run: Run) -> int:
        """Cycles that loading operands and control table takes, activations and weights side by side."""
        return max(run.activation_words, run.weight_words, 2 * run.weight_planes * run.activation_planes)

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst."""
        weights, activations = self.element.operand_widths
        control = self.element.control_width
        size, planes = f"1 to {(1 << SIZE_WIDTH) - 1}", f"1 to {(1 << PLANES_WIDTH) - 1}"
        requant: tuple[Port, ...] = ()
        if self.requant is not None:
            group = address_width(self.requant.groups)
            requant = (
                Port("requantise", 1, True, "1: results are codes, in the low bits of each result"),
                Port("group", group, True, "parameters of the requantisers in the first column tile"),
                Port("group_step", 1, True, "1: the next column tile uses the next group"),
                Port("load_requant", self.columns, True, "1: the requantiser of that column takes the parameters"),
                Port("load_group", group, True, "group that is loaded"),
                Port("load_parameters", self.requant.parameter_width, True, "parameters of one group"),
            )
        return (
            Port("load_weights", 1, True, "1: write weight_data"),
            Port("weight_address", address_width(self.weight_depth), True, "word of the weight memory"),
            Port("weight_data", self.columns * weights, True, "weight port words of all columns, column 0 lowest"),
            Port("load_activations", 1, True, "1: write activation_data"),
            Port("activation_address", address_width(self.activation_depth), True, "word of the activation memory"),
            Port("activation_data", self.rows * activations, True, "activation port words of all rows, row 0 lowest"),
            Port("load_control", 1, True, "1: write control_data"),
            Port("control_address", address_width(self.control_depth), True, "cycle of a step; upper half: last step"),
            Port("control_data", max(1, control), True, "control ports of the MAC, the first lowest"),
            Port("start", 1, True, "1 while busy is 0: a run begins, with the sizes below"),
            Port("steps", SIZE_WIDTH, True, f"steps of a sum, {size}"),
            Port("weight_planes", PLANES_WIDTH, True, f"weight words a step, {planes}"),
            Port("activation_planes", PLANES_WIDTH, True, f"activation words a step, {planes}"),
            Port("row_tiles", SIZE_WIDTH, True, size),
            Port("column_tiles", SIZE_WIDTH, True, size),
            Port("shift", SHIFT_WIDTH, True, "sums are shifted left by so many bits"),
            Port("negate", 1, True, "1: sums are negated"),
            Port("accumulate", 1, True, "1: sums are added to what the result memory holds"),
            Port("halve", 1, True, "1: the result is shifted right by one bit"),
            *requant,
            Port("hold", 1, True, "1: no operands enter; what has entered goes on"),
            Port("busy", 1, False, "1: a run is going on"),
            Port("written", address_width(self.result_depth + 1), False, "result words of this run that can be read"),
            Port("result_address", address_width(self.result_depth), True, "word to be read; not while accumulating"),
            Port("result_data", self.columns * self.result_width, False, "that word a cycle later, column 0 lowest"),
        )

    def create(self) -> Component:
        """The Amaranth component."""
        from .component import ArrayComponent

        return ArrayComponent(self)

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name, as JSON types; :func:`rtl.array.array_from_parameters` makes the array of them."""
        return {
            "mac": {"design": self.mac.design, "parameters": self.mac.parameters},
            "rows": self.rows,
            "columns": self.columns,
            "architecture": self.architecture.value,
            "activation_depth": self.activation_depth,
            "weight_depth": self.weight_depth,
            "result_depth": self.result_depth,
            "result_width": self.result_width,
            "requant": None
            if self.requant is None
            else {"design": self.requant.design, "parameters": self.requant.parameters},
        }


def address_width(depth: int) -> int:
    """Bits of an address of ``depth`` words, at least one."""
    return max(1, (depth - 1).bit_length())
