"""A model that is fitted to the first part of the sweep: which designs, how far it is off, and what says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodel.calibrate import main as calibrate
from hwmodel.comparison import Question, model_answer
from hwmodel.comparison.terminal import basis_of
from hwmodel.fit import FEWEST_DESIGNS, fit_table, held_out_error
from hwmodel.measurement import CalibrationTable, first_designs, packaged_calibration, sweep_designs
from hwmodel.model import cost_of, load_model
from rtl.mac import UniformSpec
from rtl.spec import Precision
from siliquant.inputs import InputError
from tests.currentflow import needs_table_of_this_flow

ALL = sum(design.held_out is None for design in sweep_designs())


def part(fitted: int) -> CalibrationTable:
    """The packaged table of the default library without the rows that a part of the sweep leaves out."""
    whole = packaged_calibration("freepdk45")
    names = {design.spec.name for design in first_designs(fitted)}
    rows = whole.rows[whole.rows["spec"].isin(names)].reset_index(drop=True)
    about = whole.provenance
    held_out = {reason: [name for name in each if name in names] for reason, each in about.held_out.items()}
    left_out = sorted(set(whole.rows["spec"]) - names)
    return CalibrationTable(
        rows,
        replace(
            about, designs=len(names), rows=len(rows), points=len(rows.drop_duplicates(["spec", "pressure"])),
            held_out={reason: each for reason, each in held_out.items() if each}, left_out=left_out,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("fitted", [1, 20, 40, ALL])
def test_a_part_is_the_beginning_of_the_sweep(fitted: int) -> None:
    found = first_designs(fitted)
    assert found == sweep_designs()[: len(found)]
    assert sum(design.held_out is None for design in found) == fitted
    assert found[-1].held_out is None


def test_the_whole_sweep_has_an_end() -> None:
    for count in (0, ALL + 1):
        with pytest.raises(InputError, match=rf"^designs must be 1 to {ALL}, those of the sweep that are fitted, not"):
            first_designs(count)


@pytest.mark.parametrize("text", ["19", "0", "-1", "1000", "x", "20.5"])
def test_fewer_designs_than_a_fit_needs_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^designs must be an integer from 20 to"):
        calibrate(["--designs", text, "--table-only", "--out", str(tmp_path / "out")])
    assert FEWEST_DESIGNS == 20


@needs_table_of_this_flow("freepdk45")
def test_a_part_gives_a_model_with_its_error_and_answers_that_say_so() -> None:
    table = part(FEWEST_DESIGNS)
    model = fit_table(table)
    assert model.provenance["fitted_designs"] == "20"
    assert int(model.provenance["left_out_designs"]) == len(table.provenance.left_out) > 80
    question = Question(UniformSpec(), (Precision(4, 4),))
    assert model_answer(question, model, 500.0).source.startswith("model of 20 designs")
    packaged = load_model("freepdk45")
    assert "left_out_designs" not in packaged.provenance
    assert model_answer(question, packaged, 500.0).source == "model"
    said = held_out_error(table, model)
    assert said.startswith("mean error on 8 designs that were held out: area ")

    # The area's mean, counted anew: each netlist once, against what the model says of it.
    rows = table.rows
    off = {}
    for spec, plan, row in zip(table.specs(), table.plans(), rows.to_dict("records"), strict=True):
        if row["held_out"]:
            cost = cost_of(spec, plan, model, row["clock_mhz"])  # type: ignore[arg-type]
            off[row["spec"], row["clock_mhz"]] = 100 * abs(cost.total_area_um2 / row["area_um2"] - 1)
    errors = np.array(list(off.values()))
    assert f"area {errors.mean():.1f} % (at most {errors.max():.1f} %, {len(errors)} points)" in said


@needs_table_of_this_flow("freepdk45")
def test_a_model_without_held_out_designs_knows_no_error() -> None:
    table = part(FEWEST_DESIGNS)
    fitted = table.rows[table.rows["held_out"] == ""].reset_index(drop=True)
    about = replace(table.provenance, held_out={}, designs=20, rows=len(fitted))
    bare = CalibrationTable(fitted, replace(about, points=len(fitted.drop_duplicates(["spec", "pressure"]))))
    assert held_out_error(bare, fit_table(bare)) == "no design was held out, so its error is not known"


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["measured", "measured"], "measured by synthesis"),
        (["model", "model, out of range"], "estimated by the cost model"),
        (["model of 20 designs, out of range"], "estimated by the cost model, fitted to 20 designs only"),
    ],
)
def test_a_comparison_says_on_how_many_designs_it_stands(sources: list[str], said: str) -> None:
    class Row:
        def __init__(self, source: str) -> None:
            self.source = source

    assert basis_of([Row(source) for source in sources]) == said  # type: ignore[misc]
