"""Read a Liberty (.lib) file as a tree of groups.

Only the braces are matched at once; the statements of a group are read when somebody asks for
them.  A 46 MB library is therefore open in about a second, and a flow that needs sixty of its
cells pays for sixty cells.

Syntax covered (Liberty User Guide, "Syntax of a library file"):

    group      kind ( args ) { statements }
    simple     name : value ;          quoted or not; an expression such as  clear : !RN ;
    complex    name ( args ) ;         the semicolon may be missing at the end of a line
    comments   /* ... */  and  // ... ; a backslash before a newline continues the line
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from siliquant.errors import InputError

# No possessive quantifiers: Python before 3.11.5 matches them wrongly. What repeats here cannot match in two ways.
_BRACES = re.compile(r'\{|\}|"[^"]*"|"|/\*(?s:.*?)\*/|/\*|//[^\n]*')
_BLANK = re.compile(r"(?:[\s;\\]|/\*.*?\*/|//[^\n]*)*", re.DOTALL)
_BLANK_BEFORE_BRACE = re.compile(r"(?:[\s\\]|/\*.*?\*/|//[^\n]*)*", re.DOTALL)
_HEAD = re.compile(r"([A-Za-z_][\w.$]*)\s*([:(])")
_SIMPLE = re.compile(r'(?:[ \t]|\\\r?\n)*("[^"]*"|(?:[^;\r\n{}"\\]|\\\r?\n|\\)*)')
_COMPLEX = re.compile(r'((?:[^()"{}]|"[^"]*"|\([^()"{}]*\))*)\)')
_ARGUMENT = re.compile(r'"([^"]*)"|([^\s,"\\]+)')
_CONTINUED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SEPARATOR = re.compile(r"[\s,]+")


def parse_liberty(text: str) -> Group:
    """Read Liberty text and return its top group, normally of kind ``library``.

    Braces, strings and comments are checked for the whole text now; the statements inside each
    group when they are first asked for.  Both raise InputError naming the line.
    """
    source = _Source(text)
    groups: list[Group] = []
    attributes: dict[str, list[tuple[str, ...]]] = {}
    _read_statements(source, 0, len(text), groups, attributes)
    if attributes or len(groups) != 1:
        found = f"{len(groups)} groups" if not attributes else f"the attribute {next(iter(attributes))}"
        raise InputError(f"Liberty text must hold one top group, library (name) {{ ... }}, but it holds {found}")
    return groups[0]


class Group:
    """One Liberty group: ``kind (args) { statements }``.

    Every attribute value is a tuple of strings: a simple attribute has one entry, a complex one
    as many as it has arguments.  An attribute given twice has two tuples in its list.
    Treat all of it as read-only.
    """

    __slots__ = ("_attributes", "_end", "_groups", "_source", "_start", "args", "kind")

    def __init__(self, kind: str, args: tuple[str, ...], source: _Source, start: int, end: int) -> None:
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

    def group_iter(self, kind: str) -> Iterator[Group]:
        """The groups of one kind directly inside, in file order."""
        return (group for group in self.groups if group.kind == kind)

    def find(self, kind: str, name: str) -> Group:
        """The last group of this kind and first argument; KeyError when there is none.

        The last, because a later definition in a Liberty file replaces an earlier one.
        """
        for group in reversed(self.groups):
            if group.kind == kind and group.name == name:
                return group
        raise KeyError(f"{self.kind} {self.name} has no {kind} named {name}")

    def text(self, name: str, default: str = "") -> str:
        """The last value of a simple attribute, or the default."""
        values = self.attributes.get(name)
        return values[-1][0] if values and values[-1] else default

    def number(self, name: str, default: float | None = None) -> float:
        """The last value of a simple attribute as a float.

        KeyError when it is absent and no default was given; ValueError when it is not a number.
        """
        values = self.attributes.get(name)
        if not values or not values[-1]:
            if default is None:
                raise KeyError(f"{self.kind} {self.name} (line {self.line}) has no attribute {name}")
            return default
        return self._float(name, values[-1][0])

    def numbers(self, name: str) -> tuple[float, ...]:
        """All numbers of a complex attribute such as index_1 or values, row after row."""
        values = self.attributes.get(name)
        if not values:
            return ()
        return tuple(self._float(name, item) for row in values[-1] for item in _SEPARATOR.split(row) if item)

    def flag(self, name: str) -> bool:
        """True when a simple attribute is present and says true."""
        return self.text(name).strip().lower() == "true"

    def _float(self, name: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise InputError(
                f"Liberty {self.kind} {self.name} at line {self.line}: {name} must be a number, not {text!r}"
            ) from None


class _Source:
    """The text and, for every opening brace, the offset of the brace that closes it."""

    __slots__ = ("closing", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.closing = self._match_braces()

    def line(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def fail(self, offset: int, sentence: str) -> ValueError:
        return InputError(f"Liberty text, line {self.line(offset)}: {sentence}")

    def _match_braces(self) -> dict[int, int]:
        text = self.text
        closing: dict[int, int] = {}
        stack: list[int] = []
        for match in _BRACES.finditer(text):
            token = match[0]
            if token == "{":
                stack.append(match.start())
            elif token == "}":
                if not stack:
                    raise self.fail(match.start(), "a closing brace has no opening brace")
                closing[stack.pop()] = match.start()
            elif token == '"':
                raise self.fail(match.start(), "a quoted string is never closed")
            elif token == "/*":
                raise self.fail(match.start(), "a comment is never closed")
        if stack:
            raise self.fail(stack[-1], "an opening brace has no closing brace")
        return closing


def _read_statements(
    source: _Source, start: int, end: int, groups: list[Group], attributes: dict[str, list[tuple[str, ...]]]
) -> None:
    """Append the groups and attributes of text[start:end], which holds whole statements only."""
    text = source.text
    blank, head_at, complex_at, simple_at = _BLANK.match, _HEAD.match, _COMPLEX.match, _SIMPLE.match
    offset = start
    while True:
        skipped = blank(text, offset, end)
        offset = skipped.end() if skipped else offset
        if offset >= end:
            return
        head = head_at(text, offset, end)
        if head is None:
            word = text[offset : min(end, offset + 30)].split("\n")[0]
            raise source.fail(offset, f"expected  name : value ;  or  name (values)  but found {word!r}")
        name, offset = head[1], head.end()
        if head[2] == ":":
            value = simple_at(text, offset, end)
            if value is None or not value[1].strip():
                raise source.fail(head.start(), f"the attribute {name} has no value")
            attributes.setdefault(name, []).append((_clean(value[1]),))
            offset = value.end()
            continue
        arguments = complex_at(text, offset, end)
        if arguments is None:
            raise source.fail(head.start(), f"the parenthesis after {name} is never closed")
        values = tuple(_clean(match[0]) for match in _ARGUMENT.finditer(arguments[1]))
        skipped = _BLANK_BEFORE_BRACE.match(text, arguments.end(), end)
        offset = skipped.end() if skipped else arguments.end()
        if text.startswith("{", offset, end):
            close = source.closing[offset]
            groups.append(Group(name, values, source, offset + 1, close))
            offset = close + 1
        else:
            attributes.setdefault(name, []).append(values)
            offset = arguments.end()


def _clean(value: str) -> str:
    """A value without its quotes, line continuations and, when unquoted, comments."""
    if "\\" in value:
        value = _CONTINUED.sub(" ", value)
    if value.startswith('"'):
        return value[1:-1].strip()
    if "/" in value:
        value = _COMMENT.sub("", value)
    return value.strip()
