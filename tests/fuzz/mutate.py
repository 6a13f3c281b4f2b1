"""Random damage to files: what bit rot, half a download, an editor or an attacker does."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

__all__ = ["HOSTILE", "mutated"]

_MOST_BYTES = 1 << 20
HOSTILE = (
    b"", b"\0", b"\n", b"\r\n", b"\xff\xfe", b"\xef\xbb\xbf", b"-1", b"0", b"1e999", b"-1e400", b"nan", b"inf", b"NaN",
    b"-Infinity", b"1e-400", b"null", b"true", b"[]", b"{}", b'""', b"9" * 400, b"9" * 5000, b"18446744073709551616",
    b"2147483648", b"0.1.2", b"0x10", b"1_0", b"[" * 3000, b"{" * 3000, b"(" * 3000, b"!" * 3000, b"a." * 3000,
    b"*a", b"&a [*a,*a]", b"!!python/object/apply:os.system [id]", b"$(touch x)", b"[exec touch x]", b"`id`", b"'",
    b'"', b"\\", b"/*", b"*/", b"//", b"#", b";", b"\t", b",", b"=1+1", b"../../x", b"/dev/zero", b"\x1b[1m",
    "é猫\u202e".encode(),
    b"A" * 70_000,
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(\.\d+)?(e[+-]?\d+)?")
_WORD = re.compile(rb"\w+")


def mutated(content: bytes, draw: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """The content with one to four faults of random kinds; others: contents from which parts may be taken."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        content = _fault(content, draw, others)[:_MOST_BYTES]
    return content


def _fault(content: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    kind = draw.randrange(14)
    start = draw.randrange(len(content) + 1)
    end = min(len(content), start + draw.choice((1, 1, 2, 4, 16, 64, 512, 4096)))
    if kind == 0:  # a byte
        return content[:start] + bytes([draw.randrange(256)]) + content[start + 1 :]
    if kind == 1:  # a bit
        return (
            content[:start]
            + bytes(byte ^ (1 << draw.randrange(8)) for byte in content[start : start + 1])
            + content[start + 1 :]
        )
    if kind == 2:  # left out
        return content[:start] + content[end:]
    if kind == 3:  # twice, or many times
        return content[:end] + content[start:end] * draw.choice((1, 1, 2, 50)) + content[end:]
    if kind == 4:  # cut
        return content[:start]
    if kind == 5:
        return content[:start] + draw.choice(HOSTILE) + content[start:]
    if kind == 6:
        return content[:start] + draw.choice(HOSTILE) + content[end:]
    if kind in (7, 8):  # a number, a word
        return _replaced(content, _NUMBER if kind == 7 else _WORD, draw)
    if kind == 9:  # two lines change places, or one comes twice
        lines = content.split(b"\n")
        one, two = draw.randrange(len(lines)), draw.randrange(len(lines))
        lines[one], lines[two] = lines[two], lines[one] if draw.random() < 0.5 else lines[two]
        return b"\n".join(lines)
    if kind == 10 and others:  # a part of another file
        other = draw.choice(others)
        place = draw.randrange(len(other) + 1)
        return content[:start] + other[place : place + draw.choice((8, 64, 1024))] + content[end:]
    if kind == 11:
        return (
            content.decode("latin-1").encode(draw.choice(("utf-16", "utf-32", "utf-8")))
            if len(content) < 100_000
            else content
        )
    if kind == 12:
        return content.replace(b"\n", draw.choice((b"\r\n", b"\r", b"", b"\n\n")))
    return draw.choice(HOSTILE)


def _replaced(content: bytes, pattern: re.Pattern[bytes], draw: random.Random) -> bytes:
    places = [match.span() for match in pattern.finditer(content)]
    if not places:
        return content
    start, end = draw.choice(places)
    other = content[slice(*draw.choice(places))] if draw.random() < 0.4 else draw.choice(HOSTILE)
    return content[:start] + other + content[end:]
