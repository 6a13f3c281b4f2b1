"""Commands and options in README.md, docs/*.md and the text of the notebooks, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb")),
)  # fmt: skip
_STARTS = re.compile(r"(?:\.venv/bin/)?(?:python3?|siliquant|torchrun|make)\s")
_FENCE = re.compile(r"^( *)(```+|~~~+).*?\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)
_TRANSCRIPT = re.compile(r"^```console\n.*?^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """One command. words: as a shell splits them, the program first; its variables are filled in."""

    document: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {shlex.join(self.words)}"[:150]


def commands(path: Path) -> list[Documented]:
    """Of the blocks of a document, indented or fenced, and of code in its text; not those with a gap (``...``).

    Transcripts are left to tests/docs_tools/test_transcripts.py, which runs them, among files that their page writes.
    """
    text = _TRANSCRIPT.sub(lambda match: "\n" * match[0].count("\n"), _text(path))
    found = []
    for line, block in _blocks(text):
        variables: dict[str, str] = {}
        joined = block.replace("\\\n", "  ")
        for offset, raw in enumerate(joined.split("\n")):
            command = raw.strip().removeprefix("$ ")
            if assigned := re.fullmatch(r"([A-Z]+)=\"(.*)\"", command):
                variables[assigned[1]] = assigned[2]
            elif _STARTS.match(command):
                for name, value in variables.items():
                    command = command.replace(f"${name}", value)
                found.append((line + offset, command))
    for line, span in _spans(text):
        if _STARTS.match(f"{span} "):
            found.append((line, span))
    name = str(path.relative_to(ROOT))
    split = [(line, _words(command)) for line, command in found]
    return [Documented(name, line, words) for line, words in split if not {"...", "COMMAND", "MODULE"} & set(words)]


def _text(path: Path) -> str:
    """A document, or the text of a notebook."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def _words(command: str) -> tuple[str, ...]:
    """The words of a command, up to where its output goes."""
    words = shlex.split(command, comments=True)
    ends = [place for place, word in enumerate(words) if word in (">", "|", "&&", ";")]
    return tuple(words[: min(ends, default=len(words))])


def options(path: Path) -> Iterator[tuple[int, str]]:
    """Names of options in the code of a text, with their lines."""
    text = _text(path)
    for line, code in (*_blocks(text), *_spans(text)):
        for name in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", code):
            yield line, name


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Line and content of every fenced or indented block."""
    for match in _FENCE.finditer(text):
        yield text.count("\n", 0, match.start(3)) + 1, match[3]
    rest = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in re.finditer(r"(?:(?:^|(?<=\n))(?:    .*|[ ]*)(?:\n|$))+", rest):
        if match[0].strip():
            yield rest.count("\n", 0, match.start()) + 1, match[0]


def _spans(text: str) -> Iterator[tuple[int, str]]:
    """Line and content of every piece of code within the text, on one line."""
    rest = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    rest = re.sub(r"(?m)^    .*$", "", rest)
    for match in re.finditer(r"(?<!`)`([^`]+)`(?!`)", rest):
        yield rest.count("\n", 0, match.start()) + 1, " ".join(match[1].split())
