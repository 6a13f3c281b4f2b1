"""Plays a stimulus on every mutant of a module, compiled once by Verilator, each up to the first difference."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtl.logic import placed
from siliquant.files import scratch
from siliquant.processes import TEMPORARY_HERE, module_command, run_program
from sim.simulators import ToolError, Verilator, run_tool

from .stimuli import Stimulus

__all__ = ["Mutant", "changes_of", "play"]

_TOP = """\
module siliquant_mutants(
    input clk, input [{last_in}:0] in, input [9:0] mutant, output valid, output [{last_out}:0] result);
  mutated unit(.clk(clk), .mutant(mutant), {pins});
{tied}endmodule
"""
_DRIVER = """\
#include "Vtop.h"
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>
// Words of 32 bits: a header of two numbers, then each cycle's inputs, what is due, its result and a mask.
static std::vector<uint32_t> data;
static const int inputs = {inputs}, results = {results};
int main(int argc, char** argv) {{
    FILE* file = std::fopen("stimulus.bin", "rb");
    uint32_t head[2];
    if (!file || std::fread(head, 4, 2, file) != 2) return 2;
    const uint32_t cycles = head[0], mutants = head[1], width = inputs + 1 + 2 * results;
    data.resize(size_t(cycles) * width);
    if (std::fread(data.data(), 4, data.size(), file) != data.size()) return 2;
    for (uint32_t mutant = 0; mutant <= mutants; ++mutant) {{
        VerilatedContext context;
        context.randReset(0);
        Vtop top{{&context}};
        top.mutant = mutant;
        bool held = false;
        uint32_t kept[results];
        int64_t killed = -1;
        for (uint32_t cycle = 0; cycle < cycles && killed < 0; ++cycle) {{
            const uint32_t* now = &data[size_t(cycle) * width];
            const uint32_t due = now[inputs] & 7, forgets = now[inputs] & 8;
            std::memcpy({address_in}, now, {bytes_in});
            top.clk = 0;
            top.eval();
            uint32_t seen[results] = {{0}};
            std::memcpy(seen, {address_out}, {bytes_out});
            bool right = true;
            if (due == 1 || due == 2) right = top.valid == 0;
            if (due == 2 && held) right = right && !std::memcmp(seen, kept, sizeof seen);
            if (due == 5)
                for (int place = 0; place < results; ++place)
                    right = right && !((seen[place] ^ now[inputs + 1 + place]) & now[inputs + 1 + results + place]);
            if (due == 3 || due == 4) {{
                right = top.valid == 1;
                held = true;
                std::memcpy(kept, seen, sizeof seen);
            }}
            if (due == 4) right = right && !std::memcmp(seen, now + inputs + 1, sizeof seen);
            if (!right) killed = cycle;
            if (forgets) held = false;
            top.clk = 1;
            top.eval();
        }}
        std::printf("%u %lld\\n", mutant, (long long)killed);
    }}
    return 0;
}}
"""


@dataclass(frozen=True)
class Mutant:
    """change: the command of Yosys that makes it. cycle: in which it is found, None where it is not."""

    change: str
    cycle: int | None


def changes_of(folder: Path, module: str, seed: int, count: int, part: str = "") -> list[str]:
    """Has Yosys make mutants of ``module`` in design.v of a folder, or of a ``part`` of it, into mutated.v there;
    returns its commands.
    """
    command = module_command("sim.mutants.worker", "list", module, part, str(seed % (1 << 31)), str(count))
    done = run_program(command, cwd=folder, env={**os.environ, **TEMPORARY_HERE})
    if done.returncode != 0:
        raise ToolError(f"Yosys could not make mutants: {(done.stderr or done.stdout).strip()[-500:]}")
    return [line for line in (folder / "mutants.txt").read_text().splitlines() if line.startswith("mutate ")]


def play(
    verilog: str, module: str, stimulus: Stimulus, *, seed: int, count: int, part: str = ""
) -> list[Mutant]:  # fmt: skip
    """Every mutant of a module, or of a part of it, played. Raises ToolError where a tool fails, and where the module
    itself is found wrong.
    """
    with scratch("mutants") as folder:
        (folder / "design.v").write_text(verilog)
        changes = changes_of(folder, module, seed, count, part)
        _write_driver(folder, stimulus)
        _write_stimulus(folder / "stimulus.bin", stimulus, len(changes))
        verilator = Verilator()
        command = [verilator.program(), "--cc", "--exe", "-Wno-fatal", "-O3", "--Mdir", "obj", "--prefix", "Vtop"]
        command += ["--x-initial", "0", "--top-module", "siliquant_mutants", "-o", "play", "driver.cpp", "top.v"]
        run_tool([*command, "mutated.v"], folder, verilator.environment())
        verilator.compile(folder / "obj", settings={"OPT_FAST": "-O1"})
        said = run_tool([str(folder / "obj" / "play")], folder)
    cycles = [int(line.split()[1]) for line in said.splitlines()]
    if len(cycles) != len(changes) + 1:
        raise ToolError(f"the driver must answer for {len(changes) + 1} modules, not {len(cycles)}")
    if cycles[0] >= 0:
        raise ToolError(f"{module} is not what its stimulus expects, in cycle {cycles[0]}")
    return [Mutant(change, None if cycle < 0 else cycle) for change, cycle in zip(changes, cycles[1:], strict=True)]


def _words(width: int) -> int:
    return -(-width // 32)


def _write_driver(folder: Path, stimulus: Stimulus) -> None:
    widths = _widths(stimulus)
    # As wide as three words at least: Verilator has such ports as arrays of words, whatever else is in them.
    wide_in, wide_out = (max(96, 32 * _words(width)) for width in widths)
    pins = [*_pins(stimulus.inputs, "in"), *_pins(stimulus.outputs, "result")]
    tied = f"  assign result[{wide_out - 1}:{widths[1]}] = 0;\n" if widths[1] < wide_out else ""
    if stimulus.has_valid:
        pins.append(".out_valid(valid)")
    else:
        tied += "  assign valid = 0;\n"
    text = _TOP.format(last_in=wide_in - 1, last_out=wide_out - 1, pins=", ".join(pins), tied=tied)
    (folder / "top.v").write_text(text)
    (folder / "driver.cpp").write_text(
        _DRIVER.format(
            inputs=wide_in // 32, results=wide_out // 32, address_in="top.in.m_storage", bytes_in=wide_in // 8,
            address_out="top.result.m_storage", bytes_out=wide_out // 8,
        )
    )  # fmt: skip


def _widths(stimulus: Stimulus) -> tuple[int, int]:
    """Bits of the inputs and of the result."""
    return sum(width for _, width in stimulus.inputs), sum(width for _, width in stimulus.outputs)


def _pins(ports: Sequence[tuple[str, int]], word: str) -> Iterator[str]:
    for name, low, width in placed(ports):
        yield f".{name}({word}[{low + width - 1}:{low}])"


def _write_stimulus(path: Path, stimulus: Stimulus, mutants: int) -> None:
    bytes_in, bytes_out = (max(96, 32 * _words(width)) // 8 for width in _widths(stimulus))
    masks = stimulus.masks or (0,) * len(stimulus.cycles)
    parts = [struct.pack("<II", len(stimulus.cycles), mutants)]
    each = zip(stimulus.cycles, stimulus.due, stimulus.results, masks, strict=True)
    for cycle, (word, due, value, mask) in enumerate(each):
        flag = int(due) | (8 if cycle in stimulus.forgets else 0)
        parts += [word.to_bytes(bytes_in, "little"), struct.pack("<I", flag)]
        parts += [value.to_bytes(bytes_out, "little"), mask.to_bytes(bytes_out, "little")]
    path.write_bytes(b"".join(parts))
