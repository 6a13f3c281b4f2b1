"""Synthesis: Verilog to the smallest netlist of library cells that meets the clock.

Every design takes the same list of recipes (hwmodel.recipes), each in a fresh Yosys process; OpenSTA
times every result, and the smallest that meets the clock is kept.  The same input gives the same
netlist.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hwmodel.checks import positive_number
from hwmodel.library import Library
from hwmodel.recipes import AREA_SCRIPTS, Recipe, abc_options, carry_commands, fastest, rounds, sizes_itself
from hwmodel.selection import Netlist, select
from hwmodel.sizing import apply
from hwmodel.sta import OpenSta, Timing, ToolMissing

_SECONDS_LIMIT = 900
_ADDER = "full_adder"


class SynthesisError(RuntimeError):
    """Yosys refused the design; the message holds what it said."""


@dataclass(frozen=True)
class Candidate:
    """One recipe's result: its area and, where OpenSTA is installed, its minimum period."""

    recipe: str
    area_um2: float
    minimum_period_ns: float | None


@dataclass(frozen=True)
class Synthesis:
    """The netlist kept, and what it was chosen from.

    verilog: the mapped netlist; netlist: the same as Yosys JSON, with names as OpenSTA sees them.
    cells: cell name to count.  timing: with slews and loads; None without OpenSTA.
    """

    top: str
    verilog: str
    netlist: str
    area_um2: float
    cells: Mapping[str, int]
    recipe: str
    timing: Timing | None
    meets_clock: bool | None
    candidates: tuple[Candidate, ...]


def synthesise(
    verilog: str,
    top: str,
    library: Library,
    clock_mhz: float = 500.0,
    *,
    effort: str = "normal",
    jobs: int | None = None,
    recipe: Recipe | None = None,
    screen: bool = False,
    clock: str = "clk",
    progress: Callable[[str], None] | None = None,
) -> Synthesis:
    """Synthesise one design and keep its smallest netlist that meets the clock; if none does, the fastest.

    verilog: the whole source; top: its top module; clock: the name of the clock port.  jobs: recipes
    worked on at a time (default: the processors).  recipe: use only this one.  progress is called
    with each recipe's name when it is done.  Without OpenSTA the smallest netlist of the area
    recipes is kept and timing is None.  Raises ValueError, SynthesisError.
    """
    period_ns = 1000.0 / positive_number("clock_mhz", clock_mhz)
    if not re.fullmatch(r"[A-Za-z_]\w*", top):
        raise ValueError(f"top must be a plain Verilog module name, not {top!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    has_adder = library.full_adder is not None
    groups = ((recipe,),) if recipe else rounds(effort, has_adder)
    first = fastest(effort, has_adder)
    if screen and not recipe:
        others = (tuple(one for one in group if one != first and one.adders == first.adders) for group in groups)
        groups = ((first,), *filter(None, others))
    with tempfile.TemporaryDirectory(prefix="siliquant-synth-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        checkpoint = _elaborate(folder, verilog, top)
        opensta = _open(stack, library)
        found: list[Netlist] = []
        best: Netlist | None = None
        for number, chosen in enumerate(groups):
            with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
                work = [pool.submit(_map, folder, checkpoint, top, library, r, period_ns, progress) for r in chosen]
                new = [netlist for future in work for netlist in future.result()]
            found += new
            if opensta is None:
                best = min(new, key=lambda netlist: netlist.area_um2)
                break
            for netlist in new:
                opensta.load(netlist.path, top, period_ns, clock)
                netlist.slack_ns = opensta.slack_ns()
            if screen and number == 0 and not recipe:
                best = max(found, key=lambda netlist: netlist.slack_or_worst_ns)
                if not best.sizable(period_ns):
                    break
                continue
            best = select(opensta, found, top, library, period_ns, clock)
            if best.final_slack_ns >= 0 and (best.sizing is None or chosen[0].script not in AREA_SCRIPTS):
                break
        assert best is not None  # every effort has recipes
        apply(best.path, best.replaced)
        named = _name(top, best.path)
        timing = None
        if opensta is not None:
            opensta.load(best.path, top, period_ns, clock)
            timing = opensta.timing(details=True)
        area_um2, cells = _area(named, top, library)
        return Synthesis(
            top=top,
            verilog=best.path.read_text(),
            netlist=named.read_text(),
            area_um2=area_um2,
            cells=cells,
            recipe=best.recipe + ("-sized" if best.replaced else ""),
            timing=timing,
            meets_clock=timing.meets_clock if timing else None,
            candidates=tuple(
                Candidate(n.recipe, n.area_um2, None if n.slack_ns is None else period_ns - n.slack_ns) for n in found
            ),
        )


def _open(stack: contextlib.ExitStack, library: Library) -> OpenSta | None:
    try:
        return stack.enter_context(OpenSta(library))
    except ToolMissing:
        return None


def _elaborate(folder: Path, verilog: str, top: str) -> Path:
    (folder / "design.v").write_text(verilog)
    _run(folder, {"kind": "elaborate", "top": top, "modules": _modules(verilog)})
    return folder / "design.il"


def _modules(verilog: str) -> list[str]:
    return re.findall(r"^\s*module\s+\\?(\w+)", verilog, flags=re.MULTILINE)


def _map(
    folder: Path,
    checkpoint: Path,
    top: str,
    library: Library,
    recipe: Recipe,
    period_ns: float,
    progress: Callable[[str], None] | None,
) -> list[Netlist]:
    """Run one recipe; its netlist, and where nets drive many pins the same with buffers."""
    place = folder / recipe.name
    place.mkdir()
    (place / "design.il").symlink_to(checkpoint)
    (place / "cells.lib").symlink_to(library.slim_path.resolve())
    for name in ("adder_chain.v", "ripple.v"):
        (place / name).write_text(resources.files("hwmodel").joinpath("maps", name).read_text())
    constraint = f"set_driving_cell {library.driving_cell}\nset_load {library.default_load_ff:g} [all_outputs]\n"
    (place / "abc.constr").write_text(constraint)
    _run(
        place,
        {
            "kind": "map",
            "top": top,
            "name": "mapped",
            "modules": _modules((folder / "design.v").read_text()),
            "recipe": asdict(recipe),
            "carry_map": carry_commands(recipe),
            "abc": abc_options(recipe, period_ns),
            "adder": asdict(library.full_adder) if library.full_adder and recipe.adders == "cell" else None,
            "complements": library.complements,
            "buffer": library.buffer if library.has_buffer and not sizes_itself(recipe) else None,
            "clock_pins": library.clock_pins,
            "flip_flops": library.flip_flops,
            "output_pins": {**library.output_pins, _ADDER: ("sum", "carry")},
            "inverters": library.inverters,
            "areas": dict(library.gate_areas),
        },
    )
    netlists = []
    for suffix, label in (("", ""), ("_buffered", "-buffered")):
        path = place / f"mapped{suffix}.v"
        if path.is_file():
            text = re.sub(r"^(\s*(?:wire|reg)) signed\b", r"\1", path.read_text(), flags=re.MULTILINE)
            path.write_text(text)
            area_um2, _ = _area(path.with_suffix(".json"), top, library)
            netlists.append(Netlist(recipe.name + label, path, area_um2))
    if progress:
        progress(recipe.name)
    return netlists


def _name(top: str, netlist: Path) -> Path:
    """Yosys JSON of the netlist as it reads in Verilog."""
    _run(netlist.parent, {"kind": "name", "top": top, "name": netlist.stem})
    return netlist.with_suffix(".json")


def _area(netlist: Path, top: str, library: Library) -> tuple[float, dict[str, int]]:
    """Area in um2 and the cell histogram of a mapped JSON netlist."""
    cells = json.loads(netlist.read_text())["modules"][top]["cells"].values()
    counts = Counter(cell["type"] for cell in cells)
    unknown = sorted(set(counts) - set(library.areas))
    if unknown:
        raise SynthesisError(f"the library {library.name} cannot map {', '.join(unknown)} of {top}")
    return round(sum(library.areas[kind] * count for kind, count in counts.items()), 6), dict(sorted(counts.items()))


def _run(folder: Path, job: Mapping[str, Any]) -> None:
    """Run one worker step in its folder; SynthesisError with Yosys' own words when it fails."""
    (folder / "job.json").write_text(json.dumps(job))
    with (folder / f"{job['kind']}.log").open("w+") as log:
        try:
            result = subprocess.run(
                [sys.executable, "-m", "hwmodel.yosys_worker", "job.json"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS_LIMIT,
                check=False,
                env=_environment(),
            )
        except subprocess.TimeoutExpired:
            raise SynthesisError(f"Yosys did not finish the step {job['kind']} in {_SECONDS_LIMIT} s") from None
        if result.returncode:
            log.seek(0)
            lines = log.read().splitlines()
            said = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "nothing")
            raise SynthesisError(f"Yosys stopped in the step {job['kind']} of {job['top']}: {said.strip()}")


def _environment() -> dict[str, str]:
    """The caller's environment, with this package importable and hashing fixed, so that runs repeat exactly."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}
