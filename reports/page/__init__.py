"""TODO"""

from __future__ import annotations

from .assemble import Inputs, assemble, computed_rows
from .reportpage import report_html

__all__ = ["Inputs", "assemble", "computed_rows", "report_html"]
