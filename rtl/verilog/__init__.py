"""TODO"""

from __future__ import annotations

from .convert import Generated, generate, helper_file, to_verilog

__all__ = ["Generated", "generate", "helper_file", "to_verilog"]
