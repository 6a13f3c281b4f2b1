"""The diagrams of the documentation, drawn from the specifications and from the cost model: docs/diagrams/*.svg."""

from __future__ import annotations

from docs_tools.commands import ROOT
from rtl.array import Architecture
from siliquant.files import write_atomically

from . import arrays, comparison, frames, heaps, layers, units

__all__ = ["FOLDER", "drawn", "write"]

FOLDER = ROOT / "docs" / "diagrams"


def drawn() -> dict[str, str]:
    """Every diagram, by the name of its file."""
    return {
        "uniform-against-mixed.svg": comparison.uniform_against_mixed(),
        "layers.svg": layers.layers(),
        "frame.svg": frames.frame(),
        "bitheap.svg": heaps.bit_heap(),
        "uniform.svg": frames.uniform(),
        "padded.svg": units.padded(),
        "subword.svg": units.subword(),
        "dc1d.svg": units.dc1d(),
        "bitfusion.svg": units.bitfusion(),
        "bitblade.svg": units.bitblade(),
        "bitserial.svg": frames.bitserial(),
        "loom.svg": frames.loom(),
        "xnor.svg": frames.xnor(),
        "broadcast.svg": arrays.array(Architecture.BROADCAST),
        "systolic.svg": arrays.array(Architecture.SYSTOLIC),
        "thresholds.svg": arrays.thresholds(),
        "multiplier.svg": arrays.multiplier(),
        "partialsum.svg": arrays.partialsum(),
    }


def write() -> None:
    """Writes those that differ."""
    for name, text in drawn().items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text)
            print(f"{path.relative_to(ROOT)} written")
