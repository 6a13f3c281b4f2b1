"""Generated Verilog, kept as long as nothing that decides it changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from rtl.array import ArraySpec
from rtl.manifests import own_code
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from siliquant.files import code_sha256, package_version

from .toolchain import cached

__all__ = ["generated_verilog"]

_TOOLS = ("siliquant", "amaranth", "pyosys")


def generated_verilog(specs: Sequence[MacSpec | LoadableSpec | ArraySpec]) -> str:
    """``to_verilog(specs)``, from the cache where it is there."""
    described = [(type(spec).__name__, spec.name, spec.parameters) for spec in specs]
    own = [own_code(*_parts(spec)) for spec in specs]
    key = {"specs": described, "own": own, "code": _code_sha256()}

    def generate(folder: Path) -> None:
        (folder / "design.v").write_text(to_verilog(specs))

    return (cached("verilog", key, generate) / "design.v").read_text()


def _parts(spec: MacSpec | LoadableSpec | ArraySpec) -> Sequence[object]:
    """A spec and those that it is made of."""
    if not isinstance(spec, ArraySpec):
        return (spec,)
    return (spec, spec.mac) if spec.requant is None else (spec, spec.mac, spec.requant)


@cache
def _code_sha256() -> str:
    """The generators, what they take from siliquant (words that no name may be), and the versions of their tools."""
    files = [*Path(str(resources.files("rtl"))).rglob("*.py"), *resources.files("siliquant.inputs").iterdir()]
    return code_sha256(files, *(f"{name} {package_version(name)}" for name in _TOOLS))
