"""ABC on the gates between registers and full-adder cells: a BLIF file, one run, library cells in their place.

ABC sees registers and full-adder cells as cuts. Where the times at the cuts are known (from a netlist that was timed),
they are written beside the gates, so that ABC looks for speed where a path has no slack, and for area elsewhere.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .gates import Bit, Gates

__all__ = ["Times", "cover"]

_SECONDS_LIMIT = 600
_PS = 1000.0  # in a ns

# The rows in which a gate's output is 1, by its input pins.
_TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "$_BUF_": ("A", ("1",)),
    "$_NOT_": ("A", ("0",)),
    "$_AND_": ("AB", ("11",)),
    "$_NAND_": ("AB", ("0-", "-0")),
    "$_OR_": ("AB", ("1-", "-1")),
    "$_NOR_": ("AB", ("00",)),
    "$_XOR_": ("AB", ("10", "01")),
    "$_XNOR_": ("AB", ("11", "00")),
    "$_ANDNOT_": ("AB", ("10",)),
    "$_ORNOT_": ("AB", ("1-", "-0")),
    "$_MUX_": ("ABS", ("1-0", "-11")),
    "$_NMUX_": ("ABS", ("0-0", "-01")),
    "$_AOI3_": ("ABC", ("0-0", "-00")),
    "$_OAI3_": ("ABC", ("00-", "--0")),
    "$_AOI4_": ("ABCD", ("0-0-", "0--0", "-00-", "-0-0")),
    "$_OAI4_": ("ABCD", ("00--", "--00")),
}


@dataclass(frozen=True)
class Times:
    """When signals leave cells that stay, and when they must reach them, in ns: by cell, then pin."""

    arrival_ns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    required_ns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    period_ns: float = 0.0


class AbcError(Exception):
    """ABC did not give a netlist, or ignored what it was told."""


def cover(gates: Gates, program: Path, script: Sequence[str], times: Times | None = None) -> None:
    """Replace the module's gates by library cells.

    program: ABC. script: its commands; the library is in cells.lib of the working folder, constraints in abc.constr.
    Raises AbcError.
    """
    names = [name for name, cell in gates.cells.items() if cell["type"] in _TABLES]
    made = set(names)
    inputs: dict[Bit, None] = {}
    outputs: dict[Bit, None] = {}
    for name in names:
        pins, _ = _TABLES[gates.cells[name]["type"]]
        for pin in pins:
            bit = gates.pin(name, pin)
            if isinstance(bit, int) and gates.driver.get(bit, ("",))[0] not in made:
                inputs[bit] = None
        out = gates.pin(name, "Y")
        if out is not None and (out in gates.output_bits or any(cell not in made for cell, _, _ in gates.sinks[out])):
            outputs[out] = None
    if not outputs:
        for name in names:
            gates.remove(name)
        return
    text = "".join(f"{line}\n" for line in _blif(gates, names, inputs, outputs, times))
    Path("input.blif").write_text(text)
    reader = "read_blif -n" if times else "read_blif"
    commands = [f"{reader} input.blif", "read_lib -w cells.lib", "read_constr -v abc.constr", *script]
    Path("abc.script").write_text("\n".join([*commands, "write_blif output.blif", ""]))
    result = subprocess.run(
        [program, "-s", "-f", "abc.script"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_SECONDS_LIMIT,
        text=True, errors="replace",
    )  # fmt: skip
    try:
        mapped = Path("output.blif").read_text()
    except FileNotFoundError:
        raise AbcError(f"ABC wrote no netlist: {result.stdout.strip()[-300:]}") from None
    if result.returncode:
        raise AbcError(f"ABC ended with {result.returncode}: {result.stdout.strip()[-300:]}")
    if times and ".input_arrival" not in mapped and ".default_input_arrival" not in mapped:
        raise AbcError("ABC ignored the times of its inputs")
    for name in names:
        gates.remove(name)
    _insert(gates, mapped)


def _blif(
    gates: Gates, names: Sequence[str], inputs: Mapping[Bit, None], outputs: Mapping[Bit, None], times: Times | None
) -> Iterator[str]:
    yield ".model gates"
    yield " ".join([".inputs", *(f"n{bit}" for bit in inputs)])
    yield " ".join([".outputs", *(f"n{bit}" for bit in outputs)])
    if times:
        yield ".default_input_arrival 0 0"
        for bit in inputs:
            time = _PS * _arrival_ns(gates, bit, times)
            yield f".input_arrival n{bit} {time:.1f} {time:.1f}"
        for bit in outputs:
            time = _PS * _required_ns(gates, bit, times)
            yield f".output_required n{bit} {time:.1f} {time:.1f}"
    yield from (".names zero", ".names one", "1")
    for name in names:
        pins, rows = _TABLES[gates.cells[name]["type"]]
        yield " ".join([".names", *(_signal(gates.pin(name, pin)) for pin in (*pins, "Y"))])
        yield from (f"{row} 1" for row in rows)
    yield ".end"


def _signal(bit: Bit | None) -> str:
    return f"n{bit}" if isinstance(bit, int) else "one" if bit == "1" else "zero"


def _arrival_ns(gates: Gates, bit: Bit, times: Times) -> float:
    """Of a cell's other output where this one was not in use."""
    name, pin = gates.driver.get(bit, ("", ""))
    known = times.arrival_ns.get(name, {})
    return known.get(pin, max(known.values(), default=0.0))


def _required_ns(gates: Gates, bit: Bit, times: Times) -> float:
    known = [times.required_ns.get(name, {}).get(pin, times.period_ns) for name, pin, _ in gates.sinks[bit]]
    return min(known, default=times.period_ns)


def _insert(gates: Gates, mapped: str) -> None:
    """Add the cells of a mapped BLIF file."""
    bits: dict[str, Bit] = {}
    same: dict[Bit, Bit] = {}

    def bit_of(name: str) -> Bit:
        if name not in bits:
            bits[name] = int(name[1:]) if name[0] == "n" and name[1:].isdigit() else gates.new_bit()
        return bits[name]

    lines = iter(mapped.replace("\\\n", " ").splitlines())
    table: list[str] = []
    rows: list[str] = []

    def finish() -> None:
        if not table:
            return
        if len(table) == 1:
            same[bit_of(table[0])] = "1" if rows == ["1"] else "0"
        elif rows == ["1 1"]:
            same[bit_of(table[1])] = bit_of(table[0])
        else:
            raise AbcError(f"ABC left a gate that no cell stands for: {' '.join(table)}")

    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not words[0].startswith("."):
            rows.append(" ".join(words))
            continue
        finish()
        table, rows = [], []
        if words[0] == ".names":
            table = words[1:]
        elif words[0] == ".gate":
            *ins, out = (word.split("=", 1) for word in words[2:])
            if words[1] in ("_const0_", "_const1_"):
                same[bit_of(out[1])] = words[1][6]
            else:
                gates.add(words[1], {pin: bit_of(net) for pin, net in ins}, {out[0]: bit_of(out[1])})
    for old, new in same.items():
        while new in same:
            new = same[new]
        gates.replace(old, new)
