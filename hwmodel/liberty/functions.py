"""Boolean expressions of Liberty files, evaluated on whole waveforms at once.

Syntax (Liberty Reference Manual, "function" of a pin), strongest first:

    !a   a'          inversion
    a ^ b            exclusive or
    a & b   a * b    and; a space between operands also means and
    a | b   a + b    or
    0   1   ( )

A value is a Python integer whose bit t is the signal in cycle t, so one pass over an expression
evaluates it for every cycle.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from siliquant.inputs import MOST_LEVELS, InputError, short

MOST_WORDS = 320
"""Operands, operators and brackets of the longest expression that is read: its tree may be as deep, and Python's stack
has an end."""

Evaluator = Callable[[Sequence[int]], int]
"""Reads a list of waveforms and returns one; see Expression.bind."""

ZERO_NET = 0
ONE_NET = 1

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][\w.\[\]$]*)|([01])|([!'&*|+^()]))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expression(ABC):
    """A node of a Boolean expression; see the subclasses."""

    @property
    @abstractmethod
    def names(self) -> frozenset[str]:
        """The pins and state variables the expression reads."""

    @abstractmethod
    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        """The expression's waveform, from a waveform per name.

        ``ones`` has a 1 for every cycle; waveforms must lie within it.  KeyError on a missing name.
        """

    @abstractmethod
    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        """The expression as a function of a list of waveforms, each name replaced by its index.

        Entry ZERO_NET of the list must be 0 and entry ONE_NET a 1 for every cycle.
        """


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """0 or 1 in every cycle."""

    value: bool

    @property
    def names(self) -> frozenset[str]:
        return frozenset()

    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        return ones if self.value else 0

    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        index = ONE_NET if self.value else ZERO_NET
        return lambda waves: waves[index]


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """The waveform of a pin or state variable."""

    name: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset((self.name,))

    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        return values[self.name]

    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        index = nets[self.name]
        return lambda waves: waves[index]


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """Inversion."""

    operand: Expression

    @property
    def names(self) -> frozenset[str]:
        return self.operand.names

    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        return ones ^ self.operand.evaluate(values, ones)

    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        operand = self.operand.bind(nets)
        return lambda waves: waves[ONE_NET] ^ operand(waves)


@dataclass(frozen=True, slots=True)
class _Pair(Expression):
    left: Expression
    right: Expression

    @property
    def names(self) -> frozenset[str]:
        return self.left.names | self.right.names


@dataclass(frozen=True, slots=True)
class And(_Pair):
    """Both operands."""

    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        return self.left.evaluate(values, ones) & self.right.evaluate(values, ones)

    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        left, right = self.left.bind(nets), self.right.bind(nets)
        return lambda waves: left(waves) & right(waves)


@dataclass(frozen=True, slots=True)
class Or(_Pair):
    """Either operand."""

    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        return self.left.evaluate(values, ones) | self.right.evaluate(values, ones)

    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        left, right = self.left.bind(nets), self.right.bind(nets)
        return lambda waves: left(waves) | right(waves)


@dataclass(frozen=True, slots=True)
class Xor(_Pair):
    """Exactly one operand."""

    def evaluate(self, values: Mapping[str, int], ones: int) -> int:
        return self.left.evaluate(values, ones) ^ self.right.evaluate(values, ones)

    def bind(self, nets: Mapping[str, int]) -> Evaluator:
        left, right = self.left.bind(nets), self.right.bind(nets)
        return lambda waves: left(waves) ^ right(waves)


@lru_cache(maxsize=4096)
def parse_function(text: str) -> Expression:
    """Read a Liberty expression; files have few different ones, many times.

    InputError, quoting the text, when it is not one, is nested more than MOST_LEVELS deep, or has more than
    MOST_WORDS operands and operators.
    """
    return _Parser(text).parse()


def portable(text: str) -> str:
    """The expression as a text of which every tool makes the same: the text itself where that is one.

    ABC binds an exclusive or less than an and, and takes a constant for the name of a pin; what has such is written
    anew, with brackets and without constants. InputError as :func:`parse_function`.
    """
    parser = _Parser(text)
    expression = parser.parse()
    return _written(_folded(expression)) if parser.ambiguous else text


def _folded(expression: Expression) -> Expression:
    """The expression without constants, or a constant."""
    match expression:
        case Not():
            operand = _folded(expression.operand)
            return Constant(not operand.value) if isinstance(operand, Constant) else Not(operand)
        case And() | Or() | Xor():
            left, right = _folded(expression.left), _folded(expression.right)
            if isinstance(left, Constant):
                left, right = right, left
            if not isinstance(right, Constant):
                return type(expression)(left, right)
            if isinstance(expression, Xor):
                return _folded(Not(left)) if right.value else left
            return right if right.value == isinstance(expression, Or) else left
        case _:
            return expression


def _written(expression: Expression) -> str:
    match expression:
        case Not():
            return f"!({_written(expression.operand)})"
        case And() | Or() | Xor():
            sign = "&" if isinstance(expression, And) else "|" if isinstance(expression, Or) else "^"
            return f"({_written(expression.left)} {sign} {_written(expression.right)})"
        case Variable():
            return expression.name
        case _:
            return str(int(isinstance(expression, Constant) and expression.value))


class _Parser:
    """Recursive descent over the token list. ambiguous: whether tools differ in what they make of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0
        self._levels = 0
        self._bare_xor = False  # the operand that was read last is an exclusive or without brackets
        self.ambiguous = False
        if len(self._tokens) > MOST_WORDS:
            raise InputError(
                f"the Liberty expression {short(text)} must have at most {MOST_WORDS} operands and operators"
            )

    def parse(self) -> Expression:
        if not self._tokens:
            raise InputError("a Liberty expression must not be empty")
        expression = self._or()
        if self._next < len(self._tokens):
            raise self._unexpected()
        return expression

    @staticmethod
    def _split(text: str) -> list[str]:
        tokens, offset, end = [], 0, len(text.rstrip())
        while offset < end:
            match = _TOKEN.match(text, offset)
            if match is None:
                found = text[offset:].lstrip()[0]
                raise InputError(f"the Liberty expression {short(text)} must not contain {found!r}")
            tokens.append(match[match.lastindex or 0])
            offset = match.end()
        return tokens

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _unexpected(self) -> ValueError:
        found = repr(self._peek()) if self._peek() else "the end"
        return InputError(
            f"the Liberty expression {short(self._text)} must be a Boolean expression; {found} is misplaced"
        )

    def _or(self) -> Expression:
        left = self._and()
        while self._peek() in ("|", "+"):
            self._next += 1
            left = Or(left, self._and())
        return left

    def _and(self) -> Expression:
        left, bare = self._xor(), self._bare_xor
        while True:
            token = self._peek()
            if token in ("&", "*"):
                self._next += 1
            elif not token or token in ("|", "+", "^", ")", "'"):
                return left
            left, bare = And(left, self._xor()), bare or self._bare_xor
            self.ambiguous = self.ambiguous or bare

    def _xor(self) -> Expression:
        left = self._inversion()
        bare = self._peek() == "^"
        while self._peek() == "^":
            self._next += 1
            left = Xor(left, self._inversion())
        self._bare_xor = bare
        return left

    def _inversion(self) -> Expression:
        self._levels += 1
        if self._levels > MOST_LEVELS:
            raise InputError(
                f"the Liberty expression {short(self._text)} must be nested at most {MOST_LEVELS} levels deep"
            )
        try:
            return self._operand()
        finally:
            self._levels -= 1

    def _operand(self) -> Expression:
        token = self._peek()
        if token == "!":
            self._next += 1
            return Not(self._inversion())
        if token == "(":
            self._next += 1
            expression = self._or()
            if self._peek() != ")":
                raise self._unexpected()
        elif token in ("0", "1"):
            expression = Constant(token == "1")
            self.ambiguous = self.ambiguous or len(self._tokens) > 1
        elif token and token not in "'&*|+^)":
            expression = Variable(token)
        else:
            raise self._unexpected()
        self._next += 1
        while self._peek() == "'":
            self._next += 1
            expression = Not(expression)
        return expression
