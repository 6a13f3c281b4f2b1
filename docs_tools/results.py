"""Results that take minutes or a quiet machine: committed as JSON in reports/results, each with where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siliquant.files import write_atomically
from siliquant.inputs import InputError

__all__ = ["RESULTS", "read_result", "result_names", "write_result"]

RESULTS = Path(__file__).resolve().parent.parent / "reports" / "results"
_FIELDS = ("command", "date", "versions", "machine", "values")


def result_names() -> list[str]:
    """Names of the results that are there."""
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def read_result(name: str) -> Mapping[str, Any]:
    """The values of a result. Raises FileNotFoundError or ValueError with the name of its file."""
    path = RESULTS / f"{name}.json"
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} must be there: python -m docs_tools.record {name} makes it") from None
    except ValueError:
        raise InputError(f"{path} must be JSON") from None
    if not isinstance(data, dict) or tuple(data) != _FIELDS:
        raise InputError(f"{path} must have the fields {', '.join(_FIELDS)}")
    values: Mapping[str, Any] = data["values"]
    return values


def write_result(
    name: str,
    values: Mapping[str, Any],
    *,
    command: str,
    date: str,
    versions: Mapping[str, str],
    machine: str,
    folder: Path | None = None,
) -> Path:
    """Writes a result into a folder (default: RESULTS) and returns its file.

    command: what made it. date: ISO. versions: of the tools that its numbers depend on. machine: what of the computer
    they depend on, in words; "any" where they do not.
    """
    path = (RESULTS if folder is None else folder) / f"{name}.json"
    data = {"command": command, "date": date, "versions": dict(versions), "machine": machine, "values": dict(values)}
    write_atomically(path, json.dumps(data, indent=1) + "\n")
    return path
