"""A hash over what Python source does: comments, docstrings and layout change nothing."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from importlib.resources.abc import Traversable

__all__ = ["code_sha256", "without_docstrings"]


def code_sha256(files: Iterable[Traversable], *more: str) -> str:
    """The hash of some Python files with their names, in the order of their names, and of ``more`` texts."""
    digest = hashlib.sha256(" ".join(more).encode())
    for file in sorted(files, key=lambda each: each.name):
        if file.name.endswith(".py"):
            tree = without_docstrings(ast.parse(file.read_text()))
            digest.update(file.name.encode() + ast.dump(tree).encode())
    return digest.hexdigest()


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree, changed in place: what documentation says does not change what code does."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                entry for entry in body if not (isinstance(entry, ast.Expr) and isinstance(entry.value, ast.Constant))
            ]
    return tree
