"""Designs on the cores of this machine (:func:`siliquant.processes.local`) or on the workers of a Dask cluster.

run = local(jobs=8)                           or cluster("tcp://host:8786")
for outcome in run(function, items): ...      in the order in which they are done
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from hwmodel.synthesis import ToolMissing
from siliquant.inputs import FileError, InputError, PackageMissing
from siliquant.processes import Outcome, Runner, WorkerLost, given_up, in_words, local

__all__ = ["Outcome", "Runner", "WorkerLost", "cluster", "local", "of_the_machine"]

T = TypeVar("T")
R = TypeVar("R")


def of_the_machine(error: Exception) -> bool:
    """Whether an error is no fault of the design that it came with, as a full disk or no Yosys: others have it, too."""
    return isinstance(error, FileError | ToolMissing | PackageMissing)


def cluster(address: str) -> Runner:
    """A runner on the workers of a Dask scheduler, such as "tcp://host:8786".

    How many workers an item may outlive is a setting of the scheduler (distributed.scheduler.allowed-failures), which
    also blames items that only waited on a worker that ended. So those that it gives up are run again one by one when
    all others are done, and given up with :class:`WorkerLost` where that fails as well.

    ValueError for what is no address and where the package distributed is missing; the runner raises OSError where no
    scheduler answers or it is lost.
    """
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", address):
        raise InputError(f"scheduler must be an address such as tcp://host:8786, not {address!r}")
    try:
        import distributed  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        advice = "pip install '.[cluster]' in the checkout"
        raise InputError(f"a scheduler needs the package distributed, which is not installed: {advice}") from None
    dask: Any = distributed  # typed only in part
    for name in [*logging.root.manager.loggerDict]:  # a lost scheduler is one line of ours, not their tracebacks
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def run(function: Callable[[T], R], items: Iterable[T]) -> Generator[Outcome[T, R]]:
        def outcomes(some: Iterable[T]) -> Generator[Outcome[T, R]]:
            futures = {client.submit(function, item, pure=False): item for item in some}
            for future in dask.as_completed(futures, loop=client.loop):
                item, result, error = futures[future], None, None
                try:
                    result = future.result()  # where its worker ended meanwhile, it is run again
                except (dask.CancelledError, dask.comm.CommClosedError):
                    raise OSError(f"the scheduler {address} was lost") from None
                except Exception as raised:
                    error = in_words(raised)
                yield Outcome(item, result, error)

        with dask.Client(address, set_as_default=False) as client:
            blamed = []
            for outcome in outcomes(items):
                if isinstance(outcome.error, dask.KilledWorker):
                    blamed.append(outcome.item)
                else:
                    yield outcome
            for item in blamed:
                for outcome in outcomes([item]):
                    lost = isinstance(outcome.error, dask.KilledWorker)
                    yield Outcome(item, error=given_up(item, "all workers that tried")) if lost else outcome

    return run
