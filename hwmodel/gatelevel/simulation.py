"""RTL and mapped netlist side by side in Icarus Verilog, with unknown values from power-up on.

Icarus reads the netlist itself, so that this shares nothing with the proof (:mod:`.proof`) but the cells' functions,
and not even these where the library comes with Verilog of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hwmodel.library import LibraryCells
from hwmodel.netlist import read_netlist
from hwmodel.operands import Mismatch
from hwmodel.power import SimulationError, find_icarus
from hwmodel.synthesis import Mapped
from rtl.logic import placed
from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import TEMPORARY_HERE, OutOfTimeError, run_program

from .cells import cell_model
from .stimuli import Power, Word

__all__ = ["Seen", "simulate_gates"]

_SECONDS_LIMIT = 600
_GATES = "gates_under_test"


@dataclass(frozen=True)
class Seen:
    """bits: of outputs that were valid, and equal. unknown: of them, how many the netlist has as unknown where the RTL
    does not. lost: the same of outputs that are not valid, after the first that was.
    """

    cycles: int
    bits: int
    unknown: int
    lost: int


def simulate_gates(
    verilog: str,
    mapped: Mapped,
    cells: LibraryCells,
    power: Power,
    *,
    models: str | None = None,
    seed: int | None = None,
) -> Seen:
    """Runs both and compares every output in every cycle in which it is valid.

    models: Verilog of the library's cells; None: made from its Liberty file. seed: what the netlist stores is 0 or 1 at
    first, drawn with it, and unknown inputs are drawn, too (not beside ``models``, which have states of their own);
    None: all of that is unknown. Raises Mismatch where the netlist has another value, where the RTL has an unknown one
    in a valid output, where out_valid is unknown after the first reset, and with ``seed`` where any valid output is;
    SimulatorMissing, and SimulationError where Icarus stops or takes too long.
    """
    if models is not None and seed is not None:
        raise InputError("either models or seed may be given: cells of other models start unknown")
    netlist = read_netlist(mapped.netlist, mapped.top)
    outputs = {name: len(nets) for name, nets in netlist.outputs.items()}
    inputs = {name: len(nets) for name, nets in netlist.inputs.items() if name != "clk"}
    gates, count = re.subn(rf"^module {mapped.top}\b", f"module {_GATES}", mapped.verilog, flags=re.MULTILINE)
    if count != 1:
        raise InputError(f"the netlist must have one module {mapped.top}, not {count}")
    if models is None:
        used = sorted({instance.cell for instance in netlist.instances})
        models = "\n".join(cell_model(cells[cell], random=seed is not None) for cell in used)
    # Directives of one part must not reach the next.
    text = "\n`resetall\n".join([verilog, gates, models, _bench(mapped.top, inputs, outputs, len(power.cycles), seed)])
    said = _run("`timescale 1ns/1ps\n" + text.replace("`resetall\n", "`resetall\n`timescale 1ns/1ps\n"),
                _vectors(power, inputs, seed))  # fmt: skip
    rows = [line.split() for line in said.splitlines() if re.fullmatch(r"[01xz]+ [01xz]+", line)]
    if len(rows) != len(power.cycles):
        raise SimulationError(f"Icarus Verilog ran {len(rows)} of {len(power.cycles)} cycles of {mapped.top}")
    return _compared(mapped.top, rows, outputs, power, drawn=seed is not None)


def _bench(top: str, inputs: Mapping[str, int], outputs: Mapping[str, int], cycles: int, seed: int | None) -> str:
    """One line a cycle, before its rising edge: all outputs of the RTL, then all of the netlist."""
    width = sum(inputs.values())
    pins = [".clk(clk)", *(f".{name}(in[{low}+:{size}])" for name, low, size in placed(inputs.items()))]
    wires = [f"  wire [{size - 1}:0] {side}_{name};" for side in "rg" for name, size in outputs.items()]
    rtl, gates = (", ".join([*pins, *(f".{name}({side}_{name})" for name in outputs)]) for side in "rg")
    shown = ", ".join(f"{{{', '.join(f'{side}_{name}' for name in outputs)}}}" for side in "rg")
    return f"""module bench;
  reg clk; reg [{width - 1}:0] in, vectors [0:{cycles - 1}]; integer cycle, seed;
{chr(10).join(wires)}
  {top} rtl ({rtl});
  {_GATES} gates ({gates});
  initial begin
    seed = {seed or 0};
    $readmemb("vectors.txt", vectors);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      clk = 0; #1 in = vectors[cycle]; #4 $display("%b %b", {shown}); clk = 1; #5;
    end
    $finish;
  end
endmodule
"""


def _vectors(power: Power, inputs: Mapping[str, int], seed: int | None) -> str:
    """A line of bits a cycle, the first port last; what is unknown is x, or drawn."""
    random, lines = Random(seed), []
    for words in power.cycles:
        bits = []
        for name, width in inputs.items():
            word = words[name]
            drawn = format(random.getrandbits(width), f"0{width}b") if seed is not None else "x" * width
            known, free = (format(value, f"0{width}b") for value in (word.value, word.unknown))
            bits.append("".join(d if f == "1" else k for d, k, f in zip(drawn, known, free, strict=True)))
        lines.append("".join(reversed(bits)))
    return "\n".join(lines) + "\n"


def _run(text: str, vectors: str) -> str:
    compiler, engine = find_icarus()
    with scratch("gates") as folder:
        (folder / "bench.v").write_text(text)
        (folder / "vectors.txt").write_text(vectors)
        env = {**os.environ, **TEMPORARY_HERE}
        for command in ([compiler, "-g2005", "-s", "bench", "-o", "bench.vvp", "bench.v"], [engine, "-n", "bench.vvp"]):
            try:
                done = run_program(command, cwd=folder, env=env, timeout=_SECONDS_LIMIT)
            except OutOfTimeError:
                raise SimulationError(f"{Path(command[0]).name} did not finish in {_SECONDS_LIMIT} s") from None
            if done.returncode:
                raise SimulationError(f"Icarus Verilog stopped: {(done.stdout + done.stderr).strip()[:300]}")
    return done.stdout


def _compared(
    top: str, rows: Sequence[Sequence[str]], outputs: Mapping[str, int], power: Power, *, drawn: bool
) -> Seen:
    """drawn: nothing was unknown, so that no valid output may be."""
    places = {name: slice(low, low + width) for name, low, width in placed(outputs.items())}
    due: dict[int, list[tuple[str, int, int]]] = {}
    for cycle, name, low, width in power.due or ():
        due.setdefault(cycle, []).append((name, low, width))
    reset_done, seen_valid, bits, unknown, lost = False, False, 0, 0, 0
    for cycle, (rtl, gates) in enumerate(rows):
        valid = dict.fromkeys(outputs, 0)  # masks, bit 0 lowest
        if power.due is None and reset_done:
            valid["out_valid"] = 1
            if rtl[places["out_valid"]] == "1":
                valid = {name: (1 << width) - 1 for name, width in outputs.items()}
        for name, low, width in due.get(cycle, ()):
            valid[name] |= ((1 << width) - 1) << low
        for name, place in places.items():
            for number, (one, other) in enumerate(zip(rtl[place][::-1], gates[place][::-1], strict=True)):
                is_valid = valid[name] >> number & 1
                label = f"{top}: {name}[{number}] in cycle {cycle} after power-up"
                if one in "01" and other in "01" and one != other:
                    raise Mismatch(f"{label} is {other} in the netlist, and {one} in the RTL")
                if is_valid and one not in "01":
                    raise Mismatch(f"{label} is unknown in the RTL, and valid")
                if is_valid and (drawn or name == "out_valid") and other not in "01":
                    raise Mismatch(f"{label} is unknown in the netlist")
                seen_valid = seen_valid or bool(is_valid)
                bits += is_valid
                unknown += is_valid and other not in "01"
                lost += not is_valid and seen_valid and one in "01" and other not in "01"
        reset_done = reset_done or power.cycles[cycle]["rst"] == Word(1)
    return Seen(len(rows), bits, unknown, lost)
