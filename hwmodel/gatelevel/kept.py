"""What was found of a netlist, kept until its RTL, library, recipe, the code or a tool changes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hwmodel.power import icarus_version
from hwmodel.synthesis import opensta_version
from siliquant.files import cache as disk
from siliquant.files import code_sha256, package_version

from .proof import GateProof
from .simulation import Seen

__all__ = ["GateCheck", "keep_check", "kept_check"]

_SOURCES = ("gatelevel", "library", "liberty", "netlist", "operands", "power", "synthesis", "yosys")


@dataclass(frozen=True)
class GateCheck:
    """A netlist beside its RTL. proved: None where there is no proof; undecided then says why. unknown: the run with
    unknown values. drawn: runs with random values in their place. own: with the library's own Verilog, if any.
    """

    name: str
    design: str
    library: str
    recipe: str
    cells: int
    proved: GateProof | None
    undecided: str | None
    unknown: Seen
    drawn: tuple[Seen, ...]
    own: Seen | None
    seconds: float


def keep_check(found: GateCheck, *question: object) -> None:
    """Keeps a result under what it answers, of JSON types."""
    disk.keep(_path(question), json.dumps(asdict(found)), disk.root(), sync=False)


def kept_check(*question: object) -> GateCheck | None:
    """What :func:`keep_check` wrote; None where there is nothing."""
    data = disk.kept_json(_path(question), disk.root(), _fits)
    if data is None:
        return None
    own = None if data["own"] is None else Seen(**data["own"])
    read = {"proved": GateProof(**data["proved"]), "unknown": Seen(**data["unknown"]), "own": own}
    return GateCheck(**{**data, **read, "drawn": tuple(Seen(**each) for each in data["drawn"])})


def _fits(data: object) -> bool:
    """Whether it is a check that ended with a proof."""

    def has(part: Any, kind: type[Any]) -> bool:
        return isinstance(part, dict) and part.keys() == {item.name for item in fields(kind)}

    return (
        isinstance(data, dict)
        and has(data, GateCheck)
        and has(data["proved"], GateProof)
        and all(has(each, Seen) for each in (data["unknown"], *data["drawn"], data["own"]) if each is not None)
    )


def _path(question: tuple[object, ...]) -> Path:
    text = json.dumps([_decided_by(), question], sort_keys=True)
    return disk.root() / "gates" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


@cache
def _decided_by() -> str:
    rtl = resources.files("rtl")
    folders = [resources.files("hwmodel") / name for name in _SOURCES]
    folders += [rtl, *(each for each in rtl.iterdir() if each.is_dir())]
    tools = (package_version("pyosys"), opensta_version() or "none", icarus_version() or "none")
    return code_sha256((file for folder in folders for file in folder.iterdir()), *tools)
