"""Measurements on disk: found again, and made again where a file is not what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qat.analysis.store import Store

QUESTION = {"what": "answers", "bits": 2}


def test_an_answer_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def measure() -> dict[str, Any]:
        made.append(1)
        return {"losses": [0.1, 1 / 3], "correct": "01"}

    store = Store(tmp_path, {"weights": "a"})
    first = store.get(QUESTION, measure)
    assert store.get(dict(QUESTION), measure) == first == measure()
    assert len(made) == 2
    for other in (Store(tmp_path, {"weights": "b"}), Store(tmp_path, {"weights": "a", "samples": 3})):
        other.get(QUESTION, measure)
    store.get({**QUESTION, "bits": 3}, measure)
    assert len(made) == 5
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"answer": 3}', None])
def test_a_damaged_file_is_said_and_made_again(content: str | None, tmp_path: Path) -> None:
    said: list[str] = []
    store = Store(tmp_path, {}, said.append)
    store.get(QUESTION, lambda: {"x": 0.25})
    path = store.beside(QUESTION, "json")
    path.write_text(path.read_text().replace("0.25", "0.75") if content is None else content)
    assert store.get(QUESTION, lambda: {"x": 0.5}) == {"x": 0.5}
    assert said == [f"{path} is measured again: it is not what was written"]
    assert store.get(QUESTION, dict) == {"x": 0.5}


def test_what_ends_early_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> dict[str, Any]:
        raise KeyboardInterrupt

    store = Store(tmp_path / "new", {})
    with pytest.raises(KeyboardInterrupt):
        store.get(QUESTION, stopped)
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.get(QUESTION, lambda: {"x": float("nan")})
    assert not (tmp_path / "new").exists()
