"""One function over many items, on the cores of this machine or on the workers of a Dask cluster.

    run = local(jobs=8)                           or cluster("tcp://host:8786")
    for outcome in run(function, items): ...      in the order in which they are done

Function, items and results travel by pickle, so the function must belong to a module that workers can import. An
exception is the outcome of its item, and the others go on. An item whose worker ends (killed, out of memory, a machine
that is gone) is given to another.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import re
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Generic, Protocol, TypeVar, cast

from siliquant.inputs import InputError, ToolError

__all__ = ["TRIES", "Outcome", "Runner", "WorkerLost", "cluster", "end_with_parent", "local"]

TRIES = 3
"""How many workers of this machine an item may outlive."""
_SECONDS_TO_END = 5.0  # for a worker that is told to stop to remove what it wrote to disk

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class WorkerLost(ToolError):  # noqa: N818 (it says what happened to the item)
    """Every worker that was given the item ended while working on it; the message names the item."""


@dataclass(frozen=True)
class Outcome(Generic[T_co, R_co]):
    """What became of an item: its result, or the exception it raised."""

    item: T_co
    result: R_co | None = None
    error: Exception | None = None


class Runner(Protocol):
    """Calls ``function`` for every item and gives the outcomes as they come.

    Items are started in their order; their text names them in errors. Closing the generator stops the work.
    """

    def __call__(self, function: Callable[[T], R], items: Sequence[T]) -> Generator[Outcome[T, R]]:
        """The outcomes, one an item."""
        ...


def local(jobs: int) -> Runner:
    """A runner on this machine: up to ``jobs`` processes, which end when this one does, however it ends.

    An item is given up with :class:`WorkerLost` after :data:`TRIES` workers ended while working on it; those that work
    on other items are not disturbed. ValueError where ``jobs`` is below 1.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")

    def run(function: Callable[[T], R], items: Sequence[T]) -> Generator[Outcome[T, R]]:
        context = multiprocessing.get_context("spawn")
        waiting = deque(range(len(items)))
        ended: Counter[int] = Counter()
        idle: list[_Worker] = []
        busy: dict[Connection, tuple[_Worker, int]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < jobs:
                    worker = idle.pop() if idle else _Worker(context, function)
                    index = waiting.popleft()
                    worker.send(items[index])
                    busy[worker.connection] = worker, index
                for connection in cast(list[Connection], wait(list(busy))):
                    worker, index = busy[connection]
                    answer = worker.receive()
                    del busy[connection]
                    if answer is not None:
                        idle.append(worker)
                        yield Outcome(items[index], *answer)
                        continue
                    worker.stop()
                    ended[index] += 1
                    if ended[index] < TRIES:
                        waiting.appendleft(index)
                    else:
                        yield Outcome(items[index], error=_lost(items[index], f"{TRIES} workers"))
        finally:
            workers = [*idle, *(worker for worker, _ in busy.values())]
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.stop()

    return run


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

    def run(function: Callable[[T], R], items: Sequence[T]) -> Generator[Outcome[T, R]]:
        def outcomes(some: Sequence[T]) -> Generator[Outcome[T, R]]:
            futures = {client.submit(function, item, pure=False): item for item in some}
            for future in dask.as_completed(futures, loop=client.loop):
                item, result, error = futures[future], None, None
                try:
                    result = future.result()  # where its worker ended meanwhile, it is run again
                except (dask.CancelledError, dask.comm.CommClosedError):
                    raise OSError(f"the scheduler {address} was lost") from None
                except Exception as raised:
                    error = raised
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
                    yield Outcome(item, error=_lost(item, "all workers that tried")) if lost else outcome

    return run


def end_with_parent() -> None:
    """Lets a worker process end when the process that started it is killed, and not go on for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Worker:
    """A process that answers one item at a time."""

    def __init__(self, context: SpawnContext, function: Callable[[Any], Any]) -> None:
        self.connection, far_end = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(far_end, function), daemon=True)
        self.process.start()
        far_end.close()  # so that the end of the process is the end of the connection

    def send(self, item: object) -> None:
        """Hands over the item; where the process has ended, receive() says so."""
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def receive(self) -> tuple[Any, Exception | None] | None:
        """Result and error of the item, or None where the process has ended."""
        try:
            return cast(tuple[Any, Exception | None], self.connection.recv())
        except (EOFError, OSError):
            return None

    def stop(self) -> None:
        """Ends the process, gently first."""
        self.connection.close()
        self.process.terminate()
        self.process.join(_SECONDS_TO_END)
        self.process.kill()
        self.process.join()
        self.process.close()


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    end_with_parent()
    # Leaves with statements in order, and unlike "ignore" is not passed on to the tools that the function starts. A
    # second signal would be a traceback in the midst of that.
    ends = signal.SIGINT, signal.SIGTERM

    def end(*_: object) -> None:
        for number in ends:
            signal.signal(number, lambda *_: None)
        sys.exit(1)

    for number in ends:
        signal.signal(number, end)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            connection.send((function(item), None))
        except Exception as error:
            connection.send((None, _portable(error)))


def _portable(error: Exception) -> Exception:
    """The exception, or one that says the same and can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _lost(item: object, workers: str) -> WorkerLost:
    return WorkerLost(f"{item} was given up: {workers} ended while working on it")
