"""The power data of a Liberty library: leakage by state, and energy tables of output and input pins.

Units.  Energies of internal_power tables are in capacitive_load_unit * voltage_unit^2 (Liberty User
Guide, "Defining power units"): fJ in freepdk45 and asap7, pJ in sky130 and ihp-sg13g2.
current_unit * voltage_unit * time_unit would be a thousand times more or less in some of them, so
``check_energy_scale`` compares the energy of simple gates with that of their own input capacitance.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from hwmodel.cellfunction import Expression, parse_function
from hwmodel.cellmodel import LibraryCells
from hwmodel.liberty import Group
from siliquant.errors import InputError

_UNIT = re.compile(r"(\d+(?:\.\d*)?)\s*([munpf]?)([a-z]+)")
_PREFIX = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "": 1.0}
_SLEW_VARIABLES = ("input_transition_time", "input_net_transition")
_LOAD_VARIABLE = "total_output_net_capacitance"
LOWEST_ENERGY_RATIO = 0.02
HIGHEST_ENERGY_RATIO = 20.0


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table over input slew (rows) and output load (columns), row after row.

    An axis of one entry means that the value does not depend on it.
    """

    slews_ns: tuple[float, ...]
    loads_pf: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, slew_ns: float, load_pf: float) -> float:
        """Bilinear interpolation; beyond the table its last interval is extended."""
        row, slew_share = _interval(self.slews_ns, slew_ns)
        column, load_share = _interval(self.loads_pf, load_pf)
        width, values = len(self.loads_pf), self.values
        corner = row * width + column
        value = values[corner]
        if load_share:
            value += (values[corner + 1] - value) * load_share
        if slew_share:
            below = values[corner + width]
            if load_share:
                below += (values[corner + width + 1] - below) * load_share
            value += (below - value) * slew_share
        return value


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy in pJ that a cell takes for a rise and a fall of a pin.

    Of an output pin: ``related`` names the input that causes it.  Of an input pin: ``related`` is the
    pin itself.  ``when`` is the state in which it holds; None for the states no other entry names.
    """

    related: str
    when: Expression | None
    rise_pj: LookupTable
    fall_pj: LookupTable


@dataclass(frozen=True, slots=True)
class CellPower:
    """Power data of one cell: leakage_nw by state, energies of output and of input pins."""

    leakage_nw: tuple[tuple[Expression | None, float], ...]
    outputs: Mapping[str, tuple[Energy, ...]]
    inputs: Mapping[str, tuple[Energy, ...]]


class LibraryPower:
    """Power data of a library's cells, each read when first asked for: ``power["FA_X1"]``."""

    def __init__(self, cells: LibraryCells) -> None:
        library = cells.library
        self.cells = cells
        self.voltage_v = library.number("nom_voltage")
        self.time_unit_ns = unit(library, "time_unit", "s") / 1e-9
        self.leakage_unit_nw = unit(library, "leakage_power_unit", "w") / 1e-9
        self.energy_unit_pj = cells.capacitance_unit_pf * unit(library, "voltage_unit", "v") ** 2
        self._templates = {
            group.name: group
            for kind in ("power_lut_template", "lu_table_template")
            for group in library.group_iter(kind)
        }
        self._read: dict[str, CellPower] = {}

    def __getitem__(self, name: str) -> CellPower:
        if name not in self._read:
            self._read[name] = self._read_cell(self.cells.group(name))
        return self._read[name]

    def table(self, group: Group, unit_scale: float) -> LookupTable:
        """A table group such as rise_power or cell_rise, its values multiplied by unit_scale.

        ValueError when its axes are not slew and load, or the number of values does not fit.
        """
        template = self._templates.get(group.name)
        axes: list[tuple[str, tuple[float, ...]]] = []
        for position in (1, 2, 3):
            variable = template.text(f"variable_{position}") if template else ""
            if not variable:
                continue
            index = group.numbers(f"index_{position}") or (template.numbers(f"index_{position}") if template else ())
            axes.append((variable, index))
        slews_ns: tuple[float, ...] = (0.0,)
        loads_pf: tuple[float, ...] = (0.0,)
        for variable, index in axes:
            if variable in _SLEW_VARIABLES:
                slews_ns = tuple(value * self.time_unit_ns for value in index)
            elif variable == _LOAD_VARIABLE:
                loads_pf = tuple(value * self.cells.capacitance_unit_pf for value in index)
            else:
                raise InputError(f"the table at line {group.line} must be over slew and load, not {variable}")
        values = tuple(value * unit_scale for value in group.numbers("values"))
        if len(values) != len(slews_ns) * len(loads_pf) or not all(_rising(axis) for axis in (slews_ns, loads_pf)):
            raise InputError(
                f"the table at line {group.line} must have {len(slews_ns)} x {len(loads_pf)} values over rising "
                f"indices, not {len(values)} values"
            )
        if axes and axes[0][0] == _LOAD_VARIABLE and len(axes) > 1:  # transpose to slew rows
            width = len(slews_ns)
            values = tuple(values[load * width + slew] for slew in range(width) for load in range(len(loads_pf)))
        return LookupTable(slews_ns, loads_pf, values)

    def _read_cell(self, group: Group) -> CellPower:
        supplies = {pin.name for pin in group.group_iter("pg_pin") if pin.text("pg_type") == "primary_power"}
        leakage = tuple(
            (_state(entry), entry.number("value") * self.leakage_unit_nw)
            for entry in _of_supply(group.group_iter("leakage_power"), supplies)
        )
        if all(when is not None for when, _ in leakage):
            default = self.cells.library.number("default_cell_leakage_power", 0.0)
            leakage = (*leakage, (None, group.number("cell_leakage_power", default) * self.leakage_unit_nw))
        outputs: dict[str, tuple[Energy, ...]] = {}
        inputs: dict[str, tuple[Energy, ...]] = {}
        for pin in group.group_iter("pin"):
            side = outputs if pin.text("direction") == "output" else inputs
            side[pin.name] = tuple(self._energies(pin, supplies))
        return CellPower(leakage, outputs, inputs)

    def _energies(self, pin: Group, supplies: set[str]) -> Iterator[Energy]:
        for group in _of_supply(pin.group_iter("internal_power"), supplies):
            tables = {table.kind: self.table(table, self.energy_unit_pj) for table in group.groups}
            zero = LookupTable((0.0,), (0.0,), (0.0,))
            either = tables.get("power", zero)
            rise, fall = tables.get("rise_power", either), tables.get("fall_power", either)
            for related in group.text("related_pin", pin.name).split():
                yield Energy(related, _state(group), rise, fall)


def unit(library: Group, attribute: str, symbol: str) -> float:
    """A unit attribute such as time_unit in SI, its symbol in lower case.  ValueError when it is not one."""
    text = library.text(attribute)
    match = _UNIT.fullmatch(text.strip().lower())
    if match is None or match[3] != symbol:
        raise InputError(f"{attribute} of {library.name} must be a number with a unit in {symbol}, not {text!r}")
    return float(match[1]) * _PREFIX[match[2]]


def check_energy_scale(power: LibraryPower, names: Sequence[str] | None = None) -> float:
    """Compare the energy of gates with that of their own inputs; the median ratio.

    The ratio is the internal energy of an output transition, at the lowest slew and load of its table,
    over C V^2 of the related input.  The median is 0.28 to 1.8 in the four
    libraries known here.  ValueError outside LOWEST_ENERGY_RATIO
    to HIGHEST_ENERGY_RATIO, which means that a unit is wrong.  ``names``: the cells to look at
    (default: inverters, and gates of two inputs).
    """
    ratios = []
    for name in names if names is not None else _simple_gates(power.cells):
        model = power.cells[name]
        for energies in power[name].outputs.values():
            for energy in energies:
                mean_pj = (energy.rise_pj.values[0] + energy.fall_pj.values[0]) / 2
                input_pj = model.capacitance_pf.get(energy.related, 0.0) * power.voltage_v**2
                if input_pj:
                    ratios.append(mean_pj / input_pj)
    ratio = median(ratios) if ratios else 0.0
    if not LOWEST_ENERGY_RATIO <= ratio <= HIGHEST_ENERGY_RATIO:
        raise InputError(
            f"the internal energy of gates in {power.cells.library.name} must be {LOWEST_ENERGY_RATIO} to "
            f"{HIGHEST_ENERGY_RATIO} times that of their input capacitance, not {ratio:.3g} times; check its units"
        )
    return ratio


def _simple_gates(cells: LibraryCells) -> Iterator[str]:
    for group in cells.library.group_iter("cell"):
        pins = list(group.group_iter("pin"))
        directions = sorted(pin.text("direction") for pin in pins)
        storage = any(inner.kind in ("ff", "latch", "statetable") for inner in group.groups)
        three_state = any("three_state" in pin.attributes for pin in pins)
        if directions in (["input", "output"], ["input", "input", "output"]) and not storage and not three_state:
            yield group.name


def _of_supply(groups: Iterator[Group], supplies: set[str]) -> Iterator[Group]:
    """Groups of the power supply: a library that splits them by supply pin has one for ground too."""
    for group in groups:
        pin = group.text("related_pg_pin")
        if not pin or pin in supplies:
            yield group


def _state(group: Group) -> Expression | None:
    text = group.text("when")
    return parse_function(text) if text else None


def _rising(axis: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(axis))


def _interval(axis: Sequence[float], value: float) -> tuple[int, float]:
    """The interval that holds a value and its share of it, below 0 or above 1 beyond the axis."""
    if len(axis) == 1:
        return 0, 0.0
    index = min(max(bisect_right(axis, value) - 1, 0), len(axis) - 2)
    return index, (value - axis[index]) / (axis[index + 1] - axis[index])
