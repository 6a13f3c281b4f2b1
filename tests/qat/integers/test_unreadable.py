"""A file of an integer model that is there and cannot be read is not said to be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from qat.integers import IntegerModel
from siliquant.inputs import FileError, InputError


def test_what_is_there_is_not_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold integer\.json, as qat\.export writes it$"):
        IntegerModel.load(tmp_path)
    (tmp_path / "integer.json").mkdir()
    with pytest.raises(FileError) as caught:
        IntegerModel.load(tmp_path)
    assert "must hold" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'integer.json'}")
