"""Scripts of benchmarks/ that take minutes find what they would measure; those that take seconds run."""

from __future__ import annotations

import re

import pytest

from tests.scripts import script


def test_wires_are_looked_at_in_eight_designs_of_one_throughput() -> None:
    wires = script("benchmarks/wires.py")
    entries = wires.compared(4)
    assert [entry.spec.label for entry in entries] == ["uniform 4x4", *(spec.label for spec in wires.DESIGNS)]
    assert all(entry.run_as.macs_per_cycle(entry.spec) >= wires.LANES for entry in entries)


def test_a_part_of_a_calibration_is_drawn_from_what_the_table_has(capsys: pytest.CaptureFixture[str]) -> None:
    script("benchmarks/calibration_parts.py").main(["--designs", "20"])
    found = re.findall(r"20 \u2502 +(\d+) \u2502 +(\d+) ", capsys.readouterr().out)
    ((measured, share),) = found
    assert 20 < int(measured) < 60
    assert 5 < int(share) < 50
