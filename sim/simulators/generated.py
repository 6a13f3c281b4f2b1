"""Generated Verilog, kept as long as neither the spec nor the generator change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rtl.verilog import Generated, to_verilog

from .toolchain import cached

__all__ = ["generated_verilog"]

_SOURCES = Path(__file__).resolve().parents[2] / "rtl"


def generated_verilog(specs: Sequence[Generated], description: object) -> str:
    """``to_verilog(specs)``, from the cache where it is there; ``description`` (JSON types) says what the specs are."""
    sources = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*.py")):
        sources.update(path.read_bytes())
    versions = {name: version(name) for name in ("amaranth", "pyosys")}
    key = {"specs": description, "sources": sources.hexdigest(), "versions": versions}

    def generate(folder: Path) -> None:
        (folder / "design.v").write_text(to_verilog(specs))

    return (cached("verilog", json.loads(json.dumps(key)), generate) / "design.v").read_text()
