"""Files and folders that survive kills: written whole, cached with proof, locked, temporary ones swept.

Read ``write``, ``cache``, ``builds``, ``temporary``, ``source`` (a hash over what code means), ``shelf`` (results of
long work), ``svg``.
"""

from __future__ import annotations

from . import cache
from .builds import built, digest_of, load, private_copy
from .cache import NotTrusted
from .shelf import Shelf
from .source import code_sha256, own_sources, package_version
from .svg import with_own_ids
from .temporary import FULL, lasting, raise_if_full, scratch, sweep, torch_folder
from .write import alone, cache_dir, check_place, filled, save_atomically, write_atomically

__all__ = [
    "FULL",
    "NotTrusted",
    "Shelf",
    "alone",
    "built",
    "cache",
    "cache_dir",
    "check_place",
    "code_sha256",
    "digest_of",
    "filled",
    "lasting",
    "load",
    "own_sources",
    "package_version",
    "private_copy",
    "raise_if_full",
    "save_atomically",
    "scratch",
    "sweep",
    "torch_folder",
    "with_own_ids",
    "write_atomically",
]
