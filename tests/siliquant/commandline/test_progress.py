"""What long work shows, and what is left of an output folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from siliquant.commandline import working
from siliquant.files import filled


def test_without_a_terminal_there_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with working("drawing [x]", lines=(0.05, 60)) as news:
        news("a figure")
        time.sleep(0.5)
    assert capsys.readouterr() == ("", "drawing [x]: 0 s, a figure\n")


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with working("drawing"):
        pass
    assert capsys.readouterr() == ("", "")


def test_folders_that_stay_empty_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyError), filled(tmp_path / "old" / "new" / "newer"):
        raise KeyError
    assert not list((tmp_path / "old").iterdir())
    with pytest.raises(KeyError), filled(tmp_path / "old"):
        raise KeyError
    with filled(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["new", "file", "old"]
