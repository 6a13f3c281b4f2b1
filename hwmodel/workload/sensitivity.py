"""How much harm low bits do to which GEMM: a table by role, and by layer and head where it was measured so finely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from rtl.spec import check_integer
from siliquant.inputs import (
    InputError,
    InputTypeError,
    at,
    belongs,
    csv_lines,
    integer,
    number,
    parse_json,
    read_text,
    short,
)

from .workload import Gemm, Role

__all__ = ["SensitivityTable", "default_sensitivity", "read_sensitivity"]

PACKAGED = Path(__file__).resolve().parents[1] / "data" / "sensitivity.json"
_MOST_BYTES = 1 << 20
_MOST = 1e12  # of a sensitivity
_MOST_LAYERS = 1 << 16
_MOST_HEADS = 1 << 10
_COLUMNS = ("role", "layer", "head", "sensitivity")
_Key = tuple[Role, int | None, int | None]


@dataclass(frozen=True)
class SensitivityTable:
    """Harm of one unit of quantisation noise in one product, relative to other rows.

    rows: by role and layer; a row of layer None is for all layers of its role that have none of their own. heads: by
    role, layer and head, for widths by head, which no other row stands for. source: where the numbers come from.
    """

    source: str
    rows: Mapping[tuple[Role, int | None], float]
    heads: Mapping[tuple[Role, int, int], float] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, gemm: Gemm) -> float:
        """The sensitivity of a GEMM. Raises ValueError where the table has none for it."""
        if gemm.head is not None:
            return self._of_head(gemm, gemm.head)
        for key in ((gemm.role, gemm.layer), (gemm.role, None)):
            if key in self.rows:
                return self.rows[key]
        if gemm.role is Role.UNKNOWN:
            raise InputError(
                f"{gemm.name} must have a role, or the sensitivity table a row for unknown, to choose its width: it "
                "has none"
            )
        where = "" if gemm.layer is None else f" in layer {gemm.layer}"
        raise InputError(f"the sensitivity table must have a row for {gemm.role.value}{where}, and has none")

    def _of_head(self, gemm: Gemm, head: int) -> float:
        key = gemm.role, -1 if gemm.layer is None else gemm.layer, head
        if key in self.heads:
            return self.heads[key]
        if not self.heads:
            raise InputError(
                "the sensitivity table must have rows of heads for widths by head, as siliquant analyse --by-head "
                "writes them, and has none"
            )
        where = "" if gemm.layer is None else f" in layer {gemm.layer}"
        raise InputError(
            f"the sensitivity table must have a row for {gemm.role.value}{where}, head {head}, and has none"
        )

    def harm(self, gemm: Gemm, bits: int) -> float:
        """Expected harm at ``bits`` bits: sensitivity times products times 4**-bits, the noise of a uniform quantiser
        whose step halves with each bit.
        """
        return self.of(gemm) * gemm.macs * 4.0**-bits


@lru_cache(maxsize=1)
def default_sensitivity() -> SensitivityTable:
    """The packaged table: the paper's order, MHSA above FFN and the value matrices first."""
    return read_sensitivity(PACKAGED)


def read_sensitivity(path: Path | str) -> SensitivityTable:
    """A table from a JSON file ({"source": text, "rows": [{"role", "layer" and "head" (optional), "sensitivity"}]}) or
    a CSV file with the columns role, layer, head (both may be empty) and sensitivity, whose source is its name. A row
    of a head says its layer.

    Raises ValueError, with the file's name, where it is not one; OSError where it cannot be read.
    """
    path = Path(path)
    text = read_text(path, _MOST_BYTES)
    with belongs(path, "a sensitivity table"):
        source, entries = (path.name, _csv(text)) if path.suffix == ".csv" else _json(text)
        found: dict[_Key, float] = {}
        for place, entry in entries:
            with at(place):
                key, value = _row(entry)
                if key in found:
                    what = "a role and layer" if key[2] is None else "a role, layer and head"
                    raise InputError(f"{what} must have one row, and {_place(key)} has two")
            found[key] = value
        if not found:
            raise InputError("it must have at least one row")
        rows = {(role, layer): value for (role, layer, head), value in found.items() if head is None}
        if not rows:
            raise InputError("it must have at least one row of all heads: the output projection has one width")
    heads = {
        (role, layer, head): value
        for (role, layer, head), value in found.items()
        if head is not None and layer is not None
    }
    return SensitivityTable(source, rows, heads)


def _json(text: str) -> tuple[str, Sequence[tuple[str, object]]]:
    data = parse_json(text)
    if not isinstance(data, dict) or not isinstance(data.get("rows"), list) or not isinstance(data.get("source"), str):
        raise InputError('it must be an object with "source", a text, and "rows", a list')
    return data["source"], [(f"row {number}", row) for number, row in enumerate(data["rows"], 1)]


def _csv(text: str) -> list[tuple[str, object]]:
    entries: list[tuple[str, object]] = []
    for line, cells in csv_lines(text, ("role", "sensitivity")):
        if set(cells) - set(_COLUMNS):
            raise InputError(f"its columns must be {', '.join(_COLUMNS)}")
        place, layer, head = f"line {line}", cells.get("layer"), cells.get("head")
        with at(place):
            found = {
                "role": cells["role"],
                "layer": integer("layer", layer, 0, _MOST_LAYERS) if layer else None,
                "head": integer("head", head, 0, _MOST_HEADS) if head else None,
                "sensitivity": number("sensitivity", cells["sensitivity"], 0, _MOST),
            }
        entries.append((place, found))
    return entries


def _row(entry: object) -> tuple[_Key, float]:
    if not isinstance(entry, dict) or not {"role", "sensitivity"} <= set(entry) <= set(_COLUMNS):
        raise InputError(f"a row must be an object with role, sensitivity and maybe layer and head, not {short(entry)}")
    known = {role.value: role for role in Role}
    if not isinstance(entry["role"], str) or entry["role"] not in known:
        raise InputError(f"role must be one of {', '.join(known)}, not {short(entry['role'])}")
    layer, head, value = entry.get("layer"), entry.get("head"), entry["sensitivity"]
    if layer is not None:
        check_integer("layer", layer, 0, _MOST_LAYERS)
    if head is not None:
        check_integer("head", head, 0, _MOST_HEADS)
        if layer is None:
            raise InputError(f"layer must be given with head {head}: a head is one of a layer")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputTypeError(f"sensitivity must be a number from 0 to {_MOST:g}, not {short(value)}")
    if not 0 <= value <= _MOST:
        raise InputError(f"sensitivity must be a number from 0 to {_MOST:g}, not {short(value)}")
    return (known[entry["role"]], layer, head), float(value)


def _place(key: _Key) -> str:
    role, layer, head = key
    where = role.value if layer is None else f"{role.value} in layer {layer}"
    return where if head is None else f"{where}, head {head}"
