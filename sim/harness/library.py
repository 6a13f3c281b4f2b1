"""The shared library of a simulated array: Verilated from the generated Verilog, built once and kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from rtl.array import ArraySpec
from siliquant.processes import native_flags, processor
from sim.simulators import NETLIST_SOURCES, Verilator, cached, executable, generated_verilog, run_tool

from .sliced import with_sliced_grid

__all__ = ["array_verilog", "build_library"]

_SOURCE = Path(__file__).with_name("harness.cpp")
_SOURCES = (_SOURCE, _SOURCE.with_name("sliced.py"), *NETLIST_SOURCES)
_TRANSLATE = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal")
# An operation on a wide net stays one loop over its words, which the compiler makes one of vectors; taken apart, or
# merged into larger expressions, the same is five times as much code, and slower by as much.
_WIDE = ("--expand-limit", "2", "-fno-dfg")
# One function of a thousand gates on wide words takes a compiler minutes, and cannot be compiled on two cores.
_SPLIT = ("--output-split", "20000", "--output-split-cfuncs", "400")
_FAST = " ".join(("-O1", "-ftree-vectorize", "-fvect-cost-model=dynamic", *native_flags()))
_OPTIMISE = {"OPT_FAST": f"{_FAST} -fPIC", "OPT_SLOW": "-O0 -fPIC", "OPT_GLOBAL": "-O2 -fPIC"}
_RUNTIME = ("verilated", "verilated_threads")


def array_verilog(spec: ArraySpec) -> str:
    """The generated Verilog of an array."""
    return generated_verilog([spec])


def build_library(spec: ArraySpec, verilog: str | None = None) -> Path:
    """Path of the library of ``spec``; ``verilog`` takes the place of the generated text.

    Its grid is simulated bit-sliced (:mod:`sim.harness.sliced`). Raises ToolError where a tool is missing or fails.
    """
    verilator = Verilator()
    design = verilog if verilog is not None else array_verilog(spec)
    key = {
        "verilog": design,
        "source": [path.read_text() for path in _SOURCES],
        "flags": [*_TRANSLATE, *_WIDE, *_SPLIT, _OPTIMISE],
        "processor": processor(),
        "tools": verilator.tools(),
    }

    def build(folder: Path) -> None:
        objects, env = folder / "obj", verilator.environment()
        (folder / "design.v").write_text(with_sliced_grid(design, spec.grid))
        top = ("--cc", "--Mdir", "obj", "--top-module", spec.name, "--prefix", "Vtop")
        run_tool([verilator.program(), *top, *_TRANSLATE, *_WIDE, *_SPLIT, "design.v"], folder, env)
        asked = "#define REQUANT\n" if spec.requant is not None else ""
        (objects / "harness.cpp").write_text(asked + _SOURCE.read_text())
        verilator.compile(objects, "harness.o", "Vtop__ALL.a", settings=_OPTIMISE, runtime=_RUNTIME)
        parts = ("harness.o", "Vtop__ALL.a", *(f"{name}.o" for name in _RUNTIME))
        link = [executable("g++"), "-shared", *(str(objects / part) for part in parts), "-pthread", "-o", "array.so"]
        run_tool(link, folder, env)
        shutil.rmtree(objects)

    return cached("array", key, build) / "array.so"
