"""The cache: what is taken from it, what is made again, and going on where nothing can be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from siliquant.files import cache
from siliquant.files.cache import keep, kept, kept_file, kept_json

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True)
def _own_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILIQUANT_CACHE_SAID", "SILIQUANT_CACHE_SPARE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_what_was_kept_is_given_back(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "rows" / "ab" / "row.json"
    assert kept(path, home) is None
    assert keep(path, "some\ntext", home)
    assert kept(path, home) == b"some\ntext"
    assert keep(path, b"", home)
    assert kept(path, home) == b""
    assert capsys.readouterr().err == ""
    assert {folder.stat().st_mode & 0o777 for folder in (home, *path.parents[:2])} == {0o700}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["row.json"]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def changed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"5", b"6", 1))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def unsealed(path: Path) -> None:
    path.write_bytes(b"area 5")


def writable(path: Path) -> None:
    path.chmod(0o666)


def group_writable(path: Path) -> None:
    path.chmod(0o620)


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def linked_hard(path: Path) -> None:
    path.with_suffix(".second").hardlink_to(path)


def in_a_folder_of_all(path: Path) -> None:
    path.parent.chmod(0o777)


def in_a_linked_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("real"))
    path.parent.symlink_to("real")


def below_a_folder_of_all(path: Path) -> None:
    path.parents[1].chmod(0o770)


DAMAGE = [
    truncated, changed, emptied, garbage, unsealed, writable, group_writable, linked, linked_hard, in_a_folder_of_all,
    in_a_linked_folder, below_a_folder_of_all,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=[damage.__name__ for damage in DAMAGE])
def test_what_is_damaged_or_may_be_of_others_is_made_again(
    damage: Callable[[Path], None], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / "rows" / "ab" / "row.json"
    keep(path, "area 5", home)
    damage(path)
    assert kept(path, home) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"siliquant: {path} is not used and made again: ")
    assert keep(path, "area 5", home)
    assert kept(path, home) == b"area 5"
    assert not path.is_symlink()


def test_a_pipe_in_the_cache_does_not_block(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(home / "pipe", 0o600)
    assert kept(home / "pipe", home) is None
    assert "it is no regular file" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_what_belongs_to_another_user_is_not_used(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "row.json"
    keep(path, "area 5", home)
    os.chown(path, 65534, 65534)
    assert kept(path, home) is None
    assert "it belongs to another user" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_cache_of_another_user_is_gone_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs").mkdir(0o700)
    os.chown(tmp_path / "theirs", 65534, 65534)
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "theirs"))
    spare = cache.root()
    assert spare != tmp_path / "theirs"
    assert spare.stat().st_mode & 0o777 == 0o700
    assert cache.root() == spare
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "theirs belongs to another user" in said
    assert "SILIQUANT_CACHE_DIR" in said


def test_a_shared_folder_is_no_cache_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "file").touch()
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(shared))
    assert cache.root() != shared
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert "others may write" in capsys.readouterr().err


def test_a_cache_that_the_group_may_write_becomes_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    (folder / "rows").mkdir(parents=True)
    folder.chmod(0o775)
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(folder))
    assert cache.root() == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_for_tools_is_there_even_where_the_cache_is_full(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kept_file(home / "liberty" / "a.lib", b"library", home) == home / "liberty" / "a.lib"

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_private", full)
    path = kept_file(home / "liberty" / "b.lib", b"library", home)
    assert path.read_bytes() == b"library"
    assert not path.is_relative_to(home)
    assert not keep(home / "row.json", "area", home)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "No space left on device" in said


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"SILIQUANT_CACHE_DIR": "/a b/ü"}, "/a b/ü"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/siliquant"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/siliquant"),
        ({"HOME": "/"}, "/.cache/siliquant"),
        ({"HOME": "/h ä"}, "/h ä/.cache/siliquant"),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILIQUANT_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_dir() == Path(folder)


def test_a_user_without_a_home_folder_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SILIQUANT_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert str(cache.cache_dir()).startswith("/nonexistent/")


WITHOUT_SPACE = """
import resource, sys
from pathlib import Path
from siliquant.files import cache
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
home = cache.root()
print(cache.keep(home / "rows" / "small", "x", home), cache.keep(home / "rows" / "large", "x" * 1000, home))
print(cache.kept(home / "rows" / "small", home), cache.kept(home / "rows" / "large", home))
print(sorted(path.name for path in (home / "rows").iterdir()))
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SPACE], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"SILIQUANT_CACHE_DIR": str(tmp_path / "a b é"), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["True False", "b'x' None", "['small']"]
    assert done.stderr.count("\n") == 1
    assert "going on without a cache" in done.stderr


WRITER = """
import sys
from pathlib import Path
from siliquant.files.cache import keep, kept
home, mine = Path(sys.argv[1]), sys.argv[2]
for number in range(20):
    assert keep(home / "rows" / f"{number}.json", f"row {number}" * 50, home)
    assert keep(home / "rows" / f"{mine}-{number}.json", f"{mine} {number}", home)
    assert kept(home / "rows" / f"{number}.json", home) == f"row {number}".encode() * 50
"""


def test_twenty_processes_on_one_cache_lose_nothing(home: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(home), str(number)], cwd=ROOT) for number in range(20)
    ]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * 20
    names = {f"{number}.json" for number in range(20)}
    names |= {f"{mine}-{number}.json" for mine in range(20) for number in range(20)}
    assert {path.name for path in (home / "rows").iterdir()} == names
    assert all(kept(home / "rows" / name, home) is not None for name in names)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").touch()


def test_a_folder_where_a_file_belongs_is_removed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "rows" / "ab" / "row.json"
    keep(path, "area 5", home)
    a_folder(path)
    assert kept(path, home) is None
    assert keep(path, "area 5", home)
    assert kept(path, home) == b"area 5"
    assert capsys.readouterr().err.count("\n") == 1
    assert [each.name for each in path.parent.iterdir()] == ["row.json"]


@pytest.mark.parametrize("content", ["", "nothing", "[", "[" * 100_000, "[]", '{"other": 1}'])
def test_json_of_another_form_counts_as_missing(content: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "facts.json"

    def fits(found: object) -> bool:
        return isinstance(found, dict) and "area" in found

    keep(path, content, home)
    assert kept_json(path, home, fits) is None
    assert capsys.readouterr().err == f"siliquant: {path} is not used and made again: it is of another version\n"
    keep(path, '{"area": 5}', home)
    assert kept_json(path, home, fits) == {"area": 5}
    assert capsys.readouterr().err == ""
