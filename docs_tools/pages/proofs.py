"""What siliquant prove proved, what siliquant mutate found, what siliquant fuzz ran, and what
tests/mutation found, from recorded results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result
from sim.campaigns import Tally
from sim.fuzzing import ENGINES

__all__ = ["MAY_BE_ZERO", "OWNS", "texts"]

OWNS = ("proofs", "mutants", "fuzz", "faults", "mutation", "verification")
MAY_BE_ZERO = ("faults.found",)
_OTHERS = ("disk", "writers", "clock", "streams", "memory", "tools")
_HEADERS = ("command", "full disk", "at once", "clocks", "streams", "memory", "missing tools")
_ENDS = ("command", "all", "worker, went on", "worker, said so")


_ENGINES = {
    "graph": "graph of gates", "icarus": "Verilog in Icarus", "verilator": "Verilog in Verilator",
    "netlist": "netlist of two-input gates", "export": "integers from their file", "harness": "simulated array",
}  # fmt: skip


def texts() -> dict[str, str]:
    """By place."""
    found = read_result("proofs")
    if found["not_proved"]:
        raise ValueError(f"the result says that something is not proved: {found['not_proved'][0]}")
    macs = [each for each in found["proved"] if "precisions" in each]
    units = [each for each in found["proved"] if "groups" in each]
    arrays = [each for each in found["proved"] if "claims" in each]
    names, sets = ("sums", "states", "cells"), ("groups", "cells")
    return {
        "proofs": table(
            ("design", "specs", "largest, gates", "sums", "states", "Verilog cells", "s"), _lines(macs, names)
        ),
        "proofs-units": table(
            ("unit", "specs", "largest, gates", "parameter sets", "Verilog cells", "s"), _lines(units, sets)
        ),
        "proofs-arrays": table(("array", "specs", "claims", "register bits", "s"), _arrays(arrays)),
        "verification": _summary(),
        "verification.line": _line(len(macs) + len(units), len(arrays)),
        "verification.minutes": f"{read_result('fuzz')['minutes']:.0f}",
        **_mutants(),
        **_mutation(),
        **_faults(),
        **_fuzzed(),
    }


def _arrays(proofs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    kinds = {
        kind: [each for each in proofs if each["design"] == kind] for kind in sorted({p["design"] for p in proofs})
    }
    lines: list[tuple[str, ...]] = []
    for name, those in {**kinds, "all": list(proofs)}.items():
        claims, registers, seconds = (sum(each[key] for each in those) for key in ("claims", "registers", "seconds"))
        lines.append((name, f"{len(those)}", f"{claims:,}", f"{registers:,}", f"{seconds:,.0f}"))
    return lines


def _mutants() -> dict[str, str]:
    found = read_result("mutants")["modules"]
    headers = ("module", "mutants", "killed", "refused", "cannot be seen", "left", "score")
    lines = [_scored(each["name"], [each]) for each in found] + [_scored("all", found)]
    left = [
        (each["name"], f"`{survivor['place']}`", survivor["answer"]) for each in found for survivor in each["survivors"]
    ]
    return {"mutants": table(headers, lines), "mutants-survivors": table(("module", "mutant", "solver"), left)}


def _fuzzed() -> dict[str, str]:
    """Raises ValueError where a case failed."""
    found = read_result("fuzz")
    if found["failing"]:
        raise ValueError(f"the result says that {found['failing']} cases of the fuzzer fail")
    lines = []
    for kind, engines in ENGINES.items():
        compared = found["compared"].get(kind, {})
        for engine in engines:
            totals = [f"{compared.get(what, 0):,}" if engine == engines[0] else "" for what in ("cycles", "results")]
            cases = found["engines"].get(kind, {}).get(engine, 0)
            lines.append((kind if engine == engines[0] else "", _ENGINES[engine], f"{cases:,}", *totals))
    drawn = [tuple(line) for line in Tally.from_plain(found).by_kind()]
    return {
        "fuzz": table(("kind", "on", "cases", "cycles", "results compared"), lines, left=2),
        "fuzz-drawn": table(("kind", "parameter", "values", "drawn", "legal", "never drawn"), drawn, left=6),
        "fuzz.minutes": f"{found['minutes']:,.0f}",
        "fuzz.cases": f"{sum(found['cases'].values()):,}",
        "fuzz.seed": f"{found['seed']}",
    }


def _scored(name: str, modules: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    mutants, killed, refused, equal = (
        sum(each[key] for each in modules) for key in ("mutants", "killed", "refused", "equal")
    )
    left = sum(len(each["survivors"]) for each in modules)
    score = f"{100 * (killed + refused) / (mutants - equal):.1f} %"
    return name, f"{mutants:,}", f"{killed:,}", f"{refused}", f"{equal}", f"{left}", score


def _lines(proofs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[str, ...]]:
    """A line a design, and one of all."""
    by_design: dict[str, list[Mapping[str, Any]]] = {}
    for each in proofs:
        by_design.setdefault(each["design"], []).append(each)
    return [(design, *_cells(those, names)) for design, those in [*by_design.items(), ("all", list(proofs))]]


def _cells(proofs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Of some proofs: how many, the largest, and totals."""
    totals = [sum(each[name] for each in proofs) for name in names]
    gates, seconds = max(each["gates"] for each in proofs), sum(each["seconds"] for each in proofs)
    return [f"{len(proofs)}", f"{gates:,}", *(f"{total:,}" for total in totals), f"{seconds:,.0f}"]


def _faults() -> dict[str, str]:
    found: Sequence[Mapping[str, Any]] = read_result("faults")["outcomes"]
    kills = [each for each in found if each["fault"] == "kill"]
    by_command: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in found:
        by_command.setdefault(each["command"], {})[each["fault"]] = each
    others = [
        (_named(name), *(str(tried[fault]["cases"]) if fault in tried else "-" for fault in _OTHERS))
        for name, tried in by_command.items()
        if any(fault in tried for fault in _OTHERS)
    ]
    clusters = [each["ends"] for each in found if each["fault"] == "cluster"]
    cluster = ", ".join(f"{end} {count}" for ends in clusters for end, count in ends.items()) or "none"
    return {
        "faults-kills": table(
            ("command", "kills", "of it", "of all", "of a worker: went on", "of a worker: said so"),
            [_killed(each) for each in kills],
        ),
        "faults-others": table(_HEADERS, others),
        "faults.cluster": cluster,
        "faults.cases": f"{sum(each['cases'] for each in found):,}",
        "faults.found": str(sum(len(each["found"]) for each in found)),
    }


def _killed(outcome: Mapping[str, Any]) -> tuple[str, ...]:
    ends = outcome["ends"]
    return _named(outcome["command"]), str(outcome["cases"]), *(str(ends.get(end, 0)) for end in _ENDS)


def _named(command: str) -> str:
    return "docs_tools.record" if command == "record" else command  # siliquant has another one


def _mutation() -> dict[str, str]:
    found = read_result("mutation")["groups"]
    headers = ("group", "places", "mutants", "killed", "nothing changes", "left", "score")
    lines = [_judged(each["name"], [each]) for each in found] + [_judged("all", found)]
    left = [
        tuple(f"`{survivor[name]}`".replace("|", "\\|") for name in ("place", "before", "after"))
        for each in found
        for survivor in each["survivors"]
    ]
    return {
        "mutation": table(headers, lines),
        "mutation-survivors": table(("place", "line", "changed to"), left),
        "mutation.late": str(sum(each["late"] for each in found)),
    }


def _judged(name: str, groups: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    places, mutants, killed, equal = (
        sum(each[key] for each in groups) for key in ("places", "mutants", "killed", "equivalent")
    )
    left = sum(len(each["survivors"]) for each in groups)
    score = f"{100 * killed / (mutants - equal):.1f} %"
    return name, f"{places:,}", f"{mutants:,}", f"{killed:,}", f"{equal}", f"{left}", score


_ROWS = {
    "uniform": "MACs", "padded": "MACs", "subword": "MACs", "dc1d": "MACs", "bitfusion": "MACs", "bitblade": "MACs",
    "bitserial": "MACs", "loom": "MACs", "xnor": "MACs",
    "thresholds": "requantisers", "multiplier": "requantisers", "partialsum": "requantisers",
    "broadcast": "arrays", "systolic": "arrays",
    "operand_controller": "controllers", "drain_controller": "controllers", "settings_check": "controllers",
}  # fmt: skip
"""What has a line, and of which kind it is."""
_SUMMARY = ("design or module", "proved", "exhaustive", "fuzzed", "mutants found", "gate level", "lint")


def _summary() -> str:
    """A line a design or module, with what each record says of it."""
    proofs, mutants = read_result("proofs")["proved"], read_result("mutants")["modules"]
    exhaustive, readers = read_result("exhaustive"), read_result("readers")
    fuzzed, netlists = read_result("fuzz")["values"], read_result("gate-level")["netlists"]
    specs = Counter(each["design"] for each in proofs)
    arrays = sum("claims" in each for each in proofs)
    lines = []
    for name, kind in _ROWS.items():
        here = [
            each
            for each in netlists
            if each["design"] == name or (each["design"] == "array" and f"_{name}_" in each["name"])
        ]
        found = [
            each
            for each in mutants
            if name == each["kind"] or ((kind, each["kind"]) == ("arrays", "array") and each["name"].startswith(name))
        ]
        part = kind == "controllers"
        cells = (
            "" if kind == "arrays" else f"{arrays if part else specs[name]:,}",
            f"{exhaustive[name]['results']:,}" if name in exhaustive else "",
            "in arrays" if part else f"{_drawn(fuzzed, name):,}",
            _found(found),
            "in arrays" if part else f"{sum(each['proved'] for each in here)} of {len(here)}",
            "in arrays" if part else _said(readers[name]),
        )
        lines.append((name.replace("_", " "), *cells))
    return table(_SUMMARY, lines)


def _drawn(fuzzed: Mapping[str, Any], name: str) -> int:
    """Cases of a MAC or unit on its own, or arrays of an architecture."""
    if name in fuzzed["array"]["architecture"]:
        return int(fuzzed["array"]["architecture"][name])
    return sum(fuzzed[name]["pipeline_stages"].values())


def _found(modules: Sequence[Mapping[str, Any]]) -> str:
    if not modules:
        return ""
    killed, seen = sum(e["killed"] + e["refused"] for e in modules), sum(e["mutants"] - e["equal"] for e in modules)
    return f"{killed:,} of {seen:,}"


def _said(row: Mapping[str, int]) -> str:
    lines = sum(value for name, value in row.items() if name not in ("files", "lines"))
    files = "1 file" if row["files"] == 1 else f"{row['files']} files"
    return f"{files}, {'silent' if not lines else f'{lines} lines'}"


def _line(specs: int, arrays: int) -> str:
    """The bottom line of the table."""
    mutants, netlists = read_result("mutants")["modules"], read_result("gate-level")["netlists"]
    results = sum(row["results"] for row in read_result("exhaustive").values())
    proved = sum(each["proved"] for each in netlists)
    return (
        f"{specs:,} MACs and requantisers and the controllers of {arrays} arrays proved for all inputs, {results:,} "
        f"results compared exhaustively, {_found(mutants)} mutants found, {proved} of {len(netlists)} netlists proved"
    )
