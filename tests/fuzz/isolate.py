"""Runs cases in a child process that may die, hang or grow, and says which case it was."""

from __future__ import annotations

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

__all__ = ["GROWTH_BYTES", "Fault", "run_cases"]

GROWTH_BYTES = 2 << 30
"""Address space that a case may add to that of the process that runs it."""


@dataclass(frozen=True)
class Fault:
    """A case that did what none may. what: its traceback, or how the process ended."""

    number: int
    what: str


def run_cases(
    case: Callable[[int], str | None], first: int, until: float, seconds: float, most: int = 1 << 62
) -> tuple[int, list[Fault]]:
    """Runs ``case(first)``, ``case(first + 1)`` ... until the clock (time.monotonic) shows ``until``,
    or up to ``case(most - 1)``.

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
        first, fault = _watch(child, reader, first, seconds)
        if fault is not None:
            faults.append(fault)
            first = fault.number + 1
    return first, faults


def _child(case: Callable[[int], str | None], numbers: range, until: float, writer: int) -> None:
    """Runs cases and writes a line for each that begins; never returns."""
    os.setsid()
    faulthandler.disable()
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115, PTH123
    resource.setrlimit(resource.RLIMIT_AS, (size + GROWTH_BYTES, size + GROWTH_BYTES))
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


def _watch(child: int, reader: int, first: int, seconds: float) -> tuple[int, Fault | None]:
    """Reads what a child writes until it ends or is silent for too long."""
    said, number, hung = b"", first, False
    while True:
        ready, _, _ = select.select([reader], [], [], seconds)
        if not ready:
            hung = True
            os.killpg(child, signal.SIGKILL)
            break
        part = os.read(reader, 1 << 16)
        if not part:
            break
        said = (said + part)[-(1 << 17) :]
        if b"!" not in said:
            lines = said.split(b"\n")
            if len(lines) > 1:
                number, said = int(lines[-2]), lines[-1]
    os.close(reader)
    _, status = os.waitpid(child, 0)
    head, mark, wrong = said.partition(b"!")
    if head.strip():
        number = int(head.split()[-1])
    if mark:
        return number, Fault(number, wrong.rstrip(b"\0").decode(errors="replace"))
    if hung:
        return number, Fault(number, f"no end within {seconds:g} s")
    if status != 0:
        return number, Fault(number, f"the process ended with status {status}")
    return number, None
