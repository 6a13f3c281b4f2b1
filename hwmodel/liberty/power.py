"""The power data of a Liberty library: leakage by state, and energy tables of output and input pins.

Units.  Energies of internal_power tables are in capacitive_load_unit * voltage_unit^2 (Liberty User
Guide, "Defining power units"): fJ in freepdk45 and asap7, pJ in sky130 and ihp-sg13g2.
current_unit * voltage_unit * time_unit would be a thousand times more or less in some of them, so
``energy_ratio`` compares the energy of simple gates with that of their own input capacitance.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from siliquant.inputs import InputError, short

from .conditions import nominal_voltage_v, unit
from .functions import Expression, parse_function
from .merging import Templates
from .models import LibraryCells
from .tree import Group, named_pins

_SLEW_VARIABLES = ("input_transition_time", "input_net_transition")
_LOAD_VARIABLE = "total_output_net_capacitance"
_EDGES = ("rise_power", "fall_power")
_LEAKAGE_ERROR = 0.01  # of the cell's largest
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
    """Power data of one cell: leakage_nw by state, energies of output and of input pins.

    states_leakage: whether the library says anything of its leakage; where not, leakage_nw is 0. half: whether it
    states the energy of one edge of a pin and not of the other.
    """

    leakage_nw: tuple[tuple[Expression | None, float], ...]
    outputs: Mapping[str, tuple[Energy, ...]]
    inputs: Mapping[str, tuple[Energy, ...]]
    states_leakage: bool = True
    half: bool = False

    @property
    def states_energy(self) -> bool:
        """Whether the library states the internal energy of both edges of every output that an input can switch."""
        return not self.half and (not self.inputs or all(self.outputs.values()))


class LibraryPower:
    """Power data of a library's cells, each read when first asked for: ``power["FA_X1"]``."""

    def __init__(self, cells: LibraryCells) -> None:
        library = cells.library
        self.cells = cells
        self.voltage_v = nominal_voltage_v(library)
        self.time_unit_ns = unit(library, "time_unit", "s", "1ns") / 1e-9
        self._states_leakage = "leakage_power_unit" in library.attributes  # without it, numbers say nothing
        self.leakage_unit_nw = unit(library, "leakage_power_unit", "w", "1nW") / 1e-9
        self.energy_unit_pj = cells.capacitance_unit_pf * unit(library, "voltage_unit", "v", "1V") ** 2
        self._templates = Templates(library, "lu_table_template", "power_lut_template")
        self._read: dict[str, CellPower] = {}

    def __getitem__(self, name: str) -> CellPower:
        if name not in self._read:
            self._read[name] = self._read_cell(self.cells.group(name))
        return self._read[name]

    def table(self, group: Group, unit_scale: float) -> LookupTable:
        """A table group such as rise_power or cell_rise, its values multiplied by unit_scale.

        InputError when its axes are not slew and load, or the number of values does not fit.
        """
        template = self._templates.of(group)
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
                raise group.fail(f"must be over slew and load, not {short(variable)}")
        values = tuple(value * unit_scale for value in group.numbers("values"))
        if len(values) != len(slews_ns) * len(loads_pf) or not all(_rising(axis) for axis in (slews_ns, loads_pf)):
            raise group.fail(
                f"must have {len(slews_ns)} x {len(loads_pf)} values over rising indices, not {len(values)} values"
            )
        if axes and axes[0][0] == _LOAD_VARIABLE and len(axes) > 1:  # transpose to slew rows
            width = len(slews_ns)
            values = tuple(values[load * width + slew] for slew in range(width) for load in range(len(loads_pf)))
        return LookupTable(slews_ns, loads_pf, values)

    def _read_cell(self, group: Group) -> CellPower:
        model = self.cells[group.name]
        known = {*model.inputs, *model.outputs}
        if model.flip_flop is not None:
            known |= {model.flip_flop.state, model.flip_flop.inverse}
        supplies = {pin.name for pin in group.group_iter("pg_pin") if pin.text("pg_type") == "primary_power"}
        leakage = tuple(
            (_state(entry, known), entry.number("value") * self.leakage_unit_nw)
            for entry in _of_supply(group.group_iter("leakage_power"), supplies)
        )
        default = self.cells.library.number("default_cell_leakage_power", 0.0)
        stated = bool(leakage) or "cell_leakage_power" in group.attributes or default != 0.0
        if all(when is not None for when, _ in leakage):
            leakage = (*leakage, (None, group.number("cell_leakage_power", default) * self.leakage_unit_nw))
        _check_leakage(group, [value for _, value in leakage])
        outputs: dict[str, tuple[Energy, ...]] = {}
        inputs: dict[str, tuple[Energy, ...]] = {}
        for name, pin in named_pins(group):
            side = outputs if pin.text("direction") == "output" else inputs
            side[name] = tuple(self._energies(name, pin, supplies, known))
        half = any(_states_half(pin, supplies) for _, pin in named_pins(group))
        return CellPower(leakage, outputs, inputs, stated and self._states_leakage, half)

    def _energies(self, name: str, pin: Group, supplies: set[str], known: set[str]) -> Iterator[Energy]:
        for group in _of_supply(pin.group_iter("internal_power"), supplies):
            tables = {table.kind: self.table(table, self.energy_unit_pj) for table in group.groups}
            if not tables:
                continue  # it states nothing
            zero = LookupTable((0.0,), (0.0,), (0.0,))
            either = tables.get("power", zero)
            rise, fall = tables.get("rise_power", either), tables.get("fall_power", either)
            for related in group.text("related_pin", name).split():
                if related not in known:
                    raise group.fail(f"must have pins of its cell for related_pin, not {short(related)}")
                yield Energy(related, _state(group, known), rise, fall)


def _check_leakage(cell: Group, leakage_nw: Sequence[float]) -> None:
    """A cell gives no power: a state may be below 0 by what characterisation is wrong by, their sum may not."""
    if min(leakage_nw) < -_LEAKAGE_ERROR * max(map(abs, leakage_nw)) or sum(leakage_nw) < 0:
        raise cell.fail(f"must have a leakage of at least 0, not {min(leakage_nw):.4g} nW")


def _states_half(pin: Group, supplies: set[str]) -> bool:
    """Whether the energy of one edge of a pin is stated and that of the other is not, for any of its related pins."""
    edges: dict[str, set[str]] = {}
    for group in _of_supply(pin.group_iter("internal_power"), supplies):
        kinds = {table.kind for table in group.groups}
        for related in group.text("related_pin").split() or [""]:
            edges.setdefault(related, set()).update(_EDGES if "power" in kinds else kinds & set(_EDGES))
    return any(len(kinds) == 1 for kinds in edges.values())


def energy_ratio(power: LibraryPower, names: Iterable[str]) -> float | None:
    """The energy of gates over that of their own inputs: the median of some cells, None where they state none.

    That of a transition of an output at the lowest slew and load of its table, over C V^2 of the related input.
    0.28 to 1.8 in the four libraries known here.
    """
    ratios = []
    for name in names:
        model = power.cells[name]
        for energies in power[name].outputs.values():
            for energy in energies:
                mean_pj = (energy.rise_pj.values[0] + energy.fall_pj.values[0]) / 2
                input_pj = model.capacitance_pf.get(energy.related, 0.0) * power.voltage_v**2
                if input_pj:
                    ratios.append(mean_pj / input_pj)
    return median(ratios) if ratios else None


def check_energy_ratio(library: str, ratio: float | None) -> None:
    """Raises InputError for a ratio that only a wrong unit explains; None passes."""
    if ratio is not None and not LOWEST_ENERGY_RATIO <= ratio <= HIGHEST_ENERGY_RATIO:
        raise InputError(
            f"the internal energy of gates in {library} must be {LOWEST_ENERGY_RATIO} to {HIGHEST_ENERGY_RATIO} times "
            f"that of their input capacitance, not {ratio:.3g} times: check its units; where they are right, "
            "--accept-library takes it as it is"
        )


def _of_supply(groups: Iterator[Group], supplies: set[str]) -> Iterator[Group]:
    """Groups of the power supply: a library that splits them by supply pin has one for ground too."""
    for group in groups:
        pin = group.text("related_pg_pin")
        if not pin or pin in supplies:
            yield group


def _state(group: Group, known: Collection[str]) -> Expression | None:
    text = group.text("when")
    if not text:
        return None
    try:
        state = parse_function(text)
    except InputError as error:
        raise group.fail(f"must have an expression for when: {error.sentence}") from None
    if not state.names <= set(known):
        raise group.fail(f"must have pins of its cell in when, not {short(min(state.names - set(known)))}")
    return state


def _rising(axis: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(axis))


def _interval(axis: Sequence[float], value: float) -> tuple[int, float]:
    """The interval that holds a value and its share of it, below 0 or above 1 beyond the axis."""
    if len(axis) == 1:
        return 0, 0.0
    index = min(max(bisect_right(axis, value) - 1, 0), len(axis) - 2)
    return index, (value - axis[index]) / (axis[index + 1] - axis[index])
