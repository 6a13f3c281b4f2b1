"""The notebooks run from clean without an error or a warning, and are committed without what they print."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reports import lessons
from tests.caches import with_runtime

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STRIPPED = [sys.executable, "-m", "nbstripout", "--verify"]
MOST_SECONDS = 600  # of one cell, on a machine that does much else


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_there_are_five() -> None:
    assert [path.name[:3] for path in NOTEBOOKS] == ["01-", "02-", "03-", "04-", "05-"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_clean(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cache of its own, in a folder of its own. Where a tool is missing, a notebook says so and goes on."""
    if "from qat" in path.read_text() and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    from nbmake.nb_run import NotebookRun

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(with_runtime(tmp_path / "cache")))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    copy = Path(shutil.copy(path, tmp_path))
    found = NotebookRun(copy, MOST_SECONDS).execute()
    assert found.error is None, found.error.trace
    outputs = [output for cell in found.nb.cells if cell.cell_type == "code" for output in cell.outputs]
    warned = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert warned == []
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_nothing_that_was_printed_is_committed() -> None:
    done = subprocess.run([*STRIPPED, *map(str, NOTEBOOKS)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_was_printed_would_be_found(tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOKS[0].read_text())
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    for change in (
        {"outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}]},
        {"execution_count": 1},
    ):
        before = {name: code[name] for name in change}
        code.update(change)
        path = tmp_path / "printed.ipynb"
        path.write_text(json.dumps(notebook))
        assert subprocess.run([*STRIPPED, str(path)], capture_output=True, check=False).returncode == 1
        code.update(before)


def test_the_hook_is_of_the_version_that_is_tested() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    found = re.search(r"repo: https://github\.com/kynan/nbstripout\n    rev: (\S+)\n", hooks)
    assert found is not None
    assert f"nbstripout=={found[1]}\n" in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_teaches(path: Path) -> None:
    """A title, prose before code, and of code only what the lesson is about: figures are drawn by reports.lessons."""
    prose = ["".join(cell["source"]) for cell in cells(path, "markdown")]
    assert re.match(rf"# {int(path.name[:2])}\. \w", prose[0])
    assert sum(text.startswith("## ") for text in prose) >= 3
    code = "\n".join("".join(cell["source"]) for cell in cells(path, "code"))
    assert "matplotlib" not in code
    drawn = set(re.findall(r"\bdraw_\w+", code))
    assert len(drawn) >= 2
    assert drawn <= set(lessons.__all__)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 75


def test_every_lesson_is_used() -> None:
    text = "".join(path.read_text() for path in NOTEBOOKS)
    assert [name for name in lessons.__all__ if not re.search(rf"\b{name}\(", text)] == []


def test_every_notebook_is_linked_from_the_readme_and_the_docs() -> None:
    for page, folder in ((ROOT / "README.md", "notebooks"), (ROOT / "docs" / "notebooks.md", "../notebooks")):
        linked = re.findall(rf"\]\({re.escape(folder)}/([\w-]+\.ipynb)\)", page.read_text())
        assert linked == [path.name for path in NOTEBOOKS]
