"""Expressions and targets of plain Verilog, and the tokens they are read from; :mod:`.grammar` has the grammar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from siliquant.inputs import VERILOG_WORDS, InputError

from .modules import SourceModule, Target, Token
from .tokens import refused

__all__ = ["MOST_BRANCHES", "MOST_LEVELS", "Expressions"]

MOST_LEVELS = 64
"""Levels of nesting, of statements and of brackets."""
MOST_BRANCHES = 400
"""Operations on a way through an expression, and else if before it: Yosys goes down each in a call of its own, and
crashes at some thousand.
"""
_MOST_BITS = 1 << 23
"""Bits of all words, numbers and concatenations of a file together: Yosys takes some 80 bytes for each."""
_FIRST = frozenset("!-&|^")
_OPERATORS = frozenset(("+", "-", "*", "&", "|", "^", "<<", ">>", "==", "!=", "<", ">", "<=", ">=", "&&", "||"))


class Term(NamedTuple):
    """What was read of an expression. width: its bits at most; None: a parameter decides. targets: what it drives as
    the pin of an output; None where it can drive nothing. depth: of the operations and brackets in it.
    """

    width: int | None
    targets: list[Target] | None = None
    depth: int = 0


def _other_name(line: int) -> InputError:
    return InputError("names of other modules (a.b) are not taken: Yosys reads them as new ones", place=f"line {line}")


class Expressions:
    """Takes tokens one by one, and looks at the next. selections: how many words of the module, or bits of them, were
    read.
    """

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = iter(tokens)
        self.selections = 0
        self._line, self._levels, self._branches, self._bits = 1, 0, 0, 0
        self._token = next(self._tokens, None)

    @property
    def ended(self) -> bool:
        return self._token is None

    def _next(self) -> Token:
        return self._token or Token("the end of the file", "end", self._line)

    def _take(self) -> Token:
        token = self._next()
        if token.kind == "end":
            raise refused(token.text, token.line)
        self._line = token.line
        self._token = next(self._tokens, None)
        return token

    def _is(self, *texts: str) -> bool:
        return self._next().text in texts

    def _expect(self, *texts: str) -> Token:
        token = self._next()
        if token.text not in texts:
            raise refused(token.text, token.line)
        return self._take()

    def _took(self, text: str) -> bool:
        if self._is(text):
            self._take()
            return True
        return False

    def _name(self) -> Token:
        token = self._next()
        if token.kind != "name" or token.text in VERILOG_WORDS:
            raise refused(token.text, token.line)
        return self._take()

    def _number(self) -> Token:
        token = self._next()
        if token.kind != "number":
            raise refused(token.text, token.line)
        return self._take()

    def _plain_number(self) -> int:
        token = self._number()
        if "'" in token.text:
            raise refused(token.text, token.line)
        return int(token.text)

    def count_bits(self, bits: int, line: int) -> None:
        """Adds to the bits that a file has. Raises InputError where they are too many."""
        self._bits += bits
        if self._bits > _MOST_BITS:
            raise InputError(
                f"a file must have at most {_MOST_BITS} bits of words, numbers and concatenations", place=f"line {line}"
            )

    def _target(self, module: SourceModule, level: int = 0) -> list[Target]:
        """What is assigned to: names with their bits and lines."""
        if level > MOST_LEVELS:
            line = self._next().line
            raise InputError(f"targets must be nested at most {MOST_LEVELS} levels deep", place=f"line {line}")
        if self._took("{"):
            found = self._target(module, level + 1)
            while self._took(","):
                found += self._target(module, level + 1)
            self._expect("}")
            return found
        return self._selected(module).targets or []

    def _selected(self, module: SourceModule) -> Term:
        """A word or some of its bits."""
        self.selections += 1
        token = self._name()
        name, place = token.text, f"line {token.line}"
        if self._is("."):
            raise _other_name(token.line)
        if name not in module.words:
            raise InputError(f"{name} must be declared before it is used", place=place)
        if name not in module.widths:
            raise InputError(f"{name} must be a wire, a reg or a port to stand here", place=place)
        found = module.widths[name]
        width = found if isinstance(found, int) else None
        if name in module.memories:
            self._expect("[")
            depth = self._expression(module).depth + 1
            self._expect("]")
            return self._deep(Term(width, [(name, None, token.line)], depth))
        if not self._took("["):
            return Term(width, [(name, None, token.line)])
        if name in module.scalars:
            raise InputError(f"{name} must have no select: it is declared without a range, as one bit", place=place)
        high = low = self._plain_number()
        if self._took(":"):
            low = self._plain_number()
        self._expect("]")
        if width is None:
            raise InputError(f"{name} must be taken as a whole, since its width is a parameter", place=place)
        if not low <= high < width:
            said = f"{high}:{low}" if high != low else str(low)
            raise InputError(f"bits of {name} must be selected from {width - 1} down to 0, not {said}", place=place)
        return Term(high - low + 1, [(name, (low, high), token.line)])

    def _expression(self, module: SourceModule) -> Term:
        self._levels += 1
        if self._levels > MOST_LEVELS:
            raise InputError("brackets are nested too deep", place=f"line {self._next().line}")
        terms: list[Term] = []
        choices = depth = 0
        while True:
            terms.append(self._first(module))
            below = terms[-1].depth
            while self._is(*_OPERATORS):
                self._take()
                terms.append(self._operand(module))
                below = max(below, terms[-1].depth) + 1
            depth = max(depth, choices + below)
            if not self._took("?"):
                break
            terms[-1] = self._expression(module)
            choices += 1
            depth = max(depth, choices + below, choices + terms[-1].depth)
            self._expect(":")
        self._levels -= 1
        if len(terms) == 1:
            return terms[0]
        widths = [term.width for term in terms if term.width is not None]
        return self._deep(Term(max(widths) if len(widths) == len(terms) else None, depth=depth))

    def _deep(self, term: Term) -> Term:
        """The term. Raises InputError where it is too deep."""
        if term.depth + self._branches > MOST_BRANCHES:
            raise InputError(
                f"at most {MOST_BRANCHES} operations, and else if before them, must depend on each other",
                place=f"line {self._line}",
            )
        return term

    def _first(self, module: SourceModule) -> Term:
        """The first operand, which may have another sign than ``~``."""
        if not self._is(*_FIRST):
            return self._operand(module)
        self._take()
        return self._signed(module)

    def _operand(self, module: SourceModule) -> Term:
        return self._signed(module) if self._took("~") else self._primary(module)

    def _signed(self, module: SourceModule) -> Term:
        """What is behind a sign, with the sign."""
        term = self._primary(module)
        return self._deep(Term(term.width, depth=term.depth + 1))

    def _primary(self, module: SourceModule) -> Term:
        """What has no sign: no operand has two, which not every tool takes."""
        token = self._next()
        if token.kind == "number":
            self._take()
            if "'" not in token.text:
                raise InputError(
                    f"a number in an expression must have its width, as 4'd{token.text} has", place=f"line {token.line}"
                )
            bits = int(token.text.partition("'")[0])
            self.count_bits(bits, token.line)
            return Term(bits)
        if self._took("("):
            if self._is("*"):
                raise InputError("it must have no attributes, which tools obey differently", place=f"line {token.line}")
            term = self._expression(module)
            self._expect(")")
            return Term(term.width, depth=term.depth)
        if self._took("{"):
            return self._concatenation(module, token.line)
        return self._selected(module)

    def _concatenation(self, module: SourceModule, line: int) -> Term:
        """What is behind a brace, with the brace that ends it."""
        times = None
        if self._next().kind == "number" and "'" not in self._next().text:
            times = self._plain_number()
            if times == 0:
                raise InputError("bits must be repeated at least once", place=f"line {line}")
            self._expect("{")
        terms = [self._expression(module)]
        while self._took(","):
            terms.append(self._expression(module))
        self._expect("}")
        widths = [term.width for term in terms if term.width is not None]
        if len(widths) < len(terms):
            raise InputError("words whose width is a parameter must not be joined", place=f"line {line}")
        width = sum(widths) * (times or 1)
        self.count_bits(width, line)
        depth = max(term.depth for term in terms) + 1
        if times is not None:
            self._expect("}")
            return self._deep(Term(width, depth=depth))
        targets = [term.targets for term in terms if term.targets is not None]
        whole = [target for each in targets for target in each] if len(targets) == len(terms) else None
        return self._deep(Term(width, whole, depth))
