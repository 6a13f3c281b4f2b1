"""Two designs that are added as docs/extending.md says, in one file and one list: they pass what packaged ones do.

One has no -2 among its two-bit codes, the other gaps and codes of its own. They are added to a copy of the project, and
the tests that take their designs from the list are run there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs_tools.transcripts import files, project_copy

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "tests" / "rtl" / "own"
DESIGNS = {"ternary": "TernarySpec", "powers": "PowersSpec"}
BY_DESIGN = (
    "tests/rtl/array/test_array.py",
    "tests/rtl/array/test_passes.py",
    "tests/rtl/mac/test_mac.py",
    "tests/rtl/manifests/test_manifest.py",
    "tests/rtl/manifests/test_rebuild.py",
    "tests/rtl/spec/test_spec.py",
    "tests/rtl/verilog/test_lint.py",
    "tests/hwmodel/measurement/test_macs.py",
    "tests/hwmodel/model/test_structure.py",
    "tests/sim/mac/test_testbench.py",
)
SECONDS = 300


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose list has two designs more."""
    work = project_copy(tmp_path_factory.mktemp("own"))
    ternary = files((ROOT / "docs" / "extending.md").read_text())["rtl/mac/ternary.py"]
    (work / "rtl" / "mac" / "ternary.py").write_text(ternary)
    (work / "rtl" / "mac" / "powers.py").write_text((OWN / "powers.py").read_text())
    path = work / "rtl" / "mac" / "__init__.py"
    text = path.read_text()
    for module, name in DESIGNS.items():
        text = text.replace("from .uniform ", f"from .{module} import {name}\nfrom .uniform ", 1)
        text = text.replace("    XnorSpec,\n", f"    XnorSpec,\n    {name},\n", 1)
    path.write_text(text)
    return work


def passed(work: Path, *arguments: str) -> list[str]:
    """The tests that pass of a run in the copy, in which none may fail."""
    command = [sys.executable, "-W", "error", "-m", "pytest", "-n0", "-v", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=work, env=os.environ | {"PYTHONPATH": str(work)}, capture_output=True, text=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return re.findall(r"^(\S+::.+) PASSED", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_tests_by_design_pass(copy: Path) -> None:
    found = passed(copy, *BY_DESIGN, "-k", " or ".join(DESIGNS))
    for module in BY_DESIGN:
        for name in DESIGNS:
            assert any(test.startswith(f"{module}::") and name in test for test in found), (module, name)


@pytest.mark.slow
def test_what_else_packaged_designs_do(copy: Path) -> None:
    assert len(passed(copy, "tests/rtl/own/checks.py")) >= 17
