"""One function a language that turns a text into a literal of it: no text from a file becomes code.

Names that a language cannot hold are refused, with what is wrong; everything else comes out as one word of it.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from .errors import InputError, short

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "IDENTIFIER",
    "VERILOG_WORDS",
    "csv_cell",
    "csv_of",
    "html_text",
    "identifier",
    "spef_word",
    "tcl_word",
    "verilog_name",
    "yosys_word",
]

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*", re.ASCII)
_MOST_NAME = 1024
_TCL_PLAIN = re.compile(r"[A-Za-z0-9_./:+=,@%^-]+", re.ASCII)
VERILOG_WORDS = frozenset(
    """
    always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign default defparam
    design disable edge else end endcase endconfig endfunction endgenerate endmodule endprimitive endspecify endtable
    endtask event for force forever fork function generate genvar highz0 highz1 if ifnone incdir include initial inout
    input instance integer join large liblist library localparam macromodule medium module nand negedge nmos nor
    noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1 pulldown pullup
    pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat rnmos rpmos rtran rtranif0 rtranif1
    scalared showcancelled signed small specify specparam strong0 strong1 supply0 supply1 table task time tran tranif0
    tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor
    bit byte logic int longint shortint interface package program class typedef enum struct union string var void return
    break continue do final import export modport priority unique static this super virtual accept_on alias always_comb
    always_ff always_latch assert assume before bind bins binsof chandle checker clocking const constraint context cover
    covergroup coverpoint cross dist endchecker endclass endclocking endgroup endinterface endpackage endprogram
    endproperty endsequence eventually expect extends extern first_match foreach forkjoin global iff ignore_bins
    illegal_bins implements implies inside interconnect intersect join_any join_none let local matches nettype new
    nexttime null packed property protected pure rand randc randcase randsequence ref reject_on restrict s_always
    s_eventually s_nexttime s_until s_until_with sequence shortreal soft solve strong sync_accept_on sync_reject_on
    tagged throughout timeprecision timeunit type unique0 until until_with untyped wait_order weak wildcard with within
    """.split()  # noqa: SIM905 (a list would take 250 lines)
)
"""Keywords of Verilog-2005 and SystemVerilog-2017 (annex B of IEEE 1364 and of IEEE 1800)."""


def identifier(text: str, what: str) -> str:
    """The text where it is an identifier of Verilog and C that is no keyword of (System)Verilog.

    Raises InputError that calls it ``what``.
    """
    if not IDENTIFIER.fullmatch(text) or len(text) > _MOST_NAME or text in VERILOG_WORDS:
        raise InputError(f"{what} must be a Verilog identifier, not {short(text)}")
    return text


def verilog_name(text: str) -> str:
    """A name in Verilog, escaped (``\\name ``, with the blank that ends it) where it is no plain identifier.

    Raises InputError for names that no escape can hold: with white space or characters outside printable ASCII, or of
    more than 1024 characters.
    """
    if not text or len(text) > _MOST_NAME or any(not "!" <= letter <= "~" for letter in text):
        raise InputError(f"a name in Verilog must be 1 to {_MOST_NAME} printable ASCII characters, not {short(text)}")
    return text if IDENTIFIER.fullmatch(text) and text not in VERILOG_WORDS else f"\\{text} "


def tcl_word(text: str) -> str:
    """One word of Tcl that stands for the text: nothing in it is substituted.

    Raises InputError for control characters.
    """
    _no_controls(text, "Tcl")
    if _TCL_PLAIN.fullmatch(text):
        return text
    return '"' + re.sub(r'[\\"$\[\]{};# ]', lambda match: "\\" + match[0], text) + '"'


def spef_word(text: str) -> str:
    """A name in SPEF: what is neither a letter, a digit nor an underscore is escaped.

    Raises InputError for white space, characters outside printable ASCII, and names of more than 1024 characters.
    """
    if not text or len(text) > _MOST_NAME or any(not "!" <= letter <= "~" for letter in text):
        raise InputError(f"a name in SPEF must be 1 to {_MOST_NAME} printable ASCII characters, not {short(text)}")
    return re.sub(r"[^A-Za-z0-9_]", lambda match: "\\" + match[0], text)


def yosys_word(text: str) -> str:
    """One argument in a Yosys script. Raises InputError for what its scripts cannot hold: quotes and control
    characters, and a leading ``-``, ``!`` or ``:``.
    """
    _no_controls(text, "a Yosys script")
    if '"' in text or text[:1] in {"-", "!", ":"} or not text:
        raise InputError(f"an argument in a Yosys script must hold no quotes and not begin as an option: {short(text)}")
    return text if re.fullmatch(r"[A-Za-z0-9_./:=+,@\\$-]+", text, re.ASCII) else f'"{text}"'


def html_text(text: str) -> str:
    """Text between tags or in an attribute's quotes of HTML and SVG; control characters become ``?``."""
    shown = "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
    return html.escape(shown, quote=True)


def csv_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: text that begins as one gets an apostrophe before it.

    Numbers, negative ones too, stay as they are. A carriage return, which writers of CSV leave without quotes, becomes
    a newline.
    """
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > 1 and text[0] in "=+-@\t" and not _is_number(text):
        return f"'{text}"
    return text


def csv_of(frame: pd.DataFrame) -> str:
    """A table as CSV without its index; lines end with a newline, and cells are as :func:`csv_cell` gives them."""
    import pandas as pd

    safe = frame.rename(columns=csv_cell)
    for place, kind in enumerate(safe.dtypes):
        if kind.kind not in "biuf":
            cells = [csv_cell(value) if isinstance(value, str) else value for value in safe.iloc[:, place]]
            safe.isetitem(place, pd.Series(cells, dtype=object).array)
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _no_controls(text: str, language: str) -> None:
    if any(not letter.isprintable() for letter in text):
        raise InputError(f"text in {language} must hold no control characters, not {short(text)}")
