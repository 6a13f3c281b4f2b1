"""Rows on disk, found by their key: a read-only layer that comes with the package under a writable one.

    user layer   <cache>/rows/<first two of key>/<key>.json     one small file a row, renamed into place
                                                 <key>.v.gz     the mapped netlist of that row
    package      hwmodel/data/rows/<library>.jsonl              one row a line, sorted by key
                 hwmodel/data/rows/stamp.json                   the generators that make the Verilog they came from

A row is whole or absent: two processes may write the same key, and a killed one leaves nothing half-written. What
others may have written or is not what was kept counts as missing (siliquant.files.cache).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from hwmodel.placement import placer_version
from hwmodel.synthesis import SCREENED, UNSCREENED, search_of
from siliquant.files import cache, write_atomically
from siliquant.inputs import InputError

from .keys import Spec, design_name, generator_key, named, verilog_stamp
from .row import PLACER, SynthesisRow, row_key, tool_versions

PACKAGED_ROWS = Path(__file__).resolve().parents[1] / "data" / "rows"
STAMP = "stamp.json"
_KEY = re.compile(r"[0-9a-f]{64}")


class RowStore:
    """Finds and keeps rows.  A row file that cannot be read is reported by name and counts as missing.

    folder: the writable layer (default: rows/ in the user's cache).  packaged: the read-only layer.
    report: called with one sentence for every damaged file (default: does nothing).  any_timer: a row of the package
    is found whichever version of OpenSTA it was made with, not only where there is none on this machine.
    """

    def __init__(
        self,
        folder: Path | None = None,
        packaged: Path | None = PACKAGED_ROWS,
        report: Callable[[str], None] = lambda _: None,
        *,
        any_timer: bool = False,
    ) -> None:
        self._home = cache.root() if folder is None else folder
        self.folder = self._home / "rows" if folder is None else folder
        self._unkept: dict[Path, bytes] = {}  # what could not be written, for this process
        self._packaged_folder = packaged
        self._report = report
        self._any_timer = any_timer
        self._packaged: dict[str, SynthesisRow] | None = None
        self._by_question: dict[str, SynthesisRow] = {}
        self._verilog: dict[str, str] | None = None

    def get(self, key: str) -> SynthesisRow | None:
        """The row of a key, or None."""
        path = self._path(key)
        try:
            content = self._read(path, unsealed=True)  # of versions that sealed none: damage shows in what it says
            if content is not None:
                row = SynthesisRow.from_json(content.decode())
                if row.key == key:
                    return row
                self._report(f"{path} holds the row of another key and is ignored")
        except (ValueError, RecursionError) as error:
            self._report(f"{path} cannot be read and is ignored: {error}")
        return self._packaged_rows().get(key)

    def find(
        self,
        verilog_sha256: str,
        library_use_sha256: str,
        clock_mhz: float,
        effort: str,
        activity: str | None,
        placed: str | None = None,
        *,
        screen: bool = True,
    ) -> SynthesisRow | None:
        """The row that this machine's tools make, or None. placed: as of row_key; screen: as of synthesise.

        Where there is no OpenSTA here, one of the package that was made with it.
        """
        question = verilog_sha256, library_use_sha256, clock_mhz, effort, activity
        tools = tool_versions() | ({} if placed is None else {PLACER: placer_version() or "none"})
        alone = tools["opensta"] == "none"
        searches = ("", SCREENED if screen else UNSCREENED)

        def first(get: Callable[[str], SynthesisRow | None], tools: Mapping[str, str]) -> SynthesisRow | None:
            keys = (row_key(*question, tools, placed=placed, search=search) for search in searches)
            return next((row for row in map(get, keys) if row is not None), None)

        packaged = first(self._timed, _timed_by_any(tools)) if alone or self._any_timer else None
        return packaged if alone and packaged is not None else first(self.get, tools) or packaged

    def put(self, row: SynthesisRow) -> Path:
        """Keep a row in the writable layer and return its file; where that cannot be written, in memory."""
        path = self._path(row.key)
        self._write(path, row.to_json().encode())
        return path

    def netlist(self, key: str) -> str | None:
        """The mapped Verilog of a row that was measured here, or None."""
        path = self._path(key).with_suffix(".v.gz")
        try:
            content = self._read(path)
            return None if content is None else gzip.decompress(content).decode()
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            self._report(f"{path} cannot be read and is ignored: {error}")
            return None

    def put_netlist(self, key: str, verilog: str) -> Path:
        """Keep the mapped Verilog of a row, packed; where it cannot be written, in memory."""
        path = self._path(key).with_suffix(".v.gz")
        self._write(path, gzip.compress(verilog.encode(), mtime=0))
        return path

    def rows(self) -> Iterator[SynthesisRow]:
        """Every readable row of both layers once, by key."""
        files = (*self.folder.glob("??/*.json"), *(path for path in self._unkept if path.suffix == ".json"))
        keys = {path.stem for path in files if _KEY.fullmatch(path.stem)}
        for key in sorted(keys | set(self._packaged_rows())):
            row = self.get(key)
            if row is not None:
                yield row

    def verilog_of(self, spec: Spec) -> str | None:
        """The sha256 of the Verilog once generated of a spec by the generators that there are now, or None.

        So that a warm run need not generate Verilog again to find its rows.
        """
        text = (self._read(self._alias_path(spec)) or b"").decode(errors="replace")
        return text if _KEY.fullmatch(text) else self._packaged_verilog().get(design_name(spec) or "")

    def remember_verilog(self, spec: Spec, verilog_sha256: str) -> None:
        """Note which Verilog a spec gives."""
        self._write(self._alias_path(spec), verilog_sha256.encode())

    def _read(self, path: Path, *, unsealed: bool = False) -> bytes | None:
        return self._unkept[path] if path in self._unkept else cache.kept(path, self._home, unsealed=unsealed)

    def _write(self, path: Path, content: bytes) -> None:
        if not cache.keep(path, content, self._home):
            self._unkept[path] = content

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InputError(f"a row's key must be 64 hexadecimal digits, not {key!r}")
        return self.folder / key[:2] / f"{key}.json"

    def _alias_path(self, spec: Spec) -> Path:
        return self._path(generator_key(spec)).with_suffix(".verilog")

    def _packaged_verilog(self) -> dict[str, str]:
        """The Verilog of each design of the package, where it was verified for these generators."""
        if self._verilog is None:
            folder = self._packaged_folder
            try:
                current = folder is not None and _is_stamped(folder)
            except (OSError, ValueError) as error:
                self._report(f"{folder}/{STAMP} cannot be read and is ignored: {error}")
                current = False
            rows = self._packaged_rows().values() if current else ()
            self._verilog = {named(row.design, row.spec): row.verilog_sha256 for row in rows}
        return self._verilog

    def _timed(self, key: str) -> SynthesisRow | None:
        """The packaged row of a key made without the version of OpenSTA."""
        if not self._by_question:
            self._by_question = {
                row_key(row.verilog_sha256, row.library_use_sha256, row.clock_mhz, row.effort, row.activity,
                        _timed_by_any(row.tools), row.flow_version, placed=row.wires if row.wiring else None,
                        search=search_of(row.recipe)): row
                for row in self._packaged_rows().values()
            }  # fmt: skip
        return self._by_question.get(key)

    def _packaged_rows(self) -> dict[str, SynthesisRow]:
        if self._packaged is None:
            self._packaged = {}
            folder = self._packaged_folder
            for path in sorted(folder.glob("*.jsonl")) if folder and folder.is_dir() else ():
                for number, line in enumerate(path.read_text().splitlines(), start=1):
                    try:
                        row = SynthesisRow.from_json(line)
                        self._packaged[row.key] = row
                    except ValueError as error:
                        self._report(f"{path}, line {number}, cannot be read and is ignored: {error}")
        return self._packaged


def write_packaged(rows: Iterable[SynthesisRow], folder: Path = PACKAGED_ROWS) -> list[Path]:
    """Write a read-only layer anew: one file a library, one row a line, sorted; returns the files.

    The Verilog of the rows must be what the generators make now. Beside files of other libraries, which may be of
    other generators, a stamp of those stays: ``python -m docs_tools.packaged --stamp`` verifies all of them.
    """
    by_library: dict[str, dict[str, str]] = {}
    for row in rows:
        by_library.setdefault(row.library, {})[row.key] = _sorted_line(row)
    written = []
    for library, lines in sorted(by_library.items()):
        path = folder / f"{library}.jsonl"
        write_atomically(path, "".join(f"{lines[key]}\n" for key in sorted(lines)))
        written.append(path)
    others = set(folder.glob("*.jsonl")) - set(written)
    return [*written, folder / STAMP] if others and not _is_stamped(folder) else [*written, write_stamp(folder)]


def write_stamp(folder: Path = PACKAGED_ROWS) -> Path:
    """Note that the rows of a read-only layer are of the Verilog that the generators make now; returns the file."""
    path = folder / STAMP
    write_atomically(path, json.dumps(verilog_stamp(), indent=0, sort_keys=True) + "\n")
    return path


def _is_stamped(folder: Path) -> bool:
    """Whether the rows of a read-only layer are of the Verilog that the generators make now."""
    path = folder / STAMP
    return path.is_file() and json.loads(path.read_text()) == verilog_stamp()


def _timed_by_any(tools: Mapping[str, str]) -> dict[str, str]:
    return {**tools, "opensta": "any"}


def _sorted_line(row: SynthesisRow) -> str:
    """The row as one line whose first fields say what it is, so that a diff can be read."""
    data = json.loads(row.to_json())
    first = {name: data.pop(name) for name in ("design", "spec", "clock_mhz", "area_um2", "minimum_period_ns")}
    return json.dumps(first | data, separators=(",", ":"))
