"""The sizes, ports and cycles of an array of processing elements with its memories and controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rtl.logic import Port
from rtl.names import short
from rtl.requant import RequantSpec
from rtl.spec import MacSpec, check_integer
from siliquant.inputs import InputError, InputTypeError

from .core import Architecture, CoreSpec
from .element import ElementSpec, GridSpec
from .run import ERROR_WIDTH, PLANES_WIDTH, SHIFT_WIDTH, SIZE_WIDTH, Refusal, Run

__all__ = ["DRAINS", "MOST_LOADED_BITS", "ArrayGeometry", "address_width", "drained", "most_drains"]

N = TypeVar("N", int, npt.NDArray[np.int64])

DRAINS = 4
"""Drains of an array where nothing else is asked for, if it has as many rows; docs/arrays.md says why."""
MOST_LOADED_BITS = 64_000
"""Bits that an array may be loaded with in a cycle. Its ports are numbered bit by bit with 16 bits when it is made, and
those that load are all but some hundreds of these bits.
"""


@dataclass(frozen=True, kw_only=True)
class ArrayGeometry:
    """What :class:`rtl.array.ArraySpec` is made with, and what follows from it without the codes of any operand."""

    mac: MacSpec
    rows: int = 16
    columns: int = 16
    architecture: Architecture = Architecture.BROADCAST
    activation_depth: int = 2048
    weight_depth: int = 2048
    result_depth: int = 2048
    result_width: int = 32
    drains: int = 1
    requant: RequantSpec | None = None

    def __post_init__(self) -> None:
        _ = self.core  # raises where these are wrong
        for name in ("activation_depth", "weight_depth", "result_depth"):
            check_integer(name, getattr(self, name), 1, 1 << SIZE_WIDTH)
        check_integer("result_width", self.result_width, self.mac.accumulator_width, 48)
        check_integer("drains", self.drains, 1, self.rows)
        used = most_drains(self.rows, self.drains)
        if used < self.drains:
            raise InputError(
                f"drains must each have rows, as {used} have with {self.drain_rows} of {self.rows} each, "
                f"not {self.drains}"
            )
        if self.result_depth < self.drain_rows:
            raise InputError(
                f"result_depth must be at least the {self.drain_rows} words of one tile, not {self.result_depth}"
            )
        if self.requant is not None and not isinstance(self.requant, RequantSpec):
            raise InputTypeError(f"requant must be a RequantSpec or None, not {self.requant!r}")
        if self.requant is not None and self.requant.accumulator_width != self.result_width:
            raise InputError(
                f"the accumulator_width of requant must be the result_width {self.result_width}, "
                f"not {self.requant.accumulator_width}"
            )
        loaded = self.loaded_bits(self.rows, self.columns)
        if loaded > MOST_LOADED_BITS:
            weights, activations = self.element.operand_widths
            parts = f"{self.rows} rows x {activations} of activations + {self.columns} columns x {weights} of weights"
            if self.requant is not None:
                parts += f" + {self.requant.parameter_width} of requantisers"
            raise InputError(f"an array must load at most {MOST_LOADED_BITS:,} bits a cycle, not {loaded:,} ({parts})")

    @cached_property
    def core(self) -> CoreSpec:
        """The elements without memories and controllers."""
        return CoreSpec(mac=self.mac, rows=self.rows, columns=self.columns, architecture=self.architecture)

    def loaded_bits(self, rows: N, columns: N) -> N:
        """Bits of the activations of a cycle of ``rows`` rows, of the weights of ``columns`` columns, and of one
        parameter set of a requantiser: at most MOST_LOADED_BITS in any array.
        """
        weights, activations = self.element.operand_widths
        return rows * activations + columns * weights + (self.requant.parameter_width if self.requant else 0)

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
        parts += [f"d{self.drains}"] if self.drains > 1 else []
        return short("_".join([*parts, *([self.requant.name] if self.requant else [])]))

    @property
    def element(self) -> ElementSpec:
        """The processing element, of which there are rows x columns."""
        return self.core.element

    @cached_property
    def grid(self) -> GridSpec:
        """The elements and the wires between them."""
        return replace(self.core.grid, drains=self.drains)

    @property
    def drain_rows(self) -> int:
        """Rows that share a drain: words of the result memory that a tile fills, and the least cycles of its drain."""
        return -(-self.rows // self.drains)

    @property
    def parts(self) -> tuple[ElementSpec | GridSpec | RequantSpec, ...]:
        """The modules that are made once and instantiated."""
        return (self.element, self.grid, *([self.requant] if self.requant else []))

    @property
    def macs_per_cycle(self) -> int:
        """Products a cycle of all elements at their narrowest precision."""
        return int(max(self.mac.macs_per_cycle(p) for p in self.mac.precisions) * self.rows * self.columns)

    @cached_property
    def control_cycles(self) -> int:
        """Cycles of a step that a control table has words for; as many more follow for the last step of a sum."""
        return max(self.mac.cycles_per_step(precision) for precision in self.mac.precisions)

    @property
    def control_depth(self) -> int:
        """Words of the control memory: two tables, so that one can be loaded while a run reads the other."""
        return 4 * self.control_cycles

    def control_words(self, run: Run) -> int:
        """Words of a control table up to the last one that a run reads."""
        return self.control_cycles + run.weight_planes * run.activation_planes

    def check_run(self, settings: Mapping[str, int]) -> Refusal:
        """What the hardware answers on ``error`` to a start with these settings, one for each port.

        Settings that are not given are 0. Raises TypeError and ValueError where one is unknown or wider than its port.
        """
        widths = {port.name: port.width for port in self.settings}
        value = dict.fromkeys((*widths, "requantise", "group", "group_step"), 0)
        for name, given in settings.items():
            if name not in widths:
                raise InputError(f"settings of {self.name} must be of {', '.join(widths)}, not {name}")
            value[name] = check_integer(name, given, 0, (1 << widths[name]) - 1)
        cycles = value["weight_planes"] * value["activation_planes"]
        weights = value["column_tiles"] * value["steps"] * value["weight_planes"]
        activations = value["row_tiles"] * value["steps"] * value["activation_planes"]
        results = value["row_tiles"] * value["column_tiles"] * self.drain_rows
        sets = value["group"] + (value["column_tiles"] if value["group_step"] else 1)
        wrong = {
            Refusal.STEPS: not value["steps"],
            Refusal.WEIGHT_PLANES: not value["weight_planes"],
            Refusal.ACTIVATION_PLANES: not value["activation_planes"],
            Refusal.ROW_TILES: not value["row_tiles"],
            Refusal.COLUMN_TILES: not value["column_tiles"],
            Refusal.WEIGHT_MEMORY: value["weight_base"] + weights > self.weight_depth,
            Refusal.ACTIVATION_MEMORY: value["activation_base"] + activations > self.activation_depth,
            Refusal.CONTROL_MEMORY: cycles > self.control_cycles
            or value["control_base"] + self.control_cycles + cycles > self.control_depth,
            Refusal.RESULT_MEMORY: value["result_base"] + results > self.result_depth,
            Refusal.REQUANT_SETS: self.requant is not None and value["requantise"] and sets > self.requant.groups,
        }
        return min((cause for cause, holds in wrong.items() if holds), default=Refusal.NONE)

    def drain_cycles(self, *, changed: bool = False) -> int:
        """Cycles in which the sums of a tile drain: by all drains at once, or by one where the run has them ``changed``
        (shifted, negated, added to others, halved or requantised).
        """
        return self.rows if changed else self.drain_rows

    def cycles(self, run: Run, *, changed: bool = False) -> int:
        """Cycles of a run in which ``busy`` is high; ``changed`` as in :meth:`drain_cycles`.

        The sums of a tile drain beside the next tile; so a tile takes the longer of its operands and its drain. Then
        the last one passes the pipeline, drains, and in a systolic array crosses rows and columns.
        """
        drain = self.drain_cycles(changed=changed)
        period = max(run.cycles_per_tile, drain)
        skew = self.rows + self.columns - 2 if self.systolic else 0
        tail = self.mac.latency + drain + skew + (self.requant.latency if self.requant else 0)
        return (run.tiles - 1) * period + run.cycles_per_tile + tail + 1

    def load_cycles(self, run: Run) -> int:
        """Cycles that loading operands and control table takes, activations and weights side by side."""
        return max(run.activation_words, run.weight_words, 2 * run.weight_planes * run.activation_planes)

    @cached_property
    def settings(self) -> tuple[Port, ...]:
        """The input ports that describe a run. They count in the cycle of its start and may change after it."""
        size, planes = f"1 to {(1 << SIZE_WIDTH) - 1}", f"1 to {(1 << PLANES_WIDTH) - 1}"
        bases = (
            ("weight", self.weight_depth, "word"),
            ("activation", self.activation_depth, "word"),
            ("control", self.control_depth, "word of the control table"),
            ("result", self.result_depth, "word"),
        )
        requant: tuple[Port, ...] = ()
        if self.requant is not None:
            requant = (
                Port("requantise", 1, True, "1: results are codes, in the low bits of each result, zeros above"),
                Port("group", address_width(self.requant.groups), True,
                     f"parameter set of the requantisers in the first column tile, 0 to {self.requant.groups - 1}"),
                Port("group_step", 1, True, "1: the next column tile uses the next set"),
            )  # fmt: skip
        return (
            Port("steps", SIZE_WIDTH, True, f"steps of a sum, {size}"),
            Port("weight_planes", PLANES_WIDTH, True, f"weight words a step, {planes}"),
            Port("activation_planes", PLANES_WIDTH, True, f"activation words a step, {planes}"),
            Port("row_tiles", SIZE_WIDTH, True, f"M over {self.rows} rows, rounded up, {size}"),
            Port("column_tiles", SIZE_WIDTH, True, f"N over {self.columns} columns, rounded up, {size}"),
            *(
                Port(f"{name}_base", address_width(depth), True, f"first {what} in the {name} memory")
                for name, depth, what in bases
            ),
            Port("shift", SHIFT_WIDTH, True, "sums are shifted left by so many bits"),
            Port("negate", 1, True, "1: sums are negated"),
            Port("accumulate", 1, True, "1: sums are added to what the result memory holds"),
            Port("halve", 1, True, "1: the result is shifted right by one bit"),
            *requant,
        )

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst."""
        weights, activations = self.element.operand_widths
        control = self.element.control_width
        requant: tuple[Port, ...] = ()
        if self.requant is not None:
            requant = (
                Port("load_requant", self.columns, True, "1: the requantiser of that column takes the parameters"),
                Port("load_group", address_width(self.requant.groups), True, "parameter set that is loaded"),
                Port("load_parameters", self.requant.parameter_width, True, "parameters of one set"),
            )
        refusals = ", ".join(f"{cause.value} {cause.name.lower()}" for cause in self.refusals)
        return (
            Port("load_weights", 1, True, "1: write weight_data"),
            Port("weight_address", address_width(self.weight_depth), True, "word of the weight memory"),
            Port("weight_data", self.columns * weights, True, "weight port words of all columns, column 0 lowest"),
            Port("load_activations", 1, True, "1: write activation_data"),
            Port("activation_address", address_width(self.activation_depth), True, "word of the activation memory"),
            Port("activation_data", self.rows * activations, True, "activation port words of all rows, row 0 lowest"),
            Port("load_control", 1, True, "1: write control_data"),
            Port("control_address", address_width(self.control_depth), True, "word of the control memory"),
            Port("control_data", max(1, control), True, "control ports of the MAC, the first lowest"),
            *requant,
            Port("start", 1, True, "1 while busy is 0: a run begins, as the settings say in this cycle; else ignored"),
            *self.settings,
            Port("hold", 1, True, "1: no operands enter; what has entered goes on"),
            Port("busy", 1, False, "1: a run is going on"),
            Port("error", ERROR_WIDTH, False, f"0, or why the last run was refused, until the next start: {refusals}"),
            Port("written", address_width(self.result_depth + 1), False, "result words of this run that can be read"),
            Port("result_address", address_width(self.result_depth), True, "word to be read; not while accumulating"),
            Port(
                "result_data",
                self.drains * self.columns * self.result_width,
                False,
                f"that word a cycle later, {'' if self.drains == 1 else 'drain 0 lowest, in each '}column 0 lowest",
            ),
        )

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Why a run of this array may be refused."""
        return tuple(cause for cause in Refusal if cause and (self.requant or cause is not Refusal.REQUANT_SETS))

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name, as JSON types; :func:`rtl.manifests.array_from_parameters` makes the array of
        them."""
        return {
            "mac": {"design": self.mac.design, "parameters": self.mac.parameters},
            "rows": self.rows,
            "columns": self.columns,
            "architecture": self.architecture.value,
            "activation_depth": self.activation_depth,
            "weight_depth": self.weight_depth,
            "result_depth": self.result_depth,
            "result_width": self.result_width,
            "drains": self.drains,
            "requant": None
            if self.requant is None
            else {"design": self.requant.design, "parameters": self.requant.parameters},
        }


def most_drains(rows: N, most: int) -> N:
    """The most drains of at most ``most`` that ``rows`` rows (each at least 1) can have.

    >>> most_drains(16, 4), most_drains(9, 4), most_drains(2, 4)
    (4, 3, 2)
    """
    return -(-rows // -(-rows // most))


def drained(rows: int, drains: int, results: int) -> dict[str, int]:
    """``drains`` and ``result_depth`` of an array with up to ``drains`` drains and room for ``results`` rows of sums.

    There is always room for one tile.

    >>> drained(16, 4, 512), drained(9, 4, 512), drained(16, 1, 4)
    ({'drains': 4, 'result_depth': 128}, {'drains': 3, 'result_depth': 170}, {'drains': 1, 'result_depth': 16})
    """
    found = most_drains(rows, check_integer("drains", drains, 1))
    return {"drains": found, "result_depth": max(results // found, -(-rows // found))}


def address_width(depth: int) -> int:
    """Bits of an address of ``depth`` words, at least one."""
    return max(1, (depth - 1).bit_length())
