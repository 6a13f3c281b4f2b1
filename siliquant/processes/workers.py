"""One function over many items in processes of this machine: every item has an outcome, whatever happens to them.

    for outcome in local(jobs=8)(function, items): ...      in the order in which they are done

Function, items and results travel by pickle, so the function must belong to a module that the processes can import. An
exception is the outcome of its item, and the others go on. An item whose process ends (killed, out of memory) is given
to another.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Generic, Protocol, TypeVar, cast

from siliquant.inputs import InputError, SiliquantError, ToolError, no_memory

from .programs import end_with_parent

__all__ = ["TRIES", "Named", "Outcome", "Runner", "WorkerLost", "given_up", "in_words", "local", "side_by_side"]

TRIES = 3
"""How many workers of this machine an item may outlive."""
_SECONDS_TO_END = 5.0  # for a worker that is told to stop to remove what it wrote to disk

N = TypeVar("N", bound="Named")
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

    Items are started in their order, and taken when there is a worker for them. Closing the generator stops the work.
    """

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Generator[Outcome[T, R]]:
        """The outcomes, one an item."""
        ...


def local(jobs: int, named: Callable[[Any], object] = str, *, until: float = math.inf) -> Runner:
    """A runner on this machine: up to ``jobs`` processes, which end when this one does, however it ends.

    until: the end of all work, as time.monotonic() tells it: then what is not done is stopped and has no outcome.

    An item is given up with :class:`WorkerLost` after :data:`TRIES` workers ended while working on it; those that work
    on other items are not disturbed. named: how it is called then. ValueError where ``jobs`` is below 1.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")

    def run(function: Callable[[T], R], items: Iterable[T]) -> Generator[Outcome[T, R]]:
        context = multiprocessing.get_context("spawn")
        fresh, again = iter(items), deque[tuple[T, int]]()  # with how many workers ended at it
        idle: list[_Worker] = []
        busy: dict[Connection, tuple[_Worker, T, int]] = {}
        more = True
        try:
            while more or again or busy:
                while len(busy) < jobs and (more or again):
                    if again:
                        item, ended = again.popleft()
                    else:
                        try:
                            item, ended = next(fresh), 0
                        except StopIteration:
                            more = False
                            break
                    worker = idle.pop() if idle else _Worker(context, function)
                    busy[worker.connection] = worker, item, ended
                    worker.send(item)
                # The last item may be done before it is known as the last: then there is nothing to wait for.
                left = None if until == math.inf else max(0.0, until - time.monotonic())
                ready = cast(list[Connection], wait(list(busy), left) if busy else [])
                if busy and not ready:
                    return
                for connection in ready:
                    worker, item, ended = busy[connection]
                    answer = worker.receive()
                    del busy[connection]
                    if answer is not None:
                        idle.append(worker)
                        yield Outcome(item, *answer)
                        continue
                    worker.stop()
                    if ended + 1 < TRIES:
                        again.append((item, ended + 1))
                    else:
                        yield Outcome(item, error=given_up(named(item), f"{TRIES} workers"))
        finally:
            workers = [*idle, *(worker for worker, _, _ in busy.values())]
            for worker in workers:
                worker.process.terminate()
            end = time.monotonic() + _SECONDS_TO_END
            for worker in workers:
                worker.stop(max(0.0, end - time.monotonic()))

    return run


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """How it is called where its workers end."""
        ...


def side_by_side(work: Callable[[N], R], items: Sequence[N], jobs: int) -> Iterator[tuple[N, R]]:
    """Each item with what ``work`` makes of it, as they are finished; in processes of their own where ``jobs`` > 1.

    Raises what ``work`` raises, and WorkerLost where processes that work on an item are killed again and again.
    """
    if jobs == 1 or len(items) <= 1:
        yield from ((item, work(item)) for item in items)
        return
    with contextlib.closing(local(jobs, lambda item: item.name)(work, items)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            yield outcome.item, cast(R, outcome.result)


def given_up(item: object, workers: str) -> WorkerLost:
    """What becomes of an item whose workers ended."""
    return WorkerLost(f"{item} was given up: {workers} ended while working on it")


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

    def stop(self, seconds: float = _SECONDS_TO_END) -> None:
        """Ends the process, gently first, for so many seconds."""
        self.connection.close()
        self.process.terminate()
        self.process.join(seconds)
        self.process.kill()
        self.process.join()
        self.process.close()


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    _end_with_parent()
    # Leaves with statements in order, and unlike "ignore" is not passed on to the tools that the function starts. A
    # second signal would be a traceback in the midst of that.
    ends = signal.SIGINT, signal.SIGTERM

    def end(*_: object) -> None:
        for number in ends:
            signal.signal(number, lambda *_: None)
        sys.exit(1)

    def once_more(dropped: sys.UnraisableHookArgs) -> None:
        if dropped.exc_type is SystemExit:  # the signal came while Python cleared an object away, where it drops that
            signal.signal(signal.SIGALRM, lambda *_: sys.exit(1))
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            sys.__unraisablehook__(dropped)

    sys.unraisablehook = once_more
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


def _end_with_parent() -> None:
    """Lets a worker end when the process that started it is killed: on Linux at once, elsewhere when it runs Python."""
    end_with_parent()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def in_words(error: Exception) -> Exception:
    """The exception; where no memory was left, one that says so."""
    why = no_memory(error)
    return error if why is None else ToolError(why)


def _portable(error: Exception) -> Exception:
    """The exception, or one that says the same and can be pickled. Of what is no user's fault with its traceback."""
    error = in_words(error)
    if not isinstance(error, SiliquantError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        if isinstance(error, SiliquantError):  # still one that a user can mend
            return (ToolError if isinstance(error, ToolError) else InputError)(str(error))
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
