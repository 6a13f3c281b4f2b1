"""What tests/faults found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs_tools.markdown import table
from docs_tools.results import read_result

__all__ = ["MAY_BE_ZERO", "OWNS", "texts"]

OWNS = ("faults",)
MAY_BE_ZERO = ("faults.found",)
_OTHERS = ("disk", "writers", "clock", "streams", "memory", "tools")
_HEADERS = ("command", "full disk", "at once", "clocks", "streams", "memory", "missing tools")
_ENDS = ("command", "all", "worker, went on", "worker, said so")


def texts() -> dict[str, str]:
    """By place."""
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
