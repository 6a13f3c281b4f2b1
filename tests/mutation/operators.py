"""Mutants of a module: its source with one number, operator, condition or call changed.

The changes are mutmut's; its runner is not used, because it leaves out whatever is decorated, and so all properties.
Ours are the exchanges of functions. Nothing is changed in annotations, decorators, assertions, imports, texts and what
is raised: these decide no number.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

from .groups import ROOT

__all__ = ["Changes", "Mutant", "changes_of"]

_LEFT_OUT = (cst.Annotation, cst.Decorator, cst.Assert, cst.Raise, cst.Import, cst.ImportFrom, cst.FormattedString)
_EXCHANGED = MappingProxyType(
    {
        one: other
        for pair in (
            ("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("fmin", "fmax"), ("amin", "amax"),
            ("floor", "ceil"), ("any", "all"), ("prod", "sum"), ("clamp_min", "clamp_max"), ("first", "last"),
        )
        for one, other in (pair, pair[::-1])
    }
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A change of a file, the ``number``-th in the order of its text. lines: those of what is changed, from 1. before,
    after: the lines that differ, without indentation. source: all of the changed file.
    """

    file: str
    number: int
    lines: tuple[int, int]
    before: str
    after: str
    source: str

    @property
    def module(self) -> str:
        """Its name, for import."""
        return self.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.lines[0]}"


@dataclass(frozen=True, eq=False)
class Changes:
    """What can be changed in a file: ``places`` has, for each place in the text, the numbers of its changes."""

    file: str
    module: cst.Module
    lines: Sequence[tuple[int, int]]
    nodes: Sequence[tuple[cst.CSTNode, cst.CSTNode]]
    places: Sequence[Sequence[int]]

    def mutant(self, number: int) -> Mutant:
        """The mutant with a number."""
        node, changed = self.nodes[number]
        source = self.module.deep_replace(node, changed).code  # type: ignore[union-attr]
        before, after = _difference(self.module.code, source)
        return Mutant(self.file, number, self.lines[number], before, after, source)

    def has(self, before: str, after: str) -> bool:
        """Whether one of them changes these lines so."""
        text = [line.strip() for line in self.module.code.splitlines()]
        lines, beside = [number for number, line in enumerate(text, 1) if line == before], 0
        if not lines:  # several lines
            lines, beside = [number for number, line in enumerate(text, 1) if line and line in before], 9
        near = [
            number for number, (first, last) in enumerate(self.lines)
            if any(first - beside <= line <= last + beside for line in lines)
        ]  # fmt: skip
        return any((made.before, made.after) == (before, after) for made in map(self.mutant, near))


def changes_of(file: str) -> Changes:
    """What can be changed in a file, a path from the root."""
    wrapper = MetadataWrapper(cst.parse_module((ROOT / file).read_text()))
    positions = wrapper.resolve(PositionProvider)
    lines: list[tuple[int, int]] = []
    nodes: list[tuple[cst.CSTNode, cst.CSTNode]] = []
    places: list[list[int]] = []
    for node in _places(wrapper.module):
        here = list(_changes(node))
        if here:
            places.append(list(range(len(nodes), len(nodes) + len(here))))
            nodes += [(node, changed) for changed in here]
            where = positions[node]
            lines += [(where.start.line, where.end.line)] * len(here)
    return Changes(file, wrapper.module, lines, nodes, places)


def _places(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The nodes that may be changed."""
    for child in node.children:
        if isinstance(child, _LEFT_OUT) or _is_exports(child):
            continue
        yield child
        yield from _places(child)


def _is_exports(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.Assign):
        return False
    target = node.targets[0].target
    return isinstance(target, cst.Name) and target.value == "__all__"


def _changes(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    if isinstance(node, cst.BaseNumber):
        yield from mutators.operator_number(node)
    elif isinstance(node, cst.UnaryOperation):
        yield from mutators.operator_remove_unary_ops(node)
        yield from mutators.operator_swap_op(node)
    elif isinstance(node, cst.IfExp):
        yield from mutators.operator_if_exp(node)
    elif isinstance(node, cst.Call):
        # One without an argument that has a default, as those that are named have. Names of wires are no numbers.
        named = [argument for argument in node.args if argument.keyword and argument.keyword.value != "name"]
        for changed in mutators.operator_arg_removal(node):
            left = [argument for argument in changed.args if argument.keyword and argument.keyword.value != "name"]
            if len(changed.args) < len(node.args) and len(left) < len(named):
                yield changed
        yield from _exchanged(node)
    elif isinstance(node, cst.Name):
        yield from mutators.operator_name(node)
    else:
        yield from mutators.operator_swap_op(node)
        yield from mutators.operator_keywords(node)


def _exchanged(call: cst.Call) -> Iterator[cst.CSTNode]:
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    if isinstance(name, cst.Name) and name.value in _EXCHANGED:
        yield call.with_deep_changes(name, value=_EXCHANGED[name.value])


def _difference(before: str, after: str) -> tuple[str, str]:
    """The lines that differ."""
    one, other = before.splitlines(), after.splitlines()
    blocks = [block for block in difflib.SequenceMatcher(None, one, other, False).get_opcodes() if block[0] != "equal"]
    if not blocks:
        return "", ""
    old, new = one[blocks[0][1] : blocks[-1][2]], other[blocks[0][3] : blocks[-1][4]]
    return tuple(" ".join(line.strip() for line in lines) for lines in (old, new))  # type: ignore[return-value]
