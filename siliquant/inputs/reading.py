"""How files that a user gives are read: regular files only, and never more bytes or levels than a stated bound."""

from __future__ import annotations

import csv
import io
import json
import lzma
import math
import os
import re
import stat
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from .errors import FileError, InputError, InputTypeError, MissingFileError, short

__all__ = [
    "MOST_BYTES",
    "MOST_LEVELS",
    "at",
    "belongs",
    "csv_lines",
    "csv_records",
    "json_object",
    "member",
    "open_regular",
    "parse_json",
    "read_bytes",
    "read_json",
    "read_text",
    "text_of",
    "unpack",
]

MOST_BYTES = 64 << 20
"""Bytes of the largest text file that is read, unless its reader states another bound."""
MOST_LEVELS = 64
"""Levels of nesting in JSON, YAML, TOML and Liberty files, and in expressions inside them."""
_MOST_DIGITS = 300
_CHUNK = 1 << 20
_KINDS: dict[type, str] = {
    int: "an integer", float: "a number", str: "a text", bool: "true or false", list: "a list", dict: "an object"
}  # fmt: skip
_DEEP = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def open_regular(path: Path, most_bytes: int = MOST_BYTES) -> BinaryIO:
    """The file, opened for reading. Raises FileError where it is no regular file (a pipe would wait for ever, a device
    never end), cannot be read, or is larger than ``most_bytes``.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a null character
        raise FileError("a file name must hold no null character", file=repr(str(path))) from None
    except FileNotFoundError:
        raise MissingFileError("there is no such file", file=path) from None
    except OSError as error:
        raise FileError(error.strerror or "cannot be read", file=path) from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a pipe, socket or device"
        raise FileError(f"must be a regular file, and is {kind}", file=path)
    if about.st_size > most_bytes:
        os.close(handle)
        raise FileError(f"must have at most {most_bytes} bytes, not {about.st_size}", file=path)
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file. Raises FileError."""
    with open_regular(path, most_bytes) as stream:
        try:
            found = stream.read(most_bytes + 1)  # it may grow, and files of /proc state no size
        except OSError as error:
            raise FileError(error.strerror or "cannot be read", file=path) from error
    if len(found) > most_bytes:
        raise FileError(f"must have at most {most_bytes} bytes", file=path)
    return found


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The text of a regular file in UTF-8, with or without a byte-order mark.

    Raises FileError, and InputError with the line for what is no UTF-8.
    """
    return text_of(read_bytes(path, most_bytes), path)


def text_of(content: bytes, file: Path | None = None) -> str:
    """The text of bytes in UTF-8, with or without a byte-order mark. Raises InputError with the line for others."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError("must be text in UTF-8", file=file, place=f"line {line}") from None


def unpack(content: bytes, most_bytes: int, file: Path) -> bytes:
    """What gzip or xz packed, told by its first bytes; other content as it is.

    Raises InputError where it is damaged, or unpacks to more than ``most_bytes``.
    """
    if content.startswith(b"\x1f\x8b"):
        return _unpacked_gzip(content, most_bytes, file)
    if content.startswith(b"\xfd7zXZ\x00"):
        return _unpacked_xz(content, most_bytes, file)
    return content


def _unpacked_gzip(content: bytes, most_bytes: int, file: Path) -> bytes:
    parts, size, rest = [], 0, content
    while rest.strip(b"\0"):  # members may follow each other, and padding the last
        member = zlib.decompressobj(wbits=31)
        while True:
            try:
                part = member.decompress(rest, _CHUNK)
            except zlib.error as error:
                raise InputError(f"is not whole as gzip: {error}", file=file) from None
            parts.append(part)
            size += len(part)
            if size > most_bytes:
                raise InputError(f"must unpack to at most {most_bytes} bytes", file=file)
            if member.eof:
                break
            rest = member.unconsumed_tail
            if not part and not rest:
                raise InputError("is not whole as gzip: it ends early", file=file)
        rest = member.unused_data
    return b"".join(parts)


def _unpacked_xz(content: bytes, most_bytes: int, file: Path) -> bytes:
    parts, size, rest = [], 0, content
    try:
        while rest.strip(b"\0"):
            member = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 << 20)
            part = member.decompress(rest, _CHUNK)
            while True:
                size += len(part)
                if size > most_bytes:
                    raise InputError(f"must unpack to at most {most_bytes} bytes", file=file)
                parts.append(part)
                if member.eof:
                    break
                if member.needs_input:
                    raise InputError("is not whole as xz: it ends early", file=file)
                part = member.decompress(b"", _CHUNK)
            rest = member.unused_data
    except lzma.LZMAError as error:
        raise InputError(f"is not whole as xz: {error}", file=file) from None
    return b"".join(parts)


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """The value in a JSON file. Raises FileError and InputError, both naming the file."""
    return parse_json(read_text(path, most_bytes), path)


def parse_json(text: str, file: str | Path | None = None, place: str | None = None) -> Any:
    """The value of a JSON text, strictly: no NaN or infinity, no key twice, at most MOST_LEVELS levels.

    Raises InputError with the line, or with ``place`` where the text is part of a file.
    """
    levels = _levels(text)
    if levels > MOST_LEVELS:
        raise InputError(f"it must be nested at most {MOST_LEVELS} levels deep, not {levels}", file=file, place=place)
    try:
        return json.loads(
            text, parse_constant=_no_constant, parse_int=_integer, parse_float=_number, object_pairs_hook=_object
        )
    except InputError as error:
        raise InputError(error.sentence, file=file, place=place) from None
    except json.JSONDecodeError as error:
        raise InputError(f"it is no JSON: {error.msg}", file=file, place=place or f"line {error.lineno}") from None


def json_object(text: str, file: str | Path | None = None) -> dict[str, Any]:
    """As :func:`parse_json`, of a text that must be an object."""
    found = parse_json(text, file)
    if not isinstance(found, dict):
        raise InputTypeError("it must be an object", file=file)
    return found


@contextmanager
def belongs(path: str | Path, what: str) -> Iterator[None]:
    """Inside it an InputError that names no file becomes ``path must be what: ...``."""
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(f"must be {what}: {error}", file=path) from None


@contextmanager
def at(place: str) -> Iterator[None]:
    """Inside it an InputError that names no place in a file gets this one, such as ``row 3``."""
    try:
        yield
    except InputError as error:
        if error.place is not None:
            raise
        raise type(error)(error.sentence, file=error.file, place=place) from None


_Kind = TypeVar("_Kind")


def member(data: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    """A member of a JSON object, where an integer counts as a float and a bool as no number.

    Raises InputError where it is not there or of another kind.
    """
    if name not in data:
        raise InputError(f"it lacks {name}")
    value = data[name]
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 1000:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputTypeError(f"{name} must be {_KINDS[kind]}, not {short(value)}")
    return value


def csv_records(text: str, columns: Collection[str] = ()) -> list[dict[str, str]]:
    """The records of :func:`csv_lines`."""
    return [record for _, record in csv_lines(text, columns)]


def csv_lines(text: str, columns: Collection[str] = ()) -> list[tuple[int, dict[str, str]]]:
    """The line, from 1, and the cells by the names in the first line, of each row of a CSV text, strictly: each name
    once, each row of as many cells.

    columns: names that must be there. Raises InputError with the line. Empty lines are left out.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, dict[str, str]]] = []
    names: list[str] | None = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(f"it is no CSV: {error}", place=f"line {reader.line_num}") from None
        if cells is None:
            break
        if names is None:
            names = cells
            if not set(columns) <= set(names):
                raise InputError(f"its columns must include {', '.join(columns)}")
            if len(set(names)) < len(names):
                raise InputError("its columns must have different names")
        elif cells:
            if len(cells) != len(names):
                raise InputError(f"it must have {len(names)} cells, not {len(cells)}", place=f"line {reader.line_num}")
            records.append((reader.line_num, dict(zip(names, cells, strict=True))))
    if names is None:
        raise InputError("it is empty")
    return records


def _levels(text: str) -> int:
    """The deepest nesting of brackets outside strings."""
    level = deepest = 0
    for match in _DEEP.finditer(text):
        if match[0] in "[{":
            level += 1
            deepest = max(deepest, level)
        elif match[0] in ("]", "}"):
            level -= 1
    return deepest


def _no_constant(name: str) -> float:
    raise InputError(f"it must hold finite numbers, not {name}")


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise InputError(f"it must hold numbers of at most {_MOST_DIGITS} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InputError(f"it must hold finite numbers, not {text[:40]}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise InputError(f"it must hold each key once, and holds {twice[:60]!r} twice")
    return found
