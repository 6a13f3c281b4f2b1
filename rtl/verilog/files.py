"""The files of designs: Verilog, a manifest, a requantiser's vectors, and what several designs share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtl.manifests import Spec, manifest_of, manifest_text
from rtl.names import HELPER_PREFIX, check_prefix, styled, with_prefix
from rtl.requant import LoadableSpec, golden_vectors
from siliquant.commandline import working
from siliquant.files import filled, write_atomically
from siliquant.inputs import InputError, read_text

from .blocks import Reset
from .convert import generate, helper_file, to_verilog

__all__ = ["write_files"]


def write_files(
    specs: Sequence[Spec], folder: Path, prefix: str = HELPER_PREFIX, reset: Reset = Reset.SYNCHRONOUS_HIGH
) -> list[Path]:
    """Writes NAME.v and NAME.json of every design into ``folder``, and returns the paths in the order written.

    The file of one design stands alone. Those of several share PREFIXcells.v, and PREFIXfiles.f lists them all for a
    simulator. A requantiser has NAME.vectors.json, too: parameters, accumulators and the codes that must come out.
    Either all files are written or none is. Raises ValueError for designs that are not all different, a prefix that no
    Verilog name may begin with, and a folder whose shared modules are of other designs; ToolError where Yosys fails.
    """
    names = [spec.name for spec in specs]
    if again := [name for name in names if names.count(name) > 1]:
        raise InputError(f"every design must be another one, not {again[0]} twice")
    check_prefix(prefix)
    with filled(folder):
        texts = _texts(specs, folder, prefix, reset)
        for name, text in texts.items():
            write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _texts(specs: Sequence[Spec], folder: Path, prefix: str, reset: Reset) -> dict[str, str]:
    """The files by name; long work is shown."""
    texts: dict[str, str] = {}
    helpers: dict[str, str] = {}
    for number, spec in enumerate(specs, 1):
        place = "" if len(specs) == 1 else f", {number} of {len(specs)}"
        with working(f"Verilog of {spec.name}{place}"):
            if len(specs) == 1:
                texts[f"{spec.name}.v"] = to_verilog([spec], prefix, reset)
            else:
                made = generate([spec], prefix, reset)
                texts[f"{spec.name}.v"] = made.text
                helpers |= made.helpers
            described = manifest_text(_with_reset(manifest_of(spec), reset))
            texts[f"{spec.name}.json"] = with_prefix(_with_style(described, reset), prefix)
            if isinstance(spec, LoadableSpec):
                texts[f"{spec.name}.vectors.json"] = manifest_text(golden_vectors(spec))
    if len(specs) > 1:
        cells = f"{prefix}cells.v"
        _check_cells(folder / cells, helpers)
        texts[cells] = helper_file(helpers)
        texts[f"{prefix}files.f"] = "".join(f"{name}\n" for name in (cells, *(f"{spec.name}.v" for spec in specs)))
    return texts


def _with_reset(described: Mapping[str, Any], reset: Reset) -> dict[str, Any]:
    """A manifest that speaks of another reset than ``rst``, synchronous and high."""
    when, level = reset.value.split("-")
    one = "0" if level == "low" else "1"
    moment = "at a clock edge" if when == "sync" else "at any time"

    def told(text: str) -> str:
        text = text.replace("rst, synchronous, high", f"rst, {when}hronous, {level}")
        text = text.replace("rst 1 at a clock edge", f"rst {one} {moment}").replace("rst is 1", f"rst is {one}")
        return re.sub(r"\brst\b", reset.port, text)

    protocol = [told(line) for line in described["protocol"]]
    return {**described, "reset": told(described["reset"]), "protocol": protocol}


def _with_style(described: str, reset: Reset) -> str:
    """The text of a manifest with the names of helpers as they are with this reset."""
    return re.sub(
        rf'"module": "({HELPER_PREFIX}\w+)"', lambda match: f'"module": "{styled(match[1], reset.tag)}"', described
    )


def _check_cells(file: Path, helpers: Mapping[str, str]) -> None:
    """Raises InputError where a file of shared modules has some that a new one in its place would lack."""
    if not file.exists():
        return
    known = re.findall(r"^`define (\w+)_defined$", read_text(file), flags=re.MULTILINE)
    if lost := [name for name in known if name not in helpers]:
        raise InputError(f"has modules of other designs, such as {lost[0]}: give another --out or --prefix", file=file)
