"""Several Liberty files as one library: a vendor may put registers, adders and simple gates into files of their own.

Each file states units, conditions and thresholds anew. They must be the same, since the numbers of a cell are in those
of its file. Templates of tables may differ: a table takes that of its own file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import combinations

from siliquant.inputs import InputError, short

from .tree import Group

__all__ = ["Templates", "merged", "with_conditions"]

_DEFAULTS = {
    "time_unit": ("1ns",),
    "voltage_unit": ("1V",),
    "slew_derate_from_library": ("1",),
    **{f"{side}_threshold_pct_{edge}": ("50",) for side in ("input", "output") for edge in ("rise", "fall")},
    **{f"slew_lower_threshold_pct_{edge}": ("20",) for edge in ("rise", "fall")},
    **{f"slew_upper_threshold_pct_{edge}": ("80",) for edge in ("rise", "fall")},
}
_SAME = (
    *_DEFAULTS,
    *("capacitive_load_unit", "leakage_power_unit", "pulling_resistance_unit"),
    *("nom_process", "nom_voltage", "nom_temperature", "default_operating_conditions", "default_input_pin_cap"),
    *("default_cell_leakage_power", "default_wire_load", "default_wire_load_selection", "default_wire_load_mode"),
)
_GATHERED = ("voltage_map", "define", "define_group")
_TEMPLATES = ("lu_table_template", "power_lut_template")
_PARTS = re.compile(r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)?(.*)", re.DOTALL)
_MOST_PLAIN = 100  # characters of a value that is compared by its number


class Templates:
    """The templates of tables in a library that may be of several files. kinds: of which groups.

    names: for the ``id`` of each template that differs from those before it a name that no other has.
    """

    def __init__(self, library: Group, *kinds: str) -> None:
        self.names: dict[int, str] = {}
        self._own: dict[tuple[object, str], Group] = {}
        self._first: dict[str, Group] = {}
        self._same: dict[tuple[object, ...], int] = {}
        every = [group for kind in kinds for group in library.group_iter(kind)]
        taken = {group.name for group in every}
        for group in every:
            self._own[group.file, group.name] = group
            words = _words(group)
            if words in self._same:
                continue
            self._same[words] = id(group)
            name, number = group.name, 1
            while name in taken and group.name in self._first:
                number += 1
                name = f"{group.name}_{number}"
            taken.add(name)
            self._first.setdefault(group.name, group)
            self.names[id(group)] = name

    def of(self, table: Group) -> Group | None:
        """The template that a table names, from its own file before others; None where there is none."""
        return self._own.get((table.file, table.name)) or self._first.get(table.name)

    def name_of(self, table: Group) -> str:
        """The name of a table's template among ``names``."""
        template = self.of(table)
        return table.name if template is None else self.names[self._same[_words(template)]]


def merged(libraries: Sequence[Group]) -> Group:
    """One library with the cells of all, in this order; of what all of them state, that of the first.

    Raises InputError, naming both files, where two of them differ in units, conditions, thresholds, defaults or the
    voltage of a rail. What stands in two files in the same words is there once.
    """
    first = libraries[0]
    for library in libraries:
        if library.kind != "library":
            raise library.fail("must be a library group")
    if len(libraries) == 1:
        return first
    for other in libraries[1:]:
        _check_same(first, other)
    same_tables = not any(_templates_differ(*pair) for pair in combinations(libraries, 2))
    known: dict[tuple[object, ...], Group] = {}
    groups = []
    for library in libraries:
        for group in library.groups:
            # Where templates differ, tables in the same words are not the same tables.
            alone = group.kind in _TEMPLATES or (group.kind == "cell" and not same_tables)
            if alone or known.setdefault(_words(group), group).file == library.file:
                groups.append(group)
    attributes = {name: list(values) for name, values in first.attributes.items()}
    for name in _GATHERED:
        every = dict.fromkeys(value for library in libraries for value in library.attributes.get(name, ()))
        if every:
            attributes[name] = list(every)
    return first.replaced(groups, attributes)


def with_conditions(library: Group, name: str) -> Group:
    """The library with these as its default operating conditions. Raises InputError where it has none of that name."""
    names = list(dict.fromkeys(group.name for group in library.group_iter("operating_conditions")))
    if name not in names:
        raise library.fail(f"must have the operating conditions {short(name)}; it has {names_of(names)}")
    return library.replaced(library.groups, {**library.attributes, "default_operating_conditions": [(name,)]})


def names_of(names: Sequence[str]) -> str:
    """Names in a message: the first few."""
    return (", ".join(map(short, names[:8])) or "none") + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _templates_differ(one: Group, other: Group) -> bool:
    mine, theirs = (
        {(group.kind, group.args): _words(group) for kind in _TEMPLATES for group in library.group_iter(kind)}
        for library in (one, other)
    )
    return any(theirs.get(name, words) != words for name, words in mine.items())


def _words(group: Group) -> tuple[object, ...]:
    """Equal for groups that say the same in the same words."""
    body = hashlib.sha256(" ".join(group.body.split()).encode()).digest()
    return (group.kind, group.args, body)


def _check_same(first: Group, other: Group) -> None:
    for name in _SAME:
        mine, theirs = (library.stated(name) or _DEFAULTS.get(name, ()) for library in (first, other))
        if _plain(mine) != _plain(theirs):
            raise _differs(first, other, name, mine, theirs)
    rails = {pair[0]: pair[1:] for pair in first.attributes.get("voltage_map", ()) if pair}
    for pair in other.attributes.get("voltage_map", ()):
        if pair and _plain(rails.get(pair[0], pair[1:])) != _plain(pair[1:]):
            raise _differs(first, other, f"voltage_map of {pair[0][:60]}", rails[pair[0]], pair[1:])


def _differs(first: Group, other: Group, name: str, mine: tuple[str, ...], theirs: tuple[str, ...]) -> InputError:
    said, found = (short(", ".join(values)) if values else "nothing" for values in (mine, theirs))
    return other.fail(
        f"must state for {name} what {first.file}, line {first.line}, does, {said}, and states {found}: files of one "
        "library are of one corner, in the same units"
    )


def _plain(values: tuple[str, ...]) -> tuple[object, ...]:
    """What values say, however it is written: 1ns and "1.0 ns" are one."""
    return tuple(part for value in values for part in _parts("".join(value.lower().split())))


def _parts(value: str) -> tuple[object, ...]:
    match = _PARTS.fullmatch(value) if len(value) <= _MOST_PLAIN else None
    return (float(match[1]), match[2]) if match and match[1] else (value,)
