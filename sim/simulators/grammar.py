"""The grammar of plain Verilog: a parser that takes modules and refuses all else with its line.

    module     module NAME [#(parameter NAME = NUMBER, ...)] (PORT, ...); ITEM ... endmodule
    PORT       input | output [wire | reg] [RANGE] NAME
    ITEM       wire [RANGE] NAME [= EXPRESSION], ...;  reg [RANGE] NAME [[0:BOUND]], ...;
               assign TARGET = EXPRESSION;  always @(posedge clk) STATEMENT
               MODULE [#(.NAME(NUMBER), ...)] NAME (.PIN(EXPRESSION), ...);
    STATEMENT  begin STATEMENT ... end | if (EXPRESSION) STATEMENT [else STATEMENT] | TARGET <= EXPRESSION; | ;
               case (EXPRESSION) EXPRESSION: STATEMENT ... [default: STATEMENT] endcase
    RANGE      [BOUND:0]
    BOUND      NUMBER | PARAMETER-1
    TARGET     WORD | {TARGET, ...}
    EXPRESSION [! | - | & | "|" | ^] OPERAND [OPERATOR OPERAND] ... [? EXPRESSION : EXPRESSION]
    OPERAND    [~] ... (WORD | NUMBER | (EXPRESSION) | {EXPRESSION, ...} | {NUMBER{EXPRESSION, ...}})
    WORD       NAME | NAME[NUMBER] | NAME[NUMBER:NUMBER] | NAME[EXPRESSION], of a memory

Numbers in ranges, selects and before braces are decimal without a width, all others have one, and neither x nor z.
Names are declared before. Selects lie within the word, the highest bit first; a word whose width is a parameter is
taken as a whole, and joined to none. Left to Yosys, which reads these as other tools do: precedence, how words of other
widths are extended or cut, and addresses beyond a memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from siliquant.inputs import VERILOG_WORDS, InputError

from .modules import Driver, Instance, Pin, SourceModule, Target, Token, check_once, drive
from .tokens import refused

__all__ = ["Parser", "other_reset"]

_MOST_LEVELS = 64
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


class Parser:
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

    def module(self) -> SourceModule:
        self._expect("module")
        token = self._name()
        made = SourceModule(token.text, token.line)
        if self._took("#"):
            self._expect("(")
            while not made.parameters or self._took(","):
                self._expect("parameter")
                name = self._declared(made)
                self._expect("=")
                made.parameters[name.text] = self._plain_number()
            self._expect(")")
        self._expect("(")
        if not self._is(")"):
            self._port(made)
            while self._took(","):
                self._port(made)
        self._expect(")")
        self._expect(";")
        while not self._took("endmodule"):
            self._item(made)
        return made

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

    def _declared(self, module: SourceModule) -> Token:
        token = self._name()
        if token.text in module.words:
            raise InputError(
                f"{token.text} must be declared once, and is in line {module.words[token.text]}, too",
                place=f"line {token.line}",
            )
        module.words[token.text] = token.line
        return token

    def _port(self, module: SourceModule) -> None:
        way = self._expect("input", "output")
        kind = self._expect("wire", "reg") if self._is("wire", "reg") else None
        width = self._range(module)
        token = self._word(module, width)
        if way.text == "input":
            module.inputs[token.text] = token.line
            module.drivers[token.text] = [Driver(None, token.line, -1)]
        else:
            module.outputs[token.text] = token.line
        if kind is not None and kind.text == "reg":
            if way.text == "input":
                raise refused(kind.text, kind.line)
            module.registers[token.text] = token.line

    def _word(self, module: SourceModule, width: int | str) -> Token:
        token = self._declared(module)
        module.widths[token.text] = width
        if isinstance(width, int):
            self.count_bits(width, token.line)
        return token

    def _range(self, module: SourceModule) -> int | str:
        """``[7:0]`` or ``[WIDTH-1:0]``: the lowest bit of every word is 0. Returns the width, or its parameter."""
        if not self._took("["):
            return 1
        width = self._bound(module)
        self._expect(":")
        self._zero()
        self._expect("]")
        return width

    def _zero(self) -> None:
        token = self._number()
        if token.text != "0":
            raise refused(token.text, token.line)

    def _bound(self, module: SourceModule) -> int | str:
        """The last place of a word or a memory; returns one more, or the parameter that it is."""
        if self._next().kind == "number":
            return self._plain_number() + 1
        token = self._name()
        if token.text not in module.parameters:
            raise refused(token.text, token.line)
        self._expect("-")
        self._expect("1")
        return token.text

    def _item(self, module: SourceModule) -> None:
        if self._is("wire"):
            self._wires(module)
        elif self._is("reg"):
            self._take()
            width = self._range(module)
            while True:
                token = self._word(module, width)
                module.registers[token.text] = token.line
                if self._took("["):
                    self._zero()
                    self._expect(":")
                    self._bound(module)
                    module.memories.add(token.text)
                    self._expect("]")
                if not self._took(","):
                    break
            self._expect(";")
        elif self._is("assign"):
            self._take()
            target = self._target(module)
            self._expect("=")
            self._expression(module)
            self._expect(";")
            drive(module, target, register=False)
        elif self._is("always"):
            self._always(module)
        else:
            self._instance(module)

    def _wires(self, module: SourceModule) -> None:
        self._take()
        width = self._range(module)
        while True:
            token = self._word(module, width)
            if self._took("="):
                self._expression(module)
                drive(module, [(token.text, None, token.line)], register=False)
            if not self._took(","):
                break
        self._expect(";")

    def _always(self, module: SourceModule) -> None:
        self._take()
        self._expect("@")
        self._expect("(")
        edge = self._expect("posedge")
        clock = self._name()
        if self._is("or", ","):
            self._take()
            which = "async-low" if self._is("negedge") else "async-high"
            raise other_reset(which, edge.line)
        if clock.text != "clk" or clock.text not in module.inputs:
            raise InputError(
                f"every register must be clocked by the port clk itself, not by {clock.text}",
                place=f"line {clock.line}",
            )
        self._expect(")")
        targets = list(dict.fromkeys(self._statement(module, 0)))
        drive(module, targets, register=True)

    def _statement(self, module: SourceModule, level: int) -> Iterator[Target]:
        if level > _MOST_LEVELS:
            line = self._next().line
            raise InputError(f"statements must be nested at most {_MOST_LEVELS} levels deep", place=f"line {line}")
        if self._took(";"):
            return
        if self._took("begin"):
            while not self._took("end"):
                yield from self._statement(module, level + 1)
        elif self._is("if"):
            while self._took("if"):
                self._bracketed(module)
                yield from self._statement(module, level + 1)
                if not self._took("else"):
                    return
            yield from self._statement(module, level + 1)
        elif self._took("case"):
            self._bracketed(module)
            while not self._is("default", "endcase"):
                self._expression(module)
                self._expect(":")
                yield from self._statement(module, level + 1)
            if self._took("default"):
                self._took(":")
                yield from self._statement(module, level + 1)
            self._expect("endcase")
        else:
            target = self._target(module)
            check_once(target)
            if self._is("="):
                raise InputError(
                    f"register {target[0][0]} must take its value with <=: with =, what reads it at the same edge may "
                    "see its value of before or after",
                    place=f"line {self._next().line}",
                )
            self._expect("<=")
            self._expression(module)
            self._expect(";")
            yield from target

    def _bracketed(self, module: SourceModule) -> None:
        self._expect("(")
        self._expression(module)
        self._expect(")")

    def _target(self, module: SourceModule, level: int = 0) -> list[Target]:
        """What is assigned to: names with their bits and lines."""
        if level > _MOST_LEVELS:
            line = self._next().line
            raise InputError(f"targets must be nested at most {_MOST_LEVELS} levels deep", place=f"line {line}")
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
        if self._levels > _MOST_LEVELS:
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

    def _instance(self, module: SourceModule) -> None:
        kind = self._name()
        given: dict[str, int] = {}
        if self._took("#"):
            self._expect("(")
            while not given or self._took(","):
                self._expect(".")
                name = self._name()
                if name.text in given:
                    raise InputError(f"parameter {name.text} must be given once", place=f"line {name.line}")
                self._expect("(")
                given[name.text] = self._plain_number()
                self._expect(")")
            self._expect(")")
        token = self._declared(module)
        self._expect("(")
        pins: dict[str, Pin] = {}
        while not pins or self._took(","):
            self._expect(".")
            pin = self._name()
            if pin.text in pins:
                raise InputError(f"pin {pin.text} must be connected once", place=f"line {pin.line}")
            self._expect("(")
            drives = [] if self._is(")") else self._expression(module).targets
            pins[pin.text] = Pin(pin.line, drives)
            self._expect(")")
        self._expect(")")
        self._expect(";")
        module.instances[token.text] = Instance(token.text, kind.text, token.line, given, pins)


def other_reset(style: str, line: int) -> InputError:
    return InputError(
        f"it was generated with --reset {style}; proofs take files of the default style: siliquant gen without --reset",
        place=f"line {line}",
    )
