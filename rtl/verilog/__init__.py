"""From specs to portable Verilog-2001: :func:`to_verilog`, and with manifests into a folder: :func:`write_files`.

Amaranth is loaded when a text is made. The text that people read is written here, from Amaranth's RTLIL; Yosys writes
the one that rows are measured on (``numbered``).
"""

from __future__ import annotations

from .blocks import Reset
from .convert import Generated, generate, helper_file, to_verilog
from .files import write_files
from .numbered import numbered_verilog

__all__ = ["Generated", "Reset", "generate", "helper_file", "numbered_verilog", "to_verilog", "write_files"]
