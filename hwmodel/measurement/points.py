"""The points of a calibration: measured, looked up, and as a table.

A point is a design at one clock, with a row for each operand stream. The clock of a design's first point is relaxed;
those of the others follow from the minimum period of its netlist.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from operator import itemgetter
from pathlib import Path
from typing import Any

from hwmodel.library import LibertyFiles, Library, find_library
from hwmodel.operands import StreamPlan
from hwmodel.placement import Placing, placer_version
from hwmodel.power import GLITCH_AWARE, icarus_version
from siliquant.inputs import InputError, ToolError

from .dut import Bench, DesignUnderTest, Found, stored
from .keys import code_of
from .row import SynthesisRow, tool_versions
from .store import RowStore
from .sweep import RELAXED_MHZ, SweepDesign, clock_for, plans_for
from .table import CalibrationTable, Provenance

__all__ = [
    "LibraryChoice",
    "MeasuredPoint",
    "Task",
    "WorkerDiffers",
    "calibration_table",
    "known_points",
    "measure_task",
    "points_of",
    "signature",
]


class WorkerDiffers(ToolError):  # noqa: N818 (it says what was found)
    """A worker would not make the rows that it is asked for; the message says what differs."""


@dataclass(frozen=True)
class MeasuredPoint:
    """One design at one clock."""

    design: SweepDesign
    pressure: float
    found: Found


@dataclass(frozen=True)
class LibraryChoice:
    """How a library is found, here and on workers: by name, or as Liberty files."""

    name: str = "freepdk45"
    liberty: LibertyFiles | None = None
    pdk_dir: Path | None = None
    accept: bool = False

    def find(self) -> Library:
        """The library on this machine. Raises FileNotFoundError and ValueError as find_library."""
        return find_library(self.name, liberty=self.liberty, pdk_dir=self.pdk_dir, accept=self.accept)


@dataclass(frozen=True)
class Task:
    """What a worker is asked for: every point of one design in one library.

    signature: what the worker must agree with, as the function ``signature`` gives it.
    """

    design: SweepDesign
    library: LibraryChoice
    effort: str
    signature: tuple[tuple[str, str], ...]
    placing: Placing | None = None

    def __str__(self) -> str:
        return self.design.spec.name


def points_of(
    design: SweepDesign, find: Callable[[float, Sequence[StreamPlan]], Found | None]
) -> list[MeasuredPoint] | None:
    """The points of a design by what ``find`` gives for a clock in MHz and plans; None as soon as it gives None.

    The relaxed clock comes first; once a clock was missed, higher ones would give a netlist about as fast, and are
    left out.
    ValueError where the first pressure is not that of the relaxed clock, or OpenSTA is missing.
    """
    points: list[MeasuredPoint] = []
    clock_mhz = RELAXED_MHZ
    for pressure in design.pressures:
        if points:
            relaxed_ns = points[0].found.row.minimum_period_ns
            assert relaxed_ns is not None
            clock_mhz = clock_for(pressure, relaxed_ns)
        elif pressure != 1.0:
            raise InputError(f"the first pressure of {design.spec.name} must be 1.0, not {pressure}")
        found = find(clock_mhz, plans_for(design, pressure))
        if found is None:
            return None
        if found.row.minimum_period_ns is None:
            raise InputError("a calibration needs OpenSTA for timing and power: apt-get install opensta")
        points.append(MeasuredPoint(design, pressure, found))
        if not found.row.meets_clock:
            break
    return points


def known_points(design: SweepDesign, bench: Bench, store: RowStore) -> list[MeasuredPoint] | None:
    """The points of a design from the store alone; None where a row is missing. Generates no Verilog."""
    digest = store.verilog_of(design.spec)
    if digest is None:
        return None

    def find(clock_mhz: float, plans: Sequence[StreamPlan]) -> Found | None:
        found = stored(digest, plans, bench, clock_mhz, store, screen=False)
        return None if found is None or len(found.powered) < len(plans) else found

    return points_of(design, find)


def measure_task(task: Task) -> tuple[str, ...]:
    """The rows of a task as lines of JSON, from the worker's store or measured now and kept there.

    In the order in which they are to be stored: that without power last, as in :meth:`DesignUnderTest.at`. Raises
    WorkerDiffers, SynthesisError, TimingError, SimulationError and Mismatch.
    """
    try:
        library = _library(task.library)
    except (OSError, ValueError) as error:
        raise WorkerDiffers(f"the worker {platform.node()} does not find the library: {error}") from None
    here = dict(signature(library, task.design, task.placing))
    for name, value in task.signature:
        if here[name] != value:
            raise WorkerDiffers(f"{name} on the worker {platform.node()} must be {value}, not {here[name]}")
    bench = Bench(library, effort=task.effort, jobs=1, placing=task.placing)
    with DesignUnderTest(task.design.spec, bench, RowStore(), screen=False) as dut:
        points = points_of(task.design, dut.at) or []
    return tuple(row.to_json() for point in points for row in (*point.found.powered.values(), point.found.row))


def signature(library: Library, design: SweepDesign, placing: Placing | None = None) -> tuple[tuple[str, str], ...]:
    """What decides the rows of a design, by name: where two machines agree in it they make the same rows."""
    tools = tool_versions()
    plans = (str(plan) for pressure in design.pressures for plan in plans_for(design, pressure))
    return (
        ("library", library.use_sha256),
        ("generator", code_of(design.spec)),
        ("flow", _flow_sha256()),
        ("yosys", tools["yosys"]),
        ("opensta", tools["opensta"]),
        ("icarus", icarus_version() or "none"),
        ("streams", "; ".join(plans)),
        ("placement", "none" if placing is None else f"{placing.text}, coloquinte {placer_version()}"),
    )


def calibration_table(
    points: Iterable[MeasuredPoint], library: Library, *, command: str, date: str, left_out: Iterable[str] = ()
) -> CalibrationTable:
    """The table of some points. ``date``: of the table, where rows have none.

    Raises ValueError where there is no point, a row has no power, or rows are of another library or of several flows.
    """
    import pandas as pd

    found = [(point, plan, row) for point in points for plan, row in point.found.powered.items()]
    if not found:
        raise InputError("a calibration table must have at least one row")
    for point, _, row in found:
        if row.power_uw is None:
            why = library.no_power(row.histogram)
            mend = (
                f"its library states {why}" if why else "install OpenSTA (apt-get install opensta) and measure it again"
            )
            raise InputError(
                f"rows of a calibration must have power, but that of {point.design.spec.name} at {row.clock_mhz:g} MHz "
                f"has none: {mend}"
            )
        if row.library_use_sha256 != library.use_sha256:
            raise InputError(
                f"rows of a calibration must be of the library {library.name} ({library.use_sha256[:12]}), but that of "
                f"{point.design.spec.name} is of {row.library} ({row.library_use_sha256[:12]})"
            )
    rows = [row for _, _, row in found]
    lines = [_line(point, plan, row) for point, plan, row in found]
    frame = pd.DataFrame(lines).sort_values(["design", "spec", "pressure", "activity"], kind="stable")
    reasons = sorted({point.design.held_out for point, _, _ in found if point.design.held_out})
    provenance = Provenance(
        library=library.name,
        library_sha256=library.sha256,
        library_use_sha256=library.use_sha256,
        process=library.process,
        corner=library.corner,
        voltage_v=library.voltage_v,
        tools={
            tool: ", ".join(sorted({row.tools.get(tool, "none") for row in rows}))
            for tool in sorted({tool for row in rows for tool in row.tools})
        },
        flow_version=_one("flow_version", [row.flow_version for row in rows]),
        effort=_one("effort", [row.effort for row in rows]),
        wires=_one("wires", [row.wires for row in rows]),
        command=command,
        date=max((row.date for row in rows if row.date), default=date),
        designs=len({point.design.spec for point, _, _ in found}),
        points=len({(point.design.spec, point.pressure) for point, _, _ in found}),
        rows=len(rows),
        held_out={
            reason: sorted({point.design.spec.name for point, _, _ in found if point.design.held_out == reason})
            for reason in reasons
        },
        left_out=sorted(left_out),
    )
    return CalibrationTable(frame, provenance)


@cache
def _library(choice: LibraryChoice) -> Library:
    return choice.find()


@cache
def _flow_sha256() -> str:
    """A hash of the bytes of every source that can decide a row: those of this package, and what they share."""
    digest = hashlib.sha256()
    for package in ("hwmodel", "siliquant"):
        for name, file in sorted(_sources(resources.files(package), package), key=itemgetter(0)):
            digest.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _sources(folder: Traversable, place: str) -> Iterator[tuple[str, Traversable]]:
    for file in folder.iterdir():
        name = f"{place}/{file.name}"
        if file.is_dir():
            yield from _sources(file, name)
        elif name.endswith((".py", ".v")):
            yield name, file


def _line(point: MeasuredPoint, plan: StreamPlan, row: SynthesisRow) -> dict[str, Any]:
    """One row of the table; uW / MHz = pJ."""
    powers = (row.clock_uw, row.internal_uw, row.switching_uw, row.leakage_uw)
    if None in powers:
        raise InputError(f"the row of {point.design.spec.name} must have every power field")
    clock_uw, internal_uw, switching_uw, leakage_uw = (float(power or 0.0) for power in powers)
    moving_uw = internal_uw + switching_uw
    with_glitches = row.toggles == GLITCH_AWARE and row.settled_uw is not None
    settled_uw = float(row.settled_uw or 0.0) if with_glitches else moving_uw
    return {
        "design": row.design,
        "spec": point.design.spec.name,
        "parameters": json.dumps(point.design.spec.parameters, sort_keys=True, separators=(",", ":")),
        "held_out": point.design.held_out or "",
        "pressure": point.pressure,
        "clock_mhz": row.clock_mhz,
        "area_um2": row.area_um2,
        **asdict(row.parts),
        "minimum_period_ns": row.minimum_period_ns,
        "meets_clock": row.meets_clock,
        "recipe": row.recipe,
        "precision": str(plan.precision),
        "stream": plan.stream.label,
        "activity": str(plan),
        "toggles": GLITCH_AWARE if with_glitches else "zero-delay",
        "leakage_uw": leakage_uw,
        "clock_pj": clock_uw / row.clock_mhz,
        "settled_pj": settled_uw / row.clock_mhz,
        "glitch_pj": (moving_uw - settled_uw) / row.clock_mhz if with_glitches else math.nan,
        "idle_pj": math.nan if row.idle_uw is None else (row.idle_uw - leakage_uw) / row.clock_mhz,
        "power_uw": row.power_uw,
        "verilog_sha256": row.verilog_sha256,
    }


def _one(name: str, values: Iterable[Any]) -> Any:
    different = sorted(set(values))
    if len(different) > 1:
        raise InputError(f"rows of a calibration must have one {name}, not {' and '.join(map(str, different))}")
    return different[0]
