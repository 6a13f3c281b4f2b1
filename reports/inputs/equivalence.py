"""The record of sim.equivalence, read for a page: what was compared with PyTorch, bit for bit, and what was equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtl.spec import check_integer
from siliquant.inputs import InputError, InputTypeError, belongs, json_object, read_text, short

__all__ = ["Equivalence", "GemmKind", "read_equivalence"]

_MOST_BYTES = 64 << 20
_MOST = 1 << 62  # of any count
_NEEDED = ("products", "macs", "cycles", "load_cycles", "operand_cycles", "codes")


@dataclass(frozen=True, kw_only=True)
class GemmKind:
    """GEMMs of one name in all layers, summed over all samples. gemms: how many. accumulators, equal: None where the
    record does not count them.
    """

    name: str
    gemms: int
    products: int
    macs: int
    cycles: int
    load_cycles: int
    codes: int
    accumulators: int | None
    mismatches: int | None


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """One simulation of a network on an array. command and subject are empty where the record does not say."""

    array: str
    subject: str
    command: str
    samples: int
    right: int | None
    kinds: tuple[GemmKind, ...]

    @property
    def gemms(self) -> int:
        """GEMMs of the network."""
        return sum(kind.gemms for kind in self.kinds)

    @property
    def macs(self) -> int:
        """Products of all samples."""
        return sum(kind.macs for kind in self.kinds)

    @property
    def codes(self) -> int:
        """Codes that were requantised in hardware."""
        return sum(kind.codes for kind in self.kinds)

    @property
    def accumulators(self) -> int | None:
        """Sums that were compared; None where the record does not count them."""
        counts = [kind.accumulators for kind in self.kinds]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def mismatches(self) -> int | None:
        """Sums and codes that were compared and not equal; None where the record does not count them."""
        counts = [kind.mismatches for kind in self.kinds]
        return None if None in counts else sum(count or 0 for count in counts)


def read_equivalence(path: Path) -> Equivalence:
    """A record. ValueError, with the file's name, where it is not one; OSError as usual."""
    with belongs(path, "a record of sim.equivalence --out"):
        data = json_object(read_text(path, _MOST_BYTES))
        for name in ("array", "samples", "gemms"):
            if name not in data:
                raise InputError(f"it lacks {name}")
        if not isinstance(data["array"], str) or not isinstance(data["gemms"], list) or not data["gemms"]:
            raise InputError("its array must be a text and its gemms a list of at least one")
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for gemm in data["gemms"]:
            _check(gemm)
            groups.setdefault(_kind(gemm["name"]), []).append(gemm)
        right = data.get("predictions")
        return Equivalence(
            array=data["array"],
            subject=_text(data, "subject"),
            command=_text(data, "command"),
            samples=check_integer("samples", data["samples"], 1, _MOST),
            right=None if right is None else check_integer("predictions", right, 0, data["samples"]),
            kinds=tuple(_sum(name, gemms) for name, gemms in groups.items()),
        )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name, "")
    if not isinstance(value, str):
        raise InputTypeError(f"{name} must be a text, not {short(value)}")
    return value


def _check(gemm: object) -> None:
    if not isinstance(gemm, dict) or not isinstance(gemm.get("name"), str):
        raise InputError("each of its gemms must be an object with a name")
    for name in _NEEDED:
        if name not in gemm:
            raise InputError(f"{gemm['name']} lacks {name}")
        check_integer(name, gemm[name], 0, _MOST)
    for part in ("accumulators", "codes"):
        equal = f"equal_{part}"
        if equal in gemm:
            check_integer(equal, gemm[equal], 0, check_integer(part, gemm.get(part), 0, _MOST))


def _kind(name: str) -> str:
    """The name of a GEMM behind the number of its layer, or the end of it."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbers[-1] + 1 :]) if numbers and numbers[-1] + 1 < len(parts) else parts[-1]


def _sum(name: str, gemms: list[Mapping[str, Any]]) -> GemmKind:
    counted = all("equal_accumulators" in gemm and "equal_codes" in gemm for gemm in gemms)
    total = {field: sum(gemm[field] for gemm in gemms) for field in _NEEDED}
    accumulators = sum(gemm["accumulators"] for gemm in gemms) if counted else None
    equal = sum(gemm["equal_accumulators"] + gemm["equal_codes"] for gemm in gemms) if counted else 0
    return GemmKind(
        name=name,
        gemms=len(gemms),
        accumulators=accumulators,
        mismatches=None if accumulators is None else accumulators + total["codes"] - equal,
        **{field: total[field] for field in _NEEDED if field != "operand_cycles"},
    )
