"""Makes a table of memory macros by running CACTI 7: ``python -m hwmodel.cacti``.

CACTI (Balasubramonian et al., "CACTI 7: New tools for interconnect exploration in innovative off-chip memories", ACM
TACO 2017) is not part of this package; the tables that come with it were made by this command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import product
from pathlib import Path

from siliquant.commandline import Parser, add_out_file, run
from siliquant.files import scratch, write_atomically
from siliquant.inputs import InputError
from siliquant.processes import run_program

from .options import add_memories

__all__ = ["DEVICES", "configuration", "macro_of", "main"]

PROG = "hwmodel.cacti"
EPILOG = """\
Transistors: hp is high performance, lop low operating power, lstp-lop cells of low standby power with a periphery of
low operating power.

example:
  python -m hwmodel.cacti --cacti cacti/ --memories lstp-lop --out cacti7-45nm-lstp-lop.json"""
DEVICES: Mapping[str, tuple[str, str]] = {
    "hp": ("itrs-hp", "itrs-hp"),
    "lop": ("itrs-lop", "itrs-lop"),
    "lstp-lop": ("itrs-lstp", "itrs-lop"),
}
"""Transistors of the cells and of the periphery by name of the table, as CACTI calls them."""
WORDS = (64, 128, 256, 512, 1024, 2048, 4096)
WORD_BITS = (32, 64, 128, 256)
_MOST_PERCENT = 100000  # a deviation that leaves nothing out
_SECONDS = 600


def configuration(words: int, bits: int, node_nm: int, device: str) -> str:
    """CACTI's input for a memory of ``words`` words of ``bits`` bits with one read and one write port.

    Of the organisations whose delay is at most twice the least, CACTI takes that with the least sum of read energy,
    leakage and area, each relative to its least. 300 K, no power gating, one bank.
    """
    cell, periphery = DEVICES[device]
    most = _MOST_PERCENT
    lines: list[tuple[str, str]] = [
        ("size (bytes)", str(words * bits // 8)),
        *((f"{part} Power Gating -", '"false"') for part in ("Array", "WL", "CL", "Interconnect")),
        ("Bitline floating -", '"false"'),
        ("Power Gating Performance Loss", "0.01"),
        ("block size (bytes)", str(bits // 8)),
        ("associativity", "1"),
        ("read-write port", "0"),
        ("exclusive read port", "1"),
        ("exclusive write port", "1"),
        ("single ended read ports", "0"),
        ("UCA bank count", "1"),
        ("technology (u)", str(node_nm / 1000)),
        *(
            (f"{part} array {kind} type -", f'"{transistors}"')
            for part, (kind, transistors) in product(("Data", "Tag"), (("cell", cell), ("peripheral", periphery)))
        ),
        ("output/input bus width", str(bits)),
        ("operating temperature (K)", "300"),
        ("cache type", '"ram"'),
        ("tag size (b)", '"default"'),
        ("access mode (normal, sequential, fast) -", '"normal"'),
        ("design objective (weight delay, dynamic power, leakage power, cycle time, area)", "0:100:100:0:100"),
        ("deviate (delay, dynamic power, leakage power, cycle time, area)", f"100:{most}:{most}:{most}:{most}"),
        ("NUCAdesign objective (weight delay, dynamic power, leakage power, cycle time, area)", "100:100:0:0:100"),
        ("NUCAdeviate (delay, dynamic power, leakage power, cycle time, area)", f"10:{most}:{most}:{most}:{most}"),
        ("Optimize ED or ED^2 (ED, ED^2, NONE):", '"NONE"'),
        ("Cache model (NUCA, UCA)  -", '"UCA"'),
        ("NUCA bank count", "0"),
        ("Wire signaling (fullswing, lowswing, default) -", '"default"'),
        *((f"Wire {side} mat -", '"semi-global"') for side in ("inside", "outside")),
        ("Interconnect projection -", '"conservative"'),
        ("Core count", "1"),
        ("Cache level (L2/L3) -", '"L2"'),
        ("Add ECC -", '"false"'),
        ("Print level (DETAILED, CONCISE) -", '"CONCISE"'),
        ("Print input parameters -", '"false"'),
        ("Force cache config -", '"false"'),
        # What follows is about memories off chip; CACTI asks for it all the same.
        ("page size (bits)", "8192"),
        ("burst length", "8"),
        ("internal prefetch width", "8"),
        ("dram_type", '"DDR3"'),
        ("io state", '"WRITE"'),
        ("addr_timing", "1.0"),
        ("mem_density", "4 Gb"),
        ("bus_freq", "800 MHz"),
        ("duty_cycle", "1.0"),
        ("activity_dq", "1.0"),
        ("activity_ca", "0.5"),
        *((name, str(count)) for name, count in (("num_dq", 72), ("num_dqs", 18), ("num_ca", 25), ("num_clk", 2))),
        ("num_mem_dq", "2"),
        ("mem_data_width", "8"),
        ("rtt_value", "10000"),
        ("ron_value", "34"),
        ("tflight_value", ""),
        ("num_bobs", "1"),
        ("capacity", "80"),
        ("num_channels_per_bob", "1"),
        *((f"{which} metric", f'"{what}"') for which, what in (("first", "Cost"), ("second", "Bandwidth"))),
        ("third metric", '"Energy"'),
        ("DIMM model", '"ALL"'),
        ("mirror_in_bob", '"F"'),
    ]
    return "".join(f"-{key} {value}\n" for key, value in lines)


def macro_of(words: int, bits: int, results: str) -> dict[str, float]:
    """One line of the table from the comma-separated results that CACTI writes beside its input.

    Raises ValueError where they lack a column.
    """
    header, *lines = results.strip().splitlines()
    values = dict(zip((name.strip() for name in header.split(",")), lines[-1].split(","), strict=False))
    found: dict[str, float] = {"words": words, "bits": bits}
    for name, column, factor in (
        ("area_um2", "Area (mm2)", 1e6),
        ("read_pj", "Dynamic read energy (nJ)", 1e3),
        ("write_pj", "Dynamic write energy (nJ)", 1e3),
        ("leakage_uw", "Standby leakage per bank(mW)", 1e3),
        ("access_ns", "Access time (ns)", 1.0),
        ("cycle_ns", "Random cycle time (ns)", 1.0),
    ):
        if column not in values:
            raise InputError(f"CACTI's results must have a column {column}, and have {header.strip()}")
        found[name] = float(f"{float(values[column]) * factor:.6g}")
    return found


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("--cacti", type=Path, required=True, metavar="DIR", help="folder with CACTI's binary `cacti`")
    add_memories(made)
    made.add_argument("--node-nm", type=int, choices=(22, 32, 45, 65, 90), default=45, metavar="N", help="process, nm")
    made.add_argument("--origin", metavar="TEXT", help="where CACTI came from, for the record")
    add_out_file(made, "the table, JSON", required=True)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    binary = options.cacti.resolve() / "cacti"
    if not binary.is_file():
        raise InputError(f"cacti must be a folder with the binary cacti in it, not {options.cacti}")
    macros = []
    for words, bits in product(WORDS, WORD_BITS):
        macros.append(
            macro_of(words, bits, _run(binary, configuration(words, bits, options.node_nm, options.memories)))
        )
        print(f"{words} x {bits}: {macros[-1]['area_um2']:,.0f} um2, {macros[-1]['read_pj']:.2f} pJ", flush=True)
    cell, periphery = DEVICES[options.memories]
    table = {
        "name": f"cacti7-{options.node_nm}nm-{options.memories}",
        "node_nm": options.node_nm,
        "ports": "1 read, 1 write",
        "source": "CACTI 7 (Balasubramonian et al., ACM TACO 14(2), 2017), run by this project",
        "origin": options.origin or "",
        "command": f"python -m hwmodel.cacti --memories {options.memories} --node-nm {options.node_nm}",
        "transistors": {"cells": cell, "periphery": periphery},
        "temperature_k": 300,
        "technology_sha256": _sha256(binary.parent / "tech_params" / f"{options.node_nm}nm.dat"),
        "configuration_sha256": hashlib.sha256(
            configuration(WORDS[0], WORD_BITS[0], options.node_nm, options.memories).encode()
        ).hexdigest(),
        "date": date.today().isoformat(),
        "macros": macros,
    }
    write_atomically(options.out, _text(table))


def _text(table: Mapping[str, object]) -> str:
    """JSON with one macro a line."""
    head = json.dumps({name: value for name, value in table.items() if name != "macros"}, indent=1)
    macros = table["macros"]
    assert isinstance(macros, list)
    lines = ",\n  ".join(json.dumps(macro) for macro in macros)
    return f'{head.removesuffix("}").rstrip()},\n "macros": [\n  {lines}\n ]\n}}\n'


def _run(binary: Path, text: str) -> str:
    """CACTI's results; it reads its technology files from its own folder. Raises ValueError where there are none."""
    with scratch("cacti") as folder:
        given = folder / "memory.cfg"
        given.write_text(text)
        command = [str(binary), "-infile", str(given)]
        done = run_program(command, cwd=binary.parent, timeout=_SECONDS)
        results = given.with_name("memory.cfg.out")
        if not results.exists():
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise InputError(f"CACTI must find a memory, but ended with {''.join(last)!r}")
        return results.read_text()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    run(PROG, main)
