"""How much each part of a network suffers from low bits: quantised alone, and left out of a quantised network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .measuring import Bench
from .paired import Answers, Difference, difference
from .parts import Part

__all__ = ["Measured", "Row", "Sensitivity", "count", "measure", "policy_csv", "policy_json"]

ALONE, LEFT_OUT = "alone", "left out"
_ONLY_ALONE = ("gemm", "layer")


@dataclass(frozen=True)
class Measured:
    """One part at one width.

    how: "alone" in a network at full precision, whose `change` is from that network; "left out" of one that is
    quantised everywhere else, whose `change` is from the one without to that with it: what quantising the part does
    in both. loss, accuracy, low, high: of the network that was measured, with Wilson's interval.
    """

    bits: int
    kind: str
    name: str
    layer: int | None
    how: str
    loss: float
    accuracy: float | None
    low: float | None
    high: float | None
    change: Difference

    @property
    def told(self) -> bool:
        """Whether the change of the loss can be told from 0."""
        return self.change.told


@dataclass(frozen=True)
class Row:
    """A row for `siliquant policy`: loss (nats) per MAC and 4^-bits of the GEMMs of a role, or of those in one layer.

    sensitivity: never negative. low, high: interval of 95 %, which may be. told: whether it can be told from 0.
    """

    role: str
    layer: int | None
    sensitivity: float
    low: float
    high: float
    told: bool
    macs: int


@dataclass(frozen=True)
class Sensitivity:
    """full: the network at full precision. quantised: everywhere, by width. parts, rows: as measured."""

    full: Measured
    quantised: tuple[Measured, ...]
    parts: tuple[Measured, ...]
    rows: tuple[Row, ...]


def count(bench: Bench) -> int:
    """Networks that `measure` measures."""
    each = sum(1 if part.kind in _ONLY_ALONE else 2 for part in bench.parts)
    return 1 + len(bench.settings.bits) * (1 + each)


def measure(bench: Bench, report: Callable[[str], None]) -> Sensitivity:
    """All of it; `report` is told what was measured, once for each network."""
    bits, seed, body = bench.settings.bits, bench.settings.seed, bench.body
    floats = bench.answers(bits[0], {}, alone=True)
    report("full precision")
    full = _measured(32, None, "full precision", floats, difference(floats, floats, seed))
    whole, parts = [], []
    rises: dict[Part, dict[int, Answers]] = {}
    for width in bits:
        everything = bench.answers(width, body, alone=False)
        report(f"all at {width} bits")
        whole.append(_measured(width, None, "all", everything, difference(everything, floats, seed)))
        for part, how in _tasks(bench.parts):
            on = part.groups if how == ALONE else _without(body, part.groups)
            found = bench.answers(width, on, alone=how == ALONE)
            report(f"{part.label} {how} at {width} bits")
            change = difference(found, floats, seed) if how == ALONE else difference(everything, found, seed)
            parts.append(_measured(width, part, how, found, change))
            if part.kind in _ONLY_ALONE:
                rises.setdefault(part, {})[width] = found
    rows = tuple(_row(part, found, floats, bench.products.macs, seed) for part, found in rises.items())
    return Sensitivity(full, tuple(whole), tuple(parts), rows)


def _tasks(parts: Sequence[Part]) -> Iterator[tuple[Part, str]]:
    """Those that are left out last: they have scales of their own."""
    yield from ((part, ALONE) for part in parts)
    yield from ((part, LEFT_OUT) for part in parts if part.kind not in _ONLY_ALONE)


def _without(body: Mapping[str, frozenset[int]], groups: Mapping[str, frozenset[int]]) -> dict[str, frozenset[int]]:
    left = {name: every - groups.get(name, frozenset()) for name, every in body.items()}
    return {name: rest for name, rest in left.items() if rest}


def _measured(bits: int, part: Part | None, how: str, found: Answers, change: Difference) -> Measured:
    kind, name, layer = ("network", "network", None) if part is None else (part.kind, part.name, part.layer)
    accuracy, low, high = found.accuracy or (None, None, None)
    return Measured(bits, kind, name, layer, how, found.loss, accuracy, low, high, change)


def _row(
    part: Part, found: Mapping[int, Answers], floats: Answers, macs: Mapping[tuple[str, int | None], int], seed: int
) -> Row:
    """rise(bits) = sensitivity * MACs * 4^-bits, of all widths by least squares: the mean over samples of their rises,
    weighted by 4^-bits / (MACs * sum of 16^-bits), so that its interval is that of a mean, too.
    """
    mine = sum(
        products for (role, layer), products in macs.items() if role == part.name and part.layer in (None, layer)
    )
    norm = mine * sum(16.0**-bits for bits in found)
    zeros = np.zeros_like(floats.losses)
    rise = sum((4.0**-bits / norm * (each.losses - floats.losses) for bits, each in found.items()), zeros)
    change = difference(Answers(rise, None), Answers(zeros, None), seed)
    return Row(part.name, part.layer, max(change.loss, 0.0), change.low, change.high, change.low > 0, mine)


def policy_json(rows: Sequence[Row], source: str) -> str:
    """The table that `siliquant policy --sensitivity` reads; rows that cannot be told from 0 are listed beside it."""
    table = {
        "source": source,
        "rows": [
            {"role": row.role, **({} if row.layer is None else {"layer": row.layer}), "sensitivity": row.sensitivity}
            for row in rows
        ],
        "not_told_from_zero": [{"role": row.role, "layer": row.layer} for row in rows if not row.told],
        "details": [asdict(row) for row in rows],
    }
    return json.dumps(table, indent=1, allow_nan=False) + "\n"


def policy_csv(rows: Sequence[Row]) -> str:
    """The same, with no more columns than that command reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("role", "layer", "sensitivity"))
    writer.writerows((row.role, "" if row.layer is None else row.layer, repr(row.sensitivity)) for row in rows)
    return text.getvalue()
