"""Always blocks: what registers take, those that are decided alike in one block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .expressions import Expressions, constant
from .nets import CONSTANTS, Nets, Register, targets
from .rtlil import Assign, Bit, Bits, Statement, Switch

__all__ = ["Reset", "blocks", "combinational"]

_INDENT = "  "
Body: TypeAlias = tuple[Statement, ...]


class Reset(Enum):
    """When registers that are reset are: with the clock or at once, where the port ``rst`` is 1 or ``rst_n`` is 0."""

    SYNCHRONOUS_HIGH = "sync-high"
    SYNCHRONOUS_LOW = "sync-low"
    ASYNCHRONOUS_HIGH = "async-high"
    ASYNCHRONOUS_LOW = "async-low"

    @property
    def port(self) -> str:
        """Name of the port."""
        return "rst_n" if self in (Reset.SYNCHRONOUS_LOW, Reset.ASYNCHRONOUS_LOW) else "rst"

    @property
    def tag(self) -> str:
        """What names of modules that designs share end with; empty of the usual style."""
        return "" if self is Reset.SYNCHRONOUS_HIGH else self.value.replace("-", "_")

    @property
    def meaning(self) -> str:
        """What stands beside the port."""
        when, level = self.value.split("-")
        return f"{when}hronous reset, active {level}"

    @property
    def active(self) -> str:
        """The expression that is 1 in reset."""
        return "!rst_n" if self.port == "rst_n" else "rst"

    @property
    def edge(self) -> str:
        """What a block of registers that are reset waits for beside the clock."""
        if self in (Reset.SYNCHRONOUS_HIGH, Reset.SYNCHRONOUS_LOW):
            return ""
        return " or negedge rst_n" if self.port == "rst_n" else " or posedge rst"


@dataclass(frozen=True)
class _Taken:
    """What a register takes: what it is reset to, if it is, and statements for all other cycles."""

    register: Register
    reset: Body
    body: Body


def blocks(nets: Nets, write: Expressions, reset: Reset) -> Iterator[list[str]]:
    """The lines of each block, in the order of the registers."""
    groups: dict[object, list[_Taken]] = {}
    for register in nets.registers:
        if any(bit in nets.live for bit in register.held):
            taken = _split(register, nets)
            groups.setdefault((bool(taken.reset), _signature(taken.body)), []).append(taken)
    for group in groups.values():
        lines = list(_Writer(nets, write, "<=").lines(_merged([each.body for each in group])))
        edge = reset.edge if group[0].reset else ""
        if group[0].reset:
            cleared = list(_Writer(nets, write, "<=").lines([part for each in group for part in each.reset]))
            lines = [*_nested(f"if ({reset.active})", cleared), *_nested("else", lines, chained=True)]
        yield list(_nested(f"always @(posedge clk{edge})", lines, chained=True))


def combinational(body: Body, nets: Nets, write: Expressions) -> list[str]:
    """The lines of a block without a clock."""
    return list(_nested("always @*", list(_Writer(nets, write, "=").lines(_last_words(body)))))


def _split(register: Register, nets: Nets) -> _Taken:
    """A register without the statement that it holds what it has, and its reset apart from all else."""
    body = _last_words(register.body)
    while body and _holds(body[0]):
        body = body[1:]
    if body and _is_reset(body[-1], register.held):
        assert isinstance(body[-1], Switch)
        return _Taken(register, body[-1].cases[0][1], body[:-1])
    return _Taken(register, (), body)


def _holds(statement: Statement) -> bool:
    return isinstance(statement, Assign) and statement.target == statement.source


def _is_reset(statement: Statement, held: Bits) -> bool:
    """Whether a statement gives a whole register constants in reset, and does nothing else."""
    if not isinstance(statement, Switch) or statement.test != (Bit("rst"),) or len(statement.cases) != 1:
        return False
    ((patterns, body),) = statement.cases
    constant_ = all(isinstance(each, Assign) and {bit.wire for bit in each.source} <= set(CONSTANTS) for each in body)
    return patterns == ("1",) and constant_ and set(targets(body)) == set(held)


def _last_words(body: Body) -> Body:
    """Statements without those that a later one without a condition overrides: not every tool reads these alike.

    Raises ValueError where it overrides a part.
    """
    kept: list[Statement] = []
    for statement in body:
        if isinstance(statement, Assign):
            given = set(statement.target)
            rest = [each for each in kept if not set(targets((each,))) <= given]
            if any(not given.isdisjoint(targets((each,))) for each in rest if isinstance(each, Switch)):
                raise ValueError(f"{statement.target[0].wire} takes a part of a word after a choice of the whole")
            kept = rest
        kept.append(statement)
    return tuple(kept)


def _signature(body: Body) -> object:
    """Equal for what may share a block."""
    first = next((statement for statement in body if isinstance(statement, Switch)), None)
    return None if first is None else _tested(first)


def _tested(switch: Switch) -> object:
    return switch.test, tuple(patterns for patterns, _ in switch.cases)


def _merged(bodies: Sequence[Body]) -> list[Statement]:
    """Statements about different bits in one order, those of equal tests together."""
    left = [list(body) for body in bodies]
    found: list[Statement] = []
    while any(left):
        for body in left:
            while body and isinstance(body[0], Assign):
                found.append(body.pop(0))
        first = next((body[0] for body in left if body), None)
        if first is None:
            break
        assert isinstance(first, Switch)
        alike = [body for body in left if body and isinstance(body[0], Switch) and _tested(body[0]) == _tested(first)]
        switches = [body.pop(0) for body in alike]
        inner = [
            (patterns, tuple(_merged([each.cases[place][1] for each in switches if isinstance(each, Switch)])))
            for place, (patterns, _) in enumerate(first.cases)
        ]
        found.append(Switch(first.test, tuple(inner)))
    return found


class _Writer:
    """Lines of statements."""

    def __init__(self, nets: Nets, write: Expressions, operator: str) -> None:
        self._nets, self._write, self._operator = nets, write, operator

    def lines(self, statements: Sequence[Statement]) -> Iterator[str]:
        for statement in statements:
            if isinstance(statement, Assign):
                yield from self._assign(statement)
            elif len(statement.test) > 1 and _is_table(statement):
                yield from self._case(statement)
            else:
                cases = []
                for patterns, body in statement.cases:
                    cases.append((self._condition(statement.test, patterns), body))
                    if not cases[-1][0]:
                        break  # it fits whatever comes: the cases behind it are never reached
                yield from self._chain([(test, list(self.lines(body))) for test, body in cases])

    def _assign(self, statement: Assign) -> Iterator[str]:
        pairs = [
            (target, source)
            for target, source in zip(statement.target, statement.source, strict=True)
            if target in self._nets.live
        ]
        if pairs:
            target, source = (tuple(each) for each in zip(*pairs, strict=True))
            yield f"{self._write.word(target)} {self._operator} {self._write.word(source)};"

    def _case(self, statement: Switch) -> Iterator[str]:
        yield f"case ({self._write.word(statement.test)})"
        for patterns, body in statement.cases:
            label = constant(int(patterns[0], 2), len(statement.test)) if patterns else "default"
            yield from _indented(_nested(f"{label}:", list(self.lines(body)), chained=True))
        if all(patterns for patterns, _ in statement.cases):
            yield f"{_INDENT}default: ;"
        yield "endcase"

    def _condition(self, test: Bits, patterns: tuple[str, ...]) -> str:
        """When one of the patterns fits; empty where any does."""
        if any(set(pattern) <= {"-"} for pattern in patterns):
            return ""
        found = []
        for pattern in patterns:
            places = [(bit, each) for bit, each in zip(reversed(test), pattern, strict=True) if each != "-"]
            alone = len(places) == 1 == len(patterns)
            terms = [self._literal(bit, each == "1", alone) for bit, each in reversed(places)]
            found.append(" && ".join(terms))
        if len(found) > 1:
            return " || ".join(f"({each})" if "&&" in each else each for each in found)
        return found[0] if found else ""

    def _literal(self, bit: Bit, wanted: bool, alone: bool) -> str:
        if wanted:
            return self._write.word((bit,)) if alone else self._write.operand((bit,))
        return f"!{self._write.operand((bit,))}"

    def _chain(self, cases: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
        """if, else if, else: without branches that do nothing."""
        while cases and not cases[-1][1]:
            cases = cases[:-1]
        if not cases:
            return
        (test, lines), *rest = cases
        if not test:
            yield from lines
        elif lines:
            behind = list(self._chain(rest))
            inner = lines[0].startswith(("if ", "case "))  # an else would be of that one
            yield from (_block(f"if ({test})", lines) if behind and inner else _nested(f"if ({test})", lines))
            if behind:
                yield from _nested("else", behind, chained=True)
        elif len(rest) == 1 and rest[0][0]:
            yield from _nested(f"if (!{_bracketed(test)} && {_bracketed(rest[0][0])})", rest[0][1])
        else:
            yield from _nested(f"if (!{_bracketed(test)})", list(self._chain(rest)), chained=True)


def _is_table(statement: Switch) -> bool:
    """Whether each case is one number, and the last may be any other."""
    *first, last = statement.cases
    numbers = [patterns for patterns, _ in (first if not last[0] else statement.cases)]
    return all(len(patterns) == 1 and "-" not in patterns[0] for patterns in numbers)


def _bracketed(text: str) -> str:
    return text if text.replace("_", "").isalnum() else f"({text})"


def _nested(head: str, lines: list[str], *, chained: bool = False) -> Iterator[str]:
    """Statements below a head. chained: one that is a statement of several lines stands behind it."""
    if len(lines) == 1 and len(head) + len(lines[0]) < 110:
        yield f"{head} {lines[0]}"
    elif chained and lines and _one_statement(lines):
        yield f"{head} {lines[0]}"
        yield from lines[1:]
    else:
        yield from _block(head, lines)


def _block(head: str, lines: list[str]) -> Iterator[str]:
    yield f"{head} begin"
    yield from _indented(lines)
    yield "end"


def _one_statement(lines: Sequence[str]) -> bool:
    """Whether lines are one if with all that belongs to it."""
    starts = [line for line in lines if not re.match(rf"{_INDENT}|(end|else)\b", line)]
    return len(starts) == 1 and lines[0].startswith("if (")


def _indented(lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    return (f"{_INDENT}{line}" for line in lines)
