"""Contradictions in what a library states of itself, and measures that no library can have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from hwmodel.liberty import Group, nominal_temperature_c, nominal_voltage_v, operating_conditions, unit
from siliquant.inputs import InputError

__all__ = ["check_consistency", "other_conditions"]

_ONCE = frozenset({"operating_conditions", "wire_load", "wire_load_selection"})
_ONCE_A_FILE = frozenset({"lu_table_template", "power_lut_template"})
_DERATES = (0.01, 1.0)
_SAME = 0.01  # voltages that differ by less are one
_OF_WIRES = ("capacitance", "resistance", "slope", "area")


def check_consistency(library: Group) -> None:
    """Raises InputError, naming file and line, for what is defined twice in two ways, or cannot be.

    Such are groups of the library of one kind and name, thresholds that are no shares of the supply in their order, a
    slew_derate_from_library outside 0.01 to 1, and wires without a capacitance or that would take less the longer they
    are.
    """
    first: dict[tuple[object, ...], Group] = {}
    for group in library.groups:
        if group.kind in _ONCE or group.kind in _ONCE_A_FILE:
            file = group.file if group.kind in _ONCE_A_FILE else None
            other = first.setdefault((group.kind, group.name, file), group)
            if other.attributes != group.attributes:
                raise group.fail(f"must be defined once, and is first defined in {other.place_from(group)}")
    for edge in ("rise", "fall"):
        for side in ("input", "output"):
            _percent(library, f"{side}_threshold_pct_{edge}", 50.0)
        names = (f"slew_lower_threshold_pct_{edge}", f"slew_upper_threshold_pct_{edge}")
        lower, upper = (_percent(library, name, value) for name, value in zip(names, (20.0, 80.0), strict=True))
        if not lower < upper:
            raise library.fail(f"must have a {names[0]} below its {names[1]}, not {lower:g} and {upper:g}")
    derate = library.number("slew_derate_from_library", 1.0)
    if not _DERATES[0] <= derate <= _DERATES[1]:
        low, high = _DERATES
        raise library.fail(f"must have a slew_derate_from_library from {low:g} to {high:g}, not {derate:g}")
    for wires in library.group_iter("wire_load"):
        wires.number("capacitance")
        for name in _OF_WIRES:
            if wires.number(name, 0.0) < 0:
                raise wires.fail(f"must have a {name} of at least 0, not {wires.number(name):g}")
        if any(min(row, default=0.0) < 0 for row in wires.rows("fanout_length")):
            raise wires.fail("must have numbers of at least 0 in fanout_length")


def other_conditions(library: Group, cells: Iterable[Group]) -> Iterator[InputError]:
    """Where default operating conditions, or the supply pins of ``cells``, have another voltage than nom_voltage, or
    another temperature than nom_temperature.
    """
    supply_v = nominal_voltage_v(library)
    volts = unit(library, "voltage_unit", "v", "1V")
    conditions = operating_conditions(library)
    if conditions is not None:
        voltage_v = conditions.number("voltage") * volts
        if abs(voltage_v - supply_v) > _SAME * supply_v:
            yield conditions.fail(f"must have the supply of nom_voltage, {supply_v:g} V, not {voltage_v:g} V")
        temperature = nominal_temperature_c(library)
        if abs(conditions.number("temperature", temperature) - temperature) > 1:
            stated = conditions.number("temperature")
            yield conditions.fail(f"must have the temperature of nom_temperature, {temperature:g} C, not {stated:g} C")
    known = {pair[0]: pair[1] for pair in library.attributes.get("voltage_map", ()) if len(pair) == 2}
    for cell in cells:
        for pin in cell.group_iter("pg_pin"):
            rail = pin.text("voltage_name", pin.name)
            if pin.text("pg_type") != "primary_power" or rail not in known:
                continue
            voltage_v = _volts(known[rail])  # in V, or in the unit of voltages
            if all(abs(value - supply_v) > _SAME * supply_v for value in (voltage_v, voltage_v * volts)):
                yield pin.fail(
                    f"of cell {cell.name} must have the supply of nom_voltage, {supply_v:g} V, not that of its "
                    f"voltage_map, {voltage_v:g} V"
                )


def _percent(library: Group, name: str, default: float) -> float:
    value = library.number(name, default)
    if not 0 < value < 100:
        raise library.fail(f"must have for {name} a number above 0 and below 100, not {value:g}")
    return value


def _volts(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which differs from no other
