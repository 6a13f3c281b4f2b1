"""How far a run of the fuzzer is, in its folder, so that one that was killed goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from siliquant.files import write_atomically
from siliquant.inputs import InputError, integer_at, json_object, listing, member, read_text, require
from sim.fuzzing import KINDS

from .coverage import Tally

__all__ = ["MOST_CASES", "STATE", "Campaign", "Piece"]

STATE = "progress.json"
"""What a run keeps in its folder beside the cases that fail."""
MOST_CASES = 10**9
_MOST_BYTES = 1 << 26
_MOST_SEED = (1 << 64) - 1
_MOST_SECONDS = 1e8
_VERSION = 1
_MEMBERS = (
    "version", "seed", "kinds", "next", "open", "seconds", "failing", "mended", "pieces", "cases", "engines",
    "compared", "values",
)  # fmt: skip
_FILE = re.compile(r"[a-z0-9]{1,40}-[0-9a-f]{8}\.json", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass
class Piece:
    """What one code has run: cases, and seconds."""

    cases: int = 0
    seconds: float = 0.0


@dataclass
class Campaign:
    """What has run: of a seed and some kinds, the next number to be drawn, numbers below it that were begun and have no
    result, files of the cases that fail, of those that failed on earlier code and do not any more, and what each code
    ran, by its sha256.
    """

    seed: int
    kinds: tuple[str, ...] = KINDS
    next: int = 0
    open: set[int] = field(default_factory=set)
    failing: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    pieces: dict[str, Piece] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return sum(piece.seconds for piece in self.pieces.values())

    def save(self, folder: Path) -> None:
        """Writes it beside and renames."""
        pieces = {code: {"cases": each.cases, "seconds": round(each.seconds, 1)} for code, each in self.pieces.items()}
        plain = {
            "version": _VERSION, "seed": self.seed, "kinds": list(self.kinds), "next": self.next,
            "open": sorted(self.open), "seconds": round(self.seconds, 1), "failing": sorted(self.failing),
            "mended": sorted(self.mended), "pieces": pieces, **self.tally.plain(),
        }  # fmt: skip
        write_atomically(folder / STATE, json.dumps(plain, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Campaign | None:
        """What a folder has; None where nothing ran there. Raises InputError, which names file, place and value, where
        it is not what a run wrote.
        """
        path = folder / STATE
        if not path.exists():
            return None
        data = json_object(read_text(path, _MOST_BYTES), path)
        try:
            return _campaign(data, folder)
        except InputError as error:
            raise error.inside(path) from None


def _campaign(data: Mapping[str, Any], folder: Path) -> Campaign:
    for name in data:
        require(name in _MEMBERS, f"have {listing(_MEMBERS)}", name, "it")
    integer_at(data.get("version"), _VERSION, _VERSION, "version")
    seed = integer_at(data.get("seed"), 0, _MOST_SEED, "seed")
    following = integer_at(data.get("next"), 0, MOST_CASES, "next")
    kinds = member(data, "kinds", list)
    right = bool(kinds) and kinds == [kind for kind in KINDS if kind in kinds]
    require(right, f"be of {listing(KINDS)}, in this order", kinds, "kinds")
    begun: set[int] = set()
    for place, each in enumerate(member(data, "open", list)):
        right = type(each) is int and 0 <= each < following and each not in begun
        require(right, f"be a number of a case below next, {following}, each once", each, f"open[{place}]")
        begun.add(each)
    tally = Tally.from_plain(data)
    for kind in tally.cases:
        require(kind in kinds, f"be of {listing(kinds)}, as kinds says", kind, "cases")
    total, done = tally.cases.total(), following - len(begun)
    require(total == done, f"be {done} in all, as next and open say", total, "cases")
    files = {name: _files(data, name, folder, total) for name in ("failing", "mended")}
    return Campaign(seed, tuple(kinds), following, begun, tally=tally, pieces=_pieces(data, total), **files)


def _files(data: Mapping[str, Any], member_name: str, folder: Path, total: int) -> list[str]:
    """Names of files that are in the folder; none of a member that earlier versions did not write."""
    found = member({"mended": [], **data}, member_name, list)
    require(len(found) <= total, f"have at most as many as there are cases, {total}", len(found), member_name)
    seen: set[str] = set()
    for place, name in enumerate(found):
        right = isinstance(name, str) and _FILE.fullmatch(name) is not None and name not in seen
        must = "be the name of a case that fails and lies beside this file, each once"
        require(right and (folder / name).is_file(), must, name, f"{member_name}[{place}]")
        seen.add(name)
    return found


def _pieces(data: Mapping[str, Any], total: int) -> dict[str, Piece]:
    """What each code ran: together what all did."""
    pieces: dict[str, Piece] = {}
    for code, about in member(data, "pieces", dict).items():
        require(_DIGEST.fullmatch(code) is not None, "have sha256 of code as names", code, "pieces")
        place = f"pieces.{code[:8]}"
        right = isinstance(about, dict) and about.keys() == {"cases", "seconds"}
        require(right, "be an object of cases and seconds", about, place)
        cases = integer_at(about["cases"], 0, total, f"{place}.cases")
        pieces[code] = Piece(cases, _seconds(about["seconds"], f"{place}.seconds"))
    ran = sum(piece.cases for piece in pieces.values())
    require(ran == total, f"have as many cases as there are, {total}", ran, "pieces")
    seconds, all_seconds = data.get("seconds"), sum(piece.seconds for piece in pieces.values())
    must = f"be what all pieces took, {all_seconds:.1f}"
    require(abs(_seconds(seconds, "seconds") - all_seconds) < 1, must, seconds, "seconds")
    return pieces


def _seconds(value: Any, place: str) -> float:
    right = type(value) in (int, float) and 0 <= value <= _MOST_SECONDS
    require(right, f"be a number from 0 to {_MOST_SECONDS:g}", value, place)
    return float(value)
