"""Steps of a long job that is gone on with after any end: a step that is done is not done again.

What a step depends on (its command, its input files, the sources of the packages it runs) is hashed and noted before
it starts and again when it is done. So a step is done again when any of that changes, and an output that was begun
under other conditions is not taken for one of these.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from siliquant.commandline import working
from siliquant.files import write_atomically
from siliquant.inputs import InputError, ToolError
from siliquant.processes import EndedBySignalError, kill_program, module_command, start_program

__all__ = ["Command", "Step", "StepError", "perform"]

_TAIL = 12  # lines of a failed step that are shown


class StepError(ToolError):
    """A command ended with another exit code than 0."""

    def __init__(self, name: str, code: int, tail: str) -> None:
        super().__init__(f"step {name} failed with exit code {code}")
        self.code = code
        self.tail = tail


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that was run: as a shell takes it, the seconds it took, and the last line it printed."""

    name: str
    text: str
    seconds: float
    answer: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command: ``module`` of Python with ``arguments``.

    inputs, outputs: files. folder: what it fills, removed where it was begun under other conditions. resumable: goes
    on with a folder that has a run.json when it is given --resume. packages: whose sources decide what it does; tools:
    whatever else does, as text.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    outputs: tuple[Path, ...]
    packages: tuple[str, ...]
    tools: str = ""
    inputs: tuple[Path, ...] = ()
    folder: Path | None = None
    resumable: bool = False

    @property
    def text(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(["python", "-m", self.module, *self.arguments])

    def fingerprint(self) -> str:
        """sha256 over all that decides the outputs."""
        digest = hashlib.sha256(f"{self.text}\n{self.tools}".encode())
        for path in self.inputs:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        for package in self.packages:
            digest.update(_sources_sha256(package).encode())
        return digest.hexdigest()


def perform(step: Step, home: Path, console: Console, place: str) -> Command:
    """Runs the command of a step, or finds that it was run; its output goes to ``home``/logs. ``place`` is shown.

    A child is killed when this process is. Raises StepError where the command fails, EndedBySignalError where it is
    killed, ValueError where the folder to be filled holds something of another origin, OSError where nothing can be
    written.
    """
    note, wanted = home / "steps" / f"{step.name}.json", step.fingerprint()
    noted = _read(note)
    console.print(f"[bold]{place} {step.name}[/bold]  {escape(step.text)}", highlight=False, soft_wrap=True)
    if noted.get("fingerprint") == wanted and "done" in noted and all(path.exists() for path in step.outputs):
        found = Command(**noted["done"])
        console.print(f"    done before: {escape(found.answer)}", style="dim", highlight=False, soft_wrap=True)
        return found
    begun = noted.get("fingerprint") == wanted
    if step.folder is not None and step.folder.exists() and not begun:
        if not noted:
            raise InputError(f"{step.folder} must be made by this command, or not exist; choose another --out")
        shutil.rmtree(step.folder)
    write_atomically(note, json.dumps({"fingerprint": wanted}) + "\n")
    going_on = step.resumable and begun and step.folder is not None and (step.folder / "run.json").exists()
    arguments = [*step.arguments, *(["--resume"] if going_on else [])]
    start = time.monotonic()
    answer = _run(step, module_command(step.module, *arguments), home / "logs" / f"{step.name}.log", console)
    found = Command(name=step.name, text=step.text, seconds=round(time.monotonic() - start, 1), answer=answer)
    missing = [str(path) for path in step.outputs if not path.exists()]
    if missing:
        raise StepError(step.name, 1, f"it did not write {', '.join(missing)}")
    write_atomically(note, json.dumps({"fingerprint": wanted, "done": asdict(found)}) + "\n")
    console.print(f"    {found.seconds:.0f} s: {escape(answer)}", highlight=False, soft_wrap=True)
    return found


def _run(step: Step, command: list[str], log: Path, console: Console) -> str:
    """The last line that the command printed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=_TAIL)
    with start_program(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        try:
            with log.open("w") as stream, working(step.name, console, lines=None) as news:
                for line in process.stdout:
                    stream.write(line)
                    stream.flush()
                    if line.strip():
                        tail.append(line.rstrip())
                        news(line.strip())
        except BaseException:
            kill_program(process)
            raise
        code = process.wait()
    if code < 0:
        number = signal.Signals(-code)
        raise EndedBySignalError(f"step {step.name} was ended by {number.name}, signal {number.value}; run it again")
    if code != 0:
        raise StepError(step.name, code, "\n".join(tail))
    return tail[-1].strip() if tail else ""


def _read(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _sources_sha256(package: str) -> str:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    digest, root = hashlib.sha256(), Path(spec.origin).parent
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".c", ".cpp", ".h"):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()
