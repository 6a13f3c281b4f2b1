"""Runs cases in a child process that may die, hang or grow, and says which case it was."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GROWTH_BYTES", "Fault", "run_cases"]

GROWTH_BYTES = 2 << 30
"""Memory that a case may add to that of the process that runs it, in use at any moment that is looked at."""
_ADDRESSES = 16 << 30  # address space that it may add: threads reserve what they do not use
_LOOKS = 0.1  # seconds between looks at the memory
_WORKING = 0.2  # of a processor, used by what is at work and not waiting


@dataclass(frozen=True)
class Fault:
    """A case that did what none may. what: its traceback, or how the process ended."""

    number: int
    what: str


def run_cases(
    case: Callable[[int], str | None],
    first: int,
    until: float,
    seconds: float,
    most: int = 1 << 62,
    *,
    patient: bool = False,
) -> tuple[int, list[Fault]]:
    """Runs ``case(first)``, ``case(first + 1)`` ... until the clock (time.monotonic) shows ``until``,
    or up to ``case(most - 1)``. patient: cases may take longer as long as they work; they are ended without a fault.

    A case returns None, or what is wrong; an exception, ``seconds`` without an end, GROWTH_BYTES more and the end of
    the process are faults too. Returns the number of the next case and the faults.
    """
    faults: list[Fault] = []
    while time.monotonic() < until and first < most:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(case, range(first, most), until, writer)
        os.close(writer)
        first, fault = _watch(child, reader, first, seconds, patient)
        if fault is not None:
            faults.append(fault)
            first = fault.number + 1
    return first, faults


def _child(case: Callable[[int], str | None], numbers: range, until: float, writer: int) -> None:
    """Runs cases and writes a line for each that begins; never returns."""
    os.setsid()
    faulthandler.disable()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _ADDRESSES, size + _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for number in numbers:
            os.write(writer, b"%d\n" % number)
            wrong = case(number)
            if wrong is not None:
                os.write(writer, f"!{wrong[:3000]}\0".encode(errors="replace"))
                break
            if time.monotonic() > until:
                os.write(writer, b"%d\n" % (number + 1))
                break
        else:
            os.write(writer, b"%d\n" % numbers.stop)
    except BaseException:
        gc.collect()
        os.write(writer, f"!{traceback.format_exc()[-3000:]}\0".encode(errors="replace"))
    finally:
        sys.stdout.flush()
        os._exit(0)


def _watch(child: int, reader: int, first: int, seconds: float, patient: bool) -> tuple[int, Fault | None]:
    """Reads what a child writes until it ends, is silent for too long, or grows too much."""
    said, number, wrong = b"", first, ""
    begun, before = time.monotonic(), _resident(child)
    while True:
        ready, _, _ = select.select([reader], [], [], _LOOKS)
        if _resident(child) - before > GROWTH_BYTES:
            wrong = f"more than {GROWTH_BYTES} bytes of memory"
        elif not ready and time.monotonic() - begun > seconds:
            wrong = f"no end within {seconds:g} s"
            if patient and _processor_seconds(child) > _WORKING * seconds:
                wrong = "at work"
        if wrong:
            os.killpg(child, signal.SIGKILL)
            break
        if not ready:
            continue
        part = os.read(reader, 1 << 16)
        if not part:
            break
        begun = time.monotonic()
        said = (said + part)[-(1 << 17) :]
        if b"!" not in said:
            lines = said.split(b"\n")
            if len(lines) > 1:
                number, said = int(lines[-2]), lines[-1]
    os.close(reader)
    _, status = os.waitpid(child, 0)
    head, mark, told = said.partition(b"!")
    if head.strip():
        number = int(head.split()[-1])
    if mark:
        return number, Fault(number, told.rstrip(b"\0").decode(errors="replace"))
    if wrong == "at work":
        return number + 1, None
    if wrong or status != 0:
        return number, Fault(number, wrong or f"the process ended with status {status}")
    return number, None


def _resident(process: int) -> int:
    """Bytes of memory that a process uses; 0 where it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def _processor_seconds(process: int) -> float:
    """Processor time of a process and all that it started, and of those that they waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
            ticks[int(path.parent.name)] = sum(map(int, fields[11:15]))
    family = {process}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(each, 0) for each in family) / os.sysconf("SC_CLK_TCK")
