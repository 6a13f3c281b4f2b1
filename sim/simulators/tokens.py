"""Words, numbers and symbols of plain Verilog, each with its line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from siliquant.inputs import InputError, short

from .modules import Token

__all__ = ["refused", "tokens_of"]

_TOKEN = re.compile(
    r"(?P<blank>[ \t\n]+)|(?P<number>(?:\d+'[bodhBODH][0-9a-fA-F_]+|\d+)(?![\w'.?]))|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<symbol><<<|>>>|===|!==|\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[\[\]{}():;,.=?~&|^!<>+*@#-])",
    re.ASCII,
)
_NO_OPERATORS = frozenset(("<<<", ">>>", "===", "!==", "**"))
_MOST = 1 << 24
"""The largest number without a width, such as words of a memory, and the most bits of one."""
_MOST_NAME = 1024
_BASES = {"b": 2, "o": 8, "d": 10, "h": 16}
_DIGITS = "0123456789abcdef"
_MOST_DIGITS = 4000
"""Of a decimal number: Python reads no more than 4,300."""


def tokens_of(text: str) -> Iterator[Token]:
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match[0] in _NO_OPERATORS:
            raise refused(text[at : at + 12].split("\n")[0] if match is None else match[0], line)
        kind = str(match.lastgroup)
        if kind == "name" and len(match[0]) > _MOST_NAME:
            raise InputError(
                f"a name must have at most {_MOST_NAME} characters, not {len(match[0])}", place=f"line {line}"
            )
        if kind == "number":
            _check_number(match[0], line)
        if kind != "blank":
            yield Token(sys.intern(match[0]), kind, line)
        line += match[0].count("\n")
        at = match.end()


def _check_number(text: str, line: int) -> None:
    """No tool has its own way with a number that is too wide, and none runs out of memory."""
    width, quote, digits = text.partition("'")
    bits = int(width) if len(width) < 10 else _MOST + 1
    if bits > _MOST or (quote and bits == 0):
        what = "as wide as 1" if quote else "from 0"
        raise InputError(f"a number must be {what} to {_MOST}, not {short(width)}", place=f"line {line}")
    if not quote:
        return
    base, written = _BASES[digits[0].lower()], digits[1:].lower()
    if written.startswith("_") or not set(written) <= {"_", *_DIGITS[:base]}:
        raise refused(text, line)
    plain = written.replace("_", "").lstrip("0")
    if (base == 10 and len(plain) > _MOST_DIGITS) or int(plain or "0", base).bit_length() > bits:
        raise InputError(f"a number must fit into its width, not {short(text)}", place=f"line {line}")


def refused(text: str, line: int) -> InputError:
    return InputError(
        f"it must have only what siliquant gen writes (docs/verification.md), not {short(text)}", place=f"line {line}"
    )
