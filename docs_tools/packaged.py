"""Makes anew what the package holds of designs, and compares: ``python -m docs_tools.packaged``.

That is the Verilog behind the packaged rows of this flow, their netlists, and what the cost model counts of designs.
Verilog and counts are used only where their stamp is that of the code, so an edit of the generators or of the counting
calls for --stamp: it writes the stamps where nothing differs. After an edit of the flow a row of each recipe is
synthesised again. --recount also writes the counts that differ; rows can only be measured again. Exit code 1
where something differs, or without --stamp a stamp is another. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hwmodel.comparison import Settings, settings
from hwmodel.library import find_library
from hwmodel.measurement import (
    FLOW_FOLDERS,
    PACKAGED_CALIBRATION,
    PACKAGED_ROWS,
    STAMP,
    Bench,
    DesignUnderTest,
    RowStore,
    Spec,
    SynthesisRow,
    local,
    named,
    packaged_calibration,
    sha256_text,
    verilog_stamp,
    write_stamp,
)
from hwmodel.model import (
    ALONE,
    PACKAGED_FEATURES,
    Delays,
    counted,
    features_stamp,
    known_models,
    load_model,
    periods_name,
    reach_of,
    transitions_name,
    write_features,
)
from hwmodel.operands import StreamPlan
from hwmodel.synthesis import FLOW_VERSION
from rtl.array import CoreSpec
from rtl.mac import DESIGNS
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from siliquant.commandline import Parser, add_jobs, read_jobs, run
from siliquant.files import cache_dir, code_sha256, write_atomically
from siliquant.inputs import InputError

from .commands import ROOT, printed_and_written

__all__ = ["Item", "differences", "items", "lacking", "main", "parser", "spec_of", "stale"]

PROG = "docs_tools.packaged"
FLOW_STAMP = "flow.json"
COMPARISONS = (
    "--bits 2,3,4 --check",
    "--bits 4 --model deit-tiny",
    "--bits 3,4 --library sky130hd --clock-mhz 150",
    "--bits 3,4 --library ihp-sg13g2 --clock-mhz 150",
    "--bits 3,4 --library asap7 --clock-mhz 1000",
)
"""Of the documentation: what they count is packaged, so that they answer in seconds."""
COMMAND = f"python -m {PROG} --stamp"
EPILOG = f"""\
examples:
  python -m {PROG}                 what differs
  {COMMAND}         after a change of a generator or of the counting that changes no result
  python -m {PROG} --recount       after one that does: what is counted of designs is written anew"""


@dataclass(frozen=True)
class Item:
    """A packaged design, as :func:`hwmodel.measurement.keys.named` has it, and what the package holds of it: the sha256
    of its Verilog, or an entry of features.
    """

    file: Path
    design: str
    held: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}: {self.design}"


def items() -> list[Item]:
    """Everything that is compared: the slowest first."""
    rows = RowStore(Path("/nonexistent")).rows()
    verilog = {(named(row.design, row.spec), row.verilog_sha256) for row in rows if row.flow_version == FLOW_VERSION}
    made = [Item(PACKAGED_ROWS, design, held) for design, held in sorted(verilog)]
    for path in PACKAGED_FEATURES:
        made += [Item(path, design, json.dumps(held)) for design, held in _features(path).items()]
    return sorted(made, key=lambda item: -_size(spec_of(item.design)))


def differences(item: Item) -> list[str]:
    """What the package holds otherwise than the code makes it, by name; empty where all is the same."""
    from rtl.verilog import numbered_verilog

    if item.file == PACKAGED_ROWS:
        return [] if sha256_text(numbered_verilog([spec_of(item.design)])) == item.held else ["Verilog"]
    held: Mapping[str, Any] = json.loads(item.held)
    made = _counted(item.design, held)
    return sorted(name for name in _of_models(held) if made.get(name) != held[name])


def recount(path: Path, jobs: int) -> None:
    """Writes a file of features with every entry counted anew, that of the comparison with all that it asks for and no
    more, that of the calibration with the periods by the models that there are now.
    """
    names = {design: list(held) for design, held in _features(path).items()}
    if path == PACKAGED_FEATURES[0]:
        names = _wanted()
        for design, looked in _looked().items():
            names[design] = [*names.get(design, ()), *looked]
    else:
        for design, asked in _calibrated().items():
            names[design] = [*names.get(design, ()), *asked]
    made: dict[str, dict[str, Any]] = {}
    for outcome in local(jobs)(_recounted, [Item(path, design, json.dumps(held)) for design, held in names.items()]):
        if outcome.result is None:
            raise InputError(f"{outcome.item} cannot be counted: {outcome.error}")
        if outcome.result.keys() - {"counts"}:
            made[outcome.item.design] = outcome.result
    write_features(made, path)


def _recounted(item: Item) -> dict[str, Any]:
    return _counted(item.design, json.loads(item.held))


def _counted(design: str, names: Iterable[str]) -> dict[str, Any]:
    """What the code counts of a design, of the names of an entry."""
    spec, wanted = spec_of(design), set(names)
    assert isinstance(spec, MacSpec)
    plans, delays = _known()
    return counted(
        spec,
        [plan for name, plan in plans.items() if name in wanted],
        [each for name, each in delays.items() if name in wanted],
    )


def spec_of(design: str) -> Spec:
    """The design of a packaged name. Raises InputError where there is none of that name."""
    name, _, parameters = design.partition(" ")
    kinds: tuple[type[MacSpec | LoadableSpec], ...] = (*DESIGNS, ThresholdSpec, MultiplierSpec, PartialSumSpec)
    for kind in kinds:
        if kind.design == name:
            return kind(**json.loads(parameters))
    raise InputError(f"there is no design {name!r}, of which the package holds something: {design}")


def stale() -> list[str]:
    """The packaged files whose stamp is not that of the code, from the top folder."""
    found = [path for path in PACKAGED_FEATURES if json.loads(path.read_text())["stamp"] != features_stamp()]
    rows = PACKAGED_ROWS / STAMP
    if not rows.is_file() or json.loads(rows.read_text()) != verilog_stamp():
        found.append(rows)
    if not is_flow_stamped():
        found.append(PACKAGED_ROWS / FLOW_STAMP)
    return [str(path.relative_to(ROOT)) for path in found]


def flow_stamp() -> dict[str, str]:
    """The version of the flow and a hash over the code that decides its netlists, comments left out."""
    here = resources.files("hwmodel")
    files = [file for folder in FLOW_FOLDERS for file in here.joinpath(*folder.split("/")).iterdir()]
    maps = sorted(file.read_text() for file in files if file.name.endswith(".v"))
    return {"flow_version": str(FLOW_VERSION), "code": code_sha256(files, *maps)}


def is_flow_stamped() -> bool:
    """Whether the netlists of a sample of packaged rows were verified for the flow that the code has now."""
    path = PACKAGED_ROWS / FLOW_STAMP
    return path.is_file() and json.loads(path.read_text()) == flow_stamp()


def sample() -> list[SynthesisRow]:
    """Of the packaged rows of MACs of this flow that with the fewest cells of each recipe."""
    found: dict[str, SynthesisRow] = {}
    for row in sorted(RowStore(Path("/nonexistent")).rows(), key=lambda row: (row.cells, row.key)):
        plain = row.activity is None and row.wiring is None and row.effort == "normal"
        if plain and row.flow_version == FLOW_VERSION and isinstance(_spec_of_row(row), MacSpec):
            found.setdefault(row.recipe, row)
    return list(found.values())


def netlist_differences(row: SynthesisRow) -> list[str]:
    """What a row has otherwise than it is measured now: recipe, area, minimum period."""
    spec = _spec_of_row(row)
    assert isinstance(spec, MacSpec)
    with tempfile.TemporaryDirectory() as empty:
        bench = Bench(find_library(row.library), row.clock_mhz, fresh=True, jobs=1)
        with DesignUnderTest(spec, bench, RowStore(Path(empty), packaged=None)) as dut:
            made = dut.at(row.clock_mhz, ()).row
    pairs = ((name, getattr(made, name), getattr(row, name)) for name in ("recipe", "area_um2", "minimum_period_ns"))
    return [f"{name} {kept}, now {new}" for name, new, kept in pairs if new != kept]


def _spec_of_row(row: SynthesisRow) -> Spec:
    return spec_of(named(row.design, row.spec))


def _resynthesised(jobs: int) -> Iterator[str]:
    """A line for each row of the sample whose netlist is another now."""
    for outcome in local(jobs)(netlist_differences, sample()):
        if outcome.result is None:
            yield f"{outcome.item.spec}: {outcome.error}"
        elif outcome.result:
            item = Item(PACKAGED_ROWS, named(outcome.item.design, outcome.item.spec), "")
            yield f"{item}: {'; '.join(outcome.result)}"


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("--stamp", action="store_true", help="where nothing differs, write the stamps")
    made.add_argument("--recount", action="store_true", help="write the counts that differ, then as --stamp")
    add_jobs(made)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    jobs = read_jobs(options.jobs)
    lines = list(_checked(items(), jobs))
    lines += [
        f"{Item(path, design, '')} lacks {'; '.join(names)}"
        for path, wanted in zip(PACKAGED_FEATURES, (_wanted(), _calibrated()), strict=True)
        for design, names in lacking(path, wanted).items()
    ]
    if not is_flow_stamped():
        lines += _resynthesised(jobs)
    if options.recount:
        # That of the comparison always: of a new model it may lack all periods without that anything differs.
        differing = [PACKAGED_FEATURES[0]]
        differing += [path for path in PACKAGED_FEATURES[1:] if any(_of(path, line) for line in lines)]
        for path in differing:
            recount(path, jobs)
        lines = [line for line in lines if not any(_of(path, line) for path in differing)]
    if not lines and (options.stamp or options.recount):
        for path in PACKAGED_FEATURES:
            write_features({design: _of_models(held) for design, held in _features(path).items()}, path)
        write_stamp()
        write_atomically(PACKAGED_ROWS / FLOW_STAMP, json.dumps(flow_stamp(), indent=0, sort_keys=True) + "\n")
    lines += [f"{path}: the stamp is not that of the code; write it with {COMMAND}" for path in stale()]
    print("\n".join(lines) or "everything packaged is what the code makes")
    sys.exit(bool(lines))


def _checked(wanted: Iterable[Item], jobs: int) -> Iterator[str]:
    """A line for each item that differs. What was found right once is remembered for the same code."""
    done = cache_dir() / "packaged" / sha256_text(json.dumps([features_stamp(), verilog_stamp()]))
    known = set(done.read_text().split()) if done.is_file() else set()
    waiting = [item for item in wanted if _sha256(item) not in known]
    for number, outcome in enumerate(local(jobs)(differences, waiting), start=1):
        if outcome.error is not None:
            yield f"{outcome.item}: {type(outcome.error).__name__}: {outcome.error}"
        elif outcome.result:
            yield f"{outcome.item}: {'; '.join(outcome.result)} differs"
        else:
            known.add(_sha256(outcome.item))
        if number % 16 == 0 or number == len(waiting):
            write_atomically(done, "\n".join(sorted(known)) + "\n")
        if sys.stderr.isatty():
            print(f"\r{number} of {len(waiting)}", end="", file=sys.stderr, flush=True)


def _of(path: Path, line: str) -> bool:
    return line.startswith(f"{path.relative_to(ROOT)}: ")


def _sha256(item: Item) -> str:
    return sha256_text(f"{item}\n{item.held}")


def _features(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())["designs"]
    return found


def _of_models(held: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without periods by delays that no model has any more."""
    return {name: value for name, value in held.items() if not name.startswith("periods, ") or name in _known()[1]}


def _size(spec: Spec) -> int:
    return sum(port.width for port in spec.ports)


def lacking(path: Path, wanted: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """What is asked for of designs and their file of features has not, by design."""
    kept = _features(path)
    found = {design: [name for name in names if name not in kept.get(design, {})] for design, names in wanted.items()}
    return {design: names for design, names in found.items() if names}


def _wanted() -> dict[str, list[str]]:
    """The streams under which the comparison asks for each design."""
    found: dict[str, list[str]] = {}
    for entry in _asked().entries:
        names = [transitions_name(StreamPlan(precision)) for precision in entry.question.precisions]
        found.setdefault(named(entry.spec.design, entry.spec.parameters), []).extend(names)
    return found


def _calibrated() -> dict[str, list[str]]:
    """The periods that the cost models ask for of the designs of the tables that they were fitted to, by design."""
    found: dict[str, dict[str, None]] = {}
    for library in known_models():
        delays = load_model(library).coefficients
        for spec in packaged_calibration(library).specs():
            mac, reach = (spec.mac, reach_of(spec)) if isinstance(spec, CoreSpec) else (spec, ALONE)
            name = periods_name(delays.relaxed_ns, delays.fastest_ns, reach)
            found.setdefault(named(mac.design, mac.parameters), {})[name] = None
    return {design: list(names) for design, names in found.items()}


def _looked() -> dict[str, list[str]]:
    """What commands of the documentation have counted of the designs that they look at, by design."""
    plans, delays = _known()
    found: dict[str, list[str]] = {}
    for options in COMPARISONS:
        command = ("-m", "hwmodel.compare", *options.split(), "--out", "OUT")
        _, (text,) = printed_and_written(*command, names=["features.json"])
        for design, entry in json.loads(text)["designs"].items():
            found.setdefault(design, []).extend(name for name in entry if name in plans or name in delays)
    return found


def _asked() -> Settings:
    """What the comparison asks for."""
    return settings(bits=[2, 3, 4], mixtures=[], designs=None, lanes=16, units=4, jobs=1)


@cache
def _known() -> tuple[dict[str, StreamPlan], dict[str, Delays]]:
    """The streams of the comparison and of calibrations, and the delays of the models, by their names in entries."""
    plans = [StreamPlan(precision) for entry in _asked().entries for precision in entry.question.precisions]
    reaches = [ALONE]
    for path in sorted(PACKAGED_CALIBRATION.glob("*.csv")):
        table = packaged_calibration(path.stem)
        plans += table.plans()
        reaches += [reach_of(spec) for spec in table.specs() if isinstance(spec, CoreSpec)]
    models = [load_model(name).coefficients for name in known_models()]
    delays = [(each.relaxed_ns, each.fastest_ns, reach) for each in models for reach in dict.fromkeys(reaches)]
    return {transitions_name(plan): plan for plan in plans}, {periods_name(*each): each for each in delays}


if __name__ == "__main__":
    run(PROG, main)
