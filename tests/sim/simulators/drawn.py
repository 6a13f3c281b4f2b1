"""Modules drawn at random: what :mod:`sim.simulators.grammar` takes, but for memories and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

__all__ = ["Drawn", "drawn"]

_OPERATORS = ("+", "-", "*", "&", "|", "^", "<<", ">>", "==", "!=", "<", ">", "<=", ">=", "&&", "||")
_SIGNS = ("", "", "", "", "", "!", "-", "&", "|", "^")


@dataclass(frozen=True)
class Drawn:
    """A module with the inputs clk and rst, and these with their bits. Every register is 0 after a cycle of rst."""

    name: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    text: str


@dataclass
class _Drawing:
    random: Random
    words: dict[str, int]

    def word(self, name: str) -> str:
        """A word or some of its bits."""
        width = self.words[name]
        if width == 1 or self.random.random() < 0.5:
            return name
        high = self.random.randrange(width)
        low = self.random.randint(0, high)
        return f"{name}[{high}]" if high == low else f"{name}[{high}:{low}]"

    def primary(self, depth: int) -> str:
        kind = self.random.random()
        if depth == 0 or kind < 0.4:
            return self.word(self.random.choice(list(self.words)))
        if kind < 0.5:
            return self.number()
        parts = ", ".join(self.expression(depth - 1) for _ in range(self.random.randint(1, 3)))
        if kind < 0.8:
            return f"({self.expression(depth - 1)})"
        return f"{{{parts}}}" if kind < 0.9 else f"{{{self.random.randint(1, 3)}{{{parts}}}}}"

    def number(self) -> str:
        width = self.random.randint(1, 6)
        value = self.random.getrandbits(width)
        return self.random.choice((f"{width}'d{value}", f"{width}'h{value:x}", f"{width}'b{value:b}"))

    def expression(self, depth: int = 2) -> str:
        sign = self.random.choice(_SIGNS)
        text = sign + (self.primary(depth) if sign else self.operand(depth))
        for _ in range(self.random.choice((0, 0, 1, 1, 2))):
            text += f" {self.random.choice(_OPERATORS)} {self.operand(depth)}"
        if depth and self.random.random() < 0.15:
            text += f" ? {self.expression(depth - 1)} : {self.expression(depth - 1)}"
        return text

    def operand(self, depth: int) -> str:
        return self.random.choice(("", "", "", "~")) + self.primary(depth)

    def statements(self, targets: Sequence[str], depth: int = 2) -> str:
        return f"begin {' '.join(self.statement(targets, depth) for _ in range(self.random.randint(1, 3)))} end"

    def statement(self, targets: Sequence[str], depth: int) -> str:
        kind = self.random.random()
        if depth == 0 or kind < 0.4:
            chosen = [self.word(each) for each in self.random.sample(targets, self.random.randint(1, len(targets)))]
            target = f"{{{', '.join(chosen)}}}" if len(chosen) > 1 else chosen[0]
            return f"{target} <= {self.expression(1)};"
        if kind < 0.7:
            test = self.number() if self.random.random() < 0.15 else self.expression(1)
            text = f"if ({test}) {self.statements(targets, depth - 1)}"
            return f"{text} else {self.statement(targets, depth - 1)}" if kind < 0.55 else text
        if kind < 0.8:
            return self.statements(targets, depth - 1)
        tests = [f"{self.number()}:" for _ in range(self.random.randint(1, 3))]
        tests += ["default"] if kind < 0.9 else []
        cases = [f"{test} {self.statement(targets, depth - 1)}" for test in tests]
        return f"case ({self.expression(1)}) {' '.join(cases)} endcase"


def drawn(random: Random, name: str, below: Sequence[Drawn] = ()) -> Drawn:
    """A module, which may instantiate one of ``below``."""
    inputs = {f"a{place}": random.choice((1, 1, 2, 3, 4, 5, 9)) for place in range(random.randint(2, 4))}
    drawing = _Drawing(random, dict(inputs))
    lines = []
    for place in range(random.randint(2, 5)):
        new = f"w{place}"
        width = random.choice((1, 2, 3, 4, 6, 11))
        kind = random.random()
        if kind < 0.4:
            lines.append(f"wire [{width - 1}:0] {new} = {drawing.expression()};")
        elif kind < 0.5:
            lines.append(f"wire [{width - 1}:0] {new};\n  wire [2:0] {new}b;")
            lines.append(f"assign {{{new}, {new}b}} = {drawing.expression()};")
            drawing.words[f"{new}b"] = 3
        elif kind < 0.85 or not below:
            lines.append(f"reg [{width - 1}:0] {new};\n  reg [2:0] {new}b;")
            drawing.words |= {new: width, f"{new}b": 3}
            body = drawing.statements((new, f"{new}b"))
            lines.append(f"always @(posedge clk) if (rst) {{{new}, {new}b}} <= {width + 3}'d0; else {body}")
        else:
            lower = random.choice(below)
            pins = [f".{pin}({drawing.expression(1)})" for pin in lower.inputs]
            for pin, bits in lower.outputs.items():
                given = max(1, bits - random.randint(0, 1))
                lines.append(f"wire [{given - 1}:0] {new}{pin};")
                drawing.words[f"{new}{pin}"] = given
                pins.append(f".{pin}({new}{pin})")
            lines.append(f"{lower.name} {new} (.clk(clk), .rst(rst), {', '.join(random.sample(pins, len(pins)))});")
            continue
        drawing.words[new] = width
    outputs = {f"y{place}": random.choice((1, 4, 8, 13)) for place in range(2)}
    lines += [f"assign {output} = {drawing.expression()};" for output in outputs]
    shown = {f"s{word}": bits for word, bits in drawing.words.items() if word not in inputs}
    lines += [f"assign {output} = {output[1:]};" for output in shown]
    outputs |= shown
    ports = ["input wire clk", "input wire rst"]
    ports += [f"input wire [{bits - 1}:0] {each}" for each, bits in inputs.items()]
    ports += [f"output wire [{bits - 1}:0] {each}" for each, bits in outputs.items()]
    text = f"module {name} ({', '.join(ports)});\n" + "".join(f"  {line}\n" for line in lines) + "endmodule\n"
    return Drawn(name, inputs, outputs, text)
