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

__all__ = ["HeadRow", "Measured", "Row", "Sensitivity", "count", "head_rows", "measure", "policy_csv", "policy_json"]

ALONE, LEFT_OUT = "alone", "left out"
_ONLY_ALONE = ("gemm", "layer")
_OF_HEADS = ("query", "key", "value", "scores", "context")
"""Roles of which a head has a part with a width of its own, as `siliquant policy --by-head` gives it."""


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
class HeadRow:
    """A row for `siliquant policy --by-head`: of the part that a head has of the GEMM of a role in a layer.

    share: of the rise of that role's row that the head is given. macs: of the part.
    """

    role: str
    layer: int
    head: int
    sensitivity: float
    share: float
    macs: int


@dataclass(frozen=True)
class Sensitivity:
    """full: the network at full precision. quantised: everywhere, by width. parts, rows: as measured. heads: made of
    both, where heads were measured.
    """

    full: Measured
    quantised: tuple[Measured, ...]
    parts: tuple[Measured, ...]
    rows: tuple[Row, ...]
    heads: tuple[HeadRow, ...] = ()


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
    of_heads: dict[tuple[int, int], dict[int, Answers]] = {}
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
            if part.kind == "head" and part.layer is not None and how == ALONE:
                of_heads.setdefault((part.layer, int(part.name)), {})[width] = found
    rows = tuple(_row(part, found, floats, bench.products.macs, seed) for part, found in rises.items())
    alone = {place: _rise(found, floats) for place, found in of_heads.items()}
    return Sensitivity(full, tuple(whole), tuple(parts), rows, head_rows(rows, alone, bench.products.macs))


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


def _rise(found: Mapping[int, Answers], floats: Answers) -> float:
    """Rise of the loss for each 4^-bits, of all widths by least squares; never negative."""
    norm = sum(16.0**-bits for bits in found)
    mean = sum(4.0**-bits * float(np.mean(each.losses - floats.losses)) for bits, each in found.items())
    return max(mean / norm, 0.0)


def head_rows(
    rows: Sequence[Row], alone: Mapping[tuple[int, int], float], macs: Mapping[tuple[str, int | None], int]
) -> tuple[HeadRow, ...]:
    """Rows of single heads: what the row of a role costs, shared out over heads as these cost alone.

    alone: the rise of each head, by layer and head, with all that it has by itself quantised. The row of a role is that
    of the layer where there is one, else that of all layers. The harm of all heads at one width is that of the row.
    Where no head of a row costs anything, all have the sensitivity of the row.
    """
    heads = {layer: sum(of == layer for of, _ in alone) for layer, _ in alone}
    by_place = {(row.role, row.layer): row for row in rows}
    made: list[HeadRow] = []
    for role in _OF_HEADS:
        for layer, head in sorted(alone):
            row = by_place.get((role, layer)) or by_place.get((role, None))
            if row is None or (role, layer) not in macs:
                continue
            covered = [place for place in alone if row.layer in (None, place[0]) and (role, place[0]) in macs]
            whole = sum(macs[role, of] / heads[of] for of, _ in covered)
            mine, rise = macs[role, layer] / heads[layer], sum(alone[place] for place in covered)
            share = alone[layer, head] / rise if rise > 0 else mine / whole
            made.append(HeadRow(role, layer, head, row.sensitivity * whole * share / mine, share, round(mine)))
    return tuple(made)


def policy_json(rows: Sequence[Row], source: str, heads: Sequence[HeadRow] = ()) -> str:
    """The table that `siliquant policy --sensitivity` reads; rows that cannot be told from 0 are listed beside it."""
    of_rows = [(row.role, row.layer, None, row.sensitivity) for row in rows]
    of_heads = [(row.role, row.layer, row.head, row.sensitivity) for row in heads]
    names = ("role", "layer", "head", "sensitivity")
    table = {
        "source": source,
        "rows": [
            {name: value for name, value in zip(names, values, strict=True) if value is not None}
            for values in (*of_rows, *of_heads)
        ],
        "not_told_from_zero": [{"role": row.role, "layer": row.layer} for row in rows if not row.told],
        "details": [asdict(row) for row in rows],
    }
    return json.dumps(table, indent=1, allow_nan=False) + "\n"


def policy_csv(rows: Sequence[Row], heads: Sequence[HeadRow] = ()) -> str:
    """The same, with no more columns than that command reads: `head` where there are rows of heads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    blank = ("",) if heads else ()
    writer.writerow(("role", "layer", *(("head",) if heads else ()), "sensitivity"))
    writer.writerows((row.role, "" if row.layer is None else row.layer, *blank, repr(row.sensitivity)) for row in rows)
    writer.writerows((row.role, row.layer, row.head, repr(row.sensitivity)) for row in heads)
    return text.getvalue()
