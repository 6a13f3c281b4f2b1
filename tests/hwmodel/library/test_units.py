"""One library in other units: area, timing and power stay what they are, whatever tool reads the numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hwmodel.power.icarus import icarus_version
from hwmodel.synthesis.sta import opensta_version
from hwmodel.synthesise import main
from tests.hwmodel.library.smalllibrary import small_library

TABLE = re.compile(
    r"\b(cell_rise|cell_fall|rise_transition|fall_transition|rise_constraint|fall_constraint|rise_power|fall_power"
    r"|lu_table_template|power_lut_template)(\s*\([^)]*\)\s*\{)([^}]*)\}"
)


def scaled(text: str, factor: float) -> str:
    return re.sub(r"-?\d+\.?\d*(?:e[-+]?\d+)?", lambda number: f"{float(number[0]) * factor:.12g}", text)


def in_units(text: str, time: float, load: float) -> str:
    """The text with every time and load (and so every energy) multiplied."""

    def table(found: re.Match[str]) -> str:
        kind, head, body = found.groups()
        of_times = "constraint" in kind or "constrained" in body or ("template" in kind and "variable_2" not in body)
        factors = (time, time if of_times else load)
        body = re.sub(
            r"(index_([12])\s*\()([^)]*)", lambda axis: axis[1] + scaled(axis[3], factors[int(axis[2]) - 1]), body
        )
        value = load if "power" in kind else time
        body = re.sub(r"(values\s*\()([^)]*)", lambda values: values[1] + scaled(values[2], value), body)
        return f"{kind}{head}{body}}}"

    text = TABLE.sub(table, text)
    loads = r"(?:rise_|fall_|max_|default_max_)?capacitance|default_\w*pin_cap"
    for names, factor in ((loads, load), (r"(?:default_)?max_transition", time)):
        text = re.sub(
            rf"\b({names})(\s*:\s*)([^;]*)", lambda one, by=factor: one[1] + one[2] + scaled(one[3], by), text
        )  # type: ignore[misc]
    return text


UNITS = (
    (1e3, 1.0, '"1ps"', "(1,ff)"),
    (10.0, 1.0, '"0.1 ns"', "(1,ff)"),
    (1e2, 1e-3, '"10ps"', "(1000,FF)"),
    (1e3, 1e-2, '"1ps"', '("0.1pF")'),
)


@pytest.mark.skipif(
    opensta_version() is None or icarus_version() is None, reason="OpenSTA or Icarus Verilog is not installed"
)
def test_figures_do_not_depend_on_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Slews, loads and energies of every table, capacitances of pins and wires, in Yosys, OpenSTA and power."""

    def measured(text: str) -> dict[str, object]:
        path = tmp_path / "my.lib"
        path.write_text(text)
        main(["--liberty", str(path), "--bits", "2", "--lanes", "1", "--effort", "quick", "--clock-mhz", "1000",
              "--fresh", "--jobs", "1", "--format", "json"])  # fmt: skip
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    plain = measured(small_library())
    names = ("area_um2", "power_uw", "leakage_uw", "clock_uw", "internal_uw", "switching_uw")
    for time, load, time_unit, load_unit in UNITS:
        text = in_units(small_library(), time, load)
        other = measured(text.replace('"1ns"', time_unit).replace("(1,ff)", load_unit))
        assert {name: other[name] for name in names} == pytest.approx({name: plain[name] for name in names}, rel=1e-6)
        # A period is written to a femtosecond.
        assert other["minimum_period_ns"] == pytest.approx(plain["minimum_period_ns"], abs=1.01e-6)
        assert other["histogram"] == plain["histogram"]
