"""What decides a result besides its question: the code that makes it, and the versions of what that code uses.

A hash over code is one over what its source says: comments, docstrings, blank lines and indentation change nothing.
It is made of tokens, which are the same in every supported version of Python; its syntax tree is not.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import json
import re
import sys
import token
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable
from pathlib import Path
from uuid import uuid4

from siliquant.inputs import InputError

from .cache import keep, kept, root

__all__ = ["code_sha256", "meaning", "own_sources", "package_version"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LAYOUT = {token.COMMENT, token.NL, token.ENCODING, token.ENDMARKER}
_BLOCKS = {token.INDENT: "\x01", token.DEDENT: "\x02"}
# From Python 3.12 a formatted string is many tokens: they are read as the one that they were before.
_OPEN = {getattr(token, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(token, name)}
_CLOSE = {getattr(token, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(token, name)}
_THIS_PROCESS = uuid4().hex


def code_sha256(files: Iterable[Traversable], *more: str) -> str:
    """The hash of some Python files with their names, in the order of their names, and of ``more`` texts.

    Reading tokens takes longest, so the answer for the same bytes is kept in the cache (``<cache>/source``). Raises
    InputError for a file that is no Python.
    """
    texts = [(file.name, file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".py")]
    texts.sort()
    plain = hashlib.sha256(json.dumps([_own_sha256(), texts, more]).encode()).hexdigest()
    home = root()
    known = (kept(home / "source" / plain, home) or b"").decode(errors="replace")
    if _SHA256.fullmatch(known):
        return known
    digest = hashlib.sha256(json.dumps(more).encode())
    for name, text in texts:
        digest.update(f"\0{name}\0{_meaning_sha256(name, text)}".encode())
    found = digest.hexdigest()
    keep(home / "source" / plain, found, home, sync=False)
    return found


@cache
def _own_sha256() -> str:
    """A hash of this file: what is kept is the answer of this reader of tokens and of no other."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def meaning(text: str) -> str:
    """The tokens of Python source that code is made of, a statement a line.

    Raises InputError for text that is no Python.
    """
    try:
        return "\n".join("\0".join(line) for line in _statements(text) if not _is_text(line))
    except (tokenize.TokenError, SyntaxError) as error:
        raise InputError(f"source must be Python, and is none: {error}") from None


@cache
def package_version(package: str) -> str:
    """The version of an installed package; "none" where there is none of that name."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@lru_cache(maxsize=1024)
def own_sources(classes: tuple[type, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """What else decides what classes do: their names and modules, where those are of none of the packages ``known``.

    With each module come those of its own package or folder that it uses. A class without a file, as of an interactive
    session, is like no other: it gets a text that no other process makes. Empty where all is of the packages known.
    """
    names = {base.__module__ for each in classes for base in each.__mro__}
    waiting = sorted(name for name in names if _is_own(name, known))
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            source = inspect.getsource(sys.modules[name])
            found[name] = meaning(source)
        except (KeyError, OSError, TypeError, InputError):
            found[name] = _THIS_PROCESS
            continue
        waiting += [used for used in _used(name, source) if _is_own(used, known)]
    if not found:
        return ()
    return (*(each.__qualname__ for each in classes), *(f"{name}\0{found[name]}" for name in sorted(found)))


def _is_own(module: str, known: tuple[str, ...]) -> bool:
    top = module.partition(".")[0]
    return top not in known and (top == "__main__" or top not in sys.stdlib_module_names)


def _used(name: str, source: str) -> Iterator[str]:
    """The modules in the package or folder of a module that it imports."""
    module = sys.modules[name]
    file = Path(module.__file__ or "").resolve()
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    folder = file.parents[package.count(".")]  # of the whole package
    wanted: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            wanted.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            wanted.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    for used in sorted(wanted & set(sys.modules)):
        place = Path(getattr(sys.modules[used], "__file__", None) or "/").resolve()
        installed = {"site-packages", "dist-packages"} & {folder.name, *place.parts[len(folder.parts) :]}
        if folder in place.parents and not installed:
            yield used


@lru_cache(maxsize=1024)
def _meaning_sha256(name: str, text: str) -> str:
    try:
        return hashlib.sha256(meaning(text).encode()).hexdigest()
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _statements(text: str) -> Iterator[list[str]]:
    """The texts of the tokens of each logical line."""
    lines = io.StringIO(text).readlines()  # str.splitlines ends lines elsewhere too
    line: list[str] = []
    depth, start = 0, (0, 0)
    for kind, string, begin, end, _ in tokenize.generate_tokens(io.StringIO(text).readline):
        if kind in _OPEN:
            start, depth = (start if depth else begin), depth + 1
        elif kind in _CLOSE:
            depth -= 1
            if not depth:
                line.append(_between(lines, start, end))
        elif depth or kind in _LAYOUT:
            continue
        elif kind == token.NEWLINE:
            yield line
            line = []
        elif kind in _BLOCKS:
            yield [_BLOCKS[kind]]
        else:
            line.append(string)
    if line:
        yield line


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = start, end
    if first == last:
        return lines[first - 1][left:right]
    return "".join([lines[first - 1][left:], *lines[first : last - 1], lines[last - 1][:right]])


def _is_text(line: list[str]) -> bool:
    """Whether a statement is nothing but plain strings, as a docstring is."""
    return all(re.match(r"[rRbBuU]*['\"]", part) for part in line)
