"""The notebooks as pages of the site: executed once, kept under what decides their outputs.

``python -m docs_tools.notebooks`` executes those that are not kept, as ``make docs`` asks for; the site shows what is
kept, and a notebook that is not as it is in the repository, without outputs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from siliquant.commandline import Parser, run
from siliquant.files import code_sha256, write_atomically
from siliquant.inputs import InputError

from .commands import ROOT

__all__ = ["execute", "kept", "main", "notebooks", "page_of", "shown"]

PROG = "docs_tools.notebooks"
_KEPT = ROOT / "build" / "notebooks"
_PACKAGES = ("rtl", "hwmodel", "sim", "qat", "reports", "siliquant")
_FILES = ("hwmodel/data", "hwmodel/yosys/maps", "reports/results", "reports/templates")
_MOST_SECONDS = 1200  # of one cell, on a machine that does much else


def notebooks() -> list[Path]:
    """The notebooks of the repository, in their order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def kept(path: Path, folder: Path = _KEPT) -> Path:
    """Where the executed notebook is kept, or will be: under its text, the code of all packages and the files that come
    with them.
    """
    digest = hashlib.sha256(path.read_bytes())
    digest.update(code_sha256([file for name in _PACKAGES for file in (ROOT / name).rglob("*.py")]).encode())
    for file in sorted(file for folder in _FILES for file in (ROOT / folder).rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return folder / f"{path.stem}-{digest.hexdigest()[:16]}.ipynb"


def execute(path: Path, folder: Path = _KEPT) -> Path:
    """Runs a notebook from clean in a folder of its own, and returns where it is kept with its outputs.

    Raises ValueError with the cell's error where one fails.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    found = kept(path, folder)  # of what is there now, whatever is edited meanwhile
    place = folder / "run" / path.stem
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=_MOST_SECONDS,
        resources={"metadata": {"path": str(place)}},
        extra_arguments=["--log-level=ERROR"],
    )
    environment = {"PYTHONPATH": str(ROOT), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    try:
        client.execute(env=os.environ | environment)
    except CellExecutionError as error:
        raise InputError(f"{path.name} must run, and ended with {error.ename}: {error.evalue}") from None
    for old in folder.glob(f"{path.stem}-*.ipynb"):
        old.unlink()
    write_atomically(found, nbformat.writes(notebook) + "\n")
    shutil.rmtree(place, ignore_errors=True)
    return found


def shown(path: Path) -> tuple[str, Mapping[str, bytes]]:
    """The page of a notebook and its images by name: as it is kept, or without outputs."""
    found = kept(path)
    return page_of(json.loads((found if found.exists() else path).read_text()), path.stem, found.exists())


def page_of(notebook: Mapping[str, Any], name: str, executed: bool) -> tuple[str, Mapping[str, bytes]]:
    """A notebook as Markdown, with its images by the names under which the page refers to them."""
    images: dict[str, bytes] = {}
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            if len(parts) == 1:
                how = "with what it printed" if executed else "not executed: `make docs` does that"
                parts.append(f"*The notebook [{name}.ipynb]({name}.ipynb), {how}.*")
            continue
        if not source.startswith("import warnings\n"):  # of bars that no page has
            parts.append(f"```python\n{source}\n```")
        parts += _outputs(cell["outputs"], name, images)
    return "\n\n".join(parts) + "\n", images


def _outputs(outputs: Sequence[Mapping[str, Any]], name: str, images: dict[str, bytes]) -> list[str]:
    """What a cell printed and drew; images are added to those that there are."""
    parts = []
    printed = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stdout")
    if printed:
        parts.append(_fenced(printed))
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            image = f"{name}-{len(images) + 1}.png"
            images[image] = b64decode("".join(data["image/png"]))
            parts.append(f"![figure {len(images)} of this notebook]({image})")
        elif "text/html" in data:
            table = re.sub(r"<style.*?</style>|</?div>", "", "".join(data["text/html"]), flags=re.DOTALL)
            parts.append(re.sub(r"<table[^>]*>", "<table>", table).strip())
        elif "text/plain" in data:
            parts.append(_fenced("".join(data["text/plain"])))
    return parts


def _fenced(text: str) -> str:
    """As a terminal shows it in the end: without colours, of a line that was written over the last version."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in plain.split("\n")]
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    Parser(prog=PROG, description=__doc__).parse_args(arguments)
    missing = [path for path in notebooks() if not kept(path).exists()]
    if missing:
        print(f"executing {', '.join(path.stem for path in missing)} ...", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(2) as pool:
        for path in pool.map(execute, missing):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    run(PROG, main)
