"""Everything that comes from outside: errors with file and place, bounded reading, numbers in ranges, quoting.

Read ``errors``, ``reading``, ``numbers``, ``quoting`` (one function a language: no text becomes code),
``policies`` (widths of GEMMs in a file), ``shares`` (intervals, percent), ``wording`` (lists in sentences, missing
packages).
"""

from __future__ import annotations

from .errors import (
    MOST_CHARACTERS,
    FileError,
    InputError,
    InputTypeError,
    MissingFileError,
    PackageMissing,
    SiliquantError,
    ToolError,
    integer_at,
    middle_out,
    printable,
    require,
    short,
    without_controls,
)
from .numbers import decimal, fraction, integer, number, number_list, positive_number, read_clock_mhz, whole
from .policies import Bits, policy_text, policy_widths
from .quoting import VERILOG_WORDS, csv_of, html_text, identifier, spef_word, tcl_word, verilog_name, yosys_word
from .reading import (
    MOST_BYTES,
    MOST_LEVELS,
    at,
    belongs,
    csv_lines,
    csv_records,
    json_object,
    member,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_text,
    text_of,
    unpack,
)
from .shapes import field_types, fits
from .shares import share_found, wilson_interval
from .wording import counted, listing, missing_package, no_memory, no_package

__all__ = [
    "MOST_BYTES",
    "MOST_CHARACTERS",
    "MOST_LEVELS",
    "VERILOG_WORDS",
    "Bits",
    "FileError",
    "InputError",
    "InputTypeError",
    "MissingFileError",
    "PackageMissing",
    "SiliquantError",
    "ToolError",
    "at",
    "belongs",
    "counted",
    "csv_lines",
    "csv_of",
    "csv_records",
    "decimal",
    "field_types",
    "fits",
    "fraction",
    "html_text",
    "identifier",
    "integer",
    "integer_at",
    "json_object",
    "listing",
    "member",
    "middle_out",
    "missing_package",
    "no_memory",
    "no_package",
    "number",
    "number_list",
    "open_regular",
    "parse_json",
    "policy_text",
    "policy_widths",
    "positive_number",
    "printable",
    "read_bytes",
    "read_clock_mhz",
    "read_json",
    "read_text",
    "require",
    "share_found",
    "short",
    "spef_word",
    "tcl_word",
    "text_of",
    "unpack",
    "verilog_name",
    "whole",
    "wilson_interval",
    "without_controls",
    "yosys_word",
]
