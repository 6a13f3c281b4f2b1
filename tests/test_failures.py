"""A test that fails is named as it fails: a run that is cut off has said which."""

import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).with_name("conftest.py")
TESTS = """
import pytest

def test_first():
    assert 1 == 2, "one is not two"

@pytest.fixture
def broken():
    raise ValueError("no fixture")

def test_second(broken):
    pass

def test_third():
    import os
    os._exit(9)
"""


def test_failures_are_said_before_the_end(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 9  # it was cut off, and has no summary
    said = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert [line.partition("FAILED ")[2] for line in said] == [
        "test_some.py::test_first - AssertionError: one is not two",
        "test_some.py::test_second (setup) - ValueError: no fixture",
    ]
