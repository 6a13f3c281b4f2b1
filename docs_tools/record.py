"""Makes the results in reports/results anew: ``python -m docs_tools.record NAME ...``.

They take minutes to hours, and times want a quiet machine; python -m docs_tools.numbers --write then puts them into the
pages. What a result depends on is noted beside it: command, date, versions, machine.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hwmodel.library import find_library
from hwmodel.measurement import Bench, DesignUnderTest, RowStore, settled_power_uw, tool_versions
from hwmodel.model import default_plan
from hwmodel.operands import LSQ_GAUSSIAN, UNIFORM, Stream, StreamPlan, make_stimulus
from hwmodel.options import LIBRARIES
from rtl.mac import BitSerialSpec, LoomSpec, SubwordSpec, UniformSpec
from rtl.spec import Precision
from siliquant.commandline import Parser, run
from siliquant.files import scratch, write_atomically
from siliquant.inputs import InputError
from siliquant.processes import run_program
from sim.campaigns import Campaign, summary

from .commands import ROOT
from .results import RESULTS, read_result, write_result

__all__ = ["RECORDERS", "main", "recorded"]

PROG = "docs_tools.record"
EPILOG = """\
examples:
  python -m docs_tools.record qor-freepdk45 stream-power demo
  SILIQUANT_PDK_DIR=pdk python -m docs_tools.record all"""
FLOW = ("yosys", "opensta", "icarus", "siliquant", "python")
TRAINING = ("torch", "transformers")
SIMULATION = ("verilator", "cocotb")
WHOLE_NETWORKS = ("deit-tiny", "deit-small", "deit-base", "swin-tiny", "sret-tiny", "bert-base")
_RUN = ROOT / "build" / "fuzz"
UTILISATIONS = (1.0, 0.75, 0.5, 0.25)
GATED = (UniformSpec(lanes=16), LoomSpec(units=64), BitSerialSpec(units=16), SubwordSpec(units=4))
STREAM_PRECISIONS = (Precision(2, 2), Precision(2, 2, False), Precision(4, 4), Precision(4, 4, False), Precision(8, 8))


Recorded = tuple[Mapping[str, Any], str, Sequence[str]]
"""Values, the command that made them, and the tools that they depend on."""


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("names", nargs="+", metavar="NAME", help=f"all, or of {', '.join(RECORDERS)}")
    made.add_argument(
        "--run", type=Path, metavar="DIR", default=_RUN,
        help="folder of siliquant fuzz, of which the result fuzz is what has run so far (default build/fuzz)",
    )  # fmt: skip
    return made


def main(
    arguments: Sequence[str] | None = None,
    recorders: Mapping[str, Callable[[], Recorded]] | None = None,
    folder: Path | None = None,
) -> None:
    """The command line, for these results and that folder (default: RECORDERS and reports/results)."""
    options = parser().parse_args(arguments)
    if recorders is None:
        recorders = {**RECORDERS, "fuzz": partial(_fuzz, options.run)}
    for name in RECORDERS if options.names == ["all"] else options.names:
        if name not in recorders:
            raise InputError(f"a result must be one of {', '.join(recorders)}, not {name!r}")
        print(f"{name} ...", file=sys.stderr, flush=True)
        path = recorded(name, recorders, folder)
        print(path.relative_to(ROOT) if folder is None else path)


def recorded(
    name: str, recorders: Mapping[str, Callable[[], Recorded]] | None = None, folder: Path | None = None
) -> Path:
    """Makes one result, by RECORDERS or others, in that folder (default: reports/results), and returns its file. Raises
    ValueError where its command fails.
    """
    values, command, tools = (recorders or RECORDERS)[name]()
    known = tool_versions()
    return write_result(
        name,
        values,
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        versions={tool: known[tool] if tool in known else version(tool) for tool in tools},
        machine=_machine(),
        folder=folder,
    )


def _machine() -> str:
    """The processors of this machine, in words."""
    models = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    return f"{len(models)} cores ({models[0]})" if models else platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _ran(*arguments: str) -> str:
    """What ``python`` with these arguments prints."""
    done = run_program([sys.executable, *arguments], cwd=ROOT, stderr=None)
    if done.returncode != 0:
        raise InputError(f"python {' '.join(arguments)} must succeed, and ended with {done.returncode}")
    return done.stdout


def _written(*arguments: str) -> dict[str, Any]:
    """What ``python`` with these arguments and --out FILE writes."""
    with scratch("record") as folder:
        path = folder / "out.json"
        _ran(*arguments, "--out", str(path))
        found: dict[str, Any] = json.loads(path.read_text())
    return found


def _qor(library: str) -> Recorded:
    given = ["benchmarks/qor.py", "--library", library]
    found = _written(*given)
    return {name: value for name, value in found.items() if name != "known"}, f"python {' '.join(given)}", FLOW


def _calibration_parts() -> Recorded:
    script = "benchmarks/calibration_parts.py"
    found = {
        "freepdk45": _written(script)["rows"],
        "sky130hd": _written(script, "--library", "sky130hd", "--designs", "20")["rows"],
    }
    return found, f"python {script}", ("numpy", "scipy", "siliquant", "python")


def _pair_widths() -> Recorded:
    script = "benchmarks/synthesis/pair_widths.py"
    return _written(script), f"python {script}", FLOW


def _wires(library: str, clock_mhz: int) -> Recorded:
    given = ["benchmarks/wires.py", "--library", library, "--clock-mhz", str(clock_mhz)]
    return _written(*given), f"python {' '.join(given)}", FLOW


def _proofs() -> Recorded:
    found = _written("-m", "sim.prove", "--fresh")
    return found, "python -m sim.prove --fresh", ("bitwuzla", "pyosys", "amaranth", "siliquant", "python")


def _mutants() -> Recorded:
    given = ["-m", "sim.mutate", "--fresh"]
    tools = ("pyosys", "verilator", "icarus", "cocotb", "bitwuzla", "amaranth", "siliquant", "python")
    return _written(*given), f"python {' '.join(given)}", tools


def _gate_level() -> Recorded:
    """Netlists by the recipes of the flow in turn, of each library."""
    given = ["-m", "hwmodel.gates", "--recipes", "2", "--fresh"]
    netlists = []
    for library in LIBRARIES:
        found = _written(*given, "--library", library)
        if found["differ"]:
            raise InputError(f"all netlists must do what their RTL does, but: {found['differ'][0]}")
        netlists += [_netlist(each) for each in found["netlists"]]
    return {"netlists": netlists}, f"python {' '.join(given)} --library NAME", FLOW


def _netlist(check: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a netlist beside its RTL."""
    proved, runs = check["proved"] or {}, (check["unknown"], *check["drawn"], check["own"])
    return {
        **{name: check[name] for name in ("name", "design", "library", "recipe", "cells", "seconds")},
        "proved": bool(proved),
        **{name: proved.get(name) for name in ("registers", "outputs", "merged")},
        "cycles": sum(run["cycles"] for run in runs if run),
        "bits": sum(run["bits"] for run in runs if run),
        "x": check["unknown"]["unknown"] + (check["own"] or {"unknown": 0})["unknown"],
        "x_of_drawn": sum(run["unknown"] for run in check["drawn"]),
    }


def _simulators() -> Recorded:
    found = _written("-m", "sim.agree", "--fresh")
    return found, "python -m sim.agree --fresh", ("verilator", "icarus", "siliquant", "python")


def _fuzz(folder: Path) -> Recorded:
    """What has run so far of the run in a folder. Raises InputError where there is none."""
    found = Campaign.load(folder)
    if found is None:
        raise InputError(f"{folder} must be the folder of a run: siliquant fuzz --minutes 480 --out {folder}")
    command = f"siliquant fuzz --minutes 480 --seed {found.seed} --out build/fuzz; python -m docs_tools.record fuzz"
    return summary(found), command, ("pyosys", "verilator", "icarus", "amaranth", "torch", "siliquant", "python")


def _mutation() -> Recorded:
    found = _written("-m", "tests.mutation")
    return found, "python -m tests.mutation", ("mutmut", "coverage", "hypothesis", "pytest", "siliquant", "python")


def _exhaustive() -> Recorded:
    return (
        _written("-m", "tests.exhaustive"),
        "python -m tests.exhaustive",
        ("amaranth", "numpy", "siliquant", "python"),
    )


def _readers() -> Recorded:
    tools = ("verilator", "pyslang", "icarus", "pyosys", "amaranth", "siliquant", "python")
    return _written("-m", "tests.readers"), "python -m tests.readers", tools


def _ratios() -> Recorded:
    return _written("benchmarks/ratios.py"), "python benchmarks/ratios.py", FLOW


def _drains() -> Recorded:
    return _written("benchmarks/drains.py"), "python benchmarks/drains.py", ("yosys", "siliquant", "python")


def _published_energy() -> Recorded:
    return _written("benchmarks/published_energy.py"), "python benchmarks/published_energy.py", FLOW


def _rtl_speed() -> Recorded:
    return _written("benchmarks/rtl_speed.py"), "python benchmarks/rtl_speed.py", (*SIMULATION, "icarus", "siliquant")


def _qat_speed() -> Recorded:
    given = ["benchmarks/qat_speed.py", "--repeats", "5"]
    return _written(*given), f"python {' '.join(given)}", (*TRAINING, "siliquant")


def _whole_network(name: str, *options: str) -> Recorded:
    """One input of a network of real size, every accumulator, code and logit compared."""
    given = ["-m", "sim.equivalence", "--random", name, *options]
    found = _written(*given)
    gemms, spec = found["gemms"], found["spec"]
    values = {
        "network": name,
        "mac": UniformSpec(**spec["mac"]["parameters"]).name,
        **{key: spec[key] for key in ("rows", "columns", "architecture")},
        "macs": found["macs"],
        **{key: sum(gemm[key] for gemm in gemms) for key in ("products", "accumulators", "codes")},
        "mismatches": found["mismatches"],
        "cycles": sum(gemm["cycles"] + gemm["load_cycles"] + gemm["code_cycles"] for gemm in gemms),
        **{key: round(found[key], 1) for key in ("simulation_s", "simulation_cpu_s")},
    }
    return values, f"python {' '.join(given)}", (*SIMULATION, *TRAINING, "siliquant")


def _stream_power() -> Recorded:
    """Dynamic power without glitches under each stream, to that of uniform signed codes. What a chain of codes with
    the same statistics gives is kept as it is.
    """
    lanes, library = 16, find_library()
    streams = (LSQ_GAUSSIAN, "vit-mnist", "minilm")
    relative: dict[str, dict[str, Any]] = {name: {} for name in streams}
    for bits in (2, 4, 8):
        spec = UniformSpec(weight_bits=bits, activation_bits=bits, lanes=lanes)
        precisions = [precision for precision in STREAM_PRECISIONS if precision.weight_bits == bits]
        plans = {(name, p): StreamPlan(p, Stream(name)) for name in streams for p in precisions}
        base = StreamPlan(Precision(bits, bits), Stream(UNIFORM))
        with DesignUnderTest(spec, Bench(library), RowStore()) as dut:
            found = dut.at(500.0, (base, *plans.values())).powered
        for (name, precision), plan in plans.items():
            zeros = None if precision.activation_signed else _zeros(spec, plan)
            ratio = _dynamic_uw(found[plan]) / _dynamic_uw(found[base])
            relative[name][str(precision)] = {"ratio": round(ratio, 4), "zeros": zeros}
    order = [str(precision) for precision in STREAM_PRECISIONS]
    values = {
        "library": library.name,
        "clock_mhz": 500.0,
        "lanes": lanes,
        "relative": {name: {key: each[key] for key in order} for name, each in relative.items()},
        "markov_largest_error": read_result("stream-power")["markov_largest_error"],
    }
    return values, "python -m docs_tools.record stream-power", FLOW


def _clock_gates() -> Recorded:
    """Area and power of some designs where clock gates hold their registers, and where multiplexers do."""
    library, designs = find_library(), {}
    for spec in GATED:
        full = default_plan(spec)
        plans = {share: replace(full, utilisation=share) for share in UTILISATIONS}
        kinds = {}
        for kind, cell in (("gates", library.clock_gate), ("multiplexers", None)):
            # Rows are not kept: what a library has beside its file is no part of their keys.
            with scratch("record") as folder:
                bench = Bench(replace(library, clock_gate=cell))
                with DesignUnderTest(spec, bench, RowStore(folder, packaged=None)) as dut:
                    rows = dut.at(500.0, tuple(plans.values())).powered
            row = rows[full]
            kinds[kind] = {
                "area_um2": round(row.area_um2, 1),
                "minimum_period_ns": row.minimum_period_ns,
                "idle_uw": round(row.idle_uw or 0.0, 1),
                "power_uw": {f"{share:g}": round(rows[plan].power_uw or 0.0, 1) for share, plan in plans.items()},
            }
        designs[spec.label] = kinds
    values = {"library": library.name, "clock_mhz": 500.0, "designs": designs}
    return values, "python -m docs_tools.record clock-gates", FLOW


def _dynamic_uw(row: Any) -> float:
    settled = settled_power_uw(row)
    assert settled is not None
    return float(settled - row.leakage_uw)


def _zeros(spec: UniformSpec, plan: StreamPlan) -> float:
    """The share of activations that are 0."""
    words = make_stimulus(spec, plan).words["activations"]
    mask = (1 << spec.activation_bits) - 1
    codes = [(word >> (lane * spec.activation_bits)) & mask for word in words for lane in range(spec.lanes)]
    return round(sum(code == 0 for code in codes) / len(codes), 3)


def _demo() -> Recorded:
    """What it prints; the record of its simulation is kept too, for the report to show."""
    screen = [line.rstrip() for line in _ran("-m", "reports.demo").strip("\n").splitlines()]
    found = json.loads((ROOT / "build" / "demo" / "equivalence.json").read_text())
    kept = {"command": "make demo"} | {name: value for name, value in found.items() if not name.endswith("_s")}
    write_atomically(RESULTS / "records" / "equivalence.json", json.dumps(kept, indent=1) + "\n")
    return {"screen": screen}, "make demo", (*FLOW, *TRAINING, "verilator")


def _faults() -> Recorded:
    """What is kept of the campaign, which takes hours and is run in parts. Raises InputError where something is
    missing, of other versions, or found something.
    """
    given = ["-m", "tests.faults", "--out", "build/faults"]
    found = json.loads(_ran(*given, "--known", "--older"))
    return found, f"python {' '.join(given)} --older", (*FLOW, *TRAINING, *SIMULATION)


RECORDERS: Mapping[str, Callable[[], Recorded]] = {
    "qor-freepdk45": partial(_qor, "freepdk45"),
    "qor-sky130hd": partial(_qor, "sky130hd"),
    "qor-ihp-sg13g2": partial(_qor, "ihp-sg13g2"),
    "qor-asap7": partial(_qor, "asap7"),
    "wires-freepdk45": partial(_wires, "freepdk45", 500),
    "wires-sky130hd": partial(_wires, "sky130hd", 50),
    "calibration-parts": _calibration_parts,
    "pair-widths": _pair_widths,
    "proofs": _proofs,
    "mutants": _mutants,
    "gate-level": _gate_level,
    "simulators": _simulators,
    "fuzz": partial(_fuzz, _RUN),
    "mutation": _mutation,
    "exhaustive": _exhaustive,
    "readers": _readers,
    "ratios": _ratios,
    "drains": _drains,
    "published-energy": _published_energy,
    "stream-power": _stream_power,
    "clock-gates": _clock_gates,
    "rtl-speed": _rtl_speed,
    "qat-speed": _qat_speed,
    "deit-tiny-systolic-rtl": partial(_whole_network, "deit-tiny", "--architecture", "systolic"),
    **{f"{name}-rtl": partial(_whole_network, name) for name in WHOLE_NETWORKS},
    "demo": _demo,
    "faults": _faults,
}
"""Results by name."""


if __name__ == "__main__":
    run(PROG, main)
