"""TODO"""

from __future__ import annotations

from .cases import with_size
from .scenarios import operand_codes, some_precisions

__all__ = ["operand_codes", "some_precisions", "with_size"]
