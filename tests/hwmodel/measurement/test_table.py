"""The calibration table: what becomes of rows, exact round trips, and every kind of damage named."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.measurement.dut import Found
from hwmodel.measurement.points import MeasuredPoint, calibration_table
from hwmodel.measurement.row import SynthesisRow
from hwmodel.measurement.sweep import SweepDesign, clock_for, plans_for, sweep_designs
from hwmodel.measurement.table import (
    COLUMNS,
    CalibrationTable,
    packaged_calibration,
    read_calibration,
    spec_of,
    write_calibration,
)
from hwmodel.netlist.area import AreaParts
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import DESIGNS as KNOWN
from rtl.mac import PaddedSpec, UniformSpec

COMMAND = "python -m hwmodel.calibrate --library freepdk45"
SPEC = UniformSpec(weight_bits=4, activation_bits=4, lanes=2)
DESIGNS = (
    SweepDesign(SPEC, None, (1.0, 1.15), "lsq-gaussian"),
    SweepDesign(PaddedSpec(units=3, gating=True), "lanes", (1.0,), "lsq-gaussian"),
)


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


def plain_row(design: SweepDesign, clock_mhz: float, library: Library) -> SynthesisRow:
    spec = design.spec
    return SynthesisRow(
        design=spec.design, spec=spec.parameters, library=library.name, library_sha256=library.sha256,
        library_use_sha256=library.use_sha256, corner=library.corner, clock_mhz=clock_mhz, area_um2=600.5,
        parts=AreaParts(100.0, 300.25, 100.0, 0.0, 90.0, 10.25), cells=77, histogram={"FA_X1": 77}, recipe="r",
        minimum_period_ns=1.25, slack_ns=1000.0 / clock_mhz - 1.25, meets_clock=clock_mhz <= 800.0,
        verilog_sha256=hashlib.sha256(spec.name.encode()).hexdigest(), tools={"yosys": "0.70", "python": "3.11.7"},
    )  # fmt: skip


def powered_row(row: SynthesisRow, plan: StreamPlan, **changed: object) -> SynthesisRow:
    """Leakage 2 uW, clock 0.3 pJ, the rest 0.7 pJ, of which 0.2 pJ are glitches."""
    mhz = row.clock_mhz
    figures = {
        "leakage_uw": 2.0, "clock_uw": 0.3 * mhz, "internal_uw": 0.4 * mhz, "switching_uw": 0.3 * mhz,
        "power_uw": 2.0 + 1.0 * mhz, "settled_uw": 0.5 * mhz, "toggles": "glitch-aware",
    }  # fmt: skip
    return row.with_power(str(plan), **(figures | changed))  # type: ignore[arg-type]


def points_of(designs: tuple[SweepDesign, ...], where: Library, **changed: object) -> list[MeasuredPoint]:
    found = []
    for design in designs:
        for pressure in design.pressures:
            row = plain_row(design, clock_for(pressure, 1.25), where)
            powered = {plan: powered_row(row, plan, **changed) for plan in plans_for(design, pressure)}
            found.append(MeasuredPoint(design, pressure, Found(row, powered)))
    return found


def table_of(points: list[MeasuredPoint], library: Library) -> CalibrationTable:
    return calibration_table(points, library, command=COMMAND, date="2026-01-02", left_out=["other"])


@pytest.fixture(scope="module")
def table(library: Library) -> CalibrationTable:
    return table_of(points_of(DESIGNS, library), library)


def test_rows_have_what_the_flow_measured_as_energies_of_a_cycle(table: CalibrationTable) -> None:
    rows = table.rows
    assert list(rows.columns) == list(COLUMNS)
    assert len(rows) == 2 + 1 + 4  # relaxed and under pressure; padded at three precisions and another stream
    row = rows[(rows["spec"] == SPEC.name) & (rows["pressure"] == 1.15)].iloc[0]
    found = row.to_dict()
    assert math.isnan(found.pop("idle_pj"))  # a row of the flow before states none
    assert found == {
        "design": "uniform", "spec": "uniform_w4_a4_l2", "held_out": "", "pressure": 1.15, "clock_mhz": 920.0,
        "parameters": '{"activation_bits":4,"lanes":2,"pipeline_stages":0,"reduction_length":4096,"weight_bits":4}',
        "area_um2": 600.5, "compressor_um2": 100.0, "logic_um2": 300.25, "operand_registers_um2": 100.0,
        "pipeline_registers_um2": 0.0, "accumulator_registers_um2": 90.0, "control_um2": 10.25,
        "minimum_period_ns": 1.25, "meets_clock": False, "recipe": "r", "precision": "w4a4s",
        "stream": "uniform, seed 0", "activity": "uniform, seed 0, w4a4s, sums of 768 products, 1024 cycles",
        "toggles": "glitch-aware", "leakage_uw": 2.0, "clock_pj": 0.3, "settled_pj": 0.5,
        "glitch_pj": 0.2, "power_uw": 922.0,
        "verilog_sha256": hashlib.sha256(SPEC.name.encode()).hexdigest(),
    }  # fmt: skip
    assert rows["held_out"].value_counts().to_dict() == {"lanes": 4, "": 3}
    kinds = {"True or False": "bool", "text": "str"}
    assert {name: str(kind) for name, kind in rows.dtypes.items()} == {
        name: kinds.get(kind, "float64") for name, kind in COLUMNS.items()
    }


def test_provenance_says_where_rows_came_from(table: CalibrationTable, library: Library) -> None:
    about = table.provenance
    assert (about.library, about.library_sha256, about.library_use_sha256, about.corner, about.voltage_v) == (
        "freepdk45", library.sha256, library.use_sha256, library.corner, 1.1,
    )  # fmt: skip
    assert (about.designs, about.points, about.rows, about.effort, about.command) == (2, 3, 7, "normal", COMMAND)
    assert about.held_out == {"lanes": ["padded_u3_w842_g1"]}
    assert about.left_out == ["other"]
    assert about.tools == {"python": "3.11.7", "yosys": "0.70"}
    assert about.date == "2026-01-02"
    points = points_of(DESIGNS, library)
    one = next(iter(points[0].found.powered))
    newer = replace(points[0].found.powered[one], date="2026-03-04", tools={"yosys": "0.70", "python": "3.13.0"})
    points[0] = replace(points[0], found=Found(points[0].found.row, {**points[0].found.powered, one: newer}))
    assert table_of(points, library).provenance.date == "2026-03-04"
    assert table_of(points, library).provenance.tools["python"] == "3.11.7, 3.13.0"


@pytest.mark.parametrize("changed", [{"toggles": None, "settled_uw": None}, {"toggles": "zero-delay"}])
def test_without_glitches_all_of_the_energy_is_settled(library: Library, changed: dict[str, None]) -> None:
    rows = table_of(points_of(DESIGNS[:1], library, **changed), library).rows
    assert set(rows["toggles"]) == {"zero-delay"}
    assert rows["settled_pj"].tolist() == pytest.approx([0.7] * len(rows))
    assert all(math.isnan(value) for value in rows["glitch_pj"])


def test_files_are_read_as_they_were_written_and_order_does_not_matter(
    table: CalibrationTable, library: Library, tmp_path: Path
) -> None:
    written = write_calibration(table, tmp_path)
    assert [path.name for path in written] == ["freepdk45.csv", "freepdk45.json"]
    again = read_calibration(written[0])
    pd.testing.assert_frame_equal(again.rows, table.rows)
    assert again.provenance == table.provenance
    other = table_of(points_of(DESIGNS, library)[::-1], library)
    for paths in (write_calibration(again, tmp_path / "again"), write_calibration(other, tmp_path / "other")):
        assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in written]
    zero = table_of(points_of(DESIGNS, library, toggles=None), library)
    pd.testing.assert_frame_equal(read_calibration(write_calibration(zero, tmp_path)[0]).rows, zero.rows)


def test_a_table_gives_designs_and_streams_back(library: Library) -> None:
    """All of the sweep: every design and parameter, every stream that is recorded."""
    designs = sweep_designs()
    table = table_of(points_of(designs, library), library)
    plans = {(d.spec, pressure): set(plans_for(d, pressure)) for d in designs for pressure in d.pressures}
    found: dict[object, set[StreamPlan]] = {key: set() for key in plans}
    for spec, pressure, plan in zip(table.specs(), table.rows["pressure"], table.plans(), strict=True):
        found[spec, pressure].add(plan)
    assert found == plans
    assert table.provenance.points == len(plans)


def test_a_stream_that_cannot_be_made_again_is_refused(table: CalibrationTable) -> None:
    rows = table.rows.copy()
    right = rows.loc[0, "activity"]
    rows.loc[0, "activity"] = f"{right}, recorded in other 0123"
    with pytest.raises(ValueError, match=f"can be made again, {right}, not {right}, recorded in other 0123$"):
        CalibrationTable(rows, table.provenance).plans()
    rows.loc[0, "activity"] = "counting"
    with pytest.raises(ValueError, match=r"^the activity of a row must name a stream, its sums and cycles, not 'count"):
        CalibrationTable(rows, table.provenance).plans()


BAD_ROWS = [
    ({"power_uw": None}, ("rows of a calibration must have power, but that of uniform_w4_a4_l2 at 10 MHz has none: "
                          "install OpenSTA (apt-get install opensta) and measure it again")),
    ({"clock_uw": None}, "the row of uniform_w4_a4_l2 must have every power field"),
    ({"power_uw": 13.0}, "line 2: power_uw must be 12, the sum of its parts, not 13"),
    ({"leakage_uw": -1.0}, "line 2: leakage_uw must be a number of at least 0, not -1.0"),
    ({"library_use_sha256": "ab" * 32, "library": "mine"}, "but that of uniform_w4_a4_l2 is of mine (abababababab)"),
    ({"minimum_period_ns": None}, "line 2: minimum_period_ns must be a positive number, not None"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "says"), BAD_ROWS, ids=[next(iter(changed)) for changed, _ in BAD_ROWS])
def test_rows_that_cannot_be_fitted_are_refused(library: Library, changed: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError) as caught:
        table_of(points_of(DESIGNS[:1], library, **changed), library)
    assert str(caught.value).endswith(says)


def test_rows_of_two_flows_and_no_rows_are_refused(library: Library) -> None:
    mixed = [*points_of(DESIGNS[:1], library), *points_of(DESIGNS[1:], library, effort="quick")]
    with pytest.raises(ValueError, match=r"^rows of a calibration must have one effort, not normal and quick$"):
        table_of(mixed, library)
    with pytest.raises(ValueError, match=r"^a calibration table must have at least one row$"):
        table_of([], library)
    twice = points_of(DESIGNS[1:], library) * 2
    with pytest.raises(ValueError, match=r"^line 3: a design, pressure and activity must have one row, and this is"):
        table_of(twice, library)


DAMAGE = [
    ("design", "systolic", f"design must be one of {', '.join(each.design for each in KNOWN)}, not 'systolic'"),
    ("parameters", '{"units":3,"__class__":1}', ("the parameters of padded must be among reduction_length, "
                                                 "pipeline_stages, half_adders, booth, units, widths, gating, not "
                                                 "'__class__'")),
    ("parameters", "[1]", "the parameters of padded must be a JSON object, not '[1]'"),
    ("parameters", "{", "the parameters of padded must be a JSON object, not '{'"),
    ("parameters", '{"units":"3"}', "units must be an integer from 1 to 256, not '3'"),
    ("parameters", '{"units":2}', ("line 2: spec must be padded_u2_w842_g0, as its parameters say, not "
                                   "padded_u3_w842_g1")),
    ("held_out", "mood", "line 2: held_out must be one of '', 'family', 'width', 'lanes', 'size', 'array', not 'mood'"),
    ("toggles", "", "line 2: toggles must be one of 'glitch-aware', 'zero-delay', not ''"),
    ("precision", "w9a4s", "line 2: precision must be text as w[1-8]a[1-8][su], not 'w9a4s'"),
    ("stream", "uniform", "line 2: stream must be text as .+, seed \\d+, not 'uniform'"),
    ("verilog_sha256", "ab", "line 2: verilog_sha256 must be text as [0-9a-f]{64}, not 'ab'"),
    ("clock_mhz", "0.0", "line 2: clock_mhz must be a positive number, not '0.0'"),
    ("clock_mhz", "", "line 2: clock_mhz must be a positive number, not ''"),
    ("clock_mhz", "inf", "line 2: clock_mhz must be a positive number, not 'inf'"),
    ("leakage_uw", "-1", "line 2: leakage_uw must be a number of at least 0, not '-1'"),
    ("settled_pj", "nan", "line 2: settled_pj must be a number of at least 0, not 'nan'"),
    ("glitch_pj", "many", "line 2: glitch_pj must be a number or empty, not 'many'"),
    ("glitch_pj", "inf", "line 2: glitch_pj must be a number or empty, not 'inf'"),
    ("meets_clock", "true", "line 2: meets_clock must be True or False, not 'true'"),
    ("logic_um2", "300.5", "line 2: area_um2 must be 600.75, the sum of its parts, not 600.5"),
    ("glitch_pj", "", "line 2: power_uw must be 10, the sum of its parts, not 12"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value", "says"), DAMAGE, ids=[f"{name}={value}" for name, value, _ in DAMAGE])
def test_damage_is_named_by_line_and_column(
    table: CalibrationTable, tmp_path: Path, column: str, value: str, says: str
) -> None:
    rows = table.rows.astype(object)
    rows.loc[0, column] = value
    path, beside = write_calibration(table, tmp_path)
    path.write_text(rows.to_csv(index=False))
    beside.write_text(
        json.dumps(json.loads(beside.read_text()) | {"table_sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    )
    with pytest.raises(ValueError) as caught:
        read_calibration(path)
    assert str(caught.value) == f"{path}: {says}"


def test_files_that_do_not_belong_together_are_refused(table: CalibrationTable, tmp_path: Path) -> None:
    path, beside = write_calibration(table, tmp_path)
    text, about = path.read_text(), json.loads(beside.read_text())
    path.write_text(text.replace("600.5", "600.6"))
    with pytest.raises(ValueError, match=r"must be the table that freepdk45.json describes, but one of them was"):
        read_calibration(path)
    path.write_text(text)
    beside.write_text(json.dumps(about | {"rows": 8}))
    with pytest.raises(ValueError, match=r"must have 8 rows, as freepdk45.json says, not 7$"):
        read_calibration(path)
    for wrong in ("[]", json.dumps(about | {"mood": "good"}), json.dumps({})):
        beside.write_text(wrong)
        with pytest.raises(ValueError, match=r"it must be an object|its fields must be library, library_sha256, "):
            read_calibration(path)
    beside.write_text("{")
    with pytest.raises(ValueError, match=r"must be the provenance of a calibration table: line 1: it is no JSON"):
        read_calibration(path)
    beside.unlink()
    with pytest.raises(FileNotFoundError):
        read_calibration(path)
    lacking = table.rows.drop(columns="recipe")
    with pytest.raises(ValueError, match=r"^the columns of a calibration must be design, spec, "):
        CalibrationTable(lacking, table.provenance)


def test_a_packaged_table_is_read_or_asked_for(table: CalibrationTable, tmp_path: Path) -> None:
    write_calibration(table, tmp_path)
    pd.testing.assert_frame_equal(packaged_calibration("freepdk45", tmp_path).rows, table.rows)
    with pytest.raises(FileNotFoundError) as caught:
        packaged_calibration("sky130hd", tmp_path)
    assert str(caught.value) == (
        "no calibration table of sky130hd comes with the package; make one with "
        "python -m hwmodel.calibrate --library sky130hd and read build/calibration/sky130hd.csv"
    )


def test_every_spec_of_the_sweep_comes_back_from_its_parameters() -> None:
    for design in sweep_designs():
        assert spec_of(design.spec.design, json.dumps(design.spec.parameters)) == design.spec
