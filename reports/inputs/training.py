"""Training runs that are kept, a file a study: of each run its run.json and its metrics.csv, as qat.train wrote them.

The file is JSON:

    {"format": 1, "study": "minilm", "runs": [
        {"name": "minilm-fp", "record": {...}, "columns": [...], "epochs": [[...]]}]}

``record`` is the object of run.json, ``columns`` and ``epochs`` are the header and the lines of metrics.csv.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliquant.inputs import InputError, at, belongs, csv_records, json_object, member, number, read_text

__all__ = ["KeptRun", "kept_run", "metrics_csv", "read_study", "study_json"]

FORMAT = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class KeptRun:
    """name: of the run's folder. record: of its run.json. epochs: lines of its metrics.csv, a text or an empty one by
    column.
    """

    name: str
    record: Mapping[str, Any]
    epochs: tuple[Mapping[str, str], ...]

    def last(self, column: str) -> float | None:
        """A number of the last epoch; None where the cell is empty. Raises ValueError for a text that is no number, and
        for a column that is not there.
        """
        if column not in self.epochs[-1]:
            raise InputError(f"its epochs must have a column {column}")
        text = self.epochs[-1][column]
        return number(column, text, -1e300, 1e300) if text else None


def kept_run(folder: Path) -> KeptRun:
    """A run by the folder that qat.train wrote. ValueError, with its name, where it is none; OSError as usual."""
    with belongs(folder, "a folder of qat.train"):
        epochs = csv_records(read_text(folder / "metrics.csv"), ("epoch",))
        if not epochs:
            raise InputError("its metrics.csv must have at least one epoch")
        return KeptRun(folder.absolute().name, json_object(read_text(folder / "run.json")), tuple(epochs))


def metrics_csv(run: KeptRun) -> str:
    """The text of its metrics.csv."""
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, list(run.epochs[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(run.epochs)
    return lines.getvalue()


def read_study(path: Path) -> tuple[KeptRun, ...]:
    """The runs of a study, by name. ValueError, with the file's name, where it is none; OSError as usual."""
    with belongs(path, "a file of training runs"):
        data = json_object(read_text(path, _MOST_BYTES))
        if data.get("format") != FORMAT:
            raise InputError(f"its format must be {FORMAT}, not {data.get('format')!r}")
        found = []
        for place, entry in enumerate(member(data, "runs", list), start=1):
            with at(f"run {place}"):
                found.append(_run(entry))
    return tuple(found)


def study_json(study: str, runs: Iterable[KeptRun]) -> str:
    """The text of a study's file, a line a run, in the order of their names."""
    lines = [
        json.dumps(
            {
                "name": run.name,
                "record": run.record,
                "columns": list(run.epochs[0]),
                "epochs": [list(epoch.values()) for epoch in run.epochs],
            }
        )
        for run in sorted(runs, key=lambda run: run.name)
    ]
    opening = {"format": FORMAT, "study": study, "runs": []}
    return json.dumps(opening)[:-2] + "\n" + ",\n".join(lines) + "\n]}\n"


def _run(entry: Any) -> KeptRun:
    if not isinstance(entry, dict):
        raise InputError("it must be an object")
    columns, lines = member(entry, "columns", list), member(entry, "epochs", list)
    if not lines:
        raise InputError("its epochs must be a list of at least one")
    for line in lines:
        if not isinstance(line, list) or len(line) != len(columns) or not all(isinstance(cell, str) for cell in line):
            raise InputError(f"each of its epochs must be {len(columns)} texts, one a column")
    epochs = tuple(dict(zip(columns, line, strict=True)) for line in lines)
    return KeptRun(member(entry, "name", str), member(entry, "record", dict), epochs)
