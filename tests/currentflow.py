"""Marks for tests of packaged figures that hold only while those are of the flow that the code has now.

A change of flow or generators makes rows and calibration tables of the flow before: they stay in the package, with its
number in them, until they are measured again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from hwmodel.measurement import PACKAGED_CALIBRATION, RowStore
from hwmodel.synthesis import FLOW_VERSION

__all__ = ["each_table_of_this_flow", "needs_rows_of_this_flow", "needs_table_of_this_flow"]

_ROWS = {row.flow_version for row in RowStore(Path("/nonexistent")).rows()}

needs_rows_of_this_flow = pytest.mark.skipif(
    {FLOW_VERSION} != _ROWS, reason=f"packaged rows are of flow {sorted(_ROWS)}, this is {FLOW_VERSION}: measure again"
)


def _flow_of(library: str) -> int:
    return int(json.loads((PACKAGED_CALIBRATION / f"{library}.json").read_text())["flow_version"])


def needs_table_of_this_flow(library: str) -> pytest.MarkDecorator:
    """Skips where the calibration table of a library is of another flow."""
    found = _flow_of(library)
    return pytest.mark.skipif(
        found != FLOW_VERSION, reason=f"the table of {library} is of flow {found}, this is {FLOW_VERSION}"
    )


def each_table_of_this_flow() -> list[ParameterSet]:
    """The libraries with tables, as parameters of a test that skips those of another flow."""
    names = sorted(path.stem for path in PACKAGED_CALIBRATION.glob("*.csv"))
    return [pytest.param(name, marks=needs_table_of_this_flow(name)) for name in names]
