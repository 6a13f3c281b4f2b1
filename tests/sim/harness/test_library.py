"""The build of a simulated array: once for equal ones, again for whatever changes it, and what is said of failures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.harness import library
from sim.harness.library import array_verilog, build_library
from sim.simulators.toolchain import ToolError
from tests.sim.harness.products import BROADCAST, library_of


def test_equal_arrays_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = library_of(BROADCAST)
    monkeypatch.setattr("sim.harness.library.run_tool", lambda *_: pytest.fail("built again"))
    monkeypatch.setattr("sim.simulators.generated.to_verilog", lambda *_: pytest.fail("generated again"))
    assert build_library(BROADCAST) == first
    assert build_library(BROADCAST, array_verilog(BROADCAST)) == first
    assert [path.name for path in first.parent.iterdir() if path.is_dir()] == []


@pytest.mark.usefixtures("spoiled_headers")
def test_headers_are_read_as_they_were_compiled(tmp_path: Path) -> None:
    assert build_library(BROADCAST, array_verilog(BROADCAST) + f"// {tmp_path}").is_file()


def test_what_makes_another_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys: list[object] = []

    def note(kind: str, key: object, make: Callable[[Path], None]) -> Path:
        keys.append(key)
        return tmp_path

    verilog = array_verilog(BROADCAST)
    monkeypatch.setattr("sim.harness.library.cached", note)
    for text in (None, verilog, verilog + "// other"):
        assert build_library(BROADCAST, text) == tmp_path / "array.so"
    monkeypatch.setattr("sim.harness.library._OPTIMISE", {"OPT_FAST": "-O0"})
    build_library(BROADCAST)
    monkeypatch.setattr("sim.simulators.toolchain.Verilator.tools", lambda _: {"verilator": "another"})
    build_library(BROADCAST)
    monkeypatch.setattr("sim.harness.library.processor", lambda: "another")  # of a home folder that machines share
    build_library(BROADCAST)
    monkeypatch.setattr("sim.harness.library._WIDE", ())
    build_library(BROADCAST)
    assert [keys.index(key) for key in keys] == [0, 0, 2, 3, 4, 5, 6]


def test_every_source_of_the_build_makes_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What drives the array, what slices its grid, and what reads the netlist for that."""
    keys: list[object] = []
    monkeypatch.setattr("sim.harness.library.cached", lambda kind, key, make: keys.append(key) or tmp_path)
    build_library(BROADCAST)
    sources = library._SOURCES
    assert [path.name for path in sources] == ["harness.cpp", "sliced.py", "netlists.py", "netlist_worker.py"]
    for place, path in enumerate(sources):
        changed = tmp_path / path.name
        changed.write_text(path.read_text() + "\n")
        monkeypatch.setattr(library, "_SOURCES", (*sources[:place], changed, *sources[place + 1 :]))
        build_library(BROADCAST)
    assert [keys.index(key) for key in keys] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("right", "wrong", "text"),
    [
        (
            "module siliquant_memory_1r1w ",
            "module memory_elsewhere ",
            r"verilator_bin ended with code 1:\n.*memory_1r1w",
        ),
        ("module siliquant_memory_1r1w ", "module 1r1w ", r"Yosys could not read the Verilog: .*syntax error"),
        ("assign busy = running;", "assign busy = running", r"Yosys could not read the Verilog: .*syntax error"),
    ],
)
def test_broken_verilog(right: str, wrong: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each with the tool's message, and nothing left in the cache."""
    verilog = array_verilog(BROADCAST)
    assert right in verilog
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    with pytest.raises(ToolError, match=f"(?s)^{text}"):
        build_library(BROADCAST, verilog.replace(right, wrong))
    assert [path for path in (tmp_path / "sim").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("tool", ["make", "g++"])
def test_missing_tool(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else real(name))
    with pytest.raises(ToolError) as caught:
        build_library(BROADCAST)
    assert str(caught.value) == f"{tool} is missing; on Debian or Ubuntu: sudo apt-get install {tool}"
