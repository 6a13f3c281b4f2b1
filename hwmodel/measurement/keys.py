"""What generated Verilog is kept under: by what decides it in the cache, and by its design alone in the package.

A key of the cache holds a hash of the generators, so an edit of them never gives what they made before. What comes with
the package is kept by design and parameters, and carries a stamp: the generators for which it was verified. It is used
where the stamp is theirs; ``python -m docs_tools.packaged`` verifies it and writes the stamp.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from rtl.array import CoreSpec
from rtl.manifests import own_code
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from siliquant.files import code_sha256, package_version

__all__ = [
    "Spec",
    "code_of",
    "design_name",
    "generator_files",
    "generator_key",
    "named",
    "own_of",
    "verilog_stamp",
]

Spec = MacSpec | CoreSpec | LoadableSpec
"""What Verilog is generated of."""

NO_GENERATORS = ("layout.py", "fit.py", "slopes.py", "standard.py", "vectors.py")
"""Files in folders of generators that describe a design or find parameters for it, and do not decide what it is."""
_FRAME = ("names.py", "spec", "logic", "components", "verilog")  # of every design


def generator_key(spec: Spec) -> str:
    """sha256 over all that decides the Verilog of a spec, found without generating it."""
    question = [spec.design, spec.parameters, code_of(spec)]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def code_of(spec: Spec) -> str:
    """A hash over the code that makes a spec's Verilog and the versions of its tools."""
    if isinstance(spec, CoreSpec):
        code = _sha256(*_FRAME, "mac", "array")
    else:
        code = _sha256(*_FRAME, "requant" if isinstance(spec, LoadableSpec) else "mac")
    own = own_of(spec)
    return hashlib.sha256(json.dumps([code, own]).encode()).hexdigest() if own else code


def design_name(spec: Spec) -> str | None:
    """What a spec is called in the package: design and parameters; None for one whose code is not of rtl."""
    return None if own_of(spec) else named(spec.design, spec.parameters)


def named(design: str, parameters: Mapping[str, Any]) -> str:
    """A design and its parameters as one text."""
    return f"{design} {json.dumps(dict(parameters), sort_keys=True)}"


def own_of(spec: Spec) -> tuple[str, ...]:
    """The code that decides what a spec is and is not of rtl, as :func:`rtl.manifests.own_code`."""
    return own_code(spec, spec.mac) if isinstance(spec, CoreSpec) else own_code(spec)


@cache
def verilog_stamp() -> dict[str, str]:
    """The generators of MACs and requantisation units: a hash over their code, and the versions of their tools."""
    return {"code": _code_sha256(*_FRAME, "mac", "requant"), **_tools()}


def generator_files(*folders: str) -> Iterable[Traversable]:
    """The source in some folders of rtl that decides what is generated; a file may be named, too."""
    for name in folders:
        place = resources.files("rtl").joinpath(name)
        for file in place.iterdir() if place.is_dir() else (place,):
            if file.name not in NO_GENERATORS:
                yield file


@cache
def _sha256(*folders: str) -> str:
    return hashlib.sha256(json.dumps([_code_sha256(*folders), _tools()]).encode()).hexdigest()


@cache
def _code_sha256(*folders: str) -> str:
    return code_sha256(generator_files(*folders))


def _tools() -> dict[str, str]:
    return {name: package_version(name) for name in ("siliquant", "amaranth", "pyosys")}
