"""Scratch folders, and what is removed of those that nobody owns any more."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from siliquant.files import temporary as scratches
from siliquant.files.temporary import scratch, sweep
from siliquant.files.write import save_atomically, write_atomically
from siliquant.inputs.errors import FileError, ToolError
from siliquant.processes import owners
from siliquant.processes.owners import owner

ROOT = Path(__file__).resolve().parents[3]
GONE = f"999999999-1234-{owners._where()}"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files, with a blank and an accent in its name."""
    folder = tmp_path / "tmp é x"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    scratches._sweep_once.cache_clear()
    scratches.sweep_beside.cache_clear()
    return folder


def test_a_folder_of_this_process_alone_that_goes(place: Path) -> None:
    with scratch("synth") as folder:
        assert folder.parent == place
        assert re.fullmatch(rf"siliquant-synth-{os.getpid()}-\d+-[0-9a-f]{{8}}-\w+", folder.name)
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
        sweep()
        assert folder.exists()
    assert list(place.iterdir()) == []
    with pytest.raises(ValueError, match="no"), scratch("synth"):
        raise ValueError("no")
    assert list(place.iterdir()) == []


def test_a_killed_process_leaves_nothing_after_the_next_run(place: Path) -> None:
    program = (
        "import time\nfrom siliquant.files.temporary import scratch\nwith scratch('synth') as f:\n"
        "    (f / 'file').write_text('x')\n    print(f, flush=True)\n    time.sleep(100)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    assert left.parent == place
    sweep()
    assert left.exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for _ in range(600):
        if not left.exists():
            break
        time.sleep(0.05)
    assert list(place.iterdir()) == []  # and where nothing watches, the next run removes it
    (place / f"siliquant-gen-{GONE}-abcd_123").mkdir()
    scratches._sweep_once.cache_clear()
    with scratch("gen") as mine:
        assert list(place.iterdir()) == [mine]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_a_killed_process_has_beside_a_program_goes_at_once(end: signal.Signals, place: Path) -> None:
    """As Yosys that reads Verilog, in a process of its own and in a worker's."""
    sleeps = [sys.executable, "-c", "import time; open('begun', 'w').close(); time.sleep(100)"]
    default = f"import signal\nsignal.signal({end:d}, signal.SIG_DFL)\n"  # under nohup SIGHUP is ignored
    program = (
        f"{'' if end is signal.SIGKILL else default}"
        "from siliquant.files.temporary import scratch\nfrom siliquant.processes import run_program\n"
        f"with scratch('netlist') as f:\n    run_program({sleeps!r}, cwd=f)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    mine = place / "siliquant-netlist-0-0-00000000-abcd_123"
    mine.mkdir()  # somebody else's
    while not list(place.glob("*/begun")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(end)
    assert process.wait(50) == -end
    for _ in range(600):
        if list(place.iterdir()) == [mine]:
            break
        time.sleep(0.05)
    assert list(place.iterdir()) == [mine]


def test_only_what_is_left_over_is_swept(place: Path) -> None:
    elsewhere = "siliquant-synth-999999999-1234-00000000-abcd_123"  # of another machine
    names = [
        f"siliquant-synth-{owner()}-abcd_123",  # of a process that runs
        "siliquant-synth-abcd_123",
        f"other-synth-{GONE}-abcd_123",
        elsewhere,  # and young
    ]
    for name in names:
        (place / name).mkdir()
    (place / f"siliquant-sta-{GONE}-abcd_123" / "in").mkdir(parents=True)
    (place / "kept").mkdir()
    (place / f"siliquant-sta-{GONE}-link1234").symlink_to(place / "kept")
    sweep()
    assert sorted(path.name for path in place.iterdir()) == sorted([*names, "kept"])
    old = place / elsewhere
    os.utime(old, (time.time() - 8 * 86400,) * 2)
    sweep()
    assert not old.exists()


def test_a_number_that_another_process_has_now_is_no_owner(place: Path) -> None:
    (place / f"siliquant-synth-{os.getpid()}-1-{owners._where()}-abcd_123").mkdir()
    sweep()
    assert list(place.iterdir()) == []


def test_halves_beside_files_are_removed_by_the_next_writer(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / f".a.json.{GONE}.0123abcd.tmp").touch()
    (out / f".a.json.{owner()}.0123abcd.tmp").touch()
    (out / ".other.tmp").touch()
    (out / f".{GONE}.json.{owner()}.0123abcd.tmp").touch()  # a file named as an owner is
    write_atomically(out / "b.json", "{}")
    names = {path.name for path in out.iterdir()}
    mine = {f".a.json.{owner()}.0123abcd.tmp", f".{GONE}.json.{owner()}.0123abcd.tmp"}
    assert names == {*mine, ".other.tmp", "b.json"}


def test_a_full_disk_names_the_place_and_what_to_do(place: Path) -> None:
    with pytest.raises(FileError) as caught, scratch("synth"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(place) in str(caught.value)
    assert "No space left on device for a temporary file; free some, or set TMPDIR" in str(caught.value)
    with pytest.raises(OSError, match="elsewhere") as other, scratch("synth"):
        raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere/file")
    assert not isinstance(other.value, FileError)


def test_no_folder_for_temporary_files_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/a']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(FileError, match="set TMPDIR to a folder"), scratch("synth"):
        pass


LARGE = """
import resource
from pathlib import Path
from siliquant.files.write import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_atomically(Path("out/large.csv"), "x" * 1000)
except OSError as error:
    print(error)
print(sorted(path.name for path in Path("out").iterdir()))
"""


def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    said, left = done.stdout.splitlines()
    assert said == "out/large.csv: cannot be written: File too large; free some space, or write to another disk"
    assert left == "[]"


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.pt"
    save_atomically(path, lambda stream: void(stream.write(b"first")))

    def dies(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_atomically(path, dies)
    assert [p.name for p in path.parent.iterdir()] == ["state.pt"]
    assert path.read_bytes() == b"first"
    save_atomically(path, lambda stream: void(stream.write(b"second")))
    assert path.read_bytes() == b"second"


def void(_: int) -> None:
    """Nothing."""


FULL_DISK = """
import resource, signal
from pathlib import Path
from siliquant.inputs import FileError, ToolError
from siliquant.files import save_atomically
from siliquant.files.temporary import scratch
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
def save(stream):
    raise RuntimeError("unexpected position")  # as of torch.save
try:
    save_atomically(Path("out/state.pt"), save)
except FileError as error:
    print(error)
try:
    with scratch("synth"):
        raise ToolError("Yosys cannot open something")
except FileError as error:
    print(error)
print(sorted(path.name for path in Path("out").iterdir()))
"""


def test_a_full_disk_is_named_whatever_else_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    saved, synthesised, left = done.stdout.splitlines()
    assert saved == "out/state.pt: cannot be written: File too large; free some space, or write to another disk"
    assert synthesised == (
        f"{tmp_path}: File too large for a temporary file; free some, or set TMPDIR to a folder on another disk"
    )
    assert left == "[]"


def test_a_tool_that_fails_with_space_left_says_why(place: Path) -> None:
    with pytest.raises(ToolError, match="Yosys cannot open something"), scratch("synth"):
        raise ToolError("Yosys cannot open something")


BYSTANDERS = (
    ".backup-2026-11-28", ".env.2024-01-15.bak", ".bashrc-2024-01-15", "siliquant-results-2026-11-28",
    "siliquant-2026-11-28", f".notes.{GONE}.tmp", f".notes.{GONE}.12345678.tmp.txt", f".building-{GONE}-x",
    f"siliquant-tool-{GONE}-my-results",
)  # fmt: skip


@pytest.mark.parametrize("name", BYSTANDERS)
def test_what_others_call_their_files_is_left_alone(name: str, place: Path) -> None:
    kept = [place / name, place / "folder" / name]
    (place / "folder").mkdir()
    for path in kept:
        path.mkdir()
        (path / "work.txt").write_text("years of it")
    sweep(place)
    write_atomically(place / "out.csv", "1")
    write_atomically(place / "folder" / "out.csv", "1")
    assert all((path / "work.txt").read_text() == "years of it" for path in kept)


def test_folders_beside_an_output_are_nobody_s_scratch(place: Path) -> None:
    folder = place / f".name.{GONE}.12345678.tmp"
    folder.mkdir()
    write_atomically(place / "out.csv", "1")
    assert folder.is_dir()


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_only_regular_files_are_replaced(kind: str, place: Path) -> None:
    path = place / "out"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    before = path.stat()
    with pytest.raises(
        FileError, match=f"^{re.escape(str(path))} must be a regular file, or not be there, to be written$"
    ):
        write_atomically(path, "x")
    assert (path.stat().st_mode, path.stat().st_rdev) == (before.st_mode, before.st_rdev)
    assert sorted(entry.name for entry in place.iterdir()) == ["out"]


def test_a_link_stays_a_link(place: Path) -> None:
    (place / "link").symlink_to("there")
    write_atomically(place / "link", "x")
    assert (place / "link").is_symlink()
    assert (place / "there").read_text() == "x"
