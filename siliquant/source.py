"""A hash over what Python source does: comments, docstrings and layout change nothing."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable
from importlib.resources.abc import Traversable

from siliquant import cache

__all__ = ["code_sha256", "without_docstrings"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def code_sha256(files: Iterable[Traversable], *more: str) -> str:
    """The hash of some Python files with their names, in the order of their names, and of ``more`` texts.

    Parsing takes longest, so the answer for the same bytes is kept in the cache (``<cache>/source``).
    """
    texts = [(file.name, file.read_text()) for file in files if file.name.endswith(".py")]
    texts.sort()
    plain = hashlib.sha256(json.dumps([texts, more]).encode()).hexdigest()
    home = cache.root()
    known = (cache.kept(home / "source" / plain, home) or b"").decode(errors="replace")
    if _SHA256.fullmatch(known):
        return known
    digest = hashlib.sha256(" ".join(more).encode())
    for name, text in texts:
        digest.update(name.encode() + ast.dump(without_docstrings(ast.parse(text))).encode())
    found = digest.hexdigest()
    cache.keep(home / "source" / plain, found, home)
    return found


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree, changed in place: what documentation says does not change what code does."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                entry for entry in body if not (isinstance(entry, ast.Expr) and isinstance(entry.value, ast.Constant))
            ]
    return tree
