"""Verilog that a user brings, line by line: it must be of the plain kind that ``siliquant gen`` writes.

What Yosys reads otherwise than simulators or synthesis do, or what depends on who reads it, is refused here, with its
line, before Yosys sees it. So a proof about what Yosys reads is one about the file. Taken are modules with a list of
ports, ``wire``, ``reg`` (also a memory), ``assign``, ``always @(posedge clk)`` with ``if``, ``case`` and ``<=``, and
instances with named pins; parameters of modules; expressions of names and numbers without x and z. Every other word of
Verilog is refused: tasks, functions, generate, gates, wired and three-state nets, parameters from outside, and so on.
"""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from siliquant.inputs import InputError, text_of

from .grammar import Parser, other_reset
from .modules import SourceModule, check_drivers, drive
from .netlists import plain_verilog
from .tokens import tokens_of

__all__ = ["Source", "check_no_parameters", "check_reset_port", "read_source"]


@dataclass(frozen=True)
class Source:
    """text: without comments and include guards, line by line as the file. sha256: of the file. modules: by name, in
    the order of the file.
    """

    text: str
    sha256: str
    modules: Mapping[str, SourceModule]

    def module(self, name: str) -> SourceModule:
        """The module of that name. Raises InputError with those that are there."""
        if name not in self.modules:
            inside = {instance.module for module in self.modules.values() for instance in module.instances.values()}
            tops = [f"{each.name} (line {each.line})" for each in self.modules.values() if each.name not in inside]
            more = f" and {len(tops) - 3} others" if len(tops) > 3 else ""
            has = f"it has {', '.join(tops[:3])}{more}" if tops else "it has none"
            raise InputError(f"must have the module {name} of these options; {has}")
        return self.modules[name]

    def below(self, top: str) -> tuple[SourceModule, ...]:
        """The module of that name and all that are instantiated below it, each once. Raises InputError for an instance
        of a module that is not in the file, and for one that instantiates itself.
        """
        found: dict[str, SourceModule] = {}
        done: set[str] = set()
        waiting = [(self.module(top), iter(self.module(top).instances.values()))]
        found[top] = waiting[0][0]
        while waiting:
            module, rest = waiting[-1]
            instance = next(rest, None)
            if instance is None:
                done.add(module.name)
                waiting.pop()
                continue
            if instance.module not in self.modules:
                raise InputError(
                    f"instance {instance.name} is of the module {instance.module}, which the file must have, too",
                    place=f"line {instance.line}",
                )
            below = self.modules[instance.module]
            if below.name not in found:
                found[below.name] = below
                waiting.append((below, iter(below.instances.values())))
            elif below.name not in done:
                raise InputError(f"module {below.name} is part of itself", place=f"line {instance.line}")
        return tuple(found.values())


def read_source(content: bytes) -> Source:
    """The modules of a file in UTF-8. Raises InputError with the line of the first thing that is not taken."""
    if content.startswith(BOM_UTF8):
        raise InputError("must have no byte order mark, which not all tools take", place="line 1")
    text = plain_verilog(text_of(content))
    parser = Parser(tokens_of(text))
    modules: dict[str, SourceModule] = {}
    while not parser.ended:
        module = parser.module()
        if module.name in modules:
            raise InputError(
                f"module {module.name} must be there once, and is in line {modules[module.name].line}, too",
                place=f"line {module.line}",
            )
        modules[module.name] = module
    for module in modules.values():
        _check_instances(module, modules)
        check_drivers(module)
    for line, bits in _made_by_parameters(modules):
        parser.count_bits(bits, line)
    return Source(text, hashlib.sha256(content).hexdigest(), modules)


def check_reset_port(module: SourceModule) -> None:
    """Raises InputError for a module whose reset is another one than ``rst``, high, with the clock."""
    if "rst_n" in module.inputs and "rst" not in module.inputs:
        raise other_reset("sync-low", module.inputs["rst_n"])


def check_no_parameters(module: SourceModule) -> None:
    """Raises InputError for a module that may be another one elsewhere."""
    if module.parameters:
        name = next(iter(module.parameters))
        raise InputError(f"{module.name} must have no parameters, as {name} is", place=f"line {module.words[name]}")


def _check_instances(module: SourceModule, modules: Mapping[str, SourceModule]) -> None:
    """Pins are ports, and outputs drive words."""
    for instance in module.instances.values():
        other = modules.get(instance.module)
        if other is None:
            continue  # who needs it says so
        if lacking := instance.parameters.keys() - other.parameters.keys():
            raise InputError(
                f"module {other.name} (line {other.line}) has no parameter {min(lacking)}",
                place=f"line {instance.line}",
            )
        for name, pin in instance.pins.items():
            if name not in other.inputs and name not in other.outputs:
                raise InputError(
                    f"module {other.name} (line {other.line}) has no port {name}", place=f"line {instance.line}"
                )
            if name in other.outputs:
                if pin.targets is None:
                    raise InputError(
                        f"the output {name} of {instance.name} must be connected to wires", place=f"line {pin.line}"
                    )
                drive(module, pin.targets, register=False)


def _made_by_parameters(modules: Mapping[str, SourceModule]) -> Iterator[tuple[int, int]]:
    """The line and the bits of each module whose widths are parameters, once for each set of these."""
    seen = set()
    for instance in (instance for module in modules.values() for instance in module.instances.values()):
        key = (instance.module, frozenset(instance.parameters.items()))
        if key not in seen and instance.module in modules:
            seen.add(key)
            module = modules[instance.module]
            values = {**module.parameters, **instance.parameters}
            yield instance.line, sum(values[width] for width in module.widths.values() if isinstance(width, str))
