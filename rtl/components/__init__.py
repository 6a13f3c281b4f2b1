"""TODO"""

from __future__ import annotations

from .mac import DatapathLogic, MacComponent

__all__ = ["DatapathLogic", "MacComponent"]
