"""The calibration table of a library: what each design of the sweep costs at each clock, under each operand stream.

    <library>.csv     one row a design, clock and stream
    <library>.json    where the rows came from, and the sha256 of the CSV

Equal rows give equal bytes, whatever the order in which they were measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodel.netlist import AreaParts
from hwmodel.operands import Stream, StreamPlan
from rtl.array import CoreSpec
from rtl.mac import design_named
from rtl.manifests import core_from_parameters
from rtl.spec import MacSpec, Precision
from siliquant.files import write_atomically
from siliquant.inputs import (
    InputError,
    MissingFileError,
    belongs,
    csv_of,
    csv_records,
    json_object,
    read_bytes,
    read_text,
    short,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "PACKAGED_CALIBRATION",
    "CalibrationTable",
    "Provenance",
    "packaged_calibration",
    "read_calibration",
    "spec_of",
    "write_calibration",
]

_MOST_BYTES = 64 << 20
PACKAGED_CALIBRATION = Path(__file__).resolve().parents[1] / "data" / "calibration"
_PARTS = tuple(field.name for field in fields(AreaParts))
_TEXT, _FLAG = "text", "True or False"
_POSITIVE, _AMOUNT, _OPTIONAL = "a positive number", "a number of at least 0", "a number or empty"
_IDLE = "idle_pj"  # tables of older flows lack it
COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("design", "spec", "parameters", "held_out"), _TEXT),
    **dict.fromkeys(("pressure", "clock_mhz", "area_um2"), _POSITIVE),
    **dict.fromkeys(_PARTS, _AMOUNT),
    "minimum_period_ns": _POSITIVE,
    "meets_clock": _FLAG,
    **dict.fromkeys(("recipe", "precision", "stream", "activity", "toggles"), _TEXT),
    **dict.fromkeys(("leakage_uw", "clock_pj", "settled_pj"), _AMOUNT),
    **dict.fromkeys(("glitch_pj", _IDLE), _OPTIONAL),
    "power_uw": _POSITIVE,
    "verilog_sha256": _TEXT,
}
"""The columns in their order, and what they hold.

spec: the module's name. parameters: compact JSON. held_out: why the design is kept from the fit, or empty. Energies are
of one cycle: clock_pj of the clock pins, settled_pj internal and switching without glitches, glitch_pj what glitches
add (empty where they were not simulated). power_uw is all of them times clock_mhz, and leakage_uw. idle_pj: of a cycle
without operands, leakage left out; empty in tables of older flows, which had no such column.
"""
_CHOICES = {"held_out": ("", "family", "width", "lanes", "size", "array"), "toggles": ("glitch-aware", "zero-delay")}
_PATTERNS = {"verilog_sha256": r"[0-9a-f]{64}", "precision": r"w[1-8]a[1-8][su]", "stream": r".+, seed \d+"}
_DIGITS = 9  # significant, of every number


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a table came from.

    library_use_sha256: of the library's file, the cells left out of it and its full adder.  tools: versions by name;
    several where workers differed.  wires: as of rows.  date: ISO, of the newest row, or of the table where rows have
    none.  designs, points, rows: their numbers.  held_out: modules kept from the fit, by reason.  left_out: those of
    the sweep without rows.
    """

    library: str
    library_sha256: str
    library_use_sha256: str
    process: str
    corner: str
    voltage_v: float
    tools: Mapping[str, str]
    flow_version: int
    effort: str
    wires: str
    command: str
    date: str
    designs: int
    points: int
    rows: int
    held_out: Mapping[str, Sequence[str]]
    left_out: Sequence[str]


@dataclass(frozen=True, eq=False)
class CalibrationTable:
    """Rows with the columns :data:`COLUMNS`, checked and numbered from 0, and where they came from.

    ValueError where a column is missing, unknown or out of place, where a value is not what its column holds, where a
    design and its name, area and its parts, or power and energies do not agree, and where two rows are of one point and
    stream. The error counts lines as the file does: the header is line 1.
    """

    rows: pd.DataFrame
    provenance: Provenance

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", _checked(self.rows))

    def specs(self) -> tuple[MacSpec | CoreSpec, ...]:
        """The design of each row."""
        return _specs(self.rows)

    def plans(self) -> tuple[StreamPlan, ...]:
        """The operand stream of each row. ValueError for one that is not of this version, or recorded no more."""
        columns = (self.rows[name].tolist() for name in ("precision", "stream", "activity"))
        return tuple(_plan_of(*texts) for texts in zip(*columns, strict=True))


def write_calibration(table: CalibrationTable, folder: Path) -> tuple[Path, Path]:
    """Writes ``<library>.csv`` and ``<library>.json`` and returns their paths. Equal tables give equal bytes."""
    text = csv_of(table.rows).encode()
    about = asdict(table.provenance) | {"table_sha256": hashlib.sha256(text).hexdigest()}
    path = folder / f"{table.provenance.library}.csv"
    write_atomically(path, text)
    write_atomically(path.with_suffix(".json"), json.dumps(about, indent=1) + "\n")
    return path, path.with_suffix(".json")


def read_calibration(path: Path | str) -> CalibrationTable:
    """The table in ``path``, a CSV file, and its provenance beside it.

    Raises OSError where one of them cannot be read, ValueError where they do not belong together or are damaged.
    """
    import pandas as pd

    path = Path(path)
    text, beside = read_bytes(path, _MOST_BYTES), path.with_suffix(".json")
    names = [field.name for field in fields(Provenance)] + ["table_sha256"]
    with belongs(beside, "the provenance of a calibration table"):
        about = json_object(read_text(beside, _MOST_BYTES))
        if sorted(about) != sorted(names):
            raise InputError(f"its fields must be {', '.join(names)}")
    if about.pop("table_sha256") != hashlib.sha256(text).hexdigest():
        raise InputError(
            f"{path} must be the table that {beside.name} describes, but one of them was changed: "
            "write them again with python -m hwmodel.calibrate --table-only"
        )
    try:
        records = csv_records(text.decode(), tuple(name for name in COLUMNS if name != _IDLE))
        frame = pd.DataFrame(records, columns=list(records[0] if records else COLUMNS), dtype="str")
        if _IDLE not in frame.columns:
            frame.insert(list(COLUMNS).index(_IDLE), _IDLE, "")
        table = CalibrationTable(frame, Provenance(**about))
    except UnicodeDecodeError:
        raise InputError("must be text in UTF-8", file=path) from None
    except InputError as error:
        raise InputError(error.sentence, file=path, place=error.place) from None
    if len(table.rows) != table.provenance.rows:
        raise InputError(f"{path} must have {table.provenance.rows} rows, as {beside.name} says, not {len(table.rows)}")
    return table


def packaged_calibration(library: str, folder: Path = PACKAGED_CALIBRATION) -> CalibrationTable:
    """The table that comes with the package. FileNotFoundError, which says how to make one, where there is none."""
    path = folder / f"{library}.csv"
    if not path.is_file():
        raise MissingFileError(
            f"no calibration table of {library} comes with the package; make one with "
            f"python -m hwmodel.calibrate --library {library} and read build/calibration/{library}.csv"
        )
    return read_calibration(path)


def spec_of(design: str, parameters: str) -> MacSpec | CoreSpec:
    """The spec of a design's name and its parameters as JSON. ValueError for any that is unknown or out of range."""
    try:
        values = json_object(parameters)
    except InputError:
        raise InputError(f"the parameters of {design} must be a JSON object, not {short(parameters)}") from None
    return core_from_parameters(values) if design == CoreSpec.design else _mac(design, values)


def _mac(design: str, values: Mapping[str, Any]) -> MacSpec:
    chosen = design_named(design)
    known = [field.name for field in fields(chosen)]
    for name in values:
        if name not in known:
            raise InputError(f"the parameters of {design} must be among {', '.join(known)}, not {name!r}")
    return chosen(**values)


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if list(frame.columns) != list(COLUMNS):
        raise InputError(f"the columns of a calibration must be {', '.join(COLUMNS)}, not {', '.join(frame.columns)}")
    columns = {}
    for name, kind in COLUMNS.items():
        values = [_value(line, name, kind, value) for line, value in enumerate(frame[name].tolist(), start=2)]
        columns[name] = pd.Series(values, dtype={_TEXT: "str", _FLAG: "bool"}.get(kind, "float64"))
    made = pd.DataFrame(columns)
    for line, (spec, name) in enumerate(zip(_specs(made), made["spec"].tolist(), strict=True), start=2):
        if spec.name != name:
            raise InputError(f"line {line}: spec must be {spec.name}, as its parameters say, not {name}")
    energy_pj = made["clock_pj"] + made["settled_pj"] + made["glitch_pj"].fillna(0.0)
    sums = {
        "area_um2": made[list(_PARTS)].sum(axis="columns"),
        "power_uw": made["leakage_uw"] + energy_pj * made["clock_mhz"],
    }
    for name, total in sums.items():
        wrong = made.index[(made[name] - total).abs() > 1e-6 * made[name]].tolist()
        if wrong:
            raise InputError(f"line {wrong[0] + 2}: {name} must be {total[wrong[0]]:g}, the sum of its parts, not "
                             f"{made[name][wrong[0]]:g}")  # fmt: skip
    again = made.index[made.duplicated(["spec", "pressure", "activity"])].tolist()
    if again:
        raise InputError(f"line {again[0] + 2}: a design, pressure and activity must have one row, and this is another")
    return made


def _value(line: int, name: str, kind: str, value: Any) -> Any:
    """A value as its column holds it, from itself or from text."""
    good = True
    if kind == _TEXT:
        choices, pattern = _CHOICES.get(name), _PATTERNS.get(name, ".*")
        kind = f"one of {', '.join(map(repr, choices))}" if choices else f"text as {pattern}"
        good = isinstance(value, str) and (value in choices if choices else bool(re.fullmatch(pattern, value)))
    elif kind == _FLAG:
        good = str(value) in ("True", "False")
        value = str(value) == "True" if good else value
    else:
        try:
            number = float(f"{float(value if value != '' else math.nan):.{_DIGITS}g}")
        except (TypeError, ValueError):
            number, good = math.nan, False
        empty = math.isnan(number) and kind == _OPTIONAL
        good = good and (empty or (math.isfinite(number) and (kind == _OPTIONAL or number >= 0)))
        good = good and not (kind == _POSITIVE and number == 0)
        if good:
            value = number
    if not good:
        raise InputError(f"line {line}: {name} must be {kind}, not {short(value)}")
    return value


def _specs(rows: pd.DataFrame) -> tuple[MacSpec | CoreSpec, ...]:
    known: dict[tuple[str, str], MacSpec | CoreSpec] = {}
    for both in zip(rows["design"].tolist(), rows["parameters"].tolist(), strict=True):
        if both not in known:
            known[both] = spec_of(*both)
    return tuple(known[both] for both in zip(rows["design"].tolist(), rows["parameters"].tolist(), strict=True))


def _plan_of(precision: str, stream: str, activity: str) -> StreamPlan:
    name, _, seed = stream.rpartition(", seed ")
    widths = Precision(int(precision[1]), int(precision[3]), precision[4] == "s")
    lengths = re.search(r", sums of (\d+|the layers' own) products, (\d+) cycles", activity)
    if lengths:
        products = {"products": int(lengths[1])} if lengths[1].isdecimal() else {}
        plan = StreamPlan(widths, Stream(name, int(seed)), cycles=int(lengths[2]), **products)
        if str(plan) == activity:
            return plan
        raise InputError(f"the activity of a row must be one that can be made again, {plan}, not {activity}")
    raise InputError(f"the activity of a row must name a stream, its sums and cycles, not {activity!r}")
