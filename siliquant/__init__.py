"""What every package of siliquant uses and none of them owns, and the one door to them all: the calls of
:mod:`siliquant.api`, which are loaded when they are first asked for.

    import siliquant

    siliquant.compare([4])
"""

from importlib import import_module
from typing import Any

__all__ = ["array", "compare", "compare_network", "design", "estimate", "generate", "network_cost", "verify"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'siliquant' has no attribute {name!r}")
    return getattr(import_module("siliquant.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
