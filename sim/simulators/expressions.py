"""Expressions and targets of plain Verilog, and the tokens they are read from; :mod:`.grammar` has the grammar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from siliquant.inputs import VERILOG_WORDS, InputError

from .modules import SourceModule, Target, Token
from .tokens import refused

__all__ = ["MOST_LEVELS", "Expressions"]

MOST_LEVELS = 64
"""Levels of nesting, of statements and of brackets."""
_MOST_BITS = 1 << 23
"""Bits of all words, numbers and concatenations of a file together: Yosys takes some 80 bytes for each."""
_FIRST = frozenset("!-&|^")
_OPERATORS = frozenset(("+", "-", "*", "&", "|", "^", "<<", ">>", "==", "!=", "<", ">", "<=", ">=", "&&", "||"))


class Term(NamedTuple):
    """What was read of an expression. width: its bits at most; None: a parameter decides. targets: what it drives as
    the pin of an output; None where it can drive nothing.
    """

    width: int | None
    targets: list[Target] | None = None


def _other_name(line: int) -> InputError:
    return InputError("names of other modules (a.b) are not taken: Yosys reads them as new ones", place=f"line {line}")


class Expressions:
    """Takes tokens one by one, and looks at the next."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = iter(tokens)
        self._line, self._levels, self._bits = 1, 0, 0
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
        return [self._selected(module)[1]]

    def _selected(self, module: SourceModule) -> tuple[int | None, Target]:
        """A word or some of its bits: how many, and what it is to be assigned to."""
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
            self._expression(module)
            self._expect("]")
            return width, (name, None, token.line)
        if not self._took("["):
            return width, (name, None, token.line)
        high = low = self._plain_number()
        if self._took(":"):
            low = self._plain_number()
        self._expect("]")
        if width is None:
            raise InputError(f"{name} must be taken as a whole, since its width is a parameter", place=place)
        if not low <= high < width:
            said = f"{high}:{low}" if high != low else str(low)
            raise InputError(f"bits of {name} must be selected from {width - 1} down to 0, not {said}", place=place)
        return high - low + 1, (name, (low, high), token.line)

    def _expression(self, module: SourceModule) -> Term:
        self._levels += 1
        if self._levels > MOST_LEVELS:
            raise InputError("brackets are nested too deep", place=f"line {self._next().line}")
        terms = []
        plain = True
        while True:
            if self._is(*_FIRST):
                self._take()
                plain = False
            terms.append(self._operand(module))
            while self._is(*_OPERATORS):
                self._take()
                terms.append(self._operand(module))
            if not self._took("?"):
                break
            terms[-1] = self._expression(module)
            self._expect(":")
        self._levels -= 1
        if len(terms) == 1 and plain:
            return terms[0]
        widths = [term.width for term in terms if term.width is not None]
        return Term(max(widths) if len(widths) == len(terms) else None)

    def _operand(self, module: SourceModule) -> Term:
        plain = not self._is("~")
        while self._took("~"):
            pass
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
            width = self._expression(module).width
            self._expect(")")
            return Term(width)
        if self._took("{"):
            term = self._concatenation(module, token.line)
            return term if plain else Term(term.width)
        width, target = self._selected(module)
        return Term(width, [target] if plain else None)

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
        if times is not None:
            self._expect("}")
            return Term(width)
        targets = [term.targets for term in terms if term.targets is not None]
        whole = [target for each in targets for target in each] if len(targets) == len(terms) else None
        return Term(width, whole)
