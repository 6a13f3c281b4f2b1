"""Read a Liberty (.lib) file as a tree of groups.

Only the braces are matched at once; the statements of a group are read when somebody asks for
them.  A 46 MB library is therefore open in about a second, and a flow that needs sixty of its
cells pays for sixty cells.

Syntax covered (Liberty User Guide, "Syntax of a library file"):

    group      kind ( args ) { statements }
    simple     name : value ;          quoted or not; an expression such as  clear : !RN ;
    complex    name ( args ) ;         the semicolon may be missing at the end of a line
    comments   /* ... */  and  // ...  between any two words; a backslash before a newline continues the line

Numbers are finite. ``include_file`` is refused: what it names is no library but part of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from siliquant.inputs import InputError, short

from .source import Source

__all__ = ["Group", "named_pins", "parse_liberty"]

_LARGEST = 1e30  # of numbers: beyond what any unit makes of a quantity

# No possessive quantifiers: Python before 3.11.5 matches them wrongly. Nothing stands behind what repeats here, or it
# cannot match in two ways; and what repeats is a run of characters, since every single repeat takes memory.
_BLANK = re.compile(r"[\s;\\]*")
_BLANK_BEFORE_BRACE = re.compile(r"[\s\\]*")
_WHITE = re.compile(r"\s*")
_STATEMENT = re.compile(r"[A-Za-z_][\w.$]*\s*[:(]", re.ASCII)
_HEAD = re.compile(r"([A-Za-z_][\w.$]*)\s*([:(])", re.ASCII)
_SIMPLE = re.compile(r'(?:[ \t]+|\\\r?\n)*("[^"]*"|(?:[^;\r\n{}"\\]+|\\\r?\n|\\)*)')
_IN_BRACKETS = re.compile(r'"[^"]*"|[(){}"]')
_ARGUMENT = re.compile(r'"([^"]*)"|([^\s,"\\]+)')
_CONTINUED = re.compile(r"\\\r?\n")
_MOST_DIGITS = 64  # characters of a number
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBERS = re.compile(r"[-+0-9.eE,\s]*")


def parse_liberty(text: str, file: str | Path | None = None) -> Group:
    """Read Liberty text and return its top group, normally of kind ``library``.

    Braces, strings and comments are checked for the whole text now; the statements inside each
    group when they are first asked for.  Both raise InputError naming the line, and ``file`` where it is given.
    """
    source = Source(text, file)
    groups: list[Group] = []
    attributes: dict[str, list[tuple[str, ...]]] = {}
    _read_statements(source, 0, len(source.text), groups, attributes)
    if attributes or len(groups) != 1:
        found = f"{len(groups)} groups" if not attributes else f"the attribute {next(iter(attributes))}"
        raise InputError(
            f"Liberty text must hold one top group, library (name) {{ ... }}, but it holds {found}", file=file
        )
    return groups[0]


class Group:
    """One Liberty group: ``kind (args) { statements }``.

    Every attribute value is a tuple of strings: a simple attribute has one entry, a complex one
    as many as it has arguments.  An attribute given twice has two tuples in its list; :meth:`text`, :meth:`number` and
    :meth:`numbers` refuse one that is given twice and says two things, since tools differ in which they take.
    Treat all of it as read-only.
    """

    __slots__ = ("_attributes", "_end", "_groups", "_source", "_start", "args", "kind")

    def __init__(self, kind: str, args: tuple[str, ...], source: Source, start: int, end: int) -> None:
        self.kind = kind
        self.args = args
        self._source = source
        self._start = start
        self._end = end
        self._groups: list[Group] | None = None
        self._attributes: dict[str, list[tuple[str, ...]]] = {}

    def __repr__(self) -> str:
        return f"Group({self.kind} ({', '.join(self.args)}), line {self.line})"

    @property
    def name(self) -> str:
        """The first argument, such as the name of a cell or pin; empty when there is none."""
        return self.args[0] if self.args else ""

    @property
    def line(self) -> int:
        """The line of the group's opening brace, counted from 1."""
        return self._source.line(self._start)

    @property
    def file(self) -> str | Path | None:
        """The file in which the group stands, where its reader was told."""
        return self._source.file

    @property
    def body(self) -> str:
        """What stands between the braces of the group, without comments."""
        return self._source.text[self._start : self._end]

    def replaced(self, groups: list[Group], attributes: Mapping[str, list[tuple[str, ...]]]) -> Group:
        """A group of this name and place that holds other groups, which may stand in other files, and attributes."""
        made = Group(self.kind, self.args, self._source, self._start, self._end)
        made._groups, made._attributes = groups, dict(attributes)
        return made

    @property
    def groups(self) -> list[Group]:
        """The groups directly inside, in file order."""
        if self._groups is None:
            groups: list[Group] = []
            attributes: dict[str, list[tuple[str, ...]]] = {}
            _read_statements(self._source, self._start, self._end, groups, attributes)
            self._groups, self._attributes = groups, attributes
        return self._groups

    @property
    def attributes(self) -> Mapping[str, list[tuple[str, ...]]]:
        """Attribute name to its values in file order, each a tuple of strings without quotes."""
        if self._groups is None:
            _ = self.groups
        return self._attributes

    def fail(self, sentence: str) -> InputError:
        """An error about this group: with the file and line it stands in, and its kind and name."""
        return self.placed(f"{self.label} {sentence}")

    def placed(self, sentence: str) -> InputError:
        """An error with the file and line of this group that is not of it alone."""
        return self._source.fail(self._start, sentence)

    def place_from(self, other: Group) -> str:
        """Where the group stands, for a message about another one: its line, and its file where that is another."""
        return f"line {self.line}" + ("" if self.file == other.file else f" of {self.file}")

    @property
    def label(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} {short(self.name)}" if self.args else self.kind

    def group_iter(self, kind: str) -> Iterator[Group]:
        """The groups of one kind directly inside, in file order."""
        return (group for group in self.groups if group.kind == kind)

    def find(self, kind: str, name: str) -> Group:
        """The last group of this kind and first argument.  InputError when there is none.

        The last, because a later definition in a Liberty file replaces an earlier one.
        """
        for group in reversed(self.groups):
            if group.kind == kind and group.name == name:
                return group
        raise self.fail(f"must have a {kind} named {short(name)}, and has none")

    def stated(self, name: str) -> tuple[str, ...]:
        """The values of an attribute that may be given once; empty where it is not there.

        InputError where it is given twice with different values.
        """
        values = self.attributes.get(name)
        if not values:
            return ()
        if len(values) > 1 and any(other != values[0] for other in values):
            found = " and ".join(short(", ".join(value)) for value in dict.fromkeys(values))
            raise self.fail(f"must state one {name[:60]}, not {found}")
        return values[0]

    def text(self, name: str, default: str = "") -> str:
        """The value of a simple attribute, or the default. InputError as :meth:`stated`."""
        values = self.stated(name)
        return values[0] if values else default

    def number(self, name: str, default: float | None = None) -> float:
        """The value of a simple attribute as a float.

        InputError when it is absent and no default was given, when it is no finite number, and as :meth:`stated`.
        """
        values = self.stated(name)
        if not values:
            if default is None:
                raise self.fail(f"must state {name}, and does not")
            return default
        text = values[0]
        if len(text) <= _MOST_DIGITS and _NUMBER.fullmatch(text):
            value = float(text)
            if abs(value) <= _LARGEST:
                return value
        raise self._no_number(name, text)

    def numbers(self, name: str) -> tuple[float, ...]:
        """All numbers of a complex attribute such as index_1 or values, row after row.

        InputError for what is none, and as :meth:`stated`.
        """
        return self._numbers(name, self.stated(name))

    def rows(self, name: str) -> list[tuple[float, ...]]:
        """The numbers of an attribute that may be given many times, as fanout_length may.

        InputError for what is none.
        """
        return [self._numbers(name, value) for value in self.attributes.get(name, ())]

    def _numbers(self, name: str, rows: tuple[str, ...]) -> tuple[float, ...]:
        found: list[float] = []
        for row in rows:
            try:
                found += _floats(row)
            except ValueError:
                items = row.replace(",", " ").split()
                wrong = (item for item in items if len(item) > _MOST_DIGITS or not _NUMBER.fullmatch(item))
                raise self._no_number(name, next(wrong, row)) from None
        if found and not max(map(abs, found)) <= _LARGEST:
            raise self._no_number(name, max(found, key=abs))
        return tuple(found)

    def flag(self, name: str) -> bool:
        """True when a simple attribute is present and says true."""
        return self.text(name).strip().lower() == "true"

    def _no_number(self, name: str, found: object) -> InputError:
        return self.fail(f"must have a finite number for {name}, at most {_LARGEST:g}, not {short(found)}")


@lru_cache(maxsize=1024)
def _floats(row: str) -> tuple[float, ...]:
    """The numbers of a row; axes are the same in most tables of a file. Raises ValueError for what is none."""
    items = row.replace(",", " ").split()
    if not _NUMBERS.fullmatch(row) or max(map(len, items), default=0) > _MOST_DIGITS:
        raise ValueError
    return tuple(map(float, items))


def named_pins(cell: Group) -> list[tuple[str, Group]]:
    """The pins of a cell by name; ``pin (A, B) { ... }`` stands for two that are alike."""
    return [(name, pin) for pin in cell.group_iter("pin") for name in pin.args]


def _read_statements(
    source: Source, start: int, end: int, groups: list[Group], attributes: dict[str, list[tuple[str, ...]]]
) -> None:
    """Append the groups and attributes of text[start:end], which holds whole statements only."""
    text = source.text
    head_at, simple_at = _HEAD.match, _SIMPLE.match
    offset = start
    while True:
        offset = _after(_BLANK, text, offset, end)
        if offset >= end:
            return
        head = head_at(text, offset, end)
        if head is None:
            word = text[offset : min(end, offset + 30)].split("\n")[0]
            raise source.fail(offset, f"expected  name : value ;  or  name (values)  but found {word!r}")
        name, offset = head[1], head.end()
        if name == "include_file":
            raise source.fail(head.start(), "include_file is not supported: what it names must stand in its place")
        if head[2] == ":":
            value = simple_at(text, offset, end)
            if value is not None and not value[1].strip() and text.startswith("\n", value.end(), end):
                offset = _after(_WHITE, text, value.end(), end)  # a value in a line of its own
                value = simple_at(text, offset, end)
                value = None if value is not None and _STATEMENT.match(value[1]) else value
            if value is None or not value[1].strip():
                raise source.fail(head.start(), f"the attribute {name[:60]} has no value")
            attributes.setdefault(name, []).append((_clean(value[1]),))
            offset = value.end()
            continue
        close = _closing_bracket(text, offset, end)
        if close is None:
            raise source.fail(head.start(), f"the parenthesis after {name[:60]} is never closed")
        values = tuple(_clean(match[0]) for match in _ARGUMENT.finditer(text, offset, close))
        offset = _after(_BLANK_BEFORE_BRACE, text, close + 1, end)
        if text.startswith("{", offset, end):
            brace = source.closing.get(offset, end)
            if brace >= end:
                raise source.fail(offset, "a brace must not stand in a comment or string that another one ends")
            groups.append(Group(name, values, source, offset + 1, brace))
            offset = brace + 1
        else:
            attributes.setdefault(name, []).append(values)
            offset = close + 1


def _after(blank: re.Pattern[str], text: str, offset: int, end: int) -> int:
    """Behind what a pattern takes for blank."""
    match = blank.match(text, offset, end)
    return match.end() if match else offset


def _closing_bracket(text: str, offset: int, end: int) -> int | None:
    """Where the bracket closes that was opened before ``offset``; one more level may be inside."""
    inside = False
    for match in _IN_BRACKETS.finditer(text, offset, end):
        token = match[0]
        if token == ")":
            if not inside:
                return match.start()
            inside = False
        elif token == "(" and not inside:
            inside = True
        elif inside or len(token) == 1:  # a string in inner brackets, a brace, a quote alone, brackets too deep
            return None
    return None


def _clean(value: str) -> str:
    """A value without its quotes and line continuations."""
    if "\\" in value:
        value = _CONTINUED.sub(" ", value)
    return (value[1:-1] if value.startswith('"') else value).strip()
