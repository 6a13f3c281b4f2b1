"""From specs to portable Verilog-2001.

What is asked for keeps its own name. Modules that it instantiates (helpers) begin with a prefix and say their
parameters, and the style of their reset where it is not the usual one, in their names, and each stands in an include
guard: equal names are equal modules, so files of any number of designs can be read together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from rtl.logic import Port
from rtl.names import (
    FULL_ADDER_NAME,
    HELPER_PREFIX,
    MEMORY_NAME,
    MOST_NAME,
    check_prefix,
    guarded,
    helper,
    short,
    styled,
    with_prefix,
)
from siliquant.inputs import InputError, ToolError

from .blocks import Reset
from .modules import header, module_text, with_reset
from .rtlil import Module, module_named, parse

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = [
    "FULL_ADDER",
    "MEMORY",
    "Composite",
    "Elaborated",
    "Generated",
    "GenerationError",
    "Modules",
    "Written",
    "generate",
    "helper_file",
    "to_verilog",
    "with_parts",
]

FULL_ADDER = f"""\
// Full adder: 2 * carry + sum = a + b + c.
module {FULL_ADDER_NAME} (
  input  wire a,
  input  wire b,
  input  wire c,
  output wire sum,
  output wire carry
);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
"""
"""The one leaf cell of every design. Synthesis may map it to a full-adder cell of the library."""

MEMORY = f"""\
// Memory: one write and one read a cycle, which gives what was there before. A memory macro may take its place.
module {MEMORY_NAME} #(
  parameter WIDTH = 1,
  parameter DEPTH = 2,
  parameter ADDRESS_WIDTH = 1
) (
  input  wire                     clk,
  input  wire                     read_enable,
  input  wire [ADDRESS_WIDTH-1:0] read_address,
  output reg  [WIDTH-1:0]         read_data,
  input  wire                     write_enable,
  input  wire [ADDRESS_WIDTH-1:0] write_address,
  input  wire [WIDTH-1:0]         write_data
);
  reg [WIDTH-1:0] words [0:DEPTH-1];
  always @(posedge clk) begin
    if (write_enable) words[write_address] <= write_data;
    if (read_enable) read_data <= words[read_address];
  end
endmodule
"""
"""The memory of arrays. Plain text, since Amaranth spells out initial values of every bit."""


_LEAVES = {FULL_ADDER_NAME: FULL_ADDER, MEMORY_NAME: MEMORY}


class GenerationError(ToolError):
    """The RTLIL of a design has something that cannot be written as Verilog."""


class Elaborated(Protocol):
    """What makes a module as an Amaranth component: a MAC, an array, a requantiser."""

    @property
    def name(self) -> str:
        """Module name."""
        ...

    @property
    def summary(self) -> str:
        """One line that says what it does."""
        ...

    @property
    def ports(self) -> Sequence[Port]:
        """Every port but clk and rst."""
        ...

    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component. numbered: gates have numbers in place of names."""
        ...


@runtime_checkable
class Written(Protocol):
    """What makes a module as text: a grid."""

    @property
    def name(self) -> str:
        """Module name."""
        ...

    @property
    def summary(self) -> str:
        """One line that says what it does."""
        ...

    @property
    def ports(self) -> Sequence[Port]:
        """Every port but clk and rst."""
        ...

    def verilog(self) -> Sequence[str]:
        """The lines between the header and the end of the module."""
        ...


Generated: TypeAlias = Elaborated | Written
"""What makes a module."""


@runtime_checkable
class Composite(Protocol):
    """What makes a module that instantiates others."""

    @property
    def parts(self) -> Sequence[Generated]:
        """Those others, each once."""
        ...


@dataclass(frozen=True)
class Modules:
    """Verilog of specs. own: their modules, one text. helpers: modules that they instantiate, by name, unguarded."""

    names: tuple[str, ...]
    own: str
    helpers: Mapping[str, str]

    @property
    def text(self) -> str:
        """A file without the helpers."""
        return f"{_header(*self.names)}\n{self.own}"


def to_verilog(specs: Sequence[Generated], prefix: str = HELPER_PREFIX, reset: Reset = Reset.SYNCHRONOUS_HIGH) -> str:
    """One self-contained text with a module for each spec, named ``spec.name``, and the helpers of all.

    Equal specs give equal text, byte for byte, with the same tool versions. Registers have no initial values: what
    simulates is what is synthesised. Raises GenerationError where Amaranth makes what cannot be written, InputError for
    a bad ``prefix``.
    """
    made = generate(specs, prefix, reset)
    return "\n".join([made.text, *_guarded(made.helpers)])


def helper_file(helpers: Mapping[str, str]) -> str:
    """The text of a file of helpers that designs share."""
    return "\n".join([_header("modules that designs share"), *_guarded(helpers)])


def generate(specs: Sequence[Generated], prefix: str = HELPER_PREFIX, reset: Reset = Reset.SYNCHRONOUS_HIGH) -> Modules:
    """The modules of ``specs``. Raises as :func:`to_verilog`."""
    check_prefix(prefix)
    named = with_parts(specs)
    outputs = {FULL_ADDER_NAME: frozenset(("sum", "carry")), MEMORY_NAME: frozenset(("read_data",))}
    outputs |= {name: frozenset(port.name for port in spec.ports if not port.is_input) for name, spec in named.items()}
    modules: dict[str, str] = {}
    for name, spec in named.items():
        modules |= written(name, spec, reset) if isinstance(spec, Written) else _made(name, spec, reset, outputs)
    text = "".join(modules.values())
    modules |= {name: leaf for name, leaf in _LEAVES.items() if f" {name} " in text}
    asked = list(dict.fromkeys(spec.name for spec in specs))
    helpers = {name for name in modules if name.startswith(HELPER_PREFIX) and name not in asked}
    if reset.tag:
        names = {name: styled(name, reset.tag) for name in helpers}
        modules = {names.get(name, name): _renamed(text, names) for name, text in modules.items()}
        helpers = set(names.values())
    shared = {with_prefix(name, prefix): with_prefix(modules[name], prefix) for name in modules if name in helpers}
    if both := sorted(shared.keys() & (modules.keys() - helpers)):
        raise InputError(f"prefix must not give a shared module the name of a design, as {prefix!r} does: {both[0]}")
    own = "\n".join(with_prefix(text, prefix) for name, text in modules.items() if name not in helpers)
    return Modules(tuple(asked), own, shared)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """A text with other names of modules."""
    return re.sub(rf"\b{HELPER_PREFIX}\w+", lambda match: names.get(match[0], match[0]), text)


def with_parts(specs: Sequence[Generated]) -> dict[str, Generated]:
    """Specs and the parts that they instantiate, by the names of their modules."""
    tops = dict.fromkeys(specs)
    # A part may be asked for on its own, too: it is there twice then, under both of its names.
    parts = {helper_name(part.name): part for spec in tops if isinstance(spec, Composite) for part in spec.parts}
    return parts | {spec.name: spec for spec in tops}


def _made(name: str, spec: Elaborated, reset: Reset, outputs: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """The modules of a component by name: its own last, after those that it is made of."""
    from amaranth.back import rtlil

    try:
        modules = list(parse(rtlil.convert(spec.create(), name=name, emit_src=False)))
    except ValueError as error:
        raise GenerationError(f"{name}: {error}") from error
    names = {module.name: _module_name(name, module.name) for module in modules}
    if len(set(names.values())) < len(names) or any("$" in each for each in names.values()):
        raise GenerationError(f"{name}: parts must have names of their own")
    pins = {names[module.name]: frozenset(_ports(module, is_input=False)) for module in modules}
    found = {}
    for module in modules:
        own = module.name == name
        ports = spec.ports if own else [*_inner_ports(module)]
        about = [f"{name}: {spec.summary}"] if own else [f"{names[module.name]}: part of {name}"]
        try:
            renamed = module_named(module, names)
            found[renamed.name] = module_text(renamed, ports, about, reset, {**outputs, **pins})
        except ValueError as error:
            raise GenerationError(f"{module.name}: {error}") from error
    return dict(reversed(found.items()))


def _module_name(top: str, name: str) -> str:
    """The name of a module that Amaranth calls TOP.PART or TOP.PART$NUMBER."""
    if name == top:
        return name
    part = re.sub(r"\$\d+$", "", name.removeprefix(top)).replace(".", "_")
    return f"{short(top, MOST_NAME - len(part))}{part}"


def _ports(module: Module, *, is_input: bool) -> Iterator[str]:
    wanted = "input" if is_input else "output"
    return (wire.name for wire in module.wires.values() if wire.direction == wanted)


def _inner_ports(module: Module) -> Iterator[Port]:
    """The ports of a part, but for clock and reset."""
    for is_input in (True, False):
        for name in _ports(module, is_input=is_input):
            if name not in ("clk", "rst"):
                yield Port(name, module.wires[name].width, is_input, "")


def written(name: str, spec: Written, reset: Reset) -> dict[str, str]:
    """A module that is text."""
    lines = [f"// {name}: {spec.summary}", *header(name, spec.ports, reset), *spec.verilog(), "endmodule"]
    return {name: with_reset("\n".join(lines) + "\n", reset)}


def _guarded(helpers: Mapping[str, str]) -> list[str]:
    return [guarded(name, text) for name, text in helpers.items()]


def _header(*lines: str) -> str:
    waiver = "verilator lint_off DECLFILENAME  // what a module is made of stands in its file, too"
    return "".join(f"// {line}\n" for line in (f"siliquant {version('siliquant')}", *lines, waiver))


def helper_name(name: str) -> str:
    """The name of a module that another one instantiates."""
    return name if name.startswith(HELPER_PREFIX) else helper(name)
