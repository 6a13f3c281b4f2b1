"""Folders of built things: made once, looked at whenever they are used, and machine code that cannot be swapped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from siliquant.files import builds
from siliquant.files.builds import built, load, private_copy
from siliquant.files.cache import NotTrusted
from siliquant.inputs.errors import ToolError

PLACE = "sim/array-0123"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, with a blank and an accent in its path."""
    folder = tmp_path / "cache é x"
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(folder))
    return folder


def make(folder: Path) -> None:
    """What a build does."""
    (folder / "array.so").write_bytes(b"machine code")
    (folder / "obj").mkdir()
    (folder / "obj" / "tool").write_text("#!/bin/sh\necho ran\n")
    (folder / "obj" / "tool").chmod(0o755)


def never(_: Path) -> None:
    """A build that must not happen."""
    pytest.fail("built again")


def test_made_once_with_a_record(home: Path) -> None:
    folder = built(PLACE, make)
    assert folder == home / PLACE
    assert built(PLACE, never) == folder
    assert sorted(path.name for path in folder.rglob("*")) == [".record", "array.so", "obj", "tool"]
    assert (folder / "array.so").read_bytes() == b"machine code"
    assert os.access(folder / "obj" / "tool", os.X_OK)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (home, folder, *folder.rglob("*")))


def truncated(folder: Path) -> None:
    (folder / "array.so").write_bytes(b"machine")


def garbage(folder: Path) -> None:
    (folder / "array.so").write_bytes(b"\x7fELF" + bytes(100))


def planted(folder: Path) -> None:
    (folder / "array.so").write_bytes(b"other code")
    (folder / "array.so").chmod(0o777)


def writable(folder: Path) -> None:
    (folder / "array.so").chmod(0o666)


def folder_writable(folder: Path) -> None:
    folder.chmod(0o777)


def linked(folder: Path) -> None:
    shutil.copy(folder / "array.so", folder.parent / "real")
    (folder / "array.so").unlink()
    (folder / "array.so").symlink_to(folder.parent / "real")


def linked_hard(folder: Path) -> None:
    (folder.parent / "other").hardlink_to(folder / "array.so")


def missing(folder: Path) -> None:
    (folder / "array.so").unlink()


def one_more(folder: Path) -> None:
    (folder / "obj" / "more").touch()


def without_record(folder: Path) -> None:
    (folder / ".record").unlink()


def with_another_record(folder: Path) -> None:
    (folder / ".record").write_text('{"place": "array-0123", "files": {}}')


def folder_linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


DAMAGE = [
    truncated, garbage, planted, writable, folder_writable, linked, linked_hard, missing, one_more, without_record,
    with_another_record, folder_linked, a_file,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=[damage.__name__ for damage in DAMAGE])
def test_what_is_not_as_it_was_made_is_made_again(
    damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = built(PLACE, make)
    damage(folder)
    assert built(PLACE, make) == folder
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"siliquant: {folder} is not used and made again: ")
    assert (folder / "array.so").read_bytes() == b"machine code"
    assert not folder.is_symlink()
    assert built(PLACE, never) == folder
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", [truncated, planted, linked])
def test_nothing_is_loaded_or_copied_that_changed_meanwhile(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder = built(PLACE, make)
    damage(folder)
    with pytest.raises(NotTrusted):
        load(folder / "array.so")
    with pytest.raises(NotTrusted):
        private_copy(folder, tmp_path / "copy")


def test_a_record_of_another_place_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    folder = built(PLACE, make)
    shutil.copytree(folder, folder.with_name("array-4567"))
    built("sim/array-4567", make)
    assert "it was made in another place" in capsys.readouterr().err


def test_a_private_copy_runs(tmp_path: Path) -> None:
    copy = private_copy(built(PLACE, make), tmp_path / "copy")
    assert subprocess.run([copy / "obj" / "tool"], capture_output=True, text=True, check=True).stdout == "ran\n"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_machine_code_is_loaded_from_what_was_looked_at(tmp_path: Path) -> None:
    """A file that is cut short afterwards cannot end the process (SIGBUS), nor another one run in its place."""

    def compile_it(folder: Path) -> None:
        (tmp_path / "a.c").write_text("int answer(void) { return 42; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "a.so", tmp_path / "a.c"], check=True)

    library = load(built("qat-kernels/0123", compile_it) / "a.so")
    (built("qat-kernels/0123", never) / "a.so").write_bytes(b"")
    assert library.answer() == 42


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_libraries_of_one_process_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for answer in (1, 2, 3):

        def compile_it(folder: Path, answer: int = answer) -> None:
            (tmp_path / "a.c").write_text(f"int answer(void) {{ return {answer}; }}\n")
            subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "a.so", tmp_path / "a.c"], check=True)

        library = load(built(f"sim/array-{answer}", compile_it) / "a.so")
        assert library.answer() == answer
        assert load(built(f"sim/array-{answer}", never) / "a.so") is library


def test_a_failed_build_leaves_nothing(home: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ToolError("the compiler did not like it")

    with pytest.raises(ToolError, match="did not like it"):
        built(PLACE, fail)
    assert [path for path in (home / "sim").iterdir() if path.is_dir()] == []


def test_a_cache_that_is_full_takes_nothing_and_the_build_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("SILIQUANT_CACHE_SAID", "SILIQUANT_CACHE_SPARE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(builds, "_install", full)
    folder = built("sim/array-full", make)
    assert (folder / "array.so").read_bytes() == b"machine code"
    assert not folder.is_relative_to(home)
    assert built("sim/array-full", never) == folder
    assert private_copy(folder, home / "copy").is_dir()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "No space left on device" in said
    assert "SILIQUANT_CACHE_DIR" in said
