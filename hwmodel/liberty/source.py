"""The text of a Liberty file without comments, and the braces that belong together.

Bounds: groups are nested at most MOST_LEVELS deep, and a file has at most MOST_GROUPS of them.
"""

from __future__ import annotations

import re
from pathlib import Path

from siliquant.inputs import MOST_LEVELS, InputError

__all__ = ["MOST_GROUPS", "Source"]

MOST_GROUPS = 2_000_000
"""Groups of the largest Liberty file that is read."""
# No possessive quantifiers: Python before 3.11.5 matches them wrongly.
_BRACES = re.compile(r'\{|\}|"[^"]*"|"|/\*(?s:.*?)\*/|/\*|//[^\n]*')
_VISIBLE = re.compile(r"[^\n]+")


class Source:
    """Text in which comments are blank, each character and line in its place.

    closing: for the offset of every opening brace that of the one that closes it. InputError for braces, strings and
    comments that do not end.
    """

    __slots__ = ("closing", "file", "text")

    def __init__(self, text: str, file: str | Path | None) -> None:
        self.text = text
        self.file = file
        self.closing: dict[int, int] = {}
        self._read()

    def line(self, offset: int) -> int:
        """The line of an offset, from 1."""
        return self.text.count("\n", 0, offset) + 1

    def fail(self, offset: int, sentence: str) -> InputError:
        """An error with the file and the line of an offset."""
        return InputError(sentence, file=self.file or "Liberty text", place=f"line {self.line(offset)}")

    def _read(self) -> None:
        text, closing = self.text, self.closing
        stack: list[int] = []
        parts, end = [], 0
        for match in _BRACES.finditer(text):
            token = match[0]
            if token == "{":
                if len(stack) == MOST_LEVELS:
                    raise self.fail(match.start(), f"groups must be nested at most {MOST_LEVELS} levels deep")
                if len(closing) == MOST_GROUPS:
                    raise self.fail(match.start(), f"there must be at most {MOST_GROUPS} groups in a file")
                stack.append(match.start())
            elif token == "}":
                if not stack:
                    raise self.fail(match.start(), "a closing brace has no opening brace")
                closing[stack.pop()] = match.start()
            elif token == '"':
                raise self.fail(match.start(), "a quoted string is never closed")
            elif token == "/*":
                raise self.fail(match.start(), "a comment is never closed")
            elif token[0] == "/":
                parts += [text[end : match.start()], _VISIBLE.sub(_blanks, token)]
                end = match.end()
        if stack:
            raise self.fail(stack[-1], "an opening brace has no closing brace")
        if parts:
            self.text = "".join([*parts, text[end:]])


def _blanks(visible: re.Match[str]) -> str:
    return " " * len(visible[0])
