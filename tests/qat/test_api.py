"""``import qat``: light, the names of qat.api, and the quick start of the documentation."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import qat
from qat import api
from qat.integers import IntegerModel

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, folder: Path) -> str:
    command = [sys.executable, "-W", "error", "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_door_is_light_and_names_all_calls(tmp_path: Path) -> None:
    script = (
        "import sys, qat\n"
        "print(sorted({'numpy', 'torch', 'transformers'} & set(sys.modules)), dir(qat))\n"
        "print(qat.Scheme(2, 3).weight_bits, 'torch' in sys.modules)\n"
        "import qat.export, qat.train\n"
        "print(qat.load.__module__)\n"
    )
    first, second, third = run(script, tmp_path).splitlines()
    assert first.startswith("[] ")
    assert all(repr(name) in first for name in qat.__all__)
    assert second == "2 True"
    assert third == "qat.api"
    with pytest.raises(AttributeError, match=r"^module 'qat' has no attribute 'nothing'$"):
        qat.nothing  # type: ignore[attr-defined] # noqa: B018


def test_what_type_checkers_see_is_what_there_is() -> None:
    stub = ast.parse((ROOT / "qat" / "__init__.pyi").read_text())
    named = [alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert named == qat.__all__ == api.__all__


def program(name: str) -> str:
    """One that the documentation shows under that title."""
    found = re.search(rf'```python title="{name}"\n(.*?)```', (ROOT / "docs/training.md").read_text(), re.DOTALL)
    assert found
    return found[1]


def test_the_decoder_of_the_documentation_runs(tmp_path: Path) -> None:
    assert run(program("decoder.py"), tmp_path) == "True\n"


def test_the_quick_start_of_the_documentation_runs(tmp_path: Path) -> None:
    assert run(program("quick_start.py"), tmp_path) == "True\n"
    model = qat.load(tmp_path / "w4a4")
    assert {layer.right.bits for layer in IntegerModel.load(tmp_path / "integers").gemms()} == {(4,), (4, 4), (8,)}
    logits = model(pixel_values=torch.zeros(2, 1, 16, 16)).logits
    assert torch.equal(
        IntegerModel.load(tmp_path / "integers").logits({"pixel_values": torch.zeros(2, 1, 16, 16)}), logits
    )


def test_load_takes_a_run_and_refuses_what_holds_none(full_run: Path, tmp_path: Path) -> None:
    assert type(qat.load(full_run)).__name__ == "ViTForImageClassification"
    with pytest.raises(ValueError, match=r"must hold a config.json, but it does not$"):
        qat.load(tmp_path)
    with pytest.raises(ValueError, match=r"^the model must be quantised$"):
        qat.export_integers(qat.load(full_run), tmp_path)
