"""The corner of a library: its operating conditions and its supply."""

from __future__ import annotations

import re

from siliquant.inputs import short

from .tree import Group

__all__ = ["nominal_temperature_c", "nominal_voltage_v", "operating_conditions", "time_unit", "unit"]

TIMES_NS = {"1ps": 1e-3, "10ps": 1e-2, "100ps": 1e-1, "1ns": 1.0}
"""The units of time that a library may have."""

_UNIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})\s*([munpf]?)([a-z]+)")
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}")
_PREFIX = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "": 1.0}
_NOMINAL = ("process", "voltage", "temperature")
_MOST_SHOWN = 8


def operating_conditions(library: Group) -> Group | None:
    """Those that default_operating_conditions names; else the only ones, or the only ones that are what nom_process,
    nom_voltage and nom_temperature say. None where that decides nothing, or where they state no voltage.
    """
    name, every = library.text("default_operating_conditions"), list(library.group_iter("operating_conditions"))
    if name:
        every = [group for group in every if group.name == name][-1:]
    elif len(every) > 1:
        every = [group for group in every if _is_nominal(library, group)]
        if every and all(group.attributes == every[0].attributes for group in every):
            every = every[:1]
    return every[0] if len(every) == 1 and "voltage" in every[0].attributes else None


def nominal_voltage_v(library: Group) -> float:
    """The supply of the library's corner in V: its nom_voltage, else that of its operating conditions, else the only
    one above 0 in its voltage_map.

    InputError where nothing states it, and for what is not above 0.
    """
    stated: Group | None = library
    attribute = "nom_voltage"
    if attribute not in library.attributes:
        attribute, stated = "voltage", operating_conditions(library)
    if stated is None:
        voltage = _mapped(library)
        if voltage is None:
            raise library.fail(_no_voltage(library))
        return voltage * unit(library, "voltage_unit", "v", "1V")
    voltage = stated.number(attribute)
    if not voltage > 0:
        raise stated.fail(f"must have a {attribute} above 0, not {voltage:g}")
    return voltage * unit(library, "voltage_unit", "v", "1V")


def nominal_temperature_c(library: Group) -> float:
    """The temperature of its corner: nom_temperature, else that of its operating conditions, else 25 C."""
    conditions = operating_conditions(library)
    return library.number("nom_temperature", 25.0 if conditions is None else conditions.number("temperature", 25.0))


def unit(library: Group, attribute: str, symbol: str, default: str) -> float:
    """A unit attribute such as time_unit in SI, its symbol in lower case.  InputError when it is not one above 0."""
    text = library.text(attribute, default)
    match = _UNIT.fullmatch(text.strip().lower())
    if match is None or match[3] != symbol or not float(match[1]) > 0:
        raise library.fail(f"must have a number with a unit in {symbol} for {attribute}, not {short(text)}")
    return float(match[1]) * _PREFIX[match[2]]


def time_unit(library: Group) -> str:
    """Its time_unit, 1ns where it states none, as a key of TIMES_NS; however it is written. InputError for others."""
    found_ns = unit(library, "time_unit", "s", "1ns") / 1e-9
    for name, time_ns in TIMES_NS.items():
        if abs(found_ns - time_ns) < 1e-6 * time_ns:
            return name
    known, stated = ", ".join(TIMES_NS), short(library.text("time_unit"))
    raise library.fail(f"must have one of {known} for its time_unit, not {stated}")


def _is_nominal(library: Group, conditions: Group) -> bool:
    """Whether conditions contradict nothing of what the library states to be nominal."""
    pairs = [(f"nom_{name}", name) for name in _NOMINAL if f"nom_{name}" in library.attributes]
    return bool(pairs) and all(
        abs(library.number(nominal) - conditions.number(name, library.number(nominal))) <= 1e-6
        for nominal, name in pairs
    )


def _mapped(library: Group) -> float | None:
    """The only voltage above 0 of the library's rails, in its unit of voltages."""
    rails = [pair[1] for pair in library.attributes.get("voltage_map", ()) if len(pair) == 2]
    voltages = {float(text) for text in rails if _PLAIN.fullmatch(text) and float(text) > 0}
    return voltages.pop() if len(voltages) == 1 else None


def _no_voltage(library: Group) -> str:
    names = list(dict.fromkeys(group.name for group in library.group_iter("operating_conditions")))
    shown = ", ".join(map(short, names[:_MOST_SHOWN])) + (" ..." if len(names) > _MOST_SHOWN else "")
    said = "must state its supply: nom_voltage, or the voltage of its default_operating_conditions"
    return f"{said}; --operating-conditions NAME chooses one of {shown}" if names else said
