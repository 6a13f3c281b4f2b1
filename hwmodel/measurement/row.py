"""One row of the comparison: what one design costs in one library at one clock, and where it came from."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from hwmodel.library import Library
from hwmodel.netlist import AreaParts, area_parts
from hwmodel.placement import Placed, Placing, Wiring, placer_version
from hwmodel.power import icarus_version
from hwmodel.synthesis import FLOW_VERSION, Attempt, Synthesis, looks_at_area_alone, opensta_version, search_of
from siliquant.files import package_version
from siliquant.inputs import InputError, field_types, fits, json_object, short

FLOW_FOLDERS = ("liberty", "library", "netlist", "placement", "synthesis", "yosys", "yosys/maps")
"""Folders of hwmodel whose code decides the netlists."""

WIRE_LOAD, NO_WIRES = "wire load", "none"
PLACER = "coloquinte"
"""What places netlists, in a row's tools."""
_LATER = {"toggles", "settled_uw", "idle_uw"}  # fields that rows without power may lack


@dataclass(frozen=True)
class SynthesisRow:
    """Area, timing and, once computed, power of one design.

    spec: the design's parameters.  library_sha256: of the Liberty file; library_use_sha256: of that, the
    cells left out of it and its full-adder cell.  cells: placed cells; histogram: their number by library cell.
    Timing fields are None without OpenSTA; power fields are None until hwmodel.power.power has filled them.
    energy_pj_per_cycle: dynamic and leakage energy of one clock cycle under the stream `activity`.
    idle_uw: power while no operands come: leakage, and the clock of what no clock gate holds back.
    toggles: what internal_uw and switching_uw count, "glitch-aware" or "zero-delay"; settled_uw: their sum without
    glitches, whichever it is.
    wires: WIRE_LOAD or NO_WIRES, as the library has it, or the text of a hwmodel.placement.Placing; wiring: what the
    wires of a placement are, None without one.
    """

    design: str
    spec: Mapping[str, Any]
    library: str
    library_sha256: str
    library_use_sha256: str
    corner: str
    clock_mhz: float
    area_um2: float
    parts: AreaParts
    cells: int
    histogram: Mapping[str, int]
    recipe: str
    minimum_period_ns: float | None
    slack_ns: float | None
    meets_clock: bool | None
    verilog_sha256: str
    tools: Mapping[str, str]
    flow_version: int = FLOW_VERSION
    flow_sha256: str = ""
    effort: str = "normal"
    activity: str | None = None
    leakage_uw: float | None = None
    clock_uw: float | None = None
    internal_uw: float | None = None
    switching_uw: float | None = None
    power_uw: float | None = None
    energy_pj_per_cycle: float | None = None
    toggles: str | None = None
    settled_uw: float | None = None
    idle_uw: float | None = None
    wires: str = NO_WIRES
    wiring: Wiring | None = None
    date: str | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """What the row is stored under; see row_key."""
        return row_key(
            self.verilog_sha256,
            self.library_use_sha256,
            self.clock_mhz,
            self.effort,
            self.activity,
            self.tools,
            self.flow_version,
            placed=self.wires if self.wiring else None,
            search=search_of(self.recipe),
        )

    def with_power(self, activity: str, **fields_uw: float) -> SynthesisRow:
        """The row with its power fields, computed for the operand stream `activity`."""
        return replace(self, activity=activity, **fields_uw)  # type: ignore[arg-type]

    def to_json(self) -> str:
        """One line of JSON, fields sorted by name: equal rows give equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> SynthesisRow:
        """The row of to_json's text.  ValueError, saying what is wrong, when it is not one."""
        try:
            data = json_object(text)
        except InputError as error:
            raise InputError(f"a synthesis row must be a JSON object: {error}") from None
        types = field_types(cls)
        known = types.keys()
        if set(data) - known or (known - set(data)) - _LATER:
            wrong = ", ".join(sorted(set(data) ^ known))
            raise InputError(f"a synthesis row must have exactly the fields of SynthesisRow, and differs in {wrong}")
        for entry in fields(cls):
            if entry.name in data and not fits(data[entry.name], types[entry.name]):
                raise InputError(f"{entry.name} of a synthesis row must be {entry.type}, not {short(data[entry.name])}")
        wiring = None if data["wiring"] is None else Wiring(**data["wiring"])
        return cls(**{**data, "parts": AreaParts(**data["parts"]), "wiring": wiring})


def row_key(
    verilog_sha256: str,
    library_use_sha256: str,
    clock_mhz: float,
    effort: str,
    activity: str | None,
    tools: Mapping[str, str],
    flow_version: int = FLOW_VERSION,
    *,
    placed: str | None = None,
    search: str = "",
) -> str:
    """sha256 over what decides a netlist, its timing and its operands: source, library, clock, flow, tools (of a placed
    row the placer, too), stream, how it is placed (the text of a Placing; None where it is not), and the end of its
    recipe that says how it was searched for. How power is computed, Icarus Verilog included, is a matter of
    ``flow_version``.
    """
    decisive = {name: tools.get(name) for name in ("yosys", "opensta")}
    effort += search
    question = [verilog_sha256, library_use_sha256, float(clock_mhz), effort, activity, decisive, flow_version]
    if placed is not None:
        question += [placed, tools.get(PLACER)]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def make_row(
    design: str,
    spec: Mapping[str, Any],
    verilog: str,
    library: Library,
    clock_mhz: float,
    synthesis: Synthesis,
    *,
    effort: str = "normal",
    date: str | None = None,
) -> SynthesisRow:
    """The row of one synthesis, without power.  spec must be JSON-able."""
    timing = synthesis.timing
    return SynthesisRow(
        design=design,
        spec=json.loads(json.dumps(dict(spec), sort_keys=True)),
        library=library.name,
        library_sha256=library.sha256,
        library_use_sha256=library.use_sha256,
        corner=library.corner,
        clock_mhz=float(clock_mhz),
        area_um2=synthesis.area_um2,
        parts=area_parts(synthesis.netlist, synthesis.top, library),
        cells=sum(synthesis.cells.values()),
        histogram=dict(sorted(synthesis.cells.items())),  # as from_json gives it: a row says the same when it is kept
        recipe=synthesis.recipe,
        minimum_period_ns=round(timing.minimum_period_ns, 6) if timing else None,
        slack_ns=round(timing.worst_slack_ns, 6) if timing else None,
        meets_clock=synthesis.meets_clock,
        verilog_sha256=sha256_text(verilog),
        tools=dict(sorted(tool_versions().items())),
        flow_sha256=flow_sha256(),
        effort=effort,
        wires=WIRE_LOAD if library.has_wire_load else NO_WIRES,
        date=date,
    )


def placed_row(row: SynthesisRow, placed: Placed, placing: Placing, clock_mhz: float) -> SynthesisRow:
    """The row without power of the same netlist with the wires of a placement, at a clock."""
    timing = placed.mapped.timing
    assert timing is not None
    return replace(
        row,
        clock_mhz=float(clock_mhz),
        minimum_period_ns=round(timing.minimum_period_ns, 6),
        slack_ns=round(timing.worst_slack_ns, 6),
        meets_clock=timing.meets_clock,
        tools=dict(sorted({**row.tools, PLACER: placer_version() or "none"}.items())),
        wires=placing.text,
        wiring=placed.wiring,
    )


def attempt_of_row(row: SynthesisRow) -> Attempt:
    """A synthesised design."""
    relaxed = bool(row.meets_clock) and looks_at_area_alone(row.recipe)
    return Attempt(row.area_um2, row.minimum_period_ns, row.meets_clock, relaxed)


def sha256_text(text: str) -> str:
    """The sha256 of a text in UTF-8, as hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def flow_sha256() -> str:
    """A hash over the sources of the flow; recorded in rows, not part of their key (FLOW_VERSION is)."""
    digest = hashlib.sha256()
    for folder in FLOW_FOLDERS:
        files = resources.files("hwmodel").joinpath(*folder.split("/")).iterdir()
        for file in sorted((file for file in files if file.name.endswith((".py", ".v"))), key=lambda file: file.name):
            digest.update(f"{folder}/{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def tool_versions() -> dict[str, str]:
    """Versions of what made a row; "none" for a tool that is not installed."""
    return {
        "yosys": package_version("pyosys"),
        "opensta": opensta_version() or "none",
        "icarus": icarus_version() or "none",
        "amaranth": package_version("amaranth"),
        "siliquant": package_version("siliquant"),
        "python": platform.python_version(),
    }
