"""Shares the time among all targets, runs their cases, and keeps the smallest input of each fault."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from siliquant.inputs.errors import MOST_CHARACTERS, SiliquantError
from tests.fuzz.isolate import Fault, run_cases
from tests.fuzz.lines import LineTarget, line_targets
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import Target, targets

__all__ = ["campaign", "damaged", "read_damaged"]

_SECONDS = 15.0  # for one case
_SHRINKING = 20.0  # seconds for making one input smaller


def campaign(seed: int, seconds: float, only: str, out: Path) -> tuple[int, int]:
    """Runs everything whose name is or, where none is, holds ``only``; prints a line each, and returns the numbers of
    cases, at least one of each, and of faults.
    """
    every: list[Target | LineTarget] = [*targets(), *line_targets()]
    chosen = [target for target in every if target.name == only] or [target for target in every if only in target.name]
    if not chosen:
        raise SiliquantError(f"no reader or command has {only!r} in its name")
    end, total, count = time.monotonic() + seconds, 0, 0
    for place, target in enumerate(chosen):
        share = (end - time.monotonic()) / (len(chosen) - place)
        with tempfile.TemporaryDirectory(prefix="siliquant-fuzz-") as name:
            scratch = Path(name)
            case = _file_case(target, seed, scratch) if isinstance(target, Target) else target.case(seed, scratch)
            patient = isinstance(target, LineTarget) and target.patient
            cases, faults = run_cases(case, 0, time.monotonic() + max(share, 0.5), _SECONDS, patient=patient)
            count, total = count + cases, total + len(faults)
            print(f"{target.name}: {cases} cases, {len(faults)} faults", flush=True)
            for fault in _different(faults):
                _keep(target, seed, fault, scratch, out)
    print(f"{count} cases, {total} faults, seed {seed}", flush=True)
    return count, total


def damaged(target: Target, seed: int, number: int) -> tuple[Mapping[str, bytes], str]:
    """The files of a case, and which of them is damaged: decided by target, seed and number alone."""
    draw = random.Random(f"{target.name} {seed} {number}")
    seeds = _seeds(target)
    files = draw.choice(seeds)
    name = draw.choice(sorted(files))
    others = [content for each in seeds for content in each.values()]
    return {**files, name: mutated(files[name], draw, others)}, name


def read_damaged(target: Target, files: Mapping[str, bytes], name: str, folder: Path) -> str | None:
    """What is wrong with how the target reads the files; None where nothing is. Other exceptions pass."""
    shutil.rmtree(folder, ignore_errors=True)
    for file, content in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            target.read(folder, folder / name)
        except SiliquantError as error:
            if len(str(error)) > MOST_CHARACTERS:
                return f"an error text of {len(str(error))} characters"
    return None


@cache
def _seeds(target: Target) -> list[Mapping[str, bytes]]:
    return target.seeds()


def _file_case(target: Target, seed: int, scratch: Path) -> Callable[[int], str | None]:
    _seeds(target)  # in the parent, once
    return lambda number: read_damaged(target, *damaged(target, seed, number), scratch / "input")


def _different(faults: list[Fault]) -> list[Fault]:
    """The first fault of each kind: by the last line of its traceback, and where it was raised."""
    kinds: dict[tuple[object, ...], Fault] = {}
    for fault in faults:
        places = re.findall(r'File "([^"]+)", line (\d+)', fault.what)
        last = fault.what.strip().splitlines()[-1] if fault.what.strip() else ""
        kinds.setdefault((*places[-1:], last.split(":")[0]), fault)
    return list(kinds.values())


def _keep(target: Target | LineTarget, seed: int, fault: Fault, scratch: Path, out: Path) -> None:
    """Writes what fails, made smaller, with what happened."""
    folder = out / re.sub(r"\W+", "-", f"{target.name}-{seed}-{fault.number}")
    folder.mkdir(parents=True, exist_ok=True)
    told = f"{target.name}, seed {seed}, case {fault.number}\n\n{fault.what}\n"
    if isinstance(target, Target):
        files, name = damaged(target, seed, fault.number)
        files = {**files, name: _smaller(target, files, name, scratch)}
        for file, content in files.items():
            path = folder / "input" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        told = f"{told}\nthe damaged file: {name}\n"
    else:
        told = f"{told}\n{target.shown(seed, fault.number)}\n"
    (folder / "fault.txt").write_text(told)
    print(f"  {folder}: {fault.what.strip().splitlines()[-1][:200]}", flush=True)


def _smaller(target: Target, files: Mapping[str, bytes], name: str, scratch: Path) -> bytes:
    """The damaged file with parts left out while it still fails."""
    content, end = files[name], time.monotonic() + _SHRINKING

    def fails(part: bytes) -> bool:
        _, faults = run_cases(
            lambda _: read_damaged(target, {**files, name: part}, name, scratch / "smaller"), 0, end, 5, most=1
        )
        return bool(faults)

    size = len(content) // 2
    while size and time.monotonic() < end:
        start = 0
        while start < len(content) and time.monotonic() < end:
            part = content[:start] + content[start + size :]
            if fails(part):
                content = part
            else:
                start += size
        size //= 2
    return content
