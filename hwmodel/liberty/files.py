"""A library as it is given: one Liberty file or several, packed or not, and maybe which of its conditions are meant."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from siliquant.inputs import InputError, read_bytes, unpack

from .merging import merged, with_conditions
from .tree import Group, parse_liberty

__all__ = ["MOST_BYTES", "LibertyFiles", "sha256_of"]

MOST_BYTES = 512 << 20
"""Bytes of the Liberty files of a library, packed and unpacked."""
MOST_FILES = 64
"""Files of one library."""
_SUFFIXES = (".lib.gz", ".lib.xz", ".lib")
_PRINTABLE = bytes(code if 32 <= code < 127 or code in b"\t\n\v\f" else ord("?") for code in range(256))


@dataclass(frozen=True)
class LibertyFiles:
    """The Liberty files of one library, the first of which names it. conditions: the operating conditions that are
    meant, where the file has several and says no default.

    Raises InputError for no file or too many, for one that is there twice, and for a name without .lib, .lib.gz or
    .lib.xz at its end.
    """

    paths: tuple[Path, ...]
    conditions: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.paths) <= MOST_FILES:
            raise InputError(f"liberty must be 1 to {MOST_FILES} files, not {len(self.paths)}")
        for path in self.paths:
            _stem(path)
        for index, path in enumerate(self.paths):
            if path.absolute() in [other.absolute() for other in self.paths[:index]]:
                raise InputError("must be given once, and is given twice", file=path)

    def __str__(self) -> str:
        more = len(self.paths) - 1
        return str(self.paths[0]) + (f" (and {more} more)" if more else "")

    @property
    def name(self) -> str:
        """The name of the first file, without its suffixes."""
        return _stem(self.paths[0])

    def absolute(self) -> LibertyFiles:
        """The same by absolute paths."""
        return LibertyFiles(tuple(path.absolute() for path in self.paths), self.conditions)

    def packed(self) -> tuple[bytes, ...]:
        """The bytes of the files. Raises FileError: they must be regular files of at most MOST_BYTES together."""
        found: list[bytes] = []
        for path in self.paths:
            found.append(read_bytes(path, MOST_BYTES - sum(map(len, found))))
        return tuple(found)

    def text(self, packed: Sequence[bytes] | None = None) -> tuple[str, ...]:
        """The texts of the files, uncompressed: printable ASCII, blanks and ends of lines as line feeds, with ``?`` for
        all else. packed: their bytes, where they are known. Raises FileError and InputError.
        """
        texts: list[str] = []
        for path, content in zip(self.paths, self.packed() if packed is None else packed, strict=True):
            texts.append(_text_of(unpack(content, MOST_BYTES - sum(map(len, texts)), path), path))
        return tuple(texts)

    def library(self, packed: Sequence[bytes] | None = None) -> Group:
        """The library group of the files. Raises FileError and InputError."""
        pairs = zip(self.text(packed), self.paths, strict=True)
        library = merged([parse_liberty(text, path) for text, path in pairs])
        return library if self.conditions is None else with_conditions(library, self.conditions)


def sha256_of(packed: Sequence[bytes]) -> str:
    """The SHA-256 of a file, or of the lines of those of several files."""
    each = [hashlib.sha256(content).hexdigest() for content in packed]
    return each[0] if len(each) == 1 else hashlib.sha256("\n".join(each).encode()).hexdigest()


def _stem(path: Path) -> str:
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix):
            return path.name[: -len(suffix)]
    raise InputError(f"liberty must be a .lib, .lib.gz or .lib.xz file, not {path.name!r}")


def _text_of(data: bytes, path: Path) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("must be text in UTF-8, not in UTF-16", file=path)
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\x1a\0").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.translate(_PRINTABLE).decode("ascii")
