"""Compares the numbers in README.md and docs/ with what they come from: ``python -m docs_tools.numbers``.

They stand between markers (docs_tools.blocks), or in docs/data as tables for readers to download. They come from the
package's models and rows, from workloads, and from the results in reports/results. Exit code 1 where one differs;
--write puts all of them right.
"""

from __future__ import annotations

import importlib
import importlib.util
import operator
import re
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import ModuleType

from siliquant.commandline import Parser, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError

from .blocks import filled, places
from .commands import ROOT

__all__ = ["SOURCES", "differing", "main", "owner", "pages", "results_page", "wanted"]

PROG = "docs_tools.numbers"
EPILOG = """\
examples:
  python -m docs_tools.numbers                 what differs
  python -m docs_tools.numbers --write         everything anew, transcripts and diagrams too"""
SOURCES = (
    "directions", "calibration", "synthesis", "speed", "hardware", "network", "inference", "drains", "reviewer",
    "readme", "verification.proofs", "verification.mutants", "verification.fuzzing", "verification.faults",
    "verification.gatelevel", "verification.summary",
)  # fmt: skip
"""Modules of docs_tools.pages, each with the texts of the places whose names begin as it says (OWNS)."""


def pages() -> list[Path]:
    """Every page with places, README.md first."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _is_file(place: str) -> bool:
    """Whether a place is a table in docs/data, not a text in a page."""
    return place.endswith(".csv")


def _files(texts: Mapping[str, str]) -> list[tuple[Path, str]]:
    return [(ROOT / "docs" / "data" / place, f"{text}\n") for place, text in texts.items() if _is_file(place)]


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def source(name: str) -> ModuleType:
    """A module of docs_tools.pages."""
    return importlib.import_module(f"docs_tools.pages.{name}")


def owner(place: str) -> str:
    """The source of a place. Raises ValueError where it has none."""
    first = place.replace("-", ".").split(".")[0]
    for name in SOURCES:
        if first in source(name).OWNS:
            return name
    raise InputError(f"the place {place} must begin as one of a source: see OWNS in docs_tools/pages")


def wanted(name: str) -> dict[str, str]:
    """The texts of a source, as they should stand.

    Raises ValueError for one that is empty or nothing but zero: what is counted is there, so nothing was counted. A
    source names those that may be zero in MAY_BE_ZERO.
    """
    texts: Mapping[str, str] = source(name).texts()
    may = getattr(source(name), "MAY_BE_ZERO", ())
    for place, text in texts.items():
        if place not in may and not re.search(r"[1-9A-Za-z]", text):
            raise InputError(f"{place} of docs_tools.pages.{name} must not be {text.strip() or 'empty'!r}")
    return {place: text.strip("\n") for place, text in texts.items()}


def differing(name: str, texts: Mapping[str, str]) -> list[str]:
    """What of a source stands otherwise in the pages, one line each; and what stands nowhere, or has no text."""
    found = [f"{path.relative_to(ROOT)} differs" for path, text in _files(texts) if _read(path) != text]
    seen = set(filter(_is_file, texts))
    for page in pages():
        for place in places(page.read_text()):
            if owner(place.name) != name:
                continue
            seen.add(place.name)
            if place.name not in texts:
                found.append(f"{page.relative_to(ROOT)}: {place.name} has no text in docs_tools.pages.{name}")
            elif place.text != texts[place.name]:
                found.append(f"{page.relative_to(ROOT)}: {place.name} differs")
    return [*found, *(f"{place} of docs_tools.pages.{name} stands in no page" for place in sorted(set(texts) - seen))]


def results_page() -> str:
    """docs/results.md as benchmarks/qat_accuracy.py makes it of the kept training runs."""
    spec = importlib.util.spec_from_file_location("qat_accuracy", ROOT / "benchmarks" / "qat_accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return str(module.document())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    parser.add_argument("--write", action="store_true", help="write what differs, transcripts and diagrams too")
    parser.add_argument("--only", metavar="NAME", choices=SOURCES, help="where its numbers are, else all")
    options = parser.parse_args(arguments)
    names = SOURCES if options.only is None else (options.only,)
    if options.write:
        _write(names, whole=options.only is None)
        return
    lines = [line for name in names for line in differing(name, wanted(name))]
    if options.only is None and (ROOT / "docs" / "results.md").read_text() != results_page():
        lines.append("docs/results.md differs")
    print("\n".join(lines) or "every number is as it should be")
    sys.exit(bool(lines))


def _write(names: Sequence[str], *, whole: bool) -> None:
    texts: dict[str, dict[str, str]] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        texts[name] = wanted(name)
    for page in pages():
        old = page.read_text()
        kept = {place.name: place.text for place in places(old)}
        _write_if_new(page, filled(old, reduce(operator.or_, texts.values(), kept)))
    for name in names:
        for path, text in _files(texts[name]):
            _write_if_new(path, text)
    if whole:
        _write_if_new(ROOT / "docs" / "results.md", results_page())
        from . import diagrams, transcripts

        diagrams.write()
        print("transcripts ...", file=sys.stderr, flush=True)
        transcripts.write()
    left = [line for name in names for line in differing(name, texts[name])]
    print("\n".join(left) or "every number is as it should be")
    sys.exit(bool(left))


def _write_if_new(path: Path, text: str) -> None:
    if _read(path) != text:
        write_atomically(path, text)
        print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    run(PROG, main)
