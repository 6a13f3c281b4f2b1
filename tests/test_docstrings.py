"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rtl", "hwmodel", "sim", "qat", "reports", "siliquant", "docs_tools")


def with_examples() -> list[str]:
    """Modules that have examples, by name."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
        if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_give_what_they_say(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert found.failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "rtl.spec.mac", "rtl.mac.uniform", "rtl.mac.padded", "rtl.mac.subword", "rtl.mac.bitfusion", "rtl.mac.bitblade",
        "rtl.mac.bitserial", "rtl.mac.loom", "rtl.mac.xnor", "rtl.array.spec", "rtl.requant.thresholds",
        "hwmodel.model.estimates", "hwmodel.model.model", "hwmodel.workload.files", "hwmodel.workload.assignment",
        "hwmodel.workload.mixture", "qat.quantisers.granularity",
    ],
)  # fmt: skip
def test_what_a_user_starts_with_has_examples(name: str) -> None:
    assert name in with_examples()


def test_examples_about_hardware_load_no_torch() -> None:
    names = [name for name in with_examples() if name.split(".")[0] in ("rtl", "hwmodel")]
    code = (
        "import doctest, importlib, sys\n"
        f"for name in {names!r}:\n"
        "    assert doctest.testmod(importlib.import_module(name)).failed == 0\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
