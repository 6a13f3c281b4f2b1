"""Tables of texts as GLUE is published, TSV and Parquet: the columns that are asked for, each cell with its place."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliquant.inputs import InputError, open_regular, read_text, short

from .weights import guarded

__all__ = ["MOST_CHARACTERS", "MOST_PARQUET_BYTES", "MOST_ROWS", "MOST_TSV_BYTES", "Table", "read_parquet", "read_tsv"]

MOST_TSV_BYTES = 256 << 20
"""Bytes of the largest TSV file; MNLI has 78 MB."""
MOST_PARQUET_BYTES = 512 << 20
"""Bytes of the largest Parquet file, and of all texts that its shards are unpacked to."""
MOST_ROWS = 5_000_000
"""Rows of a table, all its files together."""
MOST_CHARACTERS = 100_000
"""Characters of one text."""
_SHARE_CUT = 100  # one line of so many, and 10 in any file, may be cut short
_THRIFT = {"thrift_string_size_limit": 16 << 20, "thrift_container_size_limit": 1 << 20}  # of a file's own description
_BATCH = 1 << 16  # rows of Parquet at a time


@dataclass(frozen=True)
class Table:
    """Columns of cells of equal length; ``places`` name the file and row of each, for messages."""

    columns: tuple[tuple[Any, ...], ...]
    places: tuple[tuple[Path, str], ...]


def read_tsv(path: Path, columns: Sequence[str | int], *, header: bool, limit: int | None = None) -> Table:
    """The columns of a file in which nothing is quoted, by the names in its first line, or by place where it has none.

    Lines that lack a cell or have an empty one are left out, as the published files have a few; empty cells beyond the
    last column are let go. Raises InputError with the line for other surplus cells, for a text of more than
    MOST_CHARACTERS, where more lines are cut short than a few, and where nothing is left.
    """
    unreadable = f"{path} is not a table that can be read: "
    lines = read_text(path, MOST_TSV_BYTES).split("\n")
    names = lines[0].rstrip("\r").split("\t") if header else []
    if header and not lines[0].strip():
        raise InputError(f"{unreadable}it has no line with the names of its columns")
    for name in columns if header else ():
        if names.count(str(name)) != 1:
            listed = ", ".join(short(each, 30) for each in names[:20])
            found = "has" if name not in names else "has it twice among"
            raise InputError(f"{path} must have a column {name!r}, but it {found} {listed}")
    chosen = [names.index(str(name)) for name in columns] if header else [int(place) for place in columns]
    rows: list[tuple[str, ...]] = []
    places: list[tuple[Path, str]] = []
    cut: list[int] = []
    seen = 0
    for number, line in enumerate(lines[header:], 1 + header):
        if not line.strip("\r"):
            continue
        if seen == limit:
            break
        seen += 1
        if seen > MOST_ROWS:
            raise InputError(f"{path} must have at most {MOST_ROWS} rows")
        cells = line.rstrip("\r").split("\t")
        if header and any(cells[len(names) :]):
            raise InputError(f"{unreadable}line {number} must have {len(names)} cells, not {len(cells)}")
        row = tuple(cells[place] for place in chosen if place < len(cells))
        if len(row) < len(chosen) or not all(row):
            cut.append(number)
            continue
        for cell, name in zip(row, columns, strict=True):
            if len(cell) > MOST_CHARACTERS:
                raise InputError(
                    f"a text must have at most {MOST_CHARACTERS} characters, not {len(cell)}",
                    file=path, place=f"line {number}, column {name!r}",
                )  # fmt: skip
        rows.append(row)
        places.append((path, f"line {number}"))
    if len(cut) > max(10, seen // _SHARE_CUT):
        raise InputError(
            f"{len(cut)} of {seen} lines lack a cell, line {cut[0]} first: too many to leave out", file=path
        )
    if not rows:
        raise InputError(f"{path} must have rows of samples, but it has none" + (" but cut ones" if cut else ""))
    return Table(tuple(zip(*rows, strict=True)), tuple(places))


def read_parquet(files: Sequence[Path], texts: Sequence[str], label: str, limit: int | None = None) -> Table:
    """The columns of texts and that of numbers, of all files, one after the other.

    Raises InputError that names file, row (the first is 1) and column: for a cell that is null, or a text of more than
    MOST_CHARACTERS; for a column that is missing or of another type; for shards that are missing.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError(f"{files[0]} can be read only with pyarrow, which is not installed: pip install pyarrow")
    _check_shards(files)
    names = (*texts, label)
    columns: tuple[list[Any], ...] = tuple([] for _ in names)
    places: list[tuple[Path, str]] = []
    size = 0
    for path in files:
        number = 0
        for cells in _batches(path, texts, label):
            for name, column, found in zip(names, columns, cells, strict=True):
                for row, cell in enumerate(found, number + 1):
                    if cell is None:
                        raise InputError("must hold a value, and is null", file=path, place=_place(row, name))
                    if isinstance(cell, str):
                        size += len(cell)
                        if len(cell) > MOST_CHARACTERS:
                            raise InputError(
                                f"a text must have at most {MOST_CHARACTERS} characters, not {len(cell)}",
                                file=path, place=_place(row, name),
                            )  # fmt: skip
                column += found
            places += [(path, f"row {row}") for row in range(number + 1, number + 1 + len(cells[0]))]
            number += len(cells[0])
            if len(places) > MOST_ROWS or size > MOST_PARQUET_BYTES:
                raise InputError(
                    f"the files must hold at most {MOST_ROWS} rows and {MOST_PARQUET_BYTES} characters", file=path
                )
            if limit is not None and len(places) >= limit:
                return Table(tuple(tuple(column[:limit]) for column in columns), tuple(places[:limit]))
    if not places:
        raise InputError(f"{files[0]} must have rows of samples, but it has none")
    return Table(tuple(map(tuple, columns)), tuple(places))


def _batches(path: Path, texts: Sequence[str], label: str) -> Any:
    """Lists of cells by column, some rows at a time. Texts stay in their dictionary until then: a few bytes can stand
    for a long text a million times.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with open_regular(path, MOST_PARQUET_BYTES) as stream:
        head = stream.read(64)
        if not head.startswith(b"PAR1"):
            what = "a pointer of Git LFS" if head.startswith(b"version https://git-lfs") else "something else"
            raise InputError(f"{path} must be a Parquet file, but it is {what if head else 'empty'}")
        stream.seek(0)
        with guarded(f"{path} is not a Parquet file that can be read"):
            table = parquet.ParquetFile(stream, **_THRIFT)
            schema, rows = table.schema_arrow, table.metadata.num_rows
        for name in (*texts, label):
            if schema.names.count(name) != 1:
                listed = ", ".join(short(each, 30) for each in schema.names[:20])
                raise InputError(f"{path} must have a column {name!r}, but it has {listed}")
            kind = schema.field(name).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            if not (text if name in texts else number):
                wanted = "texts" if name in texts else "numbers"
                raise InputError(f"must hold {wanted}, not {kind}", file=path, place=_place(1, name))
        unpacked = sum(table.metadata.row_group(i).total_byte_size for i in range(table.metadata.num_row_groups))
        if unpacked > 2 * MOST_PARQUET_BYTES:
            raise InputError(f"{path} must unpack to at most {2 * MOST_PARQUET_BYTES} bytes, not {unpacked}")
        if rows > MOST_ROWS:
            raise InputError(f"{path} must have at most {MOST_ROWS} rows, not {rows}")
        with guarded(f"{path} is not a Parquet file that can be read"):
            table = parquet.ParquetFile(stream, read_dictionary=list(texts), **_THRIFT)
        batches = table.iter_batches(batch_size=_BATCH, columns=[*texts, label], use_threads=False)
        while True:
            with guarded(f"{path} is not a Parquet file that can be read"):
                batch = next(batches, None)
                if batch is None:
                    return
                cells = [_plain(batch.column(batch.schema.get_field_index(name)), path) for name in (*texts, label)]
            yield cells


def _plain(column: Any, path: Path) -> list[Any]:
    """The cells of a column as Python's values; texts that are the same are one object."""
    if not hasattr(column, "dictionary"):
        return list(column.to_pylist())
    values = column.dictionary.to_pylist()
    return [None if index is None else values[index] for index in column.indices.to_pylist()]


def _check_shards(files: Sequence[Path]) -> None:
    """Raises InputError where the names say that there are more files: to train on a part of the data says nothing."""
    found: dict[tuple[str, int], set[int]] = {}
    for path in files:
        if match := re.fullmatch(r"(.*)-(\d{1,9})-of-(\d{1,9})\.parquet", path.name):
            found.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    for (name, count), numbers in found.items():
        if len(numbers) != count:
            lacking = next(number for number in range(count) if number not in numbers)
            raise InputError(
                f"{files[0].parent} must hold all {count} files of {name}, but {name}-{lacking:05d}-of-{count:05d}"
                ".parquet is missing"
            )


def _place(row: int, name: str) -> str:
    return f"row {row}, column {name!r}"
