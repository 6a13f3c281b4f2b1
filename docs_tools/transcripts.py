"""Transcripts in the pages: commands and what they print, run again in a copy of the project.

A fenced block with a title is a file, which is written there first. A transcript is a fenced block of the kind
``console``. Lines that begin with "$ " are commands, lines that begin with
"> " go on with the command before them, all others are what it prints. A comment ``<!-- varies -->`` before the block
says that its numbers depend on the machine: then only what is between numbers is compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from siliquant.files import write_atomically
from siliquant.inputs import InputError

from .commands import ROOT

__all__ = ["Session", "alike", "files", "pages", "project_copy", "sessions", "write", "written_anew"]

_BLOCK = re.compile(r"(?P<varies><!-- varies -->\n)?^```console\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r'^```\w+ title="(?P<path>[\w./]+)"\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")
_RULED = re.compile(r"[ ─━-]{2,}")
_MADE = ("build", "runs", "integer", "out", "dist")
_SECONDS = 300


@dataclass(frozen=True)
class Session:
    """One block: pairs of a command, as a shell takes it, and what it prints."""

    steps: tuple[tuple[str, str], ...]
    varies: bool


def pages() -> list[Path]:
    """The pages that have transcripts."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if _BLOCK.search(page.read_text())]


def sessions(page: str) -> Iterator[Session]:
    """The transcripts of a page, in order. Raises ValueError for a block that does not begin with a command."""
    for block in _BLOCK.finditer(page):
        steps: list[tuple[list[str], list[str]]] = []
        for line in block["text"].splitlines():
            if line.startswith("$ "):
                steps.append(([line[2:]], []))
            elif not steps:
                raise InputError(f"a transcript must begin with a command, not with {line!r}")
            elif (line == ">" or line.startswith("> ")) and not steps[-1][1]:
                steps[-1][0].append(line[2:])
            else:
                steps[-1][1].append(line)
        yield Session(
            tuple(("\n".join(command), "\n".join(said)) for command, said in steps), block["varies"] is not None
        )


def written_anew(page: str, folder: Path) -> str:
    """The page with what its commands print now, run one after the other in ``folder``, which must be empty.

    Raises ValueError where a command fails.
    """
    work = project_copy(folder)
    for path, text in files(page).items():
        write_atomically(work / path, text)
    fresh = iter([_block(session, work) for session in sessions(page)])
    return _BLOCK.sub(lambda block: (block["varies"] or "") + next(fresh), page)


def alike(old: str, new: str) -> bool:
    """Whether two versions of a page differ in nothing but numbers of transcripts that vary."""
    return _masked(old) == _masked(new)


def write() -> None:
    """Rewrites every page whose transcripts are not what the commands print."""
    for page in pages():
        old = page.read_text()
        with TemporaryDirectory() as folder:
            new = written_anew(old, Path(folder))
        if not alike(old, new):
            write_atomically(page, new)
            print(f"{page.relative_to(ROOT)} written")


def _masked(page: str) -> str:
    """The page with a sign for every number and rule of the transcripts that vary."""

    def mask(block: re.Match[str]) -> str:
        return _RULED.sub(" ", _NUMBER.sub("#", block[0])) if block["varies"] else block[0]

    return _BLOCK.sub(mask, page)


def files(page: str) -> dict[str, str]:
    """The blocks of a page that have a title, by their paths."""
    return {file["path"]: file["text"] for file in _FILE.finditer(page)}


def project_copy(folder: Path) -> Path:
    """A folder that looks like the project: its packages are copies, all else are links to it.

    The cache beside it is empty.
    """
    work, tools, cache = (folder / name for name in ("siliquant", "bin", "cache"))
    for each in (work, tools, cache):
        each.mkdir()
    for entry in ROOT.iterdir():
        if entry.name in _MADE or entry.name.startswith("."):
            continue
        if (entry / "__init__.py").exists():
            shutil.copytree(entry, work / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (work / entry.name).symlink_to(entry)
    for name, module in (("python", ""), ("siliquant", "-m siliquant ")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        (tools / name).chmod(0o755)
    return work


def _block(session: Session, work: Path) -> str:
    lines = []
    for command, _ in session.steps:
        first, *more = command.splitlines()
        lines += [f"$ {first}", *(f"> {line}" for line in more), *_said(command, work).splitlines()]
    return "\n".join(["```console", *(line.rstrip() for line in lines), "```"])


def _said(command: str, work: Path) -> str:
    environment = os.environ | {
        "PATH": f"{work.parent / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(work),
        "SILIQUANT_CACHE_DIR": str(work.parent / "cache"),
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise InputError(f"{command} must succeed, and said: {done.stdout}{done.stderr}".strip())
    return done.stdout
