"""What a larger cell should gain on a path, against OpenSTA's timing of it, and look-up of tables against scipy."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from hwmodel.liberty import Table, parse_liberty
from hwmodel.library import find_library
from hwmodel.synthesis import synthesise
from hwmodel.synthesis.recipes import Recipe
from hwmodel.synthesis.sizing import apply, meet_clock
from hwmodel.synthesis.sta import OpenSta, Stage, ToolMissing, analyse, find_opensta
from hwmodel.synthesis.strengths import _value, strengths_of
from rtl.mac import UniformSpec
from rtl.verilog import numbered_verilog

try:
    find_opensta()
except ToolMissing as reason:
    pytest.skip(str(reason), allow_module_level=True)

SPEC = UniformSpec(weight_bits=3, activation_bits=3, lanes=3)


def test_gains_are_nearly_those_of_opensta(tmp_path: Path) -> None:
    """Gains of the path itself: the slack at a pin where each larger cell of it is tried alone."""
    library = find_library()
    made = synthesise(numbered_verilog([SPEC]), SPEC.name, library, 500.0, recipe=Recipe("logic", "brent-kung", "keep"))
    (tmp_path / "mapped.v").write_text(made.verilog)
    larger = {small: large for family in library.families for small, large in pairwise(family)}
    strengths, said, found = strengths_of(library), [], []
    with OpenSta(library) as opensta:
        opensta.load(tmp_path / "mapped.v", SPEC.name, 0.1)
        path = opensta.critical_stages()
        before = opensta.slack_ns()
        for place, stage in enumerate(path):
            if stage.cell in larger:
                said.append(strengths.gain(path, place, larger[stage.cell]) * library.time_ns)
                opensta.replace({stage.instance: larger[stage.cell]})
                ends = opensta.ask(f"report_checks -path_delay max -through {stage.instance}/{stage.pin} -digits 6")
                slack = next(line for line in ends.splitlines() if "slack" in line).split()[0]
                found.append(float(slack) * library.time_ns - before)
                opensta.replace({stage.instance: stage.cell})
        assert opensta.slack_ns() == pytest.approx(before, abs=1e-9)
    assert len(said) > 5
    assert max(found) > 0.002
    assert np.corrcoef(said, found)[0, 1] > 0.9
    assert np.argmax(said) == np.argmax(found)
    assert np.median(np.abs(np.subtract(said, found))) < 0.002


def test_what_was_undone_is_not_in_the_netlist(tmp_path: Path) -> None:
    """Slack and area after sizing far beyond what is possible are those of the netlist with its replacements."""
    library = find_library()
    made = synthesise(numbered_verilog([SPEC]), SPEC.name, library, 500.0, recipe=Recipe("logic", "brent-kung", "keep"))
    path = tmp_path / "mapped.v"
    path.write_text(made.verilog)
    undone: list[str] = []
    with OpenSta(library) as opensta:
        opensta.load(path, SPEC.name, 0.6)
        replace_cell = opensta.replace

        def replacing(cells: Mapping[str, str]) -> float:
            undone.extend(cells)
            return replace_cell(cells)

        opensta.replace = replacing  # type: ignore[method-assign]
        sizing = meet_clock(opensta, library)
    assert len(undone) > len(sizing.replaced) > 5, "some were undone"
    assert sizing.slack_ns < 0
    apply(path, sizing.replaced)
    assert analyse(path, SPEC.name, library, 0.6).worst_slack_ns == pytest.approx(sizing.slack_ns, abs=1e-6)
    larger = {small: large for family in library.families for small, large in pairwise(family)}
    before = {name for cell in larger for name in (cell, larger[cell])}
    assert set(sizing.replaced.values()) <= before


def test_a_stage_that_the_tables_lack_is_no_gain() -> None:
    stage = Stage("u1", "A", "ZN", "INV_X1", 0.01, "rise", "fall", 0.01, 1.0)
    strengths = strengths_of(find_library())
    assert strengths.gain([stage], 0, "INV_X2") > 0
    assert strengths.gain([stage], 0, "NO_SUCH_CELL") == float("-inf")
    assert strengths.gain([replace(stage, cell="NO_SUCH_CELL"), stage], 1, "INV_X2") == float("-inf")


AXIS = st.lists(st.floats(0.001, 10.0), min_size=1, max_size=5, unique=True).map(sorted)


@given(AXIS, AXIS, st.floats(0.0, 12.0), st.floats(0.0, 12.0), st.integers(0, 1 << 30))
def test_tables_are_linear_between_and_beyond_their_points(
    slews: list[float], loads: list[float], slew: float, load: float, seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(0.0, 1.0, (len(slews), len(loads)))
    axes = {"input_net_transition": tuple(slews), "total_output_net_capacitance": tuple(loads)}
    group = parse_liberty("library (l) { }")
    found = _value(Table(group, axes, tuple(values.ravel())), slew, load)
    wide = [axis if len(axis) > 1 else [axis[0], axis[0] + 1.0] for axis in (slews, loads)]
    full = np.broadcast_to(values, [len(axis) for axis in wide])
    expected = RegularGridInterpolator(wide, full, bounds_error=False, fill_value=None)((slew, load))
    assert found == pytest.approx(float(expected), rel=1e-6, abs=1e-6 * np.abs(values).max() * 1e4)
