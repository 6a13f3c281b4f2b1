"""The shared library of a simulated array: Verilated from the generated Verilog, built once and kept."""

from __future__ import annotations

import os
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
_OPTIMISE = (f"OPT_FAST={_FAST} -fPIC", "OPT_SLOW=-O0 -fPIC", "OPT_GLOBAL=-O2 -fPIC")
_RUNTIME = ("verilated", "verilated_threads")


def array_verilog(spec: ArraySpec) -> str:
    """The generated Verilog of an array."""
    return generated_verilog([spec], spec.parameters)


def build_library(spec: ArraySpec, verilog: str | None = None) -> Path:
    """Path of the library of ``spec``; ``verilog`` takes the place of the generated text.

    Its grid is simulated bit-sliced (:mod:`sim.harness.sliced`). Raises ToolError where a tool is missing or fails.
    """
    verilator = Verilator()
    design = verilog if verilog is not None else array_verilog(spec)
    key = {
        "verilog": design,
        "source": [path.read_text() for path in _SOURCES],
        "flags": [*_TRANSLATE, *_WIDE, *_SPLIT, *_OPTIMISE],
        "processor": processor(),
        "tools": verilator.tools(),
    }

    def build(folder: Path) -> None:
        objects, env = folder / "obj", verilator.environment()
        (folder / "design.v").write_text(with_sliced_grid(design, spec.grid))
        top = ("--cc", "--Mdir", "obj", "--top-module", spec.name, "--prefix", "Vtop")
        run_tool([verilator.program(), *top, *_TRANSLATE, *_WIDE, *_SPLIT, "design.v"], folder, env)
        _take_runtime(verilator, objects, env)
        run_tool(verilator.make(*_OPTIMISE, "Vtop__ALL.a"), objects, env)
        include = verilator.root() / "include"
        link = ["-shared", "-fPIC", "-O2", "-std=gnu++17", f"-I{objects}", f"-I{include}", f"-I{include / 'vltstd'}"]
        parts = [str(_SOURCE), str(objects / "Vtop__ALL.a"), *(str(objects / f"{name}.o") for name in _RUNTIME)]
        link += ["-DREQUANT"] if spec.requant is not None else []
        run_tool([executable("g++"), *link, *parts, "-pthread", "-o", "array.so"], folder, env)
        shutil.rmtree(objects)

    return cached("array", key, build) / "array.so"


def _take_runtime(verilator: Verilator, objects: Path, env: dict[str, str]) -> None:
    """Puts the compiled runtime library, the same for every array, beside the sources of this one."""

    def compile_runtime(folder: Path) -> None:
        run_tool(verilator.make(*_OPTIMISE, *(f"{name}.o" for name in _RUNTIME)), objects, env)
        for name in _RUNTIME:
            shutil.copy(objects / f"{name}.o", folder)

    key = {"flags": list(_OPTIMISE), "processor": processor(), "tools": verilator.tools()}
    runtime = cached("array-runtime", key, compile_runtime)
    for name in _RUNTIME:
        shutil.copyfile(runtime / f"{name}.o", objects / f"{name}.o")
        os.utime(objects / f"{name}.o")
