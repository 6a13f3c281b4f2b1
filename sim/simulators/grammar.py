"""The grammar of plain Verilog: tokens, and a parser that takes modules and refuses all else with its line.

    module     module NAME [#(parameter NAME = NUMBER, ...)] (PORT, ...); ITEM ... endmodule
    PORT       input | output [wire | reg] [RANGE] NAME
    ITEM       wire [RANGE] NAME [= EXPRESSION], ...;  reg [RANGE] NAME [[0:EXPRESSION]], ...;
               assign TARGET = EXPRESSION;  always @(posedge clk) STATEMENT
               MODULE [#(.NAME(NUMBER), ...)] NAME (.PIN(EXPRESSION), ...);
    STATEMENT  begin STATEMENT ... end | if (EXPRESSION) STATEMENT [else STATEMENT] | TARGET <= EXPRESSION; | ;
               case (EXPRESSION) EXPRESSION: STATEMENT ... [default: STATEMENT] endcase
    RANGE      [NUMBER:0] | [NAME-1:0]
    TARGET     NAME | NAME[EXPRESSION] | NAME[EXPRESSION:EXPRESSION] | {TARGET, ...}

An expression is of names that are declared before it, numbers without x and z, brackets and operators of words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence

from siliquant.inputs import VERILOG_WORDS, InputError, short

from .modules import Driver, Instance, SourceModule, Target, Token, check_once, drive

__all__ = ["Parser", "other_reset", "tokens_of"]

_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<number>(?:\d+'[bodhBODH][0-9a-fA-F_]+|\d+)(?![\w'.?]))|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<symbol><<<|>>>|===|!==|\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[\[\]{}():;,.=?~&|^!<>+*@#-])",
    re.ASCII,
)
_NO_OPERATORS = frozenset(("<<<", ">>>", "===", "!==", "**"))
_MOST_LEVELS = 64
"""Levels of nesting, of statements and of brackets."""
_MOST = 1 << 24
"""The largest number without a width, such as words of a memory, and the most bits of one."""
_DIGITS = {"b": "01_", "o": "01234567_", "d": "0123456789_", "h": "0123456789abcdef_"}
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def tokens_of(text: str) -> Iterator[Token]:
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match[0] in _NO_OPERATORS:
            raise refused(text[at : at + 12].split("\n")[0] if match is None else match[0], line)
        kind = str(match.lastgroup)
        if kind == "number":
            _check_number(match[0], line)
        if kind != "blank":
            yield Token(sys.intern(match[0]), kind, line)
        line += match[0].count("\n")
        at = match.end()


def _check_number(text: str, line: int) -> None:
    """No tool has its own way with a number that is too wide, and none runs out of memory."""
    width, quote, digits = text.partition("'")
    value = int(width) if len(width) < 10 else _MOST + 1
    if value > _MOST or (quote and value == 0):
        what = "as wide as 1" if quote else "from 0"
        raise InputError(f"a number must be {what} to {_MOST}, not {short(width)}", place=f"line {line}")
    if quote and not set(digits[1:].lower()) <= set(_DIGITS[digits[0].lower()]):
        raise refused(text, line)


def _other_name(line: int) -> InputError:
    return InputError("names of other modules (a.b) are not taken: Yosys reads them as new ones", place=f"line {line}")


def refused(text: str, line: int) -> InputError:
    return InputError(
        f"it must have only what siliquant gen writes (docs/verification.md), not {short(text)}", place=f"line {line}"
    )


class Parser:
    """Takes tokens one by one."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._tokens)

    def _next(self) -> Token:
        if self.ended:
            return Token("the end of the file", "end", self._tokens[-1].line if self._tokens else 1)
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next()
        if token.kind == "end":
            raise refused(token.text, token.line)
        self._at += 1
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
                self._number()
                made.parameters[name.text] = name.line
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
        self._range()
        token = self._declared(module)
        if way.text == "input":
            module.inputs[token.text] = token.line
            module.drivers[token.text] = [Driver(None, token.line, -1)]
        else:
            module.outputs[token.text] = token.line
        if kind is not None and kind.text == "reg":
            if way.text == "input":
                raise refused(kind.text, kind.line)
            module.registers[token.text] = token.line

    def _range(self) -> None:
        """``[7:0]`` or ``[WIDTH-1:0]``: the lowest bit of every word is 0."""
        if not self._took("["):
            return
        if self._next().kind == "number":
            self._number()
        else:
            self._name()
            self._expect("-")
            self._expect("1")
        self._expect(":")
        self._expect("0")
        self._expect("]")

    def _item(self, module: SourceModule) -> None:
        if self._is("wire"):
            self._wires(module)
        elif self._is("reg"):
            self._take()
            self._range()
            while True:
                token = self._declared(module)
                module.registers[token.text] = token.line
                if self._took("["):  # a memory
                    self._expect("0")
                    self._expect(":")
                    self._expression(module, "]")
                    self._expect("]")
                if not self._took(","):
                    break
            self._expect(";")
        elif self._is("assign"):
            self._take()
            target = self._target(module)
            self._expect("=")
            self._expression(module, ";")
            self._expect(";")
            drive(module, target, register=False)
        elif self._is("always"):
            self._always(module)
        else:
            self._instance(module)

    def _wires(self, module: SourceModule) -> None:
        self._take()
        self._range()
        while True:
            token = self._declared(module)
            if self._took("="):
                self._expression(module, ";", ",")
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
                self._expression(module, ":")
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
            self._expression(module, ";")
            self._expect(";")
            yield from target

    def _bracketed(self, module: SourceModule) -> None:
        self._expect("(")
        self._expression(module, ")")
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
        token = self._name()
        if token.text not in module.words:
            raise InputError(f"{token.text} must be declared before it is used", place=f"line {token.line}")
        if self._is("."):
            raise _other_name(token.line)
        if not self._took("["):
            return [(token.text, None, token.line)]
        begins = self._at
        self._expression(module, "]")
        inside = self._tokens[begins : self._at]
        self._expect("]")
        numbers = [int(each.text) for each in inside if each.kind == "number" and each.text.isdigit()]
        shape = [each.text if each.kind == "symbol" else each.kind for each in inside]
        if shape not in (["number"], ["number", ":", "number"]) or not numbers or shape.count("number") != len(numbers):
            return [(token.text, None, token.line)]
        return [(token.text, (min(numbers), max(numbers)), token.line)]

    def _expression(self, module: SourceModule, *ends: str) -> None:
        """Everything up to one of ``ends`` outside of brackets."""
        opened: list[str] = []
        empty = True
        while opened or not self._is(*ends):
            token = self._take()
            empty = False
            if token.text in _PAIRS:
                opened.append(_PAIRS[token.text])
                if token.text == "(" and self._is("*"):
                    raise InputError(
                        "it must have no attributes, which tools obey differently", place=f"line {token.line}"
                    )
                if len(opened) > 4 * _MOST_LEVELS:
                    raise InputError("brackets are nested too deep", place=f"line {token.line}")
            elif opened and token.text == opened[-1]:
                opened.pop()
            elif token.kind == "number":
                inside = opened or ends
                if "'" not in token.text and not self._is("{") and "]" not in inside:
                    raise InputError(
                        f"a number in an expression must have its width, as 4'd{token.text} has",
                        place=f"line {token.line}",
                    )
            elif token.kind == "name":
                if token.text in VERILOG_WORDS:
                    raise refused(token.text, token.line)
                if token.text not in module.words:
                    raise InputError(f"{token.text} must be declared before it is used", place=f"line {token.line}")
            elif token.text in (";", ")", "]", "}", ".", "@", "#", "="):
                if token.text == "." and self._next().kind == "name":
                    raise _other_name(token.line)
                raise refused(token.text, token.line)
        if empty:
            raise refused(self._next().text, self._next().line)

    def _instance(self, module: SourceModule) -> None:
        kind = self._name()
        if self._took("#"):
            self._expect("(")
            while True:
                self._expect(".")
                self._name()
                self._expect("(")
                self._number()
                self._expect(")")
                if not self._took(","):
                    break
            self._expect(")")
        token = self._declared(module)
        self._expect("(")
        pins: dict[str, Sequence[Token]] = {}
        while not pins or self._took(","):
            self._expect(".")
            pin = self._name()
            if pin.text in pins:
                raise InputError(f"pin {pin.text} must be connected once", place=f"line {pin.line}")
            self._expect("(")
            begins = self._at
            if not self._is(")"):
                self._expression(module, ")")
            pins[pin.text] = self._tokens[begins : self._at]
            self._expect(")")
        self._expect(")")
        self._expect(";")
        module.instances[token.text] = Instance(token.text, kind.text, token.line, pins)

    def targets_of(self, module: SourceModule, tokens: Sequence[Token]) -> list[Target]:
        """What a pin that is an output drives."""
        inner = Parser(tokens)
        found = inner._target(module)
        if not inner.ended:
            raise refused(inner._next().text, inner._next().line)
        return found


def other_reset(style: str, line: int) -> InputError:
    return InputError(
        f"it was generated with --reset {style}; proofs take files of the default style: siliquant gen without --reset",
        place=f"line {line}",
    )
