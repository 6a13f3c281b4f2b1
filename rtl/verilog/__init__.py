"""From specs to portable Verilog-2001: :func:`to_verilog`. Loads Amaranth; Yosys runs in ``rtlil_worker``."""

from __future__ import annotations

from .convert import Generated, generate, helper_file, to_verilog

__all__ = ["Generated", "generate", "helper_file", "to_verilog"]
