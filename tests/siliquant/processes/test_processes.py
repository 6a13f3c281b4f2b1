"""Whatever is started ends with the process that started it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from siliquant import processes
from siliquant.inputs import ToolError

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc")

# A tool as make is one: it starts others, which start others, some in a session of their own, and note who they are.
TREE = """
import os, subprocess, sys, time
depth, folder = int(sys.argv[1]), sys.argv[2]
open(os.path.join(folder, str(os.getpid())), "w").close()
if depth:
    for new in (False, True):
        subprocess.Popen([sys.executable, "-S", __file__, str(depth - 1), folder], start_new_session=new)
time.sleep(200)
"""
COUNT = 7


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def tree(tmp_path: Path) -> tuple[Path, Path]:
    """The program and the folder where its processes note their numbers."""
    (tmp_path / "tree.py").write_text(TREE)
    (tmp_path / "pids").mkdir()
    return tmp_path / "tree.py", tmp_path / "pids"


def numbers(folder: Path) -> list[int]:
    """The processes that have begun."""
    return [int(path.name) for path in folder.iterdir()]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("call", ["run", "start", "mark"])
def test_all_end_with_the_process_that_began(call: str, end: signal.Signals, tree: tuple[Path, Path]) -> None:
    program, folder = tree
    command = [sys.executable, "-S", str(program), "2", str(folder)]
    begin = {
        "run": f"processes.run_program({command!r})",
        "start": f"processes.start_program({command!r}).wait()",
        "mark": f"subprocess.run({command!r}, env=os.environ | processes.mark())",
    }[call]
    # In a background job of a shell, Ctrl-C is ignored: not here.
    listening = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script = f"import os, subprocess\n{listening}from siliquant import processes\n{begin}\n"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.DEVNULL)
    assert until(lambda: len(numbers(folder)) == COUNT)
    process.send_signal(end)
    process.wait(timeout=30)
    assert until(lambda: not any(map(alive, numbers(folder)))), [pid for pid in numbers(folder) if alive(pid)]


def test_all_end_with_a_killed_group(tree: tuple[Path, Path]) -> None:
    """As ``timeout -s KILL`` and schedulers kill: the whole process group at once."""
    program, folder = tree
    script = (
        "from siliquant import processes\n"
        f"processes.run_program([{sys.executable!r}, {str(program)!r}, '1', {str(folder)!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, start_new_session=True)
    assert until(lambda: len(numbers(folder)) == 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert until(lambda: not any(map(alive, numbers(folder))))


def test_programs_of_programs_end_too(tree: tuple[Path, Path]) -> None:
    """A command that starts a command of this package, which starts a tool: only the first is killed."""
    program, folder = tree
    tool = (
        "from siliquant import processes\n"
        f"processes.run_program([{sys.executable!r}, {str(program)!r}, '0', {str(folder)!r}])"
    )
    outer = f"import sys\nfrom siliquant import processes\nprocesses.run_program([sys.executable, '-c', {tool!r}])"
    process = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT)
    assert until(lambda: len(numbers(folder)) == 1)
    process.kill()
    process.wait()
    assert until(lambda: not any(map(alive, numbers(folder))))


@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("tree", 1), KeyboardInterrupt()], ids=["late", "Ctrl-C"])
def test_one_that_is_given_up_ends_with_its_process_group(
    error: BaseException, tree: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, folder = tree
    groups: dict[int, int] = {}
    begun: list[int] = []

    def communicate(process: subprocess.Popen[str], timeout: float | None) -> None:
        assert until(lambda: len(numbers(folder)) == 3)
        begun.append(process.pid)
        groups.update((pid, os.getpgid(pid)) for pid in numbers(folder))
        raise error

    monkeypatch.setattr(subprocess.Popen, "communicate", communicate)
    with pytest.raises((processes.OutOfTimeError, KeyboardInterrupt)):
        processes.run_program([sys.executable, "-S", str(program), "1", str(folder)], timeout=1)
    (group,) = begun
    same = [pid for pid, its in groups.items() if its == group]
    (other,) = groups.keys() - same  # in a session of its own: it ends with this process, which goes on
    try:
        assert len(same) == 2
        assert until(lambda: not any(map(alive, same)), 20), same
        assert alive(other)
    finally:
        for pid in groups:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_one_that_takes_too_long_is_said() -> None:
    with pytest.raises(processes.OutOfTimeError, match=r"^sleep did not finish in 0\.1 s$"):
        processes.run_program(["sleep", "100"], timeout=0.1)


def test_what_a_program_says_and_how_it_ends() -> None:
    done = processes.run_program(
        [sys.executable, "-c", "import sys; print('out'); print('bad', file=sys.stderr); sys.exit(3)"]
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "bad\n")
    with pytest.raises(FileNotFoundError):
        processes.run_program(["/nonexistent/tool"])


def test_a_forked_child_has_a_watcher_of_its_own(tree: tuple[Path, Path]) -> None:
    """A child that lives on does not hide the end of its parent, and what it starts ends with it."""
    program, folder = tree
    command = [sys.executable, "-S", str(program), "0", str(folder)]
    script = (
        "import os, time\nfrom siliquant import processes\n"
        f"processes.start_program({command!r})\n"
        "if os.fork() == 0:\n"
        f"    processes.start_program({command!r})\n"
        "    print(os.getpid(), flush=True)\n"
        "time.sleep(200)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert until(lambda: len(numbers(folder)) == 2)
    process.kill()
    assert until(lambda: sum(map(alive, numbers(folder))) == 1)
    assert alive(child)
    os.kill(child, signal.SIGKILL)
    assert until(lambda: not any(map(alive, numbers(folder))))
    process.stdout.close()
    process.wait()


def test_cores_are_counted_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= processes.cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert processes.cores() == os.cpu_count()


def test_a_null_device_that_only_root_may_write_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in some containers, for every other user."""
    real = os.open

    def refused(path: str, flags: int, *arguments: int, **more: int) -> int:
        if path == os.devnull and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *arguments, **more)

    monkeypatch.setattr(os, "open", refused)
    assert processes.run_program(["sh", "-c", "cat; echo done"]).stdout == "done\n"


@pytest.mark.parametrize(
    ("signal_name", "said"),
    [("KILL", "sh was killed (SIGKILL), as when no memory is left: begun"), ("SEGV", "sh crashed (SIGSEGV): begun")],
)
def test_what_a_program_left_that_was_killed_is_no_answer(signal_name: str, said: str) -> None:
    with pytest.raises(ToolError) as caught:
        processes.run_program(["sh", "-c", f"echo chatter; echo begun >&2; kill -{signal_name} $$"])
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "said",
    [
        "gcc: fatal error: Killed signal terminated program cc1",
        "collect2: fatal error: ld terminated with signal 9 [Killed]",
        "clang: error: unable to execute command: Killed",
        "make: *** [Vtop.mk:12: Vtop.o] Error 137",
    ],
)
def test_a_program_that_lost_what_it_had_started_gives_no_answer(said: str) -> None:
    with pytest.raises(processes.EndedBySignalError) as caught:
        processes.run_program(["sh", "-c", f"echo first >&2; echo '{said}' >&2; echo last >&2; exit 1"])
    assert str(caught.value) == f"sh failed: {said}"
    assert processes.run_program(["sh", "-c", f"echo '{said}' >&2"]).returncode == 0  # it went on without
    assert processes.run_program(["sh", "-c", "echo 'make: *** [x] Error 1' >&2; exit 2"]).returncode == 2


@pytest.mark.parametrize(("level", "name"), [("0", "make"), ("1", "make[1]")])
def test_make_says_that_a_command_was_killed(level: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n\tkill -KILL $$$$\n")
    env = {**os.environ, "LC_ALL": "C", "MAKELEVEL": level, "MAKEFLAGS": ""}
    with pytest.raises(processes.EndedBySignalError) as caught:
        processes.run_program(["make"], cwd=tmp_path, env=env)
    assert str(caught.value) == f"make failed: {name}: *** [Makefile:2: all] Killed"


def test_a_module_of_ours_that_lacks_a_package_says_which(tmp_path: Path) -> None:
    (tmp_path / "lacks.py").write_text("import no_such_package.part\n")
    with pytest.raises(ToolError, match=r"^this needs the package no_such_package, which is not installed: make setup"):
        processes.run_program(processes.module_command("lacks"), env={**os.environ, "PYTHONPATH": str(tmp_path)})


def test_a_package_that_is_there_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "lacks.py").write_text("import numpy.no_such_module\n")
    done = processes.run_program(processes.module_command("lacks"), env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'numpy.no_such_module'\n")


def test_a_module_of_ours_that_was_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(ToolError, match=r"^ends was killed \(SIGKILL\), as when no memory is left$"):
        processes.run_program(processes.module_command("ends"), env={**os.environ, "PYTHONPATH": str(tmp_path)})
