"""Files of any designs are read together, in any order, by three tools."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtl.gen import main
from rtl.names import HELPER_PREFIX, helper, with_prefix
from rtl.verilog.convert import generate, to_verilog
from sim.simulators.toolchain import ToolError, Verilator

DESIGNS = [
    "--design uniform --lanes 2",
    "--design uniform --weight-bits 2 --activation-bits 3 --lanes 3 --pipeline-stages 1",
    "--design padded --units 1",
    "--design padded --units 1 --gating",
    "--design subword --units 1 --widths 8/4",
    "--design bitfusion --units 1 --widths 8/4",
    "--design bitblade --units 2 --widths 8/4",
    "--design bitserial --units 2",
    "--design loom --units 3",
    "--design xnor --lanes 4",
]
# The same element and requantiser in both, and another requantiser of the same kind alone.
ARRAYS = [
    "--design uniform --lanes 2 --array 2x2 --requant-bits 2",
    "--design uniform --lanes 2 --array 2x2 --requant-bits 2 --result-depth 64",
    "--design uniform --lanes 2 --array 2x3 --architecture systolic --requant multiplier --requant-bits 2",
]
ALONE = "--requant thresholds --requant-bits 2 --requant-accumulator-width 32"
YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    design.run_pass(command)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every design with a call of its own, as somebody makes them one after the other."""
    out = tmp_path_factory.mktemp("designs")
    for arguments in (*DESIGNS, *ARRAYS, ALONE):
        main([*arguments.split(), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All designs of one call."""
    out = tmp_path_factory.mktemp("shared")
    main([*" ".join([*DESIGNS, *ARRAYS]).split(), "--out", str(out)])
    return out


def files(folder: Path, reverse: bool = False) -> list[str]:
    listed = folder / "siliquant_files.f"
    if listed.exists():
        names = [str(folder / name) for name in listed.read_text().split()]
        return names[::-1] if reverse else names
    return sorted(map(str, folder.glob("*.v")), reverse=reverse)


def done(*command: str, env: dict[str, str] | None = None) -> str:
    """What a tool says, which must not fail."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said[-3000:]
    return said


@pytest.mark.parametrize("kind", ["folder", "shared"])
@pytest.mark.parametrize("reverse", [False, True])
def test_icarus_reads_all(kind: str, reverse: bool, request: pytest.FixtureRequest) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    found = files(request.getfixturevalue(kind), reverse)
    assert len(found) == 14
    assert done("iverilog", "-g2001", "-Wall", "-Wno-timescale", "-tnull", *found) == ""


@pytest.mark.parametrize("kind", ["folder", "shared"])
@pytest.mark.parametrize("together", [False, True])
def test_yosys_reads_all(kind: str, together: bool, request: pytest.FixtureRequest) -> None:
    found = files(request.getfixturevalue(kind))
    reads = [f"read_verilog {' '.join(found)}"] if together else [f"read_verilog {path}" for path in found]
    said = done(sys.executable, "-c", YOSYS, *reads, "hierarchy -check", "proc", "check -assert", "ls")
    assert "Warning" not in said
    assert set(re.findall(r"^  (\w+)$", said, re.MULTILINE)) >= {
        Path(path).stem for path in found if "cells" not in path
    }


@pytest.mark.parametrize("kind", ["folder", "shared"])
def test_verilator_reads_all(kind: str, request: pytest.FixtureRequest) -> None:
    verilator = Verilator()
    try:
        program = verilator.program()
    except ToolError as missing:
        pytest.skip(str(missing))
    found = files(request.getfixturevalue(kind))
    lint = ("--lint-only", "-Wall", "-Wno-fatal")
    said = done(program, *lint, *found, env={**os.environ, **verilator.environment()})
    assert "%Error" not in said
    # Unused bits, widths and several tops are no faults of a library of modules.
    kinds = set(re.findall(r"%Warning-(\w+)", said))
    assert not {name for name in kinds if name.startswith(("MOD", "REDEF", "PIN", "IMPLICIT", "MULTIDRIVEN"))}, said


def test_every_file_of_one_design_stands_alone(folder: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    for path in files(folder):
        assert done("iverilog", "-g2001", "-Wall", "-Wno-timescale", "-tnull", "-s", Path(path).stem, path) == ""


def test_a_module_of_one_name_is_the_same_everywhere(folder: Path, shared: Path) -> None:
    known: dict[str, str] = {}
    for path in [*files(folder), *files(shared)]:
        for found in re.finditer(r"^module (\w+).*?^endmodule\n", Path(path).read_text(), re.MULTILINE | re.DOTALL):
            assert known.setdefault(found[1], found[0]) == found[0]
    tops = {json.loads(path.read_text())["module"] for path in folder.glob("*[0-9].json")}
    helpers = {name for name in known if name.startswith(HELPER_PREFIX)}
    assert {"siliquant_full_adder", "siliquant_memory_1r1w", "siliquant_thresholds_n32_g1_b2_s0"} <= helpers
    # What is left belongs to one design: its own module, and parts that say whose they are.
    texts = "".join(Path(path).read_text() for path in [*files(folder), *files(shared)])
    parts = dict(re.findall(r"^// (\w+): part of (\w+)$", texts, re.MULTILINE))
    assert set(known) - helpers == tops | parts.keys()
    assert set(parts.values()) <= tops


def test_several_designs_share_one_file_of_helpers(shared: Path) -> None:
    cells = (shared / "siliquant_cells.v").read_text()
    assert cells.count("module siliquant_full_adder (") == cells.count("module siliquant_memory_1r1w ") == 1
    for path in files(shared)[1:]:
        assert "module siliquant_" not in Path(path).read_text()


def test_a_prefix_makes_other_names_of_helpers_and_nothing_else(tmp_path: Path) -> None:
    arguments = [*ARRAYS[0].split(), "--out"]
    main([*arguments, str(tmp_path / "a")])
    main([*arguments, str(tmp_path / "b"), "--prefix", "mine_"])
    for path in sorted((tmp_path / "a").iterdir()):
        text, other = path.read_text(), (tmp_path / "b" / path.name).read_text()
        assert HELPER_PREFIX in text
        assert HELPER_PREFIX not in other
        assert with_prefix(text, "mine_") == other
    verilog, described = ((tmp_path / "b" / f"{path.stem}{end}").read_text() for end in (".v", ".json"))
    for part in ("element", "grid", "requant"):
        assert f"module {json.loads(described)[part]['module']} (" in verilog


def test_generated_modules_are_those_of_the_text() -> None:
    from rtl.mac import UniformSpec, XnorSpec

    specs = [UniformSpec(lanes=1), XnorSpec(lanes=2)]
    made = generate(specs)
    assert made.names == tuple(spec.name for spec in specs)
    assert list(made.helpers) == ["siliquant_full_adder"]
    assert to_verilog(specs).startswith(made.text)


def test_a_part_that_is_asked_for_on_its_own_is_there_under_both_names() -> None:
    from rtl.array import ArraySpec
    from rtl.mac import UniformSpec
    from rtl.requant import ThresholdSpec

    array = ArraySpec(mac=UniformSpec(lanes=1), rows=1, columns=1, requant=ThresholdSpec(accumulator_width=32, bits=1))
    assert array.requant is not None
    text = to_verilog([array, array.requant])
    for name in (array.requant.name, helper(array.requant.name)):
        assert text.count(f"module {name} (") == 1


def test_a_call_does_not_take_shared_modules_from_designs_of_another(tmp_path: Path) -> None:
    first = [*ARRAYS[0].split(), "--design", "xnor", "--out", str(tmp_path)]
    main(first)
    main(first)  # the same again is no loss
    cells = (tmp_path / "siliquant_cells.v").read_bytes()
    fewer = ["--design", "uniform", "--design", "xnor", "--out", str(tmp_path)]
    with pytest.raises(ValueError, match=r"siliquant_cells\.v: has modules of other designs, such as siliquant_"):
        main(fewer)
    assert (tmp_path / "siliquant_cells.v").read_bytes() == cells
    main([*fewer, "--prefix", "other_"])
    assert (tmp_path / "other_cells.v").exists()


def test_a_prefix_that_makes_two_modules_of_one_name_is_refused() -> None:
    from rtl.mac import UniformSpec

    class Adder(UniformSpec):
        name = "mine_full_adder"  # type: ignore[assignment]

    assert "module mine_full_adder (" in to_verilog([Adder(lanes=1)])
    with pytest.raises(ValueError, match="prefix must not give a shared module the name of a design, as 'mine_' does"):
        to_verilog([Adder(lanes=1)], "mine_")


def test_two_folders_and_an_empty_prefix_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="--out must be the same for all designs, not build and x"):
        main(["--design", "uniform", "--out", "build", "--design", "xnor", "--out", "x"])
    with pytest.raises(ValueError, match="prefix must be a Verilog identifier, not ''"):
        main(["--design", "uniform", "--prefix", ""])
    assert list(tmp_path.iterdir()) == []
