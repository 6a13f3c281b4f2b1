"""Folders of training runs whose records the project keeps."""

from __future__ import annotations

from pathlib import Path

from reports.inputs.training import KeptRun, read_study, unpack_run

RESULTS = Path(__file__).resolve().parents[1] / "reports" / "results" / "training"


def kept_runs() -> dict[str, KeptRun]:
    """All by name."""
    return {run.name: run for path in sorted(RESULTS.glob("*.json")) for run in read_study(path)}


def kept_folder(name: str, parent: Path) -> Path:
    """The folder of a run, written into ``parent``."""
    return unpack_run(kept_runs()[name], parent)
