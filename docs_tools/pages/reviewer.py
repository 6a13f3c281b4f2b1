"""What a hostile reviewer would ask, in numbers: from packaged rows, the cost model and recorded results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import geometric_mean
from typing import Any

from docs_tools.commands import printed_and_written
from docs_tools.markdown import spread, table
from docs_tools.results import read_result
from hwmodel.comparison import Row, best_rows, mixed_rows, scalable_rows
from hwmodel.operands import Stream
from hwmodel.workload import load_workload, mixture_at
from rtl.array import DRAINS
from rtl.spec import Precision

__all__ = ["OWNS", "texts"]

OWNS = ("reviewer",)
MAY_BE_ZERO = ("reviewer.swaps",)
_CLOCKS_MHZ = {"sky130hd": "150", "ihp-sg13g2": "150", "asap7": "1000"}


def texts() -> dict[str, str]:
    """By place."""
    return {
        **_baseline(),
        **_sets(),
        **_mixtures(),
        **_libraries(),
        **_elsewhere(),
        **_wires(),
        **_drains(),
        **_idle(),
        **_check(),
    }


def _baseline() -> dict[str, str]:
    """The uniform MAC against plain RTL."""
    plain = read_result("qor-freepdk45")["plain"]
    return {
        f"reviewer.{name}": f"{geometric_mean(row[key] for row in plain):.2f}"
        for name, key in (("strong", "ratio"), ("weak", "weak_ratio"))
    }


@cache
def _rows(*options: str) -> list[Row]:
    """What the comparison says with some options."""
    command = ("-m", "hwmodel.compare", *options, "--requant-bits", "none", "--format", "json", "--out", "OUT")
    shown, _ = printed_and_written(*command)
    return [Row(**row) for row in json.loads(shown)]


def _ratios(row: Row) -> str:
    """Area and energy to the uniform MAC."""
    assert row.area_ratio is not None
    assert row.power_ratio is not None
    return f"{row.area_ratio:.2f} and {row.power_ratio:.2f}"


def _sets() -> dict[str, str]:
    """The sets of widths of one design at one mean."""
    found = [row for row in scalable_rows(_rows("--bits", "4")) if row.family == "subword"]
    return {"reviewer.sets": ", ".join(f"{row.design} {_ratios(row)}" for row in found)}


def _mixtures() -> dict[str, str]:
    """Ratios at a mean of 4 bits by the standard mixture and by that of a network, whose inference is not looked at."""
    mixture = mixture_at(load_workload("deit-tiny"), 4)
    given = f"4={','.join(f'{bits}:{share}' for bits, share in mixture.shares)}"
    kinds = [best_rows(_rows("--bits", "4", *options)) for options in ((), ("--mixture", given))]
    found = [{row.family: row for row in mixed_rows(rows)} for rows in kinds]
    lines = [
        (family, *(f"{rows[family].design}: {_ratios(rows[family])}" for rows in found))
        for family in found[0]
        if all(family in rows for rows in found)
    ]
    return {"reviewer-mixtures": table(("design", "standard mixture", "mixture of DeiT-T"), lines)}


def _libraries() -> dict[str, str]:
    """The least ratios at means of 3 and 4 bits of what meets the clock in other libraries, by the cost model."""
    said = []
    for library in ("sky130hd", "ihp-sg13g2", "asap7"):
        every = mixed_rows(_rows("--bits", "3,4", "--library", library, "--clock-mhz", _CLOCKS_MHZ[library]))
        rows = [row for row in every if row.meets_clock]
        least = [
            [min(value for row in rows if row.bits == bits and (value := getattr(row, name))) for bits in (3, 4)]
            for name in ("area_ratio", "power_ratio")
        ]
        area, energy = ("/".join(f"{value:.2f}" for value in values) for values in least)
        said.append(f"{library} at {_CLOCKS_MHZ[library]} MHz {area} and {energy}")
    return {"reviewer.libraries": "; ".join(said)}


def _elsewhere() -> dict[str, str]:
    """The ratios at other clocks and with other operands."""
    record = read_result("ratios")
    return {
        "reviewer-clocks": _beside(record["clocks"], "{} MHz"),
        "reviewer-streams": _beside(record["streams"], "{}"),
        "reviewer.lengths": spread(Stream("vit-mnist").lengths(Precision(4, 4)), ".0f"),
    }


def _beside(found: Mapping[str, Mapping[str, Mapping[str, Any]]], header: str) -> str:
    """Area and energy of each design to the uniform one, by column; with a mark where the clock is missed."""

    def text(cell: Mapping[str, Any]) -> str:
        return f"{cell['area_ratio']:.2f} / {cell['energy_ratio']:.2f}{'' if cell['meets_clock'] else ' (misses)'}"

    designs = list(next(iter(found.values())))[1:]
    lines = [(design, *(text(each[design]) for each in found.values())) for design in designs]
    return table(("area / energy, uniform is 1", *(header.format(name) for name in found)), lines)


def _wires() -> dict[str, str]:
    """By how much the placement of netlists changes the energy ratios of designs."""
    return {
        f"reviewer.wires-{library}": spread(_changes(read_result(f"wires-{library}")["rows"]), "+.0f")
        for library in ("freepdk45", "sky130hd")
    }


def _changes(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of the rows but the uniform one, in percent."""
    return [100 * (after / before - 1) for before, after in (row["energy_ratio"] for row in rows[1:])]


def _drains() -> dict[str, str]:
    """By how much the drains that arrays have lower area times cycles, in percent."""
    found = read_result("drains")
    kept = found["drains"].index(DRAINS) - 1
    uniform, *others = (100 * (1 - each["area_cycles"][kept]) for each in found["gains"].values())
    return {"reviewer.drains-uniform": f"{uniform:.1f}", "reviewer.drains": spread(others)}


def _idle() -> dict[str, str]:
    """Power of clock gates at half the rate to that of multiplexers."""
    designs = read_result("clock-gates")["designs"].values()
    saved = [100 * (1 - each["gates"]["power_uw"]["0.5"] / each["multiplexers"]["power_uw"]["0.5"]) for each in designs]
    return {"reviewer.gates": spread(saved, ".0f")}


def _check() -> dict[str, str]:
    """What the model says beside the packaged measurements of the same rows."""
    shown, _ = printed_and_written("-m", "hwmodel.compare", "--bits", "2,3,4", "--check", "--out", "OUT")
    found = {}
    for name, quantity in (("area", "area"), ("power", "power"), ("period", "minimum period")):
        match = re.search(rf"^{quantity}: (\S+) % apart on average, (\S+) % at most \(", shown, re.MULTILINE)
        assert match is not None
        found[f"reviewer.{name}-error"] = f"{match[1]} % on average, {match[2]} % at most"
    order = re.search(r"^order: (\d+) of (\d+) pairs", shown, re.MULTILINE)
    others = re.search(r"^pipeline stages or form: other ones in (\d+) of (\d+) rows$", shown, re.MULTILINE)
    assert order is not None
    assert others is not None
    found |= {"reviewer.swaps": order[1], "reviewer.pairs": f"{int(order[2]):,}"}
    return found | {"reviewer.others": f"{others[1]} of {others[2]}"}
