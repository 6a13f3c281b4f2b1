"""Measured designs: a spec through the whole flow, its rows, their store, and the calibration table of a library.

In: a spec, a library, a clock, operand streams. Out: :class:`SynthesisRow` s, kept under what decides them. Read
``row``, ``keys`` and ``store``, ``dut`` (one design through the flow), ``macs`` and ``requantisers`` (the best
pipelining and form), ``sweep``, ``points`` and ``table`` (calibration), ``executors`` (cores or a Dask cluster).
"""

from __future__ import annotations

from .dut import Bench, DesignUnderTest, settled_power_uw
from .executors import Outcome, Runner, cluster, local, of_the_machine
from .keys import Spec, design_name, generator_files, named, own_of, verilog_stamp
from .macs import MacTrial, Measurement, choose, known, measure
from .points import (
    LibraryChoice,
    MeasuredPoint,
    Task,
    WorkerDiffers,
    calibration_table,
    known_points,
    measure_task,
    signature,
)
from .requantisers import LARGE_FROM, Unit, UnitMeasurement, UnitTrial, choose_unit, known_unit, measure_unit
from .row import FLOW_FOLDERS, SynthesisRow, attempt_of_row, sha256_text, tool_versions
from .store import PACKAGED_ROWS, STAMP, RowStore, write_packaged, write_stamp
from .sweep import SweepDesign, first_designs, sweep_cores, sweep_designs
from .table import PACKAGED_CALIBRATION, CalibrationTable, packaged_calibration, read_calibration, write_calibration

__all__ = [
    "FLOW_FOLDERS",
    "LARGE_FROM",
    "PACKAGED_CALIBRATION",
    "PACKAGED_ROWS",
    "STAMP",
    "Bench",
    "CalibrationTable",
    "DesignUnderTest",
    "LibraryChoice",
    "MacTrial",
    "MeasuredPoint",
    "Measurement",
    "Outcome",
    "RowStore",
    "Runner",
    "Spec",
    "SweepDesign",
    "SynthesisRow",
    "Task",
    "Unit",
    "UnitMeasurement",
    "UnitTrial",
    "WorkerDiffers",
    "attempt_of_row",
    "calibration_table",
    "choose",
    "choose_unit",
    "cluster",
    "design_name",
    "first_designs",
    "generator_files",
    "known",
    "known_points",
    "known_unit",
    "local",
    "measure",
    "measure_task",
    "measure_unit",
    "named",
    "of_the_machine",
    "own_of",
    "packaged_calibration",
    "read_calibration",
    "settled_power_uw",
    "sha256_text",
    "signature",
    "sweep_cores",
    "sweep_designs",
    "tool_versions",
    "verilog_stamp",
    "write_calibration",
    "write_packaged",
    "write_stamp",
]
