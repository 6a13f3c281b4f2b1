"""What was found of a netlist, kept until its RTL, library, recipe, the code or a tool changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

from hwmodel.power import icarus_version
from hwmodel.synthesis import opensta_version
from siliquant.files import Shelf

from .proof import GateProof
from .simulation import Seen

__all__ = ["GateCheck", "keep_check", "kept_check"]

SOURCES = (
    "hwmodel.gatelevel", "hwmodel.library", "hwmodel.liberty", "hwmodel.netlist", "hwmodel.operands", "hwmodel.power",
    "hwmodel.synthesis", "hwmodel.yosys", "rtl", "rtl.array", "rtl.components", "rtl.logic", "rtl.mac", "rtl.manifests",
    "rtl.requant", "rtl.spec", "rtl.verilog", "siliquant.inputs", "siliquant.files", "siliquant.processes",
)  # fmt: skip
"""The packages whose code decides what is found."""


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
    _shelf().keep(question, asdict(found))


def kept_check(*question: object) -> GateCheck | None:
    """What :func:`keep_check` wrote; None where there is nothing."""
    data = _shelf().read(question, _fits)
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


@cache
def _shelf() -> Shelf:
    icarus, opensta = icarus_version() or "none", opensta_version() or "none"
    return Shelf("gates", SOURCES, ("pyosys",), (f"icarus {icarus}", f"opensta {opensta}"))
