"""Waits for the end of a process, then kills what it started and removes its temporary folders:
``python watcher.py OWNER TMPDIR < PIPE``.

The pipe ends when the process does, however it does. Whatever has OWNER as its mark in the environment, or in its name
as :mod:`siliquant.files.temporary` makes them, then belongs to nobody. The module imports little, as it starts with
every command that runs a tool.
"""

import os
import signal
import sys
import time

MARK = "SILIQUANT_OWNER"
_ROUNDS, _SECONDS = 5, 0.1  # a process may be just about to start another


def main(owner: str, root: str) -> None:
    """Waits for the end of standard input, then kills, and removes folders in ``root``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            if not os.read(0, 1):
                break
        except OSError:
            break
    mark = f"{MARK}={owner}".encode()
    quiet = 0
    while quiet < _ROUNDS:
        found = _kill(mark)
        quiet = 0 if found else quiet + 1
        time.sleep(_SECONDS)
    _remove(owner, root)


def _kill(mark: bytes) -> int:
    """Kills all that have the mark; how many there were."""
    count = 0
    try:
        names = os.listdir("/proc")  # noqa: PTH208 (pathlib takes as long to import as all of this)
    except OSError:
        return 0
    for name in names:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            process = os.pidfd_open(int(name))
        except OSError:
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as stream:  # noqa: PTH123
                marked = mark in stream.read().split(b"\0")
            if marked:
                signal.pidfd_send_signal(process, signal.SIGKILL)
                count += 1
        except OSError:
            pass
        finally:
            os.close(process)
    return count


def _remove(owner: str, root: str) -> None:
    """Removes what a process that was killed could not."""
    try:
        names = os.listdir(root)  # noqa: PTH208 (as above)
    except OSError:
        return
    for name in names:
        if name.startswith("siliquant-") and f"-{owner}-" in name:
            import shutil

            shutil.rmtree(os.path.join(root, name), ignore_errors=True)  # noqa: PTH118 (as above)


if __name__ == "__main__" and len(sys.argv) == 3:
    main(*sys.argv[1:])
