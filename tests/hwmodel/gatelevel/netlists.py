"""Netlists of freepdk45 that the tests of gate level share, made once a process."""

from __future__ import annotations

from functools import cache

from hwmodel.gatelevel.machine import Machine
from hwmodel.liberty.models import LibraryCells
from hwmodel.library.library import Library, find_library
from hwmodel.synthesis.flow import Synthesis, Workspace
from hwmodel.synthesis.recipes import Recipe
from rtl.mac import UniformSpec
from rtl.verilog import to_verilog

SPEC = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=4)
SMALLEST = Recipe("cell", "chain", "area")


@cache
def library() -> Library:
    return find_library()


@cache
def cells() -> LibraryCells:
    return LibraryCells(library().files.library())


@cache
def verilog() -> str:
    """Of SPEC, as gen writes it."""
    return to_verilog([SPEC])


@cache
def mapped(text: str, top: str = SPEC.name) -> Synthesis:
    """The smallest netlist of a text."""
    with Workspace(text, top, library(), jobs=1) as workspace:
        return workspace.synthesise(100.0, recipe=SMALLEST)


def changed(old: str, new: str) -> str:
    """The Verilog of SPEC with one change."""
    assert verilog().count(old) == 1, old
    return verilog().replace(old, new)


def register_names(machine: Machine) -> list[str]:
    return [register.name for register in machine.registers]
