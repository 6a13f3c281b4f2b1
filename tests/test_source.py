"""The hash over what source does."""

from __future__ import annotations

from pathlib import Path

import pytest

from siliquant.cache import keep
from siliquant.source import code_sha256


def written(folder: Path, text: str, name: str = "one.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


CODE = 'def f(x):\n    """Says this."""\n    return x + 1  # why\n'


def test_comments_docstrings_and_layout_change_nothing_and_code_does(tmp_path: Path) -> None:
    one = code_sha256([written(tmp_path / "a", CODE)])
    assert code_sha256([written(tmp_path / "b", "def f(x):\n\n    return (x + 1)\n")]) == one
    assert code_sha256([written(tmp_path / "c", CODE.replace("+ 1", "+ 2"))]) != one
    assert code_sha256([written(tmp_path / "d", CODE, "two.py")]) != one
    assert code_sha256([written(tmp_path / "a", CODE)], "1.0") != one


def test_order_does_not_count_and_other_files_are_not_looked_at(tmp_path: Path) -> None:
    files = [written(tmp_path, f"x = {index}\n", f"{name}.py") for index, name in enumerate("abc")]
    assert code_sha256(files) == code_sha256([*reversed(files), written(tmp_path, "not Python", "data.json")])


def test_the_answer_is_kept_and_a_damaged_one_is_found_again(tmp_path: Path, cache: Path) -> None:
    file = written(tmp_path, CODE)
    found = code_sha256([file])
    (kept,) = (cache / "source").iterdir()
    assert kept.read_text().startswith(found + "\n")
    other = "0" * 64
    assert keep(kept, other, cache)
    assert code_sha256([file]) == other  # it is what is read
    for damaged in ("damaged", other, f"{found}\n# sha256 {other}\n"):
        kept.write_text(damaged)
        assert code_sha256([file]) == found


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(written(tmp_path, "a file", "cache-file")))
    assert len(code_sha256([written(tmp_path, CODE)])) == 64
