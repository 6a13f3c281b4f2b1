"""Notebooks as pages: executed once, and shown with what they printed and drew."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from docs_tools.notebooks import execute, kept, page_of


def cell(kind: str, source: str, *outputs: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "id": str(abs(hash(source)))[:8], "metadata": {}, "source": source}
    return made | ({"execution_count": None, "outputs": list(outputs)} if kind == "code" else {})


def written(path: Path, *cells: Any) -> Path:
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": list(cells), "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_page_has_text_code_and_what_came_of_it() -> None:
    style = "<style scoped>\n  td { color: red }\n</style>"
    table = f'<div>\n{style}\n<table border="1" class="dataframe"><tr></tr></table>\n</div>'
    cells = [
        cell("markdown", "# One"),
        cell("code", "import warnings\n\nwarnings.simplefilter()"),
        cell(
            "code", "f()",
            {"output_type": "stream", "name": "stdout", "text": ["10 %\r100 %\n", "\x1b[1mbold\x1b[0m\n"]},
            {"output_type": "stream", "name": "stderr", "text": ["a bar"]},
            {"output_type": "stream", "name": "stdout", "text": "last\n"},
            {"output_type": "display_data", "data": {"image/png": b64encode(b"png").decode(), "text/plain": "Figure"}},
            {"output_type": "execute_result", "data": {"text/html": table, "text/plain": "table"}},
            {"output_type": "execute_result", "data": {"text/plain": "42"}},
        ),
    ]  # fmt: skip
    page, images = page_of({"cells": cells}, "one", True)
    assert page == (
        "# One\n\n*The notebook [one.ipynb](one.ipynb), with what it printed.*\n\n```python\nf()\n```\n\n"
        "```text\n100 %\nbold\nlast\n```\n\n![figure 1 of this notebook](one-1.png)\n\n<table><tr></tr></table>\n\n"
        "```text\n42\n```\n"
    )
    assert images == {"one-1.png": b"png"}
    page, _ = page_of({"cells": cells[:1]}, "one", False)
    assert page.endswith("*The notebook [one.ipynb](one.ipynb), not executed: `make docs` does that.*\n")


def test_a_notebook_is_executed_and_kept_until_it_changes(tmp_path: Path) -> None:
    path = written(tmp_path / "one.ipynb", cell("code", "import rtl.spec\nopen('x', 'w').close()\nprint(6 * 7)"))
    assert not kept(path, tmp_path / "kept").exists()
    found = execute(path, tmp_path / "kept")
    assert found == kept(path, tmp_path / "kept")
    page, _ = page_of(json.loads(found.read_text()), "one", True)
    assert page.endswith("```text\n42\n```\n")
    assert sorted(each.name for each in (tmp_path / "kept").rglob("*")) == [found.name, "run"]
    written(path, cell("code", "1 / 0"))
    assert kept(path, tmp_path / "kept") != found
    with pytest.raises(ValueError, match=r"^one\.ipynb must run, and ended with ZeroDivisionError: division by zero$"):
        execute(path, tmp_path / "kept")
