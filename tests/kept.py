"""Folders of training runs whose records the project keeps."""

from __future__ import annotations

import json
from pathlib import Path

from reports.inputs.training import KeptRun, metrics_csv, read_study

RESULTS = Path(__file__).resolve().parents[1] / "reports" / "results" / "training"


def kept_runs() -> dict[str, KeptRun]:
    """All by name."""
    return {run.name: run for path in sorted(RESULTS.glob("*.json")) for run in read_study(path)}


def unpack_run(run: KeptRun, parent: Path) -> Path:
    """Writes run.json and metrics.csv of a run into a folder of its name, which is returned."""
    folder = parent / run.name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run.record, indent=1) + "\n")
    (folder / "metrics.csv").write_text(metrics_csv(run))
    return folder


def kept_folder(name: str, parent: Path) -> Path:
    """The folder of a run, written into ``parent``."""
    return unpack_run(kept_runs()[name], parent)
