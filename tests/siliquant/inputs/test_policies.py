"""Widths of GEMMs in files: written and read, and everything else refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from siliquant.inputs.policies import Bits, policy_text, policy_widths

WIDTHS: dict[str, tuple[Bits, Bits]] = {"layers.0.fc1": (2, 4), "classifier": (8, 8), 'a "name" with ü': (1, 1)}
GEMM: dict[str, Any] = {"name": "fc1", "weight_bits": 2, "activation_bits": 4}


def write(path: Path, gemms: object, form: str = "siliquant-policy 1") -> Path:
    path.write_text(json.dumps({"format": form, "gemms": gemms}))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(policy_text(WIDTHS, {"network": "mine", "mean_bits": "3"}))
    assert policy_widths(path) == WIDTHS
    assert list(policy_widths(path)) == list(WIDTHS)
    assert json.loads(path.read_text())["mean_bits"] == "3"


def test_heads_are_written_in_the_second_version_alone(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(policy_text(WIDTHS, {}))
    assert json.loads(path.read_text())["format"] == "siliquant-policy 1"
    widths = {**WIDTHS, "layers.0.q_proj": ((2, 4, 8), (4, 4, 8))}
    path.write_text(policy_text(widths, {}))
    assert json.loads(path.read_text())["format"] == "siliquant-policy 2"
    assert policy_widths(path) == widths
    assert list(policy_widths(path)) == list(widths)


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (([2, 4], 4), "activation_bits must be a list, one width a head, as the other operand's is, not 4"),
        ((4, [2, 4]), "weight_bits must be a list, one width a head, as the other operand's is, not 4"),
        (([2, 4], [2, 4, 4]), "weight_bits and activation_bits must be of as many heads, not of 2 and 3"),
        (([], []), "weight_bits must be of 1 to 1024 heads, not 0"),
        (([2] * 1025, [2]), "weight_bits must be of 1 to 1024 heads, not 1025"),
        (([2, 1], [2, 2]), "weight_bits of a head must be an integer from 2 to 8, not 1"),
        (([2, 2], [2, 9]), "activation_bits of a head must be an integer from 2 to 8, not 9"),
        (([2, True], [2, 2]), "weight_bits of a head must be an integer from 2 to 8, not True"),
        (([2, "4"], [2, 2]), "weight_bits of a head must be an integer from 2 to 8, not '4'"),
    ],
)
def test_bad_heads_say_what_must_be(bits: tuple[object, object], said: str, tmp_path: Path) -> None:
    entry = {"name": "q_proj", "weight_bits": bits[0], "activation_bits": bits[1]}
    path = write(tmp_path / "policy.json", [GEMM, entry], "siliquant-policy 2")
    with pytest.raises(ValueError) as caught:
        policy_widths(path)
    assert str(caught.value).endswith(f"GEMM 2: {said}"), str(caught.value)


def test_the_first_version_has_no_heads(tmp_path: Path) -> None:
    path = write(tmp_path / "policy.json", [{"name": "q_proj", "weight_bits": [2, 4], "activation_bits": [2, 4]}])
    with pytest.raises(ValueError, match=r"GEMM 1: weight_bits must be an integer, not \[2, 4\]$"):
        policy_widths(path)


@pytest.mark.parametrize(
    ("gemms", "said"),
    [
        ([], "it must have at least one GEMM"),
        ({}, "gemms must be a list, not {}"),
        ([7], "GEMM 1: a GEMM must be an object with name, weight_bits and activation_bits, not 7"),
        ([GEMM, {"name": "fc2"}],
         "GEMM 2: a GEMM must be an object with name, weight_bits and activation_bits, not {'name': 'fc2'}"),
        ([{**GEMM, "weight_bits": 9}], "GEMM 1: weight_bits must be an integer from 1 to 8, not 9"),
        ([{**GEMM, "activation_bits": 0}], "GEMM 1: activation_bits must be an integer from 1 to 8, not 0"),
        ([{**GEMM, "activation_bits": True}], "GEMM 1: activation_bits must be an integer, not True"),
        ([{**GEMM, "name": 1}], "GEMM 1: name must be a text, not 1"),
        ([GEMM, GEMM], "GEMM 2: a GEMM must have one entry, and 'fc1' has two"),
    ],
)  # fmt: skip
def test_bad_files_say_what_must_be(gemms: object, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "policy.json", gemms)
    with pytest.raises(ValueError) as caught:
        policy_widths(path)
    assert str(caught.value).endswith(said), str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "policy.json", [GEMM], "siliquant-policy 3")
    with pytest.raises(ValueError, match=r"its format must be 'siliquant-policy 1' or 'siliquant-policy 2'$"):
        policy_widths(path)
