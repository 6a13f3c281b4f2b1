"""Area and energy of the memories beside an array, put together from macros of a published model.

The macros are tables under data/sram, made by running CACTI 7 (hwmodel.cacti). There is no scaling between technology
nodes: a table holds for the node it was made for, and others are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from rtl.spec import check_integer
from siliquant.inputs import InputError, InputTypeError, belongs, json_object, member, positive_number, read_text, short

__all__ = ["DEFAULT_DEVICE", "Macro", "Memory", "SramTable", "dram_pj_per_bit", "packaged_sram", "read_sram"]

PACKAGED = Path(__file__).resolve().parents[1] / "data" / "sram"
DEFAULT_DEVICE = "lstp-lop"
"""Cells of low standby power, periphery of low operating power: see docs/network.md."""
_MOST_BYTES = 1 << 20
_NODE_NM = {"freepdk45": 45}
_BANKS = 4  # more would ask for wires and multiplexers that are not in the model


@dataclass(frozen=True, kw_only=True)
class Macro:
    """A memory of ``words`` words of ``bits`` bits with one read and one write port.

    read_pj, write_pj: of one access to a whole word. leakage_uw: of the macro. access_ns: from address to data;
    cycle_ns: between accesses.
    """

    words: int
    bits: int
    area_um2: float
    read_pj: float
    write_pj: float
    leakage_uw: float
    access_ns: float
    cycle_ns: float

    def __post_init__(self) -> None:
        for name in ("words", "bits"):
            check_integer(name, getattr(self, name), 1)
        for field in fields(self)[2:]:
            positive_number(field.name, getattr(self, field.name))


@dataclass(frozen=True, kw_only=True)
class Memory:
    """``words`` words of ``bits`` bits from ``across`` macros side by side in ``deep`` banks, one of which is accessed.

    Wires between macros and the multiplexers of banks are not in it.
    """

    words: int
    bits: int
    macro: Macro
    across: int
    deep: int

    @property
    def area_um2(self) -> float:
        """Of all macros."""
        return self.across * self.deep * self.macro.area_um2

    @property
    def read_pj(self) -> float:
        """Of reading one word."""
        return self.across * self.macro.read_pj

    @property
    def write_pj(self) -> float:
        """Of writing one word."""
        return self.across * self.macro.write_pj

    @property
    def leakage_uw(self) -> float:
        """Of all macros."""
        return self.across * self.deep * self.macro.leakage_uw

    @property
    def minimum_period_ns(self) -> float:
        """Shortest clock period with data in the cycle after the address."""
        return max(self.macro.access_ns, self.macro.cycle_ns)


@dataclass(frozen=True, eq=False)
class SramTable:
    """Macros of one technology node, and where they come from."""

    name: str
    node_nm: int
    source: str
    macros: tuple[Macro, ...]

    def memory(self, words: int, bits: int) -> Memory:
        """A memory of that size.

        It has at most four banks, or as many as the deepest macros need. Of the macros that fit so, those with the
        least product of area and read energy are taken. Words are rounded up to whole macros, and banks too.

        >>> memory = packaged_sram().memory(512, 96)
        >>> memory.across * memory.macro.bits >= 96, memory.deep * memory.macro.words >= 512
        (True, True)
        """
        check_integer("words", words, 1)
        check_integer("bits", bits, 1)
        return _memory(self, words, bits)


@lru_cache(maxsize=4096)
def _memory(table: SramTable, words: int, bits: int) -> Memory:
    deepest = max(macro.words for macro in table.macros)
    most = max(_BANKS, -(-words // deepest))
    candidates = [
        Memory(words=words, bits=bits, macro=macro, across=-(-bits // macro.bits), deep=-(-words // macro.words))
        for macro in table.macros
        if macro.words * most >= words
    ]
    return min(candidates, key=lambda memory: (memory.area_um2 * memory.read_pj, memory.macro.words, memory.macro.bits))


@lru_cache(maxsize=8)
def packaged_sram(node_nm: int = 45, device: str = DEFAULT_DEVICE) -> SramTable:
    """The packaged table of a node in nm and a kind of transistors.

    Raises ValueError for a node without a table (memories are not scaled to it) or an unknown device.
    """
    tables = {path.stem: path for path in PACKAGED.glob("cacti7-*.json")}
    nodes = sorted({int(name.split("-")[1].removesuffix("nm")) for name in tables})
    if node_nm not in nodes:
        raise InputError(
            f"node_nm must be {' or '.join(map(str, nodes))}, for which there is a table of memories, not {node_nm}; "
            "they are not scaled (python -m hwmodel.cacti makes tables of other nodes)"
        )
    devices = sorted(name.split("-", 2)[2] for name in tables if name.startswith(f"cacti7-{node_nm}nm-"))
    if device not in devices:
        raise InputError(f"device must be one of {', '.join(devices)}, not {device!r}")
    return read_sram(tables[f"cacti7-{node_nm}nm-{device}"])


def sram_of(library: str) -> SramTable | None:
    """The memories at the node of a library; None where there are none: memories are not scaled.

    >>> sram_of("freepdk45").node_nm, sram_of("asap7")
    (45, None)
    """
    return packaged_sram(_NODE_NM[library]) if library in _NODE_NM else None


def read_sram(path: Path) -> SramTable:
    """The table in a file of hwmodel.cacti. Raises ValueError, with the file's name, where it is not one."""
    with belongs(path, "a table of hwmodel.cacti"):
        data = json_object(read_text(path, _MOST_BYTES))
        macros = tuple(_macro(entry) for entry in member(data, "macros", list))
        if not macros or len({(macro.words, macro.bits) for macro in macros}) < len(macros):
            raise InputError("it must have macros, each size once")
        node_nm = check_integer("node_nm", member(data, "node_nm", int), 1, 1000)
        return SramTable(member(data, "name", str), node_nm, member(data, "source", str), macros)


def _macro(entry: object) -> Macro:
    names = [each.name for each in fields(Macro)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise InputTypeError(f"a macro must be an object with {', '.join(names)}, not {short(entry)}")
    return Macro(**entry)


def dram_pj_per_bit() -> tuple[float, float]:
    """Least and most energy of a bit from DRAM off chip, pJ, 45 nm (Horowitz, ISSCC 2014): an example to give as
    off-chip energy, not a default.
    """
    data: Mapping[str, Mapping[str, float]] = json.loads((PACKAGED / "horowitz-2014.json").read_text())
    bits = float(data["access_bits"])  # type: ignore[arg-type]
    return data["dram_pj"]["low"] / bits, data["dram_pj"]["high"] / bits
