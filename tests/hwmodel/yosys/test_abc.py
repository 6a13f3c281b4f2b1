"""ABC between cuts: the tables of gates, and what ABC must not ignore."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from hwmodel.yosys import abc
from hwmodel.yosys.gates import Gates

FUNCTIONS: dict[str, Callable[..., bool]] = {
    "$_BUF_": lambda a: a,
    "$_NOT_": lambda a: not a,
    "$_AND_": lambda a, b: a and b,
    "$_NAND_": lambda a, b: not (a and b),
    "$_OR_": lambda a, b: a or b,
    "$_NOR_": lambda a, b: not (a or b),
    "$_XOR_": lambda a, b: a != b,
    "$_XNOR_": lambda a, b: a == b,
    "$_ANDNOT_": lambda a, b: a and not b,
    "$_ORNOT_": lambda a, b: a or not b,
    "$_MUX_": lambda a, b, s: b if s else a,
    "$_NMUX_": lambda a, b, s: not (b if s else a),
    "$_AOI3_": lambda a, b, c: not ((a and b) or c),
    "$_OAI3_": lambda a, b, c: not ((a or b) and c),
    "$_AOI4_": lambda a, b, c, d: not ((a and b) or (c and d)),
    "$_OAI4_": lambda a, b, c, d: not ((a or b) and (c or d)),
}


@pytest.mark.parametrize("kind", sorted(abc._TABLES))
def test_rows_of_a_table_are_where_the_gate_gives_one(kind: str) -> None:
    pins, rows = abc._TABLES[kind]
    assert set(abc._TABLES) == set(FUNCTIONS)
    for values in product((False, True), repeat=len(pins)):
        given = any(
            all(want in ("-", str(int(value))) for want, value in zip(row, values, strict=True)) for row in rows
        )
        assert given == bool(FUNCTIONS[kind](*values)), values


def module() -> Gates:
    """An AND of two inputs."""
    gate = {
        "type": "$_AND_", "connections": {"A": [2], "B": [3], "Y": [4]},
        "port_directions": {"A": "input", "B": "input", "Y": "output"},
    }  # fmt: skip
    ports = {
        "a": {"direction": "input", "bits": [2]}, "b": {"direction": "input", "bits": [3]},
        "y": {"direction": "output", "bits": [4]},
    }  # fmt: skip
    return Gates({"cells": {"g": gate}, "ports": ports, "netnames": {}}, {})


MAPPED = ".model gates\n.inputs n2 n3\n.outputs n4\n.gate AND2 A1=n2 A2=n3 Z=n4\n.end\n"
TIMES = abc.Times({}, {}, 1.0)


def program(folder: Path, output: str | None, code: int = 0) -> Path:
    """Instead of ABC: writes a netlist, says something, and ends."""
    (folder / "mapped").write_text(output or "")
    path = folder / "abc"
    copy = "cp mapped output.blif\n" if output is not None else ""
    path.write_text(f"#!/bin/sh\n{copy}echo said\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("output", "code", "times", "said"),
    [
        (None, 0, None, "ABC wrote no netlist: said"),
        (MAPPED, 3, None, "ABC ended with 3: said"),
        (MAPPED, 0, TIMES, "ABC ignored the times of its inputs"),
        (MAPPED.replace(".gate AND2 A1=n2 A2=n3 Z=n4", ".names n2 n3 n4\n11 1"), 0, None,
         "ABC left a gate that no cell stands for: n2 n3 n4"),
    ],
)  # fmt: skip
def test_what_abc_does_otherwise_is_an_error(
    output: str | None, code: int, times: abc.Times | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(abc.AbcError) as caught:
        abc.cover(module(), program(tmp_path, output, code), ["strash"], times)
    assert str(caught.value) == said


def test_cells_take_the_place_of_gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gates = module()
    abc.cover(gates, program(tmp_path, MAPPED), ["strash"])
    ((_, cell),) = gates.cells.items()
    assert (cell["type"], cell["connections"]) == ("AND2", {"A1": [2], "A2": [3], "Z": [4]})
    assert ".names n2 n3 n4\n11 1\n" in (tmp_path / "input.blif").read_text()


def test_times_are_of_the_cells_that_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gates = module()
    gates.add("DFF", {"D": 4}, {"Q": 2}, name="r")
    times = abc.Times({"r": {"Q": 0.25}}, {"r": {"D": 0.75}}, 2.0)
    abc.cover(gates, program(tmp_path, MAPPED.replace(".outputs", ".default_input_arrival 0 0\n.outputs")), [], times)
    lines = (tmp_path / "input.blif").read_text().splitlines()
    assert ".input_arrival n2 250.0 250.0" in lines
    assert ".input_arrival n3 0.0 0.0" in lines
    assert ".output_required n4 750.0 750.0" in lines
    assert (tmp_path / "abc.script").read_text().startswith("read_blif -n input.blif\n")
