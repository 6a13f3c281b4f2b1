"""The grammar of plain Verilog: a parser that takes modules and refuses all else with its line.

    module     module NAME [#(parameter NAME = NUMBER, ...)] (PORT, ...); ITEM ... endmodule
    PORT       input | output [wire | reg] [RANGE] NAME
    ITEM       wire [RANGE] NAME [= EXPRESSION], ...;  reg [RANGE] NAME [[0:BOUND]], ...;
               assign TARGET = EXPRESSION;  always @(posedge clk) STATEMENT
               MODULE [#(.NAME(NUMBER), ...)] NAME (.PIN(EXPRESSION), ...);
    STATEMENT  begin STATEMENT ... end | if (EXPRESSION) STATEMENT [else STATEMENT] | TARGET <= EXPRESSION; | ;
               case (EXPRESSION) NUMBER: STATEMENT ... [default: STATEMENT] endcase, of one line at least, and a word
    RANGE      [BOUND:0]
    BOUND      NUMBER | PARAMETER-1
    TARGET     WORD | {TARGET, ...}
    EXPRESSION [! | - | & | "|" | ^] PRIMARY [OPERATOR OPERAND] ... [? EXPRESSION : EXPRESSION], or begun by an OPERAND
    OPERAND    [~] PRIMARY
    PRIMARY    WORD | NUMBER | (EXPRESSION) | {EXPRESSION, ...} | {NUMBER{EXPRESSION, ...}}
    WORD       NAME | NAME[NUMBER] | NAME[NUMBER:NUMBER] | NAME[EXPRESSION], of a memory

Numbers in ranges, selects and before braces are decimal without a width, all others have one, and neither x nor z.
Names are declared before. Selects lie within the word, the highest bit first; a word whose width is a parameter is
taken as a whole, and joined to none. Behind an if or case nothing assigns to what it assigns to, but another one.
Left to Yosys, which reads these as other tools do: precedence, how words of other
widths are extended or cut, and addresses beyond a memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from siliquant.inputs import InputError

from .expressions import MOST_BRANCHES, MOST_LEVELS, Expressions
from .modules import Chosen, Driver, Instance, Pin, SourceModule, Target, Token, check_once, drive
from .tokens import refused

__all__ = ["Parser", "other_reset"]


class Parser(Expressions):
    """Modules, their items and statements."""

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

    def _word(self, module: SourceModule, width: int | str | None) -> Token:
        token = self._declared(module)
        if width is None:
            module.scalars.add(token.text)
            width = 1
        module.widths[token.text] = width
        if isinstance(width, int):
            self.count_bits(width, token.line)
        return token

    def _range(self, module: SourceModule) -> int | str | None:
        """``[7:0]`` or ``[WIDTH-1:0]``: the lowest bit of every word is 0. Returns the width, or its parameter; None
        where there is none.
        """
        if not self._took("["):
            return None
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
        targets = list(dict.fromkeys(self._statement(module, 0, Chosen())))
        drive(module, targets, register=True)

    def _statement(self, module: SourceModule, level: int, before: Chosen) -> Iterator[Target]:
        """What a statement assigns to. before: what choices before it assign to, in the same list of statements."""
        if level > MOST_LEVELS:
            line = self._next().line
            raise InputError(f"statements must be nested at most {MOST_LEVELS} levels deep", place=f"line {line}")
        if self._took(";"):
            return
        if self._took("begin"):
            while not self._took("end"):
                yield from self._statement(module, level + 1, before)
        elif self._is("if", "case"):
            found = list(self._if(module, level) if self._took("if") else self._case(module, level))
            before.add(found)
            yield from found
        else:
            target = self._target(module)
            check_once(target)
            before.check(target)
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

    def _if(self, module: SourceModule, level: int) -> Iterator[Target]:
        """What is behind ``if``, with all else that belongs to it."""
        above = self._branches
        while True:
            self._bracketed(module)
            yield from self._statement(module, level + 1, Chosen())
            if not self._took("else"):
                break
            if not self._is("if"):
                yield from self._statement(module, level + 1, Chosen())
                break
            self._branches += 1
            if self._branches > MOST_BRANCHES:
                line = self._next().line
                raise InputError(f"at most {MOST_BRANCHES} else if must follow each other", place=f"line {line}")
            self._take()
        self._branches = above

    def _case(self, module: SourceModule, level: int) -> Iterator[Target]:
        line = self._expect("case").line
        known = self.selections
        self._bracketed(module)
        if self.selections == known:
            raise InputError(
                "a case must be of a word, not of numbers alone: Yosys may leave out its default", place=f"line {line}"
            )
        if self._is("endcase"):
            raise refused("endcase", self._next().line)
        while not self._is("default", "endcase"):
            token = self._next()
            if token.kind != "number":
                raise InputError(
                    f"what a case is compared with must be a number, not {token.text}: Yosys may leave out its default",
                    place=f"line {token.line}",
                )
            self._primary(module)
            self._expect(":")
            yield from self._statement(module, level + 1, Chosen())
        if self._took("default"):
            self._took(":")
            yield from self._statement(module, level + 1, Chosen())
        self._expect("endcase")

    def _bracketed(self, module: SourceModule) -> None:
        self._expect("(")
        self._expression(module)
        self._expect(")")

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
