"""What a placement takes from the technology: sizes and pins of cells, rows and sites, and wires a um.

Cells have the sizes and pins of a LEF file where one is given, or lies beside the library (freepdk45). Else their width
is their area over the height of a row, and their pins are in their middle: half a cell, at most, from where they are.

Wires, in this order: those that are stated; the mean of the second and third routing layer of a LEF file that was
given, area and both edges of a wire of their width, without the coupling to neighbours, which LEF does not state; of a
library that goes by name, what the flow/platforms/*/setRC.tcl of OpenROAD-flow-scripts has for its signal wires, which
that project fitted to extracted layouts.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hwmodel.library import Library
from siliquant.inputs import InputError, number

from .lef import Lef, Macro, read_lef

__all__ = ["OHM_PER_UM", "WIRE_FF_PER_UM", "Technology", "Wire", "cell_macro", "read_wire", "technology_of"]

WIRE_FF_PER_UM = (1e-4, 10.0)
"""Range of a stated capacitance, fF a um."""
OHM_PER_UM = (0.0, 1e4)
"""Range of a stated resistance, Ohm a um."""


@dataclass(frozen=True)
class Wire:
    """What one um of wire has; source: where the two numbers are from, in words."""

    ff_per_um: float
    ohm_per_um: float
    source: str


@dataclass(frozen=True)
class _Known:
    """Of a library that goes by name: (width, height) of its site in nm, and its signal wires."""

    site_nm: tuple[int, int]
    wire: Wire


_ORFS = "OpenROAD-flow-scripts, flow/platforms/{}/setRC.tcl"
_KNOWN: Mapping[str, _Known] = {
    "freepdk45": _Known((190, 1400), Wire(0.104578, 3.59251, _ORFS.format("nangate45") + ", metal3")),
    "sky130hd": _Known((460, 2720), Wire(0.172375, 0.8929, _ORFS.format("sky130hd") + ", met1")),
    "ihp-sg13g2": _Known((480, 3780), Wire(0.173072, 2.07259, _ORFS.format("ihp-sg13g2") + ", signal")),
    "asap7": _Known((54, 270), Wire(0.173323, 32.3151, _ORFS.format("asap7") + ", signal")),
}
_ROW_OVER_INVERTER = 2.4  # row height squared over the area of the smallest inverter: 3.7, 2.0, 2.6, 1.7 in the four
_LEAST_SITE_NM = 1


@dataclass(frozen=True)
class Technology:
    """site_nm, row_nm: width of a site and height of a row. macros: cells of LEF by name, empty where there is none.

    cells: where their sizes are from, in words.
    """

    site_nm: int
    row_nm: int
    macros: Mapping[str, Macro]
    cells: str
    wire: Wire

    @property
    def text(self) -> str:
        """What decides wires, in words: numbers, and a hash over all of it."""
        macros = {name: asdict(macro) for name, macro in self.macros.items()}
        decisive = [self.site_nm, self.row_nm, macros, self.wire.ff_per_um, self.wire.ohm_per_um]
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        return f"{self.wire.ff_per_um:.4g} fF and {self.wire.ohm_per_um:.4g} Ohm a um, technology {digest[:8]}"


def technology_of(library: Library, lefs: Sequence[Path] = (), wire: Wire | None = None) -> Technology:
    """The technology of a library, by LEF files where they are given; ``wire``: as stated, in place of any other.

    Raises FileError and InputError: for a damaged file, and where nothing states the wires.
    """
    known = _KNOWN.get(library.name)
    given = [(path, read_lef(path)) for path in lefs]
    macros = {name: macro for _, lef in given for name, macro in lef.macros.items()}
    cells = "LEF"
    beside = library.path.with_name("stdcells.lef")
    if not macros and library.name == "freepdk45" and beside.is_file():
        macros = dict(read_lef(beside).macros)
    if not macros:
        cells = "their areas"
    site_nm = _site_nm(library, given, macros, known)
    return Technology(*site_nm, macros, cells, wire or _wire(library, given, known))


def cell_macro(technology: Technology, library: Library, cell: str) -> Macro:
    """Size and pins of a cell. Raises InputError for one that the LEF files lack, or that is not one row high."""
    if not technology.macros:
        width_nm = library.areas[cell] / technology.row_nm * 1e6
        sites = max(1, round(width_nm / technology.site_nm + 0.499))  # a site that is begun, but for rounding
        width_um, height_um = sites * technology.site_nm * 1e-3, technology.row_nm * 1e-3
        middle = width_um / 2, height_um / 2
        pins = (*library.input_ff.get(cell, ()), *library.output_pins.get(cell, ()))
        return Macro(width_um, height_um, dict.fromkeys(pins, middle))
    if cell not in technology.macros:
        raise InputError(f"LEF must have every cell that is placed, and lacks {cell} of {library.name}")
    macro = technology.macros[cell]
    if round(macro.height_um * 1e3) != technology.row_nm:
        row_um = technology.row_nm * 1e-3
        raise InputError(f"cells must be one row of {row_um:g} um high, and {cell} has {macro.height_um:g} um")
    return macro


def read_wire(text: str) -> Wire:
    """``--wires FF,OHM``: capacitance in fF a um, in WIRE_FF_PER_UM, and resistance in Ohm a um, in OHM_PER_UM.

    Raises InputError.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise InputError("wires must be fF and Ohm a um with a comma between, as in 0.1,3.6")
    ff_per_um = number("wires, fF a um,", parts[0], *WIRE_FF_PER_UM)
    return Wire(ff_per_um, number("wires, Ohm a um,", parts[1], *OHM_PER_UM), "as stated")


def _site_nm(
    library: Library, given: Sequence[tuple[Path, Lef]], macros: Mapping[str, Macro], known: _Known | None
) -> tuple[int, int]:
    """Width of a site and height of a row."""
    heights = [round(macros[cell].height_um * 1e3) for cell in library.inverters if cell in macros]
    if macros and not heights:
        raise InputError(f"LEF must have the cells of {library.name}, and has none of its inverters")
    sites = [size for _, lef in given for size in lef.sites.values() if round(size[1] * 1e3) in heights]
    if sites:
        return max(_LEAST_SITE_NM, round(min(sites)[0] * 1e3)), heights[0]
    if known is not None and (not heights or known.site_nm[1] == heights[0]):
        return known.site_nm
    if heights:
        return _LEAST_SITE_NM, heights[0]
    smallest = min(library.areas[cell] for cell in library.inverters)
    return _LEAST_SITE_NM, max(1, round(1e3 * math.sqrt(_ROW_OVER_INVERTER * smallest)))


def _wire(library: Library, given: Sequence[tuple[Path, Lef]], known: _Known | None) -> Wire:
    for path, lef in given:
        layers = lef.layers[1:3] or lef.layers
        if not layers:
            continue
        found = []
        for layer in layers:
            if layer.width_um is None or layer.ohm_per_square is None or layer.pf_per_um2 is None:
                raise InputError(
                    f"layer {layer.name} must state WIDTH, RESISTANCE RPERSQ and CAPACITANCE CPERSQDIST: "
                    "give --wires where it does not",
                    file=path,
                )
            ff_per_um = 1e3 * (layer.pf_per_um2 * layer.width_um + 2 * layer.pf_per_um)
            found.append((ff_per_um, layer.ohm_per_square / layer.width_um))
        mean = tuple(sum(values) / len(found) for values in zip(*found, strict=True))
        names = " and ".join(layer.name for layer in layers)
        return Wire(float(f"{mean[0]:.6g}"), float(f"{mean[1]:.6g}"), f"{path.name}, {names}")
    if known is None:
        raise InputError(
            f"nothing states the wires of {library.name}: give a LEF file with its layers (--lef) or fF and Ohm a um "
            "(--wires)"
        )
    return known.wire
